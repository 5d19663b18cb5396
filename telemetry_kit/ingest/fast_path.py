"""The short way for JSON lines as object storage holds them: one typed read, and a proof that it missed nothing.

A typed read passes over keys that it was not told of: an unknown property, another spelling, a key that stands twice.
To list the keys of every line costs as much as the read itself. Instead the commas are counted. A line of objects with
n members that are no objects themselves has at least n - 1 commas, and each key that the read passed over brings one
more. Where the members that were read account for every comma of the file, nothing else stands in it; the commas of
lines that are no JSON are taken out of the count. Where they do not, the keys are listed after all.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

from telemetry_kit.ingest.compression import BLOCK
from telemetry_kit.ingest.envelopes import may_be_envelope, names_event, pointer
from telemetry_kit.ingest.records import has_value
from telemetry_kit.ingest.splitting import BESIDE, POSITION, RECORD, SENT, SOURCE
from telemetry_kit.schemas.names import quote_identifier, quote_literal
from telemetry_kit.schemas.spellings import (
    expressions,
    is_known,
    is_properties,
    is_property,
    is_read,
    raw_columns,
    ways,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import duckdb

    from telemetry_kit.ingest.lines import Lines

_AS_IT_IS = "ignore_errors=true, compression='none', hive_partitioning=false"
"""Neither the name of a file nor those of its folders tell what it holds."""
SAMPLE = 4096
"""How many lines tell the keys to expect."""
FORMS_SAMPLE = 64
"""How many lines tell which of the members that are no fields of ours are objects."""
IS_TEXT = "COALESCE(starts_with(ltrim(json ->> '$.properties'), '{'), false)"
"""Tells properties that are the text of an object; where some are objects, those have been told before."""
KEYS_LIMIT = 200
"""How many keys lines may have in all to be read in one way."""
DEPTH_LIMIT = 5
"""How deep objects may lie in each other so that their members are counted."""
Forms = dict[str, Any]
"""The members of an object: the forms of those that are objects themselves, null for any other."""


class Keys(NamedTuple):
    """The keys that lines have: at the top, and among the properties.

    ``are_plain`` tells whether every line is one event, ``have_envelopes`` whether some line may lie in an envelope.
    """

    top: list[str]
    properties: list[str]
    are_plain: bool
    have_envelopes: bool = False

    @property
    def have_bodies(self) -> bool:
        """Tell whether some line may be a body."""
        return "batch" in self.top

    def within(self, other: Keys) -> bool:
        """Tell whether every line is one plain event with keys that ``other`` has."""
        return self.are_plain and set(self.top) <= set(other.top) and set(self.properties) <= set(other.properties)


def list_keys(connection: duckdb.DuckDBPyConnection, path: Path, *, sample: bool = False) -> Keys:
    """List the keys that the lines of a file have, of its first lines or of all."""
    lines = f"read_ndjson_objects({quote_literal(str(path))}, {_AS_IT_IS})"
    some = f"(SELECT json FROM {lines} LIMIT {SAMPLE}) AS first_lines" if sample else lines
    shapes = [
        (keys[0] or [], keys[1] or [])
        for (keys,) in connection.execute(
            f"SELECT DISTINCT json_keys(json, ['$', '$.properties']) FROM {some} WHERE json IS NOT NULL"
        ).fetchall()
    ]
    is_wire = any("event" in top and "properties" in top for top, _ in shapes)
    is_flat = any(names_event(top) for top, _ in shapes)
    is_twice = any(len(set(part)) < len(part) for shape in shapes for part in shape)
    has_bodies, has_envelopes = any("batch" in top for top, _ in shapes), any(may_be_envelope(top) for top, _ in shapes)
    top = sorted({key for keys, _ in shapes for key in keys})
    properties = sorted({key for _, keys in shapes for key in keys})
    held = [key for key in top if is_properties(key)]
    is_event = (is_wire and held == ["properties"] and _can_be_struct(properties)) or (is_flat and not held)
    are_plain = is_event and _can_be_struct(top) and not (is_twice or has_bodies or has_envelopes)
    return Keys(top, properties, are_plain, has_envelopes)


def _can_be_struct(keys: Iterable[str]) -> bool:
    """Tell whether objects with these keys can be read as a struct.

    It is never empty, does not tell apart what differs in case only, nor has it every name; keys without number are
    damage.
    """
    keys = list(keys)
    return 0 < len({key.lower() for key in keys if key and key.isprintable()}) == len(keys) <= KEYS_LIMIT


def _sample_forms(lines: Lines) -> Forms:
    """Return the forms of what stands in the first lines."""
    with lines.path.open("rb") as stream:
        first = stream.read(BLOCK).split(b"\n")[:FORMS_SAMPLE]
    events = []
    for line in first:
        with contextlib.suppress(ValueError, RecursionError):
            events.append(json.loads(line))
    return _forms([event for event in events if isinstance(event, dict)], DEPTH_LIMIT) or {}


def _forms(values: list[Any], depth: int) -> Forms | None:
    """Return the forms of the members of ``values``, where all of these are objects that can be read as a struct."""
    values = [value for value in values if value is not None]
    if not values or not depth or not all(isinstance(value, dict) for value in values):
        return None
    keys = sorted({key for value in values for key in value})
    if not _can_be_struct(keys):
        return None
    return {key: _forms([value[key] for value in values if key in value], depth - 1) for key in keys}


def _sql_type(forms: Forms | None) -> str:
    if forms is None:
        return "VARCHAR"
    return f"STRUCT({', '.join(f'{quote_identifier(key)} {_sql_type(inner)}' for key, inner in forms.items())})"


def _leaves(forms: Forms, within: str = "") -> Iterator[str]:
    """Give SQL for each member that is no object, ``within`` an object that SQL gives."""
    for key, inner in forms.items():
        member = f"struct_extract({within}, {quote_literal(key)})" if within else quote_identifier(key)
        if inner is None:
            yield member
        else:
            yield from _leaves(inner, member)


def read_query(lines: Lines, keys: Keys) -> str:
    """Return the query for the raw records of a file, one row a line in their order, each with its ``n_members``."""
    known = [key for key in keys.top if key != "properties" and is_read(key)]
    properties = [key for key in keys.properties if is_property(key)]
    # What is no field of ours is read only to be counted; what else a field is than a text, its rules tell.
    sample = _sample_forms(lines)
    inside = sample.get("properties") or {}
    forms: Forms = {key: None if key in known else _bounded(sample.get(key)) for key in keys.top}
    if keys.properties:
        forms["properties"] = {key: None if key in properties else _bounded(inside.get(key)) for key in keys.properties}
    struct = ", ".join(f"{quote_literal(key)}: {quote_literal(_sql_type(inner))}" for key, inner in forms.items())
    form = f"format='newline_delimited', records=true, {_AS_IT_IS}, columns={{{struct}}}"
    reader = f"read_json({quote_literal(str(lines.path))}, {form})"
    # Small numbers are added several at once.
    size = " + ".join(f"CAST({member} IS NOT NULL AS USMALLINT)" for member in _leaves(forms))
    made = expressions(
        [(key, quote_identifier(key)) for key in known],
        [(key, f"properties.{quote_identifier(key)}") for key in properties],
    )
    if SENT in keys.top:
        made["received_at"] = f"COALESCE({made['received_at']}, {SENT})" if "received_at" in made else SENT
    places = "".join(f"CAST({key} AS BIGINT) AS {key}, " for key in (SOURCE, RECORD, POSITION) if key in keys.top)
    return f"SELECT {places}{raw_columns(made)}, {size} AS n_members FROM {reader}"


def _bounded(forms: Forms | None) -> Forms | None:
    return forms if forms is not None and sum(1 for _ in _leaves(forms, "x")) <= KEYS_LIMIT else None


def unknown_query(path: Path, keys: Keys, *, but: str | None = None) -> str | None:
    """Return the query for ``type_name`` and ``key`` of what is no field of ours; null where no line has such a key.

    That is looked for among the properties, and of an event without them at the top. It is not told of an event whose
    properties are the text of an object, nor of what came from a ``source`` and ``record`` in the table ``but``.
    """
    top = [key for key in keys.top if not is_known(key) and key not in BESIDE]
    properties = [key for key in keys.properties if not is_property(key)]
    if not top and not properties:
        return None
    naming = [key for key, _ in ways((key, "") for key in keys.top).get("event_type", [])]
    pointers = ", ".join(quote_literal(pointer(key)) for key in naming)
    cells = f"json_extract_string(json, [{pointers}])" if naming else "NULL"
    type_name = expressions((key, f"cells[{n}]") for n, key in enumerate(naming, 1)).get("type_name", "NULL")
    wanted = ", ".join(map(quote_literal, {*top, *properties}))
    within = "CASE WHEN is_nested THEN '/properties' ELSE '' END"
    # DuckDB reads a line anew for each function of it.
    is_nested, found = "true", "json_keys(json, '$.properties')"
    if top:
        is_nested = "json_type(json, '$.properties') IS NOT DISTINCT FROM 'OBJECT'"
        found = f"CASE WHEN {is_nested} THEN {found} WHEN {IS_TEXT} THEN NULL ELSE json_keys(json) END"
    places = f"(json ->> '{SOURCE}', json ->> '{RECORD}')"
    others = f"WHERE {places} NOT IN (SELECT (source, record) FROM {but})" if but else ""
    return f"""
        SELECT {type_name} AS type_name, key, is_nested, 1 AS n FROM (
            SELECT json, {cells} AS cells, {is_nested} AS is_nested, unnest({found}) AS key
            FROM read_ndjson_objects({quote_literal(str(path))}, {_AS_IT_IS}) {others}
        ) AS keyed WHERE key IN ({wanted}) AND {has_value("json", "key", within=within)}
    """
