"""A part of a log: whole incidents, with what each condition left out; the same in memory and on disk."""

import json

import pandas as pd
import polars as pl
import pytest

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.engine import connections
from telemetry_kit.errors import ParameterError

KINDS = ("incident", "tasks", "playbook")
DAY = 86_400


@pytest.fixture
def log(make_event, tmp_path):
    """Two servers: an incident each that begins under one version and goes on under another, tasks, and a playbook."""
    upgraded = {"PluginVersion": "1.1.0"}
    events = [
        make_event(0, "incident", PluginVersion="1.0.0", CreateAt=1604311200000, IncidentID="old"),
        make_event(1, "tasks", PluginVersion="1.0.0", IncidentID="old"),
        make_event(2 * DAY, "incident", Action="end", IsActive=False, IncidentID="old", **upgraded),
        make_event(2 * DAY + 1, "tasks", IncidentID="old", **upgraded),
        make_event(3 * DAY, "incident", IncidentID="new", CreateAt=(1604311200 + 3 * DAY) * 1000, **upgraded),
        make_event(3 * DAY + 1, "tasks", IncidentID="new", **upgraded),
        # Of this one nothing but a task was recorded.
        make_event(4 * DAY, "tasks", IncidentID="unseen", PluginVersion="1.2.0-rc1"),
        make_event(5, "playbook", PluginVersion="1.0.0"),
        make_event(5 * DAY, "playbook", Action="update", PluginVersion="master"),
    ]
    other = make_event(6 * DAY, "incident", IncidentID="old", CreateAt=(1604311200 + 6 * DAY) * 1000, **upgraded)
    lines = [*events, other | {"userId": "servertest"}]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return tk.load_events(tmp_path / "events.jsonl")


def kept(log):
    return {kind: sorted(tk.to_pandas(getattr(log, kind))["event_id"]) for kind in KINDS}


def numbers(*seconds):
    return sorted(f"message-{number}" for number in seconds)


def left_out(log):
    told = log.findings[log.findings["finding"] == "left out by a filter"]
    return dict(zip(told["detail"], told["n"], strict=True))


def test_servers_are_kept_or_left_out_with_all_that_they_sent(log):
    only = log.filter(servers="servertest")
    assert kept(only) == {"incident": numbers(6 * DAY), "tasks": [], "playbook": []}
    without = log.filter(exclude_servers=["servertest"])
    assert [len(getattr(without, kind)) for kind in KINDS] == [3, 4, 2]
    assert (without.cutoff, without.audit is log.audit) == (log.cutoff, True)
    assert left_out(without) == {"exclude_servers: servertest": 1}


def test_an_incident_is_kept_or_left_out_whole_by_its_first_version_and_its_tasks_go_with_it(log):
    newer = log.filter(plugin_version=">=1.1")
    assert kept(newer)["incident"] == numbers(3 * DAY, 6 * DAY)
    assert kept(newer)["tasks"] == numbers(3 * DAY + 1, 4 * DAY)
    older = log.filter(plugin_version="<1.1")
    assert kept(older)["incident"] == numbers(0, 2 * DAY)
    assert kept(older)["tasks"] == numbers(1, 2 * DAY + 1)


def test_an_event_of_a_playbook_goes_by_itself_and_what_is_no_version_is_left_out_and_told(log):
    older = log.filter(plugin_version="<1.1")
    assert kept(older)["playbook"] == numbers(5)
    assert left_out(older) == {"plugin_version: <1.1; no versions: master": 5}


def test_an_incident_is_kept_by_its_start(log):
    assert kept(log.filter(until="2020-11-04"))["incident"] == numbers(0, 2 * DAY)
    assert kept(log.filter(until="2020-11-04"))["tasks"] == numbers(1, 2 * DAY + 1)
    late = log.filter(since="2020-11-05T10:00:00Z")
    assert kept(late) == {
        "incident": numbers(3 * DAY, 6 * DAY), "tasks": numbers(3 * DAY + 1, 4 * DAY), "playbook": numbers(5 * DAY),
    }  # fmt: skip


def test_an_incident_whose_create_was_not_recorded_started_when_it_says(make_event, tmp_path):
    event = make_event(3 * DAY, "incident", Action="end", CreateAt=1604311200000)
    (tmp_path / "events.jsonl").write_text(json.dumps(event))
    assert len(tk.load_events(tmp_path / "events.jsonl").filter(until="2020-11-03").incident) == 1


def test_each_event_is_counted_under_the_first_condition_that_it_does_not_meet(log):
    part = log.filter(exclude_servers="servertest", plugin_version=">=1.1", since="2020-11-05T12:00:00Z")
    assert left_out(part) == {
        "exclude_servers: servertest": 1,
        "plugin_version: >=1.1; no versions: master": 6,
        "since: 2020-11-05T12:00:00Z": 2,
    }
    n_kept = sum(len(getattr(part, kind)) for kind in KINDS)
    assert n_kept + sum(left_out(part).values()) == 10


def test_a_part_can_be_filtered_again_and_saved(log, tmp_path):
    part = log.filter(plugin_version=">=1.1").filter(servers="servertest")
    assert len(left_out(part)) == 2
    part.save(tmp_path / "part")
    again = tk.load_events(tmp_path / "part")
    for kind in KINDS:
        pd.testing.assert_frame_equal(getattr(again, kind), getattr(part, kind))
    assert left_out(again) == left_out(part)


def test_frames_pass_their_models_and_have_no_category_that_does_not_occur(log):
    part = log.filter(plugin_version="<1.1")
    tk.schemas.IncidentEvents.validate(part.incident)
    assert list(part.playbook["plugin_version"].cat.categories) == ["1.0.0"]
    assert list(part.incident["event_type"].cat.categories) == list(log.incident["event_type"].cat.categories)
    assert list(part.incident.index) == [0, 1]


def test_no_condition_leaves_nothing_out(log):
    for kind in KINDS:
        pd.testing.assert_frame_equal(getattr(log.filter(), kind), getattr(log, kind))
    assert left_out(log.filter()) == {}


@pytest.mark.parametrize("servers", [[], ["servertest"]])
def test_what_is_left_may_be_nothing(log, servers):
    part = log.filter(servers=servers, plugin_version=">=9")
    assert kept(part) == {kind: [] for kind in KINDS}
    assert len(part.filter(since="2020-11-01").findings)


CONNECTION = connections.connect()
WAYS = {
    "polars": pl.from_pandas,
    "polars-lazy": lambda frame: pl.from_pandas(frame).lazy(),
    "pyarrow": engine.to_arrow,
    "duckdb": lambda frame: CONNECTION.from_arrow(engine.to_arrow(frame)),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_frames_of_every_kind_stay_what_they_are(log, way):
    frames = {kind: WAYS[way](getattr(log, kind)) for kind in KINDS}
    given = tk.EventLog(**frames, cutoff=log.cutoff, quarantine=log.quarantine, audit=log.audit, seen=log.seen)
    asked = {"exclude_servers": "servertest", "plugin_version": ">=1.1", "until": "2020-11-05T12:00:00Z"}
    part, expected = given.filter(**asked), log.filter(**asked)
    assert all(type(getattr(part, kind)) is type(frames[kind]) for kind in KINDS)
    assert kept(part) == kept(expected)
    assert left_out(part) == left_out(expected)


@pytest.mark.slow
def test_a_scanned_log_stays_on_disk_and_in_order(log, autumn, tmp_path):
    asked = {"plugin_version": ">=1.1", "since": "2020-11-20"}
    part, expected = tk.scan_events(autumn).filter(**asked), tk.load_events(autumn).filter(**asked)
    assert kept(part) == kept(expected)
    part.save(tmp_path / "part")
    pd.testing.assert_frame_equal(tk.load_events(tmp_path / "part").tasks, expected.tasks)
    pd.testing.assert_frame_equal(part.findings, expected.findings)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"servers": "servrtest"},
            "servers: got 'servrtest', expected a server of the log; the nearest is 'servertest'",
        ),
        ({"exclude_servers": ["servertest", "x"]}, "exclude_servers: got 'x', expected a server of the log"),
        ({"servers": [7]}, "servers: got 7, expected server ids as text"),
        ({"plugin_version": "1.1"}, "plugin_version: got '1.1', expected a version specifier such as '>=5.28,<6'"),
        ({"server_version": 5}, "server_version: got 5, expected a version specifier"),
        ({"since": "soon"}, "since: got 'soon', expected a datetime"),
        ({"since": "2020-12-01", "until": "2020-11-01"}, "until: got '2020-11-01', expected a moment after since"),
    ],
)
def test_a_condition_that_cannot_be_read_is_an_error_that_helps(log, asked, message):
    with pytest.raises(ParameterError, match=message):
        log.filter(**asked)
