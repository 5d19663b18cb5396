"""Whole lines of delimited text, many at a time -> their cells, column by column."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from telemetry_kit.ingest.formats.csv_records import text_fault
from telemetry_kit.schemas.values import NULL_WORDS

if TYPE_CHECKING:
    import pyarrow as pa

LEAST_BLOCK = 16 * 1024
"""How long lines are together at least, so that it pays to give them to Arrow's reader."""


class Block(NamedTuple):
    """Rows that were read together: the place of each among the lines, and their cells, trimmed.

    ``odd`` are the places of lines with another number of cells.
    """

    places: Any
    cells: pa.Table
    odd: list[int]


class RawRows:
    """How each row of a file came, by its number; lines that were read together are cut where one is asked for.

    ``blocks`` are such lines, each with the number of the first.
    """

    def __init__(self, lines: dict[int, bytes], blocks: list[tuple[int, bytes]]) -> None:
        self.lines = lines
        self.blocks = blocks
        self.firsts = [first for first, _ in blocks]
        self.opened: tuple[int, list[bytes]] = (-1, [])

    def __getitem__(self, number: int) -> bytes:
        if number in self.lines:
            return self.lines[number]
        place = bisect_right(self.firsts, number) - 1
        first, text = self.blocks[place]
        if place != self.opened[0]:
            self.opened = place, text.splitlines()
        return self.opened[1][number - first]


def read_block(text: bytes, delimiter: bytes, n_columns: int) -> Block | None:
    """Read whole lines, whose quotes stand around whole cells alone; null where they are not read as one by one.

    A line that is blank, or has more or fewer cells, is among the ``odd``.
    """
    import pyarrow as pa

    if not text or len(text) < LEAST_BLOCK or n_columns == 1:
        return None
    is_ascii = text.isascii()
    if not is_ascii and text_fault(text) is not None:
        # Of each line it is told whether it is no text.
        return None
    has_blanks = not is_ascii or _has_blanks(text, delimiter)
    odd: list[int] = []
    cells = _read(text, delimiter, n_columns, odd, has_blanks=has_blanks)
    if has_blanks:
        cells = pa.table([trimmed(column) for column in cells.columns], names=cells.column_names)
    if _has_empty_row(cells):
        # It may be a blank line.
        return None
    return Block(np.delete(np.arange(cells.num_rows + len(odd)), odd), cells, odd)


def _read(text: bytes, delimiter: bytes, n_columns: int, odd: list[int], *, has_blanks: bool) -> pa.Table:
    """Tell cells apart, and add to ``odd`` the places of lines that have more or fewer."""
    import pyarrow as pa
    from pyarrow import csv

    def pass_over(row: csv.InvalidRow) -> str:
        odd.append(row.number - 1)
        return "skip"

    names = [f"c{n}" for n in range(n_columns)]
    return csv.read_csv(
        pa.BufferReader(text),
        # Several threads would not tell which lines are odd.
        csv.ReadOptions(column_names=names, block_size=len(text) + 1, use_threads=False),
        csv.ParseOptions(
            delimiter=delimiter.decode(),
            quote_char='"' if b'"' in text else False,
            double_quote=False,
            ignore_empty_lines=False,
            invalid_row_handler=pass_over,
        ),
        csv.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(names, pa.string()),
            null_values=["", *(() if has_blanks else NULL_WORDS)],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )


def _has_blanks(text: bytes, delimiter: bytes) -> bool:
    """Tell whether a blank stands at an end of some cell, or another character that could be one."""
    seen = np.frombuffer(text, np.uint8)
    is_end = (seen == ord(delimiter)) | (seen == ord("\n")) | (seen == ord("\r")) | (seen == ord('"'))
    is_blank = (seen <= ord(" ")) & ~is_end
    beside = (is_blank[1:] & is_end[:-1]) | (is_blank[:-1] & is_end[1:])
    return bool(is_blank[0] or is_blank[-1] or beside.any())


def _has_empty_row(cells: pa.Table) -> bool:
    import pyarrow.compute as pc

    is_empty = pc.equal(cells.column(0), "").fill_null(True)  # noqa: FBT003 - the value
    for column in cells.columns[1:]:
        if not pc.any(is_empty).as_py():
            return False
        is_empty = pc.and_(is_empty, pc.equal(column, "").fill_null(True))  # noqa: FBT003 - the value
    return bool(pc.any(is_empty).as_py())


def trimmed(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return cells without blanks around them, null where all of one is a word for null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    told = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.is_in(told, pa.array(NULL_WORDS, told.type)), pa.scalar(None, told.type), told)
