"""The difference of the medians of two curves."""

import math

import numpy as np
import pytest

from telemetry_kit import stats

RNG = np.random.default_rng(20_201_102)


def drawn(n_clusters, n_each, shift=1.0):
    clusters = np.repeat(np.arange(n_clusters), n_each)
    durations = RNG.exponential(size=clusters.size) * np.exp(0.3 * RNG.normal(size=n_clusters))[clusters] * shift
    censored = RNG.exponential(3, size=clusters.size)
    return np.minimum(durations, censored), durations <= censored, clusters


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95, 0.99])
def test_the_limits_of_a_median_are_those_of_the_curve_at_any_level(level):
    durations, ended, clusters = drawn(12, 8)
    median = stats.CurveMedian.of(durations, ended, clusters)
    curve = stats.survival_curve(durations, ended, clusters, level=level)
    assert median.median == stats.curve_quantiles(curve, [0.5])[0]
    assert median.limits(level) == tuple(float(limit[0]) for limit in stats.curve_quantile_limits(curve, [0.5]))


def test_of_the_same_clusters_the_correlation_makes_the_limits_narrower():
    durations, ended, clusters = drawn(12, 8)
    a = stats.CurveMedian.of(durations, ended, clusters, n_codes=24)
    same, apart = (
        stats.CurveMedian.of(durations + 0.1, ended, codes, n_codes=24) for codes in (clusters, clusters + 12)
    )
    near, far = (stats.compare_curve_medians(a, b) for b in (same, apart))
    assert near.estimate == far.estimate == pytest.approx(0.1)
    assert near.upper - near.lower < far.upper - far.lower


def test_the_p_value_is_one_less_the_level_at_which_the_limits_reach_zero():
    a, b = (stats.CurveMedian.of(*drawn(15, 10, shift)) for shift in (1, 2))
    result = stats.compare_curve_medians(a, b)
    assert 0 < result.p_value < 1
    for level in (1 - 0.8 * result.p_value, 1 - 1.2 * result.p_value):
        limits = stats.compare_curve_medians(a, b, level=min(max(level, 0.01), 0.999999))
        assert (limits.lower > 0 or limits.upper < 0) == (level < 1 - result.p_value)


def test_a_curve_that_does_not_fall_to_one_half_has_no_median():
    a = stats.CurveMedian.of([1, 2, 3, 4], [1, 1, 1, 1], [0, 1, 2, 3])
    b = stats.CurveMedian.of([1, 2, 3, 4], [1, 0, 0, 0], [0, 1, 2, 3])
    assert all(map(math.isnan, stats.compare_curve_medians(a, b)))


def test_one_cluster_gives_no_limits():
    a = stats.CurveMedian.of([1, 2, 3, 4], [1] * 4, [0] * 4)
    result = stats.compare_curve_medians(a, a)
    assert result.estimate == 0
    assert all(map(math.isnan, result[1:]))


def test_few_durations_cannot_carry_the_limits_of_their_median():
    a, b = (stats.CurveMedian.of([1 + more, 2 + more, 3 + more, 4 + more], [1] * 4, [0, 0, 1, 1]) for more in (0, 100))
    result = stats.compare_curve_medians(a, b)
    assert result.estimate == 100
    assert all(map(math.isnan, result[1:]))
