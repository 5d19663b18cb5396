"""How many incidents started, ended and were open in each period."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

START = pd.Timestamp("2020-11-02T00:00:00Z")  # A Monday.
COUNTS = ["n_started", "n_ended", "n_reopened", "n_appeared", "n_open_at_end", "n_open_max", "n_unknown"]


def hour(number):
    return START + pd.Timedelta(number, "h")


def by_day(events, until, **more):
    """The counts of each day as short lines."""
    flow = tk.incident_flow(events, cutoff=hour(until), freq="D", **more)
    return [" ".join(map(str, row)) for row in flow[COUNTS].to_numpy()]


@pytest.fixture
def hours(incident_log):
    """Events whose second word is an hour."""

    def write(*lines):
        words = [line.split() for line in lines]
        return incident_log(*(f"{a} {float(t) * 60} {action} {stage}" for a, t, action, stage in words))

    return write


def test_what_starts_ends_and_opens_again_is_counted_where_it_happens(hours):
    events = hours(
        "a1 1 create 0/2", "a2 2 create 0/2", "a1 3 end x0/2", "b1 4 create 0/0", "b1 5 end x0/0",
        "a1 30 restart 0/2", "a1 31 change_stage 1/2", "a1 32 end x1/2", "a1 33 change_stage x0/2",
        "a2 80 end x0/2",
    )  # fmt: skip
    assert by_day(events, 100) == [
        "3 2 0 0 1 2 0",
        "0 1 1 0 1 2 0",
        "0 0 0 0 1 1 0",
        "0 1 0 0 0 1 0",
        "0 0 0 0 0 0 0",
    ]


def test_an_incident_that_began_before_the_recording_is_counted_once_it_is_seen(hours):
    events = hours("a1 1 change_stage 1/2", "a2 2 change_commander x0/2", "a2 30 restart 0/2", "a1 31 end x1/2")
    assert by_day(events, 40) == ["0 0 0 1 1 1 0", "0 1 1 0 1 2 0"]


def test_what_was_open_on_a_server_that_fell_silent_is_unknown_from_then_on(hours):
    events = hours("a1 1 create 0/2", "a2 2 create 0/2", "a2 3 end x0/2", "b1 4 create 0/2", "b1 60 end x0/2")
    heard = pd.DataFrame({"server_id": ["a", "b"], "observed_until": [hour(26), hour(60)]})
    assert by_day(events, 60, observed_until=heard) == ["3 1 0 0 2 2 0", "0 0 0 0 1 2 1", "0 1 0 0 0 1 1"]
    assert by_day(events, 60)[-1] == "0 1 0 0 1 2 0"


def test_incidents_with_a_status_are_open_while_reported_or_active(status_log):
    events = status_log(
        "a1 0 create Reported", "a1 10 update_status Active", "a1 20 update_status Resolved",
        "a1 30 update_status Archived", "a1 40 update_status Reported", "b1 50 create Reported",
    )  # fmt: skip
    assert by_day(events, 1) == ["2 1 1 0 2 2 0"]


def test_only_a_period_between_the_first_event_and_the_cutoff_is_complete(hours):
    events = hours("a1 24 create 0/2", "a1 50 end x0/2")
    assert tk.incident_flow(events, cutoff=hour(72), freq="D")["is_complete"].to_list() == [True, True, False]
    last = hour(72) - pd.Timedelta(1, "us")
    assert tk.incident_flow(events, cutoff=last, freq="D")["is_complete"].to_list() == [True, True]
    assert tk.incident_flow(events, cutoff=hour(72), freq="W")["is_complete"].to_list() == [False]


def test_each_group_has_every_period_and_an_incident_the_first_value_that_is_known(hours):
    events = hours("a1 1 change_stage 0/2", "a1 2 change_stage 1/2", "b1 49 create 0/2")
    events["plan"] = pd.Series([None, "paid", "free"], dtype="str")
    flow = tk.incident_flow(events, cutoff=hour(50), freq="D", by="plan")
    assert flow["plan"].to_list() == ["free"] * 3 + ["paid"] * 3
    assert flow["n_open_at_end"].to_list() == [0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize("freq", ["D", "W", "M", "Q"])
def test_what_is_open_is_what_came_less_what_went(oct2020, freq):
    flow = tk.incident_flow(oct2020.incident, cutoff=oct2020.cutoff, freq=freq)
    change = flow["n_started"] + flow["n_appeared"] + flow["n_reopened"] - flow["n_ended"]
    assert change.cumsum().to_list() == flow["n_open_at_end"].to_list()
    durations = tk.incident_durations(oct2020.incident, cutoff=oct2020.cutoff)
    assert flow["n_open_at_end"].iloc[-1] == durations["is_censored"].sum()
    assert flow["n_ended"].sum() == durations["n_ends"].sum()


def test_three_recordings_together_have_few_open_incidents_on_servers_that_are_still_heard(recordings):
    log = tk.load_events([recordings / "batch-bodies" / f"{era}.jsonl.gz" for era in ("prev", "oct2020", "later")])
    plain = tk.incident_flow(log.incident, cutoff=log.cutoff, freq="M").iloc[-1]
    heard = tk.observed_until(log)
    told = tk.incident_flow(log.incident, cutoff=log.cutoff, freq="M", observed_until=heard).iloc[-1]
    assert plain["n_open_at_end"] == told["n_open_at_end"] + told["n_unknown"]
    assert (told["n_open_at_end"], told["n_unknown"]) == (35, 35)


def test_no_events_give_a_table_without_rows(incident_log):
    flow = tk.incident_flow(incident_log(), cutoff=hour(1), by="public")
    assert flow.empty
    assert list(flow.columns) == ["public", "period", *COUNTS, "is_complete"]


def test_mistakes_are_named(incident_log):
    events = incident_log("a1 0 create 0/2")
    with pytest.raises(ParameterError, match="freq: got 'weekly'"):
        tk.incident_flow(events, cutoff=hour(1), freq="weekly")
    with pytest.raises(ParameterError, match="by: got 'period'"):
        tk.incident_flow(events.assign(period=1), cutoff=hour(1), by="period")
