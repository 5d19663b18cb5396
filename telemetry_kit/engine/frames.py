"""The interface to DuckDB and Narwhals: frames of any kind in, lazy frames for the analyses, frames of that kind out.

Eager pandas and PyArrow tables are handed to DuckDB without a copy, so that one analysis runs as fast on them as on
a DuckDB relation; Polars, PySpark, Ibis and the rest stay where they are. Inside an analysis, times are counts of
microseconds since 1970 (``add_epoch_us``), because engines differ in how they subtract timestamps, and engines add up
integers only, so that a sum does not depend on its order. What is collected is small, and is finished in NumPy.
"""

from __future__ import annotations

import itertools
from contextlib import closing, nullcontext
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import temporary
from telemetry_kit.engine.checks import (
    check_columns,
    check_frame,
    check_keys,
    check_names,
    check_own_names,
    check_times,
)
from telemetry_kit.engine.connections import own_resources, shared_connection, within_memory
from telemetry_kit.engine.numbers import check_numbers, with_numbers, with_relation_numbers
from telemetry_kit.engine.times import as_lazy, duckdb_type, is_spark, is_time, with_relation_times, with_times
from telemetry_kit.errors import ParameterError
from telemetry_kit.quoting import quote_identifier, quote_literal

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa
    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT
ARRIVAL = "arrival"
"""The column of whole numbers, each another, by which a frame that keeps no order of its rows can tell it."""
RECEIVED = "received_us"
"""The column by which ties in time follow where rows have no order: when an event was received. It can tie as well."""
MANY_ROWS = 200_000
"""How many rows of numbers and ids come at a time where there can be very many."""
PIECE_ROWS = 12_000_000
"""About how many rows a DuckDB with 2 GB groups and sorts without going to disk."""
FEW_ROWS = 500_000
"""Up to how many rows a persisted frame of DuckDB stays in memory."""
_KINDS_OF_FILES = {"BIGINT", "BOOLEAN", "DATE", "DOUBLE", "INTEGER", "TIMESTAMP WITH TIME ZONE", "VARCHAR"}
"""The types that come out of a file as they went in."""
_persisted = itertools.count(1)


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """Return a pandas frame as an Arrow table, its index left out."""
    import pyarrow as pa

    return pa.Table.from_pandas(frame, preserve_index=False)


def open_frame(
    frame: IntoFrame,
    columns: Collection[str],
    *,
    parameter: str,
    order: str | None = None,
    named: Collection[str | None] | None = None,
) -> nw.LazyFrame[Any]:
    """Open a frame of any kind as a lazy frame, and see that it has ``columns``.

    Parameters
    ----------
    frame
        The frame.
    columns
        What it needs to have.
    parameter
        What the caller calls it.
    order
        The name of a column to add: the place of each row where the frame keeps its rows in order. SQL engines do not;
        there it is the column ``arrival`` or else ``received_us`` where the frame has one, and 0 where it has none.
        Sorted by ``in_time``, ties keep their order where there is one, and have the same order each time where there
        is none.
    named
        What the caller's caller named besides. Only these and ``columns`` are then handed over of a frame in memory,
        and of a lazy one that gets an ``order``, unless one is missing, which the caller is to find out; without it,
        all columns are.

    Raises
    ------
    ParameterError
        Where ``frame`` is no frame, lacks one of ``columns``, is of another kind, or has times as text.
    """
    opened = check_frame(frame, parameter=parameter)
    kept: list[str] = opened.columns
    index = opened.to_native().index.names if opened.implementation.is_pandas() else []
    check_columns(columns, kept, index, parameter=parameter)
    also = None if named is None else [name for name in named if isinstance(name, str)]
    if also is not None and (wanted := {*columns, *also}) <= {*kept}:
        kept = [name for name in kept if name in wanted]
    if not opened.implementation.is_polars():
        check_names(kept, [name for name in (*columns, *(also or ())) if name in kept], parameter=parameter)
    is_held = opened.implementation.is_pandas_like() or opened.implementation.is_pyarrow()
    # Without ``columns``, nothing is asked of the frame; it may be one of an analysis on its way.
    handed = (kept if is_held or order else opened.columns) if columns else ()
    check_own_names((name for name in handed if name not in columns), parameter=parameter)
    if is_held:
        if len(kept) < len(opened.columns):
            opened = opened.select(*kept)
        table = to_arrow(opened.to_pandas()) if opened.implementation.is_pandas_like() else opened.to_native()
        table = with_numbers(with_times(table), columns, parameter=parameter)
        if order:
            table = table.append_column(order, [np.arange(len(table))])
        lazy = as_lazy(shared_connection().from_arrow(table))
    else:
        lazy = opened.lazy()
        if opened.implementation.is_duckdb():
            lazy = with_relation_numbers(with_relation_times(lazy), columns, parameter=parameter)
        if order and is_ordered(frame):
            lazy = as_lazy(lazy.to_native().with_row_index(order))
        elif order:
            place = next((nw.col(name) for name in (ARRIVAL, RECEIVED) if name in lazy.columns), nw.lit(0))
            lazy = lazy.select(*kept, place.alias(order))
    check_times(lazy, [column for column in columns if is_time(column)], parameter=parameter)
    is_near = lazy.implementation.is_duckdb() or lazy.implementation.is_polars()
    if is_near:
        check_numbers(lazy, columns, parameter=parameter)
    # To ask another engine for types can take a query; only what a caller names is grouped by.
    asked = (*(columns if is_near else ()), *(also or ()))
    return _without_nan(lazy, [name for name in asked if name in kept])


def _without_nan(frame: nw.LazyFrame[Any], columns: Collection[str]) -> nw.LazyFrame[Any]:
    """Return a frame in which floats that are missing are null: pandas has no other, and engines group by both."""
    if not columns:
        return frame
    if frame.implementation.is_duckdb():
        floats = [name for name in columns if duckdb_type(frame, name) in {"DOUBLE", "FLOAT"}]
    else:
        schema = frame.collect_schema()
        floats = [name for name in columns if schema[name].is_float()]
    known = (nw.when(~nw.col(name).is_nan()).then(nw.col(name)).alias(name) for name in dict.fromkeys(floats))
    return frame.with_columns(*known) if floats else frame


def is_ordered(frame: IntoFrame) -> bool:
    """Tell whether a frame keeps its rows in order: those in memory and those of Polars do, those of SQL do not."""
    opened: Any = nw.from_native(frame)
    return isinstance(opened, nw.DataFrame) or opened.implementation.is_polars()


def in_time(frame: IntoFrame, us: str, order: str) -> tuple[str, ...]:
    """Return by which columns the events of a frame are sorted.

    That is the time ``us``, then the ``order`` of ``open_frame``, and ``event_id`` only where that does not tell rows
    apart: engines sort texts slowly.
    """
    tells_apart = is_ordered(frame) or ARRIVAL in nw.from_native(frame).columns
    return (us, order) if tells_apart else (us, order, "event_id")


def open_alike(
    frame: IntoFrame,
    columns: Collection[str],
    *,
    parameter: str,
    like: nw.LazyFrame[Any],
    on: Collection[str] = ("server_id",),
) -> nw.LazyFrame[Any]:
    """Open a second frame on the engine of a first one that is open, so that the two can be joined.

    A frame in memory is brought there, on the first one's connection; any other has to be there already.

    Raises
    ------
    ParameterError
        As ``open_frame``, or where the two are on different engines, or those of ``on`` hold values of another kind.
    """
    opened = open_frame(frame, columns, parameter=parameter, named=())
    blank = check_keys(opened, like, on, parameter=parameter)
    if blank:
        opened = opened.with_columns(**{column: nw.lit(None).cast(kind) for column, kind in blank.items()})
    if isinstance(nw.from_native(frame), nw.DataFrame):
        opened = _copy_to(like, collect_arrow(opened))
    if opened.implementation is not like.implementation:
        engines = opened.implementation.value, like.implementation.value
        raise ParameterError(parameter, f"a frame on {engines[0]}", f"one on {engines[1]}, as the first frame")
    return _with_types_of(like, opened, on) if like.implementation.is_polars() else opened


def _with_types_of(like: nw.LazyFrame[Any], second: nw.LazyFrame[Any], on: Collection[str]) -> nw.LazyFrame[Any]:
    """Give columns of a frame on Polars the types of another one's: it joins text and numbers of one type only.

    What has no equal of that type becomes null, which equals nothing.
    """
    import polars as pl

    ours, theirs = (frame.to_native().select(*on).collect_schema() for frame in (like, second))
    cast = {name: pl.col(name).cast(kind, strict=False) for name, kind in ours.items() if kind != theirs[name]}
    same = [pl.when(made.cast(theirs[name]) == pl.col(name)).then(made).alias(name) for name, made in cast.items()]
    return as_lazy(second.to_native().with_columns(same))


def _copy_to(like: nw.LazyFrame[Any], second: pa.Table) -> nw.LazyFrame[Any]:
    """Copy a table in memory to the engine and connection of a frame that is open."""
    kind, native = like.implementation, like.to_native()
    if kind.is_duckdb():
        # DuckDB finds the table by the name of its variable.
        return as_lazy(native.query("_first", "SELECT * FROM second"))
    if kind.is_polars():
        return nw.from_arrow(second, backend="polars").lazy()
    if kind.is_ibis():
        import ibis

        return as_lazy(ibis.memtable(second))
    if is_spark(kind):
        return as_lazy(native.sparkSession.createDataFrame(second))
    rows = list(zip(*(column.to_pylist() for column in second.columns), strict=True))
    schema = ", ".join(
        f"{name} {_sql_type(kind)}" for name, kind in zip(second.column_names, second.schema.types, strict=True)
    )
    return as_lazy(native.session.createDataFrame(rows, schema=schema))


def _sql_type(kind: pa.DataType) -> str:
    """Return what SQLFrame calls a type of Arrow."""
    import pyarrow as pa

    names = {pa.types.is_integer: "bigint", pa.types.is_floating: "double", pa.types.is_boolean: "boolean"}
    names |= {pa.types.is_timestamp: "timestamp", pa.types.is_date: "date"}
    return next((name for is_of, name in names.items() if is_of(kind)), "string")


def persist_rows(frame: IntoFrameT) -> IntoFrameT:
    """Compute a lazy frame once, and return it as a frame of the same kind that holds its rows; others as they are."""
    opened: Any = nw.from_native(frame)
    if isinstance(opened, nw.DataFrame):
        return frame
    native: Any = opened.to_native()
    if opened.implementation.is_polars():
        return native.collect().lazy()  # type: ignore[no-any-return]
    if not opened.implementation.is_duckdb():
        return native.cache()  # type: ignore[no-any-return]
    with own_resources(), within_memory(native):
        return _persist_relation(native)  # type: ignore[no-any-return]


def _persist_relation(rows: Any) -> Any:  # noqa: ANN401 - a relation, whose queries DuckDB types as optional
    """Persist a relation in a temporary table of its connection; many rows in a file, and not in memory."""
    import duckdb

    name = f"telemetry_kit_{next(_persisted)}"
    source = "_given"
    file: Path | None = None
    if {str(kind) for kind in rows.types} <= _KINDS_OF_FILES:
        file = temporary.kept() / f"{name}.parquet"
        source = f"read_parquet({quote_literal(str(file))})"
        try:
            rows.write_parquet(str(file))
        except duckdb.PermissionException:
            # The connection may touch no file.
            file, source = None, "_given"
        else:
            ((n_rows,),) = rows.query("_given", f"SELECT count(*) FROM {source}").fetchall()
            if n_rows > FEW_ROWS:
                return rows.query("_given", f"FROM {source}")
    rows.query("_given", f"CREATE TEMP TABLE {name} AS FROM {source}").fetchall()
    if file is not None:
        file.unlink()
    return rows.query("_given", f"FROM {name}")


def give_back(result: nw.LazyFrame[Any], like: IntoFrameT) -> IntoFrameT:
    """Return a lazy result as a frame of the same kind as ``like``: eager where it is eager, lazy where it is lazy."""
    given: Any = nw.from_native(like)
    native: Any
    if isinstance(given, nw.LazyFrame):
        native = result.to_native()
    elif given.implementation.is_pandas():
        native = collect(result)
    elif given.implementation.is_pyarrow():
        native = collect_arrow(result)
    else:
        native = result.collect(given.implementation).to_native()
    return native  # type: ignore[no-any-return]


def collect(result: nw.LazyFrame[Any]) -> pd.DataFrame:
    """Collect a lazy result as pandas: integers as Int64, flags as boolean, text as str, times in UTC."""
    return arrow_to_pandas(collect_arrow(result))


def collect_rows(frame: IntoFrame, columns: Iterable[str], *, opened: nw.LazyFrame[Any]) -> pd.DataFrame:
    """Collect columns of a frame as ``collect`` does; those of one in memory without passing through an engine."""
    with closing(row_parts(frame, columns, opened=opened)) as found:
        return pd.concat(found, ignore_index=True)


def row_parts(frame: IntoFrame, columns: Iterable[str], *, opened: nw.LazyFrame[Any]) -> Generator[pd.DataFrame]:
    """Collect columns of a frame as ``parts`` does; those of one in memory without passing through an engine."""
    given: Any = nw.from_native(frame)
    if given.implementation.is_pandas():
        yield arrow_to_pandas(to_arrow(given.select(*columns).to_native()))
    else:
        yield from parts(opened.select(*columns).to_native(), MANY_ROWS)


def parts(frame: IntoFrame, n_rows: int = 10_000) -> Generator[pd.DataFrame]:
    """Collect a frame; of DuckDB part by part, so that its rows never are in memory together. There is one at least.

    Until it ends or is closed, its connection takes no other query.
    """
    native: Any = frame
    if not nw.from_native(native).implementation.is_duckdb():
        yield native if isinstance(native, pd.DataFrame) else collect(open_frame(frame, [], parameter="frame"))
        return
    import pyarrow as pa

    with within_memory(native), closing(native.to_arrow_reader(n_rows)) as reader:
        batch = next(reader, None)
        yield arrow_to_pandas(pa.Table.from_batches([] if batch is None else [batch], reader.schema))
        for batch in reader:
            yield arrow_to_pandas(pa.Table.from_batches([batch]))


def pieces(frame: nw.LazyFrame[Any], column: str) -> Iterator[nw.LazyFrame[Any]]:
    """Give a lazy frame of DuckDB in pieces of about ``PIECE_ROWS``, each with all rows of some values of a column.

    What is grouped within such values is grouped faster piece by piece where it would go to disk as a whole. Other
    engines cut a frame themselves, and it is given to them as it is.
    """
    if not frame.implementation.is_duckdb():
        yield frame
        return
    n_pieces = int(collect(frame.select(n=nw.len()))["n"].iloc[0]) // PIECE_ROWS + 1
    for piece in range(n_pieces):
        some = f"hash({quote_identifier(column)}) % {n_pieces} = {piece}"
        yield as_lazy(frame.to_native().filter(some)) if n_pieces > 1 else frame


def collect_arrow(result: nw.LazyFrame[Any]) -> pa.Table:
    """Collect a lazy result as an Arrow table, with the types that its engine gives it."""
    with within_memory(result.to_native()) if result.implementation.is_duckdb() else nullcontext():
        table: pa.Table = result.collect("pyarrow").to_native()
    return table


def arrow_to_pandas(table: pa.Table, *, keep_categories: bool = False) -> pd.DataFrame:
    """Turn an Arrow table into pandas by rules that do not look at the data; categories become text unless kept."""
    import pyarrow as pa

    def target(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_dictionary(kind):
            return kind if keep_categories else target(kind.value_type)
        if pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0):
            return pa.int64()
        if pa.types.is_decimal(kind):
            return pa.float64()
        if pa.types.is_timestamp(kind):
            return pa.timestamp("us", tz="UTC")
        # Pandas keeps text in this form: any other is copied once more.
        if pa.types.is_string(kind) or pa.types.is_string_view(kind):
            return pa.large_string()
        return kind

    # What a timestamp in nanoseconds has below the microsecond is cut off; nothing else may lose a digit.
    cells = [c.cast(target(c.type), safe=not pa.types.is_timestamp(c.type)) for c in table.columns]
    table = pa.table(cells, names=table.column_names)
    text = pd.StringDtype(na_value=np.nan)
    nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype(), pa.large_string(): text}
    frame: pd.DataFrame = table.to_pandas(types_mapper=nullable.get)
    return frame
