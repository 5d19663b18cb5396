"""Events under the id of another one: rejected, with their text, which is found again where they came from."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, NamedTuple

from telemetry_kit.ingest.lines import fetch_lines
from telemetry_kit.ingest.records import elements
from telemetry_kit.ingest.rows import row_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import duckdb

    from telemetry_kit.ingest.duplicates import Conflict
    from telemetry_kit.ingest.formats.csv import Rows
    from telemetry_kit.ingest.formats.tables import Table
    from telemetry_kit.ingest.intake import Intake
    from telemetry_kit.ingest.lines import Damage, Lines


class Found(NamedTuple):
    """Where an event stands, and how it came."""

    source: int
    record: int
    raw: bytes


class Finder:
    """Takes what an ``Intake`` took, once more, and remembers nothing but the rows that are wanted.

    A row of ``events`` is found by its source, record and place in a body; one that was read at once with the rest of
    its lines, by the number of that file of lines and its place there. Of each row in ``rows`` is told whether its text
    is wanted as well.
    """

    def __init__(self, intake: Intake, rows: Mapping[int, bool]) -> None:
        import pyarrow as pa

        self.connection: duckdb.DuckDBPyConnection = intake.connection
        self.names = intake.names[: intake.n_stored]
        self.beside: list[str] = []
        self.generated: list[str] = []
        self.changed: list[str] = []
        self.found: dict[int, Found] = {}
        self.n_files = 0
        self._has_text = rows
        self._lines: dict[int, dict[int, int]] = {}
        self._records: dict[int, dict[int, dict[int, int]]] = {}
        firsts = [first for first, _ in intake.read_at_once]
        self.connection.register("wanted", pa.table({"row": pa.array(list(rows), pa.int64())}))
        for row, source, record, position in self.connection.execute(
            "SELECT row, source, record, position FROM wanted JOIN events ON events.rowid = row ORDER BY 2, 3"
        ).fetchall():
            if record is not None:
                self._records.setdefault(source, {}).setdefault(record, {})[position] = row
            else:
                first, file = intake.read_at_once[bisect.bisect_right(firsts, row) - 1]
                self._lines.setdefault(file, {})[row - first] = row
        self.connection.unregister("wanted")

    def add_source(self, source_name: str) -> int:
        """Give the next source its number."""
        self.names.append(source_name)
        return len(self.names) - 1

    def take_damage(self, damage: Damage) -> None:
        """Pass over what could not be read."""

    def take_lines(self, lines: Lines) -> None:
        """Find what is wanted in a file of JSON lines."""
        self.n_files += 1
        rows = self._lines.get(self.n_files, {})
        is_all = any(segment.source in self._records for segment in lines.segments)
        if not (rows or is_all):
            return
        for number, source, record, line in fetch_lines(lines, None if is_all else list(rows)):
            if number in rows:
                self._take(rows[number], source, record, line.strip(b"\r\n"))
            self._take_record(source, record, line)

    def _take_record(self, source: int, record: int, text: bytes) -> None:
        wanted = self._records.get(source, {}).get(record, {})
        parts = elements(text) if len(wanted) > 1 or any(wanted) else []
        for position, row in wanted.items():
            if row not in self.found:
                raw = parts[position] if position < len(parts) else text.strip(b"\r\n")
                self._take(row, source, record, raw)

    def _take(self, row: int, source: int, record: int, raw: bytes) -> None:
        self.found[row] = Found(source, record, raw if self._has_text[row] else b"")

    def take_rows(self, rows: Rows) -> None:
        """Find what is wanted among the rows of a delimited file."""
        records = self._records.get(rows.source, {})
        for record in rows.records.tolist() if records else ():
            if record in records:
                self._take_record(rows.source, record, rows.raw[record])

    def take_relation(self, source: int, table: Table) -> None:
        """Find what is wanted among the rows of a table."""
        import pyarrow as pa

        records = list(self._records.get(source, ()))
        records = records[bisect.bisect_right(records, table.first) :]
        if not records:
            return
        numbers = pa.array(records, pa.int64())
        self.connection.register("wanted", pa.table({"record": numbers}))
        row = "CAST(json AS VARCHAR)" if table.is_json else row_json(table.columns)
        for record, text in self.connection.execute(
            f"SELECT record, {row} FROM ({table.query}) AS given JOIN wanted ON number + {table.first} + 1 = record"
        ).fetchall():
            self._take_record(source, record, text.encode())
        self.connection.unregister("wanted")


def reason_of(event_id: str, record: int, source_name: str, difference: str) -> str:
    """Return why an event is rejected whose id a record of a source has."""
    return f'event_id: "{event_id}" is the id of record {record} of {source_name}, which differs: {difference}'


def reject_conflicts(intake: Intake, some: list[Conflict], finder: Finder) -> None:
    """Put events that have the id of another one into the quarantine."""
    missing = [row for conflict in some for row in (conflict.row, conflict.first) if row not in finder.found]
    places = _places(intake, missing)
    for conflict in some:
        first = finder.found.get(conflict.first) or places[conflict.first]
        own = finder.found.get(conflict.row) or places[conflict.row]
        reason = reason_of(conflict.event_id, first.record, intake.names[first.source], conflict.difference)
        intake.reject(own.source, own.record, conflict.event_type, reason, own.raw)


def _places(intake: Intake, rows: list[int]) -> dict[int, Found]:
    """Return the places of events whose text could not be found again."""
    if not rows:
        return {}
    import pyarrow as pa

    intake.connection.register("missing", pa.table({"row": pa.array(rows, pa.int64())}))
    told = intake.connection.execute(
        "SELECT row, source, record FROM missing JOIN events ON events.rowid = row"
    ).fetchall()
    intake.connection.unregister("missing")
    return {row: Found(source or 0, record or 0, b"") for row, source, record in told}
