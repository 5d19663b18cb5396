"""A source -> the directory of its report, all of it or nothing; the same events give the same bytes."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import json
import os
import platform
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO
from urllib.parse import urlsplit

import pandas as pd

from telemetry_kit import engine
from telemetry_kit.errors import MissingExtraError, ReportError
from telemetry_kit.eventlog import bundled
from telemetry_kit.eventlog.convert import convert_events
from telemetry_kit.eventlog.saved import is_saved, read_mark
from telemetry_kit.eventlog.scan import scan_events
from telemetry_kit.ingest.discovery import find_files, shown
from telemetry_kit.ingest.formats.database import is_url
from telemetry_kit.ingest.inputs import digest, list_items

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

    from narwhals.stable.v2.typing import IntoFrame
    from nbformat import NotebookNode

    from telemetry_kit.reports.pages import Chapter

    Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

MEMORY_LIMIT = "2GB"
MANIFEST = "manifest.json"
QUARANTINE = "quarantine.jsonl"
PACKAGES = (
    "telemetry-kit",
    "duckdb",
    "matplotlib",
    "narwhals",
    "numpy",
    "pandas",
    "pandera",
    "pyarrow",
    "scipy",
    "seaborn",
)
COUNTS = {
    "n_read": "Records read",
    "n_incident": "Incident events",
    "n_tasks": "Task events",
    "n_playbook": "Playbook events",
    "n_duplicate": "Duplicates",
    "n_rejected": "Rejected",
    "n_other": "Other types",
    "n_before_since": "Before the start",
    "n_after_cutoff": "After the cutoff",
}


class Account(NamedTuple):
    """What the report itself tells of the events that were read, and where they lie."""

    events: Path
    since: str | None
    cutoff: str | None
    audit: pd.DataFrame
    quarantine: IntoFrame
    inputs: list[dict[str, str | int]]


def write_report(
    source: Source,
    out: str | os.PathLike[str],
    *,
    since: str | dt.datetime | None = None,
    cutoff: str | dt.datetime | None = None,
    notebooks: str | os.PathLike[str] | None = None,
    memory_limit: str = MEMORY_LIMIT,
    on_progress: Callable[[int, int, str], None] = lambda _done, _total, _what: None,
) -> Path:
    """Execute the notebooks on a source, and write what they show as a report that needs nothing else.

    A report is there as a whole or not at all: an earlier one in ``out`` stays until the new one is complete. The
    events stay on disk, so that a report of any number of them needs bounded memory.

    Parameters
    ----------
    source
        What ``load_events`` reads: a file, a directory, a glob, a database URL, or a list of these.
    out
        The directory of the report.
    since, cutoff
        Events before the one and after the other are left out; by default none, and the newest event's time.
    notebooks
        A directory of other notebooks than those of the package. Each needs one cell tagged ``parameters`` that sets
        ``source``, ``cutoff`` and ``load``, which is then called with the two and returns an ``EventLog``; cells tagged
        ``table:NAME`` and ``figure:NAME`` give their frame or figure away.
    memory_limit
        How much memory DuckDB may use at a time, such as ``"2GB"``; Python and the pictures come on top.
    on_progress
        Called with the steps done, the steps in all, and what is being done.

    Returns
    -------
    pathlib.Path
        The directory: ``index.html``, one page per notebook, ``tables/*.csv``, ``figures/*.svg``,
        ``quarantine.jsonl`` and ``manifest.json``.

    Raises
    ------
    SourceError
        The source cannot be used.
    ReportError
        A notebook fails, or ``out`` holds anything but an earlier report.
    MissingExtraError
        The extra ``lab`` is not installed.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> from telemetry_kit.reports import write_report
    >>> write_report(tk.samples() / "recorded-autumn", "report")  # doctest: +SKIP
    PosixPath('report')
    """
    chapters = _read_chapters(bundled.notebooks() if notebooks is None else Path(notebooks))
    total = 1 + sum(chapter.n_cells for chapter in chapters)
    with _taking_place(Path(out)) as folder, tempfile.TemporaryDirectory(prefix="telemetry-kit-") as scratch:
        on_progress(0, total, "loading")
        account = _read(source, since, cutoff, Path(scratch, "events"), memory_limit)
        steps = itertools.count(1)
        for chapter in chapters:

            def on_cell(name: str = chapter.name) -> None:
                on_progress(next(steps), total, name)

            on_cell()
            _execute(chapter, account, memory_limit, on_cell)
        _write_pages(folder, chapters, _cover(source, account))
        with (folder / QUARANTINE).open("w", encoding="utf-8", newline="\n") as stream:
            write_quarantine(account.quarantine, stream)
        _write(folder / MANIFEST, json.dumps(_manifest(folder, account), indent=2) + "\n")
    return Path(out)


@contextlib.contextmanager
def _taking_place(place: Path) -> Iterator[Path]:
    """Give a directory to write a report in; what it holds at the end takes the place of an earlier report.

    Nothing changes where an exception ends it. The manifest is the last to go and to come: a report that has one is
    whole. The directory itself stays, since it may be a mount or the one in which somebody is working.
    """
    earlier = _earlier_files(place)
    is_new = not place.exists()
    place.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".report-", dir=place) as folder:
            yield Path(folder)
            for path in [place / MANIFEST, *(place / name for name in earlier)]:
                path.unlink(missing_ok=True)
            for directory in {(place / name).parent for name in earlier} - {place}:
                directory.rmdir()
            for path in sorted(Path(folder).iterdir(), key=lambda path: path.name == MANIFEST):
                path.rename(place / path.name)
    finally:
        if is_new and not any(place.iterdir()):
            place.rmdir()


def _earlier_files(place: Path) -> set[str]:
    """Return the files of an earlier report, and see that nothing else would be lost or mixed with a new one."""
    if not place.exists():
        return set()
    if not place.is_dir():
        raise ReportError(str(place), "is a file, expected a directory")
    found = {path.relative_to(place).as_posix() for path in place.rglob("*") if not path.is_dir()}
    try:
        listed = {MANIFEST} | {entry["path"] for entry in json.loads((place / MANIFEST).read_text("utf-8"))["outputs"]}
    except (OSError, ValueError, KeyError, TypeError):
        listed = set()
    strange = sorted(found - listed)
    if strange:
        raise ReportError(str(place), f"holds {strange[0]!r}, expected an empty directory or an earlier report")
    return found


def _read_chapters(folder: Path) -> list[Chapter]:
    try:
        from telemetry_kit.reports.execution import read_notebook
        from telemetry_kit.reports.pages import Chapter

        chapters = [Chapter(path.stem, read_notebook(path)) for path in sorted(folder.glob("*.ipynb"))]
    except ModuleNotFoundError as error:
        raise MissingExtraError("a report", "lab") from error
    if not chapters:
        raise ReportError(str(folder), "holds no notebook, expected at least one .ipynb file")
    return chapters


def _read(
    source: Source,
    since: str | dt.datetime | None,
    cutoff: str | dt.datetime | None,
    store: Path,
    memory_limit: str,
) -> Account:
    """Read a source once for all notebooks: they open the store where it lies."""
    if isinstance(source, str | os.PathLike) and is_saved(source):
        store = Path(source)
        inputs = [_entry(name, path) for name, path in find_files(store)]
    else:
        convert_events(source, store, since=since, cutoff=cutoff, memory_limit=memory_limit)
        inputs = [{key: entry[key] for key in ("path", "bytes", "sha256")} for entry in read_mark(store)["inputs"]]
    log = scan_events(store, since=since, cutoff=cutoff, memory_limit=memory_limit)
    begin, moment = None if log.since is None else log.since.isoformat(), log.cutoff.isoformat()
    return Account(store, begin, None if moment == "NaT" else moment, log.audit, log.quarantine, inputs)


def _execute(chapter: Chapter, account: Account, memory_limit: str, on_cell: Callable[[], None]) -> None:
    from telemetry_kit.reports.execution import execute_notebook

    parameters = {
        "source": repr(str(account.events.absolute())),
        "cutoff": repr(account.cutoff),
        "load": f"lambda source, cutoff: tk.scan_events(source, cutoff=cutoff, memory_limit={memory_limit!r})",
    }
    execute_notebook(chapter.notebook, chapter.name, parameters, on_cell)
    for text in _warnings_of(chapter.notebook):
        warnings.warn(f"{chapter.name}: {text}", stacklevel=3)


def _warnings_of(notebook: NotebookNode) -> Iterator[str]:
    """Yield what the cells wrote to standard error: it may name paths of this machine, so no page shows it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                yield output.text.strip()


def _cover(source: Source, account: Account) -> dict[str, object]:
    """Return what every page says about the events."""
    return {
        "sources": _names(source),
        "cutoff": "no events" if account.cutoff is None else f"{pd.Timestamp(account.cutoff):%Y-%m-%d %H:%M:%S} UTC",
        "counts": {label: int(account.audit[column].sum()) for column, label in COUNTS.items()},
        "version": importlib.metadata.version("telemetry-kit"),
    }


def _write_pages(folder: Path, chapters: list[Chapter], cover: dict[str, object]) -> None:
    from telemetry_kit.reports.pages import render_chapter, render_index

    for exhibit in (exhibit for chapter in chapters for exhibit in chapter.exhibits):
        path = folder / exhibit.path
        if path.exists():
            raise ReportError(exhibit.path, "two cells are tagged for it, expected one")
        _write(path, exhibit.content)
    for chapter in chapters:
        _write(folder / chapter.path, render_chapter(chapter, chapters, cover))
    _write(folder / "index.html", render_index(chapters, cover))


def _manifest(folder: Path, account: Account) -> dict[str, object]:
    """Return how the report was made: no time and no place of this machine, so that it is the same again."""
    outputs = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "since": account.since,
        "cutoff": account.cutoff,
        "counts": {column: int(account.audit[column].sum()) for column in COUNTS},
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
        "inputs": account.inputs,
        "outputs": [_entry(path.relative_to(folder).as_posix(), path) for path in outputs],
    }


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


def _entry(name: str, path: Path) -> dict[str, str | int]:
    return {"path": name, "bytes": path.stat().st_size, "sha256": digest(path)}


def _names(source: Source) -> list[str]:
    """Name what was given without the directories above it, and a database without the account that opens it."""
    return [
        urlsplit(item)._replace(netloc=urlsplit(item).hostname or "", query="").geturl()
        if isinstance(item, str) and is_url(item)
        else shown(Path(item).absolute().name)
        for item in list_items(source)
    ]
