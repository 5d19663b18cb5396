"""Events whose id was seen before: the same event delivered again, or another one under the same id."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from telemetry_kit.ingest.events_table import count_rows, parts_of
from telemetry_kit.schemas.names import quote_identifier, quote_literal
from telemetry_kit.schemas.rules import DUPLICATE, REJECTED, VALID, content_columns, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

IDS_AT_A_TIME = 2_000_000
REPEATED_AT_A_TIME = 500_000
CONFLICTS_AT_A_TIME = 100_000
"""How many are looked at together, so that the memory this takes stays bounded."""
ARRIVAL = "COALESCE(place, events.rowid), position, events.rowid"
"""The order in which events arrived: a line that was looked at once more keeps its place."""


class Conflict(NamedTuple):
    """An event with the id of an earlier one and other content: the rows of both in ``events``, and what differs."""

    row: int
    first: int
    event_id: str
    event_type: str
    difference: str


def mark_duplicates(connection: duckdb.DuckDBPyConnection) -> None:
    """Mark every valid event whose id an earlier one has: as a duplicate, or as rejected where it is another event.

    The first arrival is kept. A later one is a duplicate where nothing that both tell differs, and rejected where
    something does; ``conflicts`` tells these.
    """
    # Few ids repeat: a window over those rows alone costs little, one over all rows half as much as the reading.
    connection.execute("CREATE OR REPLACE TEMP TABLE repeated (event_id VARCHAR)")
    connection.execute("CREATE OR REPLACE TEMP TABLE arrived_again (row BIGINT, first BIGINT, is_other BOOLEAN)")
    n_rows = count_rows(connection)
    for some in parts_of("event_id", n_rows, IDS_AT_A_TIME):
        connection.execute(
            f"INSERT INTO repeated SELECT event_id FROM events WHERE status = {VALID} AND {some} "
            "GROUP BY event_id HAVING count(*) > 1"
        )
    ((n_repeated,),) = connection.execute("SELECT count(*) FROM repeated").fetchall()
    if not n_repeated:
        return
    columns = _columns()
    differs = " OR ".join(f"(later.{column} <> earlier.{column})" for column in columns)
    for some in parts_of("event_id", n_repeated, REPEATED_AT_A_TIME):
        connection.execute(f"""
            INSERT INTO arrived_again
            WITH ranked AS (
                SELECT events.rowid AS row, event_id, {", ".join(columns)},
                    row_number() OVER (PARTITION BY event_id ORDER BY {ARRIVAL}) AS nth
                FROM events SEMI JOIN (SELECT * FROM repeated WHERE {some}) AS looked_at USING (event_id)
                WHERE status = {VALID}
            ),
            earlier AS (SELECT * FROM ranked WHERE nth = 1)
            SELECT later.row, earlier.row, COALESCE({differs}, false)
            FROM ranked AS later JOIN earlier USING (event_id) WHERE later.nth > 1
        """)
    for first in range(0, n_rows, IDS_AT_A_TIME):
        connection.execute(f"""
            UPDATE events SET status = CASE WHEN is_other THEN {REJECTED} ELSE {DUPLICATE} END
            FROM (SELECT * FROM arrived_again WHERE row >= {first} AND row < {first + IDS_AT_A_TIME}) AS again
            WHERE events.rowid = again.row
        """)


def conflicts(connection: duckdb.DuckDBPyConnection) -> Iterator[list[Conflict]]:
    """Give the events that ``mark_duplicates`` rejected, in order, some at a time."""
    connection.execute("""
        CREATE OR REPLACE TEMP TABLE in_conflict AS
        SELECT row, first, row_number() OVER (ORDER BY row) - 1 AS nth FROM arrived_again WHERE is_other
    """)
    ((n,),) = connection.execute("SELECT count(*) FROM in_conflict").fetchall()
    # What differs is told for these few alone.
    difference = _difference(_columns())
    for begin in range(0, n, CONFLICTS_AT_A_TIME):
        some = f"nth >= {begin} AND nth < {begin + CONFLICTS_AT_A_TIME}"
        found = connection.execute(f"""
            SELECT later.rowid, earlier.rowid, later.event_id, later.event_type, {difference}
            FROM (SELECT * FROM in_conflict WHERE {some}) AS looked_at
            JOIN events AS later ON later.rowid = row JOIN events AS earlier ON earlier.rowid = first
            ORDER BY 1
        """).fetchall()
        yield [Conflict(*row) for row in found]


def _columns() -> list[str]:
    return list(map(quote_identifier, content_columns()))


def _difference(columns: list[str]) -> str:
    """Return SQL that names the columns in which two events differ, each with both values."""
    told = [
        f"CASE WHEN later.{column} <> earlier.{column} THEN {quote_literal(column.strip(chr(34)) + ' ')} || "
        f"{shown(f'CAST(later.{column} AS VARCHAR)')} || ' instead of ' || "
        f"{shown(f'CAST(earlier.{column} AS VARCHAR)')} END"
        for column in columns
    ]
    return f"concat_ws(', ', {', '.join(told)})"
