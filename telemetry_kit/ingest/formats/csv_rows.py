"""Rows of delimited text that were read -> their cells, column by column, and the lines that are no rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from telemetry_kit.ingest.compression import BLOCK
from telemetry_kit.ingest.formats.csv_blocks import RawRows, read_block, trimmed
from telemetry_kit.ingest.formats.csv_records import split_escaped, text_fault, unprotected
from telemetry_kit.ingest.lines import LINE_LIMIT, RAW_LIMIT, too_long

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pyarrow as pa

ROWS = 250_000
ROWS_BYTES = 64 * 1024 * 1024
"""How many rows, and how much of them, are gathered before they are judged."""
_PROTECTED = b'="'


class Gathered:
    """Rows that were read: blocks of lines, lines whose cells are told apart together, and those that have quotes."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, bytes]] = []
        self.block_numbers: list[Any] = []
        self.block_cells: list[pa.Table] = []
        self.n_in_blocks = 0
        self.numbers: list[int] = []
        self.lines: list[bytes] = []
        self.raws: list[bytes] = []
        self.quoted_numbers: list[int] = []
        self.quoted: list[bytes] = []
        self.cells: list[list[str]] = []
        self.size = 0

    def is_full(self) -> bool:
        """Tell whether they are as many as are judged together."""
        return self.n_in_blocks + len(self.numbers) + len(self.quoted) >= ROWS or self.size >= ROWS_BYTES

    def add_lines(self, first: int, text: bytes, delimiter: bytes, n_columns: int) -> int:
        """Add whole lines, of which quotes stand around whole cells alone; return how many they are."""
        block = read_block(text, delimiter, n_columns)
        if block is None:
            lines = text.splitlines()
            self._add_some(first, lines, range(len(lines)))
            return len(lines)
        self.blocks.append((first, text))
        self.block_numbers.append(block.places + first)
        self.block_cells.append(block.cells)
        self.n_in_blocks += len(block.places)
        self.size += len(text)
        if block.odd:
            self._add_some(first, text.splitlines(), block.odd)
        return len(block.places) + len(block.odd)

    def _add_some(self, first: int, lines: list[bytes], places: Iterable[int]) -> None:
        for place in places:
            if lines[place] and not lines[place].isspace():
                self.add_line(first + place, lines[place].replace(b'"', b""), lines[place])

    def add_line(self, number: int, line: bytes, raw: bytes | None = None) -> None:
        """Add a line without quotes, with those that it came with in ``raw``."""
        self.numbers.append(number)
        self.lines.append(line)
        self.raws.append(line if raw is None else raw)
        self.size += len(line)

    def add_cells(self, number: int, raw: bytes, cells: list[str], n_wanted: int) -> str | None:
        """Add a row, or return why it is none."""
        if len(cells) != n_wanted:
            return wrong_count(len(cells), n_wanted)
        if not raw.isascii() and (fault := text_fault(raw)) is not None:
            return fault
        self.quoted_numbers.append(number)
        self.quoted.append(raw)
        self.cells.append([unprotected(cell) for cell in cells] if _PROTECTED in raw else cells)
        self.size += len(raw)
        return None

    def check_lines(self, delimiter: bytes, n_wanted: int) -> list[tuple[int, bytes, str]]:
        """Take out the lines that are no rows, each with its number and the reason."""
        faults: dict[int, str] = {}
        for place, line in enumerate(self.lines):
            n_cells = line.count(delimiter) + 1
            if len(line) > LINE_LIMIT:
                faults[place], self.raws[place] = too_long(len(line)), line[:RAW_LIMIT]
            elif not line.isascii() and (fault := text_fault(line)) is not None:
                faults[place] = fault
            elif n_cells != n_wanted:
                is_escaped = b"\\" + delimiter in line and b'"' not in self.raws[place]
                escaped = split_escaped(line, delimiter) if is_escaped else []
                wrong = self.add_cells(self.numbers[place], line, escaped, n_wanted) if escaped else ""
                faults[place] = wrong_count(n_cells, n_wanted) if wrong is not None else ""
        if not faults:
            return []
        told = [(self.numbers[place], self.raws[place], fault) for place, fault in faults.items() if fault]
        kept = [place for place in range(len(self.lines)) if place not in faults]
        self.numbers = [self.numbers[place] for place in kept]
        self.lines = [self.lines[place] for place in kept]
        self.raws = [self.raws[place] for place in kept]
        return told

    def columns(self, delimiter: bytes, n_columns: int) -> tuple[Any, RawRows, list[Any]]:
        """Return the numbers of the rows in their order, how they came, and their cells column by column.

        Where some came in blocks, all are trimmed.
        """
        import pyarrow as pa

        split = _columns_of_lines(self.lines, delimiter, n_columns)
        quoted = [pa.array(column, pa.string()) for column in zip(*self.cells, strict=True)]
        numbers = np.array(self.numbers + self.quoted_numbers, np.int64)
        raws = RawRows(dict(zip(numbers.tolist(), self.raws + self.quoted, strict=True)), self.blocks)
        if self.quoted and (self.lines or self.quoted_numbers != sorted(self.quoted_numbers)):
            order = np.argsort(numbers, kind="stable")
            numbers = numbers[order]
            joined = [pa.concat_arrays(pair).take(pa.array(order)) for pair in zip(split, quoted, strict=True)]
        else:
            joined = quoted or split
        cells = [_without_empty(column) for column in joined]
        if not self.blocks:
            return numbers, raws, cells
        blocks, in_blocks = pa.concat_tables(self.block_cells), np.concatenate(self.block_numbers)
        if not len(numbers):
            return in_blocks, raws, blocks.combine_chunks().columns
        others = pa.table([trimmed(column) for column in cells], names=blocks.column_names)
        order = np.argsort(np.concatenate([in_blocks, numbers]), kind="stable")
        return (
            np.concatenate([in_blocks, numbers])[order],
            raws,
            _ordered(blocks, others, order).combine_chunks().columns,
        )


def _columns_of_lines(lines: list[bytes], delimiter: bytes, n_columns: int) -> list[pa.Array]:
    """Tell the cells of lines without quotes apart, which have as many as there are columns."""
    import pyarrow as pa
    from pyarrow import csv

    names = [f"c{n}" for n in range(n_columns)]
    if not lines:
        return [pa.array([], pa.string()) for _ in names]
    table = csv.read_csv(
        pa.BufferReader(b"\n".join(lines)),
        csv.ReadOptions(column_names=names, block_size=max(BLOCK, *map(len, lines)) + 1),
        csv.ParseOptions(delimiter=delimiter.decode(), quote_char=False, ignore_empty_lines=False),
        csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
    return [column.combine_chunks() for column in table.columns]


MOST_CUTS = 2000
"""Into how many pieces rows are cut to be put among others; where there are more, row by row."""


def _ordered(blocks: pa.Table, others: pa.Table, order: Any) -> pa.Table:  # noqa: ANN401 - a NumPy array
    """Return the rows of two tables, each in order, in the order of both."""
    import pyarrow as pa

    joined = pa.concat_tables([blocks, others])
    starts = np.flatnonzero(np.diff(order) != 1) + 1
    if len(starts) > MOST_CUTS:
        return joined.take(pa.array(order))
    runs = np.split(order, starts)
    return pa.concat_tables([joined.slice(int(run[0]), len(run)) for run in runs])


def _without_empty(column: pa.Array) -> pa.Array:
    """Make the empty text null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)


def wrong_count(n_cells: int, n_wanted: int) -> str:
    """Return the reason why a row of so many cells is rejected."""
    return f"record: {n_cells} cells, expected {n_wanted} as in the header"
