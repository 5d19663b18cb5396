"""Shares and means of clustered events. The numbers from R are of R 4.2.2 with survey 4.1.1.

Each recording is the result of

    design <- svydesign(ids = ~cluster, weights = ~1, data = events)

with one row for each event, `x` being 1 for a success and 0 otherwise, and of the call that stands beside it.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_kit.errors import ParameterError
from telemetry_kit.stats import (
    Interval,
    difference_interval,
    effective_sample_size,
    largest_cluster_share,
    share_interval,
)

UNEVEN = [5, 0, 3, 1, 7, 2], [9, 1, 4, 6, 12, 2]
clusters_with_successes = st.lists(
    st.integers(1, 30).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))), min_size=2, max_size=12
)


@pytest.mark.parametrize(
    ("successes", "totals", "level", "expected"),
    [
        pytest.param(*UNEVEN, 0.95, (0.529411764706, 0.302756444046, 0.747493969645), id="uneven clusters"),
        pytest.param(*UNEVEN, 0.9, (0.529411764706, 0.344869318349, 0.708136322412), id="another level"),
        pytest.param([3, 5], [8, 9], 0.95, (0.470588235294, 6.67875777525e-05, 0.999805628102), id="two clusters"),
        pytest.param(
            [1, 0, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1],
            [1] * 12,
            0.95,
            (0.666666666667, 0.334395554410, 0.908190163903),
            id="clusters of one event",
        ),
        pytest.param(
            [1, 1, 1, 2], [2, 2, 2, 3], 0.95, (0.555555555556, 0.412845686739, 0.691857566366), id="clusters alike"
        ),
        pytest.param(
            [0, 0, 1, 0, 0],
            [30, 12, 25, 40, 9],
            0.95,
            (0.00862068965517, 7.72495413110e-06, 0.0785346145066),
            id="one success",
        ),
        pytest.param(
            [50_000, 21_000, 33_000],
            [90_000, 50_000, 70_000],
            0.95,
            (0.495238095238, 0.316963667990, 0.674402978032),
            id="large clusters",
        ),
    ],
)
def test_share_limits_equal_those_of_svyciprop(successes, totals, level, expected):
    """R: p <- svyciprop(~x, design, method = "beta", level = level); c(coef(p), attr(p, "ci"))."""
    assert share_interval(successes, totals, level=level) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("successes", "totals", "level", "expected"),
    [
        ([0, 0, 0, 0], [9, 1, 3, 7], 0.95, (0, 0, 0.602364635616)),  # R: binom.test(0, 4)$conf.int
        ([9, 1, 3, 7], [9, 1, 3, 7], 0.95, (1, 0.397635364384, 1)),  # R: binom.test(4, 4)$conf.int
        ([2, 2, 2, 2, 2], [2] * 5, 0.9, (1, 0.549280271653, 1)),  # R: binom.test(5, 5, conf.level = 0.9)$conf.int
    ],
)
def test_at_0_and_1_a_cluster_counts_as_one_trial(successes, totals, level, expected):
    assert share_interval(successes, totals, level=level) == pytest.approx(expected, abs=1e-9)


def test_where_every_cluster_has_the_same_share_a_cluster_counts_as_one_trial():
    # R: qbeta(c(0.025, 0.975), c(2, 3), c(3, 2)), the Clopper-Pearson limits of 2 in 4
    expected = (0.5, 0.0675859864, 0.9324140136)
    assert share_interval([1, 2, 3, 50], [2, 4, 6, 100]) == pytest.approx(expected, abs=1e-9)
    # 9/11 of each cluster: R: qbeta(c(0.025, 0.975), c(36 / 11, 47 / 11), c(19 / 11, 8 / 11))
    expected = (9 / 11, 0.24049879050, 0.99865872632)
    assert share_interval([9, 18, 27, 63], [11, 22, 33, 77]) == pytest.approx(expected, abs=1e-9)


def test_a_share_of_one_cluster_has_no_limits():
    assert share_interval([3], [4]) == pytest.approx((0.75, math.nan, math.nan), nan_ok=True)
    assert share_interval([3, 0], [4, 0]) == pytest.approx((0.75, math.nan, math.nan), nan_ok=True)


def test_a_share_of_no_events_is_unknown():
    nothing = pytest.approx((math.nan, math.nan, math.nan), nan_ok=True)
    assert share_interval([], []) == nothing
    assert share_interval([0, 0], [0, 0]) == nothing
    assert difference_interval([], []) == nothing


def test_a_cluster_without_events_does_not_count():
    successes, totals = UNEVEN
    assert share_interval([*successes, 0, 0], [*totals, 0, 0]) == share_interval(*UNEVEN)
    assert difference_interval([*successes, 0], [*totals, 0]) == difference_interval(*UNEVEN)
    assert effective_sample_size([*successes, 0], [*totals, 0]) == effective_sample_size(*UNEVEN)


@given(clusters_with_successes, st.floats(0.5, 0.999))
def test_share_limits_hold_the_estimate_and_grow_with_the_level(clusters, level):
    successes, totals = zip(*clusters, strict=True)
    estimate, lower, upper = share_interval(successes, totals, level=level)
    assert 0 <= lower <= estimate <= upper <= 1
    narrower = share_interval(successes, totals, level=level / 2)
    assert lower <= narrower.lower
    assert narrower.upper <= upper


@given(clusters_with_successes)
def test_what_is_no_success_has_the_mirrored_limits(clusters):
    successes, totals = np.array(clusters).T
    share, rest = share_interval(successes, totals), share_interval(totals - successes, totals)
    assert (1 - rest.estimate, 1 - rest.upper, 1 - rest.lower) == pytest.approx(share, abs=1e-9)


@given(clusters_with_successes, st.randoms(use_true_random=False))
def test_the_order_of_clusters_does_not_matter(clusters, random):
    shuffled = random.sample(clusters, len(clusters))
    for interval in (share_interval, difference_interval):
        assert interval(*zip(*shuffled, strict=True)) == pytest.approx(interval(*zip(*clusters, strict=True)))


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (0.95, (0.264705882353, -0.113184796391, 0.642596561097)),
        (0.9, (0.264705882353, -0.031518103573, 0.560929868279)),
    ],
)
def test_difference_limits_equal_those_of_svymean(level, expected):
    """R, with x of -1, 0 or 1: m <- svymean(~x, design); c(coef(m), confint(m, level = level, df = degf(design)))."""
    assert difference_interval([4, -1, 2, -2, 4, 2], UNEVEN[1], level=level) == pytest.approx(expected, abs=1e-9)


def test_a_difference_by_hand():
    # Means 1 and 0 in two clusters of two events: m = 1/2, each cluster is off by 1/4, v = 2 (1/16 + 1/16) = 1/4.
    margin = 12.7062047362 * 0.5  # R: qt(0.975, 1)
    assert difference_interval([2, 0], [2, 2]) == pytest.approx((0.5, 0.5 - margin, 0.5 + margin))


def test_a_difference_that_all_clusters_share_has_limits_that_coincide():
    assert difference_interval([1, 2], [2, 4]) == Interval(0.5, 0.5, 0.5)


def test_a_difference_of_one_cluster_has_no_limits():
    assert difference_interval([-2], [4]) == pytest.approx((-0.5, math.nan, math.nan), nan_ok=True)


def test_effective_size_equals_that_of_svymean():
    """R: m <- svymean(~x, design); coef(m) * (1 - coef(m)) / vcov(m)."""
    size = effective_sample_size(*UNEVEN)
    assert size == pytest.approx((33.5396518375, 34 / 33.5396518375))


def test_clusters_that_are_all_or_nothing_are_worth_little_more_than_one_event_each():
    # p = 1/2, influences of +-1/8, v = 4/3 x 4/64 = 1/12: three effective events of forty.
    assert effective_sample_size([10, 0, 10, 0], [10] * 4) == pytest.approx((3, 40 / 3))


def test_without_variance_a_cluster_is_worth_one_event():
    assert effective_sample_size([0, 0, 0], [5, 5, 2]) == (3, 4)


def test_one_cluster_has_no_effective_size():
    assert effective_sample_size([1], [3]) == pytest.approx((math.nan, math.nan), nan_ok=True)


def test_the_largest_cluster():
    assert largest_cluster_share([1, 6, 1]) == 0.75
    assert largest_cluster_share([4]) == 1
    assert math.isnan(largest_cluster_share([]))
    assert math.isnan(largest_cluster_share([0]))


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, math.nan, None, "0.95", True])
@pytest.mark.parametrize("interval", [share_interval, difference_interval])
def test_a_level_that_is_none_is_named(interval, level):
    with pytest.raises(ParameterError, match=r"^level: got .*, expected a number between 0 and 1"):
        interval([1], [2], level=level)


def test_the_order_of_clusters_does_not_show_in_the_last_digit():
    successes, totals = np.array([3, 17, 1, 40, 7, 2, 9]), np.array([10, 31, 3, 97, 13, 7, 29])
    straight = share_interval(successes, totals)
    assert all(share_interval(successes[order], totals[order]) == straight for order in permutations_of(len(totals)))


def permutations_of(n):
    rng = np.random.default_rng(1)
    return [rng.permutation(n) for _ in range(50)]
