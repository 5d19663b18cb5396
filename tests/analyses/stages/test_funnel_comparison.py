"""How far incidents of two groups get."""

import warnings

import numpy as np
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError, UnequalObservationWarning


def visits_of(incident_log, *lines, cutoff="2020-11-12"):
    visits = tk.stage_visits(incident_log(*lines), cutoff=cutoff)
    return visits.assign(team=visits["incident_id"].str[-1])


def test_each_stage_after_the_first_is_a_row(incident_log):
    lines = [
        "a1x 0 create 0/3", "a1x 10 change_stage 1/3", "b1x 0 create 0/3", "c1x 0 create 0/2",
        "a1y 0 create 0/3", "a1y 10 change_stage 2/3", "b1y 0 create 0/3", "b1y 10 change_stage 1/3",
    ]  # fmt: skip
    table = tk.compare_funnel(visits_of(incident_log, *lines), between="team")
    assert table[["group_a", "group_b", "stage"]].to_numpy().tolist() == [["x", "y", 1], ["x", "y", 2]]
    assert table[["n_a", "n_b"]].to_numpy().tolist() == [[3, 2], [2, 2]]
    assert table[["n_servers_a", "n_servers_b", "n_servers_both"]].to_numpy().tolist() == [[3, 2, 2], [2, 2, 2]]
    assert table["estimate_a"].to_list() == pytest.approx([1 / 3, 0])
    assert table["estimate_b"].to_list() == pytest.approx([1, 1 / 2])
    assert table["difference"].to_list() == pytest.approx([2 / 3, 1 / 2])


def test_the_shares_are_those_of_the_funnel(oct2020):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    for within in (None, "4h"):
        table = tk.compare_funnel(visits, between="plugin_version", within=within)
        funnel = tk.stage_funnel(visits, by="plugin_version", within=within).set_index(["plugin_version", "stage"])
        assert len(table) > 4
        for row in table.itertuples():
            for side in ("a", "b"):
                expected = funnel.loc[getattr(row, f"group_{side}"), row.stage]
                assert getattr(row, f"n_{side}") == expected["n_eligible"]
                assert getattr(row, f"n_immature_{side}") == expected["n_immature"]
                assert getattr(row, f"estimate_{side}") == pytest.approx(expected["estimate"], nan_ok=True)


def test_the_numbers_are_those_of_r(oct2020):
    # R: e <- pub[pub$stages > k, ]; a <- e[e$public == 0, ]; b <- e[e$public == 1, ]
    # coef_test(lm(reached ~ public), vcov = "CR2", cluster = server_id, test = "Satterthwaite")
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    table = tk.compare_funnel(visits, between="public")
    np.testing.assert_allclose(
        table[["difference", "lower", "upper", "df"]].iloc[:2].to_numpy(),
        [
            [0.023598480488085549, -0.06952250428953527, 0.11671946526570637, 16.23183517811243],
            [0.059193438140806576, -0.058200612184482498, 0.17658748846609565, 16.001097027439869],
        ],
        rtol=1e-9,
    )


def test_with_a_time_for_all_the_young_are_left_out_and_counted(incident_log):
    day = 24 * 60
    lines = [
        "a1x 0 create 0/2", f"a1x {8 * day} change_stage 1/2", "b1x 0 create 0/2", "b1x 30 change_stage 1/2",
        f"a1y {4 * day} create 0/2", f"b1y {2 * day} create 0/2", f"b1y {2 * day + 5} change_stage 1/2",
    ]  # fmt: skip
    row = tk.compare_funnel(visits_of(incident_log, *lines), between="team", within="7D").iloc[0]
    assert row[["n_a", "n_b", "n_immature_a", "n_immature_b"]].to_list() == [2, 1, 0, 1]
    # The first came to the stage only after the time that all are given.
    assert row[["estimate_a", "estimate_b"]].to_list() == [0.5, 1]


def test_groups_that_were_not_watched_for_equally_long_are_told(incident_log):
    day = 24 * 60
    lines = ["a1x 0 create 0/2", "b1x 0 create 0/2", f"a1y {9 * day} create 0/2", f"b1y {9 * day} create 0/2"]
    visits = visits_of(incident_log, *lines)
    with pytest.warns(UnequalObservationWarning, match=r"those of y for 1\.0 days, those of x for 10\.0 days.*within="):
        tk.compare_funnel(visits, between="team")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UnequalObservationWarning)
        tk.compare_funnel(visits, between="team", within="1D")
        tk.compare_funnel(visits[visits["team"] == "x"].assign(other=["p", "q"]), between="other")


def test_periods_are_compared_by_the_start_of_the_incident(incident_log):
    day = 24 * 60
    lines = ["a1x 1430 create 0/2", "a1x 1450 change_stage 1/2", f"b1x {day} create 0/2", f"c1x {day} create 0/2"]
    visits = tk.add_period(visits_of(incident_log, *lines), "D")
    row = tk.compare_funnel(visits, between="period", groups=("2020-11-02", "2020-11-03")).iloc[0]
    assert row[["n_a", "n_b", "estimate_a", "estimate_b"]].to_list() == [1, 2, 1, 0]


def test_one_group_or_none_has_nothing_to_compare(incident_log):
    visits = visits_of(incident_log, "a1x 0 create 0/2", "a1y 0 create 0/2")
    full = tk.compare_funnel(visits, between="team")
    for rows in (visits.head(1), visits.head(0)):
        table = tk.compare_funnel(rows, between="team")
        assert len(table) == 0
        assert list(table.columns) == list(full.columns)


def test_mistakes_are_named(incident_log):
    visits = visits_of(incident_log, "a1x 0 create 0/2")
    with pytest.raises(ParameterError, match=r"between: got 'stage', expected a column with another name"):
        tk.compare_funnel(visits, between="stage")
    with pytest.raises(ParameterError, match=r"within: got 'soon'"):
        tk.compare_funnel(visits, between="team", within="soon")
    with pytest.raises(ParameterError, match="visits"):
        tk.compare_funnel(pd.DataFrame({"x": [1]}), between="x")
