"""What a source is: the files of a path, a folder or a pattern, and the names by which they are told."""

from __future__ import annotations

import errno
import glob
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from telemetry_kit.errors import ParameterError, SourceError
from telemetry_kit.ingest.lines import as_text
from telemetry_kit.ingest.opening import open_regular, why

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BESIDE = ("thumbs.db", "desktop.ini")
"""What systems put beside the data, with what begins with a dot or a line (``__MACOSX``, ``_SUCCESS``, …)."""

MANIFEST = "manifest.json"
"""The file of a report that lists the others."""
MANIFEST_BYTES = 64 * 1024 * 1024
"""How large such a file can be; a larger one with its name is data."""
KEY = ".servers.csv"
"""What is added to the name of a report for the file beside it that tells its servers."""


def find_files(given: str | os.PathLike[str], beside: list[str] | None = None) -> list[tuple[str, Path]]:
    """List the files of a path or a pattern, each with its name relative to it, in the order of their names.

    What systems put beside the data in a folder is passed over; ``beside`` gets its names.

    Raises
    ------
    ParameterError
        Where ``given`` is no path.
    SourceError
        Where the path does not exist or may not be read, or no file lies there.
    """
    try:
        path = Path(given)
    except TypeError:
        raise ParameterError("source", given, SOURCE_EXPECTED) from None
    if not os.fspath(given):
        # A path of nothing would be where the user works.
        raise ParameterError("source", given, SOURCE_EXPECTED)
    text = str(path)
    try:
        if path.is_dir():
            os.scandir(path).close()
            files = _of_data(_below(path), beside)
        elif path.exists():
            open_regular(path).close()
            files = [(shown(path.name), path)]
        elif glob.has_magic(text):
            files = _of_data(_matches(path), beside)
        else:
            raise SourceError(f"source: {text!r} does not exist")
    except OSError as error:
        raise SourceError(f"source: {text!r} cannot be read: {why(error)}") from None
    if not files:
        raise SourceError(f"source: no file {'lies in' if path.is_dir() else 'matches'} {text!r}")
    return files


SOURCE_EXPECTED = "a path, a glob, a list of these, a database URL, a frame, or a mapping of event types to frames"


def is_beside(name: str) -> bool:
    """Tell whether a name relative to what was given is that of something beside the data."""
    parts = [part for part in name.split("/") if part not in {".", ".."}]
    return any(part.startswith((".", "_")) or part.lower() in BESIDE for part in parts)


def _of_data(found: Iterable[tuple[str, Path]], beside: list[str] | None) -> list[tuple[str, Path]]:
    files = sorted(found)
    names = {name for name, _ in files}
    # What a database has not yet written into its file is read along with it.
    logs = {name for name in names if name.removesuffix(".wal") in names - {name}}
    passed = {name for name in names if is_beside(name)} | _of_reports(files)
    if beside is not None:
        beside += sorted(passed & names)
    return [(name, path) for name, path in files if name not in logs | passed]


def _of_reports(files: Iterable[tuple[str, Path]]) -> set[str]:
    """Return the names of the files of reports that were written among the data, as their manifests list them."""
    found: set[str] = set()
    for name, path in files:
        folder, _, last = name.rpartition("/")
        if folder and last == MANIFEST and (listed := _outputs(path)):
            found |= {f"{folder}{KEY}", *(f"{folder}/{output}" for output in (MANIFEST, *listed))}
    return found


def _outputs(manifest: Path) -> list[str]:
    """Return what a manifest lists; nothing of a file that is none."""
    try:
        with open_regular(manifest) as stream:
            told = json.loads(stream.read(MANIFEST_BYTES))
        return [str(entry["path"]) for entry in told["outputs"]] if "versions" in told else []
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []


def _matches(pattern: Path) -> list[tuple[str, Path]]:
    magic = [glob.has_magic(part) for part in pattern.parts]
    root = Path(*pattern.parts[: magic.index(True)])
    matches = [Path(match) for match in glob.glob(str(pattern), recursive=True)]  # noqa: PTH207 - pathlib has no absolute patterns
    paths = {path for match in matches for path in _files_at(match)}
    by_length = sorted(paths, key=lambda path: (len(path.parts), path), reverse=True)
    # Where a link leads back, a pattern finds a file on many ways, of which the shortest names it, and one without end.
    found = {path.resolve(): path for path in by_length if not _is_endless(path)}
    return sorted((shown(path.relative_to(root).as_posix()), path) for path in found.values())


def _is_endless(path: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _files_at(path: Path) -> list[Path]:
    return [file for _, file in _below(path)] if path.is_dir() else [path]


def _below(folder: Path) -> Iterator[tuple[str, Path]]:
    """List all files below a folder, through links too but each folder once, and the folders that may not be listed."""
    refused: list[Path] = []
    seen = {_identity(folder)}
    for directory, folders, names in os.walk(
        folder, onerror=lambda error: refused.append(Path(error.filename)), followlinks=True
    ):
        folders.sort()
        for name in folders.copy():
            identity = _identity(Path(directory, name))
            if identity in seen:
                folders.remove(name)
            seen.add(identity)
        for name in names:
            path = Path(directory, name)
            yield shown(path.relative_to(folder).as_posix()), path
    for path in refused:
        yield shown(path.relative_to(folder).as_posix()), path


def _identity(path: Path) -> tuple[int, int] | Path:
    try:
        status = path.stat()
    except OSError:
        return path
    return status.st_dev, status.st_ino


def shown(file_name: str) -> str:
    """Return the name of a file as text; what is not UTF-8 in it is written as escapes."""
    return as_text(os.fsencode(file_name))
