"""JSON that lays out events as a table: under keys of their own, column by column, or as arrays below their names."""

from __future__ import annotations

import itertools
from typing import Any

from telemetry_kit.schemas.spellings import is_read

EVENT_FIELDS = 3
"""How many fields an object must name to be an event."""
_LABELS = ("name", "label", "columnName", "field", "id")
"""Under which key the description of a column has its name."""
_DEPTH = 3
"""How deep a table may lie in objects around it."""


def is_event(value: dict[str, Any]) -> bool:
    """Tell whether an object is an event, or a body of events, by its keys."""
    # Of most the first keys tell it.
    return "batch" in value or len(list(itertools.islice(filter(is_read, value), EVENT_FIELDS))) == EVENT_FIELDS


def is_header(names: list[Any]) -> bool:
    """Tell whether an array holds the names of columns."""
    return all(isinstance(name, str) for name in names) and sum(map(is_read, names)) >= EVENT_FIELDS


def rows_of(value: dict[str, Any], depth: int = _DEPTH) -> list[Any] | None:
    """Return the rows of a table that an object is; null where it is none.

    As pandas (``index``, ``columns``, ``split``), key-value stores and the interfaces of databases write it.
    """
    if not value or not depth:
        return None
    members = list(value.values())
    if all(isinstance(member, dict) and is_event(member) and not _is_column(member) for member in members):
        return members
    rows = _of_columns(value) or _below_names(members)
    if rows is None and not is_event(value):
        found = [rows_of(member, depth - 1) for member in members if isinstance(member, dict)]
        tables = [table for table in found if table is not None]
        rows = tables[0] if len(tables) == 1 else None
    return rows


def _is_column(member: dict[str, Any]) -> bool:
    """Tell whether an object is a column under the names of its rows, as no event has only numbers for names."""
    return bool(member) and all(key.isdigit() for key in member)


def _of_columns(value: dict[str, Any]) -> list[Any] | None:
    """Return the rows of a table that stands column by column."""
    columns = {
        name: dict(enumerate(cells)) if isinstance(cells, list) else cells
        for name, cells in value.items()
        if isinstance(cells, (list, dict))
    }
    if len(columns) < len(value) or sum(map(is_read, columns)) < EVENT_FIELDS:
        return None
    keys = list(next(iter(columns.values())))
    if any(list(cells) != keys for cells in columns.values()):
        return None
    return [{name: cells[key] for name, cells in columns.items()} for key in keys]


def _below_names(members: list[Any]) -> list[Any] | None:
    """Return the rows of a table whose names stand in one array and whose rows, arrays too, in another."""
    lists = [member for member in members if isinstance(member, list) and member]
    headers = [names for names in map(_names, lists) if is_header(names)]
    tables = [table for table in lists if all(isinstance(row, list) for row in table)]
    if len(tables) != 1 or len(headers) > 1:
        return None
    # Or the names are the first of the rows.
    names, rows = (headers[0], tables[0]) if headers else (tables[0][0], tables[0][1:])
    return [named(names, row) for row in rows] if headers or is_header(names) else None


def _names(columns: list[Any]) -> list[Any]:
    if not all(isinstance(column, dict) for column in columns):
        return columns
    return [next((column[key] for key in _LABELS if isinstance(column.get(key), str)), None) for column in columns]


def named(names: list[str], cells: list[Any]) -> Any:  # noqa: ANN401 - a row, or what is none
    """Return the cells of a row under their names; as they are where they are not as many."""
    return dict(zip(names, cells, strict=True)) if len(names) == len(cells) else cells
