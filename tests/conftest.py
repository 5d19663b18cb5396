"""What every test can ask for, and what holds around every test."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import settings

import telemetry_kit as tk

os.environ["MPLBACKEND"] = "Agg"

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


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
