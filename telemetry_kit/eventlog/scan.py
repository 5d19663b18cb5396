"""A source of any size -> an ``EventLog`` whose events stay on disk, as lazy relations over validated Parquet."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from telemetry_kit import engine, output
from telemetry_kit.engine import connections
from telemetry_kit.errors import ParameterError, ResourceError
from telemetry_kit.eventlog.convert import MEMORY_LIMIT, fill_store
from telemetry_kit.eventlog.saved import UNREADABLE, is_saved, read_mark, read_table
from telemetry_kit.eventlog.store import open_store
from telemetry_kit.eventlog.warned import warn_of
from telemetry_kit.ingest.inputs import are_unchanged, input_files, is_of_files, list_items

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    import duckdb
    import pandas as pd
    from pyspark.sql import SparkSession

    from telemetry_kit.eventlog.log import EventLog


@overload
def scan_events(
    source: Any,  # noqa: ANN401 - as load_events
    *,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    store: str | os.PathLike[str] | None = None,
    memory_limit: str | None = None,
    spark: None = None,
) -> EventLog[duckdb.DuckDBPyRelation]: ...


@overload
def scan_events(
    source: Any,  # noqa: ANN401 - as load_events
    *,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    store: str | os.PathLike[str] | None = None,
    memory_limit: str | None = None,
    spark: SparkSession,
) -> EventLog[Any]: ...


def scan_events(
    source: Any,
    *,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    store: str | os.PathLike[str] | None = None,
    memory_limit: str | None = None,
    spark: SparkSession | None = None,
) -> EventLog[Any]:
    """Open telemetry of any size: the events stay on disk, and every analysis runs on them as on frames in memory.

    The source is converted to validated Parquet once, as by ``convert_events``, and read from there as long as it is
    the same: the same files with the same content. A file whose size and time of last change are as they were is not
    read again; of any other its SHA-256 decides. Where files have come behind those that are in a ``store``, as daily
    exports do, these alone are read, and the result is as from nothing. Databases and frames in memory do not tell
    whether they are the same: they need a ``store``, and are converted at every call.

    Parameters
    ----------
    source
        As for ``load_events``; a directory that ``convert_events`` or ``EventLog.save`` wrote is opened as it is.
    since, cutoff
        As for ``load_events``.
    store
        The directory for the Parquet files. By default one for this source in the user's cache; it holds the events,
        and can be deleted at any time.
    memory_limit
        How much memory DuckDB may use, such as ``"2GB"``, for converting and for every analysis of this thread
        afterwards; what does not fit goes to disk. By default as much as ``convert_events`` takes for converting, and
        for analyses 2 GB, or what an earlier call said.
    spark
        A session of Spark: its cluster then loads the raw files, which its workers must see, and makes no store. Large
        plain files of JSON lines are read in pieces, every other file by one task. An address that Spark knows, such as
        ``s3a://bucket/dumps``, is a source as well; a log that was saved or converted is opened where it lies. What was
        loaded stays in the cache of the session, until it ends or ``session.catalog.clearCache()`` frees it.

    Returns
    -------
    EventLog
        Its ``incident``, ``tasks``, ``playbook`` and ``quarantine`` are DuckDB relations: lazy, with the columns that
        they have from ``load_events`` (categories as text) and, those of events, ``arrival`` (int64), the place of an
        event in the order of time and arrival. Everything else is as from ``load_events``, but after a ``since`` or
        a ``cutoff`` that leaves out events of a store: its ``audit`` then has one line, for the store. With ``spark``
        they are Spark DataFrames, and everything is as from ``load_events``.

    Warns
    -----
    RejectedEventsWarning, NoEventsWarning
        As ``load_events``.

    Raises
    ------
    SourceError
        Where the source cannot be used, the store cannot be written or read, or it is a log that files were added to,
        of which the source lacks one.
    ParameterError
        Where ``since`` or ``cutoff`` is no point in time, ``memory_limit`` no amount of memory, or a ``store`` is
        needed.

    See Also
    --------
    persist : computes what an analysis returned once, for others to use.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.scan_events(tk.samples() / "recorded-autumn")
    >>> visits = tk.stage_visits(log.incident, cutoff=log.cutoff)
    >>> tk.stage_funnel(visits)[["stage", "n_eligible", "n_reached"]].head(2)
       stage  n_eligible  n_reached
    0      0         374        374
    1      1         265        215
    """
    first, until = engine.moments(since, cutoff)
    if spark is not None:
        return _on_spark(source, spark, first, until)
    connection = connections.shared_connection()
    connections.limit_shared_memory(memory_limit)
    if store is not None:
        output.path_of("store", store)
    if is_saved(source):
        folder = Path(source)
    else:
        folder = _cached(source) if store is None else Path(store)
        if not _is_current(folder, source):
            with contextlib.nullcontext() if store is not None else _in_cache(folder):
                fill_store(source, folder, memory_limit or MEMORY_LIMIT, remembers=store is not None)
    log = open_store(connection, folder, first, until)
    warn_of(log, is_stored=is_saved(source))
    return log


@contextlib.contextmanager
def _in_cache(folder: Path) -> Iterator[None]:
    """Say where a store lies that nobody asked for, where it cannot be written."""
    try:
        yield
    except ResourceError as error:
        if not str(error).startswith("directory: "):
            raise
        raise ResourceError(f"{error}; it lies in {str(folder.parent)!r}, and store= names another place") from None


def _on_spark(
    source: Any,  # noqa: ANN401 - as load_events
    session: SparkSession,
    since: pd.Timestamp | None,
    until: pd.Timestamp | None,
) -> EventLog[Any]:
    from telemetry_kit.eventlog.cluster.opening import open_on_spark

    log = open_on_spark(source, session, since, until)
    warn_of(log, is_stored=is_saved(source))
    return log


def _cached(source: Any) -> Path:  # noqa: ANN401 - as load_events
    """Return the directory in the user's cache for a source, told by the places of its files."""
    import platformdirs

    if not is_of_files(source):
        raise ParameterError("store", None, "a directory, because the source is not only files")
    places = "\0".join(os.path.abspath(item) for item in list_items(source))  # noqa: PTH100 - as it was given
    key = hashlib.sha256(places.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return platformdirs.user_cache_path("telemetry-kit", appauthor=False) / key


def _is_current(folder: Path, source: Any) -> bool:  # noqa: ANN401 - as load_events
    """Tell whether a store was made by this version, from the source as it is now, and left nothing out."""
    if not is_saved(folder) or not is_of_files(source):
        return False
    try:
        mark = read_mark(folder)
        is_whole = not read_table(folder, "audit")[["n_before_since", "n_after_cutoff"]].any(axis=None)
        is_ours = mark["version"] == importlib.metadata.version("telemetry-kit")
        return is_ours and is_whole and are_unchanged(mark["inputs"], input_files(source))
    except UNREADABLE:
        return False
