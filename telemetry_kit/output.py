"""What is written is there as a whole or not at all: new beside old, and in its place at the end.

A directory is held by a lock while something is written for it, so that two writers cannot mix. What a killed writer
left there is known by its name, and removed by the next: nobody else can own it while the lock is held.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LOCKS = importlib.util.find_spec("fcntl") is not None
"""Whether the system has locks on directories; Windows has not."""

PREFIX = ".telemetry-kit-new-"
"""How the name of a directory begins in which something is being written."""


@contextlib.contextmanager
def held(place: Path, refuse: Callable[[str], Exception]) -> Iterator[None]:
    """Hold a directory alone, making it where it does not exist; one that was made and stays empty goes again.

    Raises
    ------
    Exception
        What ``refuse`` makes of the words, where another process holds the directory.
    """
    made = [path for path in (place, *place.parents) if not path.exists()]
    place.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(place, os.O_RDONLY) if LOCKS else -1
    try:
        if LOCKS and not _locked(descriptor):
            raise refuse("another one is being written there")
        for left in place.glob(f"{PREFIX}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        if descriptor >= 0:
            os.close(descriptor)


def _locked(descriptor: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def new_directory(place: Path) -> Iterator[Path]:
    """Give a directory on the file system of a place that is held; it goes at the end, with what is left in it."""
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=place, ignore_cleanup_errors=True) as name:
        yield Path(name)


def put_in_place(made: Path, place: Path, earlier: Iterable[str], mark: str) -> None:
    """Put what was made where it belongs, instead of what lay there earlier.

    The mark goes first and comes last: what has one is whole.
    """
    for path in sorted(made.rglob("*")):
        if path.is_file():
            _sync(path)
    names = {path.name for path in made.iterdir()}
    (place / mark).unlink(missing_ok=True)
    for name in sorted(set(earlier) - names):
        (place / name).unlink(missing_ok=True)
    for name in sorted(names - {mark}):
        (made / name).replace(place / name)
    (made / mark).replace(place / mark)
    _sync(place)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give the path of a file beside another, whose place it takes at the end; a device or pipe is written itself."""
    if path.exists() and not path.is_file():
        yield path
        return
    descriptor, name = tempfile.mkstemp(prefix=PREFIX, suffix=path.name, dir=path.parent)
    os.close(descriptor)
    made = Path(name)
    try:
        yield made
        made.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask())
        _sync(made)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync(path: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
