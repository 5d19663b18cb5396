"""Periods of time: in which one a row lies, and which of them were recorded as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine, schemas
from telemetry_kit.engine import periods as calendar
from telemetry_kit.engine.periods import FREQS
from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection

    from narwhals.stable.v2.typing import IntoFrameT

    from telemetry_kit.engine.periods import Freq
    from telemetry_kit.eventlog.log import EventLog

    Moment = str | dt.datetime | pd.Timestamp | None
    Periods = str | Mapping[str, tuple[Moment, Moment]]

PERIOD = "period"
"""The column that tells the period of a row."""

_EVENT = "event_timestamp"
_OF_KIND = {"last_changed_at": "first_seen_at", "dwell_s": "started_at", "first_end_s": "started_at"}
"""The time that counts, by a column that only one kind of frame has: a snapshot, visits, durations."""
_ENDS = ("since", "until")
_BEFORE_ALL = -(2**62)
_PAIR = 2
_EXPECTED = "one of 'D', 'W', 'M', 'Q', or a mapping of names to (since, until)"


class _Span(NamedTuple):
    """A period: from its first moment up to but without its last; None is open."""

    name: str | pd.Timestamp
    since_us: int | None
    until_us: int | None


def add_period(frame: IntoFrameT, periods: Periods, *, of: str | None = None) -> IntoFrameT:
    """Add in which period each row lies: ``by="period"`` or ``between="period"`` then tell the periods apart.

    A visit and a duration belong to the period in which their *incident* began. So an incident lies in one period, and
    a recent period is not judged by those of its incidents alone that were over soon.

    Parameters
    ----------
    frame
        A frame of any kind: events, visits, durations, a snapshot of playbooks, or any other with a column of time.
    periods
        ``"D"``, ``"W"`` (from Monday), ``"M"`` or ``"Q"``; or a mapping of names to ``(since, until)``, from the first
        moment up to but without the second. A moment without a zone is in UTC, and None is open.
    of
        The column of time that counts. By default ``event_timestamp``; of visits and durations ``started_at``, when the
        incident began; of a snapshot ``first_seen_at``.

    Returns
    -------
    frame
        Of the same kind as ``frame``, lazy where it is lazy: its columns and rows, and

        period : datetime64[us, UTC] or str
            The first moment of the day, week, month or quarter (UTC), or the name. Null where the time is unknown, or
            lies in none of the named periods.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take, named periods overlap, or ``frame`` has a column ``period``.

    See Also
    --------
    list_periods : which periods of a log were recorded as a whole.

    Notes
    -----
    What was still open at the cutoff stays censored there, so that incidents of a recent period were watched for less
    time than those of an older one. ``compare_funnel(..., within="7D")`` gives all of them the same.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> tasks = tk.add_period(log.tasks, {"before": (None, "2020-11-20"), "after": ("2020-11-20", None)})
    >>> tasks["period"].value_counts(sort=False)
    period
    before    2340
    after     3471
    Name: count, dtype: int64
    >>> visits = tk.add_period(tk.stage_visits(log.incident, cutoff=log.cutoff), "M")
    >>> tk.stage_funnel(visits, by="period")[["period", "stage", "n_eligible", "n_reached"]].head(2)
                         period  stage  n_eligible  n_reached
    0 2020-11-01 00:00:00+00:00      0         219        219
    1 2020-11-01 00:00:00+00:00      1         149        124
    """
    present: list[str] = engine.check_frame(frame, parameter="frame").columns
    if PERIOD in present:
        raise ParameterError("frame", "a frame with the column 'period'", "one without it: it is added")
    time = _time_of(present, of)
    opened = engine.open_frame(frame, [time], parameter="frame")
    engine.check_times(opened, [time], parameter="frame")
    rows = engine.add_epoch_us(opened, _us=time)
    return engine.give_back(_place(rows, _read(periods)).select(*present, PERIOD), like=frame)


def list_periods(log: EventLog[Any], periods: Periods) -> pd.DataFrame:
    """Return the periods of a log, and which of them were recorded as a whole.

    Parameters
    ----------
    log
        An event log.
    periods
        As for ``add_period``.

    Returns
    -------
    pandas.DataFrame
        One row per period in the order of time; days, weeks, months and quarters from the one in which the log begins
        to the one of the cutoff:

        period : datetime64[us, UTC] or str
            As ``add_period`` has it.
        starts_at, ends_at : datetime64[us, UTC]
            Its first moment, and the first after it; null where it is open.
        n_events : Int64
            Valid events of all types in it.
        is_complete : boolean
            Whether the log tells of all of it: it lies between where the log begins (``since``, or without that the
            first event) and the cutoff. The open end of a named period is taken to be that of the log.

    Raises
    ------
    ParameterError
        Where ``periods`` is none of these.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> tk.list_periods(log, "M")[["period", "n_events", "is_complete"]]
                         period  n_events  is_complete
    0 2020-11-01 00:00:00+00:00      4910        False
    1 2020-12-01 00:00:00+00:00      3254        False
    """
    engine.check_log(log)
    read = _read(periods)
    counts = []
    for kind in schemas.EVENT_TYPES:
        rows = engine.open_frame(getattr(log, kind), [_EVENT], parameter=kind, named=())
        placed = _place(engine.add_epoch_us(rows, _us=_EVENT), read).group_by(PERIOD)
        counts.append(engine.collect(placed.agg(_n=nw.len(), _first_us=nw.col("_us").min())))
    counted = pd.concat(counts)
    n_events = counted.groupby(PERIOD)["_n"].sum()
    if counted.empty:
        listed = read if isinstance(read, list) else []
        first_us = last_us = 0
    else:
        first_us = int(counted["_first_us"].min()) if log.since is None else engine.epoch_us(log.since)
        last_us = engine.epoch_us(log.cutoff)
        listed = read if isinstance(read, list) else _calendar_spans(first_us, last_us, read)
    listed = sorted(listed, key=lambda span: _BEFORE_ALL if span.since_us is None else span.since_us)
    ends = {"starts_at": [span.since_us for span in listed], "ends_at": [span.until_us for span in listed]}
    names = [span.name for span in listed]
    is_complete = [
        not counted.empty
        and (span.since_us is None or first_us <= span.since_us)
        and (span.until_us is None or span.until_us <= last_us)
        for span in listed
    ]
    return pd.DataFrame(
        {
            PERIOD: pd.Series(names, dtype="str" if isinstance(read, list) else "datetime64[us, UTC]"),
            **{
                name: pd.to_datetime(pd.array(us, "Int64"), unit="us", utc=True).as_unit("us")
                for name, us in ends.items()
            },
            "n_events": pd.array([n_events.get(name, 0) for name in names], "Int64"),
            "is_complete": pd.array(is_complete, "boolean"),
        }
    )


def latest_periods(log: EventLog[Any], freq: Freq) -> dict[str, tuple[pd.Timestamp, pd.Timestamp]]:
    """Return the two latest periods of a log, for ``add_period``: a comparison of them tells what changed.

    Parameters
    ----------
    log
        An event log.
    freq
        ``"D"``, ``"W"`` (from Monday), ``"M"`` or ``"Q"``, in UTC.

    Returns
    -------
    dict of str to tuple of pandas.Timestamp
        The earlier and the later period, by the day with which each begins: its first moment, and the first after it.
        They are the last two that were recorded as a whole, or, where there are not two, the last two; empty where the
        log lies in one period.

    Raises
    ------
    ParameterError
        Where ``freq`` is none of these.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> months = tk.latest_periods(log, "M")
    >>> list(months)
    ['2020-11-01', '2020-12-01']
    >>> tasks = tk.add_period(log.tasks, months)
    >>> compared = tk.compare_completion(tasks, between="period")
    >>> compared[["completer", "group_a", "group_b", "n_a", "n_b"]].head(1)
       completer     group_a     group_b   n_a  n_b
    0  commander  2020-11-01  2020-12-01  1060  734
    """
    calendar.check_freq(freq)
    listed = list_periods(log, freq)
    whole = listed[listed["is_complete"]]
    latest = (whole if len(whole) >= _PAIR else listed).tail(_PAIR)
    return {
        f"{row['period']:%Y-%m-%d}": (row["starts_at"], row["ends_at"])
        for row in latest.to_dict("records")
        if len(latest) == _PAIR
    }


def _time_of(present: Collection[str], of: str | None) -> str:
    """Return the column of time that counts, and see that there is one."""
    if of is not None:
        engine.check_column("of", of, present)
        return of
    time = next((time for mark, time in _OF_KIND.items() if mark in present), _EVENT)
    if time not in present:
        raise ParameterError("frame", f"a frame without {time}", "one with it, or the name of another time with of=")
    return time


def _read(periods: Periods) -> Freq | list[_Span]:
    """Read periods, and see that named ones are such, and that no moment lies in two of them."""
    if isinstance(periods, str) and periods in FREQS:
        return periods
    if not isinstance(periods, Mapping) or not periods:
        raise ParameterError("periods", periods, _EXPECTED)
    spans = []
    for name, ends in periods.items():
        if not _is_span(name, ends):
            raise ParameterError("periods", {name: ends}, "a name and its (since, until)")
        since_us, until_us = (
            None if end is None else engine.epoch_us(engine.moment(end, parameter=f"periods[{name!r}]")) for end in ends
        )
        if since_us is not None and until_us is not None and since_us >= until_us:
            raise ParameterError(f"periods[{name!r}]", ends, "a first moment before the second")
        spans.append(_Span(name, since_us, until_us))
    in_time = sorted(spans, key=lambda span: _BEFORE_ALL if span.since_us is None else span.since_us)
    for span, after in pairwise(in_time):
        if span.until_us is None or after.since_us is None or span.until_us > after.since_us:
            raise ParameterError("periods", f"{span.name!r} and {after.name!r}, which overlap", "periods apart")
    return spans


def _is_span(name: object, ends: object) -> bool:
    return isinstance(name, str) and isinstance(ends, tuple | list) and len(ends) == len(_ENDS)


def _place(rows: nw.LazyFrame[Any], periods: Freq | list[_Span]) -> nw.LazyFrame[Any]:
    """Add the period in which ``_us`` lies."""
    us = nw.col("_us")
    if not isinstance(periods, list):
        rows = calendar.add_first_day(rows.with_columns(_day=us // engine.DAY_US), periods)
        rows = rows.with_columns(_begin_us=nw.col("_first_day").cast(nw.Int64) * engine.DAY_US)
        return engine.add_time(rows, **{PERIOD: "_begin_us"})
    made = []
    for span in periods:
        is_in = ~us.is_null()
        is_in = is_in if span.since_us is None else is_in & (us >= span.since_us)
        is_in = is_in if span.until_us is None else is_in & (us < span.until_us)
        made.append(nw.when(is_in).then(nw.lit(span.name)))
    return rows.with_columns(nw.coalesce(*made).alias(PERIOD))


def _calendar_spans(first_us: int, last_us: int, freq: Freq) -> list[_Span]:
    """Return the periods from the one of a moment to the one of another, named by their first moments."""
    first, last = calendar.periods_of(np.array([first_us, last_us]) // engine.DAY_US, freq)
    days = calendar.first_days(np.arange(first, last + 2), freq)
    return [
        _Span(name, begin * engine.DAY_US, end * engine.DAY_US)
        for name, (begin, end) in zip(calendar.dates(days[:-1]), pairwise(days.tolist()), strict=True)
    ]
