"""What each file holds, told by its content: JSON lines, JSON documents, CSV, or a table of another kind."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal

from telemetry_kit.ingest.archives import HEAD, foreign_kind, open_places
from telemetry_kit.ingest.compression import BLOCK, UNPACK_ERRORS, Member, blame, is_plain, open_plain, read_some
from telemetry_kit.ingest.formats.csv import read_rows
from telemetry_kit.ingest.formats.csv_records import begins_table, first_lines, json_dialect
from telemetry_kit.ingest.formats.json_documents import begins_wrapper, read_documents
from telemetry_kit.ingest.formats.json_tables import rows_of
from telemetry_kit.ingest.formats.tables import ARROW_FILE, ARROW_STREAM, TableFile
from telemetry_kit.ingest.lines import RAW_LIMIT, Damage, Lines, Segment, count_lines, has_long_line, read_lines
from telemetry_kit.ingest.opening import copy, open_regular, own_disk, why

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from telemetry_kit.ingest.compression import Place
    from telemetry_kit.ingest.formats.csv import Rows

Form = Literal["lines", "documents", "csv", "parquet", "arrow", "duckdb", "empty", "unknown"]
UNIT = 256 * 1024 * 1024
"""How much text is gathered before it is read: what is read at a time stays bounded."""
IN_PLACE = 64 * 1024 * 1024
"""A plain file of lines at least this large is read where it lies."""
_OBJECT = re.compile(rb'\{\s*"[^"]{1,200}"\s*:')
_ARRAY = re.compile(rb"\[\s*([\[{]|$)")
_OBJECT_SPAN = 1024
"""How long the beginning of a line may be that tells an object."""
WIDE_HEAD = 16
"""By how many bytes a coding of wide characters is told: its mark, and three of UTF-32."""


def read_files(
    files: Sequence[tuple[str, Path]], folder: Path, names: list[str], beside: list[str]
) -> Iterator[Lines | Rows | TableFile | Damage]:
    """Read files in order; ``names`` gets the name of each source, whose position is its number.

    The text of small files gathers in ``folder``. A table file gets its number from whoever reads it, because it may
    hold several tables, each a source of its own. ``beside`` gets the names of what is passed over in a zip.
    """
    with contextlib.closing(_Spool(folder)) as spool:
        for name, path in files:
            with contextlib.ExitStack() as opened:
                try:
                    places = opened.enter_context(open_places(name, path, beside))
                except UNPACK_ERRORS as error:
                    yield from spool.flush()
                    yield _unreadable(error, _add(names, name))
                    continue
                if not places:
                    _add(names, name)
                for place_name, place in places:
                    yield from _read_file(place_name, place, folder, names, spool)
        yield from spool.flush()


def is_splittable(path: Path) -> bool:
    """Tell whether a file is large and plain lines, so that pieces of it can be read apart."""
    try:
        form, in_place = _look(path)
    except UNPACK_ERRORS:
        # Whoever reads the file tells why it cannot be read.
        return False
    return form == "lines" and in_place


def _unreadable(error: Exception, source: int) -> Damage:
    blame(error)
    return Damage(source, 1, f"record: the file cannot be read: {why(error)}", b"")


def _read_file(
    name: str, place: Place, folder: Path, names: list[str], spool: _Spool
) -> Iterator[Lines | Rows | TableFile | Damage]:
    source: int | None = None
    try:
        form, in_place = _look(place)
        # What is read now came after what was gathered before.
        if form not in ("lines", "documents", "empty") or in_place:
            yield from spool.flush()
        if form in ("parquet", "arrow", "duckdb"):
            yield TableFile(_unpacked(place, folder), name, form)
            return
        source = _add(names, name)
        if form == "csv":
            with open_plain(place) as packed:
                yield from read_rows(utf8(packed), source, name)
        elif form == "unknown":
            yield _unread(place, source)
        elif in_place and isinstance(place, Path):
            yield Lines(place, [Segment(source, 0, None)])
        else:
            yield from spool.add(place, source, documents=form == "documents")
    except UNPACK_ERRORS as error:
        yield from spool.flush()
        yield _unreadable(error, _add(names, name) if source is None else source)


def _add(names: list[str], name: str) -> int:
    names.append(name)
    return len(names) - 1


class _Spool:
    """The temporary file in which the text of files gathers, until there is enough of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.n_rows = 0
        self.lines: Lines | None = None
        self.out: IO[bytes] | None = None

    def add(self, place: Place, source: int, *, documents: bool) -> Iterator[Lines | Damage]:
        first_line = 0
        with open_plain(place) as packed:
            text = line_feeds(utf8(packed))
            for part in read_documents(text, source) if documents else read_lines(text, source):
                if isinstance(part, Damage):
                    yield part
                    continue
                if self.lines is None or self.out is None:
                    self.lines = Lines(self.folder / f"lines-{self.count}.jsonl")
                    with own_disk():
                        self.out = self.lines.path.open("wb")
                    self.count, self.n_rows = self.count + 1, 0
                n_lines, n_rows = count_lines(part)
                last = self.lines.segments[-1] if self.lines.segments else None
                if last is not None and last.source == source:
                    self.lines.segments[-1] = replace(last, n_rows=(last.n_rows or 0) + n_rows)
                else:
                    self.lines.segments.append(Segment(source, self.out.tell(), n_rows, self.n_rows, first_line))
                with own_disk():
                    self.out.write(part)
                self.n_rows += n_rows
                first_line += n_lines
                if self.out.tell() >= UNIT:
                    yield from self.flush()

    def flush(self) -> Iterator[Lines]:
        if self.lines is not None and self.out is not None:
            with own_disk():
                self.out.close()
            yield self.lines
            self.lines.path.unlink()
            self.lines = self.out = None

    def close(self) -> None:
        """Close the file, of which nothing more is wanted."""
        if self.out is not None:
            # What is buffered may find no place on a disk that is full.
            with contextlib.suppress(OSError):
                self.out.close()


def _look(place: Place) -> tuple[Form, bool]:
    """Tell what a file holds, and whether it can be read where it lies."""
    with open_plain(place) as packed:
        head = packed.peek(HEAD)[:HEAD]
        if head.startswith(b"PAR1"):
            return "parquet", False
        if head.startswith((ARROW_FILE, ARROW_STREAM)):
            return "arrow", False
        if head[8:12] == b"DUCK":
            return "duckdb", False
        if foreign_kind(head):
            return "unknown", False
        is_large = is_plain(place, packed) and _is_plain_name(place) and place.stat().st_size >= IN_PLACE
        is_marked = head.startswith(codecs.BOM_UTF8)
        text = utf8(packed)
        has_feeds = line_feeds(text) is text
        form = _text_form(text)
        can_stay = is_large and form == "lines" and text is packed and has_feeds and not is_marked
        return form, can_stay and _can_be_read_at_once(packed)


def _can_be_read_at_once(stream: io.BufferedReader) -> bool:
    """Tell whether a stream has no line that may be too long, and no place that cannot be read."""
    try:
        return not has_long_line(stream)
    except OSError:
        # Whoever reads it line by line keeps what stands before that place.
        return False


def _is_plain_name(path: Path) -> bool:
    """Tell whether DuckDB takes the name of a file as it is: as text, and not as a pattern."""
    return not set(str(path)) & set("*?[") and str(path).isprintable()


def utf8(stream: io.BufferedReader) -> io.BufferedReader:
    """Skip a byte-order mark; UTF-16 and UTF-32 come out as UTF-8."""
    head = stream.peek(WIDE_HEAD)[:WIDE_HEAD]
    coding = _wide_coding(head)
    if coding is not None:
        return io.BufferedReader(_Blocks(_from_wide(stream, coding)), BLOCK)
    if head.startswith(codecs.BOM_UTF8):
        stream.read(len(codecs.BOM_UTF8))
    return stream


def _wide_coding(head: bytes) -> str | None:
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) and _is_utf32(head):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # Without a mark: texts of ours begin with characters of ASCII.
    first = head[:4]
    if len(first) == len(b"{\0x\0") and first[1] == first[3] == 0 and first[0] and first[2]:
        return "utf-16-le"
    if len(first) == len(b"\0{\0x") and first[0] == first[2] == 0 and first[1] and first[3]:
        return "utf-16-be"
    return None


def _is_utf32(head: bytes) -> bool:
    """Tell UTF-32 from UTF-16 that begins with a zero, whose mark looks the same: few pairs of its are a character."""
    try:
        head[: len(head) // 4 * 4].decode("utf-32", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def line_feeds(stream: io.BufferedReader) -> io.BufferedReader:
    """Give line ends as line feeds where only carriage returns end lines."""
    return stream if b"\n" in stream.peek(4) else io.BufferedReader(_Blocks(_with_feeds(stream)), BLOCK)


def _with_feeds(stream: io.BufferedReader) -> Iterator[bytes]:
    """Put feeds in the place of returns; the first block that has an end of a line tells whether there are feeds."""
    held, has_feeds = b"", None
    for block in _blocks(stream):
        text, held = held + block, b""
        if has_feeds is None:
            # The feed behind a return at the end comes with the next block.
            held = text[-1:] if text.endswith(b"\r") else b""
            text = text.removesuffix(b"\r")
            if b"\r" in text or b"\n" in text:
                has_feeds = b"\n" in text
        # To be given nothing is the end of a stream.
        if text:
            yield text.replace(b"\r", b"\n") if has_feeds is False else text
    if held:
        yield b"\n"


def _blocks(stream: io.BufferedReader) -> Iterator[bytes]:
    while block := stream.read1(BLOCK):
        yield block


def _from_wide(stream: io.BufferedReader, coding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(coding)(_HALF_OR_NONE)
    for block in _blocks(stream):
        if text := decoder.decode(block):
            yield text.encode("utf-8", "surrogatepass")
    if decoder.getstate()[0]:
        # Half a character at the end: its line is no text.
        yield b"\xff"


def _half_or_none(error: UnicodeError) -> tuple[str | bytes, int]:
    """Let half a character pass, and put one in the place of what is no character: its line is no text."""
    try:
        return codecs.lookup_error("surrogatepass")(error)
    except UnicodeDecodeError as none:
        return "\udcff", none.end


_HALF_OR_NONE = "telemetry_kit_half_or_none"
codecs.register_error(_HALF_OR_NONE, _half_or_none)


class _Blocks(io.RawIOBase):
    """Blocks of bytes as a stream."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self.blocks = blocks
        self.rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        self.rest = self.rest or next(self.blocks, b"")
        n = min(len(buffer), len(self.rest))
        buffer[:n], self.rest = self.rest[:n], self.rest[n:]
        return n


def _text_form(stream: io.BufferedReader) -> Form:
    """Tell the form of a text from its beginning."""
    # What could be unpacked tells the form; damage is told where it lies.
    head, _ = read_some(stream, BLOCK)
    lines = first_lines(head.removeprefix(codecs.BOM_UTF8))
    if not lines:
        return "lines" if len(head) == BLOCK else "empty"
    if _holds_documents(head, lines):
        return "documents"
    # Junk may precede events; an example in a page of prose is no event.
    n_objects = sum(map(_is_object, lines))
    if n_objects * 2 >= len(lines):
        return "lines"
    if begins_table(lines) or json_dialect(head.removeprefix(codecs.BOM_UTF8)) is not None:
        return "csv"
    return "lines" if not n_objects and _has_object_line(stream, head[-_OBJECT_SPAN:]) else "unknown"


def _holds_documents(head: bytes, lines: list[bytes]) -> bool:
    """Tell by its first lines whether a text is JSON, but not one event or body a line."""
    first, second = lines[0].strip(), lines[1].strip() if len(lines) > 1 else b""
    try:
        whole = json.loads(first)
    except (ValueError, RecursionError):
        # The beginning of an array, or of an object that goes on in the next line.
        is_open = first == b"{" and not second.startswith(b"{")
        is_cut = len(lines) == 1 and len(head) == BLOCK and _is_object(first)
        goes_on = first[:1] == b"{" and first[-1:] in b"{[,:" and second[:1] == b'"'
        is_begun = bool(_ARRAY.match(first)) or is_open or goes_on
        return is_begun or is_cut or _begins_wrapper(head)
    if isinstance(whole, dict):
        return _begins_wrapper(first) or rows_of(whole) is not None
    if isinstance(whole, str):
        # Events that were written as JSON twice.
        return whole.startswith("{")
    return isinstance(whole, list) and not second.startswith(b"{")


def _begins_wrapper(head: bytes) -> bool:
    return begins_wrapper(head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace").lstrip())


def _is_object(line: bytes) -> bool:
    # A record of a sequence of JSON texts begins with a mark.
    return bool(_OBJECT.match(line.removeprefix(codecs.BOM_UTF8).lstrip().removeprefix(b"\x1e")))


def _has_object_line(stream: io.BufferedReader, before: bytes) -> bool:
    try:
        for block in _blocks(stream):
            text = before + block
            if b"{" in block and any(map(_is_object, text.split(b"\n"))):
                return True
            before = text[-_OBJECT_SPAN:]
    except UNPACK_ERRORS:
        pass
    return False


def _unread(place: Place, source: int) -> Damage:
    with open_plain(place) as stream:
        raw = stream.read(RAW_LIMIT)
    expected = "JSON lines, a JSON array, batch bodies, CSV with known columns, Parquet, Arrow or DuckDB"
    kind = foreign_kind(raw[:HEAD])
    return Damage(source, 1, f"record: {kind or f'the file holds no form of events, expected {expected}'}", raw)


def _unpacked(place: Place, folder: Path) -> Path:
    """Return a table file as one that can be read in place: itself, or unpacked in ``folder``."""
    with open_plain(place) as packed:
        if is_plain(place, packed) and _is_plain_name(place):
            return place
        copy(packed, folder / "table")
    log = folder / "table.wal"
    log.unlink(missing_ok=True)
    if not isinstance(place, Member) and (beside := Path(f"{place}.wal")).is_file():
        with open_regular(beside) as stream:
            copy(stream, log)
    return folder / "table"
