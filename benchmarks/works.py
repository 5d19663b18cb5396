"""The works that are measured, ours and the peers'; each runs once in a process of its own and tells what it took."""

from __future__ import annotations

import json
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

INTEGERS = ("NumChecklists", "TotalChecklistItems", "ActiveStage", "NumMembers", "NumSlashCommands", "CreateAt")
FLAGS = ("IsActive", "Public", "WasCommander", "WasAssignee", "IsPublic")
TEXTS = (
    *("Action", "UserActualID", "ServerVersion", "PluginVersion", "IncidentID", "CommanderUserID", "TeamID", "PostID"),
    *("NewState", "PlaybookID", "CurrentStatus"),
)
EVERY = ("messageId", "event", "userId", "timestamp", "originalTimestamp", "Action", "UserActualID", "ServerVersion", "PluginVersion")
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


def load_telemetry_kit(path: str) -> Callable[[], object]:
    import pandera.pandas as pa

    import telemetry_kit as tk

    # Pandera imports its checks when it first validates: that is importing, not loading.
    pa.DataFrameSchema({"a": pa.Column(int)}).validate(__import__("pandas").DataFrame({"a": [1]}))
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


def load_pandas(path: str) -> Callable[[], object]:
    """Read with pandas alone, as most notebooks do."""
    import pandas as pd

    def work() -> object:
        raw = pd.read_json(path, lines=True)
        flat = pd.json_normalize(raw.to_dict("records"))
        return [part for _, part in flat.groupby("event")]

    return work


def convert_telemetry_kit(path: str) -> Callable[[], object]:
    import telemetry_kit as tk

    def work() -> object:
        folder = Path(tempfile.mkdtemp())
        try:
            return tk.convert_events(path, folder / "log")
        finally:
            shutil.rmtree(folder)

    return work


def nothing(path: str) -> Callable[[], object]:
    return lambda: path


def main() -> None:
    name, *arguments = sys.argv[1:]
    work = globals()[name](*arguments)
    wall, cpu = time.perf_counter(), time.process_time()
    kept = work()
    took = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    del kept
    print(json.dumps(took | {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
