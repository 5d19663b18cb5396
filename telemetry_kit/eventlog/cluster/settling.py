"""What needs events of several parts side by side: repeated ids, and ties; both by the SQL that one machine runs.

Only the events that are concerned are shuffled, those of one id or of one incident into the same bucket.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pyarrow as pa  # Spark looks at the hints of what it is to apply

from telemetry_kit import schemas
from telemetry_kit.engine import connections
from telemetry_kit.ingest.duplicates import conflicts, mark_duplicates
from telemetry_kit.ingest.events_table import create_events
from telemetry_kit.ingest.ties import order_ties
from telemetry_kit.schemas.names import quote_identifier
from telemetry_kit.schemas.rules import VALID

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    from pyspark.sql import DataFrame, GroupedData

BUCKETS = 64
"""Into how many pieces the concerned events go at least: each is in the memory of one task."""
KEYS_OF_A_BUCKET = 50_000
SENT_TO_ALL = 2_000_000
"""Up to how many numbers are sent to every worker: 32 MB of them are in the memory of each."""
FATE_SCHEMA = (
    "arrival BIGINT, status INT, first_arrival BIGINT, event_id STRING, event_type STRING, server_id STRING, "
    "is_late BOOLEAN, difference STRING"
)
MOVE_SCHEMA = "arrival BIGINT, moved BIGINT"


def repeated_ids(events: DataFrame, held: list[DataFrame]) -> DataFrame:
    """Tell what became of each event whose id an earlier one has: ``status`` and, of another event, the difference."""
    key = "xxhash64(event_id)"
    repeated, n = _more_than_once(events.selectExpr(f"{key} AS key"), "key", held=held)
    concerned = events.selectExpr("*", f"{key} AS key").join(repeated, "key", "left_semi")
    return _bucketed(concerned, n).applyInArrow(_settle_ids, FATE_SCHEMA)


def tied_events(incidents: DataFrame, held: list[DataFrame]) -> DataFrame:
    """Tell the place in the order of arrival that each incident event takes which stands elsewhere among its ties."""
    key = "xxhash64(server_id, incident_id)"
    moments = incidents.selectExpr(f"{key} AS key", "unix_micros(event_timestamp) AS us")
    tied, n = _more_than_once(moments, "key", "us", held=held)
    concerned = incidents.selectExpr("*", f"{key} AS key").join(tied, "key", "left_semi")
    return _bucketed(concerned, n).applyInArrow(_settle_ties, MOVE_SCHEMA)


def sent_to_all(frame: DataFrame, held: list[DataFrame]) -> tuple[DataFrame, int]:
    """Compute a frame of numbers, and have it sent to every worker where it is small; return it with its count.

    What it is joined with then stays where it is. Spark itself does not know how small it will be, and would move every
    event with all that it says. It is added to what is ``held`` until the log is made.
    """
    kept = frame.persist()
    held.append(kept)
    n = kept.count()
    return (kept.hint("broadcast") if n <= SENT_TO_ALL else kept), n


def _more_than_once(keys: DataFrame, *columns: str, held: list[DataFrame]) -> tuple[DataFrame, int]:
    """Return the keys of rows that there are more than once, each of them once.

    Hashes are half as long as what they stand for. Two of them that are equal by chance only add rows to be looked at.
    """
    return sent_to_all(keys.groupBy(*columns).count().where("count > 1").select("key").distinct(), held)


def _bucketed(concerned: DataFrame, n: int) -> GroupedData:
    """Group rows by their key into buckets that fit into memory."""
    n_buckets = max(BUCKETS, n // KEYS_OF_A_BUCKET)
    return concerned.selectExpr("*", f"pmod(key, {n_buckets}) AS bucket").groupBy("bucket")


@contextlib.contextmanager
def _events_of(table: pa.Table) -> Iterator[duckdb.DuckDBPyConnection]:
    """Make the table ``events`` of a bucket; ``record`` and ``place`` are the place of arrival in the whole source."""
    with contextlib.closing(connections.connect()) as connection:
        connection.execute("SET threads = 1")  # a task has one core
        create_events(connection)
        columns = ", ".join(quote_identifier(field.column) for field in schemas.FIELDS)
        connection.register("bucket", table)
        connection.execute(
            f"INSERT INTO events (record, place, position, status, is_late, {columns}) "
            f"SELECT arrival, arrival, 0, {VALID}, is_late, {columns} FROM bucket ORDER BY arrival"
        )
        yield connection


def _settle_ids(table: pa.Table) -> pa.Table:
    with _events_of(table) as connection:
        mark_duplicates(connection)
        others = {conflict.row: conflict for some in conflicts(connection) for conflict in some}
        rows = connection.execute(
            "SELECT rowid, record, status, event_id, event_type, server_id, is_late FROM events "
            f"WHERE status <> {VALID} ORDER BY rowid"
        ).fetchall()
        places = dict(connection.execute("SELECT rowid, record FROM events").fetchall()) if others else {}
    found = [others.get(row[0]) for row in rows]
    return pa.table(
        {
            "arrival": pa.array([row[1] for row in rows], pa.int64()),
            "status": pa.array([row[2] for row in rows], pa.int32()),
            "first_arrival": pa.array([places[c.first] if c else None for c in found], pa.int64()),
            "event_id": pa.array([row[3] for row in rows], pa.string()),
            "event_type": pa.array([row[4] for row in rows], pa.string()),
            "server_id": pa.array([row[5] for row in rows], pa.string()),
            "is_late": pa.array([row[6] for row in rows], pa.bool_()),
            "difference": pa.array([c.difference if c else None for c in found], pa.string()),
        }
    )


def _settle_ties(table: pa.Table) -> pa.Table:
    with _events_of(table) as connection:
        order_ties(connection)
        return connection.sql(
            "SELECT record AS arrival, place AS moved FROM events WHERE place <> record"
        ).to_arrow_table()
