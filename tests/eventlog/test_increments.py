"""Files that are added to a log give what all of them give at once."""

import json
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import telemetry_kit as tk
from telemetry_kit import schemas
from telemetry_kit.cli import main
from telemetry_kit.errors import SourceError
from telemetry_kit.eventlog import convert
from telemetry_kit.schemas.log_tables import ARRIVED


def assert_equal_logs(left, right):
    for part in (*schemas.EVENT_TYPES, "quarantine", "audit", "seen"):
        pd.testing.assert_frame_equal(getattr(left, part), getattr(right, part))
    assert (left.since, left.cutoff, left.others_us) == (right.since, right.cutoff, right.others_us)
    pd.testing.assert_frame_equal(left.findings, right.findings)


@pytest.fixture
def write(tmp_path, make_event):
    """Write a file of events with these numbers; the second number, if any, makes another content of the same id."""

    def write_file(name, *numbers, kind="tasks", form="jsonl"):
        events = []
        for number in numbers:
            first, other = number if isinstance(number, tuple) else (number, 0)
            events.append(make_event(first, kind, Action=("add_task", "remove_task")[other % 2]))
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        if form == "csv":
            flat = [event | event.pop("properties") for event in events]
            pd.DataFrame(flat).to_csv(path, index=False)
        else:
            # A blank line is no record, but it is counted.
            path.write_text("".join(f"{json.dumps(event)}\n\n" for event in events))
        return path

    return write_file


LINES = st.lists(
    st.one_of(
        st.tuples(st.integers(0, 6), st.sampled_from(["incident", "tasks", "playbook"]), st.integers(0, 2)),
        st.sampled_from(["", "{broken", "[]", '{"event": "page_viewed"}']),
    ),
    max_size=8,
)


@pytest.mark.slow
@settings(max_examples=6)
@given(files=st.lists(LINES, min_size=2, max_size=3), order=st.randoms(use_true_random=False))
def test_files_give_the_same_log_one_by_one_in_whatever_order_they_come(make_event, files, order):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = []
        for number, lines in enumerate(files):
            told = []
            for line in lines:
                if isinstance(line, tuple):
                    n, kind, other = line
                    event = make_event(n, kind, **({"plan": "x"} if other == 1 else {}))
                    event["timestamp"] = event["timestamp"].replace("10:00:01", "10:00:00")
                    if other == 2:
                        event["properties"]["ServerVersion"] = "5.29.0"
                    told.append(json.dumps(event))
                else:
                    told.append(line)
            path = folder / f"{number}.jsonl"
            path.write_text("".join(f"{line}\n" for line in told))
            paths.append(path)
        order.shuffle(paths)
        for path in paths:
            audit = tk.convert_events(path, folder / "log", append=True)
        whole = tk.load_events(paths)
        assert_equal_logs(tk.load_events(folder / "log"), whole)
        pd.testing.assert_frame_equal(audit, whole.audit)


@pytest.mark.slow
def test_containers_of_every_kind_are_added(tmp_path, write):
    paths = [write("a.jsonl", 1, 2, 3), write("b.csv", 3, 4, (1, 1), form="csv"), write("c.jsonl", (2, 1), 4, 5)]
    for path in paths:
        tk.convert_events(path, tmp_path / "log", append=True)
    log = tk.load_events(tmp_path / "log")
    assert_equal_logs(log, tk.load_events(paths))
    # The record of the event that has the id is told, though its file was not read again.
    assert log.quarantine["reason"].str.contains('"message-2" is the id of record 3 of a.jsonl').any()


@pytest.mark.slow
def test_bounds_hold_for_all_of_a_log_and_can_be_others_later(tmp_path, write):
    paths = [write("a.jsonl", 1, 20, 40), write("b.jsonl", 40, 2, 50, 60)]
    bounds = {"since": "2020-11-02T10:00:10Z", "cutoff": "2020-11-02T10:00:45Z"}
    tk.convert_events(paths[0], tmp_path / "log", append=True, **bounds)
    tk.convert_events(paths[1], tmp_path / "log", append=True, **bounds)
    assert_equal_logs(tk.load_events(tmp_path / "log"), tk.load_events(paths, **bounds))
    tk.convert_events(paths, tmp_path / "log", append=True)
    assert_equal_logs(tk.load_events(tmp_path / "log"), tk.load_events(paths))


def test_a_log_that_begins_after_its_newest_event_is_empty_and_is_added_to(tmp_path, write):
    paths = [write("a.jsonl", 1, 2), write("b.jsonl", 3, 4)]
    since = "2020-11-02T10:00:03Z"
    tk.convert_events(paths[0], tmp_path / "log", append=True)
    tk.convert_events(paths[0], tmp_path / "log", append=True, since=since)
    log = tk.load_events(tmp_path / "log")
    assert (len(log.tasks), log.cutoff) == (0, pd.NaT)
    tk.convert_events(paths[1], tmp_path / "log", append=True, since=since)
    assert_equal_logs(tk.load_events(tmp_path / "log"), tk.load_events(paths, since=since))
    # As an earlier version wrote it.
    mark = tmp_path / "log" / "event-log.json"
    mark.write_text(json.dumps(json.loads(mark.read_text()) | {"cutoff": "2020-11-02T10:00:01Z"}))
    assert tk.load_events(tmp_path / "log").cutoff is pd.NaT


def test_a_folder_that_grows_is_read_as_far_as_it_is_new(tmp_path, write, monkeypatch, capsys):
    write("2020-11-01.jsonl", 1, 2)
    words = ["convert", str(tmp_path / "in"), "--out", str(tmp_path / "log"), "--append"]
    assert main(words) == 0
    write("2020-11-02.jsonl", 2, 3)
    write("_SUCCESS")
    read = []
    take_files = convert.take

    def noting(intake, source, folder, is_wanted):
        take_files(intake, source, folder, lambda path: is_wanted(path) and not read.append(path.name))

    monkeypatch.setattr(convert, "take", noting)
    assert main(words) == 0
    assert read == ["2020-11-02.jsonl"]
    before = (tmp_path / "log" / "event-log.json").read_bytes()
    assert main(words) == 0
    assert read == ["2020-11-02.jsonl"]
    assert (tmp_path / "log" / "event-log.json").read_bytes() == before
    assert_equal_logs(tk.load_events(tmp_path / "log"), tk.load_events(tmp_path / "in"))
    capsys.readouterr()


@pytest.mark.parametrize(("name", "n_read"), [("2020-11-03.jsonl", 1), ("2020-11-00.jsonl", 3)])
def test_a_store_takes_in_what_has_come_behind_and_is_made_anew_for_what_has_come_between(
    tmp_path, write, monkeypatch, name, n_read
):
    write("2020-11-01.jsonl", 1, 2)
    write("2020-11-02.jsonl", 3)
    source, store = tmp_path / "in", tmp_path / "store"
    tk.scan_events(source, store=store)
    write(name, 2, (3, 1), 4)
    read = []
    take_files = convert.take

    def noting(intake, source, folder, is_wanted):
        if isinstance(intake, convert.Intake):
            take_files(intake, source, folder, lambda path: is_wanted(path) and not read.append(path.name))
        else:
            take_files(intake, source, folder, is_wanted)

    monkeypatch.setattr(convert, "take", noting)
    log = tk.scan_events(source, store=store)
    assert len(read) == n_read
    assert_equal_logs(tk.load_events(store), tk.load_events(source))
    assert log.tasks.aggregate("count(*)").fetchall() == [(4,)]


@pytest.mark.parametrize("change", ["removed", "changed", "read into a frame"])
def test_a_store_does_not_replace_a_log_that_holds_what_its_source_has_no_more(tmp_path, write, change):
    path = write("2020-11-01.jsonl", 1)
    write("2020-11-02.jsonl", 2)
    source, log = tmp_path / "in", tmp_path / "log"
    tk.convert_events(source, log, append=True)
    write("2020-11-03.jsonl", 3)
    # What has come behind is added, and the log stays one of its own.
    assert len(tk.scan_events(source, store=log).audit) == 3
    before = (log / "event-log.json").read_bytes()
    if change == "removed":
        path.unlink()
    elif change == "changed":
        write("2020-11-01.jsonl", 4)
    else:
        source = {"tasks": tk.load_events(source).tasks}
    with pytest.raises(SourceError, match=r"^store: the event log in 'log' holds .*, and would lose it; ") as caught:
        tk.scan_events(source, store=log)
    assert "\n" not in str(caught.value)
    assert (log / "event-log.json").read_bytes() == before


def test_a_store_of_its_own_follows_its_source_until_files_are_added_to_it(tmp_path, write):
    path = write("2020-11-01.jsonl", 1)
    write("2020-11-02.jsonl", 2)
    source, store = tmp_path / "in", tmp_path / "store"
    tk.scan_events(source, store=store)
    path.unlink()
    tk.scan_events(source, store=store)
    assert_equal_logs(tk.load_events(store), tk.load_events(source))
    tk.convert_events(source, store, append=True)
    (source / "2020-11-02.jsonl").unlink()
    write("2020-11-03.jsonl", 3)
    with pytest.raises(
        SourceError, match=r"holds '2020-11-02\.jsonl', which the source does not have any more as it was"
    ):
        tk.scan_events(source, store=store)


def test_a_log_that_nothing_can_be_added_to_says_so_and_stays(tmp_path, write, monkeypatch):
    path = write("a.jsonl", 1)
    tk.convert_events(path, tmp_path / "log")
    with pytest.raises(SourceError, match="was not written to be added to; convert its sources once more, with append"):
        tk.convert_events(write("b.jsonl", 2), tmp_path / "log", append=True)
    with pytest.raises(SourceError, match="an event log cannot be added to another one"):
        tk.convert_events(tmp_path / "log", tmp_path / "other", append=True)
    tk.convert_events(path, tmp_path / "new", append=True)
    monkeypatch.setattr("importlib.metadata.version", lambda _: "99")
    with pytest.raises(SourceError, match=r"and this is 99, which may judge otherwise"):
        tk.convert_events(write("b.jsonl", 2), tmp_path / "new", append=True)
    assert len(tk.load_events(tmp_path / "new").tasks) == 1


def test_a_log_that_is_converted_anew_remembers_nothing_of_before(tmp_path, write):
    tk.convert_events(write("a.jsonl", 1), tmp_path / "log", append=True)
    tk.convert_events(write("b.jsonl", 2), tmp_path / "log")
    assert not (tmp_path / "log" / "arrived.parquet").exists()
    assert len(tk.load_events(tmp_path / "log").tasks) == 1


def test_a_log_in_the_cache_does_not_take_the_space_to_be_added_to(tmp_path, recordings, monkeypatch):
    source = recordings / "batch-bodies" / "oct2020.jsonl.gz"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tk.scan_events(source)
    assert list((tmp_path / "cache").rglob("incident.parquet"))
    assert not list((tmp_path / "cache").rglob(ARRIVED))
    tk.scan_events(source, store=tmp_path / "store")
    assert (tmp_path / "store" / ARRIVED).is_file()
