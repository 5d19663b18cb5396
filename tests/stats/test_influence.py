"""Error and degrees of freedom between clusters. The numbers from R are of R 4.2.2 with clubSandwich 0.5.8.

Each recording is the result, with one row for each unit (`x` being 1 for a success and 0 otherwise), of

    r <- coef_test(lm(x ~ 1), vcov = "CR2", cluster = cluster, test = "Satterthwaite"); c(r$beta, r$SE, r$df_Satt)
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_kit.engine.grouping import Groups
from telemetry_kit.stats import as_shares, count_clusters, estimate_means, estimate_shares, one_group

UNEVEN = [5, 0, 3, 1, 7, 2], [9, 1, 4, 6, 12, 2]
sizes = st.lists(st.integers(1, 1000), min_size=2, max_size=12)


def share(successes, totals):
    shares = estimate_shares(successes, count_clusters(totals, one_group(len(totals))))
    return shares.estimate[0], shares.error[0], shares.df[0]


@pytest.mark.parametrize(
    ("successes", "totals", "expected"),
    [
        pytest.param(*UNEVEN, (0.529411764706, 0.0861857716661, 3.16713722246), id="uneven clusters"),
        pytest.param([3, 5], [8, 9], (0.470588235294, 0.0901214525042, 1), id="two clusters"),
        pytest.param([1, 1, 1, 2], [2, 2, 2, 3], (0.555555555556, 0.0514344499874, 2.88235294118), id="clusters alike"),
        pytest.param(
            [0, 0, 1, 0, 0], [30, 12, 25, 40, 9], (0.00862068965517, 0.00893666512899, 3.06508857448), id="one success"
        ),
        pytest.param(
            [400, 2, 1, 3], [900, 5, 3, 4], (0.445175438596, 0.0064453005657, 1.01744059451), id="one large cluster"
        ),
        pytest.param(
            [1, 0, 0, 1, 1, 0, 1, 1, 1, 0, 1, 1], [1] * 12, (0.666666666667, 0.142133810904, 11), id="clusters of one"
        ),
    ],
)
def test_a_share_has_the_error_and_the_degrees_of_freedom_of_coef_test(successes, totals, expected):
    assert share(successes, totals) == pytest.approx(expected, abs=1e-9)


def test_a_mean_has_the_error_and_the_degrees_of_freedom_of_coef_test():
    """As above, with x of -1, 0 or 1."""
    means = estimate_means([4, -1, 2, -2, 4, 2], count_clusters(UNEVEN[1], one_group(6)))
    expected = (0.264705882353, 0.14761972863, 3.16713722246)
    assert (means.estimate[0], means.error[0], means.df[0]) == pytest.approx(expected, abs=1e-9)


def test_an_error_by_hand():
    # Means 1 and 0 in two clusters of two: influences of +-1/4, each cluster half of all units: v = 2 (1/16) / (1/2).
    means = estimate_means([2, 0], count_clusters([2, 2], one_group(2)))
    assert (means.variance[0], means.df[0]) == pytest.approx((0.25, 1))
    assert means.influence == pytest.approx([0.25, -0.25])


@given(sizes)
def test_degrees_of_freedom_are_one_less_than_clusters_at_most(totals):
    df = count_clusters(totals, one_group(len(totals))).df[0]
    assert 1 - 1e-9 <= df <= len(totals) - 1 + 1e-9
    alike = count_clusters([totals[0]] * len(totals), one_group(len(totals)))
    assert alike.df[0] == pytest.approx(len(totals) - 1)


def test_a_cluster_without_units_does_not_count():
    successes, totals = UNEVEN
    assert share([*successes, 0, 0], [*totals, 0, 0]) == share(successes, totals)


def test_one_cluster_has_neither_error_nor_degrees_of_freedom():
    assert share([3], [4]) == pytest.approx((0.75, math.nan, math.nan), nan_ok=True)
    assert share([3, 0], [4, 0]) == pytest.approx((0.75, math.nan, math.nan), nan_ok=True)


def test_a_share_of_no_units_is_unknown():
    assert np.isnan(share([], [])).all()
    assert np.isnan(share([0, 0], [0, 0])).all()


@pytest.mark.parametrize("successes", [[0, 0, 0], [4, 1, 2]])
def test_a_share_of_0_or_1_has_no_degrees_of_freedom(successes):
    shares = estimate_shares(successes, count_clusters([4, 1, 2], one_group(3)))
    assert shares.variance[0] == 0
    assert np.isnan(shares.df[0])
    assert not np.isnan(as_shares(estimate_means([1, 1, 1], count_clusters([4, 1, 2], one_group(3)))).df[0])


def test_each_group_is_by_itself():
    groups = Groups(np.array([0, 1, 0, 1, 2, 1]), 3)
    together = estimate_shares([5, 3, 0, 1, 7, 2], count_clusters([9, 4, 1, 6, 12, 2], groups))
    first, second = share([5, 0], [9, 1]), share([3, 1, 2], [4, 6, 2])
    assert [together.estimate[0], together.error[0], together.df[0]] == pytest.approx(first)
    assert [together.estimate[1], together.error[1], together.df[1]] == pytest.approx(second)
    assert np.isnan([together.error[2], together.df[2]]).all()


def test_the_order_of_clusters_does_not_show_in_the_last_digit():
    successes, totals = np.array([3, 17, 1, 40, 7, 2, 9]), np.array([10, 31, 3, 97, 13, 7, 29])
    rng = np.random.default_rng(1)
    orders = [rng.permutation(7) for _ in range(50)]
    assert all(share(successes[order], totals[order]) == share(successes, totals) for order in orders)
