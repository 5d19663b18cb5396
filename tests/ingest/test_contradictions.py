"""Events that do not follow from those before them show how many were lost, and never more than were."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.ingest.contradictions import find_contradictions


@pytest.fixture
def found(make_event):
    """Return the contradictions between events: how often each was found, and how many events it says were lost."""

    def found(*events):
        log = tk.load_events(pd.DataFrame(list(events)))
        assert len(log.quarantine) == 0
        rows = find_contradictions(log.incident, log.tasks)
        return {row.finding: (row.n, row.n_lost) for row in rows.itertuples()}

    return found


@pytest.fixture
def step(make_event):
    """Make an event of one incident."""

    def step(number, action, **properties):
        return make_event(number, "incident", Action=action, **properties)

    return step


def test_an_incident_that_follows_from_itself_contradicts_nothing(found, step, make_event):
    assert (
        found(
            step(1, "create"),
            make_event(2, Action="add_task"),
            make_event(3, Action="add_task"),
            make_event(4, Action="remove_task"),
            step(5, "change_stage", ActiveStage=2, TotalChecklistItems=8),
            step(6, "end", ActiveStage=2, TotalChecklistItems=8, IsActive=False),
            step(7, "change_stage", ActiveStage=0, TotalChecklistItems=8, IsActive=False),
            step(8, "restart", TotalChecklistItems=8),
            step(9, "change_commander", TotalChecklistItems=8, CommanderUserID="x"),
        )
        == {}
    )


@pytest.mark.parametrize(
    ("steps", "finding"),
    [
        ([("create", {}), ("change_stage", {})], "stage change to the same stage"),
        ([("create", {}), ("end", {"ActiveStage": 1, "IsActive": False})], "other stage without a stage change"),
        ([("create", {}), ("restart", {})], "restart of an open incident"),
        (
            [("end", {"IsActive": False}), ("change_stage", {"ActiveStage": 1})],
            "open again without a restart",
        ),
        ([("create", {}), ("end", {"IsActive": False}), ("end", {"IsActive": False})], "end of a closed incident"),
        ([("create", {}), ("change_stage", {"ActiveStage": 1, "IsActive": False})], "closed without an end"),
        (
            [("create", {}), ("change_stage", {"ActiveStage": 1, "CommanderUserID": "x"})],
            "other commander without a change of commander",
        ),
    ],
)
def test_a_step_that_does_not_follow_means_that_one_event_was_lost(found, step, steps, finding):
    events = [step(n, action, **properties) for n, (action, properties) in enumerate(steps)]
    assert found(*events) == {finding: (1, 1)}


def test_totals_tell_how_many_added_and_removed_tasks_were_lost(found, step, make_event):
    assert found(
        step(1, "create", TotalChecklistItems=7),
        make_event(2, Action="add_task"),
        step(3, "change_stage", ActiveStage=1, TotalChecklistItems=11),
        make_event(4, Action="add_task"),
        step(5, "end", ActiveStage=1, TotalChecklistItems=10, IsActive=False),
    ) == {"tasks added or removed unseen": (2, 3 + 2)}


def test_without_actions_nothing_is_said_of_steps_and_totals(found, make_event):
    events = [make_event(n, "incident", without=("Action",), ActiveStage=n, TotalChecklistItems=n) for n in range(3)]
    assert found(*events, make_event(9, without=("Action",))) == {}


def test_a_missing_create_counts_as_lost_only_where_the_server_had_sent_events_before(found, step, make_event):
    end = {"IsActive": False, "IncidentID": "incidentbbbbbbbbbbbbbbbbbb"}
    created_then, created_before = 1604311203000, 1604311200000
    assert found(step(2, "create"), step(9, "end", CreateAt=created_then, **end)) == {
        "create that was never recorded": (1, 1)
    }
    assert found(step(2, "create"), step(9, "end", CreateAt=created_before, **end)) == {}


def test_tasks_out_of_place_are_told_and_mean_no_loss(found, step, make_event):
    assert found(make_event(1), make_event(2), step(3, "create"), make_event(4, IncidentID="another")) == {
        "task event before the incident's create": (2, 0),
        "task event of an incident that was never recorded": (1, 0),
    }


def test_incidents_and_servers_are_kept_apart(found, step):
    first, second = step(1, "create"), step(2, "create", IncidentID="b", ActiveStage=2, CommanderUserID="y")
    third = step(3, "create", TotalChecklistItems=1) | {"userId": "another server"}
    assert found(first, second, third, step(4, "change_stage", ActiveStage=1)) == {}


@pytest.mark.parametrize("era", ["prev", "oct2020", "later"])
def test_a_recording_in_which_nothing_is_missing_contradicts_nothing(recordings, era):
    log = tk.load_events(recordings / "batch-bodies" / f"{era}.jsonl.gz")
    with gzip.open(recordings / "truth" / f"{era}.json.gz") as file:
        incidents = json.load(file)["incidents"]
    # Every incident whose create was recorded was recorded as a whole.
    assert all(i["fully_tracked"] == i["create_event_tracked"] for i in incidents)
    assert len(find_contradictions(log.incident, log.tasks)) == 0


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
def test_of_a_thinned_recording_no_more_is_called_lost_than_was_taken_out(oct2020, share):
    rng = np.random.default_rng(7)
    frames = [getattr(oct2020, kind) for kind in ("incident", "tasks")]
    kept = [frame[rng.random(len(frame)) > share].reset_index(drop=True) for frame in frames]
    contradictions = find_contradictions(*kept)
    lost = contradictions.groupby("server_id")["n_lost"].sum()
    before, after = (pd.concat([part["server_id"] for part in parts]).value_counts() for parts in (frames, kept))
    taken = before.sub(after, fill_value=0)
    assert (lost <= taken.reindex(lost.index)).all()
    # What cannot be seen by the events around it is most of it; what can be seen is found.
    assert lost.sum() > 0.1 * taken.sum()
