"""Measure everything on simulated events, and print the tables: ``make bench``, or ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import math
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import HEADER, compare, import_seconds, run, table

if TYPE_CHECKING:
    from benchmarks.measuring import Row

GROWTH = (1, 2, 4)
SMALL = 10
"""By how much the log is smaller on which the slowest peer is measured."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the log (default a million)")
    parser.add_argument("--times", type=int, default=5, help="counted pairs of each comparison (default 5)")
    parser.add_argument("--peers", metavar="PYTHON", help="a Python that has pm4py and retentioneering")
    options = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "pandas", "pandera", "pyarrow", "narwhals"))
    print(f"Python {platform.python_version()}, {packages}; {platform.machine()}.\n")
    with tempfile.TemporaryDirectory() as name:
        _measure(Path(name), options)


def _measure(folder: Path, options: argparse.Namespace) -> None:
    paths = {factor: _simulated(folder, options.events * factor) for factor in GROWTH}
    small = _simulated(folder, max(options.events // SMALL, 1))
    print(
        f"{options.events:,} events as object storage has them, {paths[1].stat().st_size / 1e9:.2f} GB of JSON lines.\n"
    )
    times = options.times
    print(table(HEADER, []), flush=True)
    log = folder / "log"
    run("convert_telemetry_kit", str(paths[1]), str(log))
    bare = "DuckDB, typed `read_json` into three frames, no checks"
    sql, stages = "hand-written SQL", "visits, funnel, dwell"
    wanted = [
        ("load", bare, ("load_telemetry_kit", "load_duckdb"), paths[1], "<= 1.5, peak <= 1.5"),
        (f"load {options.events // SMALL:,}", "pandas, `read_json` and `json_normalize`",
         ("load_telemetry_kit", "load_pandas"), small, "<= 0.067"),
        (stages, f"{sql}, no limits", ("stages_telemetry_kit", "stages_duckdb"), log, "<= 1.5"),
        ("completion, difference", f"{sql}, no limits", ("tasks_telemetry_kit", "tasks_duckdb"), log, ""),
    ]  # fmt: skip
    for what, peer, works, path, limit in wanted:
        _show(compare(what, peer, works, path, limit=limit, times=times))
    if options.peers:
        for peer, work in (("performance graph", "stages_pm4py"), ("funnel", "stages_retentioneering")):
            works = ("stages_telemetry_kit", work)
            _show(compare(stages, peer, works, log, limit="< 1", times=times, python=options.peers))
    ours, theirs = import_seconds("telemetry_kit", times), import_seconds("pandas, pandera.pandas", times)
    print(f"\nImport: {ours:.2f} s, of pandas and Pandera alone {theirs:.2f} s; ratio {ours / theirs:.2f} (<= 1.2).\n")
    for work in ("load_telemetry_kit", "convert_telemetry_kit", "simulate_telemetry_kit"):
        print(_growth(work, paths, options.events), flush=True)


def _show(row: Row) -> None:
    print("| " + " | ".join(row.cells()) + " |", flush=True)


def _simulated(folder: Path, n: int) -> Path:
    path = folder / f"events-{n}.jsonl"
    run("simulate_telemetry_kit", str(path))
    return path


def _growth(work: str, paths: dict[int, Path], events: int) -> str:
    """Return a table of time and memory over the size of the input, and the slope on log axes."""
    runs = {
        factor: min((run(work, str(path)) for _ in range(2)), key=lambda one: one.wall)
        for factor, path in paths.items()
    }
    largest = max(runs)
    slope = math.log(runs[largest].wall / runs[1].wall) / math.log(largest)
    rows = [[work, f"{events * factor:,}", f"{one.wall:.1f} s", f"{one.peak:,.0f} MB"] for factor, one in runs.items()]
    return f"{table(['work', 'events', 'wall', 'peak'], rows)}\n\nSlope on log axes: {slope:.2f}\n"


if __name__ == "__main__":
    sys.exit(main())
