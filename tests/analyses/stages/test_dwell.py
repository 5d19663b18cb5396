"""How long each stage holds incidents, visits that have not ended included."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

DWELL = [
    "stage", "n_visits", "n_observed", "n_censored", "n_excluded", "n_servers", "q25_s", "median_s", "q75_s",
    "df", "median_lower_s", "median_upper_s", "q25_lower_s", "q25_upper_s", "q75_lower_s", "q75_upper_s",
]  # fmt: skip
SURVIVAL = ["stage", "time_s", "n_at_risk", "n_observed", "n_censored", "survival", "df", "lower", "upper", "n_servers"]


def visits(*rows):
    """Visits: server, stage, seconds (None where left-truncated), whether open."""
    frame = pd.DataFrame(rows, columns=["server_id", "stage", "dwell_s", "is_censored"])
    kinds = {"server_id": "str", "stage": "Int64", "dwell_s": "float64", "is_censored": "boolean"}
    return frame.astype(kinds).assign(group="g")


FIVE = visits(
    ("a", 0, 60, False), ("a", 0, 120, False), ("b", 0, 240, False), ("b", 0, 600, True), ("c", 0, None, False)
)


def test_open_visits_last_at_least_as_long_and_truncated_ones_are_counted():
    table = tk.stage_dwell(FIVE)
    assert list(table.columns) == DWELL
    assert table.loc[0, DWELL[:9]].to_list() == [0, 4, 3, 1, 1, 2, 90, 180, 420]


def test_the_curve_has_every_time_of_an_end_or_a_cutoff():
    curve = tk.stage_survival(FIVE)
    assert list(curve.columns) == SURVIVAL
    assert curve["time_s"].to_list() == [60, 120, 240, 600]
    assert curve["n_at_risk"].to_list() == [4, 3, 2, 1]
    assert curve["n_observed"].to_list() == [1, 1, 1, 0]
    assert curve["n_censored"].to_list() == [0, 0, 0, 1]
    assert curve["survival"].to_list() == [0.75, 0.5, 0.25, 0.25]
    assert curve["n_servers"].to_list() == [2, 2, 2, 2]


def test_an_end_comes_before_a_cutoff_of_the_same_length():
    curve = tk.stage_survival(visits(("a", 0, 60, True), ("b", 0, 60, False), ("b", 0, 90, False)))
    assert curve[["time_s", "n_at_risk", "n_observed", "n_censored"]].to_numpy().tolist() == [
        [60, 3, 1, 1],
        [90, 1, 1, 0],
    ]
    assert curve["survival"].to_list() == pytest.approx([2 / 3, 0])


def test_a_stage_that_no_visit_was_seen_to_leave_has_no_quartiles():
    table = tk.stage_dwell(visits(("a", 0, 60, True), ("b", 0, 90, True)))
    assert table.loc[0, ["n_visits", "n_observed", "n_censored"]].to_list() == [2, 0, 2]
    assert table[DWELL[6:]].isna().all(axis=None)
    assert tk.stage_survival(visits(("a", 0, 60, True)))["survival"].to_list() == [1]


def test_a_stage_with_nothing_but_truncated_visits_is_told_and_has_no_curve():
    table = tk.stage_dwell(visits(("a", 2, None, False)))
    assert table.loc[0, DWELL[:6]].to_list() == [2, 0, 0, 0, 1, 0]
    assert tk.stage_survival(visits(("a", 2, None, False))).empty


def test_one_server_has_no_limits():
    alone = visits(("a", 0, 60, False), ("a", 0, 120, False))
    assert tk.stage_dwell(alone)[["median_lower_s", "median_upper_s"]].isna().all(axis=None)
    assert tk.stage_survival(alone)[["lower", "upper"]].isna().all(axis=None)


def test_quartiles_and_bands_are_those_of_r(oct2020):
    # R: y <- s + N * residuals(survfit(Surv(…) ~ 1), times, type = "survival"), its error and degrees of freedom by
    # clubSandwich::coef_test(lm(y ~ 1), vcov = "CR2", cluster = server_id, test = "Satterthwaite"), log-log limits;
    # quantile(f, c(.25, .5, .75))$quantile, and the first times at which these limits are at most .5, .75 and .25.
    seen = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    expected = [
        *(420.36027, 3150.626157, 21023.669901, 16.356609538748),
        *(1858.148457, 4473.433976, 295.361302, 738.547254, 13156.469921, 38740.610958),
    ]
    assert tk.stage_dwell(seen).loc[0, DWELL[6:]].to_list() == pytest.approx(expected, abs=1e-5)
    curve = tk.stage_survival(seen)
    row = curve[(curve["stage"] == 0) & ((curve["time_s"] - 168.020901).abs() < 1e-5)].iloc[0]
    assert row["n_at_risk"] == 379
    expected = [0.841870824053, 16.356609538748, 0.796281351092, 0.878041715484]
    assert row[["survival", "df", "lower", "upper"]].to_list() == pytest.approx(expected, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("function", [tk.stage_dwell, tk.stage_survival])
@pytest.mark.parametrize("by", ["server_id", "exit", ["public", "plugin_version"]])
def test_each_group_is_a_sample_of_its_own(oct2020, function, by):
    seen = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff).query("stage <= 1")
    names = [by] if isinstance(by, str) else by
    groups = dict(list(function(seen, by=by).groupby(names)))
    for key, part in seen.groupby(names):
        pd.testing.assert_frame_equal(groups.pop(key).drop(columns=names).reset_index(drop=True), function(part))
    assert not groups


@pytest.mark.parametrize("function", [tk.stage_dwell, tk.stage_survival])
def test_visits_without_rows_give_a_table_without_rows(function):
    table = function(FIVE[:0], by="group")
    assert table.empty
    pd.testing.assert_series_equal(table.dtypes, function(FIVE, by="group").dtypes)


@pytest.mark.parametrize("function", [tk.stage_dwell, tk.stage_survival])
def test_every_kind_of_frame_gives_the_same_table(oct2020, as_kind, function):
    seen = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    pd.testing.assert_frame_equal(function(as_kind(seen), by="public"), function(seen, by="public"))


@pytest.mark.parametrize("function", [tk.stage_dwell, tk.stage_survival])
def test_mistakes_are_named(function):
    with pytest.raises(ParameterError, match="level: got 0"):
        function(FIVE[:0], level=0)
    with pytest.raises(ParameterError, match="by: got 'stage'"):
        function(FIVE, by="stage")
    with pytest.raises(ParameterError, match="visits has no column 'dwell_s'"):
        function(FIVE.drop(columns="dwell_s"))
