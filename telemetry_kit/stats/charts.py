"""When a series changed: limits for shares and rates that vary more than chance alone, and runs on one side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

SIGMAS = 3
RANGE_TO_SIGMA = 1.128
"""The mean distance between two values of a normal distribution, in standard deviations."""
RUN_ALLOWANCE = 3
"""By how much a run may be longer than the binary logarithm of the number of values."""


class Chart(NamedTuple):
    """A control chart: one entry per value, ``sigma_z`` and ``longest_run`` alike for all.

    Attributes
    ----------
    estimate, center, lower, upper
        The value, the mean of all, and the limits; NaN where there are no trials, the limits also of a single value.
    run
        How many values in a row lie on this side of the center; 0 for one that lies on it, which neither breaks a run
        nor is counted in it.
    sigma_z
        How much more than chance the values vary from one to the next: 1 where chance explains it.
    longest_run
        How long a run may become.
    change
        The place of the value with which another mean most likely began; -1 where no two parts of the series differ by
        more than three standard errors.
    """

    estimate: NDArray[np.float64]
    center: float
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    run: NDArray[np.int64]
    sigma_z: float
    longest_run: int
    change: int


def laney_chart(events: ArrayLike, sizes: ArrayLike, *, is_share: bool) -> Chart:
    r"""Return the chart of a series of shares (p') or rates (u').

    With events :math:`x_i` of sizes :math:`n_i`, the center is :math:`\bar{p} = \sum x_i / \sum n_i`, the standard
    deviation by chance :math:`\sigma_i = \sqrt{\bar{p} (1 - \bar{p}) / n_i}` of a share and
    :math:`\sqrt{\bar{p} / n_i}` of a rate, and the limits :math:`\bar{p} \pm 3 \sigma_i \sigma_z`, where
    :math:`z_i = (x_i / n_i - \bar{p}) / \sigma_i` and :math:`\sigma_z` is the mean of :math:`|z_i - z_{i-1}|` over
    1.128.

    Parameters
    ----------
    events
        How many there were, in the order of time.
    sizes
        Of how many trials, or in what area of opportunity.
    is_share
        Whether ``sizes`` are trials: limits are cut at 1 as well as at 0.

    Returns
    -------
    Chart
        As described there.

    Notes
    -----
    Laney (2002), Quality Engineering 14:531-537; ``qicharts2::qic(chart = "pp")``. Runs: Anhøj and Olesen (2014), PLoS
    ONE 9:e113825: longer than :math:`\log_2 n + 3`, rounded, of :math:`n` values that are not on the center. Change:
    where the parts before and after differ most against their standard error, times :math:`\sigma_z`: the
    maximum-likelihood estimate (Pignatiello and Samuel 2001, Journal of Quality Technology 33:82-95).

    Examples
    --------
    >>> chart = laney_chart([4, 6, 5, 7, 16], [10, 10, 10, 10, 20], is_share=True)
    >>> round(chart.center, 3), chart.upper.round(3).tolist(), chart.run.tolist()
    (0.633, [1.0, 1.0, 1.0, 1.0, 0.948], [3, 3, 3, 2, 2])
    """
    x, n = np.asarray(events, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    is_known = n > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.where(is_known, x / n, math.nan)
        center = float(np.float64(x[is_known].sum()) / np.float64(n[is_known].sum()))
        sigma = np.sqrt(center * (1 - center if is_share else 1) / np.where(is_known, n, math.nan))
        z = ((estimate - center) / sigma)[is_known]
    # Where all trials or none are events, nothing varies.
    sigma_z = float(np.nan_to_num(np.abs(np.diff(z))).mean() / RANGE_TO_SIGMA) if z.size > 1 else math.nan
    reach = SIGMAS * sigma * sigma_z
    upper = center + reach
    side = np.sign(np.nan_to_num(estimate - center)).astype(np.int64)
    n_useful = int((side != 0).sum())
    return Chart(
        estimate=estimate,
        center=center,
        lower=np.maximum(center - reach, 0),
        upper=np.minimum(upper, 1) if is_share else upper,
        run=_runs(side),
        sigma_z=sigma_z,
        longest_run=round(math.log2(n_useful) + RUN_ALLOWANCE) if n_useful else 0,
        change=_change(
            (x - center * n)[is_known], n[is_known], is_known, center * (1 - center if is_share else 1), sigma_z
        ),
    )


def _change(
    beyond: NDArray[np.float64], n: NDArray[np.float64], is_known: NDArray[np.bool_], variance: float, sigma_z: float
) -> int:
    """Return with which value the second of the two parts begins that differ most, where they differ enough."""
    if not (n.size > 1 and variance > 0 and sigma_z > 0):
        return -1
    before = np.cumsum(n)[:-1]
    error = sigma_z * np.sqrt(variance * before * (n.sum() - before) / n.sum())
    distance = np.abs(np.cumsum(beyond)[:-1]) / error
    return int(np.flatnonzero(is_known)[distance.argmax() + 1]) if distance.max() > SIGMAS else -1


def _runs(side: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the length of the run that each value is in; values on the center are in none."""
    lengths = np.zeros(side.size, dtype=np.int64)
    useful = np.flatnonzero(side)
    if useful.size:
        number = np.cumsum(np.diff(side[useful], prepend=side[useful[0]]) != 0)
        lengths[useful] = np.bincount(number)[number]
    return lengths
