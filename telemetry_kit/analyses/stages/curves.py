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


MANY_TIMES = 10_000
"""From how many times on a curve is thinned that is to be."""
AXIS_PARTS = 1_000
"""Into how many parts an axis is cut to thin a curve: each is narrower than a line."""
_MINUTE, _HOUR, _DAY, _YEAR = 60, 3600, 86_400, 365 * 86_400
_STEPS = ((1, 60), (5, 60), (_MINUTE, 60), (5 * _MINUTE, 48), (_HOUR, 96), (_DAY, 400), (50 * _DAY, 32), (_YEAR, 80))
ROUND_S = np.array([step * n for step, most in _STEPS for n in range(1, most + 1)], np.float64)
"""Round lengths of time, from a second to eighty years: all that an axis is marked with are among them."""


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
    # What was first seen no earlier than it was last seen tells nothing, and what has no end no length.
    is_known = np.isfinite(lengths) & ((late <= 0) | (late < lengths))
    is_observed = ~durations[is_censored].to_numpy(np.bool_)[is_known]
    servers, clusters = (durations[name].to_numpy()[is_known] for name in (SERVER, CLUSTER))
    curve = stats.survival_curve(lengths[is_known], is_observed, clusters, entry=late[is_known], level=level)
    n, n_observed = len(servers), int(np.count_nonzero(is_observed))
    n_servers, n_clusters = (int(np.count_nonzero(np.bincount(codes))) for codes in (servers, clusters))
    n_late = int(np.count_nonzero(late[is_known] > 0))
    return curve, Counts(n, n_observed, n - n_observed, len(durations) - n, n_servers, n_clusters, n_late)


def points_of(
    durations: pd.DataFrame, *, duration: str, is_censored: str, level: float, thin: bool, entry: str | None = None
) -> dict[str, np.ndarray]:
    """Return the curve of the durations that are known, point by point, as ``CURVE_COLUMNS``."""
    curve, counts = curve_of(durations, duration=duration, is_censored=is_censored, level=level, entry=entry)
    if thin and curve.time.size > MANY_TIMES:
        curve = thinned(curve)
    same = (np.broadcast_to(n, curve.time.size) for n in (counts.n_servers, counts.n_clusters))
    return dict(zip(CURVE_COLUMNS, (*curve, *same), strict=True))


def thinned(curve: stats.SurvivalCurve) -> stats.SurvivalCurve:
    """Return a curve at those of its times between which a picture shows nothing, whatever its axis.

    An axis of time, or of its logarithm, is cut into ``AXIS_PARTS``: of each the first time and the last stay. So does
    the first at or after every one of ``ROUND_S``, where pictures say how many are at risk. Ends and censorings are
    counted since the time before that stays, so that they add up to the same.
    """
    time = curve.time
    first, last = time[time > 0][0], time[-1]
    parts = np.concatenate([np.linspace(time[0], last, AXIS_PARTS), np.geomspace(first, last, AXIS_PARTS)])
    begins = np.searchsorted(time, parts)
    at_risk = np.searchsorted(time, ROUND_S)
    places = np.unique(np.clip(np.concatenate([begins - 1, begins, at_risk]), 0, time.size - 1))
    begins = np.append(0, places[:-1] + 1)
    counts = {name: np.add.reduceat(getattr(curve, name), begins) for name in ("n_observed", "n_censored")}
    return stats.SurvivalCurve(*(values[places] for values in curve))._replace(**counts)


def quartiles_of(curve: stats.SurvivalCurve) -> dict[str, float]:
    """Return the quartiles of a curve with their intervals and degrees of freedom, by the names of their columns."""
    wanted = list(QUARTILES.values())
    q25, median, q75 = zip(*stats.curve_quantile_limits(curve, wanted), strict=True)
    df = curve.df[~np.isnan(curve.df)]
    values = (*stats.curve_quantiles(curve, wanted), df[0] if df.size else np.nan, *median, *q25, *q75)
    return dict(zip(QUARTILE_COLUMNS, values, strict=True))
