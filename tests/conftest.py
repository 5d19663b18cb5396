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


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
