"""The Aalen-Johansen estimate: in which state units are as time goes by, when units come in clusters."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from telemetry_kit.engine.grouping import Groups, number_labels
from telemetry_kit.stats.influence import Clusters, Estimates, as_shares, count_clusters, one_group

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

STAYS = -1
"""Where a piece leads that ends with the observation, and not with a move."""
MOST_TIMES = 500
"""How many moments are told at most where no times were asked for."""
_TURN = 15_000
"""About how many products take as long as one turn of all stretches by a moment."""
_MOVES_AT_ONCE = 1_000_000
"""About how many moves are gone through together: what is known of each is in memory at once."""
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
    stop: ArrayLike,
    state: ArrayLike,
    to: ArrayLike,
    clusters: ArrayLike,
    *,
    is_first: ArrayLike,
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
    stop
        Of each piece, until when it lasts, above 0. A unit's next piece begins where one ends, unless it moves to a
        state in which no piece is: there it is observed no longer.
    state, to
        Of each piece, the state and the one that follows, whole numbers from 0; ``STAYS`` where the unit was observed
        no longer. A move to the same state is none.
    clusters
        The cluster of each piece.
    is_first
        Whether a piece is the first of its unit, which begins at 0.
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

    >>> curve = occupancy([1, 2, 3, 5], [0] * 4, [1, 2, -1, -1], [0, 0, 1, 1], is_first=[True] * 4, n_states=3)
    >>> curve.time, curve.shares.estimate.reshape(2, 3)
    (array([1., 2.]), array([[0.75, 0.25, 0.  ],
           [0.5 , 0.25, 0.25]]))
    """
    of, begins = np.asarray(state, np.int32), np.asarray(is_first, np.bool_)
    distinct, codes = number_labels(clusters)
    place, n_clusters = codes.astype(np.int32), distinct.size
    first = np.bincount(place[begins] * n_states + of[begins], minlength=n_clusters * n_states)
    first = first.reshape(n_clusters, n_states)
    sizes = count_clusters(first.sum(axis=1), one_group(n_clusters))
    changes = _changes(np.asarray(stop, np.float64), of, np.asarray(to, np.int32), place)
    is_move = changes.to != STAYS
    moments = changes.end[is_move]
    moments = moments[np.diff(moments, prepend=-1.0) > 0]
    told = _some(moments) if times is None else np.asarray(times, np.float64)
    after = np.searchsorted(moments, told, "right")
    probability, variance = _walk(changes, moments, first, sizes, after)
    has_pieces = np.append(np.bincount(of, minlength=n_states) > 0, [False])
    n_at_risk = int(first.sum()) - np.searchsorted(changes.end[~has_pieces[changes.to]], told)
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


class _Changes(NamedTuple):
    """When units leave a state, in the order of time: which, for which other or ``STAYS``, and their clusters."""

    end: NDArray[np.float64]
    of: NDArray[np.int32]
    to: NDArray[np.int32]
    cluster: NDArray[np.int32]

    def part(self, begin: int, end: int) -> _Changes:
        """Return those from one place to another."""
        these = slice(begin, end)
        return _Changes(self.end[these], self.of[these], self.to[these], self.cluster[these])


def _changes(
    end: NDArray[np.float64], of: NDArray[np.int32], to: NDArray[np.int32], cluster: NDArray[np.int32]
) -> _Changes:
    """Return what happens where pieces end."""
    order = np.flatnonzero(of != to)
    order = order[np.argsort(end[order], kind="stable")]
    return _Changes(end[order], of[order], to[order], cluster[order])


class _Steps(NamedTuple):
    """What happens at moments: a row for each pair of states between which units move at one, in their order.

    ``rate`` tells which share of those at risk moves. ``move`` is the row of every move, ``mover`` its cluster.
    """

    moment: NDArray[np.int64]
    of: NDArray[np.int64]
    to: NDArray[np.int64]
    rate: NDArray[np.float64]
    n_at_risk: NDArray[np.int64]
    move: NDArray[np.int64]
    mover: NDArray[np.int32]


class _Counts(NamedTuple):
    """How units left and entered each state, by the first moment that this concerns, and how many were there before."""

    n_before: NDArray[np.int64]
    left: list[NDArray[np.int64]]
    entered: list[NDArray[np.int64]]

    def at(self, state: int, moment: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many units are in a state right before moments."""
        n_entered, n_left = (np.searchsorted(of[state], moment, "right") for of in (self.entered, self.left))
        n: NDArray[np.int64] = self.n_before[state] + n_entered - n_left
        return n


def _steps(changes: _Changes, moments: NDArray[np.float64], counts: _Counts) -> _Steps:
    """Return the steps of the changes that are moves."""
    n_states = counts.n_before.size
    is_move = changes.to != STAYS
    at = np.searchsorted(moments, changes.end[is_move])
    key = (at * n_states + changes.of[is_move]) * n_states + changes.to[is_move]
    order = np.argsort(key, kind="stable")
    key = key[order]
    is_new = np.diff(key, prepend=-1) != 0
    begins = np.flatnonzero(is_new)
    pair, to = np.divmod(key[begins], n_states)
    moment, of = np.divmod(pair, n_states)
    n_at_risk = np.zeros(begins.size, np.int64)
    for state in range(n_states):
        mine = of == state
        n_at_risk[mine] = counts.at(state, moment[mine])
    n_moved = np.diff(begins, append=key.size)
    mover = changes.cluster[is_move][order]
    return _Steps(moment, of, to, n_moved / n_at_risk, n_at_risk, np.cumsum(is_new) - 1, mover)


def _walk(
    changes: _Changes,
    moments: NDArray[np.float64],
    first: NDArray[np.int64],
    sizes: Clusters,
    after: NDArray[np.int64],
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
    length = math.ceil(moments.size / _n_stretches(moments.size, first.size * n_states))
    cuts = np.unique([*range(0, moments.size, max(length, 1)), *after, 0, moments.size])
    # Who leaves at a moment is still at risk there, and is gone from the next one on.
    n_moved, n_changed = (_before_cuts(changes, moments, cuts, side) for side in ("right", "left"))
    shares, n_in = first.sum(axis=0) / n, first.sum(axis=0)
    influence, at_risk = (first - sizes.n[:, None] * shares) / n, first.astype(np.float64)
    wanted, told = set(after.tolist()), {}
    begin = 0
    while begin < cuts.size - 1:
        end = max(int(np.searchsorted(n_moved, n_moved[begin] + _MOVES_AT_ONCE, "right")) - 1, begin + 1)
        some = cuts[begin : end + 1]
        gone = changes.part(n_changed[begin], n_changed[end])
        concerns = np.searchsorted(moments, gone.end, "right")
        counts = _Counts(
            n_in,
            [concerns[gone.of == state] for state in range(n_states)],
            [concerns[gone.to == state] for state in range(n_states)],
        )
        steps = _steps(changes.part(n_moved[begin], n_moved[end]), moments, counts)
        stretches = _stretches(steps, some, shares)
        moments_of_moves = steps.moment[steps.move]
        for number, (cut, next_cut) in enumerate(itertools.pairwise(some)):
            if cut in wanted:
                told[int(cut)] = stretches.shares[number], sizes.correction @ influence**2
            lost = _lost(steps, stretches, cut, next_cut)
            influence = influence @ stretches.product[number] - at_risk @ np.array([summed[0] for _, summed in lost])
            moves = slice(*np.searchsorted(moments_of_moves, [cut, next_cut]))
            np.add.at(influence, steps.mover[moves], stretches.gain[steps.move[moves]])
            for place in _parts(*np.searchsorted(concerns, [cut, next_cut])):
                part = gone.part(place.start, place.stop)
                # Who enters a state loses from then on what all in it lose; who leaves it has lost too much before.
                for state, sign in ((part.of, -1), (part.to, 1)):
                    goes = state != STAYS
                    of, cluster = state[goes], part.cluster[goes]
                    np.subtract.at(influence, cluster, sign * _lost_from(lost, of, concerns[place][goes]))
                    np.add.at(at_risk, (cluster, of), sign)
        shares = stretches.shares[-1]
        n_in = n_in + np.array([at.size for at in counts.entered]) - np.array([at.size for at in counts.left])
        begin = end
    told[moments.size] = shares, sizes.correction @ influence**2
    estimates, variances = np.empty((2, after.size, n_states))
    for number, cut in enumerate(after.tolist()):
        estimates[number], variances[number] = told[cut]
    return estimates, variances


def _before_cuts(
    changes: _Changes, moments: NDArray[np.float64], cuts: NDArray[np.int64], side: Literal["left", "right"]
) -> NDArray[np.int64]:
    """Return how many changes come before, or with ``right`` at, the last moment before each cut."""
    if not moments.size:
        return np.zeros(cuts.size, np.int64)
    n_before = np.searchsorted(changes.end, moments[np.maximum(cuts, 1) - 1], side)
    return np.where(cuts > 0, n_before, 0)


def _parts(begin: int, end: int) -> Iterator[slice]:
    """Cut a range into parts: at one moment very many can change."""
    for place in range(begin, end, _CHANGES_AT_ONCE):
        yield slice(place, min(place + _CHANGES_AT_ONCE, end))


def _lost(
    steps: _Steps, stretches: _Stretches, cut: int, next_cut: int
) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Return, per state, when units leave it in a stretch, and what one in it loses from each such moment on."""
    found = []
    for leaving, moments in zip(stretches.leaving, stretches.moments, strict=True):
        inside = slice(*np.searchsorted(moments, [cut, next_cut]))
        summed = _summed(stretches.gain[leaving[inside]] * steps.rate[leaving[inside], None])
        found.append((moments[inside], summed[-1] - summed))
    return found


def _lost_from(
    lost: list[tuple[NDArray[np.int64], NDArray[np.float64]]], state: NDArray[np.int32], moment: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return what units in states lose from moments on to the end of the stretch."""
    found = np.empty((state.size, len(lost)))
    for h, (leave, still_lost) in enumerate(lost):
        mine = state == h
        found[mine] = still_lost[np.searchsorted(leave, moment[mine])]
    return found


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
    leaving, moments
        Per state, the steps that leave it, and their moments.
    gain
        Per step and state, what each move of the step adds to the influence of its cluster, as the end of the stretch
        has it.
    """

    product: NDArray[np.float64]
    shares: NDArray[np.float64]
    leaving: list[NDArray[np.int64]]
    moments: list[NDArray[np.int64]]
    gain: NDArray[np.float64]


def _stretches(steps: _Steps, cuts: NDArray[np.int64], shares: NDArray[np.float64]) -> _Stretches:
    """Go along stretches at once, backward for the products and forward for the shares."""
    n_stretches, n_states = cuts.size - 1, shares.size
    source, to, rate = steps.of, steps.to, steps.rate
    stretch = np.searchsorted(cuts, steps.moment, "right") - 1
    place = steps.moment - cuts[stretch]
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
    gain *= (before / steps.n_at_risk)[:, None]
    leaving = [np.flatnonzero(source == state) for state in range(n_states)]
    return _Stretches(product, at_cuts, leaving, [steps.moment[rows] for rows in leaving], gain)


def _as_estimates(estimate: NDArray[np.float64], variance: NDArray[np.float64], sizes: Clusters) -> Estimates:
    """Return estimates as those of many groups that have the same units in the same clusters."""
    n = estimate.size
    n_units, df, n_clusters = np.repeat(sizes.n_units, n), np.repeat(sizes.df, n), np.repeat(sizes.n_clusters, n)
    none = np.empty(0)
    clusters = Clusters(Groups(np.empty(0, np.intp), n), none, none, n_units, n_clusters, df)
    variance = np.where(clusters.n_clusters > 1, variance, np.nan)
    return as_shares(Estimates(estimate, none, variance, clusters.df, clusters))
