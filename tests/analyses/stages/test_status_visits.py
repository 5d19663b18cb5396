"""The visits of incidents that have a status in place of stages, and what stages have for them."""

import gzip
import json

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

START = pd.Timestamp("2020-11-02T00:00:00Z").as_unit("us")


def minute(number):
    return START + pd.Timedelta(number, "min")


def told(visits):
    """Visits as short lines: status, minutes from and until, exit, next status."""

    def at(time):
        return "?" if pd.isna(time) else f"{(time - START).total_seconds() / 60:g}"

    return [
        f"{row.status} {at(row.entered_at)}-{at(row.left_at)} {row.exit} {row.next_status}"
        if isinstance(row.next_status, str)
        else f"{row.status} {at(row.entered_at)}-{at(row.left_at)} {row.exit}"
        for row in visits.itertuples()
    ]


@pytest.fixture(scope="module")
def later(recordings):
    return tk.load_events(recordings / "batch-bodies" / "later.jsonl.gz")


@pytest.fixture(scope="module")
def visits(later):
    return tk.status_visits(later.incident, cutoff=later.cutoff)


def test_an_incident_is_followed_through_statuses_until_it_is_archived_and_after(status_log):
    events = status_log(
        "a1 0 create Reported", "a1 5 change_commander Reported", "a1 10 update_status Active",
        "a1 20 update_status Resolved", "a1 30 update_status Active", "a1 40 update_status Archived",
        "a1 45 change_commander Archived", "a1 60 update_status Reported",
    )  # fmt: skip
    visits = tk.status_visits(events, cutoff=minute(100))
    assert told(visits) == [
        "Reported 0-10 advanced Active",
        "Active 10-20 advanced Resolved",
        "Resolved 20-30 returned Active",
        "Active 30-40 ended Archived",
        "Reported 60-100 open",
    ]
    assert visits["visit"].to_list() == [0, 1, 2, 3, 4]
    assert visits["stage"].to_list() == [0, 1, 2, 1, 0]
    assert visits["next_stage"].isna().to_list() == [False, False, False, True, True]
    assert (visits["num_stages"] == 4).all()
    assert visits["is_last_stage"].to_list() == [False, False, True, False, False]


def test_an_incident_seen_late_does_not_tell_since_when_it_is_in_its_status(status_log):
    visits = tk.status_visits(
        status_log("a1 10 update_status Active", "a1 20 update_status Resolved", "a2 30 change_commander Archived"),
        cutoff=minute(40),
    )
    assert told(visits) == ["Active ?-20 advanced Resolved", "Resolved 20-40 open"]
    assert not visits["from_start"].any()


def test_an_unknown_status_says_nothing(status_log):
    events = status_log("a1 0 create Reported", "a1 10 update_status Frozen", "a1 20 update_status Active")
    assert told(tk.status_visits(events, cutoff=minute(30))) == ["Reported 0-20 advanced Active", "Active 20-30 open"]


def test_what_is_open_on_a_silent_server_is_censored_where_it_fell_silent(status_log, incident_log):
    heard = pd.DataFrame({"server_id": ["a"], "observed_until": [minute(20)]})
    for visits in (
        tk.status_visits(
            status_log("a1 0 create Reported", "b1 5 create Reported"), cutoff=minute(90), observed_until=heard
        ),
        tk.stage_visits(incident_log("a1 0 create 0/2", "b1 5 create 0/2"), cutoff=minute(90), observed_until=heard),
    ):
        assert visits["left_at"].to_list() == visits["cutoff"].to_list() == [minute(20), minute(90)]
        assert visits["dwell_s"].to_list() == [1200, 85 * 60]
        assert visits["is_censored"].all()


def test_events_after_a_server_was_observed_are_left_out(incident_log):
    heard = pd.DataFrame({"server_id": ["a", "b"], "observed_until": [minute(15), minute(999)]})
    events = incident_log("a1 0 create 0/2", "a1 20 end x0/2", "b1 0 create 0/2", "b1 95 end x0/2")
    visits = tk.stage_visits(events, cutoff=minute(90), observed_until=heard)
    assert visits["exit"].to_list() == ["open", "open"]
    assert visits["left_at"].to_list() == [minute(15), minute(90)]


def test_incidents_without_a_status_have_no_status_visits_and_the_other_way_round(oct2020, later):
    assert tk.status_visits(oct2020.incident, cutoff=oct2020.cutoff).empty
    assert tk.stage_visits(later.incident, cutoff=later.cutoff).empty


def test_mistakes_are_named(status_log):
    events = status_log("a1 0 create Reported")
    with pytest.raises(ParameterError, match="no column 'current_status'"):
        tk.status_visits(events.drop(columns="current_status"), cutoff=minute(1))
    with pytest.raises(ParameterError, match="no column 'observed_until'"):
        tk.status_visits(events, cutoff=minute(1), observed_until=events)


def test_status_visits_are_what_the_sender_did_as_far_as_its_events_can_show(recordings, later, visits):
    # An update_status carries the status before the update: a change shows with the next event, and the last may never.
    with gzip.open(recordings / "truth" / "later.json.gz", "rt") as file:
        truth = {incident["incident_id"]: incident for incident in json.load(file)["incidents"]}
    n_visits = n_hidden = 0
    for incident, rows in visits.groupby("incident_id"):
        done = [(step["value"], pd.Timestamp(step["t"])) for step in truth[incident]["statuses"]]
        done = [now for before, now in zip([(None, None), *done], done, strict=False) if now[0] != before[0]]
        statuses = [value for value, _ in done]
        seen = [*rows["status"], *(["Archived"] if rows["exit"].iloc[-1] == "ended" else [])]
        assert seen == statuses[: len(seen)] or "Archived" in statuses[:-1]
        for entered, (_, since) in zip(rows["entered_at"], done, strict=False):
            assert entered - since > pd.Timedelta(-1, "ms")
        n_hidden += len(statuses) - len(seen)
        n_visits += len(rows)
    assert (n_visits, n_hidden) == (40, 18)


def test_tables_name_the_statuses_beside_their_places(visits):
    for table in (
        tk.stage_funnel(visits), tk.stage_dwell(visits), tk.stage_survival(visits), tk.time_to_stage(visits),
        tk.stage_arrivals(visits), tk.stage_transitions(visits),
    ):  # fmt: skip
        places = dict(zip(table["stage"], table["status"], strict=True))
        assert places.items() <= {0: "Reported", 1: "Active", 2: "Resolved", 3: "Archived"}.items()
    moves = tk.stage_transitions(visits)
    assert set(moves["next_status"].dropna()) <= {"Reported", "Active", "Resolved"}


def test_nobody_visits_archived_so_its_row_of_the_funnel_has_no_estimate(visits):
    row = tk.stage_funnel(visits).set_index("status").loc["Archived"]
    assert row["n_reached"] == 0
    assert row[["estimate", "lower", "upper", "step_estimate"]].isna().all()
    assert tk.time_to_stage(visits)["status"].to_list() == ["Active", "Resolved"]


def test_no_status_visits_give_tables_with_the_columns_of_statuses(status_log):
    empty = tk.status_visits(status_log(), cutoff=minute(1))
    assert empty.empty
    for ask in (tk.stage_funnel, tk.stage_dwell, tk.stage_transitions):
        table = ask(empty)
        assert table.empty
        assert "status" in table
