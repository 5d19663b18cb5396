"""The command works in the environments that machines have, and says in one line what a machine lacks."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

import telemetry_kit as tk
from telemetry_kit import cli
from telemetry_kit.cli import main

ENVIRONMENTS = {
    "bare, optimized and strict": {
        "LANG": "C", "LC_ALL": "C", "HOME": None, "TZ": "Pacific/Chatham",
        "PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error",
    },
    "64 descriptors, no such time zone and a home that cannot be written": {"HOME": "/proc/1", "TZ": "Nowhere/Land"},
}  # fmt: skip


def run(arguments, environment=None, **keywords):
    chosen = {key: value for key, value in (os.environ | (environment or {})).items() if value is not None}
    words = [sys.executable, "-m", "telemetry_kit", *map(str, arguments)]
    return subprocess.run(words, check=False, capture_output=True, env=chosen, **keywords)


def few_descriptors():
    import resource

    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ENVIRONMENTS))
def test_a_conversion_is_the_same_in_every_environment(tmp_path, recordings, name):
    folder = tmp_path / "mes données – 測試"
    folder.mkdir()
    path = folder / "a b\N{SNOWMAN}.jsonl.gz"
    path.write_bytes((recordings / "batch-bodies" / "prev.jsonl.gz").read_bytes())
    limit = {"preexec_fn": few_descriptors} if "descriptors" in name else {}
    done = run(["convert", folder, "--out", folder / "log"], ENVIRONMENTS[name], **limit)
    assert (done.returncode, done.stderr) == (0, b"")
    audit = tk.load_events(folder / "log").audit
    assert audit["source"].to_list() == [path.name]
    assert audit["n_read"].sum() == tk.load_events(path).audit["n_read"].sum()


@pytest.mark.slow
def test_a_report_is_made_where_warnings_are_errors(tmp_path, recordings):
    source = recordings / "batch-bodies" / "prev.jsonl.gz"
    done = run(["report", source, "--out", tmp_path / "report"], {"PYTHONWARNINGS": "error"})
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report" / "index.html").is_file()


def test_a_user_who_is_not_root_is_told_what_cannot_be_read(tmp_path, recordings):
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    nobody = pwd.getpwnam("nobody")
    as_nobody = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    try:
        subprocess.run([sys.executable, "-c", "import pandas"], check=True, capture_output=True, **as_nobody)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nobody else may run this Python")
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes((recordings / "batch-bodies" / "prev.jsonl.gz").read_bytes())
    path.chmod(0o600)
    done = run(["validate", path], **as_nobody, cwd="/")
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1


def test_memory_that_runs_out_is_told_as_that(monkeypatch, capsys):
    def ends(_):
        raise MemoryError

    monkeypatch.setattr(cli, "_schema", ends)
    assert main(["schema"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("telemetry-kit: memory ran out")
    assert told.count("\n") == 1


def test_a_query_that_was_interrupted_is_told_as_that_and_no_other_error_is(monkeypatch, capsys):
    def ends(told):
        def end(_):
            raise RuntimeError(told)

        monkeypatch.setattr(cli, "_schema", end)

    ends("Query interrupted")
    assert main(["schema"]) == 130
    assert capsys.readouterr().err == "telemetry-kit: interrupted\n"
    ends("something else")
    with pytest.raises(RuntimeError, match="something else"):
        main(["schema"])


def test_who_interrupts_the_command_while_it_is_being_loaded_gets_one_line(tmp_path):
    # As soon as it begins to import, it is interrupted.
    (tmp_path / "pandas.py").write_text("import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(9)\n")
    done = run(["schema"], {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(tk.__file__).parents[1])])})
    assert (done.returncode, done.stderr) == (130, b"telemetry-kit: interrupted\n")


@pytest.mark.parametrize("command", ["convert", "report", "simulate"])
def test_no_name_is_no_place_for_an_output(tmp_path, monkeypatch, recordings, command, capsys):
    monkeypatch.chdir(tmp_path)
    source = [str(recordings / "batch-bodies" / "prev.jsonl.gz")] if command != "simulate" else []
    more = ["--events", "9", "--seed", "1"] if command == "simulate" else []
    assert main([command, *source, "--out", "", *more]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
