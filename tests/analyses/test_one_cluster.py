"""Where intervals are null because one server stands behind them, every function says so, in words that help."""

import warnings

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import OneClusterWarning


@pytest.fixture(scope="module")
def log(recordings):
    return tk.load_events([recordings / "batch-bodies" / f"{era}.jsonl.gz" for era in ("prev", "later")])


def on_one_server(frame):
    return frame[frame["server_id"] == frame["server_id"].mode()[0]]


@pytest.fixture(scope="module")
def visits(log):
    return on_one_server(tk.stage_visits(log.incident, cutoff=log.cutoff))


def test_the_curves_of_several_states_name_the_column_that_was_chosen(log, visits):
    with pytest.warns(OneClusterWarning, match="cluster='server_id': intervals are null, which rest on one server"):
        tk.stage_occupancy(visits, cutoff=log.cutoff, at="1h")
    with pytest.warns(OneClusterWarning, match="cluster='server_id': intervals are null, which rest on one server"):
        table = tk.stage_exits(visits, at="1h")
    assert not [name for name in table if name.startswith("_")]


def test_comparisons_name_the_column_and_advise_a_finer_one(log, visits):
    half = visits.assign(half=_halves(visits))
    for compare in (tk.compare_funnel, tk.compare_dwell):
        with pytest.warns(
            OneClusterWarning, match="one server cannot show .* within one server, pass cluster='incident"
        ):
            compare(half, between="half")
    durations = on_one_server(tk.incident_durations(log.incident, cutoff=log.cutoff))
    with pytest.warns(OneClusterWarning, match="^cluster='server_id': intervals are null"):
        tk.compare_durations(durations.assign(half=_halves(durations)), between="half")


def test_within_one_server_incidents_are_clusters_of_their_own(visits):
    half = visits.assign(half=_halves(visits))
    for table in (
        tk.compare_funnel(half, between="half", cluster="incident_id"),
        tk.compare_dwell(half, between="half", cluster="incident_id"),
        tk.last_stage_reached(half, by="half", cluster="incident_id"),
    ):
        assert table["lower"].notna().any()


def _halves(frame):
    return pd.factorize(frame["incident_id"])[0] % 2 == 1


def test_a_comparison_whose_clusters_are_chosen_names_them(log):
    tasks = on_one_server(log.tasks)
    with pytest.warns(OneClusterWarning, match="cluster='server_id'"):
        tk.compare_completion(tasks.assign(half=_halves(tasks)), between="half")


def test_statuses_are_named_in_comparisons_and_the_end_has_no_estimate(log):
    visits = tk.status_visits(log.incident, cutoff=log.cutoff)
    visits = visits.assign(half=_halves(visits))
    funnel, dwell = tk.compare_funnel(visits, between="half"), tk.compare_dwell(visits, between="half")
    assert list(funnel.columns[2:4]) == list(dwell.columns[2:4]) == ["stage", "status"]
    assert funnel["status"].notna().all()
    assert funnel.loc[funnel["stage"] == funnel["stage"].max(), "estimate_a"].isna().all()


@pytest.fixture(scope="module")
def playbooks(log):
    return on_one_server(log.playbook)


OF_PLAYBOOKS = {
    "sizes": lambda log, _, snapshot, **cluster: tk.playbook_sizes(snapshot, **cluster),
    "weightings": lambda log, _, snapshot, **cluster: tk.playbook_weightings(snapshot, log.incident, **cluster),
    "comparison": lambda log, _, snapshot, **cluster: tk.compare_playbook_sizes(snapshot, between="half", **cluster),
    "growth": lambda log, playbooks, _, **cluster: tk.playbook_growth(playbooks, **cluster),
    "over time": lambda log, playbooks, _, **cluster: tk.playbook_sizes_over_time(playbooks, **cluster),
}


@pytest.mark.parametrize("summarise", OF_PLAYBOOKS.values(), ids=OF_PLAYBOOKS)
def test_of_playbooks_the_finer_column_is_one_that_they_have(log, playbooks, summarise):
    snapshot = tk.playbook_snapshot(playbooks, as_of=log.cutoff)
    snapshot = snapshot.assign(half=pd.factorize(snapshot["playbook_id"])[0] % 2)
    with pytest.warns(OneClusterWarning, match="within one server, pass cluster='playbook_id'$"):
        summarise(log, playbooks, snapshot)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OneClusterWarning)
        summarise(log, playbooks, snapshot, cluster="playbook_id")
