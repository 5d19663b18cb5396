"""Events whose id was seen before: the same event delivered again, or another one under the same id."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from telemetry_kit.schemas.names import quote_identifier, quote_literal
from telemetry_kit.schemas.rules import DUPLICATE, REJECTED, VALID, content_columns, shown

if TYPE_CHECKING:
    import duckdb

IDS_AT_A_TIME = 2_000_000
ARRIVAL = "COALESCE(place, events.rowid), position, events.rowid"
"""The order in which events arrived: a line that was looked at once more keeps its place."""


class Conflict(NamedTuple):
    """An event with the id of an earlier one and other content: the rows of both in ``events``, and what differs."""

    row: int
    first: int
    event_id: str
    event_type: str
    difference: str


def mark_duplicates(connection: duckdb.DuckDBPyConnection) -> list[Conflict]:
    """Mark every valid event whose id an earlier one has, and return those that are rejected for it.

    The first arrival is kept. A later one is a duplicate where nothing that both tell differs, and rejected where
    something does.
    """
    # Few ids repeat: a window over those rows alone costs little, one over all rows half as much as the reading.
    # They are looked for among some of the ids at a time, so that the memory this takes stays bounded.
    connection.execute("CREATE OR REPLACE TEMP TABLE repeated (event_id VARCHAR)")
    ((n_rows,),) = connection.execute("SELECT count(*) FROM events").fetchall()
    n_parts = n_rows // IDS_AT_A_TIME + 1
    for part in range(n_parts):
        some = f"AND hash(event_id) % {n_parts} = {part}" if n_parts > 1 else ""
        connection.execute(
            f"INSERT INTO repeated SELECT event_id FROM events WHERE status = {VALID} {some} "
            "GROUP BY event_id HAVING count(*) > 1"
        )
    ((n_repeated,),) = connection.execute("SELECT count(*) FROM repeated").fetchall()
    if not n_repeated:
        return []
    columns = list(map(quote_identifier, content_columns()))
    differs = " OR ".join(f"(later.{column} <> earlier.{column})" for column in columns)
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE arrived_again AS
        WITH ranked AS (
            SELECT events.rowid AS row, event_id, {", ".join(columns)},
                row_number() OVER (PARTITION BY event_id ORDER BY {ARRIVAL}) AS nth
            FROM events SEMI JOIN repeated USING (event_id) WHERE status = {VALID}
        ),
        earlier AS (SELECT * FROM ranked WHERE nth = 1)
        SELECT later.row, earlier.row AS first, COALESCE({differs}, false) AS is_other
        FROM ranked AS later JOIN earlier USING (event_id) WHERE later.nth > 1
    """)
    connection.execute(f"""
        UPDATE events SET status = CASE WHEN is_other THEN {REJECTED} ELSE {DUPLICATE} END
        FROM arrived_again WHERE events.rowid = arrived_again.row
    """)
    ((any_other,),) = connection.execute("SELECT bool_or(is_other) FROM arrived_again").fetchall()
    if not any_other:
        return []
    # What differs is told for these few alone.
    found = connection.execute(f"""
        SELECT later.rowid, earlier.rowid, later.event_id, later.event_type, {_difference(columns)}
        FROM arrived_again
        JOIN events AS later ON later.rowid = arrived_again.row JOIN events AS earlier ON earlier.rowid = first
        WHERE is_other ORDER BY 1
    """).fetchall()
    return [Conflict(*row) for row in found]


def _difference(columns: list[str]) -> str:
    """Return SQL that names the columns in which two events differ, each with both values."""
    told = [
        f"CASE WHEN later.{column} <> earlier.{column} THEN {quote_literal(column.strip(chr(34)) + ' ')} || "
        f"{shown(f'CAST(later.{column} AS VARCHAR)')} || ' instead of ' || "
        f"{shown(f'CAST(earlier.{column} AS VARCHAR)')} END"
        for column in columns
    ]
    return f"concat_ws(', ', {', '.join(told)})"
