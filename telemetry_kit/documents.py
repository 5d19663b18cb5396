"""JSON documents -> lines: the elements of an array, or documents that take more than one line each."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, NamedTuple

from telemetry_kit.sources import BLOCK, LINE_LIMIT, Damage, read_some

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator

_BETWEEN = re.compile(r"[\s,\[\]]*")
_NEXT_OBJECT = re.compile(r"\}[\s,]*(?=\{)")
_DECODER = json.JSONDecoder()


class _Document(NamedTuple):
    text: str
    fault: str | None


def read_documents(stream: io.BufferedReader, source: int) -> Iterator[bytes | Damage]:
    """Give the elements of a JSON array, or JSON documents one behind the other, one a line.

    A damaged element ends where the next object begins, and leaves a blank line in its place.
    """
    for number, document in enumerate(_documents(stream), 1):
        if document.fault is None:
            yield _as_bytes(document.text.replace("\n", " ").replace("\r", " ")) + b"\n"
        else:
            yield Damage(source, number, document.fault, _as_bytes(document.text.rstrip(" \t\r\n,")))
            yield b"\n"


def _documents(stream: io.BufferedReader) -> Iterator[_Document]:
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    text, at, is_all = "", 0, False
    broken: str | None = None
    while True:
        at = _end_of_gap(text, at)
        found = _document_at(text, at, is_all=is_all)
        if found is not None:
            at += len(found.text)
            if found.fault and broken and at == len(text):
                found, broken = found._replace(fault=broken), None
            yield found
        elif is_all:
            break
        else:
            block, fault = read_some(stream, max(BLOCK, len(text) - at))
            broken = fault and f"record: the archive is damaged: {fault}"
            is_all = not block or broken is not None
            text, at = text[at:] + decode(block, is_all), 0
    if broken:
        yield _Document("", broken)


def _end_of_gap(text: str, at: int) -> int:
    between = _BETWEEN.match(text, at)
    return between.end() if between else at


def _document_at(text: str, at: int, *, is_all: bool) -> _Document | None:
    """Return the document that begins at ``at``; null where more text is needed to tell."""
    if at == len(text):
        return None
    try:
        _, end = _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        if not is_all and len(text) - at <= LINE_LIMIT:
            return None
        following = _NEXT_OBJECT.search(text, at)
        fault = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        return _Document(text[at : following.end() if following else len(text)], f"record: not JSON: {fault}")
    # A number or word at the very end of the text may go on in the next block.
    return _Document(text[at:end], None) if is_all or end < len(text) else None


def _as_bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
