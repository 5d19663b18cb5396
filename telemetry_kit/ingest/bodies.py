"""Bodies as the client library sends them -> a file with one event a line, which can be read at once.

What is no plain body, and no object either, is left out: a line that is no JSON stands in its place, and whoever reads
the file looks at it by itself.
"""

from __future__ import annotations

import contextlib
import functools
import json
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from telemetry_kit.ingest.compression import BLOCK
from telemetry_kit.ingest.lines import Lines, Segment
from telemetry_kit.ingest.opening import own_disk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import msgspec

SPLIT_UNIT = 256 * 1024 * 1024
"""How much is written before it is read: what is on the disk stays bounded."""
BESIDE = SOURCE, RECORD, POSITION, SENT = "tk_source", "tk_record", "tk_position", "tk_sent"
"""The members that an event gets beside its own: where it came from, and when its body was sent."""
_OURS = b'"tk_'
_BATCH = b'"batch"'
_BEGIN = f'{{"{SOURCE}":%d,"{RECORD}":%d,"{POSITION}":'.encode()
_SENT = f',"{SENT}":'.encode()
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


def may_hold_bodies(lines: Lines) -> bool:
    """Tell by the beginning of a file of lines whether bodies can be among them."""
    with lines.path.open("rb") as stream:
        return _BATCH in stream.read(BLOCK)


def split_bodies(lines: Lines, folder: Path) -> Iterator[Split]:
    """Write the events of a file of lines into ``folder``, a part at a time; each takes the place of the one before."""
    path = folder / "events.jsonl"
    given = _line_by_line(lines)
    segment, line = next(given, (None, b""))
    while segment is not None:
        split = Split(Lines(path, [Segment(0, 0, None)]), Lines(lines.path))
        size = 0
        with own_disk():
            out = path.open("wb")
        try:
            while segment is not None and size < SPLIT_UNIT:
                _add(split.origin, segment, len(split.starts))
                split.starts.append(split.n_rows)
                events = _events(line, segment.source, segment.first_line + 1)
                text = _LEFT_OUT if events is None else b"".join(events)
                with own_disk():
                    out.write(text)
                split.n_rows += text.count(b"\n")
                size += len(text)
                segment, line = next(given, (None, b""))
            with own_disk():
                out.flush()
        finally:
            # What is buffered may find no place on a disk that is full.
            with contextlib.suppress(OSError):
                out.close()
        yield split


def _line_by_line(lines: Lines) -> Iterator[tuple[Segment, bytes]]:
    """Give each line that is not blank, with the segment that it is by itself."""
    with lines.path.open("rb") as stream:
        for segment in lines.segments:
            stream.seek(segment.offset)
            offset, n_rows = segment.offset, 0
            for n_before, line in enumerate(stream, segment.first_line):
                if n_rows == segment.n_rows:
                    break
                if not line.isspace():
                    yield Segment(segment.source, offset, 1, 0, n_before), line
                    n_rows += 1
                offset += len(line)


def _add(lines: Lines, segment: Segment, row: int) -> None:
    """Add a line to others of a file: to the last segment where that is of the same source."""
    last = lines.segments[-1] if lines.segments else None
    if last is not None and last.source == segment.source:
        lines.segments[-1] = replace(last, n_rows=(last.n_rows or 0) + 1)
    else:
        lines.segments.append(replace(segment, first_row=row))


def _events(line: bytes, source: int, record: int) -> list[bytes] | None:
    """Return what is to be written for a line, in parts; null where it is to be looked at by itself."""
    text = line.strip()
    if _OURS in text or b"\r" in text:
        return None
    begin = _BEGIN % (source, record)
    if _BATCH not in text:
        return [begin, b"0,", text[1:], b"\n"] if _is_object(text) else None
    events = _elements(text)
    around = _around(text, events) if events and all(map(_is_object, events)) else None
    if around is None:
        return None
    sent = b"," if around["sentAt"] is None else _SENT + json.dumps(around["sentAt"]).encode() + b","
    made: list[bytes] = []
    for position, event in enumerate(events):
        made += (begin, b"%d" % position, sent, event[1:], b"\n")
    return made


def _elements(body: bytes) -> list[bytes]:
    """Return the elements of a body as they came; none where it is not strictly JSON."""
    import msgspec

    try:
        return [bytes(element) for element in _decoder().decode(body).batch]
    except (msgspec.MsgspecError, RecursionError):
        return []


@functools.cache
def _decoder() -> msgspec.json.Decoder[Any]:
    """Return what finds the elements of a body without making objects of them."""
    import msgspec

    body = msgspec.defstruct("Body", [("batch", list[msgspec.Raw], ())])
    return msgspec.json.Decoder(body)


def _is_object(text: bytes) -> bool:
    """Tell that a text begins as an object with a member."""
    return text.startswith(b'{"')


def _around(text: bytes, events: list[bytes]) -> dict[str, Any] | None:
    """Return what stands in a body around its events, with a ``sentAt``; null where that could be read otherwise.

    What stands there has to be JSON for everybody, with each key once. The events are judged where they are read.
    """
    joined = b",".join(events)
    before, found, behind = text.partition(_BATCH)
    begin, _, end = behind.partition(joined if joined in behind else b", ".join(events))
    try:
        pairs = json.loads(before + found + begin + end, object_pairs_hook=list, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    around = {"sentAt": None} | dict(pairs)
    is_plain = around.get("batch") == [] and len({key for key, _ in pairs}) == len(pairs)
    return around if is_plain and isinstance(around["sentAt"], str | None) else None


def _no_constant(name: str) -> None:
    """Refuse what Python takes for a number, and JSON does not have."""
    raise ValueError(name)
