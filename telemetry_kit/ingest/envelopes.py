"""What tools put around a record or a value, in JSON: it is opened, and what it holds is read."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import warnings
from typing import TYPE_CHECKING, Any

from telemetry_kit.schemas import spellings
from telemetry_kit.schemas.names import quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    import duckdb
    import pyarrow as pa

FIELDS_WITHIN = 3
"""How many fields what is in an envelope must name to be an event."""
_DEPTH = 3
"""How deep envelopes may lie in each other."""
_CELLS_AT_ONCE = 10_000
"""How many cells of a column are looked at together."""
_KEYS_LIMIT = 20
"""How many keys may hold objects, so that these are looked at."""
_TYPED = (
    r'\{\s*"(?:\$date|\$numberLong|\$numberInt|\$numberDouble|\$numberDecimal|\$oid|string|int|long|float|double|boolean)"'
    r'\s*:\s*("[^"\\]*"|[-+.0-9eE]+|true|false)\s*\}'
)
"""A value with its type as its only key, as MongoDB and Avro write them."""
WRITTEN_LIMIT = 64 * 1024
"""How long properties may be that were written otherwise than as JSON."""
_PAIR = re.compile(
    r"""\s*(?:'([^'\\]*)'|"([^"\\]*)"|(\w+))\s*(?:=>|:|=)\s*"""
    r"""(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^,"'{}\[\]]*?))\s*(?:,|$)""",
    re.DOTALL,
)
_NULL = ("null", "none", "nil", "nan", "")


def create_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Define on a connection what reads properties that are no JSON."""
    import duckdb
    from duckdb.func import SPECIAL

    # A connection that reads once more has it already; to list all functions would take longer than a small file.
    with contextlib.suppress(duckdb.NotImplementedException):
        connection.create_function("written_object", written_object, ["VARCHAR"], "VARCHAR", null_handling=SPECIAL)


def properties_sql(text: str) -> str:
    """Return SQL for the properties that a text is, as JSON or as another language writes them; null for any other."""
    is_object = f"CASE WHEN json_valid({text}) THEN json_type({text}) = 'OBJECT' END"
    return (
        f"CASE WHEN {is_object} THEN CAST({text} AS JSON) "
        f"WHEN regexp_matches({text}, '^\\s*[{{\"\\[]') THEN TRY_CAST(written_object({text}) AS JSON) END"
    )


def written_object(text: str | None) -> str | None:
    """Return as JSON an object that is a text of JSON once more, or as Python, DuckDB, Presto or Ruby write one."""
    if text is None or len(text) > WRITTEN_LIMIT:
        return None
    found: Any = text
    for _ in range(_DEPTH):
        if isinstance(found, list) and len(found) == 1:
            found = found[0]
        elif isinstance(found, str):
            found = _read(found.strip())
    # Python has values that JSON has not.
    return json.dumps(found, default=str, skipkeys=True) if isinstance(found, dict) else None


def _read(text: str) -> Any:  # noqa: ANN401 - whatever the text says
    # Python warns of a backslash that means nothing.
    with warnings.catch_warnings(action="ignore"):
        for read in (json.loads, ast.literal_eval):
            with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
                return read(text)
    return _pairs(text)


def _pairs(text: str) -> dict[str, str | None] | None:
    inside = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    found: dict[str, str | None] = {}
    at = 0
    while at < len(inside):
        match = _PAIR.match(inside, at)
        if match is None:
            return None
        single, double, bare, *values = match.groups()
        key = next(part for part in (single, double, bare) if part is not None)
        if key in found:
            return None
        quoted = next((re.sub(r"\\(.)", r"\1", part) for part in values[:2] if part is not None), None)
        found[key] = quoted if quoted is not None else None if values[2].lower() in _NULL else values[2]
        at = match.end()
    return found


def open_envelopes(
    connection: duckdb.DuckDBPyConnection, known: Mapping[str, AbstractSet[tuple[str, ...]]]
) -> dict[int, str]:
    """Put into the table ``texts``, instead of records in envelopes, what these hold.

    A record is in an envelope where it has no properties of an event, but a member that names the fields of one: as
    Elasticsearch, Kafka Connect, Debezium and collectors of logs write them, as an object or as its text. Where one
    record with the same keys has an event in a member, or is ``known`` to have had one, this member is what all hold.
    Returned are the numbers of records in which it is a text that breaks off, which is no JSON, with its key.
    """
    cut: dict[int, str] = {}
    for _ in range(_DEPTH):
        connection.execute(
            "UPDATE texts SET json = json ->> '$' WHERE is_json AND json_type(json) = 'VARCHAR' "
            "AND json_valid(json ->> '$') AND json_type(json ->> '$') = 'OBJECT'"
        )
        if not _open_once(connection, known, cut):
            break
    # A value may lie in two: the milliseconds of a date.
    pattern = quote_literal(_TYPED)
    connection.execute(
        f"UPDATE texts SET json = regexp_replace(regexp_replace(json, {pattern}, '\\1', 'g'), {pattern}, '\\1', 'g') "
        f"WHERE is_json AND regexp_matches(json, {pattern})"
    )
    return cut


def _open_once(
    connection: duckdb.DuckDBPyConnection, known: Mapping[str, AbstractSet[tuple[str, ...]]], cut: dict[int, str]
) -> bool:
    """Open the outermost envelopes, and note in ``cut`` what breaks off; tell whether there were any."""
    shapes = connection.execute(
        "SELECT DISTINCT json_keys(json) FROM texts WHERE is_json AND json_type(json) = 'OBJECT'"
    ).fetchall()
    outer = [keys for (keys,) in shapes if may_be_envelope(keys)]
    names = sorted({key for keys in outer for key in keys if not spellings.is_known(key)})
    is_any = False
    for key in _that_hold_objects(connection, names):
        member = f"json_extract(json, {quote_literal(pointer(key))})"
        text = f"({member} ->> '$')"
        inner = (
            f"CASE json_type({member}) WHEN 'OBJECT' THEN CAST({member} AS VARCHAR) WHEN 'VARCHAR' THEN "
            f"CASE WHEN json_valid({text}) THEN CASE json_type({text}) WHEN 'OBJECT' THEN {text} END END END"
        )
        opened = f"SELECT json, {inner} AS held FROM texts WHERE is_json AND json_type(json) = 'OBJECT'"
        held = connection.execute(
            f"SELECT json_keys(json), min(held) FROM ({opened}) AS opened WHERE held IS NOT NULL "
            "GROUP BY json_keys(json), json_keys(held)"
        ).fetchall()
        found = {tuple(around) for around, one in held if around in outer and holds_event(one)}
        found |= {tuple(keys) for keys in outer} & known.get(key, frozenset())
        for around in found:
            listed = ", ".join(map(quote_literal, around))
            these = f"WHERE is_json AND json_type(json) = 'OBJECT' AND json_keys(json) = [{listed}]"
            connection.execute(f"UPDATE texts SET json = {inner} {these} AND ({inner}) IS NOT NULL")
            # A collector of logs cuts long lines: what its envelope holds is no JSON then.
            broken = connection.execute(
                f"UPDATE texts SET json = {text}, is_json = false {these} AND json_type({member}) = 'VARCHAR' "
                f"AND starts_with(ltrim({text}), '{{') AND NOT json_valid({text}) RETURNING number"
            ).fetchall()
            cut |= dict.fromkeys((number for (number,) in broken), key)
            is_any = True
    return is_any


def _that_hold_objects(connection: duckdb.DuckDBPyConnection, names: list[str]) -> list[str]:
    """Return those keys of the records in ``texts`` that somewhere hold an object, or its text; all in one pass."""
    if not names:
        return []
    pointers = ", ".join(quote_literal(pointer(name)) for name in names)
    begins = "lambda x: COALESCE(starts_with(ltrim(x), '{'), false)"
    found = connection.execute(
        f"SELECT DISTINCT list_transform(json_extract_string(json, [{pointers}]), {begins}) FROM texts "
        "WHERE is_json AND json_type(json) = 'OBJECT'"
    ).fetchall()
    return [name for n, name in enumerate(names) if any(row[n] for (row,) in found)][:_KEYS_LIMIT]


def may_be_envelope(keys: Iterable[str]) -> bool:
    """Tell whether an object with these keys is no event or body, and has a member that could be one."""
    is_event = any(
        key in ("batch", "event")
        or spellings.is_properties(key)
        or spellings.is_property(spellings.property_name(key) or key)
        for key in keys
    )
    return not is_event and not all(map(spellings.is_known, keys))


def names_event(keys: Sequence[str]) -> bool:
    """Tell whether what has these keys is an event or a body, or an envelope of one in turn."""
    named = spellings.ways([(key, key) for key in keys])
    return "batch" in keys or "after" in keys or ("event_type" in named and len(named) >= FIELDS_WITHIN)


def holds_event(value: object, depth: int = _DEPTH) -> bool:
    """Tell whether a value of JSON, or its text, is an event, a body, or an envelope around one."""
    if isinstance(value, str):
        if not value.lstrip().startswith("{"):
            return False
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return False
    if not isinstance(value, dict):
        return False
    return names_event(list(value)) or (depth > 1 and any(holds_event(member, depth - 1) for member in value.values()))


def stem_of(table_name: str) -> str:
    """Return the name of a table without the folders, and without the endings of its file."""
    return table_name.rsplit("/", 1)[-1].split(".", 1)[0]


def may_be_around_events(table_name: str, columns: Sequence[str]) -> bool:
    """Tell that rows with these columns are no events themselves, so that a cell of theirs can hold one."""
    return not names_event(columns) and spellings.event_type_of(stem_of(table_name)) is None


def any_holds_event(columns: Iterable[pa.Array | pa.ChunkedArray]) -> bool:
    """Tell whether any cell of these columns holds an event."""
    return any(_holds_events(column.type, column) for column in columns)


def _holds_events(kind: pa.DataType, cells: pa.Array | pa.ChunkedArray | None, depth: int = _DEPTH) -> bool:
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_struct(kind):
        members = [kind.field(n) for n in range(kind.num_fields)]
        is_event = names_event([member.name for member in members])
        return is_event or (depth > 1 and any(_holds_events(member.type, None, depth - 1) for member in members))
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    if not is_text or cells is None:
        return False
    parts = (cells.slice(first, _CELLS_AT_ONCE) for first in range(0, len(cells), _CELLS_AT_ONCE))
    return any(holds_event(cell) for part in parts for cell in part.to_pylist())


def pointer(key: str) -> str:
    """Return the pointer of JSON to a key."""
    return "/" + key.replace("~", "~0").replace("/", "~1")
