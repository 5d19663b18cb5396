"""Incident events at the same moment, put into the order in which they can have happened.

Exports in whole seconds, newest first, are common. Among events of one incident that share a time, create comes first,
and where the order of arrival contradicts what the events say, end and restart stand where they fit: what finds the
incident open comes before its end and behind its restart. Everything else keeps the order of arrival.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_kit.ingest.duplicates import ARRIVAL
from telemetry_kit.ingest.events_table import parts_of
from telemetry_kit.schemas.rules import VALID

if TYPE_CHECKING:
    import duckdb

TIED_AT_A_TIME = 500_000
"""Moments of incidents that are looked at together, so that the memory this takes stays bounded."""
_INCIDENT = "server_id, incident_id"
_EVENTS = f"status = {VALID} AND event_type = 'incident'"


def order_ties(connection: duckdb.DuckDBPyConnection) -> None:
    """Put the tied events of ``events`` in order, by exchanging their places in the order of arrival."""
    # Few times repeat; to find these costs little, and only their events are looked at.
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE tied AS
        WITH shared AS (SELECT event_timestamp FROM events WHERE {_EVENTS} GROUP BY event_timestamp HAVING count(*) > 1)
        SELECT {_INCIDENT}, event_timestamp FROM events SEMI JOIN shared USING (event_timestamp)
        WHERE {_EVENTS} GROUP BY ALL HAVING count(*) > 1
    """)
    ((n_tied,),) = connection.execute("SELECT count(*) FROM tied").fetchall()
    if not n_tied:
        return
    connection.execute("CREATE OR REPLACE TEMP TABLE moved (row BIGINT, slot BIGINT, position INTEGER)")
    for some in parts_of(_INCIDENT, n_tied, TIED_AT_A_TIME):
        _move(connection, some)
    connection.execute(
        "UPDATE events SET place = moved.slot, position = moved.position FROM moved WHERE events.rowid = moved.row"
    )


def _move(connection: duckdb.DuckDBPyConnection, some: str) -> None:
    """Add to ``moved`` the tied events of some incidents that change their place."""
    connection.execute(f"""
        INSERT INTO moved
        WITH looked_at AS (SELECT * FROM tied WHERE {some}),
        concerned AS (
            SELECT events.rowid AS row, COALESCE(place, events.rowid) AS slot, position, {_INCIDENT}, event_timestamp,
                action, is_active, row_number() OVER (ORDER BY {ARRIVAL}) AS arrival
            FROM events SEMI JOIN looked_at USING ({_INCIDENT}) WHERE {_EVENTS}
        ),
        walked AS (
            SELECT *, lag(is_active) OVER in_time AS was_active,
                event_timestamp IS DISTINCT FROM lag(event_timestamp) OVER in_time AS is_first
            FROM concerned
            WINDOW in_time AS (
                PARTITION BY {_INCIDENT} ORDER BY event_timestamp, action IS DISTINCT FROM 'create', arrival
            )
        ),
        judged AS (
            SELECT *,
                max(is_first AND was_active IS NOT DISTINCT FROM false) OVER moment AS began_closed,
                max(CASE WHEN action IS NULL OR action = 'create' THEN false
                         WHEN action = 'end' THEN NOT was_active OR is_active
                         WHEN action = 'restart' THEN was_active OR NOT is_active
                         ELSE was_active <> is_active END) OVER moment AS is_contradicted,
                row_number() OVER (PARTITION BY {_INCIDENT}, event_timestamp, action ORDER BY arrival) AS nth
            FROM walked SEMI JOIN looked_at USING ({_INCIDENT}, event_timestamp)
            WINDOW moment AS (PARTITION BY {_INCIDENT}, event_timestamp)
        ),
        ordered AS (
            SELECT *,
                CASE WHEN action = 'create' THEN -1
                     WHEN is_contradicted IS NOT TRUE THEN 0
                     WHEN action = 'end' THEN 4 * nth + CASE WHEN began_closed THEN 3 ELSE 1 END
                     WHEN action = 'restart' THEN 4 * nth + CASE WHEN began_closed THEN 1 ELSE 3 END
                     WHEN is_active IS DISTINCT FROM began_closed THEN 4 ELSE 6 END AS phase
            FROM judged
        ),
        numbered AS (
            SELECT *, row_number() OVER (PARTITION BY {_INCIDENT}, event_timestamp ORDER BY phase, arrival) AS rank,
                row_number() OVER (PARTITION BY {_INCIDENT}, event_timestamp ORDER BY arrival) AS seat
            FROM ordered
        )
        SELECT mine.row, theirs.slot, theirs.position
        FROM numbered AS mine JOIN numbered AS theirs
            ON (mine.server_id, mine.incident_id, mine.event_timestamp, mine.rank)
                = (theirs.server_id, theirs.incident_id, theirs.event_timestamp, theirs.seat)
        WHERE mine.row <> theirs.row
    """)
