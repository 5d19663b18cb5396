"""Where the state of an incident changed: the one pass over events that visits, durations and flow share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine
from telemetry_kit.engine.windows import fill_null
from telemetry_kit.errors import ParameterError
from telemetry_kit.schemas import CREATE_WITHIN_S, OPEN_STATUSES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

INCIDENT = ("server_id", "incident_id")
ATTRIBUTES = ("team_id", "plugin_version", "public")
FACTS = (*INCIDENT, "event_id", "event_timestamp", "action", "created_at", *ATTRIBUTES)
"""The columns of incident events that ``find_changes`` needs for itself."""
OPENNESS = ("is_active", "current_status")
"""The columns that tell whether an incident is open: of versions before 1.3 the one, of later ones the other."""

NONE = -(2**31)
"""The state of an incident that is in none: a number, so that null is left for "no event"."""
UNSEEN = NONE + 1
"""The state of an incident whose events no longer tell it."""
OPEN = 1
ENTERING_ACTIONS = ("create", "change_stage", "restart")
"""The actions that begin a visit to a stage where they are an incident's first event."""


def open_events(
    incidents: IntoFrame, needed: Collection[str], *, observed_until: IntoFrame | None, named: Collection[str] = ()
) -> nw.LazyFrame[Any]:
    """Open incident events with the columns ``FACTS`` and ``needed``, and ``named`` where there are such.

    Returns
    -------
    narwhals.LazyFrame
        The events, their ``_order``, and where ``observed_until`` is given ``_until_us``: up to when the event's
        server was observed, null where that does not tell.

    Raises
    ------
    ParameterError
        Where ``incidents`` or ``observed_until`` is no frame or lacks a column.
    """
    events = engine.open_frame(
        incidents, [*FACTS, *needed], parameter="incidents", order="_order", named=[*OPENNESS, *named]
    )
    if observed_until is None:
        return events
    columns = ["server_id", "observed_until"]
    told = engine.open_alike(observed_until, columns, parameter="observed_until", like=events)
    told = engine.add_epoch_us(told, _until_us="observed_until").select("server_id", "_until_us")
    return events.join(told, on="server_id", how="left")


def is_open(events: nw.LazyFrame[Any]) -> nw.Expr:
    """Return whether events leave their incident open: as ``is_active`` says, or a status of Reported or Active.

    It is null where an event tells neither.

    Raises
    ------
    ParameterError
        Where the events have neither column.
    """
    told = []
    if "is_active" in events.columns:
        told.append(nw.col("is_active"))
    if "current_status" in events.columns:
        status = nw.col("current_status").cast(nw.String)
        told.append(nw.when(~status.is_null()).then(status.is_in(OPEN_STATUSES)))
    if not told:
        raise ParameterError(
            "incidents",
            "a frame without is_active and current_status",
            "one of them: plugin versions before 1.3 have is_active, later ones current_status",
        )
    return told[0] if len(told) == 1 else nw.coalesce(*told)


def find_changes(
    events: nw.LazyFrame[Any],
    state: nw.Expr,
    until: pd.Timestamp,
    *,
    order_by: Sequence[str],
    also: Iterable[str] = (),
    attributes: Sequence[str] = ATTRIBUTES,
    entering: Sequence[str] = ENTERING_ACTIONS,
    is_unseen: nw.Expr | None = None,
) -> nw.LazyFrame[Any]:
    """Find the events up to a moment at which an incident's state changed, each with the change that follows it.

    Parameters
    ----------
    events
        Incident events as ``open_events`` opens them.
    state
        The state that an event leaves its incident in, a whole number; null where it is none.
    until
        The moment: when observation ended, unless ``_until_us`` tells an earlier one for the server.
    order_by
        How events are sorted, as ``engine.in_time`` tells.
    also
        Further columns of the events to go with their changes.
    attributes
        Columns that tell something of the incident and not of the moment.
    entering
        The actions that begin a state where they are an incident's first event.
    is_unseen
        Which events do not tell the state of their incident, as those of plugin versions that have none of its kind:
        the observation of the incident ends with the first of them.

    Returns
    -------
    narwhals.LazyFrame
        One row per change, and one for every incident's first event, which brings what is known of the incident
        though its state be ``NONE``: the columns ``also``, ``INCIDENT``, ``event_timestamp`` and

        attributes
            The first that is known of the incident.
        _us, _left_us, _left_at
            When the state began, and when it ended; null where it had not.
        _until_us, _until_at
            When the observation of the incident ended.
        _state, _next_state
            The state and the one that follows; ``NONE`` where it is none, ``UNSEEN`` where it is no longer told, the
            latter null where no change follows.
        _n_present
            How many states other than these two the incident has had, this one included.
        _is_first, _is_entry
            Whether the event is the incident's first, and whether it is of a kind that begins a state.
        _created_us
            When the incident's create was; null where it was not recorded.
        _start_us, _first_us
            When the incident began: its create, or where that was not recorded ``created_at``, unless that is more than
            a minute after its first recorded event and so tells nothing; and when that first event was.
    """
    in_time = {"order_by": order_by}
    until_us = engine.epoch_us(until)
    action = nw.col("action").cast(nw.String)
    is_new = nw.col("action").is_null() & (nw.col("_us") - nw.col("_new_us") <= CREATE_WITHIN_S * engine.MICROSECONDS)
    is_create = ((action == "create") | is_new).fill_null(value=False)
    events = engine.add_epoch_us(events, _us="event_timestamp", _new_us="created_at").filter(nw.col("_us") <= until_us)
    is_by_server = "_until_us" in events.columns
    if is_by_server:
        events = events.with_columns(
            _until_us=nw.min_horizontal(nw.col("_until_us").fill_null(until_us), nw.lit(until_us))
        )
        events = events.filter(nw.col("_us") <= nw.col("_until_us"))
    state = state.fill_null(NONE)
    if is_unseen is not None:
        state = nw.when(is_unseen).then(nw.lit(UNSEEN)).otherwise(state)
    told = events.select(
        *INCIDENT,
        *also,
        *order_by,
        *(["_until_us"] if is_by_server else []),
        "event_timestamp",
        "_new_us",
        **_plain(events, attributes),
        _state=state,
        _created_us=nw.when(is_create).then(nw.col("_us")),
        _is_entry=is_create | action.is_in(entering).fill_null(value=False),
    )
    unseen_us = nw.when(nw.col("_state") == UNSEEN).then(nw.col("_us")).min()
    unseen = {} if is_unseen is None else {"_unseen_us": unseen_us.over(*INCIDENT)}
    # All windows of a step have the same partition, and order where they have one, so that an engine sorts once.
    states = fill_null(
        told,
        *attributes,
        strategy="backward",
        within=INCIDENT,
        order_by=order_by,
        _created_us=nw.col("_created_us").min().over(*INCIDENT),
        _new_us=nw.col("_new_us").min().over(*INCIDENT),
        _first_us=nw.col("_us").min().over(*INCIDENT),
        _before=nw.col("_state").shift(1).over(*INCIDENT, **in_time),
        **unseen,
    )
    is_first = nw.col("_before").is_null()
    is_change = is_first | (nw.col("_before") != nw.col("_state"))
    end_us = nw.col("_until_us") if is_by_server else nw.lit(until_us, nw.Int64)
    if unseen:
        is_change &= nw.col("_unseen_us").is_null() | (nw.col("_us") <= nw.col("_unseen_us"))
        end_us = nw.coalesce(nw.col("_unseen_us"), end_us)
    changes = states.filter(is_change).with_columns(
        *(nw.when(is_first).then(nw.col(name)).alias(name) for name in attributes),
        _is_first=is_first,
        _is_present=nw.when(nw.col("_state") > UNSEEN).then(1).otherwise(0),
    )
    is_told = nw.col("_new_us") - nw.col("_first_us") <= CREATE_WITHIN_S * engine.MICROSECONDS
    start_us = nw.when(is_told).then(nw.min_horizontal("_new_us", "_first_us"))
    # Every step names all columns once more, which takes longer than anything else where events are few.
    with_next = fill_null(
        changes,
        *attributes,
        strategy="forward",
        within=INCIDENT,
        order_by=order_by,
        _next_state=nw.col("_state").shift(-1).over(*INCIDENT, **in_time),
        _left_us=nw.col("_us").shift(-1).over(*INCIDENT, **in_time),
        _left_at=nw.col("event_timestamp").shift(-1).over(*INCIDENT, **in_time),
        _n_present=nw.col("_is_present").cum_sum().over(*INCIDENT, **in_time),
        _until_us=end_us,
        _start_us=nw.coalesce(nw.col("_created_us"), start_us),
    )
    return engine.add_time_like(with_next, "event_timestamp", _until_at="_until_us")


def _plain(events: nw.LazyFrame[Any], attributes: Sequence[str]) -> dict[str, nw.Expr]:
    """Return columns as windows can fill them on every engine: categories and texts as text."""
    schema = events.select(*attributes).collect_schema()
    return {name: nw.col(name) if _is_filled(schema[name]) else nw.col(name).cast(nw.String) for name in attributes}


def _is_filled(kind: nw.dtypes.DType) -> bool:
    return kind.is_numeric() or kind.is_temporal() or kind == nw.Boolean
