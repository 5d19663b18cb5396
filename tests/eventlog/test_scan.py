"""A scanned log stays on disk, and says what a loaded one says."""

import gzip
import json
import threading

import duckdb
import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit import engine, schemas
from telemetry_kit.engine import connections
from telemetry_kit.errors import ParameterError, ResourceError, SourceError


@pytest.fixture(scope="module")
def source(recordings, tmp_path_factory):
    """A recording with some damage in it."""
    lines = gzip.decompress((recordings / "batch-bodies" / "prev.jsonl.gz").read_bytes()).splitlines(keepends=True)
    path = tmp_path_factory.mktemp("source") / "prev.jsonl"
    path.write_bytes(b"".join([*lines[:5], lines[5][:80] + b"\n", b"[]\n", *lines[6:]]))
    return path


@pytest.fixture(scope="module")
def loaded(source):
    return tk.load_events(source)


@pytest.fixture(scope="module")
def scanned(source, tmp_path_factory):
    return tk.scan_events(source, store=tmp_path_factory.mktemp("store"))


def at_home(relation, kind):
    frame = tk.to_pandas(relation).drop(columns=engine.ARRIVAL)
    return schemas.with_categories(frame, kind)


def assert_equal_logs(scanned, loaded):
    for kind in schemas.EVENT_TYPES:
        pd.testing.assert_frame_equal(at_home(getattr(scanned, kind), kind), getattr(loaded, kind))
    pd.testing.assert_frame_equal(tk.to_pandas(scanned.quarantine), loaded.quarantine, check_dtype=False)
    pd.testing.assert_frame_equal(scanned.findings, loaded.findings)
    assert scanned.cutoff == loaded.cutoff or (scanned.cutoff is pd.NaT and loaded.cutoff is pd.NaT)


def test_it_holds_what_a_loaded_log_holds(scanned, loaded):
    assert len(loaded.quarantine) == 2
    assert_equal_logs(scanned, loaded)
    pd.testing.assert_frame_equal(scanned.audit, loaded.audit)
    assert repr(scanned) == repr(loaded)
    assert scanned._repr_html_() == loaded._repr_html_()


def test_its_events_are_lazy(scanned):
    for kind in schemas.EVENT_TYPES:
        assert isinstance(nw.from_native(getattr(scanned, kind)), nw.LazyFrame)
    visits = tk.stage_visits(scanned.incident, cutoff=scanned.cutoff)
    assert isinstance(visits, duckdb.DuckDBPyRelation)
    assert isinstance(tk.persist(visits), duckdb.DuckDBPyRelation)


def test_its_cases_are_those_of_a_loaded_log(scanned, loaded):
    pd.testing.assert_frame_equal(tk.to_pandas(scanned.to_frame()), tk.to_pandas(loaded.to_frame()))


def test_a_log_without_events_can_be_scanned(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    log = tk.scan_events(tmp_path / "empty.jsonl", store=tmp_path / "store")
    assert_equal_logs(log, tk.load_events(tmp_path / "empty.jsonl"))
    assert repr(log).startswith("EventLog: 0 valid events of 0 servers\n")
    assert len(tk.server_activity(log)) == 0


def test_events_of_one_moment_keep_the_order_of_their_arrival(make_event, tmp_path):
    # By its id, the last would come first.
    stages = [0, 1, 0, 2]
    events = [make_event(5, "incident", Action="change_stage", ActiveStage=stage) for stage in stages]
    for number, event in enumerate(events):
        event["messageId"] = f"message-{9 - number}"
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    frames = [log.incident for log in (tk.load_events(tmp_path), tk.scan_events(tmp_path, store=tmp_path / "store"))]
    for visits in (tk.stage_visits(frame, cutoff="2020-11-03") for frame in frames):
        assert tk.to_pandas(visits)["stage"].to_list() == stages


# The cutoff -----------------------------------------------------------------------------------------------------------


def test_a_cutoff_leaves_later_events_out_and_counts_them(source, tmp_path):
    cut = tk.scan_events(source, store=tmp_path / "store", cutoff="2020-10-20")
    whole = tk.load_events(source, cutoff="2020-10-20")
    assert_equal_logs(cut, whole)
    np.testing.assert_array_equal(cut.audit.drop(columns="source"), whole.audit.drop(columns="source"))
    assert cut.audit["source"].to_list() == ["store"]


def test_a_cutoff_after_all_events_changes_nothing_but_itself(source, scanned, tmp_path):
    later = tk.scan_events(source, store=tmp_path / "store", cutoff="2030-01-01")
    assert later.cutoff == pd.Timestamp("2030-01-01", tz="UTC")
    pd.testing.assert_frame_equal(later.audit, scanned.audit)


def test_a_store_that_was_cut_off_cannot_be_looked_at_beyond(source, tmp_path):
    tk.convert_events(source, tmp_path / "store", cutoff="2020-10-20")
    with pytest.raises(ParameterError, match=r"cutoff: got '2020-12-01.*expected a moment up to 2020-10-20"):
        tk.scan_events(tmp_path / "store", cutoff="2020-12-01")


def test_since_leaves_earlier_events_out_and_counts_them(source, tmp_path):
    bounds = {"since": "2020-10-18", "cutoff": "2020-10-20"}
    cut, whole = tk.scan_events(source, store=tmp_path / "store", **bounds), tk.load_events(source, **bounds)
    assert_equal_logs(cut, whole)
    assert cut.since == whole.since == pd.Timestamp("2020-10-18", tz="UTC")
    assert cut.audit["n_before_since"].item() > 0
    np.testing.assert_array_equal(cut.audit.drop(columns="source"), whole.audit.drop(columns="source"))


def test_a_store_that_begins_later_cannot_be_looked_at_before(source, tmp_path):
    tk.convert_events(source, tmp_path / "store", since="2020-10-18")
    assert tk.scan_events(tmp_path / "store").since == pd.Timestamp("2020-10-18", tz="UTC")
    with pytest.raises(ParameterError, match=r"since: got '2020-10-01.*expected a moment from 2020-10-18"):
        tk.scan_events(tmp_path / "store", since="2020-10-01")


# The store ------------------------------------------------------------------------------------------------------------


def written_at(folder):
    return (folder / "event-log.json").stat().st_mtime_ns


def test_the_store_is_used_again_while_the_source_is_the_same(source, tmp_path):
    copy, store = tmp_path / "events.jsonl", tmp_path / "store"
    copy.write_bytes(source.read_bytes())
    n_events = tk.n_distinct(tk.scan_events(copy, store=store).incident)
    first = written_at(store)
    copy.touch()
    assert tk.n_distinct(tk.scan_events(copy, store=store).incident) == n_events
    assert written_at(store) == first
    with copy.open("ab") as stream:
        stream.write(b"junk\n")
    log = tk.scan_events(copy, store=store)
    assert written_at(store) != first
    assert log.audit["n_rejected"].sum() == 3


def test_what_convert_wrote_is_used(source, loaded, tmp_path):
    tk.convert_events(source, tmp_path / "store")
    first = written_at(tmp_path / "store")
    assert_equal_logs(tk.scan_events(source, store=tmp_path / "store"), loaded)
    assert_equal_logs(tk.scan_events(tmp_path / "store"), loaded)
    assert written_at(tmp_path / "store") == first


def test_a_store_that_left_something_out_is_made_anew(source, loaded, tmp_path):
    tk.convert_events(source, tmp_path / "store", cutoff="2020-10-20")
    assert_equal_logs(tk.scan_events(source, store=tmp_path / "store"), loaded)


def test_by_default_the_store_lies_in_the_users_cache_one_for_each_source(source, loaded, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert_equal_logs(tk.scan_events(source), loaded)
    monkeypatch.chdir(source.parent)
    tk.scan_events(source.name)
    assert len(list((tmp_path / "telemetry-kit").iterdir())) == 1
    tk.scan_events(str(source.parent / "*.jsonl"))
    assert len(list((tmp_path / "telemetry-kit").iterdir())) == 2


def test_frames_need_a_store(loaded, tmp_path):
    with pytest.raises(ParameterError, match="store: got None, expected a directory"):
        tk.scan_events(loaded.incident)
    log = tk.scan_events({"tasks": loaded.tasks}, store=tmp_path / "store")
    assert tk.n_distinct(log.tasks) == len(loaded.tasks)


def test_a_scanned_log_can_be_saved_even_where_it_lies(source, tmp_path):
    store, half = tmp_path / "store", "2020-10-20"
    cut = tk.scan_events(source, store=store, cutoff=half)
    cut.save(tmp_path / "saved")
    cut.save(store)
    for folder in (tmp_path / "saved", store):
        assert_equal_logs(tk.scan_events(folder), tk.load_events(source, cutoff=half))
        parts = (*schemas.EVENT_TYPES, "audit", "quarantine", "seen")
        assert {path.name for path in folder.iterdir()} == {"event-log.json", *(f"{part}.parquet" for part in parts)}


DAMAGE = {
    "a missing part": lambda folder: (folder / "tasks.parquet").unlink(),
    "a broken part": lambda folder: (folder / "tasks.parquet").write_bytes(b"PAR1"),
    "another table": lambda folder: (folder / "seen.parquet").write_bytes((folder / "audit.parquet").read_bytes()),
    "another frame": lambda folder: (folder / "incident.parquet").write_bytes((folder / "tasks.parquet").read_bytes()),
    "rows missing": lambda folder: pd.read_parquet(folder / "tasks.parquet")[:5].to_parquet(folder / "tasks.parquet"),
    "a broken mark": lambda folder: (folder / "event-log.json").write_text("{"),
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", list(DAMAGE))
def test_a_damaged_store_is_one_clear_line(source, tmp_path, damage):
    tk.convert_events(source, tmp_path / "store")
    DAMAGE[damage](tmp_path / "store")
    with pytest.raises(SourceError, match="source: the saved log in 'store' cannot be read: ") as caught:
        tk.scan_events(tmp_path / "store")
    assert "\n" not in str(caught.value)


def test_a_cache_that_cannot_be_written_is_told_with_its_place(source, tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ResourceError, match=r"cannot be written.*it lies in '.*cache/telemetry-kit', and store= names"):
        tk.scan_events(source)


def test_an_amount_of_memory_has_to_be_one(source):
    with pytest.raises(ParameterError, match="memory_limit: got 'much', expected an amount of memory"):
        tk.scan_events(source, memory_limit="much")


def memory_after(*limits):
    """The limit of memory that a new thread has after it scanned with each of these limits."""
    told = []

    def scan():
        for limit in limits:
            tk.scan_events(tk.samples() / "recorded-autumn", memory_limit=limit)
        told.extend(connections.shared_connection().execute("SELECT current_setting('memory_limit')").fetchall())

    thread = threading.Thread(target=scan)
    thread.start()
    thread.join()
    return told[0][0]


def test_analyses_have_two_gigabytes_of_memory_unless_something_else_is_asked_of_their_thread():
    assert memory_after(None) == "1.8 GiB"
    assert memory_after("123MB") == "117.3 MiB"
    assert memory_after("123MB", None) == "117.3 MiB"
    assert memory_after(None, "3GB") == "2.7 GiB"


def test_where_a_machine_has_little_memory_the_limit_stays_as_it_is(monkeypatch):
    connect = connections.connect

    def on_a_small_machine(path=None):
        connection = connect(path)
        connection.execute("SET memory_limit = '500MB'")
        return connection

    monkeypatch.setattr(connections, "connect", on_a_small_machine)
    assert memory_after(None) == "476.8 MiB"
