"""From censored durations to their Kaplan-Meier curve and its quartiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit import stats
from telemetry_kit.analyses.summaries import N_CLUSTERS
from telemetry_kit.engine.ordering import CLUSTER, SERVER

if TYPE_CHECKING:
    import pandas as pd

QUARTILES = {"q25_s": 0.25, "median_s": 0.5, "q75_s": 0.75}
_LIMITS = ("lower_s", "upper_s")
QUARTILE_COLUMNS = dict.fromkeys(
    (
        *QUARTILES,
        "df",
        *(f"median_{limit}" for limit in _LIMITS),
        *(f"{name}_{limit}" for name in ("q25", "q75") for limit in _LIMITS),
    ),
    "float64",
)
CURVE_COLUMNS = {
    "time_s": "float64",
    **dict.fromkeys(("n_at_risk", "n_observed", "n_censored"), "Int64"),
    **dict.fromkeys(("survival", "df", "lower", "upper"), "float64"),
    "n_servers": "Int64",
    N_CLUSTERS: "Int64",
}


class Counts(NamedTuple):
    """What stands behind a curve.

    Durations that are known, and of them those that ended and those that did not; the others; the servers and the
    clusters of the known; and those of them that came under observation after their start.
    """

    n: int
    n_observed: int
    n_censored: int
    n_unknown: int
    n_servers: int
    n_clusters: int
    n_late: int


def curve_of(
    durations: pd.DataFrame, *, duration: str, is_censored: str, level: float, entry: str | None = None
) -> tuple[stats.SurvivalCurve, Counts]:
    """Return the curve of the durations that are known with a band that respects clusters, and the counts behind it."""
    lengths = durations[duration].to_numpy(np.float64, na_value=np.nan)
    late = np.zeros(lengths.size) if entry is None else durations[entry].to_numpy(np.float64, na_value=0)
    # What was first seen no earlier than it was last seen tells nothing.
    is_known = ~np.isnan(lengths) & ((late <= 0) | (late < lengths))
    is_observed = ~durations[is_censored].to_numpy(np.bool_)[is_known]
    servers, clusters = (durations[name].to_numpy()[is_known] for name in (SERVER, CLUSTER))
    curve = stats.survival_curve(lengths[is_known], is_observed, clusters, entry=late[is_known], level=level)
    n, n_observed = len(servers), int(np.count_nonzero(is_observed))
    n_servers, n_clusters = (int(np.count_nonzero(np.bincount(codes))) for codes in (servers, clusters))
    n_late = int(np.count_nonzero(late[is_known] > 0))
    return curve, Counts(n, n_observed, n - n_observed, len(durations) - n, n_servers, n_clusters, n_late)


def points_of(
    durations: pd.DataFrame, *, duration: str, is_censored: str, level: float, entry: str | None = None
) -> dict[str, np.ndarray]:
    """Return the curve of the durations that are known, point by point, as ``CURVE_COLUMNS``."""
    curve, counts = curve_of(durations, duration=duration, is_censored=is_censored, level=level, entry=entry)
    same = (np.broadcast_to(n, curve.time.size) for n in (counts.n_servers, counts.n_clusters))
    return dict(zip(CURVE_COLUMNS, (*curve, *same), strict=True))


def quartiles_of(curve: stats.SurvivalCurve) -> dict[str, float]:
    """Return the quartiles of a curve with their intervals and degrees of freedom, by the names of their columns."""
    wanted = list(QUARTILES.values())
    q25, median, q75 = zip(*stats.curve_quantile_limits(curve, wanted), strict=True)
    df = curve.df[~np.isnan(curve.df)]
    values = (*stats.curve_quantiles(curve, wanted), df[0] if df.size else np.nan, *median, *q25, *q75)
    return dict(zip(QUARTILE_COLUMNS, values, strict=True))
