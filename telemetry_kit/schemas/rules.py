"""From the declarations of the fields to SQL: how text becomes a value, and what makes a record invalid.

Raw records arrive as text columns ``raw_<column>``. ``typed_query`` gives each its type by a ``try_cast`` of the form
that is expected, never by what a cast happens to accept, and tells what is valid; ``reason_query`` tells, for the few
that are not, every fault with its column, its rule and its value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from telemetry_kit import schemas
from telemetry_kit.schemas.names import fold, quote_identifier, quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from telemetry_kit.schemas import EventType, Field

VALID, REJECTED, OTHER, DUPLICATE, VOID = 0, 1, 2, 3, 4
"""What became of a record; void is one that was read anew."""

CLOCK_TOLERANCE_US = 86_400_000_000
"""How far behind its event a record may arrive: a clock that is further ahead must not set the cutoff."""
_LAST_US = 9_000_000_000_000_000_000
"""A count of microseconds to which the tolerance can be added."""
SECONDS_BELOW, MILLISECONDS_BELOW, MICROSECONDS_BELOW = 10**11, 10**14, 10**17
_SHOWN = 80
NO_NUMBERS = ("NaN", "Infinity", "-Infinity")
"""What some writers of JSON put where a number is missing; it must not pass for a text."""
_FLAG_WORDS = {"true": "true", "false": "false"}
_FLAG_WORDS |= dict.fromkeys(("t", "True", "TRUE", "1", "1.0"), "true")
_FLAG_WORDS |= dict.fromkeys(("f", "False", "FALSE", "0", "0.0"), "false")


class Fault(NamedTuple):
    """A condition under which a record is invalid, and the words for it, both in SQL.

    ``is_rare`` is one that a reader of many records looks for afterwards (``NO_TEXT``), at a fraction of the cost.
    """

    condition: str
    message: str
    is_rare: bool = False


def _whole_number(x: str) -> str:
    # Only digits are a number here: a cast alone would round 3.7, and read 0x10 and 1_000.
    plain = f"TRY_CAST({x} AS BIGINT)"
    return (
        f"CASE WHEN {x} = CAST({plain} AS VARCHAR) THEN {plain} "
        f"WHEN regexp_full_match({x}, '-?[0-9]{{1,18}}([.]0*)?') THEN TRY_CAST(split_part({x}, '.', 1) AS BIGINT) END"
    )


def _flag(x: str) -> str:
    # A simple CASE: a list of values behind IN would become a join. What is null is not compared with every word.
    whens = [f"WHEN {quote_literal(word)} THEN {value}" for word, value in _FLAG_WORDS.items()]
    return f"CASE WHEN {x} IS NOT NULL THEN CASE {x} {' '.join(whens)} END END"


def _time(x: str) -> str:
    # A date and a time of day, or a count since 1970 whose unit its size tells.
    zoned = f"COALESCE(TRY_CAST({x} AS TIMESTAMPTZ), TRY_CAST(upper({x}) AS TIMESTAMPTZ))"
    written = f"CASE WHEN length({x}) >= 16 AND {x} < ':' AND {x} > '0' AND contains({x}, '-') THEN {zoned} END"
    whole, count = (f"TRY_CAST({part} AS BIGINT)" for part in (x, f"split_part({x}, '.', 1)"))
    counted = (
        f"CASE WHEN regexp_full_match({x}, '-?[0-9]{{1,19}}([.]0*)?') THEN make_timestamptz(CASE "
        f"WHEN abs({count}) < {SECONDS_BELOW} THEN {count} * 1000000 "
        f"WHEN abs({count}) < {MILLISECONDS_BELOW} THEN {count} * 1000 "
        f"WHEN abs({count}) < {MICROSECONDS_BELOW} THEN {count} ELSE {count} // 1000 END) END"
    )
    # Every count of our time in milliseconds has thirteen digits; to find that out costs little.
    usual = f"CASE WHEN length({x}) = 13 AND {x} = CAST({whole} AS VARCHAR) THEN make_timestamptz({whole} * 1000) END"
    return f"COALESCE({usual}, {written}, {counted})"


def _text(x: str) -> str:
    return f"NULLIF({x}, '')"


def _typed(field: Field) -> str:
    x = f"raw_{field.column}"
    if field.column == "new_state":
        states = " ".join(
            f"WHEN {quote_literal(s)} THEN {quote_literal(m)}" for s, m in schemas.STATE_SPELLINGS.items()
        )
        return f"CASE WHEN is_state_change THEN COALESCE(named_state, CASE COALESCE({x}, '') {states} END) END"
    if field.column == "action":
        return f"COALESCE(NULLIF({x}, ''), named_action)"
    forms = {"count": _whole_number, "integer": _whole_number, "flag": _flag, "time": _time}
    return forms.get(field.kind, _text)(x)


def _is_no_number(x: str) -> str:
    return "(" + " OR ".join(f"{x} = {quote_literal(word)}" for word in NO_NUMBERS) + ")"


NO_TEXT = " OR ".join(
    _is_no_number(quote_identifier(field.column))
    for field in schemas.FIELDS
    if field.kind in ("text", "category") and field.column not in ("event_type", "new_state")
)
"""Tells a typed record in which some text is what stands for a missing number."""


def _is_nested(x: str) -> str:
    return f"({x} LIKE '{{%' OR {x} LIKE '[%')"


EXPECTED = {
    "count": "a whole number >= 0",
    "integer": "a whole number",
    "flag": "true or false",
    "time": "a time such as 2020-11-02T00:35:08.199Z or milliseconds since 1970",
    "text": "a text, not a nested value",
    "category": "a text, not a nested value",
}


def _shown(x: str) -> str:
    return f"CASE WHEN length({x}) > {_SHOWN} THEN left({x}, {_SHOWN}) || '…' ELSE {x} END"


def _faults(field: Field, event_type: EventType) -> Iterable[Fault]:
    raw, value, column = f"raw_{field.column}", quote_identifier(field.column), field.column
    wrong = f"'{column}: got \"' || {_shown(raw)} || '\", expected {EXPECTED[field.kind]}'"
    if field.column == "new_state":
        states = ", ".join('"' + state + '"' for state in schemas.STATE_SPELLINGS)
        words = f"'{column}: got \"' || {_shown(raw)} || '\", expected one of {states}'"
        yield Fault(f"(is_state_change AND {value} IS NULL)", words)
        return
    if field.column == "event_type":
        return
    if field.kind in ("text", "category"):
        yield Fault(_is_nested(raw), wrong)
        yield Fault(_is_no_number(raw), wrong, is_rare=True)
    else:
        yield Fault(f"({raw} <> '' AND {value} IS NULL)", wrong)
    if field.kind == "count":
        yield Fault(f"({value} < 0)", wrong)
    if field.kind == "time":
        outside = (
            f"({value} < TIMESTAMPTZ '0001-01-01 00:00:00+00' OR {value} >= TIMESTAMPTZ '10000-01-01 00:00:00+00')"
        )
        yield Fault(outside, wrong)
    if event_type not in field.events:
        return
    if event_type not in field.nullable_in and field.column != "event_id":
        yield Fault(f"COALESCE({raw}, '') = ''", f"'{column}: missing, expected {EXPECTED[field.kind]}'")
    elif field.until_version is not None:
        major, minor = field.until_version
        version = "TRY_CAST(regexp_extract(plugin_version, '^v?([0-9]+)[.]([0-9]+)', {}) AS INTEGER)"
        before = f"{version.format(1)} * 1000 + {version.format(2)} <= {major * 1000 + minor}"
        absent = f"(COALESCE({raw}, '') = '' AND current_status IS NULL AND {before})"
        words = f"'{column}: missing in an event of plugin ' || plugin_version || ', expected {EXPECTED[field.kind]}'"
        yield Fault(absent, words)
    if field.column == "event_timestamp":
        yield Fault(
            f"(epoch_us({value}) > least(epoch_us(received_time), {_LAST_US}) + {CLOCK_TOLERANCE_US})",
            f"'{column}: ' || CAST({value} AS VARCHAR) || ' lies more than a day after the record arrived, at ' "
            "|| CAST(received_time AS VARCHAR)",
        )


def faults_of(event_type: EventType) -> list[Fault]:
    """Return everything that makes a record of ``event_type`` invalid.

    A field that such events do not have may still not hold a wrong value: it shows that the record is damaged.
    """
    return [fault for field in schemas.FIELDS for fault in _faults(field, event_type)]


def _folded(x: str) -> str:
    return f"lower(replace(replace({x}, '_', ''), ' ', ''))"


def _by_name(given: Iterable[tuple[str, str | None]], own: str) -> str:
    """Return SQL that looks up a name of an event; ``own`` is for the three names of today, which need no folding."""
    today = ", ".join(f"type_name = {quote_literal(kind)}" for kind in schemas.EVENT_TYPES).replace(",", " OR")
    whens = " ".join(f"WHEN {quote_literal(fold(key))} THEN {quote_literal(v)}" for key, v in given if v is not None)
    return f"CASE WHEN {today} THEN {own} ELSE CASE {_folded('type_name')} {whens} END END"


_TYPE_OF = _by_name(
    [(t, t) for t in schemas.EVENT_TYPES] + [(k, v[0]) for k, v in schemas.LEGACY_EVENTS.items()], own="type_name"
)
_ACTION_OF = _by_name(((key, action) for key, (_, action, _) in schemas.LEGACY_EVENTS.items()), own="NULL")
_STATE_OF = _by_name(((key, state) for key, (_, _, state) in schemas.LEGACY_EVENTS.items()), own="NULL")


def typed_query(raw: str, *, needs_id: bool) -> str:
    """Return the query that types the raw records of the relation ``raw`` and says what became of each.

    ``needs_id`` takes a record without an id as rejected, for a reader that will look at it once more, and leaves to
    that reader to look for ``NO_TEXT``; otherwise it gets a digest of its content, so that an equal record has an equal
    id.
    """
    named = f"SELECT *, {_TYPE_OF} AS event_type, {_ACTION_OF} AS named_action, {_STATE_OF} AS named_state FROM ({raw})"
    acted = f"SELECT *, {_typed(_ACTION)} AS action, {_time('received_at')} AS received_time FROM ({named})"
    changed = f"SELECT *, {_IS_STATE_CHANGE} AS is_state_change FROM ({acted})"
    values = ", ".join(f"{_typed(field)} AS {quote_identifier(field.column)}" for field in _VALUES)
    typed = f"SELECT *, {values} FROM ({changed})"
    without_id = f"WHEN event_id IS NULL THEN {REJECTED}" if needs_id else ""
    identity = "event_id" if needs_id else f"COALESCE(event_id, {_digest()})"
    return f"""
        SELECT * REPLACE ({identity} AS event_id),
            CASE WHEN type_name IS NULL OR {_is_nested("type_name")} THEN {REJECTED}
                 WHEN event_type IS NULL THEN {OTHER} {without_id}
                 WHEN {_is_faulty(has_rare=not needs_id)} THEN {REJECTED} ELSE {VALID} END AS status
        FROM ({typed})
    """


def _is_faulty(*, has_rare: bool) -> str:
    """Return SQL that tells a record with a fault.

    As one alternative of all faults it costs a third of what a case for each event type would: each is looked for only
    where none was found before.
    """
    kinds: dict[str, list[str]] = {}
    for kind in schemas.EVENT_TYPES:
        for fault in faults_of(kind):
            if has_rare or not fault.is_rare:
                kinds.setdefault(fault.condition, []).append(f"'{kind}'")
    is_all = len(schemas.EVENT_TYPES)
    shared = [condition for condition, found in kinds.items() if len(found) == is_all]
    others = [f"(event_type IN ({', '.join(found)}) AND {c})" for c, found in kinds.items() if len(found) < is_all]
    return f"({' OR '.join((*shared, *others))})"


_ACTION = next(field for field in schemas.FIELDS if field.column == "action")
_VALUES = [field for field in schemas.FIELDS if field.column not in ("event_type", "action")]
_IS_STATE_CHANGE = (
    f"(event_type = 'tasks' AND (action = {quote_literal(schemas.STATE_CHANGE)} OR (action IS NULL AND "
    "(raw_was_commander IS NOT NULL OR raw_was_assignee IS NOT NULL))))"
)


def _digest() -> str:
    columns = (quote_identifier(field.column) for field in schemas.FIELDS if field.column != "event_id")
    parts = ", ".join(f"COALESCE(CAST({column} AS VARCHAR), chr(30))" for column in columns)
    return f"md5(concat_ws(chr(31), {parts}))"


def reason_query(typed: str) -> str:
    """Return the query that adds a ``reason``, every fault of the record, to the rejected records of ``typed``."""
    reasons = " ".join(
        f"WHEN '{kind}' THEN concat_ws('; ', {', '.join(_told(fault) for fault in faults_of(kind))})"
        for kind in schemas.EVENT_TYPES
    )
    expected = ", expected one of " + ", ".join(schemas.EVENT_TYPES)
    missing = quote_literal("event_type: missing" + expected)
    untold = f"CASE WHEN type_name IS NULL THEN {missing} ELSE {_wrong_type(expected)} END"
    return f"SELECT *, CASE event_type {reasons} ELSE {untold} END AS reason FROM ({typed}) WHERE status = {REJECTED}"


def _wrong_type(expected: str) -> str:
    return f"'event_type: got \"' || {_shown('type_name')} || '\"{expected}'"


def _told(fault: Fault) -> str:
    return f"CASE WHEN {fault.condition} THEN {fault.message} END"
