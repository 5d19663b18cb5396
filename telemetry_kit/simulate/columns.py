"""Equally long arrays by name, and looking something up as of a time: what the model is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from telemetry_kit.engine import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

Columns: TypeAlias = "dict[str, NDArray[Any]]"
Integers: TypeAlias = "NDArray[np.int64]"
Flags: TypeAlias = "NDArray[np.bool_]"

SECOND_US = MICROSECONDS
SPAN_US = 1 << 44
"""More microseconds (203 days) than an incident lasts; a group and a time within it make one sortable integer."""


def take(columns: Columns, index: NDArray[Any]) -> Columns:
    """Return the rows of ``index``: positions, or a flag for each row."""
    return {name: values[index] for name, values in columns.items()}


def concatenate(parts: Iterable[Columns]) -> Columns:
    """Put the rows of ``parts``, which have the same columns, below one another."""
    listed = list(parts)
    return {name: np.concatenate([part[name] for part in listed]) for name in listed[0]}


def n_rows(columns: Columns) -> int:
    """Return how many rows there are."""
    return int(next(iter(columns.values())).size)


def first_of_group(group: Integers) -> Integers:
    """Return, for each row of sorted ``group``, the position of the first row with the same value."""
    starts = np.flatnonzero(np.diff(group, prepend=group[:1] - 1))
    return np.repeat(starts, np.diff(starts, append=group.size))


def number_in_group(group: Integers) -> Integers:
    """Return numbers of the rows, 0, 1, … within each value of sorted ``group``."""
    return np.arange(group.size) - first_of_group(group)


def sum_in_group(values: Integers, group: Integers) -> Integers:
    """Add up ``values`` from the first row of each value of sorted ``group`` to the row itself."""
    total = np.cumsum(values)
    first = first_of_group(group)
    return total - total[first] + values[first]


def sort_key(group: Integers, since_us: Integers) -> Integers:
    """Make one integer of a group and a time since its beginning; times from ``SPAN_US`` on count as ``SPAN_US``."""
    return group * SPAN_US + np.clip(since_us, 0, SPAN_US - 1)
