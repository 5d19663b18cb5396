"""How far incidents get: the share that reaches each stage, ever or within a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.analyses.stages.changes import INCIDENT
from telemetry_kit.analyses.stages.given import open_visits
from telemetry_kit.analyses.stages.statuses import N_VISITED, are_of_statuses, name_statuses
from telemetry_kit.analyses.stages.steps import ELIGIBLE, EXCLUDED, IMMATURE, STAGES_LISTED, find_reach
from telemetry_kit.analyses.summaries import N_CLUSTERS, share_columns, summarise, warned
from telemetry_kit.engine.grouping import number_labels
from telemetry_kit.engine.ordering import CLUSTER, SERVER, number_servers
from telemetry_kit.engine.windows import N_BITS, group_with_set
from telemetry_kit.stats import check_open_unit

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from narwhals.stable.v2.typing import IntoFrame
    from numpy.typing import NDArray

_NEEDED = (*INCIDENT, "stage", "num_stages", "is_censored", "from_start")
_NEEDED_IN_TIME = (*_NEEDED, "entered_at", "left_at", "is_left_truncated")
_NOWHERE = -1
"""Where an incident came to in its time, if to no stage."""

_FUNNEL = {
    **dict.fromkeys(("stage", "n_eligible", "n_reached", "n_visited", "n_open", "n_servers"), "Int64"),
    **dict.fromkeys(("estimate", "df", "lower", "upper"), "float64"),
    "n_before": "Int64",
    **dict.fromkeys(("step_estimate", "step_df", "step_lower", "step_upper"), "float64"),
    **dict.fromkeys(("n_immature", "n_excluded", N_CLUSTERS), "Int64"),
}


def stage_funnel(
    visits: IntoFrame,
    *,
    by: str | Sequence[str] | None = None,
    within: str | dt.timedelta | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    """Return how many incidents reach each stage, with the interval of the share.

    Only incidents whose create was recorded count, each towards the stages that it has. An incident that was still
    open at the cutoff may reach further stages later, so ``estimate`` is what was reached by then, and the youngest
    incidents pull it down. With ``within``, every incident is given the same time: only what it reached within that
    time of its start counts, and incidents that were not that old at the cutoff are left out, whatever they reached.

    Parameters
    ----------
    visits
        A frame of any kind, as ``stage_visits`` returns it.
    by
        A column of ``visits``, or several: each of their values is a sample of its own, a null as well, as if
        ``visits`` had no other rows.
    within
        The time that every incident is given, such as ``"4h"`` or a ``timedelta``; without it, as long as each was
        observed.
    cluster
        The column of ``visits`` whose values act independently of one another; within one server, ``"incident_id"`` or
        ``"team_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group and stage, in the order of the groups and then of the stages:

        by columns
            The group.
        stage : Int64
            The stage, counted from 0; from the 1,000th on they are not listed. Of ``status_visits``, ``status`` stands
            beside it; nobody visits Archived, which is the end, and its row has no estimate.
        n_eligible : Int64
            Incidents that have this stage and count.
        n_reached, n_visited : Int64
            Of these, the incidents that came to this stage or a later one, and those that came to this very stage.
        n_open : Int64
            Of these, the incidents that had not come so far and were open at the cutoff: they still may. Zero with
            ``within``, where every incident has had its time.
        n_servers : Int64
            Servers of the ``n_eligible``.
        estimate, df, lower, upper : float64
            ``n_reached / n_eligible``, its degrees of freedom and its interval, shares in [0, 1]. The interval is null
            with fewer than two clusters, ``df`` also at 0 and 1, all of them where no incident is eligible.
        n_before : Int64
            Of the ``n_eligible``, the incidents that reached the stage before; null for the first stage.
        step_estimate, step_df, step_lower, step_upper : float64
            Share of the ``n_before`` that reached this stage, with its degrees of freedom and interval likewise; null
            for the first stage, and where none reached the one before.
        n_immature : Int64
            Incidents that have this stage, but were younger than ``within`` at the cutoff.
        n_excluded : Int64
            Incidents that have this stage, but whose start is unknown: their create was not recorded, or, with
            ``within``, another event came before it.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    The intervals are those of Korn and Graubard (1998, Survey Methodology 24:193-201) with the CR2 variance between
    clusters and Satterthwaite's degrees of freedom: see ``telemetry_kit.stats.share_limits``.

    Measured on simulated truth, an interval falls short for shares under 2 % or over 98 %: far too wide with few
    servers, it holds the truth 87 to 93 times in 100 with thirty or more. Of two servers it holds it and is two to four
    times as wide as it had to be; where one server has 90 % of the events it rests on about one degree of freedom.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> visits = tk.stage_visits(log.incident, cutoff=log.cutoff)
    >>> tk.stage_funnel(visits)[["stage", "n_eligible", "n_reached", "n_open", "n_servers"]].head(3)
       stage  n_eligible  n_reached  n_open  n_servers
    0      0         374        374       0         38
    1      1         265        215       9         34
    2      2         243        136      15         31
    >>> tk.stage_funnel(visits, within="4h")[["stage", "n_eligible", "n_reached", "n_immature"]].head(3)
       stage  n_eligible  n_reached  n_immature
    0      0         374        374           0
    1      1         265        182           0
    2      2         243         89           0
    """
    check_open_unit("level", level)
    needed, also = (_NEEDED, ()) if within is None else (_NEEDED_IN_TIME, ("cutoff",))
    frame = open_visits(visits, needed, named=[*engine.names_of(by), cluster, *also], are_whole=True)
    groups = engine.group_columns(by, frame, reserved=_FUNNEL)
    engine.check_cluster(cluster, frame)
    span = None if within is None else engine.span_us(within, parameter="within")
    incident = list(dict.fromkeys([*groups, *INCIDENT, cluster]))
    told = find_reach(frame, incident, span)
    alike = ("_came_to", "_n_stages", "_is_open", "_status")
    # Of an incident, which stages it visited in time fits into one number: so no engine has to look at it twice.
    incidents = group_with_set(told, incident, numbers="_came_to", name="_visited", maxima=alike)
    keys = dict.fromkeys([*groups, "server_id", cluster, *alike, "_visited"])
    counts = engine.collect(incidents.group_by(*keys).agg(_n=nw.len()))
    if (counts["_n_stages"] > N_BITS).any():
        known = told.with_columns(_n_stages=nw.col("_n_stages").max().over(*incident))
        is_far = (nw.col("_came_to") >= N_BITS) & (nw.col("_came_to") < nw.col("_n_stages"))
        far = known.filter(is_far, nw.col("_status") == ELIGIBLE)
        each = far.group_by(*incident, "_came_to").agg(_n=nw.len())
        by_stage = engine.collect(each.group_by(*groups, "_came_to").agg(_n_far=nw.len()))
        counts = pd.concat([counts, by_stage], ignore_index=True)
    counts = number_servers(counts, groups, cluster=cluster)
    ever, steps_on = _Shares([], []), _Shares([], [])

    def rows(part: pd.DataFrame) -> Iterator[dict[str, Any]]:
        return _funnel(part, ever, steps_on, is_timed=span is not None)

    table = summarise(counts, groups, rows, _FUNNEL, level=level)
    table[["estimate", "df", "lower", "upper"]] = pd.DataFrame(share_columns(*ever, level=level))
    on = pd.DataFrame(share_columns(*steps_on, level=level)).add_prefix("step_")
    table[on.columns.to_list()] = on
    if are_of_statuses(visits):
        estimates = [name for name, kind in _FUNNEL.items() if kind == "float64"]
        table.loc[table["stage"] == N_VISITED, estimates] = np.nan
    return warned(name_statuses(table, visits), cluster)


class _Shares(NamedTuple):
    """What counts and what there is in each cluster, row by row: so that the intervals of all rows come in one go."""

    successes: list[NDArray[np.float64]]
    totals: list[NDArray[np.float64]]

    def add(self, successes: NDArray[np.float64], totals: NDArray[np.float64]) -> None:
        """Add a row; clusters without any are left out, as a stage may be one that few have."""
        there = np.flatnonzero(totals)
        self.successes.append(successes[there])
        self.totals.append(totals[there])


def _funnel(counts: pd.DataFrame, ever: _Shares, steps_on: _Shares, *, is_timed: bool) -> Iterator[dict[str, Any]]:
    """Make the rows of one group out of the number of incidents that are alike, by cluster, and of those by stage."""
    incidents = counts[counts["_n"].notna()]
    servers, clusters = (incidents[name].to_numpy(np.int64) for name in (SERVER, CLUSTER))
    _, clusters = number_labels(clusters)
    n_labels = int(clusters.max(initial=-1)) + 1
    names = ("_came_to", "_n_stages", "_is_open", "_status", "_visited", "_n")
    furthest, n_stages, is_open, status, visited, n = (
        incidents[name].to_numpy(np.int64, na_value=_NOWHERE) for name in names
    )

    def per_cluster(chosen: np.ndarray) -> np.ndarray:
        return np.bincount(clusters[chosen], n[chosen], minlength=n_labels)

    def n_visited(stage: int, is_eligible: np.ndarray) -> int:
        if stage < N_BITS:
            return int(n[is_eligible & (visited >> stage & 1 == 1)].sum())
        return int(counts.loc[counts["_n"].isna() & (counts["_came_to"] == stage), "_n_far"].sum())

    for stage in range(min(STAGES_LISTED, int(n_stages[status != EXCLUDED].max(initial=0)))):
        has_stage = n_stages > stage
        is_eligible = has_stage & (status == ELIGIBLE)
        is_reached, is_before = is_eligible & (furthest >= stage), is_eligible & (furthest >= stage - 1) & (stage > 0)
        totals, reached, before = per_cluster(is_eligible), per_cluster(is_reached), per_cluster(is_before)
        ever.add(reached, totals)
        steps_on.add(reached, before)
        yield {
            "stage": stage,
            "n_eligible": totals.sum(),
            "n_reached": reached.sum(),
            "n_visited": n_visited(stage, is_eligible),
            "n_open": 0 if is_timed else n[is_eligible & ~is_reached & (is_open == 1)].sum(),
            "n_servers": np.unique(servers[is_eligible]).size,
            "n_before": before.sum() if stage else None,
            "n_immature": n[has_stage & (status == IMMATURE)].sum(),
            "n_excluded": n[has_stage & (status == EXCLUDED)].sum(),
            N_CLUSTERS: np.count_nonzero(totals),
        }
