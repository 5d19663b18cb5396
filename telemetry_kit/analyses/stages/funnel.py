"""How far incidents get: the share that reaches each stage, ever or within a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine, stats
from telemetry_kit.analyses.stages.changes import INCIDENT
from telemetry_kit.analyses.stages.given import open_visits
from telemetry_kit.analyses.stages.statuses import N_VISITED, are_of_statuses, name_statuses
from telemetry_kit.analyses.stages.steps import STAGES_LISTED, find_steps
from telemetry_kit.analyses.summaries import summarise
from telemetry_kit.engine.windows import N_BITS, group_with_set
from telemetry_kit.stats.clusters import check_open_unit

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from narwhals.stable.v2.typing import IntoFrame

_NEEDED = (*INCIDENT, "stage", "num_stages", "is_censored", "from_start")
_NEEDED_IN_TIME = (*_NEEDED, "entered_at", "left_at", "is_left_truncated")
_ELIGIBLE, _IMMATURE, _EXCLUDED = range(3)
_NOWHERE = -1
"""Where an incident came to in its time, if to no stage."""

_FUNNEL = {
    **dict.fromkeys(("stage", "n_eligible", "n_reached", "n_visited", "n_open", "n_servers"), "Int64"),
    **dict.fromkeys(("estimate", "lower", "upper", "step_estimate"), "float64"),
    **dict.fromkeys(("n_immature", "n_excluded"), "Int64"),
}


def stage_funnel(
    visits: IntoFrame,
    *,
    by: str | Sequence[str] | None = None,
    within: str | dt.timedelta | None = None,
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
    level
        Confidence level of the limits.

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
        estimate, lower, upper : float64
            ``n_reached / n_eligible`` and its interval, shares in [0, 1]; the interval is null with fewer than two
            servers, all three where no incident is eligible.
        step_estimate : float64
            Share of incidents that reached this stage, of those among the ``n_eligible`` that reached the one before;
            null for the first stage, and where none did.
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
    The intervals are those of Korn and Graubard (1998, Survey Methodology 24:193-201) with servers as clusters.

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
    frame = open_visits(visits, needed, named=[*engine.names_of(by), *also], are_whole=True)
    groups = engine.group_columns(by, frame, reserved=_FUNNEL)
    span = None if within is None else engine.span_us(within, parameter="within")
    incident = list(dict.fromkeys([*groups, *INCIDENT]))
    if span is None:
        is_in_time, has_had_its_time = nw.lit(value=True), nw.lit(value=True)
        steps, is_unknown = frame, ~nw.col("from_start")
        flags = {"_n_stages": nw.col("num_stages"), "_is_open": nw.when(nw.col("is_censored")).then(1).otherwise(0)}
    else:
        is_in_time = nw.col("_entered_us") - nw.col("_start_us") <= span
        has_had_its_time = nw.col("_start_us") + span <= nw.col("_cutoff_us")
        steps, is_unknown = find_steps(frame, incident), nw.col("_is_unknown") == 1
        flags = {name: nw.col(name) for name in ("_n_stages", "_is_open")}
    status = nw.when(has_had_its_time).then(_ELIGIBLE).otherwise(_IMMATURE)
    told = steps.select(
        *incident,
        **flags,
        _came_to=nw.when(is_in_time).then(nw.col("stage")),
        _status=nw.when(is_unknown).then(_EXCLUDED).otherwise(status),
    )
    alike = ("_came_to", "_n_stages", "_is_open", "_status")
    # Of an incident, which stages it visited in time fits into one number: so no engine has to look at it twice.
    incidents = group_with_set(told, incident, numbers="_came_to", name="_visited", maxima=alike)
    keys = dict.fromkeys([*groups, "server_id", *alike, "_visited"])
    counts = engine.collect(incidents.group_by(*keys).agg(_n=nw.len()))
    if (counts["_n_stages"] > N_BITS).any():
        far = told.filter(nw.col("_came_to") >= N_BITS, nw.col("_status") == _ELIGIBLE)
        each = far.group_by(*incident, "_came_to").agg(_n=nw.len())
        by_stage = engine.collect(each.group_by(*groups, "_came_to").agg(_n_far=nw.len()))
        counts = pd.concat([counts, by_stage], ignore_index=True)
    is_timed = span is not None
    table = summarise(counts, groups, lambda part: _funnel(part, level, is_timed=is_timed), _FUNNEL, level=level)
    if are_of_statuses(visits):
        estimates = [name for name, kind in _FUNNEL.items() if kind == "float64"]
        table.loc[table["stage"] == N_VISITED, estimates] = np.nan
    return name_statuses(table, visits)


def _funnel(counts: pd.DataFrame, level: float, *, is_timed: bool) -> Iterator[dict[str, Any]]:
    """Make the rows of one group out of the number of incidents that are alike, by server, and of those by stage."""
    incidents = counts[counts["_n"].notna()]
    servers, labels = incidents["server_id"].factorize(sort=True)
    names = ("_came_to", "_n_stages", "_is_open", "_status", "_visited", "_n")
    furthest, n_stages, is_open, status, visited, n = (
        incidents[name].to_numpy(np.int64, na_value=_NOWHERE) for name in names
    )

    def per_server(chosen: np.ndarray) -> np.ndarray:
        return np.bincount(servers[chosen], n[chosen], minlength=len(labels)).astype(np.int64)

    def n_visited(stage: int) -> int:
        if stage < N_BITS:
            return int(n[(status == _ELIGIBLE) & (visited >> stage & 1 == 1)].sum())
        return int(counts.loc[counts["_n"].isna() & (counts["_came_to"] == stage), "_n_far"].sum())

    for stage in range(min(STAGES_LISTED, int(n_stages[status != _EXCLUDED].max(initial=0)))):
        has_stage = n_stages > stage
        is_eligible = has_stage & (status == _ELIGIBLE)
        is_reached = is_eligible & (furthest >= stage)
        totals, reached = per_server(is_eligible), per_server(is_reached)
        n_before = n[is_eligible & (furthest >= stage - 1)].sum()
        estimate, lower, upper = stats.share_interval(reached, totals, level=level)
        yield {
            "stage": stage,
            "n_eligible": totals.sum(),
            "n_reached": reached.sum(),
            "n_visited": n_visited(stage),
            "n_open": 0 if is_timed else n[is_eligible & ~is_reached & (is_open == 1)].sum(),
            "n_servers": np.count_nonzero(totals),
            "estimate": estimate,
            "lower": lower,
            "upper": upper,
            "step_estimate": reached.sum() / n_before if stage and n_before else None,
            "n_immature": n[has_stage & (status == _IMMATURE)].sum(),
            "n_excluded": n[has_stage & (status == _EXCLUDED)].sum(),
        }
