"""A simulated log loads back to exactly the truth it reports, whatever the model, era, container and faults."""

import datetime as dt
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import telemetry_kit as tk
from telemetry_kit.simulate import Effect, Faults, Parameters, read_truth, write_simulation

EVERYTHING = Faults(
    repeated=0.1, lost=0.05, late=0.1, out_of_order=0.1, damaged=0.15, unknown_type=0.05, unknown_property=0.05
)


def part_of(least, most):
    return st.floats(least, most, allow_nan=False)


PARAMETERS = st.builds(
    Parameters,
    start=st.none() | st.datetimes(dt.datetime(2019, 2, 1), dt.datetime(2022, 1, 1)),  # noqa: DTZ001 - UTC without saying
    days=part_of(0.5, 400),
    server_size_sigma=part_of(0, 2),
    users_per_server=part_of(3, 1000),
    multi_node_share=part_of(0, 1),
    clock_error_s=part_of(0, 600),
    pause_share=part_of(0, 1),
    incidents_per_week=part_of(0.1, 20),
    playbooks_per_server=part_of(0, 20),
    playbook_updates=part_of(0, 20),
    playbook_delete_share=part_of(0, 1),
    no_playbook_share=part_of(0, 1),
    no_stage_share=part_of(0, 1),
    median_dwell_s=part_of(0.001, 1e6),
    dwell_sigma=part_of(0, 3),
    server_dwell_sigma=part_of(0, 2),
    back_share=part_of(0, 0.4),
    skip_share=part_of(0, 0.3),
    early_end_share=part_of(0, 0.3),
    never_end_share=part_of(0, 1),
    restart_share=part_of(0, 0.5),
    closed_move_share=part_of(0, 0.4),
    commander_changes=part_of(0, 5),
    task_done_share=part_of(0, 1),
    task_reopened_share=part_of(0, 1),
    completer_concentration=part_of(0.01, 1000),
    effect=st.none()
    | st.builds(
        Effect,
        st.sampled_from(["servers", "versions", "dates"]),
        dwell_factor=part_of(0.01, 10),
        commander_shift=part_of(-1, 1),
    ),
)
SHARE = st.just(0.0) | part_of(0, 0.3)
FAULTS = st.builds(
    Faults, repeated=SHARE, lost=SHARE, late=SHARE, out_of_order=SHARE, damaged=SHARE, unknown_type=SHARE,
    unknown_property=SHARE,
)  # fmt: skip


def assert_loads_to_its_truth(log, truth):
    """Every count, every value, every rejected record and everything that follows from the events is as it was."""
    published = truth.plan.container == "published"
    pd.testing.assert_frame_equal(log.audit, truth.audit, check_dtype=False)
    assert log.cutoff is truth.cutoff or log.cutoff == truth.cutoff
    for event_type in tk.schemas.EVENT_TYPES:
        got, expected = getattr(log, event_type), getattr(truth, event_type)
        if published:
            # The published form has no identifier of an event: a digest of its content stands for it.
            assert got["event_id"].is_unique
            got, expected = got.drop(columns="event_id"), expected.drop(columns="event_id")
        pd.testing.assert_frame_equal(got, expected, check_categorical=False)
    damaged = truth.records[truth.records["damage"].notna() & truth.records["record"].notna()]
    lines = damaged[~damaged["is_line_damaged"] | (damaged["position"] == 0)]
    assert sorted(log.quarantine["record"]) == sorted(lines["record"])
    unlisted = truth.records[truth.records["fate"].isin(["valid", "duplicate"]) & truth.records["is_unlisted"]]
    assert log.findings["detail"].astype(str).str.contains("WebhookOnCreationURL").any() == bool(len(unlisted))
    if pd.notna(log.cutoff):
        assert_analyses_find_the_truth(log, truth)


def assert_analyses_find_the_truth(log, truth):
    for find, wanted in ((tk.stage_visits, truth.visits), (tk.status_visits, truth.status_visits)):
        visits = find(log.incident, cutoff=log.cutoff)
        visits = visits.sort_values(["server_id", "incident_id", "visit"], ignore_index=True)[wanted.columns.to_list()]
        pd.testing.assert_frame_equal(visits, wanted, check_dtype=False, check_categorical=False)
    valid = truth.completions[truth.completions["fate"] == "valid"]
    if len(valid):
        found = tk.task_completion(log.tasks).set_index("completer")["n_completed"]
        counts = valid["completer"].value_counts()
        assert found.to_dict() == {name: counts.get(name, 0) for name in found.index}


@pytest.mark.slow
@given(
    parameters=PARAMETERS,
    faults=FAULTS,
    era=st.sampled_from(["prev", "oct2020", "later", "change"]),
    container=st.sampled_from(["object-storage", "batch-bodies", "published"]),
    suffix=st.sampled_from(["jsonl", "jsonl.gz", "jsonl.zst"]),
    n_events=st.integers(1, 400),
    seed=st.integers(0, 2**70),
)
@settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)  # fmt: skip
def test_whatever_is_simulated_loads_to_its_truth(*, parameters, faults, era, container, suffix, n_events, seed):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"events.{suffix}"
        write_simulation(path, parameters, n_events=n_events, seed=seed, era=era, container=container, faults=faults)
        assert_loads_to_its_truth(tk.load_events(path), read_truth(Path(folder) / "events.truth"))


@pytest.mark.slow
@pytest.mark.parametrize("era", ["prev", "oct2020", "later", "change"])
@pytest.mark.parametrize("container", ["object-storage", "batch-bodies", "published"])
def test_every_era_loads_from_every_container_under_every_fault_at_once(tmp_path, era, container):
    path = tmp_path / "events.jsonl.gz"
    paused = Parameters(pause_share=0.5)
    write_simulation(path, paused, n_events=3000, seed=11, era=era, container=container, faults=EVERYTHING)
    truth = read_truth(tmp_path / "events.truth")
    assert set(truth.records["fate"]) == {"valid", "duplicate", "damaged", "other", "lost", "paused"}
    assert_loads_to_its_truth(tk.load_events(path), truth)


def test_a_recording_across_the_change_of_era_has_incidents_under_way_when_their_server_changes(tmp_path):
    slow = Parameters(days=45, median_dwell_s=100_000)
    write_simulation(tmp_path / "events.jsonl", slow, n_servers=30, seed=13, era="change")
    log, truth = tk.load_events(tmp_path / "events.jsonl"), read_truth(tmp_path / "events.truth")
    incident = ["server_id", "incident_id"]
    spanning = log.incident.groupby(incident)["is_active"].agg(lambda told: told.isna().any() and told.notna().any())
    spanning = spanning.index[spanning]
    assert len(spanning) > 10
    visits = tk.stage_visits(log.incident, cutoff=log.cutoff).set_index(incident)
    watched_until = visits.groupby(incident)["left_at"].max().reindex(spanning).dropna()
    assert (watched_until < log.cutoff).all()
    assert_analyses_find_the_truth(log, truth)
    assert "eras mixed" in set(log.findings["finding"])


def test_the_daily_files_of_the_storage_load_to_their_truth(tmp_path):
    faults = Faults(repeated=0.1, late=0.1, damaged=0.05)
    audit = write_simulation(tmp_path / "quarter", n_events=2000, seed=12, faults=faults)
    assert len(audit) > 20
    assert_loads_to_its_truth(tk.load_events(tmp_path / "quarter"), read_truth(tmp_path / "quarter.truth"))
    for source in audit["source"]:
        day, name = source.split("/")[-2:]
        made_at = pd.Timestamp(int(name.split(".")[0]), unit="s")
        assert made_at - pd.Timestamp(dt.datetime.strptime(day, "%m-%d-%Y")) <= pd.Timedelta(days=1, seconds=30)  # noqa: DTZ007


def test_a_property_in_no_contract_reaches_no_frame(tmp_path):
    path = tmp_path / "events.jsonl"
    write_simulation(path, n_events=500, seed=13, faults=Faults(unknown_property=1))
    log = tk.load_events(path)
    assert path.read_text().count("hooks.example.org") == 500
    for event_type in tk.schemas.EVENT_TYPES:
        assert "hooks.example.org" not in getattr(log, event_type).to_csv()


def test_the_simulated_sample_loads_to_its_truth_and_shows_its_effect():
    truth = read_truth(tk.samples() / "simulated-quarter.truth")
    log = tk.load_events(tk.samples() / "simulated-quarter")
    assert_loads_to_its_truth(log, truth)
    assert truth.plan.parameters.effect == Effect("versions", dwell_factor=0.4, commander_shift=0.25)
    shares = tk.commander_vs_assignee(log.tasks, by="plugin_version").set_index("plugin_version")["commander"]
    assert shares["1.1.0"] - shares["1.0.0"] > 0.2
    dwell = truth.visits[~truth.visits["is_censored"]].groupby("plugin_version")["dwell_s"].median()
    assert dwell["1.1.0"] / dwell["1.0.0"] < 0.6
