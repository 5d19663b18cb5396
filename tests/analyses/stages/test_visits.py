"""Which stage an incident was in, from when until when, and how it left."""

import gzip
import json
from collections import defaultdict

import duckdb
import narwhals.stable.v2 as nw
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.errors import ParameterError

START = pd.Timestamp("2020-11-02T00:00:00Z")
COLUMNS = [
    "server_id", "incident_id", "visit", "stage", "num_stages", "entered_at", "left_at", "dwell_s", "exit",
    "next_stage", "is_censored", "is_left_truncated", "from_start", "started_at", "is_last_stage", "team_id",
    "plugin_version", "public", "cutoff",
]  # fmt: skip


def minute(number):
    return START + pd.Timedelta(number, "min")


def told(visits):
    """Visits as short lines: stage, minutes from and until, exit, next stage."""

    def at(time):
        return "?" if pd.isna(time) else f"{(time - START) / pd.Timedelta(1, 'min'):g}"

    return [
        f"{row.stage} {at(row.entered_at)}-{at(row.left_at)} {row.exit}"
        + ("" if pd.isna(row.next_stage) else f" {row.next_stage}")
        for row in visits.itertuples()
    ]


def collected(frame):
    """A frame of any kind as pandas, in the order of visits."""
    return engine.collect(engine.open_frame(frame, [], parameter="frame"))


def test_an_incident_is_followed_through_moves_ends_and_restarts(incident_log):
    events = incident_log(
        "a1 0 create 0/3",
        "a1 10 change_commander 0/3",
        "a1 20 change_stage 2/3",
        "a1 50 change_stage 1/3",
        "a1 60 end x1/3",
        "a1 70 change_stage x2/3",
        "a1 80 restart 2/3",
        "a1 90 end x2/3",
        "a1 95 restart 2/3",
    )
    visits = tk.stage_visits(events, cutoff=minute(100))
    assert list(visits.columns) == COLUMNS
    assert told(visits) == [
        "0 0-20 advanced 2",
        "2 20-50 returned 1",
        "1 50-60 ended",
        "2 80-90 ended",
        "2 95-100 open",
    ]
    assert visits["visit"].to_list() == [0, 1, 2, 3, 4]
    assert visits["dwell_s"].to_list() == [1200, 1800, 600, 600, 300]
    assert visits["is_censored"].to_list() == [False] * 4 + [True]
    assert visits["from_start"].all()
    assert not visits["is_left_truncated"].any()
    assert (visits["cutoff"] == minute(100)).all()


def test_events_after_the_cutoff_are_left_out_and_those_at_it_are_not(incident_log):
    events = incident_log("a1 0 create 0/3", "a1 10 change_stage 1/3", "a1 20 end x1/3", "b1 30 create 0/2")
    assert told(tk.stage_visits(events, cutoff=minute(15))) == ["0 0-10 advanced 1", "1 10-15 open"]
    assert told(tk.stage_visits(events, cutoff=minute(20))) == ["0 0-10 advanced 1", "1 10-20 ended"]
    assert told(tk.stage_visits(events, cutoff=minute(30)))[2:] == ["0 30-30 open"]


def test_incidents_without_stages_have_no_visits(incident_log):
    events = incident_log("a1 0 create 0/0", "a1 10 end x0/0", "a2 0 create -1/0", "a3 0 create ?/3")
    visits = tk.stage_visits(events, cutoff=minute(20))
    assert visits.empty
    assert list(visits.columns) == COLUMNS


def test_a_recording_that_begins_inside_a_visit_does_not_know_since_when(incident_log):
    events = incident_log("a1 10 change_commander 1/3", "a1 20 change_stage 2/3", "a1 30 end x2/3")
    visits = tk.stage_visits(events, cutoff=minute(40))
    assert told(visits) == ["1 ?-20 advanced 2", "2 20-30 ended"]
    assert visits["is_left_truncated"].to_list() == [True, False]
    assert visits["dwell_s"].isna().to_list() == [True, False]
    assert not visits["from_start"].any()
    assert visits["public"].isna().all()


@pytest.mark.parametrize("action", ["create", "change_stage", "restart"])
def test_a_first_event_that_begins_a_visit_tells_since_when(incident_log, action):
    visits = tk.stage_visits(incident_log(f"a1 500 {action} 1/3"), cutoff=minute(600))
    assert told(visits) == ["1 500-600 open"]
    assert visits["from_start"].to_list() == [action == "create"]


def test_a_restart_after_a_closed_beginning_is_known(incident_log):
    events = incident_log(
        "a1 10 change_stage x1/3", "a1 20 restart 1/3", "b1 10 end x1/3", "b1 20 change_commander 1/3"
    )
    assert told(tk.stage_visits(events, cutoff=minute(40))) == ["1 20-40 open", "1 20-40 open"]


@pytest.mark.parametrize(("seconds", "is_create"), [(0, True), (60, True), (60.000001, False), (90, False)])
def test_without_actions_an_event_within_a_minute_of_creation_is_the_create(incident_log, seconds, is_create):
    events = incident_log("a1 0 - 0/3", "a1 30 - 1/3")
    events.loc[0, "event_timestamp"] += pd.Timedelta(seconds, "s")
    visits = tk.stage_visits(events, cutoff=minute(40))
    assert visits["is_left_truncated"].to_list() == [not is_create, False]
    assert visits["from_start"].to_list() == [is_create] * 2


def updated(events, since):
    """Events of which those from a moment on are of a version that has statuses in place of stages."""
    later = events["event_timestamp"] >= minute(since)
    return events.assign(
        is_active=events["is_active"].mask(later),
        active_stage=events["active_stage"].mask(later),
        current_status=pd.Series("Active", events.index).where(later),
        action=events["action"].astype(str).mask(later, "update_status"),
    )


@pytest.mark.parametrize("kind", ["pandas", "polars", "duckdb"])
def test_an_update_to_a_version_without_stages_ends_the_observation_and_not_the_visit(incident_log, kind):
    events = updated(
        incident_log("a1 0 create 0/3", "a1 10 change_stage 1/3", "a1 40 end x1/3", "a1 50 restart 1/3",
                     "b1 0 create 0/2", "b1 5 end x0/2", "c1 60 create 0/3"), since=30,
    )  # fmt: skip
    frame = {"pandas": events, "polars": nw.from_native(events).to_polars().lazy(),
             "duckdb": duckdb.sql("SELECT * FROM events")}[kind]  # fmt: skip
    visits = collected(tk.stage_visits(frame, cutoff=minute(100)))
    assert told(visits) == ["0 0-10 advanced 1", "1 10-40 open", "0 0-5 ended"]
    assert visits["is_censored"].to_list() == [False, True, False]
    assert visits["cutoff"].to_list() == [minute(40), minute(40), minute(100)]
    # A funnel within an hour leaves out an incident that was watched for 40 minutes, and says so.
    assert tk.stage_funnel(visits, within="30min")["n_eligible"].to_list()[0] == 2
    assert tk.stage_funnel(visits, within="1h")["n_eligible"].to_list()[0] == 1


def test_ties_in_time_keep_the_order_of_the_rows(incident_log):
    events = incident_log(
        "a1 10 end x0/2", "a1 0 create 0/2", "a1 10 restart 0/2", "b1 10 restart 0/2", "b1 10 end x0/2"
    )
    visits = tk.stage_visits(events, cutoff=minute(20))
    assert told(visits) == ["0 0-10 ended", "0 10-20 open", "0 10-10 ended"]


def test_the_incident_brings_what_was_first_known_of_it(incident_log):
    events = incident_log("a1 0 change_commander 0/3", "a1 1 create 0/3", "a1 20 change_stage 1/3", "a1 30 create 1/3")
    events["plugin_version"] = [None, "1.0.0", "1.1.0", "1.1.0"]
    events["public"] = pd.array([None, False, None, True], dtype="boolean")
    visits = tk.stage_visits(events, cutoff=minute(40))
    assert visits["plugin_version"].to_list() == ["1.0.0"] * 2
    assert visits["public"].to_list() == [False] * 2
    assert visits["from_start"].to_list() == [True] * 2


def test_incidents_are_told_apart_by_server(incident_log):
    events = incident_log("a1 0 create 0/3", "b1 5 create 0/3", "a1 10 end x0/3").assign(incident_id="same")
    assert told(tk.stage_visits(events, cutoff=minute(20))) == ["0 0-10 ended", "0 5-20 open"]


def test_events_without_rows_give_visits_without_rows(incident_log):
    whole = tk.stage_visits(incident_log("a1 0 create 0/3"), cutoff=minute(20))
    empty = tk.stage_visits(incident_log(), cutoff=minute(20))
    assert empty.empty
    pd.testing.assert_series_equal(empty.dtypes, whole.dtypes)


def test_a_cutoff_without_a_zone_is_in_utc(incident_log):
    events = incident_log("a1 0 create 0/3")
    visits = tk.stage_visits(events, cutoff="2020-11-02 01:00")
    pd.testing.assert_frame_equal(visits, tk.stage_visits(events, cutoff=minute(60)))


def test_mistakes_are_named(incident_log):
    events = incident_log("a1 0 create 0/3")
    with pytest.raises(ParameterError, match="cutoff: got 'soon'"):
        tk.stage_visits(events, cutoff="soon")
    with pytest.raises(ParameterError, match="incidents has no column 'active_stage'"):
        tk.stage_visits(events.drop(columns="active_stage"), cutoff=minute(1))
    with pytest.raises(ParameterError, match="incidents: got 'list'"):
        tk.stage_visits([1], cutoff=minute(1))


def test_every_kind_of_frame_gives_the_same_visits_of_its_own_kind(oct2020, as_kind):
    events = as_kind(oct2020.incident)
    visits = tk.stage_visits(events, cutoff=oct2020.cutoff)
    assert type(visits) is type(events)
    pd.testing.assert_frame_equal(collected(visits), tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff))


def test_timestamps_without_a_zone_stay_without_one(incident_log):
    events = nw.from_native(incident_log("a1 0 create 0/3", "a1 9 end x0/3")).lazy("polars")
    naive = events.with_columns(nw.col("event_timestamp", "created_at").dt.replace_time_zone(None)).to_native()
    visits = tk.stage_visits(naive, cutoff=minute(20))
    assert visits.collect_schema()["left_at"].time_zone is None
    assert told(collected(visits)) == ["0 0-9 ended"]


# --- The recordings ---------------------------------------------------------------------------------------------------


def walk(events, until):
    """Visits of an incident, one event after the other: stage, from, until, exit, next stage."""
    visits, stage, since = [], None, None
    for position, event in enumerate(events):
        is_told = not pd.isna(event.is_active) and not pd.isna(event.active_stage)
        staged = is_told and event.is_active and event.num_checklists > 0
        now = event.active_stage if staged else None
        if now == stage:
            continue
        if stage is not None:
            left = "ended" if now is None else "advanced" if now > stage else "returned"
            visits.append((stage, since, event.event_timestamp, left, now))
        is_known = position > 0 or event.action in ("create", "change_stage", "restart")
        stage, since = now, event.event_timestamp if is_known else None
    return visits if stage is None else [*visits, (stage, since, until, "open", None)]


def plain(row):
    return tuple(None if pd.isna(value) else value for value in row)


def walked(events, until):
    """The visits of all incidents, walked."""
    incidents = defaultdict(list)
    ordered = events[events["event_timestamp"] <= until].sort_values("event_timestamp", kind="stable")
    for event in ordered.itertuples():
        incidents[event.server_id, event.incident_id].append(event)
    return [
        (*incident, number, *visit)
        for incident in sorted(incidents)
        for number, visit in enumerate(walk(incidents[incident], until))
    ]


def found(events, until):
    names = ["server_id", "incident_id", "visit", "stage", "entered_at", "left_at", "exit", "next_stage"]
    return [plain(row) for row in tk.stage_visits(events, cutoff=until)[names].itertuples(index=False)]


@pytest.mark.parametrize("begin", [0, 0.3, 0.6])
@pytest.mark.parametrize("end", [1, 0.7, 0.4])
def test_any_part_of_the_recording_is_followed_event_by_event(oct2020, begin, end):
    moments = oct2020.incident["event_timestamp"]
    late = oct2020.incident[moments >= moments.quantile(begin)]
    until = moments.quantile(end)
    assert found(late, until) == walked(late, until)


def test_visits_are_what_the_sender_did(recordings, oct2020):
    with gzip.open(recordings / "truth" / "oct2020.json.gz", "rt") as file:
        truth = [incident for incident in json.load(file)["incidents"] if incident["fully_tracked"]]
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    by_incident = dict(list(visits.groupby("incident_id")))
    n_visits = 0
    for incident in truth:
        done = done_by_the_sender(incident) if incident["num_checklists_at_create"] else []
        seen = by_incident.get(incident["incident_id"], visits[:0])
        assert [plain(row) for row in seen[["stage", "exit", "next_stage"]].itertuples(index=False)] == [
            (stage, left, after) for stage, _, _, left, after in done
        ]
        for row, (_, since, until, _, _) in zip(seen.itertuples(), done, strict=True):
            # An event is stamped some microseconds after what it tells.
            assert abs(row.entered_at - since) < pd.Timedelta(1, "ms")
            assert abs(row.left_at - (oct2020.cutoff if until is None else until)) < pd.Timedelta(1, "ms")
        n_visits += len(done)
    assert n_visits > 900


def done_by_the_sender(incident):
    """Visits from the sender's diary of one incident; without the time at which an open one is cut off."""
    diary = [(step["seq"], step["t"], step["stage"]) for step in incident["stages"]]
    diary += [(step["seq"], step["t"], "end") for step in incident["ends"]]
    diary += [(step["seq"], step["t"], "restart") for step in incident["restarts"]]
    visits, stage, is_open = [], 0, False
    for _, text, what in sorted(diary, key=lambda step: step[0]):
        time = pd.Timestamp(text).floor("us").as_unit("us")
        if is_open:
            left = "ended" if what == "end" else "advanced" if what > stage else "returned"
            visits[-1][2:] = [time, left, None if what == "end" else what]
        if what not in ("end", "restart"):
            is_open = is_open or not visits
            stage = what
        else:
            is_open = what == "restart"
        if is_open:
            visits.append([stage, time, None, "open", None])
    return visits


@pytest.mark.slow
@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a1", "a2", "b1"]),
            st.integers(0, 6),
            st.sampled_from(["create", "change_stage", "restart", "end", "change_commander"]),
            st.sampled_from(["0/3", "1/3", "2/3", "x0/3", "x2/3", "0/0", "?/3"]),
        ),
        max_size=12,
    ),
    st.integers(0, 7),
)
def test_any_sequence_of_events_is_followed(incident_log, rows, until):
    events = incident_log(*(f"{incident} {time} {action} {state}" for incident, time, action, state in rows))
    assert found(events, minute(until)) == walked(events, minute(until))
