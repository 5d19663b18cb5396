"""The typed table ``events`` of an intake: every record with its place, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_kit import schemas
from telemetry_kit.schemas.names import quote_identifier
from telemetry_kit.schemas.rules import OTHER
from telemetry_kit.schemas.values import VALUE_KINDS

if TYPE_CHECKING:
    import duckdb


def create_events(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table.

    A connection to a file has it there, packed and never in memory as a whole, which a temporary table would be.
    """
    typed = ", ".join(f"{quote_identifier(f.column)} {VALUE_KINDS[f.kind].sql_type}" for f in schemas.FIELDS)
    connection.execute(
        "CREATE OR REPLACE TABLE events (source INTEGER, record BIGINT, place BIGINT, position INTEGER, "
        f"status TINYINT, type_name VARCHAR, n_members INTEGER, is_late BOOLEAN, {typed})"
    )


def insert_sql(
    source: str, record: str = "NULL", place: str = "NULL", position: str = "0", n_members: str = "NULL"
) -> str:
    """Return the beginning of SQL that inserts typed records, with the SQL that tells where each stands."""
    columns = ", ".join(quote_identifier(field.column) for field in schemas.FIELDS)
    return (
        f"INSERT INTO events SELECT {source}, {record}, {place}, {position}, status, "
        f"CASE WHEN status = {OTHER} THEN type_name END, {n_members}, is_late, {columns}"
    )


def parts_of(key: str, n: int, n_at_a_time: int) -> list[str]:
    """Return SQL for parts of the values of ``key``: of ``n``, about so many are in each."""
    n_parts = n // n_at_a_time + 1
    return [f"hash({key}) % {n_parts} = {part}" for part in range(n_parts)] if n_parts > 1 else ["true"]


def count_rows(connection: duckdb.DuckDBPyConnection) -> int:
    """Count the records in the table."""
    ((n,),) = connection.execute("SELECT count(*) FROM events").fetchall()
    return int(n)
