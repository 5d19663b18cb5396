"""How long each stage holds an incident, the visits that have not ended included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine, uncertainty
from telemetry_kit.summaries import summarise
from telemetry_kit.uncertainty.clusters import check_open_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from narwhals.stable.v2.typing import IntoFrame

    from telemetry_kit.uncertainty import SurvivalCurve

_NEEDED = ("server_id", "stage", "dwell_s", "is_censored", "is_left_truncated")
_QUARTILES = (0.25, 0.5, 0.75)
_DWELL = {
    "stage": "Int64",
    "n_visits": "Int64",
    "n_observed": "Int64",
    "n_censored": "Int64",
    "n_excluded": "Int64",
    "n_servers": "Int64",
    "q25_s": "float64",
    "median_s": "float64",
    "q75_s": "float64",
    "median_lower_s": "float64",
    "median_upper_s": "float64",
}
_SURVIVAL = {
    "stage": "Int64",
    "time_s": "float64",
    "n_at_risk": "Int64",
    "n_observed": "Int64",
    "n_censored": "Int64",
    "survival": "float64",
    "lower": "float64",
    "upper": "float64",
}


def stage_dwell(visits: IntoFrame, *, by: str | Sequence[str] | None = None, level: float = 0.95) -> pd.DataFrame:
    """Return how long each stage holds an incident.

    Visits that are open at the cutoff have lasted at least as long as they were seen to, and count as that
    (Kaplan–Meier). Visits whose beginning was not recorded are left out and counted.

    Parameters
    ----------
    visits
        Visits, as ``stage_visits`` returns them, in a frame of any kind.
    by
        Columns of ``visits`` that make groups; a null is a group of its own.
    level
        The confidence level of the limits.

    Returns
    -------
    pandas.DataFrame
        One row per group and stage, in that order: the columns of ``by``; ``stage``; ``n_visits`` (``n_observed`` that
        ended and ``n_censored`` that are open); ``n_excluded`` (left-truncated); ``n_servers``; ``q25_s``, ``median_s``
        and ``q75_s`` (seconds; where the curve is level at exactly that height the middle of the level part, null
        where it does not come down to it); ``median_lower_s`` and ``median_upper_s`` (the first times at which the
        lower and upper edge of the band are at or below one half; null where never).

    Raises
    ------
    ParameterError
        Where the frame lacks a column, ``by`` is none of its columns, or ``level`` is not between 0 and 1.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> dwell = tk.stage_dwell(tk.stage_visits(log.incident, cutoff=log.cutoff))
    >>> dwell[["stage", "n_visits", "n_observed", "n_censored"]].head(2)
       stage  n_visits  n_observed  n_censored
    0      0       424         402          22
    1      1       195         192           3
    """
    totals, keys = _durations(visits, by, _DWELL)

    def rows(group: pd.DataFrame) -> Iterator[dict[str, Any]]:
        for stage, part in group.groupby("stage"):
            told = part[~part["is_left_truncated"]]
            curve = _curve(told, level)
            q25, median, q75 = uncertainty.survival_quantiles(curve, _QUARTILES)
            lower, upper = uncertainty.median_limits(curve)
            n = told["n"].to_numpy(np.int64)
            n_censored = n[told["is_censored"].to_numpy(bool)].sum()
            yield {
                "stage": stage,
                "n_visits": n.sum(),
                "n_observed": n.sum() - n_censored,
                "n_censored": n_censored,
                "n_excluded": part["n"].sum() - n.sum(),
                "n_servers": told["server"].nunique(),
                "q25_s": q25,
                "median_s": median,
                "q75_s": q75,
                "median_lower_s": lower,
                "median_upper_s": upper,
            }

    return summarise(totals, keys, rows, _DWELL)


def stage_survival(visits: IntoFrame, *, by: str | Sequence[str] | None = None, level: float = 0.95) -> pd.DataFrame:
    """Return, for each stage, the share of visits that last longer than a time.

    The Kaplan–Meier curve with its pointwise log-log band, whose variance is the infinitesimal jackknife over servers,
    as R's ``survfit(Surv(dwell_s, observed) ~ 1, cluster = server_id, conf.type = "log-log")`` gives it.

    Parameters
    ----------
    visits
        Visits, as ``stage_visits`` returns them, in a frame of any kind. Left-truncated ones are left out.
    by
        Columns of ``visits`` that make groups; a null is a group of its own.
    level
        The confidence level of the band.

    Returns
    -------
    pandas.DataFrame
        One row per group, stage and distinct time, in that order: the columns of ``by``; ``stage``; ``time_s``;
        ``n_at_risk`` (visits that lasted at least so long); ``n_observed`` and ``n_censored`` at that time;
        ``survival``; ``lower`` and ``upper`` (null with fewer than two servers).

    Raises
    ------
    ParameterError
        Where the frame lacks a column, ``by`` is none of its columns, or ``level`` is not between 0 and 1.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> curves = tk.stage_survival(tk.stage_visits(log.incident, cutoff=log.cutoff))
    >>> curves.loc[0, ["stage", "n_at_risk"]].tolist()
    [0, 424]
    """
    totals, keys = _durations(visits, by, _SURVIVAL)

    def rows(group: pd.DataFrame) -> Iterator[dict[str, Any]]:
        for stage, part in group[~group["is_left_truncated"]].groupby("stage"):
            curve = _curve(part, level)
            for values in zip(*curve, strict=True):
                yield dict(zip(_SURVIVAL, (stage, *values), strict=True))

    return summarise(totals, keys, rows, _SURVIVAL)


def _durations(
    visits: IntoFrame, by: str | Sequence[str] | None, reserved: dict[str, str]
) -> tuple[pd.DataFrame, list[str]]:
    """Bring home how often each duration occurs in each group, stage and server."""
    frame = engine.open_frame(visits, _NEEDED, parameter="visits")
    keys = engine.group_columns(by, frame, reserved=reserved)
    parts = [*keys, "stage", "server", "dwell_s", "is_censored", "is_left_truncated"]
    counted = frame.with_columns(server=nw.col("server_id")).group_by(*dict.fromkeys(parts)).agg(n=nw.len())
    return engine.collect(counted), keys


def _curve(part: pd.DataFrame, level: float) -> SurvivalCurve:
    n = part["n"].to_numpy(np.int64)
    observed = ~part["is_censored"].to_numpy(bool)
    servers = pd.factorize(part["server"])[0]
    return uncertainty.kaplan_meier(
        np.repeat(part["dwell_s"].to_numpy(np.float64), n), np.repeat(observed, n), np.repeat(servers, n), level=level
    )
