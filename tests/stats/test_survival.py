"""The Kaplan-Meier curve of clustered durations. The numbers from R are of R 4.2.2, survival 3.5.3, clubSandwich 0.5.8.

Each recording is, at each time `t` (with `Surv(entry, durations, observed)` where a curve is entered late), of

    curve <- survfit(Surv(durations, observed) ~ 1); s <- summary(curve, times = t)$surv
    y <- s + length(durations) * residuals(curve, times = t, type = "survival")
    r <- coef_test(lm(y ~ 1), vcov = "CR2", cluster = clusters, test = "Satterthwaite")
    h <- qt((1 + level) / 2, r$df_Satt) * r$SE / (s * abs(log(s))); c(s^exp(h), s^exp(-h), r$df_Satt)

`quantile(curve, p)$quantile` are quantiles, and the first times at which these limits are at most 1 - p theirs.
"""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_kit.errors import ParameterError
from telemetry_kit.stats import (
    count_clusters,
    curve_quantile_limits,
    curve_quantiles,
    one_group,
    restricted_mean,
    survival_at,
    survival_curve,
    t_quantiles,
)

QUARTILES = [0.25, 0.5, 0.75]
# Uneven clusters, and times at which some durations end and others are censored.
DURATIONS = [3, 1, 13, 8, 1, 3, 13, 13, 5, 3, 13, 8, 2, 2, 3, 3, 5, 1, 8, 2]
OBSERVED = [1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 0, 0, 1]
CLUSTERS = np.repeat(range(5), [7, 1, 4, 6, 2])
many_durations = st.lists(
    st.tuples(st.integers(1, 8), st.booleans(), st.integers(0, 4)), min_size=2, max_size=40
).filter(lambda rows: len({cluster for _, _, cluster in rows}) > 1)


def limits_of_median(curve):
    lower, upper = curve_quantile_limits(curve, [0.5])
    return lower[0], upper[0]


def test_the_curve_equals_that_of_survfit():
    curve = survival_curve(DURATIONS, OBSERVED, CLUSTERS)
    assert curve.time.tolist() == [1, 2, 3, 5, 8, 13]
    assert curve.n_at_risk.tolist() == [20, 17, 14, 9, 7, 4]
    assert curve.n_observed.tolist() == [1, 2, 4, 2, 2, 3]
    assert curve.n_censored.tolist() == [2, 1, 1, 0, 1, 1]
    expected = [0.95, 0.83823529412, 0.59873949580, 0.46568627451, 0.33263305322, 0.08315826331]
    assert curve.survival == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("clusters", "level", "df", "band", "limits"),
    [
        pytest.param(
            CLUSTERS,
            0.95,
            2.81443298969,
            (
                [0.3159184691, 0.521263347016, 0.364671047602, 0.178707807461, 0.104165127029, 9.64500246589e-05],
                [0.997719286192, 0.953331487323, 0.770426339244, 0.712354840515, 0.585275030445, 0.51225830143],
            ),
            [(1, 5), (1, math.nan), (5, math.nan)],
            id="clusters",
        ),
        pytest.param(
            CLUSTERS,
            0.9,
            2.81443298969,
            (
                [0.606522674397, 0.631972019813, 0.431119657966, 0.250375051225, 0.154988580341, 0.00150195857044],
                [0.994751953819, 0.934400989579, 0.731469710757, 0.655883732261, 0.522126491824, 0.386189282255],
            ),
            [(1, 3), (3, 13), (8, math.nan)],
            id="another level",
        ),
        pytest.param(
            range(20),
            0.95,
            19,
            (
                [0.644484497982, 0.541651619292, 0.309407581461, 0.199082473631, 0.109514142119, 0.00375313282876],
                [0.994028881702, 0.950484625778, 0.799095519382, 0.696374497188, 0.578219417933, 0.330404729074],
            ),
            [(1, 5), (3, 13), (5, math.nan)],
            id="clusters of one duration",
        ),
    ],
)
def test_the_band_equals_that_of_r(clusters, level, df, band, limits):
    curve = survival_curve(DURATIONS, OBSERVED, clusters, level=level)
    assert curve.lower == pytest.approx(band[0], abs=1e-9)
    assert curve.upper == pytest.approx(band[1], abs=1e-9)
    assert curve.df == pytest.approx([df] * 6)
    np.testing.assert_array_equal(np.transpose(curve_quantile_limits(curve, QUARTILES)), limits)
    assert curve_quantiles(curve, QUARTILES).tolist() == [3, 5, 13]


# How long each duration had lasted when it was first seen.
ENTRY = [0, 0, 2, 3, 0, 1, 0, 5, 2, 0, 8, 1, 0, 1, 0, 2, 0, 0, 3, 0]


def test_a_curve_that_is_entered_late_equals_that_of_r():
    curve = survival_curve(DURATIONS, OBSERVED, CLUSTERS, entry=ENTRY)
    assert curve.n_at_risk.tolist() == [10, 10, 10, 7, 6, 4]
    expected = [0.9, 0.72, 0.432, 0.3085714285714, 0.2057142857143, 0.0514285714286]
    assert curve.survival == pytest.approx(expected, abs=1e-9)
    lower = [0.0900989048141, 0.338105314482, 0.193259773747, 0.142091331723, 0.0621581511197, 0.000502833375378]
    upper = [0.995398429256, 0.905275477446, 0.651429984308, 0.492376016009, 0.406549251532, 0.313654266066]
    assert curve.lower == pytest.approx(lower, abs=1e-9)
    assert curve.upper == pytest.approx(upper, abs=1e-9)


@pytest.mark.parametrize(
    ("time", "entry", "share", "mean"),
    [
        pytest.param(
            4, None, (0.598739495798, 0.0628568929712), (3.38697478992, 0.129351803678), id="while some are at risk"
        ),
        pytest.param(10, None, (0.332633053221, 0.0797959886603), (6.04803921569, 0.452991098834), id="later"),
        pytest.param(4, ENTRY, (0.432, 0.0737483097217), (3.052, 0.196968201818), id="entered late"),
        pytest.param(
            10, ENTRY, (0.205714285714, 0.0554728701593), (4.82114285714, 0.185554370325), id="entered late, later"
        ),
    ],
)
def test_the_share_that_lasts_longer_and_the_mean_up_to_a_time_equal_those_of_r(time, entry, share, mean):
    """R: as above with t <- time; for the mean s <- summary(curve, rmean = t)$table["rmean"] and type = "auc"."""
    for estimate, expected in ((survival_at, share), (restricted_mean, mean)):
        found = estimate(DURATIONS, OBSERVED, CLUSTERS, time, entry=entry)
        assert (found.estimate[0], found.error[0]) == pytest.approx(expected, abs=1e-9)
        assert found.df[0] == pytest.approx(2.81443298969)


def test_before_the_first_end_all_last_and_after_the_last_one_the_curve_goes_on():
    assert survival_at([2, 3], [1, 0], [0, 1], 1).estimate[0] == 1
    assert restricted_mean([2, 3], [1, 0], [0, 1], 1).estimate[0] == 1
    assert survival_at([2, 3], [1, 0], [0, 1], 10).estimate[0] == 0.5
    assert restricted_mean([2, 3], [1, 0], [0, 1], 10).estimate[0] == 2 + 8 / 2


def test_a_cluster_that_is_not_in_the_group_has_an_entry_where_it_is_asked_for():
    found = survival_at([2, 3, 5], [1, 0, 1], [0, 3, 3], 2, n_codes=5)
    assert found.clusters.n.tolist() == [1, 0, 0, 2, 0]
    assert found.influence.sum() == pytest.approx(0)


def test_what_was_first_seen_when_it_was_last_seen_tells_nothing():
    curve = survival_curve([3, 5, 5, 8], [1, 1, 1, 0], [0, 1, 2, 2], entry=[math.nan, 0, 5, 2])
    assert curve.time.tolist() == [3, 5, 8]
    assert curve.n_at_risk.tolist() == [3, 2, 1]


def test_the_influence_of_durations_that_are_entered_late_adds_up_to_nothing():
    rng = np.random.default_rng(3)
    entry, length = rng.exponential(2, 200), rng.exponential(5, 200)
    for time in (1.0, 4.0, 30.0):
        found = restricted_mean(entry + length, rng.random(200) < 0.7, rng.integers(0, 9, 200), time, entry=entry)
        assert found.influence.sum() == pytest.approx(0, abs=1e-9)


def test_a_cluster_that_loses_more_than_its_part_widens_the_band_by_hand():
    # At time 1 cluster 0 loses both of its durations, cluster 1 none of its two: hazard 2/4, and the influences on
    # log S are -(1 - 1/2) / 2 for each lost, +(1/2) / 2 for each left: -1/2 and 1/2, of clusters with half of all each,
    # so that their squares count twice: v = 1, on one degree of freedom.
    curve = survival_curve([1, 1, 2, 2], [1, 1, 0, 0], [0, 0, 1, 1])
    factor = math.exp(12.7062047362 / math.log(2))  # R: qt(0.975, 1)
    assert curve.lower == pytest.approx([0.5**factor] * 2)
    assert curve.upper == pytest.approx([0.5 ** (1 / factor)] * 2)


def test_the_curve_has_no_band_once_it_is_zero():
    curve = survival_curve([1, 2, 3, 4], [1, 1, 1, 1], [0, 0, 1, 1])
    assert curve.survival.tolist() == [0.75, 0.5, 0.25, 0]
    assert curve.lower == pytest.approx([0, 0, 0, math.nan], abs=1e-9, nan_ok=True)
    assert curve.upper == pytest.approx([0.999999883853, 0.99999999242, 0.999855036346, math.nan], nan_ok=True)
    np.testing.assert_allclose(curve.df, [1, 1, 1, math.nan])
    assert curve_quantiles(curve, QUARTILES).tolist() == [1.5, 2.5, 3.5]
    assert limits_of_median(curve) == pytest.approx((1, math.nan), nan_ok=True)


def test_where_all_are_censored_the_curve_stays_at_one_without_a_band():
    curve = survival_curve([1, 2, 2, 3], [0, 0, 0, 0], [0, 0, 1, 1])
    assert curve.n_at_risk.tolist() == [4, 3, 1]
    assert curve.n_censored.tolist() == [1, 2, 1]
    assert curve.survival.tolist() == [1, 1, 1]
    assert np.isnan([curve.lower, curve.upper]).all()
    assert np.isnan(curve_quantiles(curve, QUARTILES)).all()
    assert np.isnan(limits_of_median(curve)).all()


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
    curve = survival_curve(durations, observed, clusters)
    assert curve_quantiles(curve, QUARTILES) == pytest.approx(expected, nan_ok=True)


def test_rounding_does_not_hide_that_the_curve_is_level():
    # 1 - 9/10 is a little less than 0.1 in floating point, 1 - 9/10 * 8/9 a little more than 0.2.
    curve = survival_curve(range(1, 11), [1] * 10, [0, 1, 2, 3, 4] * 2)
    assert curve_quantiles(curve, [0.1, 0.2]).tolist() == [1.5, 2.5]


def test_a_band_without_width_bounds_the_median_where_it_reaches_one_half():
    curve = survival_curve([1, 2, 1, 2, 1, 2], [1, 0, 1, 0, 1, 0], [0, 0, 1, 1, 2, 2])
    assert curve.lower == pytest.approx([0.5, 0.5])
    assert curve.upper == pytest.approx([0.5, 0.5])
    assert limits_of_median(curve) == (1, 1)
    assert curve_quantiles(curve, [0.5]).tolist() == [1.5]


def test_an_edge_of_the_band_is_at_one_half_whatever_its_rounding():
    # At time 7 each of seven clusters has lost one of its two: no variance, and a computed edge of a little more.
    curve = survival_curve(range(1, 15), [1] * 14, [0, 1, 2, 3, 4, 5, 6] * 2)
    assert limits_of_median(curve) == (1, 7)


def test_times_that_differ_by_rounding_are_one():
    curve = survival_curve(
        [0.1 + 0.2, 0.3, 0.3 + 1e-9, 0.4, 0.5, 0.5, 0.6], [1, 1, 0, 1, 1, 0, 1], [0, 1, 2, 0, 1, 2, 0]
    )
    assert curve.time.tolist() == [0.3, 0.4, 0.5, 0.6]
    assert curve.n_observed.tolist() == [2, 1, 1, 1]
    assert curve.n_censored.tolist() == [1, 0, 1, 0]
    expected = [0.0346430893489, 0.000513016039913, 1.84972066369e-06, math.nan]
    assert curve.lower == pytest.approx(expected, abs=1e-9, nan_ok=True)


def test_long_times_are_one_where_they_differ_by_a_small_part_of_their_mean():
    # 1.5e-8 of the mean time of about 12500 are 0.000186.
    curve = survival_curve([10000, 10000.00005, 10000.0002, 20000], [1, 1, 1, 1], [0, 1, 0, 1])
    assert curve.time.tolist() == [10000, 20000]
    assert curve.n_observed.tolist() == [3, 1]


def test_a_curve_of_one_cluster_has_no_band():
    curve = survival_curve([1, 2, 3], [1, 1, 0], [4, 4, 4])
    assert curve.survival == pytest.approx([2 / 3, 1 / 3, 1 / 3])
    assert np.isnan([curve.lower, curve.upper]).all()
    assert curve_quantiles(curve, [0.5]).tolist() == [2]
    assert np.isnan(limits_of_median(curve)).all()


def test_the_curve_of_nothing_is_empty():
    curve = survival_curve([], [], [])
    assert [column.size for column in curve] == [0] * 8
    assert np.isnan(curve_quantiles(curve, QUARTILES)).all()
    assert np.isnan(limits_of_median(curve)).all()


@given(many_durations)
def test_the_band_is_that_of_influences_summed_one_by_one(rows):
    durations, observed, clusters = (np.array(column) for column in zip(*rows, strict=True))
    curve = survival_curve(durations, observed, clusters)
    sizes = np.bincount(clusters)
    there = sizes > 0
    spread = count_clusters(sizes[there], one_group(there.sum()))
    quantile = t_quantiles(0.975, spread.df)[0]
    influence = np.zeros((clusters.max() + 1, curve.time.size))
    for duration, was_observed, cluster in rows:
        moved = 0.0
        for place, (time, n, d) in enumerate(zip(curve.time, curve.n_at_risk, curve.n_observed, strict=True)):
            if d < n:
                moved -= ((was_observed and duration == time) - (duration >= time) * d / n) / (n - d)
            influence[cluster, place] += moved
    for place in np.flatnonzero((curve.survival > 0) & (curve.survival < 1)):
        log_survival = math.log(curve.survival[place])
        error = math.sqrt((influence[there, place] ** 2 * spread.correction).sum())
        factor = math.exp(min(quantile * error / -log_survival, 700))
        assert curve.lower[place] == pytest.approx(math.exp(log_survival * factor), abs=1e-6)
        assert curve.upper[place] == pytest.approx(math.exp(log_survival / factor), abs=1e-6)


@given(many_durations, st.randoms(use_true_random=False))
def test_neither_order_nor_codes_of_clusters_matter(rows, random):
    curve = survival_curve(*zip(*rows, strict=True))
    durations, observed, clusters = zip(*random.sample(rows, len(rows)), strict=True)
    again = survival_curve(durations, observed, [1_000_000 - 7 * cluster for cluster in clusters])
    for column, other in zip(curve, again, strict=True):
        np.testing.assert_allclose(column, other, atol=1e-6)


@given(many_durations)
def test_the_band_holds_a_falling_curve_and_the_counts_add_up(rows):
    curve = survival_curve(*zip(*rows, strict=True))
    assert (np.diff(curve.survival) <= 0).all()
    has_band = ~np.isnan(curve.lower)
    assert (curve.lower[has_band] <= curve.survival[has_band] + 1e-12).all()
    assert (curve.survival[has_band] <= curve.upper[has_band] + 1e-12).all()
    left = curve.n_at_risk - curve.n_observed - curve.n_censored
    assert curve.n_at_risk[0] == len(rows)
    assert left.tolist() == [*curve.n_at_risk[1:], 0]


def test_level_and_probabilities_are_checked():
    with pytest.raises(ParameterError, match=r"^level: got 1\.5, expected a number between 0 and 1"):
        survival_curve([1], [1], [0], level=1.5)
    with pytest.raises(ParameterError, match=r"^probabilities: got 0, expected a number between 0 and 1"):
        curve_quantiles(survival_curve([1], [1], [0]), [0.5, 0])
