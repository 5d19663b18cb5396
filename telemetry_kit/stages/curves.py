"""Censored durations out of frames, and their Kaplan-Meier curves and quartiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from telemetry_kit import engine, uncertainty
from telemetry_kit.uncertainty.clusters import check_open_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import narwhals.stable.v2 as nw
    import pandas as pd

QUARTILES = {"q25_s": 0.25, "median_s": 0.5, "q75_s": 0.75}
QUARTILE_COLUMNS = dict.fromkeys((*QUARTILES, "median_lower_s", "median_upper_s"), "float64")


def collect_durations(
    frame: nw.LazyFrame[Any],
    by: str | Sequence[str] | None,
    columns: Iterable[str],
    *,
    reserved: Iterable[str],
    level: float,
) -> tuple[pd.DataFrame, list[str]]:
    """Bring home the ``columns`` of a frame and those of ``by``, and return the names of the latter.

    Raises
    ------
    ParameterError
        Where ``by`` or ``level`` has a value that it cannot take.
    """
    check_open_unit("level", level)
    groups = engine.group_columns(by, frame, reserved=reserved)
    return engine.collect(frame.select(*dict.fromkeys([*groups, *columns]))), groups


def curve_of(
    durations: pd.DataFrame, *, duration: str, is_censored: str, level: float
) -> tuple[pd.DataFrame, uncertainty.SurvivalCurve]:
    """Return the rows whose duration is known, and their curve with a band that respects servers."""
    known = durations[durations[duration].notna()]
    servers, _ = known["server_id"].factorize()
    is_observed = ~known[is_censored].to_numpy(np.bool_)
    return known, uncertainty.kaplan_meier(known[duration].to_numpy(np.float64), is_observed, servers, level=level)


def quartiles_of(curve: uncertainty.SurvivalCurve) -> dict[str, float]:
    """Return the quartiles of a curve and the limits of its median, by the names of their columns."""
    quantiles = uncertainty.survival_quantiles(curve, list(QUARTILES.values()))
    return dict(zip(QUARTILE_COLUMNS, (*quantiles, *uncertainty.median_limits(curve)), strict=True))
