"""JSON documents that are not one a line: arrays, and documents over several lines."""

import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_kit.ingest.compression import BLOCK
from telemetry_kit.ingest.formats.json_documents import breaks_off, documents_of, read_documents
from telemetry_kit.ingest.lines import LINE_LIMIT, Damage


def read(data):
    """Read documents; return those that are whole as text by their record, and the damaged ones likewise."""
    lines, damages = [], {}
    for part in read_documents(io.BufferedReader(io.BytesIO(data)), source=0):
        if isinstance(part, Damage):
            damages[part.record] = part
        else:
            lines.append(part)
    return {n: json.loads(line) for n, line in enumerate(lines, 1) if line.strip()}, damages


EVENTS = [{"id": n, "of": {"deep": ["a,b", "}{"]}} for n in range(3)]


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(EVENTS),
        json.dumps(EVENTS, indent=2),
        json.dumps(EVENTS, indent="\t").replace("\n", "\r\n"),
        "\n\n".join(json.dumps(event, indent=1) for event in EVENTS),
        "\n".join(json.dumps([event]) for event in EVENTS),
        json.dumps([EVENTS]),
    ],
)
def test_every_document_becomes_one_line_numbered_in_order(data):
    assert read(data.encode()) == ({1: EVENTS[0], 2: EVENTS[1], 3: EVENTS[2]}, {})


def of_wire(n):
    return {"messageId": str(n), "event": "tasks", "userId": "s", "timestamp": "2020", "of": [{"a": "]}"}]}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda events: json.dumps({"rows": events}),
        lambda events: json.dumps({"total": 3, "results": events, "next": None}),
        lambda events: json.dumps({"schema": {"fields": [{"name": "x"}]}, "anything": events, "more": [{"x": 1}]}),
        lambda events: json.dumps({"response": {"data": {"events": events, "n": 3}, "ok": True}}, indent=2),
        lambda events: '{"rows":[\n' + ",\n".join(map(json.dumps, events)) + "\n]}\n",
        lambda events: '{"rows":\n[' + "\n,".join(map(json.dumps, events)) + ']\n,"total":3}',
        lambda events: "\n".join(json.dumps({"page": n, "data": [event]}) for n, event in enumerate(events)),
        lambda events: json.dumps({"id": "x", "timestamp": "2020", "data": events}),
        lambda events: "".join(json.dumps(event) for event in events),
        lambda events: " \ufeff".join(json.dumps(event) for event in events),
        lambda events: ",\n".join(json.dumps(event) for event in events) + ",\n",
    ],
    ids=range(11),
)
def test_a_wrapper_around_the_events_is_no_record(wrap):
    events = [of_wire(n) for n in (1, 2, 3)]
    assert read(wrap(events).encode()) == (dict(zip([1, 2, 3], events, strict=True)), {})


def test_a_wrapper_larger_than_a_line_may_be_is_read_event_by_event():
    events = [of_wire(n) | {"text": "x" * BLOCK} for n in range(20)]
    assert read(json.dumps({"total": 20, "rows": events}).encode()) == (dict(enumerate(events, 1)), {})


def test_an_array_in_an_event_makes_it_no_wrapper():
    event = of_wire(1) | {"rows": [of_wire(2), of_wire(3)]}
    assert read(json.dumps(event).encode()) == ({1: event}, {})
    body = {"messageId": "b", "batch": [of_wire(1)]}
    assert read(json.dumps(body).encode()) == ({1: body}, {})


@pytest.mark.parametrize("data", [b"[", b"[\n", b"[[", b" [ , "])
def test_an_array_that_never_begins_is_one_damage(data):
    assert [damage.reason for damage in read(data)[1].values()] == ["record: not JSON: an array that never begins"]


def test_an_empty_array_holds_no_record():
    assert read(b"[\n]") == ({}, {})


@pytest.mark.parametrize(
    "damaged",
    [
        '{"id": 1, "of": }',
        '{"id" 1}',
        '{"id": "1}',
        "{id: 1}",
        '{"id": 1',
        '{"id": [1, 2}',
        '"',
        "nothing",
        '{"id": 01}',
    ],
)
def test_a_damaged_element_leaves_its_neighbours_whole(damaged):
    data = f'[{json.dumps(EVENTS[0])},\n{damaged},\n{{"id": 2}},\n{{"id": 3}}]'
    whole, damages = read(data.encode())
    assert EVENTS[0] in whole.values()
    assert {"id": 3} in whole.values()
    assert len(damages) == 1
    assert list(damages) == [2]
    assert damages[2].reason.startswith("record: not JSON: ")
    assert damages[2].raw.startswith(damaged[:3].encode())


def test_the_end_of_a_truncated_array_is_one_damaged_element():
    whole, damages = read(json.dumps(EVENTS).encode()[:-20])
    assert list(whole) == [1, 2]
    assert list(damages) == [3]


def test_what_came_before_the_damage_of_an_archive_is_read():
    events = [{"id": n, "text": "x" * (n % 7)} for n in range(30_000)]
    packed = gzip.compress(json.dumps(events).encode())[:-5000]
    parts = list(read_documents(gzip.GzipFile(fileobj=io.BytesIO(packed)), source=3))
    *whole, damage, blank = parts
    assert [json.loads(part) for part in whole] == events[: len(whole)]
    assert len(whole) > 10_000
    assert blank == b"\n"
    assert damage.source == 3
    assert damage.record == len(whole) + 1
    assert damage.reason.startswith("record: the file is damaged: Compressed file ended")


def test_an_element_longer_than_a_block_is_read():
    long = {"id": 1, "text": "x" * (3 * BLOCK)}
    assert read(json.dumps([EVENTS[0], long, EVENTS[2]]).encode()) == ({1: EVENTS[0], 2: long, 3: EVENTS[2]}, {})


@pytest.mark.parametrize("length", [LINE_LIMIT + 1, LINE_LIMIT + 5 * BLOCK])
@pytest.mark.parametrize("last", [b'"}', b'""}'])
def test_an_element_that_is_too_long_is_told_once_and_what_follows_survives(length, last):
    text = b'{"text": "' + b"x" * (length - 10 - len(last)) + last
    whole, damages = read(b'[{"id": 0},' + text + b',{"id": 2}]')
    assert whole == {1: {"id": 0}, 3: {"id": 2}}
    assert list(damages) == [2]
    assert str(length) in damages[2].reason or len(damages[2].raw) == length


def test_deep_nesting_is_damage_and_no_crash():
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    whole, damages = read(b'[{"id": 0}, ' + deep + b', {"id": 2}]')
    assert whole == {1: {"id": 0}, 3: {"id": 2}}
    assert damages[2].reason == "record: not JSON: nested too deeply"


def test_bytes_that_are_no_text_stay_in_their_own_element():
    parts = list(read_documents(io.BufferedReader(io.BytesIO(b'[{"id": "\xff"}, {"id": 1}]')), source=0))
    assert parts == [b'{"id": "\xff"}\n', b'{"id": 1}\n']


_PIECES = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        '"',
        "{}",
        '"a"',
        '"a":1',
        '{"a":1}',
        '"rows":[',
        '"b":{"c":1}',
        "1",
        "\\",
        "\ufeff",
    ]
)


@given(st.lists(_PIECES, min_size=1, max_size=9).map("".join).map(str.encode))
def test_of_a_line_that_is_one_object_that_breaks_off_nothing_else_is_found(line):
    found = documents_of(line)
    if breaks_off(line):
        assert [(raw, fault is None) for raw, fault in found] == [(line.strip(), False)]


@pytest.mark.parametrize("line", ['{"a": 1, "b": {"c": 2}, "d', '{"a": nul}', '{"a": {"b": 1', '{"a" 1}'])
def test_an_object_that_breaks_off_is_told_without_a_search(line):
    assert breaks_off(line.encode())


@pytest.mark.parametrize(
    "line",
    [
        '{"a": 1} {"b": 2',
        '{"a": 1}{"b": 2}',
        '{"rows": [{"a": 1}',
        '[{"a": 1}',
        '{"a": {"b": 1}, {"c": 2}',
        '{"a": 1} x',
    ],
)
def test_a_line_on_which_other_objects_may_stand_is_searched(line):
    assert not breaks_off(line.encode())
