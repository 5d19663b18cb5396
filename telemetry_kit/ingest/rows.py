"""Rows of tables and of delimited files -> an ``Intake``: texts under names of columns, properties nested or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from telemetry_kit.ingest.envelopes import properties_sql, stem_of
from telemetry_kit.ingest.formats.csv_blocks import trimmed
from telemetry_kit.ingest.formats.tables import in_batches, may_hold_control
from telemetry_kit.ingest.records import NAME_LIMIT, has_value, twice, with_names
from telemetry_kit.schemas import spellings
from telemetry_kit.schemas.names import fold, quote_literal
from telemetry_kit.schemas.rules import OTHER
from telemetry_kit.schemas.spellings import expressions, raw_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from telemetry_kit.ingest.formats.csv import Rows
    from telemetry_kit.ingest.formats.tables import Table

KNOWN_COLUMNS = 2
"""How many columns of a table must be known, so that it can hold events."""
ENVELOPES = ("tracks",)
"""Tables that repeat the envelope of every event, without what the event says."""


class RecordTaker(Protocol):
    """What takes records: an ``Intake``."""

    connection: duckdb.DuckDBPyConnection
    loaded_us: int

    def reject(self, source: int, record: int, event_type: str | None, reason: str, raw: bytes) -> None:
        """Put a record into the quarantine."""

    def take_careful(
        self, raw: str, *columns: str, source: str = ..., place: str = ..., may_have_control: bool = ...
    ) -> list[tuple[Any, ...]]:
        """Take the raw records that a query gives; return of each that is rejected its number, and what is wanted."""

    def note_unknown(self, query: str) -> None:
        """Count the keys that a query gives, where no field of ours has such a key."""


def take_rows(intake: RecordTaker, rows: Rows) -> None:
    """Take rows of a delimited file, in which a whole cell may be a word for null."""
    import pyarrow as pa

    n_rows = len(rows.records)
    if not n_rows:
        return
    cells = rows.cells if rows.are_trimmed else map(trimmed, rows.cells)
    names = ["number", "record", *(f"c{n}" for n in range(len(rows.header)))]
    table = pa.table([pa.array(range(n_rows), pa.int64()), pa.array(rows.records, pa.int64()), *cells], names=names)
    intake.connection.register("cells", in_batches(table))
    query, is_odd = "SELECT * FROM cells", may_hold_control(table)
    for number, event_type, reason in _take(
        intake, rows.source, rows.name, query, rows.header, may_have_control=is_odd
    ):
        record = int(rows.records[number])
        intake.reject(rows.source, record, event_type, reason, rows.raw[record])
    intake.connection.unregister("cells")


def holds_events(table_name: str, columns: Sequence[str]) -> bool:
    """Tell by the name of a table and its columns whether it can hold events."""
    n_known = sum(spellings.is_read(name) or spellings.is_properties(name) for name in columns)
    return n_known >= KNOWN_COLUMNS or spellings.event_type_of(stem_of(table_name)) is not None


def no_events(n_rows: int) -> str:
    """Return the reason why a table of so many rows is rejected as a whole."""
    return f"record: the table of {n_rows} rows holds no events, expected columns such as event, user_id and timestamp"


def take_relation(intake: RecordTaker, source: int, table: Table) -> None:
    """Take a relation whose cells are text in the columns ``c0``, ``c1``, …; ``number`` counts its rows from 0."""
    connection = intake.connection
    if not holds_events(table.name, table.columns):
        ((n_rows,),) = connection.execute(f"SELECT count(*) FROM ({table.query}) AS given").fetchall()
        intake.reject(source, 1, None, no_events(n_rows), ", ".join(table.columns).encode())
        return
    numbered = f"SELECT *, {table.first} + number + 1 AS record FROM ({table.query}) AS given"
    faults = _take(intake, source, table.name, numbered, table.columns, may_have_control=table.may_have_control)
    if not faults:
        return
    connection.execute("CREATE OR REPLACE TEMP TABLE refused AS SELECT number FROM careful")
    raw = connection.execute(
        f"SELECT {row_json(table.columns)} FROM ({table.query}) AS given SEMI JOIN refused USING (number) "
        "ORDER BY number"
    ).fetchall()
    for (number, event_type, reason), (text,) in zip(faults, raw, strict=True):
        intake.reject(source, table.first + number + 1, event_type, reason, text.encode())


def row_json(columns: Sequence[str]) -> str:
    """Return SQL for a row of a relation as the text of a JSON object."""
    return f"json_object({', '.join(f'{quote_literal(column)}, c{n}' for n, column in enumerate(columns))})"


def _take(
    intake: RecordTaker,
    source: int,
    table_name: str,
    relation: str,
    columns: Sequence[str],
    *,
    may_have_control: bool,
) -> list[tuple[int, str | None, str]]:
    """Take the rows that a query gives; return number, event type and reason of each that is rejected."""
    stem = stem_of(table_name)
    unclear = spellings.not_understood(name for name in columns if not spellings.is_properties(name))
    nested = [f"c{n}" for n, name in enumerate(columns) if spellings.is_properties(name)]
    relation, properties = _unnest(intake, relation, nested)
    own = [key for key in properties if spellings.is_property(key)]
    made = expressions(
        [(name, f"c{n}") for n, name in enumerate(columns)],
        [(key, f"json_extract_string(properties, {quote_literal('/' + key)})") for key in own],
    )
    our_type = spellings.event_type_of(stem)
    is_envelope = not (unclear or nested or spellings.PROPERTY_COLUMNS & made.keys())
    if not our_type and ("type_name" not in made or is_envelope or fold(stem) in ENVELOPES):
        intake.connection.execute(
            "INSERT INTO events (source, status, type_name) "
            f"SELECT {source}, {OTHER}, {quote_literal(stem[:NAME_LIMIT])} FROM ({relation}) AS given"
        )
        return []
    if our_type:
        made["type_name"] = f"COALESCE({made.get('type_name', 'NULL')}, {quote_literal(stem)})"
    raw = f"SELECT number, record, fault, {raw_columns(made)} FROM ({relation}) AS given"
    # In the text of properties, a character may be escaped.
    may_have_control = may_have_control or bool(nested)
    wanted = ("event_type", "fault", "reason")
    faults = intake.take_careful(raw, *wanted, source=str(source), place="NULL", may_have_control=may_have_control)
    _note_unknown(intake, relation, made.get("type_name", "NULL"), columns, has_properties=bool(nested))
    names = unclear + [key for key in properties if not spellings.is_property(key)]
    return [(number, event_type, fault or with_names(reason, names)) for number, event_type, fault, reason in faults]


def _unnest(intake: RecordTaker, relation: str, nested: list[str]) -> tuple[str, list[str]]:
    """Add to a relation the ``properties`` that cells hold as text, and a ``fault``; return the keys that occur."""
    if not nested:
        return f"SELECT *, CAST(NULL AS VARCHAR) AS fault FROM ({relation}) AS given", []
    cell = f"COALESCE({', '.join(nested)})"
    added = f"""
        SELECT *, 'properties: the key "' || {twice("json_keys(properties)")} || '" stands twice' AS fault
        FROM (SELECT *, {properties_sql(cell)} AS properties FROM ({relation}) AS given)
            AS opened
    """
    keys = intake.connection.execute(
        "SELECT DISTINCT unnest(keys) FROM (SELECT DISTINCT json_keys(properties) AS keys "
        f"FROM ({added}) AS opened) AS shapes"
    ).fetchall()
    return added, sorted(key for (key,) in keys)


def _note_unknown(
    intake: RecordTaker, relation: str, type_name: str, columns: Sequence[str], *, has_properties: bool
) -> None:
    """Count the values of columns and properties that no field of ours has, all in one pass."""
    unknown = {n: name for n, name in enumerate(columns) if not spellings.is_known(name)}
    if unknown:
        counts = ", ".join(f"count(c{n}) AS n{n}" for n in unknown)
        intake.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE counted AS SELECT {type_name} AS type_name, {counts} "
            f"FROM ({relation}) AS given GROUP BY ALL"
        )
        keys, counted = ", ".join(map(quote_literal, unknown.values())), ", ".join(f"n{n}" for n in unknown)
        # One pass and not a query for each column, which would take time that grows with the square of their number.
        by_key = f"SELECT type_name, unnest([{keys}]) AS key, false AS is_nested, unnest([{counted}]) AS n FROM counted"
        intake.note_unknown(f"SELECT * FROM ({by_key}) AS by_key WHERE n > 0")
    if has_properties:
        intake.note_unknown(
            "SELECT type_name, key, true AS is_nested, 1 AS n FROM ("
            f"SELECT {type_name} AS type_name, properties, unnest(json_keys(properties)) AS key "
            f"FROM ({relation}) AS given) AS keyed WHERE {has_value('properties', 'key')}"
        )
