"""What a caller wrote as a time, or as a length of time."""

import datetime as dt

import pandas as pd
import pytest

from telemetry_kit import engine
from telemetry_kit.errors import ParameterError

EVENTS = pd.DataFrame({"server_id": ["a"]})


@pytest.mark.parametrize(
    ("given", "length"),
    [
        ("1d", "1D"),
        ("1 d 2 h", "26h"),
        ("2w", "14D"),
        ("4H", "4h"),
        ("30S", "30s"),
        ("1 day", "1D"),
        ("P1DT2H30S", "1D 2h 30s"),
        (dt.timedelta(days=1), "1D"),
    ],
)
def test_a_length_of_time_is_read_with_either_letter_and_without_a_warning(given, length):
    assert engine.span_us(given, parameter="within") == pd.Timedelta(length) // pd.Timedelta(1, "us")


@pytest.mark.parametrize("given", ["1M", "dwell", "-1d", 5, None])
def test_what_is_no_length_of_time_is_told(given):
    with pytest.raises(ParameterError, match=r"^within: got .*, expected a length of time above zero such as '4h'$"):
        engine.span_us(given, parameter="within")


def test_the_cutoff_of_a_log_without_events_lies_before_all_where_there_are_none():
    assert engine.moment(pd.NaT, parameter="cutoff", of=EVENTS.head(0)) == pd.Timestamp("1970-01-01", tz="UTC")
    for of in (EVENTS, None):
        with pytest.raises(ParameterError, match=r"^cutoff: got NaT, expected a datetime"):
            engine.moment(pd.NaT, parameter="cutoff", of=of)
