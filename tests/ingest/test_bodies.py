"""Bodies are read at once, event by event, and give what they give when they are looked at one by one."""

import json

import pytest
from both_ways import assert_equal_logs, load_carefully, load_lines, written
from hypothesis import given, settings
from hypothesis import strategies as st

import telemetry_kit as tk
from telemetry_kit.ingest import bodies, fast_path, line_files, splitting
from telemetry_kit.ingest.lines import Lines, Segment, fetch_lines
from telemetry_kit.ingest.opened_lines import LineOpener


def split(tmp_path, *lines):
    """Return what is written of lines, event by event, and the rows of those of which nothing is."""
    path = tmp_path / "bodies.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n")
    (found,) = splitting.split_lines(Lines(path, [Segment(0, 0, None)]), tmp_path, LineOpener(Lines(path)))
    return [line for _, _, _, line in fetch_lines(found.lines)], found


def test_each_event_of_a_body_is_a_line_with_its_place(tmp_path):
    lines, found = split(tmp_path, b'{"batch":[{"a":1}, {"b":[2,3]}],"sentAt":"T"}', b"", b'{"event":"page"}')
    assert [json.loads(line) for line in lines] == [
        {"tk_source": 0, "tk_record": 1, "tk_position": 0, "tk_sent": "T", "a": 1},
        {"tk_source": 0, "tk_record": 1, "tk_position": 1, "tk_sent": "T", "b": [2, 3]},
        {"tk_source": 0, "tk_record": 3, "tk_position": 0, "event": "page"},
    ]
    assert (found.starts, found.n_rows) == ([0, 2], 3)
    assert found.origins_of([2, 1, 0]) == [0, 1]
    assert [found.rows_of(0), found.rows_of(1)] == [range(2), range(2, 3)]


NOT_PLAIN = [
    b'{"batch":[1]}',
    b'{"batch":[{}]}',
    b'{"batch":[]}',
    b'{"batch":{"a":1}}',
    b'{"batch":[{"a":1},]}',
    b'{"batch":[{"a":NaN}]}',
    b'{"batch":[{"a":1}],"b":NaN}',
    b'{"batch":[{"a":1}],"batch":[{"a":1}]}',
    b'{"batch":[{"a":1}],"b\\u0061tch":[{"a":1}]}',
    b'{"context":{"batch":[{"a":1}]},"batch":[{"a":1}]}',
    b'{"batch":[{"a":1}],"sentAt":5}',
    b'{"batch":[{"a":1}],"sentAt":"T","sentAt":"U"}',
    b'{"batch":[{"a":1}],"x":"\xff"}',
    b'{"batch":[{"a":1}],"x":"\\ud800"}',
    b'{"batch":[{"a":1}],\r"x":1}',
    b'{"batch":[{"tk_record":1}]}',
    b'[{"batch":[{"a":1}]}]',
    b'"batch"',
    b'{"batch":' + b"[" * 5000 + b"]" * 5000 + b"}",
]


@pytest.mark.parametrize("line", NOT_PLAIN, ids=lambda line: line[:40].decode("latin-1"))
def test_what_could_be_read_in_two_ways_is_left_to_be_looked_at(tmp_path, line):
    lines, found = split(tmp_path, line, b'{"batch":[{"a":1}]}')
    assert lines[0] == b"x\n"
    assert found.origins_of([0]) == [0]
    assert [raw.strip() for _, _, _, raw in fetch_lines(found.origin, [0])] == [line]


def test_a_file_of_bodies_is_read_at_once(make_event, looked_at):
    lines = [written({"batch": [make_event(10 * n + k) for k in range(10)]}) for n in range(5)]
    assert load_lines(lines).audit["n_tasks"].to_list() == [50]
    assert looked_at == []


def test_of_bodies_only_those_with_a_rejected_event_are_looked_at(make_event, looked_at):
    lines = [written({"batch": [make_event(10 * n + k) for k in range(10)]}) for n in range(5)]
    lines[2] = lines[2].replace(b'"event":"tasks"', b'"event":"nonsense"', 1)
    lines[3] = lines[3].replace(b'"timestamp":"', b'"timestamp":"not a time', 1)
    log = load_lines(lines)
    assert log.audit[["n_tasks", "n_other", "n_rejected"]].to_numpy().tolist() == [[48, 1, 1]]
    assert log.quarantine["record"].to_list() == [4]
    assert json.loads(log.quarantine["raw"].iloc[0])["timestamp"].startswith("not a time")
    assert looked_at == [lines[3]]


def test_bodies_that_begin_late_in_a_file_are_read_at_once(make_event, looked_at, monkeypatch):
    monkeypatch.setattr(bodies, "BLOCK", 100)
    monkeypatch.setattr(fast_path, "SAMPLE", 1)
    lines = [written(make_event(n)) for n in range(5)] + [written({"batch": [make_event(9)]})]
    assert load_lines(lines).audit["n_tasks"].to_list() == [6]
    assert looked_at == []


def test_when_a_body_was_sent_tells_when_its_events_arrived(make_event):
    event = {key: value for key, value in make_event(0).items() if key not in ("receivedAt", "sentAt")}
    body = written({"sentAt": "2020-06-01T00:00:00Z", "batch": [event]})
    (reason,) = load_lines([body]).quarantine["reason"]
    assert "more than a day after the record arrived, at 2020-06-01" in reason
    assert_equal_logs(load_lines([body]), load_carefully([body]))


@pytest.mark.parametrize("unit", [1, 3000, splitting.SPLIT_UNIT])
def test_however_much_is_read_at_a_time_the_places_are_the_same(make_event, unit, monkeypatch):
    monkeypatch.setattr(splitting, "SPLIT_UNIT", unit)
    events = [make_event(n) for n in range(12)]
    bad = make_event(20) | {"timestamp": "no"}
    lines = [written({"batch": events[:5]}), b"", written(bad), b"junk", written({"batch": [bad, *events[5:], 7]})]
    log = load_lines(lines)
    assert_equal_logs(log, load_carefully(lines))
    assert log.quarantine["record"].to_list() == [3, 4, 5, 5]


def test_an_id_that_another_event_of_a_body_has_is_told_with_its_text(make_event):
    first, other = make_event(1), make_event(1, Action="remove_task") | {"timestamp": "2020-11-02T10:00:09Z"}
    lines = [written({"batch": [make_event(0), first]}), written({"batch": [make_event(2), other, first]})]
    log = load_lines(lines)
    assert json.loads(log.quarantine["raw"].iloc[0]) == other
    assert "is the id of record 1 of" in log.quarantine["reason"].iloc[0]
    assert_equal_logs(log, load_carefully(lines))


def test_several_small_files_of_bodies_keep_their_sources(make_event, tmp_path):
    for n in range(3):
        bad = make_event(9) | {"timestamp": "no"}
        body = {"batch": [make_event(10 * n + k) for k in range(2)] + [bad] * (n == 1)}
        (tmp_path / f"{n}.jsonl").write_bytes(written(body) + b"\n\n" + written(make_event(10 * n + 5)) + b"\n")
    log = tk.load_events(tmp_path)
    assert log.audit["n_tasks"].to_list() == [3, 3, 3]
    assert log.quarantine[["source", "record"]].to_numpy().tolist() == [["1.jsonl", 1]]


def test_a_store_of_bodies_can_be_added_to(make_event, tmp_path):
    parts = [written({"batch": [make_event(3 * n + k) for k in range(3)]}) + b"\n" for n in range(2)]
    (tmp_path / "a.jsonl").write_bytes(parts[0])
    tk.convert_events(tmp_path / "a.jsonl", tmp_path / "log", append=True)
    (tmp_path / "b.jsonl").write_bytes(parts[1] + parts[0])
    audit = tk.convert_events([tmp_path / "a.jsonl", tmp_path / "b.jsonl"], tmp_path / "log", append=True)
    assert audit[["n_tasks", "n_duplicate"]].to_numpy().tolist() == [[3, 0], [3, 3]]


EXTRAS = [b"", b'"Secret":"x",', b'"Secret":{"a":[1,2]},', b'"Action":"x",']
ELEMENTS = [b"1", b"null", b"{}", b'{"event":"page"}', b'{"event":"page","properties":{"Secret":1}}', b'"\\ud800"']
LINES = [*NOT_PLAIN[:-1], b"junk", b"", b"  ", b"null", b'{"event":"page"}', b'{"batch":[{"event":"pa', b"\xff"]


@st.composite
def mixed_lines(draw, make_event):
    lines = []
    for n in range(draw(st.integers(1, 5))):
        elements = []
        for k in range(draw(st.integers(0, 4))):
            number = draw(st.sampled_from([10 * n + k, 3]))
            event = make_event(number, draw(st.sampled_from(["tasks", "incident", "playbook", "page"])))
            for key in draw(st.lists(st.sampled_from(["receivedAt", "timestamp", "messageId", "userId"]), max_size=2)):
                event[key] = draw(st.sampled_from([None, "", "x", "2020-11-02T10:00:03Z", 5, {"$oid": "a"}]))
            text = written(event)
            elements.append(text.replace(b'"properties":{', b'"properties":{' + draw(st.sampled_from(EXTRAS)), 1))
        elements += draw(st.lists(st.sampled_from(ELEMENTS), max_size=1))
        sent = draw(
            st.sampled_from([b"", b"", b',"sentAt":"2020-11-02T10:00:00Z"', b',"sentAt":null', b',"sentAt":"x"'])
        )
        between = draw(st.sampled_from([b",", b", ", b" ,"]))
        is_body = draw(st.sampled_from([True, True, False]))
        lines += [b'{"batch":[' + between.join(elements) + b"]" + sent + b"}"] if is_body else elements
    lines += draw(st.lists(st.sampled_from(LINES), max_size=2))
    return draw(st.permutations(lines))


@pytest.mark.slow
@settings(max_examples=40, derandomize=True, database=None, deadline=None)
@given(data=st.data())
def test_bodies_give_the_same_whichever_way_they_are_read(make_event, data):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(splitting, "SPLIT_UNIT", data.draw(st.sampled_from([1, 2000, splitting.SPLIT_UNIT])))
        patch.setattr(line_files, "BROKEN_LIMIT", data.draw(st.sampled_from([0, 20_000])))
        lines = [written({"batch": [make_event(50)]}), *data.draw(mixed_lines(make_event))]
        assert_equal_logs(load_lines(lines), load_carefully(lines))


UNKNOWN = {"Unk": 1}


@pytest.mark.parametrize(
    "line",
    [
        lambda event: written(event(1, **UNKNOWN)) + b",",
        lambda event: written(event(1, **UNKNOWN)) + written(event(2, **UNKNOWN)),
        lambda event: written(event(1, **UNKNOWN)) + b'{"event',
        lambda event: written({"batch": [event(1, **UNKNOWN), event(2) | {"timestamp": "no"}]}),
        lambda event: written({"batch": [event(1, **UNKNOWN), event(2)]}).replace(b"message-2", b"\xff"),
        lambda event: written(event(1) | {"properties": json.dumps(event(1, **UNKNOWN)["properties"])}),
    ],
    ids=["comma", "two", "cut", "rejected", "no text", "properties as text"],
)
@pytest.mark.parametrize("neighbour", ["body", "line"])
def test_what_is_unknown_of_a_line_depends_on_no_other(make_event, line, neighbour):
    plain = make_event(50)
    lines = [written({"batch": [plain]} if neighbour == "body" else plain), line(make_event)]
    assert_equal_logs(load_lines(lines), load_carefully(lines))
    told = load_lines(lines).findings.query("finding == 'unknown property'")["n"].sum()
    assert told == load_lines(lines[1:]).findings.query("finding == 'unknown property'")["n"].sum()
