"""Events under the id of another one: rejected, with their text, which is found again where they came from."""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING, NamedTuple

from telemetry_kit.ingest.lines import fetch_lines
from telemetry_kit.ingest.records import elements
from telemetry_kit.ingest.rows import row_json

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    """Takes what an ``Intake`` took, once more, and remembers nothing but the text of the rows that are wanted.

    A row of ``events`` is found by its source, record and place in a body; one that was read at once with the rest of
    its lines, by the number of that file of lines and its place there.
    """

    def __init__(self, intake: Intake, rows: Iterable[int]) -> None:
        self.connection: duckdb.DuckDBPyConnection = intake.connection
        self.names = intake.names[: intake.n_stored]
        self.beside: list[str] = []
        self.generated: list[str] = []
        self.changed: list[str] = []
        self.found: dict[int, Found] = {}
        self.n_files = 0
        self._lines: dict[int, dict[int, int]] = {}
        self._records: dict[tuple[int, int], dict[int, int]] = {}
        firsts = [first for first, _ in intake.read_at_once]
        numbers = ", ".join(map(str, rows))
        for row, source, record, position in self.connection.execute(
            f"SELECT rowid, source, record, position FROM events WHERE rowid IN ({numbers})"
        ).fetchall():
            if record is not None:
                self._records.setdefault((source, record), {})[position] = row
            else:
                first, file = intake.read_at_once[bisect.bisect_right(firsts, row) - 1]
                self._lines.setdefault(file, {})[row - first] = row

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
        sources = {segment.source for segment in lines.segments}
        is_all = any(source in sources for source, _ in self._records)
        if not (rows or is_all):
            return
        for number, source, record, line in fetch_lines(lines, None if is_all else list(rows)):
            if number in rows:
                self.found[rows[number]] = Found(source, record, line.strip(b"\r\n"))
            self._take_record(source, record, line)

    def _take_record(self, source: int, record: int, text: bytes) -> None:
        wanted = self._records.get((source, record), {})
        parts = elements(text) if len(wanted) > 1 or any(wanted) else []
        for position, row in wanted.items():
            raw = parts[position] if position < len(parts) else text.strip(b"\r\n")
            self.found.setdefault(row, Found(source, record, raw))

    def take_rows(self, rows: Rows) -> None:
        """Find what is wanted among the rows of a delimited file."""
        for record in rows.records.tolist():
            if (rows.source, record) in self._records:
                self._take_record(rows.source, record, rows.raw[record])

    def take_relation(self, source: int, table: Table) -> None:
        """Find what is wanted among the rows of a table."""
        records = [record for of, record in self._records if of == source and record > table.first]
        if not records:
            return
        numbers = ", ".join(str(record - table.first - 1) for record in records)
        row = "CAST(json AS VARCHAR)" if table.is_json else row_json(table.columns)
        for number, text in self.connection.execute(
            f"SELECT number, {row} FROM ({table.query}) AS given WHERE number IN ({numbers})"
        ).fetchall():
            self._take_record(source, table.first + number + 1, text.encode())


def reason_of(event_id: str, record: int, source_name: str, difference: str) -> str:
    """Return why an event is rejected whose id a record of a source has."""
    return f'event_id: "{event_id}" is the id of record {record} of {source_name}, which differs: {difference}'


def reject_conflicts(intake: Intake, conflicts: list[Conflict], finder: Finder) -> None:
    """Put events that have the id of another one into the quarantine."""
    for conflict in conflicts:
        mine, first = (finder.found.get(row) for row in (conflict.row, conflict.first))
        known = first or _place(intake, conflict.first)
        reason = reason_of(conflict.event_id, known.record, intake.names[known.source], conflict.difference)
        own = mine or _place(intake, conflict.row)
        intake.reject(own.source, own.record, conflict.event_type, reason, own.raw)


def _place(intake: Intake, row: int) -> Found:
    """Return the place of an event whose text could not be found again."""
    ((source, record),) = intake.connection.execute(f"SELECT source, record FROM events WHERE rowid = {row}").fetchall()
    return Found(source or 0, record or 0, b"")
