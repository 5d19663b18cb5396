"""Two groups of clustered events. The numbers from R are of R 4.2.2 with survey 4.1.1 and survival 3.5.3."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_kit.errors import ParameterError
from telemetry_kit.stats import (
    detectable_difference,
    group_difference_interval,
    median_difference,
    probability_of_superiority,
    share_interval,
    woodruff_median,
)

# Successes and totals of the first group, then of the second, by cluster.
SHARED = [6, 3, 5, 7, 2], [10, 9, 8, 12, 5], [4, 2, 6, 6, 1], [11, 7, 12, 12, 6]
DISJOINT = [6, 3, 5, 0, 0, 0], [10, 9, 8, 0, 0, 0], [0, 0, 0, 4, 2, 6], [0, 0, 0, 11, 7, 12]
PARTLY_SHARED = [6, 3, 5, 7, 0], [10, 9, 8, 12, 0], [0, 2, 6, 6, 1], [0, 7, 12, 12, 6]

A, CLUSTERS_A = [3, 5, 2, 6, 4, 7, 4, 4, 5, 9], [1, 1, 1, 2, 2, 3, 3, 3, 4, 4]
B, CLUSTERS_B = [1, 4, 2, 2, 3, 5, 5, 4, 2, 3, 8], [1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 4]
unknown_limits = (pytest.approx(math.nan, nan_ok=True),) * 2
values_in_clusters = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("groups", "level", "expected"),
    [
        pytest.param(SHARED, 0.95, (0.1268939393939, -0.0108392311428, 0.2646271099306), id="shared clusters"),
        pytest.param(DISJOINT, 0.95, (0.1185185185185, -0.1569869168278, 0.3940239538649), id="disjoint clusters"),
        pytest.param(PARTLY_SHARED, 0.9, (0.1330561330561, -0.0064028233663, 0.2725150894785), id="some shared"),
    ],
)
def test_difference_limits_equal_those_of_svyglm(groups, level, expected):
    """R, with one row for each event, `x` 1 or 0, and `first` 1 in the first group and 0 in the second.

    m <- svyglm(x ~ first, svydesign(ids = ~cluster, weights = ~1, data = events))
    c(coef(m)[2], confint(m, level = level, ddf = m$df.residual)[2, ])
    """
    assert group_difference_interval(*groups, level=level) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("groups", "level", "expected"),
    [(SHARED, 0.95, 0.180080497384), (DISJOINT, 0.95, 0.368876939437), (PARTLY_SHARED, 0.9, 0.197442659897)],
)
def test_what_can_be_detected_follows_from_the_standard_error_of_svyglm(groups, level, expected):
    """R, with the same m: (qt((1 + level) / 2, m$df.residual) + qt(0.8, m$df.residual)) * SE(m)[2]."""
    assert detectable_difference(*groups, level=level) == pytest.approx(expected, abs=1e-9)


def test_more_power_needs_a_larger_difference():
    assert detectable_difference(*SHARED, power=0.9) > detectable_difference(*SHARED, power=0.8)


def test_clusters_seen_in_both_periods_detect_more_than_as_many_others():
    before, totals, after = [8, 1, 9, 2], [10] * 4, [9, 2, 9, 3]
    others = detectable_difference(
        [*before, 0, 0, 0, 0], [*totals, 0, 0, 0, 0], [0, 0, 0, 0, *after], [0, 0, 0, 0, *totals]
    )
    assert detectable_difference(before, totals, after, totals) < others / 4


def test_the_variances_of_disjoint_groups_add_up():
    # Each group's own variance is k / (k - 1) = 4/3 times a sum of squares; together it is 8/7 times both sums.
    first, second = ([8, 1, 9, 2], [10] * 4), ([9, 2, 9, 3], [10] * 4)
    none = [0] * 4
    groups = ([*first[0], *none], [*first[1], *none], [*none, *second[0]], [*none, *second[1]])
    squares = sum(((np.array(successes) / 40 - sum(successes) / 160) ** 2).sum() for successes, _ in (first, second))
    estimate, _, upper = group_difference_interval(*groups)
    assert upper - estimate == pytest.approx(2.44691185114 * math.sqrt(8 / 7 * squares))  # R: qt(0.975, 6)
    assert estimate == pytest.approx(share_interval(*first).estimate - share_interval(*second).estimate)


@pytest.mark.parametrize(
    "groups",
    [
        pytest.param(([1, 0, 0], [2, 0, 0], [0, 1, 2], [0, 3, 4]), id="a group of one cluster"),
        pytest.param(([1, 2], [2, 5], [1, 2], [3, 4]), id="two clusters, in both groups"),
        pytest.param(([2, 3, 4], [2, 3, 4], [0, 0, 0], [2, 3, 4]), id="all against none"),
        pytest.param(([1, 2, 5], [7, 3, 9], [3, 6, 15], [21, 9, 27]), id="the same in every cluster"),
    ],
)
def test_without_a_variance_a_difference_has_no_limits(groups):
    estimate, *limits = group_difference_interval(*groups)
    assert not math.isnan(estimate)
    assert np.isnan(limits).all()
    assert math.isnan(detectable_difference(*groups))


def test_a_difference_from_nothing_is_unknown():
    assert np.isnan(group_difference_interval([1, 2, 1], [2, 3, 4], [0, 0, 0], [0, 0, 0])).all()
    assert np.isnan(group_difference_interval([], [], [], [])).all()


@pytest.mark.parametrize(
    ("clusters_b", "level", "expected"),
    [
        pytest.param(CLUSTERS_B, 0.95, (0.704545454545, 0.192714929749, 0.959710488802), id="shared"),
        pytest.param(CLUSTERS_B, 0.9, (0.704545454545, 0.333394544891, 0.919156962237), id="shared, another level"),
        pytest.param(
            [5, 5, 6, 6, 6, 7, 7, 8, 8, 8, 8], 0.95, (0.704545454545, 0.334486609754, 0.918791373607), id="disjoint"
        ),
        pytest.param(
            [5, 5, 6, 6, 6, 7, 7, 7, 6, 5, 5], 0.95, (0.704545454545, 0.266199430099, 0.940029992393), id="unequal"
        ),
    ],
)
def test_superiority_equals_that_of_concordance(clusters_b, level, expected):
    """R, with `first` 1 for the values of the first group and 0 for the others.

    k <- concordance(first ~ value, cluster = cluster); p <- k$concordance
    u <- rowsum(concordance(first ~ value, influence = 1)$dfbeta, cluster)
    v <- 4 / 3 * k$var                                  # four clusters in both groups, or four in either
    v <- 4 / 3 * sum(u[1:4]^2) + 3 / 2 * sum(u[5:7]^2)  # four in one, three in the other
    df <- length(unique(cluster)) - 2
    plogis(qlogis(p) + c(-1, 1) * qt((1 + level) / 2, df) * sqrt(v) / (p * (1 - p)))
    """
    result = probability_of_superiority(A, CLUSTERS_A, B, clusters_b, level=level)
    assert result == pytest.approx(expected, abs=1e-9)


def test_ties_count_half():
    # Of the six pairs 2-1, 2-2, 2-3 and 3-1, 3-2, 3-3 three are won and two tied.
    assert probability_of_superiority([2, 3], [0, 1], [1, 2, 3], [0, 1, 2]).estimate == pytest.approx(4 / 6)


@given(values_in_clusters, values_in_clusters)
def test_superiority_counts_every_pair(first, second):
    (a, clusters_a), (b, clusters_b) = zip(*first, strict=True), zip(*second, strict=True)
    estimate, lower, upper = probability_of_superiority(a, clusters_a, b, clusters_b)
    wins = sum((x > y) + (x == y) / 2 for x in a for y in b)
    assert estimate == pytest.approx(wins / (len(a) * len(b)))
    if not math.isnan(lower):
        assert 0 <= lower <= estimate <= upper <= 1
    mirrored = probability_of_superiority(b, clusters_b, a, clusters_a)
    np.testing.assert_allclose(
        [1 - mirrored.estimate, 1 - mirrored.upper, 1 - mirrored.lower], [estimate, lower, upper], atol=1e-9
    )


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param([4, 5, 6], [1, 2, 3], 1, id="all above"),
        pytest.param([1, 2, 3], [4, 5, 6], 0, id="all below"),
        pytest.param([2, 2, 2], [2, 2, 2], 0.5, id="nothing but ties"),
        pytest.param([1, 2, 3], [1, 2, 3], 0.5, id="the same in every cluster"),
    ],
)
def test_without_a_variance_superiority_has_no_limits(a, b, expected):
    estimate, *limits = probability_of_superiority(a, [0, 1, 2], b, [0, 1, 2])
    assert estimate == expected
    assert np.isnan(limits).all()


def test_superiority_of_one_cluster_has_no_limits():
    estimate, *limits = probability_of_superiority([1, 4], [0, 0], [2, 3, 5], [0, 1, 2])
    assert estimate == pytest.approx(2 / 6)
    assert np.isnan(limits).all()


def test_superiority_over_nothing_is_unknown():
    assert np.isnan(probability_of_superiority([1, 2], [0, 1], [], [])).all()


def test_medians_of_disjoint_clusters_differ_within_the_root_of_their_squared_reaches():
    a, b = [4, 5, 5, 7, 6, 8, 5, 9, 4, 6, 7, 5], [1, 2, 3, 4, 2, 3, 5, 9, 4, 2, 3, 6]
    clusters = np.repeat(range(6), 2)
    (m_a, l_a, u_a), (m_b, l_b, u_b) = woodruff_median(a, clusters), woodruff_median(b, clusters)
    expected = (m_a - m_b, m_a - m_b - math.hypot(m_a - l_a, u_b - m_b), m_a - m_b + math.hypot(u_a - m_a, m_b - l_b))
    assert median_difference(a, clusters, b, clusters + 6) == pytest.approx(expected)


def test_medians_that_move_together_differ_by_a_known_amount():
    values, clusters = np.arange(1.0, 25), np.repeat(range(8), 3)
    together = median_difference(values + 10, clusters, values, clusters)
    apart = median_difference(values + 10, clusters, values, clusters + 8)
    assert together.estimate == apart.estimate == 10
    assert together.upper - together.lower < (apart.upper - apart.lower) / 2


def test_a_median_differs_from_itself_by_nothing():
    values, clusters = [1, 1, 5, 0, 7, 1, 5, 5, 1, 3, 1, 8, 4, 1, 7, 6, 1, 3, 0, 5, 4], np.repeat(range(7), 3)
    assert woodruff_median(values, clusters) == (3, 1, 5)
    assert median_difference(values, clusters, values, clusters) == (0, 0, 0)


def test_a_limit_beyond_its_median_adds_nothing():
    # Alike clusters of 1 and 2 put the median at 1.5 and both its limits at 1.
    a, b, pairs = [1, 2, 1, 2, 1, 2], [5, 6, 5, 6, 5, 6], np.repeat(range(3), 2)
    assert median_difference(a, pairs, b, pairs + 3) == (-4, -4.5, -3.5)


def test_medians_of_one_cluster_have_no_limits_of_their_difference():
    estimate, *limits = median_difference([1, 2, 3], [0, 0, 0], [4, 4, 5, 6], [1, 2, 3, 4])
    assert estimate == -2.5
    assert np.isnan(limits).all()


def test_level_and_power_are_checked():
    with pytest.raises(ParameterError, match=r"^level: got 0, "):
        group_difference_interval(*SHARED, level=0)
    with pytest.raises(ParameterError, match=r"^level: got 0, "):
        detectable_difference(*SHARED, level=0)
    with pytest.raises(ParameterError, match=r"^power: got 80, "):
        detectable_difference(*SHARED, power=80)
    with pytest.raises(ParameterError, match=r"^level: got 0, "):
        probability_of_superiority(A, CLUSTERS_A, B, CLUSTERS_B, level=0)
    with pytest.raises(ParameterError, match=r"^level: got 0, "):
        median_difference(A, CLUSTERS_A, B, CLUSTERS_B, level=0)
