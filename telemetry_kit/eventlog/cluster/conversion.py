"""A source -> validated Parquet by type and month, read and written by the workers of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telemetry_kit import engine, output
from telemetry_kit.errors import ParameterError
from telemetry_kit.eventlog.cluster.opening import open_on_spark
from telemetry_kit.eventlog.cluster.parts import is_remote
from telemetry_kit.eventlog.cluster.sessions import session_on
from telemetry_kit.eventlog.convert import check_target, written
from telemetry_kit.ingest.inputs import list_items

if TYPE_CHECKING:
    import datetime as dt
    import os

    import pandas as pd


def convert_on_spark(
    source: Any,  # noqa: ANN401 - as scan_events
    directory: str | os.PathLike[str],
    *,
    master: str,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
) -> pd.DataFrame:
    """Convert telemetry as ``convert_events`` does, on a cluster; return the audit.

    Raises
    ------
    SourceError, ParameterError
        As ``convert_events``; and where the directory is an address.
    MissingExtraError, ResourceError
        Where there is no Spark, or it fails.
    """
    first, until = engine.moments(since, cutoff)
    seen = "a path that this machine and every worker see"
    target = output.path_of("directory", directory, seen)
    if is_remote(directory):
        raise ParameterError("directory", directory, seen)
    # Files that Spark knows by an address lie nowhere that the directory could be.
    check_target(target, [item for item in list_items(source) if not is_remote(item)])
    with session_on(master) as session, written(target) as made:
        log = open_on_spark(source, session, first, until)
        log.save(made)
    return log.audit
