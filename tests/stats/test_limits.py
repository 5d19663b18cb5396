"""Limits of shares and means. The numbers from R are of R 4.2.2 with clubSandwich 0.5.8.

With one row for each unit (`x` being 1 for a success and 0 otherwise) and alpha <- 1 - level, each recording is

    r <- coef_test(lm(x ~ 1), vcov = "CR2", cluster = cluster, test = "Satterthwaite"); p <- mean(x); N <- length(x)
    n <- min(N, p * (1 - p) / r$SE^2 * (qt(alpha / 2, N - 1) / qt(alpha / 2, r$df_Satt))^2)
    c(qbeta(alpha / 2, n * p, n * (1 - p) + 1), qbeta(1 - alpha / 2, n * p + 1, n * (1 - p)))
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_kit.errors import ParameterError
from telemetry_kit.stats import (
    count_clusters,
    detectable_differences,
    estimate_means,
    estimate_shares,
    holm,
    mean_limits,
    one_group,
    p_values,
    share_limits,
)

UNEVEN = [5, 0, 3, 1, 7, 2], [9, 1, 4, 6, 12, 2]
clusters_with_successes = st.lists(
    st.integers(1, 30).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))), min_size=2, max_size=12
)


def limits_of_share(successes, totals, level=0.95):
    shares = estimate_shares(successes, count_clusters(totals, one_group(len(totals))))
    lower, upper = share_limits(shares, level=level)
    return lower[0], upper[0]


def limits_of_mean(sums, totals, level=0.95, **options):
    means = estimate_means(sums, count_clusters(totals, one_group(len(totals))))
    lower, upper = mean_limits(means.estimate, means.error, means.df, level=level, **options)
    return lower[0], upper[0]


@pytest.mark.parametrize(
    ("successes", "totals", "level", "expected"),
    [
        pytest.param(*UNEVEN, 0.95, (0.258709783955, 0.787872000952), id="uneven clusters"),
        pytest.param(*UNEVEN, 0.9, (0.317698654122, 0.733509824937), id="another level"),
        pytest.param([3, 5], [8, 9], 0.95, (6.47652994092e-05, 0.999810868682), id="two clusters"),
        pytest.param([1, 1, 1, 2], [2, 2, 2, 3], 0.95, (0.212008506779, 0.863004337735), id="no more than the units"),
        pytest.param([0, 0, 1, 0, 0], [30, 12, 25, 40, 9], 0.95, (7.13536373e-07, 0.0992943041531), id="one success"),
        pytest.param([400, 2, 1, 3], [900, 5, 3, 4], 0.95, (0.365125847524, 0.527378575813), id="one large cluster"),
        pytest.param(
            [1, 0, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1], [1] * 12, 0.95, (0.33439555441, 0.908190163903), id="clusters of one"
        ),
    ],
)
def test_limits_of_a_share_equal_those_of_r(successes, totals, level, expected):
    assert limits_of_share(successes, totals, level) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("successes", "totals", "level", "expected"),
    [
        ([0, 0, 0, 0], [9, 1, 3, 7], 0.95, (0, 0.602364635616)),  # R: binom.test(0, 4)$conf.int
        ([9, 1, 3, 7], [9, 1, 3, 7], 0.95, (0.397635364384, 1)),  # R: binom.test(4, 4)$conf.int
        ([2, 2, 2, 2, 2], [2] * 5, 0.9, (0.549280271653, 1)),  # R: binom.test(5, 5, conf.level = 0.9)$conf.int
        ([1, 2, 3, 50], [2, 4, 6, 100], 0.95, (0.0675859864, 0.9324140136)),  # R: binom.test(2, 4)$conf.int
    ],
)
def test_where_clusters_do_not_differ_each_counts_as_one_trial(successes, totals, level, expected):
    assert limits_of_share(successes, totals, level) == pytest.approx(expected, abs=1e-9)


def test_one_cluster_has_no_limits():
    assert np.isnan(limits_of_share([3], [4])).all()
    assert np.isnan(limits_of_share([4], [4])).all()
    assert np.isnan(limits_of_mean([-2], [4])).all()
    assert np.isnan(limits_of_share([], [])).all()


@given(clusters_with_successes, st.floats(0.5, 0.999))
def test_limits_of_a_share_hold_it_and_grow_with_the_level(clusters, level):
    successes, totals = zip(*clusters, strict=True)
    lower, upper = limits_of_share(successes, totals, level)
    assert 0 <= lower <= sum(successes) / sum(totals) + 1e-12
    assert sum(successes) / sum(totals) - 1e-12 <= upper <= 1
    narrower = limits_of_share(successes, totals, level / 2)
    assert lower <= narrower[0] + 1e-12
    assert narrower[1] <= upper + 1e-12


@given(clusters_with_successes)
def test_what_is_no_success_has_the_mirrored_limits(clusters):
    successes, totals = np.array(clusters).T
    lower, upper = limits_of_share(successes, totals)
    assert limits_of_share(totals - successes, totals) == pytest.approx((1 - upper, 1 - lower), abs=1e-9)


@pytest.mark.parametrize(
    ("level", "expected"), [(0.95, (-0.191367327192, 0.720779091898)), (0.9, (-0.0753488666737, 0.60476063138))]
)
def test_limits_of_a_mean_equal_those_of_r(level, expected):
    """R, with r as above and x of -1, 0 or 1: mean(x) + c(-1, 1) * qt(1 - alpha / 2, r$df_Satt) * r$SE."""
    assert limits_of_mean([4, -1, 2, -2, 4, 2], UNEVEN[1], level) == pytest.approx(expected, abs=1e-9)


def test_limits_are_cut_at_the_range_of_a_mean():
    assert limits_of_mean([2, 0], [2, 2], within=(-1, 1)) == (-1, 1)


def test_p_values_are_of_two_sides():
    """R: 2 * pt(-2, 8)."""
    assert p_values([0.2, -0.2, 0.0, 1.0], [0.1] * 4, [8, 8, 8, math.nan]) == pytest.approx(
        [0.0805162, 0.0805162, 1, math.nan], abs=1e-7, nan_ok=True
    )


def test_holm_equals_p_adjust():
    """R: p.adjust(c(0.01, 0.04, NA, 0.03, 0.5), "holm")."""
    expected = [0.04, 0.09, math.nan, 0.09, 0.5]
    assert holm([0.01, 0.04, math.nan, 0.03, 0.5]) == pytest.approx(expected, nan_ok=True)
    assert holm([]).size == 0


def test_more_power_needs_a_larger_difference():
    assert detectable_differences(0.1, 5, level=0.95, power=0.9) > detectable_differences(0.1, 5, level=0.95)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, math.nan, None, "0.95", True])
def test_a_level_that_is_none_is_named(level):
    with pytest.raises(ParameterError, match=r"^level: got .*, expected a number between 0 and 1"):
        limits_of_share([1], [2], level)
    with pytest.raises(ParameterError, match=r"^level: got .*, expected a number between 0 and 1"):
        limits_of_mean([1], [2], level)
    with pytest.raises(ParameterError, match=r"^level: got .*, expected a number between 0 and 1"):
        detectable_differences(1, 2, level=level)


def test_a_mean_that_clusters_do_not_differ_in_has_no_limits():
    assert np.isnan(limits_of_mean([2, 2], [4, 4])).all()
