"""Quantiles and their limits between clusters. The numbers from R are of R 4.2.2 with clubSandwich 0.5.8.

Each recording is, with at <- function(p) sort(x)[max(1, ceiling(p * length(x) - 1e-9))], the result of

    below <- as.numeric(x <= at(p)); a <- (1 - level) / 2; N <- length(x)
    r <- coef_test(lm(below ~ 1), vcov = "CR2", cluster = cluster, test = "Satterthwaite")
    n <- min(N, p * (1 - p) / r$SE^2 * (qt(a, N - 1) / qt(a, r$df_Satt))^2)  # the number of clusters where r$SE is 0
    c(r$df_Satt, at(qbeta(a, n * p, n * (1 - p) + 1)), at(qbeta(1 - a, n * p + 1, n * (1 - p))))
"""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_kit.engine.grouping import Groups
from telemetry_kit.errors import ParameterError
from telemetry_kit.stats import (
    count_clusters,
    group_quantiles,
    moments,
    number_clusters,
    quantile_limits,
    quantile_shares,
    quantiles,
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


def limits_of(values, clusters, counts=None, *, groups=None, probability=0.5, level=0.95):
    """The degrees of freedom and the limits of a quantile of each group."""
    groups = groups or Groups(np.zeros(len(values), dtype=np.intp), 1)
    samples = sort_samples(values, groups, counts)
    numbers, of_clusters = number_clusters(clusters, groups)
    sizes = count_clusters(np.bincount(numbers, counts, minlength=of_clusters.of.size), of_clusters)
    shares = quantile_shares(samples, values, numbers, sizes, probability, counts=counts)
    return np.array([shares.df, *quantile_limits(samples, shares, probability, level=level)])


@pytest.mark.parametrize(
    ("values", "clusters", "probability", "level", "expected"),
    [
        pytest.param(WITH_TIES, CLUSTERS, 0.5, 0.95, (4.79010104489, 1, 4), id="ties"),
        pytest.param(WITHOUT_TIES, CLUSTERS, 0.5, 0.95, (4.79010104489, 9.4, 42), id="no ties"),
        pytest.param(WITHOUT_TIES, CLUSTERS, 0.5, 0.9, (4.79010104489, 9.9, 31.7), id="no ties, another level"),
        pytest.param(WITHOUT_TIES, range(24), 0.5, 0.95, (23, 9.9, 31.7), id="clusters of one value"),
        pytest.param(WITHOUT_TIES, CLUSTERS, 0.25, 0.95, (4.79010104489, 5.6, 19.7), id="a lower quartile"),
        pytest.param(WITHOUT_TIES, CLUSTERS, 0.75, 0.95, (4.79010104489, 20.9, 84.2), id="an upper quartile"),
        pytest.param(WITHOUT_TIES, range(24), 0.25, 0.9, (23, 5.6, 13.9), id="a quartile of clusters of one value"),
        pytest.param([4] * 6, PAIRS, 0.5, 0.95, (math.nan, 4, 4), id="one value"),
        pytest.param([1, 2, 2, 2, 2, 2], PAIRS, 0.5, 0.95, (math.nan, 1, 2), id="the median is the largest value"),
        pytest.param([1, 2, 1, 2, 1, 2], PAIRS, 0.5, 0.95, (2, 1, 2), id="clusters alike"),
        pytest.param(range(1, 7), [0, 0, 0, 1, 1, 1], 0.5, 0.95, (1, 1, 6), id="two clusters"),
        pytest.param(range(1, 12), range(11), 0.5, 0.99, (10, 2, 10), id="another level of few"),
        pytest.param(range(1, 8), range(7), 0.5, 0.95, (6, 1, 7), id="no more than the values"),
    ],
)
def test_limits_of_quantiles_equal_those_of_r(values, clusters, probability, level, expected):
    found = limits_of(values, clusters, probability=probability, level=level)
    assert found[:, 0] == pytest.approx(expected, nan_ok=True)


@given(counted_values)
def test_counted_values_have_the_limits_of_the_values_themselves(rows):
    values, clusters, counts = np.array(rows).T
    repeated = limits_of(np.repeat(values, counts), np.repeat(clusters, counts))
    np.testing.assert_array_equal(limits_of(values, clusters, counts), repeated)


@given(counted_values, st.randoms(use_true_random=False))
def test_neither_order_nor_codes_of_clusters_matter(rows, random):
    values, clusters, counts = np.array(rows).T
    again, codes, times = np.array(random.sample(rows, len(rows))).T
    np.testing.assert_array_equal(limits_of(values, clusters, counts), limits_of(again, 100 - 7 * codes, times))


def test_a_quantile_of_one_cluster_has_no_limits():
    assert np.isnan(limits_of([1, 2, 3], [5, 5, 5])).all()


def test_a_cluster_counted_zero_times_is_none():
    found = limits_of([*WITH_TIES, 0], [*CLUSTERS, 9], np.array([*[1] * 24, 0]))
    np.testing.assert_array_equal(found, limits_of(WITH_TIES, CLUSTERS))


def test_a_quantile_of_nothing_has_no_limits():
    assert np.isnan(limits_of([], [])).all()
    assert np.isnan(limits_of([3, 4], [0, 1], np.array([0, 0]))).all()


def test_the_level_of_limits_is_checked():
    with pytest.raises(ParameterError, match=r"^level: got 95, expected a number between 0 and 1"):
        limits_of([1], [0], level=95)


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


def test_the_limits_of_many_groups_are_those_of_each():
    values, clusters = np.array([*WITH_TIES, *WITHOUT_TIES]), np.concatenate([CLUSTERS, CLUSTERS])
    # The second of three groups is empty, and the others come mixed.
    groups = Groups(np.repeat([0, 2], 24), 3)
    mixed = np.random.default_rng(1).permutation(48)
    values, clusters, groups = values[mixed], clusters[mixed], Groups(groups.of[mixed], groups.n)
    df, lower, upper = limits_of(values, clusters, groups=groups, level=0.9)
    np.testing.assert_array_equal(lower, [1, math.nan, 9.9])
    np.testing.assert_array_equal(upper, [4, math.nan, 31.7])
    np.testing.assert_allclose(df, [4.79010104489, math.nan, 4.79010104489])
    medians = group_quantiles(sort_samples(values, groups), np.array([0.5]))[:, 0]
    np.testing.assert_allclose(medians, [3, math.nan, 20.3])


def test_a_cluster_without_values_in_a_group_does_not_count_there():
    # Three clusters of many values each; the last has none in the first group.
    of, clusters = np.repeat([0, 0, 1, 1, 1], 20), np.repeat([0, 1, 0, 1, 2], 20)
    values, groups = np.random.default_rng(6).normal(size=100), Groups(of, 2)
    assert number_clusters(clusters, groups)[1].of.size == 6
    found = limits_of(values, clusters, groups=groups)
    for group in range(2):
        alone = limits_of(values[of == group], clusters[of == group])
        np.testing.assert_array_equal(found[:, group], alone[:, 0])


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
