"""Quantiles of values that may come home counted, and the limits of a clustered median."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit.errors import ParameterError
from telemetry_kit.uncertainty.clusters import Interval, check_open_unit, ratio_mean, t_quantile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from telemetry_kit.uncertainty.clusters import RatioMean


class _Sorted(NamedTuple):
    """Values in ascending order, each with the number of values up to and including it."""

    values: NDArray[np.float64]
    cumulative: NDArray[np.int64]

    @property
    def n(self) -> int:
        """How many values there are."""
        return int(self.cumulative[-1]) if self.cumulative.size else 0

    def at(self, position: int) -> float:
        """Return the value at a 1-based position among all values."""
        return float(self.values[np.searchsorted(self.cumulative, position)])


class MedianSample(NamedTuple):
    """The share of values at or below the sample median, with its error between clusters.

    Attributes
    ----------
    share
        That share; its ``influence`` has one entry per label in ``clusters``.
    clusters
        The cluster labels, ascending.
    """

    share: RatioMean
    clusters: NDArray[np.int64]


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
    ordered = _sort(values, counts)
    if ordered.n == 0:
        return np.full(wanted.shape, math.nan)
    place = (ordered.n - 1) * wanted
    below = ordered.values[np.searchsorted(ordered.cumulative, np.floor(place) + 1)]
    above = ordered.values[np.searchsorted(ordered.cumulative, np.ceil(place) + 1)]
    part = place - np.floor(place)
    # From the nearer end, as NumPy does it, so that the last bit is the same.
    is_nearer_above = part >= 0.5  # noqa: PLR2004 - half-way
    result: NDArray[np.float64] = np.where(
        is_nearer_above, above - (above - below) * (1 - part), below + (above - below) * part
    )
    return result


def _sort(values: ArrayLike, counts: ArrayLike | None) -> _Sorted:
    x = np.asarray(values, dtype=np.float64)
    n = np.ones(x.shape, dtype=np.int64) if counts is None else np.asarray(counts, dtype=np.int64)
    order = np.argsort(x, kind="stable")
    return _Sorted(x[order], np.cumsum(n[order]))


def _math_quantile(ordered: _Sorted, probability: float) -> float:
    """Return the smallest value with at least this share at or below it, as R's survey package computes it.

    R compares in this order and this arithmetic: the last value whose share does not exceed the probability, and
    the next one unless that share equals it. Below 1 / n R has no such value and goes on from the first, which
    makes the second smallest the answer; the limits are to equal R's, so it is followed.
    """
    position = max(math.floor(probability * ordered.n), 1)
    return ordered.at(position if probability == position / ordered.n else min(position + 1, ordered.n))


def median_sample(values: ArrayLike, clusters: ArrayLike, counts: ArrayLike | None = None) -> MedianSample:
    """Return the clustered share of values at or below the sample median (the lower one of two)."""
    x = np.asarray(values, dtype=np.float64)
    n = np.ones(x.shape) if counts is None else np.asarray(counts, dtype=np.float64)
    labels, codes = np.unique(np.asarray(clusters), return_inverse=True)
    middle = _math_quantile(_sort(x, counts), 0.5) if n.any() else math.nan
    share = ratio_mean(
        np.bincount(codes, n * (x <= middle), minlength=labels.size), np.bincount(codes, n, minlength=labels.size)
    )
    return MedianSample(share, labels)


def woodruff_median(
    values: ArrayLike, clusters: ArrayLike, counts: ArrayLike | None = None, *, level: float = 0.95
) -> Interval:
    r"""Estimate a median with Woodruff's limits for clustered values.

    Clustered t limits :math:`p \pm t_{1-\alpha/2,\,k-1} \sqrt{v}` are put round the share :math:`p` of values at or
    below the sample median, and the quantiles at these two limits are the limits of the median. They are values that
    were seen; among many ties they may coincide, and the estimate, half-way between two values, may lie outside.

    Parameters
    ----------
    values
        Values, none of them null.
    clusters
        Integer code of the cluster of each value.
    counts
        How many times a cluster has that value; once where not given. A value may be repeated in a cluster.
    level
        Confidence level.

    Returns
    -------
    Interval
        ``estimate`` (the median as ``pandas.Series.median``), ``lower``, ``upper`` in the unit of the values. A limit
        is NaN with fewer than two clusters, and where the limit of the share lies outside [0, 1]: so few clusters do
        not bound the median on that side.

    Raises
    ------
    ParameterError
        Where ``level`` is not between 0 and 1.

    Notes
    -----
    Woodruff (1952), JASA 47:635-646. In R:
    ``confint(survey::svyquantile(~x, design, 0.5, alpha = 1 - level, interval.type = "mean", qrule = "math"))``.

    Examples
    --------
    >>> values, clusters = [1, 2, 3, 4, 2, 3, 5, 9, 4, 2, 3, 6], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    >>> woodruff_median(values, clusters)
    Interval(estimate=3.0, lower=2.0, upper=9.0)

    Ten times as many values, of clusters that differ as before, tell no more:

    >>> woodruff_median(values, clusters, [10] * 12)
    Interval(estimate=3.0, lower=2.0, upper=9.0)
    """
    alpha = 1 - check_open_unit("level", level)
    estimate = float(quantiles(values, 0.5, counts=counts))
    share = median_sample(values, clusters, counts).share
    if math.isnan(share.variance):
        return Interval(estimate, math.nan, math.nan)
    ordered = _sort(values, counts)
    margin = t_quantile(1 - alpha / 2, share.n_clusters - 1) * math.sqrt(share.variance)
    low, high = share.estimate - margin, share.estimate + margin
    return Interval(
        estimate,
        _math_quantile(ordered, low) if low >= 0 else math.nan,
        _math_quantile(ordered, high) if high <= 1 else math.nan,
    )
