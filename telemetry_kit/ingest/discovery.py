"""Files and folders -> what lies in them: knows names, archives and lines, and no meaning.

``find_files`` lists what was given, ``open_plain`` opens a file without its packing, ``read_lines`` gives its lines
block by block. ``Lines`` is a file of one JSON document a line that DuckDB reads as it is: what cannot be read at all
is told in a ``Damage`` with its place, and leaves a blank line there, so that the others keep their numbers.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import gzip
import io
import itertools
import json
import os
import stat
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telemetry_kit.errors import ParameterError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RAW_LIMIT = 64 * 1024
"""How much of a rejected record is kept."""
LINE_LIMIT = 16 * 1024 * 1024 - 1
"""A longer line is rejected: nothing that sends events makes one, and it would have to be held in memory."""
BLOCK = 1024 * 1024
GZIP, ZSTD = (b"\x1f\x8b",), (b"\x28\xb5\x2f\xfd", *(bytes([kind, 0x2A, 0x4D, 0x18]) for kind in range(0x50, 0x60)))
"""How a file of each kind begins; some writers of zstd begin with a frame that is to be skipped."""
ZSTD_BLOCK = 64 * 1024
PACKED_LIMIT = 3
"""How often a file may be packed: an archive can be made that holds itself."""


@dataclass(frozen=True)
class Damage:
    """What is rejected before anything is known of its meaning: its place, why, and how it came."""

    source: int
    record: int
    reason: str
    raw: bytes


@dataclass(frozen=True)
class Segment:
    """A part of a file of lines: its source, and the rows (lines that are not blank) and lines of each before it.

    ``first_row`` counts the rows of the file, ``first_line`` the lines of the source. ``n_rows`` is null where the
    segment is a whole file whose rows were not counted.
    """

    source: int
    offset: int
    n_rows: int | None
    first_row: int = 0
    first_line: int = 0


@dataclass
class Lines:
    """A file with one JSON document a line, and the sources it came from, in order."""

    path: Path
    segments: list[Segment] = field(default_factory=list)


def find_files(given: str | os.PathLike[str]) -> list[tuple[str, Path]]:
    """List the files of a path or a pattern, each with its name relative to it, in the order of their names.

    Raises
    ------
    ParameterError
        Where ``given`` is no path.
    SourceError
        Where the path does not exist or may not be read, or no file lies there.
    """
    try:
        path = Path(given)
    except TypeError:
        raise ParameterError("source", given, SOURCE_EXPECTED) from None
    if not os.fspath(given):
        # A path of nothing would be where the user works.
        raise ParameterError("source", given, SOURCE_EXPECTED)
    text = str(path)
    try:
        if path.is_dir():
            os.scandir(path).close()
            files = sorted(_below(path))
        elif path.exists():
            check_regular(path)
            path.open("rb").close()
            files = [(shown(path.name), path)]
        elif glob.has_magic(text):
            files = _matches(path)
        else:
            raise SourceError(f"source: {text!r} does not exist")
    except OSError as error:
        raise SourceError(f"source: {text!r} cannot be read: {why(error)}") from None
    if not files:
        raise SourceError(f"source: no file {'lies in' if path.is_dir() else 'matches'} {text!r}")
    return files


SOURCE_EXPECTED = "a path, a glob, a list of these, a database URL, a frame, or a mapping of event types to frames"


def check_regular(path: Path) -> None:
    """See that a path is a file that can be read to its end, and not a folder, a pipe or a device.

    Raises
    ------
    OSError
        Where it is not, or does not exist.
    """
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        os.scandir(path).close()
    if not stat.S_ISREG(mode):
        raise OSError(0, "it is not a regular file")


def _matches(pattern: Path) -> list[tuple[str, Path]]:
    magic = [glob.has_magic(part) for part in pattern.parts]
    root = Path(*pattern.parts[: magic.index(True)])
    matches = [Path(match) for match in glob.glob(str(pattern), recursive=True)]  # noqa: PTH207 - pathlib has no absolute patterns
    paths = {path for match in matches for path in _files_at(match)}
    by_length = sorted(paths, key=lambda path: (len(path.parts), path), reverse=True)
    # Where a link leads back, a pattern finds a file on many ways, of which the shortest names it, and one without end.
    found = {path.resolve(): path for path in by_length if not _is_endless(path)}
    return sorted((shown(path.relative_to(root).as_posix()), path) for path in found.values())


def _is_endless(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _files_at(path: Path) -> list[Path]:
    return [file for _, file in _below(path)] if path.is_dir() else [path]


def _below(folder: Path) -> Iterator[tuple[str, Path]]:
    """List all files below a folder, through links too but each folder once, and the folders that may not be listed."""
    refused: list[Path] = []
    seen = {_identity(folder)}
    for directory, folders, names in os.walk(
        folder, onerror=lambda error: refused.append(Path(error.filename)), followlinks=True
    ):
        folders.sort()
        for name in folders.copy():
            identity = _identity(Path(directory, name))
            if identity in seen:
                folders.remove(name)
            seen.add(identity)
        for name in names:
            path = Path(directory, name)
            yield shown(path.relative_to(folder).as_posix()), path
    for path in refused:
        yield shown(path.relative_to(folder).as_posix()), path


def _identity(path: Path) -> tuple[int, int] | Path:
    try:
        status = path.stat()
    except OSError:
        return path
    return status.st_dev, status.st_ino


def shown(file_name: str) -> str:
    """Return the name of a file as text; what is not UTF-8 in it is written as escapes."""
    return as_text(os.fsencode(file_name))


@contextlib.contextmanager
def open_plain(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file for reading, unpacked where its content is gzip or zstd, or one in the other."""
    # No layer closes the one below it.
    with contextlib.ExitStack() as layers:
        stream: Any = layers.enter_context(path.open("rb"))
        for _ in range(PACKED_LIMIT):
            head = stream.peek(8)
            if head.startswith(GZIP):
                stream = layers.enter_context(gzip.GzipFile(fileobj=stream, mode="rb"))
            elif head.startswith(ZSTD):
                stream = layers.enter_context(io.BufferedReader(_Zstd(stream), ZSTD_BLOCK))
            else:
                break
        yield stream


class _Zstd(io.RawIOBase):
    """A stream unpacked from zstd; all that comes before the damage of a damaged archive can be read."""

    def __init__(self, packed: Any) -> None:  # noqa: ANN401 - a stream of bytes that can go back to its beginning
        self.packed = packed
        self.opened: list[Any] = []
        self.open_again()
        self.position = 0
        self.damage: OSError | None = None

    def open_again(self) -> None:
        import pyarrow as pa

        self.packed.seek(0)
        # PyArrow raises where the archive ends early; other readers of zstd end without a word. A stream of its that
        # nobody holds any more closes the file below it.
        self.unpacked: Any = pa.CompressedInputStream(pa.PythonFile(self.packed, "r"), "zstd")
        self.opened.append(self.unpacked)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        if self.damage is not None:
            raise self.damage
        try:
            block = self.unpacked.read(len(buffer))
        except OSError as error:
            self.damage = error
            block = self._rescued(len(buffer))
            if not block:
                raise
        self.position += len(block)
        buffer[: len(block)] = block
        return len(block)

    def _rescued(self, size: int) -> bytes:
        """Read a damaged block once more, byte by byte: PyArrow gives none of a block with damage in it."""
        self.open_again()
        for done in range(0, self.position, BLOCK):
            self.unpacked.read(min(BLOCK, self.position - done))
        block = bytearray()
        with contextlib.suppress(OSError):
            while len(block) < size and (byte := self.unpacked.read(1)):
                block += byte
        return bytes(block)


def is_plain(stream: io.BufferedReader) -> bool:
    """Tell whether ``open_plain`` found nothing to unpack."""
    return isinstance(getattr(stream, "raw", None), io.FileIO)


UNPACK_ERRORS = (OSError, EOFError, zlib.error)
"""What a damaged archive or an unreadable file raises while it is read."""


def why(error: BaseException) -> str:
    """Return the reason of an error in one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


def read_some(stream: io.BufferedReader, size: int) -> tuple[bytes, str | None]:
    """Read up to ``size`` bytes, and tell why there are fewer where an archive breaks: what came before is kept."""
    parts: list[bytes] = []
    n_left = size
    try:
        while n_left > 0 and (block := stream.read1(n_left)):
            parts.append(block)
            n_left -= len(block)
    except UNPACK_ERRORS as error:
        return b"".join(parts), why(error)
    return b"".join(parts), None


def read_lines(stream: io.BufferedReader, source: int) -> Iterator[bytes | Damage]:
    """Give the lines of a stream in blocks, each of which ends with a line end; stop where an archive breaks.

    A line that is too long is a ``Damage`` and leaves a blank line in its place. The last line is given its end.
    """
    n_lines = 0
    rest = b""
    while True:
        try:
            block = stream.read1(BLOCK)
        except UNPACK_ERRORS as error:
            if _is_whole(rest):
                yield rest + b"\n"
                n_lines, rest = n_lines + 1, b""
            reason = f"record: the archive is damaged after line {n_lines}: {why(error)}"
            yield Damage(source, n_lines + 1, reason, rest)
            return
        if not block:
            break
        data = rest + block
        cut = data.rfind(b"\n") + 1
        rest = data[cut:]
        first = data.find(b"\n")
        if first > LINE_LIMIT:
            # Only the first line of a block can be longer than a block.
            yield Damage(source, n_lines + 1, _too_long(first), data[:RAW_LIMIT])
            data = data[first:]
            cut -= first
        if cut:
            n_lines += data.count(b"\n", 0, cut)
            yield data[:cut]
        if len(rest) > LINE_LIMIT:
            head = rest[:RAW_LIMIT]
            try:
                length, rest = _skip_line(stream, len(rest))
            except UNPACK_ERRORS as error:
                reason = f"record: the archive is damaged after line {n_lines}: {why(error)}"
                yield Damage(source, n_lines + 1, reason, head)
                return
            yield Damage(source, n_lines + 1, _too_long(length), head)
            cut = rest.rfind(b"\n") + 1
            yield b"\n" + rest[:cut]
            n_lines += 1 + rest.count(b"\n")
            rest = rest[cut:]
    if rest:
        yield rest + b"\n"


def _is_whole(line: bytes) -> bool:
    """Tell whether a line of an archive that breaks there is whole: the damage may lie behind it."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _skip_line(stream: io.BufferedReader, length: int) -> tuple[int, bytes]:
    """Read on to the end of a line that is too long; return its length and what follows it in the last block."""
    while block := stream.read1(BLOCK):
        end = block.find(b"\n")
        if end >= 0:
            return length + end, block[end + 1 :]
        length += len(block)
    return length, b""


def _too_long(length: int) -> str:
    return f"record: a line of {length} bytes, expected at most {LINE_LIMIT}"


def count_rows(data: bytes) -> int:
    """Count the lines of ``data`` that are not blank."""
    return sum(1 for line in data.split(b"\n") if line and not line.isspace())


def as_text(raw: bytes) -> str:
    """Return bytes as text; what is not UTF-8 is written as escapes, so that nothing of it is lost."""
    return raw.decode("utf-8", "backslashreplace")


def has_long_line(stream: io.BufferedReader) -> bool:
    """Tell whether some line of a stream may be too long."""
    gap = 0
    while block := stream.read(BLOCK):
        # A block without a line end is the only sign of a long line; two line ends are never further apart.
        gap = gap + len(block) if b"\n" not in block else 0
        if gap > LINE_LIMIT - 2 * BLOCK:
            return True
    return False


def fetch_lines(lines: Lines, rows: Iterable[int] | None = None) -> Iterator[tuple[int, int, int, bytes]]:
    """Find lines again by their row among those that are not blank, or all: yields row, source, record and the line."""
    wanted = itertools.count() if rows is None else iter(sorted(rows))
    row = next(wanted, None)
    with lines.path.open("rb") as stream:
        for segment in lines.segments:
            end = None if segment.n_rows is None else segment.first_row + segment.n_rows
            if row is None or (end is not None and row >= end):
                continue
            stream.seek(segment.offset)
            at = segment.first_row
            for number, line in enumerate(stream, segment.first_line + 1):
                if line.isspace():
                    continue
                if at == row:
                    yield row, segment.source, number, line
                    row = next(wanted, None)
                    if row is None or (end is not None and row >= end):
                        break
                at += 1
