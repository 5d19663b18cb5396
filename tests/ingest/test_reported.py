"""Inputs as people's tools write them come out right: see tests/reported/README.md."""

import json
import warnings
from pathlib import Path

import pytest

import telemetry_kit as tk

REPORTED = Path(__file__).parents[1] / "reported"
CASES = json.loads((REPORTED / "expected.json").read_text(encoding="utf-8"))


def cells_of(column):
    told = [
        cell.isoformat(timespec="microseconds") if hasattr(cell, "isoformat") else str(cell) for cell in column.dropna()
    ]
    return sorted([*told, *["null"] * int(column.isna().sum())])


@pytest.mark.parametrize("name", CASES)
def test_a_reported_input_has_its_right_outcome(name):
    case = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log = tk.load_events(REPORTED / case["source"])
    assert {count: int(log.audit[count].sum()) for count in case["counts"]} == case["counts"], case["why"]
    for place, expected in case["values"].items():
        frame, column = place.split(".")
        assert cells_of(getattr(log, frame)[column]) == sorted(expected), place
    for word in case["reasons"]:
        assert log.quarantine["reason"].str.contains(word, regex=False).any(), word
