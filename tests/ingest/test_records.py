"""Single JSON texts: why one is no JSON, what is kept of it, and where in a body an event stands."""

import json

import pytest

from telemetry_kit.ingest.lines import RAW_LIMIT
from telemetry_kit.ingest.records import elements, json_fault, kept


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"{", "record: not JSON: Expecting property name"),
        (b'{"a": "\xff"}', "record: not UTF-8 at byte 8"),
        (b"[" * 100_000, "record: not JSON: nested too deeply"),
        (b'{"a": "\\ud800"}', "record: not JSON: half a character (a lone surrogate)"),
        (b'{"a": 1} {"a": 2}', "record: not JSON: Extra data"),
    ],
)
def test_the_reason_says_why_a_text_is_no_json(raw, fault):
    assert json_fault(raw).startswith(fault)


def test_a_short_record_is_kept_as_it_came():
    assert kept(b'{"a": "\xc3\xa4\xff"}') == ('{"a": "ä\\xff"}', "")
    assert kept(b"x" * RAW_LIMIT) == ("x" * RAW_LIMIT, "")


def test_of_a_longer_record_the_first_part_is_kept_and_its_length_told():
    text, words = kept(b"x" * 100_000)
    assert text == "x" * RAW_LIMIT
    assert words == f"; the record has 100000 bytes, of which the first {RAW_LIMIT} are kept"


def test_no_character_is_cut_in_two():
    text, _ = kept(b"x" + "ä".encode() * RAW_LIMIT)
    assert text == "x" + "ä" * (RAW_LIMIT // 2 - 1)


@pytest.mark.parametrize("indent", [None, 2])
def test_the_events_of_a_body_are_given_as_they_came(indent):
    events = [{"a": [1, 2, {"b": "]},{"}]}, 3.70, "x,y", [], None]
    context = {"batch": ["not this"], "name": "batch"}
    body = json.dumps({"context": context, "kind": "batch", "batch": events, "list": [1]}, indent=indent)
    assert [json.loads(part) for part in elements(body.encode())] == events
    assert all(part in body.encode() for part in elements(body.encode()))


def test_a_comma_behind_the_last_event_makes_no_event():
    assert elements(b'{"batch": [{"a": 1}, 2 ,]}') == [b'{"a": 1}', b"2"]


@pytest.mark.parametrize("body", [b"{}", b'{"batch": []}', b'{"b\\u0061tch": [1]}', b'{"batch": {"a": [1]}}', b""])
def test_nothing_is_given_where_there_is_nothing_to_find(body):
    assert elements(body) == []
