"""How long incidents take to end, and how long they are open."""

import gzip
import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.errors import ParameterError

START = pd.Timestamp("2020-11-02T00:00:00Z")
COLUMNS = [
    "server_id", "incident_id", "started_at", "first_ended_at", "last_ended_at", "n_ends", "n_restarts", "first_end_s",
    "last_end_s", "open_s", "is_censored", "from_start", "entry_s", "num_stages", "team_id", "plugin_version",
    "public", "cutoff",
]  # fmt: skip


def minute(number):
    return START + pd.Timedelta(number, "min")


def test_an_incident_that_ends_for_good(incident_log):
    events = incident_log("a1 5 create 0/3", "a1 10 change_stage 1/3", "a1 25 end x1/3", "a1 30 change_stage x2/3")
    durations = tk.incident_durations(events, cutoff=minute(60))
    assert list(durations.columns) == COLUMNS
    row = durations.iloc[0]
    assert row[["started_at", "first_ended_at", "last_ended_at"]].to_list() == [minute(5), minute(25), minute(25)]
    assert row[["n_ends", "n_restarts", "num_stages", "is_censored", "from_start"]].to_list() == [1, 0, 3, False, True]
    assert row[["first_end_s", "last_end_s", "open_s", "entry_s"]].to_list() == [1200, 1200, 1200, 0]


def test_time_open_leaves_out_the_time_between_an_end_and_a_restart(incident_log):
    events = incident_log("a1 0 create 0/3", "a1 10 end x0/3", "a1 30 restart 0/3", "a1 35 end x0/3")
    row = tk.incident_durations(events, cutoff=minute(60)).iloc[0]
    assert row[["first_ended_at", "last_ended_at"]].to_list() == [minute(10), minute(35)]
    assert row[["n_ends", "n_restarts"]].to_list() == [2, 1]
    assert row[["first_end_s", "last_end_s", "open_s"]].to_list() == [600, 2100, 900]


def test_what_is_open_at_the_cutoff_lasts_at_least_until_then(incident_log):
    events = incident_log("a1 0 create 0/3", "b1 0 create 0/3", "b1 10 end x0/3", "b1 30 restart 0/3", "b1 90 end x0/3")
    durations = tk.incident_durations(events, cutoff=minute(60))
    assert durations["is_censored"].all()
    assert durations["n_ends"].to_list() == [0, 1]
    assert durations["first_ended_at"].isna().to_list() == [True, False]
    assert durations[["first_end_s", "last_end_s", "open_s"]].to_numpy().tolist() == [[3600] * 3, [600, 3600, 2400]]


def test_incidents_without_stages_count_and_those_that_tell_nothing_do_not(incident_log):
    events = incident_log("a1 0 create 0/0", "a1 10 end x0/0", "b1 0 create ?/3")
    events.loc[2, "is_active"] = None
    durations = tk.incident_durations(events, cutoff=minute(60))
    assert durations[["incident_id", "num_stages", "open_s"]].to_numpy().tolist() == [["a1", 0, 600]]


def test_an_incident_without_a_recorded_create_began_when_it_says_and_is_seen_from_its_first_event_on(incident_log):
    events = incident_log("a1 10 change_commander 0/3", "a1 20 end x0/3", "a1 30 restart 0/3")
    row = tk.incident_durations(events, cutoff=minute(60)).iloc[0]
    assert not row["from_start"]
    assert row[["started_at", "entry_s"]].to_list() == [minute(0), 600]
    assert row[["first_end_s", "last_end_s", "n_ends", "n_restarts"]].to_list() == [1200, 3600, 1, 1]
    assert pd.isna(row["open_s"])


@pytest.mark.parametrize("first", ["a1 9 restart 1/3", "a1 9 change_stage x1/3", "a1 9 end x1/3"])
def test_whoever_had_ended_before_the_recording_has_no_first_end(incident_log, first):
    row = tk.incident_durations(incident_log(first, "a1 20 end x1/3"), cutoff=minute(60)).iloc[0]
    assert row["entry_s"] == 540
    assert pd.isna(row["first_end_s"])


def test_whoever_is_closed_in_the_event_that_stands_for_the_create_has_no_first_end(incident_log):
    events = incident_log("a1 0 ? x0/3", "a2 0 ? 0/3", "a2 20 ? x0/3")
    events["action"] = None
    durations = tk.incident_durations(events, cutoff=minute(60))
    assert durations["from_start"].all()
    assert durations["n_ends"].to_list() == [0, 1]
    assert durations["first_end_s"].isna().to_list() == [True, False]
    assert tk.incident_survival(durations)["time_s"].to_list() == [1200]


def test_an_unknown_start_leaves_all_durations_unknown(incident_log):
    events = incident_log("a1 10 change_commander 0/3", "a1 20 end x0/3", "b1 10 change_commander 0/3")
    events["created_at"] = [pd.NaT, pd.NaT, minute(12)]
    durations = tk.incident_durations(events, cutoff=minute(60))
    assert durations[["started_at", "first_end_s", "last_end_s", "open_s", "entry_s"]].isna().all(axis=None)
    assert durations["n_ends"].to_list() == [1, 0]


def test_a_clock_that_is_a_little_late_makes_no_age_below_zero(incident_log):
    events = incident_log("a1 10 change_commander 0/3", "a1 20 end x0/3")
    events["created_at"] = minute(10.5)
    row = tk.incident_durations(events, cutoff=minute(60)).iloc[0]
    assert row[["started_at", "entry_s", "first_end_s"]].to_list() == [minute(10), 0, 600]


def test_an_event_of_another_node_just_before_the_create_moves_no_start(incident_log):
    events = incident_log("a1 4 change_commander 0/3", "a1 5 create 0/3", "a1 25 end x0/3")
    row = tk.incident_durations(events, cutoff=minute(60)).iloc[0]
    assert row["started_at"] == minute(5)
    assert row["first_end_s"] == 1200


def test_ends_and_restarts_are_those_of_the_sender(recordings, oct2020):
    with gzip.open(recordings / "truth" / "oct2020.json.gz", "rt") as file:
        truth = [incident for incident in json.load(file)["incidents"] if incident["fully_tracked"]]
    durations = tk.incident_durations(oct2020.incident, cutoff=oct2020.cutoff).set_index("incident_id")
    assert len(truth) > 350
    for incident in truth:
        row = durations.loc[incident["incident_id"]]
        assert (row["n_ends"], row["n_restarts"]) == (len(incident["ends"]), len(incident["restarts"]))
        assert row["is_censored"] == incident["is_active_at_end_of_run"]
        assert row["from_start"]
        began = pd.Timestamp(incident["create_call_t"])
        openings = [began, *(pd.Timestamp(step["t"]) for step in incident["restarts"])]
        closings = [pd.Timestamp(step["t"]) for step in incident["ends"]]
        open_s = sum(
            (until - since).total_seconds()
            for since, until in zip(openings, [*closings, oct2020.cutoff][: len(openings)], strict=True)
        )
        assert row["open_s"] == pytest.approx(open_s, abs=0.01)
        first, last = (*closings[:1], oct2020.cutoff)[0], oct2020.cutoff if row["is_censored"] else closings[-1]
        assert row["first_end_s"] == pytest.approx((first - began).total_seconds(), abs=0.01)
        assert row["last_end_s"] == pytest.approx((last - began).total_seconds(), abs=0.01)


def test_an_incident_with_a_status_ends_when_it_is_resolved_or_archived(status_log):
    events = status_log(
        "a1 0 create Reported", "a1 5 update_status Active", "a1 30 update_status Resolved",
        "a1 40 update_status Archived", "a1 50 update_status Active", "a1 60 update_status Archived",
        "b1 0 create Reported", "b1 9 update_status Archived", "b2 0 create Reported", "b2 7 update_status Frozen",
    )  # fmt: skip
    durations = tk.incident_durations(events, cutoff=minute(100))
    assert durations[["n_ends", "n_restarts"]].to_numpy().tolist() == [[2, 1], [1, 0], [1, 0]]
    assert durations["first_end_s"].to_list() == [1800, 540, 420]
    assert durations["open_s"].to_list() == [1800 + 600, 540, 420]
    assert not durations["is_censored"].any()


def test_the_last_end_of_later_versions_is_seen_only_where_another_event_follows_it(recordings):
    # An update_status carries the status before the update, so what came last cannot be seen.
    log = tk.load_events(recordings / "batch-bodies" / "later.jsonl.gz")
    with gzip.open(recordings / "truth" / "later.json.gz", "rt") as file:
        truth = {incident["incident_id"]: incident for incident in json.load(file)["incidents"]}
    durations = tk.incident_durations(log.incident, cutoff=log.cutoff)
    n_hidden = 0
    for row in durations.to_dict("records"):
        is_open = [step["value"] in ("Reported", "Active") for step in truth[row["incident_id"]]["statuses"]]
        n_ends = sum(before > now for before, now in pairwise(is_open))
        assert row["n_ends"] in (n_ends, n_ends - 1)
        n_hidden += n_ends - row["n_ends"]
    assert (len(durations), n_hidden) == (19, 12)


def test_an_incident_that_lives_through_the_change_of_versions_ends_where_its_status_says(status_log, incident_log):
    before = incident_log("a1 0 create 0/2", "a1 10 change_stage 1/2")
    after = status_log("a1 20 update_status Active", "a1 30 update_status Resolved")
    both = pd.concat([before.assign(current_status=None), after], ignore_index=True)
    durations = tk.incident_durations(both, cutoff=minute(100))
    assert durations[["n_ends", "first_end_s"]].to_numpy().tolist() == [[1, 1800]]


def test_what_is_open_on_a_silent_server_is_censored_where_it_fell_silent(incident_log):
    events = incident_log("a1 0 create 0/3", "b1 0 create 0/3", "b1 50 end x0/3")
    heard = pd.DataFrame({"server_id": ["a"], "observed_until": [minute(20)]})
    durations = tk.incident_durations(events, cutoff=minute(100), observed_until=heard)
    assert durations["first_end_s"].to_list() == [1200, 3000]
    assert durations["is_censored"].to_list() == [True, False]


def test_events_that_cannot_tell_whether_an_incident_is_open_are_refused(incident_log):
    with pytest.raises(ParameterError, match=r"versions before 1[.]3 have is_active, later ones current_status"):
        tk.incident_durations(incident_log("a1 0 create 0/3").drop(columns="is_active"), cutoff=minute(1))


def test_events_without_rows_give_durations_without_rows(incident_log):
    empty = tk.incident_durations(incident_log(), cutoff=minute(1))
    assert empty.empty
    whole = tk.incident_durations(incident_log("a1 0 create 0/3"), cutoff=minute(1))
    pd.testing.assert_series_equal(empty.dtypes, whole.dtypes)
    table = tk.time_to_end(empty, by="public")
    assert table.empty
    pd.testing.assert_series_equal(table.dtypes, tk.time_to_end(whole, by="public").dtypes)


def test_every_kind_of_frame_gives_the_same_durations_of_its_own_kind(oct2020, as_kind):
    events = as_kind(oct2020.incident)
    durations = tk.incident_durations(events, cutoff=oct2020.cutoff)
    assert type(durations) is type(events)
    expected = tk.incident_durations(oct2020.incident, cutoff=oct2020.cutoff)
    pd.testing.assert_frame_equal(engine.collect(engine.open_frame(durations, [], parameter="frame")), expected)
    pd.testing.assert_frame_equal(tk.time_to_end(durations, by="public"), tk.time_to_end(expected, by="public"))


def test_time_to_end_counts_open_incidents_as_lasting(incident_log):
    events = incident_log(
        "a1 0 create 0/3", "a1 10 end x0/3",
        "a2 0 create 0/3", "a2 20 end x0/3", "a2 30 restart 0/3",
        "b1 0 create 0/3",
        "c1 0 change_commander x0/3", "c1 9 end x0/3",
    )  # fmt: skip
    row = tk.time_to_end(tk.incident_durations(events, cutoff=minute(60))).iloc[0]
    assert row[["n_incidents", "n_ended", "n_censored", "n_excluded", "n_servers"]].to_list() == [3, 2, 1, 1, 2]
    assert row["median_s"] == 1200
    assert pd.isna(row["q75_s"])


def test_the_curve_is_that_of_r(oct2020):
    # R: y <- s + N * residuals(survfit(Surv(entry_s, first_end_s, n_ends > 0) ~ 1, id = incident), times, "survival"),
    # its error and degrees of freedom by coef_test(lm(y ~ 1), vcov = "CR2", cluster = server_id, test =
    # "Satterthwaite") of clubSandwich, log-log limits, at the 1st, 20th and 60th time of an end.
    curve = tk.incident_survival(tk.incident_durations(oct2020.incident, cutoff=oct2020.cutoff))
    columns = ["time_s", "n_at_risk", "survival", "lower", "upper", "df"]
    assert curve[curve["n_observed"] > 0].iloc[[0, 19, 59]][columns].to_numpy(float) == pytest.approx(
        np.array([
            [0.546939, 377, 0.9973474801, 0.9770806522, 0.9996957874, 16.5823155428],
            [312.040486, 358, 0.9469496021, 0.9132295493, 0.9677951555, 16.5823155428],
            [2086.151283, 318, 0.8408488064, 0.7878597035, 0.8815959971, 16.5823155428],
        ]),
        abs=1e-9,
    )  # fmt: skip
    assert curve["n_servers"].eq(38).all()


def test_whoever_was_first_seen_late_is_at_risk_from_then_on_and_counted(incident_log):
    # R: survfit(Surv(c(0, 0, 0, 15), c(10, 20, 60, 40), c(1, 1, 0, 1)) ~ 1)
    events = incident_log(
        "a1 0 create 0/3", "a1 10 end x0/3", "b1 0 create 0/3", "b1 20 end x0/3", "c1 0 create 0/3",
        "d1 15 change_stage 1/3", "d1 40 end x1/3",
    )  # fmt: skip
    durations = tk.incident_durations(events, cutoff=minute(60))
    curve = tk.incident_survival(durations)
    assert curve["time_s"].to_list() == [600, 1200, 2400, 3600]
    assert curve["n_at_risk"].to_list() == [3, 3, 2, 1]
    assert curve["survival"].to_list() == pytest.approx([2 / 3, 4 / 9, 2 / 9, 2 / 9])
    row = tk.time_to_end(durations).iloc[0]
    assert row[["n_incidents", "n_ended", "n_censored", "n_late", "n_excluded"]].to_list() == [4, 3, 1, 1, 0]
    assert row["median_s"] == 1200


def test_each_group_has_a_curve_of_its_own(incident_log):
    events = incident_log("a1 0 create 0/3", "a1 10 end x0/3", "b1 0 create 0/3", "b1 5 end x0/3", "c1 9 end x0/3")
    curve = tk.incident_survival(tk.incident_durations(events, cutoff=minute(60)), by="server_id")
    assert curve[["server_id", "time_s", "survival"]].to_numpy().tolist() == [["a", 600, 0], ["b", 300, 0]]


def test_mistakes_are_named(incident_log):
    durations = tk.incident_durations(incident_log("a1 0 create 0/3"), cutoff=minute(1))
    with pytest.raises(ParameterError, match="cutoff: got 'soon'"):
        tk.incident_durations(incident_log(), cutoff="soon")
    with pytest.raises(ParameterError, match="durations has no column 'first_end_s'"):
        tk.time_to_end(durations.drop(columns="first_end_s"))
    with pytest.raises(ParameterError, match=r"level: got 1\.5"):
        tk.time_to_end(durations, level=1.5)
    with pytest.raises(ParameterError, match="by: got 'stage'"):
        tk.time_to_end(durations, by="stage")
