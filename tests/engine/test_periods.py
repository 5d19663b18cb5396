"""Days, weeks and months as whole numbers."""

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import pytest

from telemetry_kit import engine
from telemetry_kit.engine.periods import FREQS, add_period_number, check_freq, dates, first_days, last_days, periods_of
from telemetry_kit.errors import ParameterError

DAYS = np.array([-1, 0, 3, 4, 58, 59, 11015, 11016, 18321, 18322, 18567, 18627, 47540, 47541])
"""The ends of 1969, its first week, February in common and leap years (1970, 2000, 2020, 2100), and more."""


@pytest.mark.parametrize("freq", FREQS)
def test_the_engine_counts_periods_as_numpy_does(as_kind, freq):
    frame = engine.open_frame(as_kind(pd.DataFrame({"_day": DAYS})), ["_day"], parameter="frame")
    table = engine.collect(add_period_number(frame, freq).sort("_day").select(nw.col("_period")))
    assert list(table["_period"]) == list(periods_of(DAYS, freq))


@pytest.mark.parametrize("freq", FREQS)
def test_a_period_contains_its_days_and_no_others(freq):
    periods = periods_of(DAYS, freq)
    assert (first_days(periods, freq) <= DAYS).all()
    assert (last_days(periods, freq) >= DAYS).all()
    assert list(first_days(periods + 1, freq)) == list(last_days(periods, freq) + 1)


def test_weeks_begin_on_monday_and_months_on_the_first():
    day = np.array([18575])  # Monday, 2020-11-09
    assert list(dates(first_days(periods_of(day, "W"), "W")).astype(str)) == ["2020-11-09 00:00:00+00:00"]
    assert list(dates(last_days(periods_of(day, "W"), "W")).astype(str)) == ["2020-11-15 00:00:00+00:00"]
    assert list(dates(last_days(periods_of(day, "M"), "M")).astype(str)) == ["2020-11-30 00:00:00+00:00"]


def test_other_periods_are_a_mistake():
    with pytest.raises(ParameterError, match=r"freq: got 'Y', expected one of 'D', 'W', 'M'"):
        check_freq("Y")
