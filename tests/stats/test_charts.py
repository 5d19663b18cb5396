"""When a series changed. The numbers from R are of R 4.2.2, base alone, with the formulas of ``laney_chart``."""

import numpy as np
import pytest

from telemetry_kit.stats.charts import laney_chart

DONE = [40, 52, 47, 61, 38, 55, 49, 44, 58, 51, 90, 88]
ALL = [100, 120, 110, 130, 95, 125, 115, 105, 128, 118, 122, 119]


def test_limits_of_shares_are_what_base_r_says():
    chart = laney_chart(DONE, ALL, is_share=True)
    assert (chart.center, chart.sigma_z) == pytest.approx((0.485219899063, 0.935593872422), abs=1e-11)
    assert chart.lower[:3] == pytest.approx([0.344942146132, 0.357164416402, 0.351470309540], abs=1e-11)
    assert chart.upper[-3:] == pytest.approx([0.614356037866, 0.612221409210, 0.613812304341], abs=1e-11)


def test_limits_of_rates_are_what_base_r_says_and_leave_out_what_has_no_size():
    chart = laney_chart([3, 0, 5, 4, 9, 2, 6], [10, 8, 12, 0, 15, 9, 11], is_share=False)
    assert (chart.center, chart.sigma_z) == pytest.approx((0.384615384615, 1.453579332054), abs=1e-11)
    expected = [1.239826466773, 1.340770442023, 1.165312719826, np.nan, 1.082892309169, 1.286087017894, 1.200027157361]
    assert chart.upper == pytest.approx(expected, abs=1e-11, nan_ok=True)
    assert (chart.lower[[0, 1, 2, 4, 5, 6]] == 0).all()
    assert np.isnan(chart.estimate[3])


def test_a_share_is_never_expected_above_one_and_a_rate_may_be():
    assert laney_chart([9, 10, 7, 10], [10, 10, 10, 10], is_share=True).upper.max() == 1
    assert laney_chart([9, 10, 7, 10], [1, 1, 1, 1], is_share=False).upper.max() > 10


def test_a_run_is_counted_from_its_first_value_and_passes_over_the_center():
    # The center is 5; what lies on it is in no run and breaks none.
    chart = laney_chart([4, 3, 5, 4, 7, 7, 5], [10] * 7, is_share=True)
    assert chart.center == 0.5
    assert chart.run.tolist() == [3, 3, 0, 3, 2, 2, 0]


def test_how_long_a_run_may_be_follows_from_how_many_values_there_are():
    # round(log2(12) + 3) = 7, as Anhøj and Olesen have it.
    assert laney_chart(DONE, ALL, is_share=True).longest_run == 7


def test_the_change_is_where_the_two_parts_differ_most():
    assert laney_chart(DONE, ALL, is_share=True).change == 10
    assert laney_chart([5, 5, 0, 9, 9, 9], [10, 10, 0, 10, 10, 10], is_share=True).change == 3


@pytest.mark.parametrize(("events", "sizes"), [([], []), ([3], [0]), ([4], [9]), ([0, 0], [4, 5]), ([4, 5], [4, 5])])
def test_what_does_not_vary_has_no_change(events, sizes):
    chart = laney_chart(events, sizes, is_share=True)
    assert chart.change == -1
    assert chart.run.tolist() == [0] * len(events)
    assert not (chart.estimate > chart.upper).any()
