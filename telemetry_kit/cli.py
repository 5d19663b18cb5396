"""Arguments in, exit status out: the command ``telemetry-kit``."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import os
import signal
import sys
import threading
import warnings
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NoReturn, TextIO

import pandas as pd

from telemetry_kit import output, schemas
from telemetry_kit.errors import IncompleteReportError, ParameterError, ResourceError, TelemetryKitError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROGRAM = "telemetry-kit"
MOST_LINES = 12
QUARANTINE_HEAD = 64
OK, FOUND_WANTING, MISTAKE = 0, 1, 2
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
    options = _parser().parse_args(arguments)
    status: int
    try:
        with _ended_by_signals(), warnings.catch_warnings():
            warnings.showwarning = _show_once()
            status = options.run(options)
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has seen enough; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = OK
    except IncompleteReportError as error:
        status = _complain(str(error), FOUND_WANTING)
    except TelemetryKitError as error:
        status = _complain(str(error))
    except OSError as error:
        status = _complain(f"{error.filename or 'system'}: {error.strerror or error}")
    except MemoryError:
        status = _complain("memory ran out; convert and report need a bounded amount (--memory-limit)")
    except KeyboardInterrupt:
        status = _complain("interrupted", ENDED_BY + signal.SIGINT)
    except _Ended as end:
        status = _complain(str(end), ENDED_BY + end.number)
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
    with _progress(sys.stderr) as on_progress:
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
    share = _print_audit(log.audit)
    if len(log.findings):
        print("\n" + _plain_table(log.findings))
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
    _print_audit(audit)
    if _is_empty(audit):
        _complain("warning: no event is there")
        return FOUND_WANTING
    return OK


def _is_empty(audit: pd.DataFrame) -> bool:
    return not audit[["n_incident", "n_tasks", "n_playbook"]].any(axis=None)


def _print_audit(audit: pd.DataFrame) -> float:
    """Print what became of every record, the total first, and return the share that was rejected."""
    total = audit.sum(numeric_only=True)
    share: float = total["n_rejected"] / max(total["n_read"], 1)
    print(f"{total['n_rejected']:,} of {total['n_read']:,} records rejected ({share:.2%})\n")
    folded = _by_folder(audit)
    in_all = total.to_frame().T.assign(source="in all")[audit.columns]
    print(_plain_table(folded if len(audit) == 1 else pd.concat([in_all, folded])))
    return share


def _by_folder(audit: pd.DataFrame) -> pd.DataFrame:
    """Add up the lines of an audit by folder, where there are more than can be looked at."""
    places = [PurePosixPath(source).parts for source in audit["source"]]
    deepest = max((len(parts) for parts in places), default=0)
    for depth in range(deepest, 0, -1):
        names = pd.Series(
            ["/".join([*parts[:depth], ""]) if len(parts) > depth else "/".join(parts) for parts in places],
            index=audit.index,
            dtype="str",
        )
        if depth == 1 or names.nunique() <= MOST_LINES:
            break
    else:
        return audit
    sums = audit.drop(columns="source").groupby(names, sort=False).sum()
    n_files = names.value_counts().reindex(sums.index)
    told = [f"{name} ({n:,} files)" if n > 1 else name for name, n in n_files.items()]
    return sums.reset_index(drop=True).assign(source=pd.Series(told, dtype="str"))[audit.columns]


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
    _print_audit(audit)
    return OK


def _schema(_options: argparse.Namespace) -> int:
    print(_plain_table(schemas.data_dictionary()))
    return OK


def _source(options: argparse.Namespace) -> str | list[str]:
    """Return the one source, or the list of them that a shell makes out of a pattern."""
    sources: list[str] = options.source
    return sources[0] if len(sources) == 1 else sources


def _plain_table(frame: pd.DataFrame) -> str:
    """Return a frame as aligned text, numbers to the right, with nothing in it that a terminal would obey."""
    columns = []
    for name, column in frame.items():
        is_number = pd.api.types.is_integer_dtype(column.dtype)
        cells = ["" if pd.isna(value) else f"{value:,}" if is_number else _printable(str(value)) for value in column]
        width = max(map(len, [str(name), *cells]))
        columns.append([cell.rjust(width) if is_number else cell.ljust(width) for cell in [str(name), *cells]])
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextlib.contextmanager
def _progress(stream: TextIO) -> Iterator[Callable[[int, int, str], None]]:
    """Show on a terminal what is done and how long the rest will take, and nothing elsewhere."""
    with contextlib.ExitStack() as stack:
        bar = None

        def show(done: int, total: int, what: str) -> None:
            nonlocal bar
            if not stream.isatty():
                return
            from tqdm import tqdm

            if bar is None:
                bar = stack.enter_context(tqdm(total=total, unit="cell", file=stream, leave=False, delay=2))
            bar.set_description(what, refresh=False)
            bar.update(done - bar.n)

        yield show


def _show_once() -> Callable[..., None]:
    """Return what shows a warning, once in a run: a report reads the same events again and again."""
    shown: set[str] = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            _complain(f"warning: {message}")

    return show


def _complain(message: str, status: int = MISTAKE) -> int:
    print(f"{PROGRAM}: {_printable(' '.join(message.split()))}", file=sys.stderr)
    return status
