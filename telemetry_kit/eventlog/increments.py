"""What a log remembers of how its events came, so that later files are added without reading the earlier ones again.

Beside its events in the order of time, such a log has every valid event in the order of arrival, with its source and
record, and those that ``since`` and ``cutoff`` leave out. With the counts of what was no event, that is all that later
files can meet: an earlier event stays the first of its id, and a tie is put in order by all of its events.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections import Counter
from typing import TYPE_CHECKING, Any

from telemetry_kit import output, schemas
from telemetry_kit.errors import SourceError
from telemetry_kit.eventlog.saved import UNREADABLE, is_saved, read_mark, read_table, unreadable
from telemetry_kit.ingest.audit import origin_of
from telemetry_kit.ingest.inputs import are_unchanged, input_files, is_of_files, is_unchanged
from telemetry_kit.ingest.intake import Intake
from telemetry_kit.schemas.log_tables import ARRIVED
from telemetry_kit.schemas.names import quote_identifier, quote_literal
from telemetry_kit.schemas.rules import OTHER, VALID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb
    import pandas as pd

    from telemetry_kit.ingest.inputs import InputFile
    from telemetry_kit.ingest.lines import Lines

ROWS_AT_A_TIME = 100_000
_KEPT = ("n_duplicate", "n_rejected", "n_other")
"""What an earlier source has of records that are no events; later files do not change it."""
_COLUMNS = ", ".join(quote_identifier(field.column) for field in schemas.FIELDS)


class NumberedIntake(Intake):
    """An intake that knows of every event which record of its source it is, and not only of those that it names."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, keep: Any) -> None:  # noqa: ANN401 - as Intake
        super().__init__(connection, keep)
        self.runs: list[tuple[int, int]] = []

    def take_lines(self, lines: Lines) -> None:
        """Take a file of JSON lines, and note from which row on its records go on without a gap."""
        super().take_lines(lines)
        if not self.read_at_once or self.read_at_once[-1][1] != self.n_files:
            return
        first, _ = self.read_at_once[-1]
        with lines.path.open("rb") as stream:
            for segment in lines.segments:
                stream.seek(segment.offset)
                row, record, is_run = first + segment.first_row, segment.first_line, False
                end = None if segment.n_rows is None else row + segment.n_rows
                for line in stream:
                    if row == end:
                        break
                    record += 1
                    if line.isspace():
                        is_run = False
                        continue
                    if not is_run:
                        self.runs.append((row, record))
                        is_run = True
                    row += 1


def write_arrived(intake: NumberedIntake, path: Path) -> dict[str, Any]:
    """Write the valid events as they came, before ties are put in order; return what else is to be remembered."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    runs = pa.table(
        {
            "first_row": pa.array([row for row, _ in intake.runs], pa.int64()),
            "first_record": pa.array([record for _, record in intake.runs], pa.int64()),
        }
    )
    intake.connection.register("runs", runs)
    origin, join = origin_of(intake)
    ((n_rows,),) = intake.connection.execute("SELECT count(*) FROM events").fetchall()
    with contextlib.ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        # In parts: a join of all rows, with all that they say, would need memory that grows with them.
        for begin in range(0, max(n_rows, 1), ROWS_AT_A_TIME):
            part: Any = intake.connection.sql(f"""
                SELECT {origin} AS source, COALESCE(record, first_record + events.rowid - first_row) AS record,
                    COALESCE(place, events.rowid) AS place, position, is_late, {_COLUMNS}
                FROM events {join} ASOF LEFT JOIN runs ON events.rowid >= first_row
                WHERE status = {VALID} AND events.rowid BETWEEN {begin} AND {begin + ROWS_AT_A_TIME - 1}
                ORDER BY events.rowid
            """).to_arrow_table()
            if writer is None:
                writer = stack.enter_context(pq.ParquetWriter(path, part.schema, compression="zstd"))
            writer.write_table(part)
    intake.connection.unregister("runs")
    others = intake.connection.execute(
        f"SELECT type_name, count(*) FROM events WHERE status = {OTHER} GROUP BY 1"
    ).fetchall()
    return {
        "others": (intake.others + Counter(dict(others))).most_common(),
        "unknown": [[kind, key, n] for (kind, key), n in intake.unknown.items()],
        "generated": intake.generated,
        "changed": intake.changed,
        "beside": intake.beside,
    }


class Earlier:
    """A log that later files are added to: what it was made of, and what it remembers.

    Raises
    ------
    SourceError
        Where nothing can be added to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.mark = read_mark(folder)
            self.audit = read_table(folder, "audit")
            self.inputs: list[InputFile] = self.mark.get("inputs", [])
        except UNREADABLE as error:
            raise unreadable(folder, error) from None
        if "arrived" not in self.mark or not (folder / ARRIVED).is_file():
            raise SourceError(
                f"directory: the event log in {output.named(folder)} was not written to be added to; convert its "
                "sources once more, with append"
            )
        version = importlib.metadata.version("telemetry-kit")
        if self.mark["version"] != version:
            raise SourceError(
                f"directory: the event log in {output.named(folder)} was written by version {self.mark['version']}, "
                f"and this is {version}, which may judge otherwise; convert its sources once more, with append"
            )

    def new_files(self, files: Sequence[tuple[str, Path]]) -> list[tuple[str, Path]]:
        """Return the files that are not in the log as they are now."""
        known: dict[str, list[InputFile]] = {}
        for entry in self.inputs:
            known.setdefault(entry["path"], []).append(entry)
        return [file for file in files if not any(is_unchanged(entry, file) for entry in known.get(file[0], []))]

    def has_all(
        self,
        source: Any,  # noqa: ANN401 - as load_events
        since: pd.Timestamp | None,
        cutoff: pd.Timestamp | None,
    ) -> bool:
        """Tell whether a source has nothing new, and the log is of just these bounds of time."""
        is_known = is_of_files(source) and not self.new_files(input_files(source))
        return is_known and bool(self.mark["arrived"]["asked"] == asked(since, cutoff))

    def restore(self, intake: Intake) -> None:
        """Put what the log holds into an intake, as if it had just been read."""
        arrived = quote_literal(str(self.folder / ARRIVED))
        # What is read from now on comes after it: the rows of an intake count from 0.
        intake.connection.execute(f"""
            INSERT INTO events
            SELECT source, record, place - 1 - (SELECT max(place) FROM read_parquet({arrived})), position, {VALID},
                NULL, NULL, is_late, {_COLUMNS}
            FROM read_parquet({arrived}) AS arrived
        """)
        told = self.mark["arrived"]
        intake.names += self.audit["source"].to_list()
        intake.n_stored = len(intake.names)
        for column in _KEPT:
            counts = enumerate(self.audit[column].to_list())
            intake.counted |= {(source, column): int(n) for source, n in counts if n}
        intake.others.update(dict(told["others"]))
        intake.unknown.update({(kind, key): n for kind, key, n in told["unknown"]})
        intake.generated += told["generated"]
        intake.changed += told["changed"]

    def add_beside(self, intake: Intake) -> None:
        """Add the names of what was passed over before, each once: a folder may have been given again."""
        before = self.mark["arrived"]["beside"]
        intake.beside[:] = [*before, *(name for name in intake.beside if name not in set(before))]


def earlier_log(target: Path) -> Earlier | None:
    """Return the log in a directory that files are to be added to, or none where none is there yet."""
    return Earlier(target) if is_saved(target) else None


def goes_on(store: Path, source: Any) -> bool:  # noqa: ANN401 - as load_events
    """Tell whether the files of a source are those of a store, unchanged, and others behind them."""
    try:
        earlier = earlier_log(store)
    except SourceError:
        return False
    if earlier is None or not is_of_files(source):
        return False
    return are_unchanged(earlier.inputs, input_files(source)[: len(earlier.inputs)])


def is_added_to(folder: Path) -> bool:
    """Tell whether a directory is a log that files are added to, and not a store that ``scan_events`` made."""
    try:
        arrived = read_mark(folder).get("arrived")
        return arrived is not None and not arrived.get("is_store")
    except UNREADABLE:
        return False


def check_nothing_lost(store: Path, source: Any) -> None:  # noqa: ANN401 - as load_events
    """See that a log that files were added to is not replaced by one of a source that lacks some of them.

    Raises
    ------
    SourceError
        Where the source lacks a file of the log, or has it with another content, or is not only files.
    """
    if not is_added_to(store):
        return
    files: dict[str, list[tuple[str, Path]]] = {}
    for file in input_files(source):
        files.setdefault(file[0], []).append(file)
    held: list[InputFile] = read_mark(store).get("inputs", [])
    gone = [
        entry["path"] for entry in held if not any(is_unchanged(entry, file) for file in files.get(entry["path"], []))
    ]
    if gone or not is_of_files(source):
        what = f"{gone[0]!r}, which the source does not have any more as it was" if gone else "what was added to it"
        raise SourceError(
            f"store: the event log in {output.named(store)} holds {what}, and would lose it; open that log itself, "
            "or give another store"
        )


def asked(since: pd.Timestamp | None, cutoff: pd.Timestamp | None) -> list[str | None]:
    """Return the bounds of time that were asked for, as they are remembered."""
    return [None if moment is None else moment.isoformat() for moment in (since, cutoff)]
