"""What a user writes; the type checkers read it, and nothing runs it."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import duckdb
import pandas as pd
import polars as pl

import telemetry_kit as tk
from telemetry_kit.errors import TelemetryKitError


def analyse(source: Path) -> pd.DataFrame:
    log = tk.load_events(source, cutoff="2020-12-01T00:00:00Z")
    assert_type(log, tk.EventLog[pd.DataFrame])
    assert_type(log.incident, pd.DataFrame)
    visits = tk.stage_visits(log.incident, cutoff=log.cutoff)
    assert_type(visits, pd.DataFrame)
    tk.plots.plot_stage_funnel(tk.stage_funnel(visits, by="plugin_version"))
    assert_type(tk.__version__, str)
    return tk.task_completion(log.tasks, by=["plugin_version", "server_version"])


def analyse_on_disk(source: Path) -> pd.DataFrame:
    log = tk.scan_events(source)
    assert_type(log.tasks, duckdb.DuckDBPyRelation)
    visits = tk.persist(tk.stage_visits(log.incident, cutoff=log.cutoff))
    assert_type(visits, duckdb.DuckDBPyRelation)
    return tk.to_pandas(visits, limit=10)


def analyse_elsewhere(events: pl.LazyFrame) -> pd.DataFrame:
    visits = tk.stage_visits(events, cutoff=pd.Timestamp("2020-12-01", tz="UTC"))
    assert_type(visits, pl.LazyFrame)
    return tk.stage_dwell(visits)


def count(log: tk.EventLog[pd.DataFrame]) -> int:
    try:
        return len(tk.server_overview(log))
    except TelemetryKitError:
        return 0
