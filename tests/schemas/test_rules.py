"""Each field's text becomes a value of its type, or a reason that names column, rule and value."""

import json

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit import schemas
from telemetry_kit.schemas.spellings import event_type_of, is_known, is_read

COUNT = "a whole number >= 0"
TIME = "a time such as 2020-11-02T00:35:08.199Z or milliseconds since 1970"
TEXT = "a text, not a nested value"
DIGITS = "an id whose digits are all there"


@pytest.fixture(scope="module")
def judged(make_event, tmp_path_factory):
    """Load events that differ from a plain one in the JSON of one value; return the value of each, or its reasons."""

    def load(event, name, texts, column):
        lines = []
        for number, text in enumerate(texts):
            given = make_event(number, event)
            (given["properties"] if name in given["properties"] else given)[name] = "@"
            lines.append(json.dumps(given).replace('"@"', text))
        path = tmp_path_factory.mktemp("judged") / "events.jsonl"
        path.write_text("\n".join(lines) + "\n")
        log = tk.load_events(path)
        found = getattr(log, event).set_index("event_id")[column]
        values = {int(key.removeprefix("message-")): value for key, value in found.items()}
        reasons = {row.record - 1: row.reason for row in log.quarantine.itertuples()}
        assert values.keys() | reasons.keys() == set(range(len(texts)))
        return [values.get(n, reasons.get(n)) for n in range(len(texts))]

    return load


@pytest.mark.parametrize(
    ("event", "name", "column", "expected"),
    [
        (
            "playbook",
            "NumMembers",
            "num_members",
            {
                "0": 0, "3": 3, '"3"': 3, "3.0": 3, '"3.00"': 3, "1e2": 100, "-0": 0, "9223372036854775807": 2**63 - 1,
                "3.7": ("3.7", COUNT), "true": ("true", COUNT), "-1": ("-1", COUNT), '"three"': ("three", COUNT),
                '" 3"': (" 3", COUNT), '"0x10"': ("0x10", COUNT), '"1_000"': ("1_000", COUNT), "[3]": ("[3]", COUNT),
                "9223372036854775808": ("9223372036854775808", COUNT), "1e400": ("1e400", COUNT), "NaN": ("NaN", COUNT),
                "Infinity": ("Infinity", COUNT), "null": ("missing", COUNT), '""': ("missing", COUNT), '"3,0"': 3,
                '"3,000"': ("3,000", COUNT), '"1,001"': ("1,001", COUNT), '"3.000000e+00"': 3, '"2.8E+01"': 28,
                '"2.85E+01"': ("2.85E+01", COUNT), '"1e12"': ("1e12", COUNT), '"1,604,394,010,199"':
                ("1,604,394,010,199", COUNT),
            },
        ),
        ("incident", "ActiveStage", "active_stage", {"-1": -1, "0": 0, "7": 7, "1.5": ("1.5", "a whole number")}),
        (
            "playbook",
            "IsPublic",
            "is_public",
            {
                "true": True, "false": False, '"true"': True, '"FALSE"': False, "1": True, "0": False, '"t"': True,
                "2": ("2", "true or false"), '"yes"': True, '"N"': False, '"F"': False, '"1,0"': True,
                '"maybe"': ("maybe", "true or false"), "null": ("missing", "true or false"),
            },
        ),
        (
            "playbook",
            "TeamID",
            "team_id",
            {
                '"a"': "a", '" a "': " a ", "12": "12", "12.0": "12", '"12.0"': "12",
                '"12,0"': "12", '"n/a"': ("n/a", "an id"), '"Null"': "Null",
                '"ä\\u0000b"': ("ä\ufffdb", "an id without control characters"),
                '"4.79E+17"': ("4.79E+17", DIGITS), "9007199254740992.0": ("9007199254740992.0", DIGITS),
                "479123456789012345": "479123456789012345", '"NULL"': ("NULL", "an id"), '" "': (" ", "an id"),
                '"00000000-0000-0000-0000-000000000000"': ("00000000-0000-0000-0000-000000000000", "an id"),
                '"\\ud83d\\ude00"': "😀",
                '{"a": 1}': ('{"a":1}', TEXT), "[1]": ("[1]", TEXT), "NaN": ("NaN", "an id"),
                "-Infinity": ("-Infinity", TEXT), "null": ("missing", "a text"), '""': ("missing", "a text"),
            },
        ),
        (
            "tasks",
            "timestamp",
            "event_timestamp",
            {
                '"2020-11-02T00:35:08Z"': "2020-11-02T00:35:08Z",
                '"2020-11-02T00:35:08.199Z"': "2020-11-02T00:35:08.199Z",
                '"2020-11-02T00:35:08.123456789Z"': "2020-11-02T00:35:08.123456Z",
                '"2020-11-02T06:05:08.5+05:30"': "2020-11-02T00:35:08.5Z",
                '"2020-11-01T19:35:08-05:00"': "2020-11-02T00:35:08Z",
                '"2020-11-02 00:35:08+00"': "2020-11-02T00:35:08Z",
                '"2020-11-02 00:35:08"': "2020-11-02T00:35:08Z",
                '"2020-11-02t00:35:08z"': "2020-11-02T00:35:08Z",
                "1604277308": "2020-11-02T00:35:08Z",
                "1604277308199": "2020-11-02T00:35:08.199Z",
                "1604277308199123": "2020-11-02T00:35:08.199123Z",
                "1604277308199123456": "2020-11-02T00:35:08.199123Z",
                '"1604277308199.0"': "2020-11-02T00:35:08.199Z",
                '"yesterday"': ("yesterday", TIME), '"2020-11-02"': ("2020-11-02", TIME), '"NaT"': ("NaT", TIME),
                '"2020-02-30T00:00:00Z"': ("2020-02-30T00:00:00Z", TIME), '"infinity"': ("infinity", TIME),
                '"10000-01-01T00:00:00Z"': ("10000-01-01T00:00:00Z", TIME), "true": ("true", TIME),
                "null": ("missing", TIME), '""': ("missing", TIME),
            },
        ),
        (
            "incident",
            "CreateAt",
            "created_at",
            {"1604311200": "2020-11-02T10:00:00Z", "1604311200000": "2020-11-02T10:00:00Z", '"soon"': ("soon", TIME)},
        ),
    ],
)  # fmt: skip
def test_a_value_has_its_type_or_a_reason(judged, event, name, column, expected):
    got = judged(event, name, list(expected), column)
    for text, value, wanted in zip(expected, got, expected.values(), strict=True):
        if isinstance(wanted, tuple):
            shown, rule = wanted
            told = shown if shown == "missing" else f'got "{shown}"'
            assert value == f"{column}: {told}, expected {rule}", text
        elif isinstance(value, pd.Timestamp):
            assert value == pd.Timestamp(wanted), text
        else:
            assert value == wanted, text


def test_every_fault_of_a_record_is_told(make_event, tmp_path):
    event = make_event(0, "incident", without=("TeamID",), NumChecklists="three", IsActive="perhaps")
    (tmp_path / "a.json").write_text(json.dumps(event | {"userId": None}))
    (row,) = tk.load_events(tmp_path / "a.json").quarantine.itertuples()
    assert row.event_type == "incident"
    assert row.reason.split("; ") == [
        "server_id: missing, expected a text",
        'is_active: got "perhaps", expected true or false',
        "team_id: missing, expected a text",
        f'num_checklists: got "three", expected {COUNT}',
    ]


def test_a_long_value_is_shown_in_part(judged):
    (reason,) = judged("playbook", "NumMembers", [json.dumps("x" * 1000)], "num_members")
    assert reason == f'num_members: got "{"x" * 80}…", expected {COUNT}'


def test_a_field_of_another_event_may_not_hold_damage(make_event, tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(make_event(0, "tasks", NumMembers="three")))
    assert (
        tk.load_events(tmp_path / "a.json").quarantine["reason"].item() == f'num_members: got "three", expected {COUNT}'
    )


@pytest.mark.parametrize(
    ("version", "is_rejected"),
    [("0.7.0", True), ("1.1.0", True), ("v1.2.9", True), ("1.3.0", False), ("2.0", False), ("dev", False)],
)
def test_a_stage_may_be_missing_only_where_the_era_has_none(make_event, version, is_rejected):
    event = make_event(0, "incident", without=("ActiveStage",), PluginVersion=version)
    log = tk.load_events(pd.DataFrame([event]))
    assert len(log.quarantine) == is_rejected
    if is_rejected:
        wanted = f"active_stage: missing in an event of plugin {version}, expected a whole number"
        assert log.quarantine["reason"].item() == wanted


def test_an_incident_with_a_status_needs_no_stage_whatever_its_version(make_event):
    event = make_event(0, "incident", without=("ActiveStage", "IsActive"), CurrentStatus="Active")
    assert tk.load_events(pd.DataFrame([event])).incident["current_status"].to_list() == ["Active"]


@pytest.mark.parametrize(
    ("arrival", "is_rejected"),
    [
        ({"receivedAt": "2020-11-01T09:59:59Z"}, True),
        ({"receivedAt": "2020-11-01T10:00:01Z"}, False),
        ({"sentAt": "2020-11-01T09:59:59Z"}, True),
        ({"receivedAt": "2020-11-02T10:00:00Z", "sentAt": "2019-01-01T00:00:00Z"}, False),
        ({}, False),
    ],
)
def test_a_clock_more_than_a_day_ahead_sets_no_cutoff(make_event, tmp_path, arrival, is_rejected):
    (tmp_path / "a.json").write_text(json.dumps(make_event() | arrival))
    log = tk.load_events(tmp_path / "a.json")
    assert len(log.quarantine) == is_rejected
    if is_rejected:
        reason = log.quarantine["reason"].item()
        assert reason.startswith("event_timestamp: 2020-11-02T10:00:00Z lies more than a day after the record arrived")


def test_the_body_tells_when_its_events_were_sent(make_event, tmp_path):
    body = {
        "sentAt": "2020-10-01T00:00:00Z",
        "batch": [make_event(), make_event(1) | {"sentAt": "2020-11-02T10:00:00Z"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(body))
    log = tk.load_events(tmp_path / "a.json")
    assert log.tasks["event_id"].to_list() == ["message-1"]
    assert len(log.quarantine) == 1


@pytest.mark.parametrize("name", list(schemas.LEGACY_EVENTS))
def test_one_event_name_per_action_means_type_action_and_state(make_event, name):
    kind, action, state = schemas.LEGACY_EVENTS[name]
    event = make_event(0, kind, without=("Action",), NewState="closed", WasCommander=True, WasAssignee=False)
    log = tk.load_events(pd.DataFrame([event | {"event": name}]))
    (row,) = getattr(log, kind).itertuples()
    assert row.action == action
    if kind == "tasks":
        assert (row.new_state == (state or "done")) == (action == schemas.STATE_CHANGE)


@pytest.mark.parametrize(
    ("properties", "state"),
    [
        ({"Action": "modify_task_state", "NewState": ""}, "open"),
        ({"Action": "modify_task_state"}, "open"),
        ({"Action": "modify_task_state", "NewState": "in_progress"}, "in_progress"),
        ({"Action": "modify_task_state", "NewState": "closed"}, "done"),
        ({"Action": "add_task", "NewState": "closed"}, None),
        ({"WasCommander": True, "NewState": "done"}, "done"),
        ({"WasAssignee": False, "NewState": None}, "open"),
        ({}, None),
    ],
)
def test_a_missing_state_is_open_on_a_state_change_and_null_elsewhere(make_event, properties, state):
    event = make_event(0, "tasks", without=() if "Action" in properties else ("Action",), **properties)
    (found,) = tk.load_events(pd.DataFrame([event])).tasks["new_state"].astype(object).where(lambda s: s.notna(), None)
    assert found == state


def test_an_unknown_state_is_a_fault(make_event):
    log = tk.load_events(pd.DataFrame([make_event(0, "tasks", Action="modify_task_state", NewState="finished")]))
    assert log.quarantine["reason"].item().startswith('new_state: got "finished", expected one of ')


@pytest.mark.parametrize(
    ("event", "reason"),
    [(None, "missing"), ("", "missing"), ({"a": 1}, 'got "{"a":1}"'), ([], 'got "[]"')],
)
def test_an_event_without_a_type_is_rejected(make_event, tmp_path, event, reason):
    (tmp_path / "a.json").write_text(json.dumps(make_event() | {"event": event}))
    got = tk.load_events(tmp_path / "a.json").quarantine["reason"].item()
    assert got == f"event_type: {reason}, expected one of incident, tasks, playbook"


@pytest.mark.parametrize(
    "name", ["incident", "INCIDENT", "create_incident", "CREATE_INCIDENT", "CreateIncident", "create-incident"]
)
def test_types_are_known_in_every_spelling(name):
    assert event_type_of(name) == "incident"
    assert event_type_of(None) is None
    assert event_type_of("frontend") is None


def test_keys_are_fields_or_envelope_or_unknown():
    for field in schemas.FIELDS:
        for key in (field.column, field.wire, field.published, field.column.upper(), field.column.replace("_", "")):
            assert key is None or is_read(key), key
    assert is_known("context_library_name")
    assert is_known("anonymousId")
    assert not is_read("anonymousId")
    assert not is_known("ReminderTimerSeconds")
