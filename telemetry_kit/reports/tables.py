"""A tidy table as HTML to read, as CSV to take away and as Arrow for other formats; the kernels of a report load this.

Text in a table may have come from anybody who can send an event, so HTML escapes it, and CSV keeps a spreadsheet from
reading it as a formula.
"""

from __future__ import annotations

import base64
import warnings
from typing import TYPE_CHECKING, Any

import pandas as pd

from telemetry_kit.errors import NoEventsWarning, OneClusterWarning
from telemetry_kit.reports.reading import table_to_html
from telemetry_kit.reports.wording import is_null

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

ARROW = "application/vnd.apache.arrow.stream"
"""A table with the types of its columns, base64."""
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
SALT = "telemetry-kit"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Let every pandas frame that a cell shows carry its CSV, and every figure be an SVG whose bytes do not vary."""
    assert shell.display_formatter is not None
    shell.display_formatter.mimebundle_formatter.for_type(pd.DataFrame, _bundle)
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


def _bundle(frame: pd.DataFrame, **_filters: object) -> dict[str, str]:
    bundle = {"text/html": table_to_html(frame), "text/csv": table_to_csv(frame)}
    arrow = _table_to_arrow(frame)
    return bundle if arrow is None else bundle | {ARROW: arrow}


def _table_to_arrow(frame: pd.DataFrame) -> str | None:
    """Return a table as an Arrow stream in base64; none where its columns hold what Arrow has no type for."""
    import pyarrow as pa

    try:
        table = pa.Table.from_pandas(_with_named_index(frame), preserve_index=False).replace_schema_metadata()
    except (pa.ArrowException, TypeError, ValueError):
        return None
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return base64.b64encode(sink.getvalue().to_pybytes()).decode()


def table_to_csv(frame: pd.DataFrame) -> str:
    r"""Return a table as CSV: text quoted and never a formula, times in ISO 8601, numbers at full precision.

    Parameters
    ----------
    frame
        Any table; a named index becomes its first columns.

    Returns
    -------
    str
        A header and one line per row, each ended by a line feed. Nulls are empty.

    Examples
    --------
    >>> print(table_to_csv(pd.DataFrame({"server_id": ["=1+1"], "n": [2]})), end="")
    "server_id","n"
    "'=1+1",2
    """
    table = _with_named_index(frame)
    kinds = [_csv_text if _is_text(column) else _csv_value for _, column in table.items()]
    lines = [",".join(map(_csv_text, table.columns))]
    lines += [
        ",".join("" if is_null(value) else write(value) for write, value in zip(kinds, row, strict=True))
        for row in table.astype(object).itertuples(index=False, name=None)
    ]
    return "\n".join(lines) + "\n"


def _csv_text(value: object) -> str:
    text = str(value)
    harmless = f"'{text}" if text.startswith(FORMULA_STARTS) else text
    return '"{}"'.format(harmless.replace('"', '""'))


def _csv_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, pd.Timestamp) else str(value)


def _is_text(column: pd.Series[Any]) -> bool:
    kinds = pd.api.types
    return not (kinds.is_numeric_dtype(column.dtype) or kinds.is_datetime64_any_dtype(column.dtype))


def _with_named_index(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.reset_index() if any(name is not None for name in frame.index.names) else frame.reset_index(drop=True)
