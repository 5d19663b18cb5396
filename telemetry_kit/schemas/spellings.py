"""Which names mean a field, in every era and container: keys of JSON, columns of tables, names of events."""

from __future__ import annotations

import functools
import operator
import re
from typing import TYPE_CHECKING

from telemetry_kit.schemas.fields import EVENT_TYPES, FIELDS, LEGACY_EVENTS
from telemetry_kit.schemas.names import fold
from telemetry_kit.schemas.times import offset_s_sql

if TYPE_CHECKING:
    from collections.abc import Iterable

PROPERTY_COLUMNS = frozenset(field.column for field in FIELDS if field.is_property)
CARRIED = {"received_at": "VARCHAR", "type_name": "VARCHAR", "told_offset_s": "BIGINT"}
"""What a raw record has beside the fields, with its type: when the pipeline got it, the name of its event or table, and
the offset that its time tells."""


def event_type_of(type_name: str | None) -> str | None:
    """Return the event type that the name of an event or of its table means, null where it is none of ours."""
    if type_name is None:
        return None
    folded = fold(type_name)
    legacy = {fold(key): kind for key, (kind, _, _) in LEGACY_EVENTS.items()}
    return folded if folded in EVENT_TYPES else legacy.get(folded)


_ENVELOPE = frozenset(
    ("anonymousid", "batch", "channel", "integrations", "loadedat", "properties", "receivedat", "requestip", "rudderid",
     "sentat", "traits", "uuidts", "version", "writekey")
)  # fmt: skip
_WIRE_TIME = "timestamp"
_ARRIVAL = ("receivedat", "sentat")
_NAMES = frozenset(n for field in FIELDS for n in (field.wire, field.column, field.published, *field.aliases))


MOST_KEYS = 4096
"""Of how many keys it is remembered whether they are read: the documents of a file have the same few."""
_PROPERTIES = ("properties", "eventproperties")
_FLATTENED = re.compile(r"""(?:event_?)?properties(?:__?|[.:/| ]|->>?|-|\[)["']?(?=.)""", re.IGNORECASE)
_BEHIND = re.compile(r"""["']?\]?(?:::\w+)?$""")
"""What a query leaves behind the name of a property: ``properties['Action']``, ``properties:Action::string``."""


def property_name(key: str) -> str | None:
    """Return the name of a property whose key tells where it stood, such as ``properties.Action``; null for others."""
    found = _FLATTENED.match(key)
    return _BEHIND.sub("", key[found.end() :]) if found else None


@functools.lru_cache(maxsize=MOST_KEYS)
def is_read(key: str) -> bool:
    """Tell whether a key names a field, or a time at which the record arrived."""
    name = property_name(key)
    if name is not None:
        return is_property(name)
    folded = fold(key)
    return folded in _ARRIVAL or _spelling(folded) is not None


def is_property(key: str) -> bool:
    """Tell whether a key among the properties of an event names a field; the envelope has no place there."""
    match = _spelling(fold(key))
    return match is not None and match[0] in PROPERTY_COLUMNS


def is_known(key: str) -> bool:
    """Tell whether a key is read, or belongs to the envelope that the pipeline puts around an event."""
    folded = fold(key)
    return folded in _ENVELOPE or folded in _PROPERTIES or folded.startswith("context") or is_read(key)


def is_properties(key: str) -> bool:
    """Tell whether a key names what holds the properties of an event."""
    return fold(key) in _PROPERTIES


def not_understood(keys: Iterable[str], properties: Iterable[str] = ()) -> list[str]:
    """Return the keys that name neither a field nor something that the pipeline puts around an event."""
    return [k for k in keys if not is_known(k)] + [k for k in properties if not is_property(k)]


def _spelling(folded: str) -> tuple[str, int] | None:
    """Return the field that a folded key names, and its rank among the spellings of that field."""
    return _spellings().get(folded)


@functools.cache
def _spellings() -> dict[str, tuple[str, int]]:
    found: dict[str, tuple[str, int]] = {}
    for field in FIELDS:
        names = [name for name in (field.wire, *field.aliases, field.column, field.published) if name]
        for rank, name in enumerate(names):
            found.setdefault(fold(name), (field.column, rank))
    return found


def expressions(keys: Iterable[tuple[str, str]], properties: Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """Return SQL for each field that some key names; where several name it, the first that has a value counts.

    ``keys`` are the names of columns, ``properties`` those of an event's properties, each with the SQL for its value.
    Where a record has ``properties`` of its own, which is a column then, ``timestamp`` is as the sender wrote it, and
    tells the offset of the sender's clock. What makes tables of them has times in a zone of its own.
    """
    made = {}
    keys, properties = list(keys), list(properties)
    for column, keyed in ways(keys, properties).items():
        # The client library says "track" of every event; only the published form has the event type there.
        way = [f"NULLIF({x}, 'track')" if fold(key) == "type" else x for key, x in keyed]
        way = [f"NULLIF({x}, '')" for x in way] if column == "event_type" else way
        made[column] = f"COALESCE({', '.join(way)})" if len(way) > 1 else way[0]
    told = [offset_s_sql(x) for key, x in keys if properties and fold(key) == _WIRE_TIME]
    if told:
        made["told_offset_s"] = f"CASE WHEN properties IS NOT NULL THEN COALESCE({', '.join(told)}) END"
    if "event_type" in made:
        made["type_name"] = made.pop("event_type")
    return made


def ways(
    keys: Iterable[tuple[str, str]], properties: Iterable[tuple[str, str]] = ()
) -> dict[str, list[tuple[str, str]]]:
    """Return the keys that name each field, with what came along; the first that has a value counts.

    ``keys`` are the names of columns, those of flattened properties among them, ``properties`` those of an event's
    properties. When a record arrived is there as ``received_at``.
    """
    found: dict[str, list[tuple[tuple[bool, int, bool], tuple[str, str]]]] = {}
    keys = list(keys)
    flattened = [(name, way) for way in keys if (name := property_name(way[0])) is not None]
    for name, (key, x) in [*((key, (key, x)) for key, x in properties), *flattened]:
        match = _spelling(fold(name))
        if match and match[0] in PROPERTY_COLUMNS:
            found.setdefault(match[0], []).append(((False, match[1], name not in _NAMES), (key, x)))
    for key, x in keys:
        folded = fold(key)
        match = _spelling(folded)
        if match:
            found.setdefault(match[0], []).append(((True, match[1], key not in _NAMES), (key, x)))
        elif folded in _ARRIVAL:
            found.setdefault("received_at", []).append(((True, _ARRIVAL.index(folded), False), (key, x)))
    return {
        column: [way for _, way in sorted(options, key=operator.itemgetter(0))] for column, options in found.items()
    }


def raw_columns(expressions: dict[str, str]) -> str:
    """Return a select list with a text column ``raw_<column>`` for every field, from SQL for those that are present."""
    wanted = [(f"raw_{field.column}", field.column, "VARCHAR") for field in FIELDS]
    wanted += [(key, key, sql_type) for key, sql_type in CARRIED.items()]
    return ", ".join(
        f"{expressions.get(key, f'CAST(NULL AS {sql_type})')} AS {alias}" for alias, key, sql_type in wanted
    )
