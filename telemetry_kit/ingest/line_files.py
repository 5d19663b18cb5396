"""Files of JSON lines -> an ``Intake``: read at once where they hold plain events, alone, in bodies or in envelopes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from telemetry_kit import temporary
from telemetry_kit.ingest import fast_path
from telemetry_kit.ingest.bodies import may_hold_bodies
from telemetry_kit.ingest.events_table import count_rows, insert_sql
from telemetry_kit.ingest.lines import count_marks, fetch_lines, find_lines
from telemetry_kit.ingest.opened_lines import LineOpener
from telemetry_kit.ingest.records import Text, is_broken
from telemetry_kit.ingest.splitting import POSITION, RECORD, SOURCE, split_lines
from telemetry_kit.schemas import rules
from telemetry_kit.schemas.rules import REJECTED, VALID, VOID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import duckdb

    from telemetry_kit.ingest.fast_path import Keys
    from telemetry_kit.ingest.lines import Lines, Marks
    from telemetry_kit.ingest.splitting import Split

BROKEN_LIMIT = 200_000
"""How many lines may be no JSON, so that they are taken out of the count of a file."""
BROKEN_BYTES = 64 * 1024 * 1024
"""How long these may be in all."""


class LineTaker(Protocol):
    """What takes lines: an ``Intake``."""

    connection: duckdb.DuckDBPyConnection
    loaded_us: int
    n_files: int
    read_at_once: list[tuple[int, int]]
    segments: list[tuple[int, int]]
    opened: dict[str, set[tuple[str, ...]]]

    def take_texts(self, texts: Iterable[Text]) -> None:
        """Take lines the careful way."""

    def note_unknown(self, query: str) -> None:
        """Count the keys that a query gives, where no field of ours has such a key."""


class _Read(NamedTuple):
    """What was read at once, and from which row of ``events`` on; rows of the file that are to be looked at again.

    Those in ``broken`` are no JSON, and are there with their text. ``marks`` are null of a file with blank lines.
    """

    first: int
    broken: dict[int, Text]
    doubtful: list[int]
    marks: Marks | None


def take_lines(intake: LineTaker, lines: Lines) -> None:
    """Take a file of JSON lines."""
    intake.opened = {}
    if may_hold_bodies(lines):
        _take_apart(intake, lines)
        return
    keys = fast_path.list_keys(intake.connection, lines.path, sample=True)
    if keys.are_plain and _take_plain(intake, lines, keys):
        return
    if not keys.have_envelopes:
        keys = fast_path.list_keys(intake.connection, lines.path)
        if keys.are_plain and _take_plain(intake, lines, keys, has_all_keys=True):
            return
    if keys.have_bodies or keys.have_envelopes:
        _take_apart(intake, lines)
    else:
        _take_carefully(intake, lines)


def _take_carefully(intake: LineTaker, lines: Lines) -> None:
    intake.take_texts(Text(source, record, None, raw) for _, source, record, raw in fetch_lines(lines))


def _take_plain(intake: LineTaker, lines: Lines, keys: Keys, *, has_all_keys: bool = False) -> bool:
    """Take lines with the keys that are expected; false, and nothing taken, where some have others."""
    source = lines.segments[0].source if len(lines.segments) == 1 else "NULL"
    read = _read(intake, lines, keys, insert_sql(str(source), n_members="n_members"), has_all_keys=has_all_keys)
    if read is None:
        return False
    intake.read_at_once.append((read.first, intake.n_files))
    if source == "NULL":
        intake.segments += [(read.first + part.first_row, part.source) for part in lines.segments if part.n_rows]
    _note_unknown(intake, fast_path.unknown_query(lines.path, keys))
    intake.take_texts(read.broken.values())
    if read.doubtful:
        found = _found(lines, read.doubtful, read.marks)
        intake.take_texts(Text(source, n, read.first + row, line, is_noted=True) for row, source, n, line in found)
    return True


def _take_apart(intake: LineTaker, lines: Lines) -> None:
    """Take lines that are bodies or in envelopes, as many events at a time as have room on the disk."""
    opener = LineOpener(lines)
    intake.opened = opener.opened
    with temporary.scratch() as folder:
        for split in split_lines(lines, folder, opener):
            expected = fast_path.list_keys(intake.connection, split.lines.path, sample=True)
            if expected.are_plain and _take_split(intake, split, expected):
                continue
            keys = fast_path.list_keys(intake.connection, split.lines.path)
            if not (keys.are_plain and _take_split(intake, split, keys, has_all_keys=True)):
                _take_carefully(intake, split.origin)


def _take_split(intake: LineTaker, split: Split, keys: Keys, *, has_all_keys: bool = False) -> bool:
    """Take the events of lines, with the keys that are expected; false, and nothing taken, where some have others."""
    insert = insert_sql(SOURCE, RECORD, position=POSITION, n_members="n_members")
    read = _read(intake, split.lines, keys, insert, has_all_keys=has_all_keys)
    if read is None:
        return False
    # A line with an event of doubt is looked at as a whole, for its text is one record.
    origins = split.origins_of((*read.broken, *read.doubtful))
    if not origins:
        _note_unknown(intake, fast_path.unknown_query(split.lines.path, keys))
        return True
    texts = [
        Text(source, record, read.first + split.starts[row], line)
        for row, source, record, line in fetch_lines(split.origin, origins)
    ]
    rows = [read.first + row for origin in origins for row in split.rows_of(origin)]
    with _given(intake, row=rows):
        intake.connection.execute(f"UPDATE events SET status = {VOID} FROM given WHERE events.rowid = given.row")
    # What is looked at again is noted then.
    with _given(intake, source=[str(text.source) for text in texts], record=[str(text.record) for text in texts]):
        _note_unknown(intake, fast_path.unknown_query(split.lines.path, keys, but="given"))
    intake.take_texts(texts)
    return True


def _note_unknown(intake: LineTaker, query: str | None) -> None:
    if query is not None:
        intake.note_unknown(query)


@contextlib.contextmanager
def _given(intake: LineTaker, **columns: list[Any]) -> Iterator[None]:
    """Let a query find columns in the table ``given``."""
    import pyarrow as pa

    intake.connection.register("given", pa.table(columns))
    try:
        yield
    finally:
        intake.connection.unregister("given")


def _read(intake: LineTaker, lines: Lines, keys: Keys, insert: str, *, has_all_keys: bool) -> _Read | None:
    """Read lines with the keys that are expected at once; null, and nothing taken, where some have others."""
    connection = intake.connection
    first = count_rows(connection)
    typed = rules.typed_query(fast_path.read_query(lines, keys), needs_id=True, loaded_us=intake.loaded_us)
    connection.execute(f"{insert} FROM ({typed}) AS typed")
    rows = f"rowid >= {first}"
    n, members = connection.execute(f"SELECT count(*), sum(n_members) FROM events WHERE {rows}").fetchall()[0]
    marks = count_marks(lines)
    told = marks if marks.n_lines == n else None
    broken = _broken(connection, lines, first, told)
    n_commas = marks.n_commas - sum(text.raw.count(b",") for text in broken.values())
    # A line of n members has n - 1 commas at least; what is no JSON has no members.
    is_proven = n and members == n_commas + n - len(broken)
    if not (is_proven or has_all_keys or fast_path.list_keys(connection, lines.path).within(keys)):
        connection.execute(f"UPDATE events SET status = {VOID} WHERE {rows}")
        return None
    # Such records are looked at once more, as all that are rejected here. Without escapes there are no control
    # characters.
    is_no_text = f"({rules.NO_TEXT} OR {rules.HAS_CONTROL})" if marks.has_escapes else rules.NO_TEXT
    connection.execute(f"UPDATE events SET status = {REJECTED} WHERE {rows} AND status = {VALID} AND {is_no_text}")
    doubtful = connection.execute(
        f"SELECT rowid - {first} FROM events WHERE {rows} AND status = {REJECTED} ORDER BY 1"
    ).fetchall()
    return _Read(first, broken, [row for (row,) in doubtful if row not in broken], told)


def _found(lines: Lines, rows: list[int], marks: Marks | None) -> Iterator[tuple[int, int, int, bytes]]:
    return fetch_lines(lines, rows) if marks is None else find_lines(lines, rows, marks)


def _broken(connection: duckdb.DuckDBPyConnection, lines: Lines, first: int, marks: Marks | None) -> dict[int, Text]:
    """Return the lines that are no JSON, by their rows; none where they are too many to be held at once."""
    empty = connection.execute(
        f"SELECT rowid - {first} FROM events WHERE rowid >= {first} AND n_members = 0 LIMIT {BROKEN_LIMIT + 1}"
    ).fetchall()
    if not empty or len(empty) > BROKEN_LIMIT:
        return {}
    broken: dict[int, Text] = {}
    size = 0
    for row, source, record, line in _found(lines, [row for (row,) in empty], marks):
        size += len(line)
        if size > BROKEN_BYTES:
            return {}
        if is_broken(line):
            broken[row] = Text(source, record, first + row, line)
    return broken
