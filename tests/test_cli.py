"""The command line: exit statuses, one line for a mistake, and nothing loaded that is not needed."""

import gzip
import importlib.util
import json
import os
import subprocess
import sys

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.cli import main

HEAVY = ("matplotlib", "seaborn", "nbconvert", "nbclient", "scipy.stats", "polars")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    path = tmp_path_factory.mktemp("simulated") / "events.jsonl"
    assert main(["simulate", "--out", str(path), "--events", "300", "--seed", "1"]) == 0
    return path


@pytest.fixture
def damaged(simulated, tmp_path):
    """300 lines, three of them cut short."""
    lines = simulated.read_text().splitlines()
    path = tmp_path / "damaged.jsonl"
    path.write_text("\n".join([*(line[:50] for line in lines[:3]), *lines[3:]]) + "\n")
    return path


def mistake(capsys, *arguments):
    """Run a command that must fail with status 2, and return its one line."""
    try:
        status = main(list(arguments))
    except SystemExit as exit_:
        status = exit_.code
    assert status == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


def test_help_loads_no_heavy_library():
    code = f"""
import sys
from telemetry_kit.cli import main
try:
    main(["--help"])
except SystemExit as done:
    assert done.code == 0
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.startswith("usage: telemetry-kit")
    assert shown.splitlines()[-1] == ""


@pytest.mark.parametrize("command", ["report", "validate", "convert", "simulate", "schema"])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as done:
        main([command, "--help"])
    assert done.value.code == 0
    assert f"telemetry-kit {command}" in capsys.readouterr().out


def test_the_module_runs_as_the_command_does():
    run = subprocess.run(
        [sys.executable, "-m", "telemetry_kit", "--version"], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["telemetry-kit", "0.1.0"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: COMMAND"),
        (["dance"], "dance"),
        (["report", "x.jsonl"], "required: --out"),
        (["validate", "nowhere.jsonl"], "'nowhere.jsonl' does not exist"),
        (["validate", "*.nothing"], "no file matches '*.nothing'"),
        (["validate", "x", "--max-rejected", "2"], "--max-rejected: got 2.0, expected a share between 0 and 1"),
        (["validate", "x", "--max-rejected", "many"], "invalid float value: 'many'"),
        (["convert", "nowhere", "--out", "x"], "'nowhere' does not exist"),
        (["convert", ".", "--out", "x", "--cutoff", "soon"], "cutoff: got 'soon'"),
        (["convert", ".", "--out", "x", "--memory-limit", "much"], "memory_limit: got 'much'"),
        (
            ["convert", ".", "--out", "x", "--spark", "loca1"],
            "--spark: got 'loca1', expected a master of Spark: local[2]",
        ),
        (["convert", ".", "--out", "x", "--spark", "local[2]", "--append"], "--append: not allowed with"),
        (["convert", ".", "--out", "x", "--spark", "yarn", "--memory-limit", "1GB"], "none with --spark"),
        (["convert", ".", "--out", "s3a://x/y", "--spark", "yarn"], "directory: got 's3a://x/y', expected a path"),
        (["convert", ".", "--out", "x", "--spark", "yarn", "--cutoff", "soon"], "cutoff: got 'soon'"),
        (["simulate", "--out", "x", "--events", "0", "--seed", "1"], "n_events: got 0"),
        (["simulate", "--out", "x", "--events", "9", "--seed", "1", "--era", "1999"], "era: got '1999'"),
        (["simulate", "--out", "x", "--events", "9", "--seed", "1", "--faults", "lost"], "NAME=SHARE"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = mistake(capsys, *arguments)
    assert line.startswith("telemetry-kit")
    assert words in line


def test_a_machine_without_spark_or_java_is_told_what_is_missing(simulated, capsys, tmp_path, monkeypatch):
    command = ["convert", str(simulated), "--out", str(tmp_path / "log"), "--spark", "local[2]"]
    if importlib.util.find_spec("pyspark"):
        monkeypatch.setenv("JAVA_HOME", str(tmp_path))
        assert "no Java is on this machine" in mistake(capsys, *command)
    monkeypatch.setitem(sys.modules, "py4j.protocol", None)
    assert "--spark needs the extra 'spark'" in mistake(capsys, *command)
    assert not (tmp_path / "log").exists()


def test_a_place_that_cannot_be_written_is_a_mistake(simulated, capsys, tmp_path):
    (tmp_path / "file").touch()
    line = mistake(capsys, "validate", str(simulated), "--quarantine", str(tmp_path / "file" / "q.jsonl"))
    assert "q.jsonl' cannot be written: Not a directory" in line


def test_validate_prints_what_became_of_every_record(simulated, capsys):
    assert main(["validate", str(simulated)]) == 0
    captured = capsys.readouterr()
    header, counts = (line.split() for line in captured.out.splitlines()[2:4])
    audit = dict(zip(header, counts, strict=True))
    assert audit["source"] == "events.jsonl"
    assert audit["n_read"] == "300"
    assert "0 of 300 records rejected (0.00%)" in captured.out
    assert captured.err == ""


def test_validate_adds_up_several_files(simulated, damaged, capsys):
    assert main(["validate", str(simulated), str(damaged)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 of 600 records rejected (0.50%)"
    assert lines[3].split()[:3] == ["in", "all", "600"]
    assert lines[-1] == "exit status 1: 0.50% of the records were rejected, more than --max-rejected 0"


def test_validate_folds_many_files_by_folder(simulated, tmp_path, capsys):
    for number in range(30):
        path = tmp_path / "logs" / f"{number % 2}" / f"{number}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{{"not an event": {number}}}\n')
    assert main(["validate", str(tmp_path / "logs")]) == 1
    captured = capsys.readouterr().out
    assert "0/ (15 files)" in captured
    assert "1/ (15 files)" in captured
    assert "29.jsonl" not in captured


@pytest.mark.parametrize(("share", "status"), [("0", 1), ("0.009", 1), ("0.01", 0), ("1", 0)])
def test_validate_fails_when_more_than_the_share_is_rejected(damaged, share, status):
    assert main(["validate", str(damaged), "--max-rejected", share]) == status


def test_validate_writes_the_rejected_records(damaged, tmp_path):
    out = tmp_path / "quarantine.jsonl"
    main(["validate", str(damaged), "--quarantine", str(out)])
    rejected = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["record"] for row in rejected] == [1, 2, 3]
    assert list(rejected[0]) == ["source", "record", "event_type", "reason", "raw"]


def test_a_source_without_events_has_status_1(tmp_path, capsys):
    (tmp_path / "empty.jsonl").touch()
    assert main(["validate", str(tmp_path / "empty.jsonl")]) == 1
    captured = capsys.readouterr().out
    assert "0 of 0 records rejected" in captured
    assert "exit status 1: no event of these types was read" in captured
    assert main(["convert", str(tmp_path / "empty.jsonl"), "--out", str(tmp_path / "store")]) == 1
    assert "no event is there" in capsys.readouterr().err


def test_a_name_cannot_command_the_terminal(simulated, tmp_path, capsys):
    path = tmp_path / "\x1b[2Jevil.jsonl"
    path.write_bytes(simulated.read_bytes())
    main(["validate", str(path)])
    main(["validate", str(tmp_path / "\x1b[2Jgone")])
    captured = capsys.readouterr()
    assert "\x1b" not in captured.out + captured.err
    assert "\\x1b[2Jevil.jsonl" in captured.out


def test_convert_writes_what_loading_gives(damaged, tmp_path, capsys):
    assert main(["convert", str(damaged), "--out", str(tmp_path / "log")]) == 0
    assert "3 of 300 records rejected (1.00%)" in capsys.readouterr().out
    converted, loaded = tk.load_events(tmp_path / "log"), tk.load_events(damaged)
    for part in ("incident", "tasks", "playbook", "quarantine", "audit"):
        pd.testing.assert_frame_equal(getattr(converted, part), getattr(loaded, part))


def test_convert_leaves_out_what_comes_after_the_cutoff(simulated, tmp_path):
    log = tk.load_events(simulated)
    middle = log.tasks["event_timestamp"].iloc[len(log.tasks) // 2]
    assert main(["convert", str(simulated), "--out", str(tmp_path / "log"), "--cutoff", middle.isoformat()]) == 0
    assert tk.load_events(tmp_path / "log").tasks["event_timestamp"].max() == middle


def test_since_leaves_out_what_comes_before(simulated, tmp_path, capsys):
    log = tk.load_events(simulated)
    middle = log.tasks["event_timestamp"].iloc[len(log.tasks) // 2]
    bounds = ["--since", middle.isoformat(), "--cutoff", middle.isoformat()]
    assert main(["validate", str(simulated), *bounds]) == 0
    assert "n_before_since" in capsys.readouterr().out
    assert main(["convert", str(simulated), "--out", str(tmp_path / "log"), *bounds]) == 0
    assert set(tk.load_events(tmp_path / "log").tasks["event_timestamp"]) == {middle}


def test_simulate_packs_by_name_and_is_the_same_for_the_same_seed(simulated, tmp_path):
    packed = tmp_path / "events.jsonl.gz"
    assert main(["simulate", "--out", str(packed), "--events", "300", "--seed", "1"]) == 0
    assert gzip.decompress(packed.read_bytes()) == simulated.read_bytes()


def test_simulate_writes_any_era_container_and_fault_and_says_how_it_must_load(tmp_path, capsys):
    out = tmp_path / "bodies.jsonl"
    arguments = ["--events", "300", "--seed", "1", "--era", "prev", "--container", "batch-bodies"]
    assert main(["simulate", "--out", str(out), *arguments, "--faults", "repeated=0.5", "damaged=0.1"]) == 0
    log = tk.load_events(out)
    assert log.audit["n_duplicate"].sum() > 0
    assert log.audit["n_rejected"].sum() > 0
    header, counts = (line.split() for line in capsys.readouterr().out.splitlines()[2:4])
    loaded = log.audit.iloc[0]
    assert counts == [str(loaded[name]) for name in header]


def test_simulate_into_a_folder_where_nothing_arrives_says_so(tmp_path, capsys):
    arguments = ["--events", "5", "--seed", "1", "--faults", "lost=1"]
    assert main(["simulate", "--out", str(tmp_path / "run"), *arguments]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "0 of 0 records rejected (0.00%)"
    assert told[3].split() == ["in", "all", *["0"] * 9]


def test_schema_prints_every_field_of_every_type(capsys):
    assert main(["schema"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(tk.schemas.data_dictionary())
    assert any(line.startswith("tasks") and " was_assignee " in line and " WasAssignee " in line for line in lines)


def test_a_reader_that_stops_early_is_no_error():
    command = [sys.executable, "-m", "telemetry_kit", "schema"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("closed", ["stdin", "stdout", "stderr"])
def test_a_stream_that_is_closed_is_no_fault(simulated, closed):
    number = ("stdin", "stdout", "stderr").index(closed)
    code = f"import os, sys; os.close({number}); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    command = [sys.executable, "-c", code, "-m", "telemetry_kit", "validate", str(simulated)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr
    assert ("records rejected" in ended.stdout) is (closed != "stdout")


def test_a_name_that_the_output_has_no_letters_for_is_written_with_escapes(simulated, tmp_path):
    named = tmp_path / "\u00e9\u4e2d.jsonl"
    named.write_bytes(simulated.read_bytes())
    command = [sys.executable, "-m", "telemetry_kit", "validate", str(named)]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONIOENCODING": "ascii"}
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\\xe9\\u4e2d.jsonl" in ended.stdout
