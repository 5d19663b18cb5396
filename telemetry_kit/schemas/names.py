"""Names as text: spellings of one field made alike, versions in natural order, and the quoting of SQL."""

from __future__ import annotations

import functools
import re

from telemetry_kit.quoting import quote_identifier, quote_literal

__all__ = ["fold", "natural_key", "quote_identifier", "quote_literal"]

_NUMBERS = re.compile(r"(\d+)")


@functools.lru_cache(maxsize=1024)
def natural_key(text: str) -> tuple[str | int, ...]:
    """Return a key that sorts versions as people read them: 1.10.0 after 1.9.0."""
    parts: list[str | int] = [*_NUMBERS.split(text)]
    # What is split at takes every second place, so that a number is only ever held against a number.
    parts[1::2] = map(int, parts[1::2])
    return tuple(parts)


def fold(name: str) -> str:
    """Return ``name`` without case and what stands between words, in which the spellings of one field differ."""
    return re.sub(r"[_\s.-]", "", name).lower()
