"""Parquet and Arrow files -> batches of bounded size, and what of a damaged file cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from telemetry_kit.ingest.formats.tables import ARROW_STREAM
from telemetry_kit.ingest.opening import why

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BATCH_ROWS = (32_768, 1024, 32, 1)
"""How many rows are read at a time; fewer, where so many do not fit into memory or one of them is damaged."""
HEAVY = 4096
"""From how many bytes a cell on average a column is read as its different values, which rows may share."""


class Unread(NamedTuple):
    """Rows that cannot be read: the first, counted from 0, how many they are said to be, and why."""

    row: int
    n: int
    reason: str


def parquet_names(path: Path) -> list[str]:
    """Return the names of the columns of a Parquet file."""
    names: list[str] = pq.read_schema(path).names
    return names


def parquet_batches(path: Path) -> Iterator[tuple[int, pa.RecordBatch] | Unread]:
    """Give the rows of a Parquet file batch by batch, each with the number of its first row."""
    first = 0
    with pq.ParquetFile(path) as whole:
        metadata = whole.metadata
    for group in range(metadata.num_row_groups):
        claimed = max(metadata.row_group(group).num_rows, 0)
        done, reason = 0, ""
        for size in BATCH_ROWS:
            try:
                for at, batch in _group_batches(path, group, metadata.row_group(group), size):
                    end = at + len(batch)
                    if end > done:
                        part = batch.slice(max(done - at, 0))
                        done = end
                        yield first + end - len(part), part
                break
            except _ERRORS as error:
                reason = why(error)
        if done < claimed:
            yield Unread(first + done, claimed - done, reason or "there are fewer rows than the file says")
        first += max(claimed, done)


_ERRORS = (pa.ArrowException, OSError, ValueError, MemoryError, TypeError, KeyError, IndexError)
"""What hostile bytes make the reader raise."""


def _group_batches(
    path: Path, group: int, about: pq.RowGroupMetaData, size: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
    heavy = [
        chunk.path_in_schema
        for chunk in map(about.column, range(about.num_columns))
        if chunk.physical_type == "BYTE_ARRAY" and chunk.total_uncompressed_size > HEAVY * max(about.num_rows, 1)
    ]
    at = 0
    with pq.ParquetFile(path, read_dictionary=heavy, buffer_size=1024 * 1024) as file:
        for batch in file.iter_batches(batch_size=size, row_groups=[group], use_threads=False):
            yield at, batch
            at += len(batch)


def _is_stream(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(ARROW_STREAM)) == ARROW_STREAM


def arrow_names(path: Path) -> list[str]:
    """Return the names of the columns of an Arrow file."""
    opened = pa.ipc.open_stream if _is_stream(path) else pa.ipc.open_file
    with pa.memory_map(str(path)) as mapped, opened(mapped) as file:
        names: list[str] = file.schema.names
        return names


def arrow_batches(path: Path) -> Iterator[tuple[int, pa.RecordBatch] | Unread]:
    """Give the rows of an Arrow file batch by batch, each with the number of its first row."""
    first = 0
    for batch in _stream_batches(path) if _is_stream(path) else _file_batches(path):
        if isinstance(batch, str):
            yield Unread(first, 1, batch)
            first += 1
            continue
        for at in range(0, len(batch), BATCH_ROWS[0]):
            yield first + at, batch.slice(at, BATCH_ROWS[0])
        first += len(batch)


def _file_batches(path: Path) -> Iterator[pa.RecordBatch | str]:
    """Give the batches of a file, or why one cannot be read."""
    with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as file:
        for number in range(file.num_record_batches):
            try:
                yield file.get_batch(number)
            except _ERRORS as error:
                yield f"batch {number + 1} of {file.num_record_batches}: {why(error)}"


def _stream_batches(path: Path) -> Iterator[pa.RecordBatch | str]:
    """Give the batches of a stream; where one cannot be read, nobody knows where the next begins."""
    number = 0
    with pa.memory_map(str(path)) as mapped, pa.ipc.open_stream(mapped) as stream:
        while True:
            number += 1
            try:
                yield stream.read_next_batch()
            except StopIteration:
                return
            except _ERRORS as error:
                yield f"batch {number} and what follows: {why(error)}"
                return
