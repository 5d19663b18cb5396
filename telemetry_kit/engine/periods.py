"""Days, weeks, months and quarters as whole numbers since 1970 in UTC, alike on every engine.

Engines cut timestamps into days and months in time zones of their own; counting does not.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from telemetry_kit.errors import ParameterError

Freq = Literal["D", "W", "M", "Q"]
FREQS: tuple[Freq, ...] = get_args(Freq)
Numbers = npt.NDArray[np.int64]

_MARCH_0000 = 719_468
"""Days from the first of March of the year 0, with which the calendar's 400 years begin, to 1970."""


def check_freq(freq: str) -> None:
    """See that ``freq`` names a period.

    Raises
    ------
    ParameterError
        Where it does not.
    """
    if freq not in FREQS:
        raise ParameterError("freq", freq, FREQS)


def add_period_number(frame: nw.LazyFrame[Any], freq: Freq) -> nw.LazyFrame[Any]:
    """Add ``_period``, the number of the period in which ``_day`` lies: the day, the week from Monday, month, quarter.

    Months follow from days by the arithmetic of the Gregorian calendar, whose 400 years have 146,097 days; in a year
    that begins in March the leap day is the last, and month ``m`` begins on day ``(153 m + 2) // 5``. It goes in steps,
    because an expression that repeats its parts grows faster than a query planner can read.
    """
    if freq == "D":
        return frame.with_columns(_period=nw.col("_day"))
    if freq == "W":
        return frame.with_columns(_period=_whole(nw.col("_day") + 3, 7))
    if freq == "Q":
        return add_period_number(frame, "M").with_columns(_period=_whole(nw.col("_period"), 3))
    day, cycle, year = nw.col("_of_cycle"), nw.col("_cycle"), nw.col("_year")
    return (
        frame.with_columns(_cycle=_whole(nw.col("_day") + _MARCH_0000, 146_097))
        .with_columns(_of_cycle=nw.col("_day") + _MARCH_0000 - cycle * 146_097)
        .with_columns(_year=_whole(day - _whole(day, 1_460) + _whole(day, 36_524) - _whole(day, 146_096), 365))
        .with_columns(_of_year=day - (year * 365 + _whole(year, 4) - _whole(year, 100)))
        .with_columns(_period=(cycle * 400 + year - 1970) * 12 + _whole(nw.col("_of_year") * 5 + 2, 153) + 2)
        .drop("_cycle", "_of_cycle", "_year", "_of_year")
    )


def _whole(number: nw.Expr, divisor: int) -> nw.Expr:
    """Return how many times a whole number of up to some millions holds a divisor.

    Narwhals writes ``//`` for SQL with its operand five times over, for every sign there is; of such divisions in one
    another the query for a month would grow to gigabytes. With a half added, no rounding reaches the next whole number.
    """
    return ((number + 0.5) * (1 / divisor)).floor().cast(nw.Int64)


def add_first_day(frame: nw.LazyFrame[Any], freq: Freq) -> nw.LazyFrame[Any]:
    """Add ``_first_day``, the day with which the period begins in which ``_day`` lies: ``first_days`` in the engine."""
    period = nw.col("_period")
    frame = add_period_number(frame, freq)
    if freq == "D":
        return frame.with_columns(_first_day=period)
    if freq == "W":
        return frame.with_columns(_first_day=period * 7 - 3)
    months = period * 3 if freq == "Q" else period
    # Months since that March: as ``add_period_number``, the other way round.
    frame = frame.with_columns(_month=months + 1970 * 12 - 2).with_columns(_year=_whole(nw.col("_month"), 12))
    of_year, year = nw.col("_month") - nw.col("_year") * 12, nw.col("_year")
    days = year * 365 + _whole(year, 4) - _whole(year, 100) + _whole(year, 400)
    first_day = days + _whole(of_year * 153 + 2, 5) - _MARCH_0000
    return frame.with_columns(_first_day=first_day).drop("_month", "_year")


def first_days(periods: Numbers, freq: Freq) -> Numbers:
    """Return the day with which each numbered period begins."""
    if freq == "D":
        return periods
    if freq == "W":
        return periods * 7 - 3
    months = periods * 3 if freq == "Q" else periods
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)


def last_days(periods: Numbers, freq: Freq) -> Numbers:
    """Return the day with which each numbered period ends."""
    return first_days(periods + 1, freq) - 1


def periods_of(days: Numbers, freq: Freq) -> Numbers:
    """Return the number of the period in which each day lies, as ``add_period_number`` does in the engine."""
    if freq == "D":
        return days
    if freq == "W":
        return (days + 3) // 7
    months = days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months // 3 if freq == "Q" else months


def dates(days: Numbers) -> pd.DatetimeIndex:
    """Return numbered days as timestamps, UTC."""
    return pd.DatetimeIndex(days.astype("datetime64[D]").astype("datetime64[us]"), tz="UTC")
