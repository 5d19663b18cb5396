"""Converting writes what loading gives, and leaves nothing half done."""

import gzip
import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

import telemetry_kit as tk
from telemetry_kit import schemas
from telemetry_kit.errors import ParameterError, SourceError
from telemetry_kit.eventlog import convert


def assert_equal_logs(left, right):
    for part in (*schemas.EVENT_TYPES, "quarantine", "audit", "seen"):
        pd.testing.assert_frame_equal(getattr(left, part), getattr(right, part))
    assert left.cutoff == right.cutoff


@pytest.mark.parametrize("source", ["prev.jsonl.gz", "later.jsonl.gz", "python-sdk-2.1.9.jsonl"])
def test_a_converted_source_loads_as_the_source_itself(recordings, tmp_path, source):
    source = recordings / "batch-bodies" / source
    audit = tk.convert_events(source, tmp_path / "log")
    converted = tk.load_events(tmp_path / "log")
    assert_equal_logs(converted, tk.load_events(source))
    pd.testing.assert_frame_equal(audit, converted.audit)


@pytest.mark.parametrize("at_a_time", [1, 7, 400])
def test_events_that_are_sorted_period_by_period_are_in_order(recordings, tmp_path, monkeypatch, at_a_time):
    source = recordings / "batch-bodies" / "prev.jsonl.gz"
    monkeypatch.setattr(convert, "SORTED_AT_A_TIME", at_a_time)
    tk.convert_events(source, tmp_path / "log")
    assert_equal_logs(tk.load_events(tmp_path / "log"), tk.load_events(source))


def test_categories_are_text_in_the_files(recordings, tmp_path):
    tk.convert_events(recordings / "batch-bodies" / "prev.jsonl.gz", tmp_path / "log")
    kinds = pq.read_schema(tmp_path / "log" / "tasks.parquet")
    assert {str(kinds.field(name).type) for name in ("action", "new_state", "server_id")} == {"string"}
    assert str(kinds.field("event_timestamp").type) == "timestamp[us, tz=UTC]"


def test_rejected_records_are_kept_with_their_place(recordings, tmp_path):
    recorded = gzip.decompress((recordings / "batch-bodies" / "prev.jsonl.gz").read_bytes())
    lines = recorded.decode().splitlines()[:20]
    damaged = tmp_path / "damaged.jsonl"
    damaged.write_text("\n".join([*lines[:5], lines[5][:80], "[]", *lines[6:]]) + "\n")
    tk.convert_events(damaged, tmp_path / "log")
    quarantine = tk.load_events(tmp_path / "log").quarantine
    assert quarantine["record"].tolist() == [6, 7]
    assert quarantine["raw"].tolist() == [lines[5][:80], "[]"]


@pytest.mark.parametrize("n_bytes", [1, 200, 5_000])
def test_rejected_records_that_are_sorted_part_by_part_are_in_order(make_event, tmp_path, monkeypatch, n_bytes):
    # What has the id of another event is rejected behind everything else, and belongs between the others.
    for name in ("a", "b", "c"):
        lines = [json.dumps(make_event(n % 20, IncidentID=f"i{n}")) + "!" * (n % 3 == 0) for n in range(60)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    monkeypatch.setattr(convert, "SORTED_BYTES", n_bytes)
    monkeypatch.setattr(convert, "REJECTED_AT_A_TIME", 7)
    source = [tmp_path / "c.jsonl", tmp_path / "a.jsonl"]
    tk.convert_events(source, tmp_path / "log", append=True)
    stored = tk.load_events(tmp_path / "log")
    assert len(stored.quarantine) > 80
    assert_equal_logs(stored, tk.load_events(source))
    tk.convert_events([*source, tmp_path / "b.jsonl"], tmp_path / "log", append=True)
    assert_equal_logs(tk.load_events(tmp_path / "log"), tk.load_events([*source, tmp_path / "b.jsonl"]))


def test_the_cutoff_leaves_later_events_out_and_counts_them(recordings, tmp_path):
    source = recordings / "batch-bodies" / "prev.jsonl.gz"
    audit = tk.convert_events(source, tmp_path / "log", cutoff="2020-10-20")
    assert audit["n_after_cutoff"].sum() > 0
    assert_equal_logs(tk.load_events(tmp_path / "log"), tk.load_events(source, cutoff="2020-10-20"))


def test_what_is_before_since_is_left_out_and_counted(recordings, tmp_path):
    source, bounds = recordings / "batch-bodies" / "prev.jsonl.gz", {"since": "2020-10-18", "cutoff": "2020-10-20"}
    audit = tk.convert_events(source, tmp_path / "log", **bounds)
    assert audit["n_before_since"].sum() > 0
    assert_equal_logs(tk.load_events(tmp_path / "log"), tk.load_events(source, **bounds))
    tk.convert_events(source, tmp_path / "whole")
    tk.convert_events(tmp_path / "whole", tmp_path / "copy", **bounds)
    assert tk.load_events(tmp_path / "copy").since == pd.Timestamp("2020-10-18", tz="UTC")
    for kind in schemas.EVENT_TYPES:
        assert len(getattr(tk.load_events(tmp_path / "copy"), kind)) == audit[f"n_{kind}"].sum()


def test_a_source_without_events_gives_an_empty_log(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    tk.convert_events(tmp_path / "empty.jsonl", tmp_path / "log")
    log = tk.load_events(tmp_path / "log")
    assert [len(getattr(log, kind)) for kind in schemas.EVENT_TYPES] == [0, 0, 0]
    assert log.cutoff is pd.NaT


def test_an_event_log_is_replaced_and_any_other_directory_is_not(recordings, tmp_path):
    source = recordings / "batch-bodies" / "prev.jsonl.gz"
    tk.convert_events(source, tmp_path / "log")
    tk.convert_events(source, tmp_path / "log")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(SourceError, match="'mine' holds other files"):
        tk.convert_events(source, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()


def test_a_converted_log_is_copied_up_to_a_cutoff(recordings, tmp_path):
    source = recordings / "batch-bodies" / "prev.jsonl.gz"
    tk.convert_events(source, tmp_path / "log")
    tk.convert_events(tmp_path / "log", tmp_path / "copy")
    assert_equal_logs(tk.load_events(tmp_path / "copy"), tk.load_events(source))
    audit = tk.convert_events(tmp_path / "log", tmp_path / "cut", cutoff="2020-10-20")
    assert_equal_logs(tk.load_events(tmp_path / "cut"), tk.load_events(tmp_path / "log", cutoff="2020-10-20"))
    pd.testing.assert_frame_equal(audit, tk.load_events(tmp_path / "cut").audit)


def test_a_missing_source_leaves_nothing_behind(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        tk.convert_events(tmp_path / "nowhere", tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_the_folder_where_one_works_is_told_as_a_dot(recordings, tmp_path, monkeypatch):
    (tmp_path / "thesis.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=r"directory: '\.' holds other files, such as 'thesis\.txt'"):
        tk.convert_events(recordings / "batch-bodies" / "prev.jsonl.gz", ".")


def test_an_amount_of_memory_has_to_be_one(recordings, tmp_path):
    with pytest.raises(ParameterError, match="memory_limit: got 'a lot'"):
        tk.convert_events(recordings / "batch-bodies" / "prev.jsonl.gz", tmp_path / "log", memory_limit="a lot")


def test_too_little_memory_is_one_clear_line(recordings, tmp_path):
    with pytest.raises(
        ParameterError, match="memory_limit: got '1MB', expected more, because DuckDB ran out of memory"
    ):
        tk.convert_events(recordings / "batch-bodies" / "oct2020.jsonl.gz", tmp_path / "log", memory_limit="1MB")
    assert not (tmp_path / "log").exists()
