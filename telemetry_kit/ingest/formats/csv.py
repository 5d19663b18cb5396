"""Delimited text (CSV and its kin) -> rows of text cells; a damaged row is told with its place."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from telemetry_kit import schemas
from telemetry_kit.ingest.lines import RAW_LIMIT, Damage, as_text, read_lines
from telemetry_kit.schemas.names import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

ROWS = 100_000
ROWS_BYTES = 64 * 1024 * 1024
"""How many rows, and how much of them, are gathered before they are judged."""
_QUOTED_LINES = 100
"""How many lines a quoted cell may have: a quote that never closes must not swallow the rows behind it."""
_DELIMITERS = ",\t;|"
_KNOWN_NAMES = frozenset(name for known in schemas.FIELDS for name in known.spellings())


@dataclass
class Rows:
    """Rows of a delimited file as text: the record number of each, how it came, and its cells, column by column."""

    source: int
    name: str
    header: list[str]
    records: list[int] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    cells: list[list[str | None]] = field(default_factory=list)


def delimiter_of(header: bytes) -> str | None:
    """Return the delimiter of a header that names known columns; null where it does not."""
    text = as_text(header).strip("\r\n")
    counts = {d: sum(fold(c.strip('" ')) in _KNOWN_NAMES for c in text.split(d)) for d in _DELIMITERS}
    best = max(counts, key=lambda d: counts[d])
    return best if counts[best] > 1 else None


def read_rows(stream: io.BufferedReader, source: int, name: str) -> Iterator[Rows | Damage]:
    """Read a delimited file row by row; a damaged row is one rejected record, and the next line begins anew."""
    rows: Rows | None = None
    delimiter, size = ",", 0
    for record in _records(read_lines(stream, source)):
        if isinstance(record, Damage):
            yield record
            continue
        number, raw = record
        if rows is None:
            delimiter = delimiter_of(raw) or delimiter
            header = next(csv.reader([as_text(raw).strip("\r\n")], delimiter=delimiter))
            rows = Rows(source, name, [cell.strip() for cell in header])
            continue
        fault = _add_row(rows, number, raw, delimiter)
        if fault:
            yield Damage(source, number, fault, raw.rstrip(b"\r\n"))
        size += len(raw)
        if len(rows.records) >= ROWS or size >= ROWS_BYTES:
            yield rows
            rows, size = Rows(source, name, rows.header), 0
    if rows is not None:
        yield rows


def _add_row(rows: Rows, number: int, raw: bytes, delimiter: str) -> str | None:
    """Add a row, or return why it is none."""
    try:
        cells = next(csv.reader(io.StringIO(raw.decode(), newline=""), delimiter=delimiter, strict=True))
    except UnicodeDecodeError as error:
        return f"record: not UTF-8 at byte {error.start + 1}"
    except (csv.Error, StopIteration) as error:
        return f"record: not CSV: {error}"
    if len(cells) != len(rows.header):
        return f"record: {len(cells)} cells, expected {len(rows.header)} as in the header"
    rows.records.append(number)
    rows.raw.append(raw.rstrip(b"\r\n"))
    rows.cells = rows.cells or [[] for _ in cells]
    for column, cell in zip(rows.cells, cells, strict=True):
        column.append(cell or None)
    return None


def _records(parts: Iterator[bytes | Damage]) -> Iterator[tuple[int, bytes] | Damage]:
    """Give each record with the number of its first line; a quoted cell may hold line ends, within bounds."""
    pending: list[bytes] = []
    number = 0
    for part in parts:
        if isinstance(part, Damage):
            yield part
            continue
        for line in io.BytesIO(part):
            number += 1
            pending.append(line)
            while n := _n_lines(pending, is_all=False):
                yield from _record(number - len(pending) + 1, pending[:n])
                pending = pending[n:]
    while n := _n_lines(pending, is_all=True):
        yield from _record(number - len(pending) + 1, pending[:n])
        pending = pending[n:]


def _record(number: int, lines: list[bytes]) -> Iterator[tuple[int, bytes]]:
    raw = b"".join(lines)
    if not raw.isspace():
        yield number, raw


def _n_lines(pending: list[bytes], *, is_all: bool) -> int:
    """Return how many lines make up the first record, 0 where more are needed; a quote that stays open damages one."""
    n_quotes = 0
    for n, line in enumerate(pending, 1):
        n_quotes += line.count(b'"')
        if n_quotes % 2 == 0:
            return n
    is_open_too_long = len(pending) > _QUOTED_LINES or sum(map(len, pending)) > RAW_LIMIT
    return 1 if pending and (is_all or is_open_too_long) else 0
