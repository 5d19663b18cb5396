"""Groups as whole numbers: what belongs to which, its sums, and its order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

FEW_GROUPS = 1 << 16
"""Up to how many groups 16 bits tell apart."""
MANY_IN_GROUP = 32
"""From how many rows per group on groups are sorted one by one."""
MANY_TO_SORT = 100_000
"""From how many rows on several groups are sorted at the same time."""


class Groups(NamedTuple):
    """To which group each row or cluster belongs: its number, from 0, and how many groups there are."""

    of: NDArray[np.intp]
    n: int

    def add_up(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return the sum of the values of each group."""
        sums = np.bincount(self.of, np.asarray(values, dtype=np.float64), minlength=self.n)
        return sums.astype(np.float64, copy=False)

    def add_up_in_any_order(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the same, of values that may be no whole numbers, to the same last digit in whatever order they come.

        Engines give rows in any order. The values of a group are cut to multiples of one power of two, which add up
        without rounding, and so is what was cut off (Demmel and Nguyen 2015, IEEE Transactions on Computers
        64:2060-2070). What is then left is as much smaller than the largest value as its last digit is, twice over.
        """
        if (values == np.rint(values)).all():
            return self.add_up(values)
        n_each = np.bincount(self.of, minlength=self.n)
        most = np.zeros(self.n)
        with np.errstate(invalid="ignore"):
            np.maximum.at(most, self.of, np.abs(values))
        sums, rest = np.zeros(self.n), values
        for _ in range(2):
            # A value loses in the sum with 1.5 times a power of two what is below the last digit of that power. With
            # one above all values of the group together, neither that sum nor theirs leaves its range.
            exponent = np.frexp(most * n_each)[1] + 1
            power = np.ldexp(1.5, exponent)[self.of]
            cut = (rest + power) - power
            sums += self.add_up(cut)
            rest = rest - cut
            most = np.ldexp(1.0, exponent - np.finfo(np.float64).nmant - 1)
        return sums


def sort_within(groups: Groups, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values group by group, in ascending order within each."""
    if groups.n > values.size / MANY_IN_GROUP:
        return values[order_within(groups, values)]
    # To sort many values is several times as fast as to find their order.
    ordered = values[order_by_group(groups)] if groups.n > 1 else values.copy()
    parts = np.split(ordered, np.cumsum(np.bincount(groups.of, minlength=groups.n))[:-1])
    if ordered.size < MANY_TO_SORT:
        for part in parts:
            part.sort()
    else:
        with ThreadPoolExecutor() as pool:
            list(pool.map(np.ndarray.sort, parts))
    return ordered


def order_within(groups: Groups, values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return an order of rows, group by group, with the values in ascending order within each."""
    order = np.argsort(values)
    return order[order_by_group(Groups(groups.of[order], groups.n))] if groups.n > 1 else order


def order_by_group(groups: Groups) -> NDArray[np.intp]:
    """Return an order of rows, group by group, in which those of a group stay as they are."""
    # A sort of small integers that keeps their order is far faster than one of large.
    return np.argsort(groups.of.astype(np.uint16) if groups.n <= FEW_GROUPS else groups.of, kind="stable")


def number_labels(labels: ArrayLike) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the distinct ones of labels, ascending, and for each label its place among them."""
    given = np.asarray(labels)
    if given.dtype.kind == "i" and given.min(initial=0) >= 0:
        return number_codes(given, int(given.max(initial=0)) + 1)
    return np.unique(given, return_inverse=True)


def number_codes(codes: NDArray[np.int64], n_codes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct ones of codes below ``n_codes``, ascending, and for each code its place among them."""
    if n_codes > 4 * codes.size:
        return np.unique(codes, return_inverse=True)
    # Many of them occur: to mark those that do is far faster than to sort. Memory that is touched first costs most.
    is_there = np.zeros(n_codes, dtype=np.bool_)
    is_there[codes] = True
    distinct = np.flatnonzero(is_there)
    places = np.empty(n_codes, dtype=np.int64)
    places[distinct] = np.arange(distinct.size)
    return distinct, places[codes]
