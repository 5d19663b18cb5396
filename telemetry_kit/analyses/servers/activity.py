"""How active servers are: events and distinct users by day, week and month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine, schemas
from telemetry_kit.analyses.servers.logs import open_log
from telemetry_kit.engine.ordering import group_rows, number_values, sort_rows
from telemetry_kit.engine.periods import add_period_number, check_freq, dates, first_days, last_days, periods_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from telemetry_kit.analyses.servers.logs import Log
    from telemetry_kit.engine.periods import Freq

COUNTS = tuple(f"n_{event_type}" for event_type in schemas.EVENT_TYPES)
WINDOWS = (1, 7, 30)


class _Days(NamedTuple):
    """The day of the first event of a log, and that of its last or of the cutoff, whichever is later; since 1970."""

    first: int
    last: int


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


def _fill_days(daily: pd.DataFrame, of: NDArray[np.intp], freq: Freq, final: int) -> dict[str, NDArray[np.int32]]:
    """Count events and distinct users for every day of each server from its first event on.

    The days of a server go on to the end of the period of its last event, though not beyond the ``final`` day.

    Parameters
    ----------
    daily
        What ``_add_up`` counts.
    of
        The servers of its rows, numbered from 0 without a gap.
    freq
        The period.
    final
        The last day of the log.

    Returns
    -------
    dict
        Server after server, and day after day: ``server`` and ``day``, and for each day ``n_incident``, ``n_tasks``,
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
    days, n_servers = daily["_day"].to_numpy(np.int64), int(of.max(initial=-1)) + 1
    first, latest = np.full(n_servers, final), np.zeros(n_servers, np.int64)
    np.minimum.at(first, of, days)
    np.maximum.at(latest, of, days)
    last = np.minimum(last_days(periods_of(latest, freq), freq), final)
    lengths = last - first + 1
    ends = lengths.cumsum()
    begins = ends - lengths
    place = (begins - first)[of] + days

    def spread(column: str) -> NDArray[np.int32]:
        filled = np.zeros(lengths.sum(), np.int32)
        filled[place] = daily[column].to_numpy()
        return filled

    counts = {name: spread(name) for name in (*COUNTS, "n_users")}
    for window in WINDOWS:
        change = spread(f"_begins_{window}")
        is_inside = place + window < ends[of]
        change[place[is_inside] + window] -= daily[f"_ends_{window}"].to_numpy()[is_inside]
        running = change.cumsum(dtype=np.int64)
        running -= np.repeat((running[begins] - change[begins]), lengths)
        counts[f"active_{window}"] = running.astype(np.int32)
    day = np.arange(lengths.sum(), dtype=np.int32) - np.repeat(begins - first, lengths).astype(np.int32)
    return {"server": np.repeat(np.arange(n_servers, dtype=np.int32), lengths), "day": day, **counts}


def _by_period(counts: dict[str, NDArray[np.int32]], freq: Freq) -> dict[str, NDArray[np.int32]]:
    """Add the days of each server up to periods, and put the number of the period in the place of the day."""
    server, day = counts.pop("server"), counts.pop("day")
    period = periods_of(day.astype(np.int64), freq).astype(np.int32)
    counts["n_days_active"] = (counts["active_1"] > 0).astype(np.int32)
    if freq != "D":
        # The days of a server's period stand together.
        begins = np.flatnonzero((np.diff(server, prepend=-1) != 0) | (np.diff(period, prepend=-1) != 0))
        ends = np.append(begins[1:], period.size)[: begins.size] - 1
        latest = {name: counts[name][ends] for name in (f"active_{window}" for window in WINDOWS)}
        counts = {name: np.add.reduceat(counts[name], begins) for name in counts} | latest
        server, period = server[begins], period[begins]
    return {"server": server, "period": period, **counts}


def _days_of(events: nw.LazyFrame[Any], log: Log) -> _Days:
    (bounds,) = engine.collect(events.select(first=nw.col("_day").min(), last=nw.col("_day").max())).to_dict("records")
    cutoff = getattr(log, "cutoff", None)
    until = 0 if pd.isna(cutoff) else engine.epoch_us(cutoff) // engine.DAY_US
    if pd.isna(bounds["first"]):
        return _Days(until, until)
    return _Days(int(bounds["first"]), max(int(bounds["last"]), until))


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
    events = open_log(log, ["server_id", "user_actual_id"]).with_columns(_day=nw.col("_us") // engine.DAY_US)
    first_day, last_day = _days_of(events, log)
    known: dict[Any, int] = {}
    made = []
    # A server's days stand in one piece. There can be very many, so that numbers are as small as they can be.
    for piece in engine.pieces(events, "server_id"):
        daily = _add_up(piece, freq)
        numbers = number_values(daily.pop("server_id"), known)
        of, distinct = pd.factorize(numbers)
        part = _by_period(_fill_days(daily.astype(np.int32), of, freq, last_day), freq)
        made.append(part | {"server": distinct[part["server"]]})
    names = pd.DataFrame({"server_id": pd.array(list(known), dtype="str")})
    server = group_rows(names, ["server_id"]).of[_joined(made, "server")].astype(np.int32)
    order = np.argsort(server, kind="stable")
    period = _joined(made, "period")[order].astype(np.int64)
    ends = last_days(period, freq)
    is_complete = (first_days(period, freq) >= first_day) & (ends < last_day)

    def whole(name: str) -> pd.api.extensions.ExtensionArray:
        return pd.array(_joined(made, name)[order], dtype="Int64")

    columns = {
        "server_id": sort_rows(names, ["server_id"])["server_id"].array.take(server[order]),
        "date": dates(np.minimum(ends, last_day)),
        **{name: whole(name) for name in COUNTS},
        **{name: whole(f"active_{window}") for name, window in zip(("dau", "wau", "mau"), WINDOWS, strict=True)},
        "n_users": whole("n_users"),
        "n_days_active": whole("n_days_active"),
        "is_complete": pd.array(is_complete, dtype="boolean"),
    }
    return pd.DataFrame(columns, copy=False)


def _joined(parts: list[dict[str, NDArray[np.int32]]], name: str) -> NDArray[np.int32]:
    """Join a column of the parts, and let go of it there."""
    return np.concatenate([part.pop(name) for part in parts])
