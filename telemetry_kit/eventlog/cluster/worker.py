"""What one task does: read its part as ``load_events`` would, and give rows that Spark can carry.

Events come as their columns. What is told beside them (a source, a rejected record, other types, unknown properties)
comes as a row whose ``told`` says what it is and whose ``about`` holds it as JSON, so that one stream carries both.
"""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telemetry_kit import schemas, temporary
from telemetry_kit.engine import connections
from telemetry_kit.ingest.audit import last_others, origin_of
from telemetry_kit.ingest.conflicts import Finder
from telemetry_kit.ingest.duplicates import ARRIVAL
from telemetry_kit.ingest.intake import Intake
from telemetry_kit.ingest.lines import Lines, Segment
from telemetry_kit.ingest.records import kept
from telemetry_kit.ingest.sources import take_files
from telemetry_kit.schemas.names import quote_identifier, quote_literal
from telemetry_kit.schemas.rules import OTHER, VALID
from telemetry_kit.schemas.values import VALUE_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

ROWS_AT_A_TIME = 50_000
_SPARK_TYPES = {"BIGINT": "BIGINT", "BOOLEAN": "BOOLEAN", "TIMESTAMPTZ": "TIMESTAMP"}


def spark_type(field: schemas.Field) -> str:
    """Return the type of a field's column on Spark."""
    return _SPARK_TYPES.get(VALUE_KINDS[field.kind].sql_type, "STRING")


EVENT_COLUMNS = ", ".join(f"`{field.column}` {spark_type(field)}" for field in schemas.FIELDS)
SCHEMA = f"part BIGINT, source STRING, row BIGINT, told STRING, about STRING, is_late BOOLEAN, {EVENT_COLUMNS}"
"""The columns of the rows that a task gives; ``row`` is the place of an event in the order of its part."""
TEXT_SCHEMA = "part BIGINT, row BIGINT, record BIGINT, raw STRING"
"""The columns of ``find_texts``."""


def read_parts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Read the parts that a task was handed, one after the other."""
    for batch in batches:
        for part in batch.to_pylist():
            with _taken(part) as (intake, _, n_lines):
                yield from _events(intake, part["part"])
                yield from _told(intake, part["part"], n_lines)


def find_texts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Read parts once more, and give the record and the text of the events that their ``rows`` name."""
    import pyarrow as pa

    for batch in batches:
        for part in batch.to_pylist():
            with _taken(part) as (intake, folder, _):
                ids = intake.connection.execute(
                    f"SELECT rowid FROM events WHERE status = {VALID} ORDER BY {ARRIVAL}"
                ).fetchall()
                rows = {ids[row][0]: row for row in part["rows"]}
                finder = Finder(intake, dict.fromkeys(rows, True))
                take_part(finder, part, folder)
                found = [(rows[rowid], found.record, kept(found.raw)[0]) for rowid, found in finder.found.items()]
                columns = [list(column) for column in zip(*found, strict=True)] or [[], [], []]
                yield pa.RecordBatch.from_pydict(
                    {
                        "part": pa.array([part["part"]] * len(found), pa.int64()),
                        "row": pa.array(columns[0], pa.int64()),
                        "record": pa.array(columns[1], pa.int64()),
                        "raw": pa.array(columns[2], pa.string()),
                    }
                )


@contextlib.contextmanager
def _taken(part: dict[str, Any]) -> Iterator[tuple[Intake, Path, int]]:
    """Take a part into an intake of its own, in a folder that goes with it."""
    with (
        temporary.scratch() as folder,
        contextlib.closing(connections.connect()) as connection,
    ):
        connection.execute("SET threads = 1")  # a task has one core
        connection.execute(f"SET temp_directory = {quote_literal(str(folder / 'spill'))}")
        intake = Intake(connection)
        # One moment for the whole source, so that each task judges as the others do.
        intake.loaded_us = part["loaded_us"]
        n_lines = take_part(intake, part, folder)
        yield intake, folder, n_lines


def take_part(intake: Intake | Finder, part: dict[str, Any], folder: Path) -> int:
    """Take a part into ``intake``; return the lines of a piece, by which those behind it are numbered."""
    path = Path(part["path"])
    if part.get("content") is not None:
        # What lies at an address was brought along; its name may be no name of a file here.
        path = folder / "part"
        path.write_bytes(part["content"])
    if part["stop"] is None:
        take_files(intake, [(part["name"], path)], folder)
        return 0
    piece = folder / "piece.jsonl"
    n_lines = copy_lines(path, part["start"], part["stop"], piece)
    source = intake.add_source(part["name"])
    if piece.stat().st_size:
        intake.take_lines(Lines(piece, [Segment(source, 0, None)]))
    return n_lines


def copy_lines(path: Path, start: int, stop: int, target: Path) -> int:
    """Copy the lines that begin from ``start`` up to ``stop``; return how many there are."""
    n_lines = 0
    with path.open("rb") as stream, target.open("wb") as out:
        if start:
            # A line that begins before belongs to the piece before, all of it.
            stream.seek(start - 1)
            stream.readline()
        while stream.tell() < stop:
            block = stream.read(min(stop - stream.tell(), 1 << 20))
            if not block.endswith(b"\n"):
                block += stream.readline()
            n_lines += block.count(b"\n")
            out.write(block)
    return n_lines


def _events(intake: Intake, number: int) -> Iterator[pa.RecordBatch]:
    if not intake.names:
        return
    columns = ", ".join(f"events.{quote_identifier(field.column)}" for field in schemas.FIELDS)
    names = ", ".join(f"({n}, {quote_literal(name)})" for n, name in enumerate(intake.names))
    origin, join = origin_of(intake)
    result = intake.connection.sql(
        f"SELECT {number}::BIGINT AS part, named.source_name AS source, "
        f"row_number() OVER (ORDER BY {ARRIVAL}) - 1 AS row, NULL::VARCHAR AS told, NULL::VARCHAR AS about, "
        f"is_late, {columns} FROM events {join} "
        f"LEFT JOIN (VALUES {names}) AS named(source_number, source_name) ON source_number = {origin} "
        f"WHERE status = {VALID}"
    )
    yield from result.to_arrow_reader(ROWS_AT_A_TIME)


def _told(intake: Intake, number: int, n_lines: int) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    names = intake.names
    origin, join = origin_of(intake)
    others = intake.connection.execute(
        f"SELECT {origin}, type_name, count(*) FROM events {join} WHERE status = {OTHER} GROUP BY ALL"
    ).fetchall()
    rows: list[tuple[str | None, str, dict[str, Any]]] = [(name, "source", {}) for name in names]
    rows += [(names[row["source"]], "rejected", row) for row in intake.rejected]
    rows += [(names[n], "other", {"type_name": type_name, "n": count}) for n, type_name, count in others]
    rows += [(None, "unknown", {"event_type": t, "key": key, "n": n}) for (t, key), n in intake.unknown.items()]
    rows += [(None, "beside", {"name": name}) for name in intake.beside]
    rows += [(None, "generated", {"column": column}) for column in intake.generated]
    rows += [(None, "others", {"us": last_others(intake)})]
    rows += [(None, "lines", {"n": n_lines})]
    types = {"BIGINT": pa.int64(), "BOOLEAN": pa.bool_(), "TIMESTAMP": pa.timestamp("us", tz="UTC")}
    empty = {field.column: types.get(spark_type(field), pa.string()) for field in schemas.FIELDS}
    for first in range(0, len(rows), ROWS_AT_A_TIME):
        some = rows[first : first + ROWS_AT_A_TIME]
        yield pa.RecordBatch.from_pydict(
            {
                "part": pa.array([number] * len(some), pa.int64()),
                "source": pa.array([source for source, _, _ in some], pa.string()),
                "row": pa.array(range(first, first + len(some)), pa.int64()),
                "told": pa.array([told for _, told, _ in some], pa.string()),
                "about": pa.array([json.dumps(about) for _, _, about in some], pa.string()),
                "is_late": pa.nulls(len(some), pa.bool_()),
                **{column: pa.nulls(len(some), kind) for column, kind in empty.items()},
            }
        )
