"""Raw records -> valid events, and rejected records with every reason.

An ``Intake`` takes what the containers hold, unit by unit, into one typed table of DuckDB. Plain JSON lines of wire
events take a short way: one typed read of the file. Whatever that read is not sure of, and everything else, takes the
careful way: record by record, with its text in hand. Both ways share the same rules, so they cannot disagree.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from telemetry_kit.ingest.envelopes import (
    any_holds_event,
    create_functions,
    may_be_around_events,
    open_envelopes,
    pointer,
    properties_sql,
)
from telemetry_kit.ingest.events_table import count_rows, create_events, insert_sql
from telemetry_kit.ingest.fast_path import IS_TEXT
from telemetry_kit.ingest.formats.json_documents import breaks_off, documents_of
from telemetry_kit.ingest.line_files import take_lines
from telemetry_kit.ingest.records import (
    NAME_LIMIT,
    Text,
    elements,
    has_value,
    json_fault,
    kept,
    text_table,
    twice,
    with_names,
)
from telemetry_kit.ingest.rows import take_relation, take_rows
from telemetry_kit.schemas import rules, spellings
from telemetry_kit.schemas.names import quote_literal
from telemetry_kit.schemas.rules import REJECTED
from telemetry_kit.schemas.spellings import expressions, is_known, raw_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import duckdb

    from telemetry_kit.ingest.formats.csv import Rows
    from telemetry_kit.ingest.formats.tables import Table
    from telemetry_kit.ingest.lines import Damage, Lines

CHUNK_BYTES = 32 * 1024 * 1024
FETCH_ROWS = 50_000


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
        # In which envelopes of the file that is being taken events are known to lie.
        self.opened: dict[str, set[tuple[str, ...]]] = {}
        self.n_files = 0
        self.read_at_once: list[tuple[int, int]] = []
        self.generated: list[str] = []
        self.changed: list[str] = []
        # What was read before, where that is added to: its sources come first.
        self.n_stored = 0
        self.counted: dict[tuple[int, str], int] = {}
        self.others: Counter[str] = Counter()
        create_events(connection)
        rules.create_macros(connection)
        create_functions(connection)

    def add_source(self, source_name: str) -> int:
        """Give the next source its number."""
        self.names.append(source_name)
        return len(self.names) - 1

    def take_damage(self, damage: Damage) -> None:
        """Take what could not be read."""
        self.reject(damage.source, damage.record, None, damage.reason, damage.raw)

    def reject(self, source: int, record: int, event_type: str | None, reason: str, raw: bytes) -> None:
        """Put a record into the quarantine."""
        text, length = kept(raw)
        self.n_rejected[source] += 1
        self._keep(
            {"source": source, "record": record, "event_type": event_type, "reason": reason + length, "raw": text}
        )

    def take_lines(self, lines: Lines) -> None:
        """Take a file of JSON lines."""
        self.n_files += 1
        take_lines(self, lines)

    def note_unknown(self, query: str) -> None:
        """Count the keys that a query gives with the name of their event, where no field of ours has such a key.

        The query gives ``type_name``, ``key``, ``is_nested`` (whether it stands among the properties) and ``n``.
        """
        counted = self.connection.execute(
            f"SELECT type_name, key, is_nested, sum(n) FROM ({query}) AS keyed GROUP BY ALL"
        ).fetchall()
        for type_name, key, is_nested, n in counted:
            event_type = spellings.event_type_of(type_name)
            if event_type and not (spellings.is_property(key) if is_nested else is_known(key)):
                self.unknown[event_type, (spellings.property_name(key) or key)[:NAME_LIMIT]] += int(n)

    def take_texts(self, texts: Iterable[Text]) -> None:
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
                self.reject(text.source, text.record, None, json_fault(text.raw), text.raw.strip(b"\r\n"))
        self._open(chunk)
        # A body is its events; whatever stands around them is no record.
        came = "number, source, record, place, is_noted"
        self.connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE records AS
            WITH valid AS (SELECT * REPLACE (CAST(json AS JSON) AS json) FROM texts WHERE is_json),
            told AS MATERIALIZED (SELECT *, json_type(json, '$.batch') IS NOT DISTINCT FROM 'ARRAY'
                AND len(list_filter(json_keys(json), lambda key: key = 'batch')) = 1 AS is_body FROM valid),
            bodies AS MATERIALIZED (
                SELECT {came}, json -> '$.batch[*]' AS events, json ->> 'sentAt' AS sent FROM told WHERE is_body)
            SELECT {came}, -1 AS position, json, NULL AS sent FROM told WHERE NOT is_body
            UNION ALL
            SELECT {came}, unnest(range(len(events))), unnest(events), sent FROM bodies
            ORDER BY number, position
        """)
        top = self._keys("json", "records")
        held = [quote_literal(pointer(key)) for key in top if spellings.is_properties(key)]
        found = [*(properties_sql(f"json_extract_string(json, {at})") for at in held), "CAST(NULL AS JSON)"]
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE nested AS SELECT *, COALESCE({', '.join(found)}) AS properties FROM records"
        )
        self._take_records(chunk, top, self._keys("properties", "nested"))

    def _open(self, chunk: list[Text]) -> None:
        """Open the envelopes among the records of a chunk; one is rejected where what it holds is no JSON."""
        self.connection.execute("DELETE FROM texts WHERE NOT is_json")
        cut = open_envelopes(self.connection, self.opened)
        held = self.connection.execute("SELECT number, json FROM texts WHERE NOT is_json ORDER BY number").fetchall()
        for number, inside in held:
            text = chunk[number]
            where = f'record: in its "{cut[number][:NAME_LIMIT]}": '
            reason = json_fault(inside.encode()).replace("record: ", where, 1)
            self.reject(text.source, text.record, None, reason, text.raw.strip(b"\r\n"))

    def _keys(self, column: str, table: str) -> list[str]:
        """Return the keys that the objects in a column of a table have, in order."""
        shapes = f"SELECT DISTINCT json_keys({column}) AS keys FROM {table} WHERE json_type({column}) = 'OBJECT'"
        found = self.connection.execute(f"SELECT DISTINCT unnest(keys) FROM ({shapes}) AS shapes").fetchall()
        return sorted(key for (key,) in found)

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
            is_apart = number in broken and not breaks_off(text.raw)
            documents = documents_of(text.raw) if is_apart else []
            if not _hold_objects(documents):
                yield text
                continue
            for raw, fault in documents:
                if fault is None:
                    yield text._replace(raw=raw)
                else:
                    self.reject(text.source, text.record, None, fault, raw)

    def _take_records(self, chunk: list[Text], top: list[str], properties: list[str]) -> None:
        # A struct would not tell keys apart that differ in case.
        top = [key for key in top if spellings.is_read(key)]
        properties = [key for key in properties if spellings.is_property(key)]
        made = expressions(
            [(key, f"cells[{n}]") for n, key in enumerate(top, 1)],
            [(key, f"own_cells[{n}]") for n, key in enumerate(properties, 1)],
        )
        made["received_at"] = f"COALESCE({made['received_at']}, sent)" if "received_at" in made else "sent"
        self.connection.execute(f"""
            CREATE OR REPLACE TEMP TABLE shaped AS
            SELECT number, source, record, place, is_noted, position, sent, json, properties,
                {_cells("json", top)} AS cells, {_cells("properties", properties)} AS own_cells,
                CASE WHEN json_type(json) <> 'OBJECT' THEN 'record: expected a JSON object with the fields of an event'
                ELSE 'record: the key "' || COALESCE({twice("json_keys(json)")}, {twice("json_keys(properties)")})
                    || '" stands twice'
                END AS fault
            FROM nested
        """)
        raw = f"SELECT number, source, record, place, position, fault, {raw_columns(made)} FROM shaped"
        wanted = ("position", "event_type", "fault", "reason")
        faults = self.take_careful(raw, *wanted, position="greatest(given.position, 0)")
        bodies: dict[int, list[bytes]] = {}
        unclear = self._not_understood() if faults else {}
        for number, position, event_type, fault, reason in faults:
            text = chunk[number]
            if position >= 0 and number not in bodies:
                bodies = {number: elements(text.raw)}
            events = bodies[number] if position >= 0 else []
            raw_text = events[position] if 0 <= position < len(events) else text.raw.strip(b"\r\n")
            told = fault or with_names(reason, unclear.get((number, position), ()))
            self.reject(text.source, text.record, event_type, told, raw_text)
        type_name = made.get("type_name", "NULL")
        # What reads lines at once passes properties over that are text.
        is_text = f"(json_type(json, '$.properties') = 'VARCHAR' AND {IS_TEXT})"
        counted = f"json_type(json) = 'OBJECT' AND (NOT is_noted OR {is_text})"
        self.note_unknown(f"""
            SELECT type_name, key, is_nested, 1 AS n FROM (
                SELECT {type_name} AS type_name, json AS held, unnest(json_keys(json)) AS key, false AS is_nested
                FROM shaped WHERE {counted} AND properties IS NULL
                UNION ALL
                SELECT {type_name}, properties, unnest(json_keys(properties)), true FROM shaped WHERE {counted}
            ) AS keyed WHERE {has_value("held", "key")}
        """)

    def _not_understood(self) -> dict[tuple[int, int], list[str]]:
        """Return, for the rejected records of ``careful``, the keys that no field of ours has."""
        found = self.connection.execute("""
            SELECT number, position, json_keys(json), json_keys(properties) FROM shaped
            SEMI JOIN careful USING (number, position)
            WHERE json_type(json) = 'OBJECT'
        """).fetchall()
        return {(n, position): spellings.not_understood(top, own or ()) for n, position, top, own in found}

    def take_careful(
        self,
        raw: str,
        *columns: str,
        source: str = "source",
        place: str = "place",
        position: str = "0",
        may_have_control: bool = True,
    ) -> list[tuple[Any, ...]]:
        """Take the raw records that a query gives; return of each that is rejected its number, and what is wanted.

        A record is rejected for its ``fault`` as well, where it is of a type of ours. Those that are rejected are left
        in the table ``careful``.
        """
        first = count_rows(self.connection)
        # What is rejected is of no use where it lies; there, its place tells which it is.
        insert = insert_sql(source, "record", f"CASE WHEN status = {REJECTED} THEN number ELSE {place} END", position)
        self.connection.execute(f"{insert} FROM ({self._judged(raw, may_have_control=may_have_control)}) AS given")
        refused = f"FROM events WHERE rowid >= {first} AND status = {REJECTED}"
        if not self.connection.execute(f"SELECT count(*) {refused}").fetchall()[0][0]:
            return []
        again = f"""
            SELECT given.* FROM ({raw}) AS given SEMI JOIN (SELECT place, position AS at {refused}) AS refused
            ON given.number = refused.place AND {position} = refused.at
        """
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE careful AS {self._judged(again, may_have_control=may_have_control)}"
        )
        order = "number, position" if "position" in columns else "number"
        told = rules.reason_query("careful")
        query = f"SELECT number, {', '.join(columns)} FROM ({told}) AS told ORDER BY {order}"
        return self.connection.execute(query).fetchall()

    def _judged(self, raw: str, *, may_have_control: bool) -> str:
        typed = rules.typed_query(raw, needs_id=False, loaded_us=self.loaded_us, may_have_control=may_have_control)
        refused = f"CASE WHEN fault IS NOT NULL AND event_type IS NOT NULL THEN {REJECTED} ELSE status END"
        return f"SELECT * REPLACE ({refused} AS status) FROM ({typed}) AS typed"

    def take_rows(self, rows: Rows) -> None:
        """Take rows of a delimited file, or the events that cells of theirs hold."""
        if may_be_around_events(rows.name, rows.header) and any_holds_event(rows.cells):
            texts = zip(rows.records.tolist(), _json(rows), strict=True)
            self.take_texts(Text(rows.source, record, None, text) for record, text in texts)
        else:
            take_rows(self, rows)

    def take_relation(self, source: int, table: Table) -> None:
        """Take a relation whose cells are text in the columns ``c0``, ``c1``, …; ``number`` counts its rows from 0."""
        if table.is_json:
            self._take_documents(source, table)
        else:
            take_relation(self, source, table)

    def _take_documents(self, source: int, table: Table) -> None:
        self.connection.execute(f"CREATE OR REPLACE TEMP TABLE documents AS {table.query}")
        self.take_texts(
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


def _json(rows: Rows) -> Iterator[bytes]:
    """Give rows of a delimited file as JSON."""
    for cells in zip(*(column.to_pylist() for column in rows.cells), strict=True):
        yield json.dumps(dict(zip(rows.header, cells, strict=True)), ensure_ascii=False).encode()


def _cells(column: str, keys: list[str]) -> str:
    """Return SQL for the values of an object's keys, as texts."""
    pointers = ", ".join(quote_literal(pointer(key)) for key in keys)
    return f"json_extract_string({column}, [{pointers}])" if keys else "NULL"


def _hold_objects(documents: list[tuple[bytes, str | None]]) -> bool:
    """Tell that a broken line holds objects one behind the other, and not a single one that breaks off."""
    if not any(fault is None and raw.startswith(b"{") for raw, fault in documents):
        return False
    # Behind an array that is still open stand its elements, as the events of a body that was cut do.
    first, fault = documents[0]
    return fault is None or first.count(b"[") <= first.count(b"]")
