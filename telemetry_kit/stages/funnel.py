"""How far incidents get: the share that reaches each stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine, uncertainty
from telemetry_kit.stages.visits import INCIDENT
from telemetry_kit.summaries import summarise
from telemetry_kit.uncertainty.clusters import check_open_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

_NEEDED = (*INCIDENT, "stage", "num_stages", "is_censored", "from_start")
_FUNNEL = {
    "stage": "Int64",
    "n_eligible": "Int64",
    "n_reached": "Int64",
    "n_visited": "Int64",
    "n_open": "Int64",
    "n_servers": "Int64",
    "estimate": "float64",
    "lower": "float64",
    "upper": "float64",
    "step_estimate": "float64",
}


def stage_funnel(visits: IntoFrame, *, by: str | Sequence[str] | None = None, level: float = 0.95) -> pd.DataFrame:
    """Return how many incidents reach each stage, with the limits of the share.

    Only incidents whose create was recorded count, each towards the stages that it has. An incident that was still
    open at the cutoff may reach further stages later, so ``estimate`` is what was reached by then.

    Parameters
    ----------
    visits
        A frame of any kind, as ``stage_visits`` returns it.
    by
        A column of ``visits``, or several: each of their values is a sample of its own, a null as well, as if
        ``visits`` had no other rows.
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
            Incidents that have this stage.
        n_reached, n_visited : Int64
            Of these, the incidents that came to this stage or a later one, and those that came to this very stage.
        n_open : Int64
            Of these, the incidents that had not come so far and were open at the cutoff: they still may.
        n_servers : Int64
            Servers of the ``n_eligible``.
        estimate, lower, upper : float64
            ``n_reached / n_eligible`` and its limits, shares in [0, 1]; the limits are null with fewer than two servers.
        step_estimate : float64
            Share of incidents that reached this stage, of those among the ``n_eligible`` that reached the one before;
            null for the first stage, and where none did.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    The limits are those of Korn and Graubard (1998, Survey Methodology 24:193-201) with servers as clusters.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> visits = pd.DataFrame({
    ...     "server_id": ["a", "a", "b"], "incident_id": ["i", "i", "k"], "stage": [0, 1, 0], "num_stages": 2,
    ...     "is_censored": [False, False, True], "from_start": True,
    ... })
    >>> tk.stage_funnel(visits)[["stage", "n_eligible", "n_reached", "n_open", "estimate", "step_estimate"]]
       stage  n_eligible  n_reached  n_open  estimate  step_estimate
    0      0           2          2       0       1.0            NaN
    1      1           2          1       1       0.5            0.5
    """
    check_open_unit("level", level)
    frame = engine.open_frame(visits, _NEEDED, parameter="visits")
    groups = engine.group_columns(by, frame, reserved=_FUNNEL)
    counts = engine.collect(_count_incidents(frame, groups))
    return summarise(counts, groups, lambda part: _funnel(part, level), _FUNNEL)


def _count_incidents(frame: nw.LazyFrame[Any], groups: Sequence[str]) -> nw.LazyFrame[Any]:
    """Count incidents with the same number of stages and furthest stage, by each ``stage`` that they visited."""
    incident = list(dict.fromkeys([*groups, *INCIDENT]))
    visited = (
        frame.filter(nw.col("from_start"))
        .with_columns(_is_open=nw.when(nw.col("is_censored")).then(1).otherwise(0))
        .group_by(*incident, "stage")
        .agg(nw.col("num_stages", "_is_open").max())
        .with_columns(
            _n_stages=nw.col("num_stages").max().over(*incident),
            _furthest=nw.col("stage").max().over(*incident),
            _is_open=nw.col("_is_open").max().over(*incident),
        )
    )
    return visited.group_by(*dict.fromkeys([*groups, "server_id"]), "stage", "_n_stages", "_furthest", "_is_open").agg(
        _n=nw.len()
    )


def _funnel(counts: pd.DataFrame, level: float) -> Iterator[dict[str, Any]]:
    servers, labels = counts["server_id"].factorize()
    stages, n_stages, furthest, is_open, n = (
        counts[name].to_numpy(np.int64) for name in ("stage", "_n_stages", "_furthest", "_is_open", "_n")
    )
    # Every incident stands once in the rows of its furthest stage.
    is_incident = stages == furthest
    for stage in range(int(n_stages.max())):
        is_eligible = n_stages > stage

        def per_server(flags: np.ndarray, chosen: np.ndarray = is_eligible) -> np.ndarray:
            return np.bincount(servers, n * (chosen & flags), minlength=len(labels))

        totals = per_server(is_incident)
        reached = per_server(is_incident & (furthest >= stage))
        before = per_server(is_incident & (furthest >= stage - 1)).sum()
        estimate, lower, upper = uncertainty.share_interval(reached, totals, level=level)
        yield {
            "stage": stage,
            "n_eligible": int(totals.sum()),
            "n_reached": int(reached.sum()),
            "n_visited": int(per_server(stages == stage).sum()),
            "n_open": int(per_server(is_incident & (furthest < stage) & (is_open == 1)).sum()),
            "n_servers": int(np.count_nonzero(totals)),
            "estimate": estimate,
            "lower": lower,
            "upper": upper,
            "step_estimate": reached.sum() / before if stage and before else None,
        }
