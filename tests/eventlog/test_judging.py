"""What is told of records without their events in frames is what the log of them tells."""

import json

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import RejectedEventsWarning
from telemetry_kit.eventlog.load import judge_events
from telemetry_kit.simulate import write_simulation


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    """Events of which some are repeated, broken off, at one moment, or missing; the last two stand in a body."""
    path = tmp_path_factory.mktemp("judged") / "events.jsonl"
    write_simulation(path, n_events=400, seed=3)
    lines = path.read_text().splitlines()
    events = [json.loads(line) for line in lines]
    for event in events[40:60]:
        event["timestamp"] = events[40]["timestamp"]
    body = json.dumps({"batch": events[-2:]})
    texts = [json.dumps(event) for event in events[5:-2]]
    path.write_text("\n".join([*texts, texts[7], texts[9][:50], body]) + "\n")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("bounds", [{}, {"since": "2020-10-05", "cutoff": "2020-11-01"}])
def test_records_are_judged_as_they_are_loaded(damaged, bounds):
    with pytest.warns(RejectedEventsWarning):
        log = tk.load_events(damaged, **bounds)
    told = judge_events(damaged, **bounds)
    assert len(log.quarantine) == 1
    assert len(log.findings) > 1
    pd.testing.assert_frame_equal(told.quarantine, log.quarantine)
    pd.testing.assert_frame_equal(told.audit, log.audit)
    pd.testing.assert_frame_equal(told.findings, log.findings)
