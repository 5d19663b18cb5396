"""Incident events at the same moment are put into the order in which they can have happened."""

import json

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.ingest import ties


@pytest.fixture
def order(make_event, tmp_path):
    """Return the actions of incident events at given seconds, in the order in which a log has them."""

    def order(*events):
        given = []
        for number, (second, action, is_active) in enumerate(events):
            event = make_event(number, "incident", Action=action, IsActive=is_active, IncidentID="i" * 26)
            given.append(event | {"timestamp": f"2020-11-02T10:00:{second:02d}Z", "userId": "s" * 26})
        (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, given)))
        log = tk.load_events(tmp_path / "events.jsonl")
        assert log.audit["n_incident"].item() == len(events)
        return log.incident["action"].to_list()

    return order


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        # Newest first: the create is the last of the file.
        (
            [(0, "restart", True), (0, "end", False), (0, "change_stage", True), (0, "create", True)],
            ["create", "change_stage", "end", "restart"],
        ),
        # Closed before: the restart comes first.
        (
            [(0, "create", True), (1, "end", False), (2, "end", False), (2, "restart", True)],
            ["create", "end", "restart", "end"],
        ),
        # What fits keeps the order of arrival.
        (
            [(0, "create", True), (1, "end", False), (1, "restart", True), (1, "change_commander", True)],
            ["create", "end", "restart", "change_commander"],
        ),
        (
            [(0, "change_stage", True), (0, "change_commander", True)],
            ["change_stage", "change_commander"],
        ),
    ],
)
def test_ties_are_ordered_by_what_the_events_say(order, events, expected):
    assert order(*events) == expected


def test_how_many_are_looked_at_together_changes_nothing(make_event, tmp_path, monkeypatch):
    steps = [("restart", True), ("end", False), ("change_stage", True), ("create", True)]
    given = [
        make_event(4 * n + k, "incident", Action=action, IsActive=is_open, IncidentID=f"{n:026d}")
        | {"timestamp": "2020-11-02T10:00:00Z"}
        for n in range(6)
        for k, (action, is_open) in enumerate(steps)
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, given)))
    whole = tk.load_events(tmp_path).incident
    monkeypatch.setattr(ties, "TIED_AT_A_TIME", 2)
    pd.testing.assert_frame_equal(tk.load_events(tmp_path).incident, whole)
    for _, events in whole.groupby("incident_id", observed=True):
        assert events["action"].to_list() == ["create", "change_stage", "end", "restart"]
