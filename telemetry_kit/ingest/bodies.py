"""Bodies as the client library sends them: where the events stand in one, without making objects of them."""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

from telemetry_kit.ingest.compression import BLOCK
from telemetry_kit.ingest.splitting import SENT, is_object

if TYPE_CHECKING:
    from collections.abc import Iterable

    import msgspec

    from telemetry_kit.ingest.lines import Lines

BATCH = b'"batch"'
"""What stands in every body, and in few other lines."""
_SENT = f',"{SENT}":'.encode()
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def may_hold_bodies(lines: Lines) -> bool:
    """Tell by the beginning of a file of lines whether bodies can be among them."""
    with lines.path.open("rb") as stream:
        return BATCH in stream.read(BLOCK)


def events_of_body(line: bytes) -> Iterable[list[bytes]] | None:
    """Return the events of a body, as ``split_lines`` takes them; null where it is no plain body."""
    events = _elements(line)
    around = _around(line, events) if events and all(map(is_object, events)) else None
    if around is None:
        return None
    sent = b"," if around["sentAt"] is None else _SENT + json.dumps(around["sentAt"]).encode() + b","
    return ([b"%d" % position, sent, event[1:]] for position, event in enumerate(events))


def _elements(body: bytes) -> list[bytes]:
    """Return the elements of a body as they came; none where it is not strictly JSON."""
    import msgspec

    try:
        return [bytes(element) for element in _decoder().decode(body).batch]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []


@functools.cache
def _decoder() -> msgspec.json.Decoder[Any]:
    """Return what finds the elements of a body without making objects of them."""
    import msgspec

    body = msgspec.defstruct("Body", [("batch", list[msgspec.Raw], ())])
    return msgspec.json.Decoder(body)


def _around(text: bytes, events: list[bytes]) -> dict[str, Any] | None:
    """Return what stands in a body around its events, with a ``sentAt``; null where that could be read otherwise.

    What stands there has to be JSON for everybody, with each key once. The events are judged where they are read.
    """
    joined = b",".join(events)
    before, found, behind = text.partition(BATCH)
    begin, _, end = behind.partition(joined if joined in behind else b", ".join(events))
    members = members_once(before + found + begin + end)
    if members is None:
        return None
    around = {"sentAt": None} | members
    return around if around.get("batch") == [] and isinstance(around["sentAt"], str | None) else None


def members_once(text: bytes) -> dict[str, Any] | None:
    """Return the members of an object; null where it is not JSON for everybody, or a key stands there twice."""
    if _SURROGATE.search(text):
        # Half a character is none for DuckDB.
        return None
    try:
        pairs = _pairs().decode(text.decode())
    except (ValueError, RecursionError):
        return None
    members = dict(pairs)
    return members if len(members) == len(pairs) else None


@functools.cache
def _pairs() -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=list, parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    """Refuse what Python takes for a number, and JSON does not have."""
    raise ValueError(name)
