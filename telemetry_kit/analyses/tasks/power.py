"""What a comparison of two groups or periods of completions could show, before anyone reads noise as a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from telemetry_kit import stats
from telemetry_kit.analyses.summaries import N_CLUSTERS, summarise_at_once, warned
from telemetry_kit.analyses.tasks.state_changes import CHANGES, COMPLETERS, MADE_BY, cluster_totals
from telemetry_kit.engine.ordering import sort_rows
from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from narwhals.stable.v2.typing import IntoFrame
    from numpy.typing import NDArray

    from telemetry_kit.engine.grouping import Groups
    from telemetry_kit.engine.periods import Freq

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
    "df": "float64",
    "lower": "float64",
    "upper": "float64",
    "detectable": "float64",
    "n_clusters_needed": "Int64",
}


def detectable_difference(
    tasks: IntoFrame,
    *,
    between: str | None = None,
    freq: Freq | None = None,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    by: str | Sequence[str] | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
    power: float = 0.8,
    difference: float | None = None,
) -> pd.DataFrame:
    r"""Return the smallest differences in who completes tasks that a comparison with this much data could show.

    Each value of a column, or each period, is compared with the one before it. Where ``detectable`` is larger than
    any difference that would matter, the comparison cannot answer the question, whatever its result; a difference
    seen that is smaller, with intervals that include zero, is no finding and no proof that nothing changed.

    Parameters
    ----------
    tasks
        A frame of tasks events of any kind, as in ``EventLog.tasks``.
    between
        The column whose values are compared, each with the one before it in natural order.
    freq
        In place of ``between``: ``"D"``, ``"W"``, ``"M"`` or ``"Q"``, to compare each day, week (from Monday), month or
        quarter of the event (UTC) with the last one before it in which a task was completed or reopened.
    since, cutoff
        Events before the one and after the other are left out. By default, all events count.
    by
        A column of ``tasks``, or several: comparisons within each of their values. A null is a group of its own.
    cluster
        The column whose values act independently of one another. A cluster may be on both sides of a comparison.
    level
        Confidence level of the comparison.
    power
        Share of repetitions in which a true difference of the size ``detectable`` would be told from none.
    difference
        A true difference that one wants to be told, such as 0.05: the result then says how many clusters that takes.

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
        difference, df, lower, upper : float64
            ``estimate_b`` - ``estimate_a``, its degrees of freedom and its interval; these are null where a side has
            fewer than two clusters, and where clusters do not differ at all.
        detectable : float64
            The smallest true difference, in either direction, that would be told from none with this power; null
            where the interval is.
        n_clusters_needed : Int64
            Clusters (those on both sides count once) that would tell a true ``difference`` from none with this power,
            were they of the kind and the sizes of those at hand; null without ``difference``, where ``detectable`` is,
            and where a billion would not do.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take, or not exactly one of ``between`` and ``freq`` is given.

    Notes
    -----
    :math:`(t_{1-\alpha/2,\,\mathit{df}} + t_{\mathit{power},\,\mathit{df}})\,s` with the CR2 standard error :math:`s`
    of the difference between clusters and Satterthwaite's degrees of freedom (Bloom 1995, Evaluation Review 19:547-556;
    Bell and McCaffrey 2002): see ``telemetry_kit.stats.compare_estimates`` and ``clusters_needed``. A cluster on both
    sides counts with what its two parts have in common. With twice as many clusters, the error is :math:`\sqrt 2` times
    smaller and the degrees of freedom are twice as many.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> table = tk.detectable_difference(log.tasks, between="plugin_version")
    >>> table[["group_a", "group_b", "measure", "difference", "detectable"]].round(3)
      group_a group_b                measure  difference  detectable
    0   1.0.0   1.1.0              commander      -0.030       0.109
    1   1.0.0   1.1.0               assignee      -0.004       0.047
    2   1.0.0   1.1.0                   both      -0.009       0.030
    3   1.0.0   1.1.0                neither       0.043       0.121
    4   1.0.0   1.1.0  commander_vs_assignee      -0.026       0.114
    """
    stats.check_open_unit("level", level)
    stats.check_open_unit("power", power)
    if difference is not None:
        stats.check_difference(difference)
    if (between is None) == (freq is None):
        raise ParameterError("between", between, "a column to compare, or freq in its place, and not both")
    totals, groups = cluster_totals(
        tasks,
        {kind: CHANGES["completion"] & MADE_BY[kind] for kind in COMPLETERS},
        by=by,
        between=between,
        freq=freq,
        since=since,
        cutoff=cutoff,
        cluster=cluster,
        reserved=["group_a", "group_b", *_COMPARISON],
        names_clusters=True,
    )

    def columns(clusters: pd.DataFrame, comparisons: Groups) -> dict[str, Any]:
        (a, n_a), (b, n_b) = (_measures(clusters, side) for side in ("_a", "_b"))
        sizes_a, sizes_b = (stats.count_clusters(n, comparisons) for n in (n_a, n_b))
        n_clusters = comparisons.add_up((n_a != 0) | (n_b != 0))
        rows: dict[str, list[NDArray[np.float64]]] = {}
        for measure in a:
            of_a, of_b = stats.estimate_means(a[measure], sizes_a), stats.estimate_means(b[measure], sizes_b)
            change = stats.compare_estimates(of_a, of_b)
            needed = np.full(comparisons.n, np.nan)
            if difference is not None:
                needed = stats.clusters_needed(
                    change.error, change.df, n_clusters, difference, level=level, power=power
                )
            values = {
                "estimate_a": of_a.estimate,
                "estimate_b": of_b.estimate,
                "difference": change.estimate,
                "df": change.df,
                **stats.mean_limits(
                    *change, level=level, within=(-1, 1) if measure in COMPLETERS else (-2, 2)
                )._asdict(),
                "detectable": stats.detectable_differences(change.error, change.df, level=level, power=power),
                "n_clusters_needed": np.where(np.isinf(needed), np.nan, needed),
            }
            for name, value in values.items():
                rows.setdefault(name, []).append(value)
        return {
            "measure": np.tile(np.array(list(a), dtype=object), (comparisons.n, 1)),
            "n_completed_a": sizes_a.n_units,
            "n_completed_b": sizes_b.n_units,
            "n_clusters_a": sizes_a.n_clusters,
            "n_clusters_b": sizes_b.n_clusters,
            **{name: np.stack(values, axis=1) for name, values in rows.items()},
        }

    *names, _ = groups
    pairs = _pair(totals, groups, cluster)
    table = summarise_at_once(pairs, [*names, "group_a", "group_b"], columns, _COMPARISON, level=level)
    fewer = table[["n_clusters_a", "n_clusters_b"]].min(axis="columns")
    return warned(table.assign(**{N_CLUSTERS: fewer}), cluster)


def _pair(totals: pd.DataFrame, groups: Sequence[str], cluster: str) -> pd.DataFrame:
    """Put the clusters of each group beside those of the group before it: a row for each that is in either.

    The last of ``groups`` is what is compared, within each of the others; its values go to ``group_a`` and ``group_b``.
    """
    *names, compared = groups
    totals = sort_rows(totals, groups)
    begins = ~totals[list(groups)].duplicated().to_numpy()
    keys = totals[begins]
    # A group has one before it where the others did not change with it.
    has_before = keys[names].duplicated().to_numpy() if names else np.arange(len(keys)) > 0
    place, pair = np.cumsum(begins) - 1, np.cumsum(has_before) - 1
    code = totals[cluster].factorize(use_na_sentinel=False)[0]
    n_codes = code.max(initial=-1) + 1
    is_b, is_a = has_before[place], np.append(has_before, [False])[place + 1]
    entries = np.concatenate([pair[place[is_b]] * n_codes + code[is_b], pair[place[is_a] + 1] * n_codes + code[is_a]])
    distinct, row = np.unique(entries, return_inverse=True)
    counts = {}
    for side, rows, is_side in (("_a", row[is_b.sum() :], is_a), ("_b", row[: is_b.sum()], is_b)):
        for kind in COMPLETERS:
            counts[kind + side] = np.zeros(distinct.size, dtype=np.int64)
            counts[kind + side][rows] = totals[kind].to_numpy()[is_side]
    at = np.flatnonzero(has_before)[distinct // n_codes]
    sides = {"group_a": keys[compared].iloc[at - 1].array, "group_b": keys[compared].iloc[at].array}
    return pd.DataFrame({name: keys[name].iloc[at].array for name in names} | sides | counts)


def _measures(clusters: pd.DataFrame, side: str) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.int64]]:
    """Return the sum of each measure over the completions of each cluster on one side, and how many these are."""
    sums = {kind: clusters[kind + side].to_numpy() for kind in COMPLETERS}
    n_completed = np.sum(list(sums.values()), axis=0)
    return sums | {_DIFFERENCE: sums["commander"] - sums["assignee"]}, n_completed
