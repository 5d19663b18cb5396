"""At which hour of the week servers work, by their own clocks: the load by hour, and what starts out of hours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine, stats
from telemetry_kit.analyses.stages import INCIDENT, find_changes, open_events
from telemetry_kit.analyses.summaries import N_CLUSTERS, summarise_at_once, tabulate, warned
from telemetry_kit.engine.ordering import CLUSTER, SERVER, number_servers
from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT
    from numpy.typing import NDArray

    from telemetry_kit.engine.grouping import Groups

OFFSET = "utc_offset_s"
LOCAL = ("local_weekday", "local_hour")
_DAY_HOURS, _WEEK_DAYS = 24, 7
_HOUR_US = 3600 * engine.MICROSECONDS
_BY_HOUR = {"weekday": "Int64", "hour": "Int64", "n_events": "Int64", "n_servers": "Int64"}
_STARTS = {
    **dict.fromkeys(("n_started", "n_out_of_hours", "n_unknown", "n_servers"), "Int64"),
    **dict.fromkeys(("estimate", "df", "lower", "upper"), "float64"),
    N_CLUSTERS: "Int64",
}


def add_local_time(events: IntoFrameT) -> IntoFrameT:
    """Add the day of the week and the hour at which each event happened by the clock of its server.

    The offset of that clock stands in the time as the plugin wrote it. Warehouses, tables and the published form have
    times in a zone of their own: there nobody knows, and both are null. Where a tool has rewritten times in the JSON
    itself, the hours are those of the zone that it chose.

    Parameters
    ----------
    events
        A frame of events of any kind, as in ``EventLog.incident``, ``tasks`` or ``playbook``.

    Returns
    -------
    frame
        Of the same kind as ``events``, lazy where it is lazy: its columns and rows, and

        local_weekday : Int64
            1 (Monday) to 7 (Sunday); null where the offset is not known.
        local_hour : Int64
            0 to 23; null where the offset is not known.

    Raises
    ------
    ParameterError
        Where ``events`` is no frame of events, or has one of the two columns.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> tasks = tk.add_local_time(log.tasks)
    >>> tasks[["event_timestamp", "utc_offset_s", "local_weekday", "local_hour"]].head(2)
                    event_timestamp  utc_offset_s  local_weekday  local_hour
    0 2020-11-02 03:10:09.639+00:00             0              1           3
    1 2020-11-02 03:51:13.651+00:00             0              1           3
    >>> completion = tk.task_completion(tasks, by="local_weekday")
    """
    present: list[str] = engine.check_frame(events, parameter="events").columns
    for name in LOCAL:
        if name in present:
            raise ParameterError("events", f"a frame with the column {name!r}", "one without it: it is added")
    frame = engine.open_frame(events, ["event_timestamp", OFFSET], parameter="events")
    return engine.give_back(_local(frame).select(*present, *LOCAL), like=events)


def _local(events: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Add ``local_weekday`` and ``local_hour``; in steps, because SQL repeats what an expression repeats."""
    rows = engine.add_epoch_us(events, _local_us="event_timestamp")
    # Narwhals writes // for SQL with its operand five times over; floats tell hours since 1970 exactly.
    hours = (nw.col("_local_us").cast(nw.Float64) + nw.col(OFFSET).cast(nw.Float64) * engine.MICROSECONDS) / _HOUR_US
    rows = rows.with_columns(_hours=hours.floor())
    rows = rows.with_columns(_days=((nw.col("_hours") + 0.5) / _DAY_HOURS).floor())
    # The first day of 1970 was a Thursday.
    rows = rows.with_columns(_weeks=((nw.col("_days") + 3.5) / _WEEK_DAYS).floor())
    weekday = nw.col("_days") + 4 - nw.col("_weeks") * _WEEK_DAYS
    return rows.with_columns(
        local_weekday=weekday.cast(nw.Int64),
        local_hour=(nw.col("_hours") - nw.col("_days") * _DAY_HOURS).cast(nw.Int64),
    )


def load_by_hour(events: IntoFrame, *, by: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Return how many events happened in each hour of the week, by the clocks of their servers.

    Parameters
    ----------
    events
        A frame of events of any kind, as in ``EventLog.tasks``. Events whose offset is not known are left out.
    by
        A column of ``events``, or several: each of their values is counted by itself, a null as well.

    Returns
    -------
    pandas.DataFrame
        168 rows for each group, in the order of the groups and of the week:

        by columns
            The group.
        weekday, hour : Int64
            1 (Monday) to 7 (Sunday), and 0 to 23.
        n_events, n_servers : Int64
            Events in that hour of all weeks, and the servers that sent any.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> hours = tk.load_by_hour(log.tasks)
    >>> hours.groupby(hours["weekday"] > 5)["n_events"].sum()
    weekday
    False    5030
    True      781
    Name: n_events, dtype: Int64
    """
    needed = ["server_id", "event_timestamp", OFFSET]
    frame = engine.open_frame(events, needed, parameter="events", named=engine.names_of(by))
    groups = engine.group_columns(by, frame, reserved=(*_BY_HOUR, *LOCAL))
    known = _local(frame.filter(~nw.col(OFFSET).is_null()))
    keys = list(dict.fromkeys([*groups, *LOCAL, "server_id"]))
    counted = engine.collect(known.group_by(*keys).agg(_n=nw.len()))
    weekdays, hours = (each.ravel() for each in np.mgrid[1 : _WEEK_DAYS + 1, 0:_DAY_HOURS])

    def columns(part: pd.DataFrame) -> Mapping[str, NDArray[np.int64]]:
        weekday, hour, n = (part[name].to_numpy(np.int64) for name in (*LOCAL, "_n"))
        at = (weekday - 1) * _DAY_HOURS + hour
        return {
            "weekday": weekdays,
            "hour": hours,
            "n_events": np.bincount(at, n, minlength=hours.size).astype(np.int64),
            "n_servers": np.bincount(at, minlength=hours.size),
        }

    return tabulate(counted, groups, columns, _BY_HOUR)


def out_of_hours(
    incidents: IntoFrame,
    *,
    cutoff: str | dt.datetime | pd.Timestamp,
    work_hours: tuple[int, int] = (9, 17),
    workdays: Sequence[int] = (1, 2, 3, 4, 5),
    by: str | Sequence[str] | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    """Return the share of incidents that start outside of working hours, by the clock of their server.

    Parameters
    ----------
    incidents
        A frame of incident events of any kind, as in ``EventLog.incident``.
    cutoff
        When the observation ended; without a zone it is in UTC. Later events are left out.
    work_hours
        From which hour of a working day on, and up to but without which, there is somebody: whole hours, 0 to 24.
    workdays
        The working days, 1 (Monday) to 7 (Sunday).
    by
        A column of ``incidents``, or several: each of their values is counted by itself, a null as well. An incident
        belongs to the group of the first value that is known of it.
    cluster
        The column whose values act independently of one another; within one server, ``"incident_id"``.
    level
        Confidence level of the interval.

    Returns
    -------
    pandas.DataFrame
        One row per group:

        by columns
            The group.
        n_started, n_out_of_hours : Int64
            Incidents whose create was recorded with the offset of the clock, and those of them that started outside of
            working hours.
        n_unknown : Int64
            Incidents whose create was recorded without an offset; they are in no other number.
        n_servers : Int64
            Servers of ``n_started``.
        estimate, df, lower, upper : float64
            ``n_out_of_hours / n_started``, in [0, 1], its degrees of freedom and its interval; the last three are null
            with fewer than two clusters.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    See Also
    --------
    add_local_time : for what an offset says, and what it does not.

    Notes
    -----
    The interval is that of ``stage_funnel``: Korn and Graubard (1998, Survey Methodology 24:193-201).

    A week of five days of eight hours leaves 76 % of its time outside: to be compared with that, and not with one half.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> table = tk.out_of_hours(log.incident, cutoff=log.cutoff, work_hours=(8, 18))
    >>> table[["n_started", "n_out_of_hours", "n_unknown", "n_servers"]]
       n_started  n_out_of_hours  n_unknown  n_servers
    0        377             133          0         38
    """
    stats.check_open_unit("level", level)
    begin, end = _check_hours(work_hours)
    days = _check_days(workdays)
    until = engine.moment(cutoff, parameter="cutoff", of=incidents)
    names = engine.names_of(by)
    events = open_events(incidents, [OFFSET], observed_until=None, named=[*names, cluster])
    groups = engine.group_columns(by, events, reserved=(*_STARTS, *LOCAL))
    engine.check_cluster(cluster, events)
    own = [name for name in dict.fromkeys([*groups, cluster]) if name not in INCIDENT]
    changes = find_changes(
        events,
        nw.lit(1),
        until,
        order_by=engine.in_time(incidents, "_us", "_order"),
        also=[OFFSET],
        attributes=own or ["team_id"],
    )
    started = changes.filter(nw.col("_is_first"), nw.col("_created_us") == nw.col("_us"))
    local = _local(started)
    is_work = nw.col("local_weekday").is_in(days) & (nw.col("local_hour") >= begin) & (nw.col("local_hour") < end)
    told = local.with_columns(
        _n_known=nw.when(nw.col(OFFSET).is_null()).then(0).otherwise(1),
        _n_out=nw.when(nw.col(OFFSET).is_null() | is_work).then(0).otherwise(1),
        _n=nw.lit(1),
    )
    keys = list(dict.fromkeys([*groups, "server_id", cluster]))
    counted = engine.collect(told.group_by(*keys).agg(nw.col("_n", "_n_known", "_n_out").sum()))
    counted = number_servers(counted, groups, cluster=cluster)

    def columns(totals: pd.DataFrame, of: Groups) -> dict[str, Any]:
        n, n_known, n_out = (totals[name].to_numpy(np.int64) for name in ("_n", "_n_known", "_n_out"))
        clusters, of_clusters = stats.number_clusters(totals[CLUSTER].to_numpy(), of)
        n_entries = of_clusters.of.size
        sizes = stats.count_clusters(np.bincount(clusters, n_known, minlength=n_entries), of_clusters)
        shares = stats.estimate_shares(np.bincount(clusters, n_out, minlength=n_entries), sizes)
        limits = stats.share_limits(shares, level=level)
        servers, of_servers = stats.number_clusters(totals[SERVER].to_numpy(), of)
        per_server = np.bincount(servers, n_known, minlength=of_servers.of.size)
        return {
            "n_started": of.add_up(n_known),
            "n_out_of_hours": of.add_up(n_out),
            "n_unknown": of.add_up(n - n_known),
            "n_servers": of_servers.add_up(per_server > 0),
            "estimate": shares.estimate,
            "df": shares.df,
            "lower": limits.lower,
            "upper": limits.upper,
            N_CLUSTERS: sizes.n_clusters,
        }

    return warned(summarise_at_once(counted, groups, columns, _STARTS, level=level), cluster)


def _check_hours(work_hours: Sequence[object]) -> tuple[int, int]:
    expected = f"two whole hours from 0 to {_DAY_HOURS}, the first below the second, such as (9, 17)"
    match _listed(work_hours):
        case [int(begin), int(end)] if 0 <= begin < end <= _DAY_HOURS:
            return begin, end
    raise ParameterError("work_hours", work_hours, expected)


def _check_days(workdays: Sequence[object]) -> list[int]:
    given = _listed(workdays)
    days = [day for day in given if isinstance(day, int) and 1 <= day <= _WEEK_DAYS]
    if not days or len(days) < len(given):
        raise ParameterError("workdays", workdays, "days of the week from 1 (Monday) to 7 (Sunday)")
    return days


def _listed(given: Sequence[object]) -> list[object]:
    """Return what a caller gave as a list, which is empty where it is no collection."""
    return list(given) if hasattr(given, "__iter__") else []
