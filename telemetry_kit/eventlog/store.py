"""A log that was saved or converted -> an ``EventLog`` whose frames are lazy relations over its Parquet files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from telemetry_kit import engine, schemas
from telemetry_kit.eventlog import (
    QUARANTINE_COLUMNS,
    EventLog,
    check_columns,
    cut_audit,
    read_mark,
    read_table,
    unreadable,
)
from telemetry_kit.rules import quoted

if TYPE_CHECKING:
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
    return connection.sql(f"FROM read_parquet({quoted(str(path.absolute()))}, file_row_number=true)")


def _cut(log: EventLog, until: pd.Timestamp, source: str) -> EventLog:
    """Leave out what is after ``until``."""
    kept = f"event_timestamp <= make_timestamptz({engine.epoch_us(until)})"
    frames: dict[str, Any] = {kind: getattr(log, kind).filter(kept) for kind in schemas.EVENT_TYPES}
    n_kept = {kind: int(frame.count("*").fetchall()[0][0]) for kind, frame in frames.items()}
    return replace(log, **frames, cutoff=until, audit=cut_audit(log, until, n_kept, source))
