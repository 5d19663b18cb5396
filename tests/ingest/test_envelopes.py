"""What tools put around a record or a value is opened, and the event in it is read."""

import json

import pytest

import telemetry_kit as tk
from telemetry_kit.ingest.envelopes import written_object


def typed(event, wrap):
    return event | {"properties": {key: wrap(value) for key, value in event["properties"].items()}}


ENVELOPES = {
    "elasticsearch": lambda e: {"_index": "e", "_type": "_doc", "_id": e["messageId"], "_score": 1, "_source": e},
    "connect": lambda e: {"schema": {"type": "struct"}, "payload": e},
    "a text in a message": lambda e: {"topic": "t", "offset": 1, "ts": 1604390400000, "payload": json.dumps(e)},
    "debezium": lambda e: {"schema": {}, "payload": {"before": None, "after": e, "op": "c"}},
    "a log": lambda e: {"log": json.dumps(e) + "\n", "stream": "stdout", "time": e["timestamp"]},
    "a body": lambda e: {"value": {"batch": [e], "messageId": "m"}, "offset": 3},
    "written twice": json.dumps,
    "properties written twice": lambda e: e | {"properties": json.dumps(json.dumps(e["properties"]))},
    "properties of Python": lambda e: e | {"properties": str(e["properties"])},
    "properties in a list": lambda e: e | {"properties": [e["properties"]]},
    "mongo": lambda e: (
        typed(e, lambda v: {"$numberLong": str(v)} if type(v) is int else v)
        | {"_id": {"$oid": "5f"}, "timestamp": {"$date": e["timestamp"]}}
    ),
    "avro": lambda e: typed(e, lambda v: {"long": v} if type(v) is int else {"string": v} if type(v) is str else v),
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_an_event_in_an_envelope_is_the_event(name, make_event, tmp_path, account):
    events = [make_event(n, "incident") for n in range(2)]
    # Beside plain lines too, which are read at once.
    lines = [*map(ENVELOPES[name], events), make_event(2, "incident")]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 3, "valid": 3, "duplicate": 0, "rejected": 0, "other": 0}
    assert log.incident["num_checklists"].to_list() == [3, 3, 3]


def test_an_object_beside_the_properties_of_an_event_is_no_event(make_event, tmp_path, account):
    other = make_event(1)
    (tmp_path / "a.jsonl").write_text(json.dumps(make_event() | {"copied": other}))
    log = tk.load_events(tmp_path)
    assert account(log)["valid"] == 1
    assert log.tasks["event_id"].to_list() == ["message-0"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{'Action': 'create', 'Public': True, 'PostID': None}", {"Action": "create", "Public": True, "PostID": None}),
        ("{'Action': create, 'Public': true, 'PostID': NULL}", {"Action": "create", "Public": "true", "PostID": None}),
        ("{Action=create, PostID=null}", {"Action": "create", "PostID": None}),
        ('{"Action"=>"a, b", "PostID"=>nil}', {"Action": "a, b", "PostID": None}),
        ('"{\\"Action\\": \\"create\\"}"', {"Action": "create"}),
        (r"{'Action': 'a\d', 'PostID': b'x', (1, 2): 3}", {"Action": r"a\d", "PostID": "b'x'"}),
        ("{create, 0, true}", None),
        ("{a=1, a=2}", None),
        ("[object Object]", None),
        ("{'a': " * 5000, None),
    ],
)
def test_an_object_is_read_as_several_languages_write_it(text, expected):
    told = written_object(text)
    assert (told and json.loads(told)) == expected
