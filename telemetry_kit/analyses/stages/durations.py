"""How long incidents take to end, and how long they are open, restarts included."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine
from telemetry_kit.analyses.stages.changes import (
    ATTRIBUTES,
    INCIDENT,
    OPEN,
    find_changes,
    is_open,
    open_events,
)
from telemetry_kit.analyses.stages.curves import CURVE_COLUMNS, QUARTILE_COLUMNS, curve_of, points_of, quartiles_of
from telemetry_kit.analyses.summaries import N_CLUSTERS, summarise, tabulate, warned
from telemetry_kit.engine.ordering import join_numbered
from telemetry_kit.stats import check_open_unit

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT

_RESULT = (
    *INCIDENT,
    "started_at",
    "first_ended_at",
    "last_ended_at",
    "n_ends",
    "n_restarts",
    "first_end_s",
    "last_end_s",
    "open_s",
    "is_censored",
    "from_start",
    "entry_s",
    "num_stages",
    *ATTRIBUTES,
    "cutoff",
)
_TO_END = ("server_id", "first_end_s", "n_ends")
_NAMES = {"duration": "first_end_s", "is_censored": "_is_censored", "entry": "entry_s"}
_ENDS = {
    **dict.fromkeys(("n_incidents", "n_ended", "n_censored", "n_excluded", "n_servers"), "Int64"),
    **QUARTILE_COLUMNS,
    "n_late": "Int64",
    N_CLUSTERS: "Int64",
}


def incident_durations(
    incidents: IntoFrameT, *, cutoff: str | dt.datetime | pd.Timestamp, observed_until: IntoFrame | None = None
) -> IntoFrameT:
    """Return how long each incident took to end, for the first and for the last time, and how long it was open.

    Incidents of all versions count, with stages or without: one ends when ``is_active`` becomes false or, where
    incidents have a status (1.3 and later), that becomes Resolved or Archived. Events that
    tell neither are passed over.

    Parameters
    ----------
    incidents
        A frame of incident events of any kind, as in ``EventLog.incident``; ties in time as for ``stage_visits``.
    cutoff
        When the observation ended; without a zone it is in UTC. Later events are left out.
    observed_until
        As ``observed_until`` returns it: up to when each server was observed. It takes the place of the cutoff for
        incidents on a server that fell silent before.

    Returns
    -------
    frame
        Of the same kind as ``incidents``, lazy where it is lazy, one row per incident in the order of ``server_id``
        and ``incident_id``:

        server_id, incident_id : str
            The incident.
        started_at : datetime64[us, UTC]
            When it began: its create, or ``created_at`` where that was not recorded.
        first_ended_at, last_ended_at : datetime64[us, UTC]
            The first and the last time that it was seen to end; null where it never was.
        n_ends, n_restarts : Int64
            How often it was seen to end, and to be opened again.
        first_end_s : float64
            Seconds from its start to its first end; to the cutoff where ``n_ends`` is 0, and then only a lower bound.
            Null where the start is unknown, and where the first event that was recorded shows that it had ended before.
        last_end_s, open_s : float64
            Seconds from its start to its last end, and of these the seconds in which it was open; to the cutoff where
            ``is_censored``, and then only lower bounds. An incident that has ended may still be restarted. Null where
            the start is unknown, ``open_s`` also where the create was not recorded.
        is_censored : boolean
            Whether it was open at the cutoff.
        from_start : boolean
            Whether its create was recorded. Where it was not, the first end that was recorded need not be the first:
            it may have ended, and been restarted, before.
        entry_s : float64
            How old it was when it came under observation, in seconds: 0 where its create was recorded, and otherwise
            its age at its first recorded event, before which nobody would have seen it end (delayed entry). Null where
            the start is unknown.
        num_stages : Int64
            How many stages it had at its first event.
        team_id, plugin_version : str
            The first that is known of it.
        public : boolean
            Likewise; null where its create was not recorded.
        cutoff : datetime64[us, UTC]
            When its observation ended, so that an incident tells for how long it was observed.

    Raises
    ------
    ParameterError
        Where ``cutoff`` is no point in time, or ``incidents`` is no frame or lacks a column.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> durations = tk.incident_durations(log.incident, cutoff=log.cutoff)
    >>> durations[["n_ends", "n_restarts", "is_censored", "from_start"]].head(3)
       n_ends  n_restarts  is_censored  from_start
    0       1           0        False        True
    1       2           1        False        True
    2       1           0        False        True
    """
    until = engine.moment(cutoff, parameter="cutoff", of=incidents)
    events = open_events(incidents, ["num_checklists"], observed_until=observed_until)
    state = nw.when(is_open(events)).then(OPEN)
    order_by = engine.in_time(incidents, "_us", "_order")
    changes = find_changes(
        events.filter(~is_open(events).is_null()), state, until, order_by=order_by, also=["num_checklists", "action"]
    )
    is_under_way = nw.col("_state") == OPEN
    is_end = is_under_way & ~nw.col("_next_state").is_null()
    is_restart = (nw.col("action").cast(nw.String) == "restart").fill_null(value=False)
    # Of an incident that is closed when it is first seen, nobody knows when it ended, even where that event stands for
    # its create.
    had_ended = nw.col("_is_first") & (~is_under_way | (is_restart & nw.col("_created_us").is_null()))
    until_us = nw.col("_until_us")

    def flag(condition: nw.Expr) -> nw.Expr:
        return nw.when(condition).then(1).otherwise(0)

    stretches = changes.with_columns(
        _ended_at=nw.when(is_end).then(nw.col("_left_at")),
        _ended_us=nw.when(is_end).then(nw.col("_left_us")),
        _open_us=nw.when(is_under_way).then(nw.col("_left_us").fill_null(until_us) - nw.col("_us")).otherwise(0),
        _is_open=flag(is_under_way & nw.col("_next_state").is_null()),
        _had_ended=flag(had_ended),
        n_ends=flag(is_end),
        n_restarts=flag(is_under_way & ~nw.col("_is_first")),
        num_stages=nw.when(nw.col("_is_first")).then(nw.col("num_checklists")),
    )
    ends = stretches.group_by(*INCIDENT).agg(
        nw.col("n_ends", "n_restarts", "_open_us").sum(),
        nw.col("_is_open", "_had_ended", "num_stages", "_until_us", *ATTRIBUTES).max(),
        nw.col("_start_us", "_first_us", "_created_us").min(),
        first_ended_at=nw.col("_ended_at").min(),
        last_ended_at=nw.col("_ended_at").max(),
        _first_end_us=nw.col("_ended_us").min(),
        _last_end_us=nw.col("_ended_us").max(),
    )
    is_censored, from_start = nw.col("_is_open") == 1, ~nw.col("_created_us").is_null()
    last_us = nw.when(is_censored).then(until_us).otherwise(nw.col("_last_end_us"))

    def seconds(length_us: nw.Expr) -> nw.Expr:
        return length_us.cast(nw.Float64) / engine.MICROSECONDS

    start_us = nw.col("_start_us")
    first_end_s = seconds(nw.col("_first_end_us").fill_null(until_us) - start_us)
    entry_us = nw.when(from_start).then(nw.lit(0, nw.Int64)).otherwise(nw.col("_first_us") - start_us)
    result = engine.add_time(ends, started_at="_start_us", cutoff="_until_us").with_columns(
        nw.col("n_ends", "n_restarts").cast(nw.Int64),
        first_end_s=nw.when(nw.col("_had_ended") == 0).then(first_end_s),
        last_end_s=seconds(last_us - start_us),
        open_s=nw.when(from_start).then(seconds(nw.col("_open_us"))),
        is_censored=is_censored,
        from_start=from_start,
        entry_s=seconds(entry_us),
    )
    return engine.give_back(result.select(*_RESULT).sort(*INCIDENT), like=incidents)


def time_to_end(
    durations: IntoFrame, *, by: str | Sequence[str] | None = None, cluster: str = "server_id", level: float = 0.95
) -> pd.DataFrame:
    """Return how long incidents take to end for the first time: quartiles and their intervals.

    Incidents that had not ended by the cutoff count as lasting at least until then. Those whose create was not
    recorded count from the age on at which they were first seen (``entry_s``, delayed entry): to leave them out would
    lose the long ones above all, and to count them from their start would forget those that nobody saw, because they
    had ended by then.

    Parameters
    ----------
    durations
        A frame of any kind, as ``incident_durations`` returns it; without ``entry_s``, all are taken to have been seen
        from their start.
    by
        A column of ``durations``, or several: each of their values is a sample of its own, a null as well.
    cluster
        The column of ``durations`` whose values act independently of one another; within one server, ``"incident_id"``
        or ``"team_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group, in the order of the groups:

        by columns
            The group.
        n_incidents, n_ended, n_censored : Int64
            Incidents whose start is known, and of these those that were seen to end and those that were not.
        n_excluded : Int64
            Incidents whose start is unknown, or that had ended before they were first seen; they are in no other
            number.
        n_servers : Int64
            Servers of the ``n_incidents``.
        q25_s, median_s, q75_s : float64
            Seconds by which a quarter, one half and three quarters of the incidents have ended; null where that was
            not reached by the cutoff.
        df : float64
            Degrees of freedom of the interval; fewer than 4 is a weak ground.
        median_lower_s, median_upper_s, q25_lower_s, q25_upper_s, q75_lower_s, q75_upper_s : float64
            Intervals of the quartiles in seconds; null where the band does not fall so far, and with fewer than two
            clusters.
        n_late : Int64
            Of the ``n_incidents``, those that came under observation after their start.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    Kaplan-Meier with servers as clusters, as in ``stage_dwell``, which says where intervals fall short. In R:
    ``survival::survfit(Surv(entry_s, first_end_s, n_ends > 0) ~ 1)``.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> durations = pd.DataFrame({
    ...     "server_id": ["a", "a", "b"], "first_end_s": [60.0, 120.0, 600.0], "n_ends": [1, 2, 0],
    ... })
    >>> tk.time_to_end(durations)[["n_incidents", "n_ended", "n_censored", "median_s"]]
       n_incidents  n_ended  n_censored  median_s
    0            3        2           1     120.0
    """
    lengths, groups = _collect_ends(durations, by, cluster, reserved=_ENDS, level=level)

    def rows(part: pd.DataFrame) -> list[dict[str, Any]]:
        curve, counts = curve_of(part, **_NAMES, level=level)
        return [
            dict(
                zip(_ENDS, (*counts[:5], *quartiles_of(curve).values(), counts.n_late, counts.n_clusters), strict=True)
            )
        ]

    return warned(summarise(lengths, groups, rows, _ENDS, level=level), cluster)


def incident_survival(
    durations: IntoFrame,
    *,
    by: str | Sequence[str] | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
    thin: bool = False,
) -> pd.DataFrame:
    """Return the share of incidents that have not ended yet as time goes by: the curves of ``time_to_end``.

    Parameters
    ----------
    durations
        A frame of any kind, as ``incident_durations`` returns it. Incidents whose create was not recorded are at risk
        from the age on at which they were first seen (``entry_s``); those whose start is unknown are left out, and
        ``time_to_end`` counts them.
    by
        A column of ``durations``, or several: each of their values is a sample of its own, a null as well.
    cluster
        The column of ``durations`` whose values act independently of one another; within one server, ``"incident_id"``
        or ``"team_id"``.
    level
        Confidence level of the pointwise band.
    thin
        Of a curve of more than 10,000 times, tell only those that a picture can show, 5,000 at most: it looks the same,
        and takes far less memory. Its numbers are those of the whole curve; ends and censorings are counted since the
        row before.

    Returns
    -------
    pandas.DataFrame
        One row per group and distinct time, in that order:

        by columns
            The group.
        time_s : float64
            Seconds since the incident was created.
        n_at_risk : Int64
            Incidents that were under observation at that age, and had not ended before.
        n_observed, n_censored : Int64
            Incidents that ended for the first time at exactly that time, and those that were that old, and had never
            ended, at the cutoff.
        survival : float64
            Estimated share of incidents that take longer to end, in [0, 1].
        df, lower, upper : float64
            Its degrees of freedom and interval; null where the curve is 1 or 0, and with fewer than two clusters.
        n_servers : Int64
            Servers of the curve, the same in all its rows.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    Kaplan-Meier with servers as clusters, as in ``stage_survival``; ``stage_dwell`` says where intervals fall short.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> durations = pd.DataFrame({
    ...     "server_id": ["a", "a", "b"], "first_end_s": [60.0, 120.0, 600.0], "n_ends": [1, 2, 0],
    ... })
    >>> tk.incident_survival(durations)[["time_s", "n_at_risk", "n_observed", "n_censored", "survival"]].round(2)
       time_s  n_at_risk  n_observed  n_censored  survival
    0    60.0          3           1           0      0.67
    1   120.0          2           1           0      0.33
    2   600.0          1           0           1      0.33
    """
    lengths, groups = _collect_ends(durations, by, cluster, reserved=CURVE_COLUMNS, level=level)

    def columns(part: pd.DataFrame) -> dict[str, Any]:
        return points_of(part, **_NAMES, level=level, thin=thin)

    return warned(tabulate(lengths, groups, columns, CURVE_COLUMNS, level=level), cluster)


def _collect_ends(
    durations: IntoFrame, by: str | Sequence[str] | None, cluster: str, *, reserved: Iterable[str], level: float
) -> tuple[pd.DataFrame, list[str]]:
    """Collect how long each incident took to end, and return the names of the columns that make a group."""
    check_open_unit("level", level)
    named = [*engine.names_of(by), cluster, "entry_s"]
    frame = engine.open_frame(durations, _TO_END, parameter="durations", named=named)
    groups = engine.group_columns(by, frame, reserved=reserved)
    entry = [name for name in ("entry_s",) if name in frame.columns]
    columns = dict.fromkeys([*groups, *_TO_END, engine.check_cluster(cluster, frame), *entry])
    with closing(engine.row_parts(durations, columns, opened=frame)) as parts:
        lengths = join_numbered(parts, groups, cluster=cluster)
    if not entry:
        lengths["entry_s"] = 0.0
    return lengths.assign(_is_censored=lengths["n_ends"] == 0), groups
