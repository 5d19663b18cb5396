"""What every clustered estimate shares: its result, its parameters' checks, and the variance between clusters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit.engine.grouping import Groups
from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Interval(NamedTuple):
    """An estimate and its confidence limits; what cannot be computed is NaN."""

    estimate: float
    lower: float
    upper: float


class Intervals(NamedTuple):
    """Estimates and their confidence limits, one of each per group."""

    estimate: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


class RatioMean(NamedTuple):
    """A mean per event, and what each cluster contributes to its error.

    Attributes
    ----------
    estimate
        Sum over all clusters divided by the count over all clusters; NaN where there is no event.
    influence
        Per cluster, the first-order change of the estimate that is this cluster's doing; they add up to zero.
    variance
        Variance of the estimate between clusters; NaN with fewer than two of them.
    n_events
        Events in all clusters.
    n_clusters
        Clusters that have an event.
    """

    estimate: float
    influence: NDArray[np.float64]
    variance: float
    n_events: float
    n_clusters: int


class RatioMeans(NamedTuple):
    """The same for many groups at once: one entry per group, and one influence for each cluster of each group."""

    estimate: NDArray[np.float64]
    influence: NDArray[np.float64]
    variance: NDArray[np.float64]
    n_events: NDArray[np.float64]
    n_clusters: NDArray[np.int64]


def check_open_unit(parameter: str, value: object) -> float:
    """Return ``value`` where it is a number strictly between 0 and 1.

    Raises
    ------
    ParameterError
        Where it is anything else.
    """
    if not isinstance(value, int | float) or not 0 < value < 1:
        raise ParameterError(parameter, value, "a number between 0 and 1, such as 0.95")
    return float(value)


def t_quantile(probability: float, df: float) -> float:
    """Return a quantile of Student's t distribution, NaN where ``df`` is not positive."""
    return float(t_quantiles(probability, df))


def t_quantiles(probability: float, df: ArrayLike) -> NDArray[np.float64]:
    """Return quantiles of Student's t distribution, NaN where ``df`` is not positive."""
    from scipy.special import stdtrit

    # Groups are many and their degrees of freedom few, and a quantile takes longer than to find those that differ.
    distinct, place = np.unique(np.asarray(df, dtype=np.float64), return_inverse=True)
    return np.asarray(stdtrit(distinct, probability), dtype=np.float64)[place]


def cluster_variances(
    influence: NDArray[np.float64], n_clusters: NDArray[np.int64], groups: Groups
) -> NDArray[np.float64]:
    """Return the variance of each group's estimate from each cluster's influence on it.

    It is NaN with fewer than two clusters: one cluster differs from no other.
    """
    sums = groups.add_up_in_any_order(influence**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(n_clusters > 1, n_clusters / (n_clusters - 1) * sums, math.nan)


def only(intervals: Intervals) -> Interval:
    """Return the interval of the only group."""
    return Interval(*(float(values[0]) for values in intervals))


def one_group(n_clusters: int) -> Groups:
    """Return the only group of so many clusters."""
    return Groups(np.zeros(n_clusters, dtype=np.intp), 1)


def ratio_mean(sums: ArrayLike, totals: ArrayLike) -> RatioMean:
    """Return a mean per event with its linearised variance between clusters, as ``ratio_means`` does for groups."""
    means = ratio_means(sums, totals, one_group(np.size(sums)))
    estimate, influence, variance, n_events, n_clusters = means
    return RatioMean(float(estimate[0]), influence, float(variance[0]), float(n_events[0]), int(n_clusters[0]))


def ratio_means(sums: ArrayLike, totals: ArrayLike, groups: Groups) -> RatioMeans:
    r"""Return the mean per event of each group with its linearised variance between clusters.

    With cluster sums :math:`y_c`, counts :math:`n_c`, :math:`n = \sum n_c`, mean :math:`m = \sum y_c / n` and
    :math:`k` clusters, the influence of a cluster is :math:`z_c = (y_c - m n_c) / n` and the variance
    :math:`k / (k - 1) \sum z_c^2` (Binder 1983, Int. Stat. Rev. 51:279-292; ``survey::svymean``). Clusters without
    an event do not count.
    """
    y, n = np.asarray(sums, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    y_all, n_all = groups.add_up(y), groups.add_up(n)
    n_clusters = groups.add_up(n != 0).astype(np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Crosswise before the one division: of whole numbers, clusters with equal means then leave exactly zero.
        influence = (y * n_all[groups.of] - y_all[groups.of] * n) / n_all[groups.of] ** 2
        estimate = y_all / n_all
    return RatioMeans(estimate, influence, cluster_variances(influence, n_clusters, groups), n_all, n_clusters)
