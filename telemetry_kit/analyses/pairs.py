"""Two groups held against each other: which ones, on which servers, and the columns that every comparison has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from telemetry_kit import engine, stats
from telemetry_kit.analyses.summaries import N_CLUSTERS
from telemetry_kit.engine.grouping import Groups, number_codes
from telemetry_kit.engine.ordering import SERVER, sort_rows
from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import narwhals.stable.v2 as nw
    from numpy.typing import NDArray

SIDES = ("group_a", "group_b")
"""The columns that name the two groups."""
IS_B = "_is_b"
"""The column that tells on which side of its comparison a row is."""
COMPARISON = {
    **dict.fromkeys(("n_a", "n_b", "n_servers_a", "n_servers_b", "n_servers_both"), "Int64"),
    **dict.fromkeys(("estimate_a", "estimate_b", "difference", "df", "lower", "upper"), "float64"),
    **dict.fromkeys(("p_value", "p_adjusted", "detectable"), "float64"),
}
"""The columns of every comparison after those that name its row."""
IMMATURE_COLUMNS = {"n_immature_a": "Int64", "n_immature_b": "Int64"}
"""The columns for what was too young for the time that is given to all."""


def check_between(
    between: str, by: Sequence[str], frame: nw.LazyFrame[Any] | nw.DataFrame[Any], *, reserved: Iterable[str] = ()
) -> None:
    """See that ``between`` names a column of the frame that makes no group already, and is none of the result's.

    Raises
    ------
    ParameterError
        Where it does not.
    """
    present = [name for name in frame.columns if name not in by]
    engine.check_column("between", between, present)
    if between in (*SIDES, *COMPARISON, *reserved):
        raise ParameterError("between", between, "a column with another name, since the result has one of this name")


def pair_up(
    rows: pd.DataFrame, by: Sequence[str], between: str, groups: Sequence[object] | None
) -> tuple[pd.DataFrame, list[str]]:
    """Put the rows of two groups under the names of both, for each two that are held against each other.

    Parameters
    ----------
    rows
        What was collected: units, or sums of them.
    by
        The columns within whose values groups are compared.
    between
        The column that makes the groups; rows without a value are in none of them.
    groups
        The pair, as the caller gave it. Without it, two values are the pair in natural order, and of more each is held
        against the one before it.

    Returns
    -------
    tuple of pandas.DataFrame and list of str
        The rows of both sides of every pair, with ``group_a``, ``group_b`` and ``_is_b``; and the columns that make a
        comparison: ``by`` and the two names. No rows where there are not two groups.

    Raises
    ------
    ParameterError
        Where ``groups`` is no pair of values of the column.
    """
    known = sort_rows(rows[rows[between].notna()][[between]].drop_duplicates(), [between])[between]
    if groups is None:
        pairs = [(known.iloc[[at - 1]], known.iloc[[at]]) for at in range(1, len(known))]
    else:
        a, b = read_pair(groups)
        pairs = [(_find(known, a), _find(known, b))] if len(known) else []
    parts = []
    for a, b in pairs:
        is_a, is_b = rows[between].eq(a.iloc[0]).fillna(value=False), rows[between].eq(b.iloc[0]).fillna(value=False)
        part = pd.concat([rows[is_a], rows[is_b]], ignore_index=True)
        is_second = np.arange(len(part)) >= int(is_a.sum())
        sides = {side: each.repeat(len(part)).array for side, each in zip(SIDES, (a, b), strict=True)}
        parts.append(part.assign(**sides, **{IS_B: is_second}))
    if not parts:
        empty = rows.head(0)
        parts = [empty.assign(**dict.fromkeys(SIDES, empty[between]), **{IS_B: np.zeros(0, dtype=np.bool_)})]
    return pd.concat(parts, ignore_index=True), [*by, *SIDES]


def read_pair(groups: Sequence[object]) -> tuple[object, object]:
    """Return the two values that a caller gave, in their order, which a set or a mapping does not tell.

    Raises
    ------
    ParameterError
        Where they are not two different ones.
    """
    is_listed = hasattr(groups, "__getitem__") and not isinstance(groups, str | Mapping)
    match list(groups) if is_listed else []:
        case [a, b] if str(a) != str(b):
            return a, b
    raise ParameterError("groups", groups, "two different values of the column, such as ('1.0.0', '1.1.0')")


def _find(known: pd.Series, value: object) -> pd.Series:
    """Return the value of the column that the caller meant, as a column of one row."""
    if isinstance(known.dtype, pd.DatetimeTZDtype):
        is_it = known == engine.moment(value, parameter="groups")
    else:
        is_it = known.astype("str") == str(value)
    if not is_it.any():
        choices = ", ".join(repr(named(each)) for each in known)
        raise ParameterError("groups", value, f"one of {choices}, the groups of which something can be compared")
    found: pd.Series = known.loc[is_it.to_numpy(np.bool_)]
    return found


def named(value: object) -> str:
    """Return the name of a group for a message: of a period its day."""
    return f"{value:%Y-%m-%d}" if isinstance(value, pd.Timestamp) else str(value)


def align(rows: pd.DataFrame, groups: Groups, cluster: str = SERVER) -> tuple[Groups, NDArray[np.int64]]:
    """Give each cluster of each comparison one entry, in whichever group it is; and return the entry of each row."""
    codes = rows[cluster].factorize(use_na_sentinel=False)[0].astype(np.int64)
    n_codes = int(codes.max(initial=-1)) + 1
    distinct, place = number_codes(groups.of * n_codes + codes, groups.n * n_codes)
    return Groups(distinct // n_codes if n_codes else distinct, groups.n), place


def compare_shares(
    rows: pd.DataFrame, entries: Groups, place: NDArray[np.int64], *, n: str, successes: str, level: float
) -> dict[str, NDArray[Any]]:
    """Return the columns of a comparison of shares, out of numbers per cluster.

    Parameters
    ----------
    rows
        What ``pair_up`` returned.
    entries, place
        What ``align`` returned.
    n, successes
        The columns of how many units there are, and of how many of them count.
    level
        Confidence level.
    """
    a, b = (
        stats.estimate_shares(
            _per_entry(rows, successes, is_side, place, entries),
            stats.count_clusters(_per_entry(rows, n, is_side, place, entries), entries),
        )
        for is_side in (~rows[IS_B].to_numpy(), rows[IS_B].to_numpy())
    )
    return compare(a, b, level=level, within=(-1, 1))


def _per_entry(
    rows: pd.DataFrame, column: str, is_side: NDArray[np.bool_], place: NDArray[np.int64], entries: Groups
) -> NDArray[np.float64]:
    values = rows[column].to_numpy(np.float64)
    sums = np.bincount(place[is_side], values[is_side], minlength=entries.of.size)
    return sums.astype(np.float64, copy=False)


def compare(
    a: stats.Estimates, b: stats.Estimates, *, level: float, within: tuple[float, float] | None = None
) -> dict[str, NDArray[Any]]:
    """Return the columns of comparisons of two estimates each, whose clusters have the same entries.

    ``p_adjusted`` is for ``adjust`` to fill in, when all rows of the call are there.
    """
    change = stats.compare_estimates(a, b)
    limits = stats.mean_limits(*change, level=level, within=within)
    return counts_of(a.clusters, b.clusters) | {
        "estimate_a": a.estimate,
        "estimate_b": b.estimate,
        "difference": change.estimate,
        "df": change.df,
        "lower": limits.lower,
        "upper": limits.upper,
        "p_value": stats.p_values(*change),
        "p_adjusted": np.full(change.estimate.shape, math.nan),
        "detectable": stats.detectable_differences(change.error, change.df, level=level),
    }


def counts_of(a: stats.Clusters, b: stats.Clusters) -> dict[str, NDArray[Any]]:
    """Return how many units and clusters are on either side, and how many clusters on both."""
    return {
        "n_a": a.n_units,
        "n_b": b.n_units,
        "n_servers_a": a.n_clusters,
        "n_servers_b": b.n_clusters,
        "n_servers_both": a.groups.add_up((a.n > 0) & (b.n > 0)),
    }


def adjust(table: pd.DataFrame) -> pd.DataFrame:
    """Fill in the p values adjusted for the number of rows of the call (Holm 1979, Scand. J. Statist. 6:65-70).

    ``N_CLUSTERS``, for ``warned``, is how many clusters the smaller side has where there is no interval.
    """
    fewest = table[["n_servers_a", "n_servers_b"]].min(axis=1).where(table["lower"].isna())
    return table.assign(p_adjusted=stats.holm(table["p_value"].to_numpy(np.float64)), **{N_CLUSTERS: fewest})


def first_of(columns: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    """Return the columns of one comparison as its row."""
    return {name: values[0] for name, values in columns.items()}
