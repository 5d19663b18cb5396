"""From censored durations to their Kaplan-Meier curve and its quartiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from telemetry_kit import stats
from telemetry_kit.engine.ordering import SERVER

if TYPE_CHECKING:
    import pandas as pd

QUARTILES = {"q25_s": 0.25, "median_s": 0.5, "q75_s": 0.75}
QUARTILE_COLUMNS = dict.fromkeys((*QUARTILES, "median_lower_s", "median_upper_s"), "float64")
CURVE_COLUMNS = {
    "time_s": "float64",
    **dict.fromkeys(("n_at_risk", "n_observed", "n_censored"), "Int64"),
    **dict.fromkeys(("survival", "lower", "upper"), "float64"),
    "n_servers": "Int64",
}


def curve_of(
    durations: pd.DataFrame, *, duration: str, is_censored: str, level: float
) -> tuple[stats.SurvivalCurve, tuple[int, ...]]:
    """Return the curve of the durations that are known with a band that respects servers, and the counts behind it.

    These are, in this order, the durations that are known, and of them those that ended and those that did not; the
    others; and the servers of the known.
    """
    lengths = durations[duration].to_numpy(np.float64, na_value=np.nan)
    is_known = ~np.isnan(lengths)
    is_observed = ~durations[is_censored].to_numpy(np.bool_)[is_known]
    servers = durations[SERVER].to_numpy()[is_known]
    curve = stats.kaplan_meier(lengths[is_known], is_observed, servers, level=level)
    n, n_observed = len(servers), int(np.count_nonzero(is_observed))
    return curve, (n, n_observed, n - n_observed, len(durations) - n, int(np.count_nonzero(np.bincount(servers))))


def points_of(durations: pd.DataFrame, *, duration: str, is_censored: str, level: float) -> dict[str, np.ndarray]:
    """Return the curve of the durations that are known, point by point, as ``CURVE_COLUMNS``."""
    curve, (*_, n_servers) = curve_of(durations, duration=duration, is_censored=is_censored, level=level)
    return dict(zip(CURVE_COLUMNS, (*curve, np.full(curve.time.size, n_servers)), strict=True))


def quartiles_of(curve: stats.SurvivalCurve) -> dict[str, float]:
    """Return the quartiles of a curve and the interval of its median, by the names of their columns."""
    quantiles = stats.survival_quantiles(curve, list(QUARTILES.values()))
    return dict(zip(QUARTILE_COLUMNS, (*quantiles, *stats.median_limits(curve)), strict=True))
