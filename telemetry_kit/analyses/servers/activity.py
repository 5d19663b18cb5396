"""How active servers are: events and distinct users by day, week and month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine, schemas
from telemetry_kit.analyses.servers.logs import open_log
from telemetry_kit.engine.ordering import sort_rows
from telemetry_kit.engine.periods import add_period_number, check_freq, dates, first_days, last_days, periods_of

if TYPE_CHECKING:
    from telemetry_kit.analyses.servers.logs import Log
    from telemetry_kit.engine.periods import Freq, Numbers

COUNTS = tuple(f"n_{event_type}" for event_type in schemas.EVENT_TYPES)
WINDOWS = (1, 7, 30)


class Calendar(NamedTuple):
    """Every day of every server, server after server, with what happened on it; and the last day of the log."""

    server_id: pd.Series
    day: Numbers
    counts: dict[str, Numbers]
    last_day: int


def _calendar(log: Log, freq: Freq) -> Calendar:
    """Count events and distinct users for every day of a server from its first event on.

    Parameters
    ----------
    log
        An ``EventLog``, or a mapping with its three frames.
    freq
        The period to whose end the days of a server go on after its last event, though not beyond the last day of the
        log.

    Returns
    -------
    Calendar
        The servers in natural order, their days since 1970, and for each day ``n_incident``, ``n_tasks``,
        ``n_playbook``, ``n_users`` (users on their first day of the period) and ``active_<w>`` (distinct users over
        the ``w`` days that end with it).

    Notes
    -----
    A user who is seen on a day counts on that day and the ``w - 1`` after it, and counts once where such stretches
    overlap. So the number of users goes up on a day that the stretch of the user's last day does not reach, and down
    ``w`` days after a day whose own stretch ends before the user's next day. The engine adds up those steps for each
    day of a server; their running sum is the number of distinct users. No day is held against more than its two
    neighbours.
    """
    events = open_log(log, ["server_id", "user_actual_id"]).with_columns(_day=nw.col("_us") // engine.DAY_US)
    daily = pd.concat([_add_up(piece, freq) for piece in engine.pieces(events, "server_id")], ignore_index=True)
    cutoff = getattr(log, "cutoff", None)
    return _fill_days(daily, freq, None if pd.isna(cutoff) else engine.epoch_us(cutoff))


def _add_up(events: nw.LazyFrame[Any], freq: Freq) -> pd.DataFrame:
    """Count the events of each day of a server, and the users whose stretches begin and end there."""
    kinds = {f"n_{kind}": nw.when(nw.col("event_type") == kind).then(1).otherwise(0) for kind in schemas.EVENT_TYPES}
    user, day = ("server_id", "user_actual_id"), nw.col("_day")
    user_days = events.with_columns(**kinds).group_by(*user, "_day").agg(nw.col(*COUNTS).sum())
    user_days = add_period_number(user_days, freq).with_columns(
        _before=day.shift(1).over(*user, order_by="_day"),
        _after=day.shift(-1).over(*user, order_by="_day"),
        _period_before=nw.col("_period").shift(1).over(*user, order_by="_day"),
    )
    before, after = nw.col("_before"), nw.col("_after")
    steps = {"n_users": (nw.col("_period_before") < nw.col("_period")).fill_null(value=True)}
    for window in WINDOWS:
        steps[f"_begins_{window}"] = (day - before >= window).fill_null(value=True)
        steps[f"_ends_{window}"] = (after - day >= window).fill_null(value=True)
    daily = (
        user_days.with_columns(**{name: nw.when(step).then(1).otherwise(0) for name, step in steps.items()})
        .group_by("server_id", "_day")
        .agg(nw.col(*COUNTS, *steps).sum())
    )
    return engine.collect(daily)


def _fill_days(daily: pd.DataFrame, freq: Freq, cutoff: int | None) -> Calendar:
    days = daily["_day"].to_numpy(np.int64)
    final = max(int(days.max(initial=0)), (cutoff or 0) // engine.DAY_US)
    spans = daily.assign(day=days).groupby("server_id")["day"].agg(["min", "max"]).reset_index()
    spans = sort_rows(spans, ["server_id"])
    first = spans["min"].to_numpy(np.int64)
    last = np.minimum(last_days(periods_of(spans["max"].to_numpy(np.int64), freq), freq), final)
    lengths = last - first + 1
    ends = lengths.cumsum()
    begins = ends - lengths
    server = pd.Index(spans["server_id"]).get_indexer(daily["server_id"])
    place = begins[server] + days - first[server]

    def spread(column: str) -> Numbers:
        filled = np.zeros(lengths.sum(), np.int64)
        filled[place] = daily[column].to_numpy(np.int64)
        return filled

    counts = {name: spread(name) for name in (*COUNTS, "n_users")}
    for window in WINDOWS:
        change = spread(f"_begins_{window}")
        is_inside = place + window < ends[server]
        change[place[is_inside] + window] -= daily[f"_ends_{window}"].to_numpy(np.int64)[is_inside]
        running = change.cumsum()
        counts[f"active_{window}"] = running - np.repeat((running - change)[begins], lengths)
    day = np.arange(lengths.sum()) - np.repeat(begins - first, lengths)
    return Calendar(spans["server_id"].repeat(lengths).reset_index(drop=True), day, counts, final)


def server_activity(log: Log, *, freq: Freq = "D") -> pd.DataFrame:
    """Return the events and distinct users of every server, day by day.

    A server has a row for every day from its first event to its last: days without events are days with zero, so that
    means over days are right, while days before and after are no zeros, because nothing is known of them.

    Parameters
    ----------
    log
        An ``EventLog``, or a mapping with a frame of any kind for each of ``incident``, ``tasks`` and ``playbook``.
    freq
        ``"D"`` for days; ``"W"`` for weeks from Monday to Sunday or ``"M"`` for months, where events are added up and
        users counted as of that date.

    Returns
    -------
    pandas.DataFrame
        One row per server and period, in the order of servers and then of time:

        server_id : str
            The server.
        date : datetime64[us, UTC]
            The day; the last day of a week or a month, of the last one the last day of the log.
        n_incident, n_tasks, n_playbook : Int64
            Events of each type.
        dau, wau, mau : Int64
            Distinct ``user_actual_id`` over ``date``, over the 7 days and over the 30 days that end with it.
        n_users : Int64
            Distinct ``user_actual_id`` over the period itself; ``dau`` for days.
        n_days_active : Int64
            Days of the period with an event.
        is_complete : boolean
            Whether the log covers the period in full: not before its first day, and ended before the day of the
            cutoff. The last day, week or month of a log is usually cut short.

    Raises
    ------
    ParameterError
        Where ``log`` or ``freq`` is not one of the above.

    Notes
    -----
    A day is a day in UTC, a user one on one server: the same person on two servers is two users, and nothing in the
    events could tell.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> events = pd.DataFrame({
    ...     "server_id": "s",
    ...     "user_actual_id": ["ann", "bob", "ann"],
    ...     "event_timestamp": pd.to_datetime(["2020-11-02 09:00", "2020-11-02 10:00", "2020-11-04 09:00"], utc=True),
    ... })
    >>> activity = tk.server_activity({"incident": events, "tasks": events[:0], "playbook": events[:0]})
    >>> activity[["n_incident", "dau", "wau", "mau"]]
       n_incident  dau  wau  mau
    0           2    2    2    2
    1           0    0    2    2
    2           1    1    2    2
    """
    check_freq(freq)
    calendar = _calendar(log, freq)
    period = periods_of(calendar.day, freq)
    frame = pd.DataFrame({"server_id": calendar.server_id, "_period": period, **calendar.counts})
    frame["n_days_active"] = (frame["active_1"] > 0).astype(np.int64)
    added, latest = [*COUNTS, "n_users", "n_days_active"], [f"active_{window}" for window in WINDOWS]
    how = dict.fromkeys(added, "sum") | dict.fromkeys(latest, "last")
    # Days are the periods themselves.
    table = frame if freq == "D" else frame.groupby(["server_id", "_period"], sort=False, as_index=False).agg(how)
    begins = first_days(table["_period"].to_numpy(np.int64), freq)
    ends = last_days(table["_period"].to_numpy(np.int64), freq)
    is_complete = (begins >= calendar.day.min(initial=calendar.last_day)) & (ends < calendar.last_day)
    distinct = zip(("dau", "wau", "mau"), latest, strict=True)
    return pd.DataFrame(
        {
            "server_id": table["server_id"],
            "date": dates(np.minimum(ends, calendar.last_day)),
            **{name: table[name].astype("Int64") for name in COUNTS},
            **{name: table[column].astype("Int64") for name, column in distinct},
            "n_users": table["n_users"].astype("Int64"),
            "n_days_active": table["n_days_active"].astype("Int64"),
            "is_complete": pd.array(is_complete, dtype="boolean"),
        }
    )
