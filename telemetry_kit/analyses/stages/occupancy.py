"""Where incidents are as time goes by since their start: in which stage or status, or closed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine, stats
from telemetry_kit.analyses.stages.changes import INCIDENT
from telemetry_kit.analyses.stages.given import open_visits
from telemetry_kit.analyses.stages.statuses import are_of_statuses
from telemetry_kit.analyses.summaries import N_CLUSTERS, tabulate, warned
from telemetry_kit.engine.ordering import CLUSTER, SERVER, number_values
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
    until_us = engine.epoch_us(engine.moment(cutoff, parameter="cutoff", of=visits))
    times = read_times(at)
    frame = open_visits(visits, _NEEDED, named=[*engine.names_of(by), cluster, "cutoff"], are_whole=True)
    groups = engine.group_columns(by, frame, reserved=_OCCUPANCY)
    engine.check_cluster(cluster, frame)
    pieces, stages = _collect(frame, groups, cluster, until_us)
    if None in stages:
        raise ParameterError("visits", "a visit whose stage is null", "the stage of each, as stage_visits tells it")
    of_statuses = are_of_statuses(visits)
    names = {stages.index(stage) + 1: STATUSES[stage] if of_statuses else str(stage) for stage in sorted(stages)}

    def columns(part: pd.DataFrame) -> dict[str, Any]:
        return _occupancy(part, names, times, level)

    return warned(tabulate(pieces, groups, columns, _OCCUPANCY, level=level), cluster)


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


def _collect(
    frame: nw.LazyFrame[Any], groups: Sequence[str], cluster: str, until_us: int
) -> tuple[pd.DataFrame, list[Any]]:
    """Collect the pieces of the lives of incidents that are known from their start, and the stages by their numbers.

    Visits come incident by incident, part by part, and leave numbers: of visits there can be so many that their ids
    would take most of the memory.
    """
    known = nw.col("from_start") & ~nw.col("is_left_truncated")
    times = {"_entered_us": "entered_at", "_left_us": "left_at"}
    if "cutoff" in frame.columns:
        times["_end_us"] = "cutoff"
    visits = engine.add_epoch_us(frame.filter(known.fill_null(value=False)), **times)
    unit = list(dict.fromkeys([*INCIDENT, *groups]))
    plain = dict.fromkeys([*unit, cluster, "visit", "stage"])
    wanted = visits.select(*plain, *times, _is_open=(nw.col("exit") == "open").fill_null(value=False))
    numbers: dict[str, dict[Any, int]] = {"server_id": {}, cluster: {}, "stage": {}}
    made: list[pd.DataFrame] = []
    last_us = n_units = 0
    rest = pd.DataFrame()
    for part in engine.parts(wanted.sort(*dict.fromkeys([*unit, "visit"])).to_native(), engine.MANY_ROWS):
        last_us = max(last_us, int(part["_left_us"].fillna(0).max()) if len(part) else 0)
        part["_end_us"] = part["_end_us"].clip(upper=until_us) if "_end_us" in part else until_us
        rows = pd.concat([rest, part], ignore_index=True) if len(rest) else part
        of = _units(rows, unit)
        # The last incident may go on in the next part.
        n_whole = int(np.searchsorted(of, of.max(initial=0)))
        made.append(_pieces(rows[:n_whole], of[:n_whole] + n_units, groups, cluster, numbers))
        rest, n_units = rows[n_whole:], n_units + int(of.max(initial=0))
    made.append(_pieces(rest, np.full(len(rest), n_units), groups, cluster, numbers))
    if last_us > until_us:
        given, last = (str(pd.Timestamp(us, unit="us", tz="UTC")) for us in (until_us, last_us))
        raise ParameterError("cutoff", given, f"{last} or later, when a visit was left")
    return pd.concat(made, ignore_index=True), list(numbers["stage"])


def _units(rows: pd.DataFrame, unit: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the number of each row's unit, from 0; the rows of a unit stand together."""
    begins = np.zeros(len(rows), np.bool_)
    for column in unit:
        codes, _ = rows[column].factorize(use_na_sentinel=False)
        begins |= np.diff(codes, prepend=-1) != 0
    return np.cumsum(begins) - 1


def _pieces(
    rows: pd.DataFrame,
    unit: npt.NDArray[np.int64],
    groups: Sequence[str],
    cluster: str,
    numbers: dict[str, dict[Any, int]],
) -> pd.DataFrame:
    """Return each visit, and the time in which its incident is closed after it: pieces, unless they have no length.

    What an incident is seen last in is a piece of any length: at the very end of what was observed, it still moved.

    Columns
    -------
    groups
        As in ``rows``.
    _stop, _state, _to, _is_first
        As ``stats.multistate.occupancy`` has them, in seconds; state 0 is that of being closed, any other the number of
        a stage and 1.
    _is_piece
        False for a visit of no length, which is here for its stage.
    _unit, SERVER, CLUSTER
        Numbers of the incident, its server and its cluster.
    """
    begins = np.flatnonzero(np.diff(unit, prepend=-1))
    # Where the first visit is missing, nobody knows when the incident started.
    is_whole = rows["visit"].to_numpy(np.int64)[begins] == 0
    kept = np.repeat(is_whole, np.diff(begins, append=len(rows)))
    rows, unit = rows[kept], unit[kept]
    entered, left, end = (rows[name].to_numpy(np.int64) for name in ("_entered_us", "_left_us", "_end_us"))
    first = np.flatnonzero(np.diff(unit, prepend=-1))
    n_visits = np.diff(first, append=len(rows))
    after = np.append(entered[1:], 0)[: len(rows)]
    last = first + n_visits - 1
    after[last] = end[last]
    is_last = np.zeros(len(rows), np.bool_)
    is_last[last] = True
    is_open = rows["_is_open"].to_numpy(bool)
    is_closed = ((after > left) | is_last) & ~is_open
    is_row = np.column_stack([np.full_like(is_closed, fill_value=True), is_closed]).ravel()
    row = np.repeat(np.arange(len(rows)), 2)[is_row]
    since = np.column_stack([left, after]).ravel()[is_row] - np.repeat(entered[first], n_visits)[row]
    is_piece = np.column_stack([(left > entered) | (is_last & is_open), is_closed]).ravel()[is_row] & (since > 0)
    stage = number_values(rows["stage"], numbers["stage"])
    state = np.column_stack([stage + 1, np.zeros_like(stage)]).ravel()[is_row]
    piece = np.flatnonzero(is_piece)
    goes_on = np.diff(unit[row[piece]]) == 0
    to, is_first = np.full(row.size, STAYS), is_piece.copy()
    to[piece[:-1][goes_on]] = state[piece[1:][goes_on]]
    is_first[piece[1:][goes_on]] = False
    ids = {SERVER: "server_id", CLUSTER: cluster}
    made = {
        "_stop": since / engine.MICROSECONDS,
        "_state": state.astype(np.int32),
        "_to": to.astype(np.int32),
        "_is_first": is_first,
        "_is_piece": is_piece,
        "_unit": unit[row].astype(np.int32),
        **{name: number_values(rows[column], numbers[column])[row] for name, column in ids.items()},
    }
    pieces: pd.DataFrame = rows[list(groups)].iloc[row].assign(**made)
    return pieces


def _occupancy(
    rows: pd.DataFrame, names: dict[int, str], times: np.ndarray[Any, Any] | None, level: float
) -> dict[str, Any]:
    """Return the columns of a group; ``names`` are those of the states but that of being closed, in their order."""
    occurring = set(np.unique(rows["_state"].to_numpy()).tolist())
    states = [state for state in names if state in occurring]
    place = np.full(max(names, default=0) + 1, len(states), np.int32)
    place[states] = np.arange(len(states))
    of_pieces = rows["_is_piece"].to_numpy()
    stop, state, to, is_first, unit, server, cluster = (
        rows[name].to_numpy()[of_pieces] for name in ("_stop", "_state", "_to", "_is_first", "_unit", SERVER, CLUSTER)
    )
    to = np.where(to == STAYS, to, place[to])
    curve = occupancy(stop, place[state], to, cluster, is_first=is_first, n_states=len(states) + 1, times=times)
    lower, upper = stats.share_limits(curve.shares, level=level)
    n_times = len(curve.time)
    n_incidents, n_servers, n_clusters = (np.unique(numbers).size for numbers in (unit, server, cluster))
    size = n_times * (len(states) + 1)
    return {
        "time_s": np.repeat(curve.time, len(states) + 1),
        "state": np.tile(np.array([*(names[state] for state in states), CLOSED], object), n_times),
        "n_incidents": np.full(size, n_incidents),
        "n_servers": np.full(size, n_servers),
        "n_at_risk": np.repeat(curve.n_at_risk, len(states) + 1),
        "estimate": curve.shares.estimate,
        "df": curve.shares.df,
        "lower": lower,
        "upper": upper,
        N_CLUSTERS: np.full(size, n_clusters),
    }
