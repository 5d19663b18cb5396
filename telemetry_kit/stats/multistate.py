"""The Aalen-Johansen estimate: in which state units are as time goes by, when units come in clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit.engine.grouping import Groups
from telemetry_kit.stats.influence import Clusters, Estimates, as_shares, count_clusters, one_group

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

STAYS = -1
"""Where a piece leads that ends with the observation, and not with a move."""
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
        When to tell the shares, ascending; None: whenever a unit moves.

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
    of, goes, place = (np.asarray(values, np.int64) for values in (state, to, clusters))
    is_first, moves = begin == 0, np.flatnonzero((goes != STAYS) & (goes != of))
    moves = moves[np.lexsort((goes[moves], of[moves], end[moves]))]
    moments, bounds = np.unique(end[moves], return_index=True)
    told = moments if times is None else np.asarray(times, np.float64)
    n_clusters = int(place.max(initial=-1)) + 1
    sizes = count_clusters(np.bincount(place[is_first], minlength=n_clusters), one_group(n_clusters))
    walk = _Walk(begin, end, place * n_states + of, (n_clusters, n_states), sizes)
    probability, variance = np.empty((2, told.size, n_states))
    written = 0
    for moment, first, after in zip(moments, bounds, [*bounds[1:], moves.size], strict=False):
        until = int(np.searchsorted(told, moment))
        probability[written:until], variance[written:until] = walk.shares()
        written = max(written, until)
        mine = moves[first:after]
        walk.move(float(moment), of[mine], goes[mine], place[mine])
    probability[written:], variance[written:] = walk.shares()
    n_at_risk = np.searchsorted(np.sort(begin), told) - np.searchsorted(np.sort(end), told)
    # Rounding leaves a little of what is nothing, and a share of a little less than one.
    probability = np.clip(np.where(np.abs(probability) < _ROUNDING, 0.0, probability), 0.0, 1.0)
    probability = np.where(probability > 1 - _ROUNDING, 1.0, probability)
    variance = np.where(variance < _ROUNDING**2, 0.0, variance)
    return Occupancy(told, n_at_risk, n_states, _as_estimates(probability.ravel(), variance.ravel(), sizes))


class _Walk:
    """The shares and the influences of clusters on them, which move on from one time to the next."""

    def __init__(
        self,
        begin: NDArray[np.float64],
        end: NDArray[np.float64],
        cells: NDArray[np.int64],
        shape: tuple[int, int],
        sizes: Clusters,
    ) -> None:
        self._cells = cells
        self._shape = shape
        self._correction = sizes.correction
        self._by_begin, self._by_end = np.argsort(begin, kind="stable"), np.argsort(end, kind="stable")
        self._begins, self._ends = begin[self._by_begin], end[self._by_end]
        self._n_begun = self._n_ended = 0
        self._at_risk = np.zeros(shape)
        n = max(float(sizes.n_units[0]), 1.0)
        counts = np.bincount(self._cells[begin == 0], minlength=shape[0] * shape[1]).reshape(shape)
        self._p = counts.sum(axis=0) / n
        self._influence = (counts - sizes.n[:, None] * self._p) / n

    def shares(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the shares of units in each state, and their variances."""
        return self._p, (self._influence**2 * self._correction[:, None]).sum(axis=0)

    def move(self, moment: float, of: NDArray[np.int64], goes: NDArray[np.int64], place: NDArray[np.int64]) -> None:
        """Let the units move that do at a moment."""
        self._observe(moment)
        p, influence = self._p.copy(), self._influence.copy()
        pairs = of * self._shape[1] + goes
        for first, after in zip(*_runs(pairs), strict=True):
            h, j = int(of[first]), int(goes[first])
            n_moved = np.bincount(place[first:after], minlength=self._shape[0])
            at_risk = self._at_risk[:, h]
            n_at_risk = at_risk.sum()
            rate = (after - first) / n_at_risk
            flow = self._influence[:, h] * rate + self._p[h] * (n_moved - at_risk * rate) / n_at_risk
            p[h] -= self._p[h] * rate
            p[j] += self._p[h] * rate
            influence[:, h] -= flow
            influence[:, j] += flow
        self._p, self._influence = p, influence

    def _observe(self, moment: float) -> None:
        """Bring up to a moment which pieces have begun before it and not ended before it."""
        n_begun, n_ended = np.searchsorted(self._begins, moment), np.searchsorted(self._ends, moment)
        cells = self._at_risk.reshape(-1)
        np.add.at(cells, self._cells[self._by_begin[self._n_begun : n_begun]], 1.0)
        np.subtract.at(cells, self._cells[self._by_end[self._n_ended : n_ended]], 1.0)
        self._n_begun, self._n_ended = int(n_begun), int(n_ended)


def _runs(values: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the runs of equal values begin, and where they end."""
    begins = np.flatnonzero(np.diff(values, prepend=values[:1] - 1))
    return begins, np.append(begins[1:], values.size)


def _as_estimates(estimate: NDArray[np.float64], variance: NDArray[np.float64], sizes: Clusters) -> Estimates:
    """Return estimates as those of many groups that have the same units in the same clusters."""
    n = estimate.size
    n_units, df, n_clusters = np.repeat(sizes.n_units, n), np.repeat(sizes.df, n), np.repeat(sizes.n_clusters, n)
    none = np.empty(0)
    clusters = Clusters(Groups(np.empty(0, np.intp), n), none, none, n_units, n_clusters, df)
    variance = np.where(clusters.n_clusters > 1, variance, np.nan)
    return as_shares(Estimates(estimate, none, variance, clusters.df, clusters))
