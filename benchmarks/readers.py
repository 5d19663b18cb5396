"""How else the events of a file can be read, and how fast a machine can be: the peers of loading, and its limits.

Each is a work of ``benchmarks.works``. None of them checks anything: no unknown key is found, no value is judged, no
event that was delivered twice is told, and what is malformed is passed over without a word.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import duckdb

INTEGERS = ("NumChecklists", "TotalChecklistItems", "ActiveStage", "NumMembers", "NumSlashCommands", "CreateAt")
FLAGS = ("IsActive", "Public", "WasCommander", "WasAssignee", "IsPublic")
TEXTS = (
    *("Action", "UserActualID", "ServerVersion", "PluginVersion", "IncidentID", "CommanderUserID", "TeamID", "PostID"),
    *("NewState", "PlaybookID", "CurrentStatus"),
)
TIMES = ("timestamp", "originalTimestamp")
PROPERTIES = dict.fromkeys(TEXTS, "VARCHAR") | dict.fromkeys(INTEGERS, "BIGINT") | dict.fromkeys(FLAGS, "BOOLEAN")
ENVELOPE = dict.fromkeys(("messageId", "event", "userId"), "VARCHAR") | dict.fromkeys(TIMES, "TIMESTAMPTZ")
FLAT = ENVELOPE | PROPERTIES
EVERY = (*ENVELOPE, "Action", "UserActualID", "ServerVersion", "PluginVersion")
OWN = {
    "incident": (
        *("IncidentID", "IsActive", "CommanderUserID", "PlaybookID", "TeamID", "CreateAt", "PostID", "NumChecklists"),
        *("TotalChecklistItems", "ActiveStage", "Public", "CurrentStatus"),
    ),
    "tasks": ("IncidentID", "NewState", "WasCommander", "WasAssignee"),
    "playbook": (
        *("PlaybookID", "TeamID", "NumChecklists", "TotalChecklistItems", "IsPublic", "NumMembers", "NumSlashCommands"),
    ),
}
BLOCK = 256 * 1024
LONGEST_BODY = 4 * 1024 * 1024


def flat_query(path: str, *, has_malformed: bool = False) -> str:
    """Return DuckDB's query for the events of a file, of whatever container, a column for each field."""
    name = Path(path).name
    if name.endswith(".parquet"):
        return f"SELECT {', '.join(FLAT)} FROM read_parquet('{path}')"
    if name.endswith(".csv"):
        return f"SELECT * FROM read_csv('{path}', header=true, columns={_mapping(FLAT)})"
    event = ENVELOPE | {"properties": _struct(PROPERTIES)}
    told = "format='newline_delimited', union_by_name=false" + (", ignore_errors=true" if has_malformed else "")
    if name.endswith("bodies.jsonl"):
        columns = _mapping({"batch": _struct(event) + "[]"})
        reader = f"read_json('{path}', {told}, maximum_object_size={LONGEST_BODY}, columns={columns})"
        reader = f"(SELECT unnest(batch, max_depth := 2) FROM {reader})"
    else:
        reader = f"read_json('{path}', {told}, columns={_mapping(event)})"
    return f"SELECT * EXCLUDE (properties), properties.* FROM {reader}"


def _struct(columns: dict[str, str]) -> str:
    return "STRUCT(" + ", ".join(f'"{key}" {kind}' for key, kind in columns.items()) + ")"


def _mapping(columns: dict[str, str]) -> str:
    return "{" + ", ".join(f"'{key}': '{kind}'" for key, kind in columns.items()) + "}"


def _read(connection: duckdb.DuckDBPyConnection, path: str, has_malformed: str) -> dict[str, str]:
    """Read a file into a table, and return the query for the events of each type."""
    query = flat_query(path, has_malformed=has_malformed == "malformed")
    connection.execute(f"CREATE TEMP TABLE events AS {query}")
    return {kind: f"SELECT {', '.join((*EVERY, *own))} FROM events WHERE event = '{kind}'" for kind, own in OWN.items()}


def load_duckdb(path: str, has_malformed: str = "") -> Callable[[], object]:
    """Read the same columns with types into three Arrow tables, and check nothing."""
    import duckdb

    def work() -> object:
        connection = duckdb.connect()
        return [connection.sql(query).to_arrow_table() for query in _read(connection, path, has_malformed).values()]

    return work


def convert_duckdb(path: str, has_malformed: str = "") -> Callable[[], object]:
    """Read the same columns with types, and write three files of Parquet in the order of time."""
    import duckdb

    def work() -> object:
        connection = duckdb.connect()
        with tempfile.TemporaryDirectory() as folder:
            for kind, query in _read(connection, path, has_malformed).items():
                target = f"'{folder}/{kind}.parquet' (FORMAT parquet, COMPRESSION zstd)"
                connection.execute(f"COPY ({query} ORDER BY timestamp) TO {target}")

    return work


def load_polars(path: str) -> Callable[[], object]:
    """Scan the same columns with types, collect three frames with times as times, and check nothing."""
    import polars as pl

    kinds = dict.fromkeys(TEXTS, pl.String) | dict.fromkeys(INTEGERS, pl.Int64) | dict.fromkeys(FLAGS, pl.Boolean)
    schema = dict.fromkeys(ENVELOPE, pl.String) | {"properties": pl.Struct(kinds)}
    times = pl.col(*TIMES).str.to_datetime(time_unit="us", time_zone="UTC", strict=False)

    def work() -> object:
        events = pl.scan_ndjson(path, schema=schema, ignore_errors=True).unnest("properties").with_columns(times)
        return pl.collect_all(
            [events.filter(pl.col("event") == kind).select(*EVERY, *own) for kind, own in OWN.items()]
        )

    return work


def load_pandas(path: str) -> Callable[[], object]:
    """Read with pandas alone, as most notebooks do."""
    import pandas as pd

    def work() -> object:
        raw = pd.read_json(path, lines=True)
        flat = pd.json_normalize(raw.to_dict("records"))
        return [part for _, part in flat.groupby("event")]

    return work


def count_newlines(path: str) -> Callable[[], object]:
    """Count the line ends of a file: all its bytes go through the page cache and the processor once."""
    import numpy as np

    def work() -> int:
        n, block = 0, bytearray(BLOCK)
        seen = np.frombuffer(block, np.uint8)
        with Path(path).open("rb", buffering=0) as stream:
            while size := stream.readinto(block):
                n += int(np.count_nonzero(seen[:size] == ord("\n")))
        return n

    return work


def count_objects(path: str) -> Callable[[], object]:
    """Let DuckDB count the JSON objects of a file."""
    import duckdb

    return lambda: duckdb.connect().execute(f"SELECT count(*) FROM read_ndjson_objects('{path}')").fetchall()[0][0]
