import math

import numpy as np
import pytest

from telemetry_kit.engine.grouping import (
    MANY_TO_SORT,
    Groups,
    number_codes,
    number_labels,
    order_by_group,
    order_within,
    sort_within,
)


def test_groups_add_up_and_one_without_rows_is_zero():
    groups = Groups(np.array([0, 2, 0]), 3)
    assert list(groups.add_up([1, 2, 3])) == [4, 0, 2]
    assert list(groups.add_up_in_any_order(np.array([0.5, 2.0, 0.25]))) == [0.75, 0, 2]


def test_a_sum_of_fractions_does_not_tell_in_which_order_they_came():
    values = np.random.default_rng(3).lognormal(size=1_000)
    sums = {
        float(
            Groups(np.zeros(1_000, dtype=np.intp), 1).add_up_in_any_order(
                np.random.default_rng(seed).permutation(values)
            )[0]
        )
        for seed in range(20)
    }
    assert sums == {math.fsum(values)}


def test_sums_of_fractions_are_those_of_their_groups_however_their_sizes_differ():
    generator = np.random.default_rng(5)
    of, values = (
        generator.integers(0, 40, 5_000),
        generator.lognormal(sigma=9, size=5_000) * generator.choice([-1, 1], 5_000),
    )
    expected = [math.fsum(values[of == group]) for group in range(40)]
    np.testing.assert_allclose(Groups(of, 40).add_up_in_any_order(values), expected, rtol=1e-14)


@pytest.mark.parametrize(("n_groups", "n"), [(1, 1_000), (5, 1_000), (900, 1_000), (5, MANY_TO_SORT)])
def test_values_are_sorted_within_each_group_whether_it_has_few_or_many(n_groups, n):
    generator = np.random.default_rng(4)
    of, values = generator.integers(0, n_groups, n), generator.lognormal(size=n)
    expected = [value for _, value in sorted(zip(of, values, strict=True))]
    assert list(sort_within(Groups(of, n_groups), values)) == expected
    assert list(values[order_within(Groups(of, n_groups), values)]) == expected


@pytest.mark.parametrize("n_codes", [30, 10_000])
def test_codes_are_numbered_alike_whether_few_or_many_of_them_occur(n_codes):
    codes = np.random.default_rng(1).integers(0, n_codes, 200)
    distinct, numbers = number_codes(codes, n_codes)
    assert list(distinct) == sorted(set(codes))
    assert list(distinct[numbers]) == list(codes)


@pytest.mark.parametrize("n_groups", [5, 100_000])
def test_rows_keep_their_order_within_a_group(n_groups):
    of = np.random.default_rng(2).integers(0, n_groups, 1_000)
    assert list(order_by_group(Groups(of, n_groups))) == sorted(range(1_000), key=lambda row: of[row])


@pytest.mark.parametrize("labels", [[7, 2, 2, 0], [-1, 5, -1], ["b", "a", "b"], [10**15, 3]])
def test_labels_of_any_kind_are_numbered_in_their_order(labels):
    distinct, numbers = number_labels(labels)
    assert list(distinct) == sorted(set(labels))
    assert [distinct[number] for number in numbers] == labels
