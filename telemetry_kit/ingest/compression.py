"""A file without its packing: gzip, zstd, bzip2, xz, one in the other or in a zip, and where an archive breaks."""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from telemetry_kit.errors import ResourceError
from telemetry_kit.ingest.opening import open_regular, why

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BLOCK = 1024 * 1024
GZIP, ZSTD = (b"\x1f\x8b",), (b"\x28\xb5\x2f\xfd", *(bytes([kind, 0x2A, 0x4D, 0x18]) for kind in range(0x50, 0x60)))
"""How a file of each kind begins; some writers of zstd begin with a frame that is to be skipped."""
BZIP2, XZ, ZIP = (b"BZh",), (b"\xfd7zXZ\0",), (b"PK\3\4", b"PK\5\6")
UNPACKED_BLOCK = 64 * 1024
PACKED_LIMIT = 3
"""How often a file may be packed: an archive can be made that holds itself."""
UNPACKED_LIMIT = 2 * 1024**3
UNPACKED_RATIO = 200
"""How much may come out of an archive: so many bytes, or so many times its size where that is more."""
XZ_MEMORY = 256 * 1024 * 1024


@dataclass
class Budget:
    """How many bytes may still come out of an archive."""

    n_left: int

    @classmethod
    def of(cls, n_packed: int) -> Budget:
        """Return what may come out of an archive of so many bytes."""
        return cls(max(UNPACKED_LIMIT, UNPACKED_RATIO * n_packed))


@dataclass(frozen=True)
class Member:
    """A file in a zip that is open: nothing of it is on disk."""

    archive: zipfile.ZipFile
    info: zipfile.ZipInfo
    budget: Budget


Place: TypeAlias = "Path | Member"
"""Where the bytes of a file are."""


@contextlib.contextmanager
def open_plain(place: Place) -> Iterator[io.BufferedReader]:
    """Open a file for reading, unpacked where its content is packed, also twice."""
    # No layer closes the one below it.
    with contextlib.ExitStack() as layers:
        if isinstance(place, Member):
            if place.info.flag_bits & 1:
                raise OSError(errno.EACCES, "it is encrypted; unpack the archive with its password, and give its files")
            member: Any = layers.enter_context(place.archive.open(place.info))
            stream: Any = layers.enter_context(io.BufferedReader(_Bounded(member, place.budget), UNPACKED_BLOCK))
            budget = place.budget
        else:
            stream = layers.enter_context(open_regular(place))
            budget = Budget.of(place.stat().st_size)
        is_packed = False
        for _ in range(PACKED_LIMIT):
            head = stream.peek(8)
            if head.startswith(GZIP):
                stream = layers.enter_context(gzip.GzipFile(fileobj=stream, mode="rb"))
            elif head.startswith(ZSTD):
                stream = layers.enter_context(io.BufferedReader(_Zstd(stream), UNPACKED_BLOCK))
            elif head.startswith((*BZIP2, *XZ)):
                make = bz2.BZ2Decompressor if head.startswith(BZIP2) else _xz
                stream = layers.enter_context(io.BufferedReader(_Unpacked(stream, make), UNPACKED_BLOCK))
            else:
                break
            is_packed = True
        if is_packed:
            stream = layers.enter_context(io.BufferedReader(_Bounded(stream, budget), UNPACKED_BLOCK))
        yield stream


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=XZ_MEMORY)


class _Bounded(io.RawIOBase):
    """A stream that ends with an error once more has come out of an archive than may."""

    def __init__(self, stream: Any, budget: Budget) -> None:  # noqa: ANN401 - any stream of bytes
        self.stream = stream
        self.budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        block = self.stream.read1(len(buffer))
        self.budget.n_left -= len(block)
        if self.budget.n_left < 0:
            raise OSError(
                errno.EFBIG, "more comes out of it than can be telemetry; unpack it first, and give the files"
            )
        buffer[: len(block)] = block
        return len(block)


class _Unpacked(io.RawIOBase):
    """A stream unpacked from bzip2 or xz, of which an archive may have several one behind the other."""

    def __init__(self, packed: io.BufferedReader, make: Callable[[], Any]) -> None:
        self.packed = packed
        self.make = make
        self.unpacker = make()
        self.rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        while True:
            if self.unpacker.eof:
                self.rest = self.unpacker.unused_data or self.packed.read1(UNPACKED_BLOCK)
                if not self.rest.strip(b"\0"):
                    return 0
                self.unpacker = self.make()
            elif self.unpacker.needs_input and not self.rest:
                self.rest = self.packed.read1(UNPACKED_BLOCK)
                if not self.rest:
                    raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            block, self.rest = self.unpacker.decompress(self.rest, len(buffer)), b""
            if block:
                buffer[: len(block)] = block
                return len(block)


class _Zstd(io.RawIOBase):
    """A stream unpacked from zstd; all that comes before the damage of a damaged archive can be read."""

    def __init__(self, packed: Any) -> None:  # noqa: ANN401 - a stream of bytes that can go back to its beginning
        self.packed = packed
        self.opened: list[Any] = []
        self.open_again()
        self.position = 0
        self.damage: OSError | None = None

    def open_again(self) -> None:
        import pyarrow as pa

        self.packed.seek(0)
        # PyArrow raises where the archive ends early; other readers of zstd end without a word. A stream of its that
        # nobody holds any more closes the file below it.
        self.unpacked: Any = pa.CompressedInputStream(pa.PythonFile(self.packed, "r"), "zstd")
        self.opened.append(self.unpacked)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        if self.damage is not None:
            raise self.damage
        try:
            block = self.unpacked.read(len(buffer))
        except OSError as error:
            self.damage = error
            block = self._rescued(len(buffer))
            if not block:
                raise
        self.position += len(block)
        buffer[: len(block)] = block
        return len(block)

    def _rescued(self, size: int) -> bytes:
        """Read a damaged block once more, byte by byte: PyArrow gives none of a block with damage in it."""
        self.open_again()
        for done in range(0, self.position, BLOCK):
            self.unpacked.read(min(BLOCK, self.position - done))
        block = bytearray()
        with contextlib.suppress(OSError):
            while len(block) < size and (byte := self.unpacked.read(1)):
                block += byte
        return bytes(block)


def is_plain(place: Place, stream: io.BufferedReader) -> TypeGuard[Path]:
    """Tell whether ``open_plain`` found nothing to unpack."""
    return not isinstance(place, Member) and isinstance(getattr(stream, "raw", None), io.FileIO)


UNPACK_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)
"""What a damaged archive or an unreadable file raises while it is read; the last where ``zipfile`` cannot unpack."""
_OURS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS))
"""What the machine lacks, and no file is to blame for."""


def blame(error: BaseException) -> None:
    """See that an error of reading is the input's own.

    Raises
    ------
    ResourceError
        Where the machine falls short instead.
    """
    if isinstance(error, MemoryError) or getattr(error, "errno", None) in _OURS:
        raise ResourceError(f"the system has too few resources to read on: {why(error)}") from None


def read_some(stream: io.BufferedReader, size: int) -> tuple[bytes, str | None]:
    """Read up to ``size`` bytes, and tell why there are fewer where an archive breaks: what came before is kept."""
    parts: list[bytes] = []
    n_left = size
    try:
        while n_left > 0 and (block := stream.read1(n_left)):
            parts.append(block)
            n_left -= len(block)
    except UNPACK_ERRORS as error:
        blame(error)
        return b"".join(parts), why(error)
    return b"".join(parts), None
