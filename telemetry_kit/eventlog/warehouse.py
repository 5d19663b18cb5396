"""The tables of a warehouse -> an ``EventLog`` whose events stay there, as lazy frames with canonical names and types.

A warehouse has typed its columns already: what is left to do is to find each field under its spellings, to tell what
is invalid, and to count. All of it is said in Narwhals, and so is SQL of whichever warehouse it is.
"""

from __future__ import annotations

import time as clock
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import pandas as pd

from telemetry_kit import engine, schemas
from telemetry_kit.errors import ParameterError, SourceError
from telemetry_kit.eventlog.log import EventLog
from telemetry_kit.schemas import spellings, times
from telemetry_kit.schemas.log_tables import AUDIT_COLUMNS
from telemetry_kit.schemas.names import fold
from telemetry_kit.schemas.values import LOST_POWER, NIL_IDS, NO_NUMBERS, NULL_WORDS, VALUE_KINDS

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Iterator

    from telemetry_kit.ingest.findings import Finding
    from telemetry_kit.schemas import EventType, Field, Kind

_EXPECTED = "an Ibis connection, or a mapping of table names to lazy tables (Ibis, SQLFrame, DuckDB, Spark, Polars)"
_NULLS: dict[str, Any] = {"count": nw.Int64, "integer": nw.Int64, "flag": nw.Boolean, "time": nw.Int64}
_KNOWN_COLUMNS = 2
_EXACT_FLOAT, _LONG_FLOAT = "^-?[0-9]{1,15}[.]0*$", "-?[0-9]{16,}[.]0*"
"""A float up to 2^53 has all digits of a whole number, and so have all of fifteen."""
_CONTROL = "[\x01-\x1f\x7f]"
"""The characters themselves: not every engine knows the same way of naming them."""


class _Table(NamedTuple):
    """A table of the warehouse, and what its name says of all its events."""

    name: str
    rows: nw.LazyFrame[Any]
    event_type: EventType | None
    action: str | None = None
    state: str | None = None


def open_warehouse(
    source: Any,  # noqa: ANN401 - an Ibis connection or a mapping
    *,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
) -> EventLog[Any]:
    """Open the telemetry in a warehouse: the events stay there, and every analysis runs there.

    Parameters
    ----------
    source
        An Ibis connection, such as ``ibis.postgres.connect(…)`` or ``ibis.snowflake.connect(…)``, or a mapping of table
        names to lazy tables. The tables are those that the pipeline writes, one per event name, of either generation:
        lower case with underscores, or upper case without; where both stand side by side in one table, the first that
        is not null counts. The name of a table tells what its events are. Tables without events are passed over.
    since, cutoff
        As for ``load_events``.

    Returns
    -------
    EventLog
        Its ``incident``, ``tasks`` and ``playbook`` are lazy frames of the kind that the tables are, with the columns
        that they have from ``load_events`` (categories as text) and ``received_us`` (when the pipeline got the event,
        in epoch microseconds). So is ``quarantine``; a row of a table has no number, so that ``record`` is null, and
        ``raw`` is its ``id``. The ``audit`` has one line per table, and was counted when the log was opened, as the
        cutoff was: what arrives later is in the frames, though not after the cutoff.

    Raises
    ------
    ParameterError
        Where ``source``, ``since`` or ``cutoff`` is not one of the above.
    SourceError
        Where there are no events, or a column has a type that its field cannot have.

    Notes
    -----
    What is invalid is left out as ``load_events`` leaves it out, and for the same reasons. Other than there, an event
    without an id is rejected, and a duplicate is looked for among the events of one type.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> from telemetry_kit.engine import connections
    >>> tasks = connections.connect().sql('''
    ...     SELECT 'e1' AS id, 's1' AS user_id, TIMESTAMPTZ '2020-11-02 10:00:00+00' AS timestamp, 'i1' AS incidentid,
    ...         'u1' AS useractualid, '1.1.0' AS pluginversion, '5.28.0' AS serverversion, NULL AS newstate,
    ...         true AS wascommander, false AS wasassignee, 'modify_task_state' AS action
    ... ''')
    >>> log = tk.open_warehouse({"tasks": tasks})
    >>> tk.task_completion(log.tasks)[["completer", "n_completed", "n_reopened"]].head(1)
       completer  n_completed  n_reopened
    0  commander            0           1
    """
    first, until = engine.moments(since, cutoff)
    tables = list(_tables(source))
    judged = {kind: _judge(tables, kind) for kind in schemas.EVENT_TYPES}
    if until is None:
        until = engine.last_moment(_newest(judged.values()), first)
    last_us = -(2**62) if until is engine.NO_TIME else engine.epoch_us(until)
    first_us = -(2**62) if first is None else engine.epoch_us(first)
    outcome = (
        nw.when(~nw.col("_is_valid"))
        .then(nw.lit("rejected"))
        .when(nw.col("_is_repeated"))
        .then(nw.lit("duplicate"))
        .when(nw.col("_us") < first_us)
        .then(nw.lit("before_since"))
        .when(nw.col("_us") > last_us)
        .then(nw.lit("after_cutoff"))
    )
    told = {kind: rows.with_columns(_outcome=outcome.otherwise(nw.lit(kind))) for kind, rows in judged.items()}
    frames: dict[str, Any] = {
        kind: rows.filter(nw.col("_outcome") == kind).select(*schemas.columns_of(kind), engine.RECEIVED).to_native()
        for kind, rows in told.items()
    }
    rejected = [
        rows.filter(nw.col("_outcome") == "rejected").select(
            "source", record=nw.lit(None).cast(nw.Int64), event_type=nw.lit(kind), reason=_reason(kind), raw="event_id"
        )
        for kind, rows in told.items()
    ]
    counted = _count(tables, told)
    return EventLog(
        **frames,
        cutoff=until,
        quarantine=nw.concat(rejected).to_native(),
        audit=_audit(tables, counted),
        seen=_seen(tables, counted),
        since=first,
    )


def _tables(source: Any) -> Iterator[_Table]:  # noqa: ANN401 - as open_warehouse
    """Give the tables that hold events, ours first."""
    if isinstance(source, Mapping):
        given: Iterable[tuple[str, Any]] = source.items()
    elif hasattr(source, "list_tables") and hasattr(source, "table"):
        given = ((name, source.table(name)) for name in sorted(source.list_tables()))
    else:
        raise ParameterError("source", type(source).__name__, _EXPECTED)
    legacy = {fold(name): meaning for name, meaning in schemas.LEGACY_EVENTS.items()}
    found = []
    for name, table in given:
        rows = engine.open_frame(table, [], parameter=f"source[{name!r}]")
        columns = rows.collect_schema().names()
        if sum(map(spellings.is_read, columns)) < _KNOWN_COLUMNS:
            continue
        event_type = (
            spellings.event_type_of(name)
            if spellings.PROPERTY_COLUMNS & spellings.ways(_pairs(columns)).keys()
            else None
        )
        action, state = legacy.get(fold(name), (None, None, None))[1:]
        found.append(_Table(name, rows, event_type, action, state))  # type: ignore[arg-type]
    if not any(table.event_type for table in found):
        expected = "tables such as " + ", ".join(schemas.EVENT_TYPES)
        raise SourceError(f"source: no table holds events of ours, expected {expected}")
    yield from sorted(found, key=lambda table: table.event_type is None)


def _pairs(columns: Iterable[str]) -> list[tuple[str, str]]:
    return [(column, column) for column in columns]


# The values -----------------------------------------------------------------------------------------------------------


def _judge(tables: list[_Table], kind: EventType) -> nw.LazyFrame[Any]:
    """Return the events of a type from all their tables, and tell of each whether it is valid, and a repeated one."""
    # Where a type has no table it has no events, though it has columns.
    mine = [table for table in tables if table.event_type == kind] or [tables[0]._replace(rows=tables[0].rows.head(0))]
    events = _typed(nw.concat([_cells(table, kind, place) for place, table in enumerate(mine)]), kind)
    faults = [condition for condition, _ in _faults(kind)]
    events = events.with_columns(_is_valid=~nw.any_horizontal(*faults, ignore_nulls=True))
    earlier = nw.col("_one").shift(1).over("event_id", "_is_valid", order_by=[engine.RECEIVED, "_place", "_us"])
    return events.with_columns(_is_repeated=~earlier.is_null())


def _times(kind: EventType) -> list[str]:
    return [field.column for field in schemas.fields_of(kind) if field.kind == "time"]


def _cells(table: _Table, kind: EventType, place: int) -> nw.LazyFrame[Any]:
    """Return the events of a table under canonical names, their times in epoch microseconds under ``_us_<column>``."""
    schema: dict[str, Any] = dict(table.rows.collect_schema())
    ways = {field: [key for key, _ in keys] for field, keys in spellings.ways(_pairs(schema)).items()}
    us = {key: f"_us_{key}" for field in (*_times(kind), "received_at") for key in ways.get(field, [])}
    rows = engine.add_epoch_us(table.rows, **{name: key for key, name in us.items() if schema[key] == nw.Datetime})
    forms: dict[str, Kind] = {
        field.column: field.kind for field in schemas.fields_of(kind) if field.column != "event_type"
    }
    made: dict[str, nw.Expr] = {}
    for column, form in [*forms.items(), ("received_at", "time")]:
        cells = [_cell(table, key, schema[key], form, us) for key in ways.get(column, [])]
        name = f"_us_{column}" if form == "time" else column
        made[name] = nw.coalesce(*cells) if cells else nw.lit(None).cast(_NULLS.get(form, nw.String))
    named = {"_action": _text(table.action), "_state": _text(table.state)}
    return rows.select(**made, **named, source=nw.lit(table.name), _place=nw.lit(place))


def _typed(rows: nw.LazyFrame[Any], kind: EventType) -> nw.LazyFrame[Any]:
    """Return the events of all tables with canonical columns, and with what else the rules ask for.

    That is ``source``, ``_place`` (the table's), ``_one``, ``_us`` and ``received_us`` (epoch microseconds), and of
    tasks ``_is_state_change`` and ``_raw_state``.
    """
    rows = engine.add_time(rows, **{time: f"_us_{time}" for time in _times(kind)})
    made: dict[str, nw.Expr] = {"action": nw.coalesce("action", "_action")}
    if kind == "tasks":
        told = ~nw.col("was_commander").is_null() | ~nw.col("was_assignee").is_null()
        is_state_change = nw.coalesce(made["action"] == schemas.STATE_CHANGE, told)
        raw = nw.col("new_state").fill_null("")
        meant = [nw.when(raw == spelling).then(nw.lit(state)) for spelling, state in schemas.STATE_SPELLINGS.items()]
        made["new_state"] = nw.when(is_state_change).then(nw.coalesce("_state", *meant))
        made |= {"_is_state_change": is_state_change, "_raw_state": nw.col("new_state")}
    kept = [column for column in schemas.columns_of(kind) if column not in (*made, "event_type")]
    made |= {"event_type": nw.lit(kind), "_one": nw.lit(1), "_us": nw.col("_us_event_timestamp")}
    made |= {f"_us_{time}": nw.col(f"_us_{time}") for time in _times(kind)}
    made["_loaded_us"] = nw.lit(clock.time_ns() // 1000)
    return rows.select(*kept, "source", "_place", **made, **{engine.RECEIVED: nw.col("_us_received_at")})


def _text(value: str | None) -> nw.Expr:
    return nw.lit(value).cast(nw.String)


def _cell(table: _Table, key: str, kind: Any, form: Kind, of_time: Mapping[str, str]) -> nw.Expr:  # noqa: ANN401 - a type
    """Return the value of a column for a field of a form: text, microseconds, or as it is."""
    cell = nw.col(key)
    is_fit = {"flag": kind == nw.Boolean, "time": kind == nw.Datetime or kind.is_integer()}
    if not is_fit.get(form, form in ("id", "category") or kind.is_integer()):
        raise SourceError(f"source: {table.name}.{key} has the type {kind}, expected {VALUE_KINDS[form].expected}")
    if form in ("id", "category"):
        text = cell.cast(nw.String)
        if form == "category":
            return nw.when(text != "").then(text)
        # A column of floats gives a number as 1001.0, which is the id 1001.
        whole = nw.when(text.str.contains(_EXACT_FLOAT)).then(text.str.replace_all("[.]0*$", "")).otherwise(text)
        return nw.when(~text.is_in(["", *NULL_WORDS, *NIL_IDS])).then(whole)
    if form == "flag":
        return cell
    if form != "time":
        return cell.cast(nw.Int64)
    return nw.col(of_time[key]) if kind == nw.Datetime else _counted(cell.cast(nw.Int64))


def _counted(count: nw.Expr) -> nw.Expr:
    """Return a count since 1970, whose unit its size tells, in microseconds."""
    size = count.abs()
    return (
        nw.when(size < times.SECONDS_BELOW)
        .then(count * 1_000_000)
        .when(size < times.MILLISECONDS_BELOW)
        .then(count * 1000)
        .when(size < times.MICROSECONDS_BELOW)
        .then(count)
        .otherwise(count // 1000)
    )


# The rules ------------------------------------------------------------------------------------------------------------


def _faults(kind: EventType) -> Iterator[tuple[nw.Expr, nw.Expr]]:
    """Give everything that makes an event invalid, each with the words for it, as ``rules.faults_of`` does in SQL."""
    for field in schemas.fields_of(kind):
        value, expected = nw.col(field.column), VALUE_KINDS[field.kind].expected
        where_missing = VALUE_KINDS[field.kind].expected_where_missing
        if field.column == "new_state":
            states = ", ".join(f'"{state}"' for state in schemas.STATE_SPELLINGS)
            yield nw.col("_is_state_change") & value.is_null(), _got("new_state", "_raw_state", f"one of {states}")
            continue
        if field.kind in ("id", "category"):
            is_no_text = value.str.starts_with("{") | value.str.starts_with("[") | value.is_in(NO_NUMBERS)
            yield is_no_text, _got(field.column, field.column, expected)
        if field.kind == "count":
            yield value < VALUE_KINDS["count"].least, _got(field.column, field.column, expected)
        if field.kind == "id":
            is_lost = value.str.contains(f"^({LOST_POWER}|{_LONG_FLOAT})$")
            yield is_lost, _got(field.column, field.column, "an id with all its digits")
            yield value.str.contains(_CONTROL), nw.lit(f"{field.column}: expected an id without control characters")
        if field.kind == "time":
            us = nw.col(f"_us_{field.column}")
            yield (
                us < times.EARLIEST_US,
                nw.lit(f"{field.column}: lies before 2019-01-01, when nothing sent such events"),
            )
            yield us > nw.col("_loaded_us") + times.TOLERANCE_US, nw.lit(f"{field.column}: lies in the future")
        if kind not in field.nullable_in:
            yield value.is_null(), nw.lit(f"{field.column}: missing, expected {where_missing}")
        elif field.until_version is not None:
            is_due = nw.col("current_status").is_null() & nw.col("plugin_version").str.contains(_up_to(field))
            words = nw.concat_str(
                nw.lit(f"{field.column}: missing in an event of plugin "),
                nw.col("plugin_version"),
                nw.lit(f", expected {where_missing}"),
            )
            yield value.is_null() & is_due, words
    words = nw.lit("event_timestamp: lies more than a day after the record arrived")
    yield nw.col("_us") > nw.col(engine.RECEIVED) + times.TOLERANCE_US, words


def _got(column: str, raw: str, expected: str) -> nw.Expr:
    value = nw.col(raw).cast(nw.String)
    return nw.concat_str(nw.lit(f'{column}: got "'), value, nw.lit(f'", expected {expected}'))


def _up_to(field: Field) -> str:
    """Return a pattern for the versions up to the last that has a field, in the syntax that all engines share."""
    major, minor = field.until_version or (0, 0)
    earlier = [f"{n}[.][0-9]+" for n in range(major)]
    return f"^v?0*({'|'.join([*earlier, *(f'{major}[.]0*{n}' for n in range(minor + 1))])})([^0-9]|$)"


def _reason(kind: EventType) -> nw.Expr:
    told = [nw.when(condition).then(words) for condition, words in _faults(kind)]
    return nw.concat_str(*told, separator="; ", ignore_nulls=True)


# The account ----------------------------------------------------------------------------------------------------------


def _newest(judged: Iterable[nw.LazyFrame[Any]]) -> pd.Timestamp:
    valid = nw.concat([rows.filter(nw.col("_is_valid")).select("_us") for rows in judged])
    us = engine.collect(valid.select(nw.col("_us").max()))["_us"].iloc[0]
    return engine.NO_TIME if pd.isna(us) else pd.Timestamp(int(us), unit="us", tz="UTC").as_unit("us")


def _count(tables: list[_Table], told: Mapping[EventType, nw.LazyFrame[Any]]) -> pd.DataFrame:
    """Count, in one question, the outcomes of each table, and the values of columns that are not in the contract."""
    parts = [
        rows.group_by("source", "_outcome").agg(n=nw.len()).select("source", "_outcome", nw.col("n").cast(nw.Int64))
        for rows in told.values()
    ]
    for table in tables:
        counts = {"other": nw.len()} if table.event_type is None else {}
        if table.event_type is not None:
            unknown = [column for column in table.rows.collect_schema().names() if not spellings.is_known(column)]
            counts = {f"unknown {column}": nw.col(column).count() for column in unknown}
        for outcome, n in counts.items():
            labels = {"source": nw.lit(table.name), "_outcome": nw.lit(outcome)}
            parts.append(table.rows.select(n=n).select(**labels, n=nw.col("n").cast(nw.Int64)))
    counted = engine.collect(nw.concat(parts))
    return counted[counted["n"] > 0]


def _audit(tables: list[_Table], counted: pd.DataFrame) -> pd.DataFrame:
    audit = pd.DataFrame(0, index=[table.name for table in tables], columns=AUDIT_COLUMNS[1:], dtype="int64")
    for source, outcome, n in counted.itertuples(index=False):
        if f"n_{outcome}" in audit:
            audit.loc[source, f"n_{outcome}"] = n
    audit["n_read"] = audit.sum(axis=1)
    return audit.rename_axis("source").reset_index().astype({"source": "str"})


def _seen(tables: list[_Table], counted: pd.DataFrame) -> pd.DataFrame:
    kinds = {table.name: table.event_type for table in tables}
    rows: list[Finding] = []
    for source, outcome, n in counted.sort_values(["source", "_outcome"]).itertuples(index=False):
        if outcome == "other":
            rows.append(("other event type", None, source, n))
        elif outcome.startswith("unknown "):
            rows.append(("unknown property", kinds[source], outcome.removeprefix("unknown "), n))
    return pd.DataFrame(rows, columns=["finding", "event_type", "detail", "n"])
