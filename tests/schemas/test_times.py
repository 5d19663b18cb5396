"""One grammar of times, the same as SQL and for arguments."""

import datetime as dt

import pytest

from telemetry_kit.engine import connections
from telemetry_kit.schemas.times import offset_s_sql, parse_time, time_sql

# The text, seconds after 2020-11-03T09:00:00Z, and the offset of the server that it tells: databases write a blank.
WRITTEN = [
    ("2020-11-03T09:00:01.5Z", 1.5, 0),
    ("2020-11-03T09:00:01.123456789Z", 1.123456, 0),
    ("2020-11-03 09:00:02", 2, None),
    ("2020-11-03 09:00:02 UTC", 2, None),
    ("2020-11-03 09:00:02.25 GMT", 2.25, None),
    ("2020-11-03T09:00:02,25Z", 2.25, 0),
    ("2020-11-03t09:00:02z", 2, None),
    ("2020-11-03T14:30:02+05:30", 2, 19800),
    ("2020-11-03 01:00:02.5 -0800", 2.5, None),
    ("2020-11-03 10:00:02+01", 2, None),
    ("2020-11-04T03:00:02+18:00", 2, 64800),
    ("2020-11-03T01:00:02.5-0800", 2.5, -28800),
    ("2020-11-03T05:30:02.25-03:30", 2.25, -12600),
    ("2020-11-03T10:00:02+01", 2, 3600),
    ("2020-11-03T09:00:02", 2, None),
    ("2020-11-03T14:30:02+05:30[Asia/Kolkata]", 2, 19800),
]
COUNTED = [
    ("1604394002", 2),
    ("1604394002.5", 2.5),
    ("1604394002250", 2.25),
    ("1604394002250.75", 2.25075),
    ("1604394002250000", 2.25),
    ("1604394002250000999", 2.25),
    ("1.60439400225E12", 2.25),
    ("1604394002,25", 2.25),
    ("1,60439400225E12", 2.25),
    ("1.60439400225e+18", 2.25),
]
NONE = [
    "2020-11-03", "2020-11-03T09:00", "20-11-03 09:00:01Z", "03/11/2020 09:00:01", "2020/11/03 09:00:01",
    "2020-11-03 09:00:01 BST", "2020-11-03 09:00:01 utc", "2020-11-03T09:00:01+25:00", "2020-11-03T09:00:01+05:99",
    "2020-11-03T09:00:01+18:01", "2020-13-03T09:00:01Z", "2020-02-30T09:00:01Z", "2020-11-03T24:00:00Z",
    "2020-11-03T09:00:60Z", "2020-1-03T09:00:01.5Z", " 2020-11-03T09:00:01Z", "2020-11-03T09:00:01Z ",
    "2020-11-03T09:00:01.Z", "2020-11-03T09:00:01[Asia/Kolkata]", "yesterday", "now", "-1604394002", "1.6E+12",
    "1.60439E+12", "1_604_394_002", "1,604,394,002", "0x5fa11a52", "",
]  # fmt: skip


def read(text):
    query = f"SELECT epoch_us({time_sql('x')}), {offset_s_sql('x')} FROM (SELECT $1::VARCHAR AS x) AS given"
    return connections.connect().execute(query, [text]).fetchone()


@pytest.mark.parametrize(("text", "seconds", "offset"), WRITTEN)
def test_a_date_and_a_time_of_day_is_a_time(text, seconds, offset):
    start = dt.datetime(2020, 11, 3, 9, tzinfo=dt.UTC)
    wanted = start + dt.timedelta(microseconds=round(seconds * 1e6))
    assert read(text) == (round(wanted.timestamp() * 1e6), offset)
    assert parse_time(text) == wanted


@pytest.mark.parametrize(("text", "seconds"), COUNTED)
def test_a_count_is_a_time_by_its_size_and_no_argument(text, seconds):
    assert read(text)[0] == 1_604_394_000_000_000 + round(seconds * 1e6)
    assert parse_time(text) is None


@pytest.mark.parametrize("text", NONE)
def test_nothing_else_is_a_time(text):
    assert read(text)[0] is None


def near(text):
    """Give what differs from a text in one character, or lacks it, or has one more."""
    for at in range(len(text) + 1):
        yield text[:at] + text[at + 1 :]
        for character in "0159 :+-.,TZa":
            yield text[:at] + character + text[at + 1 :]
            yield text[:at] + character + text[at:]


@pytest.mark.parametrize(
    "text",
    [
        "2020-11-03T09:00:01.125Z", "2020-11-03T09:00:01Z", "2020-11-03T09:00:01.125+05:30",
        "2020-11-03T09:00:01.123456-11:00", "2020-11-03T09:00:01-03:30", "2020-11-03T09:00:01+14:00",
        "2020-11-03 09:00:01.125+00", "2020-11-03 09:00:01-08", "2020-11-03 09:00:01",
        "2020-11-03 09:00:01.123456+05:30",
    ],
)  # fmt: skip
def test_what_is_read_in_the_short_way_has_the_same_grammar(text):
    # A day or a minute alone is an argument, and no time of an event.
    texts = [each for each in {text, *near(text)} if len(each) > len("2020-11-03T09:00Z")]
    query = (
        f"SELECT x, epoch_us({time_sql('x')}), {offset_s_sql('x')} FROM (SELECT unnest($1::VARCHAR[]) AS x) AS given"
    )
    for each, us, offset in connections.connect().execute(query, [texts]).fetchall():
        wanted = parse_time(each)
        assert us == (wanted and (wanted - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)), (
            each
        )
        if wanted is not None and offset is not None:
            clock = dt.datetime.fromisoformat(f"{each[:19]}+00:00")
            assert clock - dt.timedelta(seconds=offset) == wanted.replace(microsecond=0), each


@pytest.mark.parametrize(
    ("text", "wanted"), [("2020-12-01", (2020, 12, 1)), ("2020-12-01T08:30", (2020, 12, 1, 8, 30)), ("20201201", None)]
)
def test_an_argument_may_be_a_day_or_a_minute(text, wanted):
    assert parse_time(text) == (wanted and dt.datetime(*wanted, tzinfo=dt.UTC))
