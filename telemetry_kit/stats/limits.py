"""From an estimate, its error and its degrees of freedom to confidence intervals and to answers of tests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from telemetry_kit.stats.influence import Estimates

NO_ERROR = 1e-12
"""A smaller standard error is what rounding leaves of none."""


class Limits(NamedTuple):
    """The ends of confidence intervals, one of each per group; NaN where they cannot be computed."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


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


def t_quantiles(probability: float, df: ArrayLike) -> NDArray[np.float64]:
    """Return quantiles of Student's t distribution, NaN where ``df`` is not positive."""
    from scipy.special import stdtrit

    # Groups are many and their degrees of freedom may be few: to find those that differ is quicker than a quantile.
    distinct, place = np.unique(np.asarray(df, dtype=np.float64), return_inverse=True)
    return np.asarray(stdtrit(distinct, probability), dtype=np.float64)[place]


def mean_limits(
    estimate: ArrayLike, error: ArrayLike, df: ArrayLike, *, level: float, within: tuple[float, float] | None = None
) -> Limits:
    r"""Return the intervals of means, or of differences of means: :math:`\hat\theta \mp t_{1-\alpha/2,\,df}\,s`.

    Where the error is zero, clusters do not differ at all, so that nothing tells how much they could: NaN.

    Parameters
    ----------
    estimate, error, df
        Estimates, their standard errors and their degrees of freedom, as of ``Estimates`` or ``Differences``.
    level
        Confidence level.
    within
        The range of the estimates, at which intervals are cut: (-1, 1) for differences of shares.

    Raises
    ------
    ParameterError
        Where ``level`` is not between 0 and 1.

    Examples
    --------
    >>> from telemetry_kit.stats import count_clusters, estimate_means, one_group
    >>> means = estimate_means([2, -1, 3, 4, 1], count_clusters([10, 8, 9, 12, 14], one_group(5)))
    >>> lower, upper = mean_limits(means.estimate, means.error, means.df, level=0.95, within=(-1, 1))
    >>> print(f"{lower[0]:.3f}, {upper[0]:.3f}")
    -0.049, 0.389
    """
    alpha = 1 - check_open_unit("level", level)
    theta, s = np.asarray(estimate, dtype=np.float64), np.asarray(error, dtype=np.float64)
    margin = t_quantiles(1 - alpha / 2, df) * np.where(s > NO_ERROR * np.maximum(np.abs(theta), 1), s, math.nan)
    lowest, highest = within or (-math.inf, math.inf)
    return Limits(np.maximum(theta - margin, lowest), np.minimum(theta + margin, highest))


def share_limits(shares: Estimates, *, level: float) -> Limits:
    r"""Return the intervals of shares after Korn and Graubard, with the given error and degrees of freedom.

    The exact binomial interval of Clopper and Pearson at an effective sample size, which is at most the number of
    units:

    .. math::

        n^* = \min\left\{N, \frac{p (1 - p)}{v}
            \left(\frac{t_{\alpha/2,\,N-1}}{t_{\alpha/2,\,df}}\right)^2\right\}, \qquad
        \left[B_{\alpha/2}(n^* p,\; n^* (1 - p) + 1),\; B_{1-\alpha/2}(n^* p + 1,\; n^* (1 - p))\right]

    with the quantile :math:`B` of the beta distribution. Where clusters do not differ, above all at 0 and 1, :math:`v`
    is zero and says nothing; each cluster then counts as one trial.

    Parameters
    ----------
    shares
        Shares of the units of many groups, as of ``estimate_shares`` or ``as_shares``.
    level
        Confidence level.

    Returns
    -------
    Limits
        Shares in [0, 1]; NaN with fewer than two clusters.

    Raises
    ------
    ParameterError
        Where ``level`` is not between 0 and 1.

    Notes
    -----
    Korn and Graubard (1998), Survey Methodology 24:193-201; Parker et al. (2017), National Center for Health Statistics
    Data Presentation Standards for Proportions, for the bound.

    Examples
    --------
    >>> from telemetry_kit.stats import count_clusters, estimate_shares, one_group
    >>> shares = estimate_shares([7, 3, 5, 9, 6], count_clusters([10, 8, 9, 12, 14], one_group(5)))
    >>> lower, upper = share_limits(shares, level=0.95)
    >>> print(f"{lower[0]:.3f}, {upper[0]:.3f}")
    0.337, 0.776
    """
    alpha = 1 - check_open_unit("level", level)
    return beta_limits(shares.estimate, effective_sizes(shares, shares.estimate, alpha), alpha)


def effective_sizes(shares: Estimates, at: ArrayLike, alpha: float) -> NDArray[np.float64]:
    """Return the effective sample size of ``share_limits`` for a share ``at`` that has the error of ``shares``."""
    p, clusters = np.asarray(at, dtype=np.float64), shares.clusters
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = t_quantiles(alpha / 2, clusters.n_units - 1) / t_quantiles(alpha / 2, shares.df)
        size = np.minimum(clusters.n_units, p * (1 - p) / shares.variance * ratio**2)
    return np.where(shares.error < NO_ERROR, clusters.n_clusters, size)


def beta_limits(share: ArrayLike, n_trials: ArrayLike, alpha: float) -> Limits:
    """Return the intervals of Clopper and Pearson for shares of numbers of trials that need not be whole."""
    from scipy.special import betaincinv

    p, n = np.broadcast_arrays(np.asarray(share, dtype=np.float64), np.asarray(n_trials, dtype=np.float64))
    yes, no = n * p, n * (1 - p)
    lower, upper = np.where(np.isnan(yes), math.nan, np.array([[0.0], [1.0]]))
    betaincinv(yes, no + 1, alpha / 2, out=lower, where=yes > 0)
    betaincinv(yes + 1, no, 1 - alpha / 2, out=upper, where=no > 0)
    return Limits(lower, upper)


def kish_sizes(shares: Estimates) -> NDArray[np.float64]:
    """Return how many independent units would give each share the same variance; the clusters' number where it is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        size = shares.estimate * (1 - shares.estimate) / shares.variance
    return np.where(shares.error < NO_ERROR, shares.clusters.n_clusters, size)


def p_values(difference: ArrayLike, error: ArrayLike, df: ArrayLike) -> NDArray[np.float64]:
    """Return the two-sided probability of a difference at least as large were there none, by Student's t.

    NaN where the error or the degrees of freedom are.

    Examples
    --------
    >>> p_values([0.2, 0.0], [0.1, 0.1], [8.0, 8.0]).round(3)
    array([0.081, 1.   ])
    """
    from scipy.special import stdtr

    with np.errstate(divide="ignore", invalid="ignore"):
        t = -np.abs(np.asarray(difference, dtype=np.float64)) / np.asarray(error, dtype=np.float64)
    below: NDArray[np.float64] = stdtr(np.asarray(df, dtype=np.float64), t)
    return np.minimum(2 * below, 1.0)


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Return p values adjusted for their number after Holm (1979), Scandinavian Journal of Statistics 6:65-70.

    As ``p.adjust(p, "holm")`` in R: NaN are left out and stay NaN.

    Examples
    --------
    >>> holm([0.01, 0.04, float("nan"), 0.03])
    array([0.03, 0.06,  nan, 0.06])
    """
    given = np.asarray(p, dtype=np.float64)
    adjusted = np.full(given.shape, math.nan)
    known = np.flatnonzero(~np.isnan(given))
    order = known[np.argsort(given[known], kind="stable")]
    steps = np.maximum.accumulate(given[order] * np.arange(order.size, 0, -1))
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def detectable_differences(error: ArrayLike, df: ArrayLike, *, level: float, power: float = 0.8) -> NDArray[np.float64]:
    r"""Return the smallest true difference that a comparison with this error and these degrees of freedom would show.

    :math:`(t_{1-\alpha/2,\,df} + t_{\mathit{power},\,df})\,s` (Bloom 1995, Evaluation Review 19:547-556): it would be
    told from none at that level in a share ``power`` of repetitions.

    Raises
    ------
    ParameterError
        Where ``level`` or ``power`` is not between 0 and 1.

    Examples
    --------
    >>> detectable_differences([0.05], [12.0], level=0.95).round(3)
    array([0.153])
    """
    alpha = 1 - check_open_unit("level", level)
    check_open_unit("power", power)
    return (t_quantiles(1 - alpha / 2, df) + t_quantiles(power, df)) * np.asarray(error, dtype=np.float64)
