"""What an intake took: the events of each type, and what became of every record."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pandas as pd

from telemetry_kit import engine, schemas
from telemetry_kit.schemas.log_tables import AUDIT_COLUMNS
from telemetry_kit.schemas.names import natural_key, quote_identifier, quote_literal
from telemetry_kit.schemas.rules import DUPLICATE, OTHER, VALID
from telemetry_kit.schemas.times import EARLIEST_US

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from telemetry_kit.ingest.findings import Finding
    from telemetry_kit.ingest.intake import Intake
    from telemetry_kit.schemas import EventType


LATE = "arrived more than 90 days after its time"
"""The finding that a clock may be wrong."""
BESIDE_SHOWN = 5
"""How many of the files that were passed over are named."""
LEVELS_LIMIT = 10_000
"""How many values a category may have to be one in DuckDB already; more are no categories, but damage."""


def newest(intake: Intake) -> pd.Timestamp:
    """Return the newest time of a valid event: the default cutoff."""
    query = f"SELECT epoch_us(max(event_timestamp)) FROM events WHERE status = {VALID}"
    (us,) = intake.connection.execute(query).fetchall()[0]
    return engine.NO_TIME if us is None else pd.Timestamp(us, unit="us", tz="UTC")


def _is_early(since: pd.Timestamp | None) -> str:
    return "false" if since is None else f"epoch_us(event_timestamp) < {engine.epoch_us(since)}"


def _is_late(cutoff: pd.Timestamp) -> str:
    return "false" if cutoff is engine.NO_TIME else f"epoch_us(event_timestamp) > {engine.epoch_us(cutoff)}"


def typed_cells(intake: Intake, since: pd.Timestamp | None, cutoff: pd.Timestamp) -> dict[EventType, tuple[str, str]]:
    """Return, by type, SQL for the columns of the valid events, categories as such, and for which rows these are."""
    valid = f"status = {VALID} AND NOT {_is_early(since)} AND NOT {_is_late(cutoff)}"
    categories = [field.column for field in schemas.FIELDS if field.kind == "category" and not field.levels]
    levels = ", ".join(f"list(DISTINCT {quote_identifier(column)})[:{LEVELS_LIMIT + 1}]" for column in categories)
    # Few combinations of values occur: to find these once costs less than to look for each column's values.
    columns = ", ".join(map(quote_identifier, categories))
    found = intake.connection.execute(
        f"SELECT event_type, {levels} "
        f"FROM (SELECT DISTINCT event_type, {columns} FROM events WHERE {valid}) AS occurring GROUP BY 1"
    ).fetchall()
    made: dict[EventType, tuple[str, str]] = {}
    for kind in schemas.EVENT_TYPES:
        values = next((row[1:] for row in found if row[0] == kind), ((),) * len(categories))
        occurring = dict(zip(categories, values, strict=True))
        cells = [_cell(field, occurring.get(field.column) or ()) for field in schemas.fields_of(kind)]
        made[kind] = (", ".join(cells), f"{valid} AND event_type = '{kind}'")
    return made


def _cell(field: schemas.Field, found: Iterable[str | None]) -> str:
    column = quote_identifier(field.column)
    levels = field.levels or sorted((value for value in found if value), key=natural_key)
    is_category = field.kind == "category" and 0 < len(levels) <= LEVELS_LIMIT
    if not is_category or any("\0" in level for level in levels):
        return column
    return f"CAST({column} AS ENUM({', '.join(map(quote_literal, levels))})) AS {column}"


def origin_of(intake: Intake) -> tuple[str, str]:
    """Return SQL for the number of an event's source, and the join that it needs."""
    rows = ", ".join(f"({first}, {source})" for first, source in intake.segments)
    if not rows:
        return "source", ""
    return "COALESCE(source, part)", f"ASOF LEFT JOIN (VALUES {rows}) AS located(first, part) ON events.rowid >= first"


def make_audit(intake: Intake, since: pd.Timestamp | None, cutoff: pd.Timestamp) -> pd.DataFrame:
    """Count what became of the records of each source."""
    origin, join = origin_of(intake)
    counted = intake.connection.execute(f"""
        SELECT {origin} AS source,
            CASE WHEN status = {OTHER} THEN 'other' WHEN status = {DUPLICATE} THEN 'duplicate'
                 WHEN {_is_early(since)} THEN 'before_since' WHEN {_is_late(cutoff)} THEN 'after_cutoff'
                 ELSE event_type END AS outcome, count(*)
        FROM events {join} WHERE status IN ({VALID}, {OTHER}, {DUPLICATE}) GROUP BY ALL
    """).fetchall()
    audit = pd.DataFrame(0, index=range(len(intake.names)), columns=AUDIT_COLUMNS[1:], dtype="int64")
    for source, outcome, n in counted:
        audit.loc[source, f"n_{outcome}"] = n
    for source, n in intake.n_rejected.items():
        audit.loc[source, "n_rejected"] = n
    for (source, column), n in intake.counted.items():
        audit.loc[source, column] = int(audit[column].iloc[source]) + n
    audit["n_read"] = audit.drop(columns="n_read").sum(axis=1)
    audit.insert(0, "source", pd.Series(intake.names, dtype="str"))
    return audit


def last_others(intake: Intake) -> dict[str, int]:
    """Return when each server last sent an event of another type, in microseconds since 1970.

    Such events are not judged: a time in the future is of a broken clock, and does not count.
    """
    rows = intake.connection.execute(
        f"SELECT server_id, epoch_us(max(event_timestamp)) FROM events WHERE status = {OTHER} "
        f"AND server_id IS NOT NULL AND epoch_us(event_timestamp) BETWEEN {EARLIEST_US} AND {intake.loaded_us} "
        "GROUP BY server_id ORDER BY server_id"
    ).fetchall()
    return dict(rows)


def make_seen(intake: Intake) -> pd.DataFrame:
    """Return what was seen beside the events: other event types, unknown properties, files that hold no data."""
    others = intake.connection.execute(
        f"SELECT type_name, count(*) FROM events WHERE status = {OTHER} GROUP BY 1"
    ).fetchall()
    all_others = sorted((intake.others + Counter(dict(others))).items())
    late = intake.connection.execute(
        "SELECT event_type, server_id, count(*) FROM events "
        f"WHERE is_late AND status = {VALID} GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return seen_table(all_others, intake.unknown, late, intake.generated, intake.beside, changed=intake.changed)


def seen_table(
    others: Iterable[tuple[str, int]],
    unknown: Mapping[tuple[str | None, str], int],
    late: Iterable[tuple[str, str, int]],
    generated: Iterable[str],
    beside: Sequence[str],
    *,
    changed: Iterable[str] = (),
) -> pd.DataFrame:
    """Return what was counted beside the events as a table of findings."""
    rows: list[Finding] = [("other event type", None, type_name, n) for type_name, n in others]
    rows += [("unknown property", kind, key, n) for (kind, key), n in sorted(unknown.items())]
    rows += [(LATE, kind, f"server {server}", n) for kind, server, n in late]
    rows += [("generated column that was not read", None, column, 1) for column in generated]
    rows += [("file that changed while it was read", None, name, 1) for name in changed]
    if beside:
        shown = ", ".join(sorted(set(beside))[:BESIDE_SHOWN])
        rows.append(("files passed over beside the data", None, shown, len(beside)))
    return pd.DataFrame(rows, columns=["finding", "event_type", "detail", "n"])
