"""A process of its own that reads table files: hostile bytes can crash a reader in C, and take nobody along.

Each line of standard input asks for one file, ``{"path", "form"}``. The answer on standard output is a sequence of
messages, each a line of JSON, a batch with as many bytes of an Arrow stream behind it:

- ``{"table": name, "columns": [...], "generated": [...]}`` begins a table (null where the file has just one);
- ``{"batch": n_bytes}`` gives rows that can be read, ``{"refused": [row, reason, raw]}`` tells one that cannot, and
  ``{"unread": [row, n, reason]}`` tells several of which nothing is known;
- ``{"view": name}`` names a view; ``{"broken": reason}`` tells why a file cannot be opened; ``{"end": true}`` ends.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from telemetry_kit.ingest.formats.parquet import Unread

MEMORY = 1024 * 1024 * 1024
"""How much memory a reader may take on top of what it has when it begins."""


def serve() -> None:
    """Answer requests until there are no more."""
    # What a reader in C prints must not stand among the answers.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    is_limited = False
    for request in sys.stdin:
        asked = json.loads(request)
        if not is_limited:
            limit_memory(asked["form"])
            is_limited = True
        for message, payload in _answers(Path(asked["path"]), asked["form"]):
            out.write(json.dumps(message).encode() + b"\n")
            out.write(payload)
            out.flush()
        out.write(b'{"end": true}\n')
        out.flush()


def limit_memory(form: str) -> None:
    """Let a file that asks for too much memory be an error, and not the end of the machine."""
    # What every reader needs is loaded first, so that the limit is on top of it.
    import pyarrow as pa
    import pyarrow.parquet

    if form == "duckdb":
        import duckdb  # noqa: F401

    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_cpu_count(1)
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows has no such limit
        return
    if sys.platform == "linux":
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        wanted = used + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard < 0 else min(wanted, hard), hard))


def _answers(path: Path, form: str) -> Iterator[tuple[dict[str, Any], bytes | memoryview]]:
    from telemetry_kit.ingest.opening import why

    try:
        if form == "duckdb":
            yield from _database(path)
        else:
            from telemetry_kit.ingest.formats import parquet

            is_parquet = form == "parquet"
            names = (parquet.parquet_names if is_parquet else parquet.arrow_names)(path)
            yield {"table": None, "columns": names, "generated": []}, b""
            yield from _rows((parquet.parquet_batches if is_parquet else parquet.arrow_batches)(path), names)
    except Exception as error:  # noqa: BLE001 - whatever a reader raises, it is the damage of this file alone
        yield {"broken": why(error)}, b""


def _database(path: Path) -> Iterator[tuple[dict[str, Any], bytes | memoryview]]:
    from telemetry_kit.ingest.formats import duckdb_file

    connection = duckdb_file.open_database(path)
    try:
        for table in duckdb_file.base_tables(connection):
            names = [column for column, _ in table.columns]
            yield {"table": table.name, "columns": names, "generated": table.generated}, b""
            yield from _rows(duckdb_file.table_batches(connection, table), names)
        for view in duckdb_file.list_views(connection):
            yield {"view": view}, b""
    finally:
        connection.close()


def _rows(
    batches: Iterable[tuple[int, pa.RecordBatch] | Unread], names: list[str]
) -> Iterator[tuple[dict[str, Any], bytes | memoryview]]:
    import pyarrow as pa

    from telemetry_kit.ingest.formats.cells import Refused, readable
    from telemetry_kit.ingest.formats.parquet import Unread

    for part in batches:
        if isinstance(part, Unread):
            yield {"unread": list(part)}, b""
            continue
        first, batch = part
        # A database tells in a last column what is wrong with a row.
        told = batch.column(len(names)) if batch.num_columns > len(names) else None
        for piece in readable(batch.select(list(range(len(names)))), names, first, told):
            if isinstance(piece, Refused):
                yield {"refused": list(piece)}, b""
                continue
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, piece.schema) as stream:
                stream.write_batch(piece)
            payload = sink.getvalue()
            yield {"batch": payload.size}, memoryview(payload)
