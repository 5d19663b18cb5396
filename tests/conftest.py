"""What every test can ask for, and what holds around every test."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from both_ways import watched
from hypothesis import settings

import telemetry_kit as tk

os.environ["MPLBACKEND"] = "Agg"
# What tests and the examples of docstrings scan is kept in a cache of their own.
_cache = tempfile.TemporaryDirectory(prefix="telemetry-kit-cache-")
os.environ["XDG_CACHE_HOME"] = _cache.name

# A slow machine is no fault of the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def autumn() -> Path:
    """The recorded sample: object-storage dumps of one autumn."""
    return tk.samples() / "recorded-autumn"


@pytest.fixture(scope="session")
def recordings() -> Path:
    """What the plugin's own telemetry code sent, and what it did meanwhile."""
    return Path(__file__).parent / "recordings"


@pytest.fixture(scope="session")
def oct2020(recordings: Path) -> tk.EventLog:
    """The recording of the era that the published page describes."""
    return tk.load_events(recordings / "batch-bodies" / "oct2020.jsonl.gz")


_PROPERTIES = {
    "incident": {
        "Action": "create", "IncidentID": "incidentaaaaaaaaaaaaaaaaaa", "IsActive": True, "ActiveStage": 0,
        "CommanderUserID": "commanderaaaaaaaaaaaaaaaaa", "TeamID": "teamaaaaaaaaaaaaaaaaaaaaaa", "PostID": "",
        "CreateAt": 1604311200000, "NumChecklists": 3, "TotalChecklistItems": 7, "Public": True,
    },
    "tasks": {"Action": "add_task", "IncidentID": "incidentaaaaaaaaaaaaaaaaaa"},
    "playbook": {
        "Action": "create", "PlaybookID": "playbookaaaaaaaaaaaaaaaaaa", "TeamID": "teamaaaaaaaaaaaaaaaaaaaaaa",
        "NumChecklists": 3, "TotalChecklistItems": 7, "IsPublic": True, "NumMembers": 2, "NumSlashCommands": 1,
    },
}  # fmt: skip


@pytest.fixture(scope="session")
def make_event() -> Callable[..., dict[str, Any]]:
    """Make an event of the wire; the number tells its id and its time, in seconds after ten o'clock."""

    def make(number: int = 0, event: str = "tasks", without: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
        given = {"PluginVersion": "1.1.0", "ServerVersion": "5.28.0", "UserActualID": "useraaaaaaaaaaaaaaaaaaaaaa"}
        given |= _PROPERTIES.get(event, {}) | properties
        return {
            "messageId": f"message-{number}",
            "event": event,
            "userId": "serveraaaaaaaaaaaaaaaaaaaa",
            "timestamp": f"{pd.Timestamp('2020-11-02T10:00:00Z') + pd.Timedelta(seconds=number):%Y-%m-%dT%H:%M:%SZ}",
            "properties": {key: value for key, value in given.items() if key not in without},
        }

    return make


@pytest.fixture(scope="session")
def account() -> Callable[[tk.EventLog], dict[str, int]]:
    """Sum up the account of a log, and see that it adds up for every source."""

    def sum_up(log: tk.EventLog) -> dict[str, int]:
        parts = log.audit.drop(columns=["source", "n_read"])
        assert (log.audit["n_read"] == parts.sum(axis=1)).all()
        assert len(log.quarantine) == log.audit["n_rejected"].sum()
        valid = parts[["n_incident", "n_tasks", "n_playbook"]].to_numpy().sum()
        assert valid == len(log.incident) + len(log.tasks) + len(log.playbook)
        return {
            "read": int(log.audit["n_read"].sum()), "valid": int(valid), "duplicate": int(parts["n_duplicate"].sum()),
            "rejected": int(parts["n_rejected"].sum()), "other": int(parts["n_other"].sum()),
        }  # fmt: skip

    return sum_up


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Give the URL of an empty PostgreSQL: the one of ``DATABASE_URL``, or one that is started for these tests."""
    if "DATABASE_URL" in os.environ:
        yield os.environ["DATABASE_URL"]
        return
    # Debian keeps the programs of a server off the path.
    places = os.pathsep.join([os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])
    initdb, pg_ctl = (shutil.which(program, path=places) for program in ("initdb", "pg_ctl"))
    if initdb is None or pg_ctl is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing("neither DATABASE_URL nor a PostgreSQL to start")
    with tempfile.TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        as_user = {"cwd": name, "stdout": subprocess.DEVNULL}
        if os.geteuid() == 0:
            # PostgreSQL does not run as root.
            nobody = pwd.getpwnam("nobody")
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            as_user |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        data = str(folder / "data")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        subprocess.run(
            [initdb, "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"], check=True, **as_user
        )
        options = f"-p {port} -k {folder} -h 127.0.0.1 -F"
        subprocess.run(
            [pg_ctl, "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start"], check=True, **as_user
        )
        try:
            yield f"postgresql://tester@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([pg_ctl, "-D", data, "-w", "-m", "immediate", "stop"], check=True, **as_user)


_WAREHOUSE_TYPES = {
    **dict.fromkeys(["timestamp", "original_timestamp", "sent_at", "received_at"], "timestamptz"),
    **dict.fromkeys(["is_active", "public", "_public", "was_commander", "was_assignee", "is_public"], "boolean"),
    **dict.fromkeys(["create_at", "active_stage", "num_checklists", "total_checklist_items"], "bigint"),
    **dict.fromkeys(["num_members", "num_slash_commands"], "bigint"),
}


@pytest.fixture(scope="session")
def fill_warehouse(recordings: Path) -> Callable[[Any], None]:
    """Make the recorded tables of a warehouse, typed as there, by way of a cursor of ADBC."""

    def fill(cursor: Any) -> None:
        for path in sorted((recordings / "warehouse-postgres").glob("*.csv.gz")):
            rows = pd.read_csv(path, dtype="str")
            table = path.name.removesuffix(".csv.gz")
            types = {column: _WAREHOUSE_TYPES.get(column, "text") for column in rows}
            columns = ", ".join(f'"{column}" {kind}' for column, kind in types.items())
            cells = ", ".join(f'"{column}"::{kind}' for column, kind in types.items())
            cursor.adbc_ingest("raw", pa.Table.from_pandas(rows, preserve_index=False), mode="replace")
            cursor.execute(f'CREATE TABLE "{table}" ({columns})')
            cursor.execute(f'INSERT INTO "{table}" SELECT {cells} FROM raw')
        cursor.execute("DROP TABLE raw")

    return fill


@pytest.fixture(params=["pandas", "polars", "polars-lazy", "pyarrow", "duckdb"])
def as_kind(request: pytest.FixtureRequest) -> Callable[[pd.DataFrame], Any]:
    """Turn pandas frames into frames of each kind in turn; frames of one test share an engine."""
    connection = duckdb.connect()
    kinds: dict[str, Callable[[pd.DataFrame], Any]] = {
        "pandas": lambda frame: frame,
        "polars": pl.from_pandas,
        "polars-lazy": lambda frame: pl.from_pandas(frame).lazy(),
        "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
        "duckdb": lambda frame: connection.from_arrow(pa.Table.from_pandas(frame, preserve_index=False)),
    }
    return kinds[request.param]


@pytest.fixture(scope="session")
def incident_log() -> Callable[..., pd.DataFrame]:
    """Write incident events as lines: incident (its first letter is the server), minute, action, stage/stages.

    The stage of a closed incident has an ``x`` before it, an unknown one is ``?``; ``-`` stands for no action.
    """

    def write(*lines: str) -> pd.DataFrame:
        words = [line.split() for line in lines]
        start = pd.Timestamp("2020-11-02T00:00:00Z").as_unit("us")
        stages = [word[3].split("/") for word in words]
        minutes = pd.Series([float(word[1]) for word in words], dtype="float64")
        frame = pd.DataFrame(
            {
                "server_id": [word[0][0] for word in words],
                "incident_id": [word[0] for word in words],
                "event_id": [f"e{number:03}" for number in range(len(words))],
                "event_timestamp": start + pd.to_timedelta(minutes * 60, unit="s"),
                "action": [None if word[2] == "-" else word[2] for word in words],
                "created_at": start,
                "is_active": [not stage.startswith("x") for stage, _ in stages],
                "active_stage": [None if stage == "?" else int(stage.strip("x")) for stage, _ in stages],
                "num_checklists": [int(number) for _, number in stages],
                "team_id": "t",
                "plugin_version": "1.1.0",
                "public": [True if word[2] == "create" else None for word in words],
            }
        )
        kinds = dict.fromkeys(["server_id", "incident_id", "event_id", "action", "team_id", "plugin_version"], "str")
        kinds |= {"is_active": "boolean", "public": "boolean", "active_stage": "Int64", "num_checklists": "Int64"}
        kinds |= dict.fromkeys(["event_timestamp", "created_at"], "datetime64[us, UTC]")
        return frame.astype(kinds)

    return write


@pytest.fixture(scope="session")
def status_log(incident_log: Callable[..., pd.DataFrame]) -> Callable[..., pd.DataFrame]:
    """Write incident events of later versions as lines: incident (server first), minute, action, status."""

    def write(*lines: str) -> pd.DataFrame:
        words = [line.split() for line in lines]
        frame = incident_log(*(f"{' '.join(word[:3])} ?/3" for word in words))
        frame["is_active"] = pd.array([None] * len(words), dtype="boolean")
        frame["current_status"] = pd.Series([word[3] for word in words], dtype="str")
        return frame.assign(plugin_version="1.5.1")

    return write


@pytest.fixture
def looked_at() -> Iterator[list[bytes]]:
    """Tell the texts that are looked at one by one."""
    with watched() as taken:
        yield taken
