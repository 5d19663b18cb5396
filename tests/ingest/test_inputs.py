"""The files of a source are known by their names in the audit, and by their content."""

import json
import os

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.ingest import intake
from telemetry_kit.ingest.inputs import are_unchanged, describe_files, input_files, is_of_files


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.jsonl").write_text("one")
    (tmp_path / "logs" / "b.jsonl").write_text("two")
    return tmp_path / "logs"


def test_files_have_the_names_of_the_audit(folder):
    for source in (folder, [folder, folder / "a.jsonl"], str(folder / "*.jsonl")):
        names = [name for name, _ in input_files(source)]
        assert names == tk.load_events(source).audit["source"].to_list()
    assert [name for name, _ in input_files([folder, folder / "a.jsonl"])] == [
        "logs/a.jsonl", "logs/b.jsonl", "a.jsonl",
    ]  # fmt: skip


def test_of_a_saved_log_among_others_its_events_are_read(recordings, tmp_path):
    prev = recordings / "batch-bodies" / "prev.jsonl.gz"
    tk.convert_events(prev, tmp_path / "all" / "log")
    later = recordings / "batch-bodies" / "later.jsonl.gz"
    log = tk.load_events([tmp_path / "all", later])
    assert log.audit["source"].to_list() == [
        "all/log/incident.parquet", "all/log/playbook.parquet", "all/log/tasks.parquet", "later.jsonl.gz",
    ]  # fmt: skip
    assert log.audit["n_rejected"].sum() == 0
    assert len(log.incident) == len(tk.load_events([prev, later]).incident)


def test_only_files_tell_by_their_content_whether_they_are_the_same(folder):
    assert is_of_files([folder, "*.jsonl"])
    assert not is_of_files([folder, "postgresql://db.example/telemetry"])
    assert not is_of_files({"incident": None})


def test_unchanged_files_are_known_again(folder):
    known = describe_files(input_files(folder))
    assert are_unchanged(known, input_files(folder))
    # Written again with the same content, which only its digest can tell.
    (folder / "a.jsonl").write_text("one")
    os.utime(folder / "a.jsonl", ns=(1, 1))
    assert are_unchanged(known, input_files(folder))


def change_content(folder):
    (folder / "a.jsonl").write_text("ONE")
    os.utime(folder / "a.jsonl", ns=(1, 1))


CHANGES = {
    "other content of the same size": change_content,
    "more content": lambda folder: (folder / "b.jsonl").write_text("two more"),
    "one more file": lambda folder: (folder / "c.jsonl").write_text("three"),
    "one file less": lambda folder: (folder / "b.jsonl").unlink(),
    "another name": lambda folder: (folder / "b.jsonl").rename(folder / "c.jsonl"),
}


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_change_is_seen(folder, change):
    known = describe_files(input_files(folder))
    CHANGES[change](folder)
    assert not are_unchanged(known, input_files(folder))


def test_a_file_that_cannot_be_read_is_never_taken_as_unchanged(folder):
    (folder / "gone.jsonl").symlink_to(folder / "nowhere")
    files = input_files(folder)
    known = describe_files(files)
    assert [entry["sha256"] == "" for entry in known] == [False, False, True]
    assert not are_unchanged(known, files)


def test_a_file_that_changes_while_it_is_read_is_named(tmp_path, make_event, monkeypatch):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(make_event(1)) + "\n")
    take_lines = intake.Intake.take_lines

    def growing(self, lines):
        take_lines(self, lines)
        with path.open("a") as stream:
            stream.write(json.dumps(make_event(2)) + "\n")

    monkeypatch.setattr(intake.Intake, "take_lines", growing)
    log = tk.load_events(tmp_path)
    told = log.findings.set_index("finding")["detail"]
    assert told["file that changed while it was read"] == "a.jsonl"


def test_a_table_of_many_unknown_columns_takes_no_more_queries_than_one_of_few(make_event, monkeypatch):
    asked = []
    note = intake.Intake.note_unknown
    monkeypatch.setattr(intake.Intake, "note_unknown", lambda self, query: (asked.append(query), note(self, query)))
    event = make_event(1)
    properties = event.pop("properties")
    frame = pd.DataFrame([properties | event | {"messageId": name} for name in "abc"])
    counts = []
    for n in (2, 1000):
        wide = pd.concat([frame, pd.DataFrame({f"x{k}": [1, 2, 3] for k in range(n)})], axis=1)
        log = tk.load_events(wide)
        assert (log.findings["finding"] == "unknown property").sum() == n
        counts.append(len(asked))
        asked.clear()
    assert counts[0] == counts[1]
