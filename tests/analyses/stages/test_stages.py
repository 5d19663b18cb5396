"""What holds for all tables of stages."""

import pandas as pd
import pytest

import telemetry_kit as tk

TABLES = [
    tk.stage_funnel,
    tk.stage_dwell,
    tk.stage_survival,
    tk.stage_transitions,
    tk.stage_rework,
    tk.time_to_stage,
]


@pytest.mark.parametrize("table", TABLES)
def test_the_order_of_the_visits_changes_no_digit(oct2020, table):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    expected = table(visits, by="public")
    for seed in range(3):
        shuffled = visits.sample(frac=1, random_state=seed)
        pd.testing.assert_frame_equal(table(shuffled, by="public"), expected, check_exact=True)


@pytest.mark.parametrize("table", TABLES)
def test_visits_of_incidents_that_nothing_is_known_of_are_a_group(incident_log, table):
    visits = tk.stage_visits(incident_log("a1 0 create 0/2", "b1 0 create 0/2"), cutoff="2020-11-03")
    visits["team_id"] = visits["team_id"].where(visits["server_id"] == "a", None)
    found = table(visits, by="team_id")
    assert found["team_id"].isna().any()
    assert found["team_id"].notna().any()
    without = found[found["team_id"].isna()].drop(columns="team_id").reset_index(drop=True)
    pd.testing.assert_frame_equal(without, table(visits[visits["server_id"] == "b"]))


@pytest.mark.parametrize("table", TABLES)
def test_one_open_visit_is_no_accident(incident_log, table):
    found = table(tk.stage_visits(incident_log("a1 0 create 0/2"), cutoff="2020-11-03"))
    assert len(found)
    limits = [name for name in found.columns if "lower" in name or "upper" in name]
    assert found[limits].isna().all(axis=None)
