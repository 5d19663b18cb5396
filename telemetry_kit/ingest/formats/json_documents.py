"""JSON documents -> lines: the elements of an array, also in a wrapper, or documents one behind the other."""

from __future__ import annotations

import codecs
import io
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from telemetry_kit.ingest.compression import BLOCK, read_some
from telemetry_kit.ingest.formats.json_tables import EVENT_FIELDS, is_event, is_header, named, rows_of
from telemetry_kit.ingest.lines import LINE_LIMIT, RAW_LIMIT, Damage
from telemetry_kit.schemas.names import fold
from telemetry_kit.schemas.spellings import is_read

if TYPE_CHECKING:
    from collections.abc import Iterator

# An array that begins with a text or a number is a document: a row whose names stand elsewhere, or none.
_BETWEEN = re.compile(r"(?:[\s,\]\ufeff\x1e]|\[(?=\s*(?:[\[\]{,]|$)))*")
_NEXT_OBJECT = re.compile(r"\}[\s,\ufeff]*(?=\{)")
_KEY = re.compile(r'[\s,\]]*"((?:[^"\\]|\\.)*+)"\s*:\s*', re.DOTALL)
_CLOSED = re.compile(r"[\s,\]]*\}")
_COMMA = re.compile(r"\s*,\s*")
_ARRAY_NAMES = frozenset(
    ("data", "documents", "entries", "events", "hits", "items", "logs", "messages", "records", "result", "results",
     "rows", "tracks", "value", "values")
)  # fmt: skip
"""What the array of a wrapper is called by most tools, whatever it holds."""
_WRAPPERS = 4
"""How deep wrappers may lie in each other."""
_LOOKED_AT = 20
"""How many elements of an array tell whether it holds events."""
LONGEST_GAP = 1024
"""How much may stand between two objects, for the second to be found behind a damaged one."""
_DECODER = json.JSONDecoder()


class _Document(NamedTuple):
    text: str
    fault: str | None


def read_documents(stream: io.BufferedReader, source: int) -> Iterator[bytes | Damage]:
    """Give the elements of a JSON array, or JSON documents one behind the other, one a line.

    An object around an array of events, such as ``{"rows": [...]}``, is no document: its events are. A damaged element
    ends where the next object begins, and leaves a blank line in its place.
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


def documents_of(line: bytes) -> list[tuple[bytes, str | None]]:
    """Return the documents that stand one behind the other on a line, each with what is wrong with it."""
    ahead = _Ahead(io.BufferedReader(io.BytesIO(line)))
    return [(_as_bytes(document.text).strip(), document.fault) for document in _documents(ahead)]


def breaks_off(line: bytes) -> bool:
    """Tell that a line which is no JSON is one object that breaks off or is damaged, behind which no other stands.

    Then ``documents_of`` would find nothing else, at ten times the cost: no array that could be around events, and no
    object behind one that is closed.
    """
    text = line.decode("utf-8", "surrogateescape")
    if not text.startswith("{") or "[" in text or _NEXT_OBJECT.search(text):
        return False
    try:
        _DECODER.raw_decode(text)
    except ValueError:
        return True
    except RecursionError:
        return False
    return False


class _Ahead:
    """The text of a stream that was read; from ``at`` on it is not yet taken."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self.stream = stream
        self.decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self.text = ""
        self.at = 0
        self.is_all = False
        self.broken: str | None = None
        self.n_open = 0
        self.n_wrappers = 0
        self.must_read_on = False
        self.header: list[str] | None = None
        self.rows: list[Any] = []

    def skip_gap(self) -> None:
        """Pass over what stands between documents."""
        gap = _BETWEEN.match(self.text, self.at)
        if gap:
            self.n_open += gap.group().count("[") - gap.group().count("]")
            self.at = gap.end()

    def read(self) -> None:
        """Read as much again as there is, and at least a block."""
        rest = self.text[self.at :]
        block, fault = read_some(self.stream, max(BLOCK, len(rest)))
        self.broken = fault and f"record: the file is damaged: {fault}"
        self.is_all = not block or fault is not None
        self.text, self.at = rest + self.decode(block, self.is_all), 0

    def take(self, end: int) -> str:
        """Take the text up to ``end``."""
        taken, self.at = self.text[self.at : end], end
        return taken


def _documents(ahead: _Ahead) -> Iterator[_Document]:
    n = 0
    while True:
        for row in ahead.rows:
            n += 1
            yield _Document(json.dumps(row, ensure_ascii=False), None)
        ahead.rows = []
        ahead.skip_gap()
        document = None if _pass_wrapper(ahead) else _next_document(ahead)
        if document is not None:
            n += 1
            yield document
        elif ahead.rows:
            continue
        elif ahead.is_all and ahead.at >= len(ahead.text):
            break
        elif ahead.must_read_on:
            ahead.read()
    if ahead.broken:
        yield _Document("", ahead.broken)
    elif not n and ahead.n_open > 0:
        yield _Document("[", "record: not JSON: an array that never begins")


def _pass_wrapper(ahead: _Ahead) -> bool:
    """Go on behind an array of events, over what else its wrapper holds; false where no wrapper goes on here."""
    if not ahead.n_wrappers or not ahead.text.startswith(('"', "}"), ahead.at):
        return False
    found = _walk(ahead.text, ahead.at, ahead.n_wrappers)
    if found is None:
        return False
    ahead.at, ahead.n_wrappers = found
    return True


def _next_document(ahead: _Ahead) -> _Document | None:
    """Take the next document; null where more text is needed to tell where it ends, or a wrapper begins instead."""
    ahead.must_read_on = True
    n_left = len(ahead.text) - ahead.at
    if n_left == 0:
        return None
    try:
        value, end = _DECODER.raw_decode(ahead.text, ahead.at)
    except (ValueError, RecursionError) as error:
        if not ahead.n_wrappers and _enter(ahead, frozenset()):
            return None
        if not ahead.is_all and n_left <= LINE_LIMIT:
            return None
        fault = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        return _damaged(ahead, f"record: not JSON: {fault}")
    # A number or word at the very end of the text may go on in the next block.
    is_whole = ahead.is_all or end < len(ahead.text)
    is_wrapper = is_whole and isinstance(value, dict) and not ahead.n_wrappers and _is_wrapper(ahead, value, end)
    is_document = is_whole and not is_wrapper and not _is_of_table(ahead, value, end)
    return _Document(ahead.take(end), None) if is_document else None


def _is_of_table(ahead: _Ahead, value: object, end: int) -> bool:
    """Tell whether a value is no document but a part of a table, of which ``ahead`` gets the rows."""
    rows: list[Any] | None = None
    if isinstance(value, dict) and not _is_plain_event(value):
        rows = rows_of(value)
    elif isinstance(value, list) and is_header(value):
        ahead.header, rows = value, []
    elif isinstance(value, list) and value and all(isinstance(x, str) and x.startswith("{") for x in value):
        # Events that were written as JSON twice.
        rows = value
    elif isinstance(value, list) and ahead.header is not None:
        rows = [named(ahead.header, value)]
    if rows is not None:
        ahead.rows, ahead.at, ahead.must_read_on = rows, end, False
    return rows is not None


def _is_wrapper(ahead: _Ahead, value: dict[str, object], end: int) -> bool:
    """Tell whether an object is no event but a wrapper of some, and go to the first of these."""
    if is_event(value):
        return False
    arrays = [key for key, member in value.items() if isinstance(member, list) and _are_objects(member)]
    if _enter(ahead, frozenset(arrays) if len(arrays) == 1 else frozenset()):
        return True
    is_empty = not arrays and any(member == [] for key, member in value.items() if fold(key) in _ARRAY_NAMES)
    if is_empty:
        ahead.at, ahead.must_read_on = end, False
    return is_empty


def _enter(ahead: _Ahead, names: frozenset[str]) -> bool:
    """Go to the first event of a wrapper that begins here; false where none does."""
    if not ahead.text.startswith("{", ahead.at):
        return False
    found = _walk(ahead.text, ahead.at + 1, 1, names)
    if found is None or not found[1]:
        return False
    ahead.at, ahead.n_wrappers = found
    ahead.must_read_on = False
    return True


def begins_wrapper(text: str) -> bool:
    """Tell whether a text begins with an object around an array of events."""
    found = _walk(text, 1, 1) if text.startswith("{") else None
    return found is not None and found[1] > 0


def _walk(text: str, at: int, depth: int, names: frozenset[str] = frozenset()) -> tuple[int, int] | None:
    """Pass over the members of ``depth`` objects that are open, up to an array of events or the end of all.

    Returns where the first event of the array begins, and how many objects are open there: none at the end. Null
    where neither is found.
    """
    n_fields = 0
    while True:
        if closed := _CLOSED.match(text, at):
            at, depth = closed.end(), depth - 1
            if not depth:
                return at, 0
            continue
        key = _KEY.match(text, at)
        if key is None:
            return None
        at, name = key.end(), key.group(1)
        n_fields += is_read(name)
        if n_fields >= EVENT_FIELDS:
            return None
        if text.startswith("[", at) and (name in names or _holds_events(text, at + 1, name)):
            return at + 1, depth
        if text.startswith("{", at) and depth < _WRAPPERS:
            at, depth = at + 1, depth + 1
            continue
        try:
            _, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return None


def _holds_events(text: str, at: int, name: str) -> bool:
    """Tell whether the array that begins at ``at`` holds events, by its first elements or by its name."""
    if fold(name) == "batch":
        # A body, whose events are found later.
        return False
    first = _BETWEEN.match(text, at)
    at = first.end() if first else at
    if fold(name) in _ARRAY_NAMES and text.startswith("{", at):
        return True
    for _ in range(_LOOKED_AT):
        try:
            value, at = _DECODER.raw_decode(text, at)
        except (ValueError, RecursionError):
            return False
        if isinstance(value, dict) and is_event(value):
            return True
        gap = _COMMA.match(text, at)
        if gap is None:
            return False
        at = gap.end()
    return False


def _is_plain_event(value: dict[str, object]) -> bool:
    """Tell whether an object is an event of which some fields are no columns."""
    return is_event({key: None for key, member in value.items() if not isinstance(member, (dict, list))})


def _are_objects(values: list[object]) -> bool:
    return bool(values) and all(isinstance(value, dict) for value in values)


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
