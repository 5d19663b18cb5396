"""Going back: incidents that come again to a stage, step back, or are restarted."""

import gzip
import json

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

START = pd.Timestamp("2020-11-02T00:00:00Z")
COLUMNS = ["measure", "n", "n_total", "n_servers", "estimate", "df", "lower", "upper", "n_excluded"]
MEASURES = [
    "revisited_share", "stepped_back_share", "restarted_share", "back_step_rate", "revisits_per_incident",
    "restarts_per_incident",
]  # fmt: skip


@pytest.fixture(scope="module")
def visits(incident_log):
    """One incident steps back and is restarted twice, one is restarted into a new stage, one goes straight."""
    events = incident_log(
        "a1 0 create 0/3", "a1 10 change_stage 1/3", "a1 20 change_stage 0/3", "a1 30 end x0/3", "a1 40 restart 0/3",
        "a1 50 end x0/3", "a1 60 restart 0/3",
        "b1 0 create 0/3", "b1 10 end x0/3", "b1 20 change_stage x1/3", "b1 30 restart 1/3", "b1 40 end x1/3",
        "b2 0 create 0/3", "b2 10 change_stage 1/3", "b2 20 change_stage 2/3",
        "c1 0 change_commander 1/3", "c1 10 change_stage 0/3",
    )  # fmt: skip
    return tk.stage_visits(events, cutoff=START + pd.Timedelta(100, "min"))


def test_revisits_back_steps_and_restarts_are_counted(visits):
    table = tk.stage_rework(visits)
    assert list(table.columns) == COLUMNS
    assert table["measure"].to_list() == MEASURES
    assert table["n"].to_list() == [1, 1, 2, 1, 3, 3]
    assert table["n_total"].to_list() == [3, 3, 3, 4, 3, 3]
    assert table["n_servers"].to_list() == [2] * 6
    assert table["estimate"].to_list() == pytest.approx([1 / 3, 1 / 3, 2 / 3, 1 / 4, 1, 1])
    assert table["n_excluded"].to_list() == [1] * 6


def test_means_per_incident_have_the_limits_of_a_clustered_mean():
    # R: r <- clubSandwich::coef_test(lm(x ~ 1), vcov = "CR2", cluster = s, test = "Satterthwaite") where a has x = 2,
    # b has 1 and 0: r$df_Satt is 1, and mean(x) + c(-1, 1) * qt(.975, 1) * r$SE
    rows = [("a", "a1", 0, "ended", False)] * 2 + [("a", "a1", 0, "open", True)]
    rows += [("b", "b1", 0, "ended", False), ("b", "b1", 0, "open", True), ("b", "b2", 0, "open", True)]
    names = ["server_id", "incident_id", "stage", "exit", "is_censored"]
    table = tk.stage_rework(pd.DataFrame(rows, columns=names).assign(from_start=True)).set_index("measure")
    limits = table.loc["restarts_per_incident", ["estimate", "df", "lower", "upper"]].to_list()
    assert limits == pytest.approx([1, 1, -7.98464353209, 9.98464353209], abs=1e-6)


def test_where_nothing_moves_there_is_no_rate(incident_log):
    visits = tk.stage_visits(incident_log("a1 0 create 0/3"), cutoff=START + pd.Timedelta(1, "h"))
    row = tk.stage_rework(visits).set_index("measure").loc["back_step_rate"]
    assert row[["n", "n_total", "n_servers"]].to_list() == [0, 0, 0]
    assert row[["estimate", "lower", "upper"]].isna().all()


def test_only_incidents_without_a_create_are_told_as_left_out(incident_log):
    visits = tk.stage_visits(incident_log("a1 0 change_commander 0/3"), cutoff=START + pd.Timedelta(1, "h"))
    table = tk.stage_rework(visits)
    assert table["n_total"].to_list() == [0] * 6
    assert table["n_excluded"].to_list() == [1] * 6


def test_counts_are_those_of_the_sender(recordings, oct2020):
    with gzip.open(recordings / "truth" / "oct2020.json.gz", "rt") as file:
        truth = [incident for incident in json.load(file)["incidents"] if incident["fully_tracked"]]
    staged = [incident for incident in truth if incident["num_checklists_at_create"]]
    ids = {incident["incident_id"] for incident in staged}
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    table = tk.stage_rework(visits[visits["incident_id"].isin(ids)]).set_index("measure")
    assert table.loc["restarts_per_incident", "n_total"] == len(staged)
    assert table.loc["restarts_per_incident", "n"] == sum(len(incident["restarts"]) for incident in staged)
    assert table.loc["restarted_share", "n"] == sum(bool(incident["restarts"]) for incident in staged)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::telemetry_kit.errors.PartialIncidentsWarning")  # of groups by visit
@pytest.mark.parametrize("by", ["server_id", "exit", "stage", ["public", "plugin_version"]])
def test_each_group_is_a_sample_of_its_own(oct2020, by):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    names = [by] if isinstance(by, str) else by
    groups = dict(list(tk.stage_rework(visits, by=by).groupby(names)))
    for key, part in visits.groupby(names):
        pd.testing.assert_frame_equal(groups.pop(key)[COLUMNS].reset_index(drop=True), tk.stage_rework(part))
    assert not groups


def test_visits_without_rows_give_a_table_without_rows(visits):
    table = tk.stage_rework(visits[:0], by="public")
    assert table.empty
    pd.testing.assert_series_equal(table.dtypes, tk.stage_rework(visits, by="public").dtypes)


def test_every_kind_of_frame_gives_the_same_table(oct2020, as_kind):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    pd.testing.assert_frame_equal(tk.stage_rework(as_kind(visits), by="public"), tk.stage_rework(visits, by="public"))


def test_mistakes_are_named(visits):
    with pytest.raises(ParameterError, match="level: got -1"):
        tk.stage_rework(visits, level=-1)
    with pytest.raises(ParameterError, match="by: got 'measure'"):
        tk.stage_rework(visits, by="measure")
