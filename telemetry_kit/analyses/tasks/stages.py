"""In which stage an incident was when one of its tasks changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine
from telemetry_kit.analyses.tasks.state_changes import INCIDENT, open_state_changes

if TYPE_CHECKING:
    import datetime as dt

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT

POSITIONS = ("before", "during", "left_truncated", "between", "after", "unknown")
"""Where a moment can lie among the visits of an incident."""

_VISIT = ("visit", "stage", "entered_at", "left_at", "is_censored", "is_left_truncated")
_ADDED = ("visit", "stage", "position")
_BEFORE_ALL, _AFTER_ALL = -(2**62), 2**62
"""Moments before and after all others: when a visit began whose beginning was not recorded, and where none follows."""

_NONE = -1
"""The number of no visit."""


def tasks_by_stage(
    tasks: IntoFrameT,
    visits: IntoFrame,
    *,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
) -> IntoFrameT:
    """Return each state change of a task with the stage in which its incident was at that moment.

    A stage says where the incident was, not where the task stands in its checklists: tasks of one stage can be
    completed in another, and there is no task id to tell.

    Parameters
    ----------
    tasks
        A frame of tasks events of any kind, as in ``EventLog.tasks``.
    visits
        The visits of the incidents, as ``stage_visits`` returns them.
    since, cutoff
        Tasks events before the one and after the other are left out. By default, all events count.

    Returns
    -------
    frame
        Of the same kind as ``tasks``, lazy where it is lazy: the state changes with all their columns, in the order
        of time, and

        visit, stage : integer
            The visit, and its stage, in which the moment lies; null where it lies in none.
        position : str
            ``during`` a visit, from its first moment up to but without its last; ``before`` the first visit that
            was recorded; ``between`` two visits, or ``after`` the last one, while the incident was closed;
            ``left_truncated``: no later than the end of a visit whose beginning was not recorded, so that
            ``stage`` is the earliest one known and may be too late; ``unknown``: the incident has no visits, or the
            moment lies after the cutoff of the visits.

    Raises
    ------
    ParameterError
        Where a frame lacks columns, ``tasks`` already has one of the new ones, or the two are on different engines.

    See Also
    --------
    task_completion : With ``by="stage"`` or ``by="position"`` counts the result's completions.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> at = lambda *times: pd.to_datetime(["2020-11-02T" + time for time in times], utc=True)
    >>> visits = pd.DataFrame({
    ...     "server_id": "a", "incident_id": "i", "visit": [0, 1], "stage": [0, 1],
    ...     "entered_at": at("09:00", "10:00"), "left_at": at("10:00", "11:00"),
    ...     "is_censored": False, "is_left_truncated": False,
    ... })
    >>> tasks = pd.DataFrame({
    ...     "server_id": "a", "incident_id": "i", "event_id": ["1", "2", "3"],
    ...     "event_timestamp": at("09:30", "10:00", "12:00"), "new_state": ["done", "open", "done"],
    ... })
    >>> tk.tasks_by_stage(tasks, visits)[["new_state", "visit", "stage", "position"]]
      new_state  visit  stage position
    0      done      0      0   during
    1      open      1      1   during
    2      done   <NA>   <NA>    after
    """
    needed = [*INCIDENT, "event_id", "event_timestamp", "new_state"]
    events, columns = open_state_changes(tasks, needed, added=_ADDED, since=since, cutoff=cutoff)
    # Each moment of an incident lies in one stretch, so that events need no order to find theirs.
    at = (nw.col("_entered_us") <= nw.col("_us")) & (nw.col("_us") < nw.col("_until_us"))
    placed = events.join(_stretches(visits, like=events), on=list(INCIDENT), how="left")
    placed = placed.filter(nw.col("_last").is_null() | at)
    is_open_at_cutoff = nw.col("is_censored") & (nw.col("_us") == nw.col("_left_us"))
    placed = placed.with_columns(_is_inside=(nw.col("_us") < nw.col("_left_us")) | is_open_at_cutoff).with_columns(
        position=nw.when(nw.col("_last").is_null())
        .then(nw.lit("unknown"))
        .when(nw.col("visit") == _NONE)
        .then(nw.lit("before"))
        .when(nw.col("_is_inside") & nw.col("is_left_truncated"))
        .then(nw.lit("left_truncated"))
        .when(nw.col("_is_inside"))
        .then(nw.lit("during"))
        .when(nw.col("is_censored"))
        .then(nw.lit("unknown"))
        .when(nw.col("visit") < nw.col("_last"))
        .then(nw.lit("between"))
        .otherwise(nw.lit("after"))
    )
    result = placed.with_columns(
        visit=nw.when(nw.col("_is_inside")).then(nw.col("visit")),
        stage=nw.when(nw.col("_is_inside")).then(nw.col("stage")),
    )
    in_time = engine.in_time(tasks, "_us", "_order")
    return engine.give_back(result.sort(*in_time).select(*columns, *_ADDED), like=tasks)


def _stretches(visits: IntoFrame, *, like: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Return for each visit the time until the next begins, and the time before the first as a visit of its own."""
    frame = engine.open_alike(visits, [*INCIDENT, *_VISIT], parameter="visits", like=like, on=INCIDENT)
    frame = engine.add_epoch_us(frame, _entered_us="entered_at", _left_us="left_at")
    stays = frame.select(
        *INCIDENT,
        "stage",
        "is_censored",
        "is_left_truncated",
        "_left_us",
        visit=nw.col("visit").cast(nw.Int64),
        _entered_us=nw.col("_entered_us").fill_null(_BEFORE_ALL),
    )
    following = nw.col("_entered_us").shift(-1).over(*INCIDENT, order_by=["_entered_us", "visit"])
    stretches = stays.with_columns(
        _until_us=following.fill_null(_AFTER_ALL), _last=nw.col("visit").max().over(*INCIDENT)
    )
    before = stays.group_by(*INCIDENT).agg(_until_us=nw.col("_entered_us").min(), _last=nw.col("visit").max())
    before = before.with_columns(visit=nw.lit(_NONE, nw.Int64), _entered_us=nw.lit(_BEFORE_ALL - 1, nw.Int64))
    return nw.concat([stretches, before], how="diagonal")
