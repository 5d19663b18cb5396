"""The Kaplan-Meier curve of clustered, censored durations, its band and its quantiles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit.engine.grouping import number_labels
from telemetry_kit.stats.clusters import check_open_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

# Closer than this, two times or two heights of a curve are one: R's tolerance, the root of the machine's precision.
TOLERANCE = math.sqrt(np.finfo(np.float64).eps)


class SurvivalCurve(NamedTuple):
    """A survival curve: one entry per distinct time, ascending, of events and censorings alike.

    Attributes
    ----------
    time
        Distinct times, in the unit of the durations.
    n_at_risk
        Durations that had neither ended nor been censored before that time.
    n_observed
        Durations that ended at that time.
    n_censored
        Durations that were censored at that time.
    survival
        Estimated share that lasts longer than that time.
    lower, upper
        Pointwise confidence limits; NaN where the curve is still 1 or already 0, and with fewer than two clusters.
    """

    time: NDArray[np.float64]
    n_at_risk: NDArray[np.int64]
    n_observed: NDArray[np.int64]
    n_censored: NDArray[np.int64]
    survival: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def kaplan_meier(
    durations: ArrayLike, observed: ArrayLike, clusters: ArrayLike, *, level: float = 0.95
) -> SurvivalCurve:
    r"""Estimate how long things last, some of them still lasting, with a band that respects clusters.

    The estimate is the product-limit :math:`S(t) = \prod_{t_l \le t} (1 - d_l / n_l)` over times :math:`t_l` with
    :math:`d_l` ends among :math:`n_l` at risk. The variance of :math:`\log S` is the clustered infinitesimal
    jackknife: the sum over clusters of the squared sum of their durations' influences

    .. math:: U_i(t) = -\sum_{t_l \le t} \frac{dN_i(t_l) - Y_i(t_l)\, d_l / n_l}{n_l - d_l},

    :math:`Y_i` saying whether duration i is at risk and :math:`dN_i` whether it ends. The limits are symmetric on the
    scale of :math:`\log(-\log S)`.

    Parameters
    ----------
    durations
        Durations, none of them null.
    observed
        True where the duration's end was seen, False where it is censored.
    clusters
        Integer code of the cluster of each duration.
    level
        Confidence level of the pointwise band.

    Returns
    -------
    SurvivalCurve
        One entry per distinct time. Times within R's tolerance of the one before (1.5e-8, absolute or as a part of the
        mean distinct time) count as one, the earliest of them. Empty without durations.

    Raises
    ------
    ParameterError
        Where ``level`` is not between 0 and 1.

    Notes
    -----
    Kaplan and Meier (1958), JASA 53:457-481; Williams (1995), Lifetime Data Analysis 1:171-186; Kalbfleisch and
    Prentice (2002), The Statistical Analysis of Failure Time Data. In R:
    ``survival::survfit(Surv(durations, observed) ~ 1, cluster = clusters, conf.int = level, conf.type = "log-log")``.
    Takes time in the order of n log n and memory in the order of n, whatever the number of clusters.

    Examples
    --------
    >>> curve = kaplan_meier([1, 2, 2, 3, 5, 8], [1, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2])
    >>> curve.time
    array([1., 2., 3., 5., 8.])
    >>> curve.survival.round(3)
    array([0.833, 0.667, 0.444, 0.444, 0.   ])
    """
    alpha = 1 - check_open_unit("level", level)
    lengths, is_observed = np.asarray(durations, dtype=np.float64), np.asarray(observed, dtype=bool)
    _, codes = number_labels(clusters)
    order = _fixed_order(lengths, is_observed, codes)
    lengths, is_observed, codes = lengths[order], is_observed[order], codes[order]
    time, index = _distinct_times(lengths)
    n_observed = np.bincount(index[is_observed], minlength=time.size)
    n_censored = np.bincount(index[~is_observed], minlength=time.size)
    n_ended = np.cumsum(n_observed + n_censored)
    n_at_risk = index.size - np.concatenate([[0], n_ended[:-1]]) if time.size else n_ended
    survival: NDArray[np.float64] = np.cumprod((n_at_risk - n_observed) / n_at_risk, dtype=np.float64)
    error = _log_survival_error(index, is_observed, codes, n_at_risk, n_observed)
    lower, upper = _log_log_band(survival, error, alpha)
    return SurvivalCurve(time, n_at_risk, n_observed, n_censored, survival, lower, upper)


def _fixed_order(
    lengths: NDArray[np.float64], is_observed: NDArray[np.bool_], codes: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Sort durations, and equal ones by the rest, so that the last digit of a sum does not tell how they came."""
    order = np.argsort(lengths)
    gap = np.diff(lengths[order], prepend=-math.inf, append=math.inf)
    # To sort by all three at once takes ten times as long, and most durations have no equal.
    is_tied = (gap[:-1] == 0) | (gap[1:] == 0)
    tied = order[is_tied]
    order[is_tied] = tied[np.lexsort((codes[tied], is_observed[tied], lengths[tied]))]
    return order


def _distinct_times(lengths: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the distinct times of sorted durations, and for each the index of its own, as R tells them apart."""
    begins = np.flatnonzero(np.diff(lengths, prepend=-math.inf))
    time = lengths[begins]
    if time.size == 0:
        return time, begins
    gap = np.diff(time, prepend=-math.inf)
    is_new = gap > TOLERANCE * max(1.0, float(np.abs(time).mean()))
    at = np.zeros(lengths.size, dtype=np.intp)
    at[begins[is_new]] = 1
    return time[is_new], np.cumsum(at) - 1


def _log_survival_error(
    index: NDArray[np.intp],
    is_observed: NDArray[np.bool_],
    codes: NDArray[np.intp],
    n_at_risk: NDArray[np.int64],
    n_observed: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the standard error of the log of the curve at each time, NaN with fewer than two clusters.

    ``index`` is ascending. A cluster's influence at time t is B + R G: G, the same for all, sums d / (n (n - d)) up to
    t; R counts its durations that go on beyond t; B sums, over those that do not, G at their own time, less 1 / (n - d)
    there where they ended. B and R change at the cluster's own times only, so the sums over clusters of B², B R and R²
    are running sums of one change per duration, and no table of clusters by times is ever laid out.
    """
    if codes.size == 0 or codes.max() == 0:
        return np.full(n_at_risk.shape, math.nan)
    n_left = n_at_risk - n_observed
    # Nobody is left only at the last time, where the curve is 0 and has no band.
    per_end = np.divide(1.0, n_left, out=np.zeros(n_left.shape), where=n_left > 0)
    g = np.cumsum(n_observed / n_at_risk * per_end)

    # The durations are sorted, and a sort of small integers that keeps their order is far faster than one of large.
    order = np.argsort(codes.astype(np.uint16) if codes.max() < 1 << 16 else codes, kind="stable")
    cluster, at = codes[order], index[order]
    sizes = np.bincount(cluster)
    starts = np.cumsum(sizes) - sizes
    change = g[at] - per_end[at] * is_observed[order]
    running = np.cumsum(change)
    before = running - change
    b_before = before - before[starts][cluster]
    b_after = b_before + change
    r_after = (starts + sizes)[cluster] - 1 - np.arange(cluster.size)

    def over_time(changes: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.cumsum(np.bincount(at, changes, minlength=g.size), dtype=np.float64)

    b_b = over_time(change * (b_before + b_after))
    b_r = over_time(b_after * r_after - b_before * (r_after + 1))
    r_r = float(np.sum(sizes.astype(np.float64) ** 2)) - over_time(2.0 * r_after + 1)
    # Rounding may leave a little less than nothing.
    return np.sqrt(np.maximum(b_b + g * (2 * b_r + g * r_r), 0.0))


def _log_log_band(
    survival: NDArray[np.float64], error: NDArray[np.float64], alpha: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    from scipy.special import ndtri

    log_survival = np.log(np.where((survival > 0) & (survival < 1), survival, math.nan))
    factor = np.exp(float(ndtri(1 - alpha / 2)) * error / -log_survival)
    return np.exp(log_survival * factor), np.exp(log_survival / factor)


def survival_quantiles(curve: SurvivalCurve, probabilities: Sequence[float]) -> NDArray[np.float64]:
    """Return the times by which given shares have ended.

    The first time at which the curve falls to ``1 - p`` or below; where it is level at exactly that height, the middle
    of that stretch, which reaches to the last time where it falls no further.

    Parameters
    ----------
    curve
        What ``kaplan_meier`` returned.
    probabilities
        Shares that have ended, each between 0 and 1: 0.25, 0.5 and 0.75 for quartiles.

    Returns
    -------
    numpy.ndarray
        One time per probability, in the unit of the durations; NaN where the curve does not fall so far.

    Raises
    ------
    ParameterError
        Where a probability is not between 0 and 1.

    Notes
    -----
    In R: ``quantile(survival::survfit(...), probabilities)$quantile``.

    Examples
    --------
    >>> curve = kaplan_meier([1, 2, 4, 6], [1, 1, 1, 0], [0, 0, 1, 1])
    >>> survival_quantiles(curve, [0.25, 0.5, 0.75, 0.9])
    array([1.5, 3. , 5. ,  nan])
    """
    wanted = np.array([check_open_unit("probabilities", probability) for probability in probabilities])
    if curve.time.size == 0:
        return np.full(wanted.shape, math.nan)
    ended = 1 - curve.survival
    reached = np.searchsorted(ended, wanted - TOLERANCE)
    passed = np.minimum(np.searchsorted(ended, wanted + TOLERANCE), curve.time.size - 1)
    time = np.append(curve.time, math.nan)
    result: NDArray[np.float64] = (time[reached] + time[passed]) / 2
    return result


def median_limits(curve: SurvivalCurve) -> tuple[float, float]:
    """Return the confidence limits of the median: where the edges of the band fall to one half.

    Parameters
    ----------
    curve
        What ``kaplan_meier`` returned; its level is the level of the limits.

    Returns
    -------
    tuple of float
        The first times at which ``lower`` and at which ``upper`` are at or below one half, in the unit of the
        durations; NaN where that never happens, times without a band left out.

    Notes
    -----
    Brookmeyer and Crowley (1982), Biometrics 38:29-41. In R, for a curve ``f``:
    ``f$time[which(f$lower <= 0.5)[1]]`` and ``f$time[which(f$upper <= 0.5)[1]]``, except that an edge within rounding
    of one half counts as there.

    Examples
    --------
    >>> clusters = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    >>> curve = kaplan_meier([5, 8, 11, 14, 20, 26, 31, 40, 52, 60], [1, 1, 0, 1, 1, 1, 0, 1, 1, 1], clusters)
    >>> median_limits(curve)
    (8.0, 52.0)
    """
    return _first_at_half(curve.time, curve.lower), _first_at_half(curve.time, curve.upper)


def _first_at_half(time: NDArray[np.float64], edge: NDArray[np.float64]) -> float:
    is_at_half = edge <= 0.5 + TOLERANCE
    return float(time[np.argmax(is_at_half)]) if is_at_half.any() else math.nan
