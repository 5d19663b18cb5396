"""The estimate of Aalen and Johansen, with the influence of clusters."""

import numpy as np
import pytest

from telemetry_kit.stats import multistate, share_limits
from telemetry_kit.stats.multistate import STAYS, occupancy


def test_without_censoring_the_shares_are_those_that_one_counts():
    rng = np.random.default_rng(3)
    stop, to, clusters = rng.exponential(size=200), rng.integers(1, 4, 200), rng.integers(0, 9, 200)
    curve = occupancy(stop, np.zeros(200), to, clusters, is_first=np.full(200, True), n_states=4, times=[0.5, 1.0])
    counted = [[np.mean(stop > t), *(np.mean((stop <= t) & (to == way)) for way in (1, 2, 3))] for t in (0.5, 1.0)]
    assert curve.shares.estimate.reshape(2, 4) == pytest.approx(np.array(counted))
    # So the influence of a cluster is that on a mean, and the variance CR2 of the mean.
    n, hit = np.bincount(clusters), np.bincount(clusters, (stop <= 1) & (to == 2))
    share = counted[1][2]
    influence = (hit - share * n) / 200
    assert curve.shares.variance.reshape(2, 4)[1, 2] == pytest.approx(np.sum(influence**2 / (1 - n / 200)))


def test_units_that_begin_in_different_states_and_come_back():
    # Unit 0: state 0 until 2, state 1 until 5, state 0 until 9; unit 1: state 1 until 4, then state 0 until 9.
    is_first = [True, False, False, True, False]
    curve = occupancy(
        [2, 5, 9, 4, 9], [0, 1, 0, 1, 0], [1, 0, STAYS, 0, STAYS], [0, 0, 0, 1, 1], is_first=is_first, n_states=2
    )
    assert curve.time.tolist() == [2, 4, 5]
    assert curve.shares.estimate.reshape(3, 2).tolist() == [[0, 1], [0.5, 0.5], [1, 0]]
    assert curve.n_at_risk.tolist() == [2, 2, 2]


def test_a_move_to_the_same_state_is_none():
    curve = occupancy([1, 3, 2], [0, 0, 0], [0, STAYS, 1], [0, 0, 1], is_first=[True, False, True], n_states=2)
    assert curve.time.tolist() == [2]
    assert curve.shares.estimate.tolist() == [0.5, 0.5]


def test_ties_count_at_once():
    curve = occupancy([1, 1, 1, 2], [0] * 4, [1, 2, STAYS, STAYS], [0, 0, 1, 1], is_first=[True] * 4, n_states=3)
    assert curve.shares.estimate.tolist() == [0.5, 0.25, 0.25]


def test_times_before_the_first_move_and_after_the_last_are_told():
    curve = occupancy([1, 2], [0, 0], [1, STAYS], [0, 1], is_first=[True, True], n_states=2, times=[0.5, 1.0, 9.0])
    assert curve.shares.estimate.reshape(3, 2).tolist() == [[1, 0], [0.5, 0.5], [0.5, 0.5]]
    assert curve.n_at_risk.tolist() == [2, 2, 0]


def test_one_cluster_has_no_limits_and_none_has_no_times():
    curve = occupancy([1, 2], [0, 0], [1, STAYS], [0, 0], is_first=[True, True], n_states=2)
    assert np.isnan(share_limits(curve.shares, level=0.95)).all()
    empty = occupancy([], [], [], [], is_first=[], n_states=2)
    assert empty.time.size == empty.shares.estimate.size == 0


def step_by_step(start, stop, state, to, clusters, *, n_states, times):
    """Follow every cluster from one moment to the next, as the definition has it."""
    sizes = np.bincount(clusters[start == 0])
    n = sizes.sum()
    first = np.zeros((sizes.size, n_states))
    np.add.at(first, (clusters[start == 0], state[start == 0]), 1)
    p, influence = first.sum(axis=0) / n, (first - sizes[:, None] * first.sum(axis=0) / n) / n
    is_move = (to != STAYS) & (to != state)
    told = []
    for after in times:
        last = times[len(told) - 1] if told else -1
        for moment in np.unique(stop[is_move & (stop > last) & (stop <= after)]):
            at_risk = np.zeros((sizes.size, n_states))
            lives = (start < moment) & (moment <= stop)
            np.add.at(at_risk, (clusters[lives], state[lives]), 1)
            rates, moved = np.zeros((n_states, n_states)), np.zeros((sizes.size, n_states, n_states))
            goes = is_move & (stop == moment)
            np.add.at(moved, (clusters[goes], state[goes], to[goes]), 1)
            total = np.maximum(at_risk.sum(axis=0), 1)
            rates = moved.sum(axis=0) / total[:, None]
            flow = influence[:, :, None] * rates + (p / total)[None, :, None] * (moved - at_risk[:, :, None] * rates)
            influence = influence - flow.sum(axis=2) + flow.sum(axis=1)
            p = p - p * rates.sum(axis=1) + p @ rates
        told.append((p, (influence**2 / (1 - sizes / n)[:, None]).sum(axis=0)))
    return np.array(told)


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize(("turn", "at_once", "changes_at_once"), [(1, 1_000, 100_000), (1, 20, 7), (15_000, 1, 1)])
def test_long_stretches_give_what_each_step_does(rounded, turn, at_once, changes_at_once, monkeypatch):
    monkeypatch.setattr(multistate, "_TURN", turn)
    monkeypatch.setattr(multistate, "_MOVES_AT_ONCE", at_once)
    monkeypatch.setattr(multistate, "_CHANGES_AT_ONCE", changes_at_once)
    rng = np.random.default_rng(5)
    pieces = []
    for unit in range(150):
        begin, state = 0.0, int(rng.integers(4))
        for to in [*rng.integers(0, 4, rng.integers(1, 6)), STAYS]:
            length = rng.exponential(3)
            end = begin + (np.ceil(length) if rounded else length)
            pieces.append((begin, end, state, to, unit % 11))
            begin, state = end, to
    given = [np.array(values) for values in zip(*pieces, strict=True)]
    times = [0.5, 3.0, 10.0, 30.0]
    start, stop, state, to, clusters = given
    curve = occupancy(stop, state, to, clusters, is_first=start == 0, n_states=4, times=times)
    expected = step_by_step(*given, n_states=4, times=times)
    assert curve.shares.estimate.reshape(4, 4) == pytest.approx(expected[:, 0], abs=1e-13)
    assert curve.shares.variance.reshape(4, 4) == pytest.approx(expected[:, 1], abs=1e-15)


def test_of_very_many_moments_five_hundred_are_told(monkeypatch):
    rng = np.random.default_rng(6)
    given = rng.exponential(size=3000), np.zeros(3000), rng.integers(1, 3, 3000), np.arange(3000) % 7
    is_first = np.full(3000, True)
    curve = occupancy(*given, is_first=is_first, n_states=3)
    assert curve.time.size == len(set(curve.time)) == 500
    assert curve.time[[0, -1]].tolist() == [given[0].min(), given[0].max()]
    monkeypatch.setattr(multistate, "MOST_TIMES", 3000)
    whole = occupancy(*given, is_first=is_first, n_states=3)
    is_told = np.isin(whole.time, curve.time)
    assert curve.shares.estimate.reshape(-1, 3) == pytest.approx(whole.shares.estimate.reshape(-1, 3)[is_told])
    assert curve.shares.variance.reshape(-1, 3) == pytest.approx(whole.shares.variance.reshape(-1, 3)[is_told])


def test_clusters_may_have_any_numbers_for_groups_number_theirs_among_all():
    given = [1, 2, 3, 5], [0] * 4, [1, 2, STAYS, STAYS]
    few = occupancy(*given, [0, 0, 1, 1], is_first=[True] * 4, n_states=3)
    among_many = occupancy(*given, [7, 7, 10**6, 10**6], is_first=[True] * 4, n_states=3)
    assert among_many.shares.clusters.n_clusters.tolist() == few.shares.clusters.n_clusters.tolist() == [2] * 6
    assert among_many.shares.variance.tolist() == few.shares.variance.tolist()
