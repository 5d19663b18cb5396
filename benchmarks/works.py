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

    import pandas as pd

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


def convert_telemetry_kit(path: str, directory: str = "") -> Callable[[], object]:
    """Convert to Parquet, into a directory that is thrown away unless one is named."""
    import telemetry_kit as tk

    def work() -> object:
        with tempfile.TemporaryDirectory() as folder:
            return tk.convert_events(path, directory or f"{folder}/log")

    return work


def simulate_telemetry_kit(path: str) -> Callable[[], object]:
    """Simulate as many events as the name of the file says."""
    from telemetry_kit.simulate import write_simulation

    target = Path(path)
    return lambda: write_simulation(target, n_events=int(target.stem.rpartition("-")[2]), seed=7)


def _incidents(path: str) -> tuple[pd.DataFrame, pd.Timestamp]:
    import telemetry_kit as tk

    log = tk.load_events(path)
    return log.incident, log.cutoff


def stages_telemetry_kit(path: str) -> Callable[[], object]:
    import telemetry_kit as tk

    incidents, cutoff = _incidents(path)

    def work(incidents: pd.DataFrame = incidents) -> object:
        visits = tk.stage_visits(incidents, cutoff=cutoff)
        return visits, tk.stage_funnel(visits), tk.stage_dwell(visits)

    work(incidents.head(5000))
    return work


def stages_duckdb(path: str) -> Callable[[], object]:
    import duckdb

    from benchmarks import stages_sql

    incidents, cutoff = _incidents(path)
    connection = duckdb.connect()

    def work() -> object:
        connection.register("incident", incidents)
        connection.execute(stages_sql.VISITS, {"cutoff": cutoff.to_pydatetime()})
        return [connection.sql(query).df() for query in ("FROM visits", stages_sql.FUNNEL, stages_sql.DWELL)]

    return work


def _read_incidents(path: str) -> pd.DataFrame:
    """Read the incident events where telemetry_kit is not installed."""
    import pandas as pd

    return pd.read_parquet(f"{path}/incident.parquet")


def _as_cases(incidents: pd.DataFrame) -> pd.DataFrame:
    """Turn incident events into what process mining tools read: one column for the case, one for the activity."""
    import pandas as pd

    events = incidents.dropna(subset="active_stage")
    return pd.DataFrame(
        {
            "case": (events["server_id"] + "/" + events["incident_id"]).astype(object),
            "activity": ("stage " + events["active_stage"].astype(int).astype(str)).astype(object),
            "timestamp": events["event_timestamp"].dt.tz_localize(None).astype("datetime64[ns]"),
        }
    )


def stages_pm4py(path: str) -> Callable[[], object]:
    """Discover the performance graph: mean times between consecutive events of a case, by their stages."""
    import pm4py

    def work(incidents: pd.DataFrame) -> object:
        events = _as_cases(incidents)
        log = pm4py.format_dataframe(events, case_id="case", activity_key="activity", timestamp_key="timestamp")
        return pm4py.discover_performance_dfg(log)

    incidents = _read_incidents(path)
    work(incidents.head(5000))
    return lambda: work(incidents)


def stages_retentioneering(path: str) -> Callable[[], object]:
    """Count how many cases come to each stage after all stages before it."""
    from retentioneering import Eventstream

    schema = {"path_cols": ["case"], "event_col": "activity", "timestamp_col": "timestamp"}

    def work(incidents: pd.DataFrame) -> object:
        events = _as_cases(incidents)
        return Eventstream(events, schema=schema).funnel_data(steps=sorted(events["activity"].unique()))

    incidents = _read_incidents(path)
    work(incidents.head(5000))
    return lambda: work(incidents)


def tasks_telemetry_kit(path: str) -> Callable[[], object]:
    import telemetry_kit as tk

    tasks = tk.load_events(path).tasks
    tk.commander_vs_assignee(tasks.head(5000)), tk.task_completion(tasks.head(5000))
    return lambda: (tk.task_completion(tasks), tk.commander_vs_assignee(tasks, by="plugin_version"))


def tasks_duckdb(path: str) -> Callable[[], object]:
    import duckdb

    import telemetry_kit as tk

    tasks = tk.load_events(path).tasks
    connection = duckdb.connect()
    query = """
        SELECT {by} server_id, was_commander, was_assignee, count(*) FILTER (new_state = 'done') AS n_completed,
            count(*) FILTER (new_state = 'open') AS n_reopened
        FROM tasks WHERE new_state IS NOT NULL GROUP BY ALL
    """

    def work() -> object:
        connection.register("tasks", tasks)
        return [connection.sql(query.format(by=by)).df() for by in ("", "plugin_version,")]

    return work


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
