"""What is written is there as a whole or not at all: new beside old, and in its place at the end.

A directory is held by a lock while something is written for it, so that two writers cannot mix. What is made is moved
to its place in steps, which are written down before the first: from then on the new output is the one that holds, and
whoever comes next, the same command again or a reader, carries the steps out that a killed writer has left undone.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from telemetry_kit import temporary
from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

LOCKS = importlib.util.find_spec("fcntl") is not None
"""Whether the system has locks on directories; Windows has not."""

PREFIX = ".telemetry-kit-new-"
"""How the name of a directory or file begins in which something is being written."""
STEPS = ".telemetry-kit-steps.json"
"""The file that tells how the parts of a new output get to their places."""
WAIT_S = 10.0
_LOST = {errno.EIO, errno.ENOSPC, errno.EDQUOT}


def path_of(parameter: str, value: object, expected: str = "a path") -> Path:
    """Return the path that a caller gave for an output; a path of nothing would be where the user works.

    Raises
    ------
    ParameterError
        Where it is no text and no path, or an empty one.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str) or not os.fspath(value):
        raise ParameterError(parameter, value, expected)
    return Path(value)


def named(place: Path) -> str:
    """Return the name of a place as a message shows it; where the user works, that is a dot."""
    return repr(place.name or str(place))


def is_passing(name: str) -> bool:
    """Tell by the name in a directory that something is there only while an output is written."""
    return name.startswith(PREFIX) or name == STEPS


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
        _carry_out(place)
        # Nobody else can own what is left: the lock is ours.
        for left in place.glob(f"{PREFIX}*"):
            _remove(left)
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


def settle(place: Path) -> None:
    """See that an output is whole before it is read: carry out what is left to do, or wait for who does it.

    Raises
    ------
    OSError
        Where it cannot be done.
    """
    ends = time.monotonic() + WAIT_S
    while (place / STEPS).is_file() and time.monotonic() < ends:
        descriptor = os.open(place, os.O_RDONLY) if LOCKS else -1
        try:
            if not LOCKS or _locked(descriptor):
                _carry_out(place)
                return
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        time.sleep(WAIT_S / 1000)


@contextlib.contextmanager
def new_directory(place: Path, steps_of: Path | None = None) -> Iterator[Path]:
    """Give a directory on the file system of a place; it goes at the end, with what is left in it.

    It stays where steps are left to be carried out, those of ``steps_of`` if that is another place.
    """
    name = tempfile.mkdtemp(prefix=temporary.owned(PREFIX), dir=place)
    try:
        yield Path(name)
    finally:
        if not ((steps_of or place) / STEPS).exists():
            shutil.rmtree(name, ignore_errors=True)


def put_in_place(
    made: Path, place: Path, earlier: Iterable[str], mark: str, beside: Iterable[tuple[Path, Path]] = ()
) -> None:
    """Put what was made in a place that is held, instead of what lay there earlier: all of it, or nothing.

    The mark goes first and comes last: what has one is whole. ``beside`` is what else is moved with it, and where to.

    Raises
    ------
    OSError
        Where something cannot be written. As long as the steps are not written down, nothing has changed.
    """
    beside = list(beside)
    for folder in (made, *(new for new, _ in beside)):
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if path.is_file():
                _sync(path)
    names = {path.name for path in made.iterdir()}
    moved = [*beside, *((made / name, place / name) for name in (*sorted(names - {mark}), mark))]
    told = {
        "mark": mark,
        "remove": sorted({Path(name).parts[0] for name in earlier} - names),
        "move": [[os.path.relpath(path, place) for path in step] for step in moved],
    }
    written = Path(f"{made}.json")
    try:
        written.write_text(json.dumps(told), encoding="utf-8")
        _sync(written)
        written.replace(place / STEPS)
    finally:
        written.unlink(missing_ok=True)
    try:
        _carry_out(place)
    except BaseException:
        # What has begun is not left half done where it can be done at all.
        with contextlib.suppress(OSError):
            _carry_out(place)
        raise


def _carry_out(place: Path) -> None:
    """Carry out the steps that are written down, if any; doing so once more changes nothing."""
    try:
        told = json.loads((place / STEPS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    moves = [(place / new, place / target) for new, target in told["move"]]
    # The mark is the last to be moved: where it has been, all has.
    if moves[-1][0].exists():
        (place / told["mark"]).unlink(missing_ok=True)
        for name in told["remove"]:
            _remove(place / name)
        for new, target in moves:
            _move(new, target)
    for new, _ in moves:
        if new.parent.name.startswith(PREFIX):
            _remove(new.parent)
    for folder in {target.parent for _, target in moves}:
        _sync(folder)
    (place / STEPS).unlink()
    _sync(place)


def _move(new: Path, target: Path) -> None:
    if not new.exists():
        return
    # Nothing takes the place of a directory, and a directory that of no file.
    if (target.is_dir() and not target.is_symlink()) or (new.is_dir() and target.exists()):
        target.rename(new.with_name(PREFIX + new.name))
    new.replace(target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Give the path of a file beside another, whose place it takes at the end; a device or pipe is written itself."""
    if path.exists() and not path.is_file():
        yield path
        return
    temporary.remove_dead(path.parent, PREFIX, directories=False)
    descriptor, name = tempfile.mkstemp(prefix=temporary.owned(PREFIX), dir=path.parent)
    os.close(descriptor)
    made = Path(name)
    try:
        yield made
        made.chmod(mode_of(path))
        _sync(made)
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def mode_of(path: Path) -> int:
    """Return the mode of a file that is to be replaced, or of one that is made anew."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _sync(path: Path) -> None:
    """See that what was written is on the disk; not every file system can tell."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in _LOST:
            raise
