"""The directory of a report: all of a new one takes the place of an earlier one, or nothing changes."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from telemetry_kit import output
from telemetry_kit.errors import ReportError
from telemetry_kit.ingest.discovery import MANIFEST
from telemetry_kit.ingest.inputs import digest
from telemetry_kit.ingest.opening import why

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def taking_place(place: Path) -> Iterator[Path]:
    """Give a directory to write a report in; what it holds at the end takes the place of an earlier report.

    Nothing changes where an exception ends it. The manifest is the last to go and to come: a report that has one is
    whole. The directory itself stays, since it may be a mount or the one in which somebody is working.
    """
    try:
        if place.is_dir():
            output.settle(place)
        _earlier_files(place)
        with output.held(place, lambda fault: ReportError(str(place), fault)):
            # Another may have been written since.
            earlier = _earlier_files(place)
            with output.new_directory(place) as folder:
                yield folder
                output.put_in_place(folder, place, earlier, MANIFEST)
    except OSError as error:
        raise ReportError(str(place), f"cannot be written: {why(error)}") from None


def _earlier_files(place: Path) -> set[str]:
    """Return the files of an earlier report, and see that nothing else would be lost or mixed with a new one."""
    if not place.exists():
        return set()
    if not place.is_dir():
        raise ReportError(str(place), "is a file, expected a directory")
    paths = {path.relative_to(place) for path in place.rglob("*") if not path.is_dir()}
    # What an attempt that was killed has left is removed, once it is sure that its owner is dead.
    found = {path.as_posix() for path in paths if not output.is_passing(path.parts[0])}
    try:
        listed = {MANIFEST} | {entry["path"] for entry in json.loads((place / MANIFEST).read_text("utf-8"))["outputs"]}
    except (OSError, ValueError, KeyError, TypeError):
        listed = set()
    strange = sorted(found - listed)
    if strange:
        raise ReportError(str(place), f"holds {strange[0]!r}, expected an empty directory or an earlier report")
    return found


def read_manifest(place: Path) -> dict[str, Any]:
    """Return the manifest of the report in a directory; empty where there is none."""
    try:
        output.settle(place)
        manifest = json.loads((place / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def is_whole(place: Path, manifest: dict[str, Any]) -> bool:
    """Tell whether every file that a manifest lists is in the directory, and as it was written."""
    try:
        return all(digest(place / entry["path"]) == entry["sha256"] for entry in manifest["outputs"])
    except (OSError, KeyError, TypeError):
        return False
