"""Flags and numbers as such, where files and pandas have them as something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit.engine.times import as_lazy, duckdb_type
from telemetry_kit.errors import ParameterError
from telemetry_kit.quoting import quote_identifier, quote_literal
from telemetry_kit.schemas.fields import FIELDS

if TYPE_CHECKING:
    from collections.abc import Collection

    import pyarrow as pa

_TASKS = ("n_tasks", "n_open", "n_in_progress", "n_done")
_MADE = {
    "flags": ("is_censored", "is_left_truncated", "from_start", "is_last_stage", "is_deleted", "from_create"),
    "whole numbers": (
        *("visit", "stage", "next_stage", "num_stages", "n_ends", "n_restarts", "n_updates"),
        *(f"{counted}_{bound}" for counted in _TASKS for bound in ("min", "max")),
    ),
    "numbers": ("dwell_s", "first_end_s", "last_end_s", "open_s", "entry_s", "elapsed_s"),
}
_NUMBERS = {
    field.column: "flags" if field.kind == "flag" else "whole numbers"
    for field in FIELDS
    if field.kind in {"flag", "count", "integer"}
} | {column: kind for kind, columns in _MADE.items() for column in columns}
"""The columns of events, and of what analyses make of them for others, that hold flags or numbers."""


def check_numbers(frame: nw.LazyFrame[Any], columns: Collection[str], *, parameter: str) -> None:
    """See that flags and numbers are such, and not text, which engines mistake in different ways.

    Raises
    ------
    ParameterError
        Where one of ``columns`` holds text.
    """
    wanted = {name: _NUMBERS[name] for name in columns if name in _NUMBERS}
    if not wanted:
        return
    if frame.implementation.is_duckdb():
        texts = [name for name in wanted if duckdb_type(frame, name) == "VARCHAR"]
    else:
        schema = frame.collect_schema()
        texts = [name for name in wanted if schema[name] == nw.String]
    if texts:
        held = f"{parameter}[{texts[0]!r}]"
        raise ParameterError(held, "text", f"{wanted[texts[0]]}: load the events with tk.load_events, or convert it")


def with_numbers(table: pa.Table, columns: Collection[str], *, parameter: str) -> pa.Table:
    """Return a table whose whole numbers and flags are such, where pandas has them as floats, or files as 0 and 1.

    Raises
    ------
    ParameterError
        Where one of them is something else.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    types = {"whole numbers": pa.int64(), "flags": pa.bool_()}
    for place, field in enumerate(table.schema):
        wanted = _NUMBERS.get(field.name) if field.name in columns else None
        is_digit = wanted == "flags" and pa.types.is_integer(field.type)
        kind = types.get(wanted or "")
        if kind is None or not (pa.types.is_floating(field.type) or is_digit):
            continue
        given = pc.cast(table.column(place), pa.float64())
        given = pc.if_else(pc.is_nan(given), None, given)
        other = given.filter(pc.not_equal(given, pc.cast(pc.cast(given, kind, safe=False), pa.float64())))
        if len(other):
            raise ParameterError(f"{parameter}[{field.name!r}]", other[0].as_py(), wanted or "")
        table = table.set_column(place, field.name, pc.cast(given, kind, safe=False))
    return table


def with_relation_numbers(frame: nw.LazyFrame[Any], columns: Collection[str], *, parameter: str) -> nw.LazyFrame[Any]:
    """Do as ``with_numbers`` with a relation of DuckDB, whose query ends where a number is not whole."""
    terms = []
    for column in columns:
        if _NUMBERS.get(column) == "whole numbers" and duckdb_type(frame, column) in {"DOUBLE", "FLOAT"}:
            name = quote_identifier(column)
            given = f"CASE WHEN NOT isnan({name}) THEN {name} END"
            place = quote_literal(f"{parameter}[{column!r}]: got ")
            fault = f"error({place} || {name} || ', expected whole numbers')"
            terms.append(f"CASE WHEN {given} <> floor({name}) THEN {fault} ELSE CAST({given} AS BIGINT) END AS {name}")
    return as_lazy(frame.to_native().project(f"* REPLACE ({', '.join(terms)})")) if terms else frame
