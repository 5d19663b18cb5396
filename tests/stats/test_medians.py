"""Quantiles and clustered medians. The numbers from R are of R 4.2.2 with survey 4.1.1.

Each recording is the result of

    design <- svydesign(ids = ~cluster, weights = ~1, data = events)
    median <- svyquantile(~x, design, 0.5, alpha = 1 - level, interval.type = "mean", qrule = "math")
    c(quantile(x, 0.5, type = 7), confint(median))
"""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_kit.engine.grouping import Groups
from telemetry_kit.errors import ParameterError
from telemetry_kit.stats import quantiles, woodruff_median
from telemetry_kit.stats.medians import (
    group_median_limits,
    group_quantiles,
    median_sample,
    moments,
    number_clusters,
    shares_below_median,
    sort_samples,
)

CLUSTERS = np.repeat(range(7), [5, 3, 6, 2, 4, 1, 3])
WITH_TIES = [4, 1, 5, 4, 4, 2, 4, 3, 3, 3, 3, 6, 1, 1, 1, 4, 2, 2, 3, 4, 2, 1, 1, 3]
WITHOUT_TIES = [
    *(4.7, 84.2, 5.6, 9.9, 12.5, 11.7, 31.7, 12.5, 20.9, 19.7, 2, 30.1),
    *(30.2, 137.9, 61.7, 9.4, 74.4, 8, 93.1, 30.9, 9.1, 13.9, 42, 23.4),
]
PAIRS = [0, 0, 1, 1, 2, 2]
counted_values = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(1, 5)), min_size=2, max_size=20
).filter(lambda rows: len({cluster for _, cluster, _ in rows}) > 1)


@pytest.mark.parametrize(
    ("values", "clusters", "level", "expected"),
    [
        pytest.param(WITH_TIES, CLUSTERS, 0.95, (3, 2, 6), id="ties"),
        pytest.param(WITH_TIES, CLUSTERS, 0.9, (3, 3, 4), id="ties, another level"),
        pytest.param(WITHOUT_TIES, CLUSTERS, 0.95, (20.3, 9.9, 31.7), id="no ties"),
        pytest.param(WITHOUT_TIES, CLUSTERS, 0.9, (20.3, 11.7, 30.9), id="no ties, another level"),
        pytest.param(WITHOUT_TIES, range(24), 0.95, (20.3, 9.9, 31.7), id="clusters of one value"),
        pytest.param([4] * 6, PAIRS, 0.95, (4, 4, 4), id="one value"),
        pytest.param([1, 2, 2, 2, 2, 2], PAIRS, 0.95, (2, 2, 2), id="the median is the largest value"),
        pytest.param([1, 2, 1, 2, 1, 2], PAIRS, 0.95, (1.5, 1, 1), id="clusters alike"),
        pytest.param(range(1, 7), [0, 0, 0, 1, 1, 1], 0.95, (3.5, math.nan, math.nan), id="unbounded"),
        pytest.param(range(1, 12), range(11), 0.99, (6, 2, math.nan), id="unbounded above"),
        pytest.param(range(1, 8), range(7), 0.95, (4, 2, math.nan), id="a lower limit below the first of seven"),
    ],
)
def test_median_limits_equal_those_of_svyquantile(values, clusters, level, expected):
    assert woodruff_median(values, clusters, level=level) == pytest.approx(expected, nan_ok=True)


@given(counted_values)
def test_counted_values_have_the_limits_of_the_values_themselves(rows):
    values, clusters, counts = np.array(rows).T
    counted = woodruff_median(values, clusters, counts)
    repeated = woodruff_median(np.repeat(values, counts), np.repeat(clusters, counts))
    np.testing.assert_array_equal(counted, repeated)


@given(counted_values, st.randoms(use_true_random=False))
def test_neither_order_nor_codes_of_clusters_matter(rows, random):
    values, clusters, counts = np.array(rows).T
    again, codes, times = np.array(random.sample(rows, len(rows))).T
    np.testing.assert_array_equal(
        woodruff_median(values, clusters, counts), woodruff_median(again, 1_000_000 - 7 * codes, times)
    )


def test_a_median_of_one_cluster_has_no_limits():
    assert woodruff_median([1, 2, 3], [5, 5, 5]) == pytest.approx((2, math.nan, math.nan), nan_ok=True)


def test_a_cluster_counted_zero_times_is_none():
    expected = woodruff_median(WITH_TIES, CLUSTERS)
    assert woodruff_median([*WITH_TIES, 0], [*CLUSTERS, 9], [*[1] * 24, 0]) == expected


def test_the_median_of_nothing_is_unknown():
    nothing = pytest.approx((math.nan, math.nan, math.nan), nan_ok=True)
    assert woodruff_median([], []) == nothing
    assert woodruff_median([3, 4], [0, 1], [0, 0]) == nothing


def test_the_level_of_a_median_is_checked():
    with pytest.raises(ParameterError, match=r"^level: got 95, expected a number between 0 and 1"):
        woodruff_median([1], [0], level=95)


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(1, 4)), min_size=1, max_size=15),
    st.lists(st.floats(0, 1), min_size=1, max_size=4),
)
def test_quantiles_are_those_of_pandas(rows, probabilities):
    values, counts = zip(*rows, strict=True)
    expected = pd.Series(np.repeat(values, counts)).quantile(probabilities)
    np.testing.assert_array_equal(quantiles(values, probabilities, counts=counts), expected)


def test_quantiles_of_nothing_are_unknown():
    np.testing.assert_array_equal(quantiles([], [0.25, 0.5]), [math.nan, math.nan])
    np.testing.assert_array_equal(quantiles([7], [0.5], counts=[0]), [math.nan])


@pytest.mark.parametrize("probability", [-0.1, 50, math.nan])
def test_a_probability_that_is_none_is_named(probability):
    with pytest.raises(ParameterError, match=r"^probabilities: got .*, expected numbers in \[0, 1\]"):
        quantiles([1, 2], [0.5, probability])


def test_the_medians_of_many_groups_are_those_of_each():
    values, clusters = np.array([*WITH_TIES, *WITHOUT_TIES]), np.concatenate([CLUSTERS, CLUSTERS])
    # The second of three groups is empty, and the others come mixed.
    groups = Groups(np.repeat([0, 2], 24), 3)
    mixed = np.random.default_rng(1).permutation(48)
    values, clusters, groups = values[mixed], clusters[mixed], Groups(groups.of[mixed], groups.n)
    samples = sort_samples(values, groups)
    shares = shares_below_median(samples, values, groups, *number_clusters(clusters, groups))
    lower, upper = group_median_limits(samples, shares, level=0.9)
    np.testing.assert_array_equal(lower, [3, math.nan, 11.7])
    np.testing.assert_array_equal(upper, [4, math.nan, 30.9])
    np.testing.assert_allclose(group_quantiles(samples, np.array([0.5]))[:, 0], [3, math.nan, 20.3])
    assert list(shares.n_clusters) == [7, 0, 7]


def test_a_cluster_without_values_in_a_group_does_not_count_there():
    # Three clusters of many values each; the last has none in the first group.
    of, clusters = np.repeat([0, 0, 1, 1, 1], 20), np.repeat([0, 1, 0, 1, 2], 20)
    values, groups = np.random.default_rng(6).normal(size=100), Groups(of, 2)
    numbers, of_clusters = number_clusters(clusters, groups)
    assert of_clusters.of.size == 6
    shares = shares_below_median(sort_samples(values, groups), values, groups, numbers, of_clusters)
    assert list(shares.n_clusters) == [2, 3]
    for group in range(2):
        alone = median_sample(values[of == group], clusters[of == group]).shares
        assert (shares.estimate[group], shares.variance[group]) == (alone.estimate[0], alone.variance[0])


@pytest.mark.parametrize("n_groups", [1, 7, 70_000])
def test_samples_are_sorted_within_their_groups_however_many_there_are(n_groups):
    rng = np.random.default_rng(4)
    values, of = rng.normal(size=5_000), rng.integers(0, n_groups, 5_000)
    samples = sort_samples(values, Groups(of, n_groups))
    np.testing.assert_array_equal(samples.values, values[np.lexsort((values, of))])
    np.testing.assert_array_equal(samples.n, np.bincount(of, minlength=n_groups))


@pytest.mark.parametrize("values", [[4, 0, 4, 9, 0, 4], [0.5, -1, 0.5, 9, -1, 0.5], [4, 0, 4, 10**12, 0, 4]])
def test_counted_samples_have_each_value_of_a_group_once(values):
    counts, of, n_groups = np.array([2, 1, 1, 0, 3, 5]), np.array([0, 0, 0, 0, 2, 2]), 4
    samples = sort_samples(values, Groups(of, n_groups), counts)
    plain = sort_samples(np.repeat(values, counts), Groups(np.repeat(of, counts), n_groups))
    places = np.arange(1, 7)[np.newaxis, :]
    np.testing.assert_array_equal(samples.n, plain.n)
    for group, n in enumerate(samples.n):
        np.testing.assert_array_equal(samples.at(places)[group, :n], plain.at(places)[group, :n])
    mean, squares = moments(samples)
    parts = [pd.Series(np.repeat(values, counts)[np.repeat(of, counts) == group]) for group in range(n_groups)]
    np.testing.assert_allclose(mean, [part.mean() for part in parts])
    np.testing.assert_allclose(squares, [part.var(ddof=0) * len(part) if len(part) else 0 for part in parts], atol=1e-9)
