"""The hand-written queries of the benchmarks answer the same questions as the analyses that are held against them."""

import datetime as dt

import pandas as pd
import pytest

pytest.importorskip("benchmarks.analyses", reason="benchmarks/ is not in a wheel")

import telemetry_kit as tk
from benchmarks.analyses import ANALYSES
from benchmarks.inputs import ask, open_inputs
from telemetry_kit import engine
from telemetry_kit.simulate import write_simulation


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    write_simulation(folder / "events.jsonl", n_events=20_000, seed=7)
    tk.convert_events(folder / "events.jsonl", folder / "store")
    return str(folder / "store")


@pytest.mark.parametrize("name", ANALYSES)
def test_a_query_makes_the_table_that_the_analysis_makes(name, store):
    analysis = ANALYSES[name]
    log, connection = open_inputs(store, "relations", analysis.sql)
    ours = engine.collect(engine.open_frame(analysis.ours(log), [], parameter="ours"))
    theirs = engine.collect(engine.open_frame(ask(connection, analysis, log["cutoff"]), [], parameter="theirs"))
    same = [column for column in ours if column in theirs and column not in analysis.apart]
    assert len(same) > 1
    pd.testing.assert_frame_equal(plain(ours[same]), plain(theirs[same]), rtol=1e-6)


def plain(frame):
    """Rows in one order, numbers as floats, text as text."""
    numbers = {column: "float64" for column in frame if pd.api.types.is_numeric_dtype(frame[column].dtype)}
    moments = {
        column: pd.to_datetime(frame[column], utc=True).astype("datetime64[us, UTC]")
        for column in frame
        if pd.api.types.is_datetime64_any_dtype(frame[column].dtype) or isinstance(frame[column].iloc[0], dt.date)
    }
    frame = frame.assign(**moments).astype(numbers)
    return frame.sort_values(list(frame.columns), ignore_index=True)
