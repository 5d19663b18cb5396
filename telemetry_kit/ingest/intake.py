"""Raw records -> valid events, and rejected records with every reason.

An ``Intake`` takes what the containers hold, unit by unit, into one typed table of DuckDB. Plain JSON lines of wire
events take a short way: one typed read of the file. Whatever that read is not sure of, and everything else, takes the
careful way: record by record, with its text in hand. Both ways share the same rules, so they cannot disagree.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from telemetry_kit import schemas
from telemetry_kit.ingest import fast_path
from telemetry_kit.ingest.formats.json_documents import documents_of
from telemetry_kit.ingest.lines import fetch_lines
from telemetry_kit.ingest.records import Text, elements, json_fault, kept, text_table
from telemetry_kit.schemas import rules, spellings
from telemetry_kit.schemas.names import quote_identifier, quote_literal
from telemetry_kit.schemas.rules import DUPLICATE, OTHER, REJECTED, VALID, VOID
from telemetry_kit.schemas.spellings import expressions, is_known, raw_columns
from telemetry_kit.schemas.values import VALUE_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import duckdb

    from telemetry_kit.ingest.fast_path import Keys
    from telemetry_kit.ingest.formats.csv import Rows
    from telemetry_kit.ingest.formats.tables import Table
    from telemetry_kit.ingest.lines import Damage, Lines

CHUNK_BYTES = 32 * 1024 * 1024
FETCH_ROWS = 50_000
IDS_AT_A_TIME = 2_000_000
NAME_LIMIT = 64
KNOWN_COLUMNS = 2
"""How many columns of a table must be known, so that it can hold events."""
ARRIVAL = "COALESCE(place, events.rowid), position, events.rowid"
"""The order in which events arrived: a line that was looked at once more keeps its place."""
_COLUMNS = [field.column for field in schemas.FIELDS]


class Intake:
    """Everything that was read so far: the typed table ``events``, what was rejected, and what was seen beside."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, keep: Callable[[dict[str, Any]], None] | None = None
    ) -> None:
        self.connection = connection
        # One moment for all that is read, so that what is read twice is judged alike.
        self.loaded_us = time.time_ns() // 1000
        self.names: list[str] = []
        self.rejected: list[dict[str, Any]] = []
        self.n_rejected: Counter[int] = Counter()
        self._keep = keep or self.rejected.append
        self.unknown: Counter[tuple[str | None, str]] = Counter()
        self.segments: list[tuple[int, int]] = []
        self.beside: list[str] = []
        typed = ", ".join(f"{quote_identifier(f.column)} {VALUE_KINDS[f.kind].sql_type}" for f in schemas.FIELDS)
        self.connection.execute(
            f"CREATE TEMP TABLE events (source INTEGER, place BIGINT, position INTEGER, status TINYINT, "
            f"type_name VARCHAR, n_members INTEGER, is_late BOOLEAN, {typed})"
        )

    def add_source(self, source_name: str) -> int:
        """Give the next source its number."""
        self.names.append(source_name)
        return len(self.names) - 1

    def take_damage(self, damage: Damage) -> None:
        """Take what could not be read."""
        self._reject(damage.source, damage.record, None, damage.reason, damage.raw)

    def _reject(self, source: int, record: int, event_type: str | None, reason: str, raw: bytes) -> None:
        text, length = kept(raw)
        self.n_rejected[source] += 1
        self._keep(
            {"source": source, "record": record, "event_type": event_type, "reason": reason + length, "raw": text}
        )

    def take_lines(self, lines: Lines) -> None:
        """Take a file of JSON lines: the short way where it holds plain events of the wire."""
        expected = fast_path.list_keys(self.connection, lines.path, sample=True)
        if not expected.are_plain or not self._take_wire_lines(lines, expected):
            keys = fast_path.list_keys(self.connection, lines.path)
            if not keys.are_plain or not self._take_wire_lines(lines, keys, has_all_keys=True):
                self._take_texts(Text(source, record, None, raw) for _, source, record, raw in fetch_lines(lines))

    def _take_wire_lines(self, lines: Lines, keys: Keys, *, has_all_keys: bool = False) -> bool:
        """Take lines with the keys that are expected; false, and nothing taken, where some have others."""
        first = self._n_rows()
        source = lines.segments[0].source if len(lines.segments) == 1 else "NULL"
        insert = _insert(str(source), "NULL", "0", n_members="n_members")
        typed = rules.typed_query(fast_path.read_query(lines, keys), needs_id=True, loaded_us=self.loaded_us)
        self.connection.execute(f"{insert} FROM ({typed}) AS typed")
        rows = f"rowid >= {first}"
        n, members = self.connection.execute(f"SELECT count(*), sum(n_members) FROM events WHERE {rows}").fetchall()[0]
        # A line of n members has n - 1 commas at least.
        is_proven = n and members == fast_path.n_commas(lines) + n
        if not (is_proven or has_all_keys or fast_path.list_keys(self.connection, lines.path).within(keys)):
            self.connection.execute(f"UPDATE events SET status = {VOID} WHERE {rows}")
            return False
        # Such records are looked at once more, as all that are rejected here.
        is_no_text = f"({rules.NO_TEXT} OR {rules.HAS_CONTROL})"
        self.connection.execute(
            f"UPDATE events SET status = {REJECTED} WHERE {rows} AND status = {VALID} AND {is_no_text}"
        )
        if source == "NULL":
            self.segments += [(first + part.first_row, part.source) for part in lines.segments if part.n_rows]
        doubtful = self.connection.execute(
            f"SELECT rowid - {first} FROM events WHERE {rows} AND status = {REJECTED} ORDER BY 1"
        ).fetchall()
        if doubtful:
            found = fetch_lines(lines, [row for (row,) in doubtful])
            self._take_texts(Text(source, record, first + row, line) for row, source, record, line in found)
        if not all(map(spellings.is_property, keys.properties)):
            self._note_unknown(fast_path.unknown_query(lines.path, keys.properties))
        return True

    def _n_rows(self) -> int:
        (n,) = self.connection.execute("SELECT count(*) FROM events").fetchall()[0]
        return int(n)

    def _note_unknown(self, query: str) -> None:
        """Count the keys that a query gives with the name of their event, where no field of ours has such a key."""
        counted = self.connection.execute(
            f"SELECT type_name, key, is_nested, count(*) FROM ({query}) AS keyed GROUP BY ALL"
        ).fetchall()
        for type_name, key, is_nested, n in counted:
            event_type = spellings.event_type_of(type_name)
            if event_type and not (spellings.is_property(key) if is_nested else is_known(key)):
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
        broken = self._register(chunk)
        if broken:
            chunk = list(self._told_apart(chunk, broken))
            for number in self._register(chunk):
                text = chunk[number]
                self._reject(text.source, text.record, None, json_fault(text.raw), text.raw.strip(b"\r\n"))
        # A body is its events; whatever stands around them is no record.
        self.connection.execute("""
            CREATE OR REPLACE TEMP TABLE records AS
            WITH valid AS (SELECT * REPLACE (CAST(json AS JSON) AS json) FROM texts WHERE is_json),
            told AS MATERIALIZED (SELECT *, json_type(json, '$.batch') IS NOT DISTINCT FROM 'ARRAY'
                AND len(list_filter(json_keys(json), lambda key: key = 'batch')) = 1 AS is_body FROM valid),
            bodies AS MATERIALIZED (
                SELECT number, source, place, json -> '$.batch[*]' AS events, json ->> 'sentAt' AS sent
                FROM told WHERE is_body)
            SELECT number, source, place, -1 AS position, json, NULL AS sent FROM told WHERE NOT is_body
            UNION ALL
            SELECT number, source, place, unnest(range(len(events))), unnest(events), sent FROM bodies
            ORDER BY number, position
        """)
        shapes = self.connection.execute("""
            SELECT DISTINCT json_keys(json), json_keys(json, '$.properties')
            FROM records WHERE json_type(json) = 'OBJECT'
        """).fetchall()
        top = sorted({key for keys, _ in shapes for key in keys if spellings.is_read(key)})
        properties = sorted({key for _, keys in shapes for key in keys or () if spellings.is_read(key)})
        self._take_records(chunk, top, properties)

    def _register(self, chunk: list[Text]) -> frozenset[int]:
        """Make the table ``texts`` of a chunk, and return the numbers of those that are no JSON."""
        self.connection.register("chunk", text_table(chunk))
        self.connection.execute(
            "CREATE OR REPLACE TEMP TABLE texts AS SELECT *, json_valid(json) AS is_json FROM chunk"
        )
        self.connection.unregister("chunk")
        broken = self.connection.execute("SELECT number FROM texts WHERE NOT is_json").fetchall()
        return frozenset(number for (number,) in broken)

    def _told_apart(self, chunk: list[Text], broken: frozenset[int]) -> Iterator[Text]:
        """Give the texts of a chunk, and instead of a broken one the documents that stand in it."""
        for number, text in enumerate(chunk):
            documents = documents_of(text.raw) if number in broken else []
            if not any(fault is None and raw.startswith(b"{") for raw, fault in documents):
                yield text
                continue
            for raw, fault in documents:
                if fault is None:
                    yield text._replace(raw=raw)
                else:
                    self._reject(text.source, text.record, None, fault, raw)

    def _take_records(self, chunk: list[Text], top: list[str], properties: list[str]) -> None:
        # Such keys are letters, underscores and spaces, so that a pointer needs no escapes. A struct would not tell
        # keys apart that differ in case.
        pointers = [f"/{key}" for key in top] + [f"/properties/{key}" for key in properties]
        cells = [f"cells[{n + 1}]" for n in range(len(pointers))]
        made = expressions(zip(top, cells, strict=False), zip(properties, cells[len(top) :], strict=True))
        made["received_at"] = f"COALESCE({made['received_at']}, sent)" if "received_at" in made else "sent"
        values = f"json_extract_string(json, [{', '.join(map(quote_literal, pointers))}])" if pointers else "NULL"
        self.connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE shaped AS
            SELECT number, source, place, position, sent, json, {values} AS cells,
                CASE WHEN json_type(json) <> 'OBJECT' THEN 'record: expected a JSON object with the fields of an event'
                ELSE 'record: the key "' || COALESCE(
                    {_twice("json_keys(json)")}, {_twice("json_keys(json, '$.properties')")}) || '" stands twice'
                END AS fault
            FROM records
        """)
        raw = f"SELECT number, source, place, position, fault, {raw_columns(made)} FROM shaped"
        typed = rules.typed_query(raw, needs_id=False, loaded_us=self.loaded_us)
        refused = f"CASE WHEN fault IS NOT NULL AND event_type IS NOT NULL THEN {REJECTED} ELSE status END AS status"
        typed = f"SELECT * REPLACE ({refused}) FROM ({typed}) AS typed"
        self._take_careful(typed, "source", "place", "greatest(position, 0)")
        bodies: dict[int, list[bytes]] = {}
        for number, position, event_type, fault, reason in self._faults("position", "event_type", "fault", "reason"):
            text = chunk[number]
            if position >= 0 and number not in bodies:
                bodies = {number: elements(text.raw)}
            events = bodies[number] if position >= 0 else []
            raw_text = events[position] if 0 <= position < len(events) else text.raw.strip(b"\r\n")
            self._reject(text.source, text.record, event_type, fault or reason, raw_text)
        # What was looked at once more has been noted before.
        is_nested = "json_type(json, '$.properties') IS NOT DISTINCT FROM 'OBJECT' AS is_nested"
        self._note_unknown(f"""
            SELECT {made.get("type_name", "NULL")} AS type_name, is_nested,
                unnest(CASE WHEN is_nested THEN json_keys(json, '$.properties') ELSE json_keys(json) END) AS key
            FROM (SELECT *, {is_nested} FROM shaped) AS keyed
            WHERE json_type(json) = 'OBJECT' AND place IS NULL
        """)

    def _take_careful(self, typed: str, source: str, place: str, position: str) -> None:
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE careful AS {typed}")
        self.connection.execute(f"{_insert(source, place, position)} FROM careful WHERE status <> {REJECTED}")

    def _faults(self, *columns: str) -> list[tuple[Any, ...]]:
        """Return the rejected records of ``careful``: the number of each, and what is wanted of it."""
        (any_rejected,) = self.connection.execute(f"SELECT bool_or(status = {REJECTED}) FROM careful").fetchall()[0]
        if not any_rejected:
            return []
        order = "number, position" if "position" in columns else "number"
        told = rules.reason_query("careful")
        query = f"SELECT number, {', '.join(columns)} FROM ({told}) AS told ORDER BY {order}"
        return self.connection.execute(query).fetchall()

    def take_rows(self, rows: Rows) -> None:
        """Take rows of a delimited file."""
        import pyarrow as pa

        if not rows.records:
            return
        numbers = pa.array(range(len(rows.records)), pa.int64())
        names = ["number", *(f"c{n}" for n in range(len(rows.header)))]
        cells = pa.table([numbers, *rows.cells], names=names)
        self.connection.register("cells", cells)
        for number, event_type, reason in self._take_table(rows.source, rows.name, "FROM cells", rows.header):
            self._reject(rows.source, rows.records[number], event_type, reason, rows.raw[number])
        self.connection.unregister("cells")

    def take_relation(self, source: int, table: Table) -> None:
        """Take a relation whose cells are text in the columns ``c0``, ``c1``, …; ``number`` counts its rows from 0."""
        if sum(map(spellings.is_read, table.columns)) < KNOWN_COLUMNS:
            reason = "record: the table holds no events, expected columns such as event, user_id and timestamp"
            self._reject(source, 1, None, reason, ", ".join(table.columns).encode())
            return
        if table.is_json:
            self._take_documents(source, table)
            return
        faults = self._take_table(source, table.name, table.query, table.columns)
        if not faults:
            return
        cells = ", ".join(f"{quote_literal(column)}, c{n}" for n, column in enumerate(table.columns))
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE refused AS FROM careful WHERE status = {REJECTED}")
        raw = self.connection.execute(
            f"SELECT json_object({cells}) FROM ({table.query}) AS given SEMI JOIN refused USING (number) "
            "ORDER BY number"
        ).fetchall()
        for (number, event_type, reason), (text,) in zip(faults, raw, strict=True):
            self._reject(source, table.first + number + 1, event_type, reason, text.encode())

    def _take_documents(self, source: int, table: Table) -> None:
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE documents AS {table.query}")
        self._take_texts(
            Text(source, table.first + number + 1, None, text.encode()) for number, text in self._documents()
        )

    def _documents(self) -> Iterator[tuple[int, str]]:
        (n,) = self.connection.execute("SELECT count(*) FROM documents").fetchall()[0]
        for first in range(0, n, FETCH_ROWS):
            # No result stays open, for what is done with these rows uses the same connection.
            some = f"number BETWEEN {first} AND {first + FETCH_ROWS - 1}"
            yield from self.connection.execute(
                f"SELECT number, json FROM documents WHERE {some} ORDER BY number"
            ).fetchall()

    def _take_table(self, source: int, table_name: str, relation: str, columns: Sequence[str]) -> list[tuple[Any, ...]]:
        stem = table_name.rsplit("/", 1)[-1].split(".", 1)[0]
        made = expressions((column, f"c{n}") for n, column in enumerate(columns))
        if not spellings.PROPERTY_COLUMNS & made.keys():
            # The table that repeats the envelope of every event, without what the event says.
            self.connection.execute(
                "INSERT INTO events (source, status, type_name) "
                f"SELECT {source}, {OTHER}, {quote_literal(stem[:NAME_LIMIT])} FROM ({relation}) AS given"
            )
            return []
        if spellings.event_type_of(stem):
            made["type_name"] = f"COALESCE({made.get('type_name', 'NULL')}, {quote_literal(stem)})"
        raw = f"SELECT number, {raw_columns(made)} FROM ({relation}) AS given"
        self._take_careful(rules.typed_query(raw, needs_id=False, loaded_us=self.loaded_us), str(source), "NULL", "0")
        for n, column in enumerate(columns):
            if not is_known(column):
                self._note_unknown(
                    f"SELECT {made.get('type_name', 'NULL')} AS type_name, {quote_literal(column)} AS key, "
                    f"false AS is_nested FROM ({relation}) AS given WHERE c{n} IS NOT NULL"
                )
        return self._faults("event_type", "reason")

    def mark_duplicates(self) -> None:
        """Mark every valid event whose id an earlier one has; the first arrival is kept."""
        # Few ids repeat: a window over those rows alone costs little, one over all rows half as much as the reading.
        # They are looked for among some of the ids at a time, so that the memory this takes stays bounded.
        self.connection.execute("CREATE OR REPLACE TEMP TABLE repeated (event_id VARCHAR)")
        n_parts = self._n_rows() // IDS_AT_A_TIME + 1
        for part in range(n_parts):
            some = f"AND hash(event_id) % {n_parts} = {part}" if n_parts > 1 else ""
            self.connection.execute(
                f"INSERT INTO repeated SELECT event_id FROM events WHERE status = {VALID} {some} "
                "GROUP BY 1 HAVING count(*) > 1"
            )
        self.connection.execute(f"""
            UPDATE events SET status = {DUPLICATE} WHERE rowid IN (SELECT row FROM (
                SELECT events.rowid AS row, row_number() OVER (PARTITION BY event_id ORDER BY {ARRIVAL}) AS nth
                FROM events SEMI JOIN repeated USING (event_id) WHERE status = {VALID}) AS ranked WHERE nth > 1)
        """)


def _twice(keys: str) -> str:
    return f"list_filter({keys}, lambda key: list_count(list_filter({keys}, lambda other: other = key)) > 1)[1]"


def _insert(source: str, place: str, position: str, n_members: str = "NULL") -> str:
    columns = ", ".join(quote_identifier(column) for column in _COLUMNS)
    return (
        f"INSERT INTO events SELECT {source}, {place}, {position}, status, "
        f"CASE WHEN status = {OTHER} THEN type_name END, {n_members}, is_late, {columns}"
    )
