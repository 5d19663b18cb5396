"""Measure everything on simulated events and print the tables: ``python -m benchmarks [N] [--peers]``."""

from __future__ import annotations

import argparse
import math
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks.measuring import HEADER, compare, run, table

GROWTH = (1, 2, 4)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events of the log (default a million)")
    parser.add_argument("--times", type=int, default=5, help="counted pairs of each comparison (default 5)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = {factor: _simulated(folder, options.events * factor) for factor in GROWTH}
        small = _simulated(folder, max(options.events // 20, 1))
        print(f"{_about()}\n\nLoading {options.events:,} object-storage events, JSON lines, ")
        print(f"{paths[1].stat().st_size / 1e9:.2f} GB; every frame validated, every record accounted for.\n")
        rows = [
            compare("load_events", ["load_telemetry_kit", str(paths[1])], "DuckDB, typed read_json into three frames, no checks",
                    ["load_duckdb", str(paths[1])], limit="<= 1.5, <= 1.5", times=options.times).cells(),
            compare(f"load_events ({options.events // 20:,} events)", ["load_telemetry_kit", str(small)],
                    "pandas.read_json and json_normalize", ["load_pandas", str(small)], limit="<= 0.067", times=3).cells(),
        ]  # fmt: skip
        print(table(HEADER, rows), "\n")
        print(_growth("load_telemetry_kit", "load_events", paths, options.events))
        print(_growth("convert_telemetry_kit", "convert_events", paths, options.events))


def _simulated(folder: Path, n: int) -> Path:
    path = folder / f"events-{n}.jsonl"
    command = [sys.executable, "-m", "telemetry_kit.cli", "simulate", "--out", str(path), "--events", str(n), "--seed", "7"]
    subprocess.run([shutil.which("telemetry-kit") or command[0], *command[3:]], check=True, stdout=subprocess.DEVNULL)
    return path


def _growth(work: str, name: str, paths: dict[int, Path], events: int) -> str:
    """Return a table of time and memory over the size of the input, and the slope on log axes."""
    runs = {factor: min((run(work, str(path)) for _ in range(2)), key=lambda r: r.wall) for factor, path in paths.items()}
    largest = max(runs)
    slope = math.log(runs[largest].wall / runs[1].wall) / math.log(largest)
    rows = [[name, f"{events * factor:,}", f"{one.wall:.1f} s", f"{one.peak:,.0f} MB"] for factor, one in runs.items()]
    return f"{table(['work', 'events', 'wall', 'peak'], rows)}\n\nSlope on log axes: {slope:.2f}\n"


def _about() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "pandas", "pandera", "pyarrow", "narwhals"))
    return f"Python {platform.python_version()}, {packages}; {platform.machine()}, medians of pairs in turn."


if __name__ == "__main__":
    main()
