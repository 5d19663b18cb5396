"""How long incidents take to reach each stage, counted from their start."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.analyses.stages.changes import INCIDENT
from telemetry_kit.analyses.stages.curves import QUARTILE_COLUMNS, curve_of, points_of, quartiles_of
from telemetry_kit.analyses.stages.given import open_visits
from telemetry_kit.analyses.stages.statuses import N_VISITED, are_of_statuses, name_statuses
from telemetry_kit.analyses.stages.steps import NONE_BEFORE, STAGES_LISTED, find_steps
from telemetry_kit.analyses.summaries import N_CLUSTERS, summarise, tabulate, warned
from telemetry_kit.engine.ordering import CLUSTER, SERVER, join_numbered
from telemetry_kit.stats import check_open_unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from narwhals.stable.v2.typing import IntoFrame

_NEEDED = (
    *INCIDENT,
    "stage",
    "num_stages",
    "entered_at",
    "left_at",
    "is_censored",
    "is_left_truncated",
    "from_start",
)
_COUNTS = ("stage", "_before", "_furthest", "_n_stages", "_is_open", "_is_unknown")
_TIMES = ("_arrived_us", "_start_us", "_cutoff_us")
_ARRIVALS = {
    **dict.fromkeys(("stage", "n_eligible", "n_reached", "n_open", "n_ended", "n_excluded", "n_servers"), "Int64"),
    **QUARTILE_COLUMNS,
    N_CLUSTERS: "Int64",
}
_CURVES = {
    "stage": "Int64",
    "time_s": "float64",
    **dict.fromkeys(("n_at_risk", "n_observed", "n_censored"), "Int64"),
    **dict.fromkeys(("estimate", "df", "lower", "upper"), "float64"),
    **dict.fromkeys(("n_servers", N_CLUSTERS), "Int64"),
}


_NAMES = {"duration": "time_s", "is_censored": "is_missing"}


class _Arrivals(NamedTuple):
    """The incidents of one group that have a stage, as to their arrival there."""

    stage: int
    times: pd.DataFrame
    n_open: int
    n_excluded: int


def time_to_stage(
    visits: IntoFrame, *, by: str | Sequence[str] | None = None, cluster: str = "server_id", level: float = 0.95
) -> pd.DataFrame:
    """Return how long incidents take from their start to each stage: quartiles and their intervals.

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
    cluster
        The column of ``visits`` whose values act independently of one another; within one server, ``"incident_id"`` or
        ``"team_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group and stage after the first, in the order of the groups and then of the stages:

        by columns
            The group.
        stage : Int64
            The stage, counted from 0; the first is where incidents start, and from the 1,000th on they are not listed.
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
        df : float64
            Degrees of freedom of the interval; fewer than 4 is a weak ground.
        median_lower_s, median_upper_s, q25_lower_s, q25_upper_s, q75_lower_s, q75_upper_s : float64
            Intervals of the quartiles in seconds; null where the band does not come so far, and with fewer than two
            clusters.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    See Also
    --------
    stage_arrivals : The curves, with their bands.
    stage_funnel : With ``within``, the share that is there after a given time.

    Notes
    -----
    Ending is a competing event. Because how long each incident was observed is known whatever became of it, the
    Kaplan-Meier estimate in which incidents that ended stay at risk until the cutoff is that of the cumulative
    incidence of arriving (Fine and Gray 1999, JASA 94:496-509, on data with complete censoring times). The band has
    servers as clusters, as in ``stage_survival``; ``stage_dwell`` says where intervals fall short.

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
    steps, groups = _collect_steps(visits, by, cluster, reserved=_ARRIVALS, level=level)

    def rows(part: pd.DataFrame) -> Iterator[dict[str, Any]]:
        for stage, times, n_open, n_excluded in _by_stage(part):
            curve, (n, n_reached, n_missing, _, n_servers, n_clusters, _) = curve_of(times, **_NAMES, level=level)
            counts = (stage, n, n_reached, n_open, n_missing - n_open, n_excluded, n_servers)
            yield dict(zip(_ARRIVALS, (*counts, *quartiles_of(curve).values(), n_clusters), strict=True))

    return warned(name_statuses(summarise(steps, groups, rows, _ARRIVALS, level=level), visits), cluster)


def stage_arrivals(
    visits: IntoFrame,
    *,
    by: str | Sequence[str] | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
    thin: bool = False,
) -> pd.DataFrame:
    """Return the share of incidents that have come to each stage as time goes by: the curves of ``time_to_stage``.

    Parameters
    ----------
    visits
        A frame of any kind, as ``stage_visits`` returns it. Incidents whose start is unknown are left out;
        ``time_to_stage`` counts them.
    by
        A column of ``visits``, or several: each of their values is a sample of its own, a null as well.
    cluster
        The column of ``visits`` whose values act independently of one another; within one server, ``"incident_id"`` or
        ``"team_id"``.
    level
        Confidence level of the pointwise band.
    thin
        Of a curve of more than 10,000 times, tell only those that a picture can show, 5,000 at most: it looks the same,
        and takes far less memory. Its numbers are those of the whole curve; ends and censorings are counted since the
        row before.

    Returns
    -------
    pandas.DataFrame
        One row per group, stage after the first and distinct time, in that order:

        by columns
            The group.
        stage : Int64
            The stage, counted from 0.
        time_s : float64
            Seconds since the start of the incident.
        n_at_risk : Int64
            Incidents that have the stage, had not come there or further before that time, and were that old.
        n_observed, n_censored : Int64
            Incidents that came there or further at exactly that time, and those that were that old at the cutoff and
            had not.
        estimate : float64
            Estimated share of incidents that are there by then, in [0, 1].
        df, lower, upper : float64
            Its degrees of freedom and interval; null where the share is 0 or 1, and with fewer than two clusters.
        n_servers : Int64
            Servers of the curve, the same in all its rows.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    As ``time_to_stage``: the cumulative incidence of arriving, ending being no arrival. One less the curve and the
    band of ``stage_survival``, the time being counted from the start of the incident.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> visits = tk.stage_visits(log.incident, cutoff=log.cutoff)
    >>> curves = tk.stage_arrivals(visits)
    >>> curves[["stage", "time_s", "n_at_risk", "n_observed", "estimate"]].head(2).round(4)
       stage  time_s  n_at_risk  n_observed  estimate
    0      1   0.465        265           1    0.0038
    1      1   0.475        264           1    0.0075
    """
    steps, groups = _collect_steps(visits, by, cluster, reserved=_CURVES, level=level)

    def columns(part: pd.DataFrame) -> dict[str, np.ndarray]:
        made = [dict.fromkeys(_CURVES, np.empty(0))]
        for stage, times, *_ in _by_stage(part):
            points = points_of(times, **_NAMES, level=level, thin=thin)
            shares = {"estimate": "survival", "lower": "upper", "upper": "lower"}
            mine = {name: 1 - points[other] for name, other in shares.items()}
            made.append({**points, **mine, "stage": np.full(points["time_s"].size, stage)})
        return {name: np.concatenate([one[name] for one in made]) for name in _CURVES}

    return warned(name_statuses(tabulate(steps, groups, columns, _CURVES, level=level), visits), cluster)


def _collect_steps(
    visits: IntoFrame, by: str | Sequence[str] | None, cluster: str, *, reserved: Iterable[str], level: float
) -> tuple[pd.DataFrame, list[str]]:
    """Collect the steps of each incident, and return the names of the columns that make a group."""
    check_open_unit("level", level)
    frame = open_visits(visits, _NEEDED, named=[*engine.names_of(by), cluster, "cutoff"], are_whole=True)
    groups = engine.group_columns(by, frame, reserved=reserved)
    engine.check_cluster(cluster, frame)
    steps = find_steps(frame, list(dict.fromkeys([*groups, *INCIDENT, cluster])))
    columns = steps.select(*dict.fromkeys([*groups, "server_id", cluster, *_COUNTS, *_TIMES]))
    with closing(engine.parts(columns.to_native(), engine.MANY_ROWS)) as parts:
        collected = join_numbered(parts, groups, cluster=cluster)
    if are_of_statuses(visits):
        # Nobody visits the last status: it is the end.
        collected["_n_stages"] = collected["_n_stages"].clip(upper=N_VISITED)
    return collected, groups


def _by_stage(steps: pd.DataFrame) -> Iterator[_Arrivals]:
    """Tell, for each stage after the first, how long each incident of one group took, or has been seen not to come."""
    stages, before, furthest, n_stages, is_open, is_unknown = (steps[name].to_numpy(np.int64) for name in _COUNTS)
    arrived, start, cutoff = (steps[name].to_numpy(np.float64, na_value=np.nan) for name in _TIMES)
    is_known, is_incident = is_unknown == 0, before == NONE_BEFORE
    took, missed = ((until - start) / engine.MICROSECONDS for until in (arrived, cutoff))
    for stage in range(1, min(STAGES_LISTED, int(n_stages[is_known].max(initial=0)))):
        has_stage = n_stages > stage
        of_known = has_stage & is_known
        is_reached = of_known & (before < stage) & (stage <= stages)
        is_missing = of_known & is_incident & (furthest < stage)
        reached, missing = np.flatnonzero(is_reached), np.flatnonzero(is_missing)
        times = pd.DataFrame(
            {
                **{name: steps[name].to_numpy()[np.concatenate([reached, missing])] for name in (SERVER, CLUSTER)},
                "time_s": np.concatenate([took[reached], missed[missing]]),
                "is_missing": np.repeat([False, True], [reached.size, missing.size]),
            }
        )
        excluded = has_stage & is_incident & ~is_known
        yield _Arrivals(stage, times, int(is_open[missing].sum()), int(excluded.sum()))
