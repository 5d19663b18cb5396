"""In which period a row lies, and which periods were recorded as a whole."""

import numpy as np
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError


def at(*moments):
    return pd.to_datetime(list(moments), utc=True, format="ISO8601").as_unit("us")


def events(*moments, **columns):
    return pd.DataFrame({"event_timestamp": at(*moments), **columns})


def starts(frame):
    return [f"{period:%Y-%m-%d %H:%M}" for period in frame["period"]]


@pytest.mark.parametrize(
    ("periods", "expected"),
    {
        "D": ["2019-12-31 00:00", "2020-01-01 00:00", "2020-02-29 00:00"],
        "W": ["2019-12-30 00:00", "2019-12-30 00:00", "2020-02-24 00:00"],
        "M": ["2019-12-01 00:00", "2020-01-01 00:00", "2020-02-01 00:00"],
        "Q": ["2019-10-01 00:00", "2020-01-01 00:00", "2020-01-01 00:00"],
    }.items(),
)
def test_a_row_lies_in_the_period_of_its_moment_in_utc(periods, expected):
    frame = events("2019-12-31T23:59:59.999999Z", "2020-01-01T00:30:00+00:30", "2020-02-29T12:00:00Z")
    assert starts(tk.add_period(frame, periods)) == expected


@pytest.mark.parametrize("freq", ["W", "M", "Q"])
def test_periods_are_those_of_the_calendar(freq):
    days = pd.date_range("1899-12-25", "2104-03-02", freq="11D", tz="UTC").as_unit("us")
    got = tk.add_period(pd.DataFrame({"event_timestamp": days}), freq)["period"]
    expected = days.tz_localize(None).to_period(freq).start_time.tz_localize("UTC")
    np.testing.assert_array_equal(got, expected)


def test_a_named_period_begins_with_its_first_moment_and_ends_before_its_last():
    frame = events("2020-11-01", "2020-11-02", "2020-11-03", "2020-11-04")
    periods = {"first": (None, "2020-11-02"), "second": ("2020-11-02", "2020-11-03")}
    assert tk.add_period(frame, periods)["period"].fillna("none").to_list() == ["first", "second", "none", "none"]


def test_an_unknown_time_lies_in_no_period():
    frame = pd.DataFrame({"event_timestamp": at("2020-11-01", None)})
    for periods in ("M", {"all": (None, None)}):
        assert tk.add_period(frame, periods)["period"].isna().to_list() == [False, True]


def test_visits_and_durations_lie_in_the_period_in_which_their_incident_began(incident_log):
    log = incident_log("a1 1430 create 0/3", "a1 1450 change_stage 1/3", "a1 1500 end x1/3", "b1 1450 create 0/3")
    visits = tk.stage_visits(log, cutoff="2020-11-05")
    assert starts(tk.add_period(visits, "D")) == ["2020-11-02 00:00", "2020-11-02 00:00", "2020-11-03 00:00"]
    durations = tk.incident_durations(log, cutoff="2020-11-05")
    assert starts(tk.add_period(durations, "D")) == ["2020-11-02 00:00", "2020-11-03 00:00"]


def test_an_incident_without_a_recorded_create_lies_in_the_period_of_its_created_at(incident_log):
    visits = tk.stage_visits(incident_log("a1 1450 change_stage 1/3"), cutoff="2020-11-05")
    assert starts(tk.add_period(visits, "D")) == ["2020-11-02 00:00"]


def test_a_playbook_lies_in_the_period_in_which_it_was_first_seen(autumn):
    log = tk.load_events(autumn)
    snapshot = tk.playbook_snapshot(log.playbook, as_of=log.cutoff)
    got = tk.add_period(snapshot, "D")
    assert (got["period"] == snapshot["first_seen_at"].dt.floor("D")).all()
    changed = tk.add_period(snapshot, "D", of="last_changed_at")
    assert (changed["period"] == snapshot["last_changed_at"].dt.floor("D")).all()


def test_summaries_tell_periods_apart(autumn):
    log = tk.load_events(autumn)
    tasks = tk.add_period(log.tasks, "M")
    by_period = tk.task_completion(tasks, by="period")
    november = tk.task_completion(log.tasks, cutoff="2020-11-30T23:59:59.999999Z")
    assert by_period["n_completed"].head(4).to_list() == november["n_completed"].to_list()
    assert by_period["upper"].head(4).to_list() == november["upper"].to_list()


def test_an_empty_frame_has_no_periods_but_the_column():
    for periods in ("W", {"all": (None, None)}):
        assert list(tk.add_period(events(), periods).columns) == ["event_timestamp", "period"]


@pytest.mark.parametrize(
    ("frame", "arguments", "message"),
    [
        (events("2020-11-01"), {"periods": "Y"}, r"periods: got 'Y', expected one of 'D', 'W', 'M', 'Q', or a mapping"),
        (events("2020-11-01"), {"periods": {}}, r"periods: got {}, expected one of"),
        (
            events("2020-11-01"),
            {"periods": {"x": "2020"}},
            r"got {'x': '2020'}, expected a name and its",
        ),
        (events("2020-11-01"), {"periods": {"x": ("soon", None)}}, r"periods\['x'\]: got 'soon', expected a datetime"),
        (
            events("2020-11-01"),
            {"periods": {"x": ("2021-01-01", "2020-01-01")}},
            r"periods\['x'\]: .*a first moment before",
        ),
        (
            events("2020-11-01"),
            {"periods": {"x": (None, "2021-01-01"), "y": ("2020-01-01", None)}},
            r"'x' and 'y', which overlap",
        ),
        (
            events("2020-11-01"),
            {"periods": {"x": (None, None), "y": ("2020-01-01", None)}},
            r"'x' and 'y', which overlap",
        ),
        (events("2020-11-01"), {"periods": "D", "of": "time"}, r"of: got 'time', expected one of 'event_timestamp'"),
        (events("2020-11-01", period="x"), {"periods": "D"}, r"frame: got .a frame with the column 'period'"),
        (pd.DataFrame({"x": [1]}), {"periods": "D"}, r"frame: got .a frame without event_timestamp.*of="),
        ([1], {"periods": "D"}, r"frame: got 'list', expected a frame"),
    ],
)
def test_a_mistake_is_told(frame, arguments, message):
    with pytest.raises(ParameterError, match=message):
        tk.add_period(frame, **arguments)


# Which were recorded as a whole -------------------------------------------------------------------------------------


def log_of(make_event, *moments, **bounds):
    made = [make_event(n) | {"timestamp": moment} for n, moment in enumerate(moments)]
    return tk.load_events(pd.DataFrame(made), **bounds)


def test_a_period_is_complete_where_the_log_tells_of_all_of_it(make_event):
    log = log_of(make_event, "2020-11-04T10:00:00Z", "2020-11-20T10:00:00Z", "2020-11-24T10:00:00Z")
    weeks = tk.list_periods(log, "W")
    assert starts(weeks) == ["2020-11-02 00:00", "2020-11-09 00:00", "2020-11-16 00:00", "2020-11-23 00:00"]
    assert weeks["n_events"].to_list() == [1, 0, 1, 1]
    assert weeks["is_complete"].to_list() == [False, True, True, False]
    assert weeks["ends_at"].to_list()[:-1] == weeks["starts_at"].to_list()[1:]


def test_the_ends_that_were_given_decide_not_the_events(make_event):
    bounds = {"since": "2020-11-02", "cutoff": "2020-11-16"}
    log = log_of(make_event, "2020-11-04T10:00:00Z", "2020-11-12T10:00:00Z", **bounds)
    assert tk.list_periods(log, "W")["is_complete"].to_list() == [True, True, False]


def test_the_open_end_of_a_named_period_is_that_of_the_log(make_event):
    log = log_of(make_event, "2020-11-04T10:00:00Z", "2020-11-20T10:00:00Z")
    periods = {"after": ("2020-11-10", None), "before": (None, "2020-11-10"), "later": ("2021-01-01", "2021-02-01")}
    with pytest.raises(ParameterError, match=r"'after' and 'later', which overlap"):
        tk.list_periods(log, periods)
    periods["after"] = ("2020-11-10", "2020-12-01")
    listed = tk.list_periods(log, periods)
    assert listed["period"].to_list() == ["before", "after", "later"]
    assert listed["n_events"].to_list() == [1, 1, 0]
    assert listed["is_complete"].to_list() == [True, False, False]


def test_a_log_without_events_has_no_periods(make_event):
    log = tk.load_events(pd.DataFrame([make_event(0, "frontend")]))
    assert len(tk.list_periods(log, "M")) == 0
    assert tk.list_periods(log, {"all": (None, None)})["is_complete"].to_list() == [False]


# The latest two ------------------------------------------------------------------------------------------------------


def test_the_latest_two_whole_periods_are_those_to_compare(make_event):
    log = log_of(make_event, *(f"2020-11-{day:02}T10:00:00Z" for day in (4, 10, 20, 24)))
    latest = tk.latest_periods(log, "W")
    assert list(latest) == ["2020-11-09", "2020-11-16"]
    assert latest["2020-11-16"] == (pd.Timestamp("2020-11-16", tz="UTC"), pd.Timestamp("2020-11-23", tz="UTC"))
    placed = tk.add_period(log.tasks, latest)
    assert placed["period"].dropna().to_list() == ["2020-11-09", "2020-11-16"]


def test_without_two_whole_periods_the_latest_two_are_taken(make_event):
    log = log_of(make_event, "2020-10-04T10:00:00Z", "2020-11-24T10:00:00Z")
    assert list(tk.latest_periods(log, "M")) == ["2020-10-01", "2020-11-01"]


@pytest.mark.parametrize("moments", [[], ["2020-11-04T10:00:00Z", "2020-11-20T10:00:00Z"]])
def test_one_period_has_nothing_to_be_compared_with(make_event, moments):
    log = log_of(make_event, *moments) if moments else tk.load_events(pd.DataFrame([make_event(0, "frontend")]))
    assert tk.latest_periods(log, "M") == {}


def test_named_periods_are_no_frequency(make_event):
    with pytest.raises(ParameterError, match="freq: got 'Y', expected one of 'D', 'W', 'M', 'Q'"):
        tk.latest_periods(log_of(make_event, "2020-10-04T10:00:00Z"), "Y")
