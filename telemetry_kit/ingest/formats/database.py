"""The tables of a PostgreSQL database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from telemetry_kit.errors import MissingExtraError, ParameterError, SourceError
from telemetry_kit.schemas.names import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

_URL = re.compile("[A-Za-z][A-Za-z0-9+.-]+://")
_POSTGRESQL = ("postgresql://", "postgres://")


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
