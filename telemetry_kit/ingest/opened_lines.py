"""Lines that are bodies, or in envelopes as Elasticsearch, Kafka and collectors of logs write them: their events.

Where it is not plain which member holds the event, or whether there is one, the line is looked at by itself, as
``envelopes`` opens it. Both ways open the same: what this way has seen is told there.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from telemetry_kit.ingest.bodies import BATCH, events_of_body, members_once
from telemetry_kit.ingest.envelopes import holds_event, may_be_envelope, names_event
from telemetry_kit.ingest.splitting import is_object, plain_event
from telemetry_kit.schemas import spellings

if TYPE_CHECKING:
    from collections.abc import Iterable

    import msgspec

    from telemetry_kit.ingest.lines import Lines

FIRST_BYTES = 4 * 1024 * 1024
"""How much of a file shows in which envelopes events lie, before any line is judged by that."""
MOST_SHAPES = 4096
"""Of how many lists of keys it is remembered what they mean: the lines of a file have the same few."""


class LineOpener:
    """Opens the lines of a file, as ``split_lines`` takes them, and remembers in which envelopes events lay."""

    def __init__(self, lines: Lines) -> None:
        self.opened: dict[str, set[tuple[str, ...]]] = {}
        """For each member that held an event, the keys of the envelopes around it."""
        with lines.path.open("rb") as stream:
            for line in stream.readlines(FIRST_BYTES):
                if BATCH not in line:
                    self(line.strip())

    def __call__(self, line: bytes) -> Iterable[list[bytes]] | None:
        """Return the events that a line holds, or the line where it is none of both; null where that is not plain."""
        if BATCH in line:
            return events_of_body(line)
        return self._opened(line)

    def _opened(self, line: bytes) -> Iterable[list[bytes]] | None:
        members = _members(line) if is_object(line) else None
        if members is None:
            return None
        keys = tuple(members)
        names = _names_inside(keys)
        if names is None:
            return plain_event(line)
        held = {name: text for name in names if (text := _object(members[name])) is not None}
        events = [name for name, text in held.items() if _is_event(text)]
        if len(events) != 1:
            return None
        (name,) = events
        event = held.pop(name)
        # What stands around is text from here on: msgspec passes over what it does not read.
        around = members_once(line.replace(bytes(members[name]), b"0", 1))
        if around is None or b"\n" in event or b"\r" in event:
            return None
        if any(holds_event(text.decode()) for text in held.values()):
            return None
        self.opened.setdefault(name, set()).add(keys)
        return plain_event(event)


@functools.lru_cache(maxsize=MOST_SHAPES)
def _names_inside(keys: tuple[str, ...]) -> list[str] | None:
    """Return the keys of an envelope whose members may hold an event; null where no envelope has these keys."""
    return [key for key in keys if not spellings.is_known(key)] if may_be_envelope(keys) else None


@functools.lru_cache(maxsize=MOST_SHAPES)
def _are_of_event(keys: tuple[str, ...]) -> bool:
    """Tell whether what has these keys is an event, and neither a body nor an envelope in turn."""
    return names_event(keys) and not may_be_envelope(keys) and not {"batch", "after"} & set(keys)


def _is_event(text: bytes) -> bool:
    members = _members(text)
    return members is not None and _are_of_event(tuple(members))


def _object(value: msgspec.Raw) -> bytes | None:
    """Return the text of an object that a value is, or whose text it is."""
    import msgspec

    text = bytes(value)
    if text.startswith(b'"'):
        if b"{" not in text:
            return None
        try:
            text = msgspec.json.decode(text, type=str).strip().encode()
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
    return text if text.startswith(b"{") else None


def _members(text: bytes) -> dict[str, msgspec.Raw] | None:
    """Return the members of an object as they came; null where it is not strictly JSON."""
    import msgspec

    try:
        return _decoder().decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


@functools.cache
def _decoder() -> msgspec.json.Decoder[dict[str, msgspec.Raw]]:
    import msgspec

    return msgspec.json.Decoder(dict[str, msgspec.Raw])
