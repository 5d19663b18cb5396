"""From incident events to visits: which stage or status an incident was in, from when until when, and how it left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine
from telemetry_kit.analyses.stages.changes import ATTRIBUTES, INCIDENT, NONE, UNSEEN, find_changes, open_events
from telemetry_kit.schemas import STATUSES

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT

EXITS = ("advanced", "returned", "ended", "open")
"""How a visit can leave its stage, in the order in which results list them."""

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
    "is_last_stage",
    *ATTRIBUTES,
    "cutoff",
)
_STATUS_RESULT = tuple(
    name
    for column in _RESULT
    for name in (column, {"stage": "status", "next_stage": "next_status"}.get(column))
    if name
)
_RESOLVED, _ARCHIVED = STATUSES.index("Resolved"), STATUSES.index("Archived")


def stage_visits(
    incidents: IntoFrameT, *, cutoff: str | dt.datetime | pd.Timestamp, observed_until: IntoFrame | None = None
) -> IntoFrameT:
    """Return the visits of every incident: the stretches of time that it spent in one stage while open.

    At every moment an incident is in the stage, and open or closed, that its latest event says. A visit ends with a
    move to another stage, with the end of the incident, or is still open at the cutoff; a restart begins a new one,
    in whichever stage it may be. An event that says the same as the one before changes nothing, and moves while the
    incident is closed are no visits. Incidents without stages, and those of versions that have none, have no visits;
    ``status_visits`` has the visits of the latter. Where the plugin of a server is updated to such a version, the
    stages of the incidents under way are seen no longer: they are observed up to their first event of that version.

    Parameters
    ----------
    incidents
        A frame of incident events of any kind, as in ``EventLog.incident``. Events of one moment follow each other
        in the order of the rows; on SQL engines, where rows have no order, in that of ``event_id``.
    cutoff
        When the observation ended; without a zone it is in UTC. Later events are left out.
    observed_until
        As ``observed_until`` returns it: up to when each server was observed. What is open on a server that fell
        silent before the cutoff is then censored there. Without it, or for a server that it does not have, that is
        the cutoff.

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
            When it ended; where it had not, when its observation did: at the cutoff.
        dwell_s : float64
            Seconds between the two; null where ``is_left_truncated``, and no more than a lower bound where
            ``is_censored``.
        exit : str
            ``advanced`` or ``returned`` to a later or an earlier stage, ``ended`` with the incident, or ``open``.
        next_stage : Int64
            Where it advanced or returned to; null otherwise.
        is_censored : boolean
            Whether it was open at the cutoff, or when the observation of its incident ended before.
        is_left_truncated : boolean
            Whether the recording began inside the visit, so that nobody knows since when it lasted. An incident's
            first recorded event begins a visit only where it is a create, a stage change or a restart; without an
            action, where it is at most a minute after ``created_at``.
        from_start : boolean
            Whether the incident's create was recorded.
        started_at : datetime64[us, UTC]
            When the incident began, alike in all its rows: its create, or ``created_at`` where that was not recorded.
        is_last_stage : boolean
            Whether no stage comes after this one: an incident that ends here is done, one that ends before is not.
        team_id, plugin_version : str
            The first that is known of the incident.
        public : boolean
            Likewise; null where the create was not recorded.
        cutoff : datetime64[us, UTC]
            When the observation of the incident ended, so that a visit tells how long that was observed: the cutoff,
            unless ``observed_until`` tells an earlier moment, or its server was updated to a version without stages.

    Raises
    ------
    ParameterError
        Where ``cutoff`` is no point in time, or ``incidents`` or ``observed_until`` is no frame or lacks a column.

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
    until = engine.moment(cutoff, parameter="cutoff", of=incidents)
    events = open_events(incidents, ["is_active", "active_stage", "num_checklists"], observed_until=observed_until)
    is_staged = nw.col("is_active") & ~nw.col("active_stage").is_null() & (nw.col("num_checklists") > 0)
    changes = find_changes(
        events,
        nw.when(is_staged).then(nw.col("active_stage")),
        until,
        order_by=engine.in_time(incidents, "_us", "_order"),
        also=["num_checklists"],
        is_unseen=nw.col("is_active").is_null(),
    )
    told = _tell(last=nw.col("num_checklists") - 1) | {"num_stages": nw.col("num_checklists")}
    return _give_visits(changes, told, _RESULT, like=incidents)


def status_visits(
    incidents: IntoFrameT, *, cutoff: str | dt.datetime | pd.Timestamp, observed_until: IntoFrame | None = None
) -> IntoFrameT:
    """Return the visits of incidents that have a status: the stretches of time that each spent in one status.

    Since plugin version 1.3 an incident has a status in place of a stage: Reported, Active, Resolved or Archived. All
    functions and pictures of stages take these visits as well: ``stage`` is the status's place in that order, and
    tables name the status beside it. Archived ends an incident, so there is no visit to it; another status after it
    begins a new visit. Incidents of versions that have no status have no visits; ``stage_visits`` has theirs.

    Parameters
    ----------
    incidents
        A frame of incident events of any kind, as in ``EventLog.incident``; ties in time as for ``stage_visits``.
        An event with a status that is none of the four is passed over.
    cutoff
        When the observation ended; without a zone it is in UTC. Later events are left out.
    observed_until
        As for ``stage_visits``.

    Returns
    -------
    frame
        The columns of ``stage_visits``, with

        stage : Int64
            The place of the status: 0 for Reported, 1 for Active, 2 for Resolved.
        status : str
            The status.
        num_stages : Int64
            4.
        exit : str
            ``advanced`` or ``returned`` to a later or an earlier status, ``ended`` where that is Archived, or
            ``open``.
        next_stage : Int64
            The place of the status to which it advanced or returned; null otherwise.
        next_status : str
            The status that followed, Archived included; null where none has.
        is_left_truncated : boolean
            Whether the recording began inside the visit: an incident's first recorded event begins a visit only where
            it is a create; without an action, where it is at most a minute after ``created_at``.
        is_last_stage : boolean
            Whether it is Resolved, after which only Archived comes: an incident that is archived from here is done,
            one that is archived before it was resolved is not.

    Raises
    ------
    ParameterError
        Where ``cutoff`` is no point in time, or ``incidents`` or ``observed_until`` is no frame or lacks a column.

    Notes
    -----
    What the plugin sends with ``update_status`` is the status before the update. So a change of status is seen with
    the next event of its incident, later than it was, and one that no event follows is not seen: in the recording of
    1.5.1 that the tests have, 12 of 19 incidents were resolved and look as if they were still reported or active.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> events = pd.DataFrame({
    ...     "server_id": "a", "incident_id": "i", "event_id": ["1", "2", "3"], "team_id": "t", "public": None,
    ...     "event_timestamp": pd.to_datetime([f"2021-03-01T1{hour}:00:00Z" for hour in range(3)]),
    ...     "created_at": pd.Timestamp("2021-03-01T10:00:00Z"), "plugin_version": "1.5.1",
    ...     "action": ["create", "update_status", "update_status"],
    ...     "current_status": ["Reported", "Active", "Archived"],
    ... })
    >>> visits = tk.status_visits(events, cutoff="2021-03-02")
    >>> visits[["status", "stage", "dwell_s", "exit", "next_status", "is_last_stage"]]
         status  stage  dwell_s      exit next_status  is_last_stage
    0  Reported      0   3600.0  advanced      Active          False
    1    Active      1   3600.0     ended    Archived          False
    """
    until = engine.moment(cutoff, parameter="cutoff", of=incidents)
    events = open_events(incidents, ["current_status"], observed_until=observed_until)
    status = nw.col("current_status").cast(nw.String)
    # Archived is the end, and so no state of an incident that is under way.
    changes = find_changes(
        events.filter(status.is_in(STATUSES)),
        choose(status, {name: place for place, name in enumerate(STATUSES[:_ARCHIVED])}),
        until,
        order_by=engine.in_time(incidents, "_us", "_order"),
        entering=("create",),
    )
    names = {**dict(enumerate(STATUSES[:_ARCHIVED])), NONE: STATUSES[_ARCHIVED]}
    told = _tell(last=nw.lit(_RESOLVED)) | {
        "num_stages": nw.lit(len(STATUSES)).cast(nw.Int64),
        "status": choose(nw.col("_state"), names),
        "next_status": choose(nw.col("_next_state"), names),
    }
    return _give_visits(changes, told, _STATUS_RESULT, like=incidents)


def choose(column: nw.Expr, choices: dict[Any, Any]) -> nw.Expr:
    """Return what stands for the values of a column; null for any other."""
    (first, made), *others = choices.items()
    chosen: Any = nw.when(column == first).then(nw.lit(made))
    for value, name in others:
        chosen = chosen.when(column == value).then(nw.lit(name))
    return chosen.otherwise(nw.lit(None))  # type: ignore[no-any-return]


def _tell(*, last: nw.Expr) -> dict[str, nw.Expr]:
    """Return the columns of visits that follow from changes; ``last`` is the stage after which none comes."""
    stage, after = nw.col("_state"), nw.col("_next_state")
    is_open = after.is_null() | (after == UNSEEN).fill_null(value=False)
    is_known = ~nw.col("_is_first") | nw.col("_is_entry")
    left_us = nw.col("_left_us").fill_null(nw.col("_until_us"))
    return {
        "visit": nw.col("_n_present").cast(nw.Int64) - 1,
        "stage": stage.cast(nw.Int64),
        "entered_at": nw.when(is_known).then(nw.col("event_timestamp")),
        "left_at": nw.coalesce(nw.col("_left_at"), nw.col("_until_at")),
        "dwell_s": nw.when(is_known).then((left_us - nw.col("_us")).cast(nw.Float64) / engine.MICROSECONDS),
        "exit": nw.when(is_open)
        .then(nw.lit("open"))
        .when(after == NONE)
        .then(nw.lit("ended"))
        .when(after > stage)
        .then(nw.lit("advanced"))
        .otherwise(nw.lit("returned")),
        "next_stage": nw.when(after > UNSEEN).then(after.cast(nw.Int64)),
        "is_censored": is_open,
        "is_left_truncated": ~is_known,
        "from_start": ~nw.col("_created_us").is_null(),
        "is_last_stage": stage >= last,
        "cutoff": nw.col("_until_at"),
    }


def _give_visits(
    changes: nw.LazyFrame[Any], told: dict[str, nw.Expr], columns: Sequence[str], *, like: IntoFrameT
) -> IntoFrameT:
    visits = engine.add_time(changes.filter(nw.col("_state") > UNSEEN), started_at="_start_us")
    visits = visits.select(**{name: told.get(name, nw.col(name)) for name in columns})
    return engine.give_back(visits.sort(*INCIDENT, "visit"), like=like)
