"""Two groups of clustered units. The numbers from R are of R 4.2.2 with clubSandwich 0.5.8."""

import math

import numpy as np
import pytest

from telemetry_kit.errors import ParameterError
from telemetry_kit.stats import (
    clusters_needed,
    compare_estimates,
    count_clusters,
    detectable_differences,
    difference_of_medians,
    estimate_shares,
    mean_limits,
    one_group,
    p_values,
    quantiles,
    superiority,
)

# Successes and totals of the first group, then of the second, by cluster.
SHARED = [4, 2, 6, 6, 1], [11, 7, 12, 12, 6], [6, 3, 5, 7, 2], [10, 9, 8, 12, 5]
DISJOINT = [0, 0, 0, 4, 2, 6], [0, 0, 0, 11, 7, 12], [6, 3, 5, 0, 0, 0], [10, 9, 8, 0, 0, 0]
PARTLY_SHARED = [0, 2, 6, 6, 1], [0, 7, 12, 12, 6], [6, 3, 5, 7, 0], [10, 9, 8, 12, 0]


def compare(a, n_a, b, n_b):
    groups = one_group(len(n_a))
    return compare_estimates(
        estimate_shares(a, count_clusters(n_a, groups)), estimate_shares(b, count_clusters(n_b, groups))
    )


@pytest.mark.parametrize(
    ("groups", "level", "expected"),
    [
        pytest.param(
            SHARED,
            0.95,
            (0.126893939394, 0.0440384127561, 3.73063700031, 0.00106205816643, 0.252725820621, 0.0488560106943),
            id="shared clusters",
        ),
        pytest.param(
            DISJOINT,
            0.95,
            (0.118518518519, 0.111586190972, 3.86489360936, -0.195612744662, 0.432649781699, 0.349987714872),
            id="disjoint clusters",
        ),
        pytest.param(
            PARTLY_SHARED,
            0.9,
            (0.133056133056, 0.0607249039525, 3.22600688303, -0.00586100334763, 0.27197326946, 0.109839599587),
            id="some shared",
        ),
    ],
)
def test_a_difference_equals_that_of_coef_test(groups, level, expected):
    """R, with one row for each event, `x` 1 or 0, and `second` 1 in the second group and 0 in the first.

    r <- coef_test(lm(x ~ second), vcov = "CR2", cluster = cluster, test = "Satterthwaite")[2, ]
    c(r$beta, r$SE, r$df_Satt, r$beta + c(-1, 1) * qt((1 + level) / 2, r$df_Satt) * r$SE, r$p_Satt)
    """
    change = compare(*groups)
    lower, upper = mean_limits(*change, level=level)
    found = [*(each[0] for each in change), lower[0], upper[0], p_values(*change)[0]]
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("groups", "level", "expected"),
    [(SHARED, 0.95, 0.167619725688), (DISJOINT, 0.95, 0.419556900693), (PARTLY_SHARED, 0.9, 0.197682414577)],
)
def test_what_can_be_detected_follows_from_error_and_degrees_of_freedom(groups, level, expected):
    """R, with the same r: (qt((1 + level) / 2, r$df_Satt) + qt(0.8, r$df_Satt)) * r$SE."""
    _, error, df = compare(*groups)
    assert detectable_differences(error, df, level=level)[0] == pytest.approx(expected, abs=1e-9)


def test_clusters_seen_in_both_periods_detect_more_than_as_many_others():
    before, totals, after = [8, 1, 9, 2], [10] * 4, [9, 2, 9, 3]
    none = [0] * 4
    others = compare([*before, *none], [*totals, *none], [*none, *after], [*none, *totals])
    assert compare(before, totals, after, totals).error < others.error / 4


@pytest.mark.parametrize(
    "groups",
    [
        pytest.param(([1, 0, 0], [2, 0, 0], [0, 1, 2], [0, 3, 4]), id="a group of one cluster"),
        pytest.param(([2, 3, 4], [2, 3, 4], [0, 0, 0], [2, 3, 4]), id="all against none"),
        pytest.param(([1, 2, 5], [7, 3, 9], [3, 6, 15], [21, 9, 27]), id="the same in every cluster"),
    ],
)
def test_without_a_variance_a_difference_has_no_error(groups):
    estimate, error, df = (each[0] for each in compare(*groups))
    assert not math.isnan(estimate)
    assert np.isnan([error, df]).all()


def test_a_difference_from_nothing_is_unknown():
    assert np.isnan(compare([0, 0, 0], [0, 0, 0], [1, 2, 1], [2, 3, 4])).all()
    assert np.isnan(compare([], [], [], [])).all()


def test_as_many_clusters_as_there_are_show_what_can_be_detected():
    _, error, df = compare(*SHARED)
    detectable = detectable_differences(error, df, level=0.95)[0]
    assert clusters_needed(error, df, [5], detectable + 1e-9) == [5]
    assert clusters_needed(error, df, [5], detectable / 2) > 4 * 3
    assert np.isnan(clusters_needed([math.nan], [math.nan], [5], 0.1)).all()
    assert np.isinf(clusters_needed(error, df, [5], 1e-9)).all()


@pytest.mark.parametrize("difference", [0, -0.1, math.nan])
def test_a_difference_to_be_shown_is_above_0(difference):
    with pytest.raises(ParameterError, match=r"^difference: got .*, expected a number above 0"):
        clusters_needed([0.1], [4], [5], difference)


def test_ties_count_half():
    # Of the six pairs 1-2, 1-3, 2-2, 2-3, 3-2, 3-3 three are won by the second and two tied.
    assert superiority([1, 2, 3], [0, 1, 2], [2, 3], [0, 1]).estimate == pytest.approx(4 / 6)


def test_superiority_is_a_difference_of_placements():
    # R: coef_test(lm(c(p_b, -p_a) ~ second), …) with the placements, theta being 0.70454545454545
    a, clusters_a = [1, 4, 2, 2, 3, 5, 5, 4, 2, 3, 8], [1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 4]
    b, clusters_b = [3, 5, 2, 6, 4, 7, 4, 4, 5, 9], [1, 1, 1, 2, 2, 3, 3, 3, 4, 4]
    result = superiority(a, clusters_a, b, clusters_b)
    mirrored = superiority(b, clusters_b, a, clusters_a)
    assert result.estimate == pytest.approx(0.704545454545)
    assert (1 - mirrored.upper, 1 - mirrored.lower, mirrored.p_value, mirrored.df) == pytest.approx(
        (result.lower, result.upper, result.p_value, result.df)
    )
    assert 0 < result.lower < 0.5 < result.upper < 1


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [([1, 2, 3], [4, 5, 6], 1), ([4, 5, 6], [1, 2, 3], 0), ([2, 2, 2], [2, 2, 2], 0.5)],
)
def test_without_a_variance_superiority_has_no_limits(a, b, expected):
    estimate, *rest = superiority(a, [0, 1, 2], b, [0, 1, 2])
    assert estimate == expected
    assert np.isnan(rest).all()


def test_superiority_over_nothing_is_unknown():
    assert np.isnan(superiority([], [], [1, 2], [0, 1])).all()


def test_medians_that_move_together_differ_by_a_known_amount():
    values, clusters = np.arange(1.0, 61), np.repeat(range(20), 3)
    together = difference_of_medians(values, clusters, values + 10, clusters)
    apart = difference_of_medians(values, clusters, values + 10, clusters + 20)
    assert together.estimate == apart.estimate == 10
    assert together.upper - together.lower < (apart.upper - apart.lower) / 2
    assert together.p_value < 0.001 < apart.p_value


def test_the_p_value_is_one_less_the_level_that_reaches_zero():
    a, b = np.random.default_rng(1).normal([[0.0], [0.6]], size=(2, 60))
    clusters = np.repeat(range(20), 3)
    p = difference_of_medians(a, clusters, b, clusters + 20).p_value
    assert 0 < p < 1
    for level, leaves_out in ((1 - p * 1.2, True), (1 - p * 0.8, False)):
        result = difference_of_medians(a, clusters, b, clusters + 20, level=level)
        assert (result.lower > 0 or result.upper < 0) is leaves_out


def test_a_median_differs_from_itself_by_nothing():
    values, clusters = [1, 1, 5, 0, 7, 1, 5, 5, 1, 3, 1, 8, 4, 1, 7, 6, 1, 3, 0, 5, 4], np.repeat(range(7), 3)
    result = difference_of_medians(values, clusters, values, clusters)
    assert (result.estimate, result.lower, result.upper) == (0, 0, 0)
    assert result.p_value == 1


def test_medians_of_one_cluster_have_no_limits_of_their_difference():
    result = difference_of_medians([1, 2, 3], [0, 0, 0], [4, 4, 5, 6], [1, 2, 3, 4])
    assert result.estimate == quantiles([4, 4, 5, 6], 0.5) - 2
    assert np.isnan(result[1:]).all()


def test_few_values_cannot_carry_the_limits_of_a_median():
    # All of five values lie on one side of their median once in 32: more than half of what 95 % leave.
    for n, least_p in ((2, None), (5, None), (6, 1 / 32)):
        clusters = np.arange(2 * n)
        result = difference_of_medians(np.arange(n), clusters[:n], np.arange(n) + 100, clusters[n:])
        assert result.estimate == 100
        if least_p is None:
            assert np.isnan(result[1:]).all()
        else:
            assert result.p_value == pytest.approx(least_p)
            assert result.lower > 0


@pytest.mark.parametrize("n", [2, 3, 7])
def test_medians_of_few_values_that_do_not_differ_are_not_told_apart(n):
    rng, found, clusters = np.random.default_rng(1), 0, np.arange(2 * n)
    for _ in range(100):
        a, b = rng.integers(1, 40, size=(2, n))
        found += difference_of_medians(a, clusters[:n], b, clusters[n:]).p_value < 0.05
    assert found <= 8
