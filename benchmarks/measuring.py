"""Run one piece of work in a process of its own, several times in turn with its peer, and tell the ratios."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHORT_S = 1.0
"""Works that take less are run three times as often: whatever else a machine does weighs most there."""


@dataclass(frozen=True)
class Run:
    """One run: seconds of work without imports, and the process's peak of memory in MB, imports included.

    ``user`` is what of ``cpu`` is no work of the system's, with all processes that were started for it.
    """

    wall: float
    cpu: float
    user: float
    peak: float
    rows: int = -1
    """Rows of the result, where the work tells."""


@dataclass(frozen=True)
class Row:
    """One line of the table, and whether it meets what is wanted of it."""

    cells: list[str]
    is_met: bool = True


HEADER = ["work", "peer", "wall, ours / peer", "ratio", "of CPU time", "peak, ours / peer", "ratio", "wanted"]
Peer = tuple[str, str, str, float | None]
"""What it is called, its work, the Python that runs it, and which ratio to it is wanted at most."""


def command_of(work: str, *arguments: str, python: str = sys.executable) -> list[str]:
    """Return the command that runs ``work`` of ``benchmarks.works`` once."""
    return [python, "-W", "ignore", "-m", "benchmarks.works", work, *arguments]


def environment() -> dict[str, str]:
    """Return the environment of a work; a peer that reports its use to its makers is asked not to."""
    return os.environ | {"PYTHONPATH": str(ROOT), "RETENTIONEERING_NO_TRACK": "1", "DO_NOT_TRACK": "1"}


def run(work: str, *arguments: str, python: str = sys.executable) -> Run:
    """Run ``work`` of ``benchmarks.works`` once in a process of its own."""
    command = command_of(work, *arguments, python=python)
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment())
    if done.returncode:
        raise SystemExit(f"benchmarks: {work} failed:\n{done.stderr}")
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def compare(
    what: str,
    peer: str,
    works: tuple[str, str],
    arguments: tuple[str, ...],
    *,
    limit: float | None,
    times: int,
    python: str = sys.executable,
    more: tuple[str, ...] = (),
    is_strict: bool = False,
) -> Row:
    """Run our work and the peer's in turn; ratios are taken pair by pair.

    The peer is told ``more`` than ours. Where ``is_strict``, the ratio of CPU time has to keep the limit as well, and
    our peak of memory to be no higher than the peer's. ``python`` is what runs the peer, where it has an environment of
    its own. Hand-written SQL for the same table has to give about as many rows: times that rounding keeps apart are one
    to us, as they are to R.
    """
    ours, theirs = works
    pairs: list[tuple[Run, Run]] = []
    while len(pairs) < times or (len(pairs) < 3 * times and pairs[0][0].wall < SHORT_S):
        pairs.append((run(ours, *arguments), run(theirs, *arguments, *more, python=python)))
    if theirs == "analysis_duckdb" and any(abs(mine.rows - other.rows) > other.rows / 20 for mine, other in pairs):
        raise SystemExit(f"benchmarks: {what} has {pairs[0][0].rows} rows, its peer {pairs[0][1].rows}")
    mine, other = _median([mine for mine, _ in pairs]), _median([other for _, other in pairs])
    ratio, cpu, peak = (
        statistics.median(getattr(mine, of) / getattr(other, of) for mine, other in pairs)
        for of in ("wall", "cpu", "peak")
    )
    cells = [
        what,
        peer,
        f"{mine.wall:.2f} s / {other.wall:.2f} s",
        f"{ratio:.2f}" if ratio > 0.1 else f"{ratio:.3f}",  # noqa: PLR2004 - two digits
        f"{cpu:.2f}",
        f"{mine.peak:,.0f} MB / {other.peak:,.0f} MB",
        f"{peak:.2f}",
        "" if limit is None else f"<= {limit:.2g}",
    ]
    is_met = limit is None or (ratio <= limit and not (is_strict and (cpu > limit or peak > 1)))
    return Row(cells, is_met)


def growth(work: str, paths: dict[int, str], *, since: int, most: dict[str, float]) -> list[Row]:
    """Run our work once on inputs of several sizes: time, memory, and the slope on log axes from one size on.

    The slope is that of user time: the system's, in which it hands out memory, is the machine's own. Where a host lends
    a virtual machine its memory page by page, a page took 4 us in a process of 1 GB, and 11 us in one of 8 GB. ``most``
    tells the slope, the seconds and the MB of the largest that are wanted.
    """
    runs = {size: run(work, path) for size, path in paths.items()}
    largest = max(runs)
    told = {"seconds": runs[largest].wall, "MB": runs[largest].peak}
    if since in runs and since < largest:
        told["slope"] = math.log(runs[largest].user / runs[since].user) / math.log(largest / since)
    rows = []
    for size, one in runs.items():
        is_last = size == largest
        slope = f"slope {told['slope']:.2f}" if is_last and "slope" in told else ""
        wanted = ", ".join(f"{name} <= {limit:,g}" for name, limit in most.items() if is_last)
        is_met = not is_last or all(told.get(name, 0) <= limit for name, limit in most.items())
        took = [f"{one.wall:.2f} s", slope, f"{one.cpu:.2f} s", f"{one.peak:,.0f} MB"]
        rows.append(Row([f"{work} {size:,}", "", *took, "", wanted], is_met))
    return rows


def importing(ours: str, theirs: str, *, limit: float | None, times: int) -> Row:
    """Import modules in new processes, ours and others in turn, the median of several."""
    pairs = [(_import_seconds(ours), _import_seconds(theirs)) for _ in range(times + 1)][1:]
    ratio = statistics.median(mine / other for mine, other in pairs)
    mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    took = [f"{mine:.2f} s / {other:.2f} s", f"{ratio:.2f}"]
    wanted = "" if limit is None else f"<= {limit:.2g}"
    return Row([f"import {ours}", f"import {theirs}", *took, "", "", "", wanted], limit is None or ratio <= limit)


def _import_seconds(modules: str) -> float:
    code = f"import time; begin = time.perf_counter(); import {modules}; print(time.perf_counter() - begin)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    return float(done.stdout)


def _median(runs: list[Run]) -> Run:
    return Run(*(statistics.median(getattr(one, field) for one in runs) for field in ("wall", "cpu", "user", "peak")))


def line(cells: list[str]) -> str:
    """Return a line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"
