"""How far incidents get: the share that reaches each stage, ever or within a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine, uncertainty
from telemetry_kit.stages.changes import INCIDENT
from telemetry_kit.stages.visits import add_cutoff_us
from telemetry_kit.summaries import summarise
from telemetry_kit.uncertainty.clusters import check_open_unit

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

_NEEDED = (*INCIDENT, "stage", "num_stages", "is_censored", "from_start")
_NEEDED_IN_TIME = (*_NEEDED, "entered_at", "left_at", "is_left_truncated")
_ELIGIBLE, _IMMATURE, _EXCLUDED = range(3)
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
    """Return how many incidents reach each stage, with the limits of the share.

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
            The stage, counted from 0.
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
            ``n_reached / n_eligible`` and its limits, shares in [0, 1]; the limits are null with fewer than two
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
    The limits are those of Korn and Graubard (1998, Survey Methodology 24:193-201) with servers as clusters.

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
    frame = engine.open_frame(visits, _NEEDED if within is None else _NEEDED_IN_TIME, parameter="visits")
    groups = engine.group_columns(by, frame, reserved=_FUNNEL)
    incident = list(dict.fromkeys([*groups, *INCIDENT]))
    if within is None:
        status = nw.when(nw.col("from_start")).then(_ELIGIBLE).otherwise(_EXCLUDED)
        frame = frame.with_columns(_status=status, _is_in_time=nw.lit(1))
    else:
        frame = _give_time(frame, incident, engine.span_us(within, parameter="within"))
    counts = engine.collect(_count_incidents(frame, incident, list(dict.fromkeys([*groups, "server_id"]))))
    return summarise(
        counts, groups, lambda part: _funnel(part, level, is_timed=within is not None), _FUNNEL, level=level
    )


def _give_time(frame: nw.LazyFrame[Any], incident: Sequence[str], span_us: int) -> nw.LazyFrame[Any]:
    """Tell which incidents have had their time, and which of their visits began in it."""
    start = nw.col("_start_us")
    is_truncated = nw.when(nw.col("is_left_truncated")).then(1).otherwise(0)
    return (
        engine.add_epoch_us(add_cutoff_us(frame), _entered_us="entered_at")
        .with_columns(
            _start_us=nw.col("_entered_us").min().over(*incident), _is_truncated=is_truncated.max().over(*incident)
        )
        .with_columns(
            _status=nw.when(~nw.col("from_start") | (nw.col("_is_truncated") == 1))
            .then(_EXCLUDED)
            .when(start + span_us > nw.col("_cutoff_us"))
            .then(_IMMATURE)
            .otherwise(_ELIGIBLE),
            _is_in_time=nw.when(nw.col("_entered_us") - start > span_us).then(0).otherwise(1),
        )
    )


def _count_incidents(frame: nw.LazyFrame[Any], incident: Sequence[str], groups: Sequence[str]) -> nw.LazyFrame[Any]:
    """Count incidents that are alike in stages, status and furthest stage, by each ``stage`` that they visited."""
    is_in_time = nw.col("_is_in_time") == 1
    visited = (
        frame.with_columns(_is_open=nw.when(nw.col("is_censored")).then(1).otherwise(0))
        .group_by(*incident, "stage")
        .agg(nw.col("_is_open", "_status", "_is_in_time").max(), _n_stages=nw.col("num_stages").max())
        .with_columns(
            nw.col("_n_stages", "_is_open").max().over(*incident),
            _furthest=nw.when(is_in_time).then(nw.col("stage")).max().over(*incident),
        )
    )
    alike = ("stage", "_n_stages", "_furthest", "_is_open", "_status")
    return visited.filter(is_in_time).group_by(*groups, *alike).agg(_n=nw.len())


def _funnel(counts: pd.DataFrame, level: float, *, is_timed: bool) -> Iterator[dict[str, Any]]:
    servers, labels = counts["server_id"].factorize(sort=True)
    stages, n_stages, furthest, is_open, status, n = (
        counts[name].to_numpy(np.int64) for name in ("stage", "_n_stages", "_furthest", "_is_open", "_status", "_n")
    )

    def per_server(chosen: np.ndarray) -> np.ndarray:
        return np.bincount(servers[chosen], n[chosen], minlength=len(labels)).astype(np.int64)

    # Every incident stands once in the rows of its furthest stage.
    is_incident = stages == furthest
    for stage in range(int(n_stages[status != _EXCLUDED].max(initial=0))):
        has_stage = n_stages > stage
        is_eligible = has_stage & (status == _ELIGIBLE)
        totals = per_server(is_incident & is_eligible)
        reached = per_server(is_incident & is_eligible & (furthest >= stage))
        n_before = n[is_incident & is_eligible & (furthest >= stage - 1)].sum()
        still_may = is_incident & is_eligible & (furthest < stage) & (is_open == 1)
        estimate, lower, upper = uncertainty.share_interval(reached, totals, level=level)
        yield {
            "stage": stage,
            "n_eligible": totals.sum(),
            "n_reached": reached.sum(),
            "n_visited": n[is_eligible & (stages == stage)].sum(),
            "n_open": 0 if is_timed else n[still_may].sum(),
            "n_servers": np.count_nonzero(totals),
            "estimate": estimate,
            "lower": lower,
            "upper": upper,
            "step_estimate": reached.sum() / n_before if stage and n_before else None,
            "n_immature": n[is_incident & has_stage & (status == _IMMATURE)].sum(),
            "n_excluded": n[is_incident & has_stage & (status == _EXCLUDED)].sum(),
        }
