"""A source of any kind -> an ``EventLog``: read, judged, counted, in pandas."""

from __future__ import annotations

from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from telemetry_kit import engine, schemas, temporary
from telemetry_kit.engine import connections
from telemetry_kit.errors import ParameterError, RejectedEventsError
from telemetry_kit.eventlog.log import EventLog
from telemetry_kit.eventlog.saved import is_saved
from telemetry_kit.eventlog.store import read_saved
from telemetry_kit.eventlog.warned import warn_of
from telemetry_kit.ingest.audit import last_others, make_audit, make_seen, newest, typed_cells
from telemetry_kit.ingest.findings import find_findings
from telemetry_kit.ingest.intake import Intake
from telemetry_kit.ingest.lines import LINE_LIMIT
from telemetry_kit.ingest.sources import settle, take
from telemetry_kit.ingest.ties import order_ties
from telemetry_kit.schemas.log_tables import QUARANTINE_COLUMNS
from telemetry_kit.schemas.names import quote_identifier, quote_literal

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

    from telemetry_kit.schemas import EventType

OnError = Literal["quarantine", "raise"]
_FAULTS_SHOWN = 5


def load_events(
    source: Any,  # noqa: ANN401 - a path, a pattern, a list, a URL, a frame or a mapping of frames
    *,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    on_error: OnError = "quarantine",
) -> EventLog[pd.DataFrame]:
    """Load telemetry of any container, era and spelling, and account for every record.

    Parameters
    ----------
    source
        A file, a directory (all below it), a glob, a list of these, the URL of a PostgreSQL database, or frames: a
        mapping ``{"incident": frame, "tasks": frame, "playbook": frame}``, or one frame of raw events. JSON lines, a
        JSON array, batch bodies, CSV, Parquet, Arrow or DuckDB; plain, gzip or zstd. The content decides, not the name.
        Rows have an event in their columns, or as JSON in one of them.
    since, cutoff
        Valid events before the one, and after the other, are left out and counted; an event at exactly that moment is
        in. Without ``since``, the log begins with its first event; the cutoff is by default the newest event timestamp
        among the valid events, and NaT where all of these lie before ``since``.
    on_error
        ``"quarantine"`` keeps rejected records in ``EventLog.quarantine``; ``"raise"`` raises.

    Returns
    -------
    EventLog
        The events by type as validated pandas DataFrames, the quarantine, the audit and the findings.

    Warns
    -----
    RejectedEventsWarning
        Where records were rejected; it names the first, and how many there are.
    NoEventsWarning
        Where no event is there, or none is left between ``since`` and ``cutoff``.

    Raises
    ------
    SourceError
        Where the source cannot be used at all.
    RejectedEventsError
        Where ``on_error="raise"`` and a record was rejected; it names the first faults and the count.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> len(log.incident), len(log.tasks), len(log.playbook)
    (1873, 5811, 480)
    """
    log = _load(source, since, cutoff, on_error)
    warn_of(log, is_stored=is_saved(source))
    return log


class Judgement(NamedTuple):
    """What became of the records of a source: the ``quarantine``, ``audit`` and ``findings`` of its log."""

    quarantine: pd.DataFrame
    audit: pd.DataFrame
    findings: pd.DataFrame


def judge_events(
    source: Any,  # noqa: ANN401 - as load_events
    *,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
) -> Judgement:
    """Tell what ``load_events`` would tell of the records of a source, without the frames of its events.

    Warns
    -----
    NoEventsWarning
        As ``load_events``.

    Raises
    ------
    SourceError
        Where the source cannot be used at all.
    """
    first, until = engine.moments(since, cutoff)
    if is_saved(source):
        log = read_saved(Path(source), first, until)
        told = Judgement(log.quarantine, log.audit, log.findings)
    else:
        with _taken(source) as intake:
            told = _judgement(intake, first, until)
    # Rejected records are what the caller asked for.
    warn_of(told, is_stored=True)
    return told


def _judgement(intake: Intake, since: pd.Timestamp | None, until: pd.Timestamp | None) -> Judgement:
    cutoff = engine.last_moment(newest(intake), since) if until is None else until
    cells = typed_cells(intake, since, cutoff)
    relations = {kind: _relation(intake, kind, where) for kind, (_, where) in cells.items()}
    findings = find_findings(**relations, seen=make_seen(intake))
    return Judgement(_quarantine(intake), make_audit(intake, since, cutoff), findings)


def _load(
    source: Any,  # noqa: ANN401 - as load_events
    since: str | dt.datetime | pd.Timestamp | None,
    cutoff: str | dt.datetime | pd.Timestamp | None,
    on_error: OnError,
) -> EventLog[pd.DataFrame]:
    if on_error not in ("quarantine", "raise"):
        raise ParameterError("on_error", on_error, ("quarantine", "raise"))
    first, until = engine.moments(since, cutoff)
    with connections.arrow_from_system():
        if is_saved(source):
            log = read_saved(Path(source), first, until)
        else:
            with _taken(source) as intake:
                tables, about = _collected(intake, first, until)
            # The memory of what was read is free before the frames take theirs.
            with connections.own_resources():
                about |= {kind: _frame(tables.pop(kind), kind) for kind in schemas.EVENT_TYPES}
                log = EventLog(**about)
    if on_error == "raise" and len(log.quarantine):
        rows = log.quarantine.head(_FAULTS_SHOWN).itertuples()
        raise RejectedEventsError(
            len(log.quarantine), [f"{row.source}, record {row.record}: {row.reason}" for row in rows]
        )
    return log


def load_incidents(
    source: Any,  # noqa: ANN401 - as load_events
    *,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    on_error: OnError = "quarantine",
) -> pd.DataFrame:
    """Load the incident events of a source.

    The whole source is read and judged, as by ``load_events``, whose account of the records goes with it; a frame
    alone cannot tell what was rejected, so that rejected records give a warning.

    Parameters
    ----------
    source, since, cutoff, on_error
        As for ``load_events``.

    Returns
    -------
    pandas.DataFrame
        ``load_events(source).incident``, which passes ``tk.schemas.IncidentEvents``.

    Warns
    -----
    RejectedEventsWarning
        Where records were rejected.

    Raises
    ------
    SourceError
        Where the source cannot be used at all.
    RejectedEventsError
        Where ``on_error="raise"`` and a record was rejected.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> len(tk.load_incidents(tk.samples() / "recorded-autumn"))
    1873
    """
    log = _load(source, since, cutoff, on_error)
    warn_of(log, is_stored=is_saved(source))
    return log.incident


def load_tasks(
    source: Any,  # noqa: ANN401 - as load_events
    *,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    on_error: OnError = "quarantine",
) -> pd.DataFrame:
    """Load the task events of a source, as ``load_incidents`` loads its incident events.

    Parameters
    ----------
    source, since, cutoff, on_error
        As for ``load_events``.

    Returns
    -------
    pandas.DataFrame
        ``load_events(source).tasks``, which passes ``tk.schemas.TaskEvents``.

    Warns
    -----
    RejectedEventsWarning
        Where records were rejected.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> len(tk.load_tasks(tk.samples() / "recorded-autumn"))
    5811
    """
    log = _load(source, since, cutoff, on_error)
    warn_of(log, is_stored=is_saved(source))
    return log.tasks


def load_playbooks(
    source: Any,  # noqa: ANN401 - as load_events
    *,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    on_error: OnError = "quarantine",
) -> pd.DataFrame:
    """Load the playbook events of a source, as ``load_incidents`` loads its incident events.

    Parameters
    ----------
    source, since, cutoff, on_error
        As for ``load_events``.

    Returns
    -------
    pandas.DataFrame
        ``load_events(source).playbook``, which passes ``tk.schemas.PlaybookEvents``.

    Warns
    -----
    RejectedEventsWarning
        Where records were rejected.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> len(tk.load_playbooks(tk.samples() / "recorded-autumn"))
    480
    """
    log = _load(source, since, cutoff, on_error)
    warn_of(log, is_stored=is_saved(source))
    return log.playbook


@contextmanager
def _taken(source: Any) -> Iterator[Intake]:  # noqa: ANN401 - as load_events
    """Give everything that a source holds, read and judged."""
    with (
        temporary.scratch() as folder,
        closing(connections.connect()) as connection,
        connections.own_resources(),
    ):
        connection.execute("SET arrow_large_buffer_size = true")
        connection.execute(f"SET temp_directory = {quote_literal(str(folder / 'spill'))}")
        intake = Intake(connection)
        take(intake, source, folder)
        settle(intake, lambda finder: take(finder, source, folder))
        order_ties(connection)
        yield intake


def _collected(
    intake: Intake, since: pd.Timestamp | None, until: pd.Timestamp | None
) -> tuple[dict[EventType, pa.Table], dict[str, Any]]:
    """Return the events of each type, in any order, and what else a log holds."""
    cutoff = engine.last_moment(newest(intake), since) if until is None else until
    about: dict[str, Any] = {
        "cutoff": cutoff,
        "quarantine": _quarantine(intake),
        "audit": make_audit(intake, since, cutoff),
        "seen": make_seen(intake),
        "since": since,
        "others_us": last_others(intake),
    }
    return {kind: _table(intake, *sql) for kind, sql in typed_cells(intake, since, cutoff).items()}, about


def _quarantine(intake: Intake) -> pd.DataFrame:
    quarantine = pd.DataFrame(intake.rejected, columns=QUARANTINE_COLUMNS)
    quarantine = quarantine.sort_values(["source", "record"], kind="stable", ignore_index=True)
    quarantine["source"] = quarantine["source"].map(dict(enumerate(intake.names)))
    return quarantine.astype({"source": "str", "record": "int64", "event_type": "str", "reason": "str", "raw": "str"})


def _relation(intake: Intake, event_type: EventType, where: str) -> duckdb.DuckDBPyRelation:
    """Return the events of a type where they are, with their places in the order of arrival."""
    columns = ", ".join(map(quote_identifier, schemas.columns_of(event_type)))
    # A line is shorter than that, and so holds fewer events.
    arrival = f"COALESCE(place, events.rowid) * {LINE_LIMIT + 1} + position AS {engine.ARRIVAL}"
    return intake.connection.sql(f"SELECT {columns}, {arrival} FROM events WHERE {where}")


def _table(intake: Intake, cells: str, where: str) -> pa.Table:
    return intake.connection.sql(
        f"SELECT {cells}, epoch_us(event_timestamp) AS us, "
        f"COALESCE(place, events.rowid) AS arrival, position FROM events WHERE {where}"
    ).to_arrow_table()


def _frame(table: pa.Table, event_type: EventType) -> pd.DataFrame:
    # NumPy sorts three columns and moves the rows once; DuckDB would carry every cell through its sort.
    by_time = np.lexsort([table[key].to_numpy() for key in ("position", "arrival", "us")])
    table = table.drop_columns(["us", "arrival", "position"]).take(by_time)
    frame = schemas.with_categories(engine.arrow_to_pandas(table, keep_categories=True), event_type)
    schemas.MODELS[event_type].validate(frame, lazy=True)
    return frame
