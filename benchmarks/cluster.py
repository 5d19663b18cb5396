"""What the analyses move on Spark, and what a second executor is worth: ``python -m benchmarks cluster --help``.

Every analysis runs on a log of simulated events. Spark itself tells what each of its stages
wrote for others to read and held in memory; the rows that come to this machine are counted where they arrive.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import telemetry_kit as tk
from benchmarks.analyses import ANALYSES
from telemetry_kit import engine
from telemetry_kit.engine import frames
from telemetry_kit.simulate import parse_faults, write_simulation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

FAULTS = ["repeated=0.02", "late=0.01", "out_of_order=0.01", "damaged=0.005", "unknown_type=0.01"]
N_PARTITIONS = 4
"""Into how many partitions a shuffle goes; none are put together, so that a stage of one task is a serial one."""
SERIAL_SHARE = 100
"""A stage of one task that reads more than one in so many of the events is told: a second worker does not help it."""


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks cluster", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="simulated events (default a million)")
    parser.add_argument("--executors", type=int, nargs="*", default=[1, 2], help="how many load them (default 1 2)")
    parser.add_argument("--memory", type=int, default=2048, help="MB of an executor (default 2048)")
    parser.add_argument("--only", metavar="TEXT", default="", help="only analyses with this in their name")
    parser.add_argument("--folder", type=Path, help="where events are kept and found again (default: thrown away)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        path = folder / f"dirty-{options.events}.jsonl"
        if not path.exists():
            write_simulation(path, n_events=options.events, seed=7, faults=parse_faults(FAULTS))
        for n in options.executors:
            with _session(f"local-cluster[{n},1,{options.memory}]") as session:
                print(f"{n} executors: {_told(session, path)}", flush=True)
        store = folder / f"store-{path.stem}"
        if not store.exists():
            tk.convert_events(path, store)
        with _session("local[2]") as session:
            _print_moved(session, store, options.events, options.only)


def _told(session: SparkSession, path: Path) -> str:
    """Load the events, and tell the time of the clock and of the processors, those of the workers included."""
    begin, before = time.perf_counter(), _cpu_seconds()
    log = tk.scan_events(path, spark=session)
    n = sum(getattr(log, kind).count() for kind in tk.schemas.EVENT_TYPES)
    took, cpu = time.perf_counter() - begin, _cpu_seconds() - before
    shuffled = _Stages(session).since(None, n)[0]
    return f"{n:,} events in {took:.0f} s, {cpu:.0f} s of CPU time, {shuffled / n:.0f} bytes shuffled an event"


def _print_moved(session: SparkSession, store: Path, n_events: int, only: str) -> None:
    log = tk.scan_events(store, spark=session)
    inputs = {kind: getattr(log, kind) for kind in tk.schemas.EVENT_TYPES} | {"cutoff": log.cutoff}
    print("| work | bytes shuffled an event | bytes to this machine an event | MB of a task | serial stages |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    for name, analysis in ANALYSES.items():
        if only not in name or "licenses" in analysis.sql:
            continue
        # What an analysis before kept would be found again, and not be moved.
        session.catalog.clearCache()
        before = _Stages(session)
        with _collected() as sizes:
            result = analysis.ours(inputs)
            if hasattr(result, "sparkSession"):
                result.write.format("noop").mode("overwrite").save()
        print(_line(name, _Stages(session).since(before, n_events), sum(sizes), n_events), flush=True)


def _line(name: str, moved: tuple[int, int, list[int]], n_bytes: int, n_events: int) -> str:
    shuffled, peak, serial = moved
    told = ", ".join(f"{n:,} rows" for n in serial)
    return f"| {name} | {shuffled / n_events:.1f} | {n_bytes / n_events:.2f} | {peak / 1e6:.0f} | {told} |"


class _Stages:
    """The stages that Spark has finished so far: what each shuffled, how many tasks it had, what these held."""

    def __init__(self, session: SparkSession) -> None:
        session.sparkContext._jsc.sc().listenerBus().waitUntilEmpty()  # noqa: SLF001 - Python has no way to it
        store = session.sparkContext._jsc.sc().statusStore()  # noqa: SLF001
        gateway: Any = session.sparkContext._gateway  # noqa: SLF001
        nothing = gateway.jvm.java.util.ArrayList()
        quantiles = gateway.new_array(gateway.jvm.double, 0)
        found = store.stageList(nothing, False, False, quantiles, nothing)  # noqa: FBT003 - of Java
        self.stages = {}
        for place in range(found.size()):
            stage = found.apply(place)
            told = (
                stage.shuffleWriteBytes(),
                stage.peakExecutionMemory(),
                stage.numTasks(),
                stage.shuffleReadRecords(),
            )
            self.stages[stage.stageId()] = told

    def since(self, before: _Stages | None, n_events: int) -> tuple[int, int, list[int]]:
        """Return the bytes shuffled, the most that tasks held, and the rows of serial stages, since an earlier look."""
        new = [told for stage, told in self.stages.items() if before is None or stage not in before.stages]
        serial = [n for _, _, n_tasks, n in new if n_tasks == 1 and n > n_events / SERIAL_SHARE]
        peak = max((held // max(n_tasks, 1) for _, held, n_tasks, _ in new), default=0)
        return sum(told[0] for told in new), peak, serial


@contextmanager
def _collected() -> Iterator[list[int]]:
    """Note the bytes of every table that comes to this machine."""
    sizes: list[int] = []
    collect = frames.collect_arrow

    def noting(result: Any) -> Any:  # noqa: ANN401 - as collect_arrow
        table = collect(result)
        sizes.append(table.nbytes)
        return table

    # Some analyses call it by the name that the package gives it.
    engine.collect_arrow = frames.collect_arrow = noting
    try:
        yield sizes
    finally:
        engine.collect_arrow = frames.collect_arrow = collect


@contextmanager
def _session(master: str) -> Iterator[SparkSession]:
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.log.level": "ERROR",
        "spark.sql.adaptive.coalescePartitions.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": f"{N_PARTITIONS}",
        "spark.ui.retainedStages": "100000",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    builder = SparkSession.builder.master(master)
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()


def _cpu_seconds() -> float:
    """Return the CPU time of this process and of all below it, those that have ended included."""
    told = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            numbers = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        told[int(path.parent.name)] = int(numbers[1]), sum(map(int, numbers[11:15]))
    ours = {os.getpid()}
    while more := {pid for pid, (parent, _) in told.items() if parent in ours} - ours:
        ours |= more
    return sum(told[pid][1] for pid in ours if pid in told) / os.sysconf("SC_CLK_TCK")
