"""Where incidents are as time goes by since their start: in which stage or status, or closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine, stats
from telemetry_kit.analyses.stages.changes import INCIDENT
from telemetry_kit.analyses.stages.given import open_visits
from telemetry_kit.analyses.stages.statuses import are_of_statuses
from telemetry_kit.analyses.summaries import N_CLUSTERS, tabulate, warned
from telemetry_kit.engine.ordering import CLUSTER, SERVER, number_servers
from telemetry_kit.errors import ParameterError
from telemetry_kit.schemas import STATUSES
from telemetry_kit.stats.multistate import STAYS, occupancy

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import numpy.typing as npt
    from narwhals.stable.v2.typing import IntoFrame

CLOSED = "closed"
_NEEDED = (*INCIDENT, "visit", "stage", "entered_at", "left_at", "exit", "from_start", "is_left_truncated")
_OCCUPANCY = {
    "time_s": "float64",
    "state": "str",
    **dict.fromkeys(("n_incidents", "n_servers", "n_at_risk"), "Int64"),
    **dict.fromkeys(("estimate", "df", "lower", "upper"), "float64"),
    N_CLUSTERS: "Int64",
}


def stage_occupancy(
    visits: IntoFrame,
    *,
    cutoff: str | dt.datetime | pd.Timestamp,
    at: str | dt.timedelta | Sequence[str | dt.timedelta] | None = None,
    by: str | Sequence[str] | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    """Return where incidents are by time since their start: the share that is in each stage or status, or closed.

    An incident starts with its first visit, and is closed between its visits and after the last. The shares of a time
    add up to one. Incidents that are younger than that time count as long as they were seen.

    Parameters
    ----------
    visits
        A frame of any kind, as ``stage_visits`` or ``status_visits`` returns it. Incidents whose create was not
        recorded, or whose first visit began before the recording, are left out.
    cutoff
        When the observation of closed incidents ended: the cutoff of the visits. Where visits tell an earlier one for
        their server, that holds.
    at
        Times since the start to tell the shares at, such as ``["1h", "1D"]``; without it, whenever an incident
        moved, or at 500 of these moments where there are more.
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
        One row per group, time and state that occurs in the group, in the order of the groups, of time, and of the
        stages or statuses, with closed last:

        by columns
            The group.
        time_s : float64
            Seconds since the start of the incident.
        state : str
            The stage, counted from 0, as text; the status; or ``closed``.
        n_incidents, n_servers : Int64
            Incidents that count, and their servers; the same in all rows of a group.
        n_at_risk : Int64
            Incidents that were observed for at least that long. Where it is 0, the shares are those of the last time
            at which one was.
        estimate : float64
            Share of incidents that are in this state at that time, in [0, 1].
        df, lower, upper : float64
            Its degrees of freedom and interval. The interval is null with fewer than two clusters, ``df`` also where
            the share is 0 or 1.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take, or ``cutoff`` is earlier than a visit was left.

    See Also
    --------
    stage_exits : How visits to a stage end, by time in the stage.

    Notes
    -----
    The estimate of Aalen and Johansen (1978, Scand. J. Statist. 5:141-150) with the infinitesimal jackknife; the
    intervals are those of a share whose units are incidents (Korn and Graubard 1998) with the CR2 variance between
    clusters and Satterthwaite's degrees of freedom: see ``telemetry_kit.stats.multistate``. In R, with a row per
    stretch of an incident's time, ``survfit(Surv(t1, t2, to) ~ 1, id = incident, istate = state)``.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> visits = tk.stage_visits(log.incident, cutoff=log.cutoff)
    >>> where = tk.stage_occupancy(visits, cutoff=log.cutoff, at=["1h", "1D"])
    >>> where.loc[where["state"] == "closed", ["time_s", "n_incidents", "n_at_risk", "estimate"]].round(3)
         time_s  n_incidents  n_at_risk  estimate
    8    3600.0          374        374     0.206
    17  86400.0          374        373     0.703
    """
    stats.check_open_unit("level", level)
    until_us = engine.epoch_us(engine.moment(cutoff, parameter="cutoff"))
    times = read_times(at)
    frame = open_visits(visits, _NEEDED, named=[*engine.names_of(by), cluster, "cutoff"], are_whole=True)
    groups = engine.group_columns(by, frame, reserved=_OCCUPANCY)
    check_cluster(cluster, frame)
    rows = _collect(frame, groups, cluster, until_us)
    of_statuses = are_of_statuses(visits)

    def columns(part: pd.DataFrame) -> dict[str, Any]:
        return _occupancy(part, times, level, of_statuses=of_statuses)

    return warned(tabulate(rows, groups, columns, _OCCUPANCY, level=level), cluster)


def read_times(at: str | dt.timedelta | Sequence[str | dt.timedelta] | None) -> np.ndarray[Any, Any] | None:
    """Return lengths of time as ascending seconds, each once; None for none.

    Raises
    ------
    ParameterError
        Where one is no length of time above zero.
    """
    if at is None:
        return None
    given = [at] if isinstance(at, str) or not hasattr(at, "__iter__") else list(at)
    lengths = {engine.span_us(one, parameter="at") for one in given}
    return np.array(sorted(lengths), np.float64) / engine.MICROSECONDS


def check_cluster(cluster: str, frame: nw.LazyFrame[Any]) -> None:
    """See that ``cluster`` is a column.

    Raises
    ------
    ParameterError
        Where it is none.
    """
    if cluster not in frame.columns:
        raise ParameterError("cluster", cluster, frame.columns)


def _collect(frame: nw.LazyFrame[Any], groups: Sequence[str], cluster: str, until_us: int) -> pd.DataFrame:
    """Collect the visits of incidents that are known from their start, in the order of time, times in seconds."""
    known = nw.col("from_start") & ~nw.col("is_left_truncated")
    times = {"_entered_us": "entered_at", "_left_us": "left_at"}
    if "cutoff" in frame.columns:
        times["_end_us"] = "cutoff"
    visits = engine.add_epoch_us(frame.filter(known.fill_null(value=False)), **times)
    plain = dict.fromkeys([*groups, *INCIDENT, cluster, "visit", "stage"])
    rows = engine.collect(visits.select(*plain, *times, _is_open=(nw.col("exit") == "open").fill_null(value=False)))
    last_us = int(rows["_left_us"].max()) if len(rows) else 0
    if last_us > until_us:
        given, last = (str(pd.Timestamp(us, unit="us", tz="UTC")) for us in (until_us, last_us))
        raise ParameterError("cutoff", given, f"{last} or later, when a visit was left")
    # Numbers from here on: of visits there can be so many that their ids would take most of the memory.
    rows["_unit"] = rows.groupby(list(dict.fromkeys([*groups, *INCIDENT])), sort=False, dropna=False).ngroup()
    rows = number_servers(rows, groups, cluster=cluster)
    rows = rows.drop(columns={"incident_id"}.difference(groups), errors="ignore")
    rows["_end_us"] = rows["_end_us"].clip(upper=until_us) if "_end_us" in rows else until_us
    unit, visit = rows["_unit"].to_numpy(np.int64), rows["visit"].to_numpy(np.int64)
    order = np.lexsort((visit, unit))
    begins = np.flatnonzero(np.diff(unit[order], prepend=-1))
    # Where the first visit is missing, nobody knows when the incident started.
    is_whole = np.repeat(visit[order[begins]] == 0, np.diff(begins, append=len(rows)))
    kept: pd.DataFrame = rows.drop(columns={"visit"}.difference(groups)).iloc[order[is_whole]].reset_index(drop=True)
    return kept


def _occupancy(
    rows: pd.DataFrame, times: np.ndarray[Any, Any] | None, level: float, *, of_statuses: bool
) -> dict[str, Any]:
    states, stage = np.unique(rows["stage"].to_numpy(np.int64), return_inverse=True)
    closed, names = len(states), [STATUSES[n] if of_statuses else str(n) for n in states]
    pieces = _pieces(rows, stage.astype(np.int32), closed)
    codes, _ = pd.factorize(rows[CLUSTER])
    curve = occupancy(
        pieces.start, pieces.stop, pieces.state, pieces.to, codes[pieces.row], n_states=closed + 1, times=times
    )
    lower, upper = stats.share_limits(curve.shares, level=level)
    n_times, seen = len(curve.time), np.unique(pieces.row)
    n_seen = {name: np.unique(rows[name].to_numpy(np.int64)[seen]).size for name in ("_unit", SERVER, CLUSTER)}
    return {
        "time_s": np.repeat(curve.time, closed + 1),
        "state": np.tile(np.array([*names, CLOSED], object), n_times),
        "n_incidents": np.full(n_times * (closed + 1), n_seen["_unit"]),
        "n_servers": np.full(n_times * (closed + 1), n_seen[SERVER]),
        "n_at_risk": np.repeat(curve.n_at_risk, closed + 1),
        "estimate": curve.shares.estimate,
        "df": curve.shares.df,
        "lower": lower,
        "upper": upper,
        N_CLUSTERS: np.full(n_times * (closed + 1), n_seen[CLUSTER]),
    }


class _Pieces(NamedTuple):
    """Stretches of incidents' lives, in their order: seconds since the start, states, and the visit of each."""

    start: npt.NDArray[np.float64]
    stop: npt.NDArray[np.float64]
    state: npt.NDArray[np.int32]
    to: npt.NDArray[np.int32]
    row: npt.NDArray[np.int32]


def _pieces(rows: pd.DataFrame, stage: npt.NDArray[np.int32], closed: int) -> _Pieces:
    """Return each visit, and the time in which its incident is closed after it; pieces of no length are none."""
    unit, entered, left, end = (
        rows[name].to_numpy(np.int64) for name in ("_unit", "_entered_us", "_left_us", "_end_us")
    )
    first = np.flatnonzero(np.diff(unit, prepend=-1))
    n_visits = np.diff(first, append=len(rows))
    begin = np.repeat(entered[first], n_visits)
    after = np.append(entered[1:], 0)[: len(rows)]
    after[first + n_visits - 1] = end[first + n_visits - 1]
    is_closed = (after > left) & ~rows["_is_open"].to_numpy(bool)
    is_piece = np.column_stack([left > entered, is_closed]).ravel()
    start, stop = (
        (np.column_stack(both).ravel()[is_piece] / engine.MICROSECONDS)
        for both in ([entered - begin, left - begin], [left - begin, after - begin])
    )
    of = np.column_stack([stage, np.full_like(stage, closed)]).ravel()[is_piece]
    row = np.repeat(np.arange(len(rows), dtype=np.int32), 2)[is_piece]
    goes_on = np.append(unit[row][1:] == unit[row][:-1], [False])[: len(row)]
    to = np.where(goes_on, np.append(of[1:], np.int32(STAYS))[: len(row)], np.int32(STAYS))
    return _Pieces(start, stop, of, to, row)
