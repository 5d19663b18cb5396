"""Which groups differ more than chance and ordinary variety explain. The numbers from R are of R 4.2.2, base alone.

Each recording is the result of the formulas of ``group_deviations`` in R's words, with
``dbb <- function(k, n, a, b) exp(lchoose(n, k) + lbeta(k + a, n - k + b) - lbeta(a, b))`` for the beta-binomial, and of
``2 * pt(qnorm(min(0.5, lo, hi)), I - 2)`` with the two mid-p values ``lo`` and ``hi``.
"""

import numpy as np
import pytest

from telemetry_kit.stats.deviations import expected_range, group_deviations, leave_one_out

X = [12, 30, 7, 44, 9, 21, 15, 3, 26, 60, 18, 5]
N = [30, 55, 21, 80, 25, 40, 33, 9, 51, 75, 37, 14]
ODD = 9
"""The group with 60 of 75."""


def test_it_is_what_base_r_says():
    found = group_deviations(X, N)
    assert (found.overall, found.rho, found.between_sd) == pytest.approx(
        (0.531914893617, 0.056987828755, 0.119117218072), abs=1e-11
    )
    assert found.p_value == pytest.approx(
        [
            *(0.384156077019, 0.930948562802, 0.229351989432, 0.897190699130, 0.275937166558, 0.953558909654),
            *(0.603271371695, 0.366300422494, 0.865952344096, 0.000213167504, 0.752189061754, 0.352166978504),
        ],
        abs=1e-10,
    )
    assert found.shrunk == pytest.approx(
        [
            *(0.446895553257, 0.542323080368, 0.420850217502, 0.546900335117, 0.428470370765, 0.527023515161),
            *(0.480384826586, 0.461957888622, 0.515220600048, 0.751542513883, 0.500525048757, 0.451816686820),
        ],
        abs=1e-11,
    )


def test_both_sides_are_held_against_the_same():
    other = group_deviations(np.subtract(N, X), N)
    assert other.p_value == pytest.approx(group_deviations(X, N).p_value, rel=1e-9)


def test_a_group_far_off_keeps_a_small_probability_where_subtraction_would_lose_it():
    p = group_deviations([5] * 11 + [199], [10] * 11 + [200]).p_value
    assert 0 < p[-1] < 1e-7


def test_without_variety_it_is_the_binomial():
    # All twelve have exactly one half: the correlation is cut to 0, and chance alone is left.
    found = group_deviations([5] * 12, [10] * 12)
    assert (found.rho, found.between_sd) == (0, 0)
    assert found.shrunk == pytest.approx([0.5] * 12)
    assert found.p_value == pytest.approx([1.0] * 12)


@pytest.mark.parametrize("share", [0, 1])
def test_groups_that_all_have_none_or_all_do_not_differ(share):
    found = group_deviations([9 * share] * 4, [9] * 4)
    assert (found.p_value == 1).all()
    assert (found.lower == share).all()
    assert (found.upper == share).all()


def test_one_that_has_what_no_other_has_is_far_off():
    assert group_deviations([0, 0, 0, 3], [5, 5, 5, 5]).p_value[-1] == 0


def test_one_trial_each_tells_nothing_of_variety():
    assert group_deviations([1, 0, 1, 1, 0], [1] * 5).rho == 0


@pytest.mark.parametrize("n_groups", [0, 1, 2])
def test_of_fewer_than_three_groups_none_can_be_odd(n_groups):
    found = group_deviations([3] * n_groups, [4] * n_groups)
    assert np.isnan(found.p_value).all()
    assert len(found.p_value) == len(found.shrunk) == len(found.lower) == n_groups
    assert np.isnan(found.rho) == (n_groups < 2)


def test_many_draws_are_held_at_once():
    x, n = np.array([X, X[::-1]], float), np.array([N, N[::-1]], float)
    one = group_deviations(X, N).p_value
    assert leave_one_out(x, n) == pytest.approx(np.array([one, one[::-1]]))


def test_larger_groups_are_expected_nearer_to_the_middle_but_never_nearer_than_variety_lets_them():
    lower, upper = expected_range(np.array([10.0, 100.0, 100_000.0]), 0.5, 0.1, level=0.95)
    assert lower[0] < lower[1] < lower[2] < 0.25
    assert upper[0] > upper[1] > upper[2] > 0.75
