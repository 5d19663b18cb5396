"""The base tables of a DuckDB database in a file -> batches; what else it holds is told, and never run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import duckdb

from telemetry_kit.ingest.formats.cells import CELL_LIMIT, PIECE_BYTES
from telemetry_kit.ingest.formats.parquet import BATCH_ROWS, Unread
from telemetry_kit.ingest.formats.tables import without_json
from telemetry_kit.ingest.opening import why
from telemetry_kit.quoting import quote_identifier, quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

MEMORY_LIMIT = "256MB"
_AS_TEXT = ("VARIANT", "UNION", "BIT", "GEOMETRY", "HUGEINT", "UHUGEINT", "BIGNUM", "TIME", "INTERVAL", "UUID")
"""Types that Arrow has not, or has in several ways."""


class BaseTable(NamedTuple):
    """A table of a database: its name, its quoted name, its columns with their types, those that are computed."""

    name: str
    quoted: str
    columns: list[tuple[str, str]]
    generated: list[str]


def open_database(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a database so that nothing in it can load code, change settings or reach another file."""
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": MEMORY_LIMIT,
            "threads": "1",
            "temp_directory": "",
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"ATTACH {quote_literal(str(path))} AS given (READ_ONLY, TYPE duckdb)")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def base_tables(connection: duckdb.DuckDBPyConnection) -> list[BaseTable]:
    """List the base tables of a database, in the order of their names."""
    rows = connection.execute("""
        SELECT t.schema_name, t.table_name, c.column_name, c.data_type, c.is_generated
        FROM duckdb_tables() AS t JOIN duckdb_columns() AS c USING (database_name, schema_name, table_name)
        WHERE t.database_name = 'given' ORDER BY t.schema_name, t.table_name, c.column_index
    """).fetchall()
    found: dict[tuple[str, str], BaseTable] = {}
    for schema, table, column, kind, is_generated in rows:
        quoted = f"given.{quote_identifier(schema)}.{quote_identifier(table)}"
        entry = found.setdefault((schema, table), BaseTable(_named(schema, table), quoted, [], []))
        if is_generated:
            entry.generated.append(column)
        else:
            entry.columns.append((column, kind))
    return list(found.values())


def list_views(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """List the views of a database, which are not read."""
    rows = connection.execute(
        "SELECT schema_name, view_name FROM duckdb_views() AS v "
        "WHERE v.database_name = 'given' AND NOT v.internal ORDER BY 1, 2"
    ).fetchall()
    return [_named(schema, view) for schema, view in rows]


def _named(schema: str, name: str) -> str:
    return name if schema == "main" else f"{schema}.{name}"


def table_batches(
    connection: duckdb.DuckDBPyConnection, table: BaseTable
) -> Iterator[tuple[int, pa.RecordBatch] | Unread]:
    """Give the rows of a table batch by batch, each with the number of its first row.

    The last column, ``fault``, tells which cells of a row are above the limit; these are null.
    """
    if not table.columns:
        return
    texts = [column for column, kind in table.columns if kind == "VARCHAR"]
    faults = ", ".join(f"CASE WHEN {_is_long(column)} THEN {_fault(column)} END" for column in texts)
    cells = ", ".join(_cell(column, kind) for column, kind in table.columns)
    told = f"nullif(concat_ws('; ', {faults}), '')" if texts else "NULL"
    cells += f", CAST({told} AS VARCHAR) AS fault"
    size = " + ".join(
        f"CASE WHEN {_is_long(column)} THEN 0 ELSE COALESCE({_length(column)}, 0) END" for column in texts
    )
    (n_rows, last) = connection.execute(f"SELECT count(*), COALESCE(max(rowid), -1) FROM {table.quoted}").fetchall()[0]
    spans = [(at, min(at + BATCH_ROWS[0], last + 1)) for at in range(0, last + 1, BATCH_ROWS[0])][::-1]
    done = 0
    while spans:
        begin, end = spans.pop()
        rows = f"FROM {table.quoted} WHERE rowid BETWEEN {begin} AND {end - 1}"
        try:
            n_bytes = connection.execute(f"SELECT sum({size or '0'}) {rows}").fetchall()[0][0] or 0
            is_small = n_bytes <= PIECE_BYTES or end - begin == 1
            part = connection.sql(f"SELECT {cells} {rows}").to_arrow_table() if is_small else None
        except (duckdb.Error, MemoryError, ValueError, OverflowError) as error:
            if _is_over(error):
                yield Unread(done, max(n_rows - done, 1), why(error))
                return
            part = None
            if end - begin == 1:
                yield Unread(done, 1, why(error))
                done += 1
                continue
        if part is None:
            half = (begin + end) // 2
            spans += [(half, end), (begin, half)]
            continue
        for batch in part.combine_chunks().to_batches():
            yield done, batch
            done += len(batch)


def _length(column: str) -> str:
    return f"strlen({quote_identifier(column)})"


def _is_long(column: str) -> str:
    return f"{_length(column)} > {CELL_LIMIT}"


def _fault(column: str) -> str:
    told = quote_literal(f" bytes, expected at most {CELL_LIMIT}")
    return f"{quote_literal(column + ': a cell of ')} || {_length(column)} || {told}"


def _is_over(error: Exception) -> bool:
    """Tell whether a connection can do nothing more."""
    return isinstance(error, (duckdb.FatalException, duckdb.InternalException)) or "invalidated" in str(error)


def _cell(column: str, kind: str) -> str:
    name = quote_identifier(column)
    if plain := without_json(column, kind):
        return plain
    if kind == "VARCHAR":
        return f"CASE WHEN NOT {_is_long(column)} THEN {name} END AS {name}"
    return f"CAST({name} AS VARCHAR) AS {name}" if kind.startswith(_AS_TEXT) else name
