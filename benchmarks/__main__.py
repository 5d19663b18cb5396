"""Measure everything on simulated events, and print the tables: ``make bench``, or ``python -m benchmarks --help``.

``python -m benchmarks coverage`` draws populations whose truth is known, and tells how often intervals hold it;
``python -m benchmarks large`` asks tens of millions of events everything, on this machine alone;
``python -m benchmarks cluster`` runs the analyses on Spark, and tells what they move between workers.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import cluster, coverage, large, signals
from benchmarks.analyses import ANALYSES, PROGRESSION
from benchmarks.containers import CLEAN, CONTAINERS, SHARES, write_container
from benchmarks.measuring import HEADER, compare, growth, importing, line, run
from benchmarks.polars_queries import QUERIES
from telemetry_kit.engine.connections import ANALYSIS_MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.inputs import Kind
    from benchmarks.measuring import Peer, Row

SIZES = (100_000, 1_000_000, 4_000_000, 10_000_000)
IN_MEMORY = 1_000_000
"""How many events are loaded beside those who load them otherwise, and analysed in frames of pandas."""


def main() -> None:
    others = {"cluster": cluster.main, "coverage": coverage.main, "large": large.main}
    if sys.argv[1:] and sys.argv[1] in others:
        others[sys.argv[1]](sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "what",
        nargs="?",
        choices=["speed", "signals"],
        default="speed",
        help="signals: how often those of servers and weeks are false",
    )
    parser.add_argument("--events", type=int, default=SIZES[-1], help="events of the log (default ten million)")
    parser.add_argument(
        "--times", type=int, default=3, help="counted pairs of each comparison (default 3; thrice that below a second)"
    )
    parser.add_argument("--only", metavar="TEXT", default="", help="only rows whose work has this in its name")
    parser.add_argument("--folder", type=Path, help="where inputs are kept and found again (default: thrown away)")
    parser.add_argument("--peers", metavar="PYTHON", help="a Python that has pm4py and retentioneering")
    options = parser.parse_args()
    if options.what == "signals":
        signals.main()
        return
    packages = ("duckdb", "polars", "pandas", "pandera", "pyarrow", "narwhals")
    print(f"Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in packages)};")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    print(f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB of memory.\n")
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(exist_ok=True, parents=True)
        print(line(HEADER), line(["---"] * len(HEADER)), sep="\n", flush=True)
        missed = []
        for row in _rows(folder, options):
            print(line(row.cells), flush=True)
            missed += [] if row.is_met else [f"{row.cells[0]} ({row.cells[1]})"]
    print(f"\nNot met: {'; '.join(missed)}." if missed else "\nAll that is wanted was met.")


def _rows(folder: Path, options: argparse.Namespace) -> Iterator[Row]:
    def is_wanted(what: str) -> bool:
        return options.only in what

    events, times = options.events, options.times
    in_memory = min(events, IN_MEMORY)
    yield from _loading(folder, in_memory, times, options.only)
    for name, kind, (peer, theirs, python, limit) in _peers(options.peers):
        if is_wanted(name):
            size = events if kind == "relations" else in_memory
            arguments = (str(_store(folder, size)), name, kind, ANALYSIS_MEMORY)
            works = ("analysis_telemetry_kit", theirs)
            what = f"{name}, {size:,} {'on Parquet' if kind == 'relations' else 'in pandas'}"
            yield compare(what, peer, works, arguments, limit=limit, times=times, python=python)
    for work, make, most in (
        ("load_telemetry_kit", _simulated, {}),
        ("convert_telemetry_kit", _simulated, {"MB": 1_000}),
        ("report_telemetry_kit", _store, {"seconds": 180, "MB": 4_000}),
    ):
        if is_wanted(work):
            paths = {size: str(make(folder, size)) for size in SIZES if size <= events}
            yield from growth(work, paths, since=IN_MEMORY, most={"slope": 1.05, **most})
    if is_wanted("import"):
        # The package imports public names when one is asked for; the second row has all of them but the plots.
        for what, limit in (("telemetry_kit", 1.2), ("telemetry_kit.public", None)):
            yield importing(what, "pandas, pandera.pandas", limit=limit, times=times)


def _loading(folder: Path, n: int, times: int, only: str) -> Iterator[Row]:
    """Load, validate and convert what users have, in every container, beside what reads the same without a check."""
    bare = "DuckDB, typed, to Arrow"
    for ending, container in (CONTAINERS | SHARES).items():
        more = ("malformed",) if container.is_malformed else ()
        works = [("load", "load_duckdb", bare, 1.25 if ending == CLEAN else 1.5)]
        if ending in CONTAINERS:
            works.append(("validate", "load_duckdb", bare, 1.2))
            works.append(("convert", "convert_duckdb", "DuckDB, typed, to Parquet", 1.5))
        for what, theirs, peer, limit in works:
            told = f"{what} {n:,}, {container.what}"
            if only in told:
                path = (str(_contained(folder, n, ending)),)
                both = (f"{what}_telemetry_kit", theirs)
                yield compare(told, peer, both, path, limit=limit, times=times, more=more, is_strict=True)
    others: list[tuple[str, str, float | None]] = [
        ("count_newlines", "counting the newlines", None),
        ("count_objects", "DuckDB, counting the objects", None),
        ("load_polars", "Polars, typed `scan_ndjson`", None),
        ("load_pandas", "pandas, `read_json` and `json_normalize`", 1 / 15),
    ]
    for theirs, peer, most in others:
        told = f"load {n:,}, clean"
        if only in told:
            both = ("load_telemetry_kit", theirs)
            yield compare(told, peer, both, (str(_simulated(folder, n)),), limit=most, times=times)


def _peers(python: str | None) -> Iterator[tuple[str, Kind, Peer]]:
    """Give each analysis with each of its peers, and the kind of frames that both read."""
    sql = ("hand-written DuckDB SQL", "analysis_duckdb", sys.executable, 1.5)
    for name in ANALYSES:
        yield name, "relations", sql
        if name in QUERIES:
            yield name, "relations", ("hand-written Polars", "analysis_polars", sys.executable, 1.5)
    # The tools read frames of pandas, and no others.
    yield PROGRESSION, "pandas", sql
    if python:
        yield PROGRESSION, "pandas", ("pm4py, performance graph", "analysis_pm4py", python, 1)
        yield PROGRESSION, "pandas", ("retentioneering, funnel", "analysis_retentioneering", python, 1)


def _simulated(folder: Path, n: int) -> Path:
    path = folder / f"events-{n}.jsonl"
    if not path.exists():
        run("simulate_telemetry_kit", str(path))
    return path


def _contained(folder: Path, n: int, ending: str) -> Path:
    clean = _simulated(folder, n)
    path = folder / f"events-{n}.{ending}"
    if not path.exists():
        write_container((CONTAINERS | SHARES)[ending], clean, path)
    return path


def _store(folder: Path, n: int) -> Path:
    path = folder / f"store-{n}"
    if not path.exists():
        run("convert_telemetry_kit", str(_simulated(folder, n)), str(path))
    return path


if __name__ == "__main__":
    sys.exit(main())
