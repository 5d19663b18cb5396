"""From small tables of totals to tidy tables of results, group by group."""

from __future__ import annotations

import warnings
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from telemetry_kit import stats
from telemetry_kit.engine.grouping import Groups, order_by_group
from telemetry_kit.engine.ordering import group_rows
from telemetry_kit.errors import OneClusterWarning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy.typing as npt

N_CLUSTERS = "_n_clusters"
"""The column that says behind how many clusters a row stands, until ``warned`` takes it out."""


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
        The confidence level of its intervals, which pictures name: it goes with the result as ``attrs["level"]``.

    Returns
    -------
    pandas.DataFrame
        ``by`` in natural order and then the columns of ``dtypes``; no row at all where there are no totals.
    """
    totals, keys, begins = _grouped(totals, by)
    parts = [list(rows(totals.iloc[begin:end])) for begin, end in pairwise([*begins, len(totals)])]
    lengths = [len(part) for part in parts]

    def column(name: str) -> list[Any]:
        return [row.get(name) for part in parts for row in part]

    return _tidy(keys.iloc[np.repeat(begins, lengths)], column, dtypes, level)


def tabulate(
    rows: pd.DataFrame,
    by: Sequence[str],
    columns: Callable[[pd.DataFrame], Mapping[str, npt.NDArray[Any]]],
    dtypes: Mapping[str, str],
    *,
    level: float | None = None,
) -> pd.DataFrame:
    """Make a long table out of each group of a frame: as ``summarise``, but of whole columns and not row by row.

    Parameters
    ----------
    rows, by, dtypes, level
        As for ``summarise``.
    columns
        Makes the columns of one group's rows, all of one length, out of its part.

    Returns
    -------
    pandas.DataFrame
        As ``summarise`` returns it.
    """
    rows, keys, begins = _grouped(rows, by)
    made = [dict(columns(rows.iloc[begin:end])) for begin, end in pairwise([*begins, len(rows)])]
    lengths = [len(part[name]) for part in made for name in list(dtypes)[:1]]

    def column(name: str) -> npt.NDArray[Any]:
        # Such tables can be as long as what they are made of: a column of the parts goes when it is made.
        found = [part.pop(name) for part in made]
        return np.concatenate(found) if found else np.empty(0)

    return _tidy(keys.iloc[np.repeat(begins, lengths)], column, dtypes, level)


def summarise_at_once(
    totals: pd.DataFrame,
    by: Sequence[str],
    columns: Callable[[pd.DataFrame, Groups], Mapping[str, Any]],
    dtypes: Mapping[str, str],
    *,
    level: float,
) -> pd.DataFrame:
    """Summarise all groups of a table of totals in one go, which is needed where there can be very many of them.

    Parameters
    ----------
    totals, by, dtypes, level
        As for ``summarise``.
    columns
        Makes the columns of the result out of all totals and the groups of their rows: of each an array with one
        entry per group, or with as many rows as there are groups, which all have as many entries.

    Returns
    -------
    pandas.DataFrame
        As ``summarise`` returns it.
    """
    groups = group_rows(totals, by)
    first = np.empty(groups.n, dtype=np.intp)
    first[groups.of[::-1]] = np.arange(len(totals))[::-1]
    made = columns(totals, groups)
    n_rows = max((np.shape(values)[1] for values in made.values() if np.ndim(values) > 1), default=1)
    spread = {
        name: np.ravel(values) if np.ndim(values) > 1 else np.repeat(values, n_rows) for name, values in made.items()
    }
    return _tidy(totals[list(by)].iloc[np.repeat(first, n_rows)], spread.__getitem__, dtypes, level)


def share_columns(
    successes: Sequence[npt.NDArray[Any]], totals: Sequence[npt.NDArray[Any]], *, level: float
) -> dict[str, npt.NDArray[np.float64]]:
    """Return the shares of many rows with their intervals: ``estimate``, ``df``, ``lower``, ``upper``.

    Parameters
    ----------
    successes, totals
        For each row, what counts and what there is of each cluster. Clusters without any need not be there.
    level
        Confidence level of the intervals.
    """
    n_entries = [each.size for each in totals]
    groups = Groups(np.repeat(np.arange(len(n_entries)), n_entries), len(n_entries))
    clusters = stats.count_clusters(np.concatenate([np.empty(0), *totals]), groups)
    shares = stats.estimate_shares(np.concatenate([np.empty(0), *successes]), clusters)
    limits = stats.share_limits(shares, level=level)
    return {"estimate": shares.estimate, "df": shares.df, **limits._asdict()}


def warned(table: pd.DataFrame, cluster: str, *, counted: str = N_CLUSTERS, finer: str = "incident_id") -> pd.DataFrame:
    """Return a table of intervals, with one warning where some are null because they rest on one cluster.

    Parameters
    ----------
    table
        The result of a public function, which calls this itself.
    cluster
        The column of clusters, as the caller of that function named it.
    counted
        The column of ``table`` with the number of clusters; ``N_CLUSTERS`` is taken out.
    finer
        The column whose values are clusters within one server.
    """
    n_rows = int((table[counted] == 1).sum())
    if n_rows:
        warnings.warn(OneClusterWarning(cluster, n_rows, len(table), finer=finer), stacklevel=3)
    return table.drop(columns=N_CLUSTERS, errors="ignore")


def _grouped(totals: pd.DataFrame, by: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame, npt.NDArray[np.int64]]:
    """Return the totals group by group, their columns ``by``, and with which row each group begins."""
    groups = group_rows(totals, by)
    if groups.n > 1:
        totals = totals.iloc[order_by_group(groups)]
    totals = totals.reset_index(drop=True)
    n_rows = np.bincount(groups.of, minlength=groups.n)
    return totals, totals[list(by)], np.cumsum(n_rows) - n_rows


def _tidy(
    groups: pd.DataFrame,
    column: Callable[[str], Sequence[Any] | npt.NDArray[Any]],
    dtypes: Mapping[str, str],
    level: float | None,
) -> pd.DataFrame:
    # Column by column, which costs a fifth of what a frame of objects and its astype would.
    columns: dict[str, Any] = {str(name): groups[name].array for name in groups}
    kinds: Mapping[str, Any] = dtypes
    for name, dtype in kinds.items():
        is_float = dtype == "float64"
        columns[name] = np.asarray(column(name), np.float64) if is_float else pd.array(column(name), dtype=dtype)
    table = pd.DataFrame(columns, copy=False)
    if level is not None:
        table.attrs["level"] = level
    return table
