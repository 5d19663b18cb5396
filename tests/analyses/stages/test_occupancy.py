"""Where incidents are as time goes by since their start."""

import numpy as np
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.errors import ParameterError

START = pd.Timestamp("2020-11-02T00:00:00Z")


def minute(number):
    return START + pd.Timedelta(number, "min")


def table(where):
    return where.pivot_table(index="time_s", columns="state", values="estimate")


def test_the_shares_of_a_time_follow_each_incident(incident_log):
    events = incident_log(
        "a1 0 create 0/2", "a1 10 change_stage 1/2", "a1 20 end x1/2", "a1 40 restart 1/2",
        "a2 5 create 0/2", "a2 35 end x0/2", "b1 10 create 0/2", "b2 20 create 1/2", "b2 50 end x1/2",
    )  # fmt: skip
    visits = tk.stage_visits(events, cutoff=minute(100))
    where = tk.stage_occupancy(visits, cutoff=minute(100), at=["5min", "15min", "25min", "35min"])
    assert table(where).loc[[300, 900, 1500, 2100]].to_numpy().tolist() == [
        [0.75, 0.25, 0], [0.5, 0.5, 0], [0.5, 0.25, 0.25], [0.25, 0, 0.75],
    ]  # fmt: skip
    assert where["state"].to_list()[:3] == ["0", "1", "closed"]
    assert (where["n_incidents"] == 4).all()
    assert (where["n_servers"] == 2).all()


def test_a_young_incident_counts_as_long_as_it_was_seen(incident_log):
    # Three of four are seen beyond minute 10; one of them ends at 20, so a third of all is closed by then.
    events = incident_log("a1 0 create 0/2", "a1 20 end x0/2", "a2 0 create 0/2", "b1 0 create 0/2", "b2 90 create 0/2")
    visits = tk.stage_visits(events, cutoff=minute(100))
    where = tk.stage_occupancy(visits, cutoff=minute(100))
    assert table(where).to_numpy() == pytest.approx(np.array([[2 / 3, 1 / 3]]))
    assert where["n_at_risk"].to_list() == [3, 3]


def test_only_incidents_that_are_known_from_their_start_count(incident_log):
    events = incident_log(
        "a1 0 create 0/2", "a1 5 end x0/2", "a2 0 change_stage 1/2", "a2 9 end x1/2", "b1 1 create 0/2"
    )
    visits = tk.stage_visits(events, cutoff=minute(10))
    where = tk.stage_occupancy(visits, cutoff=minute(10), at="6min")
    assert where["n_incidents"].to_list() == [2, 2]
    assert where["estimate"].to_list() == [0.5, 0.5]


def test_a_closed_incident_of_a_silent_server_is_seen_until_the_server_fell_silent(incident_log):
    events = incident_log("a1 0 create 0/2", "a1 5 end x0/2", "b1 0 create 0/2", "b1 50 end x0/2")
    heard = pd.DataFrame({"server_id": ["a"], "observed_until": [minute(20)]})
    visits = tk.stage_visits(events, cutoff=minute(100), observed_until=heard)
    where = tk.stage_occupancy(visits, cutoff=minute(100), at=["10min", "30min"])
    assert where["n_at_risk"].to_list() == [2, 2, 1, 1]


def test_statuses_are_named_and_archived_is_closed(status_log):
    events = status_log(
        "a1 0 create Reported", "a1 10 update_status Active", "b1 0 create Reported", "b1 20 update_status Archived"
    )
    visits = tk.status_visits(events, cutoff=minute(100))
    where = tk.stage_occupancy(visits, cutoff=minute(100), at="30min")
    assert dict(zip(where["state"], where["estimate"], strict=True)) == {"Reported": 0, "Active": 0.5, "closed": 0.5}


def test_the_shares_of_a_recording_equal_those_of_r(oct2020):
    # Rscript: fit <- survfit(Surv(t1, t2, to) ~ 1, data = states, id = incident, istate = state);
    # p <- summary(fit, times = c(3600, 86400), extend = TRUE)$pstate; u <- residuals(fit, times, type = "pstate"); then
    # coef_test(lm(p + n * u ~ 1), vcov = "CR2", cluster = server_id, test = "Satterthwaite") and the beta limits.
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    where = tk.stage_occupancy(visits, cutoff=oct2020.cutoff, at=["1h", "1D"]).set_index(["state", "time_s"])
    for (state, time), expected in R_OCCUPANCY.items():
        row = where.loc[(state, time), ["estimate", "df", "lower", "upper"]]
        assert row.to_list() == pytest.approx(expected, abs=1e-6)


def test_the_shares_of_a_time_add_up_to_one(oct2020):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    where = tk.stage_occupancy(visits, cutoff=oct2020.cutoff, by="public")
    sums = where.groupby(["public", "time_s"], dropna=False)["estimate"].sum()
    assert len(sums) > 900
    assert sums.to_numpy() == pytest.approx(1)
    inside = where.dropna(subset="lower")
    assert (inside["lower"] <= inside["estimate"] + 1e-9).all()
    assert (inside["estimate"] <= inside["upper"] + 1e-9).all()


@pytest.mark.parametrize("by", [None, "public", ["plugin_version", "visit"]])
def test_visits_that_come_in_many_parts_give_what_they_give_at_once(oct2020, monkeypatch, by):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    at_once = tk.stage_occupancy(visits, cutoff=oct2020.cutoff, by=by)
    collect = engine.parts

    def in_small_parts(frame, n_rows):
        for part in collect(frame, n_rows):
            for first in range(0, len(part), 7):
                yield part[first : first + 7].reset_index(drop=True)

    monkeypatch.setattr(engine, "parts", in_small_parts)
    in_parts = tk.stage_occupancy(visits, cutoff=oct2020.cutoff, by=by)
    pd.testing.assert_frame_equal(in_parts, at_once)


def test_one_server_has_no_limits_unless_its_incidents_are_the_clusters(incident_log):
    visits = tk.stage_visits(incident_log("a1 0 create 0/2", "a2 0 create 0/2", "a2 5 end x0/2"), cutoff=minute(10))
    assert tk.stage_occupancy(visits, cutoff=minute(10))[["df", "lower", "upper"]].isna().all(axis=None)
    own = tk.stage_occupancy(visits, cutoff=minute(10), cluster="incident_id")
    assert own["lower"].notna().all()


def test_columns_that_tell_incidents_and_visits_apart_are_groups_and_clusters_as_others_are(oct2020):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    whole = tk.stage_occupancy(visits, cutoff=oct2020.cutoff, at="1D", cluster="incident_id")
    each = tk.stage_occupancy(visits, cutoff=oct2020.cutoff, at="1D", by="incident_id", cluster="incident_id")
    assert (each["n_incidents"] == 1).all()
    assert each["incident_id"].nunique() == whole["n_incidents"].iloc[0]
    assert tk.stage_occupancy(visits, cutoff=oct2020.cutoff, at="1D", by="visit")["visit"].tolist()[0] == 0


def test_a_visit_whose_exit_is_unknown_counts_as_closed(incident_log):
    visits = tk.stage_visits(incident_log("a1 0 create 0/2"), cutoff=minute(10))
    unknown = visits.assign(exit=visits["exit"].where(visits["exit"] != "open"), left_at=minute(5))
    where = tk.stage_occupancy(unknown, cutoff=minute(10), at="8min").set_index("state")
    assert where["estimate"].to_dict() == {"0": 0.0, "closed": 1.0}


def test_no_visits_give_a_table_without_rows(incident_log):
    visits = tk.stage_visits(incident_log(), cutoff=minute(1))
    where = tk.stage_occupancy(visits, cutoff=minute(1), at="1h")
    assert where.empty
    assert list(where.columns)[:2] == ["time_s", "state"]


def test_mistakes_are_named(incident_log):
    visits = tk.stage_visits(incident_log("a1 0 create 0/2"), cutoff=minute(10))
    with pytest.raises(ParameterError, match=r"cutoff: .*2020-11-02 00:05.*when a visit was left"):
        tk.stage_occupancy(visits, cutoff=minute(5))
    with pytest.raises(ParameterError, match="at: got 'soon'"):
        tk.stage_occupancy(visits, cutoff=minute(10), at=["1h", "soon"])
    with pytest.raises(ParameterError, match="cluster: got 'server'"):
        tk.stage_occupancy(visits, cutoff=minute(10), cluster="server")
    with pytest.raises(ParameterError, match="visits: got 'a visit whose stage is null', expected the stage of each"):
        tk.stage_occupancy(visits.assign(stage=pd.array([None], dtype="Int64")), cutoff=minute(10))


R_OCCUPANCY = {
    ("0", 3600.0): [0.52406417, 16.33906410, 0.46909227, 0.57860713],
    ("1", 3600.0): [0.17112299, 16.33906410, 0.12770284, 0.22210798],
    ("2", 3600.0): [0.05080214, 16.33906410, 0.03085974, 0.07819918],
    ("closed", 3600.0): [0.20588235, 16.33906410, 0.15414531, 0.26584085],
    ("0", 86400.0): [0.15242565, 16.33906410, 0.10850683, 0.20558378],
    ("1", 86400.0): [0.04813586, 16.33906410, 0.02737790, 0.07776454],
    ("2", 86400.0): [0.03209827, 16.33906410, 0.01669601, 0.05539177],
    ("closed", 86400.0): [0.70314108, 16.33906410, 0.65402035, 0.74901191],
}


@pytest.mark.parametrize(
    ("last", "expected"),
    [("a1 10 end x0/2", {"0": 0, "closed": 1}), ("a1 10 change_stage 1/2", {"0": 0, "1": 1, "closed": 0})],
)
def test_a_move_at_the_very_end_counts(incident_log, last, expected):
    visits = tk.stage_visits(incident_log("a1 0 create 0/2", last), cutoff=minute(10))
    where = tk.stage_occupancy(visits, cutoff=minute(10))
    assert where.set_index("state")["estimate"].to_dict() == expected
    assert where["time_s"].unique().tolist() == [600]
    later = tk.stage_occupancy(visits, cutoff=minute(10), at="20min")
    assert later.set_index("state")["estimate"].to_dict() == expected
    assert (later["n_at_risk"] == 0).all()


def test_an_incident_that_begins_at_the_very_end_was_not_observed(incident_log):
    events = incident_log("a1 0 create 0/2", "a1 10 change_stage 1/2", "b1 10 create 0/2")
    where = tk.stage_occupancy(tk.stage_visits(events, cutoff=minute(10)), cutoff=minute(10))
    assert (where["n_incidents"] == 1).all()
