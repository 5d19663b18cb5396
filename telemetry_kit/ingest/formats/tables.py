"""What tables of every kind become: relations of DuckDB whose cells are text."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from telemetry_kit.schemas.names import quote_identifier, quote_literal
from telemetry_kit.schemas.spellings import is_properties

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb
    import pyarrow as pa

EXACT_FLOAT_BELOW = 2**24
BATCH_ROWS = 16_384
"""How many rows of a table a thread of DuckDB takes at a time."""
ARROW_FILE, ARROW_STREAM = b"ARROW1", b"\xff\xff\xff\xff"
"""How the two forms of Arrow begin: a file, and the stream that a socket or ``new_stream`` gives."""
_DELETE = 0x7F
_NESTED = ("STRUCT", "MAP", "UNION", "JSON", "VARIANT")


@dataclass(frozen=True)
class TableFile:
    """A file that holds one or more tables."""

    path: Path
    name: str
    form: Literal["parquet", "arrow", "duckdb"]


class Table(NamedTuple):
    """A table: its name, the query for its rows, and the names of its columns.

    The query gives the ``number`` of each row, counted from 0, and its cells as text in ``c0``, ``c1``, …; or, where
    some are nested, the row as ``json``. ``first`` is how many rows of its source come before, and
    ``may_have_control`` tells that a cell may have a control character.
    """

    name: str
    query: str
    columns: list[str]
    is_json: bool = False
    first: int = 0
    may_have_control: bool = True


def arrow_table(
    connection: duckdb.DuckDBPyConnection, table_name: str, table: pa.Table, *, as_json: bool = False
) -> Table:
    """Give an Arrow table under a name; DuckDB reads it where it lies. ``as_json`` asks for each row as JSON."""
    if table.num_columns:
        plain = _plain(table.rename_columns([f"c{n}" for n in range(table.num_columns)]))
        connection.register("given_table", in_batches(plain))
    given = _as_text(connection, table_name, table.column_names, "row_number() OVER () - 1", as_json=as_json)
    return given._replace(may_have_control=may_hold_control(table))


def numbered_table(
    connection: duckdb.DuckDBPyConnection,
    table_name: str,
    table: pa.Table,
    columns: list[str],
    *,
    as_json: bool = False,
) -> Table:
    """Give an Arrow table of which the last column is the ``number`` of each row, and the others have these names."""
    connection.register("given_table", in_batches(_plain(table)))
    given = _as_text(connection, table_name, columns, "number", as_json=as_json)
    return given._replace(may_have_control=may_hold_control(table))


def may_hold_control(table: pa.Table) -> bool:
    """Tell whether a cell may have a control character, by the bytes of all: a pattern takes ten times as long."""
    return any(_may_hold_control(chunk) for column in table.columns for chunk in column.chunks)


def _may_hold_control(cells: pa.Array) -> bool:
    import pyarrow as pa

    is_large = pa.types.is_large_string(cells.type)
    if not (is_large or pa.types.is_string(cells.type)):
        return not (pa.types.is_primitive(cells.type) or pa.types.is_null(cells.type))
    _, places, texts = cells.buffers()
    if not len(cells) or texts is None:
        return False
    starts = np.frombuffer(places, np.int64 if is_large else np.int32)
    seen = np.frombuffer(texts, np.uint8)[starts[cells.offset] : starts[cells.offset + len(cells)]]
    return bool(len(seen) and (seen.min() < ord(" ") or (seen.max() >= _DELETE and (seen == _DELETE).any())))


def in_batches(table: pa.Table) -> pa.Table:
    """Return a table in batches, which are what DuckDB hands out to its threads."""
    import pyarrow as pa

    return pa.Table.from_batches(table.to_batches(max_chunksize=BATCH_ROWS), table.schema)


def _plain(table: pa.Table) -> pa.Table:
    """Return a table without columns of types that DuckDB has not, or has none of the values of."""
    for place, field in enumerate(table.schema):
        if _is_foreign(field.type):
            table = table.set_column(place, field.name, _in_words(table.column(place)))
    return table


def _is_foreign(kind: pa.DataType) -> bool:
    import pyarrow as pa

    is_any = any(map(_is_foreign, (kind.field(n).type for n in range(kind.num_fields))))
    is_json = isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "arrow.json"
    is_number = pa.types.is_float16(kind) or pa.types.is_decimal256(kind)
    return is_any or is_json or is_number or pa.types.is_union(kind)


def _in_words(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa

    if pa.types.is_float16(cells.type):
        return cells.cast(pa.float32())
    words = [_word(value, _opened(value, cells.type)) for value in cells.to_pylist()]
    return pa.chunked_array([pa.array(words, pa.string())])


def _word(value: Any, opened: Any) -> str | None:  # noqa: ANN401 - values of any type
    if isinstance(opened, str | None):
        return opened
    # What JSON holds is text already.
    return json.dumps(opened, ensure_ascii=False, default=str) if isinstance(value, dict | list) else str(value)


def _opened(value: Any, kind: pa.DataType) -> Any:  # noqa: ANN401 - a value of any type
    """Return a value of Arrow in which what is JSON is what it says: the text ``"a"`` is the letter alone."""
    import pyarrow as pa

    if value is None:
        return None
    if isinstance(kind, pa.BaseExtensionType):
        return _read_json(value) if kind.extension_name == "arrow.json" else value
    if pa.types.is_struct(kind):
        return {name: _opened(value[name], kind.field(name).type) for name in value}
    if pa.types.is_map(kind):
        return {str(key): _opened(item, kind.item_type) for key, item in value}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [_opened(item, kind.value_type) for item in value]
    return value


def _read_json(text: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    try:
        # A number stays as it is written.
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        return text


_HAS_JSON = re.compile(r"\bJSON\b")


def without_json(column: str, kind: str) -> str | None:
    """Return SQL for a column of DuckDB without the type JSON, which Arrow takes for text; null where it has none.

    A text in JSON becomes the text that it says, and what holds some becomes JSON as a whole.
    """
    name = quote_identifier(column)
    if kind == "JSON":
        plain = f"CASE json_type({name}) WHEN 'VARCHAR' THEN {name} ->> '$' WHEN 'NULL' THEN NULL ELSE "
        return f"{plain}CAST({name} AS VARCHAR) END AS {name}"
    return f"CAST(to_json({name}) AS VARCHAR) AS {name}" if _HAS_JSON.search(kind) else None


def _as_text(
    connection: duckdb.DuckDBPyConnection, table_name: str, columns: list[str], number: str, *, as_json: bool
) -> Table:
    """Give the rows of a relation under a name, each cell as text; or, where some are nested, each row as JSON."""
    if not columns:
        return Table(table_name, "SELECT 0 AS number WHERE false", [])
    cells = [f"c{n}" for n in range(len(columns))]
    kinds = [kind for _, kind, *_ in connection.execute("DESCRIBE given_table").fetchall()][: len(columns)]
    numbered = f"SELECT {number} AS number, {{}} FROM given_table AS given"
    if as_json or any(map(_is_nested, kinds, columns)):
        members = ", ".join(
            f"{quote_literal(column)}, {_json(*cell)}"
            for column, *cell in zip(columns, cells, kinds, columns, strict=True)
        )
        return Table(table_name, numbered.format(f"json_object({members}) AS json"), columns, is_json=True)
    texts = ", ".join(f"{_text(cell, kind)} AS {cell}" for cell, kind in zip(cells, kinds, strict=True))
    return Table(table_name, numbered.format(texts), columns)


def _is_nested(kind: str, column: str) -> bool:
    return kind.startswith(_NESTED) or kind.endswith("]") or (is_properties(column) and kind == "VARCHAR")


def _json(cell: str, kind: str, column: str) -> str:
    if is_properties(column) and kind == "VARCHAR":
        # Some warehouses keep what is nested as text.
        return f"CASE WHEN json_valid({cell}) THEN CAST({cell} AS JSON) ELSE to_json({cell}) END"
    return _number(cell, kind)


def _text(cell: str, kind: str) -> str:
    return f"CAST({_number(cell, kind)} AS VARCHAR)"


def _number(cell: str, kind: str) -> str:
    # A frame without nulls for numbers says NaN where it has none.
    if kind == "DOUBLE":
        return f"CASE WHEN NOT isnan({cell}) THEN {cell} END"
    if kind == "FLOAT":
        # From here on whole numbers have lost digits, which shows in this form alone.
        short = f"CASE WHEN abs({cell}) < {EXACT_FLOAT_BELOW} THEN CAST({cell} AS VARCHAR) "
        return f"CASE WHEN NOT isnan({cell}) THEN {short} ELSE printf('%.5e', CAST({cell} AS DOUBLE)) END END"
    return cell
