"""Going back: incidents that come again to a stage, step back, or are restarted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine, stats
from telemetry_kit.analyses.stages.changes import INCIDENT
from telemetry_kit.analyses.stages.given import open_visits
from telemetry_kit.analyses.summaries import N_CLUSTERS, summarise_at_once, warned
from telemetry_kit.engine.grouping import Groups
from telemetry_kit.stats import check_open_unit, number_clusters

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

_NEEDED = (*INCIDENT, "stage", "exit", "is_censored", "from_start")
_REWORK = {
    "measure": "str",
    **dict.fromkeys(("n", "n_total", "n_servers"), "Int64"),
    **dict.fromkeys(("estimate", "df", "lower", "upper"), "float64"),
    **dict.fromkeys(("n_excluded", N_CLUSTERS), "Int64"),
}
_SHARES = {
    "revisited_share": ("_has_revisit", "_n_incidents"),
    "stepped_back_share": ("_has_back", "_n_incidents"),
    "restarted_share": ("_has_restart", "_n_incidents"),
    "back_step_rate": ("_n_back", "_n_moves"),
}
_MEANS = {
    "revisits_per_incident": ("_n_revisits", "_n_incidents"),
    "restarts_per_incident": ("_n_restarts", "_n_incidents"),
}
_MEASURES = _SHARES | _MEANS
_TOTALS = tuple(dict.fromkeys(name for pair in _MEASURES.values() for name in pair))
_ADDED = ("_n_back", "_n_moves", "_n_ended")


def stage_rework(
    visits: IntoFrame, *, by: str | Sequence[str] | None = None, cluster: str = "server_id", level: float = 0.95
) -> pd.DataFrame:
    """Return how much incidents go back, with intervals: to stages that they had left, and from closed to open.

    Only incidents whose create was recorded count, because the others may have gone back before. What is open at
    the cutoff may still go back.

    Parameters
    ----------
    visits
        A frame of any kind, as ``stage_visits`` returns it.
    by
        A column of ``visits``, or several: each of their values is a sample of its own, a null as well, as if
        ``visits`` had no other rows.
    cluster
        The column of ``visits`` whose values act independently of one another; within one server, ``"incident_id"`` or
        ``"team_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        Six rows per group, in the order of the groups and then as listed here:

        by columns
            The group.
        measure : str
            ``revisited_share``: incidents with more than one visit to some stage; ``stepped_back_share``: incidents
            that returned to an earlier stage; ``restarted_share``: incidents that were opened again after an end;
            ``back_step_rate``: of the moves between stages, those to an earlier one; ``revisits_per_incident``:
            visits to a stage that the incident had visited before, whether it stepped or was restarted into it;
            ``restarts_per_incident``.
        n, n_total : Int64
            What was counted, and the incidents (for ``back_step_rate`` the moves) out of which it was.
        n_servers : Int64
            Servers of the ``n_total``.
        estimate, df, lower, upper : float64
            ``n / n_total``, its degrees of freedom and its interval: a share in [0, 1], or a mean per incident; null
            where ``n_total`` is 0. The interval is null with fewer than two clusters, ``df`` also for shares of 0 and
            1, and that of a mean where clusters do not differ.
        n_excluded : Int64
            Incidents of the group whose create was not recorded.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    The intervals of shares are those of Korn and Graubard (1998, Survey Methodology 24:193-201), those of means per
    incident are Student's and may lie below 0; both rest on the CR2 variance between clusters and Satterthwaite's
    degrees of freedom: see ``telemetry_kit.stats.share_limits`` and ``mean_limits``. An incident that was restarted
    without having stages has no visit to show it.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> visits = pd.DataFrame({
    ...     "server_id": ["a", "a", "a", "b"], "incident_id": ["i", "i", "i", "k"], "stage": [0, 1, 0, 0],
    ...     "exit": ["advanced", "returned", "ended", "open"], "is_censored": [False, False, False, True],
    ...     "from_start": True,
    ... })
    >>> tk.stage_rework(visits)[["measure", "n", "n_total", "estimate"]]
                     measure  n  n_total  estimate
    0        revisited_share  1        2       0.5
    1     stepped_back_share  1        2       0.5
    2        restarted_share  0        2       0.0
    3         back_step_rate  1        2       0.5
    4  revisits_per_incident  1        2       0.5
    5  restarts_per_incident  0        2       0.0
    """
    check_open_unit("level", level)
    frame = open_visits(visits, _NEEDED, named=[*engine.names_of(by), cluster], are_whole=True)
    groups = engine.group_columns(by, frame, reserved=_REWORK)
    engine.check_cluster(cluster, frame)
    totals = engine.collect(_count_per_cluster(frame, groups, cluster))
    table = summarise_at_once(totals, groups, lambda part, of: _rework(part, of, cluster, level), _REWORK, level=level)
    return warned(table, cluster)


def _count_per_cluster(frame: nw.LazyFrame[Any], groups: Sequence[str], cluster: str) -> nw.LazyFrame[Any]:
    left = nw.col("exit").cast(nw.String)

    def flag(condition: nw.Expr) -> nw.Expr:
        return nw.when(condition).then(1).otherwise(0)

    incidents = (
        frame.with_columns(
            _n_back=flag(left == "returned"),
            _n_moves=flag(left.is_in(["advanced", "returned"])),
            _n_ended=flag(left == "ended"),
            _is_open=flag(nw.col("is_censored")),
            _n_incidents=flag(nw.col("from_start")),
        )
        .group_by(*dict.fromkeys([*groups, *INCIDENT, cluster, "stage"]))
        .agg(nw.col(*_ADDED).sum(), nw.col("_is_open", "_n_incidents").max(), _n_visits=nw.len())
        .group_by(*dict.fromkeys([*groups, *INCIDENT, cluster]))
        .agg(nw.col(*_ADDED, "_n_visits").sum(), nw.col("_is_open", "_n_incidents").max(), _n_stages=nw.len())
    )
    # An incident that ended was opened again after each end but the last, after which it is still open or not.
    counted = incidents.with_columns(
        _n_revisits=nw.col("_n_visits") - nw.col("_n_stages"), _n_restarts=nw.col("_n_ended") - 1 + nw.col("_is_open")
    ).with_columns(
        _has_revisit=flag(nw.col("_n_revisits") > 0),
        _has_back=flag(nw.col("_n_back") > 0),
        _has_restart=flag(nw.col("_n_restarts") > 0),
        _n_excluded=1 - nw.col("_n_incidents"),
    )
    counted = counted.with_columns(nw.col(*_TOTALS) * nw.col("_n_incidents"))
    return counted.group_by(*dict.fromkeys([*groups, "server_id", cluster])).agg(nw.col(*_TOTALS, "_n_excluded").sum())


def _rework(totals: pd.DataFrame, groups: Groups, cluster: str, level: float) -> dict[str, Any]:
    """Make the columns of all groups out of the totals of their servers and clusters: a row of six per group."""
    (in_server, of_servers), (in_cluster, of_clusters) = (
        _entries(totals[name], groups) for name in ("server_id", cluster)
    )
    counts = {name: totals[name].to_numpy(np.float64) for name in _TOTALS}
    clusters = {
        name: stats.count_clusters(in_cluster.add_up(counts[name]), of_clusters)
        for name in dict.fromkeys(out_of for _, out_of in _MEASURES.values())
    }
    made: dict[str, list[Any]] = {name: [] for name in _REWORK if name not in ("measure", "n_excluded")}
    for measure, (counted, out_of) in _MEASURES.items():
        sums, sizes = in_cluster.add_up(counts[counted]), clusters[out_of]
        if measure in _SHARES:
            found = stats.estimate_shares(sums, sizes)
            limits = stats.share_limits(found, level=level)
        else:
            found = stats.estimate_means(sums, sizes)
            limits = stats.mean_limits(found.estimate, found.error, found.df, level=level)
        n_servers = of_servers.add_up(in_server.add_up(counts[out_of]) > 0)
        values = (groups.add_up(counts[counted]), sizes.n_units, n_servers, found.estimate, found.df, *limits)
        for name, value in zip(made, (*values, sizes.n_clusters), strict=True):
            made[name].append(value)
    return {
        "measure": np.tile(np.array([*_MEASURES], dtype=object), (groups.n, 1)),
        "n_excluded": groups.add_up(totals["_n_excluded"]),
        **{name: np.stack(values, axis=1) for name, values in made.items()},
    }


def _entries(labels: pd.Series, groups: Groups) -> tuple[Groups, Groups]:
    """Return which cluster of which group each row belongs to, and the group of each of these clusters."""
    numbers, of_numbers = number_clusters(labels.factorize(use_na_sentinel=False)[0], groups)
    return Groups(numbers, of_numbers.of.size), of_numbers
