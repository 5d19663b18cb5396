"""How large playbooks are: quantiles, shares up to a size, and two groups against each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, get_args

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine, stats
from telemetry_kit.analyses.summaries import N_CLUSTERS, summarise, summarise_at_once, warned
from telemetry_kit.engine.grouping import Groups
from telemetry_kit.engine.ordering import CLUSTER, SERVER, number_servers
from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame
    from numpy.typing import NDArray

Measure = Literal["num_checklists", "total_checklist_items", "num_slash_commands", "num_members", "items_per_checklist"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
QUANTILES = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}

_POINTS = {"min": 0.0, **QUANTILES, "max": 1.0}
_BOUNDED = ("median", "p25", "p75")
"""The quantiles that have intervals."""

SIZES = {
    "measure": "str",
    "n": "Int64",
    "n_servers": "Int64",
    "mean": "float64",
    "sd": "float64",
    "min": "float64",
    "p05": "float64",
    "p25": "float64",
    "median": "float64",
    "p75": "float64",
    "p95": "float64",
    "max": "float64",
    "df": "float64",
    **{f"{name}_{limit}": "float64" for name in _BOUNDED for limit in ("lower", "upper")},
    **dict.fromkeys(("n_missing", N_CLUSTERS), "Int64"),
}
_ECDF = {"measure": "str", "value": "float64", "n": "Int64", "share": "float64"}


def size(measure: str) -> tuple[nw.Expr, list[str]]:
    """Return the expression for a measure as a float, and the columns that it needs.

    Raises
    ------
    ParameterError
        Where ``measure`` is none of ``MEASURES``.
    """
    if measure not in MEASURES:
        raise ParameterError("measure", measure, MEASURES)
    if measure == "items_per_checklist":
        items, checklists = nw.col("total_checklist_items"), nw.col("num_checklists")
        per_checklist = nw.when(checklists > 0).then(items.cast(nw.Float64) / checklists.cast(nw.Float64))
        return per_checklist, ["total_checklist_items", "num_checklists"]
    return nw.col(measure).cast(nw.Float64), [measure]


def count_values(
    snapshot: IntoFrame,
    measure: str,
    by: str | Sequence[str] | None,
    reserved: Iterable[str],
    *,
    cluster: str = "server_id",
) -> tuple[pd.DataFrame, list[str]]:
    """Count the playbooks of each group, server, cluster and value.

    The columns are ``SERVER``, ``CLUSTER``, ``_value`` (null where there is none) and ``_n``.
    """
    value, needed = size(measure)
    named = [*engine.names_of(by), cluster]
    frame = engine.open_frame(snapshot, ["server_id", *needed], parameter="snapshot", named=named)
    groups = engine.group_columns(by, frame, reserved=reserved)
    keys = list(dict.fromkeys([*groups, "server_id", engine.check_cluster(cluster, frame)]))
    counted = frame.select(*keys, _value=value).group_by(*keys, "_value").agg(_n=nw.len())
    return number_servers(engine.collect(counted), groups, cluster=cluster), groups


def playbook_sizes(
    snapshot: IntoFrame,
    *,
    measure: Measure = "total_checklist_items",
    by: str | Sequence[str] | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    """Return how large playbooks are: mean, quantiles and the intervals of the quartiles.

    Every playbook counts once, so that a server with many of them weighs much; the intervals allow for it, because they
    take servers as independent and not playbooks.

    Parameters
    ----------
    snapshot
        A frame of any kind with one row per playbook, as of ``playbook_snapshot``.
    measure
        ``"num_checklists"`` (stages), ``"total_checklist_items"`` (tasks), ``"num_slash_commands"``,
        ``"num_members"`` or ``"items_per_checklist"`` (tasks per stage; null without stages).
    by
        A column of ``snapshot``, or several: one row for each of their values. A null is a group of its own.
    cluster
        The column of ``snapshot`` whose values act independently of one another; within one server, ``"playbook_id"``
        or ``"team_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group, in the order of the groups:

        by columns
            The group.
        measure : str
            What was measured.
        n, n_servers : Int64
            Playbooks that have a value, and the servers they are on.
        mean, sd, min, p05, p25, median, p75, p95, max : float64
            Of the values, in the measure's unit. Quantiles interpolate between neighbours as
            ``pandas.Series.quantile`` does; ``sd`` divides by n - 1 and is null for one value.
        df : float64
            Degrees of freedom of the interval of the median; fewer than 4 is a weak ground, null where all values are
            alike.
        median_lower, median_upper, p25_lower, p25_upper, p75_lower, p75_upper : float64
            Intervals of the quartiles; null with fewer than two clusters.
        n_missing : Int64
            Playbooks of the group without a value, which are in no other number.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    The intervals are order statistics (Woodruff 1952): the values at the ends of the interval of a share of one half (a
    quarter, three quarters) that has the error of the share of values at or below the quartile: see
    ``telemetry_kit.stats.quantile_limits``.

    Measured on simulated truth, the intervals of two servers hold the truth and are two to four times as wide as they
    had to be; where one server has 90 % of the events they rest on about one degree of freedom.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> snapshot = pd.DataFrame({"server_id": ["a", "a", "b", "c"], "total_checklist_items": [4, 6, 8, 30]})
    >>> tk.playbook_sizes(snapshot)[["n", "n_servers", "mean", "median", "p95", "max"]]
       n  n_servers  mean  median   p95   max
    0  4          3  12.0     7.0  26.7  30.0
    """
    counted, groups = count_values(snapshot, measure, by, SIZES, cluster=cluster)
    return warned(summarise_sizes(counted, groups, measure, level), cluster, finer="playbook_id")


def summarise_sizes(counted: pd.DataFrame, by: Sequence[str], measure: str, level: float) -> pd.DataFrame:
    """Return the rows of ``playbook_sizes`` for the groups of counted values."""

    def columns(counted: pd.DataFrame, groups: Groups) -> dict[str, Any]:
        values, counts = counted["_value"].to_numpy(np.float64, na_value=np.nan), counted["_n"].to_numpy(np.int64)
        is_known, n_all = ~np.isnan(values), groups.add_up(counts)
        values, counts, groups = values[is_known], counts[is_known], Groups(groups.of[is_known], groups.n)
        samples = stats.sort_samples(values, groups, counts)
        clusters, of_clusters = stats.number_clusters(counted[CLUSTER].to_numpy()[is_known], groups)
        sizes = stats.count_clusters(np.bincount(clusters, counts, minlength=of_clusters.of.size), of_clusters)
        servers, of_servers = stats.number_clusters(counted[SERVER].to_numpy()[is_known], groups)
        limits: dict[str, NDArray[np.float64]] = {}
        for name in _BOUNDED:
            shares = stats.quantile_shares(samples, values, clusters, sizes, QUANTILES[name], counts=counts)
            if name == "median":
                limits["df"] = shares.df
            for limit, each in stats.quantile_limits(samples, shares, QUANTILES[name], level=level)._asdict().items():
                limits[f"{name}_{limit}"] = each
        mean, squares = stats.moments(samples)
        with np.errstate(divide="ignore", invalid="ignore"):
            sd = np.sqrt(np.where(samples.n > 1, squares / (samples.n - 1), math.nan))
        return {
            "measure": np.full(groups.n, measure, dtype=object),
            "n": samples.n,
            "n_servers": of_servers.add_up(np.bincount(servers, minlength=of_servers.of.size) > 0),
            "mean": mean,
            "sd": sd,
            **dict(zip(_POINTS, stats.group_quantiles(samples, np.array([*_POINTS.values()])).T, strict=True)),
            **limits,
            "n_missing": n_all - samples.n,
            N_CLUSTERS: sizes.n_clusters,
        }

    return summarise_at_once(counted, by, columns, SIZES, level=level)


def playbook_ecdf(
    snapshot: IntoFrame, *, measure: Measure = "total_checklist_items", by: str | Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the share of playbooks up to each size: the empirical distribution function.

    Parameters
    ----------
    snapshot
        A frame of any kind with one row per playbook, as of ``playbook_snapshot``.
    measure
        As for ``playbook_sizes``.
    by
        A column of ``snapshot``, or several: one curve for each of their values. A null is a group of its own.

    Returns
    -------
    pandas.DataFrame
        One row per group and distinct value, in the order of the groups and then of the values:

        by columns
            The group.
        measure : str
            What was measured.
        value : float64
            A size that a playbook of the group has, in the measure's unit.
        n : Int64
            Playbooks of exactly that size.
        share : float64
            Playbooks of at most that size, of all in the group that have a value; in (0, 1].

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> snapshot = pd.DataFrame({"server_id": ["a", "a", "b", "c"], "total_checklist_items": [4, 8, 8, 30]})
    >>> tk.playbook_ecdf(snapshot)[["value", "n", "share"]]
       value  n  share
    0    4.0  1   0.25
    1    8.0  2   0.75
    2   30.0  1   1.00
    """
    expression, needed = size(measure)
    frame = engine.open_frame(snapshot, needed, parameter="snapshot", named=engine.names_of(by))
    groups = engine.group_columns(by, frame, reserved=_ECDF)
    counted = engine.collect(frame.select(*groups, _value=expression).group_by(*groups, "_value").agg(_n=nw.len()))

    def rows(part: pd.DataFrame) -> list[dict[str, Any]]:
        value, counts = part["_value"].to_numpy(np.float64, na_value=np.nan), part["_n"].to_numpy(np.int64)
        is_known = ~np.isnan(value)
        values, place = np.unique(value[is_known], return_inverse=True)
        n = np.bincount(place, counts[is_known], minlength=values.size)
        shares = zip(values, n, n.cumsum() / n.sum(), strict=True)
        return [{"measure": measure, "value": value, "n": count, "share": share} for value, count, share in shares]

    return summarise(counted, groups, rows, _ECDF)
