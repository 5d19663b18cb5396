"""What tools put around a record or a value is opened, and the event in it is read."""

import json

import pyarrow as pa
import pyarrow.parquet
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


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


CELLS = {
    "one column": lambda e: ("message\n", quoted(e)),
    "a log service": lambda e: ("@timestamp,@message\n", f"2020-11-02 10:00:00.000,{quoted(e)}"),
    "a queue": lambda e: ("partition;offset;key;value\n", f"0;7;;{quoted(e)}"),
    "known columns beside": lambda e: ("EVENT_ID,RECEIVED_AT,PAYLOAD\n", f"m,2020-11-02 10:00:00,{quoted(e)}"),
    "backslashes": lambda e: ("id,data\n", '7,"' + e.replace('"', '\\"') + '"'),
    "tabs": lambda e: ("id\tdata\n", f"7\t{e}"),
    "no header": lambda e: ("", f"7,{quoted(e)}"),
    "a body": lambda e: ("id,data\n", "7," + quoted(json.dumps({"batch": [json.loads(e)]}))),
    "an envelope": lambda e: ("id,data\n", "7," + quoted(json.dumps({"payload": {"before": None, "after": e}}))),
}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_event_in_a_cell_of_a_delimited_file_is_the_event(name, end, make_event, tmp_path, account):
    events = [make_event(n, "incident") for n in (0, 1, 1)]
    rows = [CELLS[name](json.dumps(event)) for event in events]
    damaged = quoted("broken") + ",,,,,,,"
    text = "\n".join([rows[0][0] + rows[0][1], damaged, *(row for _, row in rows[1:])])
    (tmp_path / "a.csv").write_text(text.replace("\n", end), newline="")
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 4, "valid": 2, "duplicate": 1, "rejected": 1, "other": 0}
    assert log.incident["num_checklists"].to_list() == [3, 3]
    assert log.quarantine["record"].to_list() == [2 + (rows[0][0] != "")]


@pytest.mark.parametrize("kind", ["text", "struct", "frame"])
def test_an_event_in_a_cell_of_a_table_is_the_event(kind, make_event, tmp_path, account):
    events = [make_event(n, "incident") for n in range(2)]
    cells = events if kind == "struct" else [*map(json.dumps, events)]
    table = pa.table({"offset": [1, 2], "value": cells})
    if kind == "frame":
        log = tk.load_events(table.to_pandas())
    else:
        pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
        log = tk.load_events(tmp_path)
    assert account(log) == {"read": 2, "valid": 2, "duplicate": 0, "rejected": 0, "other": 0}
    assert log.incident["num_checklists"].to_list() == [3, 3]


def test_a_row_without_an_event_in_its_cell_is_rejected_alone(make_event, tmp_path, account):
    cells = [json.dumps(make_event(0, "incident")), "none", None, "{}"]
    pyarrow.parquet.write_table(pa.table({"offset": range(4), "value": cells}), tmp_path / "a.parquet")
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 4, "valid": 1, "duplicate": 0, "rejected": 3, "other": 0}
    assert log.quarantine["record"].to_list() == [2, 3, 4]


@pytest.mark.parametrize("kind", ["delimited", "table"])
def test_an_event_in_a_cell_behind_many_that_hold_none_is_not_counted_as_of_another_type(
    kind, make_event, tmp_path, account
):
    cells = ["none"] * 500 + [json.dumps(make_event(0, "incident"))]
    if kind == "delimited":
        rows = (f"m,2020-11-02 10:00:00,{quoted(cell)}" for cell in cells)
        (tmp_path / "a.csv").write_text("\n".join(["event_id,timestamp,payload", *rows]))
    else:
        known = {"event_id": ["m"] * 501, "timestamp": ["2020-11-02 10:00:00"] * 501}
        pyarrow.parquet.write_table(pa.table(known | {"payload": cells}), tmp_path / "a.parquet")
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 501, "valid": 1, "duplicate": 0, "rejected": 500, "other": 0}


def test_the_row_of_an_event_that_has_its_text_in_a_cell_as_well_is_read_by_its_columns(make_event, tmp_path, account):
    event = make_event(0, "incident")
    row = {key: value for key, value in event.items() if key != "properties"} | event["properties"]
    raw = json.dumps(event | {"properties": event["properties"] | {"NumChecklists": 9}})
    pyarrow.parquet.write_table(pa.Table.from_pylist([row | {"_raw": raw}]), tmp_path / "a.parquet")
    log = tk.load_events(tmp_path)
    assert account(log)["valid"] == 1
    assert log.incident["num_checklists"].to_list() == [3]


def test_the_text_of_an_event_in_a_cell_is_kept_where_its_id_is_that_of_another(make_event, tmp_path, account):
    events = [make_event(0, "incident"), make_event(0, "incident", NumChecklists=4)]
    (tmp_path / "a.csv").write_text("id,data\n" + "\n".join(f"7,{quoted(json.dumps(event))}" for event in events))
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 2, "valid": 1, "duplicate": 0, "rejected": 1, "other": 0}
    assert '""NumChecklists"": 4' in log.quarantine["raw"].iloc[0]


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
