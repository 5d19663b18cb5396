"""Which plugin versions a recording holds, and what each of them can tell."""

import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

COUNTS = ["n_incidents", "n_with_stages", "n_with_status"]


@pytest.fixture(scope="module")
def log(recordings):
    return tk.load_events([recordings / "batch-bodies" / f"{era}.jsonl.gz" for era in ("prev", "later")])


def test_each_version_tells_its_stages_or_its_statuses_but_not_both(log):
    eras = tk.recording_eras(log).set_index("plugin_version")
    assert list(eras.index) == ["0.7.0", "1.0.0", "1.5.1"]
    assert eras.loc["1.5.1", COUNTS].to_list() == [19, 0, 19]
    assert (eras.loc[["0.7.0", "1.0.0"], "n_with_status"] == 0).all()
    assert eras.loc[["0.7.0", "1.0.0"], "n_with_stages"].to_list() == [12, 15]
    assert (eras["n_with_playbook"] > 0).to_list() == [False, False, True]
    assert (eras["first_at"] < eras["last_at"]).all()
    events = sum(len(frame) for frame in (log.incident, log.tasks, log.playbook))
    assert eras["n_events"].sum() == events


def test_a_recording_of_one_era_has_no_column_for_the_others_question(log):
    frames = {"incident": log.incident.drop(columns="current_status"), "tasks": log.tasks, "playbook": log.playbook}
    assert (tk.recording_eras(frames)["n_with_status"] == 0).all()


def test_no_events_give_no_versions(log):
    empty = {"incident": log.incident[:0], "tasks": log.tasks[:0], "playbook": log.playbook[:0]}
    assert tk.recording_eras(empty).empty


def test_what_is_no_log_is_named():
    with pytest.raises(ParameterError, match="log: got"):
        tk.recording_eras({"incident": None})
