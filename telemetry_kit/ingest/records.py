"""Single JSON texts: what is wrong with one, where in a body an event stands, and what is kept of it."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, NamedTuple

from telemetry_kit.ingest.lines import RAW_LIMIT, as_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

NAME_LIMIT = 64
NAMES_SHOWN = 10
"""How much of a name, and how many names, are shown: they could hold content."""
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},:]|[^\s"\[\]{},:]+|"', re.DOTALL)


class Text(NamedTuple):
    """One line or document as it came: where, and in whose place in the order of arrival.

    ``is_noted`` tells that it was read with others before, and that what nobody knows of its keys was noted then.
    """

    source: int
    record: int
    place: int | None
    raw: bytes
    is_noted: bool = False


def text_table(texts: list[Text]) -> pa.Table:
    """Return texts as an Arrow table with their ``number``; one that is not UTF-8 is empty, which is no JSON either."""
    import pyarrow as pa

    return pa.table(
        {
            "number": pa.array(range(len(texts)), pa.int64()),
            "source": pa.array([text.source for text in texts], pa.int32()),
            "record": pa.array([text.record for text in texts], pa.int64()),
            "place": pa.array([text.place for text in texts], pa.int64()),
            "is_noted": pa.array([text.is_noted for text in texts], pa.bool_()),
            "json": pa.array([_decoded(text.raw) for text in texts], pa.large_string()),
        }
    )


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return ""


def is_broken(raw: bytes) -> bool:
    """Tell that a line is no JSON at all."""
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return True
    return False


def json_fault(raw: bytes) -> str:
    """Tell why a text is not JSON."""
    try:
        json.loads(raw.decode().strip())
    except UnicodeDecodeError as error:
        return f"record: not UTF-8 at byte {error.start + 1}"
    except RecursionError:
        return "record: not JSON: nested too deeply"
    except ValueError as error:
        return f"record: not JSON: {error}"
    return "record: not JSON: half a character (a lone surrogate)"


def kept(raw: bytes) -> tuple[str, str]:
    """Return what is kept of a rejected record, and the words that tell its length where that is not all."""
    if len(raw) <= RAW_LIMIT:
        return as_text(raw), ""
    # An incremental decoder leaves out the character that the cut has split.
    head = codecs.getincrementaldecoder("utf-8")("backslashreplace").decode(raw[:RAW_LIMIT])
    return head, f"; the record has {len(raw)} bytes, of which the first {RAW_LIMIT} are kept"


def elements(body: bytes) -> list[bytes]:
    """Return the elements of a body's ``batch`` as they came; none where its key is written with escapes."""
    found: list[bytes] = []
    depth, key, start = 0, b"", -1
    inside = 2
    for match in _TOKEN.finditer(body):
        token = match.group()
        depth -= token in (b"]", b"}")
        if start >= 0 and (depth < inside or (depth == inside and token == b",")):
            found.append(body[start : match.start()].strip())
            start = match.end()
            if depth < inside:
                break
        if token in (b"[", b"{"):
            depth += 1
            if depth == inside and token == b"[" and key == b'"batch"':
                start = match.end()
        elif depth == 1 and token.startswith(b'"'):
            key = token
    return [part for part in found if part]


def with_names(reason: str, names: Sequence[str]) -> str:
    """Return a reason and, where it is that something is missing, the names that were not understood."""
    if not names or ": missing" not in reason:
        return reason
    shown = ", ".join(f'"{name[:NAME_LIMIT]}"' for name in names[:NAMES_SHOWN])
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{reason}; not understood: {shown}{more}"


def twice(keys: str) -> str:
    """Return SQL for the first of an object's keys that it has twice."""
    # To find which it is takes much longer than to see that there is one.
    found = f"list_filter({keys}, lambda key: list_count(list_filter({keys}, lambda other: other = key)) > 1)[1]"
    return f"CASE WHEN list_unique({keys}) < len({keys}) THEN {found} END"


def has_value(json: str, key: str, *, within: str = "''") -> str:
    """Return SQL that tells whether an object's key has a value other than null; ``within`` points to the object."""
    # Few records have a null at all, and text is searched faster than parsed.
    at = f"{within} || '/' || replace(replace({key}, '~', '~0'), '/', '~1')"
    return f"(NOT contains(CAST({json} AS VARCHAR), 'null') OR json_type({json}, {at}) <> 'NULL')"
