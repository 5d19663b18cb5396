"""The short way for JSON lines as object storage holds them: one typed read, and a proof that it missed nothing.

A typed read passes over keys that it was not told of: an unknown property, another spelling, a key that stands twice.
To list the keys of every line costs as much as the read itself. Instead every line is measured by what was read of it:
the lengths of the keys and values, and of the punctuation between them. Where these add up to the size of the file,
nothing else stands in it. Where they do not, the keys are listed after all.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import TYPE_CHECKING, NamedTuple

from telemetry_kit import schemas
from telemetry_kit.rules import expressions, is_property, is_read, name, quoted, raw_columns

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import duckdb

    from telemetry_kit.sources import Lines

_AS_IT_IS = "ignore_errors=true, compression='none', hive_partitioning=false"
"""Neither the name of a file nor those of its folders tell what it holds."""
SAMPLE = 4096
"""How many lines tell the keys to expect."""
TEXTS_SAMPLE = 64
"""How many lines tell which keys have texts: where others have numbers there, they do not add up."""
KEYS_LIMIT = 200
"""How many keys lines may have in all to be read in one way."""
_BARE = frozenset(
    schemas.fold(field.wire)
    for field in schemas.FIELDS
    if field.wire and (field.kind in ("count", "integer", "flag") or field.column == "created_at")
)


class Keys(NamedTuple):
    """The keys that lines have: at the top, and among the properties; whether every line is one plain event."""

    top: list[str]
    properties: list[str]
    are_plain: bool

    def within(self, other: Keys) -> bool:
        """Tell whether ``other`` has all these keys."""
        return set(self.top) <= set(other.top) and set(self.properties) <= set(other.properties)


def list_keys(connection: duckdb.DuckDBPyConnection, path: Path, *, sample: bool = False) -> Keys:
    """List the keys that the lines of a file have, of its first lines or of all."""
    lines = f"read_ndjson_objects({quoted(str(path))}, {_AS_IT_IS})"
    some = f"(SELECT json FROM {lines} LIMIT {SAMPLE})" if sample else lines
    shapes = [
        (keys[0] or [], keys[1] or [])
        for (keys,) in connection.execute(
            f"SELECT DISTINCT json_keys(json, ['$', '$.properties']) FROM {some} WHERE json IS NOT NULL"
        ).fetchall()
    ]
    is_wire = any("event" in top and "properties" in top for top, _ in shapes)
    is_twice = any(len(set(part)) < len(part) for shape in shapes for part in shape)
    has_bodies = any("batch" in top for top, _ in shapes)
    top = sorted({key for keys, _ in shapes for key in keys})
    properties = sorted({key for _, keys in shapes for key in keys})
    # A struct does not tell apart what differs in case only, nor has it every name; keys without number are damage.
    can_be_struct = all(
        len({key.lower() for key in keys if key and key.isprintable()}) == len(keys) <= KEYS_LIMIT
        for keys in (top, properties)
    )
    return Keys(top, properties, is_wire and can_be_struct and not is_twice and not has_bodies)


def _list_texts(path: Path) -> tuple[set[str], set[str]]:
    """List the keys that have texts, and nothing else, in the first lines: at the top, and among the properties."""
    events = []
    with path.open("rb") as stream:
        for line in itertools.islice(stream, TEXTS_SAMPLE):
            with contextlib.suppress(ValueError, RecursionError):
                events.append(json.loads(line))
    top = [event for event in events if isinstance(event, dict)]
    inner = [event["properties"] for event in top if isinstance(event.get("properties"), dict)]
    return _texts_of(top), _texts_of(inner)


def _texts_of(objects: list[dict[str, object]]) -> set[str]:
    members = [(key, isinstance(value, str)) for one in objects for key, value in one.items()]
    return {key for key, _ in members} - {key for key, is_text in members if not is_text}


def read_query(lines: Lines, keys: Keys) -> str:
    """Return the query for the raw records of a file, one row a line in their order, each with its ``n_bytes``."""
    known = [key for key in keys.top if key != "properties" and is_read(key)]
    properties = [key for key in keys.properties if is_property(key)]
    # What is no field of ours is read only to be measured: as a text, which costs less, or as it stands.
    texts, inner_texts = _list_texts(lines.path)
    texts, inner_texts = texts.union(known), inner_texts.union(properties)
    columns = {key: "VARCHAR" if key in texts else "JSON" for key in keys.top if key != "properties"}
    members = ", ".join(f"{name(key)} {'VARCHAR' if key in inner_texts else 'JSON'}" for key in keys.properties)
    columns["properties"] = f"STRUCT({members})"
    struct = ", ".join(f"{quoted(key)}: {quoted(kind)}" for key, kind in columns.items())
    form = f"format='newline_delimited', records=true, {_AS_IT_IS}, columns={{{struct}}}"
    reader = f"read_json({quoted(str(lines.path))}, {form})"
    around = {name(key): _around(key, is_text=key in texts) for key in keys.top if key != "properties"}
    around |= {f"properties.{name(key)}": _around(key, is_text=key in inner_texts) for key in keys.properties}
    # Two pairs of braces, less the comma that each last member lacks, and the properties' own key and comma. A member
    # that is missing takes back what stands around it.
    frame = 2 + len('"properties":,') + sum(around.values())
    size = f"{frame} + {' + '.join(f'COALESCE(strlen(CAST({x} AS VARCHAR)), {-n})' for x, n in around.items())}"
    made = expressions([(key, name(key)) for key in known], [(key, f"properties.{name(key)}") for key in properties])
    return f"SELECT {raw_columns(made)}, {size} AS n_bytes FROM {reader}"


def _around(key: str, *, is_text: bool) -> int:
    """Return how many bytes stand around the value of a member: its key, the quotes, a colon and a comma."""
    quotes = 2 if is_text and schemas.fold(key) not in _BARE else 0
    return len(key.encode()) + len('"":,') + quotes


def n_bytes(lines: Lines, rows: int) -> int:
    """Return the size of a file of ``rows`` lines without its line ends, if none of its lines is blank."""
    with lines.path.open("rb") as stream:
        stream.seek(-1, 2)
        is_ended = stream.read(1) == b"\n"
    return lines.path.stat().st_size - rows + (not is_ended)


def unknown_query(path: Path, keys: Iterable[str]) -> str:
    """Return the query for ``type_name`` and ``key`` of every property that is no field of ours."""
    wanted = ", ".join(quoted(key) for key in keys if not is_property(key))
    return (
        "SELECT *, true AS is_nested FROM ("
        "SELECT json->>'event' AS type_name, unnest(json_keys(json, '$.properties')) AS key "
        f"FROM read_ndjson_objects({quoted(str(path))}, {_AS_IT_IS})) WHERE key IN ({wanted})"
    )
