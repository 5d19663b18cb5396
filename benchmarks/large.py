"""Tens of millions of events on one machine: ``python -m benchmarks large --help``.

Events are simulated in parts of a million, each packed, so that no disk has to hold all of them as text. The log of a
number of parts is then asked everything, with the memory that is the default, by processes of their own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.analyses import ANALYSES
from benchmarks.measuring import ROOT, command_of, environment, line
from telemetry_kit.engine.connections import ANALYSIS_MEMORY
from telemetry_kit.simulate import write_simulation

if TYPE_CHECKING:
    from collections.abc import Iterator

PART = 1_000_000
LOOK_S = 0.5
"""How often is looked at what the processes hold in memory and on the disk."""
HEADER = ["work", "events", "wall", "CPU", "slope", "peak of memory", "peak of disk"]


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks large", description=__doc__)
    parser.add_argument(
        "--millions", type=int, nargs="+", default=[10, 30], help="millions of events, in order (default 10 30)"
    )
    parser.add_argument("--only", metavar="TEXT", default="", help="only works with this in their name")
    parser.add_argument("--folder", type=Path, help="where events are kept and found again (default: thrown away)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        print(line(HEADER), line(["---"] * len(HEADER)), sep="\n", flush=True)
        before: dict[str, tuple[int, float]] = {}
        for millions in options.millions:
            for row in _rows(folder, millions, options.only, before):
                print(line(row), flush=True)


def _rows(folder: Path, millions: int, only: str, before: dict[str, tuple[int, float]]) -> Iterator[list[str]]:
    parts = folder / f"parts-{millions}"
    for number in range(millions):
        _part(folder, number, parts)
    store = folder / f"large-{millions}"
    works = {"convert": ["convert_telemetry_kit", str(parts), str(store)]}
    works |= {
        name: ["analysis_telemetry_kit", str(store), name, "relations", ANALYSIS_MEMORY]
        for name, analysis in ANALYSES.items()
        if "licenses" not in analysis.sql
    }
    works["report"] = ["report_telemetry_kit", str(store)]
    for name, work in works.items():
        is_wanted = not store.exists() if name == "convert" else only in name
        if not is_wanted:
            continue
        wall, cpu, memory, disk = _run(work, folder)
        size, earlier = before.get(name, (0, 0.0))
        slope = f"{math.log(cpu / earlier) / math.log(millions / size):.2f}" if size else ""
        before[name] = millions, cpu
        seconds = [f"{wall:,.0f} s", f"{cpu:,.0f} s"]
        yield [name, f"{millions} million", *seconds, slope, f"{memory:,.0f} MB", f"{disk:,.0f} MB"]


def _part(folder: Path, number: int, parts: Path) -> None:
    """Make a part where it is not there yet, with servers of its own, and let it stand among those of a size."""
    made = folder / "parts" / f"part-{number:03}.jsonl.gz"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        new = made.with_name(f"new-{made.name}")
        write_simulation(new, n_events=PART, seed=number)
        new.rename(made)
    parts.mkdir(exist_ok=True)
    if not (parts / made.name).exists():
        os.link(made, parts / made.name)


def _run(work: list[str], folder: Path) -> tuple[float, float, float, float]:
    """Run a work in a process of its own: seconds of the clock and of CPU time, and the most MB of memory and of disk.

    Memory is that of all its processes together, disk what lies in the folder for temporary files.
    """
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        process = subprocess.Popen(
            command_of(*work),
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=environment() | {"TMPDIR": temporary},
            text=True,
            start_new_session=True,
        )
        most = [0.0, 0.0]
        is_done = threading.Event()

        def look() -> None:
            while not is_done.wait(LOOK_S):
                most[0] = max(most[0], _memory(process.pid))
                most[1] = max(most[1], _disk(Path(temporary)))

        looking = threading.Thread(target=look)
        looking.start()
        try:
            told, _ = process.communicate()
        finally:
            is_done.set()
            looking.join()
        if process.returncode:
            raise SystemExit(f"benchmarks: {' '.join(work)} ended with {process.returncode}")
        took = json.loads(told.splitlines()[-1])
    return took["wall"], took["cpu"], max(most[0], took["peak"]), most[1]


def _memory(session: int) -> float:
    """Return how many MB the processes of a session hold; what they share is counted for each of them."""
    pages = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pages += int(fields[21]) if int(fields[3]) == session else 0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _disk(folder: Path) -> float:
    """Return how many MB lie below a folder."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(Path(root) / name).st_blocks * 512
    return total / 1e6
