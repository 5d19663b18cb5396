"""What the first page warns of."""

import json

import pytest

import telemetry_kit as tk
from telemetry_kit.reports import changes
from telemetry_kit.reports.summary import alerts, cards, compute_tables


def warned(tmp_path, events):
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    log = tk.load_events(tmp_path / "events.jsonl")
    return " ".join(alerts(log, compute_tables(log)))


@pytest.mark.slow
def test_events_that_arrived_months_after_their_time_are_told_with_their_servers(tmp_path, make_event):
    late = {"receivedAt": "2021-06-01T00:00:00Z"}
    events = [make_event(n) | late | {"userId": "a"} for n in range(3)] + [make_event(3) | late | {"userId": "b"}]
    said = warned(tmp_path, [*events, make_event(4)])
    assert "**4 events arrived more than 90 days late**, from server a (3) and server b (1):" in said


@pytest.mark.slow
def test_events_that_arrived_in_time_are_no_alert(tmp_path, make_event):
    assert "late" not in warned(tmp_path, [make_event(n) | {"receivedAt": "2020-11-03T00:00:00Z"} for n in range(3)])


@pytest.mark.slow
def test_one_server_says_nothing_of_others_and_several_are_counted(tmp_path, make_event):
    events = [make_event(n) | {"userId": "ab"[n]} for n in range(2)]
    assert "**The report is of 1 server**" in warned(tmp_path, events[:1])
    assert "**The report rests on 2 servers**" in warned(tmp_path, events)


@pytest.mark.slow
def test_that_a_status_is_seen_late_is_told_where_incidents_have_one(recordings):
    for era, is_told in (("later", True), ("prev", False)):
        log = tk.load_events(recordings / "batch-bodies" / f"{era}.jsonl.gz")
        said = " ".join(alerts(log, compute_tables(log)))
        assert ("A status is known from the next event on" in said) == is_told


def test_a_change_that_counts_more_than_its_card_says_why(oct2020):
    tables = compute_tables(oct2020)
    still_open = int(tables.flow["n_open_at_end"].iloc[-1])
    told = {changes.OPEN: f"3 before, now {still_open}", changes.ENDED: "9 before, now 1,234,567"}
    said = {card.what: card.change for card in cards(tables, {}, told)}
    assert said["Open at the cutoff"] == f"3 before, now {still_open}"
    assert said["Incidents ended"] == "in the periods compared: 9 before, now 1,234,567"
