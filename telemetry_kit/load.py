"""A source of any kind -> an ``EventLog``: read, judged, counted, in pandas."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from telemetry_kit import engine, schemas, tables
from telemetry_kit.accounts import make_audit, make_seen, newest, typed_cells
from telemetry_kit.containers import Rows, read_files
from telemetry_kit.errors import ParameterError, RejectedEventsError
from telemetry_kit.eventlog import EventLog, is_saved, read_saved
from telemetry_kit.quarantine import Intake
from telemetry_kit.sources import Damage, Lines, check_readable, find_files

if TYPE_CHECKING:
    import datetime as dt

    from telemetry_kit.containers import TableFile
    from telemetry_kit.schemas import EventType

OnError = Literal["quarantine", "raise"]
_FAULTS_SHOWN = 5


def load_events(
    source: Any,  # noqa: ANN401 - a path, a pattern, a list, a URL, a frame or a mapping of frames
    *,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    on_error: OnError = "quarantine",
) -> EventLog:
    """Load telemetry of any container, era and spelling, and account for every record.

    Parameters
    ----------
    source
        A file, a directory (all below it), a glob, a list of these, the URL of a PostgreSQL database, or frames: a
        mapping ``{"incident": frame, "tasks": frame, "playbook": frame}``, or one frame of raw events. JSON lines, a
        JSON array, batch bodies, CSV, Parquet, Arrow or DuckDB; plain, gzip or zstd. The content decides, not the name.
    cutoff
        Events after it are left out and counted. By default the newest event timestamp among the valid events.
    on_error
        ``"quarantine"`` keeps rejected records in ``EventLog.quarantine``; ``"raise"`` raises.

    Returns
    -------
    EventLog
        The events by type as validated pandas DataFrames, the quarantine, the audit and the notes.

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
    (1868, 5792, 479)
    """
    if on_error not in ("quarantine", "raise"):
        raise ParameterError("on_error", on_error, ("quarantine", "raise"))
    until = None if cutoff is None else engine.moment(cutoff, parameter="cutoff")
    if is_saved(source):
        log = read_saved(Path(source), until)
    else:
        with tempfile.TemporaryDirectory(prefix="telemetry-kit-") as folder:
            connection = engine.connect()
            connection.execute("SET arrow_large_buffer_size = true")
            intake = Intake(connection)
            take(intake, source, Path(folder))
            intake.mark_duplicates()
            log = _log(intake, until)
            connection.close()
    if on_error == "raise" and len(log.quarantine):
        rows = log.quarantine.head(_FAULTS_SHOWN).itertuples()
        raise RejectedEventsError(
            len(log.quarantine), [f"{row.source}, record {row.record}: {row.reason}" for row in rows]
        )
    return log


def take(intake: Intake, source: Any, folder: Path) -> None:  # noqa: ANN401 - as load_events
    """Take everything that a source holds into ``intake``; ``folder`` is for temporary files."""
    if tables.is_url(source):
        for table_name, table in tables.database(source):
            _take_table(intake, tables.arrow_table(intake.connection, table_name, table))
        return
    given = tables.frames(source)
    if given is not None:
        for table_name, table in given:
            _take_table(intake, tables.arrow_table(intake.connection, table_name, table))
        return
    files = find_files(source)
    if len(files) == 1:
        check_readable(files[0][1])
    for unit in read_files(files, folder, intake.names):
        if isinstance(unit, Lines):
            intake.take_lines(unit)
        elif isinstance(unit, Rows):
            intake.take_rows(unit)
        elif isinstance(unit, Damage):
            intake.take_damage(unit)
        else:
            _take_table_file(intake, unit)


def _take_table_file(intake: Intake, file: TableFile) -> None:
    import duckdb
    import pyarrow as pa

    try:
        for table in tables.table_file(intake.connection, file):
            _take_table(intake, table)
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        intake.names.append(file.name)
        reason = f"record: the {file.form} file cannot be read: {str(error).splitlines()[0]}"
        intake.take_damage(Damage(len(intake.names) - 1, 1, reason, ""))


def _take_table(intake: Intake, table: tables.Table) -> None:
    intake.names.append(table.name)
    source = len(intake.names) - 1
    if table.columns:
        intake.take_relation(source, table.name, table.query, table.columns)
    else:
        intake.take_json(source, table.query)


def _log(intake: Intake, until: pd.Timestamp | None) -> EventLog:
    cutoff = newest(intake) if until is None else until
    frames = {kind: _frame(intake, kind, cutoff) for kind in schemas.EVENT_TYPES}
    quarantine = pd.DataFrame(intake.rejected, columns=["source", "record", "event_type", "reason", "raw"])
    quarantine["source"] = quarantine["source"].map(dict(enumerate(intake.names)))
    quarantine = quarantine.astype(
        {"source": "str", "record": "int64", "event_type": "str", "reason": "str", "raw": "str"}
    )
    return EventLog(
        **frames,
        cutoff=cutoff,
        quarantine=quarantine.sort_values(["source", "record"], kind="stable", ignore_index=True),
        audit=make_audit(intake, cutoff),
        seen=make_seen(intake),
    )


def _frame(intake: Intake, event_type: EventType, cutoff: pd.Timestamp) -> pd.DataFrame:
    cells, where = typed_cells(intake, event_type, cutoff)
    table = intake.connection.sql(
        f"SELECT {cells}, epoch_us(event_timestamp) AS us, "
        f"COALESCE(place, events.rowid) AS arrival, position FROM events WHERE {where}"
    ).to_arrow_table()
    # NumPy sorts three columns and moves the rows once; DuckDB would carry every cell through its sort.
    by_time = np.lexsort([table[key].to_numpy() for key in ("position", "arrival", "us")])
    frame = engine.arrow_to_pandas(
        table.drop_columns(["us", "arrival", "position"]).take(by_time), keep_categories=True
    )
    schemas.MODELS[event_type].validate(frame, lazy=True)
    return frame
