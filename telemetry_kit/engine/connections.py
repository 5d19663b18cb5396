"""Connections to DuckDB: one for each reading, and one for the frames of a thread; how much memory they may use."""

from __future__ import annotations

import contextlib
import tempfile
import threading
from typing import TYPE_CHECKING, cast

from telemetry_kit import temporary
from telemetry_kit.errors import ParameterError, ResourceError
from telemetry_kit.quoting import quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb
    import pyarrow as pa

ANALYSIS_MEMORY = "2GB"
"""How much memory analyses of a log on disk, and reports, may use where nothing else is asked."""

_local = threading.local()
_arrow = threading.Lock()
_arrow_before: list[pa.MemoryPool] = []


def connect(path: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB connection that shows every timestamp in UTC, to a database in memory or in a file."""
    import duckdb

    connection = duckdb.connect(":memory:" if path is None else path)
    connection.execute("SET TimeZone = 'UTC'")
    # Without ipywidgets, DuckDB shows no progress in Jupyter anyway, but takes any setting of it for an error.
    if connection.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(True,)]:
        connection.execute("SET enable_progress_bar = false")
    return connection


def shared_connection() -> duckdb.DuckDBPyConnection:
    """Return this thread's connection for frames in memory and those of ``scan_events``."""
    if not hasattr(_local, "connection"):
        _local.connection = connect()
        # Otherwise its allocator keeps what a query took, beside what Python takes for the result.
        _local.connection.execute("SET allocator_background_threads = true")
        # DuckDB makes the directory when it needs it, and removes it; its own choice would be where the user works.
        spill = f"{tempfile.gettempdir()}/{temporary.owned(temporary.PREFIX)}{threading.get_ident()}"
        _local.connection.execute(f"SET temp_directory = {quote_literal(spill)}")
    connection: duckdb.DuckDBPyConnection = _local.connection
    return connection


def limit_shared_memory(memory_limit: str | None) -> None:
    """Let this thread's connection use at most so much memory; by default what it was told before, or little.

    Raises
    ------
    ParameterError
        Where ``memory_limit`` is no amount of memory.
    """
    connection = shared_connection()
    if memory_limit is None and (hasattr(_local, "is_limited") or _has_little(connection)):
        return
    limit_memory(connection, memory_limit or ANALYSIS_MEMORY)
    _local.is_limited = True


def _has_little(connection: duckdb.DuckDBPyConnection) -> bool:
    """Tell that what DuckDB takes of the machine by itself is no more than what is taken by default."""
    ((told,),) = connection.execute("SELECT current_setting('memory_limit')").fetchall()
    amount, unit = told.split()
    enough = float(ANALYSIS_MEMORY.removesuffix("GB"))
    return unit in {"bytes", "KiB", "MiB"} or (unit == "GiB" and float(amount) < enough)


def limit_memory(connection: duckdb.DuckDBPyConnection, memory_limit: str) -> None:
    """Let a connection use at most so much memory; what does not fit goes to disk.

    Raises
    ------
    ParameterError
        Where ``memory_limit`` is no amount of memory.
    """
    import duckdb

    expected = "an amount of memory such as '512MB'"
    if not isinstance(memory_limit, str):
        raise ParameterError("memory_limit", memory_limit, expected)
    amount = memory_limit.replace("'", "''")
    try:
        connection.execute(f"SET memory_limit = '{amount}'")
    except duckdb.Error:
        raise ParameterError("memory_limit", memory_limit, expected) from None


@contextlib.contextmanager
def within_memory(limit: str | duckdb.DuckDBPyRelation) -> Iterator[None]:
    """Say in one line that a limit of memory, as it was set or as a relation's connection has it, was too low.

    Raises
    ------
    ParameterError
        Where DuckDB ran out of memory.
    """
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, OSError) as error:
        # Where a result is read batch by batch, Arrow says so.
        if isinstance(error, OSError) and not str(error).startswith("Out of Memory Error"):
            raise
        if not isinstance(limit, str):
            told = cast("duckdb.DuckDBPyRelation", limit.query("_", "SELECT current_setting('memory_limit')"))
            ((limit,),) = told.fetchall()
        raise ParameterError("memory_limit", limit, "more, because DuckDB ran out of memory") from None


@contextlib.contextmanager
def own_resources() -> Iterator[None]:
    """Say in one line that memory or the disk for temporary files ran out.

    Raises
    ------
    ResourceError
        Where DuckDB ran out of either.
    """
    import duckdb

    try:
        yield
    except (MemoryError, duckdb.OutOfMemoryException):
        raise ResourceError("memory: it ran out; convert_events and scan_events need a bounded amount") from None
    except duckdb.IOException as error:
        fault, place = " ".join(str(error).split()), tempfile.gettempdir()
        if place not in fault:
            raise ResourceError(f"disk: {fault}") from None
        raise ResourceError(f"temporary files in {place!r}: {fault}; TMPDIR names another") from None


@contextlib.contextmanager
def arrow_from_system() -> Iterator[None]:
    """Let Arrow take memory from the system while it makes what is as large as a log.

    Its own allocator asks for huge pages and gives them back, each of which the kernel clears anew: of a million events
    that took as long as everything else that makes frames. Threads that are in here at once share the setting, which
    the last of them takes back.
    """
    import pyarrow as pa

    with _arrow:
        _arrow_before.append(pa.default_memory_pool())
        pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        with _arrow:
            before = _arrow_before.pop()
            if not _arrow_before:
                pa.set_memory_pool(before)
