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


@dataclass(frozen=True)
class Row:
    """One line of the table: some work, its peer on the same input, and the medians of both."""

    what: str
    peer: str
    ours: Run
    theirs: Run
    wall_ratio: float
    peak_ratio: float
    limit: str

    def cells(self) -> list[str]:
        ours, theirs = self.ours, self.theirs
        return [
            self.what,
            self.peer,
            f"{ours.wall:.2f} s / {theirs.wall:.2f} s",
            f"{self.wall_ratio:.2f}",
            f"{ours.peak:,.0f} MB / {theirs.peak:,.0f} MB",
            f"{self.peak_ratio:.2f}",
            self.limit,
        ]


HEADER = ["work", "peer", "wall, ours / peer", "ratio", "peak, ours / peer", "ratio", "wanted"]


def run(work: str, *arguments: str) -> Run:
    """Run ``work`` of ``benchmarks.works`` once in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.works", work, *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environment)
    if done.returncode:
        raise SystemExit(f"benchmarks: {work} failed:\n{done.stderr}")
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def compare(what: str, ours: list[str], peer: str, theirs: list[str], *, limit: str = "", times: int = 5) -> Row:
    """Run two works in turn, after one uncounted run of each, and take the medians; ratios are taken pair by pair."""
    run(*ours)
    run(*theirs)
    pairs = [(run(*ours), run(*theirs)) for _ in range(times)]
    return Row(
        what,
        peer,
        _median([mine for mine, _ in pairs]),
        _median([other for _, other in pairs]),
        statistics.median(mine.wall / other.wall for mine, other in pairs),
        statistics.median(mine.peak / other.peak for mine, other in pairs),
        limit,
    )


def _median(runs: list[Run]) -> Run:
    return Run(*(statistics.median(getattr(one, field) for one in runs) for field in ("wall", "cpu", "peak")))


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)
