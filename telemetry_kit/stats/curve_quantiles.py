"""The quantiles of a survival curve, and their intervals out of its band."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from telemetry_kit.stats.limits import Limits, check_open_unit
from telemetry_kit.stats.survival import TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from telemetry_kit.stats.survival import SurvivalCurve


def curve_quantiles(curve: SurvivalCurve, probabilities: Sequence[float]) -> NDArray[np.float64]:
    """Return the times by which given shares have ended.

    The first time at which the curve falls to ``1 - p`` or below; where it is level at exactly that height, the middle
    of that stretch, which reaches to the last time where it falls no further.

    Parameters
    ----------
    curve
        What ``survival_curve`` returned.
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
    >>> from telemetry_kit.stats import survival_curve
    >>> curve = survival_curve([1, 2, 4, 6], [1, 1, 1, 0], [0, 0, 1, 1])
    >>> curve_quantiles(curve, [0.25, 0.5, 0.75, 0.9])
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


def curve_quantile_limits(curve: SurvivalCurve, probabilities: Sequence[float]) -> Limits:
    """Return the confidence intervals of ``curve_quantiles``: the first times at which the band's edges fall so far.

    Parameters
    ----------
    curve
        What ``survival_curve`` returned; its level is the level of the intervals.
    probabilities
        As for ``curve_quantiles``.

    Returns
    -------
    Limits
        One of each per probability, in the unit of the durations; NaN where the edge never falls so far.

    Notes
    -----
    Brookmeyer and Crowley (1982), Biometrics 38:29-41.

    Examples
    --------
    >>> from telemetry_kit.stats import survival_curve
    >>> curve = survival_curve(range(1, 13), [1] * 12, range(12))
    >>> curve_quantile_limits(curve, [0.5])
    Limits(lower=array([1.]), upper=array([10.]))
    """
    heights = [1 - check_open_unit("probabilities", probability) + TOLERANCE for probability in probabilities]

    def first(edge: NDArray[np.float64], height: float) -> float:
        is_there = edge <= height
        return float(curve.time[np.argmax(is_there)]) if is_there.any() else math.nan

    return Limits(*(np.array([first(edge, height) for height in heights]) for edge in (curve.lower, curve.upper)))
