"""Frames in memory -> Arrow tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isnan
from typing import TYPE_CHECKING, Any

import pandas as pd

from telemetry_kit.errors import ParameterError
from telemetry_kit.ingest.discovery import SOURCE_EXPECTED
from telemetry_kit.ingest.formats.tables import without_json

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


def frames(given: object) -> list[tuple[str, pa.Table]] | None:
    """Return the frames of a source in memory as Arrow tables, each with its name; null where it is a path.

    Raises
    ------
    ParameterError
        Where it is neither a path nor a frame, or a mapping holds something that is no frame.
    """
    if isinstance(given, Mapping):
        if not given:
            raise ParameterError("source", given, SOURCE_EXPECTED)
        return [(str(key), _to_arrow(f"source[{key!r}]", frame)) for key, frame in given.items()]
    if isinstance(given, str) or hasattr(given, "__fspath__"):
        return None
    return [("frame", _to_arrow("source", given))]


def _to_arrow(place: str, frame: Any) -> pa.Table:  # noqa: ANN401 - any frame
    import narwhals.stable.v2 as nw
    import pyarrow as pa

    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pd.DataFrame):
        return _pandas_to_arrow(frame)
    try:
        opened: Any = nw.from_native(frame)
    except TypeError:
        raise ParameterError(place, type(frame).__name__, SOURCE_EXPECTED) from None
    if opened.implementation.is_pandas_like():
        return _pandas_to_arrow(opened.to_pandas())
    lazy = opened.lazy()
    if opened.implementation.is_duckdb():
        lazy = nw.from_native(_without_json(lazy.to_native()))
    table: pa.Table = lazy.collect("pyarrow").to_native()
    return table


def _without_json(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    kinds = zip(relation.columns, map(str, relation.types), strict=True)
    plain = [term for column, kind in kinds if (term := without_json(column, kind))]
    return relation.project(f"* REPLACE ({', '.join(plain)})") if plain else relation


def _pandas_to_arrow(frame: pd.DataFrame) -> pa.Table:
    import pyarrow as pa

    # Column by column: names may stand twice, and a column of mixed types has no type.
    columns = [_column(frame.iloc[:, n]) for n in range(frame.shape[1])]
    return pa.Table.from_arrays(columns, names=[str(key) for key in frame.columns])


def _column(cells: pd.Series) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.Array.from_pandas(cells)
    except (pa.ArrowException, TypeError, OverflowError):
        # Cells of mixed types have no type in common; as text each can be judged for itself.
        return pa.array([_as_word(cell) for cell in cells], pa.string())


def _as_word(cell: object) -> str | None:
    if isinstance(cell, (dict, list, bool)):
        return json.dumps(cell, default=str)
    is_missing = cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and isnan(cell))
    return None if is_missing else str(cell)
