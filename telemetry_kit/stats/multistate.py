"""The Aalen-Johansen estimate: in which state units are as time goes by, when units come in clusters."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit.engine.grouping import Groups
from telemetry_kit.stats.influence import Clusters, Estimates, as_shares, count_clusters, one_group

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

STAYS = -1
"""Where a piece leads that ends with the observation, and not with a move."""
MOST_TIMES = 500
"""How many moments are told at most where no times were asked for."""
_TURN = 15_000
"""About how many products take as long as one turn of all stretches by a moment."""
_AT_ONCE = 100
"""How many stretches go on together: what is known of all their steps is in memory at once."""
_CHANGES_AT_ONCE = 100_000
"""Of how many pieces it is told at once what they lose."""
_ROUNDING = 1e-12
"""What rounding may leave where there is nothing."""


class Occupancy(NamedTuple):
    """The shares of units that are in each state at given times.

    Attributes
    ----------
    time
        The times.
    n_at_risk
        Per time, units that were observed until then.
    n_states
        How many states there are.
    shares
        The estimates, state by state of the first time, then of the next: shares of units, as ``share_limits`` takes
        them.
    """

    time: NDArray[np.float64]
    n_at_risk: NDArray[np.int64]
    n_states: int
    shares: Estimates


def occupancy(
    start: ArrayLike,
    stop: ArrayLike,
    state: ArrayLike,
    to: ArrayLike,
    clusters: ArrayLike,
    *,
    n_states: int,
    times: ArrayLike | None = None,
) -> Occupancy:
    r"""Estimate the share of units in each state by time, from pieces of their lives that some clusters have in common.

    The estimate of Aalen and Johansen: with the share :math:`p_h` of units in state :math:`h`, of which :math:`Y_h` are
    observed and :math:`dN_{hj}` move to state :math:`j` at a time, :math:`p_j` grows by :math:`p_h\, dN_{hj} / Y_h`. At
    time 0 the shares are those of the units' first pieces. The influence of a cluster is the infinitesimal jackknife:
    the derivative of the estimate by the weight of its units. After the last piece the shares stay what they are.

    Parameters
    ----------
    start, stop
        Of each piece, from when until when it lasts; the first piece of a unit begins at 0, and ``stop`` is later.
    state, to
        Of each piece, the state and the one that follows, whole numbers from 0; ``STAYS`` where the unit was observed
        no longer. A move to the same state is none.
    clusters
        The cluster of each piece, whole numbers from 0.
    n_states
        How many states there are.
    times
        When to tell the shares, ascending; None: whenever a unit moves, or ``MOST_TIMES`` of these moments, evenly
        spread among them, where there are more.

    Notes
    -----
    Aalen and Johansen (1978), Scandinavian Journal of Statistics 5:141-150. In R, ``f <- survfit(Surv(t1, t2, to) ~ 1,
    id = unit, istate = state)``, then ``summary(f, times, extend = TRUE)$pstate`` and, for the influences,
    ``residuals(f, times, type = "pstate")``.

    Examples
    --------
    Two of four units leave state 0 at 1 and 2, one each to state 1 and 2; a third is seen until 3, the last until 5.

    >>> curve = occupancy([0, 0, 0, 0], [1, 2, 3, 5], [0, 0, 0, 0], [1, 2, -1, -1], [0, 0, 1, 1], n_states=3)
    >>> curve.time, curve.shares.estimate.reshape(2, 3)
    (array([1., 2.]), array([[0.75, 0.25, 0.  ],
           [0.5 , 0.25, 0.25]]))
    """
    begin, end = np.asarray(start, np.float64), np.asarray(stop, np.float64)
    of, goes, place = (np.asarray(values, np.int32) for values in (state, to, clusters))
    moves = np.flatnonzero((goes != STAYS) & (goes != of))
    moves = moves[np.lexsort((goes[moves], of[moves], end[moves]))]
    moments = np.unique(end[moves])
    told = _some(moments) if times is None else np.asarray(times, np.float64)
    n_clusters = int(place.max(initial=-1)) + 1
    first = np.bincount((place * n_states + of)[begin == 0], minlength=n_clusters * n_states)
    first = first.reshape(n_clusters, n_states)
    sizes = count_clusters(first.sum(axis=1), one_group(n_clusters))
    pieces = _Pieces(begin, end, of, goes, place)
    steps = _steps(pieces, moves, moments, n_states)
    changes = _changes(pieces, moments)
    after = np.searchsorted(moments, told, "right")
    probability, variance = _walk(steps, changes, first, sizes, after)
    n_at_risk = np.searchsorted(np.sort(begin), told) - np.searchsorted(np.sort(end), told)
    # Rounding leaves a little of what is nothing, and a share of a little less than one.
    probability = np.clip(np.where(np.abs(probability) < _ROUNDING, 0.0, probability), 0.0, 1.0)
    probability = np.where(probability > 1 - _ROUNDING, 1.0, probability)
    variance = np.where(variance < _ROUNDING**2, 0.0, variance)
    return Occupancy(told, n_at_risk, n_states, _as_estimates(probability.ravel(), variance.ravel(), sizes))


def _some(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return moments, or ``MOST_TIMES`` of them, evenly spread among their ranks, where there are more."""
    if moments.size <= MOST_TIMES:
        return moments
    return moments[np.linspace(0, moments.size - 1, MOST_TIMES).round().astype(np.int64)]


class _Pieces(NamedTuple):
    """Pieces of lives: from when until when, in which state and to which other, of which cluster."""

    begin: NDArray[np.float64]
    end: NDArray[np.float64]
    state: NDArray[np.int32]
    to: NDArray[np.int32]
    cluster: NDArray[np.int32]


class _Steps(NamedTuple):
    """What happens at the moments: a row for each pair of states between which units move at one, in their order.

    ``move`` tells the row of every move, ``mover`` its cluster, and ``rate`` which share of those at risk moves.
    """

    moment: NDArray[np.int32]
    of: NDArray[np.int32]
    to: NDArray[np.int32]
    rate: NDArray[np.float64]
    n_at_risk: NDArray[np.int64]
    move: NDArray[np.int32]
    mover: NDArray[np.int32]
    n_moments: int


def _steps(pieces: _Pieces, moves: NDArray[np.int64], moments: NDArray[np.float64], n_states: int) -> _Steps:
    """Return the steps of the pieces that end with a move, which are sorted by moment and states."""
    of, to, at = pieces.state[moves], pieces.to[moves], np.searchsorted(moments, pieces.end[moves])
    key = (at * n_states + of) * n_states + to
    is_new = np.diff(key, prepend=-1) != 0
    begins = np.flatnonzero(is_new)
    moment, source = at[begins].astype(np.int32), of[begins]
    n_moved = np.diff(begins, append=key.size)
    n_at_risk = np.zeros(begins.size, np.int64)
    for state in range(n_states):
        mine, here = source == state, pieces.state == state
        when = moments[moment[mine]]
        n_begun = np.searchsorted(np.sort(pieces.begin[here]), when)
        n_at_risk[mine] = n_begun - np.searchsorted(np.sort(pieces.end[here]), when)
    row = np.cumsum(is_new, dtype=np.int32) - 1
    mover = pieces.cluster[moves]
    return _Steps(moment, source, to[begins], n_moved / n_at_risk, n_at_risk, row, mover, moments.size)


class _Changes(NamedTuple):
    """Where pieces begin (1) and where they end (-1), by the first moment that this concerns."""

    cluster: NDArray[np.int32]
    state: NDArray[np.int32]
    moment: NDArray[np.int32]
    sign: NDArray[np.int8]


def _changes(pieces: _Pieces, moments: NDArray[np.float64]) -> _Changes:
    # Who begins at a moment is not at risk there yet, who ends at one still is.
    moment = np.searchsorted(moments, np.concatenate([pieces.begin, pieces.end]), "right").astype(np.int32)
    order = np.argsort(moment, kind="stable")
    sign = np.repeat(np.array([1, -1], np.int8), pieces.begin.size)
    return _Changes(np.tile(pieces.cluster, 2)[order], np.tile(pieces.state, 2)[order], moment[order], sign[order])


def _walk(
    steps: _Steps, changes: _Changes, first: NDArray[np.int64], sizes: Clusters, after: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r"""Return the shares of the states after so many moments each, and their variances.

    The moments are cut into stretches, where they are told and as ``_n_stretches`` says. With :math:`R(s)` the product
    of all that happens in a stretch behind :math:`s`, the move of a unit from :math:`h` to :math:`j` adds
    :math:`p_h / Y_h\, (R_j - R_h)` to the influence of its cluster, and every unit at risk takes that much times the
    rate from its own. The latter is summed up along the stretch, so that a piece costs something where it begins and
    where it ends, and nothing between: to go through all clusters at every moment would take time that grows with the
    square of the events.
    """
    n_states, n = first.shape[1], max(float(sizes.n_units[0]), 1.0)
    length = math.ceil(steps.n_moments / _n_stretches(steps.n_moments, first.size * n_states))
    cuts = np.unique([*range(0, steps.n_moments, max(length, 1)), *after, 0, steps.n_moments])
    shares = first.sum(axis=0) / n
    influence, at_risk = (first - sizes.n[:, None] * shares) / n, np.zeros(first.shape)
    wanted, told = set(after.tolist()), {}
    moved, changed = np.searchsorted(steps.moment[steps.move], cuts), np.searchsorted(changes.moment, cuts)
    for begin in range(0, cuts.size - 1, _AT_ONCE):
        some = cuts[begin : begin + _AT_ONCE + 1]
        stretches = _stretches(steps, some, shares)
        moments = [steps.moment[mine] for mine in stretches.leaving]
        for number, (cut, next_cut) in enumerate(itertools.pairwise(some)):
            if cut in wanted:
                told[int(cut)] = stretches.shares[number], sizes.correction @ influence**2
            lost_by_all, here = np.empty((n_states, n_states)), []
            for h in range(n_states):
                inside = slice(*np.searchsorted(moments[h], [cut, next_cut]))
                leaving = stretches.leaving[h][inside]
                summed = _summed(stretches.gain[leaving - stretches.first] * steps.rate[leaving, None])
                lost_by_all[h] = summed[-1]
                here.append((moments[h][inside], summed[-1] - summed))
            influence = influence @ stretches.product[number] - at_risk @ lost_by_all
            moves = slice(moved[begin + number], moved[begin + number + 1])
            np.add.at(influence, steps.mover[moves], stretches.gain[steps.move[moves] - stretches.first])
            ends = changed[begin + number + 1]
            # In parts: where times count from a start, all units begin at one moment.
            for place in range(changed[begin + number], ends, _CHANGES_AT_ONCE):
                these = slice(place, min(place + _CHANGES_AT_ONCE, ends))
                cluster, state, moment, sign = (values[these] for values in changes)
                lost = np.empty((cluster.size, n_states))
                for h, (leave, still_lost) in enumerate(here):
                    mine = state == h
                    lost[mine] = still_lost[np.searchsorted(leave, moment[mine])]
                lost *= -sign[:, None]
                np.add.at(influence, cluster, lost)
                np.add.at(at_risk, (cluster, state), sign)
        shares = stretches.shares[-1]
    told[steps.n_moments] = shares, sizes.correction @ influence**2
    estimates, variances = np.empty((2, after.size, n_states))
    for number, cut in enumerate(after.tolist()):
        estimates[number], variances[number] = told[cut]
    return estimates, variances


def _n_stretches(n_moments: int, n_products: int) -> int:
    """Return into how many stretches to cut moments, where each takes so many products to carry the influences on.

    More of them means fewer turns in which all go on by one moment.
    """
    return max(math.isqrt(_TURN * n_moments // max(n_products, 1)), 1)


def _summed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sums of the rows before each, and of all."""
    return np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])


class _Stretches(NamedTuple):
    """What happens along each of some stretches of moments between two cuts.

    Attributes
    ----------
    product
        Per stretch, the share of what was in each state (rows) that is in each at its end (columns).
    shares
        The shares of the states at the cuts.
    first
        The first of the steps.
    leaving
        Per state, the steps that leave it.
    gain
        Per step and state, what each move of the step adds to the influence of its cluster, as the end of the stretch
        has it.
    """

    product: NDArray[np.float64]
    shares: NDArray[np.float64]
    first: int
    leaving: list[NDArray[np.int64]]
    gain: NDArray[np.float64]


def _stretches(steps: _Steps, cuts: NDArray[np.int64], shares: NDArray[np.float64]) -> _Stretches:
    """Go along stretches at once, backward for the products and forward for the shares."""
    n_stretches, n_states = cuts.size - 1, shares.size
    first, end = (int(row) for row in np.searchsorted(steps.moment, cuts[[0, -1]]))
    source, to, rate = steps.of[first:end], steps.to[first:end], steps.rate[first:end]
    stretch = np.searchsorted(cuts, steps.moment[first:end], "right") - 1
    place = steps.moment[first:end] - cuts[stretch]
    order = np.argsort(place, kind="stable")
    bounds = np.searchsorted(place[order], np.arange(int(place.max(initial=-1)) + 2))
    turns = [order[begin:after] for begin, after in itertools.pairwise(bounds)]
    product = np.tile(np.eye(n_states), (n_stretches, 1, 1))
    gain = np.empty((source.size, n_states))
    for turn in reversed(turns):
        where, of = stretch[turn], source[turn]
        gain[turn] = product[where, to[turn]] - product[where, of]
        np.add.at(product, (where, of), rate[turn, None] * gain[turn])
    at_cuts = np.empty((cuts.size, n_states))
    at_cuts[0] = shares
    for number in range(n_stretches):
        at_cuts[number + 1] = at_cuts[number] @ product[number]
    # The share of units in the state that a step leaves, before it.
    now, before = at_cuts[:-1].copy(), np.empty(source.size)
    for turn in turns:
        where, of = stretch[turn], source[turn]
        before[turn] = now[where, of]
        flow = before[turn] * rate[turn]
        np.subtract.at(now, (where, of), flow)
        np.add.at(now, (where, to[turn]), flow)
    gain *= (before / steps.n_at_risk[first:end])[:, None]
    leaving = [first + np.flatnonzero(source == state) for state in range(n_states)]
    return _Stretches(product, at_cuts, first, leaving, gain)


def _as_estimates(estimate: NDArray[np.float64], variance: NDArray[np.float64], sizes: Clusters) -> Estimates:
    """Return estimates as those of many groups that have the same units in the same clusters."""
    n = estimate.size
    n_units, df, n_clusters = np.repeat(sizes.n_units, n), np.repeat(sizes.df, n), np.repeat(sizes.n_clusters, n)
    none = np.empty(0)
    clusters = Clusters(Groups(np.empty(0, np.intp), n), none, none, n_units, n_clusters, df)
    variance = np.where(clusters.n_clusters > 1, variance, np.nan)
    return as_shares(Estimates(estimate, none, variance, clusters.df, clusters))
