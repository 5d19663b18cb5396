"""What the kernel of a report makes of what its cells show: an extension of IPython.

A table may be very long, so it goes into a file at once, and only its first rows pass through the notebook.
"""

from __future__ import annotations

import functools
import itertools
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from telemetry_kit.errors import NoEventsWarning, OneClusterWarning
from telemetry_kit.reports.reading import table_to_html
from telemetry_kit.reports.takeaway import write_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from IPython.core.interactiveshell import InteractiveShell

TABLE = "application/vnd.telemetry-kit.table"
"""Under which type a cell's output names the file of a table."""
FOLDER, FORMAT = "TELEMETRY_KIT_TABLES", "TELEMETRY_KIT_TABLES_AS"
"""The variables of the environment that say where tables are written, and as what."""
SALT = "telemetry-kit"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Let every pandas frame that a cell shows leave its file, and every figure be an SVG whose bytes do not vary."""
    assert shell.display_formatter is not None
    bundle = functools.partial(_bundle, Path(os.environ[FOLDER]), os.environ[FORMAT], itertools.count(1))
    shell.display_formatter.mimebundle_formatter.for_type(pd.DataFrame, bundle)
    shell.config.InlineBackend.figure_formats = {"svg"}
    shell.config.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "metadata": {"Date": None}}
    shell.config.InlineBackend.rc = {"svg.hashsalt": SALT}
    # A table of many groups has some of one server: its limits are empty there, and nobody needs telling each time.
    # Nor that no event is there, which the first page says, and the command.
    for told_elsewhere in (OneClusterWarning, NoEventsWarning):
        warnings.simplefilter("ignore", told_elsewhere)
    # Without the place in the code, which is a path of this machine.
    warnings.formatwarning = _without_place


def _without_place(message: Warning | str, category: type[Warning], *_: object, **__: object) -> str:
    return f"{category.__name__}: {message}\n"


def _bundle(
    folder: Path, tables: str, numbers: Iterator[int], frame: pd.DataFrame, **_filters: object
) -> dict[str, str]:
    file = write_table(frame, folder / str(next(numbers)), tables)
    return {"text/html": table_to_html(frame), TABLE: str(file)}
