"""From incident events to visits: which stage an incident was in, from when until when, and how it left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine
from telemetry_kit.schemas import CREATE_WITHIN_S

if TYPE_CHECKING:
    import datetime as dt

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrameT

INCIDENT = ("server_id", "incident_id")
EXITS = ("advanced", "returned", "ended", "open")
"""How a visit can leave its stage, in the order in which results list them."""

_NEEDED = (
    *INCIDENT,
    "event_id",
    "event_timestamp",
    "action",
    "created_at",
    "is_active",
    "active_stage",
    "num_checklists",
    "team_id",
    "plugin_version",
    "public",
)
_ENTERING_ACTIONS = ("create", "change_stage", "restart")
_NO_STAGE = -(2**31)
"""The stage of an incident that is closed or has no stages: a number, so that null is left for "no event"."""

_ATTRIBUTES = ("team_id", "plugin_version", "public")
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
    *_ATTRIBUTES,
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
        in the order of the rows; on engines whose rows have no order (other than DuckDB's), in that of ``event_id``.
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
        team_id, plugin_version : str
            The first that is known of the incident.
        public : boolean
            Likewise; null where the create was not recorded.

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
    """
    until = engine.moment(cutoff, parameter="cutoff")
    events = engine.open_frame(incidents, _NEEDED, parameter="incidents", order="_order")
    changes = _changes(events, engine.epoch_us(until))
    stage, after = nw.col("_stage"), nw.col("_next_stage")
    is_known = ~nw.col("_is_first") | nw.col("_is_entry")
    is_move = after != _NO_STAGE
    result = (
        changes.filter(stage != _NO_STAGE)
        .with_columns(
            visit=nw.col("_n_visits").cast(nw.Int64) - 1,
            stage=stage,
            num_stages=nw.col("num_checklists"),
            left_at=nw.coalesce(nw.col("_left_at"), engine.time_like(until, events, "event_timestamp")),
            is_censored=after.is_null(),
            is_left_truncated=~is_known,
            from_start=nw.col("_from_start") == 1,
            exit=nw.when(after.is_null())
            .then(nw.lit("open"))
            .when(after == _NO_STAGE)
            .then(nw.lit("ended"))
            .when(after > stage)
            .then(nw.lit("advanced"))
            .otherwise(nw.lit("returned")),
            next_stage=nw.when(is_move).then(after),
            _left_us=nw.coalesce(nw.col("_left_us"), nw.lit(engine.epoch_us(until))),
        )
        .with_columns(
            entered_at=nw.when(is_known).then(nw.col("event_timestamp")),
            dwell_s=nw.when(is_known).then((nw.col("_left_us") - nw.col("_us")).cast(nw.Float64) / engine.MICROSECONDS),
        )
    )
    return engine.give_back(result.select(*_RESULT).sort(*INCIDENT, "visit"), like=incidents)


def _changes(events: nw.LazyFrame[Any], until_us: int) -> nw.LazyFrame[Any]:
    """Keep the events up to a moment at which an incident's stage changed, each with the change that follows it.

    Every incident's first event stays as well and brings what is known of the incident. An event whose ``_stage`` is
    ``_NO_STAGE`` found or left the incident without one; ``_next_stage`` is null where no change follows.
    """
    in_time = {"order_by": ["_us", "_order", "event_id"]}
    action, no_action = nw.col("action").cast(nw.String), nw.col("action").is_null()
    is_new = no_action & (nw.col("_us") - nw.col("_created_us") <= CREATE_WITHIN_S * engine.MICROSECONDS)
    is_staged = nw.col("is_active") & ~nw.col("active_stage").is_null() & (nw.col("num_checklists") > 0)
    is_create = ((action == "create") | is_new).fill_null(value=False)
    known = {name: nw.col(name) if name == "public" else nw.col(name).cast(nw.String) for name in _ATTRIBUTES}
    staged = (
        engine.add_epoch_us(events, _us="event_timestamp", _created_us="created_at")
        .filter(nw.col("_us") <= until_us)
        .select(
            *INCIDENT,
            "event_timestamp",
            "num_checklists",
            "event_id",
            "_us",
            "_order",
            **known,
            _stage=nw.when(is_staged.fill_null(value=False)).then(nw.col("active_stage")).otherwise(_NO_STAGE),
            _is_create=nw.when(is_create).then(1).otherwise(0),
            _is_entry=is_create | action.is_in(_ENTERING_ACTIONS).fill_null(value=False),
        )
        .with_columns(
            nw.col(*_ATTRIBUTES).fill_null(strategy="backward").over(*INCIDENT, **in_time),
            _before=nw.col("_stage").shift(1).over(*INCIDENT, **in_time),
            _from_start=nw.col("_is_create").max().over(*INCIDENT),
        )
    )
    is_first = nw.col("_before").is_null()
    of_first = {name: nw.when(nw.col("_is_first")).then(nw.col(name)).max().over(*INCIDENT) for name in _ATTRIBUTES}
    return (
        staged.filter(is_first | (nw.col("_before") != nw.col("_stage")))
        .with_columns(_is_first=is_first, _is_visit=nw.when(nw.col("_stage") != _NO_STAGE).then(1).otherwise(0))
        .with_columns(
            **of_first,
            _next_stage=nw.col("_stage").shift(-1).over(*INCIDENT, **in_time),
            _left_us=nw.col("_us").shift(-1).over(*INCIDENT, **in_time),
            _left_at=nw.col("event_timestamp").shift(-1).over(*INCIDENT, **in_time),
            _n_visits=nw.col("_is_visit").cum_sum().over(*INCIDENT, **in_time),
        )
    )
