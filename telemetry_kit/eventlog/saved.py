"""The format of a saved log on disk: its parts, the mark by which it is known, and what makes one unreadable."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from telemetry_kit import engine, output, schemas
from telemetry_kit.errors import SourceError
from telemetry_kit.ingest.opening import why
from telemetry_kit.schemas.log_tables import ARRIVED, MARK, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FORMAT = 3


def write_mark(
    folder: Path,
    since: pd.Timestamp | None,
    cutoff: pd.Timestamp,
    **more: Any,  # noqa: ANN401 - anything JSON can hold
) -> None:
    """Write the file by which a directory is known as an event log; ``more`` is written into it."""
    moments = {"since": since, "cutoff": None if cutoff is engine.NO_TIME else cutoff}
    told = {name: None if moment is None else moment.isoformat() for name, moment in moments.items()}
    about = {"format": _FORMAT, **told, **more}
    (folder / MARK).write_text(json.dumps(about) + "\n", encoding="utf-8")


def parts() -> tuple[str, ...]:
    """Return the names of the parts of a log, each a file of its own."""
    return (*schemas.EVENT_TYPES, *TABLES)


def own_files() -> set[str]:
    """Return the names of the files of a saved log."""
    return {MARK, ARRIVED, *(f"{part}.parquet" for part in parts())}


def is_saved(source: object) -> bool:
    """Tell whether a source is a directory that ``EventLog.save`` wrote.

    Raises
    ------
    SourceError
        Where it was being replaced when its writer was killed, and cannot be made whole from here.
    """
    try:
        folder = Path(source)  # type: ignore[arg-type]
        is_whole = not (folder / output.STEPS).is_file()
        return (folder / MARK).is_file() if is_whole else _made_whole(folder)
    except (TypeError, OSError, ValueError):
        return False


def _made_whole(folder: Path) -> bool:
    try:
        output.settle(folder)
    except OSError as error:
        raise SourceError(
            f"source: {output.named(folder)} was being replaced when its writer was killed, and cannot be made whole: "
            f"{why(error)}; give the same command again"
        ) from None
    return (folder / MARK).is_file()


UNREADABLE = (OSError, ValueError, LookupError, TypeError, NotImplementedError)
"""What reading a saved log raises where it is not as it was written; the last is Arrow's, of types it does not know."""


def unreadable(folder: Path, error: Exception) -> SourceError:
    """Return the error for a saved log that is not as it was written; its files are named without their place."""
    reason = why(error).replace(f"{folder}{os.sep}", "")
    return SourceError(f"source: the saved log in {output.named(folder)} cannot be read: {reason}")


def read_mark(folder: Path) -> dict[str, Any]:
    """Read what ``write_mark`` wrote, ``since`` and the cutoff as moments.

    Raises
    ------
    OSError, ValueError, LookupError, TypeError
        Where it is not as it was written.
    """
    about: dict[str, Any] = json.loads((folder / MARK).read_text(encoding="utf-8"))
    if about["format"] != _FORMAT:
        raise ValueError(f"it has format {about['format']!r}, expected {_FORMAT}: convert its source once more")
    others_us = about["others_us"]
    if not isinstance(others_us, dict) or not all(type(us) is int for us in others_us.values()):
        raise ValueError("others_us holds no times of servers")
    # Each for itself: an earlier version wrote the newest time of all events, also where it lay before since.
    since, _ = engine.moments(about["since"], None)
    _, cutoff = engine.moments(None, about["cutoff"])
    return about | {"since": since, "cutoff": engine.NO_TIME if cutoff is None else engine.last_moment(cutoff, since)}


def read_table(folder: Path, part: str) -> pd.DataFrame:
    """Read the quarantine, the audit or what was seen beside the events.

    Raises
    ------
    OSError, ValueError
        Where it is not as it was written.
    """
    table: pd.DataFrame = pd.read_parquet(folder / f"{part}.parquet")
    check_columns(f"{part}.parquet", table.columns, TABLES[part])
    return table


def check_columns(name: str, found: Iterable[str], expected: Sequence[str]) -> None:
    """See that a file of a saved log has the columns that it was written with.

    Raises
    ------
    ValueError
        Where it has others.
    """
    if [*found] != [*expected]:
        raise ValueError(f"{name} has other columns than {', '.join(expected)}")
