"""The lines of a file, block by block, and what of it cannot be read.

``Lines`` is a file of one JSON document a line that DuckDB reads as it is: what cannot be read at all is told in a
``Damage`` with its place, and leaves a blank line there, so that the others keep their numbers.
"""

from __future__ import annotations

import bisect
import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from telemetry_kit.ingest.compression import BLOCK, UNPACK_ERRORS, blame, read_some
from telemetry_kit.ingest.opening import why

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable, Iterator
    from pathlib import Path

RAW_LIMIT = 64 * 1024
"""How much of a rejected record is kept."""
LINE_LIMIT = 16 * 1024 * 1024 - 1
"""A longer line is rejected: nothing that sends events makes one, and it would have to be held in memory."""
COUNT_BLOCK = 256 * 1024
"""How much is counted at a time: what fits near the processor."""


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


def read_lines(stream: io.BufferedReader, source: int) -> Iterator[bytes | Damage]:
    """Give the lines of a stream in blocks, each of which ends with a line end; stop where an archive breaks.

    A line that is too long is a ``Damage`` and leaves a blank line in its place. The last line is given its end.
    """
    n_lines = 0
    rest = b""
    while True:
        block, broken = read_some(stream, BLOCK)
        data = rest + block
        cut = data.rfind(b"\n") + 1
        rest = data[cut:]
        first = data.find(b"\n")
        if first > LINE_LIMIT:
            # Only the first line of a block can be longer than a block.
            yield Damage(source, n_lines + 1, too_long(first), data[:RAW_LIMIT])
            data = data[first:]
            cut -= first
        if cut:
            whole = data[:cut]
            n_lines += int(np.count_nonzero(_ends(whole)))
            yield whole
        if broken is not None:
            if _is_whole(rest):
                yield rest + b"\n"
                n_lines, rest = n_lines + 1, b""
            yield Damage(source, n_lines + 1, f"record: the file is damaged after line {n_lines}: {broken}", rest)
            return
        if not block:
            break
        if len(rest) > LINE_LIMIT:
            head = rest[:RAW_LIMIT]
            try:
                length, rest = _skip_line(stream, len(rest))
            except UNPACK_ERRORS as error:
                blame(error)
                reason = f"record: the file is damaged after line {n_lines}: {why(error)}"
                yield Damage(source, n_lines + 1, reason, head)
                return
            yield Damage(source, n_lines + 1, too_long(length), head)
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


def too_long(length: int) -> str:
    """Return the reason why a line of so many bytes is rejected."""
    return f"record: a line of {length} bytes, expected at most {LINE_LIMIT}"


def count_lines(data: bytes) -> tuple[int, int]:
    """Count the lines of ``data``, which ends with a line end, and those that are not blank."""
    ends, seen = _ends(data), np.frombuffer(data, np.uint8)
    n_lines = int(np.count_nonzero(ends))
    # A blank line begins with white space.
    if data[:1].isspace() or (ends[:-1] & (seen[1:] <= ord(" "))).any():
        return n_lines, sum(1 for line in data.split(b"\n") if line and not line.isspace())
    return n_lines, n_lines


def _ends(data: bytes) -> Any:  # noqa: ANN401 - a NumPy array
    """Tell of each byte whether it is a line end: to count them so takes a tenth of the time of ``bytes.count``."""
    return np.frombuffer(data, np.uint8) == ord("\n")


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


class Marks(NamedTuple):
    """What a file of lines has: commas, whether a backslash, lines, and how many of these end up to each block."""

    n_commas: int
    has_escapes: bool
    n_lines: int
    ends: Any


def count_marks(lines: Lines) -> Marks:
    """Count the commas and the lines of a file, and see whether anything in it is escaped."""
    n_commas, has_escapes, is_ended = 0, False, True
    ends = [0]
    block = bytearray(COUNT_BLOCK)
    seen = np.frombuffer(block, np.uint8)
    with lines.path.open("rb") as stream:
        while size := stream.readinto(block):
            n_commas += int(np.count_nonzero(seen[:size] == ord(",")))
            ends.append(ends[-1] + int(np.count_nonzero(seen[:size] == ord("\n"))))
            has_escapes = has_escapes or block.find(b"\\", 0, size) >= 0
            is_ended = block[size - 1] == ord("\n")
    return Marks(n_commas, has_escapes, ends[-1] + (not is_ended), np.array(ends))


def find_lines(lines: Lines, rows: Iterable[int], marks: Marks) -> Iterator[tuple[int, int, int, bytes]]:
    """Give what ``fetch_lines`` gives of a file without blank lines, and read only where these rows lie."""
    firsts = [segment.first_row for segment in lines.segments]
    held, places = -1, np.array([])
    with lines.path.open("rb") as stream:
        for row in sorted(rows):
            # A row begins behind as many line ends as there are rows before it.
            block = int(np.searchsorted(marks.ends, row)) - 1
            if row and block != held:
                stream.seek(block * COUNT_BLOCK)
                held, places = block, np.flatnonzero(np.frombuffer(stream.read(COUNT_BLOCK), np.uint8) == ord("\n"))
            stream.seek(block * COUNT_BLOCK + int(places[row - marks.ends[block] - 1]) + 1 if row else 0)
            segment = lines.segments[bisect.bisect_right(firsts, row) - 1]
            yield row, segment.source, segment.first_line + row - segment.first_row + 1, stream.readline()
