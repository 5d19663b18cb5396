"""Tables of every kind -> relations of DuckDB whose cells are text: Parquet, Arrow, DuckDB and PostgreSQL, frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from telemetry_kit.errors import MissingExtraError, ParameterError, SourceError
from telemetry_kit.rules import name, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

    from telemetry_kit.containers import TableFile

URL_SCHEMES = ("postgresql://", "postgres://", "duckdb://")
_NESTED = ("STRUCT", "MAP", "UNION", "JSON", "VARIANT")


class Table(NamedTuple):
    """A table: its name, the query that gives its rows with ``number`` from 0, and its columns, none if nested."""

    name: str
    query: str
    columns: list[str]


def is_url(source: object) -> bool:
    """Tell whether a source is the address of a database."""
    return isinstance(source, str) and source.startswith(URL_SCHEMES)


def table_file(connection: duckdb.DuckDBPyConnection, file: TableFile) -> Iterator[Table]:
    """Give the tables of a file."""
    path = quoted(str(file.path))
    if file.form == "parquet":
        numbered = "* EXCLUDE (file_row_number), file_row_number AS number"
        yield _as_text(connection, file.name, f"SELECT {numbered} FROM read_parquet({path}, file_row_number=true)")
    elif file.form == "arrow":
        import pyarrow.feather

        yield arrow_table(connection, file.name, pyarrow.feather.read_table(file.path))
    else:
        yield from _attached(connection, file.name, path)


def _attached(connection: duckdb.DuckDBPyConnection, file_name: str, path: str) -> Iterator[Table]:
    connection.execute(f"ATTACH {path} AS given (READ_ONLY)")
    try:
        tables = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE database_name = 'given' ORDER BY ALL"
        ).fetchall()
        for schema, table in tables:
            shown = table if schema == "main" else f"{schema}.{table}"
            rows = f"SELECT *, rowid AS number FROM given.{name(schema)}.{name(table)}"
            yield _as_text(connection, f"{file_name}/{shown}", rows)
    finally:
        connection.execute("DETACH given")


def arrow_table(connection: duckdb.DuckDBPyConnection, table_name: str, table: pa.Table) -> Table:
    """Give an Arrow table under a name; DuckDB reads it where it lies."""
    connection.register("given_table", table)
    return _as_text(connection, table_name, "SELECT *, row_number() OVER () - 1 AS number FROM given_table")


def _as_text(connection: duckdb.DuckDBPyConnection, table_name: str, rows: str) -> Table:
    described = connection.execute(f"DESCRIBE SELECT * EXCLUDE (number) FROM ({rows})").fetchall()
    columns = [(column, kind) for column, kind, *_ in described]
    if any(kind.startswith(_NESTED) or kind.endswith("]") for _, kind in columns):
        cells = ", ".join(f"{name(column)} := {name(column)}" for column, _ in columns)
        return Table(table_name, f"SELECT number, to_json(struct_pack({cells})) AS json FROM ({rows})", [])
    cells = ", ".join(f"{_cell(name(column), kind)} AS {name(column)}" for column, kind in columns)
    return Table(table_name, f"SELECT number, {cells} FROM ({rows})", [column for column, _ in columns])


def _cell(x: str, kind: str) -> str:
    # A frame without nulls for numbers says NaN where it has none.
    return f"CAST({f'CASE WHEN isnan({x}) THEN NULL ELSE {x} END' if kind in ('FLOAT', 'DOUBLE') else x} AS VARCHAR)"


def frames(given: object) -> list[tuple[str, pa.Table]] | None:
    """Return the frames of a source in memory as Arrow tables, each with its name; null where it is none.

    Raises
    ------
    ParameterError
        Where a mapping holds something that is no frame.
    """
    if isinstance(given, Mapping):
        return [(str(key), _to_arrow(str(key), frame)) for key, frame in given.items()]
    if isinstance(given, (str, bytes, list, tuple)) or hasattr(given, "__fspath__"):
        return None
    return [("frame", _to_arrow("source", given))]


def _to_arrow(place: str, frame: Any) -> pa.Table:  # noqa: ANN401 - any frame
    import narwhals.stable.v2 as nw
    import pyarrow as pa

    try:
        opened: Any = nw.from_native(frame)
    except TypeError:
        expected = "a path, a glob, a list of these, a database URL, a frame, or a mapping of event types to frames"
        raise ParameterError(place, type(frame).__name__, expected) from None
    if not opened.implementation.is_pandas_like():
        table: pa.Table = opened.lazy().collect("pyarrow").to_native()
        return table
    pandas = opened.to_pandas()
    try:
        return pa.Table.from_pandas(pandas, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
        # Cells of mixed types have no column type; as text each can be judged for itself.
        text = {
            str(c): pandas[c] if pandas[c].dtype != object else pandas[c].map(_text, na_action="ignore") for c in pandas
        }
        return pa.table({column: pa.Array.from_pandas(cells) for column, cells in text.items()})


def _text(cell: object) -> str:
    import json

    return json.dumps(cell, default=str) if isinstance(cell, (dict, list, bool)) else str(cell)


def database(url: str) -> Iterator[tuple[str, pa.Table]]:
    """Give the tables of a PostgreSQL database that hold events, from every schema on the search path.

    Raises
    ------
    MissingExtraError
        Where the driver is not installed.
    SourceError
        Where the database cannot be reached.
    """
    try:
        import adbc_driver_postgresql.dbapi as driver
    except ImportError:
        raise MissingExtraError("reading PostgreSQL", "postgres") from None
    try:
        connection = driver.connect(url)
    except driver.Error as error:
        raise SourceError(f"source: the database cannot be reached: {str(error).splitlines()[0]}") from None
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema, table_name FROM information_schema.tables "
            "WHERE table_schema = ANY (current_schemas(false)) ORDER BY 1, 2"
        )
        for schema, table in cursor.fetchall():
            cursor.execute(f"SELECT * FROM {name(schema)}.{name(table)}")
            yield table if schema == "public" else f"{schema}.{table}", cursor.fetch_arrow_table()
