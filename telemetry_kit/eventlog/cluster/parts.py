"""Which parts a source is read in on a cluster: whole files, and pieces of large plain files of lines."""

from __future__ import annotations

import os
import re
from dataclasses import astuple, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from telemetry_kit.errors import SourceError
from telemetry_kit.ingest.detection import is_splittable
from telemetry_kit.ingest.inputs import files_of, list_items

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PIECE = 128 * 1024 * 1024
"""How much of a large file of lines one task reads."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
SCHEMA = "part BIGINT, name STRING, path STRING, start BIGINT, stop BIGINT, loaded_us BIGINT"


@dataclass(frozen=True)
class Part:
    """What one task reads: a file by its name in the audit and its path; of a large one the bytes from start to stop.

    ``stop`` is null for a whole file. Parts are numbered in the order of arrival.
    """

    part: int
    name: str
    path: str
    start: int = 0
    stop: int | None = None


def is_remote(item: object) -> bool:
    """Tell whether a path has a scheme, so that Spark and not this machine's file system knows what lies there."""
    return isinstance(item, (str, os.PathLike)) and _SCHEME.match(os.fspath(item)) is not None


def list_parts(source: Any, session: Any, beside: list[str]) -> list[Part]:  # noqa: ANN401 - as scan_events
    """List the parts of a source in the order of arrival; ``beside`` gets the names of what is passed over.

    Raises
    ------
    SourceError
        Where a path cannot be used.
    """
    parts: list[Part] = []
    items = list(list_items(source))
    for item in items:
        several = len(items) > 1
        for name, path in _remote(session, os.fspath(item)) if is_remote(item) else _local(item, beside, several):
            for start, stop in pieces(path):
                parts.append(Part(len(parts), name, path, start, stop))
    return parts


def _local(item: Any, beside: list[str], several: bool) -> Iterator[tuple[str, str]]:  # noqa: ANN401, FBT001
    for name, path in files_of(item, is_one_of_several=several, beside=beside):
        yield name, str(path.absolute())


def _remote(session: Any, address: str) -> list[tuple[str, str]]:  # noqa: ANN401 - a session
    """List the files at an address that Spark knows, by the names that follow it."""
    from pyspark.errors import PySparkException

    try:
        # Without the content only the names are read.
        listed = session.read.format("binaryFile").option("recursiveFileLookup", "true").load(address)
        paths = sorted(row.path for row in listed.select("path").collect())
    except PySparkException as error:
        raise SourceError(f"source: {address!r} cannot be read: {str(error).splitlines()[0]}") from None
    if not paths:
        raise SourceError(f"source: no file lies in {address!r}")
    base = os.path.commonpath([str(PurePosixPath(path).parent) for path in paths])
    return [(str(PurePosixPath(path).relative_to(base)), path) for path in paths]


def pieces(path: str) -> list[tuple[int, int | None]]:
    """Return the pieces in which a file is read: one, or those of a large plain file of lines."""
    if is_remote(path) or not is_splittable(Path(path)):
        return [(0, None)]
    size = Path(path).stat().st_size
    return [(start, min(start + PIECE, size)) for start in range(0, size, PIECE)]


def as_rows(parts: Sequence[Part], loaded_us: int) -> list[tuple[Any, ...]]:
    """Return parts as rows of ``SCHEMA``; ``loaded_us`` is the moment of loading, by which every task judges clocks."""
    return [(*astuple(part), loaded_us) for part in parts]
