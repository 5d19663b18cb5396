"""How long incidents take to reach each stage, counted from their start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.stages.changes import INCIDENT
from telemetry_kit.stages.curves import QUARTILE_COLUMNS, curve_of, quartiles_of
from telemetry_kit.stages.visits import add_cutoff_us
from telemetry_kit.summaries import summarise
from telemetry_kit.uncertainty.clusters import check_open_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from narwhals.stable.v2.typing import IntoFrame

_NEEDED = (
    *INCIDENT,
    "visit",
    "stage",
    "num_stages",
    "entered_at",
    "left_at",
    "is_censored",
    "is_left_truncated",
    "from_start",
)
_OF_INCIDENT = ("server_id", "_n_stages", "_furthest", "_is_open", "_is_known", "_age_us")
_OF_ARRIVAL = ("_before", "stage", "_elapsed_us")
_ARRIVALS = {
    **dict.fromkeys(("stage", "n_eligible", "n_reached", "n_open", "n_ended", "n_excluded", "n_servers"), "Int64"),
    **QUARTILE_COLUMNS,
}


def time_to_stage(visits: IntoFrame, *, by: str | Sequence[str] | None = None, level: float = 0.95) -> pd.DataFrame:
    """Return how long incidents take from their start to each stage: quartiles, and the limits of the median.

    The time ends with the first visit to the stage or a later one. An incident that has not come so far counts as
    not there yet from its start to the cutoff, whether it is open or has ended: an end is no arrival, and a restart
    can still bring one. So the quartiles are of all incidents that have the stage, and a median is null where fewer
    than half of them get there. To censor incidents when they end, as Kaplan-Meier curves often do, would tell how
    long it took if no incident ever ended early, which is always sooner and true of no incident.

    Parameters
    ----------
    visits
        A frame of any kind, as ``stage_visits`` returns it.
    by
        A column of ``visits``, or several: each of their values is a sample of its own, a null as well, as if
        ``visits`` had no other rows.
    level
        Confidence level of the limits.

    Returns
    -------
    pandas.DataFrame
        One row per group and stage after the first, in the order of the groups and then of the stages:

        by columns
            The group.
        stage : Int64
            The stage, counted from 0; the first is where incidents start.
        n_eligible, n_reached : Int64
            Incidents that have this stage and whose start is known; and of these, those that reached it or a later
            one.
        n_open, n_ended : Int64
            Of the ``n_eligible``, those that had not come so far and at the cutoff were open, or had ended.
        n_excluded : Int64
            Incidents that have this stage, but whose start is unknown: their create was not recorded, or another
            event came before it. They are in no other number.
        n_servers : Int64
            Servers of the ``n_eligible``.
        q25_s, median_s, q75_s : float64
            Seconds from the start by which a quarter, one half and three quarters of the incidents were there; null
            where that was not reached by the cutoff.
        median_lower_s, median_upper_s : float64
            Limits of the median in seconds; null where the band does not come to one half, and with fewer than two
            servers.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    See Also
    --------
    stage_funnel : With ``within``, the share that is there after a given time.

    Notes
    -----
    Ending is a competing event. Because how long each incident was observed is known whatever became of it, the
    Kaplan-Meier estimate in which incidents that ended stay at risk until the cutoff is that of the cumulative
    incidence of arriving (Fine and Gray 1999, JASA 94:496-509, on data with complete censoring times). The band has
    servers as clusters, as in ``stage_survival``.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> visits = tk.stage_visits(log.incident, cutoff=log.cutoff)
    >>> tk.time_to_stage(visits)[["stage", "n_eligible", "n_reached", "n_open", "n_ended"]].head(2)
       stage  n_eligible  n_reached  n_open  n_ended
    0      1         265        215       9       41
    1      2         243        136      15       92
    """
    check_open_unit("level", level)
    frame = engine.open_frame(visits, _NEEDED, parameter="visits")
    groups = engine.group_columns(by, frame, reserved=_ARRIVALS)
    arrivals = _arrivals(frame, list(dict.fromkeys([*groups, *INCIDENT])))
    collected = engine.collect(arrivals.select(*dict.fromkeys([*groups, *_OF_INCIDENT, *_OF_ARRIVAL])))
    return summarise(collected, groups, lambda part: _time_to_stages(part, level), _ARRIVALS, level=level)


def _arrivals(frame: nw.LazyFrame[Any], incident: Sequence[str]) -> nw.LazyFrame[Any]:
    """Keep the visits that brought an incident further than it had been, ``_before`` being the furthest until then."""
    is_known = nw.when(nw.col("from_start") & ~nw.col("is_left_truncated")).then(1).otherwise(0)
    visits = (
        engine.add_epoch_us(add_cutoff_us(frame), _entered_us="entered_at")
        .with_columns(_is_known=is_known, _is_open=nw.when(nw.col("is_censored")).then(1).otherwise(0))
        .with_columns(
            nw.col("_is_known").min().over(*incident),
            nw.col("_is_open").max().over(*incident),
            _start_us=nw.col("_entered_us").min().over(*incident),
            _n_stages=nw.col("num_stages").max().over(*incident),
            _furthest=nw.col("stage").max().over(*incident),
            _so_far=nw.col("stage").cum_max().over(*incident, order_by="visit"),
        )
        .with_columns(_before=nw.col("_so_far").shift(1).over(*incident, order_by="visit"))
    )
    return visits.filter(nw.col("_before").is_null() | (nw.col("stage") > nw.col("_before"))).with_columns(
        _elapsed_us=nw.col("_entered_us") - nw.col("_start_us"), _age_us=nw.col("_cutoff_us") - nw.col("_start_us")
    )


def _time_to_stages(arrivals: pd.DataFrame, level: float) -> Iterator[dict[str, Any]]:
    is_incident = arrivals["_before"].isna()
    is_known = arrivals["_is_known"] == 1
    for stage in range(1, int(arrivals.loc[is_known, "_n_stages"].max()) if is_known.any() else 0):
        has_stage = arrivals["_n_stages"] > stage
        is_here = has_stage & is_known
        reached = arrivals[is_here & (arrivals["stage"] >= stage) & ~(arrivals["_before"] >= stage).fillna(value=False)]
        missing = arrivals[is_here & is_incident & (arrivals["_furthest"] < stage)]
        times = pd.DataFrame(
            {
                "server_id": pd.concat([reached["server_id"], missing["server_id"]]),
                "time_s": np.concatenate([_seconds(reached["_elapsed_us"]), _seconds(missing["_age_us"])]),
                "is_missing": np.repeat([False, True], [len(reached), len(missing)]),
            }
        )
        _, curve = curve_of(times, duration="time_s", is_censored="is_missing", level=level)
        n_open = int((missing["_is_open"] == 1).sum())
        yield {
            "stage": stage,
            "n_eligible": len(times),
            "n_reached": len(reached),
            "n_open": n_open,
            "n_ended": len(missing) - n_open,
            "n_excluded": int((is_incident & has_stage & ~is_known).sum()),
            "n_servers": times["server_id"].nunique(),
            **quartiles_of(curve),
        }


def _seconds(microseconds: pd.Series) -> np.ndarray:
    return microseconds.to_numpy(np.float64) / engine.MICROSECONDS
