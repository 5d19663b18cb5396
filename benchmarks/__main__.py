"""Measure everything on simulated events, and print the tables: ``make bench``, or ``python -m benchmarks --help``."""

from __future__ import annotations

import argparse
import math
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.analyses import ANALYSES, PROGRESSION
from benchmarks.measuring import HEADER, compare, import_seconds, run, table
from benchmarks.polars_queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measuring import Peer

SIZES = (100_000, 1_000_000, 4_000_000, 10_000_000)
ON_PANDAS = 1_000_000
"""Up to how many events pandas alone reads, and the analyses also run on its frames."""

MEMORY_LIMIT = "2GB"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=ON_PANDAS, help="events of the log (default a million)")
    parser.add_argument("--times", type=int, default=3, help="counted pairs of each comparison (default 3)")
    parser.add_argument("--only", metavar="TEXT", default="", help="only rows whose work has this in its name")
    parser.add_argument("--folder", type=Path, help="where inputs are kept and found again (default: thrown away)")
    parser.add_argument("--peers", metavar="PYTHON", help="a Python that has pm4py and retentioneering")
    options = parser.parse_args()
    packages = ("duckdb", "polars", "pandas", "pandera", "pyarrow", "narwhals")
    print(f"Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in packages)};")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    print(f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB of memory.\n")
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(exist_ok=True, parents=True)
        print(table(HEADER, []), flush=True)
        for row in _rows(folder, options):
            print("| " + " | ".join(row) + " |", flush=True)


def _rows(folder: Path, options: argparse.Namespace) -> Iterator[list[str]]:
    def is_wanted(what: str) -> bool:
        return options.only in what

    events, times = options.events, options.times
    for what, peer, theirs, size, limit in (
        ("load", "DuckDB, bare typed `read_json`", "load_duckdb", events, "<= 1.5"),
        ("load", "Polars, typed `scan_ndjson`", "load_polars", events, ""),
        ("load", "pandas, `read_json` and `json_normalize`", "load_pandas", min(events, ON_PANDAS), "<= 0.067"),
    ):
        if is_wanted(what):
            path = str(_simulated(folder, size))
            yield compare(
                f"{what} {size:,}", peer, ("load_telemetry_kit", theirs), (path,), limit=limit, times=times
            ).cells()
    for kind in ("relations", "pandas") if events <= ON_PANDAS else ("relations",):
        for name, (peer, theirs, python) in _peers(options.peers):
            # Polars has a lazy frame of its own, the tools read frames of pandas.
            on_one = {"analysis_polars": "relations", "analysis_pm4py": "pandas", "analysis_retentioneering": "pandas"}
            if is_wanted(name) and kind == on_one.get(theirs, kind):
                arguments = (str(_store(folder, events)), name, kind, MEMORY_LIMIT)
                works = ("analysis_telemetry_kit", theirs)
                on = "Parquet" if kind == "relations" else kind
                what = f"{name}, {events:,} on {on}"
                yield compare(what, peer, works, arguments, limit="<= 1.5", times=times, python=python).cells()
    for work, make in (
        ("load_telemetry_kit", _simulated),
        ("convert_telemetry_kit", _simulated),
        ("report_telemetry_kit", _store),
    ):
        if is_wanted(work):
            yield from _growth(
                work, {size: str(make(folder, size)) for size in SIZES if size <= max(events, ON_PANDAS)}
            )
    if is_wanted("import"):
        ours, theirs = import_seconds("telemetry_kit", times), import_seconds("pandas, pandera.pandas", times)
        took = f"{ours:.2f} s / {theirs:.2f} s"
        yield [
            "import telemetry_kit",
            "import pandas, pandera.pandas",
            took,
            f"{ours / theirs:.2f}",
            "",
            "",
            "",
            "<= 1.2",
        ]


def _peers(python: str | None) -> Iterator[tuple[str, Peer]]:
    """Give each analysis with each of its peers."""
    for name in ANALYSES:
        yield name, ("hand-written DuckDB SQL", "analysis_duckdb", sys.executable)
        if name in QUERIES:
            yield name, ("hand-written Polars", "analysis_polars", sys.executable)
    if python:
        yield PROGRESSION, ("pm4py, performance graph", "analysis_pm4py", python)
        yield PROGRESSION, ("retentioneering, funnel", "analysis_retentioneering", python)


def _simulated(folder: Path, n: int) -> Path:
    path = folder / f"events-{n}.jsonl"
    if not path.exists():
        run("simulate_telemetry_kit", str(path))
    return path


def _store(folder: Path, n: int) -> Path:
    path = folder / f"store-{n}"
    if not path.exists():
        run("convert_telemetry_kit", str(_simulated(folder, n)), str(path))
    return path


def _growth(work: str, paths: dict[int, str]) -> Iterator[list[str]]:
    """Give time and memory over the size of the input, and at the largest the slope on log axes."""
    runs = {size: run(work, path) for size, path in paths.items()}
    smallest, *_, largest = runs
    slope = math.log(runs[largest].wall / runs[smallest].wall) / math.log(largest / smallest)
    for size, one in runs.items():
        note = f"slope {slope:.2f}" if size == largest else ""
        yield [f"{work} {size:,}", "", f"{one.wall:.2f} s", note, f"{one.cpu:.2f} s", f"{one.peak:,.0f} MB", "", ""]


if __name__ == "__main__":
    sys.exit(main())
