"""The events of a type in many files by month, as a cluster writes them; one machine reads them like any saved log.

Beside the columns of their type, the events have ``arrival``: their place among events of the same moment, which the
rows of one file tell by themselves, and those of many files do not.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine
from telemetry_kit.errors import ResourceError
from telemetry_kit.schemas.log_tables import QUARANTINE_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd

_TIMES = "spark.sql.parquet.outputTimestampType"
_DAY_US = 86_400_000_000
# Whatever the zone of the session: a month is one of UTC.
_DAY = f"date_from_unix_date(CAST(unix_micros(event_timestamp) DIV {_DAY_US} AS INT))"
_MONTH = f"substring(CAST({_DAY} AS STRING), 1, 7) AS month"


def is_on_spark(frame: object) -> bool:
    """Tell whether a frame lies on Spark, in a session of this process or of a server."""
    implementation = nw.from_native(frame).implementation  # type: ignore[call-overload]
    return bool(implementation.is_pyspark() or implementation.is_pyspark_connect())


def files_of_part(path: Path) -> list[Path]:
    """Return the files of a part of a saved log: the one that it is, or those below it in the order of time."""
    return sorted(path.rglob("*.parquet")) if path.is_dir() else [path]


def address_of(path: Path) -> str:
    """Return a path as Spark writes to it: it takes an address as it stands, and would not decode a ``%3D``."""
    return f"file://{path.absolute().as_posix()}"


def read_on_spark(session: Any, path: Path) -> Any:  # noqa: ANN401 - a session, a frame of Spark
    """Open a part of a saved log on Spark, without columns from the names of its folders."""
    # Spark takes what it reads for a pattern.
    plain = re.sub(r"([\[\]{}*?\\])", r"\\\1", address_of(path))
    return session.read.option("recursiveFileLookup", "true").parquet(plain)


def write_events(events: Any, columns: Sequence[str], folder: Path) -> None:  # noqa: ANN401 - a frame of Spark
    """Have the workers write the events of a type into a folder that they see, a folder in it for each month.

    Raises
    ------
    ResourceError
        Where the workers write into another folder than this machine sees.
    """
    rows = events.selectExpr(*(f"`{column}`" for column in columns), engine.ARRIVAL, _MONTH)
    n_rows = rows.count()
    # In ranges of time, so that a task has few months to write, and their files follow each other by name.
    ranges = rows.repartitionByRange("event_timestamp", engine.ARRIVAL)
    _write(ranges.sortWithinPartitions("month", "event_timestamp", engine.ARRIVAL), folder, "month")
    if n_rows == 0:
        import pyarrow.parquet as pq

        # A folder without files would not tell its columns.
        pq.write_table(_nothing(rows.drop("month")), folder / "part-00000.parquet")
    _check_written(folder, n_rows)


def write_quarantine(quarantine: Any, audit: pd.DataFrame, path: Path) -> None:  # noqa: ANN401 - a frame of Spark
    """Write the rejected records into one file, in the order of the audit, and never all of them in memory.

    Raises
    ------
    ResourceError
        Where the workers write into another folder than this machine sees.
    """
    import pyarrow.parquet as pq

    n_rows = quarantine.count()
    places = [(source, place) for place, source in enumerate(dict.fromkeys(audit["source"]))]
    known = quarantine.sparkSession.createDataFrame(places, "source STRING, place BIGINT")
    ordered = quarantine.join(known.hint("broadcast"), "source", "left").orderBy("place", "record")
    written = path.with_suffix(".parts")
    _write(ordered.select(*QUARANTINE_COLUMNS), written)
    _check_written(written, n_rows)
    with pq.ParquetWriter(path, _nothing(quarantine.select(*QUARANTINE_COLUMNS)).schema, compression="zstd") as writer:
        for file in files_of_part(written):
            with pq.ParquetFile(file) as part:
                for group in range(part.num_row_groups):
                    writer.write_table(part.read_row_group(group).cast(writer.schema))
    shutil.rmtree(written)


def _write(frame: Any, folder: Path, *by: str) -> None:  # noqa: ANN401 - a frame of Spark
    # Made by us: a worker of another name could not make it in a folder that is ours alone.
    folder.mkdir()
    with _times_in_microseconds(frame.sparkSession):
        writer = frame.write.mode("append").option("compression", "zstd")
        (writer.partitionBy(*by) if by else writer).parquet(address_of(folder))
    for path in [*folder.rglob("*.crc"), *folder.rglob("_SUCCESS")]:
        # What Spark notes beside its files is no part of a log.
        path.unlink()


@contextlib.contextmanager
def _times_in_microseconds(session: Any) -> Iterator[None]:  # noqa: ANN401 - a session
    """Have times written as UTC in microseconds: in its older form, which Spark has by default, they have no zone."""
    before = session.conf.get(_TIMES)
    session.conf.set(_TIMES, "TIMESTAMP_MICROS")
    try:
        yield
    finally:
        session.conf.set(_TIMES, before)


def _nothing(frame: Any) -> Any:  # noqa: ANN401 - a frame of Spark, an Arrow table
    return frame.limit(0).toArrow()


def _check_written(folder: Path, n_rows: int) -> None:
    import pyarrow.parquet as pq

    n_written = sum(pq.read_metadata(file).num_rows for file in files_of_part(folder))
    if n_written != n_rows:
        raise ResourceError(
            f"directory: {n_written:,} of {n_rows:,} rows that the workers wrote are there, expected a directory that "
            "every worker and this machine see under one path"
        )
