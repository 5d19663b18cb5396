"""Archives of several files: the members of a zip, and what every other kind is called."""

from __future__ import annotations

import contextlib
import errno
import zipfile
from typing import TYPE_CHECKING

from telemetry_kit.ingest.compression import ZIP, Budget, Member
from telemetry_kit.ingest.discovery import is_beside
from telemetry_kit.ingest.lines import as_text
from telemetry_kit.ingest.opening import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from telemetry_kit.ingest.compression import Place

MEMBERS_LIMIT = 100_000
"""How many files a zip may hold."""
HEAD = 512
"""How much of a file tells its kind."""
_UNPACK = "unpack it, and give its files"
_EXPORT = "export it as Parquet, CSV or JSON lines"
_FOREIGN = (
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (0, b"Rar!\x1a\x07", "a rar archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, ZIP[0], "a zip archive in another archive", _UNPACK),
    (0, b"\x04\x22\x4d\x18", "an lz4 archive", _UNPACK),
    (0, b"\xff\x06\0\0sNaPpY", "a snappy archive", _UNPACK),
    (0, b"\x1f\x9d", "an archive of compress", _UNPACK),
    (0, b"LZIP", "an lzip archive", _UNPACK),
    (0, b"!<arch>\n", "an ar archive", _UNPACK),
    (0, b"ORC", "an ORC file", _EXPORT),
    (0, b"Obj\x01", "an Avro file", _EXPORT),
    (0, b"SQLite format 3\0", "a SQLite database", _EXPORT),
    (0, b"\x89HDF\r\n", "an HDF5 file", _EXPORT),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Office document", _EXPORT),
    (0, b"%PDF-", "a PDF document", _EXPORT),
)
"""Kinds of files that hold data but are not read: where their mark is, what they are, and what to do."""


def foreign_kind(head: bytes) -> str | None:
    """Tell what kind of file begins so, and what to do with it; null where it may be read."""
    for at, mark, kind, advice in _FOREIGN:
        if head.startswith(mark, at):
            return f"it is {kind}; {advice}"
    return None


@contextlib.contextmanager
def open_places(name: str, path: Path, beside: list[str]) -> Iterator[list[tuple[str, Place]]]:
    """Give the files that a path stands for, each with its name: itself, or the members of a zip.

    What systems put beside the data is passed over; ``beside`` gets its names.

    Raises
    ------
    OSError, zipfile.BadZipFile
        Where the path cannot be read.
    """
    with contextlib.ExitStack() as opened:
        stream = opened.enter_context(open_regular(path))
        if not stream.peek(len(ZIP[0])).startswith(ZIP):
            opened.close()
            yield [(name, path)]
            return
        archive = opened.enter_context(zipfile.ZipFile(stream))
        infos = [info for info in archive.infolist() if not info.is_dir()]
        if len(infos) > MEMBERS_LIMIT:
            raise OSError(errno.EFBIG, f"a zip of {len(infos)} files, expected at most {MEMBERS_LIMIT}; {_UNPACK}")
        if any(info.filename == "[Content_Types].xml" for info in infos):
            raise OSError(errno.EINVAL, f"it is an Office document; {_EXPORT}")
        budget = Budget.of(path.stat().st_size)
        places: list[tuple[str, Place]] = []
        for info in infos:
            member = as_text(info.filename.encode("utf-8", "surrogateescape"))
            if is_beside(member):
                beside.append(f"{name}/{member}")
            else:
                places.append((f"{name}/{member}", Member(archive, info, budget)))
        yield places
