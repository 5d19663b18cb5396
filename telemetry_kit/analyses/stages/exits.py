"""How visits to a stage end, by time in the stage: on, back, or with the incident, each against the others."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine, stats
from telemetry_kit.analyses.stages.given import open_visits
from telemetry_kit.analyses.stages.occupancy import read_times
from telemetry_kit.analyses.stages.statuses import name_statuses
from telemetry_kit.analyses.stages.visits import EXITS, choose
from telemetry_kit.analyses.summaries import N_CLUSTERS, tabulate, warned
from telemetry_kit.engine.ordering import CLUSTER, SERVER, join_numbered
from telemetry_kit.stats.multistate import STAYS, occupancy

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

_NEEDED = ("server_id", "stage", "dwell_s", "exit")
_WAYS = EXITS[:3]
_NUMBERS = {way: number for number, way in enumerate(_WAYS, start=1)}
"""The states to which visits lead; 0 is that of being in the stage."""
_EXITS = {
    "exit": "str",
    "time_s": "float64",
    **dict.fromkeys(("n_visits", "n_servers", "n_at_risk"), "Int64"),
    **dict.fromkeys(("estimate", "df", "lower", "upper"), "float64"),
    N_CLUSTERS: "Int64",
}


def stage_exits(
    visits: IntoFrame,
    *,
    at: str | dt.timedelta | Sequence[str | dt.timedelta] | None = None,
    by: str | Sequence[str] | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    """Return how visits to each stage end, by time in the stage: the share that has advanced, returned or ended.

    The three compete: what ended with its incident will never advance. So the shares of a time, with what is still in
    the stage, add up to one. A Kaplan-Meier curve for one of them, which takes the others for visits that were lost
    from sight, tells more than ever happens.

    Parameters
    ----------
    visits
        A frame of any kind, as ``stage_visits`` or ``status_visits`` returns it. Visits whose beginning was not
        recorded, and those of no length, are left out.
    at
        Times in the stage to tell the shares at, such as ``["1h", "1D"]``; without it, whenever a visit ended,
        or at 500 of these moments where there are more.
    by
        A column of ``visits``, or several: each of their values is a sample of its own, a null as well.
    cluster
        The column of ``visits`` whose values act independently of one another; within one server, ``"incident_id"`` or
        ``"team_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group, stage, exit and time, in that order:

        by columns
            The group.
        stage : Int64
            The stage, counted from 0. Of ``status_visits``, ``status`` stands beside it.
        exit : str
            ``advanced``, ``returned`` or ``ended``.
        time_s : float64
            Seconds since the stage was entered.
        n_visits, n_servers : Int64
            Visits that count, and their servers; the same in all rows of a stage.
        n_at_risk : Int64
            Visits that lasted, and were observed, for at least that long.
        estimate : float64
            Share of visits that have left the stage this way by then, in [0, 1].
        df, lower, upper : float64
            Its degrees of freedom and interval. The interval is null with fewer than two clusters, ``df`` also where
            the share is 0 or 1.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    See Also
    --------
    stage_transitions : Where visits lead, whenever that is.
    stage_occupancy : Where incidents are by time since their start.

    Notes
    -----
    The cumulative incidence of Aalen and Johansen (1978, Scand. J. Statist. 5:141-150) with the infinitesimal
    jackknife; the intervals are those of a share whose units are visits (Korn and Graubard 1998) with the CR2 variance
    between clusters and Satterthwaite's degrees of freedom: see ``telemetry_kit.stats.multistate``. In R, ``exit``
    being a factor with ``open`` first, ``survfit(Surv(dwell_s, exit) ~ 1)``.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> visits = pd.DataFrame({
    ...     "server_id": ["a", "a", "b", "b"], "stage": 0, "dwell_s": [60.0, 120.0, 240.0, 600.0],
    ...     "exit": ["advanced", "ended", "advanced", "open"],
    ... })
    >>> tk.stage_exits(visits, at=["2min", "5min"])[["stage", "exit", "time_s", "n_at_risk", "estimate"]]
       stage      exit  time_s  n_at_risk  estimate
    0      0  advanced   120.0          3      0.25
    1      0  advanced   300.0          1      0.50
    2      0  returned   120.0          3      0.00
    3      0  returned   300.0          1      0.00
    4      0     ended   120.0          3      0.25
    5      0     ended   300.0          1      0.25
    """
    stats.check_open_unit("level", level)
    times = read_times(at)
    frame = open_visits(visits, _NEEDED, named=[*engine.names_of(by), cluster])
    groups = engine.group_columns(by, frame, reserved=["stage", *_EXITS])
    engine.check_cluster(cluster, frame)
    # A dwell time that is not known is no length either.
    lasting = frame.filter((nw.col("dwell_s") > 0).fill_null(value=False))
    plain = dict.fromkeys([*groups, "server_id", "stage", "dwell_s", cluster])
    told = lasting.select(*plain, _to=choose(nw.col("exit").cast(nw.String), _NUMBERS))
    with closing(engine.parts(told.to_native(), engine.MANY_ROWS)) as parts:
        rows = join_numbered(parts, [*groups, "stage"], cluster=cluster)

    def columns(part: pd.DataFrame) -> dict[str, Any]:
        return _exits(part, times, level)

    return warned(name_statuses(tabulate(rows, [*groups, "stage"], columns, _EXITS, level=level), visits), cluster)


def _exits(rows: pd.DataFrame, times: np.ndarray[Any, Any] | None, level: float) -> dict[str, Any]:
    dwell_s, codes = rows["dwell_s"].to_numpy(np.float64), rows[CLUSTER].to_numpy()
    to = rows["_to"].to_numpy(np.int32, na_value=STAYS)
    is_first, in_stage = np.full(len(rows), fill_value=True), np.zeros(len(rows), np.int32)
    curve = occupancy(dwell_s, in_stage, to, codes, is_first=is_first, n_states=1 + len(_WAYS), times=times)
    lower, upper = stats.share_limits(curve.shares, level=level)
    n_times = len(curve.time)

    def by_way(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return the shares of all times for one way after the other, without what is still there."""
        return values.reshape(n_times, 1 + len(_WAYS)).T[1:].ravel()

    return {
        "exit": np.repeat(np.array(_WAYS, object), n_times),
        "time_s": np.tile(curve.time, len(_WAYS)),
        "n_visits": np.full(n_times * len(_WAYS), len(rows)),
        "n_servers": np.full(n_times * len(_WAYS), rows[SERVER].nunique()),
        "n_at_risk": np.tile(curve.n_at_risk, len(_WAYS)),
        "estimate": by_way(curve.shares.estimate),
        "df": by_way(curve.shares.df),
        "lower": by_way(lower),
        "upper": by_way(upper),
        N_CLUSTERS: np.full(n_times * len(_WAYS), rows[CLUSTER].nunique()),
    }
