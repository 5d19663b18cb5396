"""Identifiers and times as text, for many rows at once: made of tables of characters, without a loop over rows."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from telemetry_kit.engine import DAY_US
from telemetry_kit.simulate.columns import SECOND_US

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from telemetry_kit.simulate.columns import Flags, Integers

ID_ALPHABET = b"ybndrfg8ejkmcpqxot1uwisza345h769"
"""The digits of the servers' identifiers: 128 bits in 26 of them."""
HEX = b"0123456789abcdef"
_HIGH_BITS = np.uint64(0xFFFFFFFFFFFFFFFF)


@cache
def _pairs(alphabet: bytes) -> NDArray[np.uint16]:
    """Return all pairs of characters, so that two of them are looked up at once."""
    letters = np.frombuffer(alphabet, dtype=np.uint8)
    first, second = np.meshgrid(letters, letters, indexing="ij")
    return np.ascontiguousarray(np.stack([first, second], axis=-1)).view(np.uint16).ravel()


def random_words(seed: int, kind: int, numbers: Integers) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return 128 bits for each number that look random and depend on nothing but the arguments (SplitMix64)."""
    root = _mixed(np.array([(seed * 64 + kind) & int(_HIGH_BITS)], dtype=np.uint64))
    first = _mixed(numbers.astype(np.uint64) + root)
    return first, _mixed(first ^ root)


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def ids(seed: int, kind: int, numbers: Integers, known: Flags | None = None) -> pa.Array:
    """Return an identifier of 26 characters for each number; null where not ``known``."""
    first, second = random_words(seed, kind, numbers)
    table = _pairs(ID_ALPHABET)
    out = np.empty((numbers.size, 13), dtype=np.uint16)
    ten = np.uint64(0x3FF)
    for column in range(6):
        shift = np.uint64(10 * column)
        out[:, column] = table[(first >> shift) & ten]
        out[:, 6 + column] = table[(second >> shift) & ten]
    # The last digit holds what is left of 128 bits, three, in its upper places.
    rest = (first >> np.uint64(60)) << np.uint64(6) | (second >> np.uint64(60)) << np.uint64(2) & np.uint64(0x1C)
    out[:, 12] = table[rest]
    return fixed_text(out.view(np.uint8), known)


def uuids(seed: int, kind: int, numbers: Integers) -> pa.Array:
    """Return a random-looking UUID (version 4) for each number."""
    first, second = random_words(seed, kind, numbers)
    first = first & ~np.uint64(0x00F0000000000000) | np.uint64(0x0040000000000000)
    second = second & ~np.uint64(0xC0) | np.uint64(0x80)
    table = _pairs(HEX)
    digits = np.empty((numbers.size, 16), dtype=np.uint16)
    for byte in range(8):
        shift = np.uint64(8 * byte)
        digits[:, byte] = table[(first >> shift) & np.uint64(0xFF)]
        digits[:, 8 + byte] = table[(second >> shift) & np.uint64(0xFF)]
    letters = digits.view(np.uint8)
    out = np.full((numbers.size, 36), ord("-"), dtype=np.uint8)
    for begin, end, dashes in ((0, 8, 0), (8, 12, 1), (12, 16, 2), (16, 20, 3), (20, 32, 4)):
        out[:, begin + dashes : end + dashes] = letters[:, begin:end]
    return fixed_text(out)


def fixed_text(letters: NDArray[np.uint8], known: Flags | None = None) -> pa.Array:
    """Return the rows of a matrix of characters as an Arrow array of text; null where not ``known``."""
    count, width = letters.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    valid = None if known is None else pa.py_buffer(np.packbits(known, bitorder="little"))
    data = pa.py_buffer(np.ascontiguousarray(letters))
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), data, valid)


def clock_text(local_us: Integers, *, digits: int, nanoseconds: Integers | None = None) -> pa.Array:
    """Write times as ``2020-11-02T00:35:08.199``, with so many digits after the point."""
    day, in_day = np.divmod(local_us, DAY_US)
    days, which = np.unique(day, return_inverse=True)
    second, micros = np.divmod(in_day, SECOND_US)
    out = np.empty((local_us.size, 20 + digits), dtype=np.uint8)
    out[:, :10] = _letters(np.datetime_as_string(days.view("datetime64[D]")).astype("S10"))[which]
    out[:, 10:19] = _seconds_of_day()[second]
    out[:, 19] = ord(".")
    fraction = micros * 1000 + (0 if nanoseconds is None else nanoseconds)
    thousands = _thousands()
    for group in range(digits // 3):
        out[:, 20 + 3 * group : 23 + 3 * group] = thousands[fraction // 10 ** (6 - 3 * group) % 1000]
    return fixed_text(out)


def offset_text(offset_us: Integers) -> pa.Array:
    """Write offsets from UTC as ``Z`` or ``+05:30``."""
    offsets, which = np.unique(offset_us, return_inverse=True)
    names = []
    for minutes in (offsets // (60 * SECOND_US)).tolist():
        hours, rest = divmod(abs(minutes), 60)
        names.append(f"{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}" if minutes else "Z")
    return choose(names, which)


def choose(names: list[str], which: NDArray[Any], known: Flags | None = None) -> pa.Array:
    """Return ``names[which]`` as an Arrow dictionary; null where not ``known``."""
    index = pa.array(which.astype(np.int32), mask=None if known is None else ~known)
    return pa.DictionaryArray.from_arrays(index, pa.array(names, pa.string()))


def _letters(texts: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    return texts.view(np.uint8).reshape(texts.size, texts.dtype.itemsize)


@cache
def _thousands() -> NDArray[np.uint8]:
    return _letters(np.char.zfill(np.arange(1000).astype("S3"), 3))


@cache
def _seconds_of_day() -> NDArray[np.uint8]:
    texts = [f"T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}" for s in range(86_400)]
    return _letters(np.array(texts, dtype="S9"))
