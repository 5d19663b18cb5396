"""The Kaplan-Meier curve of clustered, censored durations: its band, its heights and the area below it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit.engine.grouping import number_labels
from telemetry_kit.stats.influence import count_clusters, estimate_from_influence, one_group
from telemetry_kit.stats.limits import check_open_unit, t_quantiles

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from telemetry_kit.stats.influence import Clusters, Estimates

# Closer than this, two times or two heights of a curve are one: R's tolerance, the root of the machine's precision.
TOLERANCE = math.sqrt(np.finfo(np.float64).eps)
# Closer than this to 0 or 1, a curve has no band.
EDGE = 1e-12
_FROM_START = -1
"""The place of the time at which a duration that is seen from its start enters."""


class SurvivalCurve(NamedTuple):
    """A survival curve: one entry per distinct time, ascending, of ends and censorings alike.

    Attributes
    ----------
    time
        Distinct times, in the unit of the durations.
    n_at_risk
        Durations that had been entered before that time, and had neither ended nor been censored.
    n_observed
        Durations that ended at that time.
    n_censored
        Durations that were censored at that time.
    survival
        Estimated share that lasts longer than that time.
    df
        Degrees of freedom of its error; NaN where there is no band.
    lower, upper
        Pointwise confidence intervals; NaN where the curve is still 1 or already 0, and with fewer than two clusters.
    """

    time: NDArray[np.float64]
    n_at_risk: NDArray[np.int64]
    n_observed: NDArray[np.int64]
    n_censored: NDArray[np.int64]
    survival: NDArray[np.float64]
    df: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


class _Durations(NamedTuple):
    """Durations in ascending order, and the curve at each of their distinct times.

    ``at`` is the place of a duration's time among the distinct ones, ``entered`` that of the last one at which it was
    not yet at risk. ``hazard`` sums d / (n (n - d)) up to each time, ``per_end`` is 1 / (n - d) there: together they
    give what each duration contributes to the logarithm of the curve.
    """

    time: NDArray[np.float64]
    at: NDArray[np.intp]
    entered: NDArray[np.intp]
    is_observed: NDArray[np.bool_]
    codes: NDArray[np.intp]
    n_at_risk: NDArray[np.int64]
    n_observed: NDArray[np.int64]
    survival: NDArray[np.float64]
    hazard: NDArray[np.float64]
    per_end: NDArray[np.float64]


def survival_curve(
    durations: ArrayLike,
    observed: ArrayLike,
    clusters: ArrayLike,
    *,
    entry: ArrayLike | None = None,
    level: float = 0.95,
) -> SurvivalCurve:
    r"""Estimate how long things last, some of them still lasting, with a band that respects clusters.

    The estimate is the product-limit :math:`S(t) = \prod_{t_l \le t} (1 - d_l / n_l)` over times :math:`t_l` with
    :math:`d_l` ends among :math:`n_l` at risk. A duration's influence on it is the infinitesimal jackknife

    .. math:: u_i(t) = -S(t) \sum_{t_l \le t} \frac{dN_i(t_l) - Y_i(t_l)\, d_l / n_l}{n_l - d_l},

    :math:`Y_i` saying whether duration i is at risk and :math:`dN_i` whether it ends. Its sums over clusters give the
    CR2 variance and the degrees of freedom, as for a mean, and the intervals are symmetric on the scale of
    :math:`\log(-\log S)` with Student's t.

    Parameters
    ----------
    durations
        Durations, none of them null.
    observed
        True where the duration's end was seen, False where it is censored.
    clusters
        Integer code of the cluster of each duration.
    entry
        How long each duration had lasted when it was first seen; null where it was seen from its start. One that was
        first seen no earlier than it was last seen tells nothing, and does not count.
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
    Kaplan and Meier (1958), JASA 53:457-481; Jaeckel (1972), the infinitesimal jackknife; Kalbfleisch and Prentice
    (2002), The Statistical Analysis of Failure Time Data. In R the curve is ``survfit(Surv(durations, observed) ~ 1)``
    (``Surv(entry, durations, observed)``), the influence ``residuals(curve, times = t, type = "survival")``, and error
    and degrees of freedom those of ``estimate_from_influence`` and ``count_clusters``. Takes time in the order of n log
    n and memory in the order of n, whatever the number of clusters.

    Examples
    --------
    >>> curve = survival_curve([1, 2, 2, 3, 5, 8], [1, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2])
    >>> curve.time
    array([1., 2., 3., 5., 8.])
    >>> curve.survival.round(3)
    array([0.833, 0.667, 0.444, 0.444, 0.   ])
    """
    alpha = 1 - check_open_unit("level", level)
    _, codes = number_labels(clusters)
    given = _in_order(durations, observed, codes, entry)
    n_censored = np.bincount(given.at[~given.is_observed], minlength=given.time.size)
    totals = np.bincount(given.codes)
    spread = count_clusters(totals, one_group(totals.size))
    has_band = (given.survival > EDGE) & (given.survival < 1 - EDGE)
    df = np.where(has_band, spread.df[0], math.nan)
    log_survival = np.log(np.where(has_band, given.survival, math.nan))
    error = _log_survival_error(given, spread) if spread.n_clusters[0] > 1 else np.full(df.shape, math.nan)
    factor = np.exp(float(t_quantiles(1 - alpha / 2, spread.df)[0]) * error / -log_survival)
    lower, upper = np.exp(log_survival * factor), np.exp(log_survival / factor)
    return SurvivalCurve(given.time, given.n_at_risk, given.n_observed, n_censored, given.survival, df, lower, upper)


def _in_order(durations: ArrayLike, observed: ArrayLike, clusters: ArrayLike, entry: ArrayLike | None) -> _Durations:
    """Sort durations and compute their curve."""
    lengths, is_observed = np.asarray(durations, dtype=np.float64), np.asarray(observed, dtype=bool)
    codes = np.asarray(clusters, dtype=np.int64)
    entries = None if entry is None else np.asarray(entry, dtype=np.float64)
    if entries is not None:
        entries = np.where(entries > 0, entries, -math.inf)
        is_seen = entries < lengths
        lengths, is_observed, codes, entries = lengths[is_seen], is_observed[is_seen], codes[is_seen], entries[is_seen]
    order = _fixed_order(lengths, is_observed, codes, entries)
    lengths, is_observed, codes = lengths[order], is_observed[order], codes[order]
    time, index, tolerance = _distinct_times(lengths)
    n_observed = np.bincount(index[is_observed], minlength=time.size)
    n_at_risk = _n_from(index, time.size)
    entered = np.full(index.size, _FROM_START, dtype=np.intp)
    if entries is not None:
        entered = np.searchsorted(time, entries[order] + tolerance, side="right") - 1
        # What is seen for less than the tolerance is at risk when it is last seen.
        entered = np.minimum(entered, index - 1)
        n_at_risk = n_at_risk - _n_from(entered[entered > _FROM_START], time.size)
    n_left = n_at_risk - n_observed
    survival: NDArray[np.float64] = np.cumprod(n_left / n_at_risk, dtype=np.float64)
    # Where nobody is left, the curve is 0 from then on and no duration has an influence.
    per_end = np.divide(1.0, n_left, out=np.zeros(n_left.shape), where=n_left > 0)
    hazard: NDArray[np.float64] = np.cumsum(n_observed / n_at_risk * per_end, dtype=np.float64)
    return _Durations(time, index, entered, is_observed, codes, n_at_risk, n_observed, survival, hazard, per_end)


def _n_from(places: NDArray[np.intp], n_places: int) -> NDArray[np.int64]:
    """Return for each place how many of ``places`` are there or later."""
    return np.cumsum(np.bincount(places, minlength=n_places)[::-1])[::-1]


def _fixed_order(
    lengths: NDArray[np.float64],
    is_observed: NDArray[np.bool_],
    codes: NDArray[np.intp],
    entries: NDArray[np.float64] | None,
) -> NDArray[np.intp]:
    """Sort durations, and equal ones by the rest, so that the last digit of a sum does not tell how they came."""
    order = np.argsort(lengths)
    gap = np.diff(lengths[order], prepend=-math.inf, append=math.inf)
    # To sort by all at once takes ten times as long, and most durations have no equal.
    is_tied = (gap[:-1] == 0) | (gap[1:] == 0)
    tied = order[is_tied]
    rest = [] if entries is None else [entries[tied]]
    order[is_tied] = tied[np.lexsort((*rest, codes[tied], is_observed[tied], lengths[tied]))]
    return order


def _distinct_times(lengths: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp], float]:
    """Return the distinct times of sorted durations, for each its place among them, and how close two may be."""
    begins = np.flatnonzero(np.diff(lengths, prepend=-math.inf))
    time = lengths[begins]
    if time.size == 0:
        return time, begins, 0.0
    tolerance = TOLERANCE * max(1.0, float(np.abs(time).mean()))
    is_new = np.diff(time, prepend=-math.inf) > tolerance
    at = np.zeros(lengths.size, dtype=np.intp)
    at[begins[is_new]] = 1
    return time[is_new], np.cumsum(at) - 1, tolerance


def _log_survival_error(given: _Durations, clusters: Clusters) -> NDArray[np.float64]:
    """Return the standard error of the log of the curve at each time.

    A cluster's influence at time t is B + R G: G is the hazard up to t, the same for all; R counts its durations that
    are at risk beyond t; B sums, over those that no longer are, G at their own time, less 1 / (n - d) there where they
    ended, and over those that were entered late, less G at their entry. B and R change at the cluster's own times only,
    so the sums over clusters of B², B R and R² are running sums of one change per duration, and no table of clusters by
    times is ever laid out.
    """
    g, is_late = given.hazard, given.entered > _FROM_START
    at, codes = given.at, given.codes
    change_b, change_r = g[at] - given.per_end[at] * given.is_observed, np.full(at.size, -1.0)
    sizes = clusters.n.copy()
    if is_late.any():
        entered = given.entered[is_late]
        at, codes = np.concatenate([at, entered]), np.concatenate([codes, codes[is_late]])
        change_b = np.concatenate([change_b, -g[entered]])
        change_r = np.concatenate([change_r, np.ones(entered.size)])
        sizes -= np.bincount(given.codes[is_late], minlength=sizes.size)
        in_time = np.lexsort((change_r, at))
        at, codes, change_b, change_r = at[in_time], codes[in_time], change_b[in_time], change_r[in_time]
    # All is in order of time, and a sort of small integers that keeps their order is far faster than one of large.
    order = np.argsort(codes.astype(np.uint16) if codes.max() < 1 << 16 else codes, kind="stable")
    at, codes, change_b, change_r = at[order], codes[order], change_b[order], change_r[order]
    n_changes = np.bincount(codes, minlength=sizes.size)
    starts = np.cumsum(n_changes) - n_changes

    def before(change: NDArray[np.float64]) -> NDArray[np.float64]:
        running = np.cumsum(change) - change
        until: NDArray[np.float64] = running - running[starts][codes]
        return until

    def over_time(change: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.cumsum(np.bincount(at, change * weight, minlength=g.size), dtype=np.float64)

    weight = clusters.correction[codes]
    b, r = before(change_b), before(change_r) + sizes[codes]
    b_b = over_time(change_b * (2 * b + change_b))
    b_r = over_time((b + change_b) * (r + change_r) - b * r)
    r_r = float(np.sum(clusters.correction * sizes**2)) + over_time(change_r * (2 * r + change_r))
    # Rounding may leave a little less than nothing.
    return np.sqrt(np.maximum(b_b + g * (2 * b_r + g * r_r), 0.0))


def survival_at(
    durations: ArrayLike,
    observed: ArrayLike,
    clusters: ArrayLike,
    time: float,
    *,
    entry: ArrayLike | None = None,
    n_codes: int | None = None,
) -> Estimates:
    """Return the share that lasts longer than a time, with its error between clusters.

    Parameters
    ----------
    durations, observed, clusters, entry
        As for ``survival_curve``.
    time
        The time, in the unit of the durations. After the last one, the share is what it was there.
    n_codes
        How many codes of clusters there are, where the estimate is to be held against that of another group: each gets
        an entry, be it in the group or not.

    Returns
    -------
    Estimates
        Of one group; the estimate is NaN without durations.

    Notes
    -----
    In R: ``summary(curve, times = time, extend = TRUE)$surv`` with ``residuals(curve, times = time, type =
    "survival")``.

    Examples
    --------
    >>> share = survival_at([1, 2, 2, 3, 5, 8], [1, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2], 4)
    >>> print(f"{share.estimate[0]:.3f}, error {share.error[0]:.3f}")
    0.444, error 0.339
    """
    return _at_time(_in_order(durations, observed, clusters, entry), time, _n_codes(clusters, n_codes), is_area=False)


def restricted_mean(
    durations: ArrayLike,
    observed: ArrayLike,
    clusters: ArrayLike,
    time: float,
    *,
    entry: ArrayLike | None = None,
    n_codes: int | None = None,
) -> Estimates:
    """Return the mean duration up to a time, which is the area below the curve, with its error between clusters.

    Parameters
    ----------
    durations, observed, clusters, entry, n_codes
        As for ``survival_at``.
    time
        The time up to which durations count, in their unit. After the last one, the curve goes on as it was there.

    Returns
    -------
    Estimates
        Of one group, in the unit of the durations; the estimate is NaN without durations.

    Notes
    -----
    In R: ``summary(curve, rmean = time)$table["rmean"]`` with ``residuals(curve, times = time, type = "auc")``.

    Examples
    --------
    >>> mean = restricted_mean([1, 2, 2, 3, 5, 8], [1, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2], 4)
    >>> print(f"{mean.estimate[0]:.3f}, error {mean.error[0]:.3f}")
    2.944, error 0.766
    """
    return _at_time(_in_order(durations, observed, clusters, entry), time, _n_codes(clusters, n_codes), is_area=True)


def _n_codes(clusters: ArrayLike, n_codes: int | None) -> int:
    return int(np.max(clusters, initial=-1)) + 1 if n_codes is None else n_codes


def _at_time(given: _Durations, time: float, n_codes: int, *, is_area: bool) -> Estimates:
    """Return the curve at a time, or the area below it up to then: the sum over times of what an end then takes off."""
    n_before = int(np.searchsorted(given.time, time, side="right"))
    reached, heights = given.time[:n_before], np.append(1.0, given.survival[:n_before])
    if is_area:
        steps = np.diff(np.concatenate([[0.0], reached, [time]])) * heights
        estimate = float(steps.sum())
        taken = np.cumsum(steps[:0:-1])[::-1]
    else:
        estimate = float(heights[-1])
        taken = np.full(n_before, estimate)
    if given.at.size == 0:
        estimate = math.nan
    hazard = np.diff(given.hazard[:n_before], prepend=0.0) * taken
    total = np.concatenate([[0.0], np.cumsum(hazard)])
    is_ended = given.is_observed & (given.at < n_before)
    ends = np.zeros(given.at.size)
    ends[is_ended] = (given.per_end[:n_before] * taken)[given.at[is_ended]]
    influence = total[np.minimum(given.at + 1, n_before)] - total[np.minimum(given.entered + 1, n_before)] - ends
    sums = np.bincount(given.codes, influence, minlength=n_codes)
    totals = np.bincount(given.codes, minlength=n_codes)
    return estimate_from_influence([estimate], sums, count_clusters(totals, one_group(n_codes)))
