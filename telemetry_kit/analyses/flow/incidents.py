"""How many incidents started, ended and were open in each period: what comes in, what goes out, what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine
from telemetry_kit.analyses.stages import ATTRIBUTES, INCIDENT, NONE, OPEN, find_changes, is_open, open_events
from telemetry_kit.analyses.summaries import tabulate
from telemetry_kit.engine.periods import add_period_number, check_freq, dates, first_days, periods_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

    from telemetry_kit.engine.periods import Freq

_COUNTS = ("n_started", "n_ended", "n_reopened", "n_appeared")
_FLOW = {
    "period": "datetime64[us, UTC]",
    **dict.fromkeys((*_COUNTS, "n_open_at_end", "n_open_max", "n_unknown"), "Int64"),
    "is_complete": "boolean",
}


def incident_flow(
    incidents: IntoFrame,
    *,
    cutoff: str | dt.datetime | pd.Timestamp,
    freq: Freq = "W",
    by: str | Sequence[str] | None = None,
    observed_until: IntoFrame | None = None,
) -> pd.DataFrame:
    """Return how many incidents started, ended and were open, period by period.

    An incident is open as its latest event says: ``is_active``, or a status of Reported or Active. Incidents of all
    versions count, with stages or without. Those that had begun before the recording are counted from their first
    recorded event on, because nobody knows of them before: the first periods of a recording undercount what was open.

    Parameters
    ----------
    incidents
        A frame of incident events of any kind, as in ``EventLog.incident``; ties in time as for ``stage_visits``.
    cutoff
        When the observation ended; without a zone it is in UTC. Later events are left out.
    freq
        ``"D"``, ``"W"`` (from Monday), ``"M"`` or ``"Q"``, in UTC.
    by
        A column of ``incidents``, or several: each of their values is counted by itself, a null as well. An incident
        belongs to the group of the first value that is known of it.
    observed_until
        As ``observed_until`` returns it: up to when each server was observed. What was open on a server when it fell
        silent is no longer counted as open from then on, but as unknown.

    Returns
    -------
    pandas.DataFrame
        One row per group and period, in the order of the groups and of time; every period from the first event of all
        incidents to the cutoff has a row, also where nothing happened in it:

        by columns
            The group.
        period : datetime64[us, UTC]
            The day with which the period begins.
        n_started : Int64
            Incidents whose create was recorded in the period.
        n_ended, n_reopened : Int64
            How often an open incident was ended, and a closed one opened again.
        n_appeared : Int64
            Open incidents that were first seen in the period, though they had begun before: by another event than
            their create.
        n_open_at_end, n_open_max : Int64
            Incidents that were open when the period, or the recording, ended; and most at once in the period.
        n_unknown : Int64
            Incidents that are not known to be open or closed at the end of the period: their server fell silent while
            they were open. Zero without ``observed_until``.
        is_complete : boolean
            Whether the whole period lies between the first event and the cutoff. The counts of one that does not are
            not comparable with the others.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take, or the events tell nothing of being open.

    Notes
    -----
    What is open at the end of a period is what was open before, and started, appeared and was reopened since, less what
    ended and became unknown, as long as every create is the first event of its incident.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> flow = tk.incident_flow(log.incident, cutoff=log.cutoff, freq="M")
    >>> flow[["period", "n_started", "n_ended", "n_reopened", "n_open_at_end"]]
                         period  n_started  n_ended  n_reopened  n_open_at_end
    0 2020-11-01 00:00:00+00:00        222      232          39             31
    1 2020-12-01 00:00:00+00:00        155      159          26             53
    """
    until = engine.moment(cutoff, parameter="cutoff", of=incidents)
    until_us = engine.epoch_us(until)
    check_freq(freq)
    names = engine.names_of(by)
    events = open_events(incidents, [], observed_until=observed_until, named=names)
    groups = engine.group_columns(by, events, reserved=_FLOW)
    own = [name for name in groups if name not in INCIDENT]
    changes = find_changes(
        events.filter(~is_open(events).is_null()),
        nw.when(is_open(events)).then(OPEN),
        until,
        order_by=engine.in_time(incidents, "_us", "_order"),
        attributes=list(dict.fromkeys([*ATTRIBUTES, *own])),
    )
    moments = _moments(changes, until_us, groups, is_by_server=observed_until is not None)
    totals = engine.collect(_by_period(moments, groups, freq))
    first_us = int(totals["_first_us"].min()) if len(totals) else 0
    # From the first event to the cutoff, alike for all groups.
    ends = periods_of(np.array([first_us // engine.DAY_US, until_us // engine.DAY_US]), freq)
    periods = np.arange(ends[0], ends[1] + 1)
    begins, after = (first_days(number, freq) * engine.DAY_US for number in (periods, periods + 1))
    is_complete = (begins >= first_us) & (after - 1 <= until_us)

    def columns(part: pd.DataFrame) -> Mapping[str, Any]:
        return _flow(part, periods) | {"period": dates(first_days(periods, freq)), "is_complete": is_complete}

    return tabulate(totals, groups, columns, _FLOW)


def _moments(
    changes: nw.LazyFrame[Any], until_us: int, groups: Sequence[str], *, is_by_server: bool
) -> nw.LazyFrame[Any]:
    """Return what happened and when: ``_us``, the change in the number of open incidents, and what is counted."""
    is_first, opened = nw.col("_is_first"), nw.col("_state") == OPEN
    starts_here = is_first & (nw.col("_created_us") == nw.col("_us"))

    def flag(condition: nw.Expr) -> nw.Expr:
        return nw.when(condition).then(1).otherwise(0)

    happened = changes.select(
        *groups,
        "_us",
        _net=nw.when(opened).then(1).when(is_first).then(0).otherwise(-1),
        n_started=flag(starts_here),
        n_ended=flag(~opened & ~is_first),
        n_reopened=flag(opened & ~is_first),
        n_appeared=flag(opened & is_first & ~starts_here.fill_null(value=False)),
        _n_unknown=nw.lit(0),
    )
    nothing = {name: nw.lit(0) for name in _COUNTS}
    # A create that is not the first event of its incident counts when it came, and changes nothing.
    late = changes.filter(is_first & (nw.col("_created_us") > nw.col("_us"))).select(
        *groups, _us=nw.col("_created_us"), _net=nw.lit(0), **(nothing | {"n_started": nw.lit(1)}), _n_unknown=nw.lit(0)
    )
    if not is_by_server:
        return nw.concat([happened, late])
    is_lost = opened & nw.col("_next_state").is_null() & (nw.col("_until_us") < until_us)
    lost = changes.filter(is_lost).select(
        *groups, _us=nw.col("_until_us"), _net=nw.lit(-1), **nothing, _n_unknown=nw.lit(1)
    )
    return nw.concat([happened, late, lost])


def _by_period(moments: nw.LazyFrame[Any], groups: Sequence[str], freq: Freq) -> nw.LazyFrame[Any]:
    """Return the sums of each group and period, its first moment, and how many were open at most in it."""
    sums = nw.col("_net", *_COUNTS, "_n_unknown").sum()
    at_once = moments.group_by(*groups, "_us").agg(sums).with_columns(nw.col("_net").cast(nw.Int64), _all=nw.lit(0))
    running = at_once.with_columns(
        _n_open=nw.col("_net").cum_sum().over("_all", *groups, order_by="_us"),
        _day=(nw.col("_us") // engine.DAY_US).cast(nw.Int64),
    )
    return (
        add_period_number(running, freq)
        .group_by(*groups, "_period")
        .agg(sums, _first_us=nw.col("_us").min(), _n_open=nw.col("_n_open").max())
    )


def _flow(totals: pd.DataFrame, periods: np.ndarray[Any, np.dtype[np.int64]]) -> dict[str, Any]:
    """Make the columns of one group out of its sums: a period without any has none, and as many open as before."""
    at = totals["_period"].to_numpy(np.int64) - periods[0]

    def spread(name: str, nothing: int = 0) -> np.ndarray[Any, np.dtype[np.int64]]:
        values = np.full(len(periods), nothing, np.int64)
        values[at] = totals[name].to_numpy(np.int64)
        return values

    n_open = np.cumsum(spread("_net"))
    before = np.append(0, n_open[:-1])
    columns: dict[str, Any] = {name: spread(name) for name in _COUNTS}
    return columns | {
        "n_open_at_end": n_open,
        "n_open_max": np.maximum(before, spread("_n_open", NONE)),
        "n_unknown": np.cumsum(spread("_n_unknown")),
    }
