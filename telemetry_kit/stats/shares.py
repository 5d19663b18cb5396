"""Shares and means of events that come in clusters, from one sum and one count per cluster."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit.stats.clusters import Intervals, check_open_unit, one_group, only, ratio_means, t_quantiles

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from telemetry_kit.engine.grouping import Groups
    from telemetry_kit.stats.clusters import Interval, RatioMeans


class EffectiveSample(NamedTuple):
    """How much clustered events are worth.

    Attributes
    ----------
    n_effective
        Number of independent events that would give the same variance.
    design_effect
        Events per effective event: 1 where clusters do not matter, above 1 where events of a cluster are alike.
    """

    n_effective: float
    design_effect: float


def share_interval(successes: ArrayLike, totals: ArrayLike, *, level: float = 0.95) -> Interval:
    r"""Estimate a share with Korn-Graubard limits from per-cluster counts.

    The exact binomial limits of Clopper and Pearson at an effective sample size:

    .. math::

        n^* = \frac{p (1 - p)}{v} \left(\frac{t_{\alpha/2,\,n-1}}{t_{\alpha/2,\,k-1}}\right)^2, \qquad
        \left[B_{\alpha/2}(n^* p,\; n^* (1 - p) + 1),\; B_{1-\alpha/2}(n^* p + 1,\; n^* (1 - p))\right]

    with :math:`n` events in :math:`k` clusters, the linearised variance :math:`v` between clusters, and the quantile
    :math:`B` of the beta distribution. Where all clusters have the same share, above all 0 or 1, :math:`v` is zero and
    says nothing; each cluster then counts as one event, :math:`n^* = k` (at 0 and 1 these are the Clopper-Pearson
    limits of :math:`k` trials).

    Parameters
    ----------
    successes
        Events that count, per cluster.
    totals
        All events, per cluster. A cluster with none does not count.
    level
        Confidence level.

    Returns
    -------
    Interval
        ``estimate``, ``lower``, ``upper``, shares in [0, 1]. The limits are NaN with fewer than two clusters, the
        estimate without events.

    Raises
    ------
    ParameterError
        Where ``level`` is not between 0 and 1.

    Notes
    -----
    Korn and Graubard (1998), Survey Methodology 24:193-201. In R:
    ``survey::svyciprop(~x, svydesign(ids = ~cluster, weights = ~1), method = "beta")``. Where the variance is zero, R
    evaluates a beta quantile of infinite shape, 0.5 or NaN at whatever share; it is not followed there.

    Examples
    --------
    >>> estimate, lower, upper = share_interval([7, 3, 5, 9, 6], [10, 8, 9, 12, 14])
    >>> print(f"{estimate:.3f} [{lower:.3f}, {upper:.3f}]")
    0.566 [0.344, 0.770]
    """
    return only(share_limits(ratio_means(successes, totals, one_group(np.size(totals))), level=level))


def share_limits(shares: RatioMeans, *, level: float) -> Intervals:
    """Return the limits of ``share_interval`` for the shares of many groups."""
    alpha = 1 - check_open_unit("level", level)
    n_effective = effective_sizes(shares)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = t_quantiles(alpha / 2, shares.n_events - 1) / t_quantiles(alpha / 2, shares.n_clusters - 1)
        n_effective = np.where(shares.variance > 0, n_effective * ratio**2, n_effective)
    return Intervals(shares.estimate, *_clopper_pearson(shares.estimate, n_effective, alpha))


def effective_sizes(shares: RatioMeans) -> NDArray[np.float64]:
    """Return the effective sample size of each share; the number of clusters where they do not differ."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = shares.estimate * (1 - shares.estimate) / shares.variance
    return np.where(shares.variance == 0, shares.n_clusters, size)


def _clopper_pearson(
    share: NDArray[np.float64], n_trials: NDArray[np.float64], alpha: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from scipy.special import betaincinv

    yes, no = n_trials * share, n_trials * (1 - share)
    lower, upper = np.where(np.isnan(yes), math.nan, [[0.0], [1.0]])
    betaincinv(yes, no + 1, alpha / 2, out=lower, where=yes > 0)
    betaincinv(yes + 1, no, 1 - alpha / 2, out=upper, where=no > 0)
    return lower, upper


def difference_interval(sums: ArrayLike, totals: ArrayLike, *, level: float = 0.95) -> Interval:
    r"""Estimate a mean per event with clustered t limits: the difference of two shares of the same events.

    Where each event carries -1, 0 or 1 (one flag minus another), the mean over events is the difference of the two
    shares, and what they have in common within an event and a cluster is accounted for:
    :math:`m \pm t_{1-\alpha/2,\,k-1} \sqrt{v}` with the linearised variance :math:`v` between :math:`k` clusters.

    Parameters
    ----------
    sums
        Sum of the values of a cluster's events, per cluster.
    totals
        Number of events, per cluster. A cluster with none does not count.
    level
        Confidence level.

    Returns
    -------
    Interval
        ``estimate``, ``lower``, ``upper`` in the unit of the values. The limits are NaN with fewer than two clusters,
        the estimate without events. Where all clusters have the same mean, the limits coincide with it, as in R.

    Raises
    ------
    ParameterError
        Where ``level`` is not between 0 and 1.

    Notes
    -----
    In R: ``m <- survey::svymean(~x, svydesign(ids = ~cluster, weights = ~1)); confint(m, df = degf(design))``.

    Examples
    --------
    >>> estimate, lower, upper = difference_interval([2, -1, 3, 4, 1], [10, 8, 9, 12, 14])
    >>> print(f"{estimate:.3f} [{lower:.3f}, {upper:.3f}]")
    0.170 [-0.046, 0.386]
    """
    return only(mean_limits(ratio_means(sums, totals, one_group(np.size(totals))), level=level))


def mean_limits(means: RatioMeans, *, level: float) -> Intervals:
    """Return the limits of ``difference_interval`` for the means of many groups."""
    alpha = 1 - check_open_unit("level", level)
    margin = t_quantiles(1 - alpha / 2, means.n_clusters - 1) * np.sqrt(means.variance)
    return Intervals(means.estimate, means.estimate - margin, means.estimate + margin)


def effective_sample_size(successes: ArrayLike, totals: ArrayLike) -> EffectiveSample:
    r"""Return how many independent events a share of clustered events is worth.

    :math:`p (1 - p) / v` with the linearised variance :math:`v` between clusters (Kish 1965, Survey Sampling; without
    the correction for few clusters that ``share_interval`` adds). Where all clusters have the same share, :math:`v` is
    zero and each cluster counts as one event, as in ``share_interval``.

    Parameters
    ----------
    successes
        Events that count, per cluster.
    totals
        All events, per cluster. A cluster with none does not count.

    Returns
    -------
    EffectiveSample
        ``n_effective`` and ``design_effect`` (= events / n_effective); both NaN with fewer than two clusters.

    Examples
    --------
    >>> size = effective_sample_size([9, 1, 5], [10, 10, 10])
    >>> print(f"30 events are worth {size.n_effective:.1f}, a design effect of {size.design_effect:.1f}")
    30 events are worth 4.7, a design effect of 6.4
    """
    shares = ratio_means(successes, totals, one_group(np.size(totals)))
    n_effective = float(effective_sizes(shares)[0])
    return EffectiveSample(n_effective, float(shares.n_events[0]) / n_effective)


def largest_cluster_share(totals: ArrayLike) -> float:
    """Return the share of all events that the largest cluster holds.

    Parameters
    ----------
    totals
        Number of events, per cluster.

    Returns
    -------
    float
        A share in (0, 1]; NaN without events.

    Examples
    --------
    >>> largest_cluster_share([1, 6, 1])
    0.75
    """
    return float(largest_shares(totals, one_group(np.size(totals)))[0])


def largest_shares(totals: ArrayLike, groups: Groups) -> NDArray[np.float64]:
    """Return ``largest_cluster_share`` for each of many groups."""
    n = np.asarray(totals, dtype=np.float64)
    largest = np.zeros(groups.n)
    np.maximum.at(largest, groups.of, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        return largest / groups.add_up(n)
