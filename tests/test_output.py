"""What is written is there as a whole or not at all, and nothing of anybody else is lost."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

import telemetry_kit as tk
from telemetry_kit import output
from telemetry_kit.cli import main
from telemetry_kit.errors import ResourceError, SourceError
from telemetry_kit.eventlog import convert


def refuse(fault):
    return SourceError(fault)


def test_a_directory_is_held_by_one_writer_and_freed_after_it(tmp_path):
    place = tmp_path / "a" / "b"
    with (
        output.held(place, refuse),
        pytest.raises(SourceError, match="another one is being written there"),
        output.held(place, refuse),
    ):
        pass
    assert not place.exists()
    with output.held(place, refuse):
        (place / "x").touch()
    assert place.exists()


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path):
    (tmp_path / f"{output.PREFIX}dead").mkdir()
    (tmp_path / f"{output.PREFIX}dead" / "part").touch()
    with output.held(tmp_path, refuse), output.new_directory(tmp_path) as made:
        (made / "b").write_text("new")
        (made / "mark").touch()
        output.put_in_place(made, tmp_path, ["a", "b", "mark"], "mark")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "mark"]


def test_a_file_is_replaced_at_the_end_alone(tmp_path):
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o640)
    with contextlib.suppress(KeyError), output.new_file(path) as made:
        made.write_text("half")
        raise KeyError
    assert path.read_text() == "old"
    with output.new_file(path) as made:
        made.write_text("new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o640)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


# Each of these lost something once.


@pytest.fixture
def lines(tmp_path, make_event):
    import json

    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(make_event(n)) + "\n" for n in range(3)))
    return path


def test_a_conversion_keeps_what_it_does_not_replace(tmp_path, lines):
    out = tmp_path / "log"
    tk.convert_events(lines, out)
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(SourceError, match=r"holds other files, such as 'thesis.txt'"):
        tk.convert_events(lines, out)
    assert (out / "thesis.txt").read_text() == "years of work"
    (out / "thesis.txt").unlink()
    out.chmod(0o750)
    tk.convert_events(lines, out)
    assert out.stat().st_mode & 0o777 == 0o750


def test_a_source_is_never_replaced_by_what_comes_of_it(tmp_path, lines, capsys):
    text = lines.read_text()
    assert main(["validate", str(lines), "--quarantine", str(lines)]) == 2
    assert "another file than those of the source" in capsys.readouterr().err
    assert lines.read_text() == text
    log = tmp_path / "log"
    tk.convert_events(lines, log)
    with pytest.raises(SourceError, match="holds the source"):
        tk.convert_events(log, log)


def test_an_earlier_log_stays_where_the_disk_is_full(tmp_path, lines, monkeypatch):
    out = tmp_path / "log"
    tk.convert_events(lines, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(convert, "write_mark", full)
    with pytest.raises(ResourceError, match="'log' cannot be written: No space left on device"):
        tk.convert_events(lines, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_no_name_is_no_place(tmp_path, lines, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["convert", str(lines), "--out", ""]) == 2
    assert main(["validate", str(lines), "--quarantine", ""]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path, lines):
    os.mkfifo(tmp_path / "pipe")
    audit = tk.convert_events(tmp_path, tmp_path.parent / f"{tmp_path.name}-log")
    assert audit["n_rejected"].to_list() == [0, 1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_a_command_and_leaves_nothing(tmp_path, number):
    folder, out = tmp_path / "temporary", tmp_path / "log"
    folder.mkdir()
    words = [sys.executable, "-m", "telemetry_kit", "convert", str(tk.samples() / "recorded-autumn"), "--out", str(out)]
    environment = os.environ | {"TMPDIR": str(folder)}
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not any(folder.iterdir()) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert told.count("\n") == 1
    assert list(folder.iterdir()) == []
    assert not out.exists()
