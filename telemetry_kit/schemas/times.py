"""The one grammar of times: what text is a time, for whatever container it comes from and for arguments alike.

A date with a year of four digits and a time of day with seconds, then nothing (UTC), ``Z``, ``UTC``, ``GMT`` or an
offset; or a count since 1970 whose unit its size tells. Nothing else is a time: no other name of a zone (``IST`` means
several), no day alone, no serial number of a spreadsheet.
"""

from __future__ import annotations

import datetime as dt
import re

from telemetry_kit.schemas.names import quote_literal

EXPECTED = "a time such as 2020-11-02T00:35:08.199Z or milliseconds since 1970"
EARLIEST = dt.datetime(2019, 1, 1, tzinfo=dt.UTC)
"""The plugin is younger: an earlier time is a placeholder, or of a broken clock."""
EARLIEST_US = int(EARLIEST.timestamp()) * 1_000_000
TOLERANCE_US = 86_400_000_000
"""How far behind its event a record may arrive: a clock that is further ahead must not set the cutoff."""
SECONDS_BELOW, MILLISECONDS_BELOW, MICROSECONDS_BELOW = 10**11, 10**14, 10**17
"""Where a count of seconds, of milliseconds and of microseconds ends."""

# RE2 and Python read both patterns alike.
_WRITTEN = (
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([01][0-9]:[0-5][0-9]:[0-5][0-9]|2[0-3]:[0-5][0-9]:[0-5][0-9])"
    r"(?:[.,]([0-9]+))?(?: ?(Z|z|UTC|GMT|[+-](?:0[0-9]|1[0-7])(?::?[0-5][0-9])?|[+-]18(?::?00)?)(?:\[[^\]]+\])?)?"
)
_USUAL = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,6})?"
    r"(?:[+-](?:0[0-9]|1[0-4])(?::[0-5][0-9])?)?"
)
_COUNT = "([0-9]{1,19})(?:[.,]([0-9]*))?"
# What a spreadsheet shows of a number are six digits at most: it has lost its seconds.
_POWER = "[0-9][.,][0-9]{6,}[Ee][+]?[0-9]{1,2}"
_DAY_OR_MINUTE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2})(Z|[+-][0-9]{2}:[0-9]{2})?)?")
_USUAL_LENGTH = 13
"""How many digits every count of milliseconds has, from 2001 to 2286."""


def time_sql(x: str) -> str:
    """Return SQL for the time, as TIMESTAMPTZ, that the text ``x`` is; null where it is none."""
    return f"make_timestamptz(COALESCE({usual_us_sql(x)}, {written_us_sql(x)}))"


def usual_us_sql(x: str) -> str:
    """Return SQL for the microseconds since 1970 of a time in one of the forms that nearly all have.

    These are told by their shape, and cost little to read: with ``Z``, with an offset, or as databases and pandas write
    times, with a blank; up to six digits of a fraction; and a count of milliseconds. Null for every other.
    """
    whole = f"TRY_CAST({x} AS BIGINT)"
    clock = "%Y-%m-%dT%H:%M:%S"
    # A form that does not fit costs DuckDB ten times as much as one that does. It passes over white space before a
    # time, and takes several blanks for one. A cast of a time without a zone to one with a zone would cost more than to
    # read the text.
    return (
        f"CASE WHEN {x} LIKE '____-__-__T__:__:__.%Z' AND {x} >= '0' THEN epoch_us(try_strptime({x}, '{clock}.%fZ')) "
        f"WHEN {x} LIKE '____-__-__T__:__:__Z' AND {x} >= '0' THEN epoch_us(try_strptime({x}, '{clock}Z')) "
        f"WHEN {x} LIKE '____-__-__ __:__:__.%+00' AND {x} >= '0' AND NOT contains({x}, '  ') "
        f"THEN epoch_us(try_strptime({x}, '%Y-%m-%d %H:%M:%S.%f+00')) "
        f"WHEN strlen({x}) = {_USUAL_LENGTH} AND {x} = CAST({whole} AS VARCHAR) THEN {whole} * 1000 "
        f"WHEN {_is_usual(x)} THEN epoch_us(TRY_CAST({x} AS TIMESTAMPTZ)) END"
    )


def _is_usual(x: str) -> str:
    """Return SQL that tells a time in a form that DuckDB's own cast reads as this grammar does, its zone being UTC."""
    return f"({x} LIKE '%:__' OR {x} LIKE '____-__-__ %') AND regexp_full_match({x}, {quote_literal(_USUAL)})"


def written_us_sql(x: str) -> str:
    """Return SQL for the microseconds since 1970 of a time in any form; its parts are found once."""
    names = "['day', 'clock', 'fraction', 'zone']"
    written = f"regexp_extract({x}, {quote_literal(f'^{_WRITTEN}$')}, {names})"
    moment = "epoch_us(TRY_CAST(part.day || ' ' || part.clock AS TIMESTAMP))"
    micros = "CAST(rpad(left(part.fraction, 6), 6, '0') AS BIGINT)"
    as_written = _once(written, "part", f"{moment} + {micros} - 1000000 * {_offset_s('part.zone')}")
    counted = f"regexp_extract({x}, {quote_literal(f'^{_COUNT}$')}, ['whole', 'rest'])"
    power = f"TRY_CAST(replace({x}, ',', '.') AS DECIMAL(38, 9))"
    return (
        f"CASE WHEN regexp_full_match({x}, {quote_literal(_WRITTEN)}) THEN {as_written} "
        f"WHEN regexp_full_match({x}, {quote_literal(_COUNT)}) THEN {_once(counted, 'part', _counted_us())} "
        f"WHEN regexp_full_match({x}, {quote_literal(_POWER)}) THEN {_once(power, 'n', _power_us())} END"
    )


def _once(value: str, name: str, expression: str) -> str:
    """Return SQL for an expression of a value that is computed once."""
    return f"list_transform([{value}], lambda {name}: {expression})[1]"


def _counted_us() -> str:
    # The digits behind the point are those of the unit; what is below a microsecond is cut.
    whole = "TRY_CAST(part.whole AS HUGEINT)"
    cases = [
        (f"WHEN {whole} < {below} ", f"{whole} * {10**digits} + {_fraction(digits)}")
        for below, digits in ((SECONDS_BELOW, 6), (MILLISECONDS_BELOW, 3))
    ]
    told = " ".join(f"{when}THEN {count}" for when, count in cases)
    return f"TRY_CAST(CASE {told} WHEN {whole} < {MICROSECONDS_BELOW} THEN {whole} ELSE {whole} // 1000 END AS BIGINT)"


def _fraction(digits: int) -> str:
    return f"CAST(rpad(left(part.rest, {digits}), {digits}, '0') AS HUGEINT)"


def _power_us() -> str:
    return (
        f"TRY_CAST(trunc(CASE WHEN n < {SECONDS_BELOW} THEN n * 1000000 WHEN n < {MILLISECONDS_BELOW} THEN n * 1000 "
        f"WHEN n < {MICROSECONDS_BELOW} THEN n ELSE CAST(n AS HUGEINT) // 1000 END) AS BIGINT)"
    )


def offset_s_sql(x: str) -> str:
    """Return SQL for the offset from UTC, in seconds, that the text ``x`` of a time tells; null where it tells none.

    It is told with a ``T`` between day and clock, as the plugin writes times. With a blank databases and spreadsheets
    write theirs, in a zone of their own.
    """
    names = "['day', 'clock', 'fraction', 'zone']"
    written = f"regexp_extract({x}, {quote_literal(f'^{_WRITTEN}$')}, {names})"
    # Of what is no time after all no offset is wanted; nearly all offsets are whole hours.
    is_usual = " OR ".join(f"{x} LIKE '%T__:__:__%{sign}__:__'" for sign in "+-")
    whole = f"TRY_CAST({x}[-6:-4] AS BIGINT) * 3600"
    minutes = f"TRY_CAST({x}[-6] || {x}[-2:] AS BIGINT) * 60"
    told = f"CASE WHEN part.zone <> '' THEN {_offset_s('part.zone')} END"
    return (
        f"CASE WHEN {x} LIKE '____-__-__T%' THEN CASE WHEN {x} LIKE '%Z' THEN 0 "
        f"WHEN {is_usual} THEN CASE WHEN {x} LIKE '%:00' THEN {whole} ELSE {whole} + {minutes} END "
        f"ELSE {_once(written, 'part', told)} END END"
    )


def _offset_s(zone: str) -> str:
    minutes = f"CASE WHEN strlen({zone}) > 3 THEN CAST(right({zone}, 2) AS BIGINT) ELSE 0 END"
    size = f"CAST(substr({zone}, 2, 2) AS BIGINT) * 3600 + ({minutes}) * 60"
    return f"CASE left({zone}, 1) WHEN '+' THEN {size} WHEN '-' THEN -({size}) ELSE 0 END"


def parse_time(text: str) -> dt.datetime | None:
    """Return the time that an argument means: as the grammar has it, or a day or minute of ISO 8601; null where none.

    A count is no argument: which unit it has, whoever wrote it knows better.
    """
    shorter = _DAY_OR_MINUTE.fullmatch(text)
    if shorter is not None:
        day, minute, zone = shorter.groups()
        text = f"{day}T{minute or '00:00'}:00{zone or 'Z'}"
    found = re.fullmatch(_WRITTEN, text)
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    try:
        moment = dt.datetime.fromisoformat(f"{day}T{clock}.{(fraction or '')[:6].ljust(6, '0')}+00:00")
    except ValueError:
        return None
    digits = re.sub("[^0-9]", "", zone or "").ljust(4, "0")
    offset = dt.timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return moment + offset if (zone or "").startswith("-") else moment - offset
