"""At which hour of the week servers work, by their own clocks."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError


def events(*moments):
    """Events of servers a, b, …: each a time in UTC and the offset of the server's clock in hours."""
    rows = [
        {
            "server_id": server,
            "event_timestamp": pd.Timestamp(at, tz="UTC"),
            "utc_offset_s": None if offset is None else round(offset * 3600),
        }
        for server, at, offset in moments
    ]
    return pd.DataFrame(rows).astype({"utc_offset_s": "Int64"})


def test_an_hour_and_a_weekday_are_those_of_the_servers_clock():
    # A Monday in UTC.
    local = tk.add_local_time(
        events(
            ("a", "2020-11-02T00:00:00", 0),
            ("a", "2020-11-02T00:00:00", -1),
            ("a", "2020-11-02T23:59:59.999999", 0),
            ("a", "2020-11-02T20:15:00", 5.5),
            ("a", "2020-11-02T12:00:00", None),
        )
    )
    assert local["local_weekday"].tolist() == [1, 7, 1, 2, pd.NA]
    assert local["local_hour"].tolist() == [0, 23, 23, 1, pd.NA]


def test_local_time_is_not_added_twice():
    local = tk.add_local_time(events(("a", "2020-11-02T00:00:00", 0)))
    with pytest.raises(ParameterError, match=r"events: got .a frame with the column"):
        tk.add_local_time(local)


def test_the_load_has_every_hour_of_the_week():
    table = tk.load_by_hour(
        events(
            ("a", "2020-11-02T08:30:00", 1),
            ("b", "2020-11-09T10:30:00", -1),
            ("b", "2020-11-09T10:45:00", -1),
            ("b", "2020-11-08T23:30:00", 0),
            ("c", "2020-11-02T09:30:00", None),
        )
    )
    assert len(table) == 168
    there = table[table["n_events"] > 0]
    assert there.to_numpy().tolist() == [[1, 9, 3, 2], [7, 23, 1, 1]]


def test_no_events_give_no_hours():
    assert len(tk.load_by_hour(events(("a", "2020-11-02T08:30:00", 1)).head(0))) == 0


@pytest.fixture
def starts(incident_log):
    """Incidents that start at hours of Monday, 2 November, in UTC, and an offset in hours for each."""

    def write(*lines):
        words = [line.split() for line in lines]
        log = incident_log(*(f"{incident} {float(at) * 60} create 0/2" for incident, at, _ in words))
        offsets = {incident: None if offset == "?" else round(float(offset) * 3600) for incident, _, offset in words}
        log["utc_offset_s"] = log["incident_id"].map(offsets).astype("Int64")
        return log

    return write


CUTOFF = "2020-11-30"


def test_what_starts_before_after_and_on_free_days_is_out_of_hours(starts):
    log = starts("a1 9 0", "a2 16.99 0", "b1 17 0", "b2 8.9 0", "c1 12 6", "c2 33 0", "c3 130 0", "c4 12 ?")
    table = tk.out_of_hours(log, cutoff=CUTOFF)
    # a1, a2 and c2 (Tuesday, 9 o'clock) are within; c3 is on a Saturday.
    assert table[["n_started", "n_out_of_hours", "n_unknown", "n_servers"]].iloc[0].tolist() == [7, 4, 1, 3]
    assert table["estimate"].iloc[0] == pytest.approx(4 / 7)
    weekend = tk.out_of_hours(log, cutoff=CUTOFF, workdays=[6, 7], work_hours=(0, 24))
    assert weekend["n_out_of_hours"].iloc[0] == 6


def test_only_incidents_whose_create_was_recorded_start(incident_log):
    log = incident_log("a1 600 change_stage 1/2", "a1 700 end x1/2", "b1 600 create 0/2", "b1 1300 end x0/2")
    table = tk.out_of_hours(log.assign(utc_offset_s=pd.array([0] * len(log), dtype="Int64")), cutoff=CUTOFF)
    assert table[["n_started", "n_out_of_hours"]].iloc[0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"work_hours": (17, 9)}, "work_hours: got .*, expected two whole hours"),
        ({"work_hours": "9-17"}, "work_hours: got '9-17', expected two whole hours"),
        ({"work_hours": (9, 25)}, "work_hours: got"),
        ({"workdays": []}, "workdays: got .*, expected days of the week"),
        ({"workdays": [0]}, "workdays: got .*, expected days of the week"),
        ({"workdays": "Mon"}, "workdays: got 'Mon', expected days of the week"),
    ],
)
def test_hours_and_days_that_are_none_are_refused(starts, given, message):
    with pytest.raises(ParameterError, match=message):
        tk.out_of_hours(starts("a1 9 0"), cutoff=CUTOFF, **given)


@pytest.mark.slow
def test_the_recorded_offsets_tell_the_hours(recordings):
    log = tk.load_events(recordings / "batch-bodies" / "oct2020.jsonl.gz")
    hours = tk.load_by_hour(log.tasks)
    assert hours["n_events"].sum() == len(log.tasks)
    assert log.tasks["utc_offset_s"].nunique() > 3
    warehouse = tk.load_events(recordings / "warehouse-postgres")
    assert warehouse.tasks["utc_offset_s"].isna().all()
