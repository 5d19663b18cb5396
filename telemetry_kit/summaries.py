"""From small tables of totals to tidy tables of results, group by group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from telemetry_kit import engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


def summarise(
    totals: pd.DataFrame,
    by: Sequence[str],
    rows: Callable[[pd.DataFrame], Iterable[Mapping[str, Any]]],
    dtypes: Mapping[str, str],
    *,
    level: float | None = None,
) -> pd.DataFrame:
    """Summarise each group of a table of totals.

    Parameters
    ----------
    totals
        What the engine counted, one row per group and whatever the summary needs below it.
    by
        The columns that make a group; with none of them, all rows are one group. A null is a group of its own.
    rows
        Makes the rows of one group out of its totals.
    dtypes
        The columns of the result after those of ``by``, and their types.
    level
        The confidence level of its limits, which pictures name: it goes with the result as ``attrs["level"]``.

    Returns
    -------
    pandas.DataFrame
        ``by`` in natural order and then the columns of ``dtypes``; no row at all where there are no totals.
    """
    totals = engine.sort_rows(totals, by)
    keys = totals[list(by)]
    begins = np.flatnonzero(~keys.duplicated()) if by else np.arange(min(len(totals), 1))
    parts = [list(rows(totals.iloc[begin:end])) for begin, end in zip(begins, [*begins[1:], len(totals)], strict=False)]
    groups = keys.iloc[np.repeat(begins, [len(part) for part in parts])].reset_index(drop=True)
    own = pd.DataFrame([row for part in parts for row in part], columns=list(dtypes)).astype(dict(dtypes))
    table = pd.concat([groups, own], axis="columns")
    if level is not None:
        table.attrs["level"] = level
    return table
