"""Lines that hold events -> a file with one event a line, which can be read at once.

What is not plainly such a line is left out: a line that is no JSON stands in its place, and whoever reads the file
looks at it by itself.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, BinaryIO

from telemetry_kit.ingest.lines import Lines, Segment
from telemetry_kit.ingest.opening import own_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

SPLIT_UNIT = 256 * 1024 * 1024
"""How much is written before it is read: what is on the disk stays bounded."""
BESIDE = SOURCE, RECORD, POSITION, SENT = "tk_source", "tk_record", "tk_position", "tk_sent"
"""The members that an event gets beside its own: where it came from, and when its body was sent."""
_OURS = b'"tk_'
_BEGIN = f'{{"{SOURCE}":%d,"{RECORD}":%d,"{POSITION}":'.encode()
_LEFT_OUT = b"x\n"


@dataclass
class Split:
    """Some lines of a file, and the file with the events that stand in them, one a line.

    ``starts`` tells at which of the ``n_rows`` rows of ``lines`` each row of ``origin`` begins.
    """

    lines: Lines
    origin: Lines
    starts: list[int] = field(default_factory=list)
    n_rows: int = 0

    def origins_of(self, rows: Iterable[int]) -> list[int]:
        """Return the rows of ``origin`` from which rows of ``lines`` came, in order."""
        return sorted({bisect_right(self.starts, row) - 1 for row in rows})

    def rows_of(self, origin: int) -> range:
        """Return the rows of ``lines`` that came from a row of ``origin``."""
        behind = self.starts[origin + 1] if origin + 1 < len(self.starts) else self.n_rows
        return range(self.starts[origin], behind)


def split_lines(
    lines: Lines, folder: Path, events_of: Callable[[bytes], Iterable[list[bytes]] | None]
) -> Iterator[Split]:
    """Write the events of a file of lines into ``folder``, a part at a time; each takes the place of the one before.

    ``events_of`` gives of a line, without white space around it, its events: the parts of each from its position on,
    but for the brace at its begin. It gives null where the line is to be looked at by itself.
    """
    path = folder / "events.jsonl"
    given = _line_by_line(lines)
    following = next(given, None)
    while following is not None:
        split = Split(Lines(path, [Segment(0, 0, None)]), Lines(lines.path))
        begins: list[Segment] = []
        size = 0
        with own_disk():
            out = path.open("wb")
        try:
            while following is not None and size < SPLIT_UNIT:
                source, offset, n_before, line = following
                if not begins or begins[-1].source != source:
                    begins.append(Segment(source, offset, None, len(split.starts), n_before))
                split.starts.append(split.n_rows)
                begin = _BEGIN % (source, n_before + 1)
                line = line.strip()
                events = None if _OURS in line or b"\r" in line else events_of(line)
                text = _LEFT_OUT if events is None else b"".join([b"".join((begin, *parts, b"\n")) for parts in events])
                _write(out, text)
                split.n_rows += text.count(b"\n")
                size += len(text)
                following = next(given, None)
            with own_disk():
                out.flush()
        finally:
            # What is buffered may find no place on a disk that is full.
            with contextlib.suppress(OSError):
                out.close()
        ends = [*(segment.first_row for segment in begins[1:]), len(split.starts)]
        split.origin.segments += [
            replace(one, n_rows=end - one.first_row) for one, end in zip(begins, ends, strict=True)
        ]
        yield split


def _write(out: BinaryIO, text: bytes) -> None:
    try:
        out.write(text)
    except OSError:
        with own_disk():
            raise


def _line_by_line(lines: Lines) -> Iterator[tuple[int, int, int, bytes]]:
    """Give each line that is not blank: its source, where it begins, how many lines are before it, and its text."""
    with lines.path.open("rb") as stream:
        for segment in lines.segments:
            stream.seek(segment.offset)
            offset, n_rows = segment.offset, 0
            for n_before, line in enumerate(stream, segment.first_line):
                if n_rows == segment.n_rows:
                    break
                if not line.isspace():
                    yield segment.source, offset, n_before, line
                    n_rows += 1
                offset += len(line)


def is_object(text: bytes) -> bool:
    """Tell that a text begins as an object with a member."""
    return text.startswith(b'{"')


def plain_event(line: bytes) -> Iterable[list[bytes]] | None:
    """Return a line as the one event that it is, as ``split_lines`` takes it; null where it is no object."""
    return [[b"0,", line[1:]]] if is_object(line) else None
