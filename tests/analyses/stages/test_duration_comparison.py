"""How long stages and incidents of two groups last."""

import math

import numpy as np
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError, UnequalObservationWarning

START = pd.Timestamp("2020-11-02T00:00:00Z")


def durations(*rows):
    """Durations as (server, group, minutes, ended, minutes at entry)."""
    frame = pd.DataFrame(rows, columns=["server_id", "group", "minutes", "n_ends", "entry"])
    return pd.DataFrame(
        {
            "server_id": frame["server_id"].astype("str"),
            "group": frame["group"].astype("str"),
            "first_end_s": frame["minutes"] * 60.0,
            "n_ends": frame["n_ends"].astype("Int64"),
            "entry_s": frame["entry"] * 60.0,
            "started_at": START,
            "cutoff": START + pd.Timedelta("60min"),
        }
    )


SIX = durations(
    ("p", "a", 10, 1, 0), ("q", "a", 20, 1, 0), ("r", "a", 30, 1, 0), ("s", "a", 60, 0, 0),
    ("p", "b", 20, 1, 0), ("q", "b", 40, 1, 0), ("t", "b", 50, 1, 0), ("u", "b", 60, 0, 0),
)  # fmt: skip


def test_the_mean_up_to_a_time_is_the_area_below_the_curve():
    row = tk.compare_durations(SIX, between="group", at="40min").iloc[0]
    assert row[["measure", "at_s", "n_a", "n_b"]].to_list() == ["restricted_mean_s", 2400, 4, 4]
    assert row[["n_servers_a", "n_servers_b", "n_servers_both"]].to_list() == [4, 4, 2]
    assert row[["estimate_a", "estimate_b"]].to_list() == pytest.approx([25 * 60, 35 * 60])
    assert row["difference"] == pytest.approx(600)


def test_survival_is_the_share_that_lasts_longer():
    row = tk.compare_durations(SIX, between="group", measure="survival", at="30min").iloc[0]
    assert row[["estimate_a", "estimate_b", "difference"]].to_list() == pytest.approx([0.25, 0.75, 0.5])


def test_the_median_is_that_of_the_curve():
    row = tk.compare_durations(SIX, between="group", measure="median_s").iloc[0]
    assert pd.isna(row["at_s"])
    assert row[["estimate_a", "estimate_b", "difference"]].to_list() == [25 * 60, 45 * 60, 20 * 60]


def test_the_numbers_are_those_of_r(oct2020):
    # R: fit <- survfit(Surv(dwell_s, d) ~ 1, data = s); u <- residuals(fit, times = 14400, type = "auc" | "survival")
    # y <- estimate + nrow(s) * u for both groups, then coef_test(lm(y ~ public), vcov = "CR2", cluster = server_id)
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    expected = {
        "survival": [
            [-0.013305307409354483, -0.11500004849394592, 0.088389433675236953, 15.228442252346728],
            [0.0073108384458079878, -0.069025405628525702, 0.083647082520141677, 14.659932968357577],
            [-0.065197428833792259, -0.18461355871018542, 0.054218701042600903, 15.086627984830068],
        ],
        "restricted_mean_s": [
            [-34.303841273309445, -1354.4076513424686, 1285.7999687958497, 15.228442252346728],
            [210.79151418855326, -1176.4131263797074, 1597.9961547568139, 14.659932968357577],
            [-210.74939923426973, -2011.8207925992194, 1590.32199413068, 15.086627984830068],
        ],
    }
    for measure, numbers in expected.items():
        table = tk.compare_dwell(visits, between="public", measure=measure, at="4h")
        got = table[["difference", "lower", "upper", "df"]].iloc[:3].to_numpy()
        np.testing.assert_allclose(got, numbers, rtol=1e-9)


def test_medians_are_those_of_the_stages_with_limits_on_both_sides(oct2020):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    table = tk.compare_dwell(visits, between="public", measure="median_s")
    dwell = tk.stage_dwell(visits, by="public").set_index(["public", "stage"])["median_s"]
    assert table["estimate_a"].to_list() == dwell[False].to_list()
    known = table[table["p_value"].notna()]
    assert len(known) >= 4
    assert known["difference"].between(known["lower"], known["upper"]).all()
    is_found = (known["lower"] > 0) | (known["upper"] < 0)
    assert (is_found == (known["p_value"] < 0.05)).all()


def test_whoever_was_first_seen_late_counts_from_then_on():
    late = pd.concat([SIX, durations(("v", "b", 45, 1, 30))], ignore_index=True)
    row = tk.compare_durations(late, between="group", measure="survival", at="47min").iloc[0]
    assert row["n_b"] == 5
    # At 40 minutes one of four at risk ends, at 45 one of three.
    assert row["estimate_b"] == pytest.approx(3 / 4 * 3 / 4 * 2 / 3)


def test_a_time_for_all_leaves_out_the_young_and_watches_nobody_for_longer():
    young = SIX.assign(started_at=[*[START] * 6, START + pd.Timedelta("45min"), START])
    row = tk.compare_durations(young, between="group", measure="survival", at="30min", within="30min").iloc[0]
    assert row[["n_a", "n_b", "n_immature_a", "n_immature_b"]].to_list() == [4, 3, 0, 1]
    assert row["estimate_b"] == pytest.approx(2 / 3)
    median = tk.compare_durations(young, between="group", measure="median_s", within="30min").iloc[0]
    assert math.isnan(median["estimate_b"])


def test_a_group_that_nobody_watched_for_so_long_is_told():
    short = SIX.assign(first_end_s=SIX["first_end_s"].where(SIX["group"] == "a", 600.0), n_ends=SIX["n_ends"] * 0)
    with pytest.warns(UnequalObservationWarning, match=r"nothing of b was watched for longer than 600 s, and at is 3,"):
        tk.compare_durations(short, between="group", at="50min")


def test_unknown_durations_are_left_out():
    unknown = SIX.assign(first_end_s=SIX["first_end_s"].mask(SIX["server_id"] == "p"))
    assert tk.compare_durations(unknown, between="group", at="30min")[["n_a", "n_b"]].iloc[0].to_list() == [3, 3]


def test_one_group_or_none_has_nothing_to_compare():
    full = tk.compare_durations(SIX, between="group", at="30min")
    for rows in (SIX[SIX["group"] == "a"], SIX.iloc[:0]):
        table = tk.compare_durations(rows, between="group")
        assert len(table) == 0
        assert list(table.columns) == list(full.columns)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"measure": "mean"}, r"measure: got 'mean', expected one of 'restricted_mean_s', 'survival', 'median_s'"),
        ({"at": "now"}, r"at: got 'now'"),
        ({"at": "2h", "within": "1h"}, r"at: got '2h', expected no more than within, 1h"),
        ({"between": "x"}, r"between: got 'x', expected one of"),
    ],
)
def test_mistakes_are_named(arguments, message):
    with pytest.raises(ParameterError, match=message):
        tk.compare_durations(SIX, **{"between": "group", **arguments})
