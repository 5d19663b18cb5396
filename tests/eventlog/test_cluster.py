"""A cluster that loads raw files comes to the same log as one machine, to the row."""

import gzip
import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
from compared_logs import assert_same_log, start_session

import telemetry_kit as tk
from telemetry_kit.errors import SourceError
from telemetry_kit.eventlog.cluster import parts
from telemetry_kit.eventlog.cluster.worker import copy_lines
from telemetry_kit.ingest import detection

needs_spark = pytest.mark.skipif(not importlib.util.find_spec("pyspark"), reason="the extra spark: make spark")
pytestmark = [pytest.mark.spark, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def session():
    session = start_session("local[2]")
    yield session
    session.stop()


def write(folder, **files):
    for name, events in files.items():
        lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


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
        {"servers": [busiest], "plugin_version": "<1", "since": "2020-10-18", "until": "2020-10-30"},
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
    script = Path(__file__).parents[1] / "support" / "compared_logs.py"
    source = recordings / "batch-bodies" / "prev.jsonl.gz"
    done = subprocess.run([sys.executable, script, source], check=False, capture_output=True, text=True)
    assert "the same" in done.stdout, done.stderr[-2000:]


def test_pieces_hold_every_line_once(tmp_path):
    text = "".join(f"line {n}\n" for n in range(100)) + "the last has no end"
    (tmp_path / "all").write_text(text)
    for size in (1, 7, 8, 50, 10_000):
        found = b""
        for start in range(0, len(text), size):
            copy_lines(tmp_path / "all", start, min(start + size, len(text)), tmp_path / "piece")
            found += (tmp_path / "piece").read_bytes()
        assert found.decode() == text
