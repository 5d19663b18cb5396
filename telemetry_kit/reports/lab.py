"""Copies of the notebooks to work with, the source set in each: ``python -m telemetry_kit.reports.lab SOURCE DIR``."""

from __future__ import annotations

import sys
from pathlib import Path

from telemetry_kit.eventlog import bundled
from telemetry_kit.reports.execution import PARAMETERS_TAG, read_notebook, tags_of

_SAMPLE = 'source = tk.samples() / "recorded-autumn"'


def copy_notebooks(source: str, directory: Path) -> list[Path]:
    """Copy the notebooks of the package, with ``source`` set; a copy that is there already is left as it is.

    Parameters
    ----------
    source
        What the notebooks are to read.
    directory
        Where the copies go.

    Returns
    -------
    list of pathlib.Path
        The copies.
    """
    import nbformat

    directory.mkdir(parents=True, exist_ok=True)
    copies = []
    for path in sorted(bundled.notebooks().glob("*.ipynb")):
        copy = directory / path.name
        if not copy.exists():
            notebook = read_notebook(path)
            for cell in notebook.cells:
                if PARAMETERS_TAG in tags_of(cell):
                    cell.source = cell.source.replace(_SAMPLE, f"source = {str(Path(source).absolute())!r}")
            nbformat.write(notebook, copy)  # type: ignore[no-untyped-call]
        copies.append(copy)
    return copies


if __name__ == "__main__":
    copy_notebooks(sys.argv[1], Path(sys.argv[2]))
