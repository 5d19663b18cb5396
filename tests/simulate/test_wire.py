"""The simulator's bytes held against recorded ones: what can be compared must be the same."""

import gzip
import itertools
import json
import re
from collections import defaultdict
from pathlib import Path

import pytest

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.simulate import Faults, Parameters, write_simulation

RECORDINGS = Path(__file__).parents[1] / "recordings" / "batch-bodies"
ID = re.compile(r"[ybndrfg8ejkmcpqxot1uwisza345h769]{25}[yrecowah]")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
GO_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?(Z|[+-]\d\d:\d\d)")
STORED_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)")
GATEWAY_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ERAS = ("prev", "oct2020", "later")


def lines_of(path):
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Lines of a simulation large enough to hold everything that recordings hold, for any era and container."""
    folder = tmp_path_factory.mktemp("simulated")

    def make(era, container):
        path = folder / f"{era}-{container}.jsonl"
        if not path.exists():
            parameters = Parameters(multi_node_share=0.5, clock_error_s=1.0)
            write_simulation(path, parameters, n_events=8000, seed=4, era=era, container=container)
        return lines_of(path)

    return make


def kinds_of_value(value):
    """The type of a value as JSON has it, and for text its form."""
    if isinstance(value, str):
        return "id" if ID.fullmatch(value) else "text" if value else "empty"
    return type(value).__name__


def shapes(events):
    """For each event name and action, which properties there are, in order, and what kinds of values each has."""
    order, kinds = defaultdict(set), defaultdict(set)
    for event in events:
        given = event["properties"]
        name = (event["event"], given.get("Action"))
        order[name].add(tuple(given))
        for key, value in given.items():
            kinds[name, key].add(kinds_of_value(value))
    return order, kinds


def seen(pattern, texts):
    return all(pattern.fullmatch(text) for text in texts)


@pytest.mark.parametrize("era", ERAS)
def test_bodies_have_the_shape_of_recorded_bodies(simulated, era):
    bodies, recorded = simulated(era, "batch-bodies"), lines_of(RECORDINGS / f"{era}.jsonl.gz")
    assert {tuple(body) for body in bodies} == {tuple(body) for body in recorded}
    assert {json.dumps(body["context"]) for body in bodies} == {json.dumps(body["context"]) for body in recorded}
    ours, theirs = ([event for body in some for event in body["batch"]] for some in (bodies, recorded))
    for part in (tuple, lambda event: json.dumps(event["context"]), lambda event: event["type"]):
        assert {part(event) for event in ours} == {part(event) for event in theirs}
    assert all(event["userId"] == event["anonymousId"] for event in ours)
    assert seen(UUID, [e["messageId"] for e in ours] + [b["messageId"] for b in bodies])
    assert seen(GO_TIME, [e["timestamp"] for e in ours] + [b["sentAt"] for b in bodies])


@pytest.mark.parametrize("era", ERAS)
def test_every_event_has_the_properties_that_recorded_events_have(simulated, era):
    ours, theirs = (
        [event for body in bodies for event in body["batch"]]
        for bodies in (simulated(era, "batch-bodies"), lines_of(RECORDINGS / f"{era}.jsonl.gz"))
    )
    (order, kinds), (recorded_order, recorded_kinds) = shapes(ours), shapes(theirs)
    assert order == recorded_order
    for name in recorded_kinds:
        assert kinds[name] >= recorded_kinds[name] or kinds[name] & recorded_kinds[name], name
        assert kinds[name] <= recorded_kinds[name] | {"empty", "id"}, name


def test_stored_events_have_the_shape_of_recorded_ones(simulated, autumn):
    ours = simulated("oct2020", "object-storage")
    theirs = [event for path in sorted(autumn.rglob("*.gz"))[:10] for event in lines_of(path)]
    assert {tuple(event) for event in ours} == {tuple(event) for event in theirs}
    assert {json.dumps(event["context"]) for event in ours} == {json.dumps(event["context"]) for event in theirs}
    assert shapes(ours)[0].items() >= shapes(theirs)[0].items()
    for events in (ours, theirs):
        assert seen(STORED_TIME, [event["timestamp"] for event in events])
        for event in events:
            assert event["receivedAt"] == event["sentAt"] == event["originalTimestamp"]
        assert seen(GATEWAY_TIME, [event["receivedAt"] for event in events])
        by_server = {(event["userId"], event["rudderId"], event["request_ip"]) for event in events}
        assert len(by_server) == len({server for server, _, _ in by_server})


def test_the_simulation_holds_the_traps_of_recordings(simulated):
    bodies = simulated("oct2020", "batch-bodies")
    events = [event for body in bodies for event in body["batch"]]
    times = [engine.moment(event["timestamp"], parameter="timestamp") for event in events]
    offsets = {re.search(r"(Z|[+-]\d\d:\d\d)$", event["timestamp"]).group() for event in events}
    assert {"Z", "+05:30", "+01:00", "+02:00", "-04:00", "-05:00", "-07:00", "-08:00"} == offsets
    assert times != sorted(times), "arrival order is not time order"
    assert max(len(body["batch"]) for body in bodies) > 2
    assert {len(re.search(r"\.?(\d*)[Z+-]", e["timestamp"][19:]).group(1)) for e in events} >= {7, 8, 9}
    incidents = [event["properties"] for event in events if event["event"] == "incident"]
    actions = {given["Action"] for given in incidents}
    assert actions == {"create", "end", "restart", "change_stage", "change_commander"}
    assert any(g["Action"] == "change_stage" and not g["IsActive"] for g in incidents), "a move while closed"
    assert any(g["NumChecklists"] == 0 and g["ActiveStage"] == 0 for g in incidents), "no stages"
    of_case = defaultdict(list)
    for given in incidents:
        of_case[given["IncidentID"]].append(given)
    assert any(rows[0]["Action"] != "create" for rows in of_case.values()), "begun before the recording"
    assert any(all(g["IsActive"] for g in rows) for rows in of_case.values()), "never ended"
    moves = [(a["ActiveStage"], b["ActiveStage"]) for rows in of_case.values() for a, b in itertools.pairwise(rows)]
    assert any(after < before for before, after in moves), "a step back"
    assert any(after > before + 1 for before, after in moves), "a skipped stage"
    assert any(g["TotalChecklistItems"] == 0 and g["NumChecklists"] == 1 for g in incidents), "no playbook"


def test_deliveries_repeat_bodies_as_they_were_and_in_other_bodies(tmp_path):
    path = tmp_path / "events.jsonl"
    write_simulation(path, n_events=3000, seed=1, container="batch-bodies", faults=Faults(repeated=0.2))
    of_event = defaultdict(list)
    for body in lines_of(path):
        for event in body["batch"]:
            of_event[event["messageId"]].append(body)
    repeated = [bodies for bodies in of_event.values() if len(bodies) > 1]
    assert max(len(bodies) for bodies in repeated) == 4
    assert any(bodies[0] == bodies[1] for bodies in repeated)
    rewrapped = next(bodies for bodies in repeated if bodies[0]["messageId"] != bodies[1]["messageId"])
    assert rewrapped[0]["batch"] == rewrapped[1]["batch"]


def test_the_published_form_has_the_published_names_alone(simulated):
    published = {field.published for field in tk.schemas.FIELDS if field.published}
    for era in ERAS:
        events = simulated(era, "published")
        assert {key for event in events for key in event} <= published
        assert all(event["eventTimeStamp"] == event["event originalTimestamp"] for event in events)
        states = [event for event in events if "NewState" in event]
        assert {event["NewState"] for event in states} == {None, "done"}
        assert all("WasCommander" in event for event in states)
