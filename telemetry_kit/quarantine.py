"""Raw records -> valid events, and rejected records with every reason.

An ``Intake`` takes what the containers hold, unit by unit, into one typed table of DuckDB. Plain JSON lines of wire
events take a short way: one typed read of the file. Whatever that read is not sure of, and everything else, takes the
careful way: record by record, with its text in hand. Both ways share the same rules, so they cannot disagree.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from telemetry_kit import rules, schemas, wire_lines
from telemetry_kit.rules import (
    DUPLICATE,
    OTHER,
    REJECTED,
    VALID,
    VOID,
    expressions,
    is_known,
    name,
    quoted,
    raw_columns,
)
from telemetry_kit.sources import RAW_LIMIT, as_text, fetch_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb
    import pyarrow as pa

    from telemetry_kit.containers import Rows
    from telemetry_kit.sources import Damage, Lines
    from telemetry_kit.wire_lines import Keys

CHUNK_BYTES = 32 * 1024 * 1024
FETCH_ROWS = 50_000
NAME_LIMIT = 64
ARRIVAL = "COALESCE(place, events.rowid), position, events.rowid"
"""The order in which events arrived: a line that was looked at once more keeps its place."""
_COLUMNS = [field.column for field in schemas.FIELDS]
_TYPES = {"count": "BIGINT", "integer": "BIGINT", "flag": "BOOLEAN", "time": "TIMESTAMPTZ"}


class Text(NamedTuple):
    """One line or document as it came: where, and in whose place in the order of arrival."""

    source: int
    record: int
    place: int | None
    raw: bytes


class Intake:
    """Everything that was read so far: the typed table ``events``, what was rejected, and what was seen beside."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.names: list[str] = []
        self.rejected: list[dict[str, Any]] = []
        self.unknown: Counter[tuple[str | None, str]] = Counter()
        self.segments: list[tuple[int, int]] = []
        typed = ", ".join(f"{name(f.column)} {_TYPES.get(f.kind, 'VARCHAR')}" for f in schemas.FIELDS)
        self.connection.execute(
            f"CREATE TEMP TABLE events (source INTEGER, place BIGINT, position INTEGER, status TINYINT, "
            f"type_name VARCHAR, n_bytes INTEGER, {typed})"
        )

    def take_damage(self, damage: Damage) -> None:
        """Take what could not be read."""
        self._reject(damage.source, damage.record, None, damage.reason, damage.raw)

    def _reject(self, source: int, record: int, event_type: str | None, reason: str, raw: str) -> None:
        size = len(raw.encode("utf-8", "replace"))
        if size > RAW_LIMIT:
            reason += f"; the record has {size} bytes, of which the first {RAW_LIMIT} are kept"
            raw = raw.encode("utf-8", "replace")[:RAW_LIMIT].decode("utf-8", "ignore")
        self.rejected.append(
            {"source": source, "record": record, "event_type": event_type, "reason": reason, "raw": raw}
        )

    def take_lines(self, lines: Lines) -> None:
        """Take a file of JSON lines: the short way where it holds plain events of the wire."""
        expected = wire_lines.list_keys(self.connection, lines.path, sample=True)
        if not expected.are_plain or not self._take_wire_lines(lines, expected):
            keys = wire_lines.list_keys(self.connection, lines.path)
            if not keys.are_plain or not self._take_wire_lines(lines, keys, has_all_keys=True):
                self._take_texts(Text(source, record, None, raw) for _, source, record, raw in fetch_lines(lines))

    def _take_wire_lines(self, lines: Lines, keys: Keys, *, has_all_keys: bool = False) -> bool:
        """Take lines with the keys that are expected; false, and nothing taken, where some have others."""
        first = self._n_rows()
        source = lines.segments[0].source if len(lines.segments) == 1 else "NULL"
        typed = rules.typed_query(wire_lines.read_query(lines, keys), needs_id=True)
        self.connection.execute(f"{_insert(f'{source}', 'NULL', '0', n_bytes='n_bytes')} FROM ({typed})")
        rows = f"rowid >= {first}"
        n, size = self.connection.execute(f"SELECT count(*), sum(n_bytes) FROM events WHERE {rows}").fetchall()[0]
        is_proven = has_all_keys or (n and size == wire_lines.n_bytes(lines, n))
        if not is_proven and not wire_lines.list_keys(self.connection, lines.path).within(keys):
            self.connection.execute(f"UPDATE events SET status = {VOID} WHERE {rows}")
            return False
        if source == "NULL":
            self.segments += [(first + part.first_row, part.source) for part in lines.segments if part.n_rows]
        doubtful = self.connection.execute(
            f"SELECT rowid - {first} FROM events WHERE {rows} AND status = {REJECTED} ORDER BY 1"
        ).fetchall()
        if doubtful:
            found = fetch_lines(lines, [row for (row,) in doubtful])
            self._take_texts(Text(source, record, first + row, line) for row, source, record, line in found)
        if not all(map(is_known, keys.properties)):
            self._note_unknown(wire_lines.unknown_query(lines.path, keys.properties))
        return True

    def _n_rows(self) -> int:
        (n,) = self.connection.execute("SELECT count(*) FROM events").fetchall()[0]
        return int(n)

    def _note_unknown(self, query: str) -> None:
        """Count the keys that a query gives with the name of their event, where no field of ours has such a key."""
        counted = self.connection.execute(f"SELECT type_name, key, count(*) FROM ({query}) GROUP BY ALL").fetchall()
        for type_name, key, n in counted:
            event_type = rules.event_type_of(type_name)
            if event_type and not is_known(key):
                self.unknown[event_type, key[:NAME_LIMIT]] += n

    def _take_texts(self, texts: Iterable[Text]) -> None:
        """Take lines the careful way, a bounded chunk at a time."""
        chunk: list[Text] = []
        size = 0
        for text in texts:
            chunk.append(text)
            size += len(text.raw)
            if size > CHUNK_BYTES:
                self._take_chunk(chunk)
                chunk, size = [], 0
        if chunk:
            self._take_chunk(chunk)

    def _take_chunk(self, chunk: list[Text]) -> None:
        self.connection.register("chunk", _chunk_table(chunk))
        self.connection.execute("CREATE OR REPLACE TEMP TABLE lines AS FROM chunk")
        self.connection.unregister("chunk")
        invalid = self.connection.execute("SELECT number FROM lines WHERE NOT json_valid(json)").fetchall()
        for (number,) in invalid:
            text = chunk[number]
            self._reject(text.source, text.record, None, json_fault(text.raw), as_text(text.raw).strip("\r\n"))
        # A body is its events; whatever stands around them is no record.
        self.connection.execute("""
            CREATE OR REPLACE TEMP TABLE records AS
            WITH valid AS (SELECT * REPLACE (CAST(json AS JSON) AS json) FROM lines WHERE json_valid(json)),
            told AS (SELECT *, COALESCE(json_type(json, '$.batch') = 'ARRAY', false) AS is_body FROM valid)
            SELECT number, source, place, -1 AS position, json, NULL AS sent FROM told WHERE NOT is_body
            UNION ALL
            SELECT number, source, place, unnest(range(CAST(json_array_length(json, '$.batch') AS BIGINT))),
                unnest(json -> '$.batch[*]'), json ->> 'sentAt' FROM told WHERE is_body
        """)
        shapes = self.connection.execute("""
            SELECT json_type(json) AS kind, json_keys(json) AS top, json_keys(json, '$.properties') AS properties
            FROM records GROUP BY ALL
        """).fetchall()
        top = sorted({key for _, keys, _ in shapes for key in keys if is_known(key)} | {"event"})
        properties = sorted({key for _, _, keys in shapes for key in keys or () if is_known(key)})
        self._take_records(chunk, top, properties)
        self._note_unknown("""
            SELECT COALESCE(json ->> 'event', json ->> 'event_type', json ->> 'type') AS type_name, unnest(
                CASE WHEN json_type(json, '$.properties') = 'OBJECT' THEN json_keys(json, '$.properties')
                     ELSE json_keys(json) END) AS key
            FROM records WHERE json_type(json) = 'OBJECT'
        """)

    def _take_records(self, chunk: list[Text], top: list[str], properties: list[str]) -> None:
        shape = dict.fromkeys(top, "VARCHAR") | (
            {"properties": dict.fromkeys(properties, "VARCHAR")} if properties else {}
        )
        made = expressions(top, properties)
        made["received_at"] = f"COALESCE({made['received_at']}, sent)" if "received_at" in made else "sent"
        raw = f"""
            SELECT number, source, place, position, twice, is_object, {raw_columns(made)}
            FROM (SELECT *, unnest(from_json(json, {quoted(json.dumps(shape))})) FROM (
                SELECT *, json_type(json) = 'OBJECT' AS is_object, COALESCE(
                    {_twice("json_keys(json)")}, {_twice("json_keys(json, '$.properties')")}) AS twice FROM records))
        """
        self._take_careful(rules.typed_query(raw, needs_id=False), "source", "place", "greatest(position, 0)")
        told = "number, position, event_type, twice, is_object, reason"
        faults = self.connection.execute(
            f"SELECT {told} FROM ({rules.reason_query('careful')}) ORDER BY number, position"
        ).fetchall()
        for number, position, event_type, twice, is_object, reason in faults:
            text = chunk[number]
            fault = reason if is_object else "record: expected a JSON object with the fields of an event"
            fault = f"record: the key {twice!r} stands twice" if twice else fault
            self._reject(text.source, text.record, event_type, fault, element(text.raw, position))

    def _take_careful(self, typed: str, source: str, place: str, position: str) -> None:
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE careful AS {typed}")
        self.connection.execute(f"{_insert(source, place, position)} FROM careful WHERE status <> {REJECTED}")

    def take_rows(self, rows: Rows) -> None:
        """Take rows of a delimited file."""
        import pyarrow as pa

        cells = {column: pa.array(values, pa.string()) for column, values in rows.cells.items()}
        table = pa.table({**cells, "record number": pa.array(range(len(rows.records)), pa.int64())})
        self.connection.register("cells", table)
        relation = f"SELECT *, {name('record number')} AS number FROM cells"
        for number, event_type, reason in self._take_table(rows.source, rows.name, relation, list(rows.cells)):
            self._reject(rows.source, rows.records[number], event_type, reason, rows.raw[number])
        self.connection.unregister("cells")

    def take_relation(self, source: int, table_name: str, relation: str, columns: Sequence[str]) -> None:
        """Take a relation whose cells are text; ``number`` counts its rows from 0."""
        faults = self._take_table(source, table_name, relation, columns)
        if not faults:
            return
        shown = ", ".join(name(column) for column in columns)
        numbers = ", ".join(str(number) for number, _, _ in faults)
        raw = dict(
            self.connection.execute(
                f"SELECT number, to_json(struct_pack({', '.join(f'{name(c)} := {name(c)}' for c in columns)})) "
                f"FROM (SELECT number, {shown} FROM ({relation})) WHERE number IN ({numbers})"
            ).fetchall()
        )
        for number, event_type, reason in faults:
            self._reject(source, number + 1, event_type, reason, raw[number])

    def take_json(self, source: int, query: str) -> None:
        """Take a relation of rows as JSON, each with its ``number``: a table with nested cells."""
        cursor = self.connection.cursor()
        cursor.execute(f"CREATE OR REPLACE TEMP TABLE documents AS {query}")
        cursor.execute("SELECT number, json FROM documents ORDER BY number")
        while rows := cursor.fetchmany(FETCH_ROWS):
            self._take_texts(Text(source, number + 1, None, document.encode()) for number, document in rows)

    def _take_table(
        self, source: int, table_name: str, relation: str, columns: Sequence[str]
    ) -> list[tuple[int, str | None, str]]:
        stem = table_name.rsplit("/", 1)[-1].split(".", 1)[0]
        made = expressions(columns)
        if not rules.PROPERTY_COLUMNS & made.keys():
            # The table that repeats the envelope of every event, without what the event says.
            self.connection.execute(
                f"INSERT INTO events (source, status, type_name) SELECT {source}, {OTHER}, {quoted(stem[:NAME_LIMIT])} "
                f"FROM ({relation})"
            )
            return []
        if rules.event_type_of(stem):
            made["type_name"] = f"COALESCE({made.get('type_name', 'NULL')}, {quoted(stem)})"
        raw = f"SELECT number, {raw_columns(made)} FROM ({relation})"
        self._take_careful(rules.typed_query(raw, needs_id=False), str(source), "NULL", "0")
        for column in columns:
            if not is_known(column):
                self._note_unknown(
                    f"SELECT {made.get('type_name', 'NULL')} AS type_name, {quoted(column)} AS key "
                    f"FROM ({relation}) WHERE {name(column)} IS NOT NULL"
                )
        return self.connection.execute(
            f"SELECT number, event_type, reason FROM ({rules.reason_query('careful')}) ORDER BY 1"
        ).fetchall()

    def mark_duplicates(self) -> None:
        """Mark every valid event whose id an earlier one has; the first arrival is kept."""
        # Few ids repeat: a window over those rows alone costs little, one over all rows half as much as the reading.
        self.connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE repeated AS
            SELECT event_id FROM events WHERE status = {VALID} GROUP BY 1 HAVING count(*) > 1
        """)
        self.connection.execute(f"""
            UPDATE events SET status = {DUPLICATE} WHERE rowid IN (SELECT row FROM (
                SELECT events.rowid AS row, row_number() OVER (PARTITION BY event_id ORDER BY {ARRIVAL}) AS nth
                FROM events SEMI JOIN repeated USING (event_id) WHERE status = {VALID}) WHERE nth > 1)
        """)


def _twice(keys: str) -> str:
    return f"list_filter({keys}, lambda key: list_count(list_filter({keys}, lambda other: other = key)) > 1)[1]"


def _insert(source: str, place: str, position: str, n_bytes: str = "NULL") -> str:
    columns = ", ".join(name(column) for column in _COLUMNS)
    return (
        f"INSERT INTO events SELECT {source}, {place}, {position}, status, "
        f"CASE WHEN status = {OTHER} THEN type_name END, {n_bytes}, {columns}"
    )


def _chunk_table(chunk: list[Text]) -> pa.Table:
    import pyarrow as pa

    texts = [_decoded(text.raw) for text in chunk]
    return pa.table(
        {
            "number": pa.array(range(len(chunk)), pa.int64()),
            "source": pa.array([text.source for text in chunk], pa.int32()),
            "place": pa.array([text.place for text in chunk], pa.int64()),
            "json": pa.array(texts, pa.large_string()),
        }
    )


def _decoded(raw: bytes) -> str:
    """Return a line as text; one that is not UTF-8 as an empty text, which is no JSON either."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return ""


def json_fault(raw: bytes) -> str:
    """Tell why a line is not JSON."""
    try:
        json.loads(raw.strip())
    except UnicodeDecodeError as error:
        return f"record: not UTF-8 at byte {error.start + 1}"
    except RecursionError:
        return "record: not JSON: nested too deeply"
    except ValueError as error:
        return f"record: not JSON: {error}"
    return "record: not JSON: a character that cannot stand there"


def element(raw: bytes, position: int) -> str:
    """Return the event at ``position`` of a body as it came, or the whole line where it is not in a body."""
    text = as_text(raw).strip("\r\n")
    start = re.search(r'"batch"\s*:\s*\[', text)
    if position < 0 or start is None:
        return text
    decoder, begin, at = json.JSONDecoder(), 0, start.end()
    for _ in range(position + 1):
        while text[at] in ", \t\r\n":
            at += 1
        begin = at
        _, at = decoder.raw_decode(text, at)
    return text[begin:at]
