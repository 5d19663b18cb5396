"""The kinds of values that a field can have: how a text becomes one, its types, its bounds, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import pandas as pd

from telemetry_kit.schemas import times
from telemetry_kit.schemas.names import quote_literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from telemetry_kit.schemas.fields import Kind

NULL_WORDS = (
    *("\\N", "NULL", "null", "None", "<NA>", "NA", "nan", "NaN", "NaT", "undefined"),
    *("(null)", "(NULL)", "<null>", "<NULL>", "#NULL!", "N/A", "n/a", "#N/A", "#NA"),
)
"""What tools write for null: a whole cell of a delimited file, and, in every container, what is no id."""
NIL_IDS = ("00000000-0000-0000-0000-000000000000", "0" * 32)
"""The nil UUID, which is no id either."""
NO_NUMBERS = ("NaN", "Infinity", "-Infinity")
"""What some writers of JSON put where a number is missing; it must not pass for a text."""
EXACT_BELOW = 2**53
"""From here on a float has lost digits of a whole number."""
ID_LENGTH = 26
"""How long nearly all ids are; the rules for numbers are looked at for the others alone."""
CONTROL = "[\\x00-\\x1f\\x7f]"
LOST_POWER = "[+-]?[0-9]([.,][0-9]+)?[Ee][+]?[0-9]{1,3}"
UUID_LENGTH = 36
"""How long the ids of messages are."""
# Where the decimal point is a comma, three zeros behind it could be thousands.
_NO_FRACTION = "([.]0*|,0{1,2})"
_WHOLE_FLOAT = f"-?[0-9]+{_NO_FRACTION}"
_SMALL_POWER = "-?[0-9]([.,][0-9]{0,9})?[Ee][+]0?[0-8]"
_FLAG_WORDS = {"true": "true", "false": "false"}
_FLAG_WORDS |= dict.fromkeys(("t", "T", "True", "TRUE", "1", "1.0", "1,0", "yes", "Yes", "YES", "y", "Y"), "true")
_FLAG_WORDS |= dict.fromkeys(("f", "F", "False", "FALSE", "0", "0.0", "0,0", "no", "No", "NO", "n", "N"), "false")
_NOT_NESTED = ", not a nested value"


@dataclass(frozen=True)
class ValueKind:
    """What holds of every field of a kind.

    ``read`` gives SQL for the value of the text that SQL gives, null where it is none; ``sql_type`` and ``dtype`` are
    its types in DuckDB and pandas, ``least`` the least value that it may have.
    """

    read: Callable[[str], str]
    sql_type: str
    dtype: Any
    dtype_name: str
    expected: str
    least: Any = None

    @property
    def expected_where_missing(self) -> str:
        """What is expected where nothing is: what is not there is not nested either."""
        return self.expected.removesuffix(_NOT_NESTED)


def _whole_number(x: str) -> str:
    # Only digits are a number here: a cast alone would round 3.7, and read 0x10 and 1_000.
    plain = f"TRY_CAST({x} AS BIGINT)"
    power = f"TRY_CAST(replace({x}, ',', '.') AS DECIMAL(38, 9))"
    # Most that come so far are null: they are looked at by one pattern.
    return (
        f"CASE WHEN {x} = CAST({plain} AS VARCHAR) THEN {plain} "
        f"WHEN regexp_full_match({x}, '-?[0-9]{{1,18}}{_NO_FRACTION}?|{_SMALL_POWER}') THEN "
        f"CASE WHEN NOT contains(lower({x}), 'e') THEN TRY_CAST(regexp_extract({x}, '^-?[0-9]+') AS BIGINT) "
        f"WHEN {power} = trunc({power}) THEN CAST({power} AS BIGINT) END END"
    )


def _flag(x: str) -> str:
    # A simple CASE: a list of values behind IN would become a join. What is null is not compared with every word.
    whens = " ".join(f"WHEN {quote_literal(word)} THEN {value}" for word, value in _FLAG_WORDS.items())
    return f"CASE WHEN {x} IS NOT NULL THEN CASE {x} {whens} END END"


def _category(x: str) -> str:
    return f"NULLIF({x}, '')"


def _id(x: str) -> str:
    words = quote_literal("|".join(("", *NULL_WORDS, *NIL_IDS, "")))
    is_word = f"contains({words}, '|' || {x} || '|') AND NOT contains({x}, '|')"
    # Most have one of two lengths, or are missing; what begins with a digit above 0 or a letter is no nil UUID, nor
    # blank. A list of words would become a join.
    return (
        f"CASE WHEN strlen({x}) = {ID_LENGTH} THEN {x} "
        f"WHEN {x} IS NULL OR {x} = '' THEN NULL "
        f"WHEN strlen({x}) = {UUID_LENGTH} AND {x} >= '1' AND {x} < '{{' THEN {x} "
        f"WHEN strlen({x}) < {ID_LENGTH} AND regexp_full_match({x}, {quote_literal(_WHOLE_FLOAT)}) "
        f"THEN CASE WHEN {_is_inexact(x)} THEN {x} ELSE regexp_extract({x}, '^-?[0-9]+') END "
        f"WHEN trim({x}) = '' OR ({is_word}) THEN NULL ELSE {x} END"
    )


def _is_inexact(x: str) -> str:
    return f"COALESCE(abs(TRY_CAST(replace({x}, ',', '.') AS DOUBLE)) >= {EXACT_BELOW}, true)"


def is_lost_id(x: str) -> str:
    """Return SQL that tells an id that was a number, and lost digits when it became a float."""
    short = f"strlen({x}) < {ID_LENGTH} AND regexp_full_match({x}, {quote_literal(LOST_POWER)})"
    has_zero = f"(contains({x}, '.0') OR (strlen({x}) < {ID_LENGTH} AND contains({x}, ',0')))"
    whole = f"{has_zero} AND regexp_full_match({x}, {quote_literal(_WHOLE_FLOAT)}) AND {_is_inexact(x)}"
    # Numbers begin with a sign or a digit, which sort before all letters.
    return f"({x} < ':' AND (({short}) OR ({whole})))"


def has_control(x: str) -> str:
    """Return SQL that tells a text with a control character."""
    return f"regexp_matches({x}, {quote_literal(CONTROL)})"


VALUE_KINDS: dict[Kind, ValueKind] = {
    "id": ValueKind(
        _id,
        "VARCHAR",
        Annotated[pd.StringDtype, "pyarrow", float("nan")],
        "str",
        f"a text{_NOT_NESTED}",
    ),
    "category": ValueKind(_category, "VARCHAR", pd.CategoricalDtype, "category", f"a text{_NOT_NESTED}"),
    "count": ValueKind(_whole_number, "BIGINT", pd.Int64Dtype, "Int64", "a whole number >= 0", least=0),
    "integer": ValueKind(_whole_number, "BIGINT", pd.Int64Dtype, "Int64", "a whole number"),
    "flag": ValueKind(_flag, "BOOLEAN", pd.BooleanDtype, "boolean", "true or false"),
    "time": ValueKind(
        times.time_sql,
        "TIMESTAMPTZ",
        Annotated[pd.DatetimeTZDtype, "us", "UTC"],
        "datetime64[us, UTC]",
        times.EXPECTED,
        least=pd.Timestamp(times.EARLIEST),
    ),
}
"""Every kind of value."""
