"""Table files, read in a process of their own: what it gives, and what is left where a file makes it crash."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from telemetry_kit.errors import ResourceError
from telemetry_kit.ingest.opening import why

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

    from telemetry_kit.ingest.formats.tables import TableFile

TOLD_ROWS = 100_000
"""Up to how many rows that cannot be read are each a record; beyond, what a damaged file claims is not believed."""
JOINED_ROWS = 250_000
JOINED_BYTES = 64 * 1024 * 1024
"""From how many rows, or bytes, on pieces are given on."""
_CODE = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {0} import serve; serve()"
_MODULE = "telemetry_kit.ingest.formats.table_child"


class Begun(NamedTuple):
    """A table that begins: its source, and the names of its columns, without those that are computed."""

    name: str
    columns: list[str]
    generated: list[str]


class Piece(NamedTuple):
    """Rows of the table that began last: its cells in ``c0``, ``c1``, …, and the ``number`` of each row from 0."""

    rows: pa.Table


class Rejected(NamedTuple):
    """A record of the table that began last that cannot be read."""

    record: int
    reason: str
    raw: str = ""


Part = Begun | Piece | Rejected


class TableReader:
    """The process that reads table files; it begins with the first, and anew where one has made it crash."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _ask(self, file: TableFile) -> subprocess.Popen[bytes]:
        if file.form == "duckdb":
            # It needs the memory that others leave in pieces.
            self.close()
        if self._child is None:
            words = [sys.executable, "-c", _CODE.format(_MODULE), json.dumps(sys.path)]
            try:
                self._child = subprocess.Popen(  # noqa: S603 - our own module
                    words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
            except OSError as error:
                raise ResourceError(f"the reader of table files cannot be started: {why(error)}") from None
        child = self._child
        if child.stdin is not None:
            child.stdin.write(json.dumps({"path": str(file.path.absolute()), "form": file.form}).encode() + b"\n")
            child.stdin.flush()
        return child

    def _messages(self, file: TableFile) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Give what the process answers; the last message is how it died, where it did."""
        is_over = False
        try:
            with contextlib.suppress(BrokenPipeError):
                child = self._ask(file)
                stream: Any = child.stdout
                while line := stream.readline():
                    try:
                        message = json.loads(line)
                    except ValueError:
                        # Who answers in other words is at its end as well.
                        child.kill()
                        break
                    if "end" in message:
                        is_over = True
                        return
                    n_bytes = message.get("batch", 0)
                    payload = stream.read(n_bytes) if n_bytes else b""
                    if len(payload) < n_bytes:
                        break
                    yield message, payload
            status = None if self._child is None else self._child.wait()
            yield {"broken": f"it makes the reader stop ({_ended(status)})"}, b""
        finally:
            if not is_over or file.form == "duckdb":
                self.close()

    def read(self, file: TableFile) -> Iterator[Part]:
        """Give the tables of a file, the rows that can be read and the records that cannot."""
        yield from _joined(self._parts(file))

    def _parts(self, file: TableFile) -> Iterator[Part]:
        told = _Told(file)
        for message, payload in self._messages(file):
            yield from told.parts(message, payload)
        yield from told.rest()


def _joined(parts: Iterable[Part]) -> Iterator[Part]:
    """Give pieces that follow each other as one, up to some size: to judge a few rows costs as much as many."""
    import pyarrow as pa

    held: list[pa.Table] = []
    n_rows = n_bytes = 0
    for part in parts:
        rows = part.rows if isinstance(part, Piece) else None
        is_full = n_rows >= JOINED_ROWS or n_bytes >= JOINED_BYTES
        if held and (is_full or rows is None or rows.schema != held[0].schema):
            yield Piece(pa.concat_tables(held))
            held, n_rows, n_bytes = [], 0, 0
        if rows is None:
            yield part
        else:
            held.append(rows)
            n_rows, n_bytes = n_rows + rows.num_rows, n_bytes + rows.nbytes
    if held:
        yield Piece(pa.concat_tables(held))


def _ended(status: int | None) -> str:
    if status is None or status >= 0:
        return f"exit status {status}"
    return signal.Signals(-status).name


class _Told:
    """What was told of a file so far: whether a table began, and the rows of it of which nothing can be read."""

    def __init__(self, file: TableFile) -> None:
        self.file = file
        self.has_begun = False
        self.n_read = 0
        self.unread: list[tuple[int, int, str]] = []

    def parts(self, message: dict[str, Any], payload: bytes) -> Iterator[Part]:
        if "batch" in message:
            import pyarrow as pa

            with pa.ipc.open_stream(payload) as stream:
                rows = stream.read_all()
            self.n_read = int(rows["number"][-1].as_py()) + 1
            yield Piece(rows)
        elif "refused" in message:
            row, reason, raw = message["refused"]
            self.n_read = row + 1
            yield Rejected(row + 1, reason, raw)
        elif "unread" in message:
            self.unread.append(tuple(message["unread"]))
        elif "table" in message:
            yield from self.rest(is_last=False)
            name = self.file.name if message["table"] is None else f"{self.file.name}/{message['table']}"
            yield self._begin(name, message["columns"], message["generated"])
        elif "view" in message:
            yield from self.rest(is_last=False)
            yield self._begin(f"{self.file.name}/{message['view']}", [], [])
            yield Rejected(1, "record: a view, which is not read; give a file with its rows as a table")
        else:
            yield from self._broken(message["broken"])

    def _begin(self, name: str, columns: list[str], generated: list[str]) -> Begun:
        self.has_begun, self.n_read = True, 0
        return Begun(name, columns, generated)

    def _broken(self, reason: str) -> Iterator[Part]:
        reason = self._without_place(reason)
        if not self.has_begun:
            yield self._begin(self.file.name, [], [])
        yield from self.rest(is_last=False)
        where = f" from row {self.n_read + 1} on" if self.n_read else ""
        yield Rejected(self.n_read + 1, f"record: the {self.file.form} file cannot be read{where}: {reason}")

    def rest(self, *, is_last: bool = True) -> Iterator[Part]:
        """Tell the rows of which nothing can be read: each, or all at once where nothing else of the table was."""
        unread, self.unread = self.unread, []
        if unread and not self.n_read:
            n = sum(claimed for _, claimed, _ in unread)
            reason = f"record: the {self.file.form} file cannot be read: {unread[0][2]}; it claims {n} rows"
            yield Rejected(1, self._without_place(reason))
        else:
            for row, n, reason in unread:
                many = f"record: rows {row + 1} to {row + n} cannot be read: {reason}"
                for number in range(n if n <= TOLD_ROWS else 1):
                    yield Rejected(row + 1 + number, self._without_place(many))
        if is_last and not self.has_begun:
            yield self._begin(self.file.name, [], [])
            yield Rejected(1, f"record: the {self.file.form} file holds no tables")

    def _without_place(self, reason: str) -> str:
        """Leave out of the words of an error where the file lies on this machine."""
        return reason.replace(str(self.file.path.absolute()), self.file.name)
