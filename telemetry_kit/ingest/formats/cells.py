"""Batches of a table -> batches whose every cell can be read, and the rows that cannot, each with its reason.

Nothing of a batch is looked at before Arrow has validated it in full: an offset that was tampered with leads anywhere.
Lengths are told without copying a cell, so that one long value that many rows share is no harm.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CELL_LIMIT = 16 * 1024 * 1024 - 1
"""How many bytes a cell or a row may have: what a line may."""
PIECE_BYTES = 32 * 1024 * 1024
"""How many bytes the rows may have that are given on together."""
FARTHEST_US = 9_200_000_000_000_000_000
"""How far from 1970 a time may lie, and how long a duration may be, in microseconds: what is beyond has no text."""
_UNITS_US = {"s": 1_000_000, "ms": 1000, "us": 1}
_SHOWN = 16 * 1024
"""How much of a cell that cannot be read is shown."""


class Refused(NamedTuple):
    """A row that cannot be read: its number, counted from 0, why, and what can be shown of it."""

    row: int
    reason: str
    raw: str


def readable(
    batch: pa.RecordBatch, names: Sequence[str], first: int, told: pa.Array | None = None
) -> Iterator[pa.RecordBatch | Refused]:
    """Give the rows of a batch that can be read, in pieces of bounded size, and tell the others.

    The columns of what is given are ``c0``, ``c1``, … and ``number``, the row counted from 0 in the whole table;
    ``first`` is that of the first row of the batch, and ``told`` what is known to be wrong with each.
    """
    if told is None and _is_sound(batch):
        yield _numbered(batch.columns, np.arange(first, first + len(batch)))
    else:
        yield from _judged(batch, names, first, told)


def _judged(
    batch: pa.RecordBatch, names: Sequence[str], first: int, told: pa.Array | None
) -> Iterator[pa.RecordBatch | Refused]:
    """Give the rows of a batch that can be read, and tell the others, by looking at each column for itself."""
    faults: dict[int, list[tuple[int, str]]] = {}
    for place, fault in enumerate(told.to_pylist() if told is not None and told.null_count < len(told) else ()):
        if fault is not None:
            faults[place] = [(-2, fault)]
    lengths = np.zeros(len(batch), np.int64)
    for column, (name, cells) in enumerate(zip(names, batch.columns, strict=True)):
        bad = _unreadable_rows(cells)
        for place in bad:
            faults.setdefault(place, []).append((column, f"{name}: the cell cannot be read, expected text in UTF-8"))
        odd: list[int] = []
        if _holds_times(cells.type):
            # What is damaged must not be looked into.
            odd = _found(cells, lambda part: _is_damaged(part) or is_beyond(part)) if bad else _found(cells, is_beyond)
        for place in sorted({*odd} - {*bad}):
            faults.setdefault(place, []).append((column, f"{name}: a time too far from 1970 to be told"))
        sizes = _lengths(cells, bad)
        for place in np.flatnonzero(sizes > CELL_LIMIT).tolist():
            reason = f"{name}: a cell of {sizes[place]} bytes, expected at most {CELL_LIMIT}"
            faults.setdefault(place, []).append((column, reason))
        lengths += sizes
    for place in np.flatnonzero(lengths > CELL_LIMIT).tolist():
        faults.setdefault(place, [(-1, f"record: a row of {lengths[place]} bytes, expected at most {CELL_LIMIT}")])
    for row in sorted(faults):
        reason = "; ".join(reason for _, reason in faults[row])
        yield Refused(first + row, reason, _shown(batch, names, row, {column for column, _ in faults[row]}))
    rows = np.setdiff1d(np.arange(len(batch)), np.fromiter(faults, np.int64, len(faults)))
    yield from _pieces(batch, rows, lengths, first)


def _is_sound(batch: pa.RecordBatch) -> bool:
    """Tell at once of a small batch of plain columns that all of it can be read, which nearly every batch is."""
    return (
        all(pa.types.is_primitive(cells.type) or _is_plain_text(cells.type) for cells in batch.columns)
        and not any(map(_is_damaged, batch.columns))
        and bool(batch.nbytes <= min(CELL_LIMIT, PIECE_BYTES))
        and not any(map(is_beyond, batch.columns))
    )


def _numbered(columns: Sequence[pa.Array], rows: Any) -> pa.RecordBatch:  # noqa: ANN401 - a NumPy array
    names = [*(f"c{n}" for n in range(len(columns))), "number"]
    return pa.RecordBatch.from_arrays([*columns, pa.array(rows, pa.int64())], names=names)


def _pieces(batch: pa.RecordBatch, rows: Any, lengths: Any, first: int) -> Iterator[pa.RecordBatch]:  # noqa: ANN401 - NumPy arrays
    part = np.cumsum(lengths[rows]) // PIECE_BYTES
    for piece in np.split(rows, np.flatnonzero(np.diff(part)) + 1) if len(rows) else ():
        is_run = len(piece) == piece[-1] - piece[0] + 1
        taken = batch.slice(piece[0], len(piece)) if is_run else batch.take(pa.array(piece))
        yield _numbered([_flat(cells) for cells in taken.columns], piece + first)


def _flat(cells: pa.Array) -> pa.Array:
    """Return cells that name their values as these values; Arrow would lay out values that no cell has."""
    if not pa.types.is_dictionary(cells.type):
        return cells
    indices = cells.indices
    used = pc.unique(indices).drop_null().sort()
    return cells.dictionary.take(used).take(pc.index_in(indices, used))


def _unreadable_rows(cells: pa.Array) -> list[int]:
    """Return the rows whose cells are no text, or lead out of their buffers."""
    if pa.types.is_dictionary(cells.type):
        bad = _found(cells.dictionary, _is_damaged)
        if not bad:
            return _found(cells, _is_damaged)
        return np.flatnonzero(np.isin(cells.indices.fill_null(-1).to_numpy(zero_copy_only=False), bad)).tolist()
    return _found(cells, _is_damaged)


def _is_damaged(cells: pa.Array) -> bool:
    try:
        cells.validate(full=True)
    except (pa.ArrowException, ValueError):
        return True
    return False


def _found(cells: pa.Array, is_bad: Callable[[pa.Array], bool]) -> list[int]:
    """Return the rows that are bad, by halving what has some."""
    found: list[int] = []
    spans = [(0, len(cells))]
    while spans:
        begin, end = spans.pop()
        if not is_bad(cells.slice(begin, end - begin)):
            continue
        if end - begin == 1:
            found.append(begin)
        else:
            half = (begin + end) // 2
            spans += [(begin, half), (half, end)]
    return sorted(found)


def _holds_times(kind: pa.DataType) -> bool:
    """Tell whether cells of a type hold times or durations. A text's dictionary, damaged once, is damaged for all."""
    if pa.types.is_dictionary(kind):
        return _holds_times(kind.value_type)
    fields = (kind.field(n).type for n in range(kind.num_fields))
    return pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or any(map(_holds_times, fields))


def is_beyond(cells: pa.Array) -> bool:
    """Tell whether a time or a duration among cells is so large that DuckDB cannot write it as text."""
    kind = cells.type
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        if kind.unit not in _UNITS_US or not len(cells):
            return False
        most = FARTHEST_US // _UNITS_US[kind.unit]
        extremes = pc.min_max(cells.view(pa.int64()))
        low, high = extremes["min"].as_py(), extremes["max"].as_py()
        return low is not None and (low < -most or high > most)
    if pa.types.is_dictionary(kind):
        return pa.types.is_temporal(kind.value_type) and is_beyond(cells.dictionary_decode())
    if pa.types.is_struct(kind):
        return any(map(is_beyond, cells.flatten()))
    if pa.types.is_map(kind):
        begin, end = (cells.offsets[n].as_py() for n in (0, -1))
        return any(is_beyond(part.slice(begin, end - begin)) for part in (cells.keys, cells.items))
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return is_list and is_beyond(pc.list_flatten(cells))


def _lengths(cells: pa.Array, bad: list[int]) -> Any:  # noqa: ANN401 - a NumPy array
    """Return how many bytes each cell has that is of any length; 0 for numbers, and where it cannot be read."""
    kind = cells.type
    if pa.types.is_dictionary(kind):
        sizes = _lengths(cells.dictionary, [])
        indices = cells.indices.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        told = np.where(cells.is_valid().to_numpy(zero_copy_only=False), sizes[indices], 0) if len(sizes) else None
        lengths = np.zeros(len(cells), np.int64) if told is None else told
    elif _is_text(kind):
        lengths = pc.binary_length(_as_bytes(cells)).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    elif pa.types.is_nested(kind):
        lengths = np.zeros(len(cells), np.int64)
        for row in _found(cells, lambda part: part.nbytes > CELL_LIMIT):
            lengths[row] = cells.slice(row, 1).nbytes
    else:
        return np.zeros(len(cells), np.int64)
    lengths[bad] = 0
    return lengths


def _is_plain_text(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_large_string))


def _is_text(kind: pa.DataType) -> bool:
    return any(
        is_kind(kind)
        for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    ) or pa.types.is_string_view(kind) or pa.types.is_binary_view(kind)  # fmt: skip


def _as_bytes(cells: pa.Array) -> pa.Array:
    return cells.cast(pa.large_binary())


def _shown(batch: pa.RecordBatch, names: Sequence[str], row: int, bad: set[int]) -> str:
    """Return what can be shown of a row as JSON; of a cell that cannot be read, its beginning where it is text."""
    shown: dict[str, Any] = {}
    for column, (name, cells) in enumerate(zip(names, batch.columns, strict=True)):
        cell = cells.slice(row, 1)
        if pa.types.is_dictionary(cell.type):
            index = cell.indices[0].as_py()
            cell = cell.dictionary.slice(index or 0, 0 if index is None else 1)
        if column not in bad and -1 not in bad:
            value = _value(cell)
            shown[name] = value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
        elif len(cell) and _is_text(cell.type) and not _is_damaged(cell.cast(pa.binary(), safe=False)):
            buffer = cell[0].as_buffer()
            shown[name] = "" if buffer is None else bytes(buffer[:_SHOWN]).decode("utf-8", "backslashreplace")
        elif len(cell) and pa.types.is_temporal(cell.type):
            shown[name] = _value(cell)
    return json.dumps(shown, ensure_ascii=False)


def _value(cell: pa.Array) -> Any:  # noqa: ANN401 - a value of any type
    """Return the value of a column of one cell; of a time that Python has none for, its number."""
    try:
        return cell[0].as_py() if len(cell) else None
    except (ValueError, OverflowError):
        return cell.view(pa.int32() if cell.type.bit_width == 32 else pa.int64())[0].as_py()  # noqa: PLR2004 - bits
