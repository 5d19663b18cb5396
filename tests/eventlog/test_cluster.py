"""A cluster that loads raw files comes to the same log as one machine, to the row."""

import gzip
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from compared_logs import SETTINGS, assert_same_log, assert_same_saved, start_session

import telemetry_kit as tk
from telemetry_kit.errors import SourceError
from telemetry_kit.eventlog.cluster import parts
from telemetry_kit.eventlog.cluster.sessions import cause_of
from telemetry_kit.eventlog.cluster.worker import copy_lines
from telemetry_kit.ingest import detection

needs_spark = pytest.mark.skipif(not importlib.util.find_spec("pyspark"), reason="the extra spark: make spark")
pytestmark = [pytest.mark.spark, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def running():
    session = start_session("local[2]")
    yield session
    session.stop()


@pytest.fixture
def session(running):
    """A session that keeps nothing of the logs of other tests."""
    yield running
    running.catalog.clearCache()


def write(folder, **files):
    for name, events in files.items():
        lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def compare(runner, master, recordings):
    """Run the comparison in a process of its own."""
    script = Path(__file__).parents[1] / "support" / "compared_logs.py"
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable}
    command = [*runner, script, master, recordings / "batch-bodies" / "prev.jsonl.gz"]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment)


@needs_spark
@pytest.mark.slow
def test_the_recordings_of_all_eras_load_alike(session, recordings):
    log = assert_same_log(recordings / "batch-bodies", session)
    assert len(log.incident)


@needs_spark
def test_an_event_that_comes_again_in_another_file_is_a_duplicate(session, tmp_path, make_event):
    write(tmp_path, a=[make_event(1), make_event(2)], b=[make_event(2), make_event(3), make_event(3)])
    log = assert_same_log(tmp_path, session)
    assert log.audit["n_duplicate"].tolist() == [0, 2]


@needs_spark
def test_an_id_of_another_event_is_rejected_with_the_place_of_the_first(session, tmp_path, make_event):
    other = make_event(1, IncidentID="incidentbbbbbbbbbbbbbbbbbb")
    write(tmp_path, a=["", make_event(1)], b=[make_event(1), other])
    log = assert_same_log(tmp_path, session)
    assert "record 2 of a.jsonl" in log.quarantine["reason"].item()


@needs_spark
def test_ties_across_files_come_in_the_order_in_which_they_can_have_happened(session, tmp_path, make_event):
    end = make_event(5, "incident", Action="end", IsActive=False) | {"messageId": "end"}
    create = make_event(5, "incident") | {"messageId": "create"}
    write(tmp_path, a=[end], b=[create])
    log = assert_same_log(tmp_path, session)
    assert log.incident["action"].tolist() == ["create", "end"]


@needs_spark
def test_bad_records_bad_files_and_what_lies_beside_cost_what_they_cost_on_one_machine(session, tmp_path, make_event):
    bad = make_event(2, "incident", NumChecklists="three")
    write(tmp_path, a=[make_event(1), "{broken", bad, make_event(4, "frontend"), make_event(5, Secret="x")])
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(json.dumps(make_event(6)).encode())[:-6])
    (tmp_path / "c.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / "empty.jsonl").touch()
    log = assert_same_log(tmp_path, session)
    assert log.audit["n_rejected"].sum() >= 3


@needs_spark
def test_large_files_of_lines_are_read_in_pieces_and_records_keep_their_numbers(
    session, tmp_path, make_event, monkeypatch
):
    events = [make_event(n) if n % 7 else f"broken {n}" for n in range(60)]
    write(tmp_path, large=[*events, "", make_event(3)])
    monkeypatch.setattr(detection, "IN_PLACE", 1)
    monkeypatch.setattr(parts, "PIECE", 3000)
    assert len(parts.list_parts(tmp_path, session, [])) > 3
    assert_same_log(tmp_path, session)


@needs_spark
def test_a_period_leaves_out_the_same_events(session, tmp_path, make_event):
    write(tmp_path, a=[make_event(n) for n in range(10)])
    log = assert_same_log(tmp_path, session, since="2020-11-02T10:00:03Z", cutoff="2020-11-02T10:00:07Z")
    assert (log.audit["n_before_since"].sum(), log.audit["n_after_cutoff"].sum()) == (3, 2)


@needs_spark
def test_an_address_that_spark_knows_is_a_source(session, tmp_path, make_event):
    write(tmp_path, a=[make_event(1)], b=[make_event(2)])
    log = tk.scan_events(f"file://{tmp_path}", spark=session)
    assert log.audit["source"].tolist() == ["a.jsonl", "b.jsonl"]
    assert log.tasks.count() == 2
    with pytest.raises(SourceError, match="cannot be read"):
        tk.scan_events(f"file://{tmp_path}/nowhere", spark=session)


@needs_spark
def test_analyses_run_on_what_the_cluster_loaded(session, recordings):
    source = recordings / "batch-bodies" / "prev.jsonl.gz"
    here, there = tk.load_events(source), tk.scan_events(source, spark=session)
    funnels = [tk.stage_funnel(tk.stage_visits(log.incident, cutoff=log.cutoff)) for log in (here, there)]
    assert funnels[0]["n_reached"].tolist() == funnels[1]["n_reached"].tolist()


@needs_spark
def test_parts_of_a_log_hold_the_same_events(session, recordings):
    source = recordings / "batch-bodies" / "prev.jsonl.gz"
    here, there = tk.load_events(source), tk.scan_events(source, spark=session)
    busiest = here.incident["server_id"].value_counts().idxmax()
    for asked in (
        {"exclude_servers": [busiest], "server_version": ">=5.28"},
        {"servers": [busiest], "plugin_version": ">=0.5", "since": "2020-10-18", "until": "2020-10-30"},
    ):
        wanted, got = here.filter(**asked), there.filter(**asked)
        assert 0 < len(wanted.tasks) < len(here.tasks)
        for kind in ("incident", "tasks", "playbook"):
            ids = tk.to_pandas(getattr(got, kind))["event_id"]
            assert sorted(ids) == sorted(getattr(wanted, kind)["event_id"]), (asked, kind)
        assert got.findings["detail"].to_list() == wanted.findings["detail"].to_list()


@needs_spark
@pytest.mark.slow
def test_executors_in_processes_of_their_own_load_alike(recordings):
    done = compare([sys.executable], "local-cluster[2,1,1024]", recordings)
    assert "saved and asked alike" in done.stdout, done.stderr[-2000:]


@needs_spark
@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("grpc"), reason="the extra spark: make spark")
def test_a_session_of_spark_connect_loads_asks_and_saves_alike(recordings):
    done = compare([sys.executable], "connect", recordings)
    assert "saved and asked alike" in done.stdout, done.stderr[-2000:]


@needs_spark
@pytest.mark.slow
def test_a_script_that_is_submitted_loads_asks_and_saves_alike(recordings):
    import pyspark

    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    settings = [word for key, value in SETTINGS.items() for word in ("--conf", f"{key}={value}")]
    done = compare([submit, "--master", "local[2]", *settings], "submitted", recordings)
    assert "saved and asked alike" in done.stdout, done.stderr[-2000:]


@needs_spark
def test_what_a_cluster_saves_is_what_was_loaded_however_it_is_opened(session, tmp_path, make_event):
    later = make_event(3) | {"timestamp": "2021-02-01T00:00:00Z"}
    (tmp_path / "dumps").mkdir()
    write(tmp_path / "dumps", b=[make_event(3), "{broken", make_event(2), later], a=[make_event(9), "{broken too"])
    here = tk.load_events(tmp_path / "dumps")
    target = tmp_path / "a=b [1] {ü}" / "log"
    # A log of one machine lies there: its files give way to folders, and these to files again.
    here.save(target)
    tk.scan_events(tmp_path / "dumps", spark=session).save(target)
    assert sorted(path.name for path in (target / "tasks.parquet").iterdir()) == ["month=2020-11"]
    assert_same_saved(here, target, session)
    bounds = {"since": "2020-11-02T10:00:03Z", "cutoff": "2020-11-02T10:00:05Z"}
    cut, there = tk.load_events(target, **bounds), tk.scan_events(target, spark=session, **bounds)
    pd.testing.assert_frame_equal(there.audit, cut.audit)
    assert there.tasks.count() == len(cut.tasks) == 1
    tk.convert_events(target, tmp_path / "copy")
    assert_same_saved(here, tmp_path / "copy", session)
    here.save(target)
    assert_same_saved(here, target, session)


@needs_spark
def test_a_folder_of_months_that_is_not_whole_is_told(session, tmp_path, make_event):
    write(tmp_path, a=[make_event(1), make_event(2)])
    log = tk.scan_events(tmp_path / "a.jsonl", spark=session)
    log.save(tmp_path / "log")
    (part,) = (tmp_path / "log" / "tasks.parquet").rglob("*.parquet")
    part.unlink()
    for opened in (tk.load_events, tk.scan_events, lambda folder: tk.scan_events(folder, spark=session)):
        with pytest.raises(SourceError, match=r"tasks\.parquet"):
            opened(tmp_path / "log")


@needs_spark
@pytest.mark.slow
def test_convert_writes_on_a_cluster_what_it_writes_on_one_machine(tmp_path, make_event):
    write(tmp_path, events=[make_event(1), make_event(1), "{broken", make_event(5, "incident")])
    command = [sys.executable, "-m", "telemetry_kit", "convert", tmp_path / "events.jsonl", "--out"]
    here, there = (
        subprocess.run([*command, tmp_path / f"log{n}", *more], check=False, capture_output=True, text=True)
        for n, more in enumerate(([], ["--spark", "local[2]"]))
    )
    assert (there.returncode, there.stdout) == (here.returncode, here.stdout), there.stderr
    assert "telemetry-kit:" not in there.stderr
    logs = [tk.load_events(tmp_path / f"log{n}") for n in range(2)]
    for part in ("incident", "tasks", "playbook", "quarantine", "audit", "findings"):
        pd.testing.assert_frame_equal(getattr(logs[1], part), getattr(logs[0], part))


def test_what_spark_says_in_pages_is_told_in_one_line():
    java = "Job aborted\n\tat org.apache.spark.X\nCaused by: java.io.IOException: disk full\n\tat java.Y"
    python = "[PYTHON_EXCEPTION] of a worker:\nModuleNotFoundError: No module named 'pandas'\n\n\tat o.a"
    assert cause_of(Exception(java)) == "java.io.IOException: disk full"
    assert cause_of(Exception(python)) == "ModuleNotFoundError: No module named 'pandas'"
    assert cause_of(Exception("no more than this")) == "no more than this"
    assert cause_of(Exception()) == "Exception"


def test_pieces_hold_every_line_once(tmp_path):
    text = "".join(f"line {n}\n" for n in range(100)) + "the last has no end"
    (tmp_path / "all").write_text(text)
    for size in (1, 7, 8, 50, 10_000):
        found = b""
        for start in range(0, len(text), size):
            copy_lines(tmp_path / "all", start, min(start + size, len(text)), tmp_path / "piece")
            found += (tmp_path / "piece").read_bytes()
        assert found.decode() == text
