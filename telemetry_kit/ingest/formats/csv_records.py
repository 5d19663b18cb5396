"""One record of delimited text: its cells, where it ends, and whether it is a header."""

from __future__ import annotations

import csv
import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit import schemas
from telemetry_kit.ingest.envelopes import holds_event
from telemetry_kit.ingest.lines import as_text
from telemetry_kit.schemas.names import fold
from telemetry_kit.schemas.spellings import property_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_DELIMITERS = ",\t;|\x01^~: "
"""Delimiters of columns, the usual ones first; with ``\\x01`` Hive writes its tables, with a blank R does."""
_AROUND_JSON = ",\t;|"
"""Delimiters of records that hold JSON: none that stands in it without quotes around the cell, but the comma."""
_TEXT = re.compile(rb"(?:\A|(?<=[\r\n]))[^\r\n]*\S")
"""A line that is not blank."""
TITLE_LINES = 20
"""How many lines may stand up to the header of a delimited file."""
_AROUND_NAMES = '"` []\t'
"""What may stand around the name of a column."""
_WHOLE_NAMES = ("properties", "context")
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
    # Words of prose are names too; R has quotes around names between blanks.
    possible = _DELIMITERS if text.startswith('"') else _DELIMITERS.removesuffix(" ")
    counts = {d: sum(map(_is_known, column_names(text.split(d)))) for d in possible}
    best = max(counts, key=lambda d: counts[d])
    return best if counts[best] > 1 else None


def _is_known(name: str) -> bool:
    # A query leaves more around the name of a property: PROPERTIES:Action::string.
    return fold(property_name(name) or name) in _KNOWN_NAMES


def is_header(raw: bytes) -> bool:
    """Tell whether a record is a header: it names an event's time and other columns."""
    if TIME_NAMED not in raw.lower() or (delimiter := delimiter_of(raw)) is None:
        return False
    return any(fold(name) in _TIME_NAMES for name in column_names(as_text(raw).split(delimiter)))


def first_lines(head: bytes) -> list[bytes]:
    """Return the lines of the beginning of a text that are not blank."""
    return [line for line in head.splitlines() if line and not line.isspace()]


def begins_table(lines: Sequence[bytes]) -> bool:
    """Tell by the first lines of a text whether it is a table with known columns.

    A title may stand before the header, which then has to name the time of an event.
    """
    is_separator = bool(lines) and separator_of(lines[0]) is not None
    firsts = lines[is_separator : is_separator + TITLE_LINES]
    return bool(firsts) and (delimiter_of(firsts[0]) is not None or any(map(is_header, firsts)))


def json_dialect(head: bytes) -> tuple[bytes, list[str] | None] | None:
    """Tell by its first two records that those of a text hold an event, as JSON, in one of their cells.

    Returns the delimiter and, where there is no header, names for the columns; null for any other text.
    """
    begin = _TEXT.search(head)
    if begin is None or b"{" not in head:
        return None
    for delimiter, has_backslashes in itertools.product(map(str.encode, _AROUND_JSON), (False, True)):
        first = read_record(head, begin.start(), delimiter, has_backslashes=has_backslashes)
        if first.fault is not None:
            continue
        if any(map(holds_event, first.cells)):
            return delimiter, [f"column {n}" for n in range(1, len(first.cells) + 1)]
        next_begin = _TEXT.search(head, first.end)
        if next_begin is None:
            continue
        second = read_record(head, next_begin.start(), delimiter, has_backslashes=has_backslashes)
        is_like_first = second.fault is None and len(second.cells) == len(first.cells)
        if is_like_first and any(map(holds_event, second.cells)):
            return delimiter, None
    return None


def column_names(cells: list[str]) -> list[str]:
    """Return the names of columns as the cells of a header tell them.

    Hive puts the name of the table before each of them.
    """
    names = [cell.strip(_AROUND_NAMES) for cell in cells]
    table = names[0].partition(".")[0] + "."
    is_before_all = len(names) > 1 and all(name.startswith(table) for name in names)
    is_table = is_before_all and fold(table) not in _WHOLE_NAMES
    return [name.removeprefix(table) for name in names] if is_table else names


def split_line(line: bytes, delimiter: bytes, *, skips_blanks: bool = False) -> list[str] | None:
    """Return the cells of a record that is one line; null where it is not, or is damaged."""
    try:
        reader = csv.reader((line.decode(),), delimiter=delimiter.decode(), strict=True, skipinitialspace=skips_blanks)
        return next(reader)
    except (UnicodeDecodeError, csv.Error, StopIteration):
        return None


def simply_quoted(lines: bytes, delimiter: bytes) -> int:
    """Return how much of whole lines, from their beginning, has quotes around whole cells alone, if it has any.

    Between two quotes stand no delimiter, no line end and no quote, and no backslash before the second.
    """
    text = np.frombuffer(lines, np.uint8)
    quotes = np.flatnonzero(text == ord('"'))
    opens, closes = quotes[: len(quotes) // 2 * 2 : 2], quotes[1::2]
    is_end = (text == ord(delimiter)) | (text == ord("\n")) | (text == ord("\r"))
    ends = np.flatnonzero(is_end)
    is_whole = (
        (is_end[opens - 1] | (opens == 0))
        # The last line has an end as well.
        & is_end[np.minimum(closes + 1, len(text) - 1)]
        & (text[closes - 1] != ord("\\"))
        & (np.searchsorted(ends, opens) == np.searchsorted(ends, closes))
    )
    odd = np.flatnonzero(~is_whole)
    if not len(odd) and len(quotes) % 2 == 0:
        return len(lines)
    first = int(opens[odd[0]]) if len(odd) else int(quotes[-1])
    return max(lines.rfind(b"\n", 0, first), lines.rfind(b"\r", 0, first)) + 1


def read_record(data: bytes, at: int, delimiter: bytes, *, has_backslashes: bool, skips_blanks: bool = False) -> Record:
    """Read a record cell by cell from ``at``; where it has a fault, it ends where that is told."""
    stop = re.compile(b"[\r\n" + re.escape(delimiter) + b"]")
    cells: list[str] = []
    while True:
        while skips_blanks and data.startswith(b" ", at):
            at += 1
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


def split_escaped(line: bytes, delimiter: bytes) -> list[str]:
    """Return the cells of a line in which a backslash stands before a delimiter that ends no cell."""
    escaped = b"\\" + delimiter
    parts = re.split(rb"(?<!\\)" + re.escape(delimiter), line)
    return [as_text(part.replace(escaped, delimiter)) for part in parts]


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
