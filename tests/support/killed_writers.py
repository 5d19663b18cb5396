"""Writers that are killed at random moments: the earlier output is whole or the new one is, and the next run succeeds.

``python tests/support/killed_writers.py 50 1`` kills fifty times with the seed 1, and tells what does not hold.
"""

import contextlib
import hashlib
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import telemetry_kit as tk
from telemetry_kit import output
from telemetry_kit.cli import main
from telemetry_kit.reports.placing import is_whole, read_manifest, taking_place
from telemetry_kit.simulate import read_truth


def convert(out, source):
    """Convert a source, as the command does."""
    with contextlib.redirect_stdout(io.StringIO()):
        sys.exit(main(["convert", str(source), "--out", str(out)]))


def save(out, source):
    """Save a log."""
    tk.load_events(source).save(out)


def simulate(out, source):
    """Simulate as many events as the name of the source has letters, times a hundred, into a file or a folder."""
    with contextlib.redirect_stdout(io.StringIO()):
        sys.exit(main(["simulate", "--out", str(out), "--events", str(len(source.name) * 100), "--seed", "1"]))


def report(out, source):
    """Put the pages of a report in place."""
    with taking_place(out) as folder:
        for number in range(len(source.name) * 2):
            path = folder / ("tables" if number % 3 else ".") / f"{number}.html"
            path.parent.mkdir(exist_ok=True)
            path.write_text(source.name * 1000)
        made = [path for path in folder.rglob("*") if path.is_file()]
        digests = [(path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in made]
        outputs = [{"path": path.relative_to(folder).as_posix(), "sha256": digest} for path, digest in digests]
        (folder / "manifest.json").write_text(json.dumps({"outputs": outputs}))


def of_log(out):
    """Tell what a log holds."""
    log = tk.load_events(out)
    return [len(log.audit), *log.audit.sum(numeric_only=True), len(log.tasks), len(log.quarantine)]


def of_simulation(out):
    """Tell what was simulated, and see that its truth is that of these events."""
    truth = read_truth(out.with_name(out.name.split(".")[0] + ".truth"))
    counts = ["n_read", "n_incident", "n_tasks", "n_playbook"]
    read = tk.load_events(out).audit[counts].sum().to_list()
    assert read == truth.audit[counts].sum().to_list()
    return read


def of_report(out):
    """Tell how many pages a report has, and see that each is as it was written."""
    manifest = read_manifest(out)
    assert is_whole(out, manifest)
    return len(manifest["outputs"])


WRITERS = {
    "log": (convert, of_log),
    "saved": (save, of_log),
    "events.jsonl": (simulate, of_simulation),
    "dumps": (simulate, of_simulation),
    "report": (report, of_report),
}


def forked(write, out, source, *, killed_after=None, killed_at=None):
    """Write in a process of its own, killed after some time or at so manieth change of a name; return how it ended."""
    process = os.fork()
    if not process:
        status = 1
        try:
            if killed_at is not None:
                _kill_at(killed_at)
            write(out, source)
            status = 0
        except SystemExit as end:
            status = end.code
        finally:
            os._exit(status)
    if killed_after is not None:
        time.sleep(killed_after)
        os.kill(process, signal.SIGKILL)
    return os.waitpid(process, 0)[1]


def _kill_at(n):
    left = [n]

    def killing(change):
        def changed(*arguments, **keywords):
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return change(*arguments, **keywords)

        return changed

    for name in ("rename", "replace", "unlink"):
        setattr(os, name, killing(getattr(os, name)))


def try_to_kill(n_kills, seed):  # noqa: C901 - one step after the other
    """Kill so many writers, and yield what does not hold."""
    drawn = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "temporary").mkdir()
        tempfile.tempdir = str(folder / "temporary")
        line = (tk.samples() / "recorded-autumn").rglob("*.gz")
        given = sorted(line)[:3]
        sources = [folder / "in", folder / "another"]
        for n, source in enumerate(sources, 1):
            source.mkdir()
            for path in given[:n]:
                (source / path.name).write_bytes(path.read_bytes())
        states, lasted = {}, {}
        for out, (write, state_of) in WRITERS.items():
            for source in sources:
                begun = time.monotonic()
                assert forked(write, folder / out, source) == 0, out
                lasted[out] = time.monotonic() - begun
                states[out, source] = state_of(folder / out)
        names = sorted(path.name for path in folder.iterdir())
        for n in range(n_kills):
            out = list(WRITERS)[n % len(WRITERS)]
            write, state_of = WRITERS[out]
            source = drawn.choice(sources)
            if n // len(WRITERS) % 2:
                forked(write, folder / out, source, killed_after=drawn.uniform(0, lasted[out]))
            else:
                forked(write, folder / out, source, killed_at=drawn.randrange(12))
            told = f"kill {n}, {out}"
            try:
                state = state_of(folder / out)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
                yield f"{told}: {type(error).__name__}: {error}"
                state = None
            if state is not None and state not in [states[out, source] for source in sources]:
                yield f"{told}: neither the earlier output nor the new one: {state}"
            if forked(write, folder / out, source) != 0 or state_of(folder / out) != states[out, source]:
                yield f"{told}: the same command again does not succeed"
            left = [path.name for path in (folder / "temporary").iterdir()]
            left += [path.name for path in folder.rglob("*") if output.is_passing(path.name)]
            if left or sorted(path.name for path in folder.iterdir()) != names:
                yield f"{told}: left behind: {left}, {sorted(path.name for path in folder.iterdir())}"


if __name__ == "__main__":
    faults = list(try_to_kill(*map(int, sys.argv[1:])))
    sys.stdout.write("".join(f"{fault}\n" for fault in faults) + f"{len(faults)} faults\n")
    sys.exit(bool(faults))
