"""Times as the engines count them: columns as whole microseconds since 1970, and what a caller wrote as a time.

Inside an analysis, times are counts of microseconds (``add_epoch_us``), because engines differ in how they subtract
timestamps.
"""

from __future__ import annotations

import datetime as dt
import importlib
import re
from typing import TYPE_CHECKING, Any, cast

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit.errors import ParameterError
from telemetry_kit.quoting import quote_identifier
from telemetry_kit.schemas.times import parse_time

if TYPE_CHECKING:
    import pyarrow as pa
    from narwhals.stable.v2.typing import IntoFrame

MICROSECONDS = 1_000_000
DAY_US = 86_400 * MICROSECONDS
NO_TIME = cast("pd.Timestamp", pd.NaT)
"""The cutoff of a log without events."""
_MOMENT = "a datetime, or a text such as '2020-12-01' or '2020-12-01T08:00:00Z'"
_LETTERS = re.compile(r"(?<![a-zA-Z])[dwHS](?![a-zA-Z])")
"""Units of time that pandas takes with a warning, and is to take in the other case alone."""
_TIMES = {"event_timestamp", "original_timestamp", "observed_until", "cutoff", "as_of"}
_WHOLE_SECONDS = ("sqlframe.postgres", "sqlframe.snowflake")


def is_time(column: str) -> bool:
    """Tell whether a column holds times, by its name."""
    return column in _TIMES or column.endswith("_at")


def is_spark(kind: nw.Implementation) -> bool:
    """Tell whether frames of a kind lie on Spark: in a session of this process, or in one of a server."""
    return kind.is_pyspark() or kind.is_pyspark_connect()


def with_times(table: pa.Table) -> pa.Table:
    """Return a table with times in microseconds, also where they are finer, or all missing and so without a type."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        is_other = pa.types.is_timestamp(field.type) and field.type.unit != "us"
        if is_other or (pa.types.is_null(field.type) and is_time(field.name)):
            kind = pa.timestamp("us", tz=field.type.tz if is_other else "UTC")
            table = table.set_column(place, field.name, table.column(place).cast(kind, safe=False))
    return table


_AS_MICROSECONDS = {
    # A cast would round what lies below a microsecond.
    "TIMESTAMPTZ_NS": "make_timestamptz(epoch_ns({0}) // 1000)",
    "TIMESTAMP_NS": "make_timestamp(epoch_ns({0}) // 1000)",
    "TIMESTAMP_MS": "CAST({0} AS TIMESTAMP)",
    "TIMESTAMP_S": "CAST({0} AS TIMESTAMP)",
}


def with_relation_times(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Do as ``with_times`` with a relation of DuckDB, which has functions for microseconds alone."""
    native = frame.to_native()
    kinds = dict(zip(native.columns, map(str, native.types), strict=True))
    made = {name: _AS_MICROSECONDS[kind] for name, kind in kinds.items() if kind in _AS_MICROSECONDS}
    made |= {name: "CAST({0} AS TIMESTAMPTZ)" for name, kind in kinds.items() if kind == '"NULL"' and is_time(name)}
    if not made:
        return frame
    names = {name: quote_identifier(name) for name in made}
    terms = ", ".join(f"{term.format(names[name])} AS {names[name]}" for name, term in made.items())
    return as_lazy(native.project(f"* REPLACE ({terms})"))


def add_epoch_us(frame: nw.LazyFrame[Any], **columns: str) -> nw.LazyFrame[Any]:
    """Add, for each ``name=column``, the time in ``column`` as whole microseconds since 1970 in UTC."""
    kind = frame.implementation
    if kind.is_duckdb():
        native = frame.to_native()
        terms = [f'epoch_us("{column}") AS "{name}"' for name, column in columns.items()]
        return as_lazy(native.project(", ".join(["*", *terms])))
    if is_spark(kind) or kind.is_sqlframe():
        native, functions = frame.to_native(), _functions(frame)
        zoneless = _without_zone(frame)
        times = {
            # Spark would take a time without a zone for one in the zone of the session.
            column: functions.concat(native[column].cast("string"), functions.lit("Z")).cast("timestamp")
            if column in zoneless
            else native[column]
            for column in columns.values()
        }
        return as_lazy(native.withColumns({name: functions.unix_micros(times[c]) for name, c in columns.items()}))
    if kind.is_ibis():
        import ibis

        native = frame.to_native()
        epoch = ibis.timestamp("1970-01-01")
        counts = {c: native[c].delta(epoch.cast(native[c].type()), unit="microsecond") for c in columns.values()}
        return as_lazy(native.mutate(**{name: counts[column] for name, column in columns.items()}))
    return frame.with_columns(**{name: nw.col(column).dt.timestamp("us") for name, column in columns.items()})


def add_time(frame: nw.LazyFrame[Any], **columns: str) -> nw.LazyFrame[Any]:
    """Add, for each ``name=column``, the time that lies as many microseconds after 1970 in UTC as ``column`` says."""
    kind = frame.implementation
    if kind.is_duckdb():
        terms = [f'make_timestamptz("{column}") AS "{name}"' for name, column in columns.items()]
        return as_lazy(frame.to_native().project(", ".join(["*", *terms])))
    if is_spark(kind) or kind.is_sqlframe():
        native, functions = frame.to_native(), _functions(frame)
        if not hasattr(functions, "timestamp_micros"):
            # SQLFrame has it for some engines only; of the others that count in microseconds DuckDB is the one left.
            made = {
                name: functions.expr(f"make_timestamptz(`{column}`)").cast("timestamp")
                for name, column in columns.items()
            }
        else:
            made = {name: functions.timestamp_micros(native[column]) for name, column in columns.items()}
        return as_lazy(native.withColumns(made))
    if kind.is_ibis():
        import ibis

        native = frame.to_native()
        epoch = ibis.timestamp("1970-01-01").cast("timestamp('UTC', 6)")
        return as_lazy(native.mutate(**{name: epoch + native[c].as_interval("us") for name, c in columns.items()}))
    return frame.with_columns(**{name: nw.col(c).cast(nw.Datetime("us", "UTC")) for name, c in columns.items()})


def add_time_like(frame: nw.LazyFrame[Any], column: str, **columns: str) -> nw.LazyFrame[Any]:
    """Add times as ``add_time`` does, of the type of the time column ``column``: without a zone where it has none."""
    if frame.implementation.is_duckdb() and duckdb_type(frame, column) == "TIMESTAMP":
        # The zone of the connection has no part in it.
        terms = [f'make_timestamp("{count}") AS "{name}"' for name, count in columns.items()]
        return as_lazy(frame.to_native().project(", ".join(["*", *terms])))
    if column in _without_zone(frame):
        native, functions = frame.to_native(), _functions(frame)
        made_by = (
            "timestamp_ntz'1970-01-01 00:00:00' + make_dt_interval(0, 0, 0, CAST(`{}` AS DECIMAL(20, 0)) * 0.000001)"
        )
        return as_lazy(native.withColumns({name: functions.expr(made_by.format(c)) for name, c in columns.items()}))
    made = add_time(frame, **columns)
    if frame.implementation.is_duckdb():
        return made
    kind = _type_of(frame, column)
    times = nw.col(*columns) if kind.time_zone else nw.col(*columns).dt.replace_time_zone(None)
    return made.with_columns(times.cast(kind))


def _without_zone(frame: nw.LazyFrame[Any]) -> set[str]:
    """Return which columns of a frame of Spark hold times without a zone: none of another frame."""
    if not is_spark(frame.implementation):
        return set()
    return {name for name, kind in frame.to_native().dtypes if kind == "timestamp_ntz"}


def _type_of(frame: nw.LazyFrame[Any], column: str) -> Any:  # noqa: ANN401 - a type of times
    """Return the type of a column alone: of others an engine may have types that Narwhals does not know."""
    return frame.select(column).collect_schema()[column]


def _functions(frame: nw.LazyFrame[Any]) -> Any:  # noqa: ANN401 - a module
    """Return the functions of PySpark, or of the engine behind SQLFrame.

    Raises
    ------
    ParameterError
        Where SQLFrame would count times in whole seconds.
    """
    # Spark, Spark Connect and each engine of SQLFrame have them beside their frames.
    place = type(frame.to_native()).__module__.rpartition(".")[0]
    place = "pyspark.sql" if frame.implementation.is_pyspark() else place
    if place in _WHOLE_SECONDS:
        raise ParameterError("frame", place, "a frame of Ibis: SQLFrame counts times in whole seconds there")
    return importlib.import_module(f"{place}.functions")


def duckdb_type(frame: nw.LazyFrame[Any], column: str) -> str:
    """Return the type of a column of DuckDB, without the query for a zone that Narwhals runs to tell it."""
    native = frame.to_native()
    return str(native.types[native.columns.index(column)])


def epoch_us(moment: pd.Timestamp) -> int:
    """Return a timestamp as whole microseconds since 1970 in UTC."""
    return int(moment.as_unit("us").asm8.astype(np.int64))


def time_like(moment: pd.Timestamp, frame: nw.LazyFrame[Any], column: str) -> nw.Expr:
    """Return a timestamp as a literal of the type of a time column, without a zone where the column has none."""
    if frame.implementation.is_duckdb() and duckdb_type(frame, column) == "TIMESTAMP WITH TIME ZONE":
        # It has one unit only, and Narwhals runs a query for the zone whenever it is asked for such a type.
        return nw.lit(moment.to_pydatetime())
    kind = _type_of(frame, column)
    return nw.lit(moment.to_pydatetime() if kind.time_zone else moment.tz_localize(None).to_pydatetime()).cast(kind)


def moment(value: object, *, parameter: str, of: IntoFrame | None = None) -> pd.Timestamp:
    """Read a point in time: a datetime, or a text of the grammar of times or with a day or minute alone.

    One without a zone is in UTC. NaT is the cutoff of a log without events: it is read, as a time before all events,
    only where the frame ``of`` is given and has no rows.

    Raises
    ------
    ParameterError
        Where ``value`` is no point in time, or NaT and there may be events.
    """
    read: Any = None
    if isinstance(value, str):
        read = parse_time(value)
    elif isinstance(value, (dt.date, np.datetime64)) and not pd.isna(value):
        read = value
    elif value is NO_TIME and of is not None and not len(as_lazy(of).lazy().head(1).collect()):
        read = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    if read is None:
        raise ParameterError(parameter, value, _MOMENT)
    moment = pd.Timestamp(read)
    return (moment.tz_localize("UTC") if moment.tz is None else moment.tz_convert("UTC")).as_unit("us")


def moments(
    since: str | dt.datetime | pd.Timestamp | None, cutoff: str | dt.datetime | pd.Timestamp | None
) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """Read between which moments, both included, events count; without one of them there is no such end.

    Raises
    ------
    ParameterError
        Where one is no point in time, or ``since`` is after ``cutoff``.
    """
    first = None if since is None else moment(since, parameter="since")
    last = None if cutoff is None else moment(cutoff, parameter="cutoff")
    if first is not None and last is not None and first > last:
        raise ParameterError("since", str(since), f"a moment before the cutoff, {last}")
    return first, last


def last_moment(cutoff: pd.Timestamp, since: pd.Timestamp | None) -> pd.Timestamp:
    """Return the cutoff of a log that begins with ``since``: one before that would be of events that it leaves out."""
    return NO_TIME if since is not None and cutoff < since else cutoff


def filter_times(
    frame: nw.LazyFrame[Any],
    column: str,
    since: str | dt.datetime | pd.Timestamp | None,
    cutoff: str | dt.datetime | pd.Timestamp | None,
) -> nw.LazyFrame[Any]:
    """Leave out what is before ``since`` and after ``cutoff`` as a time column has it, as ``moments`` reads the two."""
    first, last = moments(since, cutoff)
    if (first is not None or last is not None) and column in _without_zone(frame):
        ends = (-(2**62) if first is None else epoch_us(first), 2**62 if last is None else epoch_us(last))
        return add_epoch_us(frame, _at_us=column).filter(nw.col("_at_us").is_between(*ends)).drop("_at_us")
    if first is not None:
        frame = frame.filter(nw.col(column) >= time_like(first, frame, column))
    if last is not None:
        frame = frame.filter(nw.col(column) <= time_like(last, frame, column))
    return frame


def span_us(value: str | dt.timedelta, *, parameter: str) -> int:
    """Read a length of time above zero as whole microseconds.

    Raises
    ------
    ParameterError
        Where ``value`` is no such length of time.
    """
    if isinstance(value, str) and not value.startswith("P"):  # with which ISO 8601 begins
        value = _LETTERS.sub(lambda letter: letter[0].swapcase(), value)
    try:
        read = pd.Timedelta(value)
    except (ValueError, TypeError):
        read = None
    if not isinstance(read, pd.Timedelta) or read < pd.Timedelta(1, "us"):
        raise ParameterError(parameter, value, "a length of time above zero such as '4h'")
    return read // pd.Timedelta(1, "us")


def as_lazy(native: Any) -> nw.LazyFrame[Any]:  # noqa: ANN401 - whatever Narwhals knows
    """Return a lazy frame of an engine as Narwhals has it."""
    lazy: nw.LazyFrame[Any] = nw.from_native(native)
    return lazy
