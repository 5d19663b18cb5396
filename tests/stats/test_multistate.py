"""The estimate of Aalen and Johansen, with the influence of clusters."""

import numpy as np
import pytest

from telemetry_kit.stats import share_limits
from telemetry_kit.stats.multistate import STAYS, occupancy


def test_without_censoring_the_shares_are_those_that_one_counts():
    rng = np.random.default_rng(3)
    stop, to, clusters = rng.exponential(size=200), rng.integers(1, 4, 200), rng.integers(0, 9, 200)
    curve = occupancy(np.zeros(200), stop, np.zeros(200), to, clusters, n_states=4, times=[0.5, 1.0])
    counted = [[np.mean(stop > t), *(np.mean((stop <= t) & (to == way)) for way in (1, 2, 3))] for t in (0.5, 1.0)]
    assert curve.shares.estimate.reshape(2, 4) == pytest.approx(np.array(counted))
    # So the influence of a cluster is that on a mean, and the variance CR2 of the mean.
    n, hit = np.bincount(clusters), np.bincount(clusters, (stop <= 1) & (to == 2))
    share = counted[1][2]
    influence = (hit - share * n) / 200
    assert curve.shares.variance.reshape(2, 4)[1, 2] == pytest.approx(np.sum(influence**2 / (1 - n / 200)))


def test_units_that_begin_in_different_states_and_come_back():
    # Unit 0: state 0 until 2, state 1 until 5, state 0 until 9; unit 1: state 1 until 4, then state 0 until 9.
    curve = occupancy(
        [0, 2, 5, 0, 4], [2, 5, 9, 4, 9], [0, 1, 0, 1, 0], [1, 0, STAYS, 0, STAYS], [0, 0, 0, 1, 1], n_states=2
    )
    assert curve.time.tolist() == [2, 4, 5]
    assert curve.shares.estimate.reshape(3, 2).tolist() == [[0, 1], [0.5, 0.5], [1, 0]]
    assert curve.n_at_risk.tolist() == [2, 2, 2]


def test_a_move_to_the_same_state_is_none():
    curve = occupancy([0, 1, 0], [1, 3, 2], [0, 0, 0], [0, STAYS, 1], [0, 0, 1], n_states=2)
    assert curve.time.tolist() == [2]
    assert curve.shares.estimate.tolist() == [0.5, 0.5]


def test_ties_count_at_once():
    curve = occupancy([0, 0, 0, 0], [1, 1, 1, 2], [0] * 4, [1, 2, STAYS, STAYS], [0, 0, 1, 1], n_states=3)
    assert curve.shares.estimate.tolist() == [0.5, 0.25, 0.25]


def test_times_before_the_first_move_and_after_the_last_are_told():
    curve = occupancy([0, 0], [1, 2], [0, 0], [1, STAYS], [0, 1], n_states=2, times=[0.5, 1.0, 9.0])
    assert curve.shares.estimate.reshape(3, 2).tolist() == [[1, 0], [0.5, 0.5], [0.5, 0.5]]
    assert curve.n_at_risk.tolist() == [2, 2, 0]


def test_one_cluster_has_no_limits_and_none_has_no_times():
    curve = occupancy([0, 0], [1, 2], [0, 0], [1, STAYS], [0, 0], n_states=2)
    assert np.isnan(share_limits(curve.shares, level=0.95)).all()
    empty = occupancy([], [], [], [], [], n_states=2)
    assert empty.time.size == empty.shares.estimate.size == 0
