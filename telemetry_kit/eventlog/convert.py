"""A source of any kind and size -> validated Parquet by type, within bounded memory."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from telemetry_kit import engine, output, schemas, temporary
from telemetry_kit.engine import connections
from telemetry_kit.errors import ResourceError, SourceError
from telemetry_kit.eventlog.increments import (
    NumberedIntake,
    asked,
    check_nothing_lost,
    earlier_log,
    goes_on,
    is_added_to,
    write_arrived,
)
from telemetry_kit.eventlog.saved import is_saved, own_files, write_mark
from telemetry_kit.eventlog.store import open_store
from telemetry_kit.ingest.audit import last_others, make_audit, make_seen, newest, typed_cells
from telemetry_kit.ingest.duplicates import ARRIVAL
from telemetry_kit.ingest.inputs import describe_files, input_files
from telemetry_kit.ingest.intake import Intake
from telemetry_kit.ingest.opening import is_of_disk, own_disk, why
from telemetry_kit.ingest.sources import settle, take
from telemetry_kit.ingest.ties import order_ties
from telemetry_kit.schemas.log_tables import ARRIVED, MARK
from telemetry_kit.schemas.names import quote_literal

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    import duckdb
    import pandas as pd
    import pyarrow as pa

MEMORY_LIMIT = "250MB"
"""Python and the readers of DuckDB come on top: 0.3 GB at a million events, 0.65 GB at a hundred million."""
ROWS_AT_A_TIME = 100_000
REJECTED_AT_A_TIME = 1_000
SORTED_AT_A_TIME = 500_000
SORTED_BYTES = 32 * 1024 * 1024
"""About how many events, and how much text of rejected records, are sorted together."""
OF_A_SOURCE = 2**40
"""More records than a source can have: their numbers follow those of the source before."""
_UNSORTED = "rejected.parquet"
_QUARANTINE = ("source", "record", "event_type", "reason", "raw")


def convert_events(
    source: Any,  # noqa: ANN401 - as load_events
    directory: str | os.PathLike[str],
    *,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    memory_limit: str = MEMORY_LIMIT,
    append: bool = False,
) -> pd.DataFrame:
    """Convert telemetry to validated Parquet, one file per event type, within bounded memory.

    What is written is what ``load_events`` would give, and ``load_events(directory)`` gives just that: the events by
    type in the order of time, the quarantine, the audit and what was seen beside. The events never are in memory as a
    whole: DuckDB sorts and finds duplicates on disk where they do not fit.

    Parameters
    ----------
    source
        As for ``load_events``; a log that was saved or converted before is copied, from ``since`` up to the cutoff.
    directory
        Where to write; an event log that lies there is replaced. Nothing is left there when the source cannot be used.
    since, cutoff
        As for ``load_events``.
    memory_limit
        How much memory DuckDB may use, such as ``"512MB"`` or ``"4GB"``; Python and the text of one line come on top.
    append
        Add to the event log in the directory what it does not have yet, as from daily exports: files that are in it as
        they are now are not read again. What comes of it is what converting all sources at once gives, in the order in
        which they were added, and ``since`` and ``cutoff`` hold for all of it. A log that is to be added to later is
        written with ``append`` as well: it remembers how its events came, which takes a fifth more
        time and more than twice the space.

    Returns
    -------
    pandas.DataFrame
        The audit, as ``EventLog.audit``.

    Raises
    ------
    SourceError
        Where the source cannot be used, or the directory cannot be written, or holds files of another kind or a log to
        which nothing can be added.
    ParameterError
        Where ``since`` or ``cutoff`` is no point in time, or ``memory_limit`` no amount of memory or too little.

    Examples
    --------
    >>> import tempfile
    >>> import telemetry_kit as tk
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     audit = tk.convert_events(tk.samples() / "recorded-autumn", folder)
    ...     log = tk.load_events(folder)
    >>> int(audit["n_incident"].sum()) == len(log.incident)
    True
    """
    first, until = engine.moments(since, cutoff)
    target = output.path_of("directory", directory)
    check_target(target, source)
    if append:
        if is_saved(source):
            raise SourceError("source: an event log cannot be added to another one, expected files as they were sent")
        earlier = earlier_log(target)
        # A store of scan_events is written once more, as a log whose sources need not stay.
        if earlier and is_added_to(target) and earlier.has_all(source, first, until):
            return earlier.audit
    with written(target) as made, temporary.scratch() as folder:
        if is_saved(source):
            return _copy(Path(source), made, first, until, memory_limit)
        wanted = _Wanted(first, until, memory_limit, append, is_store=False)
        return _convert(source, made, folder, wanted, target if append else None)


def fill_store(
    source: Any,  # noqa: ANN401 - as load_events
    store: Path,
    memory_limit: str,
    *,
    remembers: bool,
) -> None:
    """Convert a source into a store; of one that ``remembers``, only files that have come behind the others are read.

    To remember how events came takes a fifth more time and more than twice the space.

    Raises
    ------
    SourceError
        Where the store cannot be written, or is a log that files were added to which the source does not have any more.
    """
    check_target(store, source)
    check_nothing_lost(store, source)
    with written(store) as made, temporary.scratch() as folder:
        # A log that files were added to stays one: what it holds may be nowhere else.
        wanted = _Wanted(None, None, memory_limit, remembers, is_store=not is_added_to(store))
        _convert(source, made, folder, wanted, store if remembers and goes_on(store, source) else None)


class _Wanted(NamedTuple):
    """The bounds of a log, how much memory DuckDB may use, whether it remembers how its events came, and for whom.

    A store of ``scan_events`` follows its source; a log that is no such store keeps what was added to it.
    """

    since: pd.Timestamp | None
    until: pd.Timestamp | None
    memory_limit: str
    remembers: bool
    is_store: bool


def _convert(
    source: Any,  # noqa: ANN401 - as load_events
    made: Path,
    folder: Path,
    wanted: _Wanted,
    added_to: Path | None,
) -> pd.DataFrame:
    """Convert a source into the directory ``made``, with what the log in ``added_to`` has, if one is there."""
    since, until, memory_limit, remembers, is_store = wanted
    earlier = None if added_to is None else earlier_log(added_to)
    closing = contextlib.closing(_connection(folder, memory_limit))
    with closing as connection, connections.within_memory(memory_limit):
        files = input_files(source)
        new = files if earlier is None else earlier.new_files(files)
        # Told before they are read, so that a file which changes meanwhile is not taken for unchanged.
        inputs = [*(earlier.inputs if earlier else []), *describe_files(new)]
        more: dict[str, Any] = {"version": importlib.metadata.version("telemetry-kit"), "inputs": inputs}
        is_new = {path for _, path in new}.__contains__
        with own_disk(), _quarantine(folder) as quarantine:
            intake = (NumberedIntake if remembers else Intake)(connection, quarantine.append)
            if earlier:
                earlier.restore(intake)
            take(intake, source, folder, is_new)
            if earlier:
                earlier.add_beside(intake)
            settle(intake, lambda finder: take(finder, source, folder, is_new))
        if isinstance(intake, NumberedIntake):
            told = {"asked": asked(since, until), "is_store": is_store}
            more["arrived"] = write_arrived(intake, made / ARRIVED) | told
        with own_disk():
            order_ties(connection)
        before = earlier.folder / "quarantine.parquet" if earlier else None
        _sort_quarantine(intake, folder / _UNSORTED, before, made / "quarantine.parquet")
        moment = engine.last_moment(newest(intake), since) if until is None else until
        for event_type, (cells, where) in typed_cells(intake, since, moment).items():
            _write(intake, event_type, cells, where, made)
        audit = make_audit(intake, since, moment)
        audit.to_parquet(made / "audit.parquet", index=False)
        make_seen(intake).to_parquet(made / "seen.parquet", index=False)
        others, known = last_others(intake), earlier.mark["others_us"] if earlier else {}
        others_us = {server: max(others.get(server, 0), known.get(server, 0)) for server in sorted({*others, *known})}
    write_mark(made, since, moment, others_us=others_us, **more)
    return audit


@contextlib.contextmanager
def written(target: Path) -> Iterator[Path]:
    """Give a directory to write a log in, which takes the place of an earlier one at the end."""
    try:
        with (
            output.held(target, lambda fault: SourceError(f"directory: {output.named(target)}: {fault}")),
            output.new_directory(target) as made,
        ):
            yield made
            output.put_in_place(made, target, own_files(), MARK)
    except Exception as error:
        if not is_of_disk(error):
            raise
        if target.parent.name.startswith(temporary.PREFIX):
            # A log that a report is made from: nobody asked for that directory.
            with own_disk():
                raise
        raise ResourceError(f"directory: {output.named(target)} cannot be written: {why(error)}") from None


def _copy(
    saved: Path, made: Path, since: pd.Timestamp | None, until: pd.Timestamp | None, memory_limit: str
) -> pd.DataFrame:
    with temporary.scratch() as folder:
        closing = contextlib.closing(_connection(folder, memory_limit))
        with closing as connection, connections.within_memory(memory_limit):
            log = open_store(connection, saved, since, until)
            log.save(made)
    return log.audit


def check_target(target: Path, source: Any) -> None:  # noqa: ANN401 - as load_events
    """See, before hours of work, that the result can be put in place, and that nothing else is lost by it.

    Raises
    ------
    SourceError
        Where the directory is a file, holds other files than those of an event log, or the source itself.
    """
    if target.exists() and not target.is_dir():
        raise SourceError(f"directory: {output.named(target)} is a file, expected a directory")
    if not target.is_dir():
        return
    output.settle(target)
    found = {path.name for path in target.iterdir() if not output.is_passing(path.name)}
    if foreign := sorted(found - own_files()) or (sorted(found) if found and MARK not in found else []):
        raise SourceError(
            f"directory: {output.named(target)} holds other files, such as {foreign[0]!r}, expected an empty directory "
            "or an event log"
        )
    inside = target.resolve()
    if any(inside in path.resolve().parents for _, path in input_files(source)) or is_same(source, target):
        raise SourceError(f"directory: {output.named(target)} holds the source, expected another directory")


def is_same(source: object, target: Path) -> bool:
    """Tell whether a source is the very directory that is to be written."""
    return isinstance(source, (str, os.PathLike)) and Path(source).exists() and Path(source).samefile(target)


def _connection(folder: Path, memory_limit: str) -> duckdb.DuckDBPyConnection:
    connection = connections.connect(folder / "events.duckdb")
    connections.limit_memory(connection, memory_limit)
    # It is thrown away with its folder: what it holds need not be put in order when it is closed.
    connection.execute("PRAGMA disable_checkpoint_on_shutdown")
    connection.execute(f"SET temp_directory = {quote_literal(str(folder / 'spill'))}")
    return connection


class _Quarantine:
    """The file of the rejected records, written a batch at a time."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.rows: list[dict[str, Any]] = []
        types = {"source": pa.int32(), "record": pa.int64(), "place": pa.int64()}
        self.schema = pa.schema([(column, types.get(column, pa.string())) for column in (*_QUARANTINE, "place")])
        self.writer = pq.ParquetWriter(path, self.schema, compression="zstd")

    def append(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        if len(self.rows) >= REJECTED_AT_A_TIME:
            self.flush()

    def flush(self) -> None:
        import pyarrow as pa

        for row in self.rows:
            row["place"] = row["source"] * OF_A_SOURCE + row["record"]
            # A text that is not quite UTF-16 either (a lone surrogate) has no place in an Arrow column.
            row["raw"] = row["raw"].encode("utf-8", "replace").decode()
        self.writer.write_table(pa.Table.from_pylist(self.rows, self.schema))
        self.rows.clear()


@contextlib.contextmanager
def _quarantine(folder: Path) -> Iterator[_Quarantine]:
    quarantine = _Quarantine(folder / _UNSORTED)
    try:
        yield quarantine
        quarantine.flush()
    finally:
        quarantine.writer.close()


def _sort_quarantine(intake: Intake, rejected: Path, before: Path | None, path: Path) -> None:
    """Write the rejected records, those of before first, in the order of their sources, whose numbers become names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    connection = intake.connection
    names = pa.table({"number": pa.array(range(len(intake.names)), pa.int32()), "name": pa.array(intake.names)})
    connection.register("names", names)
    file = f"read_parquet({quote_literal(str(rejected))}, file_row_number=true)"
    ((n_bytes,),) = connection.execute(f"SELECT COALESCE(sum(strlen(raw)), 0) FROM {file}").fetchall()
    cells = "record, event_type, reason, raw"
    queries = [
        f"SELECT name AS source, {cells} FROM {file} AS rejected JOIN names ON number = rejected.source WHERE {part} "
        "ORDER BY place, file_row_number"
        for part in _parts(connection, file, "place", n_bytes // SORTED_BYTES + 1, "place >= {}")
    ]
    if before is not None:
        queries.insert(0, f"SELECT source, {cells} FROM read_parquet({quote_literal(str(before))})")
    types = {"record": pa.int64()}
    schema = pa.schema([(column, types.get(column, pa.string())) for column in _QUARANTINE])
    with pq.ParquetWriter(path, schema, compression="zstd", store_schema=False) as writer:
        for query in queries:
            with contextlib.closing(connection.sql(query).to_arrow_reader(REJECTED_AT_A_TIME)) as reader:
                for batch in reader:
                    writer.write_batch(batch)
    connection.unregister("names")


def _write(intake: Intake, event_type: schemas.EventType, cells: str, where: str, folder: Path) -> None:
    """Write the events of a type in the order of time, and see, a part at a time, that they pass their model."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with contextlib.ExitStack() as stack:
        writer: Any = None
        for period in _periods(intake, where):
            query = f"SELECT {cells} FROM events WHERE {where} AND {period} ORDER BY event_timestamp, {ARRIVAL}"
            with contextlib.closing(intake.connection.sql(query).to_arrow_reader(ROWS_AT_A_TIME)) as reader:
                if writer is None:
                    path = folder / f"{event_type}.parquet"
                    # Without the schema of Arrow, in which categories are no text.
                    opened = pq.ParquetWriter(path, reader.schema, compression="zstd", store_schema=False)
                    writer = stack.enter_context(opened)
                for batch in reader:
                    events = pa.Table.from_batches([batch])
                    part = engine.arrow_to_pandas(_encoded(events, event_type), keep_categories=True)
                    schemas.MODELS[event_type].validate(schemas.with_categories(part, event_type), lazy=True)
                    writer.write_table(events)


def _periods(intake: Intake, where: str) -> list[str]:
    """Return SQL for periods of about as many events each as are sorted in memory, in their order."""
    ((n_events,),) = intake.connection.execute(f"SELECT count(*) FROM events WHERE {where}").fetchall()
    begins = "event_timestamp >= make_timestamptz({})"
    rows = f"events WHERE {where}"
    return _parts(intake.connection, rows, "epoch_us(event_timestamp)", n_events // SORTED_AT_A_TIME + 1, begins)


def _parts(connection: duckdb.DuckDBPyConnection, rows: str, value: str, n_parts: int, begins: str) -> list[str]:
    """Return SQL for about so many parts of rows in the order of a value; ``begins`` tells what begins with one."""
    if n_parts == 1:
        return ["true"]
    shares = ", ".join(str(k / n_parts) for k in range(1, n_parts))
    ((ends,),) = connection.execute(f"SELECT approx_quantile({value}, [{shares}]::FLOAT[]) FROM {rows}").fetchall()
    begun = [begins.format(end) for end in sorted(set(ends))]
    return [f"NOT {begun[0]}", *(f"{a} AND NOT {b}" for a, b in itertools.pairwise(begun)), begun[-1]]


def _encoded(events: pa.Table, event_type: schemas.EventType) -> pa.Table:
    """Return events with their categories as such: Arrow finds these in a tenth of the time that pandas takes."""
    for place, field in enumerate(schemas.fields_of(event_type)):
        if field.kind == "category":
            events = events.set_column(place, field.column, events[field.column].dictionary_encode())
    return events
