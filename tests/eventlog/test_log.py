"""An event log can be looked at, turned into one table of cases, saved and read back."""

import dataclasses
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError, SourceError

PARTS = ("incident", "tasks", "playbook", "quarantine", "audit", "seen", "findings")


@pytest.fixture
def log(make_event, tmp_path):
    """A log with something of everything."""
    events = [
        make_event(1, "incident"),
        make_event(2, "tasks", Action="modify_task_state", NewState="closed", WasCommander=True, WasAssignee=False),
        make_event(3, "tasks", without=("Action",)),
        make_event(4, "incident", Action="change_stage", ActiveStage=1),
        make_event(5, "playbook", Secret=1, PluginVersion="1.10.0"),
        make_event(6, "playbook", PluginVersion="1.9.0"),
        make_event(6, "playbook"),
        make_event(7, "frontend"),
        make_event(8, "playbook", NumMembers="x"),
    ]
    (tmp_path / "events.jsonl").write_text("\n".join([*map(json.dumps, events), "junk"]))
    return tk.load_events(tmp_path / "events.jsonl")


def test_it_shows_what_it_holds_in_a_few_lines(log):
    assert repr(log).splitlines() == [
        "EventLog: 6 valid events of 1 server, up to 2020-11-02 10:00:06 UTC",
        "         events servers       first        last",
        "incident      2       1  2020-11-02  2020-11-02",
        "tasks         2       1  2020-11-02  2020-11-02",
        "playbook      2       1  2020-11-02  2020-11-02",
        "10 records read from 1 source: 6 valid, 0 duplicates, 3 rejected, 1 of other types, 0 after the cutoff",
    ]
    html = log._repr_html_()
    assert html.count("<tr") == 4
    assert "10 records read from 1 source" in html


def test_an_empty_log_can_be_looked_at(log):
    empty = tk.load_events(log.incident.iloc[:0])
    assert repr(empty).startswith("EventLog: 0 valid events of 0 servers\n")
    assert "–" in empty._repr_html_()
    assert len(empty.to_frame()) == 0
    assert len(empty.findings) == 0


def test_its_cases_are_incidents_and_its_activities_say_what_was_done(log):
    frame = log.to_frame()
    assert frame["activity"].to_list() == [
        "incident: create", "tasks: modify_task_state: done", "tasks", "incident: change_stage",
    ]  # fmt: skip
    assert frame["case_id"].unique().tolist() == ["serveraaaaaaaaaaaaaaaaaaaa/incidentaaaaaaaaaaaaaaaaaa"]
    assert frame["timestamp"].is_monotonic_increasing
    assert str(frame["timestamp"].dtype) == "datetime64[us, UTC]"
    assert frame["active_stage"].to_list() == [0, pd.NA, pd.NA, 1]
    assert frame["resource"].notna().all()


def test_every_event_of_a_recording_is_in_its_cases(oct2020):
    frame = oct2020.to_frame()
    assert len(frame) == len(oct2020.incident) + len(oct2020.tasks)
    assert frame["case_id"].nunique() == len(
        pd.concat([part[["server_id", "incident_id"]] for part in (oct2020.incident, oct2020.tasks)]).drop_duplicates()
    )


# Saved ----------------------------------------------------------------------------------------------------------------


def assert_equal_logs(left, right):
    for part in PARTS:
        pd.testing.assert_frame_equal(getattr(left, part), getattr(right, part))
    assert left.cutoff == right.cutoff or (left.cutoff is pd.NaT and right.cutoff is pd.NaT)


@pytest.mark.slow
def test_a_saved_log_loads_again_as_it_was(log, oct2020, tmp_path):
    for number, saved in enumerate((log, oct2020, tk.load_events(log.incident.iloc[:0]))):
        saved.save(tmp_path / str(number))
        again = tk.load_events(tmp_path / str(number))
        assert_equal_logs(again, saved)
        again.save(tmp_path / str(number))
        assert_equal_logs(tk.load_events(str(tmp_path / str(number))), saved)


@pytest.mark.slow
def test_a_saved_log_can_be_cut_off_like_its_source(oct2020, tmp_path, recordings):
    oct2020.save(tmp_path / "saved")
    path = recordings / "batch-bodies" / "oct2020.jsonl.gz"
    cut = tk.load_events(tmp_path / "saved", cutoff="2020-11-20")
    whole = tk.load_events(path, cutoff="2020-11-20")
    for kind in ("incident", "tasks", "playbook"):
        pd.testing.assert_frame_equal(getattr(cut, kind), getattr(whole, kind))
    assert cut.cutoff == whole.cutoff
    np.testing.assert_array_equal(cut.audit.drop(columns="source"), whole.audit.drop(columns="source"))
    assert cut.audit["source"].to_list() == ["saved"]
    later = tk.load_events(tmp_path / "saved", cutoff="2030-01-01")
    assert_equal_logs(tk.EventLog(**{**vars_of(later), "cutoff": oct2020.cutoff}), oct2020)
    cut.save(tmp_path / "cut")
    with pytest.raises(ParameterError, match=r"cutoff: got '2020-12-01.*expected a moment up to 2020-11-20"):
        tk.load_events(tmp_path / "cut", cutoff="2020-12-01")


@pytest.mark.slow
def test_a_saved_log_can_begin_later_like_its_source(oct2020, tmp_path, recordings):
    oct2020.save(tmp_path / "saved")
    cut = tk.load_events(tmp_path / "saved", since="2020-11-20")
    whole = tk.load_events(recordings / "batch-bodies" / "oct2020.jsonl.gz", since="2020-11-20")
    assert_equal_logs(tk.EventLog(**{**vars_of(cut), "audit": whole.audit}), whole)
    np.testing.assert_array_equal(cut.audit.drop(columns="source"), whole.audit.drop(columns="source"))
    cut.save(tmp_path / "cut")
    assert tk.load_events(tmp_path / "cut").since == pd.Timestamp("2020-11-20", tz="UTC")
    with pytest.raises(ParameterError, match=r"since: got '2020-11-10.*expected a moment from 2020-11-20"):
        tk.load_events(tmp_path / "cut", since="2020-11-10")


def vars_of(log):
    return {part: getattr(log, part) for part in (*PARTS[:-1], "since", "cutoff")}


def test_a_saved_log_with_rejected_records_raises_when_asked_to(log, tmp_path):
    log.save(tmp_path / "saved")
    with pytest.raises(tk.errors.RejectedEventsError, match="3 records were rejected"):
        tk.load_events(tmp_path / "saved", on_error="raise")


@pytest.mark.slow
def test_a_log_on_any_engine_can_be_saved(oct2020, tmp_path):
    lazy = {kind: pl.from_pandas(getattr(oct2020, kind)).lazy() for kind in ("incident", "tasks", "playbook")}
    dataclasses.replace(oct2020, **lazy).save(tmp_path / "saved")
    assert_equal_logs(tk.load_events(tmp_path / "saved"), oct2020)


def test_a_log_is_saved_over_an_earlier_one(log, tmp_path):
    log.save(tmp_path / "saved")
    log.save(tmp_path / "saved")
    assert_equal_logs(tk.load_events(tmp_path / "saved"), log)


def test_foreign_files_are_never_written_over(log, tmp_path):
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "thesis.txt").write_text("all of it")
    with pytest.raises(SourceError, match=r"directory: 'desk' holds 'thesis\.txt', expected a directory of its own"):
        log.save(tmp_path / "desk")
    (tmp_path / "file").touch()
    with pytest.raises(SourceError, match="directory: 'file' is a file, expected a directory"):
        log.save(tmp_path / "file")


def test_a_directory_is_told_as_it_was_given(log, tmp_path, monkeypatch):
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk" / "thesis.txt").write_text("all of it")
    monkeypatch.chdir(tmp_path / "desk")
    with pytest.raises(SourceError, match=r"directory: '\.' holds 'thesis\.txt', expected a directory of its own"):
        log.save(".")
    for nothing in (None, 3, "", b"log"):
        with pytest.raises(ParameterError, match=f"directory: got {nothing!r}, expected a path"):
            log.save(nothing)


def write_mark(text):
    return lambda folder: (folder / "event-log.json").write_text(text)


def write_nulls(folder):
    pd.read_parquet(folder / "tasks.parquet").assign(incident_id=None).to_parquet(folder / "tasks.parquet")


DAMAGE = {
    "a missing part": lambda folder: (folder / "tasks.parquet").unlink(),
    "a broken part": lambda folder: (folder / "tasks.parquet").write_bytes(b"PAR1"),
    "another table": lambda folder: (folder / "seen.parquet").write_bytes((folder / "audit.parquet").read_bytes()),
    "another frame": lambda folder: (folder / "incident.parquet").write_bytes((folder / "tasks.parquet").read_bytes()),
    "missing values": write_nulls,
    "a broken mark": write_mark("{"),
    "an odd mark": write_mark("[]"),
    "another format": write_mark('{"format": 99, "cutoff": null}'),
    "an odd cutoff": write_mark('{"format": 3, "since": null, "cutoff": "someday", "others_us": {}}'),
    "odd times of others": write_mark('{"format": 3, "since": null, "cutoff": null, "others_us": {"a": "b"}}'),
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_saved_log_is_one_clear_line(log, tmp_path, damage):
    log.save(tmp_path / "saved")
    DAMAGE[damage](tmp_path / "saved")
    with pytest.raises(SourceError, match="source: the saved log in 'saved' cannot be read: ") as caught:
        tk.load_events(tmp_path / "saved")
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_saved_log_with_a_wrong_part_names_its_columns(log, tmp_path):
    log.save(tmp_path / "saved")
    DAMAGE["another frame"](tmp_path / "saved")
    with pytest.raises(SourceError, match=r"incident\.parquet has other columns than event_id, event_type, "):
        tk.load_events(tmp_path / "saved")


def test_a_saved_log_with_wrong_values_names_one(log, tmp_path):
    log.save(tmp_path / "saved")
    write_nulls(tmp_path / "saved")
    with pytest.raises(SourceError, match=r"tasks\.parquet, column 'incident_id': .* fails the check not_nullable"):
        tk.load_events(tmp_path / "saved")


@pytest.mark.parametrize("open_log", [tk.load_events, tk.scan_events], ids=["load", "scan"])
def test_what_arrow_does_not_know_is_one_clear_line_however_a_log_is_opened(log, tmp_path, monkeypatch, open_log):
    log.save(tmp_path / "saved")

    def refuse(_path):
        raise pa.ArrowNotImplementedError("Unsupported encoding: DELTA_OF_TOMORROW")

    monkeypatch.setattr(pd, "read_parquet", refuse)
    with pytest.raises(SourceError, match="the saved log in 'saved' cannot be read: Unsupported encoding"):
        open_log(tmp_path / "saved")
