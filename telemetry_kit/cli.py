"""Arguments in, exit status out: the command ``telemetry-kit``."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import io
import os
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from telemetry_kit import output, schemas
from telemetry_kit.errors import IncompleteReportError, ParameterError, ResourceError, TelemetryKitError
from telemetry_kit.terminal import MISTAKE, PROGRAM, complain, plain_table, print_audit, progress, show_once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

QUARANTINE_HEAD = 64
OK, FOUND_WANTING = 0, 1
FORMATS = ("html", "pdf")
ENDED_BY = 128
"""What the exit status of a command is above the number of the signal that ended it."""


class _Ended(BaseException):
    """A signal asks the command to end: everything of ours is put away on the way out."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"ended by {signal.Signals(number).name}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        The words after the command's name; by default those of this process.

    Returns
    -------
    int
        The exit status: 0, or 1 when no event is there or ``validate`` found too many rejected records, or 2 for a
        user's mistake, which one line on standard error explains.

    Examples
    --------
    >>> main(["validate", "nowhere.jsonl"])
    2
    """
    _open_streams()
    options = _parser().parse_args(arguments)
    status: int
    try:
        with _ended_by_signals(), warnings.catch_warnings():
            warnings.showwarning = show_once()
            if options.run is not _schema:
                # To import it once more, as what is put away would after an interrupt, ends the process.
                import duckdb  # noqa: F401
            status = options.run(options)
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = OK
    except IncompleteReportError as error:
        status = complain(str(error), FOUND_WANTING)
    except TelemetryKitError as error:
        status = complain(str(error))
    except OSError as error:
        status = complain(f"{error.filename or 'system'}: {error.strerror or error}")
    except MemoryError:
        status = complain("memory ran out; convert and report need a bounded amount (--memory-limit)")
    except (KeyboardInterrupt, RuntimeError) as error:
        # DuckDB says in these words that it was interrupted.
        if isinstance(error, RuntimeError) and str(error) != "Query interrupted":
            raise
        status = complain("interrupted", ENDED_BY + signal.SIGINT)
    except _Ended as end:
        status = complain(str(end), ENDED_BY + end.number)
    return status


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let the signals that end a process end it through every context manager."""

    def end(number: int, _frame: object) -> NoReturn:
        # Once is enough: what is put away meanwhile must not be interrupted.
        signal.signal(number, signal.SIG_IGN)
        raise _Ended(number)

    names = ("SIGTERM", "SIGHUP") if threading.current_thread() is threading.main_thread() else ()
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    earlier = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISTAKE, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _open_streams() -> None:
    """Give what was closed by whoever started the command a place to go, here and in the processes that it starts.

    What the encoding of a stream has no character for is written as an escape.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            handle = os.open(os.devnull, os.O_RDWR)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
            os.set_inheritable(number, True)  # noqa: FBT003 - its only argument
            setattr(sys, name, open(number, "w" if number else "r", encoding="utf-8", closefd=False))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description="What incident-response telemetry says, and how sure that is.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {importlib.metadata.version(PROGRAM)}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        added.set_defaults(run=run)
        return added

    report = command("report", _report, "execute the notebooks on a source, and write HTML, tables and figures")
    _add_source(report)
    report.add_argument(
        "--out", required=True, metavar="DIR", help="directory of the report; an earlier one is replaced"
    )
    _add_bounds(report)
    _add_report_options(report)
    _add_memory_limit(report)

    validate = command("validate", _validate, "load a source, and print what became of every record")
    _add_source(validate)
    _add_bounds(validate)
    validate.add_argument("--quarantine", metavar="FILE", help="write the rejected records there, as JSON lines")
    validate.add_argument(
        "--max-rejected",
        metavar="SHARE",
        type=float,
        default=0.0,
        help="exit status 1 when more than this share of the records is rejected (default 0)",
    )

    convert = command("convert", _convert, "write a source of any size as validated Parquet, which loads at once")
    _add_source(convert)
    convert.add_argument(
        "--out", required=True, metavar="DIR", help="directory of the event log; an earlier one is replaced"
    )
    how = convert.add_mutually_exclusive_group()
    how.add_argument(
        "--append",
        action="store_true",
        help="add the files that an earlier one does not have yet; one that is to be added to needs it from the first",
    )
    how.add_argument(
        "--spark",
        metavar="MASTER",
        help="read and write on a cluster of Spark, such as spark://host:7077, yarn, local[2] or sc://host:15002; "
        "its workers have to see SOURCE and DIR",
    )
    _add_bounds(convert)
    _add_memory_limit(convert)

    simulate = command("simulate", _simulate, "write simulated events, as they would have arrived, and their truth")
    simulate.add_argument(
        "--out", required=True, metavar="FILE", help="file to write, packed if it ends in .gz or .zst"
    )
    simulate.add_argument("--events", required=True, type=int, metavar="N", help="number of events")
    simulate.add_argument("--seed", required=True, type=int, metavar="S", help="the same seed gives the same events")
    simulate.add_argument("--era", default="oct2020", help="prev, oct2020 (default), later, or change (of the era)")
    simulate.add_argument(
        "--container", default="object-storage", help="object-storage (default), batch-bodies or published"
    )
    simulate.add_argument(
        "--faults",
        nargs="+",
        default=[],
        metavar="NAME=SHARE",
        help="what delivery does: repeated, lost, late, out_of_order, damaged, unknown_type, unknown_property",
    )

    command("schema", _schema, "print the data dictionary: every field, its names, type and rules")
    return parser


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="+", metavar="SOURCE", help="a file, a directory, a glob or a database URL")


def _add_report_options(report: argparse.ArgumentParser) -> None:
    before = report.add_mutually_exclusive_group()
    before.add_argument(
        "--against", metavar="REPORT", help="say what changed since an earlier report, by its directory"
    )
    before.add_argument("--compare", metavar="PERIOD", help="'previous': what changed since the period before --since")
    report.add_argument("--notebooks", metavar="DIR", help="add the notebooks there, or replace those of the same name")
    report.add_argument(
        "--exclude-servers", metavar="FILE", help="leave out the servers whose ids stand there, one a line"
    )
    report.add_argument(
        "--min-servers", metavar="N", type=int, default=3, help="add smaller groups to the others (default 3)"
    )
    report.add_argument("--with-ids", action="store_true", help="show the ids of servers, and not S01 and so on")
    report.add_argument("--with-quarantine", action="store_true", help="add the rejected records as they came")
    report.add_argument("--tables", default="csv", metavar="FORMAT", help="csv (default), xlsx or parquet")
    report.add_argument("--single-file", action="store_true", help="add report.html, all pages in one file")
    report.add_argument("--format", default="html", metavar="FORMAT", help="html (default), or pdf: add report.pdf")


def _add_bounds(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--since", metavar="T", help="leave out events before this time (ISO 8601, UTC unless it says)")
    parser.add_argument("--cutoff", metavar="T", help="leave out events after this time (ISO 8601, UTC unless it says)")


def _add_memory_limit(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--memory-limit", metavar="SIZE", help="how much memory DuckDB may use, such as 512MB or 4GB")


def _memory_limit(options: argparse.Namespace) -> dict[str, str]:
    """Return the limit of memory as a keyword, where one was given."""
    return {} if options.memory_limit is None else {"memory_limit": options.memory_limit}


def _report(options: argparse.Namespace) -> int:
    from telemetry_kit.eventlog.bundled import notebooks
    from telemetry_kit.reports import write_report

    if options.format not in FORMATS:
        raise ParameterError("--format", options.format, FORMATS)
    folders = [notebooks()] + ([] if options.notebooks is None else [options.notebooks])
    with progress(sys.stderr) as on_progress:
        place = write_report(
            _source(options),
            options.out,
            since=options.since,
            cutoff=options.cutoff,
            against=options.against,
            compare=options.compare,
            notebooks=folders,
            exclude_servers=options.exclude_servers,
            min_servers=options.min_servers,
            with_ids=options.with_ids,
            with_quarantine=options.with_quarantine,
            tables=options.tables,
            single_file=options.single_file,
            with_pdf=options.format == "pdf",
            on_progress=on_progress,
            **_memory_limit(options),
        )
    print(place / "index.html")
    return OK


def _validate(options: argparse.Namespace) -> int:
    from telemetry_kit.eventlog.load import judge_events
    from telemetry_kit.reports import write_quarantine

    if not 0 <= options.max_rejected <= 1:
        raise ParameterError("--max-rejected", options.max_rejected, "a share between 0 and 1")
    quarantine = None if options.quarantine is None else _own_file(options.quarantine, _source(options))
    log = judge_events(_source(options), since=options.since, cutoff=options.cutoff)
    if quarantine is not None:
        try:
            with output.new_file(quarantine) as made, made.open("w", encoding="utf-8", newline="\n") as stream:
                write_quarantine(log.quarantine, stream)
        except OSError as error:
            raise ResourceError(f"--quarantine: {options.quarantine!r} cannot be written: {error.strerror}") from None
    share = print_audit(log.audit)
    if len(log.findings):
        print("\n" + plain_table(log.findings))
    if _is_empty(log.audit):
        print("\nexit status 1: no event of these types was read")
        return FOUND_WANTING
    if share > options.max_rejected:
        allowed = f"more than --max-rejected {options.max_rejected:g}"
        print(f"\nexit status 1: {share:.2%} of the records were rejected, {allowed}")
        return FOUND_WANTING
    return OK


def _own_file(name: str, source: str | list[str]) -> Path:
    """Return where the quarantine is to be written, and see that nothing else is lost there."""
    from telemetry_kit.ingest.inputs import input_files

    path = Path(name)
    if not name or path.is_dir():
        raise ParameterError("--quarantine", name, "the name of a file")
    if path.is_file():
        if any(path.samefile(given) for _, given in input_files(source) if given.exists()):
            raise ParameterError("--quarantine", name, "another file than those of the source")
        with path.open("rb") as stream:
            first = stream.readline(QUARANTINE_HEAD)
        if first and not first.startswith(b'{"source": '):
            raise ParameterError("--quarantine", name, "a new file, or an earlier quarantine")
    return path


def _convert(options: argparse.Namespace) -> int:
    from telemetry_kit.eventlog.convert import convert_events

    bounds = {"since": options.since, "cutoff": options.cutoff}
    if options.spark is None:
        audit = convert_events(_source(options), options.out, append=options.append, **bounds, **_memory_limit(options))
    else:
        from telemetry_kit.eventlog.cluster.conversion import convert_on_spark

        if options.memory_limit is not None:
            told = "none with --spark, whose settings (spark.executor.memory) hold"
            raise ParameterError("--memory-limit", options.memory_limit, told)
        audit = convert_on_spark(_source(options), options.out, master=options.spark, **bounds)
    print_audit(audit)
    if _is_empty(audit):
        complain("warning: no event is there")
        return FOUND_WANTING
    return OK


def _is_empty(audit: pd.DataFrame) -> bool:
    return not audit[["n_incident", "n_tasks", "n_playbook"]].any(axis=None)


def _simulate(options: argparse.Namespace) -> int:
    from telemetry_kit.simulate import parse_faults, write_simulation

    audit = write_simulation(
        options.out,
        n_events=options.events,
        seed=options.seed,
        era=options.era,
        container=options.container,
        faults=parse_faults(options.faults),
    )
    print_audit(audit)
    return OK


def _schema(_options: argparse.Namespace) -> int:
    print(plain_table(schemas.data_dictionary()))
    return OK


def _source(options: argparse.Namespace) -> str | list[str]:
    """Return the one source, or the list of them that a shell makes out of a pattern."""
    sources: list[str] = options.source
    return sources[0] if len(sources) == 1 else sources
