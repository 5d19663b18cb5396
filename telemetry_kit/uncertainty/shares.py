"""Shares and means of events that come in clusters, from one sum and one count per cluster."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit.uncertainty.clusters import Interval, check_open_unit, ratio_mean, t_quantile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from telemetry_kit.uncertainty.clusters import RatioMean


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
    alpha = 1 - check_open_unit("level", level)
    share = ratio_mean(successes, totals)
    if math.isnan(share.variance):
        return Interval(share.estimate, math.nan, math.nan)
    n_effective = _effective_size(share)
    if share.variance > 0:
        n_effective *= (t_quantile(alpha / 2, share.n_events - 1) / t_quantile(alpha / 2, share.n_clusters - 1)) ** 2
    return Interval(share.estimate, *_clopper_pearson(share.estimate, n_effective, alpha))


def _effective_size(share: RatioMean) -> float:
    if share.variance == 0:
        return float(share.n_clusters)
    return share.estimate * (1 - share.estimate) / share.variance


def _clopper_pearson(share: float, n_trials: float, alpha: float) -> tuple[float, float]:
    from scipy.special import betaincinv

    yes, no = n_trials * share, n_trials * (1 - share)
    lower = float(betaincinv(yes, no + 1, alpha / 2)) if yes > 0 else 0.0
    upper = float(betaincinv(yes + 1, no, 1 - alpha / 2)) if no > 0 else 1.0
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
    alpha = 1 - check_open_unit("level", level)
    mean = ratio_mean(sums, totals)
    margin = t_quantile(1 - alpha / 2, mean.n_clusters - 1) * math.sqrt(mean.variance)
    return Interval(mean.estimate, mean.estimate - margin, mean.estimate + margin)


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
    share = ratio_mean(successes, totals)
    if math.isnan(share.variance):
        return EffectiveSample(math.nan, math.nan)
    n_effective = _effective_size(share)
    return EffectiveSample(n_effective, share.n_events / n_effective)


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
    n = np.asarray(totals, dtype=np.float64)
    return float(n.max() / n.sum()) if n.any() else math.nan
