"""From incident events to visits: which stage an incident was in, from when until when, and how it left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals.stable.v2 as nw

from telemetry_kit import engine
from telemetry_kit.analyses.stages.changes import ATTRIBUTES, FACTS, INCIDENT, NONE, find_changes

if TYPE_CHECKING:
    import datetime as dt

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrameT

EXITS = ("advanced", "returned", "ended", "open")
"""How a visit can leave its stage, in the order in which results list them."""

_NEEDED = (*FACTS, "is_active", "active_stage", "num_checklists")
_RESULT = (
    *INCIDENT,
    "visit",
    "stage",
    "num_stages",
    "entered_at",
    "left_at",
    "dwell_s",
    "exit",
    "next_stage",
    "is_censored",
    "is_left_truncated",
    "from_start",
    "started_at",
    *ATTRIBUTES,
    "cutoff",
)


def stage_visits(incidents: IntoFrameT, *, cutoff: str | dt.datetime | pd.Timestamp) -> IntoFrameT:
    """Return the visits of every incident: the stretches of time that it spent in one stage while open.

    At every moment an incident is in the stage, and open or closed, that its latest event says. A visit ends with a
    move to another stage, with the end of the incident, or is still open at the cutoff; a restart begins a new one,
    in whichever stage it may be. An event that says the same as the one before changes nothing, and moves while the
    incident is closed are no visits. Incidents without stages, and those of versions that have none, have no visits.

    Parameters
    ----------
    incidents
        A frame of incident events of any kind, as in ``EventLog.incident``. Events of one moment follow each other
        in the order of the rows; on SQL engines, where rows have no order, in that of ``event_id``.
    cutoff
        When the observation ended; without a zone it is in UTC. Later events are left out.

    Returns
    -------
    frame
        Of the same kind as ``incidents``, lazy where it is lazy, one row per visit in the order of ``server_id``,
        ``incident_id`` and ``visit``:

        server_id, incident_id : str
            The incident.
        visit : Int64
            0, 1, … in the incident.
        stage, num_stages : Int64
            The stage, counted from 0, and how many the incident had when the visit began.
        entered_at : datetime64[us, UTC]
            When it began; null where ``is_left_truncated``.
        left_at : datetime64[us, UTC]
            When it ended; the cutoff where it had not.
        dwell_s : float64
            Seconds between the two; null where ``is_left_truncated``, and no more than a lower bound where
            ``is_censored``.
        exit : str
            ``advanced`` or ``returned`` to a later or an earlier stage, ``ended`` with the incident, or ``open``.
        next_stage : Int64
            Where it advanced or returned to; null otherwise.
        is_censored : boolean
            Whether it was open at the cutoff.
        is_left_truncated : boolean
            Whether the recording began inside the visit, so that nobody knows since when it lasted. An incident's
            first recorded event begins a visit only where it is a create, a stage change or a restart; without an
            action, where it is at most a minute after ``created_at``.
        from_start : boolean
            Whether the incident's create was recorded.
        started_at : datetime64[us, UTC]
            When the incident began, alike in all its rows: its create, or ``created_at`` where that was not recorded.
        team_id, plugin_version : str
            The first that is known of the incident.
        public : boolean
            Likewise; null where the create was not recorded.
        cutoff : datetime64[us, UTC]
            The cutoff, alike in all rows, so that a visit tells how long its incident was observed.

    Raises
    ------
    ParameterError
        Where ``cutoff`` is no point in time, or ``incidents`` is no frame or lacks a column.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> visits = tk.stage_visits(log.incident, cutoff=log.cutoff)
    >>> visits[["visit", "stage", "num_stages", "dwell_s", "exit", "next_stage"]].head(3)
       visit  stage  num_stages    dwell_s      exit  next_stage
    0      0      0           2   3089.157  advanced           1
    1      1      1           2   6014.524  returned           0
    2      2      0           2  15119.103  advanced           1
    """
    until = engine.moment(cutoff, parameter="cutoff")
    until_us = engine.epoch_us(until)
    events = engine.open_frame(incidents, _NEEDED, parameter="incidents", order="_order", named=())
    end = engine.time_like(until, events, "event_timestamp")
    is_staged = nw.col("is_active") & ~nw.col("active_stage").is_null() & (nw.col("num_checklists") > 0)
    stage, after = nw.col("_state"), nw.col("_next_state")
    is_known = ~nw.col("_is_first") | nw.col("_is_entry")
    changes = find_changes(
        events,
        nw.when(is_staged).then(nw.col("active_stage")),
        until_us,
        order_by=engine.in_time(incidents, "_us", "_order"),
        also=["num_checklists"],
    )
    left_us = nw.col("_left_us").fill_null(until_us)
    told: dict[str, nw.Expr] = {
        "visit": nw.col("_n_present").cast(nw.Int64) - 1,
        "stage": stage,
        "num_stages": nw.col("num_checklists"),
        "entered_at": nw.when(is_known).then(nw.col("event_timestamp")),
        "left_at": nw.coalesce(nw.col("_left_at"), end),
        "dwell_s": nw.when(is_known).then((left_us - nw.col("_us")).cast(nw.Float64) / engine.MICROSECONDS),
        "exit": nw.when(after.is_null())
        .then(nw.lit("open"))
        .when(after == NONE)
        .then(nw.lit("ended"))
        .when(after > stage)
        .then(nw.lit("advanced"))
        .otherwise(nw.lit("returned")),
        "next_stage": nw.when(after != NONE).then(after),
        "is_censored": after.is_null(),
        "is_left_truncated": ~is_known,
        "from_start": ~nw.col("_created_at").is_null(),
        "cutoff": end,
    }
    changes = engine.add_time(changes.filter(stage != NONE), started_at="_start_us")
    result = changes.select(**{name: told.get(name, nw.col(name)) for name in _RESULT})
    return engine.give_back(result.sort(*INCIDENT, "visit"), like=incidents)
