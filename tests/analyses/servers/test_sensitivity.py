"""How firm the headline numbers are."""

import json

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

SERVERS = {"small-a": (1, 4), "small-b": (1, 5), "small-c": (2, 6), "large": (50, 50)}
"""Of how many completions of each server how many are the commander's."""


@pytest.fixture
def log(make_event, tmp_path):
    """Three small servers whose commanders complete little, and a large one whose commander completes everything."""
    lines = []
    for server, (x, n) in SERVERS.items():
        for place in range(n):
            done = {
                "Action": "modify_task_state",
                "NewState": "closed",
                "WasCommander": place < x,
                "WasAssignee": place >= x,
            }
            lines.append(make_event(len(lines), **done) | {"userId": server})
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tk.load_events(tmp_path / "events.jsonl")


def of(table, number):
    (row,) = table[table["number"] == number].to_dict("records")
    return row


@pytest.mark.slow
def test_a_number_that_one_server_carries_turns_over_without_it(log):
    table = tk.headline_sensitivity(log)
    commander = of(table, "tasks completed by the commander")
    assert (commander["estimate"], commander["without_largest"]) == pytest.approx((54 / 65, 4 / 15))
    assert (commander["largest_server"], commander["n_servers"]) == ("large", 4)
    difference = of(table, "tasks completed by the commander, less those by the assignee")
    assert difference["estimate"] > 0 > difference["without_largest"]
    assert difference["turns_over"]


@pytest.mark.slow
def test_a_log_tells_only_the_numbers_that_it_can(log):
    table = tk.headline_sensitivity(log)
    assert set(table["unit"]) == {"share", "difference"}
    # No incident was recorded, so none of them was complete.
    assert table["complete_only"].isna().all()


@pytest.mark.slow
def test_each_number_is_that_of_its_own_function(recordings):
    log = tk.load_events(recordings / "batch-bodies" / "prev.jsonl.gz")
    table = tk.headline_sensitivity(log)
    assert not table["turns_over"].isna().any()
    time = of(table, "median time until an incident ends")
    expected = tk.time_to_end(tk.incident_durations(log.incident, cutoff=log.cutoff))
    assert (time["estimate"], time["upper"]) == pytest.approx(tuple(expected[["median_s", "median_upper_s"]].iloc[0]))
    without = log.filter(exclude_servers=time["largest_server"])
    again = tk.commander_vs_assignee(without.tasks)["difference"].iloc[0]
    row = of(table, "tasks completed by the commander, less those by the assignee")
    assert row["without_largest"] == pytest.approx(again)


@pytest.mark.slow
def test_servers_whose_deliveries_have_gaps_are_left_out(log, make_event, tmp_path):
    # Its incident was open when it was restarted, so that its end must have been lost.
    lost = [
        make_event(900, "incident", IncidentID="i") | {"userId": "small-a"},
        make_event(901, "incident", IncidentID="i", Action="restart") | {"userId": "small-a"},
    ]
    text = (tmp_path / "events.jsonl").read_text()
    (tmp_path / "events.jsonl").write_text("\n".join([text, *map(json.dumps, lost)]))
    row = of(tk.headline_sensitivity(tk.load_events(tmp_path / "events.jsonl")), "tasks completed by the commander")
    assert row["n_servers_with_gaps"] == 1
    assert row["without_gaps"] == pytest.approx(53 / 61)


@pytest.mark.slow
def test_of_one_server_nothing_can_be_left_out(log):
    table = tk.headline_sensitivity(log.filter(servers="large"))
    assert table["without_largest"].isna().all()
    assert table["turns_over"].isna().all()


def test_without_events_there_is_no_row(log):
    assert len(tk.headline_sensitivity(log.filter(servers=[]))) == 0


def test_it_takes_an_event_log():
    with pytest.raises(ParameterError, match="log: got 'DataFrame', expected an EventLog"):
        tk.headline_sensitivity(pd.DataFrame())
    with pytest.raises(ParameterError, match="level"):
        tk.headline_sensitivity(None, level=2)
