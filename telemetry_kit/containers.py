"""What each file holds, told by its content: JSON lines, JSON documents, CSV, or a table of another kind."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import shutil
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any, Literal

from telemetry_kit import schemas
from telemetry_kit.sources import (
    BLOCK,
    IN_PLACE,
    LINE_LIMIT,
    RAW_LIMIT,
    UNPACK_ERRORS,
    Damage,
    Lines,
    Segment,
    as_text,
    copy_lines,
    is_clean,
    open_plain,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

Form = Literal["lines", "documents", "csv", "parquet", "arrow", "duckdb", "empty", "unknown"]
UNIT = 256 * 1024 * 1024
"""How much text is gathered before it is read: what is read at a time stays bounded."""
CSV_ROWS = 100_000
_OPEN_QUOTE_LINES = 100
_DELIMITERS = ",\t;|"
_KNOWN_NAMES = frozenset(name for known in schemas.FIELDS for name in known.spellings())
_NEXT_OBJECT = re.compile(r"\}[\s,]*(?=\{)")


@dataclass(frozen=True)
class TableFile:
    """A file that holds one or more tables: Parquet, Arrow or a DuckDB database."""

    path: Path
    name: str
    form: Form


@dataclass
class Rows:
    """Rows of a delimited file as text: the record number of each, how it came, and its cells by column."""

    source: int
    name: str
    records: list[int] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    cells: dict[str, list[str | None]] = field(default_factory=dict)


def read_files(
    files: Sequence[tuple[str, Path]], folder: Path, names: list[str]
) -> Iterator[Lines | Rows | TableFile | Damage]:
    """Read files in order; ``names`` gets the name of each source, whose position is its number.

    The text of small files gathers in ``folder``. A table file gets its number from whoever reads it, because it may
    hold several tables, each a source of its own.
    """
    spool = _Spool(folder)
    for name, path in files:
        try:
            form, large = _look(path)
        except UNPACK_ERRORS as error:
            yield from spool.flush()
            yield Damage(_add(names, name), 1, f"record: the file cannot be read: {_why(error)}", "")
            continue
        if form in ("parquet", "arrow", "duckdb"):
            yield from spool.flush()
            yield TableFile(_unpacked(path, folder), name, form)
        elif form == "csv":
            yield from spool.flush()
            yield from _read_csv(path, _add(names, name), name)
        elif form == "unknown":
            yield from spool.flush()
            yield _unknown(path, _add(names, name))
        elif form == "lines" and large:
            yield from spool.flush()
            yield Lines(path, [Segment(_add(names, name), 0, None)])
        else:
            yield from spool.add(path, _add(names, name), documents=form == "documents")
    yield from spool.flush()


def _add(names: list[str], name: str) -> int:
    names.append(name)
    return len(names) - 1


def _why(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


class _Spool:
    """The temporary file in which the text of small files gathers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        self.lines: Lines | None = None
        self.out: IO[bytes] | None = None

    def add(self, path: Path, source: int, *, documents: bool) -> Iterator[Lines | Damage]:
        if self.lines is None or self.out is None:
            self.lines = Lines(self.folder / f"lines-{self.count}.jsonl")
            self.out = self.lines.path.open("wb")
            self.count += 1
        first_row = sum(segment.n_rows or 0 for segment in self.lines.segments[-1:])
        first_row += self.lines.segments[-1].first_row if self.lines.segments else 0
        try:
            with open_plain(path) as packed:
                text = _utf8(packed)
                if documents:
                    segment, damages = _copy_documents(text, self.out, source, self.lines)
                else:
                    segment, damages = copy_lines(text, self.out, source)
        except UNPACK_ERRORS as error:
            segment = Segment(source, self.out.tell(), 0)
            damages = [Damage(source, 1, f"record: the file cannot be read: {_why(error)}", "")]
        self.lines.segments.append(Segment(source, segment.offset, segment.n_rows, first_row))
        yield from damages
        if self.out.tell() >= UNIT:
            yield from self.flush()

    def flush(self) -> Iterator[Lines]:
        if self.lines is not None and self.out is not None:
            self.out.close()
            yield self.lines
            self.lines.path.unlink()
            self.lines = self.out = None


def _look(path: Path) -> tuple[Form, bool]:
    """Tell what a file holds, and whether it is a large plain file of lines that can be read in place."""
    if not path.is_file():
        raise OSError(0, "it is not a regular file")
    with open_plain(path) as packed:
        head = packed.peek(16)[:16]
        if head.startswith(b"PAR1"):
            return "parquet", False
        if head.startswith(b"ARROW1"):
            return "arrow", False
        if head[8:12] == b"DUCK":
            return "duckdb", False
        is_plain = isinstance(getattr(packed, "raw", None), io.FileIO)
        try:
            form = _text_form(_utf8(packed))
        except UNPACK_ERRORS:
            # What can be unpacked is read as lines; the damage is told where it lies.
            return "lines", False
    large = form == "lines" and is_plain and path.stat().st_size >= IN_PLACE and is_clean(path)
    return form, large


def _utf8(stream: io.BufferedReader) -> io.BufferedReader:
    """Skip a byte-order mark; text in UTF-16 comes out as UTF-8."""
    head = stream.peek(4)[:4]
    if head.startswith(codecs.BOM_UTF8):
        stream.read(3)
    elif head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return io.BufferedReader(_Transcoded(stream), BLOCK)
    return stream


class _Transcoded(io.RawIOBase):
    """A stream of UTF-16 read as UTF-8."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.reader = codecs.getreader("utf-16")(stream, "replace")
        self.rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        if not self.rest:
            self.rest = self.reader.read(len(buffer) // 4 or 1).encode()
        n = min(len(buffer), len(self.rest))
        buffer[:n], self.rest = self.rest[:n], self.rest[n:]
        return n


def _text_form(stream: IO[bytes]) -> Form:
    """Tell the form of a text from its beginning."""
    head = _read_head(stream)
    lines = [line for line in head.split(b"\n") if line.strip()]
    if not lines:
        return "lines" if stream.read(1) else "empty"
    first = lines[0].strip()
    if first[:1] in (b"{", b"["):
        return _json_form(first, lines)
    if _csv_dialect(as_text(lines[0])) is not None:
        return "csv"
    if any(line.lstrip().startswith(b"{") for line in lines):
        return "lines"
    while block := stream.read(BLOCK):
        if b"\n{" in block:
            return "lines"
    return "unknown"


def _read_head(stream: IO[bytes]) -> bytes:
    head = b""
    while len(head) < BLOCK:
        block = stream.read1(BLOCK - len(head))  # type: ignore[attr-defined]
        if not block:
            break
        head += block
    return head


def _json_form(first: bytes, lines: list[bytes]) -> Form:
    second = lines[1].strip() if len(lines) > 1 else b""
    try:
        whole = json.loads(first)
    except (ValueError, RecursionError):
        whole = None
    if whole is not None:
        is_array_of_events = isinstance(whole, list) and not second
        return "documents" if is_array_of_events else "lines"
    if first.startswith(b"["):
        return "documents"
    is_pretty = first == b"{" or (second[:1] == b'"' and not first.endswith(b"}"))
    return "documents" if is_pretty else "lines"


def _unknown(path: Path, source: int) -> Damage:
    with open_plain(path) as stream:
        raw = stream.read(RAW_LIMIT)
    expected = "JSON lines, a JSON array, batch bodies, CSV with known columns, Parquet, Arrow or DuckDB"
    return Damage(source, 1, f"record: the file holds no form of events, expected {expected}", as_text(raw))


def _unpacked(path: Path, folder: Path) -> Path:
    """Return a table file as one that can be read in place: itself, or unpacked in ``folder``."""
    with open_plain(path) as packed:
        if isinstance(getattr(packed, "raw", None), io.FileIO):
            return path
        target = folder / f"table-{path.stem}"
        with target.open("wb") as out:
            shutil.copyfileobj(packed, out, BLOCK)
    return target


def _copy_documents(stream: IO[bytes], out: IO[bytes], source: int, lines: Lines) -> tuple[Segment, list[Damage]]:
    """Append the elements of a JSON array, or JSON documents one behind the other, to ``out``, one a line.

    A damaged element ends where the next object that can be read begins. Records are numbered as elements.
    """
    offset, number = out.tell(), 0
    damages: list[Damage] = []
    places: list[int] = []
    for document in _documents(stream):
        number += 1
        if isinstance(document, Damage):
            damages.append(Damage(source, number, document.reason, document.raw))
            continue
        out.write(document.replace("\n", " ").replace("\r", " ").encode("utf-8", "surrogateescape") + b"\n")
        places.append(number)
    lines.places[source] = places
    return Segment(source, offset, len(places)), damages


def _documents(stream: IO[bytes]) -> Iterator[str | Damage]:
    decoder = json.JSONDecoder()
    decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
    text, at, ended, depth_of_array = "", 0, False, 0
    while True:
        while at < len(text) and (text[at].isspace() or text[at] in ",[]"):
            depth_of_array += text[at] == "["
            at += 1
        if at < len(text):
            try:
                _, end = decoder.raw_decode(text, at)
            except (ValueError, RecursionError) as error:
                if ended or len(text) - at > LINE_LIMIT:
                    following = _NEXT_OBJECT.search(text, at)
                    end = following.end() if following else len(text)
                    raw = text[at:end].rstrip(" \t\r\n,")
                    yield Damage(0, 0, f"record: not JSON: {error}", _printable(raw[:RAW_LIMIT]))
                    at = end
                    continue
            else:
                # A number or word at the very end of the text may go on in the next block.
                if ended or end < len(text):
                    yield text[at:end]
                    at = end
                    continue
        if ended:
            return
        block = stream.read(max(BLOCK, len(text) - at))
        ended = not block
        text, at = text[at:] + decode(block, ended), 0


def _printable(text: str) -> str:
    return as_text(text.encode("utf-8", "surrogateescape"))


def _csv_dialect(header: str) -> str | None:
    """Return the delimiter of a header that names known columns; null where it does not."""
    header = header.lstrip("\ufeff").strip("\r\n")
    counts = {d: sum(schemas.fold(c.strip('"')) in _KNOWN_NAMES for c in header.split(d)) for d in _DELIMITERS}
    best = max(counts, key=lambda d: counts[d])
    return best if counts[best] > 1 else None


def _read_csv(path: Path, source: int, name: str) -> Iterator[Rows | Damage]:
    """Read a delimited file row by row; a damaged row is one rejected record, and the next line begins anew."""
    with open_plain(path) as packed:
        reader = io.TextIOWrapper(_utf8(packed), "utf-8", "surrogateescape", newline="\n")
        header: list[str] = []
        delimiter = ","
        rows = Rows(source, name)
        for number, text in _csv_records(reader):
            if isinstance(text, OSError | EOFError):
                yield Damage(source, number, f"record: the archive is damaged: {_why(text)}", "")
                break
            if not header:
                delimiter = _csv_dialect(text) or ","
                header = [cell.strip() for cell in next(csv.reader([text.lstrip("\ufeff")], delimiter=delimiter))]
                rows.cells = {column: [] for column in header}
                continue
            fault = _add_row(rows, header, number, text, delimiter)
            if fault:
                yield Damage(source, number, fault, _printable(text[:RAW_LIMIT]).rstrip("\r\n"))
            if len(rows.records) >= CSV_ROWS:
                yield rows
                rows = Rows(source, name, cells={column: [] for column in header})
        yield rows


def _add_row(rows: Rows, header: list[str], number: int, text: str, delimiter: str) -> str | None:
    if len(text) > LINE_LIMIT:
        return f"record: a line of {len(text)} characters, expected at most {LINE_LIMIT}"
    try:
        text.encode()
        cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except UnicodeEncodeError:
        return "record: not UTF-8"
    except (csv.Error, StopIteration) as error:
        return f"record: not CSV: {error}"
    if len(cells) != len(header):
        return f"record: {len(cells)} cells, expected {len(header)} as in the header"
    rows.records.append(number)
    rows.raw.append(text.rstrip("\r\n")[:RAW_LIMIT])
    for column, cell in zip(header, cells, strict=True):
        rows.cells[column].append(cell or None)
    return None


def _csv_records(reader: io.TextIOWrapper) -> Iterator[tuple[int, Any]]:
    """Yield each record with the number of its first line; a quoted cell may hold line ends, within bounds."""
    pending: list[str] = []
    start = number = 0
    while True:
        try:
            line = reader.readline()
        except UNPACK_ERRORS as error:
            yield number + 1, error if isinstance(error, OSError | EOFError) else OSError(0, str(error))
            return
        if not line:
            break
        number += 1
        if not pending and not line.strip():
            continue
        if not pending:
            start = number
        pending.append(line)
        is_whole = sum(part.count('"') for part in pending) % 2 == 0
        if is_whole:
            yield start, "".join(pending)
            pending = []
        elif len(pending) > _OPEN_QUOTE_LINES or sum(map(len, pending)) > RAW_LIMIT:
            # An open quote that never closes must not swallow the rows behind it: its line alone is damaged.
            yield from ((start + k, part) for k, part in enumerate(pending))
            pending = []
    yield from ((start + k, part) for k, part in enumerate(pending))
