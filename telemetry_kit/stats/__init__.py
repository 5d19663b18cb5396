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
from telemetry_kit.stats.curve_medians import CurveMedian, compare_curve_medians
from telemetry_kit.stats.influence import (
    Clusters,
    Estimates,
    as_shares,
    count_clusters,
    estimate_from_influence,
    estimate_means,
    estimate_shares,
    one_group,
)
from telemetry_kit.stats.limits import (
    Limits,
    check_open_unit,
    detectable_differences,
    holm,
    mean_limits,
    p_values,
    share_limits,
    t_quantiles,
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
from telemetry_kit.stats.survival_curves import (
    curve_quantile_limits,
    curve_quantiles,
    restricted_mean,
    survival_at,
    survival_curve,
)
from telemetry_kit.stats.two_groups import (
    Comparison,
    Differences,
    clusters_needed,
    compare_estimates,
    difference_of_medians,
    superiority,
)

__all__ = [
    "Clusters",
    "Comparison",
    "CurveMedian",
    "Differences",
    "EffectiveSample",
    "Estimates",
    "Interval",
    "Limits",
    "SurvivalCurve",
    "as_shares",
    "check_open_unit",
    "clusters_needed",
    "compare_curve_medians",
    "compare_estimates",
    "count_clusters",
    "curve_quantile_limits",
    "curve_quantiles",
    "detectable_difference",
    "detectable_differences",
    "difference_interval",
    "difference_of_medians",
    "effective_sample_size",
    "estimate_from_influence",
    "estimate_means",
    "estimate_shares",
    "group_difference_interval",
    "holm",
    "kaplan_meier",
    "largest_cluster_share",
    "mean_limits",
    "median_difference",
    "median_limits",
    "one_group",
    "p_values",
    "probability_of_superiority",
    "quantiles",
    "restricted_mean",
    "share_interval",
    "share_limits",
    "superiority",
    "survival_at",
    "survival_curve",
    "survival_quantiles",
    "t_quantiles",
    "woodruff_median",
]
