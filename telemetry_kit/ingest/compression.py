"""A file without its packing: gzip and zstd, one in the other, and where an archive breaks."""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = 1024 * 1024
GZIP, ZSTD = (b"\x1f\x8b",), (b"\x28\xb5\x2f\xfd", *(bytes([kind, 0x2A, 0x4D, 0x18]) for kind in range(0x50, 0x60)))
"""How a file of each kind begins; some writers of zstd begin with a frame that is to be skipped."""
ZSTD_BLOCK = 64 * 1024
PACKED_LIMIT = 3
"""How often a file may be packed: an archive can be made that holds itself."""


@contextlib.contextmanager
def open_plain(path: Path) -> Iterator[io.BufferedReader]:
    """Open a file for reading, unpacked where its content is gzip or zstd, or one in the other."""
    # No layer closes the one below it.
    with contextlib.ExitStack() as layers:
        stream: Any = layers.enter_context(path.open("rb"))
        for _ in range(PACKED_LIMIT):
            head = stream.peek(8)
            if head.startswith(GZIP):
                stream = layers.enter_context(gzip.GzipFile(fileobj=stream, mode="rb"))
            elif head.startswith(ZSTD):
                stream = layers.enter_context(io.BufferedReader(_Zstd(stream), ZSTD_BLOCK))
            else:
                break
        yield stream


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


def is_plain(stream: io.BufferedReader) -> bool:
    """Tell whether ``open_plain`` found nothing to unpack."""
    return isinstance(getattr(stream, "raw", None), io.FileIO)


UNPACK_ERRORS = (OSError, EOFError, zlib.error)
"""What a damaged archive or an unreadable file raises while it is read."""


def why(error: BaseException) -> str:
    """Return the reason of an error in one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


def read_some(stream: io.BufferedReader, size: int) -> tuple[bytes, str | None]:
    """Read up to ``size`` bytes, and tell why there are fewer where an archive breaks: what came before is kept."""
    parts: list[bytes] = []
    n_left = size
    try:
        while n_left > 0 and (block := stream.read1(n_left)):
            parts.append(block)
            n_left -= len(block)
    except UNPACK_ERRORS as error:
        return b"".join(parts), why(error)
    return b"".join(parts), None
