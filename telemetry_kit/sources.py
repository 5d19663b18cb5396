"""Files and folders -> what lies in them: knows names, archives and containers, and no meaning.

``find_files`` lists what was given. Text that holds JSON becomes ``Lines``: a file of one JSON document a line that
DuckDB reads as it is. Small and compressed files are copied, one behind the other, into a temporary file, so that ten
thousand small archives cost as much as one large file; a large plain file is read where it lies. What cannot be read
at all is told in a ``Damage`` with its place.
"""

from __future__ import annotations

import contextlib
import glob
import gzip
import io
import itertools
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from telemetry_kit.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Source = str | os.PathLike[str] | list[Any] | tuple[Any, ...]
RAW_LIMIT = 64 * 1024
"""How much of a rejected record is kept."""
LINE_LIMIT = 16 * 1024 * 1024
"""A longer line is rejected: nothing that sends events makes one, and it would have to be held in memory."""
BLOCK = 1024 * 1024
IN_PLACE = 64 * 1024 * 1024
"""A plain file at least this large is read where it lies."""
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
"""How a file of each kind begins."""
ZSTD_BLOCK = 64 * 1024
"""How much is unpacked at a time: what comes before the damage in such a block is lost with it."""


@dataclass(frozen=True)
class Damage:
    """What is rejected before anything is known of its meaning: its place, why, and how it came."""

    source: int
    record: int
    reason: str
    raw: str


@dataclass(frozen=True)
class Segment:
    """The part of a file of lines that came from one source: where it begins, and how many lines are not blank."""

    source: int
    offset: int
    n_rows: int | None
    first_row: int = 0


@dataclass
class Lines:
    """A file with one JSON document a line, and the sources it came from, in order."""

    path: Path
    segments: list[Segment] = field(default_factory=list)
    places: dict[int, list[int]] = field(default_factory=dict)
    """Record numbers by source, where these are not the numbers of the lines."""


def find_files(given: Source) -> list[tuple[str, Path]]:
    """List the files of a source, each with its name relative to what was given, in the order of their names.

    Raises
    ------
    SourceError
        Where a path does not exist or may not be read, or a pattern matches nothing.
    """
    if isinstance(given, (list, tuple)):
        found = [(item, name, path) for item in given for name, path in find_files(item)]
        return [(_qualified(item, name) if len(given) > 1 else name, path) for item, name, path in found]
    text = os.fspath(given)
    path = Path(text)
    if path.is_dir():
        return sorted(_below(path))
    if path.exists():
        return [(path.name, path)]
    if glob.has_magic(text):
        root = Path(*_parts_without_magic(path))
        matches = [Path(match) for match in sorted(glob.glob(text, recursive=True))]  # noqa: PTH207 - pathlib has no absolute patterns
        files = [pair for match in matches for pair in (_below(match) if match.is_dir() else [(match.name, match)])]
        if not files:
            raise SourceError(f"source: no file matches {text!r}")
        return sorted({(_relative(match, root), match) for _, match in files})
    raise SourceError(f"source: {text!r} does not exist")


def _qualified(item: str | os.PathLike[str], name: str) -> str:
    path = Path(item)
    return f"{path.name}/{name}" if path.is_dir() else name


def _parts_without_magic(path: Path) -> list[str]:
    parts: list[str] = []
    for part in path.parts[:-1]:
        if glob.has_magic(part):
            break
        parts.append(part)
    return parts


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _below(folder: Path) -> Iterator[tuple[str, Path]]:
    for directory, _, names in os.walk(folder):
        for name in names:
            path = Path(directory, name)
            yield _relative(path, folder), path


def check_readable(path: Path) -> None:
    """See that a file that was itself given as the source can be opened.

    Raises
    ------
    SourceError
        Where it cannot.
    """
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise SourceError(f"source: {path.name!r} cannot be read: {error.strerror}") from None


@contextlib.contextmanager
def open_plain(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file for reading, unpacked where its content is gzip or zstd, however often."""
    import pyarrow as pa

    # No layer closes the one below it.
    with contextlib.ExitStack() as layers:
        stream: Any = layers.enter_context(path.open("rb"))
        while (head := stream.peek(8)).startswith((GZIP, ZSTD)):
            if head.startswith(GZIP):
                stream = layers.enter_context(gzip.GzipFile(fileobj=stream, mode="rb"))
            else:
                # PyArrow raises where the archive ends early; other readers of zstd end without a word.
                unpacked = pa.CompressedInputStream(pa.PythonFile(stream, "r"), "zstd")
                stream = layers.enter_context(io.BufferedReader(unpacked, ZSTD_BLOCK))
        yield stream


UNPACK_ERRORS = (OSError, EOFError, zlib.error)
"""What a damaged archive or an unreadable file raises while it is read."""


def copy_lines(stream: io.BufferedReader, out: IO[bytes], source: int) -> tuple[Segment, list[Damage]]:
    """Append the lines of ``stream`` to ``out``; blank a line that is too long, and stop where the archive breaks.

    Blank lines are kept, so that the number of a line can be found again.
    """
    offset, n_rows, n_lines = out.tell(), 0, 0
    damages: list[Damage] = []
    rest = b""
    broken: str | None = None
    while True:
        try:
            block = stream.read1(BLOCK)
        except UNPACK_ERRORS as error:
            broken = f"record: the archive is damaged after line {n_lines}: {str(error) or type(error).__name__}"
            block = b""
        data = rest + block
        if not block:
            break
        cut = data.rfind(b"\n") + 1
        out.write(data[:cut])
        n_rows += count_rows(data[:cut])
        n_lines += data.count(b"\n", 0, cut)
        rest = data[cut:]
        if len(rest) > LINE_LIMIT:
            head, length, rest = rest[:RAW_LIMIT], *_skip_line(stream, len(rest))
            n_lines += 1
            damages.append(Damage(source, n_lines, _too_long(length), as_text(head)))
            out.write(b"\n")
    if broken is not None:
        damages.append(Damage(source, n_lines + 1, broken, as_text(rest[:RAW_LIMIT])))
    elif rest:
        out.write(rest + b"\n")
        n_rows += count_rows(rest)
    return Segment(source, offset, n_rows), damages


def _skip_line(stream: io.BufferedReader, length: int) -> tuple[int, bytes]:
    """Read on to the end of a line that is too long; return its length and what follows it in the last block."""
    while block := stream.read(BLOCK):
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


def is_clean(path: Path) -> bool:
    """Tell whether a plain file can be read in place: no byte-order mark, and no line that may be too long."""
    with path.open("rb") as stream:
        first = stream.read(BLOCK)
        if first.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
            return False
        gap, block = 0, first
        while block:
            # A block without a line end is the only sign of a long line; two line ends are never further apart.
            gap = gap + len(block) if b"\n" not in block else 0
            if gap > LINE_LIMIT - 2 * BLOCK:
                return False
            block = stream.read(BLOCK)
    return True


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
            places = lines.places.get(segment.source)
            number, at = 0, segment.first_row
            for line in stream:
                number += 1
                if line.isspace():
                    continue
                if at == row:
                    yield row, segment.source, number if places is None else places[at - segment.first_row], line
                    row = next(wanted, None)
                    if row is None or (end is not None and row >= end):
                        break
                at += 1
