"""How long incidents take from their start to each stage."""

import numpy as np
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

START = pd.Timestamp("2020-11-02T00:00:00Z")
CURVE = ["stage", "time_s", "n_at_risk", "n_observed", "n_censored", "estimate", "df", "lower", "upper", "n_servers"]
COLUMNS = [
    "stage", "n_eligible", "n_reached", "n_open", "n_ended", "n_excluded", "n_servers", "q25_s", "median_s", "q75_s",
    "df", "median_lower_s", "median_upper_s", "q25_lower_s", "q25_upper_s", "q75_lower_s", "q75_upper_s",
]  # fmt: skip


def minute(number):
    return START + pd.Timedelta(number, "min")


@pytest.fixture(scope="module")
def visits(incident_log):
    """Four incidents that go on, back, skip and end early, and one whose create was not recorded."""
    events = incident_log(
        "a1 0 create 0/3", "a1 10 change_stage 1/3", "a1 20 change_stage 0/3", "a1 30 change_stage 1/3",
        "a1 40 end x1/3",
        "a2 0 create 0/3", "a2 50 change_stage 2/3",
        "b1 0 create 0/3", "b1 5 end x0/3",
        "b2 60 create 0/2",
        "c1 10 change_stage 1/3",
    )  # fmt: skip
    return tk.stage_visits(events, cutoff=minute(100))


def test_time_ends_with_the_first_arrival_at_the_stage_or_a_later_one(visits):
    table = tk.time_to_stage(visits).set_index("stage")
    assert list(table.reset_index().columns) == COLUMNS
    assert list(table.index) == [1, 2]
    counts = table[["n_eligible", "n_reached", "n_open", "n_ended", "n_excluded", "n_servers"]].to_numpy().tolist()
    assert counts == [[4, 2, 1, 1, 1, 2], [3, 1, 0, 2, 1, 2]]
    # To stage 1: 10 and 50 minutes; one incident waits 40 minutes until the cutoff, one that ended 100.
    assert table.loc[1, "q25_s"] == (10 + 50) / 2 * 60


def test_an_incident_that_ended_early_stays_at_risk_until_the_cutoff(incident_log):
    lines = ["a1 0 create 0/2", "a1 20 change_stage 1/2"]
    lines += [line for number in (2, 3, 4) for line in (f"b{number} 0 create 0/2", f"b{number} 1 end x0/2")]
    row = tk.time_to_stage(tk.stage_visits(incident_log(*lines), cutoff=minute(60))).iloc[0]
    assert row[["n_eligible", "n_reached", "n_open", "n_ended"]].to_list() == [4, 1, 0, 3]
    # One of four gets there. Were the others censored when they ended, the only one left would make it all.
    assert row["q25_s"] == pytest.approx((20 + 60) / 2 * 60)
    assert pd.isna(row["median_s"])


def test_a_restart_can_still_bring_an_arrival(incident_log):
    events = incident_log("a1 0 create 0/2", "a1 5 end x0/2", "a1 30 restart 0/2", "a1 40 change_stage 1/2")
    row = tk.time_to_stage(tk.stage_visits(events, cutoff=minute(60))).iloc[0]
    assert row[["n_reached", "median_s"]].to_list() == [1, 40 * 60]


def test_an_incident_that_starts_in_a_later_stage_is_there_at_once(incident_log):
    table = tk.time_to_stage(tk.stage_visits(incident_log("a1 0 create 2/4"), cutoff=minute(60)))
    assert table[["stage", "n_reached", "n_open"]].to_numpy().tolist() == [[1, 1, 0], [2, 1, 0], [3, 0, 1]]
    assert table["median_s"].fillna(-1).to_list() == [0, 0, -1]


def test_quartiles_and_limits_are_those_of_r(oct2020):
    # R: y <- s + N * residuals(survfit(Surv(…) ~ 1), times, type = "survival"), its error and degrees of freedom by
    # clubSandwich::coef_test(lm(y ~ 1), vcov = "CR2", cluster = server_id, test = "Satterthwaite"), log-log limits,
    # the curve being censored at the cutoff alone.
    table = tk.time_to_stage(tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)).set_index("stage")
    numbers = ["q25_s", "median_s", "q75_s", "median_lower_s", "median_upper_s"]
    assert table.loc[1, numbers].to_list() == pytest.approx(
        [367.354583, 2464.926625, 38526.896047, 1400.117633, 3956.195105], abs=1e-5
    )
    assert table.loc[2, numbers].to_list() == pytest.approx(
        [5002.324796, 93126.560537, float("nan"), 36616.084520, float("nan")], abs=1e-5, nan_ok=True
    )


def test_the_curve_rises_at_each_arrival_and_waits_for_the_others(visits):
    curve = tk.stage_arrivals(visits)
    assert list(curve.columns) == CURVE
    counts = curve.loc[curve["stage"] == 1, CURVE[1:6]].to_numpy().tolist()
    # One incident is 40 minutes old at the cutoff, one ended and is 100: neither ever came.
    assert counts == [[600, 4, 1, 0, 0.25], [2400, 3, 0, 1, 0.25], [3000, 2, 1, 0, 0.625], [6000, 1, 0, 1, 0.625]]
    assert curve.loc[curve["stage"] == 2, "n_observed"].to_list() == [1, 0]
    assert curve["n_servers"].eq(2).all()


def test_the_curve_is_that_of_r(oct2020):
    # R: y <- s + N * residuals(survfit(Surv(…) ~ 1), times, type = "survival"), its error and degrees of freedom by
    # clubSandwich::coef_test(lm(y ~ 1), vcov = "CR2", cluster = server_id, test = "Satterthwaite"), log-log limits,
    # of incidents with a stage 1, at the 1st, 20th and 60th time of an arrival; one less the curve.
    curve = tk.stage_arrivals(tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff))
    curve = curve[(curve["stage"] == 1) & (curve["n_observed"] > 0)]
    columns = ["time_s", "n_at_risk", "estimate", "df", "lower", "upper"]
    assert curve.iloc[[0, 19, 59]][columns].to_numpy(float) == pytest.approx(
        np.array([
            [0.464563, 265, 0.0037735849, 15.9453802130, 0.0004266511, 0.0329405681],
            [30.456695, 245, 0.0792452830, 15.9453802130, 0.0530749356, 0.1174950566],
            [318.801554, 205, 0.2301886792, 15.9453802130, 0.1887871840, 0.2789961384],
        ]),
        abs=1e-9,
    )  # fmt: skip


def test_a_group_without_a_start_has_no_curve_but_keeps_the_others(visits):
    assert set(tk.stage_arrivals(visits, by="server_id")["server_id"]) == {"a", "b"}


@pytest.mark.slow
@pytest.mark.parametrize("by", ["server_id", "num_stages", ["public", "plugin_version"]])
def test_each_group_is_a_sample_of_its_own(oct2020, by):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    names = [by] if isinstance(by, str) else by
    groups = dict(list(tk.time_to_stage(visits, by=by).groupby(names)))
    for key, part in visits.groupby(names):
        alone = tk.time_to_stage(part)
        if len(alone):
            pd.testing.assert_frame_equal(groups.pop(key)[COLUMNS].reset_index(drop=True), alone)
    assert not groups


def test_visits_without_rows_give_a_table_without_rows(visits):
    table = tk.time_to_stage(visits[:0], by="public")
    assert table.empty
    pd.testing.assert_series_equal(table.dtypes, tk.time_to_stage(visits, by="public").dtypes)
    curve = tk.stage_arrivals(visits[:0], by="public")
    assert curve.empty
    pd.testing.assert_series_equal(curve.dtypes, tk.stage_arrivals(visits, by="public").dtypes)


def test_every_kind_of_frame_gives_the_same_table(oct2020, as_kind):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    pd.testing.assert_frame_equal(tk.time_to_stage(as_kind(visits), by="public"), tk.time_to_stage(visits, by="public"))


def test_mistakes_are_named(visits):
    with pytest.raises(ParameterError, match="level: got 'high'"):
        tk.time_to_stage(visits, level="high")
    with pytest.raises(ParameterError, match="by: got 'n_reached'"):
        tk.time_to_stage(visits, by="n_reached")
