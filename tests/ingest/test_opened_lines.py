"""Lines in envelopes are read at once, and give what they give when they are looked at one by one."""

import json

import pytest
from both_ways import assert_equal_logs, load_carefully, load_lines, written
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry_kit.ingest import fast_path, line_files, splitting
from telemetry_kit.ingest.lines import Lines
from telemetry_kit.ingest.opened_lines import LineOpener

ENVELOPES = {
    "search": lambda event, n: {"_index": "t-2020", "_id": str(n), "_score": None, "_source": event},
    "cloud log": lambda event, n: {"id": str(n), "timestamp": 1604311200000 + n, "message": json.dumps(event)},
    "topic": lambda event, n: {"topic": "t", "offset": n, "key": None, "headers": {}, "value": json.dumps(event)},
    "container": lambda event, n: {"log": json.dumps(event) + "\n", "stream": "stdout", "n": n},
    "objects": lambda event, n: {"offset": n, "headers": {"a": {"b": 1}}, "value": event},
}


@pytest.mark.parametrize("kind", ENVELOPES)
def test_a_file_in_envelopes_is_read_at_once(make_event, looked_at, kind):
    lines = [written(ENVELOPES[kind](make_event(n, Unk=1), n)) for n in range(5)]
    log = load_lines(lines)
    assert log.audit["n_tasks"].to_list() == [5]
    assert looked_at == []
    assert_equal_logs(log, load_carefully(lines))


def test_only_lines_of_doubt_are_looked_at(make_event, looked_at):
    events = [make_event(n) for n in range(5)]
    events[2]["timestamp"] = "no time"
    lines = [written(ENVELOPES["search"](event, n)) for n, event in enumerate(events)]
    lines += [b'{"level":"info","message":"started"}', b"junk"]
    log = load_lines(lines)
    assert log.audit[["n_tasks", "n_rejected"]].to_numpy().tolist() == [[4, 3]]
    assert sorted(looked_at) == sorted([lines[2], *lines[5:]])
    assert log.quarantine["raw"].to_list() == [line.decode() for line in (lines[2], *lines[5:])]


def test_foreign_lines_among_events_cost_no_other_line_its_short_way(make_event, looked_at):
    foreign = b'{"level":"info","message":"started"}'
    lines = [*(written(make_event(n)) for n in range(5)), foreign]
    assert load_lines(lines).audit[["n_tasks", "n_rejected"]].to_numpy().tolist() == [[5, 1]]
    assert looked_at == [foreign]


def test_a_member_that_holds_no_event_is_what_its_envelope_holds_where_others_show_it(make_event):
    lines = [written(ENVELOPES["search"](held, n)) for n, held in enumerate([make_event(0), {"level": "info"}])]
    log = load_lines(lines)
    assert 'not understood: "level"' in log.quarantine["reason"].iloc[0]
    assert_equal_logs(log, load_carefully(lines))


@pytest.mark.parametrize("kind", ["cloud log", "topic", "container"])
def test_a_text_that_was_cut_inside_its_envelope_is_no_json(make_event, kind):
    lines = [written(ENVELOPES[kind](make_event(n), n)) for n in range(3)]
    cut = json.loads(lines[1])
    (name,) = [key for key, value in cut.items() if "messageId" in str(value)]
    lines[1] = written(cut | {name: cut[name][:60]})
    log = load_lines(lines)
    assert log.audit[["n_tasks", "n_rejected"]].to_numpy().tolist() == [[2, 1]]
    assert log.quarantine["reason"].iloc[0].startswith(f'record: in its "{name}": not JSON: ')
    assert log.quarantine["raw"].to_list() == [lines[1].decode()]
    assert_equal_logs(log, load_carefully(lines))


NOT_PLAIN = {
    "twice": b'{"_id":"1","_id":"2","_source":%s}',
    "two events": b'{"a":%s,"b":%s}',
    "half a character": b'{"_id":"\\ud800","_source":%s}',
    "no utf-8": b'{"_id":"\xff","_source":%s}',
    "no utf-8 deeper": b'{"_source":%s,"also":{"x":"\xff"}}',
    "no utf-8 in a key": b'{"_source":%s,"also":{"\xff":1}}',
    "no utf-8 in the event": b'{"_source":[%s,"\xff"]}',
    "half a character deeper": b'{"_source":%s,"also":{"x":"\\ud800"}}',
    "no number": b'{"_id":NaN,"_source":%s}',
    "a body": b'{"_source":{"batch":[%s]}}',
    "an envelope in another": b'{"_source":{"value":%s,"offset":1}}',
    "changes": b'{"op":"c","value":{"before":null,"after":%s}}',
    "deeper beside": b'{"_source":%s,"also":{"x":%s}}',
    "white space": b'{"_source": { %s}',
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_what_could_be_read_in_two_ways_is_left_to_be_looked_at(make_event, name, tmp_path):
    event = written(make_event(1))
    line = NOT_PLAIN[name].replace(b"%s", event[1:] if name == "white space" else event)
    (tmp_path / "none.jsonl").touch()
    assert LineOpener(Lines(tmp_path / "none.jsonl"))(line) is None
    lines = [written(ENVELOPES["search"](make_event(0), 0)), line]
    assert_equal_logs(load_lines(lines), load_carefully(lines))


FOREIGN = [
    b"junk",
    b"{}",
    b"null",
    b'"x"',
    b'{"level":"info","message":"started"}',
    b'{"id":"9","timestamp":1,"message":"START"}',
    b'{"id":"9","timestamp":1,"message":"{\\"level\\":1}"}',
    b'{"_index":"i","_id":"x","_score":1,"_source":{"level":"info"}}',
    b'{"log":"{\\"a\\":","stream":"stdout","n":1}',
]


@st.composite
def mixed_lines(draw, make_event):
    lines = []
    for n in range(draw(st.integers(1, 6))):
        event = make_event(n, draw(st.sampled_from(["tasks", "incident", "playbook", "page"])))
        for key in draw(st.lists(st.sampled_from([*sorted(event), "Secret", "sentAt"]), max_size=2)):
            event[key] = draw(st.sampled_from([None, "", 1, {"$date": "2020-11-02T10:00:00Z"}, {"string": "x"}, "ä\n"]))
        kind = draw(st.sampled_from([*ENVELOPES, "", "body", "two"]))
        held = event
        if kind in ENVELOPES:
            held = ENVELOPES[kind](event, n)
        elif kind == "body":
            held = {"batch": [event]}
        elif kind == "two":
            held = ENVELOPES["search"](ENVELOPES["topic"](event, n), n)
        text = json.dumps(held, ensure_ascii=draw(st.booleans()))
        lines.append((text[: draw(st.integers(1, len(text)))] if draw(st.integers(0, 9)) == 0 else text).encode())
    lines += draw(st.lists(st.sampled_from(FOREIGN), max_size=3))
    return draw(st.permutations(lines))


@pytest.mark.slow
@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(data=st.data())
def test_both_ways_agree_whatever_lies_in_envelopes(make_event, data):
    with pytest.MonkeyPatch.context() as patch:
        unit = data.draw(st.sampled_from([1, 2000, splitting.SPLIT_UNIT]))
        # Which lines are looked at together tells what is known of their envelopes, and so how a reason is worded.
        is_whole = unit == splitting.SPLIT_UNIT
        patch.setattr(splitting, "SPLIT_UNIT", unit)
        patch.setattr(line_files, "BROKEN_LIMIT", data.draw(st.sampled_from([0, 20_000])))
        patch.setattr(fast_path, "SAMPLE", data.draw(st.sampled_from([1, 4096])))
        kind = data.draw(st.sampled_from([*ENVELOPES]))
        lines = [written(ENVELOPES[kind](make_event(50), 50)), *data.draw(mixed_lines(make_event))]
        assert_equal_logs(load_lines(lines), load_carefully(lines), with_reasons=is_whole)
