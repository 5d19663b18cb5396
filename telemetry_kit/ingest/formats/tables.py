"""Tables of every kind -> relations of DuckDB whose cells are text: Parquet, Arrow, DuckDB and PostgreSQL, frames."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from math import isnan
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pandas as pd

from telemetry_kit.errors import MissingExtraError, ParameterError, SourceError
from telemetry_kit.ingest.compression import why
from telemetry_kit.ingest.discovery import SOURCE_EXPECTED
from telemetry_kit.schemas.names import fold, quote_identifier, quote_literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

    from telemetry_kit.ingest.detection import TableFile

_URL = re.compile("[A-Za-z][A-Za-z0-9+.-]+://")
_POSTGRESQL = ("postgresql://", "postgres://")
_NESTED = ("STRUCT", "MAP", "UNION", "JSON", "VARIANT")


class Table(NamedTuple):
    """A table: its name, the query for its rows, and the names of its columns.

    The query gives the ``number`` of each row, counted from 0, and its cells as text in ``c0``, ``c1``, …; or, where
    some are nested, the row as ``json``. ``first`` is how many rows of its source come before.
    """

    name: str
    query: str
    columns: list[str]
    is_json: bool = False
    first: int = 0


def is_url(source: object) -> bool:
    """Tell whether a source is the address of a database.

    Raises
    ------
    ParameterError
        Where it is the address of something else.
    """
    if not isinstance(source, str) or not _URL.match(source):
        return False
    if not source.startswith(_POSTGRESQL):
        scheme = source.partition("://")[0]
        raise ParameterError("source", f"{scheme}://…", "a path, or the URL of a PostgreSQL database (postgresql://…)")
    return True


def table_errors() -> tuple[type[Exception], ...]:
    """Return what a damaged table raises while it is read."""
    import duckdb
    import pyarrow as pa

    return duckdb.Error, pa.ArrowException, OSError, ValueError


def table_file(connection: duckdb.DuckDBPyConnection, file: TableFile) -> Iterator[Table]:
    """Give the tables of a file."""
    path = quote_literal(str(file.path))
    if file.form == "parquet":
        import pyarrow.parquet

        columns = pyarrow.parquet.read_schema(file.path).names
        yield _as_text(connection, file.name, f"read_parquet({path}, hive_partitioning=false)", columns)
    elif file.form == "arrow":
        import pyarrow.feather

        yield arrow_table(connection, file.name, pyarrow.feather.read_table(file.path))
    else:
        yield from _attached(connection, file.name, path)


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


def _attached(connection: duckdb.DuckDBPyConnection, file_name: str, path: str) -> Iterator[Table]:
    connection.execute(f"ATTACH {path} AS given (READ_ONLY)")
    try:
        tables = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'given' ORDER BY ALL"
        ).fetchall()
        for schema, table in tables:
            shown = table if schema == "main" else f"{schema}.{table}"
            rows = f"given.{quote_identifier(schema)}.{quote_identifier(table)}"
            columns = [column for column, *_ in connection.execute(f"DESCRIBE {rows}").fetchall()]
            yield _as_text(connection, f"{file_name}/{shown}", rows, columns)
    finally:
        connection.execute("DETACH given")


def arrow_table(connection: duckdb.DuckDBPyConnection, table_name: str, table: pa.Table) -> Table:
    """Give an Arrow table under a name; DuckDB reads it where it lies."""
    if table.num_columns:
        connection.register("given_table", table.rename_columns([f"c{n}" for n in range(table.num_columns)]))
    return _as_text(connection, table_name, "given_table", table.column_names)


def _as_text(connection: duckdb.DuckDBPyConnection, table_name: str, rows: str, columns: list[str]) -> Table:
    if not columns:
        return Table(table_name, "SELECT 0 AS number WHERE false", [])
    cells = [f"c{n}" for n in range(len(columns))]
    relation = f"(FROM {rows} AS given({', '.join(cells)}))"
    kinds = [kind for _, kind, *_ in connection.execute(f"DESCRIBE {relation}").fetchall()]
    numbered = f"SELECT row_number() OVER () - 1 AS number, {{}} FROM {relation}"
    if any(map(_is_nested, kinds, columns)):
        members = ", ".join(
            f"{quote_literal(column)}, {_json(*cell)}"
            for column, *cell in zip(columns, cells, kinds, columns, strict=True)
        )
        return Table(table_name, numbered.format(f"json_object({members}) AS json"), columns, is_json=True)
    texts = ", ".join(f"{_text(cell, kind)} AS {cell}" for cell, kind in zip(cells, kinds, strict=True))
    return Table(table_name, numbered.format(texts), columns)


def _is_nested(kind: str, column: str) -> bool:
    return kind.startswith(_NESTED) or kind.endswith("]") or (fold(column) == "properties" and kind == "VARCHAR")


def _json(cell: str, kind: str, column: str) -> str:
    if fold(column) == "properties" and kind == "VARCHAR":
        # Some warehouses keep what is nested as text.
        return f"CASE WHEN json_valid({cell}) THEN CAST({cell} AS JSON) ELSE to_json({cell}) END"
    return _number(cell, kind)


def _text(cell: str, kind: str) -> str:
    return f"CAST({_number(cell, kind)} AS VARCHAR)"


def _number(cell: str, kind: str) -> str:
    # A frame without nulls for numbers says NaN where it has none.
    return f"CASE WHEN isnan({cell}) THEN NULL ELSE {cell} END" if kind in ("FLOAT", "DOUBLE") else cell


def frames(given: object) -> list[tuple[str, pa.Table]] | None:
    """Return the frames of a source in memory as Arrow tables, each with its name; null where it is a path.

    Raises
    ------
    ParameterError
        Where it is neither a path nor a frame, or a mapping holds something that is no frame.
    """
    if isinstance(given, Mapping):
        if not given:
            raise ParameterError("source", given, SOURCE_EXPECTED)
        return [(str(key), _to_arrow(f"source[{key!r}]", frame)) for key, frame in given.items()]
    if isinstance(given, str) or hasattr(given, "__fspath__"):
        return None
    return [("frame", _to_arrow("source", given))]


def _to_arrow(place: str, frame: Any) -> pa.Table:  # noqa: ANN401 - any frame
    import narwhals.stable.v2 as nw
    import pyarrow as pa

    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pd.DataFrame):
        return _pandas_to_arrow(frame)
    try:
        opened: Any = nw.from_native(frame)
    except TypeError:
        raise ParameterError(place, type(frame).__name__, SOURCE_EXPECTED) from None
    if opened.implementation.is_pandas_like():
        return _pandas_to_arrow(opened.to_pandas())
    table: pa.Table = opened.lazy().collect("pyarrow").to_native()
    return table


def _pandas_to_arrow(frame: pd.DataFrame) -> pa.Table:
    import pyarrow as pa

    # Column by column: names may stand twice, and a column of mixed types has no type.
    columns = [_column(frame.iloc[:, n]) for n in range(frame.shape[1])]
    return pa.Table.from_arrays(columns, names=[str(key) for key in frame.columns])


def _column(cells: pd.Series) -> pa.Array:
    import pyarrow as pa

    try:
        return pa.Array.from_pandas(cells)
    except (pa.ArrowException, TypeError, OverflowError):
        # Cells of mixed types have no type in common; as text each can be judged for itself.
        return pa.array([_as_word(cell) for cell in cells], pa.string())


def _as_word(cell: object) -> str | None:
    if isinstance(cell, (dict, list, bool)):
        return json.dumps(cell, default=str)
    is_missing = cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and isnan(cell))
    return None if is_missing else str(cell)


def database(url: str) -> Iterator[tuple[str, pa.Table | str]]:
    """Give the tables of a PostgreSQL database, from every schema on the search path; or why one cannot be read.

    Raises
    ------
    MissingExtraError
        Where the driver is not installed.
    SourceError
        Where the database cannot be reached, or has no tables there.
    """
    try:
        import adbc_driver_postgresql.dbapi as driver
    except ImportError:
        raise MissingExtraError("reading PostgreSQL", "postgres") from None
    try:
        connection = driver.connect(url, autocommit=True)
    except driver.Error as error:
        reason = _postgresql_fault(error).replace(urlsplit(url).password or url, "…")
        raise SourceError(f"source: the database cannot be reached: {reason}") from None
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema = ANY (current_schemas(false)) ORDER BY 1, 2"
        )
        found = cursor.fetchall()
        if not found:
            raise SourceError("source: the database has no tables on its search path")
        for schema, table in found:
            shown = table if schema == "public" else f"{schema}.{table}"
            try:
                cursor.execute(f"SELECT * FROM {quote_identifier(schema)}.{quote_identifier(table)}")
                yield shown, cursor.fetch_arrow_table()
            except driver.Error as error:
                yield shown, _postgresql_fault(error)


def _postgresql_fault(error: Exception) -> str:
    text = str(error).partition("] ")[2] or str(error)
    return " ".join(text.split())
