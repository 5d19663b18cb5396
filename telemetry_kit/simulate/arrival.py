"""From the model to the order of arrival: all records through a file on disk, so that memory stays what it is."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from telemetry_kit.schemas.names import quote_literal
from telemetry_kit.simulate import text
from telemetry_kit.simulate.columns import concatenate, n_rows, number_in_group, take
from telemetry_kit.simulate.delivery import LOST, deliver
from telemetry_kit.simulate.model import UNKNOWN, event_batches
from telemetry_kit.simulate.parameters import COMPLETERS
from telemetry_kit.simulate.population import ZONES, utc_offset_us
from telemetry_kit.simulate.wire import server_ids

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

    from telemetry_kit.simulate.columns import Columns
    from telemetry_kit.simulate.parameters import Plan

ROWS_PER_CHUNK = 100_000


def stage_records(plan: Plan, records_path: Path, servers_path: Path) -> None:
    """Run the model and the delivery, batch by batch, and leave all records, unsorted, and all servers in files."""
    n_numbered = 0
    with contextlib.ExitStack() as stack:
        writers: list[pq.ParquetWriter] = []
        for number, (servers, events) in enumerate(event_batches(plan)):
            rng = np.random.default_rng([plan.seed, number, 1])
            records = deliver(rng, plan, servers, events, first_event=n_numbered)
            n_numbered += n_rows(records)
            local = records["server"] - servers["server"][0]
            records["offset_us"] = utc_offset_us(servers, local, records["clock_us"])
            records["address"] = servers["address"][local]
            tables = [pa.table(records), _describe_servers(servers, plan.seed)]
            if not writers:
                paths = (records_path, servers_path)
                writers = [
                    stack.enter_context(pq.ParquetWriter(path, table.schema, compression="lz4"))
                    for path, table in zip(paths, tables, strict=True)
                ]
            for writer, table in zip(writers, tables, strict=True):
                writer.write_table(table)


def _describe_servers(servers: Columns, seed: int) -> pa.Table:
    paused = servers["pause_end_us"] > 0
    moments = {
        name: pa.array(servers[f"pause_{end}_us"], mask=~paused).cast(pa.timestamp("us", tz="UTC"))
        for name, end in (("paused_from", "start"), ("paused_until", "end"))
    }
    shares = {f"share_{name}": servers["completer_shares"][:, column] for column, name in enumerate(COMPLETERS)}
    return pa.table(
        {"server_id": server_ids(seed, servers["server"]), "zone": text.choose(list(ZONES), servers["zone"])}
        | {name: servers[name] for name in ("n_users", "n_teams", "n_nodes", "size", "dwell_factor", "in_group")}
        | shares
        | moments
    )


def select_events(connection: duckdb.DuckDBPyConnection, path: Path, n_events: int | None) -> None:
    """Make the view ``staged`` of the records in ``path``; those after the last of ``n_events`` events left out."""
    staged = quote_literal(path.as_posix())
    where = ""
    if n_events is not None:
        last = connection.execute(
            f"SELECT time_us, event FROM {staged} WHERE copy = 0 AND kind <> {UNKNOWN} AND NOT is_paused "
            f"ORDER BY time_us, event LIMIT 1 OFFSET {n_events - 1}"
        ).fetchall()[0]
        where = f"WHERE (time_us, event) <= {last}"
    connection.execute(f"CREATE VIEW staged AS SELECT * FROM {staged} {where}")


def chunks_in_order(connection: duckdb.DuckDBPyConnection, *, by_body: bool) -> Iterator[Columns]:
    """Read ``staged`` in order of arrival.

    Adds ``arrival`` (0, 1, …), ``line`` (the line on which a record stands, counted from 1 over all files; 0 where it
    does not arrive) and ``position`` in that line's body. A body is never split between chunks.
    """
    in_order = "SELECT * FROM staged ORDER BY arrival_us, body, copy, event"
    n_records, n_lines = 0, 0
    rest: Columns | None = None
    for batch in connection.sql(in_order).to_arrow_reader(ROWS_PER_CHUNK):
        chunk = {name: batch.column(name).to_numpy(zero_copy_only=False) for name in batch.schema.names}
        if rest is not None:
            chunk = concatenate([rest, chunk])
        if by_body:
            rest, chunk = _split(chunk)
        n_records, n_lines = _number(chunk, n_records, n_lines, by_body=by_body)
        yield chunk
    if rest is None and not n_records:
        empty = connection.sql("SELECT * FROM staged LIMIT 0").to_arrow_table()
        rest = {name: empty.column(name).to_numpy() for name in empty.column_names}
    if rest is not None:
        _number(rest, n_records, n_lines, by_body=by_body)
        yield rest


def _split(records: Columns) -> tuple[Columns, Columns]:
    """Take the rows of the last body apart from those before it."""
    last = (records["body"] == records["body"][-1]) & (records["copy"] == records["copy"][-1])
    return take(records, last), take(records, ~last)


def _number(records: Columns, n_records: int, n_lines: int, *, by_body: bool) -> tuple[int, int]:
    """Give numbers to the records and the lines on which they stand; return how many there are so far."""
    records["arrival"] = n_records + np.arange(n_rows(records))
    records["line"] = np.zeros(n_rows(records), dtype=np.int64)
    records["position"] = np.zeros(n_rows(records), dtype=np.int64)
    arrives = np.flatnonzero(records["fate"] < LOST)
    line = np.arange(arrives.size) + 1
    if by_body:
        body = records["body"][arrives] * 4 + records["copy"][arrives]
        line = np.cumsum(np.diff(body, prepend=-1) != 0)
        records["position"][arrives] = number_in_group(line)
    records["line"][arrives] = n_lines + line
    return n_records + n_rows(records), n_lines + int(line.max(initial=0))
