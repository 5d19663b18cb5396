"""The medians of two curves of clustered, censored durations held against each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit.stats.comparisons import (
    Comparison,
    compare_estimates,
    correlation_of,
    p_by_level,
    recovered_limits,
)
from telemetry_kit.stats.curve_quantiles import curve_quantiles
from telemetry_kit.stats.limits import check_open_unit, detectable_differences, t_quantiles
from telemetry_kit.stats.medians import carries_extremes
from telemetry_kit.stats.survival import EDGE, survival_at, survival_curve

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from telemetry_kit.stats.influence import Estimates

_LEVEL = 0.95
"""The level of the band from which those of all other levels follow."""


class CurveMedian(NamedTuple):
    """The median of a Kaplan-Meier curve, and what its interval follows from at any level.

    Attributes
    ----------
    median
        The time by which one half has ended; NaN where the curve does not fall so far.
    shares
        The share that lasts longer than the median, with each cluster's influence on it.
    time, survival, spread, df
        The curve; the standard error of log(-log S) at each time, and its degrees of freedom.
    """

    median: float
    shares: Estimates
    time: NDArray[np.float64]
    survival: NDArray[np.float64]
    spread: NDArray[np.float64]
    df: float

    @classmethod
    def of(
        cls,
        durations: ArrayLike,
        observed: ArrayLike,
        clusters: ArrayLike,
        *,
        entry: ArrayLike | None = None,
        n_codes: int | None = None,
    ) -> CurveMedian:
        """Return the median of durations.

        Parameters
        ----------
        durations, observed, clusters, entry, n_codes
            As for ``survival_at``.
        """
        curve = survival_curve(durations, observed, clusters, entry=entry, level=_LEVEL)
        median = float(curve_quantiles(curve, [0.5])[0])
        shares = survival_at(durations, observed, clusters, median, entry=entry, n_codes=n_codes)
        known = curve.df[~np.isnan(curve.df)]
        df = float(known[0]) if known.size else math.nan
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.log(np.log(curve.lower) / np.log(curve.upper)) / 2
        return cls(median, shares, curve.time, curve.survival, ratio / t_quantiles((1 + _LEVEL) / 2, df), df)

    def limits(self, level: float) -> tuple[float, float]:
        """Return the first times at which the edges of the band are at or below one half; NaN where never.

        Nor do too few durations tell that it is at the first end, or at the last one.
        """
        t = float(t_quantiles((1 + level) / 2, self.df))
        with np.errstate(over="ignore", invalid="ignore"):
            factor = np.exp(t * self.spread)
            edges = self.survival**factor, self.survival ** (1 / factor)
        lower, upper = (self._first(edge) for edge in edges)
        if not carries_extremes(self.shares, level)[0]:
            lower = math.nan if lower <= self.time[self.survival < 1].min(initial=math.inf) else lower
            upper = math.nan if upper >= self.time[self.survival <= 0].min(initial=math.inf) else upper
        return lower, upper

    def _first(self, edge: NDArray[np.float64]) -> float:
        is_there = edge <= 0.5 + EDGE
        return float(self.time[np.argmax(is_there)]) if is_there.any() else math.nan


def compare_curve_medians(a: CurveMedian, b: CurveMedian, *, level: float = 0.95) -> Comparison:
    """Estimate the difference of the medians of two curves, ``b - a``, which may share clusters.

    As ``difference_of_medians``, with the intervals of ``curve_quantile_limits`` for either median, and the correlation
    of the two shares that last longer than their median.

    Parameters
    ----------
    a, b
        The medians, with as many codes of clusters (``n_codes``); the same code is the same cluster in both.
    level
        Confidence level.

    Returns
    -------
    Comparison
        ``estimate`` is null where a curve does not fall to one half; all else also where a group has fewer than two
        clusters or too few durations (of 95 %, fewer than six), or an edge of a band does not fall so far.

    Raises
    ------
    ParameterError
        Where ``level`` is not between 0 and 1.

    Notes
    -----
    Zou and Donner (2008), Statistics in Medicine 27:1693-1702, over Brookmeyer and Crowley (1982), Biometrics 38:29-41.

    Examples
    --------
    >>> ended, clusters = [1] * 24, list(range(12)) * 2
    >>> a = CurveMedian.of(range(1, 25), ended, clusters)
    >>> b = CurveMedian.of(range(11, 35), ended, clusters)
    >>> result = compare_curve_medians(a, b)
    >>> print(f"{result.estimate} [{result.lower:.1f}, {result.upper:.1f}]")
    10.0 [5.5, 14.5]
    """
    alpha = 1 - check_open_unit("level", level)
    estimate = b.median - a.median
    correlation = correlation_of(a.shares, b.shares)
    lower, upper = recovered_limits(a, b, correlation, level)
    if math.isnan(lower) or math.isnan(upper):
        return Comparison(estimate, math.nan, math.nan, math.nan, math.nan, math.nan)
    df = float(compare_estimates(a.shares, b.shares).df[0])
    error = (upper - lower) / (2 * float(t_quantiles(1 - alpha / 2, df)))
    detectable = float(detectable_differences(error, df, level=level))
    return Comparison(estimate, df, lower, upper, p_by_level(a, b, correlation), detectable)
