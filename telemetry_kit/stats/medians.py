"""Quantiles of values that may be collected counted, and the interval of a clustered median."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit.engine.grouping import Groups, number_codes, order_within, sort_within
from telemetry_kit.errors import ParameterError
from telemetry_kit.stats.influence import estimate_shares, one_group
from telemetry_kit.stats.limits import Limits, beta_limits, check_open_unit, effective_sizes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from telemetry_kit.stats.influence import Clusters, Estimates


ROUNDING = 1e-9
"""By how much a position among values may exceed a whole number and still be that number."""
_MANY_VALUES = 8
"""From how many values per cluster on clusters keep the numbers that they came with."""


class Samples(NamedTuple):
    """The values of many groups, group by group, in ascending order within each; counted ones only once.

    Attributes
    ----------
    values
        All values.
    cumulative
        For each value the number of values up to and including it, over all groups; none where each counts once.
    before, n
        For each group the number of values of the groups before it, and of its own.
    """

    values: NDArray[np.float64]
    cumulative: NDArray[np.int64] | None
    before: NDArray[np.int64]
    n: NDArray[np.int64]

    def at(self, positions: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the values at 1-based positions in each group, one row of them per group; NaN in one without any."""
        places = self.before[:, np.newaxis] + positions.astype(np.int64)
        found, is_there = np.full(places.shape, math.nan), self.n > 0
        places = places[is_there]
        places = places - 1 if self.cumulative is None else np.searchsorted(self.cumulative, places)
        found[is_there] = self.values[places]
        return found

    def order_statistics(self, shares: ArrayLike) -> NDArray[np.float64]:
        """Return for each group the smallest value at or below which a share of its values lies; NaN for NaN."""
        wanted = np.broadcast_to(np.asarray(shares, dtype=np.float64), self.n.shape)
        position = np.maximum(np.ceil(np.where(np.isnan(wanted), 0.0, wanted) * self.n - ROUNDING), 1)
        return np.where(np.isnan(wanted), math.nan, self.at(position[:, np.newaxis])[:, 0])


def quantiles(values: ArrayLike, probabilities: ArrayLike, *, counts: ArrayLike | None = None) -> NDArray[np.float64]:
    r"""Return sample quantiles of values that may come with counts, as ``pandas.Series.quantile`` does without.

    At :math:`(n - 1) p` among the ordered values, linear in between (type 7 of Hyndman and Fan 1996, The American
    Statistician 50:361-365).

    Parameters
    ----------
    values
        Values, none of them null.
    probabilities
        Probabilities in [0, 1].
    counts
        How many times each value was seen; once where not given.

    Returns
    -------
    numpy.ndarray
        One quantile per probability, in the unit of the values; NaN without values.

    Raises
    ------
    ParameterError
        Where a probability is not in [0, 1].

    Examples
    --------
    >>> quantiles([1, 2, 10], [0.25, 0.5], counts=[2, 1, 1])
    array([1. , 1.5])
    """
    wanted = np.asarray(probabilities, dtype=np.float64)
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise ParameterError("probabilities", probabilities, "numbers in [0, 1]")
    samples = sort_samples(values, one_group(np.size(values)), counts)
    return group_quantiles(samples, wanted.ravel()).reshape(wanted.shape)


def sort_samples(values: ArrayLike, groups: Groups, counts: ArrayLike | None = None) -> Samples:
    """Sort the values of many groups."""
    x = np.asarray(values, dtype=np.float64)
    if counts is None:
        in_group = np.bincount(groups.of, minlength=groups.n)
        return Samples(sort_within(groups, x), None, np.cumsum(in_group) - in_group, in_group)
    ordered, n_each = _sort_counted(x, groups, np.asarray(counts, dtype=np.int64))
    in_group = groups.add_up(counts).astype(np.int64)
    return Samples(ordered, np.cumsum(n_each), np.cumsum(in_group) - in_group, in_group)


def _sort_counted(
    x: NDArray[np.float64], groups: Groups, counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distinct values of each group, group by group, in ascending order within each, and their counts."""
    most = x.max(initial=0.0) + 1
    if groups.n * most <= 4 * x.size and ((x >= 0) & (x == np.rint(x))).all():
        # Whole numbers, of which many occur, are far faster marked in their place than sorted.
        n_values = int(most)
        totals = np.bincount(groups.of * n_values + x.astype(np.int64), counts, minlength=groups.n * n_values)
        places = np.flatnonzero(totals)
        return (places % n_values).astype(np.float64), totals[places].astype(np.int64)
    order = order_within(groups, x)
    x, of = x[order], groups.of[order]
    begins = np.flatnonzero(np.append(True, (x[1:] != x[:-1]) | (of[1:] != of[:-1]))[: x.size])
    return x[begins], np.add.reduceat(counts[order], begins) if x.size else counts


def moments(samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean of each of many groups, and the sum of the squares by which its values deviate from it."""
    cumulative = np.arange(1, samples.values.size + 1) if samples.cumulative is None else samples.cumulative
    counts = np.diff(cumulative, prepend=0)
    groups = Groups(np.searchsorted(samples.before, cumulative - counts, side="right") - 1, samples.n.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = groups.add_up(counts * samples.values) / samples.n
    return mean, groups.add_up(counts * (samples.values - mean[groups.of]) ** 2)


def group_quantiles(samples: Samples, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ``quantiles`` of each of many groups, one row of them per group."""
    place = (samples.n[:, np.newaxis] - 1) * probabilities
    below, above = samples.at(np.floor(place) + 1), samples.at(np.ceil(place) + 1)
    part = place - np.floor(place)
    # From the nearer end, as NumPy does it, so that the last bit is the same.
    is_nearer_above = part >= 0.5  # noqa: PLR2004 - half-way
    result: NDArray[np.float64] = np.where(
        is_nearer_above, above - (above - below) * (1 - part), below + (above - below) * part
    )
    return result


def number_clusters(clusters: ArrayLike, groups: Groups) -> tuple[NDArray[np.int64], Groups]:
    """Give the clusters of all groups numbers, and tell to which group each belongs; one in two groups has two.

    A number may be of no value: its cluster is of the group, but has none there.

    Parameters
    ----------
    clusters
        Integer code of the cluster of each value, from 0.
    groups
        The group of each value.
    """
    codes = np.asarray(clusters, dtype=np.int64)
    n_codes = int(codes.max(initial=0)) + 1
    numbers, n_numbers = groups.of * n_codes, groups.n * n_codes
    numbers += codes
    if n_numbers < codes.size / _MANY_VALUES:
        # Far fewer than the values: to find those that have none costs more than to carry them along.
        distinct = np.arange(n_numbers)
    else:
        distinct, numbers = number_codes(numbers, n_numbers)
    return numbers, Groups(distinct // n_codes, groups.n)


def quantile_shares(
    samples: Samples,
    values: ArrayLike,
    clusters: NDArray[np.int64],
    sizes: Clusters,
    probability: float,
    *,
    counts: ArrayLike | None = None,
) -> Estimates:
    """Return, for each of many groups, the share of values at or below a quantile, with its error between clusters.

    The quantile is an order statistic, the smallest value whose share reaches ``probability``.

    Parameters
    ----------
    samples
        The same values, as ``sort_samples`` returns them.
    values, counts
        Values, and how many times each was seen; once where not given.
    clusters, sizes
        The number of the cluster of each value, as ``number_clusters`` returns it, and ``count_clusters`` of these
        numbers.
    probability
        The probability of the quantile.
    """
    of_cluster = samples.order_statistics(probability)[sizes.groups.of]
    is_below = np.asarray(values, dtype=np.float64) <= of_cluster[clusters]
    n = None if counts is None else np.asarray(counts, dtype=np.float64)[is_below]
    return estimate_shares(np.bincount(clusters[is_below], n, minlength=sizes.n.size), sizes)


def quantile_limits(samples: Samples, shares: Estimates, probability: float, *, level: float) -> Limits:
    """Return the interval of a quantile of each of many groups: its order statistics at the ends of that of a share.

    The share is ``probability``, with the effective sample size that the share of values at or below the quantile has.
    Its ends are values that were seen; among many ties they may coincide, and a median half-way between two values may
    lie outside.

    Parameters
    ----------
    samples, shares, probability
        The values, and what ``quantile_shares`` returned for them and the same probability.
    level
        Confidence level.

    Returns
    -------
    Limits
        In the unit of the values; NaN with fewer than two clusters.

    Raises
    ------
    ParameterError
        Where ``level`` is not between 0 and 1.

    Notes
    -----
    Woodruff (1952), JASA 47:635-646, with the interval of Korn and Graubard (1998) in place of a symmetric one.

    Examples
    --------
    >>> from telemetry_kit.stats import count_clusters
    >>> values, servers = [1, 2, 3, 4, 2, 3, 5, 9, 4, 2, 3, 6], np.repeat(range(6), 2)
    >>> samples, sizes = sort_samples(values, one_group(12)), count_clusters([2] * 6, one_group(6))
    >>> shares = quantile_shares(samples, values, servers, sizes, 0.5)
    >>> quantile_limits(samples, shares, 0.5, level=0.95)
    Limits(lower=array([2.]), upper=array([6.]))
    """
    alpha = 1 - check_open_unit("level", level)
    ends = beta_limits(probability, effective_sizes(shares, probability, alpha), alpha)
    return Limits(*(samples.order_statistics(end) for end in ends))


def carries_extremes(shares: Estimates, level: float) -> NDArray[np.bool_]:
    r"""Tell for each of many groups whether its least and its greatest value can be limits of its median.

    All of :math:`n` values lie on one side of their median with the probability :math:`2^{-n}`: where that is more than
    half of what a level leaves, the limits are farther away than any value, and nothing tells where (David and Nagaraja
    2003, Order Statistics, section 7.1).

    Examples
    --------
    >>> from telemetry_kit.stats import count_clusters, estimate_shares, one_group
    >>> five, six = (count_clusters([1] * n, one_group(n)) for n in (5, 6))
    >>> [bool(carries_extremes(estimate_shares([1] * c.n.size, c), 0.95)[0]) for c in (five, six)]
    [False, True]
    """
    return 0.5**shares.clusters.n_units <= (1 - level) / 2
