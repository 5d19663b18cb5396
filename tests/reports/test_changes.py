"""What changed from one period to the next: found where it is, and claimed nowhere else."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError, ReportError
from telemetry_kit.reports import changes
from telemetry_kit.simulate import Effect, Parameters, write_simulation

DAYS = 60
KINDS = ("incident", "tasks", "playbook")


def simulated(folder, seed, effect=None):
    """Two months of forty servers; an effect begins with the second."""
    path = folder / f"{seed}-{effect is None}.jsonl"
    write_simulation(path, Parameters(days=DAYS, effect=effect), n_servers=40, seed=seed)
    return tk.load_events(path)


def bounds_of(log):
    start = log.incident["event_timestamp"].min().floor("D")
    middle, end = start + pd.Timedelta(DAYS / 2, "D"), start + pd.Timedelta(DAYS, "D")
    return changes.Bounds((start, middle), (middle, end))


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    return simulated(tmp_path_factory.mktemp("unchanged"), seed=7)


def claimed(table):
    return table.loc[table["p_adjusted"] < 0.05, "measure"].to_list()


@pytest.mark.slow
def test_a_planted_change_is_found_and_no_other_is_claimed(tmp_path):
    log = simulated(tmp_path, seed=7, effect=Effect("dates", commander_shift=0.15))
    table = changes.find_changes(log, bounds_of(log))
    assert "Tasks completed by the commander alone" in claimed(table)
    # The shares of the others shrink in proportion.
    assert {*claimed(table)} <= {
        "Tasks completed by the commander, as assignee or not",
        "Tasks completed by the commander alone",
        "Tasks completed by the assignee alone",
    }
    row = table.set_index("measure").loc["Tasks completed by the commander alone"]
    assert row["lower"] < 0.15 < row["upper"]


@pytest.mark.slow
def test_where_nothing_changed_nothing_is_claimed(unchanged):
    table = changes.find_changes(unchanged, bounds_of(unchanged))
    assert claimed(table) == []
    estimates = table[table["p_value"].notna()]
    assert len(estimates) >= 5
    assert (estimates["note"] == "").all()
    assert estimates["difference"].between(estimates["lower"], estimates["upper"]).all()
    assert (estimates["detectable"] > 0).all()


def test_counts_have_a_difference_and_say_why_they_have_no_interval(unchanged):
    bounds = bounds_of(unchanged)
    table = changes.find_changes(unchanged, bounds).set_index("measure")
    row = table.loc["Incidents started"]
    created = unchanged.incident[unchanged.incident["action"] == "create"]["event_timestamp"]
    n_before = ((created >= bounds.before[0]) & (created < bounds.before[1])).sum()
    assert (row["before"], row["difference"]) == (n_before, row["now"] - n_before)
    assert pd.isna(row["lower"])
    assert "no interval" in row["note"]


def test_an_incident_counts_where_it_began_and_none_is_judged_too_young(unchanged):
    bounds = bounds_of(unchanged)
    row = changes.find_changes(unchanged, bounds).set_index("measure").loc["Mean time to end, counted up to 7 d"]
    durations = tk.incident_durations(unchanged.incident, cutoff=unchanged.cutoff)
    known = durations[durations["first_end_s"].notna()]
    is_old = known["started_at"] + pd.Timedelta("7D") <= unchanged.cutoff
    assert row["n_now"] == (is_old & (known["started_at"] >= bounds.now[0])).sum()


def test_a_period_without_anything_says_so(unchanged):
    start = bounds_of(unchanged).before[0]
    long_ago = changes.Bounds((start - pd.Timedelta("60D"), start - pd.Timedelta("30D")), bounds_of(unchanged).now)
    table = changes.find_changes(unchanged, long_ago)
    assert claimed(table) == []
    assert set(table["note"].iloc[5:]) == {"nothing of it in one of the periods"}


def test_the_period_before_has_the_same_length():
    bounds = changes.compare_with_previous("2020-12-01", "2020-12-31")
    assert bounds.before == (pd.Timestamp("2020-11-01", tz="UTC"), pd.Timestamp("2020-12-01", tz="UTC"))
    # With the event that stands at the cutoff.
    assert bounds.now == (pd.Timestamp("2020-12-01", tz="UTC"), pd.Timestamp("2020-12-31T00:00:00.000001Z"))
    with pytest.raises(ParameterError, match="since: got"):
        changes.compare_with_previous("2020-12-01", "2020-12-01")


# Against an earlier report -------------------------------------------------------------------------------------------


@pytest.fixture
def earlier(unchanged, tmp_path):
    """Write the manifest of a report on the first month, and say what it tells."""

    def write(**given):
        middle = bounds_of(unchanged).before[1]
        counts = {f"n_{kind}": int((getattr(unchanged, kind)["event_timestamp"] <= middle).sum()) for kind in KINDS}
        told = {"since": None, "cutoff": middle.isoformat(), "counts": counts, "outputs": []} | given
        (tmp_path / "manifest.json").write_text(json.dumps(told))
        return changes.read_earlier(tmp_path)

    return write


def test_the_later_period_begins_where_the_earlier_report_ended(unchanged, earlier):
    bounds, why = changes.bounds_against(earlier(), unchanged)
    assert why == ""
    assert bounds.before[0] == min(getattr(unchanged, kind)["event_timestamp"].min() for kind in KINDS)
    assert bounds.before[1] == bounds.now[0] > earlier().cutoff
    assert bounds.now[1] > unchanged.cutoff
    assert claimed(changes.find_changes(unchanged, bounds)) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cutoff": "2020-01-01T00:00:00+00:00"}, "the events of the earlier period are not in this source"),
        ({"cutoff": "2030-01-01T00:00:00+00:00"}, "this report ends where the earlier one did"),
        ({"counts": {"n_incident": 10**9}}, "of the 1,000,000,000 events of the earlier report, "),
    ],
)
def test_where_the_events_of_the_earlier_report_are_missing_there_are_no_periods(unchanged, earlier, given, message):
    bounds, why = changes.bounds_against(earlier(**given), unchanged)
    assert bounds is None
    assert message in why


def test_where_this_source_has_other_events_of_the_earlier_period_it_is_said(unchanged, earlier):
    bounds, told = changes.bounds_against(earlier(counts={"n_incident": 100}), unchanged)
    n_events = sum(int((getattr(unchanged, kind)["event_timestamp"] < bounds.before[1]).sum()) for kind in KINDS)
    assert told == f"The earlier report counted 100 events up to then; this source has {n_events:,}."


def test_numbers_alone_stand_side_by_side_with_the_reason():
    before = pd.DataFrame({"measure": ["a", "gone"], "unit": ["share", "s"], "value": [0.25, 60.0]})
    now = pd.DataFrame({"measure": ["new", "a"], "unit": ["number", "share"], "value": [3.0, 0.5]})
    table = changes.pair_numbers(before, now, why="because")
    assert table[["measure", "note"]].to_numpy().tolist() == [["new", "appeared"], ["a", "because"], ["gone", "went"]]
    assert table["difference"].iloc[1] == 0.25
    assert list(table.columns) == list(changes.COLUMNS)
    assert table["lower"].isna().all()


@pytest.mark.parametrize("text", [None, "{", "[]", '{"cutoff": null, "counts": {}, "outputs": []}', '{"cutoff": "x"}'])
def test_what_is_no_report_is_told(tmp_path, text):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ReportError, match=r"holds no manifest|a report without events"):
        changes.read_earlier(tmp_path)


def test_an_empty_log_has_nothing_to_tell(unchanged):
    empty = replace(unchanged, **{kind: getattr(unchanged, kind).iloc[:0] for kind in KINDS})
    table = changes.find_changes(empty, bounds_of(unchanged))
    assert np.array_equal(table["now"].iloc[:5], [0] * 5)
    assert set(table["note"].iloc[5:]) == {"nothing of it in one of the periods"}
