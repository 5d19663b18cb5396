"""What a source is made of: its parts, its files under the names that the audit gives them, and their digests."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from telemetry_kit.ingest.discovery import find_files, shown
from telemetry_kit.ingest.formats.database import is_url
from telemetry_kit.ingest.opening import open_regular
from telemetry_kit.schemas.log_tables import ARRIVED, MARK, TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


class InputFile(TypedDict):
    """A file that was read: its name in the audit, its size, when it was written last, and the digest of its bytes."""

    path: str
    bytes: int
    modified_ns: int
    sha256: str


def list_items(source: Any) -> Iterator[Any]:  # noqa: ANN401 - as load_events
    """List what a source is made of: itself, or what its lists hold."""
    if isinstance(source, (list, tuple)):
        for item in source:
            yield from list_items(item)
    else:
        yield source


def files_of(
    item: str | os.PathLike[str], *, is_one_of_several: bool, beside: list[str] | None = None
) -> list[tuple[str, Path]]:
    """List the files of a path or pattern, each with its name in the audit.

    The name of a file of one source among several begins with the name of its folder. Of a saved log these are its
    events alone. ``beside`` gets the names of what is passed over.

    Raises
    ------
    SourceError
        Where the path cannot be used.
    """
    # A link keeps its own name.
    folder = Path(os.path.abspath(item)) if is_one_of_several else None  # noqa: PTH100
    first = f"{shown(folder.name)}/" if folder is not None and folder.is_dir() else ""
    found = find_files(item, beside)
    logs = [path.parent for _, path in found if path.name == MARK]
    parts = {log / name for log in logs for name in (MARK, ARRIVED, *(f"{part}.parquet" for part in TABLES))}
    return [(first + name, path) for name, path in found if path not in parts]


def input_files(source: Any) -> list[tuple[str, Path]]:  # noqa: ANN401 - as load_events
    """List the files of a source, each with its name in the audit; databases and frames have none."""
    items = list(list_items(source))
    return [file for item in items if _is_path(item) for file in files_of(item, is_one_of_several=len(items) > 1)]


def is_of_files(source: Any) -> bool:  # noqa: ANN401 - as load_events
    """Tell whether a source holds nothing but files, so that their digests tell whether it is the same again."""
    return all(map(_is_path, list_items(source)))


def _is_path(item: object) -> bool:
    return isinstance(item, (str, os.PathLike)) and not is_url(item)


def describe_files(files: Iterable[tuple[str, Path]]) -> list[InputFile]:
    """Describe files as they are now; one that cannot be read has no digest."""
    return [_described(name, path) for name, path in files]


def _described(name: str, path: Path) -> InputFile:
    try:
        # Taken first: a file that is written to meanwhile looks older than it is, and will be read anew.
        status = path.stat()
        return {"path": name, "bytes": status.st_size, "modified_ns": status.st_mtime_ns, "sha256": digest(path)}
    except OSError:
        return {"path": name, "bytes": 0, "modified_ns": 0, "sha256": ""}


def stamp(path: Path) -> tuple[int, int] | None:
    """Return the size of a file and when it was written last; null where it cannot be told."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def are_unchanged(known: Sequence[InputFile], files: Sequence[tuple[str, Path]]) -> bool:
    """Tell whether files are as they were described.

    A file of the same size that was written last at the same time is taken as unchanged without reading it; of any
    other the digest decides.
    """
    return len(known) == len(files) and all(map(is_unchanged, known, files))


def is_unchanged(known: InputFile, file: tuple[str, Path]) -> bool:
    """Tell whether a file is as it was described; it is read only where it was written since."""
    name, path = file
    try:
        status = path.stat()
        if (known["path"], known["bytes"]) != (name, status.st_size):
            return False
        return known["modified_ns"] == status.st_mtime_ns or known["sha256"] == digest(path)
    except OSError:
        return False
