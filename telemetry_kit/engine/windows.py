"""What engines say differently of rows beside one another: filled values, numbers of rows, sets of small numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import narwhals.stable.v2 as nw

if TYPE_CHECKING:
    from collections.abc import Sequence

N_BITS = 62
"""How many numbers, from 0, a set of ``group_with_set`` can hold."""


def fill_null(
    frame: nw.LazyFrame[Any],
    *columns: str,
    strategy: Literal["forward", "backward"],
    within: Sequence[str],
    order_by: Sequence[str],
    **more: nw.Expr,
) -> nw.LazyFrame[Any]:
    """Fill columns with the known value before or after, and add ``more``, windows of the same partition and order."""
    if not frame.implementation.is_ibis():
        filled = nw.col(*columns).fill_null(strategy=strategy).over(*within, order_by=order_by)
        return frame.with_columns(filled, **more)
    # Ibis does not fill: from one known value to the next the number of known ones so far is the same.
    marks = {column: f"_n_{column}" for column in columns}
    for column, mark in marks.items():
        n = nw.when(~nw.col(column).is_null()).then(1).otherwise(0).cum_sum(reverse=strategy == "backward")
        more[mark] = n.over(*within, order_by=order_by)
    filled_columns = {column: nw.col(column).max().over(*within, mark) for column, mark in marks.items()}
    return frame.with_columns(**more).with_columns(**filled_columns).drop(*marks.values())


def number_rows(
    frame: nw.LazyFrame[Any], number: str, *, within: Sequence[str], order_by: Sequence[str], **firsts: str
) -> nw.LazyFrame[Any]:
    """Add the number of each row in its group, from 0, and for each ``name=column`` what its group's first row has."""
    if frame.implementation.is_duckdb():
        # Narwhals has a first value only as an aggregate, which DuckDB sorts once more for itself.
        order = ", ".join(f"{_quoted(column)} NULLS FIRST" for column in order_by)
        window = f"OVER (PARTITION BY {', '.join(map(_quoted, within))} ORDER BY {order})"
        made = {number: f"row_number() {window} - 1"}
        made |= {name: f"first_value({_quoted(column)}) {window}" for name, column in firsts.items()}
        terms = ["*", *(f"{term} AS {_quoted(name)}" for name, term in made.items())]
        numbered: nw.LazyFrame[Any] = nw.from_native(frame.to_native().project(", ".join(terms)))
        return numbered
    place = nw.col(order_by[0]).cum_count().over(*within, order_by=order_by).cast(nw.Int64) - 1
    frame = frame.with_columns(**{number: place})
    if not firsts:
        return frame
    at_first = {name: nw.when(nw.col(number) == 0).then(nw.col(column)) for name, column in firsts.items()}
    return fill_null(frame.with_columns(**at_first), *firsts, strategy="forward", within=within, order_by=[number])


def first_known(
    frame: nw.LazyFrame[Any], *columns: str, within: Sequence[str], order_by: Sequence[str]
) -> nw.LazyFrame[Any]:
    """Return one row per group, and of each column the first value of the group that is not null."""
    own = [column for column in columns if column not in within]
    filled = fill_null(frame, *own, strategy="backward", within=within, order_by=order_by) if own else frame
    numbered = number_rows(filled, "_number", within=within, order_by=order_by)
    return numbered.filter(nw.col("_number") == 0).select(*within, *own)


def distinct(frame: nw.LazyFrame[Any], *columns: str) -> nw.LazyFrame[Any]:
    """Return the different rows that some columns have together, in any order."""
    chosen = frame.select(*columns)
    if not frame.implementation.is_duckdb():
        return chosen.unique()
    # Narwhals numbers the rows of each there, which takes three times as long.
    different: nw.LazyFrame[Any] = nw.from_native(chosen.to_native().distinct())
    return different


def group_with_set(
    frame: nw.LazyFrame[Any], by: Sequence[str], *, numbers: str, name: str, maxima: Sequence[str]
) -> nw.LazyFrame[Any]:
    """Return one row per group: the largest of each of ``maxima``, and as ``name`` which ``numbers`` occur.

    The latter is a whole number whose bits are set for the numbers from 0 to ``N_BITS`` - 1; others are left out.
    """
    if frame.implementation.is_duckdb():
        # DuckDB sets bits itself, so that it groups once.
        keys = ", ".join(map(_quoted, by))
        bit = f"CASE WHEN {_quoted(numbers)} BETWEEN 0 AND {N_BITS - 1} THEN 1::BIGINT << {_quoted(numbers)} END"
        made = {column: f"max({_quoted(column)})" for column in maxima} | {name: f"coalesce(bit_or({bit}), 0)"}
        terms = ", ".join(f"{term} AS {_quoted(column)}" for column, term in made.items())
        grouped: nw.LazyFrame[Any] = nw.from_native(frame.to_native().aggregate(f"{keys}, {terms}", keys))
        return grouped
    number = nw.col("_number")
    bits = nw.when((number >= 0) & (number < N_BITS)).then(2.0**number).otherwise(0.0).cast(nw.Int64)
    largest = nw.col(*maxima).max()
    each = frame.with_columns(_number=nw.col(numbers)).group_by(*by, "_number").agg(largest)
    return each.group_by(*by).agg(largest, bits.sum().cast(nw.Int64).alias(name))


def _quoted(column: str) -> str:
    """Return the name of a column as it stands in SQL."""
    return '"' + column.replace('"', '""') + '"'
