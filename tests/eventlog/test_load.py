"""A source becomes an event log: every era, from every container, counted as it was sent."""

import datetime as dt
import gzip
import json
import warnings

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit import schemas
from telemetry_kit.errors import NoEventsWarning, ParameterError, RejectedEventsError, RejectedEventsWarning

ERAS = ("prev", "oct2020", "later")
KINDS = ("incident", "tasks", "playbook")


def read_plainly(path):
    """Read bodies the slow and plain way: the events of each type by id, and how often each id came again."""
    events, copies, others = {kind: {} for kind in KINDS}, 0, 0
    seen = set()
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            for event in json.loads(line)["batch"]:
                kind, action, _ = schemas.LEGACY_EVENTS.get(event["event"], (event["event"], None, None))
                if kind not in events:
                    others += 1
                elif event["messageId"] in seen:
                    copies += 1
                else:
                    seen.add(event["messageId"])
                    events[kind][event["messageId"]] = event | {"action": event["properties"].get("Action", action)}
    return events, copies, others


def plain_value(field, event):
    """Return what a field of a recorded event means."""
    given = event["properties"] if field.is_property else event
    value = event["action"] if field.column == "action" else given.get(field.wire)
    if field.column == "original_timestamp":
        value = event.get("originalTimestamp")
    if field.column == "utc_offset_s":
        zone = event["timestamp"][len("2020-11-02T00:00:00") :].lstrip(".0123456789").replace("Z", "+00:00")
        return int(dt.datetime.strptime(zone, "%z").utcoffset().total_seconds())
    if field.column == "new_state":
        is_change = event["action"] == "modify_task_state"
        return {None: "open", "": "open", "in_progress": "in_progress", "closed": "done"}[value] if is_change else None
    if field.column == "created_at":
        return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(milliseconds=value)
    if field.kind == "time" and value is not None:
        # Python reads up to six digits; what the sender wrote beyond is cut.
        head, _, rest = value.partition(".")
        digits = "".join(c for c in rest if c.isdigit())[: len(rest) - len(rest.lstrip("0123456789"))]
        zone = rest.lstrip("0123456789") if rest else ""
        moment = dt.datetime.fromisoformat(f"{head}.{digits[:6].ljust(6, '0')}{zone}" if rest else head)
        return moment.astimezone(dt.UTC)
    return value if value != "" else None


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
def test_an_era_loads_with_every_value_that_was_sent(recordings, account, era):
    path = recordings / "batch-bodies" / f"{era}.jsonl.gz"
    events, copies, others = read_plainly(path)
    log = tk.load_events(path)
    n_valid = sum(map(len, events.values()))
    assert account(log) == {
        "read": n_valid + copies + others, "valid": n_valid, "duplicate": copies, "rejected": 0, "other": others,
    }  # fmt: skip
    for kind in KINDS:
        frame = getattr(log, kind).set_index("event_id").astype(object)
        frame = frame.where(frame.notna(), None)
        for field in schemas.fields_of(kind):
            if field.column in ("event_id", "event_type"):
                continue
            got = frame[field.column].to_dict()
            wanted = {key: plain_value(field, event) for key, event in events[kind].items()}
            assert got == wanted, field.column


@pytest.mark.slow
@pytest.mark.parametrize("era", ERAS)
def test_an_era_agrees_with_what_its_sender_did(recordings, era):
    with gzip.open(recordings / "truth" / f"{era}.json.gz") as file:
        truth = json.load(file)
    log = tk.load_events(recordings / "batch-bodies" / f"{era}.jsonl.gz")
    total = log.audit.sum(numeric_only=True)
    capture, tracked = truth["capture"], truth["totals"]["tracked_by_method"]
    assert total["n_read"] == capture["events_including_duplicates"]
    assert total["n_read"] - total["n_duplicate"] == capture["events_unique"]
    actions = {
        "AddTask": "add_task", "RemoveTask": "remove_task", "RenameTask": "rename_task", "MoveTask": "move_task",
        "ModifyCheckedState": "modify_task_state", "SetAssignee": "set_assignee_for_task",
        "RunTaskSlashCommand": "run_task_slash_command", "ChangeCommander": "change_commander",
        "ChangeStage": "change_stage", "EndIncident": "end", "RestartIncident": "restart",
        "UpdateStatus": "update_status",
    }  # fmt: skip
    done = pd.concat([log.incident["action"].astype("str"), log.tasks["action"].astype("str")]).value_counts()
    assert {name: int(done.get(action, 0)) for name, action in actions.items()} == {
        name: tracked.get(name, 0) for name in actions
    }
    for kind, word in (("incident", "Incident"), ("playbook", "Playbook")):
        created = (getattr(log, kind)["action"] == "create").sum()
        assert created == tracked[f"Create{word}"]
    by_server = pd.concat([getattr(log, kind)["server_id"] for kind in KINDS]).value_counts()
    frontend = sum(log.findings.loc[log.findings["finding"] == "other event type", "n"])
    assert by_server.sum() + frontend == sum(truth["totals"]["tracked_by_diagnostic_id"].values())
    closed = truth["totals"]["modify_state_closed_by_commander_assignee"]
    flags = log.tasks[log.tasks["new_state"] == "done"].groupby(["was_commander", "was_assignee"]).size()
    assert {f"was_commander={str(c).lower()},was_assignee={str(a).lower()}": int(n) for (c, a), n in flags.items()} == {
        key: n for key, n in closed.items() if n
    }


def test_bodies_of_another_client_load(recordings, account):
    for name in ("python-sdk-1.0.0", "python-sdk-2.1.9"):
        log = tk.load_events(recordings / "batch-bodies" / f"{name}.jsonl")
        got = account(log)
        assert got["valid"] > 0
        assert got["rejected"] == 0


@pytest.mark.slow
def test_both_warehouses_load_with_nothing_rejected(recordings, account, oct2020):
    log = tk.load_events(recordings / "warehouse-snowflake-v0")
    assert account(log)["rejected"] == 0
    for kind in KINDS:
        assert set(getattr(log, kind)["event_id"]) == set(getattr(oct2020, kind)["event_id"])
    assert account(tk.load_events(recordings / "warehouse-postgres"))["rejected"] == 0


def test_the_same_file_twice_is_read_twice_and_counted_once(recordings, account):
    path = recordings / "batch-bodies" / "prev.jsonl.gz"
    once, twice = account(tk.load_events(path)), account(tk.load_events([path, path]))
    assert twice["valid"] == once["valid"]
    assert twice["duplicate"] == once["read"] + once["duplicate"]


def test_a_list_takes_sources_of_every_kind(recordings, make_event, tmp_path, account):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.json").write_text(json.dumps(make_event(1)))
    (tmp_path / "b.json").write_text(json.dumps(make_event(2)))
    frame = pd.DataFrame([make_event(3)])
    log = tk.load_events([tmp_path / "a", frame, str(tmp_path / "*.json"), (tmp_path / "b.json", {"tasks": frame})])
    assert account(log) == {"read": 5, "valid": 3, "duplicate": 2, "rejected": 0, "other": 0}
    assert log.audit["source"].to_list() == ["a/x.json", "frame", "b.json", "b.json", "tasks"]


# Cutoff ---------------------------------------------------------------------------------------------------------------


def test_the_cutoff_is_the_newest_valid_event_unless_it_is_given(make_event):
    events = [make_event(1), make_event(5), make_event(9, "playbook", NumMembers="x"), make_event(9, "frontend")]
    log = tk.load_events(pd.DataFrame(events))
    assert log.cutoff == pd.Timestamp("2020-11-02T10:00:05Z")


CUTOFF = pd.Timestamp("2020-11-02T10:00:05Z")


@pytest.mark.parametrize("cutoff", [CUTOFF, "2020-11-02T10:00:05Z", "2020-11-02 10:00:05", "2020-11-02T11:00:05+01:00"])
def test_events_after_the_cutoff_are_left_out_and_counted(make_event, account, cutoff):
    events = [make_event(4, "incident"), make_event(5), make_event(6), make_event(6), make_event(7, "playbook")]
    log = tk.load_events(pd.DataFrame(events), cutoff=cutoff)
    assert account(log) == {"read": 5, "valid": 2, "duplicate": 1, "rejected": 0, "other": 0}
    assert log.audit["n_after_cutoff"].to_list() == [2]
    assert log.cutoff == CUTOFF


def test_a_cutoff_before_everything_leaves_an_empty_log(make_event):
    log = tk.load_events(pd.DataFrame([make_event(n, kind) for n, kind in enumerate(KINDS)]), cutoff="2000-01-01")
    for kind, model in schemas.MODELS.items():
        model.validate(getattr(log, kind))
        assert len(getattr(log, kind)) == 0
    assert log.audit["n_after_cutoff"].item() == 3


def test_an_empty_log_passes_its_models_and_has_no_cutoff(make_event):
    log = tk.load_events(pd.DataFrame([make_event(0, "frontend", IncidentID="x")]))
    assert log.cutoff is pd.NaT
    for kind, model in schemas.MODELS.items():
        model.validate(getattr(log, kind))
        assert all(len(log.incident[c].cat.categories) == 0 for c in ("action", "current_status", "plugin_version"))


def test_events_before_since_are_left_out_and_counted_and_one_at_that_moment_is_in(make_event, account):
    events = [make_event(3, "playbook"), make_event(4), make_event(4), make_event(5), make_event(6, "incident")]
    log = tk.load_events(pd.DataFrame(events), since="2020-11-02T10:00:05Z")
    assert account(log) == {"read": 5, "valid": 2, "duplicate": 1, "rejected": 0, "other": 0}
    assert log.audit["n_before_since"].to_list() == [2]
    assert (log.since, log.cutoff) == (CUTOFF, pd.Timestamp("2020-11-02T10:00:06Z"))
    both = tk.load_events(pd.DataFrame(events), since=CUTOFF, cutoff=CUTOFF)
    assert both.audit[["n_tasks", "n_before_since", "n_after_cutoff"]].iloc[0].to_list() == [1, 2, 1]
    assert repr(both).startswith("EventLog: 1 valid event of 1 server, from 2020-11-02 10:00:05 UTC, up to 2020-11-02")
    assert repr(both).endswith("2 before its start, 1 after the cutoff")


def test_since_after_the_cutoff_is_told(make_event):
    with pytest.raises(ParameterError, match=r"since: got .*expected a moment before the cutoff, 2020-11-02"):
        tk.load_events(pd.DataFrame([make_event()]), since="2020-11-03", cutoff="2020-11-02")


@pytest.mark.parametrize("cutoff", ["someday", [1], ""])
def test_a_cutoff_that_is_no_moment_is_told(make_event, cutoff):
    with pytest.raises(ParameterError, match="cutoff: got"):
        tk.load_events(pd.DataFrame([make_event()]), cutoff=cutoff)


# What a caller can ask for --------------------------------------------------------------------------------------------


def test_frames_are_in_the_order_of_time_on_a_fresh_index(oct2020):
    for kind, model in schemas.MODELS.items():
        frame = getattr(oct2020, kind)
        model.validate(frame, lazy=True)
        assert frame["event_timestamp"].is_monotonic_increasing
        assert isinstance(frame.index, pd.RangeIndex)
        assert frame.columns.to_list() == schemas.columns_of(kind)


def test_versions_are_categories_in_natural_order(make_event):
    events = [make_event(n, PluginVersion=v) for n, v in enumerate(["1.10.0", "1.9.0", "dev\0", "1.2.0"])]
    log = tk.load_events(pd.DataFrame(events))
    assert log.tasks["plugin_version"].cat.categories.to_list() == ["1.2.0", "1.9.0", "1.10.0", "dev\0"]
    assert log.tasks["plugin_version"].to_list() == ["1.10.0", "1.9.0", "dev\0", "1.2.0"]


def test_an_error_instead_of_a_quarantine_names_the_first_faults_and_the_count(make_event, tmp_path):
    lines = ["junk"] * 3 + [json.dumps(make_event(1))] + [json.dumps(make_event(2, "playbook", NumMembers="x"))] * 4
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    with pytest.raises(RejectedEventsError, match="7 records were rejected; the first:") as caught:
        tk.load_events(tmp_path / "a.jsonl", on_error="raise")
    assert caught.value.n_rejected == 7
    _, *faults = str(caught.value).splitlines()
    assert len(faults) == 5
    assert faults[0].strip() == "a.jsonl, record 1: record: not JSON: Expecting value: line 1 column 1 (char 0)"
    assert faults[4].strip() == 'a.jsonl, record 6: num_members: got "x", expected a whole number >= 0'


def test_nothing_is_raised_where_nothing_was_rejected(make_event):
    assert len(tk.load_events(pd.DataFrame([make_event()]), on_error="raise").tasks) == 1


def test_another_way_to_meet_errors_is_told(make_event):
    with pytest.raises(ParameterError, match="on_error: got 'ignore', expected one of 'quarantine', 'raise'"):
        tk.load_events(pd.DataFrame([make_event()]), on_error="ignore")


@pytest.mark.parametrize(
    ("load", "kind"), [(tk.load_incidents, "incident"), (tk.load_tasks, "tasks"), (tk.load_playbooks, "playbook")]
)
def test_one_type_is_loaded_alone_with_a_warning_where_records_were_rejected(make_event, load, kind):
    events = [make_event(n, k) for n, k in enumerate(KINDS)]
    whole = tk.load_events(pd.DataFrame(events))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pd.testing.assert_frame_equal(load(pd.DataFrame(events)), getattr(whole, kind))
    damaged = pd.DataFrame([*events, make_event(9) | {"userId": None}])
    with pytest.warns(RejectedEventsWarning, match="1 record was rejected"):
        pd.testing.assert_frame_equal(load(damaged), getattr(whole, kind))
    with pytest.raises(RejectedEventsError):
        load(damaged, on_error="raise")


def test_rejected_records_are_told_once_with_the_first_and_where_to_look(make_event, tmp_path):
    lines = [make_event(0), make_event(1) | {"userId": None}, make_event(2) | {"userId": None}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    told = r"2 records were rejected; the first: a.jsonl, record 2: server_id: missing.*\.quarantine tells each"
    for load in (tk.load_events, lambda source: tk.scan_events(source, store=tmp_path / "store")):
        with pytest.warns(RejectedEventsWarning, match=told) as caught:
            log = load(tmp_path / "a.jsonl")
        assert (len(caught), caught[0].filename) == (1, __file__)
    log.save(tmp_path / "saved")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tk.load_events(tmp_path / "saved")


@pytest.mark.parametrize("between", [{"since": "2021-01-01"}, {"cutoff": "2020-01-01"}])
def test_a_log_of_nothing_is_said_to_be_one(make_event, between):
    with pytest.warns(NoEventsWarning, match="no event is there: 1 records were read: 1 (before|after)"):
        tk.load_events(pd.DataFrame([make_event()]), **between)
    with pytest.warns(NoEventsWarning, match="0 records were read"):
        tk.load_events(pd.DataFrame([make_event()]).head(0))


def test_a_log_that_begins_after_its_newest_event_is_saved_and_opened_as_an_empty_one(make_event, tmp_path):
    source, late = pd.DataFrame([make_event()]), "2021-01-01"
    log = tk.load_events(source, since=late)
    assert (log.since, log.cutoff) == (pd.Timestamp(late, tz="UTC"), pd.NaT)
    log.save(tmp_path / "empty")
    tk.load_events(source).save(tmp_path / "whole")
    for folder, since in (("empty", None), ("whole", late)):
        for opened in (tk.load_events(tmp_path / folder, since=since), tk.scan_events(tmp_path / folder, since=since)):
            assert (opened.since, opened.cutoff is pd.NaT) == (log.since, True)
            assert opened.audit.drop(columns="source").equals(log.audit.drop(columns="source"))


@pytest.mark.parametrize("value", [20201201, 1.6e9, "20201201T0000", "05/11/2020", "now", "NaT", "soon", pd.NaT, True])
@pytest.mark.parametrize("parameter", ["since", "cutoff"])
def test_what_is_no_point_in_time_is_an_error(make_event, parameter, value):
    with pytest.raises(ParameterError, match=f"{parameter}: got .*, expected a datetime, or a text such as"):
        tk.load_events(pd.DataFrame([make_event()]), **{parameter: value})
