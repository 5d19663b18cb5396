"""Flags and numbers that are held as something else are the same numbers, or are refused."""

import io

import duckdb
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError


@pytest.fixture(scope="module")
def visits():
    log = tk.load_events(tk.samples() / "recorded-autumn")
    return tk.stage_visits(log.incident, cutoff=log.cutoff)


@pytest.mark.parametrize("question", [tk.stage_funnel, tk.stage_dwell, tk.stage_transitions, tk.stage_exits])
def test_visits_that_went_through_a_csv_file_are_the_same(visits, question):
    times = [name for name in visits if name.endswith("_at") or name == "cutoff"]
    read = pd.read_csv(io.StringIO(visits.to_csv(index=False)), parse_dates=times)
    assert {str(read[name].dtype) for name in ("num_stages", "next_stage")} >= {"float64"}
    pd.testing.assert_frame_equal(question(read), question(visits))


def test_whole_numbers_as_floats_and_flags_as_numbers_are_taken_as_such(visits):
    whole = [name for name in visits if visits[name].dtype == "Int64"]
    given = visits.astype(dict.fromkeys(whole, "float64") | {"is_censored": "int8"})
    for question in (tk.stage_funnel, tk.stage_dwell):
        pd.testing.assert_frame_equal(question(given), question(visits), check_dtype=False)
    cutoff = visits["cutoff"].max()
    pd.testing.assert_frame_equal(tk.stage_occupancy(given, cutoff=cutoff), tk.stage_occupancy(visits, cutoff=cutoff))


@pytest.mark.parametrize(
    ("column", "made", "message"),
    [
        ("is_censored", lambda told: told.astype(str), "got 'text', expected flags"),
        ("stage", lambda told: told.astype(str), "got 'text', expected whole numbers"),
        ("dwell_s", lambda told: told.astype(str), "got 'text', expected numbers"),
        ("stage", lambda told: told + 0.5, "got 0.5, expected whole numbers"),
        ("is_censored", lambda told: told.astype(int) * 2, "got 2.0, expected flags"),
    ],
)
def test_what_is_no_flag_and_no_number_is_refused(visits, column, made, message):
    with pytest.raises(ParameterError, match=rf"visits\['{column}'\]: {message}"):
        tk.stage_dwell(visits.assign(**{column: made(visits[column])}))


def test_relations_of_duckdb_are_taken_likewise(visits):
    given = duckdb.from_df(visits).project("* REPLACE (CAST(stage AS DOUBLE) AS stage)")
    pd.testing.assert_frame_equal(tk.to_pandas(tk.stage_funnel(given)), tk.stage_funnel(visits), check_dtype=False)
    with pytest.raises(duckdb.Error, match=r"visits\['stage'\]: got 0\.5, expected whole numbers"):
        tk.to_pandas(tk.stage_funnel(given.project("* REPLACE (stage + 0.5 AS stage)")))
