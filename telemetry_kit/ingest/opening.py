"""Open what a user names: regular files alone, without blocking; and why one cannot be read, in one line."""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import tempfile
from typing import TYPE_CHECKING

from telemetry_kit.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = 1024 * 1024
_TOLD_IN_JSON = re.compile(r'"exception_message":"((?:[^"\\]|\\.)*)"')
"""What DuckDB tells of a fault in a thread that it has for writing."""


def open_regular(path: Path) -> io.BufferedReader:
    """Open a file that can be read to its end; a pipe is not waited for.

    Raises
    ------
    OSError
        Where it is a folder, a pipe, a socket or a device, or cannot be opened.
    """
    # To open a pipe without this flag waits for somebody to write to it.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        # Much at once, so that what is looked at without being taken tells more than a long line.
        return io.BufferedReader(io.FileIO(descriptor), _BLOCK)
    os.close(descriptor)
    raise OSError(0, f"it is a {_KINDS.get(stat.S_IFMT(mode), 'device')}, not a regular file")


_KINDS = {stat.S_IFDIR: "folder", stat.S_IFIFO: "pipe", stat.S_IFSOCK: "socket"}


@contextlib.contextmanager
def own_disk() -> Iterator[None]:
    """Tell a fault of the disk for temporary files from one of an input.

    Raises
    ------
    ResourceError
        Where something cannot be written there.
    """
    try:
        yield
    except Exception as error:
        if not is_of_disk(error):
            raise
        place = tempfile.gettempdir()
        raise ResourceError(
            f"temporary files: {place!r} cannot be written: {why(error)}; TMPDIR names another"
        ) from None


def is_of_disk(error: Exception) -> bool:
    """Tell that something could not be written, or read, on a disk.

    A commit to a database in a file says so in its own way, and once it failed all else that is asked of it.
    """
    import duckdb

    if isinstance(error, (OSError, duckdb.IOException)):
        return True
    return isinstance(error, (duckdb.TransactionException, duckdb.FatalException)) and "write" in str(error)


def copy(stream: io.BufferedReader, target: Path) -> None:
    """Copy what can be read of a stream into a temporary file."""
    with own_disk():
        out = target.open("wb")
    try:
        while block := stream.read(_BLOCK):
            with own_disk():
                out.write(block)
    finally:
        with own_disk():
            out.close()


def why(error: BaseException) -> str:
    """Return the reason of an error in one line."""
    text = str(getattr(error, "strerror", None) or str(error) or type(error).__name__)
    if told := _TOLD_IN_JSON.search(text):
        text = told[1].replace("\\", "")
    return " ".join(text.split())
