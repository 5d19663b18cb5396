"""Everything that a source holds, part by part, into an ``Intake``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telemetry_kit.errors import ParameterError
from telemetry_kit.ingest.conflicts import Finder, reject_conflicts
from telemetry_kit.ingest.detection import read_files
from telemetry_kit.ingest.discovery import SOURCE_EXPECTED
from telemetry_kit.ingest.duplicates import conflicts, mark_duplicates
from telemetry_kit.ingest.envelopes import any_holds_event, may_be_around_events
from telemetry_kit.ingest.formats.csv import Rows
from telemetry_kit.ingest.formats.database import database, is_url
from telemetry_kit.ingest.formats.frames import frames
from telemetry_kit.ingest.formats.table_reader import Begun, Rejected, TableReader
from telemetry_kit.ingest.formats.tables import arrow_table, numbered_table
from telemetry_kit.ingest.inputs import files_of, list_items, stamp
from telemetry_kit.ingest.lines import Damage, Lines
from telemetry_kit.ingest.rows import holds_events, no_events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import pyarrow as pa

    from telemetry_kit.ingest.formats.tables import TableFile
    from telemetry_kit.ingest.intake import Intake


def take(
    intake: Intake | Finder,
    source: Any,  # noqa: ANN401 - as load_events
    folder: Path,
    is_wanted: Callable[[Path], bool] = lambda _: True,
) -> None:
    """Take what a source holds into ``intake``, of files those that are wanted; ``folder`` is for temporary files."""
    items = list(list_items(source))
    if not items:
        raise ParameterError("source", source, SOURCE_EXPECTED)
    files: list[tuple[str, Path]] = []
    for item in items:
        if is_url(item):
            given: Iterable[tuple[str, Any]] | None = database(item)
        else:
            given = frames(item)
        if given is None:
            found = files_of(item, is_one_of_several=len(items) > 1, beside=intake.beside)
            files += [file for file in found if is_wanted(file[1])]
            continue
        take_files(intake, files, folder)
        files = []
        for table_name, table in given:
            _take_given(intake, table_name, table)
    take_files(intake, files, folder)


def settle(intake: Intake, take_again: Callable[[Finder], None]) -> None:
    """Tell duplicates among all that was taken, and reject what has the id of another event.

    The text of such an event is found by going through the source once more, for as many as are looked at together.
    """
    mark_duplicates(intake.connection)
    for some in conflicts(intake.connection):
        rows = {conflict.first: False for conflict in some} | {conflict.row: True for conflict in some}
        finder = Finder(intake, rows)
        take_again(finder)
        reject_conflicts(intake, some, finder)


def take_files(intake: Intake | Finder, files: list[tuple[str, Path]], folder: Path) -> None:
    """Take files in order, each with its name in the audit; what changes meanwhile is noted."""
    before = [stamp(path) for _, path in files]
    with TableReader() as reader:
        for unit in read_files(files, folder, intake.names, intake.beside):
            if isinstance(unit, Lines):
                intake.take_lines(unit)
            elif isinstance(unit, Rows):
                intake.take_rows(unit)
            elif isinstance(unit, Damage):
                intake.take_damage(unit)
            else:
                _take_table_file(intake, reader, unit)
            # What was taken has not to be in memory while the next is read.
            del unit
    intake.changed += [name for (name, path), known in zip(files, before, strict=True) if stamp(path) != known]


def _take_given(intake: Intake | Finder, table_name: str, table: pa.Table | str) -> None:
    """Take a table in memory, or the reason why it could not be brought there."""
    from telemetry_kit.ingest.formats.cells import is_beyond

    source = intake.add_source(table_name)
    if isinstance(table, str):
        intake.take_damage(Damage(source, 1, f"record: the table cannot be read: {table}", b""))
    elif any(is_beyond(chunk) for column in table.columns for chunk in column.chunks):
        _take_some(intake, source, table_name, table)
    else:
        as_json = _is_around_events(table_name, table, table.column_names)
        intake.take_relation(source, arrow_table(intake.connection, table_name, table, as_json=as_json))


def _is_around_events(table_name: str, rows: pa.Table, columns: list[str]) -> bool:
    """Tell whether rows are no events, but hold one in a cell."""
    return may_be_around_events(table_name, columns) and any_holds_event(rows.columns)


def _take_some(intake: Intake | Finder, source: int, table_name: str, table: pa.Table) -> None:
    """Take those rows of a table in memory that have a text, and tell the others."""
    import pyarrow as pa

    from telemetry_kit.ingest.formats.cells import Refused, readable

    n_before = 0
    as_json = _is_around_events(table_name, table, table.column_names)
    for batch in table.to_batches():
        for piece in readable(batch, table.column_names, n_before):
            if isinstance(piece, Refused):
                intake.take_damage(Damage(source, piece.row + 1, piece.reason, piece.raw.encode()))
            else:
                rows = pa.Table.from_batches([piece])
                given = numbered_table(intake.connection, table_name, rows, table.column_names, as_json=as_json)
                intake.take_relation(source, given)
        n_before += len(batch)


def _take_table_file(intake: Intake | Finder, reader: TableReader, file: TableFile) -> None:
    source, begun, n_rows, is_around = -1, Begun(file.name, [], []), 0, False
    for part in reader.read(file):
        if isinstance(part, Begun):
            _take_no_events(intake, source, begun, n_rows, is_around=is_around)
            source, begun, n_rows, is_around = intake.add_source(part.name), part, 0, False
            intake.generated += [f"{part.name}.{column}" for column in part.generated]
        elif isinstance(part, Rejected):
            intake.take_damage(Damage(source, part.record, part.reason, part.raw.encode()))
        else:
            is_read = holds_events(begun.name, begun.columns)
            # Of a table that was passed over so far, no later row is taken either.
            if not is_around and (is_read or not n_rows):
                is_around = _is_around_events(begun.name, part.rows, begun.columns)
            n_rows += part.rows.num_rows
            if is_around or is_read:
                table = numbered_table(intake.connection, begun.name, part.rows, begun.columns, as_json=is_around)
                intake.take_relation(source, table)
    _take_no_events(intake, source, begun, n_rows, is_around=is_around)


def _take_no_events(intake: Intake | Finder, source: int, begun: Begun, n_rows: int, *, is_around: bool) -> None:
    """Tell of a table as a whole that it holds no events."""
    if n_rows and not is_around and not holds_events(begun.name, begun.columns):
        intake.take_damage(Damage(source, 1, no_events(n_rows), ", ".join(begun.columns).encode()))
