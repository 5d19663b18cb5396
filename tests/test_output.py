"""What is written is there as a whole or not at all, and nothing of anybody else is lost."""

import contextlib
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

import telemetry_kit as tk
from telemetry_kit import output, temporary
from telemetry_kit.cli import main
from telemetry_kit.errors import ResourceError, SourceError
from telemetry_kit.eventlog import convert
from telemetry_kit.ingest import compression, detection
from telemetry_kit.reports import write_report


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


def killed_at(n, tmp_path):
    """Replace a, b/c and the mark by others, and kill the writer at its so manieth change of a name."""
    (tmp_path / "b").mkdir(parents=True)
    for name in ("a", "b/c", "gone", "mark"):
        (tmp_path / name).write_text("old")
    code = f"""if True:
        import os, signal, sys
        from pathlib import Path
        from telemetry_kit import output
        place = Path({str(tmp_path)!r})
        left = [{n}]
        def killing(change):
            def changed(*arguments, **keywords):
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return change(*arguments, **keywords)
            return changed
        with output.held(place, ValueError), output.new_directory(place) as made:
            (made / "b").mkdir()
            for name in ("a", "b/c", "mark"):
                (made / name).write_text("new")
            for name in ("rename", "replace", "unlink"):
                setattr(os, name, killing(getattr(os, name)))
            output.put_in_place(made, place, ["a", "b/c", "gone", "mark"], "mark")
    """
    return subprocess.run([sys.executable, "-c", code], check=False).returncode


def test_what_is_replaced_is_the_earlier_or_the_new_at_every_moment(tmp_path):
    seen = []
    for n in range(12):
        place = tmp_path / str(n)
        if killed_at(n, place) == 0:
            break
        output.settle(place)
        texts = {
            path.relative_to(place).as_posix(): path.read_text() for path in place.rglob("[abcgm]*") if path.is_file()
        }
        held = {name: text for name, text in texts.items() if not output.is_passing(name.split("/")[0])}
        assert held in (dict.fromkeys(("a", "b/c", "gone", "mark"), "old"), dict.fromkeys(("a", "b/c", "mark"), "new"))
        seen.append(set(held.values()))
        with output.held(place, ValueError):
            assert not any(output.is_passing(path.name) for path in place.iterdir())
    assert seen[0] == {"old"}
    assert seen.count({"new"}) > 4


def test_an_error_after_the_first_step_is_carried_through_by_the_next(tmp_path, monkeypatch):
    (tmp_path / "mark").write_text("old")
    move = output._move
    monkeypatch.setattr(output, "_move", lambda new, target: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    with output.held(tmp_path, refuse), output.new_directory(tmp_path) as made:
        (made / "mark").write_text("new")
        with pytest.raises(OSError, match="Input/output"):
            output.put_in_place(made, tmp_path, ["mark"], "mark")
    monkeypatch.setattr(output, "_move", move)
    output.settle(tmp_path)
    assert (tmp_path / "mark").read_text() == "new"


def test_a_dead_owner_is_told_from_a_live_one(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary.scratch() as mine:
        dead = tmp_path / mine.name.replace(f"-{os.getpid()}-", f"-{2**22 + 1}-")
        dead.mkdir()
        (dead / "events").touch()
        (tmp_path / "telemetry-kit-of-somebody").mkdir()
        with temporary.scratch() as other:
            assert {path.name for path in tmp_path.iterdir()} == {mine.name, other.name, "telemetry-kit-of-somebody"}
    assert [path.name for path in tmp_path.iterdir()] == ["telemetry-kit-of-somebody"]


_PERSISTED = """
import os, pathlib, sys
import telemetry_kit as tk
from telemetry_kit import engine, temporary

engine.frames.FEW_ROWS = 0
log = tk.scan_events(tk.samples() / "recorded-autumn")
visits = tk.persist(tk.stage_visits(log.incident, cutoff=log.cutoff))
if os.fork() == 0:
    sys.exit()
os.wait()
print(len(list(temporary.kept().iterdir())), tk.n_distinct(visits) > 0)
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no fork")
def test_what_is_persisted_on_the_disk_goes_with_its_process_and_with_no_other(tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _PERSISTED], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.splitlines()[-1] == "1 True", told.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_commands_that_are_killed_leave_the_earlier_output_or_the_new_one():
    # A part of what ``python tests/support/killed_writers.py 50 1`` tries.
    script = Path(__file__).parent / "support" / "killed_writers.py"
    done = subprocess.run([sys.executable, script, "6", "1"], check=False, capture_output=True, text=True)
    assert done.stdout == "0 faults\n", done.stdout + done.stderr


# Faults of the machine --------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path):
    """Give a directory on a disk of 300 kB."""
    place = tmp_path / "small"
    place.mkdir()
    mount = shutil.which("mount")
    words = [mount or "mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    if mount is None or os.geteuid() != 0 or subprocess.run(words, check=False, capture_output=True).returncode != 0:
        pytest.skip("nobody but root can make a small disk")
    yield place
    subprocess.run([shutil.which("umount"), "--lazy", str(place)], check=True)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def many(tmp_path, make_event):
    """Two thousand events, and as many lines that are no JSON and do not get smaller."""
    path = tmp_path / "many.jsonl"
    events = [json.dumps(make_event(n)) for n in range(2000)]
    path.write_text("".join(f"{event}\n{os.urandom(150).hex()}\n" for event in events))
    return path


WRITING = {
    "convert": lambda source, out: ["convert", source, "--out", f"{out}/log"],
    "validate": lambda source, out: ["validate", source, "--quarantine", f"{out}/q.jsonl", "--max-rejected", "1"],
    "simulate": lambda source, out: [
        "simulate",
        "--out",
        f"{out}/e.jsonl",
        "--seed",
        "1",
        "--events",
        str(2000 if source.endswith("many.jsonl") else 9),
    ],
}


@pytest.mark.parametrize("command", list(WRITING))
def test_a_full_disk_costs_nothing_of_the_earlier_output(small_disk, lines, many, command, capsys):
    assert main(WRITING[command](str(lines), small_disk)) == 0
    before = contents(small_disk)
    capsys.readouterr()
    assert main(WRITING[command](str(many), small_disk)) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "cannot be written" in told
    assert contents(small_disk) == before


@pytest.mark.parametrize("command", ["convert", "load"])
def test_a_full_disk_for_temporary_files_is_told_as_that(  # noqa: PLR0917 - each tells one thing of the case
    small_disk, tmp_path, many, command, monkeypatch, capsys
):
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    words = ["convert", str(many), "--out", str(tmp_path / "log")] if command == "convert" else ["validate", str(many)]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert f"temporary files: '{small_disk}' cannot be written: No space left on device; TMPDIR names another" in told
    assert not (tmp_path / "log").exists()
    assert list(small_disk.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.EMFILE, errno.ENOSPC])
@pytest.mark.parametrize("call", ["fsync", "replace", "mkdir"])
def test_an_error_of_our_own_disk_is_one_line(tmp_path, lines, call, number, monkeypatch, capsys):  # noqa: PLR0917 - each tells one thing of the case
    out = tmp_path / "out"
    out.mkdir()
    tk.load_events(lines).save(out / "log")
    before = contents(out)
    own = getattr(os, call)

    def failing(path, *arguments, **keywords):
        place = f"/proc/self/fd/{path}" if isinstance(path, int) else path
        if output.PREFIX in os.path.realpath(place):
            raise OSError(number, os.strerror(number))
        return own(path, *arguments, **keywords)

    monkeypatch.setattr(os, call, failing)
    status = main(["convert", str(lines), "--out", str(out / "log")])
    told = capsys.readouterr().err
    monkeypatch.undo()
    if call == "fsync" and number in {errno.EROFS, errno.EMFILE}:
        # No data is lost by it: some file systems cannot tell.
        assert status == 0
        return
    assert (status, told.count("\n")) == (2, 1)
    assert f"directory: 'log' cannot be written: {os.strerror(number)}" in told
    assert contents(out) == before


def test_an_input_that_cannot_be_read_is_the_damage_of_that_input(tmp_path, lines, account, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jsonl").write_bytes(lines.read_bytes())
    (folder / "b.jsonl").write_bytes(lines.read_bytes())
    own = os.open

    def failing(path, *arguments, **keywords):
        if str(path).endswith("a.jsonl"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return own(path, *arguments, **keywords)

    monkeypatch.setattr("os.open", failing)
    log = tk.load_events(folder)
    assert account(log) == {"read": 4, "valid": 3, "duplicate": 0, "rejected": 1, "other": 0}
    assert log.quarantine["reason"].item() == "record: the file cannot be read: Input/output error"


class BadSector(io.FileIO):
    """A file of which a part cannot be read."""

    readable_bytes = 256 * 1024

    def readinto(self, buffer):
        left = self.readable_bytes - self.tell()
        if left <= 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().readinto(memoryview(buffer)[:left])


def test_a_large_file_with_a_bad_sector_keeps_the_lines_before_it(tmp_path, make_event, monkeypatch):
    monkeypatch.setattr(detection, "IN_PLACE", 0)
    path = tmp_path / "large.jsonl"
    path.write_text("".join(json.dumps(make_event(n)) + "\n" for n in range(2000)))
    monkeypatch.setattr(compression, "open_regular", lambda path: io.BufferedReader(BadSector(path)))
    log = tk.load_events(path)
    n_before = path.read_bytes()[: BadSector.readable_bytes].count(b"\n")
    assert log.audit["n_tasks"].sum() == n_before
    assert log.quarantine["reason"].to_list() == [
        f"record: the file is damaged after line {n_before}: Input/output error"
    ]


# Each of these lost something once.


@pytest.fixture
def lines(tmp_path, make_event):
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


@pytest.mark.parametrize("kind", [duckdb.IOException, duckdb.TransactionException, duckdb.FatalException])
def test_a_database_of_ours_that_cannot_be_written_is_told_in_one_line(tmp_path, lines, monkeypatch, kind):
    def full(_connection):
        raise kind("Failed to commit: Could not write file")

    monkeypatch.setattr(convert, "order_ties", full)
    with pytest.raises(ResourceError, match=r"^temporary files: '.*' cannot be written: Failed to commit: Could not"):
        tk.convert_events(lines, tmp_path / "log")
    assert not (tmp_path / "log").exists()


def test_a_report_whose_events_have_no_room_tells_the_place_for_temporary_files(tmp_path, lines, monkeypatch):
    told = (
        'Async write failed for range [offset=2, size=3]: {"exception_type":"IO","exception_message":"No \\"room\\""}'
    )

    def full(*_, **__):
        raise duckdb.IOException(told)

    monkeypatch.setattr(convert, "write_mark", full)
    with pytest.raises(ResourceError, match=r"^temporary files: '.*' cannot be written: No \"room\"; TMPDIR names"):
        write_report(lines, tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_no_name_is_no_place(tmp_path, lines, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["convert", str(lines), "--out", ""]) == 2
    assert main(["validate", str(lines), "--quarantine", ""]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path, lines):
    os.mkfifo(tmp_path / "pipe")
    audit = tk.convert_events(tmp_path, tmp_path.parent / f"{tmp_path.name}-log")
    assert audit["n_rejected"].to_list() == [0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_ends_a_command_and_leaves_nothing(tmp_path, number):
    folder, out, events = tmp_path / "temporary", tmp_path / "log", tmp_path / "in.jsonl"
    folder.mkdir()
    # So many that the command is still at them when the signal comes, also on a machine that is busy.
    line = '{{"event": "tasks", "messageId": "{}", "properties": {{}}}}\n'
    events.write_text("".join(map(line.format, range(100_000))))
    words = [sys.executable, "-m", "telemetry_kit", "convert", str(events), "--out", str(out)]
    environment = os.environ | {"TMPDIR": str(folder)}
    with subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True) as process:
        while not any(folder.iterdir()) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    # Where C was imported just then, Python ends itself by the signal; to a shell both are the same.
    assert process.returncode in (128 + number, -number)
    assert told.count("\n") == 1
    assert list(folder.iterdir()) == []
    assert not out.exists()
