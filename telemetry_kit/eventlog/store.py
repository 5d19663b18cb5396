"""A log that was saved or converted -> an ``EventLog``: in memory, or as lazy relations over its Parquet files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandera.pandas as pa

from telemetry_kit import engine, schemas
from telemetry_kit.errors import ParameterError
from telemetry_kit.eventlog.log import EventLog
from telemetry_kit.eventlog.saved import check_columns, read_mark, read_table, unreadable
from telemetry_kit.schemas.log_tables import QUARANTINE_COLUMNS, TABLES
from telemetry_kit.schemas.names import quote_literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import duckdb
    import pandas as pd


def open_store(connection: duckdb.DuckDBPyConnection, folder: Path, until: pd.Timestamp | None) -> EventLog:
    """Open a saved log where it lies; events after ``until`` are left out and counted.

    Raises
    ------
    SourceError
        Where a part of the log is missing, or is not as it was written.
    ParameterError
        Where ``until`` is later than a cutoff by which events were left out before.
    """
    try:
        log = _open(connection, folder)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise unreadable(folder, error) from None
    return log if until is None else _cut(log, until, folder.name)


def _open(connection: duckdb.DuckDBPyConnection, folder: Path) -> EventLog:
    audit = read_table(folder, "audit")
    frames: dict[str, Any] = {
        kind: _relation(connection, folder / f"{kind}.parquet", schemas.columns_of(kind), int(audit[f"n_{kind}"].sum()))
        for kind in schemas.EVENT_TYPES
    }
    n_rejected = int(audit["n_rejected"].sum())
    quarantine: Any = _relation(connection, folder / "quarantine.parquet", QUARANTINE_COLUMNS, n_rejected)
    return EventLog(
        **{kind: rows.project(f"* RENAME (file_row_number AS {engine.ARRIVAL})") for kind, rows in frames.items()},
        cutoff=read_mark(folder)["cutoff"],
        quarantine=quarantine.project("* EXCLUDE (file_row_number)"),
        audit=audit,
        seen=read_table(folder, "seen"),
    )


def _relation(
    connection: duckdb.DuckDBPyConnection, path: Path, columns: list[str], n_rows: int
) -> duckdb.DuckDBPyRelation:
    """Open a part of a store, and see that it has the columns and the number of rows that it was written with."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        check_columns(path.name, file.schema_arrow.names, columns)
        if file.metadata.num_rows != n_rows:
            raise ValueError(f"{path.name} has {file.metadata.num_rows} rows, expected {n_rows}")
    return connection.sql(f"FROM read_parquet({quote_literal(str(path.absolute()))}, file_row_number=true)")


def _cut(log: EventLog, until: pd.Timestamp, source: str) -> EventLog:
    """Leave out what is after ``until``."""
    kept = f"event_timestamp <= make_timestamptz({engine.epoch_us(until)})"
    frames: dict[str, Any] = {kind: getattr(log, kind).filter(kept) for kind in schemas.EVENT_TYPES}
    n_kept = {kind: int(frame.count("*").fetchall()[0][0]) for kind, frame in frames.items()}
    return replace(log, **frames, cutoff=until, audit=cut_audit(log, until, n_kept, source))


def read_saved(folder: Path, until: pd.Timestamp | None) -> EventLog:
    """Read a saved log; events after ``until`` are left out and counted.

    Raises
    ------
    SourceError
        Where a part of the log is missing, or is not as it was written.
    ParameterError
        Where ``until`` is later than a cutoff by which events were left out before.
    """
    try:
        log = _read_parts(folder)
    except (OSError, ValueError, LookupError, TypeError, NotImplementedError) as error:
        raise unreadable(folder, error) from None
    return log if until is None else _cut_in_memory(log, until, folder.name)


def _read_parts(folder: Path) -> EventLog:
    import pyarrow.parquet as pq

    cutoff = read_mark(folder)["cutoff"]
    parts: dict[str, Any] = {part: read_table(folder, part) for part in TABLES}
    for kind in schemas.EVENT_TYPES:
        table = pq.read_table(folder / f"{kind}.parquet").replace_schema_metadata()
        check_columns(f"{kind}.parquet", table.column_names, schemas.columns_of(kind))
        parts[kind] = schemas.with_categories(engine.arrow_to_pandas(table), kind)
        _validate(parts[kind], kind)
    return EventLog(**parts, cutoff=cutoff)


def _validate(frame: pd.DataFrame, kind: schemas.EventType) -> None:
    """Hold a frame that was read against its model.

    Raises
    ------
    ValueError
        Where it breaks a rule; the first that it breaks is named.
    """
    try:
        schemas.MODELS[kind].validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        first = errors.failure_cases.iloc[0]
        place = f"{kind}.parquet, column {first['column']!r}"
        raise ValueError(f"{place}: {first['failure_case']!r} fails the check {first['check']}") from None


def _cut_in_memory(log: EventLog, until: pd.Timestamp, source: str) -> EventLog:
    """Leave out what is after ``until``."""
    frames: dict[str, pd.DataFrame] = {}
    for kind in schemas.EVENT_TYPES:
        frame = getattr(log, kind)
        kept = frame[frame["event_timestamp"] <= until].reset_index(drop=True)
        text = {f.column: "str" for f in schemas.fields_of(kind) if f.kind == "category"}
        frames[kind] = schemas.with_categories(kept.astype(text), kind)
    audit = cut_audit(log, until, {kind: len(frame) for kind, frame in frames.items()}, source)
    # What holds no later event stays as it is, categories included.
    return replace(log, cutoff=until) if audit is log.audit else replace(log, **frames, audit=audit, cutoff=until)


def cut_audit(log: EventLog, until: pd.Timestamp, n_kept: Mapping[str, int], source: str) -> pd.DataFrame:
    """Return the audit of a log of which, up to a moment, ``n_kept`` events of each type are left.

    Raises
    ------
    ParameterError
        Where the moment is later than a cutoff by which events were left out before.
    """
    if until > log.cutoff and log.audit["n_after_cutoff"].any():
        raise ParameterError("cutoff", str(until), f"a moment up to {log.cutoff}, where the saved log was cut off")
    n_left_out = sum(int(log.audit[f"n_{kind}"].sum()) - n for kind, n in n_kept.items())
    if not n_left_out:
        return log.audit
    # The events no longer say from which file they came: the saved log itself is their source.
    audit = log.audit.drop(columns="source").sum().to_frame().T
    for kind, n in n_kept.items():
        audit[f"n_{kind}"] = n
    audit["n_after_cutoff"] += n_left_out
    audit.insert(0, "source", source)
    return audit.astype({"source": "str"})
