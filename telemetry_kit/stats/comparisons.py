"""Two groups of clustered units held against each other; a cluster may be in both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from telemetry_kit.engine.grouping import number_labels
from telemetry_kit.errors import ParameterError
from telemetry_kit.stats.influence import count_clusters, estimate_from_influence, estimate_means, one_group
from telemetry_kit.stats.limits import check_open_unit, detectable_differences, p_values, t_quantiles
from telemetry_kit.stats.medians import carries_extremes, quantile_limits, quantile_shares, quantiles, sort_samples

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from telemetry_kit.stats.influence import Clusters, Estimates
    from telemetry_kit.stats.medians import Samples

_SUM_ROUNDING = 1e-12
"""Up to which part of its terms a variance whose terms cancel is nothing but rounding."""
_N_HALVINGS = 40
_MOST_CLUSTERS = 1e9


class Differences(NamedTuple):
    """Differences between the estimates of two groups, one of each entry per comparison.

    Attributes
    ----------
    estimate, error, df
        The second estimate less the first, its standard error between clusters and its degrees of freedom. The last two
        are NaN where a group has fewer than two clusters, and where the clusters do not differ, so that nothing tells
        how much they could.
    """

    estimate: NDArray[np.float64]
    error: NDArray[np.float64]
    df: NDArray[np.float64]


class Comparison(NamedTuple):
    """One difference with its interval.

    Attributes
    ----------
    estimate
        The second group less the first; for a probability of superiority, that probability.
    df, lower, upper
        Degrees of freedom, and the interval.
    p_value
        Two-sided probability of a result at least as far from none were there no difference.
    detectable
        The smallest true difference that would be told from none four times out of five.
    """

    estimate: float
    df: float
    lower: float
    upper: float
    p_value: float
    detectable: float


def compare_estimates(a: Estimates, b: Estimates) -> Differences:
    r"""Return the differences ``b - a`` of estimates of two groups that may share clusters.

    With each cluster's influences :math:`s_{cA}` and :math:`s_{cB}` and its shares :math:`w_{cA}` and :math:`w_{cB}` of
    the two groups, the difference has the variance :math:`\sum_c z_c^2` of :math:`z_c = s_{cB} / \sqrt{1 - w_{cB}} -
    s_{cA} / \sqrt{1 - w_{cA}}`, which takes account of what the two parts of a cluster have in common. Its degrees of
    freedom are :math:`\mathrm{tr}(B)^2 / \mathrm{tr}(B^2)` with :math:`B = B_A + B_B` and :math:`B_g =
    (\mathrm{diag}(n_g) - n_g n_g' / N_g) / N_g^2`, scaled on both sides by :math:`1 / \sqrt{1 - w_g}`.

    Parameters
    ----------
    a, b
        Estimates of either group, one per comparison. Their clusters have the same entries in the same order; an entry
        that is not in a group has no unit there.

    Notes
    -----
    Bell and McCaffrey (2002), Survey Methodology 28:169-181; Pustejovsky and Tipton (2018), Journal of Business &
    Economic Statistics 36:672-683. In R: the second row of ``clubSandwich::coef_test(lm(y ~ group), vcov = "CR2",
    cluster = cluster, test = "Satterthwaite")``.

    Examples
    --------
    Four clusters of ten events each, before and after:

    >>> from telemetry_kit.stats import count_clusters, estimate_shares, one_group
    >>> clusters = count_clusters([10] * 4, one_group(4))
    >>> change = compare_estimates(estimate_shares([4, 2, 3, 6], clusters), estimate_shares([6, 3, 5, 7], clusters))
    >>> print(f"{change.estimate[0]:.3f}, error {change.error[0]:.4f} on {change.df[0]:.1f} degrees of freedom")
    0.150, error 0.0289 on 3.0 degrees of freedom
    """
    groups = a.clusters.groups
    is_told = (a.clusters.n_clusters > 1) & (b.clusters.n_clusters > 1)
    of_told = is_told[groups.of]

    def per_cluster(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.where(of_told, values, 0.0)

    scale_a, scale_b = (per_cluster(np.sqrt(each.clusters.correction)) for each in (a, b))
    z = per_cluster(b.influence) * scale_b - per_cluster(a.influence) * scale_a
    variance = groups.add_up_in_any_order(z * z)
    with np.errstate(divide="ignore", invalid="ignore"):
        is_told &= variance > _SUM_ROUNDING * (a.variance + b.variance)
        df = np.where(is_told, _df_of_difference(a.clusters, b.clusters, scale_a * scale_b), math.nan)
    error = np.sqrt(np.where(is_told, variance, math.nan))
    return Differences(b.estimate - a.estimate, error, df)


def _df_of_difference(a: Clusters, b: Clusters, scale: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return tr(B)² / tr(B²), of which the parts of one group are known and those of both are sums over clusters."""
    groups = a.groups
    of_both = a.n * b.n / (a.n_units * b.n_units)[groups.of]
    of_both = np.where(np.isnan(of_both), 0.0, of_both)
    scaled = of_both * scale
    common = groups.add_up_in_any_order(of_both) + groups.add_up_in_any_order(scaled) ** 2
    common -= groups.add_up_in_any_order(scaled**2)
    squares = 1 / (a.df * a.n_units**2) + 1 / (b.df * b.n_units**2) + 2 * common / (a.n_units * b.n_units)
    return (1 / a.n_units + 1 / b.n_units) ** 2 / squares


def clusters_needed(
    error: ArrayLike,
    df: ArrayLike,
    n_clusters: ArrayLike,
    difference: float,
    *,
    level: float = 0.95,
    power: float = 0.8,
) -> NDArray[np.float64]:
    r"""Return how many clusters a comparison needs to show a true difference of a given size.

    The data at hand tell the error with the clusters they have; with :math:`m` times as many of the same kind, the
    error is :math:`\sqrt m` times smaller and the degrees of freedom are :math:`m` times as many. The smallest number
    is returned with which ``detectable_differences`` is at most ``difference``.

    Parameters
    ----------
    error, df
        Of ``Differences``.
    n_clusters
        Clusters of each comparison, in either group or in both.
    difference
        The true difference to be shown, above 0, in the unit of the estimates.
    level
        Confidence level of the (two-sided) comparison.
    power
        Share of repetitions in which the difference is to be seen.

    Returns
    -------
    numpy.ndarray
        Whole numbers, at least 2; NaN where the error is, infinite where no number below a billion is enough.

    Raises
    ------
    ParameterError
        Where ``level`` or ``power`` is not between 0 and 1, or ``difference`` is not above 0.

    Examples
    --------
    Ten clusters show a difference of 0.16 at best. For half of that:

    >>> print(detectable_differences([0.05], [8.0], level=0.95).round(3), clusters_needed([0.05], [8.0], [10], 0.08))
    [0.16] [34.]
    """
    check_difference(difference)
    s, nu, k = (np.asarray(each, dtype=np.float64) for each in (error, df, n_clusters))
    low, high = np.full(s.shape, 1.0), np.full(s.shape, _MOST_CLUSTERS)
    # What can be detected falls with the number, so that halving finds the first that is enough.
    while (high > low + 1).any():
        middle = np.floor((low + high) / 2)
        detectable = detectable_differences(s * np.sqrt(k / middle), nu * middle / k, level=level, power=power)
        is_enough = detectable <= difference
        low, high = np.where(is_enough, low, middle), np.where(is_enough, middle, high)
    return np.where(np.isnan(s), math.nan, np.where(high < _MOST_CLUSTERS, high, math.inf))


def check_difference(difference: object) -> None:
    """See that a difference to be shown is one.

    Raises
    ------
    ParameterError
        Where it is not a number above 0.
    """
    if not isinstance(difference, int | float) or not difference > 0:
        raise ParameterError("difference", difference, "a number above 0, in the unit of the estimates")


def superiority(
    values_a: ArrayLike, clusters_a: ArrayLike, values_b: ArrayLike, clusters_b: ArrayLike, *, level: float = 0.95
) -> Comparison:
    r"""Estimate the probability that a value of the second group exceeds one of the first, ties counting half.

    :math:`\theta = P(B > A) + P(A = B) / 2`: one half where neither group tends to larger values, and the area under
    the ROC curve. Each value has a placement, the share of the other group that it exceeds (or, in the first group,
    that exceeds it); less :math:`\theta` and divided by the number of values of its group it is the value's influence.
    Variance and degrees of freedom follow as in ``compare_estimates``, but the influences of the two groups add up.
    The interval is symmetric for the logit of :math:`\theta` and so stays within [0, 1].

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
    Comparison
        All but ``estimate`` are NaN where a group has fewer than two clusters, and where the variance is zero (all of
        one group above all of the other, or nothing but ties); the estimate where a group is empty. ``p_value`` is that
        of one half, and ``detectable`` the smallest difference from it, both on the scale of the probability.

    Raises
    ------
    ParameterError
        Where ``level`` is not between 0 and 1.

    Notes
    -----
    Obuchowski (1997), Biometrics 53:567-578, for the placements. The estimate is
    ``survival::concordance(value ~ second)$concordance`` in R, ``second`` being 1 for the values of the second group.

    Examples
    --------
    >>> a, b = [1, 4, 2, 2, 3, 5], [3, 5, 2, 6, 4, 7]
    >>> result = superiority(a, [0, 1, 1, 2, 2, 3], b, [0, 0, 1, 2, 3, 3])
    >>> print(f"{result.estimate:.3f} [{result.lower:.3f}, {result.upper:.3f}]")
    0.764 [0.286, 0.963]
    """
    alpha = 1 - check_open_unit("level", level)
    a, b = np.asarray(values_a, dtype=np.float64), np.asarray(values_b, dtype=np.float64)
    if a.size == 0 or b.size == 0:
        return Comparison(*(math.nan,) * 6)
    labels, codes = number_labels(np.concatenate([np.asarray(clusters_a), np.asarray(clusters_b)]))
    distinct, places = np.unique(np.concatenate([a, b]), return_inverse=True)
    of_a, of_b = places[: a.size], places[a.size :]
    # Twice the placements are whole numbers, which add up without rounding; those of the first group count downwards.
    lost_a = _twice_n_below(of_b, distinct.size)[of_a] - 2 * b.size
    won_b = _twice_n_below(of_a, distinct.size)[of_b]
    # Both means are the probability, the first with the sign turned: so the difference of influences is their sum.
    lost = _mean_of_twice(lost_a, codes[: a.size], labels.size, 2 * b.size)
    won = _mean_of_twice(won_b, codes[a.size :], labels.size, 2 * a.size)
    theta = float(won.estimate[0])
    _, error, df = (each[0] for each in compare_estimates(lost, won))
    from scipy.special import expit, logit

    with np.errstate(divide="ignore", invalid="ignore"):
        on_logit = error / (theta * (1 - theta))
        margin = t_quantiles(1 - alpha / 2, df) * on_logit
        lower, upper = (float(expit(logit(theta) + sign * margin)) for sign in (-1, 1))
        p = float(p_values(logit(theta), on_logit, df))
    detectable = float(detectable_differences(error, df, level=level))
    return Comparison(theta, float(df), lower, upper, p, detectable)


def _twice_n_below(places: NDArray[np.int64], n_places: int) -> NDArray[np.int64]:
    """Return, for each place, twice the number of ``places`` below it, ties counting half: a whole number."""
    n = np.bincount(places, minlength=n_places)
    return 2 * np.cumsum(n) - n


def _mean_of_twice(placements: NDArray[np.int64], codes: NDArray[np.intp], n_codes: int, scale: int) -> Estimates:
    clusters = count_clusters(np.bincount(codes, minlength=n_codes), one_group(n_codes))
    twice = estimate_means(np.bincount(codes, placements, minlength=n_codes), clusters)
    return estimate_from_influence(twice.estimate / scale, twice.influence / scale, clusters)


def difference_of_medians(
    values_a: ArrayLike, clusters_a: ArrayLike, values_b: ArrayLike, clusters_b: ArrayLike, *, level: float = 0.95
) -> Comparison:
    r"""Estimate the difference of two medians of clustered values, which may share clusters.

    The interval is put together from those of the two medians (the method of variance estimates recovery): with medians
    :math:`m`, intervals :math:`[l, u]` and the correlation :math:`r` of the two medians,

    .. math::

        L &= m_b - m_a - \sqrt{(m_b - l_b)^2 + (u_a - m_a)^2 - 2 r (m_b - l_b)(u_a - m_a)} \\
        U &= m_b - m_a + \sqrt{(u_b - m_b)^2 + (m_a - l_a)^2 - 2 r (u_b - m_b)(m_a - l_a)}

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
    Comparison
        ``estimate`` is the second median less the first, in the unit of the values; all else is NaN where a group has
        fewer than two clusters, or so few values that an interval of this level reaches beyond them (of 95 %, fewer
        than six). ``p_value`` is one less the largest level at which the interval leaves out zero, ``df`` is of the
        difference of the two shares, and ``detectable`` is from the error that an interval of this width stands for.

    Raises
    ------
    ParameterError
        Where ``level`` is not between 0 and 1.

    Notes
    -----
    Zou and Donner (2008), Statistics in Medicine 27:1693-1702, over the intervals of ``quantile_limits``.

    Examples
    --------
    >>> clusters = [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    >>> a, b = [1, 2, 3, 4, 2, 3, 5, 9, 4, 2, 3, 6], [4, 5, 5, 7, 6, 8, 5, 9, 4, 6, 7, 5]
    >>> result = difference_of_medians(a, clusters, b, clusters)
    >>> print(f"{result.estimate} [{result.lower:.1f}, {result.upper:.1f}]")
    2.5 [-0.5, 4.3]
    """
    alpha = 1 - check_open_unit("level", level)
    labels, codes = number_labels(np.concatenate([np.asarray(clusters_a), np.asarray(clusters_b)]))
    n_a = np.size(values_a)
    a = _Median.of(values_a, codes[:n_a], labels.size)
    b = _Median.of(values_b, codes[n_a:], labels.size)
    estimate = b.median - a.median
    _, _, df = (float(each[0]) for each in compare_estimates(a.shares, b.shares))
    correlation = correlation_of(a.shares, b.shares)
    lower, upper = recovered_limits(a, b, correlation, level)
    if math.isnan(lower) or math.isnan(upper):
        return Comparison(estimate, math.nan, math.nan, math.nan, math.nan, math.nan)
    p = p_by_level(a, b, correlation)
    error = (upper - lower) / (2 * float(t_quantiles(1 - alpha / 2, df)))
    detectable = float(detectable_differences(error, df, level=level))
    return Comparison(estimate, df, lower, upper, p, detectable)


class _Median(NamedTuple):
    """A median of one group, and the share of values at or below it."""

    samples: Samples
    shares: Estimates
    median: float

    @classmethod
    def of(cls, values: ArrayLike, codes: NDArray[np.int64], n_codes: int) -> _Median:
        samples = sort_samples(values, one_group(np.size(values)))
        sizes = count_clusters(np.bincount(codes, minlength=n_codes), one_group(n_codes))
        shares = quantile_shares(samples, values, codes, sizes, 0.5)
        return cls(samples, shares, float(quantiles(values, 0.5)))

    def limits(self, level: float) -> tuple[float, float]:
        lower, upper = (float(limit[0]) for limit in quantile_limits(self.samples, self.shares, 0.5, level=level))
        if not carries_extremes(self.shares, level)[0]:
            lower = math.nan if lower <= self.samples.values.min(initial=math.inf) else lower
            upper = math.nan if upper >= self.samples.values.max(initial=-math.inf) else upper
        return lower, upper


class HasLimits(Protocol):
    """A median with its interval at any level, NaN where the values do not reach so far."""

    @property
    def median(self) -> float:
        """The median."""

    def limits(self, level: float) -> tuple[float, float]:
        """Return its interval."""


def recovered_limits(a: HasLimits, b: HasLimits, correlation: float, level: float) -> tuple[float, float]:
    """Return the interval of the difference of two medians out of those of either and their correlation."""
    (lower_a, upper_a), (lower_b, upper_b) = a.limits(level), b.limits(level)

    def reach(down: float, up: float) -> float:
        # With ties a limit may lie on the far side of the median; it then adds nothing.
        down, up = (each if math.isnan(each) else max(each, 0.0) for each in (down, up))
        return math.sqrt(max(down**2 + up**2 - 2 * correlation * down * up, 0.0))

    estimate = b.median - a.median
    return (
        estimate - reach(b.median - lower_b, upper_a - a.median),
        estimate + reach(upper_b - b.median, a.median - lower_a),
    )


def p_by_level(a: HasLimits, b: HasLimits, correlation: float) -> float:
    """Return one less the largest level at which zero is left out; 1 where it is never.

    An interval that reaches beyond the values leaves nothing out.
    """
    low, high = 0.0, 1.0
    for _ in range(_N_HALVINGS):
        level = (low + high) / 2
        lower, upper = recovered_limits(a, b, correlation, level)
        low, high = (level, high) if lower > 0 or upper < 0 else (low, level)
    return 1 - low


def correlation_of(a: Estimates, b: Estimates) -> float:
    """Return the correlation of two estimates, from what each cluster contributes to both."""
    z_a, z_b = (each.influence * np.sqrt(each.clusters.correction) for each in (a, b))
    norm = math.sqrt(float(a.variance[0] * b.variance[0]))
    return float(z_a @ z_b) / norm if norm > 0 else 0.0
