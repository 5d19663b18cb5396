"""Run one piece of work in a process of its own, several times in turn with its peer, and tell the ratios."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Run:
    """One run: seconds of work without imports, and the process's peak of memory in MB, imports included."""

    wall: float
    cpu: float
    peak: float
    rows: int = -1
    """Rows of the result, where the work tells."""


@dataclass(frozen=True)
class Row:
    """One line of the table: some work, its peer on the same input, and the medians of both."""

    what: str
    peer: str
    ours: Run
    theirs: Run
    wall_ratio: float
    cpu_ratio: float
    peak_ratio: float
    limit: str

    def cells(self) -> list[str]:
        ours, theirs = self.ours, self.theirs
        return [
            self.what,
            self.peer,
            f"{ours.wall:.2f} s / {theirs.wall:.2f} s",
            f"{self.wall_ratio:.2f}",
            f"{self.cpu_ratio:.2f}",
            f"{ours.peak:,.0f} MB / {theirs.peak:,.0f} MB",
            f"{self.peak_ratio:.2f}",
            self.limit,
        ]


HEADER = ["work", "peer", "wall, ours / peer", "ratio", "of CPU time", "peak, ours / peer", "ratio", "wanted"]
Peer = tuple[str, str, str]
"""What it is called, its work, and the Python that runs it."""


def run(work: str, *arguments: str, python: str = sys.executable) -> Run:
    """Run ``work`` of ``benchmarks.works`` once in a process of its own."""
    command = [python, "-W", "ignore", "-m", "benchmarks.works", work, *arguments]
    # A peer that reports its use to its makers is asked not to.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RETENTIONEERING_NO_TRACK": "1", "DO_NOT_TRACK": "1"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment)
    if done.returncode:
        raise SystemExit(f"benchmarks: {work} failed:\n{done.stderr}")
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def compare(
    what: str,
    peer: str,
    works: tuple[str, str],
    arguments: tuple[str, ...],
    *,
    limit: str,
    times: int,
    python: str = sys.executable,
) -> Row:
    """Run our work and the peer's in turn; ratios are taken pair by pair.

    ``python`` is what runs the peer, where it lives in an environment of its own. Hand-written SQL for the same table
    has to give about as many rows: times that rounding keeps apart are one to us, as they are to R.
    """
    ours, theirs = works
    pairs = [(run(ours, *arguments), run(theirs, *arguments, python=python)) for _ in range(times)]
    if theirs == "analysis_duckdb" and any(abs(mine.rows - other.rows) > other.rows / 20 for mine, other in pairs):
        raise SystemExit(f"benchmarks: {what} has {pairs[0][0].rows} rows, its peer {pairs[0][1].rows}")
    return Row(
        what,
        peer,
        _median([mine for mine, _ in pairs]),
        _median([other for _, other in pairs]),
        statistics.median(mine.wall / other.wall for mine, other in pairs),
        statistics.median(mine.cpu / other.cpu for mine, other in pairs),
        statistics.median(mine.peak / other.peak for mine, other in pairs),
        limit,
    )


def import_seconds(modules: str, times: int) -> float:
    """Return how long it takes to import modules in a new process, the median of several."""
    code = f"import time; begin = time.perf_counter(); import {modules}; print(time.perf_counter() - begin)"
    done = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
        for _ in range(times + 1)
    ]
    return statistics.median(float(one.stdout) for one in done[1:])


def _median(runs: list[Run]) -> Run:
    return Run(*(statistics.median(getattr(one, field) for one in runs) for field in ("wall", "cpu", "peak")))


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)
