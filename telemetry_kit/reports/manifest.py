"""How a report was made: its inputs, the code and the options, and the digest of every file."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telemetry_kit.ingest.inputs import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

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


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in PACKAGES}


def digest_of_inputs(inputs: Sequence[Mapping[str, Any]]) -> str:
    """Return one digest of all that was read, by its name and content."""
    told = json.dumps([[entry["path"], entry["sha256"]] for entry in inputs])
    return hashlib.sha256(told.encode()).hexdigest()


def key_of(inputs: Sequence[Mapping[str, Any]], notebooks: Iterable[Path], options: Mapping[str, object]) -> str:
    """Return one digest of everything that a report depends on: its inputs, notebooks, options, and this package.

    Parameters
    ----------
    inputs
        What was read, each with ``path`` and ``sha256``.
    notebooks
        The files of the notebooks.
    options
        What was asked for.

    Returns
    -------
    str
        A report with the same key has the same bytes.
    """
    package = Path(__file__).parents[1]
    code = sorted(path for path in package.rglob("*") if path.suffix in {".py", ".html", ".css"})
    files = [*(("code", path) for path in code), *(("notebook", path) for path in notebooks)]
    told = {
        "inputs": digest_of_inputs(inputs),
        "options": {name: str(value) for name, value in options.items()},
        "versions": versions(),
        "files": [[kind, path.name, digest(path)] for kind, path in files],
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def make_manifest(folder: Path, about: Mapping[str, object], audit: pd.DataFrame) -> dict[str, object]:
    """Return how the report in a folder was made: no time and no place of this machine, so that it is the same again.

    Parameters
    ----------
    folder
        Where the report lies, complete but for this.
    about
        What else is to stand in front: the key, the bounds of time, the inputs.
    audit
        As ``EventLog.audit``.

    Returns
    -------
    dict
        For JSON.
    """
    outputs = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        **about,
        "counts": {column: int(audit[column].sum()) for column in COUNTS},
        "versions": versions(),
        "outputs": [describe(path.relative_to(folder).as_posix(), path) for path in outputs],
    }


def describe(name: str, path: Path) -> dict[str, str | int]:
    """Describe a file as manifests do."""
    return {"path": name, "bytes": path.stat().st_size, "sha256": digest(path)}
