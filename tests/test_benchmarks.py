"""The hand-written queries of the benchmarks answer the same questions as the analyses that are held against them."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("benchmarks.analyses", reason="benchmarks/ is not in a wheel")

import telemetry_kit as tk
from benchmarks import coverage
from benchmarks.analyses import ANALYSES
from benchmarks.inputs import ask, open_inputs
from telemetry_kit import engine
from telemetry_kit.simulate import write_simulation
from telemetry_kit.stats import count_clusters, estimate_shares, one_group, t_quantiles

COVERAGE = (Path(__file__).parents[1] / "docs" / "explanation" / "coverage.md").read_text()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    write_simulation(folder / "events.jsonl", n_events=20_000, seed=7)
    tk.convert_events(folder / "events.jsonl", folder / "store")
    return str(folder / "store")


@pytest.mark.slow
@pytest.mark.parametrize("name", ANALYSES)
def test_a_query_makes_the_table_that_the_analysis_makes(name, store):
    analysis = ANALYSES[name]
    log, connection = open_inputs(store, "relations", analysis.sql)
    ours = engine.collect(engine.open_frame(analysis.ours(log), [], parameter="ours"))
    theirs = engine.collect(engine.open_frame(ask(connection, analysis, log["cutoff"]), [], parameter="theirs"))
    same = [column for column in ours if column in theirs and column not in analysis.apart]
    assert len(same) > 1
    pd.testing.assert_frame_equal(plain(ours[same]), plain(theirs[same]), rtol=1e-6)


def both_of(name, store):
    """What the analysis gives and what its query gives, both collected."""
    analysis = ANALYSES[name]
    log, connection = open_inputs(store, "relations", analysis.sql)
    asked = ask(connection, analysis, log["cutoff"])
    theirs = engine.collect(engine.open_frame(asked, [], parameter="theirs"))
    return log, analysis.ours(log), theirs.assign(variance=theirs["variance"].fillna(0))


@pytest.mark.parametrize("name", ["task_completion", "task_completion by week", "task_completion by server"])
def test_a_query_for_shares_gives_the_variance_behind_the_limits(name, store):
    _, ours, theirs = both_of(name, store)
    keys = [column for column in ("server_id", "period", "completer") if column in ours]
    ours, theirs = (
        plain(table.sort_values(keys)[[*keys, *more]])
        for table, more in (
            (ours, ["estimate", "n_effective"]),
            (theirs, ["variance"]),
        )
    )
    share, is_told = ours["estimate"], theirs["variance"] > 1e-15
    assert is_told.sum() > 3
    np.testing.assert_allclose((share * (1 - share) / ours["n_effective"])[is_told], theirs["variance"][is_told])


def test_the_query_for_the_difference_gives_the_variance_behind_the_limits(store):
    _, ours, theirs = both_of("commander_vs_assignee", store)
    error = (ours["upper"] - ours["lower"]) / 2 / t_quantiles(0.975, ours["df"])
    np.testing.assert_allclose(error.astype(float) ** 2, theirs["variance"])


def test_the_query_for_times_gives_the_variance_behind_the_limits_of_the_median(store):
    log, _, theirs = both_of("time_to_completion", store)
    times = tk.to_pandas(tk.completion_times(log["tasks"], log["incident"])).dropna(subset="elapsed_s")
    for completer, variance in zip(theirs["completer"], theirs["variance"], strict=True):
        mine = times[times["completer"] == completer]
        servers = mine["server_id"].factorize()[0]
        n, elapsed_s = np.bincount(servers), mine["elapsed_s"]
        below = np.bincount(servers, elapsed_s <= elapsed_s.median(), minlength=n.size)
        shares = estimate_shares(below, count_clusters(n, one_group(n.size)))
        np.testing.assert_allclose(shares.variance, variance)


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


def test_the_tables_of_coverage_are_those_of_the_manual(capsys):
    coverage.main(["--draws", "16", "--only", "Two servers"])
    lines = capsys.readouterr().out.split()
    manual = COVERAGE.split("## Two servers")[1]
    names = [line.split("|")[1].strip() for line in manual.splitlines() if line.startswith("| ")]
    printed = " ".join(lines)
    assert names[0] == "what"
    assert all(f"| {name} |" in printed for name in names)
    assert all(f"## {part.title}" in COVERAGE for part in coverage.PARTS)
