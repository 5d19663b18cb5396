"""The same question on every engine has the same answer."""

import importlib.util
import os
import sys
import warnings

import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

import telemetry_kit as tk
from telemetry_kit import engine

FRAME_TO_FRAME = {
    "stage_visits": lambda log: tk.stage_visits(log["incident"], cutoff=log["cutoff"]),
    "incident_durations": lambda log: tk.incident_durations(log["incident"], cutoff=log["cutoff"]),
    "tasks_by_stage": lambda log: tk.tasks_by_stage(log["tasks"], _visits(log)),
    "completion_times": lambda log: tk.completion_times(log["tasks"], log["incident"]),
    "open_task_bounds": lambda log: tk.open_task_bounds(log["tasks"], log["incident"], cutoff=log["cutoff"]),
    "playbook_snapshot": lambda log: tk.playbook_snapshot(log["playbook"], as_of=log["cutoff"]),
    "playbook_histories": lambda log: tk.playbook_histories(log["playbook"]),
}
SUMMARIES = {
    "stage_funnel": lambda log: tk.stage_funnel(_visits(log), by="public"),
    "stage_funnel within": lambda log: tk.stage_funnel(_visits(log), within="4h"),
    "stage_dwell": lambda log: tk.stage_dwell(_visits(log)),
    "stage_survival": lambda log: tk.stage_survival(_visits(log)),
    "stage_transitions": lambda log: tk.stage_transitions(_visits(log), by="plugin_version"),
    "time_to_stage": lambda log: tk.time_to_stage(_visits(log)),
    "stage_rework": lambda log: tk.stage_rework(_visits(log)),
    "task_completion": lambda log: tk.task_completion(log["tasks"], by="plugin_version", freq="W"),
    "commander_vs_assignee": lambda log: tk.commander_vs_assignee(log["tasks"], cluster="incident_id"),
    "task_reopening": lambda log: tk.task_reopening(log["tasks"]),
    "time_to_completion": lambda log: tk.time_to_completion(log["tasks"], log["incident"]),
    "detectable_difference": lambda log: tk.detectable_difference(log["tasks"], between="plugin_version"),
    "playbook_sizes": lambda log: tk.playbook_sizes(_snapshot(log), by="is_public"),
    "playbook_ecdf": lambda log: tk.playbook_ecdf(_snapshot(log), measure="items_per_checklist"),
    "playbook_growth": lambda log: tk.playbook_growth(log["playbook"]),
    "server_activity": tk.server_activity,
    "versions_in_use": tk.versions_in_use,
    "warehouse_metrics": tk.warehouse_metrics,
}


def _visits(log):
    return tk.stage_visits(log["incident"], cutoff=log["cutoff"])


def _snapshot(log):
    return tk.playbook_snapshot(log["playbook"], as_of=log["cutoff"])


def is_installed(name):
    return importlib.util.find_spec(name) is not None


@pytest.fixture(scope="module")
def spark():
    os.environ["PYSPARK_PYTHON"] = sys.executable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyspark.sql import SparkSession

        settings = {
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "1",
            "spark.sql.session.timeZone": "UTC",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
        }
        builder = SparkSession.builder.master("local[2]")
        for key, value in settings.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()


def _on_spark(request, tmp_path_factory):
    session = request.getfixturevalue("spark")
    folder = tmp_path_factory.mktemp("spark")

    def turn(frame):
        path = folder / f"{frame['event_type'].iloc[0]}.parquet"
        pq.write_table(_text(frame), path)
        return session.read.parquet(str(path))

    return turn


def _text(frame):
    """As a table without categories, which not every engine has."""
    return engine.to_arrow(frame.astype({c: "str" for c in frame if frame[c].dtype == "category"}))


ENGINES = ["polars", "polars-lazy", "pyarrow", "duckdb", *(["pyspark"] if is_installed("pyspark") else [])]


@pytest.fixture(scope="module")
def small(recordings):
    return tk.load_events(recordings / "batch-bodies" / "prev.jsonl.gz")


@pytest.fixture(scope="module", params=ENGINES)
def on_engine(request, tmp_path_factory, small):
    """The recording's frames on each engine in turn."""
    connection = engine.connect()
    ways = {
        "polars": pl.from_pandas,
        "polars-lazy": lambda frame: pl.from_pandas(frame).lazy(),
        "pyarrow": engine.to_arrow,
        "duckdb": lambda frame: connection.from_arrow(engine.to_arrow(frame)),
    }
    turn = _on_spark(request, tmp_path_factory) if request.param == "pyspark" else ways[request.param]
    kinds = {kind: turn(getattr(small, kind)) for kind in ("incident", "tasks", "playbook")}
    return {**kinds, "cutoff": small.cutoff}


@pytest.fixture(scope="module")
def on_pandas(small):
    return {"incident": small.incident, "tasks": small.tasks, "playbook": small.playbook, "cutoff": small.cutoff}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FRAME_TO_FRAME)
def test_a_frame_comes_back_as_the_kind_that_was_given_with_the_same_rows(name, on_engine, on_pandas):
    function = FRAME_TO_FRAME[name]
    given, expected = function(on_engine), function(on_pandas)
    first = next(value for key, value in on_engine.items() if key != "cutoff")
    assert type(given) is type(first)
    pd.testing.assert_frame_equal(plain(given), plain(expected))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_is_the_same_table(name, on_engine, on_pandas):
    function = SUMMARIES[name]
    pd.testing.assert_frame_equal(plain(function(on_engine)), plain(function(on_pandas)), rtol=1e-9)


def plain(frame):
    """As pandas, rows in one order, text as text."""
    home = engine.collect(engine.open_frame(frame, [], parameter="frame"))
    return home.sort_values(list(home.columns), ignore_index=True)
