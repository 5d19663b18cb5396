"""A source -> the directory of its report, all of it or nothing; the same events give the same bytes."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from urllib.parse import urlsplit

from telemetry_kit.errors import MissingExtraError, ReportError
from telemetry_kit.load import load_events
from telemetry_kit.places import notebooks_path
from telemetry_kit.sources import find_files

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from nbformat import NotebookNode

    from telemetry_kit.load import EventLog
    from telemetry_kit.reports.pages import Chapter

    Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

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
    "n_after_cutoff": "After the cutoff",
}


def write_report(
    source: Source,
    out: str | os.PathLike[str],
    *,
    cutoff: dt.datetime | str | None = None,
    notebooks: str | os.PathLike[str] | None = None,
    on_progress: Callable[[int, int, str], None] = lambda _done, _total, _what: None,
) -> Path:
    """Execute the notebooks on a source, and write what they show as a report that needs nothing else.

    The report is made beside ``out`` and takes its place when it is whole; an earlier report there is replaced.

    Parameters
    ----------
    source
        What ``load_events`` reads: a file, a directory, a glob, a database URL, or a list of these.
    out
        The directory of the report.
    cutoff
        Events after it are left out; by default the newest event's time.
    notebooks
        A directory of other notebooks than those of the package. Each needs one cell tagged ``parameters`` that sets
        ``source`` and ``cutoff``; cells tagged ``table:NAME`` and ``figure:NAME`` give their frame or figure away.
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
    >>> write_report(tk.sample_path(), "report")  # doctest: +SKIP
    PosixPath('report')
    """
    place = Path(out)
    _check_place(place)
    paths = sorted(Path(notebooks_path() if notebooks is None else notebooks).glob("*.ipynb"))
    if not paths:
        raise ReportError(str(notebooks), "holds no notebooks")
    log = load_events(source, cutoff=cutoff)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as folder:
        made = Path(folder, "report")
        made.mkdir()
        chapters = _execute(paths, _parameters(source, log), on_progress)
        _write_pages(made, chapters, source, log)
        _write_manifest(made, source, log)
        if place.exists():
            place.rename(Path(folder, "earlier"))
        made.rename(place)
    return place


def _check_place(place: Path) -> None:
    """See that nothing would be lost if the report took this place."""
    if not place.exists():
        return
    if not place.is_dir():
        raise ReportError(str(place), "is a file, expected a directory")
    found = {path.relative_to(place).as_posix() for path in place.rglob("*") if not path.is_dir()}
    try:
        earlier = {entry["path"] for entry in json.loads((place / MANIFEST).read_text("utf-8"))["outputs"]}
    except (OSError, ValueError, KeyError, TypeError):
        earlier = set()
    strange = sorted(found - earlier - ({MANIFEST} if earlier else set()))
    if strange:
        raise ReportError(str(place), f"holds {strange[0]!r}, expected an empty directory or an earlier report")


def _parameters(source: Source, log: EventLog) -> dict[str, str]:
    given = [source] if isinstance(source, str | os.PathLike) else list(source)
    absolute = [_absolute(item) for item in given]
    return {
        "source": repr(absolute[0] if len(absolute) == 1 else absolute),
        "cutoff": repr(log.cutoff.isoformat()),
    }


def _absolute(source: str | os.PathLike[str]) -> str:
    text = os.fspath(source)
    return text if "://" in text else str(Path(text).absolute())


def _execute(
    paths: Sequence[Path], parameters: dict[str, str], on_progress: Callable[[int, int, str], None]
) -> list[Chapter]:
    try:
        from telemetry_kit.reports.execution import execute_notebook, read_notebook
        from telemetry_kit.reports.pages import Chapter

        notebooks = [(path.stem, read_notebook(path)) for path in paths]
    except ModuleNotFoundError as error:
        raise MissingExtraError("a report", "lab") from error
    total = sum(cell.cell_type == "code" for _, notebook in notebooks for cell in notebook.cells)
    done = 0
    chapters = []
    for name, notebook in notebooks:

        def on_cell(name: str = name) -> None:
            nonlocal done
            done += 1
            on_progress(done, total, name)

        on_progress(done, total, name)
        execute_notebook(notebook, name, parameters, on_cell)
        for text in _warnings_of(notebook):
            warnings.warn(f"{name}: {text}", stacklevel=3)
        chapters.append(Chapter(name, notebook))
    return chapters


def _warnings_of(notebook: NotebookNode) -> Iterator[str]:
    """Yield what the cells wrote to standard error: it may name paths of this machine, so no page shows it."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                yield output.text.strip()


def _write_pages(folder: Path, chapters: list[Chapter], source: Source, log: EventLog) -> None:
    from telemetry_kit.reports.pages import render_chapter, render_index

    totals = log.audit[list(COUNTS)].sum()
    cover = {
        "sources": _names(source),
        "cutoff": f"{log.cutoff:%Y-%m-%d %H:%M:%S} UTC",
        "counts": {label: int(totals[column]) for column, label in COUNTS.items()},
        "version": importlib.metadata.version("telemetry-kit"),
    }
    exhibits = [exhibit for chapter in chapters for exhibit in chapter.exhibits]
    for exhibit in exhibits:
        path = folder / exhibit.path
        if path.exists():
            raise ReportError(exhibit.path, "two cells are tagged for it, expected one")
        _write(path, exhibit.content)
    for chapter in chapters:
        _write(folder / chapter.path, render_chapter(chapter, chapters, cover))
    _write(folder / "index.html", render_index(chapters, cover))
    with (folder / QUARANTINE).open("w", encoding="utf-8", newline="\n") as stream:
        write_quarantine(log.quarantine, stream)


def _write_manifest(folder: Path, source: Source, log: EventLog) -> None:
    outputs = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "cutoff": log.cutoff.isoformat(),
        "counts": {column: int(log.audit[column].sum()) for column in COUNTS},
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
        "inputs": [_entry(name, path) for name, path in _files(source)],
        "outputs": [_entry(path.relative_to(folder).as_posix(), path) for path in outputs],
    }
    _write(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")


def write_quarantine(quarantine: pd.DataFrame, stream: TextIO) -> None:
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
    records = quarantine.astype(object).where(quarantine.notna(), None).to_dict("records")
    stream.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


def _entry(name: str, path: Path) -> dict[str, str | int]:
    with path.open("rb") as stream:
        return {"path": name, "bytes": path.stat().st_size, "sha256": hashlib.file_digest(stream, "sha256").hexdigest()}


def _names(source: Source) -> list[str]:
    """Name what was given without the directories above it, and a database without the account that opens it."""
    given = [source] if isinstance(source, str | os.PathLike) else source
    texts = [os.fspath(item) for item in given]
    return [
        urlsplit(text)._replace(netloc=urlsplit(text).hostname or "", query="").geturl()
        if "://" in text
        else Path(text).absolute().name
        for text in texts
    ]


def _files(source: Source) -> list[tuple[str, Path]]:
    given = [source] if isinstance(source, str | os.PathLike) else list(source)
    return find_files([item for item in given if "://" not in os.fspath(item)])
