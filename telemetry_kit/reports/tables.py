"""A tidy table as CSV to take away.

Text in a table may have come from anybody who can send an event, so CSV keeps a spreadsheet from reading it as a
formula.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from telemetry_kit.reports.wording import is_null

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
ROWS_AT_A_TIME = 10_000


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
    return "".join(csv_lines(frame))


def csv_lines(frame: pd.DataFrame) -> Iterator[str]:
    """Yield a table as ``table_to_csv`` writes it, line by line: there can be very many."""
    table = with_named_index(frame)
    kinds = [_csv_text if _is_text(column) else _csv_value for _, column in table.items()]
    yield ",".join(map(_csv_text, table.columns)) + "\n"
    for begin in range(0, len(table), ROWS_AT_A_TIME):
        for row in table[begin : begin + ROWS_AT_A_TIME].astype(object).itertuples(index=False, name=None):
            yield (
                ",".join("" if is_null(value) else write(value) for write, value in zip(kinds, row, strict=True)) + "\n"
            )


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


def with_named_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose named index has become its first columns, on a fresh index."""
    return frame.reset_index() if any(name is not None for name in frame.index.names) else frame.reset_index(drop=True)
