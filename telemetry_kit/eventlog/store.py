"""A log that was saved or converted -> an ``EventLog``: in memory, or as lazy relations over its Parquet files."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import pandera.pandas as pa

from telemetry_kit import engine, schemas
from telemetry_kit.errors import ParameterError
from telemetry_kit.eventlog.log import EventLog
from telemetry_kit.eventlog.partitioned import files_of_part
from telemetry_kit.eventlog.saved import UNREADABLE, check_columns, read_mark, read_table, unreadable
from telemetry_kit.schemas.log_tables import QUARANTINE_COLUMNS, TABLES
from telemetry_kit.schemas.names import quote_literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import duckdb

    from telemetry_kit.eventlog.log import FrameT


def open_store(
    connection: duckdb.DuckDBPyConnection, folder: Path, since: pd.Timestamp | None, until: pd.Timestamp | None
) -> EventLog[duckdb.DuckDBPyRelation]:
    """Open a saved log where it lies; events before ``since`` and after ``until`` are left out and counted.

    Raises
    ------
    SourceError
        Where a part of the log is missing, or is not as it was written.
    ParameterError
        Where ``since`` is earlier, or ``until`` later, than where events were left out before.
    """
    log = open_parts(folder, partial(_relation, connection))
    quarantine = log.quarantine.project(f"* EXCLUDE ({engine.ARRIVAL})")
    return _cut(replace(log, quarantine=quarantine), since, until, folder.name)


def open_parts(folder: Path, open_part: Callable[[Path, list[str], int], Any]) -> EventLog[Any]:
    """Open a saved log part by part: ``open_part`` opens one that is to have these columns and so many rows.

    Raises
    ------
    SourceError
        Where a part of the log is missing, or is not as it was written.
    """
    try:
        mark, audit, seen = read_mark(folder), read_table(folder, "audit"), read_table(folder, "seen")
        n_rows = {kind: int(audit[f"n_{kind}"].sum()) for kind in schemas.EVENT_TYPES}
        frames = {
            kind: open_part(folder / f"{kind}.parquet", schemas.columns_of(kind), n_rows[kind])
            for kind in schemas.EVENT_TYPES
        }
        n_rejected = int(audit["n_rejected"].sum())
        quarantine = open_part(folder / "quarantine.parquet", QUARANTINE_COLUMNS, n_rejected)
    except UNREADABLE as error:
        raise unreadable(folder, error) from None
    times = {"since": mark["since"], "cutoff": mark["cutoff"], "others_us": mark["others_us"]}
    return EventLog(**frames, quarantine=quarantine, audit=audit, seen=seen, **times)


def _relation(
    connection: duckdb.DuckDBPyConnection, path: Path, columns: list[str], n_rows: int
) -> duckdb.DuckDBPyRelation:
    """Open a part of a store, and see that it has the columns and the number of rows that it was written with."""
    files = check_part(path, columns, n_rows)
    names = ", ".join(quote_literal(str(file.absolute())) for file in files)
    if path.is_dir():
        return connection.sql(f"FROM read_parquet([{names}], hive_partitioning=false)")
    return connection.sql(
        f"SELECT * RENAME (file_row_number AS {engine.ARRIVAL}) FROM read_parquet({names}, file_row_number=true)"
    )


def check_part(path: Path, columns: list[str], n_rows: int) -> list[Path]:
    """Return the files of a part of a store, which have the columns and the number of rows that it was written with.

    Raises
    ------
    ValueError
        Where they have others.
    """
    import pyarrow.parquet as pq

    files, found = files_of_part(path), 0
    for name in files:
        with pq.ParquetFile(name) as file:
            check_columns(path.name, file.schema_arrow.names, [*columns, engine.ARRIVAL] if path.is_dir() else columns)
            found += file.metadata.num_rows
    if found != n_rows:
        raise ValueError(f"{path.name} has {found} rows, expected {n_rows}")
    return files


def _cut(
    log: EventLog[duckdb.DuckDBPyRelation], since: pd.Timestamp | None, until: pd.Timestamp | None, source: str
) -> EventLog[duckdb.DuckDBPyRelation]:
    """Leave out what is before ``since`` and after ``until``."""
    if since is None and until is None:
        return log
    early = "false" if since is None else f"event_timestamp < make_timestamptz({engine.epoch_us(since)})"
    late = "false" if until is None else f"event_timestamp > make_timestamptz({engine.epoch_us(until)})"
    frames: dict[str, Any] = {}
    left_out: dict[str, tuple[int, int]] = {}
    for kind in schemas.EVENT_TYPES:
        frame = getattr(log, kind)
        frames[kind] = frame.filter(f"NOT {early} AND NOT {late}")
        left_out[kind] = frame.aggregate(f"count(*) FILTER ({early}), count(*) FILTER ({late})").fetchall()[0]
    return with_bounds(replace(log, **frames, audit=cut_audit(log, since, until, left_out, source)), since, until)


def with_bounds(log: EventLog[FrameT], since: pd.Timestamp | None, until: pd.Timestamp | None) -> EventLog[FrameT]:
    """Return a log that tells between which moments it was opened; a bound that was not given stays."""
    first = since or log.since
    return replace(log, since=first, cutoff=engine.last_moment(log.cutoff, first) if until is None else until)


def read_saved(folder: Path, since: pd.Timestamp | None, until: pd.Timestamp | None) -> EventLog[pd.DataFrame]:
    """Read a saved log; events before ``since`` and after ``until`` are left out and counted.

    Raises
    ------
    SourceError
        Where a part of the log is missing, or is not as it was written.
    ParameterError
        Where ``since`` is earlier, or ``until`` later, than where events were left out before.
    """
    try:
        log = _read_parts(folder)
    except UNREADABLE as error:
        raise unreadable(folder, error) from None
    return _cut_in_memory(log, since, until, folder.name)


def _read_parts(folder: Path) -> EventLog[pd.DataFrame]:
    mark = read_mark(folder)
    parts: dict[str, Any] = {part: read_table(folder, part) for part in TABLES}
    for kind in schemas.EVENT_TYPES:
        table = _read_events(
            folder / f"{kind}.parquet", schemas.columns_of(kind), int(parts["audit"][f"n_{kind}"].sum())
        )
        parts[kind] = schemas.with_categories(engine.arrow_to_pandas(table), kind)
        _validate(parts[kind], kind)
    return EventLog(**parts, since=mark["since"], cutoff=mark["cutoff"], others_us=mark["others_us"])


def _read_events(path: Path, columns: list[str], n_rows: int) -> Any:  # noqa: ANN401 - an Arrow table
    import pyarrow.parquet as pq
    from pyarrow import concat_tables

    if not path.is_dir():
        table = pq.read_table(path).replace_schema_metadata()
        check_columns(path.name, table.column_names, columns)
        return table
    # One file at a time: the names of the folders are not columns. And of many files one can be missing.
    parts = [pq.ParquetFile(file).read().replace_schema_metadata() for file in check_part(path, columns, n_rows)]
    if not parts:
        raise ValueError(f"{path.name} holds no file")
    order = [("event_timestamp", "ascending"), (engine.ARRIVAL, "ascending")]
    return concat_tables(parts).sort_by(order).drop_columns(engine.ARRIVAL)


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


def _cut_in_memory(
    log: EventLog[pd.DataFrame], since: pd.Timestamp | None, until: pd.Timestamp | None, source: str
) -> EventLog[pd.DataFrame]:
    """Leave out what is before ``since`` and after ``until``."""
    if since is None and until is None:
        return log
    frames: dict[str, Any] = {}
    left_out: dict[str, tuple[int, int]] = {}
    for kind in schemas.EVENT_TYPES:
        frame = getattr(log, kind)
        is_early = frame["event_timestamp"] < since if since is not None else pd.Series(data=False, index=frame.index)
        is_late = frame["event_timestamp"] > until if until is not None else pd.Series(data=False, index=frame.index)
        left_out[kind] = int(is_early.sum()), int(is_late.sum())
        kept = frame[~is_early & ~is_late].reset_index(drop=True)
        text = {f.column: "str" for f in schemas.fields_of(kind) if f.kind == "category"}
        frames[kind] = schemas.with_categories(kept.astype(text), kind)
    audit = cut_audit(log, since, until, left_out, source)
    # What holds no earlier or later event stays as it is, categories included.
    return with_bounds(log if audit is log.audit else replace(log, **frames, audit=audit), since, until)


def cut_audit(
    log: EventLog[Any],
    since: pd.Timestamp | None,
    until: pd.Timestamp | None,
    left_out: Mapping[str, tuple[int, int]],
    source: str,
) -> pd.DataFrame:
    """Return the audit of a log after so many events of each type, before ``since`` and after ``until``, are left out.

    Raises
    ------
    ParameterError
        Where ``since`` is earlier, or ``until`` later, than where events were left out before.
    """
    if until is not None and until > log.cutoff and log.audit["n_after_cutoff"].any():
        raise ParameterError("cutoff", str(until), f"a moment up to {log.cutoff}, where the saved log was cut off")
    if since is not None and log.since is not None and since < log.since and log.audit["n_before_since"].any():
        raise ParameterError("since", str(since), f"a moment from {log.since} on, where the saved log begins")
    if not any(map(any, left_out.values())):
        return log.audit
    # The events no longer say from which file they came: the saved log itself is their source.
    audit = log.audit.drop(columns="source").sum().to_frame().T
    for kind, (n_early, n_late) in left_out.items():
        audit[f"n_{kind}"] -= n_early + n_late
        audit["n_before_since"] += n_early
        audit["n_after_cutoff"] += n_late
    audit.insert(0, "source", source)
    return audit.astype({"source": "str"})
