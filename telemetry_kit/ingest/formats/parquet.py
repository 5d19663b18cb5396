"""Parquet files -> tables, and what can be read of a damaged one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_kit.ingest.formats.tables import arrow_table, as_text, table_errors
from telemetry_kit.ingest.opening import why
from telemetry_kit.schemas.names import quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from telemetry_kit.ingest.formats.tables import Table, TableFile


def parquet_table(connection: duckdb.DuckDBPyConnection, file: TableFile) -> Table:
    """Give the table of a Parquet file."""
    import pyarrow.parquet

    columns = pyarrow.parquet.read_schema(file.path).names
    rows = f"read_parquet({quote_literal(str(file.path))}, hive_partitioning=false)"
    return as_text(connection, file.name, rows, columns)


def row_groups(connection: duckdb.DuckDBPyConnection, file: TableFile) -> Iterator[Table | tuple[int, str]]:
    """Give a damaged Parquet file piece by piece, and in the place of a damaged piece its first record and the reason.

    Raises
    ------
    pyarrow.ArrowException, OSError, ValueError
        Where not even the list of its pieces can be read.
    """
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(file.path) as parquet:
        first = 0
        for n in range(parquet.num_row_groups):
            n_rows = parquet.metadata.row_group(n).num_rows
            try:
                yield arrow_table(connection, file.name, parquet.read_row_group(n))._replace(first=first)
            except table_errors() as error:
                yield first + 1, f"record: rows {first + 1} to {first + n_rows} cannot be read: {why(error)}"
            first += n_rows
