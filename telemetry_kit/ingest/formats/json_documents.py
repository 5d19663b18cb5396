"""JSON documents -> lines: the elements of an array, or documents that take more than one line each."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, NamedTuple

from telemetry_kit.ingest.compression import BLOCK, read_some
from telemetry_kit.ingest.lines import LINE_LIMIT, RAW_LIMIT, Damage

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

_BETWEEN = re.compile(r"[\s,\[\]]*")
_NEXT_OBJECT = re.compile(r"\}[\s,]*(?=\{)")
LONGEST_GAP = 1024
"""How much may stand between two objects, for the second to be found behind a damaged one."""
_DECODER = json.JSONDecoder()


class _Document(NamedTuple):
    text: str
    fault: str | None


def read_documents(stream: io.BufferedReader, source: int) -> Iterator[bytes | Damage]:
    """Give the elements of a JSON array, or JSON documents one behind the other, one a line.

    A damaged element ends where the next object begins, and leaves a blank line in its place.
    """
    for number, document in enumerate(_documents(_Ahead(stream)), 1):
        raw, fault = _as_bytes(document.text), document.fault
        if fault is None and len(raw) > LINE_LIMIT:
            fault = f"record: an element of {len(raw)} bytes, expected at most {LINE_LIMIT}"
        if fault is None:
            yield raw.replace(b"\n", b" ").replace(b"\r", b" ") + b"\n"
        else:
            yield Damage(source, number, fault, raw.rstrip(b" \t\r\n,"))
            yield b"\n"


class _Ahead:
    """The text of a stream that was read; from ``at`` on it is not yet taken."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self.stream = stream
        self.decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self.text = ""
        self.at = 0
        self.is_all = False
        self.broken: str | None = None

    def read(self) -> None:
        """Read as much again as there is, and at least a block."""
        rest = self.text[self.at :]
        block, fault = read_some(self.stream, max(BLOCK, len(rest)))
        self.broken = fault and f"record: the archive is damaged: {fault}"
        self.is_all = not block or fault is not None
        self.text, self.at = rest + self.decode(block, self.is_all), 0

    def take(self, end: int) -> str:
        """Take the text up to ``end``."""
        taken, self.at = self.text[self.at : end], end
        return taken


def _documents(ahead: _Ahead) -> Iterator[_Document]:
    while True:
        gap = _BETWEEN.match(ahead.text, ahead.at)
        ahead.at = gap.end() if gap else ahead.at
        document = _next_document(ahead)
        if document is not None:
            yield document
        elif ahead.is_all:
            break
        else:
            ahead.read()
    if ahead.broken:
        yield _Document("", ahead.broken)


def _next_document(ahead: _Ahead) -> _Document | None:
    """Take the next document; null where more text is needed to tell where it ends."""
    n_left = len(ahead.text) - ahead.at
    if n_left == 0:
        return None
    try:
        _, end = _DECODER.raw_decode(ahead.text, ahead.at)
    except (ValueError, RecursionError) as error:
        if not ahead.is_all and n_left <= LINE_LIMIT:
            return None
        fault = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        return _damaged(ahead, f"record: not JSON: {fault}")
    # A number or word at the very end of the text may go on in the next block.
    return _Document(ahead.take(end), None) if ahead.is_all or end < len(ahead.text) else None


def _damaged(ahead: _Ahead, fault: str) -> _Document:
    """Take what is no document, up to the next object."""
    head, length = "", 0
    while (following := _NEXT_OBJECT.search(ahead.text, ahead.at)) is None and not ahead.is_all:
        # The next object may begin with what is read next.
        part = ahead.take(max(len(ahead.text) - LONGEST_GAP, ahead.at))
        head, length = head or part[:RAW_LIMIT], length + len(part)
        ahead.read()
    if following is None and ahead.broken:
        fault, ahead.broken = ahead.broken, None
    part = ahead.take(following.end() if following else len(ahead.text))
    if length:
        fault += f"; the record has {length + len(part)} characters, of which the first {RAW_LIMIT} are kept"
    return _Document(head or part, fault)


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
