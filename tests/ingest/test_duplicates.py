"""The same event again is a duplicate; another one under its id is rejected, and told whose id it has."""

import gzip
import json

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.ingest import duplicates


def write(path, *events):
    text = "\n".join(json.dumps(event) for event in events) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return text.splitlines()


def test_what_differs_in_transport_alone_is_a_duplicate(make_event, tmp_path, account):
    event = make_event(0, "incident")
    again = {"receivedAt": "2020-11-02T11:00:00Z", "sentAt": "2020-11-02T11:00:00Z"}
    again |= {"originalTimestamp": "2020-11-02T10:59:00Z"}
    write(tmp_path / "a.jsonl", event, event | again)
    assert account(tk.load_events(tmp_path)) == {"read": 2, "valid": 1, "duplicate": 1, "rejected": 0, "other": 0}


def test_what_one_of_two_does_not_tell_is_no_difference(make_event, tmp_path, account):
    event = make_event(0, "incident", Public=True)
    write(tmp_path / "a.jsonl", event, make_event(0, "incident", without=("Public",)))
    assert account(tk.load_events(tmp_path))["duplicate"] == 1


@pytest.mark.parametrize("name", ["b.jsonl", "b.jsonl.gz"])
def test_another_event_under_a_seen_id_is_rejected_with_its_text(make_event, tmp_path, name):
    first = [make_event(1), make_event(0, "incident", TeamID="t1")]
    write(tmp_path / "a.jsonl", *first)
    lines = write(tmp_path / name, make_event(2), make_event(0, "incident", TeamID="t2"), make_event(1))
    log = tk.load_events(tmp_path)
    (row,) = log.quarantine.itertuples()
    assert (row.source, row.record, row.event_type) == (name, 2, "incident")
    assert row.reason == (
        'event_id: "message-0" is the id of record 2 of a.jsonl, which differs: team_id t2 instead of t1'
    )
    assert row.raw == lines[1]
    assert log.audit["n_duplicate"].to_list() == [0, 1]


def test_in_a_body_a_csv_and_a_table_its_text_is_found_as_well(make_event, tmp_path):
    flat = [
        {"event": "tasks", "id": "m", "user_id": "s", "timestamp": "2020-11-02T10:00:00Z", "incident_id": f"i{n}"}
        | {"server_version": "5", "plugin_version": "1.1.0", "user_actual_id": "u"}
        for n in range(3)
    ]
    pd.DataFrame(flat).to_csv(tmp_path / "a.csv", index=False)
    log = tk.load_events(tmp_path / "a.csv")
    assert log.quarantine["record"].to_list() == [3, 4]
    assert [",i1," in log.quarantine["raw"][0], ",i2," in log.quarantine["raw"][1]] == [True, True]
    log = tk.load_events(pd.DataFrame(flat))
    assert [json.loads(raw)["incident_id"] for raw in log.quarantine["raw"]] == ["i1", "i2"]
    body = {"batch": [make_event(0, TeamID="x"), make_event(0, IncidentID="other")]}
    (tmp_path / "body.json").write_text(json.dumps(body))
    (row,) = tk.load_events(tmp_path / "body.json").quarantine.itertuples()
    assert json.loads(row.raw) == body["batch"][1]


def test_converting_rejects_the_same(make_event, tmp_path):
    write(tmp_path / "a.jsonl", make_event(0, IncidentID="a"), make_event(0, IncidentID="b"), make_event(1))
    (tmp_path / "b.jsonl").write_text("junk\n")
    tk.convert_events([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], tmp_path / "store")
    stored = tk.load_events(tmp_path / "store").quarantine
    loaded = tk.load_events([tmp_path / "a.jsonl", tmp_path / "b.jsonl"]).quarantine
    pd.testing.assert_frame_equal(stored, loaded)


@pytest.mark.parametrize("word", [None, "", " ", "null", "undefined", "NaN", "00000000-0000-0000-0000-000000000000"])
def test_without_an_id_an_equal_record_is_a_duplicate_and_no_other(make_event, tmp_path, account, word):
    events = [make_event(n) | {"messageId": word} for n in (0, 1, 0)]
    write(tmp_path / "a.jsonl", *events)
    assert account(tk.load_events(tmp_path)) == {"read": 3, "valid": 2, "duplicate": 1, "rejected": 0, "other": 0}


def test_how_many_are_looked_at_together_changes_nothing(make_event, tmp_path, monkeypatch):
    others = [make_event(n % 4, "incident", TeamID=f"t{n}") for n in range(12)]
    write(tmp_path / "a.jsonl", *others, *(make_event(n % 5 + 10) for n in range(15)))
    write(tmp_path / "b.jsonl.gz", make_event(10, IncidentID="other"), *others[::-1])
    (tmp_path / "c.json").write_text(json.dumps({"batch": [make_event(11, IncidentID="other"), *others[:3]]}))
    flat = {"event": "tasks", "timestamp": "2020-11-02T10:00:00Z", "server_version": "5", "plugin_version": "1.1.0"}
    rows = [flat | {"id": f"m{n % 3}", "user_id": "s", "incident_id": f"i{n}", "user_actual_id": "u"} for n in range(9)]
    pd.DataFrame(rows).to_csv(tmp_path / "d.csv", index=False)
    pd.DataFrame(rows[::-1]).to_parquet(tmp_path / "e.parquet")
    whole = tk.load_events(tmp_path)
    monkeypatch.setattr(duplicates, "IDS_AT_A_TIME", 3)
    monkeypatch.setattr(duplicates, "REPEATED_AT_A_TIME", 2)
    monkeypatch.setattr(duplicates, "CONFLICTS_AT_A_TIME", 4)
    in_parts = tk.load_events(tmp_path)
    pd.testing.assert_frame_equal(in_parts.audit, whole.audit)
    pd.testing.assert_frame_equal(in_parts.quarantine, whole.quarantine)
    assert whole.audit["n_rejected"].to_list() == [8, 9, 1, 6, 6]
    assert whole.audit["n_duplicate"].to_list() == [10, 4, 3, 0, 3]
    assert whole.quarantine["raw"].str.len().min() > 0
    for event_type in ("incident", "tasks"):
        pd.testing.assert_frame_equal(getattr(in_parts, event_type), getattr(whole, event_type))
