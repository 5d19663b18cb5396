"""From censored durations to their Kaplan-Meier curve and its quartiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from telemetry_kit import uncertainty

if TYPE_CHECKING:
    import pandas as pd

QUARTILES = {"q25_s": 0.25, "median_s": 0.5, "q75_s": 0.75}
QUARTILE_COLUMNS = dict.fromkeys((*QUARTILES, "median_lower_s", "median_upper_s"), "float64")


def curve_of(
    durations: pd.DataFrame, *, duration: str, is_censored: str, level: float
) -> tuple[pd.DataFrame, uncertainty.SurvivalCurve]:
    """Return the rows whose duration is known, and their curve with a band that respects servers."""
    known = durations[durations[duration].notna()]
    servers, _ = known["server_id"].factorize(sort=True)
    lengths, is_observed = known[duration].to_numpy(np.float64), ~known[is_censored].to_numpy(np.bool_)
    # Engines return rows in any order; in a fixed one, the last digit of a sum is fixed as well.
    order = np.lexsort((is_observed, lengths, servers))
    return known, uncertainty.kaplan_meier(lengths[order], is_observed[order], servers[order], level=level)


def quartiles_of(curve: uncertainty.SurvivalCurve) -> dict[str, float]:
    """Return the quartiles of a curve and the limits of its median, by the names of their columns."""
    quantiles = uncertainty.survival_quantiles(curve, list(QUARTILES.values()))
    return dict(zip(QUARTILE_COLUMNS, (*quantiles, *uncertainty.median_limits(curve)), strict=True))
