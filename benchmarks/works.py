"""The works that are measured, ours and the peers'; each runs once in a process of its own and tells what it took.

A work is a function of a path that gets ready (reads its input, imports what it needs by a first small call) and
returns what is then measured.
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import readers

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.inputs import Kind

_PROCESSES = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def load_telemetry_kit(path: str) -> Callable[[], object]:
    import telemetry_kit as tk

    # What is imported late, and the models that are made once in a process, are no loading.
    tk.load_events(tk.samples() / "recorded-autumn")
    return lambda: tk.load_events(path)


def validate_telemetry_kit(path: str) -> Callable[[], object]:
    """Run ``telemetry-kit validate``, and throw away what it prints."""
    import telemetry_kit as tk
    from telemetry_kit.cli import main as command

    def validate(source: str) -> int:
        with contextlib.redirect_stdout(io.StringIO()):
            return command(["validate", source, "--max-rejected", "1"])

    validate(str(tk.samples() / "recorded-autumn"))
    return lambda: validate(path)


def convert_telemetry_kit(path: str, directory: str = "") -> Callable[[], object]:
    """Convert to Parquet, into a directory that is thrown away unless one is named."""
    import telemetry_kit as tk

    def convert(source: str | Path) -> object:
        with tempfile.TemporaryDirectory() as folder:
            return tk.convert_events(source, directory or f"{folder}/log")

    if not directory:
        convert(tk.samples() / "recorded-autumn")
    return lambda: convert(path)


def simulate_telemetry_kit(path: str) -> Callable[[], object]:
    """Simulate as many events as the name of the file says."""
    from telemetry_kit.simulate import write_simulation

    target = Path(path)
    return lambda: write_simulation(target, n_events=int(target.stem.rpartition("-")[2]), seed=7)


def analysis_telemetry_kit(store: str, name: str, kind: Kind, memory_limit: str = "") -> Callable[[], object]:
    """Run an analysis of ``benchmarks.analyses``, after a first run on few events."""
    from benchmarks.analyses import ANALYSES
    from benchmarks.inputs import consume, few_events, open_inputs

    analysis = ANALYSES[name]
    with few_events() as small:
        consume(analysis.ours(open_inputs(small, kind, analysis.sql)[0]))
    log, _ = open_inputs(store, kind, analysis.sql, memory_limit=memory_limit)
    return lambda: consume(analysis.ours(log))


def analysis_duckdb(store: str, name: str, kind: Kind, memory_limit: str = "") -> Callable[[], object]:
    """Run the hand-written query for the same table on the same frames."""
    from benchmarks.analyses import ANALYSES
    from benchmarks.inputs import ask, consume, open_inputs

    analysis = ANALYSES[name]
    log, connection = open_inputs(store, kind, analysis.sql, memory_limit=memory_limit)

    def work() -> object:
        asked = ask(connection, analysis, log["cutoff"])
        if kind == "relations":
            return consume(asked)
        # Of frames come frames: the visits, where they are wanted, and the answer.
        _visits = connection.table("visits").to_arrow_table().to_pandas() if analysis.visits else None
        return len(asked.to_arrow_table().to_pandas())

    return work


def analysis_polars(store: str, name: str, _kind: Kind, _memory_limit: str = "") -> Callable[[], object]:
    """Run the hand-written Polars query for the same table on the Parquet of the store, streaming."""
    from benchmarks.polars_queries import QUERIES

    query = QUERIES[name]
    return lambda: len(query(store).collect(engine="streaming"))


def analysis_pm4py(store: str, _name: str, _kind: Kind, _memory_limit: str = "") -> Callable[[], object]:
    """Discover the performance graph: mean times between consecutive events of a case, by their stages."""
    from benchmarks.cases import performance_graph, read_incidents

    incidents = read_incidents(store)
    performance_graph(incidents.head(5000))
    return lambda: len(performance_graph(incidents))


def analysis_retentioneering(store: str, _name: str, _kind: Kind, _memory_limit: str = "") -> Callable[[], object]:
    """Count how many cases come to each stage after all stages before it."""
    from benchmarks.cases import funnel, read_incidents

    incidents = read_incidents(store)
    funnel(incidents.head(5000))
    return lambda: len(funnel(incidents))


def report_telemetry_kit(store: str) -> Callable[[], object]:
    """Write the report of a store into a directory that is thrown away."""
    from telemetry_kit.cli import main as command

    def work() -> object:
        with tempfile.TemporaryDirectory() as folder:
            return command(["report", store, "--out", f"{folder}/report"])

    return work


def main() -> None:
    name, *arguments = sys.argv[1:]
    work = (globals().get(name) or getattr(readers, name))(*arguments)
    wall, user, system = time.perf_counter(), *_cpu_times()
    kept = work()
    took = {"wall": time.perf_counter() - wall}
    user, system = (now - before for now, before in zip(_cpu_times(), (user, system), strict=True))
    took |= {"cpu": user + system, "user": user, "rows": kept if isinstance(kept, int) else -1}
    del kept
    print(json.dumps(took | {"peak": _peak() / 1024}))


def _peak() -> int:
    """Return the most kB that this process or the largest of those that it started, such as notebooks, has held.

    ``getrusage`` would tell of this process what the one that started it held, where that was more.
    """
    told = Path("/proc/self/status").read_text(encoding="ascii")
    (own,) = (int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM:"))
    return max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def _cpu_times() -> tuple[float, float]:
    """Return the user and the system time of this process and those it has started."""
    used = [resource.getrusage(who) for who in _PROCESSES]
    return sum(one.ru_utime for one in used), sum(one.ru_stime for one in used)


if __name__ == "__main__":
    main()
