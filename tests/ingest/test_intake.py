"""Records become valid events or rejected ones, whichever way they are read, and each keeps its place."""

import contextlib
import json

import pytest
from both_ways import assert_equal_logs, one_by_one

import telemetry_kit as tk
from telemetry_kit.engine import connections
from telemetry_kit.ingest import duplicates, events_table, intake


@pytest.fixture
def load(tmp_path):
    """Load JSON texts, one a line."""

    def load(*texts):
        lines = [text if isinstance(text, str) else json.dumps(text, separators=(",", ":")) for text in texts]
        (tmp_path / "events.jsonl").write_text("\n".join(lines) + "\n")
        return tk.load_events(tmp_path / "events.jsonl")

    return load


def carefully(function, *arguments):
    with one_by_one():
        return function(*arguments)


@pytest.mark.slow
def test_both_ways_agree_about_everything(load, make_event):
    plain = [make_event(n, ("tasks", "incident", "playbook")[n % 3]) for n in range(30)]
    odd = [
        *plain,
        plain[3],
        "junk",
        "null",
        "",
        make_event(40, "frontend", Secret="x"),
        make_event(41, "tasks", Secret="x", Other=[1]),
        make_event(42, "incident", NumChecklists="three", ReminderTimerSeconds=5),
        make_event(42, "playbook", TeamID=float("nan")),
        make_event(42, "playbook", TeamID="NaN"),
        make_event(43) | {"messageId": None},
        make_event(43) | {"messageId": ""},
        make_event(44) | {"receivedAt": "2019-01-01T00:00:00Z"},
        make_event(45) | {"properties": None},
        make_event(46) | {"properties": [1]},
        make_event(47) | {"properties": "text"},
        {"type": "page", "name": "x"},
        {"type": "track", "event": None},
        {"type": "tasks", "UserID": "s", "eventTimeStamp": "2020-11-02T10:00:00Z"},
    ]
    assert_equal_logs(load(*plain), carefully(load, *plain))
    assert_equal_logs(load(*odd), carefully(load, *odd))


@pytest.mark.parametrize(
    "other",
    [
        {"Event": "incident"},
        {"MESSAGEID": "x", "message_id": "y"},
        {"": 1, "properties.Action": 2},
        {"batch": 1},
        {"number": 1, "source": 2, "place": 3, "status": 4, "filename": 5},
    ],
)
def test_a_line_with_other_keys_behind_the_plain_ones_is_read(load, make_event, account, other):
    log = load(*(make_event(n) for n in range(5)), make_event(5) | other)
    assert account(log) == {"read": 6, "valid": 6, "duplicate": 0, "rejected": 0, "other": 0}


def test_what_is_a_text_in_the_first_lines_may_be_anything_later(load, make_event):
    plain = [make_event(n) | {"anonymousId": "a", "channel": "c"} for n in range(70)]
    values = enumerate([5, None, True, {"a": "b"}, 1.5, "text"], 70)
    odd = [make_event(n, Extra=1) | {"anonymousId": value, "channel": "c"} for n, value in values]
    log = load(*plain, *odd)
    assert log.findings.loc[log.findings["detail"] == "Extra", "n"].to_list() == [6]
    assert_equal_logs(log, carefully(load, *plain, *odd))


def test_a_line_in_another_form_or_spelling_among_plain_ones_is_read(load, make_event, account):
    flat = {"type": "tasks", "UserID": "s", "eventTimeStamp": "2020-11-02T10:00:00Z", "incidentID": "i"}
    flat |= {"serverVersion": "5", "pluginVersion": "1.1.0", "UserActualID": "u"}
    snake = {"message_id": "x", "EVENT": "tasks", "user_id": "s", "TIMESTAMP": "2020-11-02T10:00:00Z"}
    snake["properties"] = {"incident_id": "i", "server_version": "5", "PLUGINVERSION": "1.1.0", "useractualid": "u"}
    bodies = [{"batch": [make_event(7), make_event(8)]}, [make_event(9)]]
    log = load(*(make_event(n) for n in range(5)), flat, snake, *bodies)
    assert account(log) == {"read": 10, "valid": 9, "duplicate": 0, "rejected": 1, "other": 0}
    assert (log.tasks["user_actual_id"] == "u").sum() == 2


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # A body that was cut off is one record, though whole events stand in it.
        ('{"batch":[{ONE},{TWO},{"me', (0, 1)),
        ('{ONE} {"broken', (1, 1)),
        ('{"broken} {ONE}', (1, 1)),
        ('{"broken": } {"also": } {ONE}', (1, 2)),
    ],
)
def test_a_broken_line_is_as_many_records_as_objects_stand_in_it(load, make_event, line, expected):
    for n, name in enumerate(("{ONE}", "{TWO}")):
        line = line.replace(name, json.dumps(make_event(n)))
    log = load(make_event(2), line)
    assert (len(log.tasks) - 1, len(log.quarantine)) == expected


@pytest.mark.parametrize("body", [False, True])
@pytest.mark.parametrize(
    ("change", "key"),
    [(('"event":"tasks"', '"event":"tasks","event":"tasks"'), "event"), (('{"Pl', '{"Action":1,"Pl'), "Action")],
)
def test_a_key_that_stands_twice_is_a_fault(load, make_event, body, change, key):
    text = json.dumps(make_event(1), separators=(",", ":")).replace(*change)
    log = load(make_event(), f'{{"batch":[1,{text}]}}' if body else text, make_event(2))
    assert log.tasks["event_id"].to_list() == ["message-0", "message-2"]
    row = log.quarantine.iloc[-1]
    assert (row["record"], row["event_type"]) == (2, "tasks")
    assert row["reason"] == f'record: the key "{key}" stands twice'
    assert row["raw"] == text


def test_of_two_spellings_of_a_field_the_first_that_is_given_counts(load, make_event):
    events = [make_event(n, "incident", team_id=f"other-{n}") for n in range(2)]
    events[1]["properties"]["TeamID"] = None
    assert load(*events).incident["team_id"].to_list() == ["teamaaaaaaaaaaaaaaaaaaaaaa", "other-1"]


def test_a_record_without_an_id_gets_one_from_its_content(load, make_event, account):
    events = [make_event(n) | {"messageId": identity} for n, identity in ((1, None), (1, ""), (2, None))]
    log = load(*events, make_event(1, Unknown="not told apart"))
    assert account(log) == {"read": 4, "valid": 3, "duplicate": 1, "rejected": 0, "other": 0}
    assert log.tasks["event_id"].is_unique
    assert log.tasks["event_id"].str.fullmatch("[0-9a-f]{32}|message-1").all()
    digests = log.tasks["event_id"][log.tasks["event_id"] != "message-1"]
    assert load(*events).tasks["event_id"].to_list() == digests.to_list()


def test_the_first_arrival_of_an_id_is_kept(load, make_event, account):
    first, again = make_event(1, "incident"), make_event(1, "incident") | {"originalTimestamp": "2020-12-02T00:00:00Z"}
    log = load(make_event(0), first, again, {"batch": [again]}, make_event(1))
    assert account(log) == {"read": 5, "valid": 2, "duplicate": 2, "rejected": 1, "other": 0}
    assert log.incident["original_timestamp"].isna().all()
    assert log.quarantine["reason"].item().startswith('event_id: "message-1" is the id of record 2 of events.jsonl')


def test_ids_that_repeat_are_found_though_only_some_are_looked_at_at_a_time(load, make_event, account, monkeypatch):
    monkeypatch.setattr(duplicates, "IDS_AT_A_TIME", 3)
    log = load(*(make_event(number % 7) for number in range(20)))
    assert account(log) == {"read": 20, "valid": 7, "duplicate": 13, "rejected": 0, "other": 0}


def test_a_rejected_event_does_not_take_the_place_of_a_valid_one_with_its_id(load, make_event, account):
    log = load(make_event(1, "playbook", NumMembers="x"), make_event(1, "playbook"))
    assert account(log) == {"read": 2, "valid": 1, "duplicate": 0, "rejected": 1, "other": 0}


@pytest.mark.parametrize("has_junk", [False, True])
def test_ties_in_time_keep_the_order_of_arrival(load, make_event, has_junk):
    events = [make_event(0) | {"messageId": f"{(7 * n) % 10}"} for n in range(10)]
    events[4].pop("messageId")
    given = events[:5] + ["junk"] * has_junk + [{"batch": events[5:8]}] * has_junk + events[5 + 3 * has_junk :]
    ids = load(*given).tasks["event_id"].to_list()
    assert ids[:4] + ids[5:] == [event["messageId"] for event in events if "messageId" in event]


def test_unknown_properties_are_named_and_counted_and_never_loaded(load, make_event):
    events = [make_event(n, "playbook", Secret="secret words", Channel={"a": 1}, **{"a\0b\n": 1}) for n in range(3)]
    events += [make_event(3, "playbook", NumMembers="x", Secret="secret words"), make_event(4, "frontend", Secret="no")]
    for log in (load(*events), carefully(load, *events)):
        notes = log.findings[log.findings["finding"] == "unknown property"]
        assert (notes["event_type"] == "playbook").all()
        assert notes[["detail", "n"]].to_numpy().tolist() == [["Channel", 3], ["Secret", 4], ["a\0b\n", 3]]
        assert "secret words" not in log.playbook.to_csv() + log.findings.to_csv()


def test_a_record_is_kept_as_it_came_up_to_a_limit(load, make_event):
    text = json.dumps(make_event(0, "playbook", NumMembers=3.5, Text="x" * 100_000)).replace("3.5", "3.50")
    (row,) = load(make_event(1), text).quarantine.itertuples()
    assert row.raw == text[: 64 * 1024]
    assert row.reason == (
        'num_members: got "3.5", expected a whole number >= 0; '
        f"the record has {len(text)} bytes, of which the first 65536 are kept"
    )


@pytest.mark.slow
def test_records_are_read_in_bounded_parts(load, make_event, account, monkeypatch):
    monkeypatch.setattr(intake, "CHUNK_BYTES", 1000)
    bodies = [{"batch": [make_event(10 * n + k) for k in range(5)] + [n]} for n in range(20)]
    log = load(*bodies)
    assert account(log) == {"read": 120, "valid": 100, "duplicate": 0, "rejected": 20, "other": 0}
    assert log.quarantine["raw"].to_list() == [str(n) for n in range(20)]
    assert log.quarantine["record"].to_list() == list(range(1, 21))


def test_an_event_of_another_type_is_counted_under_its_name(load, make_event):
    log = load(make_event(0, "frontend"), make_event(1, "frontend"), {"type": "identify", "userId": "s"}, make_event(2))
    notes = log.findings[log.findings["finding"] == "other event type"]
    assert notes[["detail", "n"]].to_numpy().tolist() == [["frontend", 2], ["identify", 1]]


def test_the_events_of_a_database_in_a_file_lie_in_it(tmp_path):
    with contextlib.closing(connections.connect(tmp_path / "events.duckdb")) as connection:
        events_table.create_events(connection)
        told = connection.execute("SELECT temporary FROM duckdb_tables() WHERE table_name = 'events'").fetchall()
    assert told == [(False,)]
