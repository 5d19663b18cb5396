"""The tables of a DuckDB database in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_kit.ingest.formats.tables import as_text
from telemetry_kit.schemas.names import quote_identifier, quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from telemetry_kit.ingest.formats.tables import Table, TableFile


def duckdb_tables(connection: duckdb.DuckDBPyConnection, file: TableFile) -> Iterator[Table]:
    """Give the tables of a database."""
    connection.execute(f"ATTACH {quote_literal(str(file.path))} AS given (READ_ONLY)")
    try:
        tables = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'given' ORDER BY ALL"
        ).fetchall()
        for schema, table in tables:
            shown = table if schema == "main" else f"{schema}.{table}"
            rows = f"given.{quote_identifier(schema)}.{quote_identifier(table)}"
            columns = [column for column, *_ in connection.execute(f"DESCRIBE {rows}").fetchall()]
            yield as_text(connection, f"{file.name}/{shown}", rows, columns)
    finally:
        connection.execute("DETACH given")
