"""Simulations in memory and in files, with their truth beside them."""

from __future__ import annotations

import contextlib
import gzip
import itertools
import json
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from telemetry_kit import output, temporary
from telemetry_kit.engine import DAY_US, connections
from telemetry_kit.errors import ParameterError, ResourceError
from telemetry_kit.simulate.arrival import chunks_in_order, select_events, stage_records
from telemetry_kit.simulate.columns import SECOND_US
from telemetry_kit.simulate.delivery import INVALID_BYTE, LOST
from telemetry_kit.simulate.parameters import Faults, Parameters, Plan
from telemetry_kit.simulate.text import choose
from telemetry_kit.simulate.truth import SUMMARY, TABLES, asked_of, read_truth, records_query, write_tables
from telemetry_kit.simulate.wire import describe, line_query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import duckdb

    from telemetry_kit.simulate.columns import Columns
    from telemetry_kit.simulate.parameters import Container, Era
    from telemetry_kit.simulate.truth import Simulation

TOP = "rudder-logs"
"""The folder in which object storage keeps all events."""
STORAGE_SOURCE = "1kQpZ3bVn8rTt5uWf2XyYc7dHgA"
"""The name of the source in the folders of object storage, as in the recordings."""
TRUTH_FILES = {SUMMARY, *(f"{table}.parquet" for table in TABLES)}
"""All that the folder of a truth holds."""
GZIP_LEVEL = 3
MEMORY_LIMIT = "512MB"
"""What sorting and summing up may hold in memory each; the rest goes through the disk."""


class _Files(NamedTuple):
    """The files of a log in order of arrival: their names, from when each holds records, and the lines before it."""

    names: list[str]
    since_us: list[int]
    lines_before: list[int]


def simulate_log(
    parameters: Parameters | None = None,
    *,
    n_events: int | None = None,
    n_servers: int | None = None,
    seed: int = 0,
    era: Era = "oct2020",
    faults: Faults | None = None,
) -> Simulation:
    """Simulate an event log in memory: the frames that a load would return, and their truth.

    Parameters
    ----------
    parameters
        The model; None: its defaults.
    n_events
        So many events in order of time; as many servers as that takes.
    n_servers
        So many servers, and all their events in ``parameters.days``. Exactly one of the two sizes is given.
    seed
        The same seed gives the same log.
    era
        ``"prev"``, ``"oct2020"`` or ``"later"``; ``"change"``: from the second to the third, at a time of its own on
        each server.
    faults
        What delivery does to the events; None: nothing.

    Returns
    -------
    Simulation
        With the frames ``incident``, ``tasks`` and ``playbook``, and the truth.

    Raises
    ------
    ParameterError
        Where a size, the seed or the era is not one.

    Examples
    --------
    >>> from telemetry_kit.simulate import Parameters, simulate_log
    >>> log = simulate_log(Parameters(days=30), n_servers=5, seed=1)
    >>> log.servers["server_id"].nunique()
    5
    """
    plan = Plan(n_events, n_servers, seed, era, "batch-bodies", parameters or Parameters(), faults or Faults())
    with temporary.scratch() as folder:
        _simulate(plan, folder, None)
        return read_truth(folder)


def write_simulation(
    path: str | Path,
    parameters: Parameters | None = None,
    *,
    n_events: int | None = None,
    n_servers: int | None = None,
    seed: int = 0,
    era: Era = "oct2020",
    container: Container = "object-storage",
    faults: Faults | None = None,
) -> pd.DataFrame:
    """Write simulated events as they would have arrived, and their truth beside them.

    Memory does not grow with the number of events: they go through the disk, in chunks. The same arguments give the
    same bytes.

    Parameters
    ----------
    path
        A file, compressed where its name ends in ``.gz`` or ``.zst``; or, for object storage, a folder (a name
        without a suffix), in which the events lie as the storage keeps them: a file for each day they arrived on.
        The truth goes to the folder ``NAME.truth`` beside it, for ``read_truth``. An earlier simulation of the same
        ``path`` is replaced, and nothing else: ``NAME.jsonl`` and ``NAME.csv`` can lie side by side where both hold the
        same simulation.
    parameters
        The model; None: its defaults.
    n_events
        So many events in order of time, before delivery; as many servers as that takes.
    n_servers
        So many servers, and all their events in ``parameters.days``. Exactly one of the two sizes is given.
    seed
        The same seed gives the same log.
    era
        ``"prev"``, ``"oct2020"`` or ``"later"``; ``"change"``: from the second to the third, at a time of its own on
        each server.
    container
        ``"object-storage"``, ``"batch-bodies"`` or ``"published"``.
    faults
        What delivery does to the events; None: nothing.

    Returns
    -------
    pandas.DataFrame
        The accounts that a load of the path must give: one row per file, with the columns of ``EventLog.audit``.

    Raises
    ------
    ParameterError
        Where a size, the seed, the era or the container is not one, a folder is given for another container, or what
        lies at ``path`` or in ``NAME.truth`` is not of an earlier simulation of the same ``path``.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from telemetry_kit.simulate import Faults, write_simulation
    >>> with TemporaryDirectory() as folder:
    ...     audit = write_simulation(Path(folder) / "events.jsonl.gz", n_events=1000, faults=Faults(lost=0.1))
    >>> bool(audit["n_read"].sum() < 1000)
    True
    """
    expected = "the name of a file or folder"
    path = output.path_of("path", path, expected)
    if path.name in {"", ".."}:
        raise ParameterError("path", str(path), expected)
    plan = Plan(n_events, n_servers, seed, era, container, parameters or Parameters(), faults or Faults())
    if not path.suffix and container != "object-storage":
        raise ParameterError("path", str(path), f"a file name with a suffix such as .jsonl for {container}")
    # The dot of a hidden name is part of it, so that two of them do not share one truth.
    truth = path.with_name(path.name[0] + path.name[1:].split(".")[0] + ".truth")

    def refuse(fault: str) -> ParameterError:
        return ParameterError("path", str(path), f"a place of its own: {fault}")

    with _own_errors(path), output.held(truth, refuse), output.new_directory(truth) as known:
        # A kill may have left two places to be put right; what lies in the one is moved from the other.
        temporary.remove_dead(path.parent, output.PREFIX)
        _check_earlier(path, truth, plan)
        if path.exists() and not path.is_file() and path.suffix:
            audit = _simulate(plan, known, path, path)
            output.put_in_place(known, truth, [], SUMMARY)
            return audit
        place = path.parent if path.suffix else path
        with (
            contextlib.nullcontext() if path.suffix else output.held(path, refuse),
            output.new_directory(place, steps_of=truth) as made,
        ):
            new = made / path.name if path.suffix else made
            audit = _simulate(plan, known, path, new)
            if path.suffix:
                new.chmod(output.mode_of(path))
                beside = [(new, path)]
            else:
                (made / TOP).mkdir(exist_ok=True)
                beside = [(made / TOP, path / TOP)]
            output.put_in_place(known, truth, [], SUMMARY, beside)
    return audit


@contextlib.contextmanager
def _own_errors(path: Path) -> Iterator[None]:
    """Say in one line that something cannot be written."""
    import duckdb

    try:
        yield
    except (OSError, duckdb.IOException) as error:
        fault = " ".join((getattr(error, "strerror", None) or str(error)).split())
        raise ResourceError(f"path: {path.name!r} cannot be written: {fault}") from None


def _check_earlier(path: Path, truth: Path, plan: Plan) -> None:
    """See that nothing is replaced but an earlier simulation of the same name, which its truth tells."""
    known = _known_sources(path, truth, plan)
    if path.is_file() and known is None:
        raise ParameterError("path", str(path), "a new file, or the one of an earlier simulation")
    if path.suffix or not (path / TOP).exists():
        return
    found = {file.relative_to(path).as_posix() for file in (path / TOP).rglob("*") if not file.is_dir()}
    if strange := sorted(found - set(known or [])):
        raise ParameterError(
            "path", str(path), f"a new folder, or the one of an earlier simulation; it holds {strange[0]!r}"
        )


def _known_sources(path: Path, truth: Path, plan: Plan) -> list[str] | None:
    """Return the files of the simulation whose truth lies there, none where none lies there.

    Raises
    ------
    ParameterError
        Where the folder holds anything but the truth of an earlier simulation, or that of another file which is there
        and of which it would not be true any more.
    """
    found = {file.name for file in truth.iterdir() if not output.is_passing(file.name)}
    if not found:
        return None
    sources = _sources_told(truth)
    if foreign := sorted(found - TRUTH_FILES) or (sorted(found) if sources is None else []):
        raise ParameterError(
            "path", str(path), f"a name of its own: {truth.name!r} holds {foreign[0]!r}, which is of no simulation"
        )
    assert sources is not None
    # A file is told by its name, and a folder by the files in it, of which there may be none.
    of_folder = all(source.startswith(f"{TOP}/") for source in sources)
    is_other = (sources != [path.name]) if path.suffix else not of_folder
    place = path.with_name(truth.stem if of_folder else sources[0])
    if is_other and place.exists() and not _is_of_plan(truth, plan):
        other = f"the folder {truth.stem!r}" if of_folder else repr(sources[0])
        raise ParameterError("path", str(path), f"a name of its own: {truth.name!r} holds the truth of {other}")
    return sources


def _is_of_plan(truth: Path, plan: Plan) -> bool:
    """Tell whether a truth is that of a plan, whatever it was written in."""
    told = json.loads((truth / SUMMARY).read_text(encoding="utf-8"))
    asked = json.loads(json.dumps(asked_of(plan)))
    return all(told.get(name) == value for name, value in asked.items() if name != "container")


def _sources_told(truth: Path) -> list[str] | None:
    """Return the files that the summary of a truth names; none where it is not as a simulation writes it."""
    try:
        told = json.loads((truth / SUMMARY).read_text(encoding="utf-8"))
        sources = [str(entry["source"]) for entry in told["audit"]]
    except (OSError, ValueError, LookupError, TypeError):
        return None
    return sources if {"seed", "parameters", "faults"} <= set(told) else None


def _simulate(plan: Plan, truth: Path, path: Path | None, made: Path | None = None) -> pd.DataFrame:
    """Write the events to ``made`` as those of ``path``, if there is one, and what is known to the folder ``truth``."""
    with temporary.scratch() as scratch, contextlib.ExitStack() as stack:
        staged = scratch / "staged.parquet"
        stage_records(plan, staged, truth / "servers.parquet")
        reader, maker = stack.enter_context(connections.connect()), stack.enter_context(connections.connect())
        for connection in (reader, maker):
            connection.execute(f"SET memory_limit = '{MEMORY_LIMIT}'")
            connection.execute("SET temp_directory = ?", [str(scratch)])
        select_events(reader, staged, plan.n_events)
        files = _files(reader, path)
        records: pq.ParquetWriter | None = None
        write = (
            None
            if made is None
            else stack.enter_context(_line_writer(made, files.names, is_damaged=plan.faults.damaged > 0))
        )
        lines_query = line_query(plan)
        for chunk in chunks_in_order(reader, by_body=plan.container == "batch-bodies"):
            arrives = np.flatnonzero(chunk["fate"] < LOST)
            file = np.maximum(np.searchsorted(files.since_us, chunk["arrival_us"], "right") - 1, 0)
            maker.register("described", _placed(describe(chunk, plan), chunk, file, files))
            known = maker.sql(records_query(plan.container)).to_arrow_table()
            if records is None:
                place = truth / "records.parquet"
                records = stack.enter_context(pq.ParquetWriter(place, known.schema, compression="zstd"))
            records.write_table(known)
            if write is not None:
                write(maker.sql(lines_query).to_arrow_table()["line"], file[arrives])
            maker.unregister("described")
        assert records is not None
        records.close()
        return write_tables(maker, truth, plan, files.names)


def _files(reader: duckdb.DuckDBPyConnection, path: Path | None) -> _Files:
    if path is None or path.suffix:
        return _Files(["memory" if path is None else path.name], [np.iinfo(np.int64).min], [0])
    days = reader.execute(
        f"SELECT arrival_us // {DAY_US} AS day, max(arrival_us), count(*) FROM staged WHERE fate < {LOST} "
        "GROUP BY day ORDER BY day"
    ).fetchall()
    names = []
    for day, last_us, _ in days:
        folder = pd.Timestamp(day, unit="D").strftime("%m-%d-%Y")
        made_at, stem = last_us // SECOND_US + 30, f"{STORAGE_SOURCE}.{day:08x}-0000-4000-8000-{last_us:012x}"
        names.append(f"{TOP}/{STORAGE_SOURCE}/{folder}/{made_at}.{stem}.json.gz")
    before = np.cumsum([0, *(count for _, _, count in days)])[:-1]
    return _Files(names, [day * DAY_US for day, _, _ in days], before.tolist())


def _placed(described: pa.Table, chunk: Columns, file: np.ndarray[Any, Any], files: _Files) -> pa.Table:
    """Add where each record stands."""
    absent = chunk["fate"] >= LOST
    before = np.array([*files.lines_before, 0])[file]
    return (
        described.append_column("source", choose(files.names, file, ~absent))
        .append_column("record", pa.array(chunk["line"] - before, mask=absent))
        .append_column("position", pa.array(chunk["position"], mask=absent))
        .append_column("arrival", pa.array(chunk["arrival"]))
        .append_column("arrival_us", pa.array(chunk["arrival_us"]))
        .append_column("copy", pa.array(chunk["copy"]))
    )


@contextlib.contextmanager
def _line_writer(
    path: Path, names: list[str], *, is_damaged: bool
) -> Iterator[Callable[[pa.ChunkedArray, np.ndarray[Any, Any]], None]]:
    """Open what takes lines, each with the number of its file; files come one after the other."""
    with contextlib.ExitStack() as stack:
        paths = [path] if path.suffix else [path / name for name in names]
        # A file is there even if nothing arrives in it.
        current = (0, stack.enter_context(_open(path))) if path.suffix else None

        def write(lines: pa.ChunkedArray, file: np.ndarray[Any, Any]) -> None:
            nonlocal current
            # Lines of bodies are fewer than records; all of them go to one file.
            starts = np.flatnonzero(np.diff(file, prepend=-1))
            for start, end in itertools.pairwise([*starts, len(lines)]):
                number = int(file[start])
                if current is None or current[0] != number:
                    stack.close()
                    paths[number].parent.mkdir(parents=True, exist_ok=True)
                    current = (number, stack.enter_context(_open(paths[number])))
                for data in _bytes_of(lines[start:end]):
                    current[1].write(bytes(data).replace(INVALID_BYTE.encode(), b"\xff") if is_damaged else data)

        yield write


def _open(path: Path) -> contextlib.AbstractContextManager[IO[bytes]]:
    if path.suffix == ".zst":
        return contextlib.closing(pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd"))
    return _gzip(path) if path.suffix == ".gz" else path.open("wb")


@contextlib.contextmanager
def _gzip(path: Path) -> Iterator[Any]:
    # Neither a name nor a time goes into the header, so that equal events are equal bytes.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) as file:
        yield file


def _bytes_of(lines: pa.ChunkedArray) -> Iterator[memoryview]:
    """Give the bytes of the lines as they lie in memory, one after the other."""
    for chunk in lines.chunks:
        if len(chunk):
            _, ends, data = chunk.buffers()
            offsets = np.frombuffer(ends, dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
            yield memoryview(data)[offsets[0] : offsets[-1]]
