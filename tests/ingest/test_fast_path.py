"""The short way takes plain lines at their word only where every comma of the file is accounted for."""

import json
import re
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from both_ways import assert_equal_logs, one_by_one
from hypothesis import given, settings
from hypothesis import strategies as st

import telemetry_kit as tk
from telemetry_kit.ingest import fast_path
from telemetry_kit.ingest.intake import Intake

NUMBERS = ["0", "-0", "1", "1e0", "1E1", "1e2", "100.0", "1.50", "-3", "true", "false", "null", "1e-7", "1E15"]
LARGE = ["1E20", "1e17", "123456789012345678901234567890", "1.6043112e12", "NaN", "-inf", "1e400"]
NESTED = ['{"k":1E20}', '{"k":[1e2,2]}', '{"a":"\\u002c\\u002c","b":{"c":1E20}}', "[1E20]", "{}", "[]", '{"k":null}']
EXTRAS = ['"Secret":{}', '"Secret":{},"Other":"x"', '"Action":{}', '"Act\\u0069on":{}', '"secret":{}']
"""Members that nobody expects, each with a value of some length."""


def bare(text):
    """Return what ``text_of`` writes as ``text``."""
    return f"<<{text}>>"


def text_of(event):
    """Write an event without spaces."""
    text = json.dumps(event, separators=(",", ":"))
    return re.sub('"<<(.*?)>>"', lambda match: json.loads(f'"{match[1]}"'), text)


def load(lines):
    """Load lines of which the first three tell what to expect."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_path, "SAMPLE", 3)
        patch.setattr(fast_path, "FORMS_SAMPLE", 3)
        path = Path(folder, "events.jsonl")
        path.write_text("\n".join(lines) + "\n")
        return tk.load_events(path)


def load_carefully(lines):
    with one_by_one():
        return load(lines)


@pytest.fixture
def listed(monkeypatch):
    """Tell which files had the keys of all lines listed."""
    paths = []
    list_keys = fast_path.list_keys

    def listing(connection, path, *, sample=False):
        if not sample:
            paths.append(path)
        return list_keys(connection, path, sample=sample)

    monkeypatch.setattr(fast_path, "list_keys", listing)
    return paths


def test_plain_files_need_no_list_of_their_keys(autumn, make_event, listed):
    context = {"library": {"name": "a", "version": "1.0.0"}, "traits": {}, "ip": "::1"}
    events = [make_event(n, kind) | {"context": context} for n, kind in enumerate(("tasks", "incident", "playbook"))]
    assert len(tk.load_events(autumn).incident) == 1873
    assert len(load(map(text_of, events)).incident) == 1
    # Spaces between the members are no commas.
    assert len(load(map(json.dumps, events)).incident) == 1
    assert not listed


@pytest.fixture
def plain(make_event):
    """Plain lines, more than are looked at to tell what to expect."""
    return [text_of(make_event(n) | {"channel": "c", "rudderId": "r", "context": {"library": "x"}}) for n in range(5)]


# A length at which what is written otherwise than it is read makes up for the unknown property, if bytes are counted.
@pytest.mark.parametrize(
    ("change", "length"),
    [
        ({"channel": bare('{"k":1E20}')}, 14),
        ({"context": bare('{"library":1E20}')}, 12),
        ({"userId": bare("1e15")}, 9),
        ({"context": {"library": "x", "more": "y"}}, 0),
        ({"context": bare('{"library":"\\u002c"}')}, 0),
    ],
    ids=str,
)
def test_no_value_hides_an_unknown_property(make_event, plain, change, length):
    event = make_event(9, S="x" * length) | {"channel": "c", "rudderId": "r", "context": {"library": "x"}}
    notes = load([*plain, text_of(event | change)]).findings
    assert notes.loc[notes["finding"] == "unknown property", "detail"].to_list() == ["S"]


@pytest.mark.parametrize(("line", "length"), [('{"event":"page"}', 8), ("junk", 5), ("5", 8)])
def test_no_other_line_hides_an_unknown_property(make_event, plain, line, length):
    log = load([*plain, text_of(make_event(9, S="x" * length) | {"channel": "c", "rudderId": "r"}), line])
    assert "S" in log.findings["detail"].to_list()


def test_no_value_hides_a_key_that_stands_twice(make_event, plain):
    event = make_event(9) | {"channel": bare('{"k":1E20}'), "rudderId": "r", "context": {"library": "x"}}
    odd = text_of(event).replace('"Action"', f'"Action":"{"x" * 9}","Action"')
    assert load([*plain, odd]).quarantine["reason"].to_list() == ['record: the key "Action" stands twice']


def test_events_of_another_type_need_no_properties_and_may_have_any(make_event):
    lines = ['{"event":"page","properties":{}}', '{"event":"page","properties":{},"context":{"a\\"b\'c":{"x":1}}}']
    others = ['{"event":"page","properties":null,"context":{"a\\"b\'c":5}}', '{"event":"page","properties":"x"}']
    for first in ([], [text_of(make_event(1))]):
        assert load([*first, *lines, *others]).audit["n_other"].to_list() == [4]


COUNTS = [("1e2", 100), ("1E2", 100), ("100.0", 100), ("-0", 0), ("1e17", 10**17), ("1.50", None), ("1e-7", None)]


@pytest.mark.slow
@pytest.mark.parametrize("wrap", ["{}", '{{"batch":[{}]}}', "[{}]"], ids=["line", "body", "array"])
@pytest.mark.parametrize(("number", "value"), [*COUNTS, ('"1e2"', None), ('"100"', 100)])
def test_a_number_of_json_is_whole_by_its_value_and_a_text_by_its_digits(make_event, wrap, number, value):
    line = wrap.format(text_of(make_event(0, "playbook", NumMembers=bare(number))))
    for log in (load([line]), load_carefully([line])):
        assert log.playbook["num_members"].to_list() == ([] if value is None else [value])
        shown = {"1.50": "1.5", '"1e2"': "1e2"}.get(number, number)
        reasons = [] if value is not None else [f'num_members: got "{shown}", expected a whole number >= 0']
        assert log.quarantine["reason"].to_list() == reasons


@pytest.mark.parametrize(("number", "value"), [("1e0", True), ("1.0", True), ("-0", False), ("0.0", False)])
def test_a_number_of_json_is_a_flag_by_its_value(make_event, number, value):
    line = text_of(make_event(0, "incident", IsActive=bare(number)))
    for log in (load([line]), load_carefully([line])):
        assert log.incident["is_active"].to_list() == [value]


@pytest.mark.parametrize("number", ["1604311200000", "1604311200000.0", "1.6043112e12", "16043112E5"])
def test_a_number_of_json_is_a_time_by_its_value(make_event, number):
    line = text_of(make_event(0, "incident", CreateAt=bare(number)))
    for log in (load([line]), load_carefully([line])):
        assert log.incident["created_at"].to_list() == [pd.Timestamp("2020-11-02T10:00:00Z")]


@st.composite
def odd_lines(draw, make_event):
    """Draw lines of plain events, in which some values are numbers of any form, and some members are unexpected."""
    any_value = st.sampled_from(NUMBERS + LARGE + NESTED)
    plain_value = st.sampled_from([*NUMBERS[:11], '"1e2"', '"7"'])
    places = {
        "top": (["channel", "context", "rudderId", "request_ip"], any_value),
        "text": (["UserActualID", "Action", "ServerVersion"], plain_value),
        "number": (["NumChecklists", "ActiveStage", "IsActive", "CreateAt", "NumMembers"], any_value),
    }
    lines = []
    for n in range(draw(st.integers(1, 6))):
        event = make_event(n, draw(st.sampled_from(["tasks", "incident", "playbook", "page"])))
        event |= {"channel": "c", "context": {"library": {"name": "a"}}, "rudderId": "r", "request_ip": "::1"}
        for kind in draw(st.lists(st.sampled_from(sorted(places)), max_size=3)):
            names, values = places[kind]
            holder = event if kind == "top" else event["properties"]
            name = draw(st.sampled_from(names))
            if kind == "top" or name in holder:
                holder[name] = bare(draw(values))
        text = text_of(event)
        for extra in draw(st.lists(st.sampled_from(EXTRAS), max_size=2, unique=True)):
            value = bare(draw(any_value)) if draw(st.booleans()) else "x" * draw(st.integers(0, 30))
            text = text.replace('"properties":{', '"properties":{' + extra.replace("{}", text_of(value)) + ",", 1)
        lines.append(text)
    lines += draw(st.lists(st.sampled_from(["junk", "", "  ", "{}", '{"event":"page"}', "null"]), max_size=2))
    return draw(st.permutations(lines))


@pytest.mark.slow
@settings(max_examples=25, derandomize=True, database=None)
@given(data=st.data())
def test_both_ways_agree_whatever_stands_in_plain_lines(make_event, data):
    event = make_event(50, "incident") | {"channel": "c", "rudderId": "r", "context": {"library": {"name": "a"}}}
    lines = [text_of(event)] * 3 + [*data.draw(odd_lines(make_event))]
    short, careful = load(lines), load_carefully(lines)
    assert_equal_logs(short, careful)


FLAT_VALUES = [None, "", "x", "NaN", 5, 1.5, True, [1], {"k": 1}, {"$numberLong": "7"}, "2020-11-02 10:00:00.5+00"]


def flat(event, prefix=""):
    """Return an event as a row of a table has it."""
    return {k: v for k, v in event.items() if k != "properties"} | {
        f"{prefix}{key}": value for key, value in event["properties"].items()
    }


@pytest.mark.parametrize("prefix", ["", "properties_", "properties."])
def test_lines_that_are_rows_of_a_table_are_read_at_once(make_event, monkeypatch, prefix):
    monkeypatch.setattr(Intake, "take_texts", lambda _, texts: pytest.fail(str(list(texts))) if list(texts) else None)
    rows = [flat(make_event(n, kind), prefix) for n, kind in enumerate(("tasks", "incident", "playbook"))]
    # A row of a frame has every column.
    columns = {key for row in rows for key in row}
    log = load(json.dumps({key: row.get(key) for key in columns} | {"loaded_by": "x", "Secret": 1}) for row in rows)
    assert log.audit[["n_tasks", "n_incident", "n_playbook", "n_rejected"]].to_numpy().tolist() == [[1, 1, 1, 0]]
    unknown = log.findings[log.findings["finding"] == "unknown property"]
    assert unknown["detail"].value_counts().to_dict() == {"loaded_by": 3, "Secret": 3}


def test_unknown_keys_of_events_that_stand_on_one_line_are_told(make_event):
    lines = [text_of(make_event(n)) for n in range(3)] + [text_of(make_event(8)) + text_of(make_event(9, Secret="x"))]
    short, careful = load(lines), load_carefully(lines)
    pd.testing.assert_frame_equal(short.findings, careful.findings)
    assert "Secret" in short.findings["detail"].to_list()


@pytest.mark.parametrize("properties", [None, "x", [1], {}, {"Other": 1}], ids=str)
def test_of_an_event_without_properties_unknown_keys_are_told_at_the_top(make_event, properties):
    lines = [json.dumps(make_event(n)) for n in range(3)]
    odd = flat(make_event(9)) | {"properties": properties, "Secret": 1}
    short, careful = load([*lines, json.dumps(odd)]), load_carefully([*lines, json.dumps(odd)])
    pd.testing.assert_frame_equal(short.findings, careful.findings)
    assert ("Secret" in short.findings["detail"].to_list()) == (not isinstance(properties, dict))


@pytest.mark.parametrize("without_id", [False, True])
def test_a_row_of_a_table_tells_no_offset_whatever_stands_beside_it(make_event, without_id):
    identity = {"messageId": None} if without_id else {}
    row = flat(make_event(5)) | {"timestamp": "2020-11-02T15:30:05+05:30"} | identity
    event = make_event(6) | {"timestamp": "2020-11-02T15:30:06+05:30"} | identity
    for lines in ([row], [row, event], [event, row, make_event(7)]):
        texts = [json.dumps(line) for line in lines]
        short, careful = load(texts).tasks, load_carefully(texts).tasks
        pd.testing.assert_frame_equal(short, careful)
        told = short.set_index("event_timestamp")["utc_offset_s"].dropna()
        assert len(told) == sum("properties" in line for line in lines)


@st.composite
def flat_lines(draw, make_event):
    lines = []
    for n in range(draw(st.integers(1, 6))):
        event = make_event(n, draw(st.sampled_from(["tasks", "incident", "playbook", "page"])))
        is_flat = draw(st.sampled_from([True, True, True, False]))
        row = flat(event, draw(st.sampled_from(["", "properties."]))) if is_flat else event
        for key in draw(st.lists(st.sampled_from([*sorted(row), "Secret", "TYPE", "sentAt", "user_id"]), max_size=3)):
            row[key] = draw(st.sampled_from(FLAT_VALUES))
        text = json.dumps(row)
        lines.append(text.replace("{", '{"team_id":"t","team_id":"t",', 1) if draw(st.integers(0, 9)) == 0 else text)
    lines += draw(st.lists(st.sampled_from(["junk", "", "{}", '{"event":"tasks","Secret":1}', "null"]), max_size=2))
    return draw(st.permutations(lines))


@pytest.mark.slow
@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(data=st.data())
def test_both_ways_agree_whatever_stands_in_rows_of_a_table(make_event, data):
    lines = [*map(json.dumps, [flat(make_event(50, "incident"))] * 3), *data.draw(flat_lines(make_event))]
    short, careful = load(lines), load_carefully(lines)
    assert_equal_logs(short, careful)
