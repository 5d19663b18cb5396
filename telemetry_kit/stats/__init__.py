"""Estimates with limits for observations that come in clusters; NumPy arrays in, plain numbers out.

Nothing here knows what a cluster or an event is. Shares and differences are computed from one sum and one count per
cluster, so that an engine can do the grouping and only small arrays come home. With fewer than two clusters there is
nothing to tell how much clusters differ, and every limit is NaN.
"""

from telemetry_kit.stats.clusters import Interval
from telemetry_kit.stats.comparisons import (
    detectable_difference,
    group_difference_interval,
    median_difference,
    probability_of_superiority,
)
from telemetry_kit.stats.medians import quantiles, woodruff_median
from telemetry_kit.stats.shares import (
    EffectiveSample,
    difference_interval,
    effective_sample_size,
    largest_cluster_share,
    share_interval,
)
from telemetry_kit.stats.survival import SurvivalCurve, kaplan_meier, median_limits, survival_quantiles

__all__ = [
    "EffectiveSample",
    "Interval",
    "SurvivalCurve",
    "detectable_difference",
    "difference_interval",
    "effective_sample_size",
    "group_difference_interval",
    "kaplan_meier",
    "largest_cluster_share",
    "median_difference",
    "median_limits",
    "probability_of_superiority",
    "quantiles",
    "share_interval",
    "survival_quantiles",
    "woodruff_median",
]
