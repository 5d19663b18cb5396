"""Delimited text (CSV and its kin) -> rows of text cells; a damaged row is told with its place.

A quote opens a quoted cell only at the beginning of a cell, as RFC 4180 has it; elsewhere it is a character. Lines end
in LF, CRLF or CR, mixed too. A line without any quote is a record whatever surrounds it, so that such lines are split
many at a time, and so are those whose quotes stand around whole cells; any other is read cell by cell. What reads a
record tells where it ends, and the next begins there.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from telemetry_kit.ingest.compression import BLOCK, read_some
from telemetry_kit.ingest.envelopes import may_be_around_events
from telemetry_kit.ingest.formats.csv_records import (
    OPEN,
    TIME_NAMED,
    Record,
    begins_table,
    column_names,
    delimiter_of,
    first_lines,
    is_header,
    json_dialect,
    read_record,
    separator_of,
    simply_quoted,
    split_line,
)
from telemetry_kit.ingest.formats.csv_rows import Gathered, wrong_count
from telemetry_kit.ingest.lines import LINE_LIMIT, RAW_LIMIT, Damage, as_text, too_long

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

    import pyarrow as pa

    from telemetry_kit.ingest.formats.csv_blocks import RawRows

COLUMNS_LIMIT = 5000
"""How many columns a table may have."""
_SHORT = 64 * 1024
"""Up to this length a line is given to Python's own reader, which takes no cell of more than twice as much."""
_ROW_COLUMNS = 4
"""From how many columns on a line inside a quoted cell that has as many cells is taken for a row of its own."""
LEAST_LOOKED_AT = 16 * 1024
_MOST_FAILED = 6
_LINE_END = re.compile(rb"\r\n|\n|\r")
_FIRST_ROWS = ("0", "1")
"""What the first row is called by what gives rows names."""
_BEFORE = "record: a line before the header, expected the names of columns such as event, user_id and timestamp"


@dataclass(frozen=True)
class Rows:
    """Rows of a delimited file as text: the record number of each, how it came, and its cells, column by column."""

    source: int
    name: str
    header: list[str]
    records: Any
    raw: RawRows
    cells: list[pa.Array | pa.ChunkedArray]
    are_trimmed: bool


def read_rows(stream: io.BufferedReader, source: int, name: str) -> Iterator[Rows | Damage]:
    """Read a delimited file row by row; a damaged row is one rejected record, and the next line begins anew.

    A header that stands again begins anew as well, in its own order.
    """
    yield from _Reader(stream, source, name).read()


class _Reader:
    """Reads a file from its beginning to its end; from ``at`` on, the text that was read is not yet taken."""

    def __init__(self, stream: io.BufferedReader, source: int, name: str) -> None:
        self.stream = stream
        self.source = source
        self.name = name
        self.data, self.at, self.is_all = b"", 0, False
        self.broken: str | None = None
        self.line = 1
        self.delimiter = b","
        self.has_backslashes = False
        self.skips_blanks = False
        self.is_first = self.is_told = self.is_around = False
        self.header: list[str] | None = None
        self.fault: str | None = None
        self.gathered = Gathered()
        # How much is looked at for simple quotes, how often in vain, and how many records come before the next time.
        self.n_to_look_at, self.n_failed, self.n_to_read = LEAST_LOOKED_AT, 0, 0

    def read(self) -> Iterator[Rows | Damage]:
        if self._has_more() and not begins_table(first_lines(self.data)) and (dialect := json_dialect(self.data)):
            self.delimiter, self.header = dialect
            self.is_told = self.is_around = True
        while self._has_more():
            told = self._lines_without_quotes()
            yield from told
            if not told and not self._simply_quoted_lines():
                yield from self._next_record()
            if self.gathered.is_full():
                yield from self._flush()
        yield from self._flush()
        if self.broken:
            yield self._broken(b"")

    def _broken(self, raw: bytes) -> Damage:
        """Tell where an archive breaks, with the part of a row that stands there."""
        reason = f"record: the file is damaged after line {self.line - 1}: {self.broken}"
        self.broken = None
        return Damage(self.source, self.line, reason, raw)

    def _has_more(self) -> bool:
        if self.at >= len(self.data) and not self.is_all:
            self._read_on()
        return self.at < len(self.data)

    def _read_on(self) -> None:
        """Read as much again as there is, and at least a block."""
        rest = self.data[self.at :]
        block, self.broken = read_some(self.stream, max(BLOCK, len(rest)))
        self.is_all = not block or self.broken is not None
        self.data, self.at = rest + block, 0

    def _lines_without_quotes(self) -> list[Rows | Damage]:
        """Take the lines up to the first that has a quote."""
        quote = self.data.find(b'"', self.at)
        if self.n_to_look_at > LEAST_LOOKED_AT and 0 <= quote - self.at < LEAST_LOOKED_AT:
            # What comes before it is taken with what follows.
            return []
        part = self._whole_lines(len(self.data) if quote < 0 else quote)
        self.at += len(part)
        told: list[Rows | Damage] = []
        # Most often no line of many is a header, or begins with a byte-order mark.
        is_odd = self.is_first or self.is_around or self.fault is not None
        if self.header is not None and not is_odd and not self._may_hold_header(part):
            self._add_lines(part, len(self.header))
            return told
        for line in part.splitlines():
            if line and not line.isspace():
                told += self._take(self.line, line, None)
            self.line += 1
        return told

    def _add_lines(self, lines: bytes, n_columns: int) -> None:
        self.line += self.gathered.add_lines(self.line, lines, self.delimiter, n_columns)

    def _whole_lines(self, end: int) -> bytes:
        """Return the whole lines that are not yet taken, up to ``end``."""
        cut = max(self.data.rfind(b"\n", self.at, end), self.data.rfind(b"\r", self.at, end)) + 1
        if cut == len(self.data) and not self.is_all and self.data[-1:] == b"\r":
            # The line end may go on in the next block.
            cut = max(self.data.rfind(b"\n", self.at, cut - 1), self.data.rfind(b"\r", self.at, cut - 1)) + 1
        return self.data[self.at : max(cut, self.at)]

    def _simply_quoted_lines(self) -> bool:
        """Take lines whose quotes are around whole cells, with nothing in these that would have to be told apart.

        Where a line is of another kind, fewer are looked at the next time, and not before some records have been read.
        """
        if self.n_to_read or self.header is None or self.is_first or self.fault or self.is_around:
            self.n_to_read = max(self.n_to_read - 1, 0)
            return False
        part = self._whole_lines(min(self.at + self.n_to_look_at, len(self.data)))
        if not part:
            return False
        n_simple = 0 if self._may_hold_header(part) else simply_quoted(part, self.delimiter)
        if n_simple < len(part):
            self.n_to_look_at, self.n_failed = LEAST_LOOKED_AT, min(self.n_failed + 1, _MOST_FAILED)
            self.n_to_read = 2**self.n_failed
        else:
            self.n_to_look_at, self.n_failed = min(4 * self.n_to_look_at, BLOCK), 0
        self._add_lines(part[:n_simple], len(self.header))
        self.at += n_simple
        return n_simple > 0

    @staticmethod
    def _may_hold_header(part: bytes) -> bool:
        return codecs.BOM_UTF8 in part or TIME_NAMED in part.lower()

    def _next_record(self) -> Iterator[Rows | Damage]:
        """Take one record, which has a quote or is the last of the text that was read."""
        if self.data.startswith(codecs.BOM_UTF8, self.at):
            self.at += len(codecs.BOM_UTF8)
        match = _LINE_END.search(self.data, self.at)
        if not self.is_all and (match is None or match.end() == len(self.data)):
            if match is None and len(self.data) - self.at > LINE_LIMIT:
                yield self._skip_long_line()
            else:
                self._read_on()
            return
        if match is None and self.broken:
            yield self._broken(self.data[self.at :])
            self.at = len(self.data)
            return
        first_end, next_line = (match.start(), match.end()) if match else (len(self.data),) * 2
        line = self.data[self.at : first_end]
        if len(line) > LINE_LIMIT:
            yield Damage(self.source, self.line, too_long(len(line)), line[:RAW_LIMIT])
            self._go_to(next_line, 1)
            return
        record = self._parse(line, first_end)
        if record is None:
            # Where the record ends is told by what is not yet read.
            self._read_on()
            return
        raw = self.data[self.at : record.end]
        number, n_lines = self.line, 1
        if record.fault is None and record.end > first_end:
            n_lines = len(raw.splitlines())
            behind = _LINE_END.match(self.data, record.end)
            next_line = behind.end() if behind else record.end
        elif record.fault is not None:
            raw = line
        self._go_to(next_line, n_lines)
        if not raw.isspace() and raw:
            yield from self._take(number, raw, record)

    def _go_to(self, at: int, n_lines: int) -> None:
        self.at = at
        self.line += n_lines

    def _skip_long_line(self) -> Damage:
        """Read on to the end of a line that is too long, and tell it."""
        head, length = self.data[self.at : self.at + RAW_LIMIT], 0
        while (match := _LINE_END.search(self.data, self.at)) is None and not self.is_all:
            length += len(self.data) - self.at
            self.at = len(self.data)
            self._read_on()
        length += (match.start() if match else len(self.data)) - self.at
        number = self.line
        self._go_to(match.end() if match else len(self.data), 1)
        return Damage(self.source, number, too_long(length), head)

    def _parse(self, line: bytes, first_end: int) -> Record | None:
        """Read the record that begins here, in the dialect of the file, or in the other where it is none in that.

        Null where more text is needed.
        """
        has_backslashes = b'\\"' in line
        if not has_backslashes and len(line) < _SHORT:
            cells = split_line(line, self.delimiter, skips_blanks=self.skips_blanks)
            if cells is not None:
                return Record(cells, first_end)
        record = self._parse_as(first_end, has_backslashes=self.has_backslashes)
        if record is not None and record.fault is not None and has_backslashes:
            other = self._parse_as(first_end, has_backslashes=not self.has_backslashes)
            if other is None or other.fault is None:
                self.has_backslashes ^= other is not None and not self.has_backslashes
                return other
        return record

    def _parse_as(self, first_end: int, *, has_backslashes: bool) -> Record | None:
        record = read_record(
            self.data, self.at, self.delimiter, has_backslashes=has_backslashes, skips_blanks=self.skips_blanks
        )
        if record.end >= len(self.data) and not self.is_all:
            return Record([], first_end, OPEN) if record.end - self.at > LINE_LIMIT else None
        if record.fault is None and record.end - self.at > LINE_LIMIT:
            return Record([], first_end, too_long(record.end - self.at))
        if record.fault is None and self.header is not None:
            n_wanted = len(self.header)
            is_header = self._may_hold_header(self.data[self.at : record.end])
            if len(record.cells) != n_wanted and not is_header:
                return record._replace(fault=wrong_count(len(record.cells), n_wanted))
            if record.end > first_end and n_wanted >= _ROW_COLUMNS:
                # The last line lies behind the quote in part.
                inside = self.data[first_end : record.end].splitlines()[:-1]
                if any(part.count(self.delimiter) == n_wanted - 1 for part in inside):
                    return record._replace(fault=OPEN)
        return record

    def _take(self, number: int, raw: bytes, record: Record | None) -> Iterator[Rows | Damage]:
        """Take a record as a row, a header or a damage; where it has no quotes, its cells are not yet told apart."""
        if raw.startswith(codecs.BOM_UTF8):
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if self.header is None and (separator := separator_of(raw)) is not None:
            self.delimiter, self.is_told = separator.encode(), True
        elif self.header is None and not self.is_told and delimiter_of(raw) is None:
            yield Damage(self.source, number, _BEFORE, raw)
        elif self.header is None or is_header(raw):
            yield from self._begin(number, raw)
        else:
            yield from self._take_row(number, raw, record, self.header)

    def _take_row(self, number: int, raw: bytes, record: Record | None, header: list[str]) -> Iterator[Damage]:
        if self.is_first:
            header = self._name_rows(raw, record, header)
        if self.fault or (record is not None and record.fault):
            yield Damage(self.source, number, self.fault or (record and record.fault) or "", raw)
        elif record is None:
            self.gathered.add_line(number, raw)
        elif fault := self.gathered.add_cells(number, raw, record.cells, len(header)):
            yield Damage(self.source, number, fault, raw)

    def _name_rows(self, raw: bytes, record: Record | None, header: list[str]) -> list[str]:
        """Give the names of rows a column where the header has none for them, as R leaves it out."""
        cells = record.cells if record is not None else split_line(raw, self.delimiter)
        if cells and len(cells) == len(header) + 1 and cells[0] in _FIRST_ROWS:
            header = ["", *header]
        self.header, self.is_first = header, False
        return header

    def _begin(self, number: int, raw: bytes) -> Iterator[Rows | Damage]:
        """Begin anew with a header."""
        delimiter = (delimiter_of(raw) or as_text(self.delimiter)).encode()
        cells = split_line(raw, delimiter) or read_record(raw, 0, delimiter, has_backslashes=False).cells
        header = column_names(cells)
        self.is_first = True
        n_cells = raw.count(delimiter)
        self.skips_blanks = delimiter != b" " and 0 < n_cells == raw.count(delimiter + b" ")
        if header != self.header or delimiter != self.delimiter:
            yield from self._flush()
        self.header, self.delimiter, self.fault = header, delimiter, None
        # Cells that may hold an event stay as they are.
        self.is_around = may_be_around_events(self.name, header)
        if len(header) > COLUMNS_LIMIT:
            self.fault = f"record: a table of {len(header)} columns, expected at most {COLUMNS_LIMIT}"
            yield Damage(self.source, number, self.fault, raw)

    def _flush(self) -> Iterator[Rows | Damage]:
        if self.header is None:
            return
        for number, raw, fault in self.gathered.check_lines(self.delimiter, len(self.header)):
            yield Damage(self.source, number, fault, raw)
        yield self._rows(self.header)

    def _rows(self, header: list[str]) -> Rows:
        """Return the rows that were gathered, of which nothing is held here any longer."""
        gathered, self.gathered = self.gathered, Gathered()
        numbers, raw, cells = gathered.columns(self.delimiter, len(header))
        return Rows(self.source, self.name, header, numbers, raw, cells, are_trimmed=bool(gathered.blocks))
