"""One record of delimited text: its cells, where it ends, and whether it is a header."""

from __future__ import annotations

import csv
import re
from typing import NamedTuple

from telemetry_kit import schemas
from telemetry_kit.ingest.lines import as_text
from telemetry_kit.schemas.names import fold

_DELIMITERS = ",\t;|"
_KNOWN_NAMES = frozenset(name for known in schemas.FIELDS for name in known.spellings())
_TIME_NAMES = frozenset(next(f for f in schemas.FIELDS if f.column == "event_timestamp").spellings())
TIME_NAMED = b"stamp"
"""What every name of the time of an event has in it: a header that stands again is found by it."""
_SEPARATOR = re.compile(r"\"?sep=([\t !#-/:-@\[-`{-~])\"?", re.IGNORECASE)
OPEN = "record: not CSV: a quote opens a cell and never closes"


class Record(NamedTuple):
    """The cells of a record and where it ends; or why it is none."""

    cells: list[str]
    end: int
    fault: str | None = None


def separator_of(line: bytes) -> str | None:
    """Return the delimiter that Excel's first line ``sep=;`` tells, null for any other line."""
    match = _SEPARATOR.fullmatch(as_text(line).strip("\r\n"))
    return match.group(1) if match else None


def delimiter_of(header: bytes) -> str | None:
    """Return the delimiter of a header that names known columns; null where it does not."""
    text = as_text(header).strip("\r\n")
    counts = {d: sum(fold(c.strip('" ')) in _KNOWN_NAMES for c in text.split(d)) for d in _DELIMITERS}
    best = max(counts, key=lambda d: counts[d])
    return best if counts[best] > 1 else None


def is_header(raw: bytes) -> bool:
    """Tell whether a record is a header: it names an event's time and other columns."""
    if TIME_NAMED not in raw.lower() or (delimiter := delimiter_of(raw)) is None:
        return False
    return any(fold(cell.strip('" ')) in _TIME_NAMES for cell in as_text(raw).split(delimiter))


def split_line(line: bytes, delimiter: bytes) -> list[str] | None:
    """Return the cells of a record that is one line; null where it is not, or is damaged."""
    try:
        return next(csv.reader((line.decode(),), delimiter=delimiter.decode(), strict=True))
    except (UnicodeDecodeError, csv.Error, StopIteration):
        return None


def read_record(data: bytes, at: int, delimiter: bytes, *, has_backslashes: bool) -> Record:
    """Read a record cell by cell from ``at``; where it has a fault, it ends where that is told."""
    stop = re.compile(b"[\r\n" + re.escape(delimiter) + b"]")
    cells: list[str] = []
    while True:
        if data.startswith(b'"', at):
            end = _closing(data, at + 1, has_backslashes=has_backslashes)
            if end < 0:
                return Record(cells, len(data), OPEN)
            cells.append(as_text(_unescaped(data[at + 1 : end], has_backslashes=has_backslashes)))
            end += 1
        else:
            match = stop.search(data, at)
            end = match.start() if match else len(data)
            cells.append(as_text(data[at:end]))
        if end >= len(data) or data[end : end + 1] in (b"\r", b"\n"):
            return Record(cells, end)
        if not data.startswith(delimiter, end):
            place = as_text(data[end : end + 1])
            return Record(cells, end, f"record: not CSV: {place!r} behind the quote that closes a cell")
        at = end + len(delimiter)


_ANY_END = re.compile(rb'\\.|""|"', re.DOTALL)
_QUOTE_END = re.compile(rb'""|"')


def _closing(data: bytes, at: int, *, has_backslashes: bool) -> int:
    """Return where the quote stands that closes a cell, -1 where none does."""
    for match in (_ANY_END if has_backslashes else _QUOTE_END).finditer(data, at):
        if match.group() == b'"':
            return match.start()
    return -1


def _unescaped(cell: bytes, *, has_backslashes: bool) -> bytes:
    if has_backslashes:
        return re.sub(rb'\\(["\\])|""', lambda match: match.group(1) or b'"', cell)
    return cell.replace(b'""', b'"')


def unprotected(cell: str) -> str:
    """Return the text that Excel protects as a formula, ``="text"``."""
    is_protected = cell.startswith('="') and cell.endswith('"') and len(cell) > len('="')
    return cell[2:-1].replace('""', '"') if is_protected else cell


def text_fault(raw: bytes) -> str | None:
    """Tell where a record is no text."""
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"record: not UTF-8 at byte {error.start + 1}"
    return None
