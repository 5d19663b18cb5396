"""A source of any kind -> an ``EventLog`` of Spark frames: raw files are loaded, a saved log is opened as it is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telemetry_kit import engine, schemas
from telemetry_kit.eventlog.cluster.assembly import scan_on_spark
from telemetry_kit.eventlog.cluster.periods import is_early, is_late
from telemetry_kit.eventlog.partitioned import read_on_spark
from telemetry_kit.eventlog.saved import is_saved
from telemetry_kit.eventlog.store import check_part, cut_audit, open_parts, with_bounds

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame, SparkSession

    from telemetry_kit.eventlog.log import EventLog


def open_on_spark(
    source: Any,  # noqa: ANN401 - as scan_events
    session: SparkSession,
    since: pd.Timestamp | None,
    until: pd.Timestamp | None,
) -> EventLog[DataFrame]:
    """Load a source on the cluster of a session, or open a log that was saved.

    Raises
    ------
    SourceError
        Where the source cannot be used at all.
    ParameterError
        Where the bounds are wider than those of a saved log.
    """
    if is_saved(source):
        return _saved(Path(source), session, since, until)
    return scan_on_spark(source, session, since, until)


def _saved(
    folder: Path, session: SparkSession, since: pd.Timestamp | None, until: pd.Timestamp | None
) -> EventLog[DataFrame]:
    """Open a saved log, which the workers see; events before ``since`` and after ``until`` are left out and counted.

    Raises
    ------
    SourceError
        Where a part of the log is missing, or is not as it was written.
    ParameterError
        Where ``since`` is earlier, or ``until`` later, than where events were left out before.
    """
    log = open_parts(folder, partial(_part, session))
    log = replace(log, quarantine=log.quarantine.drop(engine.ARRIVAL))
    return log if since is None and until is None else _cut(log, since, until, folder.name)


def _part(session: SparkSession, path: Path, columns: list[str], n_rows: int) -> DataFrame:
    check_part(path, columns, n_rows)
    rows: DataFrame = read_on_spark(session, path)
    # In one file the place of a row is its place in the order of time.
    place = engine.ARRIVAL if path.is_dir() else f"_metadata.row_index AS {engine.ARRIVAL}"
    return rows.selectExpr(*(f"`{column}`" for column in columns), place)


def _cut(
    log: EventLog[DataFrame], since: pd.Timestamp | None, until: pd.Timestamp | None, source: str
) -> EventLog[DataFrame]:
    early, late = is_early(since), "false" if until is None else is_late(until)
    frames: dict[str, Any] = {}
    left_out: dict[str, tuple[int, int]] = {}
    for kind in schemas.EVENT_TYPES:
        frame = getattr(log, kind)
        frames[kind] = frame.where(f"NOT ({early}) AND NOT ({late})")
        ((n_early, n_late),) = frame.selectExpr(f"count_if({early})", f"count_if({late})").collect()
        left_out[kind] = n_early, n_late
    audit = cut_audit(log, since, until, left_out, source)
    return with_bounds(replace(log, **frames, audit=audit), since, until)
