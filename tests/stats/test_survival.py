"""The Kaplan-Meier curve of clustered durations. The numbers from R are of R 4.2.2 with survival 3.5.3.

Each recording is the result of

    curve <- survfit(Surv(durations, observed) ~ 1, cluster = clusters, conf.int = level, conf.type = "log-log")
    quantile(curve, c(0.25, 0.5, 0.75))$quantile
    c(curve$time[which(curve$lower <= 0.5)[1]], curve$time[which(curve$upper <= 0.5)[1]])
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_kit.errors import ParameterError
from telemetry_kit.stats import kaplan_meier, median_limits, survival_quantiles

QUARTILES = [0.25, 0.5, 0.75]
# Uneven clusters, and times at which some durations end and others are censored.
DURATIONS = [3, 1, 13, 8, 1, 3, 13, 13, 5, 3, 13, 8, 2, 2, 3, 3, 5, 1, 8, 2]
OBSERVED = [1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1]
CLUSTERS = np.repeat(range(5), [7, 1, 4, 6, 2])
many_durations = st.lists(
    st.tuples(st.integers(1, 8), st.booleans(), st.integers(0, 4)), min_size=2, max_size=40
).filter(lambda rows: len({cluster for _, _, cluster in rows}) > 1)


def test_the_curve_equals_that_of_survfit():
    curve = kaplan_meier(DURATIONS, OBSERVED, CLUSTERS)
    assert curve.time.tolist() == [1, 2, 3, 5, 8, 13]
    assert curve.n_at_risk.tolist() == [20, 17, 14, 9, 7, 4]
    assert curve.n_observed.tolist() == [1, 2, 4, 2, 2, 3]
    assert curve.n_censored.tolist() == [2, 1, 1, 0, 1, 1]
    expected = [0.95, 0.83823529412, 0.59873949580, 0.46568627451, 0.33263305322, 0.08315826331]
    assert curve.survival == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("clusters", "level", "lower", "upper", "limits"),
    [
        pytest.param(
            CLUSTERS,
            0.95,
            [0.792486403365, 0.697775859283, 0.483099951433, 0.315026663076, 0.198748635218, 0.007671471955],
            [0.9887514940, 0.9171120667, 0.6965414445, 0.6031174885, 0.4724284013, 0.2808313999],
            (3, 8),
            id="clusters",
        ),
        pytest.param(
            CLUSTERS,
            0.9,
            [0.83326877234, 0.72549451538, 0.50269257917, 0.33929629132, 0.21892493013, 0.01263292019],
            [0.9856791039, 0.9075294137, 0.6821327410, 0.5825372226, 0.4504090027, 0.2429469154],
            (5, 8),
            id="another level",
        ),
        pytest.param(
            range(20),
            0.95,
            [0.694743193257, 0.576965800695, 0.335754168734, 0.220451758713, 0.124803605560, 0.005492520961],
            [0.9928022286, 0.9449574759, 0.7857881993, 0.6795880136, 0.5586658111, 0.3046881277],
            (3, 13),
            id="clusters of one duration",
        ),
    ],
)
def test_the_band_equals_that_of_survfit(clusters, level, lower, upper, limits):
    curve = kaplan_meier(DURATIONS, OBSERVED, clusters, level=level)
    assert curve.lower == pytest.approx(lower, abs=1e-9)
    assert curve.upper == pytest.approx(upper, abs=1e-9)
    assert median_limits(curve) == limits
    assert survival_quantiles(curve, QUARTILES).tolist() == [3, 5, 13]


def test_a_cluster_that_loses_more_than_its_part_widens_the_band_by_hand():
    # At time 1 cluster 0 loses both of its durations, cluster 1 none of its two: hazard 2/4, and the influences on
    # log S are -(1 - 1/2) / 2 for each lost, +(1/2) / 2 for each left: -1/2 and 1/2, squared and added 1/2.
    curve = kaplan_meier([1, 1, 2, 2], [1, 1, 0, 0], [0, 0, 1, 1])
    factor = math.exp(1.9599639845 * math.sqrt(1 / 2) / math.log(2))
    assert curve.lower == pytest.approx([0.5**factor] * 2)
    assert curve.upper == pytest.approx([0.5 ** (1 / factor)] * 2)


def test_the_curve_has_no_band_once_it_is_zero():
    curve = kaplan_meier([1, 2, 3, 4], [1, 1, 1, 1], [0, 0, 1, 1])
    assert curve.survival.tolist() == [0.75, 0.5, 0.25, 0]
    assert curve.lower == pytest.approx([0.238537855108, 0.005983087639, 0.023114911939, math.nan], nan_ok=True)
    assert curve.upper == pytest.approx([0.9438910918, 0.9104100848, 0.6004157869, math.nan], nan_ok=True)
    assert survival_quantiles(curve, QUARTILES).tolist() == [1.5, 2.5, 3.5]
    assert median_limits(curve) == pytest.approx((1, math.nan), nan_ok=True)


def test_where_all_are_censored_the_curve_stays_at_one_without_a_band():
    curve = kaplan_meier([1, 2, 2, 3], [0, 0, 0, 0], [0, 0, 1, 1])
    assert curve.n_at_risk.tolist() == [4, 3, 1]
    assert curve.n_censored.tolist() == [1, 2, 1]
    assert curve.survival.tolist() == [1, 1, 1]
    assert np.isnan([curve.lower, curve.upper]).all()
    assert np.isnan(survival_quantiles(curve, QUARTILES)).all()
    assert np.isnan(median_limits(curve)).all()


@pytest.mark.parametrize(
    ("durations", "observed", "clusters", "expected"),
    [
        pytest.param([3, 1, 7, 5], [1, 1, 0, 0], [0, 0, 1, 1], [2, 5, math.nan], id="to the last time"),
        pytest.param(
            [1, 3, 5, 7, 9, 9], [1, 1, 1, 0, 0, 0], [0, 1, 2, 0, 1, 2], [3, 7, math.nan], id="past censorings"
        ),
        pytest.param(range(1, 11), [1] * 10, [0, 1, 2, 3, 4] * 2, [3, 5.5, 8], id="between two ends"),
    ],
)
def test_a_quantile_is_the_middle_where_the_curve_is_level_at_its_height(durations, observed, clusters, expected):
    curve = kaplan_meier(durations, observed, clusters)
    assert survival_quantiles(curve, QUARTILES) == pytest.approx(expected, nan_ok=True)


def test_rounding_does_not_hide_that_the_curve_is_level():
    # 1 - 9/10 is a little less than 0.1 in floating point, 1 - 9/10 * 8/9 a little more than 0.2.
    curve = kaplan_meier(range(1, 11), [1] * 10, [0, 1, 2, 3, 4] * 2)
    assert survival_quantiles(curve, [0.1, 0.2]).tolist() == [1.5, 2.5]


def test_a_band_without_width_bounds_the_median_where_it_reaches_one_half():
    curve = kaplan_meier([1, 2, 1, 2, 1, 2], [1, 0, 1, 0, 1, 0], [0, 0, 1, 1, 2, 2])
    assert curve.lower == pytest.approx([0.5, 0.5])
    assert curve.upper == pytest.approx([0.5, 0.5])
    assert median_limits(curve) == (1, 1)
    assert survival_quantiles(curve, [0.5]).tolist() == [1.5]


def test_an_edge_of_the_band_is_at_one_half_whatever_its_rounding():
    # At time 7 each of seven clusters has lost one of its two: no variance, and a computed edge of 0.5000000037.
    curve = kaplan_meier(range(1, 15), [1] * 14, [0, 1, 2, 3, 4, 5, 6] * 2)
    assert median_limits(curve) == (4, 7)


def test_times_that_differ_by_rounding_are_one():
    curve = kaplan_meier([0.1 + 0.2, 0.3, 0.3 + 1e-9, 0.4, 0.5, 0.5, 0.6], [1, 1, 0, 1, 1, 0, 1], [0, 1, 2, 0, 1, 2, 0])
    assert curve.time.tolist() == [0.3, 0.4, 0.5, 0.6]
    assert curve.n_observed.tolist() == [2, 1, 1, 1]
    assert curve.n_censored.tolist() == [1, 0, 1, 0]
    assert curve.lower == pytest.approx([0.45559679914, 0.22462281861, 0.07080000944, math.nan], abs=1e-9, nan_ok=True)


def test_long_times_are_one_where_they_differ_by_a_small_part_of_their_mean():
    # 1.5e-8 of the mean time of about 12500 are 0.000186.
    curve = kaplan_meier([10000, 10000.00005, 10000.0002, 20000], [1, 1, 1, 1], [0, 1, 0, 1])
    assert curve.time.tolist() == [10000, 20000]
    assert curve.n_observed.tolist() == [3, 1]


def test_a_curve_of_one_cluster_has_no_band():
    curve = kaplan_meier([1, 2, 3], [1, 1, 0], [4, 4, 4])
    assert curve.survival == pytest.approx([2 / 3, 1 / 3, 1 / 3])
    assert np.isnan([curve.lower, curve.upper]).all()
    assert survival_quantiles(curve, [0.5]).tolist() == [2]
    assert np.isnan(median_limits(curve)).all()


def test_the_curve_of_nothing_is_empty():
    curve = kaplan_meier([], [], [])
    assert [column.size for column in curve] == [0] * 7
    assert np.isnan(survival_quantiles(curve, QUARTILES)).all()
    assert np.isnan(median_limits(curve)).all()


@given(many_durations)
def test_the_band_is_that_of_influences_summed_one_by_one(rows):
    durations, observed, clusters = (np.array(column) for column in zip(*rows, strict=True))
    curve = kaplan_meier(durations, observed, clusters)
    influence = np.zeros((clusters.max() + 1, curve.time.size))
    for duration, was_observed, cluster in rows:
        moved = 0.0
        for place, (time, n, d) in enumerate(zip(curve.time, curve.n_at_risk, curve.n_observed, strict=True)):
            if d < n:
                moved -= ((was_observed and duration == time) - (duration >= time) * d / n) / (n - d)
            influence[cluster, place] += moved
    for place in np.flatnonzero((curve.survival > 0) & (curve.survival < 1)):
        log_survival = math.log(curve.survival[place])
        factor = math.exp(1.9599639845 * math.sqrt((influence[:, place] ** 2).sum()) / -log_survival)
        assert curve.lower[place] == pytest.approx(math.exp(log_survival * factor), abs=1e-7)
        assert curve.upper[place] == pytest.approx(math.exp(log_survival / factor), abs=1e-7)


@given(many_durations, st.randoms(use_true_random=False))
def test_neither_order_nor_codes_of_clusters_matter(rows, random):
    curve = kaplan_meier(*zip(*rows, strict=True))
    durations, observed, clusters = zip(*random.sample(rows, len(rows)), strict=True)
    again = kaplan_meier(durations, observed, [1_000_000 - 7 * cluster for cluster in clusters])
    for column, other in zip(curve, again, strict=True):
        np.testing.assert_allclose(column, other, atol=1e-7)


@given(many_durations)
def test_the_band_holds_a_falling_curve_and_the_counts_add_up(rows):
    curve = kaplan_meier(*zip(*rows, strict=True))
    assert (np.diff(curve.survival) <= 0).all()
    has_band = ~np.isnan(curve.lower)
    assert (curve.lower[has_band] <= curve.survival[has_band] + 1e-12).all()
    assert (curve.survival[has_band] <= curve.upper[has_band] + 1e-12).all()
    left = curve.n_at_risk - curve.n_observed - curve.n_censored
    assert curve.n_at_risk[0] == len(rows)
    assert left.tolist() == [*curve.n_at_risk[1:], 0]


def test_level_and_probabilities_are_checked():
    with pytest.raises(ParameterError, match=r"^level: got 1\.5, expected a number between 0 and 1"):
        kaplan_meier([1], [1], [0], level=1.5)
    with pytest.raises(ParameterError, match=r"^probabilities: got 0, expected a number between 0 and 1"):
        survival_quantiles(kaplan_meier([1], [1], [0]), [0.5, 0])
