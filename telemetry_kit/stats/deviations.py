"""Which groups have another share than chance and their ordinary variety explain: the beta-binomial, group by group.

How far shares of groups lie apart by chance follows from how many trials each group has, and by ordinary variety from
how far the others lie apart. A group is held against the others alone, so that an odd one does not make its own oddity
look ordinary.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

LEAST_RHO = 1e-6
"""Below this intra-class correlation the beta-binomial is the binomial."""
MOST_RHO = 0.99
TERMS_AT_A_TIME = 1_000_000
FEWEST_TO_DIFFER, FEWEST_GROUPS = 2, 3
"""How many groups it takes to tell how far they lie apart, and how many to tell it of the others of one."""


class Variety(NamedTuple):
    """The share of all groups together, and the intra-class correlation: how alike trials of one group are."""

    share: NDArray[np.float64]
    rho: NDArray[np.float64]


class Deviations(NamedTuple):
    """How each group lies to the others.

    Attributes
    ----------
    overall, rho
        The share of all groups together, and their intra-class correlation; of one group alone nothing but the share is
        known, and all other numbers are NaN.
    between_sd
        Standard deviation of the groups' true shares.
    shrunk
        Per group, its share drawn towards ``overall``, the more the fewer trials it has.
    p_value
        Per group, the probability of a share as far from that of the others; NaN with fewer than three groups.
    lower, upper
        Per group, between which shares ``level`` of ordinary groups with as many trials lie.
    """

    overall: float
    rho: float
    between_sd: float
    shrunk: NDArray[np.float64]
    p_value: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def group_deviations(successes: ArrayLike, trials: ArrayLike, *, level: float = 0.95) -> Deviations:
    r"""Tell how far the share of each group lies from that of the others.

    Of the :math:`I - 1` others, with :math:`X` of :math:`N` and :math:`q = \sum x_j^2 / n_j`, the share is
    :math:`m = X / N`, and the intra-class correlation :math:`r` that of a one-way analysis of variance, cut to 0-0.99:

    .. math::

        r = \frac{msb - msw}{msb + (n_0 - 1) msw}, \quad msb = \frac{q - X^2 / N}{I - 2}, \quad
        msw = \frac{X - q}{N - (I - 1)}, \quad n_0 = \frac{N - \sum n_j^2 / N}{I - 2}

    The two-sided mid-p of the group's own :math:`x` of :math:`n` is taken under the beta-binomial with
    :math:`a = m (1 - r) / r` and :math:`b = (1 - m) (1 - r) / r` (the binomial where :math:`r < 10^{-6}`), and carried
    over the normal quantile to Student's t with :math:`I - 2` degrees of freedom, because :math:`r` is estimated.

    Parameters
    ----------
    successes, trials
        Per group, how many of how many; each group has a trial at least.
    level
        How many of the ordinary groups lie between ``lower`` and ``upper``.

    Returns
    -------
    Deviations
        As described there.

    Notes
    -----
    Donner (1986), International Statistical Review 54:67-82, for the correlation; Jones and Spiegelhalter (2011),
    The American Statistician 65:154-163, for holding a unit against the others. A funnel plot with limits widened by a
    winsorised overdispersion of all groups, which is usual, calls something odd in 25-65 % of draws without anything.

    Examples
    --------
    >>> found = group_deviations([4, 5, 6, 5, 19], [20, 20, 20, 20, 20])
    >>> found.overall, found.p_value.round(3).tolist()
    (0.39, [0.665, 0.8, 0.919, 0.8, 0.007])
    """
    x, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    if x.size < FEWEST_TO_DIFFER:
        unknown = np.full(x.size, math.nan)
        share = float(x.sum() / n.sum()) if x.size else math.nan
        return Deviations(share, math.nan, math.nan, unknown, unknown, unknown, unknown)
    overall = variety(x.sum(), n.sum(), (x * x / n).sum(), (n * n).sum(), x.size)
    share, rho = float(overall.share), float(overall.rho)
    weight = n * rho / (n * rho + 1 - rho) if rho else np.zeros(n.size)
    lower, upper = expected_range(n, share, rho, level=level)
    return Deviations(
        overall=share,
        rho=rho,
        between_sd=math.sqrt(rho * share * (1 - share)),
        shrunk=weight * x / n + (1 - weight) * share,
        p_value=leave_one_out(x, n),
        lower=lower,
        upper=upper,
    )


def variety(x: ArrayLike, n: ArrayLike, q: ArrayLike, n_squared: ArrayLike, n_groups: int) -> Variety:
    """Return the share and the intra-class correlation of groups, from the sums over them.

    ``q`` is the sum of squared successes over trials, ``n_squared`` that of squared trials. Where all groups have one
    trial each, nothing tells trials of one group from those of others, and the correlation is taken to be 0.
    """
    x, n, q, n_squared = (np.asarray(sums, dtype=np.float64) for sums in (x, n, q, n_squared))
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (q - x * x / n) / np.float64(n_groups - 1)
        within = (x - q) / (n - n_groups)
        size = (n - n_squared / n) / np.float64(n_groups - 1)
        rho = (between - within) / (between + (size - 1) * within)
        return Variety(x / n, np.clip(np.nan_to_num(rho), 0, MOST_RHO))


def leave_one_out(x: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the p-value of each group against the others, groups along the last axis; NaN with fewer than three."""
    n_groups = x.shape[-1]
    if n_groups < FEWEST_GROUPS:
        return np.full(x.shape, math.nan)

    def others(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(values.sum(axis=-1, keepdims=True) - values)

    share, rho = variety(others(x), others(n), others(x * x / n), others(n * n), n_groups - 1)
    return _two_sided(x, n, share, rho)


def cautious_p_values(successes: ArrayLike, trials: ArrayLike, p_value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the p-values of groups, greater ones where all trials of the others came out alike.

    A share of 0 or 1 among the others makes one trial that came out otherwise impossible, however few trials there are.
    There, the others are taken to have half a success and half a failure more: the share :math:`(X + 1/2) / (N + 1)` is
    that of Jeffreys' prior (Brown, Cai and DasGupta 2001, Statistical Science 16:101-133).

    Examples
    --------
    As R's ``2 * pt(qnorm((0.5 / 12) / 2), 10)`` has it:

    >>> few, many = [1] + [0] * 11, [1] * 12
    >>> cautious_p_values(few, many, group_deviations(few, many).p_value)[0].round(3).item()
    0.069
    """
    x, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    x_others, n_others = x.sum() - x, n.sum() - n
    share = (x_others + 0.5) / (n_others + 1)
    is_alike = (x_others == 0) | (x_others == n_others)
    return np.where(is_alike, _two_sided(x, n, share, np.zeros(x.size)), p_value)


def _two_sided(
    x: NDArray[np.float64], n: NDArray[np.float64], share: NDArray[np.float64], rho: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the two-sided mid-p of each group, carried over to Student's t because ``rho`` is estimated."""
    from scipy.special import ndtri, stdtr

    # The upper tail as the lower one of the other outcome: small probabilities stay exact.
    one_sided = np.minimum(_lower_mid_p(x, n, share, rho), _lower_mid_p(n - x, n, 1 - share, rho))
    return np.asarray(2 * stdtr(x.shape[-1] - 2, ndtri(np.minimum(one_sided, 0.5))))


def _lower_mid_p(
    x: NDArray[np.float64], n: NDArray[np.float64], share: NDArray[np.float64], rho: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the beta-binomial probability of fewer than ``x`` of ``n``, and half that of exactly so many."""
    from scipy.stats import binom

    shapes = _shapes(share, rho)
    is_binomial = (rho < LEAST_RHO) | (share <= 0) | (share >= 1)
    mid_p = np.empty(x.shape)
    own = [values[is_binomial] for values in (x, n, share)]
    mid_p[is_binomial] = binom.cdf(own[0] - 1, *own[1:]) + binom.pmf(*own) / 2
    mid_p[~is_binomial] = _betabinomial_mid_p(*(values[~is_binomial] for values in (x, n, *shapes)))
    return mid_p


def _betabinomial_mid_p(
    x: NDArray[np.float64], n: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Add up the probabilities of 0 to ``x``, for all groups at once: SciPy's own sum takes them one by one."""
    from scipy.stats import betabinom

    mid_p = np.empty(x.size)
    lengths = x.astype(np.int64) + 1
    parts = np.cumsum(lengths) // TERMS_AT_A_TIME
    for part in np.unique(parts):
        mine = parts == part
        length = lengths[mine]
        ends = np.cumsum(length)
        outcome = np.arange(ends[-1]) - np.repeat(ends - length, length)
        probability: NDArray[np.float64] = np.asarray(
            betabinom.pmf(outcome, *(np.repeat(values[mine], length) for values in (n, a, b)))
        )
        mid_p[mine] = np.add.reduceat(probability, ends - length) - probability[ends - 1] / 2
    return mid_p


def expected_range(
    n: NDArray[np.float64], share: float, rho: float, *, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return between which shares ``level`` of ordinary groups with ``n`` trials lie, by the beta-binomial."""
    from scipy.stats import betabinom, binom

    is_binomial = rho < LEAST_RHO or not 0 < share < 1
    # Many groups have as many trials as others, and the law of each number is inverted once.
    sizes, of = np.unique(n, return_inverse=True)
    law = binom(sizes, share) if is_binomial else betabinom(sizes, *_shapes(np.asarray(share), np.asarray(rho)))
    lower, upper = (np.asarray(law.ppf((1 + side * level) / 2) / sizes) for side in (-1, 1))
    return lower[of], upper[of]


def _shapes(share: NDArray[np.float64], rho: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the two parameters of the beta distribution of true shares; infinite where groups do not differ."""
    with np.errstate(divide="ignore", invalid="ignore"):
        strength = (1 - rho) / rho
        return share * strength, (1 - share) * strength
