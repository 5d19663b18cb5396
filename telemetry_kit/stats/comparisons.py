"""Two groups of clustered events held against each other; a cluster may be in both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit.engine.grouping import number_labels
from telemetry_kit.stats.clusters import (
    Interval,
    Intervals,
    check_open_unit,
    cluster_variances,
    one_group,
    only,
    ratio_mean,
    ratio_means,
    t_quantile,
    t_quantiles,
)
from telemetry_kit.stats.medians import median_interval, median_sample

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from telemetry_kit.engine.grouping import Groups
    from telemetry_kit.stats.clusters import RatioMean, RatioMeans
    from telemetry_kit.stats.medians import MedianSample


class Differences(NamedTuple):
    """Differences between two means, one of each entry per comparison.

    Attributes
    ----------
    a, b
        The two means of each comparison.
    estimate, error
        The first mean less the second, and its standard error between clusters; the error is NaN where a group has
        fewer than two clusters, and where no cluster differs from another.
    df
        Degrees of freedom of the error.
    """

    a: RatioMeans
    b: RatioMeans
    estimate: NDArray[np.float64]
    error: NDArray[np.float64]
    df: NDArray[np.int64]


def group_difference_interval(
    sums_a: ArrayLike, totals_a: ArrayLike, sums_b: ArrayLike, totals_b: ArrayLike, *, level: float = 0.95
) -> Interval:
    r"""Estimate the difference between the means, or the shares, of two groups or periods.

    The four arrays have one entry per cluster, in the same order of clusters: a cluster that is in both groups (seen
    before and after a date) has counts in both, one that is in a single group has zeros in the other. With each
    cluster's influences :math:`z^a_c` and :math:`z^b_c` on the two means, the difference has the variance
    :math:`k / (k - 1) \sum_c (z^a_c - z^b_c)^2` over all :math:`k` clusters, which takes account of what a cluster's
    two parts have in common, and :math:`k - 2` degrees of freedom.

    Parameters
    ----------
    sums_a, sums_b
        Sum of the values (or number of successes) of a cluster's events in either group, per cluster.
    totals_a, totals_b
        Number of events of a cluster in either group, per cluster; zero where it is not in the group.
    level
        Confidence level.

    Returns
    -------
    Interval
        ``estimate`` (first minus second), ``lower``, ``upper`` in the unit of the values. The limits are NaN where a
        group has fewer than two clusters or both together fewer than three, and where the variance is zero: no
        cluster differs from another, and nothing tells how much they could.

    Raises
    ------
    ParameterError
        Where ``level`` is not between 0 and 1.

    Notes
    -----
    Binder (1983), Int. Stat. Rev. 51:279-292. In R:
    ``m <- survey::svyglm(x ~ group, svydesign(ids = ~cluster, weights = ~1)); confint(m, ddf = m$df.residual)``.

    Examples
    --------
    Four clusters of ten events each, before and after:

    >>> estimate, lower, upper = group_difference_interval([6, 3, 5, 7], [10] * 4, [4, 2, 3, 6], [10] * 4)
    >>> print(f"{estimate:.3f} [{lower:.3f}, {upper:.3f}]")
    0.150 [0.026, 0.274]
    """
    differences = mean_differences(sums_a, totals_a, sums_b, totals_b, one_group(np.size(totals_a)))
    return only(difference_limits(differences, level=level))


def detectable_difference(
    sums_a: ArrayLike,
    totals_a: ArrayLike,
    sums_b: ArrayLike,
    totals_b: ArrayLike,
    *,
    level: float = 0.95,
    power: float = 0.8,
) -> float:
    r"""Return the smallest true difference of two groups or periods that data like these would show.

    :math:`(t_{1-\alpha/2,\,k-2} + t_{\mathit{power},\,k-2})` standard errors of the difference, as in
    ``group_difference_interval``: a true difference of this size would be told from none, at that level, in a share
    ``power`` of repetitions with as many clusters that differ as much, whatever difference these data happen to show.

    Parameters
    ----------
    sums_a, sums_b
        Sum of the values (or number of successes) of a cluster's events in either group, per cluster. One order of
        clusters in all four arrays; a cluster that is in both groups has counts in both.
    totals_a, totals_b
        Number of events of a cluster in either group, per cluster; zero where it is not in the group.
    level
        Confidence level of the (two-sided) comparison.
    power
        Share of repetitions in which the difference is to be seen.

    Returns
    -------
    float
        A difference in the unit of the values; NaN where ``group_difference_interval`` has no limits.

    Raises
    ------
    ParameterError
        Where ``level`` or ``power`` is not between 0 and 1.

    Notes
    -----
    Bloom (1995), Evaluation Review 19:547-556.

    Examples
    --------
    >>> round(detectable_difference([6, 3, 5, 7], [10] * 4, [4, 2, 3, 6], [10] * 4), 3)
    0.155
    """
    differences = mean_differences(sums_a, totals_a, sums_b, totals_b, one_group(np.size(totals_a)))
    return float(detectable_differences(differences, level=level, power=power)[0])


def mean_differences(
    sums_a: ArrayLike, totals_a: ArrayLike, sums_b: ArrayLike, totals_b: ArrayLike, groups: Groups
) -> Differences:
    """Return the difference between two means, with its error between clusters, for each of many comparisons.

    As for ``group_difference_interval``; ``groups`` tells to which comparison a cluster's entry belongs.
    """
    a, b = ratio_means(sums_a, totals_a, groups), ratio_means(sums_b, totals_b, groups)
    n_clusters = groups.add_up(np.asarray(totals_a) + np.asarray(totals_b) != 0).astype(np.int64)
    variance = cluster_variances(a.influence - b.influence, n_clusters, groups)
    # A group of one cluster has no influence of its own, and the variance of the other alone would be too small.
    is_told = _is_above_rounding(variance, a.variance + b.variance)
    error = np.sqrt(np.where(is_told, variance, math.nan))
    return Differences(a, b, a.estimate - b.estimate, error, n_clusters - 2)


def difference_limits(differences: Differences, *, level: float) -> Intervals:
    """Return the limits of ``group_difference_interval`` for many comparisons."""
    alpha = 1 - check_open_unit("level", level)
    margin = t_quantiles(1 - alpha / 2, differences.df) * differences.error
    return Intervals(differences.estimate, differences.estimate - margin, differences.estimate + margin)


def detectable_differences(differences: Differences, *, level: float, power: float) -> NDArray[np.float64]:
    """Return what ``detectable_difference`` returns for each of many comparisons."""
    alpha = 1 - check_open_unit("level", level)
    check_open_unit("power", power)
    return (t_quantiles(1 - alpha / 2, differences.df) + t_quantiles(power, differences.df)) * differences.error


def _is_above_rounding(variance: ArrayLike, parts: ArrayLike) -> NDArray[np.bool_]:
    """Whether the variance of two groups together is more than what rounding leaves where its parts cancel."""
    return np.asarray(variance) > 1e-12 * np.asarray(parts)


def probability_of_superiority(
    values_a: ArrayLike, clusters_a: ArrayLike, values_b: ArrayLike, clusters_b: ArrayLike, *, level: float = 0.95
) -> Interval:
    r"""Estimate the probability that a value of the first group exceeds one of the second, ties counting half.

    :math:`\theta = P(A > B) + P(A = B) / 2`: one half where neither group tends to larger values, and the area under
    the ROC curve. Each value has a placement, the share of the other group that it exceeds (or, in the second group,
    that exceeds it). With :math:`P^a_c` and :math:`P^b_c` the sums over a cluster of its :math:`n^a_c` and
    :math:`n^b_c` placements less :math:`\theta`, in :math:`k_a`, :math:`k_b` and altogether :math:`k` clusters,

    .. math::

        v = \frac{k_a}{k_a - 1} \sum_c \Big(\frac{P^a_c}{n^a}\Big)^2 + \frac{k_b}{k_b - 1} \sum_c
            \Big(\frac{P^b_c}{n^b}\Big)^2 + \frac{2k}{k - 1} \sum_c \frac{P^a_c}{n^a} \frac{P^b_c}{n^b}.

    The limits are symmetric for the logit of :math:`\theta`, with the t distribution on :math:`k - 2` degrees of
    freedom, and so stay within [0, 1].

    Parameters
    ----------
    values_a, values_b
        Values of either group, none of them null.
    clusters_a, clusters_b
        Integer code of the cluster of each value; the same code is the same cluster in both groups.
    level
        Confidence level.

    Returns
    -------
    Interval
        ``estimate``, ``lower``, ``upper``, probabilities in [0, 1]. The limits are NaN where a group has fewer than
        two clusters or both together fewer than three, and where the variance is zero (all of one group above all of
        the other, or nothing but ties); the estimate where a group is empty.

    Raises
    ------
    ParameterError
        Where ``level`` is not between 0 and 1.

    Notes
    -----
    Obuchowski (1997), Biometrics 53:567-578, with t in place of normal quantiles because clusters may be few. The
    estimate is ``survival::concordance(group ~ value)$concordance`` in R; where every cluster is in both groups, the
    variance is k / (k - 1) times its ``var`` with ``cluster = cluster``.

    Examples
    --------
    >>> a, b = [3, 5, 2, 6, 4, 7], [1, 4, 2, 2, 3, 5]
    >>> estimate, lower, upper = probability_of_superiority(a, [0, 0, 1, 2, 3, 3], b, [0, 1, 1, 2, 2, 3])
    >>> print(f"{estimate:.3f} [{lower:.3f}, {upper:.3f}]")
    0.764 [0.146, 0.984]
    """
    alpha = 1 - check_open_unit("level", level)
    a, b = np.asarray(values_a, dtype=np.float64), np.asarray(values_b, dtype=np.float64)
    if a.size == 0 or b.size == 0:
        return Interval(math.nan, math.nan, math.nan)
    labels, codes = number_labels(np.concatenate([np.asarray(clusters_a), np.asarray(clusters_b)]))
    distinct, places = np.unique(np.concatenate([a, b]), return_inverse=True)
    of_a, of_b = places[: a.size], places[a.size :]
    wins_a = _mean_in_clusters(_twice_n_below(of_b, distinct.size)[of_a], codes[: a.size], labels.size)
    wins_b = _mean_in_clusters(2 * a.size - _twice_n_below(of_a, distinct.size)[of_b], codes[a.size :], labels.size)
    scale_a, scale_b = 2 * b.size, 2 * a.size
    theta = wins_a.estimate / scale_a
    covariance = float(np.sum(wins_a.influence * wins_b.influence)) / (scale_a * scale_b)
    n_clusters = labels.size
    parts = wins_a.variance / scale_a**2 + wins_b.variance / scale_b**2
    variance = parts + 2 * n_clusters / max(n_clusters - 1, 1) * covariance
    if not _is_above_rounding(variance, parts):
        return Interval(theta, math.nan, math.nan)
    from scipy.special import expit, logit

    margin = t_quantile(1 - alpha / 2, n_clusters - 2) * math.sqrt(variance) / (theta * (1 - theta))
    return Interval(theta, float(expit(logit(theta) - margin)), float(expit(logit(theta) + margin)))


def _twice_n_below(places: NDArray[np.int64], n_places: int) -> NDArray[np.int64]:
    """Return, for each place, twice the number of ``places`` below it, ties counting half: a whole number."""
    n = np.bincount(places, minlength=n_places)
    return 2 * np.cumsum(n) - n


def _mean_in_clusters(values: NDArray[np.int64], codes: NDArray[np.intp], n_clusters: int) -> RatioMean:
    return ratio_mean(np.bincount(codes, values, minlength=n_clusters), np.bincount(codes, minlength=n_clusters))


def median_difference(
    values_a: ArrayLike, clusters_a: ArrayLike, values_b: ArrayLike, clusters_b: ArrayLike, *, level: float = 0.95
) -> Interval:
    r"""Estimate the difference of two medians of clustered values, which may share clusters.

    The limits are put together from Woodruff's limits of the two medians (the method of variance estimates recovery):
    with medians :math:`m`, limits :math:`[l, u]` and the correlation :math:`r` of the two medians,

    .. math::

        L &= m_a - m_b - \sqrt{(m_a - l_a)^2 + (u_b - m_b)^2 - 2 r (m_a - l_a)(u_b - m_b)} \\
        U &= m_a - m_b + \sqrt{(u_a - m_a)^2 + (m_b - l_b)^2 - 2 r (u_a - m_a)(m_b - l_b)}

    where :math:`r` is that of the two shares of values at or below their median, from what each cluster contributes to
    both; it is zero where no cluster is in both groups.

    Parameters
    ----------
    values_a, values_b
        Values of either group, none of them null.
    clusters_a, clusters_b
        Integer code of the cluster of each value; the same code is the same cluster in both groups.
    level
        Confidence level.

    Returns
    -------
    Interval
        ``estimate`` (first median minus second), ``lower``, ``upper`` in the unit of the values. A limit is NaN where
        a limit of a median that it needs is.

    Raises
    ------
    ParameterError
        Where ``level`` is not between 0 and 1.

    Notes
    -----
    Zou and Donner (2008), Statistics in Medicine 27:1693-1702, over Woodruff (1952), JASA 47:635-646.

    Examples
    --------
    >>> clusters = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    >>> a, b = [4, 5, 5, 7, 6, 8, 5, 9, 4, 6, 7, 5], [1, 2, 3, 4, 2, 3, 5, 9, 4, 2, 3, 6]
    >>> estimate, lower, upper = median_difference(a, clusters, b, clusters)
    >>> print(f"{estimate} [{lower:.1f}, {upper:.1f}]")
    2.5 [-3.5, 4.3]
    """
    sample_a, sample_b = median_sample(values_a, clusters_a), median_sample(values_b, clusters_b)
    a, b = median_interval(sample_a, level=level), median_interval(sample_b, level=level)
    correlation = _median_correlation(sample_a, sample_b)

    def reach(down: float, up: float) -> float:
        # With ties a limit may lie on the far side of the median; it then adds nothing.
        down, up = max(down, 0.0), max(up, 0.0)
        return math.sqrt(max(down**2 + up**2 - 2 * correlation * down * up, 0.0))

    estimate = a.estimate - b.estimate
    lower = estimate - reach(a.estimate - a.lower, b.upper - b.estimate)
    upper = estimate + reach(a.upper - a.estimate, b.estimate - b.lower)
    return Interval(estimate, lower, upper)


def _median_correlation(a: MedianSample, b: MedianSample) -> float:
    _, in_a, in_b = np.intersect1d(a.clusters, b.clusters, assume_unique=True, return_indices=True)
    influence_a, influence_b = a.shares.influence, b.shares.influence
    norm = math.sqrt(float(np.sum(influence_a**2) * np.sum(influence_b**2)))
    return float(influence_a[in_a] @ influence_b[in_b]) / norm if norm > 0 else 0.0
