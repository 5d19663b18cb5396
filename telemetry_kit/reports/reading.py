"""A tidy table -> a table for reading: few columns with human headings, a number and its interval in one cell."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from telemetry_kit.reports import wording
from telemetry_kit.reports.columns import (
    DIFFERENCES,
    GIVE_WAY,
    HEADINGS,
    INTERVALS,
    LIMITS_OF_A_CHART,
    MEDIANS,
    RATES,
    SHARES,
    TIMES,
    VALUES,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_COLUMNS, ROWS_SHOWN, MOST_ROWS = 7, 10, 200
FEW_ROWS = 12
"""Up to so many rows are all shown: to fold one or two would save nothing."""
CHARACTERS_SHOWN = 400
WIDE = 110
"""In a table with longer lines an interval may stand below its estimate, so that no table is wider than the page."""
STATUS_OF = {"stage": "status", "next_stage": "next_status"}
LONG = 40
"""A text with more characters may be broken anywhere."""
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_ORDERED = re.compile(rf"{_DAY.pattern}|\d+(\.\d+)+$")
_UNITS: dict[str, Callable[[float], str]] = {
    "share": wording.per_cent,
    "difference": lambda value: f"{wording.points(value)} points",
    "seconds": wording.duration,
}
"""How a number is written where the unit stands in its row."""
_SIDES = {"group_a": "One", "group_b": "Other", "estimate_a": "In the one", "estimate_b": "In the other"}
"""How two groups are headed that do not follow each other, as periods and versions do."""
_OF_DURATIONS: dict[str, Callable[[float], str]] = {
    **dict.fromkeys(("estimate_a", "estimate_b", "detectable"), wording.duration),
    "difference": lambda value: wording.signed(value, wording.duration),
}
"""How a comparison of durations, which are in seconds, is written."""


@dataclass(frozen=True)
class Column:
    """A column for reading."""

    heading: str
    cells: list[str]
    is_number: bool


def table_to_html(frame: pd.DataFrame) -> str:
    """Return a table for reading as an HTML element: escaped, with units, its first rows in view and the rest folded.

    Parameters
    ----------
    frame
        Any table; a named index becomes its first columns. Of a table of many columns those that say most are shown.

    Returns
    -------
    str
        One or two ``<table>``, the second in ``<details>``, with a line on what is not shown.

    Examples
    --------
    >>> table = table_to_html(pd.DataFrame({"estimate": [0.56], "lower": [0.49], "upper": [0.63]}))
    >>> "56 % (49–63)" in table
    True
    """
    table = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
    columns = reading_columns(table.head(MOST_ROWS))
    is_folded = len(table) > FEW_ROWS
    parts = [_element(columns, 0, ROWS_SHOWN if is_folded else FEW_ROWS)]
    if is_folded:
        rest = min(len(table), MOST_ROWS)
        more = _element(columns, ROWS_SHOWN, rest)
        parts.append(f"<details><summary>{rest - ROWS_SHOWN:,} more rows</summary>{more}</details>")
    if len(table) > MOST_ROWS:
        parts.append(f'<p class="note">The first {MOST_ROWS} of {len(table):,} rows; the file has them all.</p>')
    elif table.empty:
        parts.append('<p class="note">No rows.</p>')
    return "\n".join(parts)


def reading_columns(table: pd.DataFrame) -> list[Column]:
    """Return the columns in which people read a table, at most seven.

    Parameters
    ----------
    table
        A tidy table.

    Returns
    -------
    list of Column
        In the table's order; an estimate and its limits are one column.
    """
    limits: dict[str, tuple[str, str]] = {}
    taken: set[str] = set()
    for estimate, lower, upper in () if LIMITS_OF_A_CHART in table else INTERVALS:
        if {estimate, lower, upper} <= set(table) and lower not in taken:
            limits[estimate] = (lower, upper)
            taken |= {lower, upper}
    # A period says itself that it is partial, and a status which stage it is.
    if {"period", "is_complete"} <= set(table):
        taken.add("is_complete")
    taken |= {stage for stage, status in STATUS_OF.items() if {stage, status} <= set(table)}
    names = [str(name) for name in table if name not in taken]
    constant = [name for name in names if name == "measure" and len(table[name].unique()) == 1]
    # What a comparison could find is what a table on its power is for.
    kept = {"detectable"} if "n_clusters_needed" in table else set()
    unknown = [name for name in names if len(table) and table[name].isna().all()]
    for name in (*constant, *unknown, *(name for name in GIVE_WAY if name not in kept), *reversed(names)):
        if len(names) > MOST_COLUMNS and name in names:
            names.remove(name)
    return [_column(table, name, limits.get(name)) for name in names]


def _column(table: pd.DataFrame, name: str, limits: tuple[str, str] | None) -> Column:
    writers = _writers(table, name)
    values = table[name].astype(object)
    cells = [
        wording.NULL if wording.is_null(value) else write(value) for value, write in zip(values, writers, strict=True)
    ]
    if limits:
        lower, upper = (table[limit].astype(object) for limit in limits)
        certain = _are_certain(table) if name == "estimate" else [False] * len(cells)
        cells = [
            cell if sure or wording.is_null(value) else f"{cell} {_interval(first, last, write)}".rstrip()
            for cell, value, first, last, sure, write in zip(cells, values, lower, upper, certain, writers, strict=True)
        ]
    if name == "period" and "is_complete" in table:
        is_partial = ~table["is_complete"].fillna(value=True).astype(bool)
        cells = [f"{cell} (partial)" if partial else cell for cell, partial in zip(cells, is_partial, strict=True)]
    kinds = pd.api.types
    is_number = kinds.is_numeric_dtype(table[name].dtype) and not kinds.is_bool_dtype(table[name].dtype)
    return Column(_heading(name, table), cells, is_number)


def _are_certain(table: pd.DataFrame) -> list[bool]:
    """Tell which shares are all by definition, so that no chance moves them: those that reached the first stage."""
    if not {"stage", "n_eligible", "n_reached"} <= set(table):
        return [False] * len(table)
    is_first = (table["stage"] == 0) & (table["n_eligible"] == table["n_reached"])
    return [bool(value) for value in is_first.fillna(value=False)]


def _heading(name: str, table: pd.DataFrame) -> str:
    if name == "estimate":
        has_rates = "measure" in table and table["measure"].isin(RATES).any()
        return "Share" if _are_shares(table, name) and not has_rates else "Estimate"
    if name in _SIDES and not _in_order(table):
        return _SIDES[name]
    words = HEADINGS.get(name) or name.removesuffix("_s").removeprefix("n_").removeprefix("is_").replace("_", " ")
    heading = words[0].upper() + words[1:]
    return f"{heading} (points)" if name in DIFFERENCES and _are_shares(table, name) else heading


def _writers(table: pd.DataFrame, name: str) -> list[Callable[[Any], str]]:
    """Return how each value of a column is written: by the unit of its row, where the table has one."""
    kinds = pd.api.types
    if "unit" in table and kinds.is_float_dtype(table[name].dtype):
        return [_UNITS.get(str(unit), wording.number) for unit in table["unit"]]
    usual = _writer(table, name)
    if name in _OF_DURATIONS and "measure" in table:
        return [_OF_DURATIONS[name] if measure in TIMES else usual for measure in table["measure"]]
    if name == "estimate" and "measure" in table:
        return [wording.number if measure in RATES else usual for measure in table["measure"]]
    return [usual] * len(table)


def _writer(table: pd.DataFrame, name: str) -> Callable[[Any], str]:
    """Return how the values of a column are written."""
    column, kinds = table[name], pd.api.types
    if kinds.is_bool_dtype(column.dtype):
        return lambda value: "yes" if value else "no"
    if kinds.is_integer_dtype(column.dtype):
        return lambda value: f"{int(value):,}"
    if kinds.is_numeric_dtype(column.dtype):
        return _number_writer(table, name)
    if kinds.is_datetime64_any_dtype(column.dtype):
        return _time_writer(name, column.dropna())
    if name in {"group_a", "group_b"} and table[name].astype(str).str.fullmatch(_DAY).all():
        return _period_writer(table)
    return _told if name in {"measure", "comparison", "component", "records", "basis"} else _text


def _period_writer(table: pd.DataFrame) -> Callable[[Any], str]:
    """Write periods as sentences do: months by their names."""
    are_months = (
        table[["group_a", "group_b"]].astype(str).apply(lambda column: column.str.endswith("-01")).all(axis=None)
    )
    return lambda value: f"{pd.Timestamp(value):%b %Y}" if are_months else wording.day(pd.Timestamp(value))


def _number_writer(table: pd.DataFrame, name: str) -> Callable[[Any], str]:
    if name.endswith("_s"):
        return lambda value: wording.duration(float(value))
    if name in SHARES | DIFFERENCES and _are_shares(table, name):
        if name == "detectable":
            return lambda value: wording.points(value).removeprefix("+")
        return wording.points if name in DIFFERENCES else wording.per_cent
    return lambda value: wording.number(float(value))


def _are_shares(table: pd.DataFrame, name: str) -> bool:
    """Tell whether a column of estimates holds shares: their values lie in [0, 1], or in [-1, 1] for differences.

    Medians of whole numbers do as well, where playbooks are small.
    """
    has_medians = "comparison" in table and table["comparison"].isin(MEDIANS).any()
    if has_medians or not pd.api.types.is_numeric_dtype(table[name].dtype):
        return False
    # A rate whose limits go beyond one is no share, even where all estimates happen to lie below.
    columns = [name, "upper"] if name == "estimate" and "upper" in table else [name]
    return bool((table[columns].astype("Float64").abs() <= 1).fillna(value=True).all(axis=None))


def _in_order(table: pd.DataFrame) -> bool:
    """Tell whether the groups that are held against each other follow each other: periods, or versions."""
    return "group_a" not in table or bool(table["group_a"].astype(str).str.match(_ORDERED).any())


def _time_writer(name: str, known: pd.Series[Any]) -> Callable[[Any], str]:
    if len(known) and (known.dt.day == 1).all() and (known == known.dt.normalize()).all() and name != "first_day":
        return lambda value: f"{value:%b %Y}"
    if name == "as_of" or (known == known.dt.normalize()).all():
        return wording.day
    return lambda value: f"{wording.day(value)}, {value:%H:%M}"


def _interval(lower: Any, upper: Any, write: Callable[[Any], str]) -> str:  # noqa: ANN401 - cells of any column
    if wording.is_null(lower) and wording.is_null(upper):
        return ""
    write_limit = wording.share_limit if write is wording.per_cent else write
    first, last = (wording.NULL if wording.is_null(limit) else write_limit(limit) for limit in (lower, upper))
    first, last = (limit.removesuffix(" %").removesuffix(" points") for limit in (first, last))
    is_wide = any(mark in first + last for mark in (" ", "−", "+"))
    return f"({first} to {last})" if is_wide else f"({first}–{last})"


def _told(value: object) -> str:
    text = _text(value)
    return VALUES.get(text) or HEADINGS.get(text, text)


def _text(value: object) -> str:
    text = json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
    return text if len(text) <= CHARACTERS_SHOWN else text[:CHARACTERS_SHOWN] + "…"


def _element(columns: Sequence[Column], begin: int, end: int) -> str:
    """Return rows as a ``<table>``; each cell carries its heading, which narrow screens show before it."""
    head = "".join(
        f'<th scope="col"{" class=n" if column.is_number else ""}>{html.escape(column.heading)}</th>'
        for column in columns
    )
    is_wide = sum(max(map(len, [column.heading, *column.cells])) for column in columns) > WIDE
    lines = ['<table class="reading">', f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for row in zip(*(column.cells[begin:end] for column in columns), strict=True):
        cells = (_cell(column, cell, is_wide=is_wide) for column, cell in zip(columns, row, strict=True))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    lines.append("</tbody></table>")
    return "\n".join(lines)


def _cell(column: Column, cell: str, *, is_wide: bool) -> str:
    estimate, mark, interval = cell.partition(" (")
    if is_wide and column.is_number and mark:
        parts = f"<span>{html.escape(estimate)} <span>({html.escape(interval)}</span></span>"
        return f'<td class="n apart" data-label="{html.escape(column.heading)}">{parts}</td>'
    kind = " class=n" if column.is_number else " class=long" if len(cell) > LONG else ""
    return f'<td{kind} data-label="{html.escape(column.heading)}">{html.escape(cell)}</td>'
