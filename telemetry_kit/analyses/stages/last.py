"""How many incidents come to their last stage, or are resolved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine, stats
from telemetry_kit.analyses.stages.changes import INCIDENT
from telemetry_kit.analyses.summaries import N_CLUSTERS, summarise, warned
from telemetry_kit.engine.ordering import CLUSTER, SERVER, number_servers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

_NEEDED = (*INCIDENT, "stage", "num_stages", "is_censored", "from_start")
_RESOLVED = 2
"""The place of the status with which an incident is done, among Reported, Active, Resolved, Archived."""
_LAST = {
    **dict.fromkeys(("n_incidents", "n_reached", "n_open", "n_servers"), "Int64"),
    **dict.fromkeys(("estimate", "df", "lower", "upper"), "float64"),
    N_CLUSTERS: "Int64",
}


def last_stage_reached(
    visits: IntoFrame, *, by: str | Sequence[str] | None = None, cluster: str = "server_id", level: float = 0.95
) -> pd.DataFrame:
    """Return how many incidents come to their last stage, with the interval of the share.

    Only incidents count whose create was recorded and that have more than one stage. Of incidents that have a status
    and no stages, those count as having come to the last one that were resolved.

    Parameters
    ----------
    visits
        A frame of any kind, as ``stage_visits`` or ``status_visits`` returns it.
    by
        A column of ``visits``, or several: each of their values is a sample of its own, a null as well.
    cluster
        The column whose values act independently of one another; within one server, ``"incident_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group:

        by columns
            The group.
        n_incidents : Int64
            Incidents that count.
        n_reached, n_open : Int64
            Of these, those that came to their last stage, and those that had not and were open at the cutoff.
        n_servers : Int64
            Servers of the ``n_incidents``.
        estimate, df, lower, upper : float64
            ``n_reached / n_incidents``, a share in [0, 1], its degrees of freedom and its interval; these three are
            null with fewer than two clusters.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    The intervals are those of Korn and Graubard (1998, Survey Methodology 24:193-201) with clusters as units.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> visits = tk.stage_visits(log.incident, cutoff=log.cutoff)
    >>> tk.last_stage_reached(visits)[["n_incidents", "n_reached", "n_open", "n_servers"]]
       n_incidents  n_reached  n_open  n_servers
    0          265         87      26         34
    """
    stats.check_open_unit("level", level)
    frame = engine.open_frame(visits, _NEEDED, parameter="visits", named=[*engine.names_of(by), cluster, "status"])
    groups = engine.group_columns(by, frame, reserved=_LAST)
    last = nw.lit(_RESOLVED) if "status" in frame.columns else nw.col("num_stages") - 1
    counted = frame.filter(nw.col("from_start"), nw.col("num_stages") > 1)
    incident = dict.fromkeys([*groups, *INCIDENT, engine.check_cluster(cluster, frame)])
    incidents = counted.group_by(*incident).agg(
        _n_reached=nw.when(nw.col("stage") >= last).then(1).otherwise(0).max(),
        _n_open=nw.when(nw.col("is_censored")).then(1).otherwise(0).max(),
    )
    keys = dict.fromkeys([*groups, "server_id", cluster, "_n_reached", "_n_open"])
    counts = number_servers(engine.collect(incidents.group_by(*keys).agg(_n=nw.len())), groups, cluster=cluster)
    return warned(summarise(counts, groups, lambda part: _last(part, level), _LAST, level=level), cluster)


def _last(counts: pd.DataFrame, level: float) -> Iterator[dict[str, Any]]:
    """Make the row of one group out of the number of incidents that are alike, by cluster."""
    clusters, labels = counts[CLUSTER].factorize(sort=True)
    n, reached, is_open = (counts[name].to_numpy(np.int64) for name in ("_n", "_n_reached", "_n_open"))
    totals, successes = (np.bincount(clusters, weights, len(labels)) for weights in (n, n * reached))
    shares = stats.estimate_shares(successes, stats.count_clusters(totals, stats.one_group(len(labels))))
    limits = stats.share_limits(shares, level=level)
    yield {
        "n_incidents": n.sum(),
        "n_reached": successes.sum(),
        "n_open": (n * (1 - reached) * is_open).sum(),
        "n_servers": counts[SERVER].nunique(),
        "estimate": shares.estimate[0],
        "df": shares.df[0],
        "lower": limits.lower[0],
        "upper": limits.upper[0],
        N_CLUSTERS: len(labels),
    }
