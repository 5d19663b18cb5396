"""Temporary directories that go with whoever made them: at the end, or with the next run where that was killed.

Their names tell the machine (or the container) and the process they belong to, so that nobody takes what is in use.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import hashlib
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from telemetry_kit.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX = "telemetry-kit-"


@contextlib.contextmanager
def scratch(prefix: str = PREFIX) -> Iterator[Path]:
    """Give a temporary directory, and remove those of runs that were killed.

    Raises
    ------
    ResourceError
        Where it cannot be made.
    """
    folder = _made(prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@functools.cache
def kept() -> Path:
    """Return a temporary directory of this process, which goes when it ends.

    Raises
    ------
    ResourceError
        Where it cannot be made.
    """
    folder = _made(PREFIX)
    atexit.register(_leave, folder, os.getpid())
    return folder


def _leave(folder: Path, process: int) -> None:
    """Remove the directory of a process; one that was forked from it leaves it alone."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)


def _made(prefix: str) -> Path:
    try:
        remove_dead(Path(tempfile.gettempdir()), prefix)
        return Path(tempfile.mkdtemp(prefix=owned(prefix)))
    except OSError as error:
        raise ResourceError(
            f"temporary files cannot be written: {error.strerror}; TMPDIR names another place"
        ) from None


def owned(prefix: str) -> str:
    """Return the beginning of a name that tells to which process what has it belongs."""
    return f"{prefix}{_machine()}-{os.getpid()}-"


@functools.cache
def _machine() -> str:
    """Return what tells the processes of a machine, or of a container, from those of another on the same disk."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:6]


def remove_dead(folder: Path, prefix: str, *, directories: bool = True) -> None:
    """Remove what processes have left in a folder that are there no more; without ``directories``, files alone."""
    begin = f"{prefix}{_machine()}-"
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            process = entry.name.removeprefix(begin).partition("-")[0]
            if not (entry.name.startswith(begin) and process.isdecimal() and _is_dead(int(process))):
                continue
            if not entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    os.unlink(entry)  # noqa: PTH108 - an entry of scandir
            elif directories:
                shutil.rmtree(entry, ignore_errors=True)


def _is_dead(process: int) -> bool:
    if os.name != "posix":
        # There, to ask whether a process is alive ends it.
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
