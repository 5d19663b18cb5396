"""A tidy table as HTML to read and as CSV to take away; the kernels of a report load this as their extension.

Text in a table may have come from anybody who can send an event, so HTML escapes it, and CSV keeps a spreadsheet from
reading it as a formula.
"""

from __future__ import annotations

import html
import json
import math
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import InteractiveShell

ROWS_SHOWN = 60
CHARACTERS_SHOWN = 400
LONG = 40
"""A text with more characters may be broken anywhere."""
NULL = "–"
CLASS_NUMBER = ' class="n"'
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
MINUTE, HOUR, DAY = 60, 3600, 86_400
SALT = "telemetry-kit"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Let every pandas frame that a cell shows carry its CSV, and every figure be an SVG whose bytes do not vary."""
    assert shell.display_formatter is not None
    shell.display_formatter.mimebundle_formatter.for_type(pd.DataFrame, _bundle)
    shell.config.InlineBackend.figure_formats = {"svg"}
    shell.config.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "metadata": {"Date": None}}
    shell.config.InlineBackend.rc = {"svg.hashsalt": SALT}


def _bundle(frame: pd.DataFrame, **_filters: object) -> dict[str, str]:
    return {"text/html": table_to_html(frame), "text/csv": table_to_csv(frame)}


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
        ",".join("" if _is_null(value) else write(value) for write, value in zip(kinds, row, strict=True))
        for row in table.astype(object).itertuples(index=False, name=None)
    ]
    return "\n".join(lines) + "\n"


def table_to_html(frame: pd.DataFrame) -> str:
    """Return a table as an HTML element: escaped, numbers to three digits, seconds as durations, the first rows only.

    Parameters
    ----------
    frame
        Any table; a named index becomes its first columns.

    Returns
    -------
    str
        A ``<table>``, in an element that scrolls, with a line on what is not shown.

    Examples
    --------
    >>> table_to_html(pd.DataFrame({"median_s": [5400.0]})).count("1 h 30 min")
    1
    """
    table = _with_named_index(frame)
    columns = [_write_cells(str(name), column) for name, column in table.head(ROWS_SHOWN).items()]
    head = [
        f"<th{CLASS_NUMBER if _is_number(column) else ''}>{html.escape(str(name))}</th>"
        for name, column in table.items()
    ]
    lines = ['<div class="table"><table>', f"<thead><tr>{''.join(head)}</tr></thead>", "<tbody>"]
    lines += [f"<tr>{''.join(cells)}</tr>" for cells in zip(*columns, strict=True)]
    lines.append("</tbody></table></div>")
    if len(table) > ROWS_SHOWN:
        lines.append(f'<p class="note">The first {ROWS_SHOWN} of {len(table):,} rows.</p>')
    elif table.empty:
        lines.append('<p class="note">No rows.</p>')
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Return a number of seconds in the two largest units that tell it.

    Examples
    --------
    >>> [duration(s) for s in (0.25, 42, 754, 12_360, 273_600)]
    ['0.25 s', '42 s', '12 min 34 s', '3 h 26 min', '3 d 4 h']
    """
    if abs(seconds) < MINUTE:
        return f"{seconds:.3g} s"
    for larger, smaller, names in ((DAY, HOUR, "d h"), (HOUR, MINUTE, "h min"), (MINUTE, 1, "min s")):
        # What rounds up to the larger unit is shown in it.
        whole, rest = divmod(round(abs(seconds) / smaller), larger // smaller)
        if whole:
            first, second = names.split()
            return f"{'-' if seconds < 0 else ''}{whole} {first}" + (f" {rest} {second}" if rest else "")
    return f"{seconds:.3g} s"


def _write_cells(name: str, column: pd.Series[Any]) -> list[str]:
    write = _format_of(name, column)
    cells = [NULL if _is_null(value) else html.escape(write(value)) for value in column.astype(object)]
    if _is_number(column):
        return [f"<td{CLASS_NUMBER}>{cell}</td>" for cell in cells]
    return [f'<td class="long">{cell}</td>' if len(cell) > LONG else f"<td>{cell}</td>" for cell in cells]


def _format_of(name: str, column: pd.Series[Any]) -> Callable[[Any], str]:
    kinds = pd.api.types
    if kinds.is_bool_dtype(column.dtype):
        return lambda value: "yes" if value else "no"
    if kinds.is_numeric_dtype(column.dtype):
        return duration if name.endswith("_s") else f"{{:,.{_decimals(column)}f}}".format
    if kinds.is_datetime64_any_dtype(column.dtype):
        known = column.dropna()
        pattern = "%Y-%m-%d" if (known == known.dt.normalize()).all() else "%Y-%m-%d %H:%M:%S"
        return lambda value: value.strftime(pattern)
    return _text


def _decimals(column: pd.Series[Any]) -> int:
    """Return how many decimals give the largest number of a column three digits; shares have three decimals."""
    known = column.dropna().astype(float).abs()
    largest = known[known < math.inf].max()
    if not largest > 0 or (known % 1 == 0).all():
        return 0
    return max(0, 2 - math.floor(math.log10(largest))) if not 0.1 <= largest <= 1 else 3  # noqa: PLR2004 - a share


def _text(value: object) -> str:
    text = json.dumps(value, default=str) if isinstance(value, dict | list) else str(value)
    return text if len(text) <= CHARACTERS_SHOWN else text[:CHARACTERS_SHOWN] + "…"


def _csv_text(value: object) -> str:
    text = str(value)
    harmless = f"'{text}" if text.startswith(FORMULA_STARTS) else text
    return '"{}"'.format(harmless.replace('"', '""'))


def _csv_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, pd.Timestamp) else str(value)


def _is_null(value: object) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def _is_text(column: pd.Series[Any]) -> bool:
    kinds = pd.api.types
    return not (kinds.is_numeric_dtype(column.dtype) or kinds.is_datetime64_any_dtype(column.dtype))


def _is_number(column: pd.Series[Any]) -> bool:
    kinds = pd.api.types
    return kinds.is_numeric_dtype(column.dtype) and not kinds.is_bool_dtype(column.dtype)


def _with_named_index(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.reset_index() if any(name is not None for name in frame.index.names) else frame.reset_index(drop=True)
