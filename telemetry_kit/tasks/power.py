"""What a comparison of two groups or periods of completions could show, before anyone reads noise as a change."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine, uncertainty
from telemetry_kit.errors import ParameterError
from telemetry_kit.summaries import summarise
from telemetry_kit.tasks.state_changes import COMPLETERS, MADE_BY, cluster_totals
from telemetry_kit.uncertainty.clusters import check_open_unit, ratio_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame
    from numpy.typing import NDArray

    from telemetry_kit.periods import Freq

_DIFFERENCE = "commander_vs_assignee"
_COMPARISON = {
    "measure": "str",
    "n_completed_a": "Int64",
    "n_completed_b": "Int64",
    "n_clusters_a": "Int64",
    "n_clusters_b": "Int64",
    "estimate_a": "float64",
    "estimate_b": "float64",
    "difference": "float64",
    "lower": "float64",
    "upper": "float64",
    "detectable": "float64",
}


def detectable_difference(
    tasks: IntoFrame,
    *,
    between: str | None = None,
    freq: Freq | None = None,
    by: str | Sequence[str] | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
    power: float = 0.8,
) -> pd.DataFrame:
    r"""Return the smallest differences in who completes tasks that a comparison with this much data could show.

    Each value of a column, or each period, is compared with the one before it. Where ``detectable`` is larger than
    any difference that would matter, the comparison cannot answer the question, whatever its result; a difference
    seen that is smaller, with limits that include zero, is no finding and no proof that nothing changed.

    Parameters
    ----------
    tasks
        A frame of tasks events of any kind, as in ``EventLog.tasks``.
    between
        The column whose values are compared, each with the one before it in natural order.
    freq
        In place of ``between``: ``"D"``, ``"W"`` or ``"M"``, to compare each day, week (from Monday) or month of the
        event (UTC) with the last one before it in which a task was completed or reopened.
    by
        A column of ``tasks``, or several: comparisons within each of their values. A null is a group of its own.
    cluster
        The column whose values act independently of one another. A cluster may be on both sides of a comparison.
    level
        Confidence level of the comparison.
    power
        Share of repetitions in which a true difference of the size ``detectable`` would be told from none.

    Returns
    -------
    pandas.DataFrame
        Five rows for each comparison, in the order of the groups and of the values:

        by columns
            The group.
        group_a, group_b
            The two values of ``between``, or the first moments of the two periods (UTC).
        measure : str
            The share of completions by ``commander``, ``assignee``, ``both`` or ``neither`` (as in
            ``task_completion``), or ``commander_vs_assignee`` (as there: +1, -1 or 0 for each completion).
        n_completed_a, n_completed_b, n_clusters_a, n_clusters_b : Int64
            Completions on either side, and the clusters that have any; completions that lack a flag are left out.
        estimate_a, estimate_b : float64
            The measure on either side; null without completions.
        difference, lower, upper : float64
            ``estimate_b`` - ``estimate_a`` and its limits; they are null where a side has fewer than two clusters or
            both together fewer than three.
        detectable : float64
            The smallest true difference, in either direction, that would be told from none with this power; null
            where the limits are, and where clusters do not differ at all.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take, or not exactly one of ``between`` and ``freq`` is given.

    Notes
    -----
    :math:`(t_{1-\alpha/2,\,k-2} + t_{\mathit{power},\,k-2})\,s` with the standard error :math:`s` of the difference
    between clusters, of which there are :math:`k` (Bloom 1995, Evaluation Review 19:547-556). A cluster on both sides
    counts with what its two parts have in common.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> table = tk.detectable_difference(log.tasks, between="plugin_version")
    >>> table[["group_a", "group_b", "measure", "difference", "detectable"]].round(3)
      group_a group_b                measure  difference  detectable
    0   1.0.0   1.1.0              commander      -0.030       0.095
    1   1.0.0   1.1.0               assignee      -0.004       0.041
    2   1.0.0   1.1.0                   both      -0.009       0.025
    3   1.0.0   1.1.0                neither       0.043       0.105
    4   1.0.0   1.1.0  commander_vs_assignee      -0.026       0.101
    """
    check_open_unit("level", level)
    check_open_unit("power", power)
    if (between is None) == (freq is None):
        raise ParameterError("between", between, "a column to compare, or freq in its place, and not both")
    totals, groups = cluster_totals(
        tasks,
        {kind: nw.col("_is_completion") & MADE_BY[kind] for kind in COMPLETERS},
        by=by,
        between=between,
        freq=freq,
        cluster=cluster,
        reserved=["group_a", "group_b", *_COMPARISON],
    )
    *names, compared = groups
    totals = engine.sort_rows(totals, groups)
    totals["_cluster"] = totals.groupby(cluster, dropna=False, observed=True).ngroup()
    kind = str(totals[compared].dtype)

    def rows(part: pd.DataFrame) -> list[dict[str, Any]]:
        sides = [
            (side[compared].iloc[0], side)
            for _, side in part.groupby(compared, dropna=False, sort=False, observed=True)
        ]
        return [
            {"group_a": a, "group_b": b} | row
            for (a, before), (b, after) in pairwise(sides)
            for row in _compare(before, after, level, power)
        ]

    return summarise(totals, names, rows, {"group_a": kind, "group_b": kind, **_COMPARISON}, level=level)


def _compare(before: pd.DataFrame, after: pd.DataFrame, level: float, power: float) -> list[dict[str, Any]]:
    clusters = before.merge(after, on="_cluster", how="outer", suffixes=("_a", "_b"))
    a, b = (_measures(clusters, side) for side in ("_a", "_b"))
    n_a, n_b = (np.sum([side[kind] for kind in COMPLETERS], axis=0) for side in (a, b))
    rows = []
    for measure in a:
        difference = uncertainty.group_difference_interval(b[measure], n_b, a[measure], n_a, level=level)
        rows.append(
            {
                "measure": measure,
                "n_completed_a": n_a.sum(),
                "n_completed_b": n_b.sum(),
                "n_clusters_a": np.count_nonzero(n_a),
                "n_clusters_b": np.count_nonzero(n_b),
                "estimate_a": ratio_mean(a[measure], n_a).estimate,
                "estimate_b": ratio_mean(b[measure], n_b).estimate,
                "difference": difference.estimate,
                "lower": difference.lower,
                "upper": difference.upper,
                "detectable": uncertainty.detectable_difference(
                    a[measure], n_a, b[measure], n_b, level=level, power=power
                ),
            }
        )
    return rows


def _measures(clusters: pd.DataFrame, side: str) -> dict[str, NDArray[np.int64]]:
    """Return the sum of each measure over the completions of each cluster, zero where it has none on this side."""
    sums = {kind: clusters[kind + side].fillna(0).to_numpy(np.int64) for kind in COMPLETERS}
    return {**sums, _DIFFERENCE: sums["commander"] - sums["assignee"]}
