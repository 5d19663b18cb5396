"""A source -> the directory of its report, all of it or nothing; the same events give the same bytes."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from telemetry_kit import engine, output, schemas, temporary
from telemetry_kit.analyses.periods import list_periods
from telemetry_kit.engine.connections import ANALYSIS_MEMORY
from telemetry_kit.errors import IncompleteReportError, MissingExtraError, ReportError
from telemetry_kit.eventlog import bundled
from telemetry_kit.eventlog.convert import convert_events
from telemetry_kit.eventlog.saved import is_saved, read_mark
from telemetry_kit.ingest.discovery import KEY, MANIFEST, find_files
from telemetry_kit.ingest.inputs import describe_files, input_files, is_of_files
from telemetry_kit.reports.changed import check_compare, what_changed
from telemetry_kit.reports.changes import read_earlier
from telemetry_kit.reports.cover import MIN_SERVERS, Account, Asked, cover_of, names_of
from telemetry_kit.reports.manifest import describe, key_of, make_manifest
from telemetry_kit.reports.pdf import find_browser, print_page
from telemetry_kit.reports.placing import is_whole, read_manifest, taking_place
from telemetry_kit.reports.prepared import (
    is_key,
    open_prepared,
    read_server_list,
    warn_of_absent,
    write_labelled,
)
from telemetry_kit.reports.tables import table_to_csv
from telemetry_kit.reports.takeaway import check_format

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame
    from nbformat import NotebookNode

    from telemetry_kit.engine.periods import Freq
    from telemetry_kit.eventlog.log import EventLog
    from telemetry_kit.reports.cover import Moment, Notebooks, Source
    from telemetry_kit.reports.pages import Chapter

QUARANTINE = "quarantine.jsonl"
WEEKS_FOR_MONTHS = 7
"""A recording of fewer weeks has no two months to compare, or of one only a few days."""
SINGLE_FILE, PDF = "report.html", "report.pdf"


def write_report(
    source: Source,
    out: str | os.PathLike[str],
    *,
    since: Moment | None = None,
    cutoff: Moment | None = None,
    against: str | os.PathLike[str] | None = None,
    compare: str | None = None,
    notebooks: Notebooks = None,
    exclude_servers: str | os.PathLike[str] | None = None,
    min_servers: int = MIN_SERVERS,
    with_ids: bool = False,
    with_quarantine: bool = False,
    tables: str = "csv",
    single_file: bool = False,
    with_pdf: bool = False,
    memory_limit: str = ANALYSIS_MEMORY,
    on_progress: Callable[[int, int, str], None] = lambda _done, _total, _what: None,
) -> Path:
    """Execute the notebooks on a source, and write what they show as a report that needs nothing else.

    A report is there as a whole or not at all: an earlier one in ``out`` stays until the new one is complete, and stays
    as it is where nothing has changed: neither what was read, nor the code, nor what was asked for. The events stay on
    disk, so that a report of any number of them needs bounded memory.

    Parameters
    ----------
    source
        What ``load_events`` reads: a file, a directory, a glob, a database URL, or a list of these.
    out
        The directory of the report.
    since, cutoff
        Events before the one and after the other are left out; by default none, and the newest event's time.
    against
        The directory of an earlier report: the first page says what changed since.
    compare
        ``"previous"``: the first page says what changed since the period of equal length before ``since``.
    notebooks
        The directory of the notebooks, or several, of which a later one adds to an earlier one and replaces the
        notebooks that are called the same; by default those of the package. Each notebook needs one cell tagged
        ``parameters`` that sets ``source``, ``cutoff``, ``load``, ``min_servers`` and ``period``, of which ``load`` is
        called with the first two and returns an ``EventLog``; cells tagged ``table:NAME`` and ``figure:NAME`` give
        their frame or figure away.
    exclude_servers
        A file with the ids of servers that are left out, one a line.
    min_servers
        A group with fewer servers is added to the others.
    with_ids
        Show the ids of servers. Without it they are called ``S01`` and so on, and which is which is written beside the
        directory, to ``NAME.servers.csv``, where it does not go along with the report; and why records were rejected is
        told without their values.
    with_quarantine
        Add ``quarantine.jsonl``, the rejected records as they came.
    tables
        In which format tables are written: ``"csv"``, ``"xlsx"`` or ``"parquet"``.
    single_file
        Add ``report.html``, all pages in one file.
    with_pdf
        Add ``report.pdf``, the same on paper, printed by Chromium or another browser of its kind.
    memory_limit
        How much memory DuckDB may use at a time, such as ``"2GB"``; Python and the pictures come on top.
    on_progress
        Called with the steps done, the steps in all, and what is being done.

    Returns
    -------
    pathlib.Path
        The directory: ``index.html``, one page per notebook, ``tables/*``, ``figures/*.svg`` and ``manifest.json``.

    Raises
    ------
    SourceError
        The source cannot be used.
    ReportError
        ``out`` holds anything but an earlier report, another file has the name of the key, a notebook is not one for
        reports, or there is no browser to print with.
    IncompleteReportError
        The report is there, but it holds no event, or a notebook failed: its page says so.
    ParameterError
        A parameter has a value that it cannot take.
    MissingExtraError
        The extra ``lab`` is not installed.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> from telemetry_kit.reports import write_report
    >>> write_report(tk.samples() / "recorded-autumn", "report")  # doctest: +SKIP
    PosixPath('report')
    """
    check_format(tables)
    if with_pdf:
        find_browser()
    check_compare(compare, since, against)
    engine.check_count("min_servers", min_servers, "a whole number of servers, 1 or more")
    excluded = () if exclude_servers is None else tuple(read_server_list(exclude_servers))
    earlier_report = None if against is None else str(against)
    asked = Asked(
        since, cutoff, excluded, min_servers, with_ids, with_quarantine, tables, single_file, memory_limit,
        earlier_report, compare, with_pdf, _own_notebooks(notebooks),
    )  # fmt: skip
    paths = _notebook_files(notebooks)
    chapters = _read_chapters(paths)
    place = output.path_of("out", out)
    key = _key(source, paths, asked, place)
    earlier = read_manifest(place)
    # Of "." and "..", the name is that of the directory.
    whole = Path(os.path.abspath(place))  # noqa: PTH100 - a link keeps its own name
    labels = whole.parent / f"{whole.name}{KEY}"
    has_key = is_key(labels)
    if key is not None and earlier.get("key") == key and is_whole(place, earlier) and (with_ids or has_key):
        on_progress(1, 1, "unchanged")
        return place
    if not (with_ids or has_key) and os.path.lexists(labels):
        raise ReportError(str(labels), "is there, and tells no servers apart: give the report another name, or move it")
    with taking_place(place) as folder, temporary.scratch() as scratch:
        total = 1 + sum(chapter.n_cells for chapter in chapters)
        on_progress(0, total, "loading")
        account = _read(source, scratch, asked)
        period: Freq = "M" if len(list_periods(account.log, "W")) >= WEEKS_FOR_MONTHS else "W"
        steps = itertools.count(1)
        executed = []
        for chapter in chapters:

            def on_cell(name: str = chapter.name) -> None:
                on_progress(next(steps), total, name)

            tables_of = scratch / "tables" / chapter.name
            tables_of.mkdir(parents=True)
            executed.append(_execute(chapter, account, asked, period, on_cell, tables=tables_of))
        changed = _changes(source, scratch, asked)
        _write_pages(folder, executed, account, names_of(source), asked, changed=changed)
        failed = [chapter.error for chapter in executed if chapter.error]
        if not _has_events(account.log):
            failed.append(_nothing_told(names_of(source), account.cutoff))
        about = {
            **({} if failed or key is None else {"key": key}),
            "since": account.since,
            "cutoff": account.cutoff,
            "inputs": account.inputs,
        }
        manifest = make_manifest(folder, about, account.log.audit)
        _write(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
        if account.key is not None:
            _write(labels, account.key.read_text("utf-8"))
        elif earlier and has_key:
            # It tells which server is which of the report that goes.
            labels.unlink(missing_ok=True)
    if failed:
        raise IncompleteReportError(failed[0])
    return place


def _has_events(log: EventLog[Any]) -> bool:
    events = (engine.open_frame(getattr(log, kind), ["server_id"], parameter=kind) for kind in schemas.EVENT_TYPES)
    return any(len(engine.collect(frame.select("server_id").head(1))) for frame in events)


def _nothing_told(names: Sequence[str], cutoff: object) -> str:
    told = "no event was read" if cutoff is None else "no event is of this period and of these servers"
    return f"{', '.join(names)}: {told}, so there is nothing to report on"


def _key(source: Source, notebooks: Sequence[Path], asked: Asked, place: Path) -> str | None:
    """Return the digest of all that a report depends on; none where a source does not tell whether it has changed."""
    # A report that takes the place of the earlier one is to stay when it is made again.
    is_of_another = asked.against is not None and Path(asked.against).resolve() != place.resolve()
    earlier = {"earlier": read_earlier(asked.against)} if asked.against is not None and is_of_another else {}
    if not is_of_files(source):
        return None
    inputs = describe_files(input_files(source))
    return key_of(inputs, notebooks, {"names": names_of(source), **vars(asked), **earlier})


def _notebook_folders(notebooks: Notebooks) -> list[Path]:
    """List the directories of notebooks that were given, or that of the package."""
    if notebooks is None:
        return [bundled.notebooks()]
    return [Path(notebooks)] if isinstance(notebooks, str | os.PathLike) else [Path(folder) for folder in notebooks]


def _own_notebooks(notebooks: Notebooks) -> tuple[str, ...]:
    """Name the directories of notebooks that are not of the package, without those above them."""
    of_package = bundled.notebooks().resolve()
    return tuple(names_of([folder for folder in _notebook_folders(notebooks) if folder.resolve() != of_package]))


def _notebook_files(notebooks: Notebooks) -> list[Path]:
    """List the notebooks of a report by name, a later directory's in the place of an earlier one's."""
    found: dict[str, Path] = {}
    for folder in _notebook_folders(notebooks):
        own = {path.name: path for path in folder.glob("*.ipynb")}
        if not own:
            raise ReportError(str(folder), "holds no notebook, expected at least one .ipynb file")
        found |= own
    return [found[name] for name in sorted(found)]


def _read_chapters(paths: Sequence[Path]) -> list[Chapter]:
    try:
        from telemetry_kit.reports.execution import read_notebook
        from telemetry_kit.reports.pages import Chapter

        return [Chapter(path.stem, read_notebook(path), number) for number, path in enumerate(paths, start=1)]
    except ModuleNotFoundError as error:
        raise MissingExtraError("a report", "lab") from error


def _read(source: Source, scratch: Path, asked: Asked) -> Account:
    """Read a source once for all notebooks: they open the store where it lies."""
    if isinstance(source, str | os.PathLike) and is_saved(source):
        store = Path(source)
        inputs = [describe(name, path) for name, path in find_files(store)]
    else:
        store = scratch / "events"
        convert_events(source, store, since=asked.since, cutoff=asked.cutoff, memory_limit=asked.memory_limit)
        inputs = [{key: entry[key] for key in ("path", "bytes", "sha256")} for entry in read_mark(store)["inputs"]]
    if asked.exclude_servers:
        warn_of_absent(asked.exclude_servers, _open(store, None, replace(asked, exclude_servers=())))
    account = Account(store, None, _open(store, None, asked), inputs)
    if asked.with_ids:
        return account
    key = scratch / "servers.csv"
    write_labelled(account.log, key)
    return account._replace(key=key, log=_open(store, key, asked))


def _changes(source: Source, scratch: Path, asked: Asked) -> tuple[pd.DataFrame | None, str] | None:
    """Compare with what was before, which needs events that the report itself leaves out."""
    if asked.against is None and asked.compare is None:
        return None
    if isinstance(source, str | os.PathLike) and is_saved(source):
        store = Path(source)
    else:
        store = scratch / "before"
        convert_events(source, store, cutoff=asked.cutoff, memory_limit=asked.memory_limit)
    wanted = replace(asked, since=None)
    whole = _open(store, None, replace(wanted, exclude_servers=()))
    return what_changed(_open(store, None, wanted), asked, whole=whole)


def _open(store: Path, key: Path | None, asked: Asked) -> EventLog[Any]:
    return open_prepared(str(store.absolute()), **_openings(key, asked))


def _openings(key: Path | None, asked: Asked) -> dict[str, Any]:
    """Return how the events are opened, here and in the notebooks."""
    texts = {name: None if getattr(asked, name) is None else str(getattr(asked, name)) for name in ("since", "cutoff")}
    return texts | {
        "memory_limit": asked.memory_limit,
        "exclude_servers": list(asked.exclude_servers),
        "key": None if key is None else str(key.absolute()),
    }


def _execute(
    chapter: Chapter, account: Account, asked: Asked, period: Freq, on_cell: Callable[[], None], *, tables: Path
) -> Chapter:
    """Execute a notebook; one that fails tells why, and the others go on."""
    from telemetry_kit.reports.execution import execute_notebook

    openings = {name: value for name, value in _openings(account.key, asked).items() if name != "cutoff"}
    opened = ", ".join(f"{name}={value!r}" for name, value in openings.items())
    parameters = {
        "source": repr(str(account.events.absolute())),
        "cutoff": repr(account.cutoff),
        "load": f"lambda source, cutoff: tk_open_prepared(source, cutoff=cutoff, {opened})",
        "min_servers": repr(asked.min_servers),
        "period": repr(period),
    }
    on_cell()
    try:
        execute_notebook(chapter.notebook, chapter.name, parameters, on_cell, tables=tables, tables_as=asked.tables)
    except ReportError as error:
        return replace(chapter, error=str(error))
    for text in _warnings_of(chapter.notebook):
        warnings.warn(f"{chapter.name}: {text}", stacklevel=3)
    try:
        _ = chapter.exhibits
    except ReportError as error:
        return replace(chapter, error=str(error))
    return chapter


def _warnings_of(notebook: NotebookNode) -> Iterator[str]:
    """Yield what the cells wrote to standard error: it may name paths of this machine, so no page shows it."""
    for cell in notebook.cells:
        for shown in cell.get("outputs", []):
            if shown.output_type == "stream" and shown.name == "stderr":
                yield shown.text.strip()


def _write_pages(
    folder: Path,
    chapters: list[Chapter],
    account: Account,
    names: list[str],
    asked: Asked,
    *,
    changed: tuple[pd.DataFrame | None, str] | None,
) -> None:
    from telemetry_kit.reports.pages import described, render_chapter, render_index, render_single
    from telemetry_kit.reports.summary import first_page

    written: set[str] = set()
    for exhibit in (exhibit for chapter in chapters for exhibit in chapter.exhibits):
        path = folder / exhibit.path
        if path.name in written:
            raise ReportError(exhibit.path, "two cells are tagged for it, expected one")
        written.add(path.name)
        path.parent.mkdir(exist_ok=True)
        if exhibit.kind == "table":
            shutil.copyfile(exhibit.content, path)
        else:
            _write(path, described(exhibit))
    cover = cover_of(names, account, asked)
    for chapter in chapters:
        _write(folder / chapter.path, render_chapter(chapter, chapters, cover))
    if asked.with_quarantine:
        with (folder / QUARANTINE).open("w", encoding="utf-8", newline="\n") as stream:
            write_quarantine(_open(account.events, None, asked).quarantine, stream)
    if changed is not None and changed[0] is not None:
        _write(folder / "tables" / "what-changed.csv", table_to_csv(changed[0]))
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    own = {chapter.path for chapter in chapters}
    taken = [file for file in files if file not in own]
    first = first_page(account.log, chapters, changed) | {"files": [*taken, MANIFEST]}
    _write(folder / "index.html", render_index(chapters, cover, first))
    if asked.single_file or asked.with_pdf:
        page = render_single(chapters, cover, first)
        if asked.single_file:
            _write(folder / SINGLE_FILE, page)
        if asked.with_pdf:
            print_page(page, folder / PDF)


def write_quarantine(quarantine: IntoFrame, stream: TextIO) -> None:
    r"""Write rejected records as JSON lines, one per record, its columns as the keys.

    Parameters
    ----------
    quarantine
        The frame of that name of an ``EventLog``.
    stream
        A text stream to write to.

    Examples
    --------
    >>> import io
    >>> import pandas as pd
    >>> stream = io.StringIO()
    >>> rejected = {"source": "a.jsonl", "record": 3, "event_type": None, "reason": "no JSON", "raw": "{"}
    >>> write_quarantine(pd.DataFrame([rejected]), stream)
    >>> stream.getvalue()
    '{"source": "a.jsonl", "record": 3, "event_type": null, "reason": "no JSON", "raw": "{"}\n'
    """
    for part in engine.parts(quarantine):
        records = part.astype(object).where(part.notna(), None).to_dict("records")
        stream.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
