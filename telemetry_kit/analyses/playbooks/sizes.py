"""How large playbooks are: quantiles, shares up to a size, and two groups against each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, get_args

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine
from telemetry_kit.analyses.summaries import summarise, summarise_at_once
from telemetry_kit.engine.grouping import Groups
from telemetry_kit.engine.ordering import SERVER, number_servers
from telemetry_kit.errors import ParameterError
from telemetry_kit.stats.medians import (
    group_median_limits,
    group_quantiles,
    moments,
    number_clusters,
    shares_below_median,
    sort_samples,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

Measure = Literal["num_checklists", "total_checklist_items", "num_slash_commands", "num_members", "items_per_checklist"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
QUANTILES = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}

_POINTS = {"min": 0.0, **QUANTILES, "max": 1.0}

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
    "median_lower": "float64",
    "median_upper": "float64",
    "n_missing": "Int64",
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
    snapshot: IntoFrame, measure: str, by: str | Sequence[str] | None, reserved: Iterable[str]
) -> tuple[pd.DataFrame, list[str]]:
    """Count the playbooks of each group, server and value: ``_server``, ``_value`` (null where none) and ``_n``."""
    value, needed = size(measure)
    frame = engine.open_frame(snapshot, ["server_id", *needed], parameter="snapshot", named=engine.names_of(by))
    groups = engine.group_columns(by, frame, reserved=reserved)
    keys = list(dict.fromkeys([*groups, "server_id"]))
    counted = frame.select(*keys, _value=value).group_by(*keys, "_value").agg(_n=nw.len())
    return number_servers(engine.collect(counted), groups), groups


def playbook_sizes(
    snapshot: IntoFrame,
    *,
    measure: Measure = "total_checklist_items",
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Return how large playbooks are: mean, quantiles and the interval of the median.

    Every playbook counts once, so that a server with many of them weighs much; the interval of the median allows for
    it, because they take servers as independent and not playbooks.

    Parameters
    ----------
    snapshot
        A frame of any kind with one row per playbook, as of ``playbook_snapshot``.
    measure
        ``"num_checklists"`` (stages), ``"total_checklist_items"`` (tasks), ``"num_slash_commands"``,
        ``"num_members"`` or ``"items_per_checklist"`` (tasks per stage; null without stages).
    by
        A column of ``snapshot``, or several: one row for each of their values. A null is a group of its own.
    level
        Confidence level of the limits.

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
        median_lower, median_upper : float64
            Interval of the median; null with fewer than two servers.
        n_missing : Int64
            Playbooks of the group without a value, which are in no other number.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    The intervals are those of Woodruff (1952): the interval of the share of values at or below the median, with the
    linearised variance between servers, carried back through the distribution of the values.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> snapshot = pd.DataFrame({"server_id": ["a", "a", "b", "c"], "total_checklist_items": [4, 6, 8, 30]})
    >>> tk.playbook_sizes(snapshot)[["n", "n_servers", "mean", "median", "p95", "max"]]
       n  n_servers  mean  median   p95   max
    0  4          3  12.0     7.0  26.7  30.0
    """
    counted, groups = count_values(snapshot, measure, by, SIZES)
    return summarise_sizes(counted, groups, measure, level)


def summarise_sizes(counted: pd.DataFrame, by: Sequence[str], measure: str, level: float) -> pd.DataFrame:
    """Return the rows of ``playbook_sizes`` for the groups of counted values."""

    def columns(counted: pd.DataFrame, groups: Groups) -> dict[str, Any]:
        values, counts = counted["_value"].to_numpy(np.float64, na_value=np.nan), counted["_n"].to_numpy(np.int64)
        is_known, n_all = ~np.isnan(values), groups.add_up(counts)
        values, counts, groups = values[is_known], counts[is_known], Groups(groups.of[is_known], groups.n)
        servers, of_servers = number_clusters(counted[SERVER].to_numpy()[is_known], groups)
        samples = sort_samples(values, groups, counts)
        shares = shares_below_median(samples, values, groups, servers, of_servers, counts=counts)
        lower, upper = group_median_limits(samples, shares, level=level)
        mean, squares = moments(samples)
        with np.errstate(divide="ignore", invalid="ignore"):
            sd = np.sqrt(np.where(samples.n > 1, squares / (samples.n - 1), math.nan))
        return {
            "measure": np.full(groups.n, measure, dtype=object),
            "n": samples.n,
            "n_servers": shares.n_clusters,
            "mean": mean,
            "sd": sd,
            **dict(zip(_POINTS, group_quantiles(samples, np.array([*_POINTS.values()])).T, strict=True)),
            "median_lower": lower,
            "median_upper": upper,
            "n_missing": n_all - samples.n,
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
