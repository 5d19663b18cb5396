"""From the declarations of the fields to SQL: how text becomes a value, and what makes a record invalid.

Raw records arrive as text columns ``raw_<column>``. ``typed_query`` gives each its type by the form that is expected,
never by what a cast happens to accept, and tells what is valid; ``reason_query`` tells, for the few that are not, every
fault with its column, its rule and its value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from telemetry_kit import schemas
from telemetry_kit.schemas.names import fold, quote_identifier, quote_literal
from telemetry_kit.schemas.times import EARLIEST_US, TOLERANCE_US, usual_us_sql, written_us_sql
from telemetry_kit.schemas.values import CONTROL, NO_NUMBERS, VALUE_KINDS, has_control, is_lost_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from telemetry_kit.schemas import EventType, Field

VALID, REJECTED, OTHER, DUPLICATE, VOID = 0, 1, 2, 3, 4
"""What became of a record; void is one that was read anew."""
_SHOWN = 80
LATE_US = 90 * 86_400_000_000
"""How long after its own time an event may arrive before that deserves a look."""
TRANSPORT = ("event_id", "original_timestamp", "utc_offset_s")
"""What may differ where the same event is delivered again, or written by another tool."""


class Fault(NamedTuple):
    """A condition under which a record is invalid, and the words for it, both in SQL.

    ``is_rare`` is one that a reader of many records looks for afterwards (``NO_TEXT``, ``HAS_CONTROL``), at a fraction
    of the cost; ``is_control`` one that is found in no record without control characters.
    """

    condition: str
    message: str
    is_rare: bool = False
    is_control: bool = False


def _any(conditions: Iterable[str]) -> str:
    return "(" + " OR ".join(conditions) + ")"


def _is_no_number(x: str) -> str:
    return f"is_no_number({x})"


_TEXTS = [
    field
    for field in schemas.FIELDS
    if field.kind in ("id", "category") and field.column not in ("event_type", "new_state")
]
_IDS = [quote_identifier(field.column) for field in _TEXTS if field.kind == "id"]
NO_TEXT = _any(
    [
        *(_is_no_number(quote_identifier(field.column)) for field in _TEXTS),
        *(f"is_lost_id({column})" for column in _IDS),
    ]
)
"""Tells a typed record in which some text is what stands for a missing number, or an id that has lost digits."""
HAS_CONTROL = has_control(f"concat({', '.join(_IDS)})")
"""Tells a typed record with a control character in an id."""


def _is_nested(x: str) -> str:
    return f"is_nested({x})"


def create_macros(connection: duckdb.DuckDBPyConnection) -> None:
    """Define on a connection what the queries of this module call: to parse each rule once takes time enough."""
    # What is nested begins with a bracket; nothing else sorts there.
    bodies = {
        "is_nested": "(x >= '{' AND x < '|') OR (x >= '[' AND x < '\\')",
        "is_no_number": _any(f"x = {quote_literal(word)}" for word in NO_NUMBERS),
        "is_lost_id": is_lost_id("x"),
        "usual_us": usual_us_sql("x"),
        **{f"read_{name}": kind.read("x") for name, kind in VALUE_KINDS.items() if name != "time"},
    }
    connection.execute(";".join(f"CREATE OR REPLACE TEMP MACRO {name}(x) AS ({body})" for name, body in bodies.items()))


def shown(x: str) -> str:
    """Return SQL for as much of a text as a reason shows."""
    return f"CASE WHEN length({x}) > {_SHOWN} THEN left({x}, {_SHOWN}) || '…' ELSE {x} END"


def _got(field: Field, expected: str) -> str:
    told = f"regexp_replace({shown('raw_' + field.column)}, {quote_literal(CONTROL)}, '\ufffd', 'g')"
    return f"'{field.column}: got \"' || {told} || '\", expected ' || {quote_literal(expected)}"


def _faults(field: Field, event_type: EventType) -> Iterable[Fault]:
    raw, value = f"raw_{field.column}", quote_identifier(field.column)
    kind = VALUE_KINDS[field.kind]
    wrong = _got(field, kind.expected)
    if field.column == "new_state":
        states = ", ".join('"' + state + '"' for state in schemas.STATE_SPELLINGS)
        yield Fault(f"(is_state_change AND {value} IS NULL)", _got(field, f"one of {states}"))
        return
    if field.column == "event_type":
        return
    if field.kind in ("id", "category"):
        yield Fault(_is_nested(raw), wrong)
        yield Fault(_is_no_number(value), wrong, is_rare=True)
    else:
        yield Fault(f"({raw} <> '' AND {value} IS NULL)", wrong)
    if field.kind == "id":
        yield Fault(f"is_lost_id({value})", _got(field, "an id whose digits are all there"), is_rare=True)
        yield Fault(has_control(value), _got(field, "an id without control characters"), is_rare=True, is_control=True)
    if field.kind == "count":
        yield Fault(f"({value} < {kind.least})", wrong)
    if field.kind == "time":
        yield from _implausible(field)
    if event_type in field.events:
        yield from _missing(field, is_nullable=event_type in field.nullable_in or field.column == "event_id")


def _missing(field: Field, *, is_nullable: bool) -> Iterable[Fault]:
    """Give the faults of a record without a value that it should have."""
    raw, column = f"raw_{field.column}", field.column
    expected = VALUE_KINDS[field.kind].expected_where_missing
    if not is_nullable:
        yield Fault(f"COALESCE({raw}, '') = ''", f"'{column}: missing, expected {expected}'")
        if field.kind == "id":
            yield Fault(f"({raw} <> '' AND {quote_identifier(column)} IS NULL)", _got(field, "an id"))
    elif field.until_version is not None:
        major, minor = field.until_version
        version = "TRY_CAST(regexp_extract(plugin_version, '^v?([0-9]+)[.]([0-9]+)', {}) AS INTEGER)"
        before = f"{version.format(1)} * 1000 + {version.format(2)} <= {major * 1000 + minor}"
        absent = f"(COALESCE({raw}, '') = '' AND current_status IS NULL AND {before})"
        words = f"'{column}: missing in an event of plugin ' || plugin_version || ', expected {expected}'"
        yield Fault(absent, words)


def _implausible(field: Field) -> Iterable[Fault]:
    """Give what is wrong with a time that is one: a placeholder, or of a broken clock."""
    value = quote_identifier(field.column)
    told = f"'{field.column}: ' || {shown('raw_' + field.column)} || ' lies "
    yield Fault(f"(epoch_us({value}) < {EARLIEST_US})", f"{told}before 2019-01-01, when nothing sent such events'")
    if field.column != "event_timestamp":
        yield Fault(f"(epoch_us({value}) > loaded_us + {TOLERANCE_US})", f"{told}in the future'")
        return
    words = "CASE WHEN arrived_us IS NULL THEN 'it was loaded' ELSE {} END"
    arrived = words.format("'the record arrived, at ' || CAST(make_timestamptz(arrived_us) AS VARCHAR)")
    yield Fault(
        f"(epoch_us({value}) > COALESCE(arrived_us, loaded_us) + {TOLERANCE_US})",
        f"{told}more than a day after ' || {arrived}",
    )


def faults_of(event_type: EventType) -> list[Fault]:
    """Return everything that makes a record of ``event_type`` invalid.

    A field that such events do not have may still not hold a wrong value: it shows that the record is damaged.
    """
    return [fault for field in schemas.FIELDS for fault in _faults(field, event_type)]


_IS_TODAYS = "type_name IN ({})".format(", ".join(map(quote_literal, schemas.EVENT_TYPES)))
_MEANT: list[tuple[str, tuple[str, str, str]]] = [(kind, (kind, "", "")) for kind in schemas.EVENT_TYPES]
_MEANT += [(name, (kind, action, state or "")) for name, (kind, action, state) in schemas.LEGACY_EVENTS.items()]
_WHENS = " ".join(f"WHEN {quote_literal(fold(name))} THEN {quote_literal(','.join(told))}" for name, told in _MEANT)
_LEGACY = f"CASE WHEN NOT ({_IS_TODAYS}) THEN CASE lower(translate(type_name, '_ .-', '')) {_WHENS} END END"
"""Looks up what another name than the three of today means: event type, action and state, with commas between."""
_IS_STATE_CHANGE = (
    f"(event_type = 'tasks' AND (action = {quote_literal(schemas.STATE_CHANGE)} OR (action IS NULL AND "
    "(raw_was_commander IS NOT NULL OR raw_was_assignee IS NOT NULL))))"
)


_TIMES = [*(f"raw_{field.column}" for field in schemas.FIELDS if field.kind == "time"), "received_at"]
_IS_UNUSUAL = _any(f"({x} <> '' AND usual_{x} IS NULL)" for x in _TIMES)
_WRITTEN = (
    f"CASE WHEN {_IS_UNUSUAL} THEN list_transform([{', '.join(_TIMES)}], lambda told: {written_us_sql('told')}) END"
)
"""Reads the times of a record once more, by the whole grammar of times, where one has no usual form."""


def _us(x: str) -> str:
    """Return SQL for the microseconds of a time."""
    return f"COALESCE(usual_{x}, written[{_TIMES.index(x) + 1}])"


def _typed(field: Field) -> str:
    x = f"raw_{field.column}"
    if field.column == "new_state":
        states = " ".join(
            f"WHEN {quote_literal(s)} THEN {quote_literal(m)}" for s, m in schemas.STATE_SPELLINGS.items()
        )
        return f"CASE WHEN is_state_change THEN COALESCE(named_state, CASE COALESCE({x}, '') {states} END) END"
    if field.kind == "time":
        return f"make_timestamptz({_us(x)})"
    if field.column == "utc_offset_s":
        return f"CASE WHEN {x} <> '' THEN read_{field.kind}({x}) ELSE told_offset_s END"
    return f"read_{field.kind}({x})"


def typed_query(raw: str, *, needs_id: bool, loaded_us: int, may_have_control: bool = True) -> str:
    """Return the query that types the raw records that the query ``raw`` gives, and says what became of each.

    It and all others need what ``create_macros`` defines.

    ``needs_id`` takes a record without an id as rejected, for a reader that will look at it once more, and leaves to
    that reader to look for ``NO_TEXT`` and ``HAS_CONTROL``; otherwise it gets a digest of its content, so that an equal
    record has an equal id. ``loaded_us`` is the moment of loading: no event comes from the future. Where no record
    may have a control character, which takes long to tell, none is looked for.
    """
    typed_fields = [field for field in schemas.FIELDS if field.column not in ("event_type", "action")]
    values = ", ".join(f"{_typed(field)} AS {quote_identifier(field.column)}" for field in typed_fields)
    without_id = f"WHEN event_id IS NULL THEN {REJECTED}" if needs_id else ""
    with_id = "" if needs_id else f"REPLACE (COALESCE(event_id, {_digest()}) AS event_id)"
    status = f"""
        CASE WHEN type_name IS NULL OR {_is_nested("type_name")} THEN {REJECTED}
             WHEN event_type IS NULL THEN {OTHER}
             {without_id}
             WHEN {_is_faulty(has_rare=not needs_id, may_have_control=may_have_control)} THEN {REJECTED}
             ELSE {VALID} END
    """
    received = _us("received_at")
    latest = loaded_us + TOLERANCE_US
    return f"""
        WITH raw_records AS ({raw}),
        named AS (
            SELECT *, {_LEGACY} AS legacy, {", ".join(f"usual_us({x}) AS usual_{x}" for x in _TIMES)} FROM raw_records
        ),
        acted AS (
            SELECT *, CASE WHEN legacy IS NOT NULL THEN split_part(legacy, ',', 1)
                WHEN {_IS_TODAYS} THEN type_name END AS event_type,
                COALESCE(NULLIF(raw_action, ''), NULLIF(split_part(legacy, ',', 2), '')) AS action,
                NULLIF(split_part(legacy, ',', 3), '') AS named_state, {loaded_us} AS loaded_us, {_WRITTEN} AS written
            FROM named
        ),
        changed AS (
            SELECT *, {_IS_STATE_CHANGE} AS is_state_change,
                CASE WHEN {received} BETWEEN {EARLIEST_US} AND {latest} THEN {received} END AS arrived_us
            FROM acted
        ),
        typed AS (SELECT *, {values} FROM changed),
        judged AS (
            SELECT *, {status} AS status, arrived_us - epoch_us(event_timestamp) > {LATE_US} AS is_late FROM typed
        )
        SELECT * {with_id} FROM judged
    """


def _is_faulty(*, has_rare: bool, may_have_control: bool) -> str:
    """Return SQL that tells a record with a fault.

    As one alternative of all faults it costs a third of what a case for each event type would: each is looked for only
    where none was found before.
    """
    kinds: dict[str, list[str]] = {}
    for kind in schemas.EVENT_TYPES:
        for fault in faults_of(kind):
            if (has_rare or not fault.is_rare) and (may_have_control or not fault.is_control):
                kinds.setdefault(fault.condition, []).append(quote_literal(kind))
    by_kinds: dict[tuple[str, ...], list[str]] = {}
    for condition, found in kinds.items():
        by_kinds.setdefault(tuple(found), []).append(condition)
    shared = by_kinds.pop(tuple(map(quote_literal, schemas.EVENT_TYPES)), [])
    others = [f"(event_type IN ({', '.join(found)}) AND ({_any(own)}))" for found, own in by_kinds.items()]
    return _any((*shared, *others))


def content_columns() -> list[str]:
    """Return the columns that make an event what it is, whichever way it came."""
    return [field.column for field in schemas.FIELDS if field.column not in TRANSPORT]


def _digest() -> str:
    parts = ", ".join(f"COALESCE(CAST({quote_identifier(c)} AS VARCHAR), chr(30))" for c in content_columns())
    return f"md5(concat_ws(chr(31), {parts}))"


def reason_query(judged: str) -> str:
    """Return the query that adds a ``reason``, every fault of the record, to the rejected records of a table."""
    reasons = " ".join(
        f"WHEN '{kind}' THEN concat_ws('; ', {', '.join(_told(fault) for fault in faults_of(kind))})"
        for kind in schemas.EVENT_TYPES
    )
    expected = ", expected one of " + ", ".join(schemas.EVENT_TYPES)
    missing = quote_literal("event_type: missing" + expected)
    wrong = f"'event_type: got \"' || {shown('type_name')} || '\"{expected}'"
    untold = f"CASE WHEN type_name IS NULL THEN {missing} ELSE {wrong} END"
    return f"""
        SELECT *, CASE event_type {reasons} ELSE {untold} END AS reason
        FROM {quote_identifier(judged)} AS judged WHERE status = {REJECTED}
    """


def _told(fault: Fault) -> str:
    return f"CASE WHEN {fault.condition} THEN {fault.message} END"
