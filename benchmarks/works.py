"""The works that are measured, ours and the peers'; each runs once in a process of its own and tells what it took.

A work is a function of a path that gets ready (reads its input, imports what it needs by a first small call) and
returns what is then measured.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.inputs import Kind

INTEGERS = ("NumChecklists", "TotalChecklistItems", "ActiveStage", "NumMembers", "NumSlashCommands", "CreateAt")
FLAGS = ("IsActive", "Public", "WasCommander", "WasAssignee", "IsPublic")
TEXTS = (
    *("Action", "UserActualID", "ServerVersion", "PluginVersion", "IncidentID", "CommanderUserID", "TeamID", "PostID"),
    *("NewState", "PlaybookID", "CurrentStatus"),
)
EVERY = (
    *("messageId", "event", "userId", "timestamp", "originalTimestamp", "Action", "UserActualID", "ServerVersion"),
    "PluginVersion",
)
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


_PROCESSES = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def load_telemetry_kit(path: str) -> Callable[[], object]:
    import telemetry_kit as tk

    # What is imported late, and the models that are made once in a process, are no loading.
    tk.load_events(tk.samples() / "recorded-autumn")
    return lambda: tk.load_events(path)


def load_duckdb(path: str) -> Callable[[], object]:
    """Read the same columns with types into three frames, and check nothing."""
    import duckdb

    kinds = dict.fromkeys(TEXTS, "VARCHAR") | dict.fromkeys(INTEGERS, "BIGINT") | dict.fromkeys(FLAGS, "BOOLEAN")
    properties = "STRUCT(" + ", ".join(f'"{key}" {kind}' for key, kind in kinds.items()) + ")"
    columns = {"messageId": "VARCHAR", "event": "VARCHAR", "userId": "VARCHAR", "timestamp": "TIMESTAMPTZ"}
    columns |= {"originalTimestamp": "TIMESTAMPTZ", "properties": properties}
    struct = ", ".join(f"'{key}': '{kind}'" for key, kind in columns.items())

    def work() -> object:
        connection = duckdb.connect()
        reader = f"read_json('{path}', format='newline_delimited', columns={{{struct}}})"
        connection.execute(f"CREATE TEMP TABLE events AS SELECT * EXCLUDE (properties), properties.* FROM {reader}")
        return [
            connection.sql(f"SELECT {', '.join((*EVERY, *own))} FROM events WHERE event = '{kind}'").df()
            for kind, own in OWN.items()
        ]

    return work


def load_polars(path: str) -> Callable[[], object]:
    """Scan the same columns with types, collect three frames with times as times, and check nothing."""
    import polars as pl

    kinds = dict.fromkeys(TEXTS, pl.String) | dict.fromkeys(INTEGERS, pl.Int64) | dict.fromkeys(FLAGS, pl.Boolean)
    texts = ("messageId", "event", "userId", "timestamp", "originalTimestamp")
    schema = dict.fromkeys(texts, pl.String) | {"properties": pl.Struct(kinds)}
    times = pl.col("timestamp", "originalTimestamp").str.to_datetime(time_unit="us", time_zone="UTC", strict=False)

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


def convert_telemetry_kit(path: str, directory: str = "") -> Callable[[], object]:
    """Convert to Parquet, into a directory that is thrown away unless one is named."""
    from telemetry_kit import convert_events

    def work() -> object:
        with tempfile.TemporaryDirectory() as folder:
            return convert_events(path, directory or f"{folder}/log")

    return work


def simulate_telemetry_kit(path: str) -> Callable[[], object]:
    """Simulate as many events as the name of the file says."""
    from telemetry_kit.simulate import write_simulation

    target = Path(path)
    return lambda: write_simulation(target, n_events=int(target.stem.rpartition("-")[2]), seed=7)


def analysis_telemetry_kit(store: str, name: str, kind: Kind, memory_limit: str = "") -> Callable[[], object]:
    """Run an analysis of ``benchmarks.analyses``, after a first run on few events."""
    from benchmarks.analyses import ANALYSES
    from benchmarks.inputs import consume, few_events, open_inputs

    analysis = ANALYSES[name]
    with few_events() as small:
        consume(analysis.ours(open_inputs(small, kind, analysis.sql)[0]))
    log, _ = open_inputs(store, kind, analysis.sql, memory_limit=memory_limit)
    return lambda: consume(analysis.ours(log))


def analysis_duckdb(store: str, name: str, kind: Kind, memory_limit: str = "") -> Callable[[], object]:
    """Run the hand-written query for the same table on the same frames."""
    from benchmarks.analyses import ANALYSES
    from benchmarks.inputs import ask, consume, open_inputs

    analysis = ANALYSES[name]
    log, connection = open_inputs(store, kind, analysis.sql, memory_limit=memory_limit)

    def work() -> object:
        asked = ask(connection, analysis, log["cutoff"])
        if kind == "relations":
            return consume(asked)
        # Of frames come frames: the visits, where they are wanted, and the answer.
        _visits = connection.table("visits").to_arrow_table().to_pandas() if analysis.visits else None
        return len(asked.to_arrow_table().to_pandas())

    return work


def analysis_polars(store: str, name: str, _kind: Kind, _memory_limit: str = "") -> Callable[[], object]:
    """Run the hand-written Polars query for the same table on the Parquet of the store, streaming."""
    from benchmarks.polars_queries import QUERIES

    query = QUERIES[name]
    return lambda: len(query(store).collect(engine="streaming"))


def analysis_pm4py(store: str, _name: str, _kind: Kind, _memory_limit: str = "") -> Callable[[], object]:
    """Discover the performance graph: mean times between consecutive events of a case, by their stages."""
    from benchmarks.cases import performance_graph, read_incidents

    incidents = read_incidents(store)
    performance_graph(incidents.head(5000))
    return lambda: len(performance_graph(incidents))


def analysis_retentioneering(store: str, _name: str, _kind: Kind, _memory_limit: str = "") -> Callable[[], object]:
    """Count how many cases come to each stage after all stages before it."""
    from benchmarks.cases import funnel, read_incidents

    incidents = read_incidents(store)
    funnel(incidents.head(5000))
    return lambda: len(funnel(incidents))


def report_telemetry_kit(store: str) -> Callable[[], object]:
    """Write the report of a store into a directory that is thrown away."""
    from telemetry_kit.cli import main as command

    def work() -> object:
        with tempfile.TemporaryDirectory() as folder:
            return command(["report", store, "--out", f"{folder}/report"])

    return work


def main() -> None:
    name, *arguments = sys.argv[1:]
    work = globals()[name](*arguments)
    wall, cpu, user = time.perf_counter(), time.process_time(), _user_time()
    kept = work()
    took = {
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "user": _user_time() - user,
    }
    took["rows"] = kept if isinstance(kept, int) else -1
    del kept
    # A report's notebooks run in processes of their own: the largest of them counts as well.
    peak = max(resource.getrusage(who).ru_maxrss for who in _PROCESSES)
    print(json.dumps(took | {"peak": peak / 1024}))


def _user_time() -> float:
    return sum(resource.getrusage(who).ru_utime for who in _PROCESSES)


if __name__ == "__main__":
    main()
