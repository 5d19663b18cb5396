"""What sentences have in common: rows of tables, names of stages, and which row stands apart from all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from telemetry_kit.errors import ParameterError
from telemetry_kit.reports.wording import is_null

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

Row = dict[str, Any]


def check_columns(table: pd.DataFrame, columns: Sequence[str]) -> None:
    """See that a table has the columns that a sentence speaks of.

    Raises
    ------
    ParameterError
        Where a column is missing.
    """
    missing = [column for column in columns if column not in table]
    if missing:
        raise ParameterError("table", f"a frame without {', '.join(missing)}", f"the columns {', '.join(columns)}")


def rows_of(table: pd.DataFrame, columns: Sequence[str]) -> list[Row]:
    """Return the rows of a table, and see that it has the columns that a sentence speaks of.

    Raises
    ------
    ParameterError
        Where a column is missing.
    """
    check_columns(table, columns)
    return [{str(name): value for name, value in row.items()} for row in table.astype(object).to_dict("records")]


def stage_name(row: Row) -> str:
    """Return what a row's stage is called: its number, or its status where the plugin sends one."""
    status = row.get("status")
    return f"stage {int(row['stage'])}" if is_null(status) else str(status)


def kind_of(table: pd.DataFrame) -> Literal["stage", "status"]:
    """Return what the visits of a table are visits to."""
    return "status" if "status" in table.columns else "stage"


def apart(rows: Sequence[Row], lower: str, upper: str, *, side: Literal["above", "below"]) -> Row | None:
    """Return the row whose interval lies above, or below, the intervals of all other rows; none where no row's does.

    Intervals that do not overlap differ whatever the correlation of their estimates, so that this is a superlative
    which the intervals support; where they overlap it is not enough to tell.
    """
    for row in rows:
        others = [other for other in rows if other is not row]
        if not others:
            return None
        edge, against = (lower, upper) if side == "above" else (upper, lower)
        limits = [other[against] for other in others]
        if is_null(row[edge]) or any(is_null(limit) for limit in limits):
            continue
        if row[edge] > max(limits) if side == "above" else row[edge] < min(limits):
            return row
    return None


def sentence(*paragraphs: str) -> str:
    """Join the title and what follows it: a title is a paragraph of its own."""
    return "\n\n".join(part for part in paragraphs if part)


def listed(parts: Sequence[str]) -> str:
    """Return parts as a list in words.

    Examples
    --------
    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""
