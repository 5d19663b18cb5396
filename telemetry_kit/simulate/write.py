"""Simulations written to files, in chunks, with their truth beside them."""

from __future__ import annotations

import contextlib
import gzip
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from telemetry_kit import engine
from telemetry_kit.simulate.columns import Columns, concatenate, n_rows, number_in_group, take
from telemetry_kit.simulate.delivery import INVALID_BYTE, LOST, deliver
from telemetry_kit.simulate.model import UNKNOWN, event_batches
from telemetry_kit.simulate.parameters import Faults, Parameters, check_container, check_era, check_size
from telemetry_kit.simulate.population import utc_offset_us
from telemetry_kit.simulate.wire import describe, line_query

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from telemetry_kit.simulate.parameters import Container, Era

ROWS_PER_CHUNK = 100_000
SORT_MEMORY = "1GB"


def staged(
    folder: Path, parameters: Parameters, era: Era, container: Container, faults: Faults, *,
    n_events: int | None, n_servers: int | None, seed: int,
) -> Path:  # fmt: skip
    """Run the model and the delivery, batch by batch, and leave all records, in no order, in a Parquet file."""
    path, n_seen = folder / "records.parquet", 0
    with contextlib.ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        batches = event_batches(parameters, era, n_events=n_events, n_servers=n_servers, seed=seed)
        for number, (servers, events) in enumerate(batches):
            rng = np.random.default_rng([seed, number, 1])
            records = deliver(rng, events, servers, faults, container, first_event=n_seen)
            local = records["server"] - servers["server"][0]
            records["offset_us"] = utc_offset_us(servers, local, records["clock_us"])
            records["address"] = servers["address"][local]
            table = pa.table(records)
            if writer is None:
                writer = stack.enter_context(pq.ParquetWriter(path, table.schema, compression="lz4"))
            writer.write_table(table)
            n_seen += n_rows(events) + n_rows(records)
    return path


def chunks(path: Path, n_events: int | None, *, by_body: bool) -> Iterator[Columns]:
    """Read the staged records in order of arrival, those after the last of ``n_events`` events left out.

    Adds ``record`` (the number of the line on which it stands, 0 for those that do not arrive) and, where a line
    holds a body, ``position`` in it. A body is never split between chunks.
    """
    connection = engine.connect()
    connection.execute(f"SET memory_limit = '{SORT_MEMORY}'")
    connection.execute("SET temp_directory = ?", [str(path.parent)])
    where = ""
    if n_events is not None:
        tracked = f"SELECT time_us, event FROM '{path}' WHERE copy = 0 AND kind <> {UNKNOWN} AND NOT is_paused"
        last = connection.execute(f"{tracked} ORDER BY time_us, event LIMIT 1 OFFSET {n_events - 1}").fetchall()[0]
        where = f"WHERE (time_us, event) <= {last}"
    sorted_rows = f"SELECT * FROM '{path}' {where} ORDER BY arrival_us, body, copy, event"
    n_lines, rest = 0, None
    for batch in connection.sql(sorted_rows).to_arrow_reader(ROWS_PER_CHUNK):
        read = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in batch.schema.names}
        whole = read if rest is None else concatenate([rest, read])
        rest, whole = _split(whole) if by_body else (None, whole)
        n_lines = _number_lines(whole, n_lines, by_body=by_body)
        yield whole
    if rest is not None:
        _number_lines(rest, n_lines, by_body=by_body)
        yield rest


def _split(records: Columns) -> tuple[Columns, Columns]:
    """Take the rows of the last body apart from those before it."""
    last = (records["body"] == records["body"][-1]) & (records["copy"] == records["copy"][-1])
    return take(records, last), take(records, ~last)


def _number_lines(records: Columns, n_lines: int, *, by_body: bool) -> int:
    arrives = np.flatnonzero(records["fate"] < LOST)
    line = np.arange(arrives.size) + 1
    if by_body:
        unit = records["body"][arrives] * 4 + records["copy"][arrives]
        line = np.cumsum(np.diff(unit, prepend=-1) != 0)
        records["position"] = np.zeros(n_rows(records), dtype=np.int64)
        records["position"][arrives] = number_in_group(line)
    records["record"] = np.zeros(n_rows(records), dtype=np.int64)
    records["record"][arrives] = n_lines + line
    return n_lines + int(line[-1]) if line.size else n_lines


def write_lines(file: IO[bytes], lines: pa.ChunkedArray, *, is_damaged: bool) -> None:
    """Write lines as they lie in memory."""
    for chunk in lines.chunks:
        offsets = np.frombuffer(chunk.buffers()[1], dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        data = memoryview(chunk.buffers()[2])[offsets[0] : offsets[-1]]
        file.write(bytes(data).replace(INVALID_BYTE.encode(), b"\xff") if is_damaged else data)


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
) -> None:
    """Write simulated events to a file, as they would have arrived."""
    parameters, faults = parameters or Parameters(), faults or Faults()
    check_size(n_events, n_servers, seed)
    check_era(era)
    check_container(container)
    by_body, is_damaged = container == "batch-bodies", faults.damaged > 0
    query = line_query(era, container, is_damaged=is_damaged)
    with tempfile.TemporaryDirectory(prefix="telemetry-kit-") as folder, _open(Path(path)) as file:
        records = staged(
            Path(folder), parameters, era, container, faults, n_events=n_events, n_servers=n_servers, seed=seed
        )
        connection = engine.connect()
        for chunk in chunks(records, n_events, by_body=by_body):
            described = describe(chunk, era, container, seed)
            described = described.append_column("record", pa.array(chunk["record"], mask=chunk["record"] == 0))
            if by_body:
                described = described.append_column("position", pa.array(chunk["position"]))
            connection.register("described", described)
            write_lines(file, connection.sql(query).to_arrow_table()["line"], is_damaged=is_damaged)


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.GzipFile(path, "wb", mtime=0)
    if path.suffix == ".zst":
        return pa.CompressedOutputStream(str(path), "zstd")
    return path.open("wb")
