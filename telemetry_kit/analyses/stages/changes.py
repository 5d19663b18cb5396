"""Where the state of an incident changed: the one walk over events that visits and durations share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine
from telemetry_kit.engine.windows import fill_null
from telemetry_kit.schemas import CREATE_WITHIN_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INCIDENT = ("server_id", "incident_id")
ATTRIBUTES = ("team_id", "plugin_version", "public")
FACTS = (*INCIDENT, "event_id", "event_timestamp", "action", "created_at", *ATTRIBUTES)
"""The columns of incident events that ``find_changes`` needs for itself."""

NONE = -(2**31)
"""The state of an incident that is in none: a number, so that null is left for "no event"."""

_ENTERING_ACTIONS = ("create", "change_stage", "restart")


def find_changes(
    events: nw.LazyFrame[Any], state: nw.Expr, until_us: int, *, order_by: Sequence[str], also: Iterable[str] = ()
) -> nw.LazyFrame[Any]:
    """Keep the events up to a moment at which an incident's state changed, each with the change that follows it.

    Parameters
    ----------
    events
        Incident events with the columns of ``FACTS`` and ``_order``, as ``engine.open_frame`` adds it.
    state
        The state that an event leaves its incident in, a whole number; null where it is none.
    until_us
        The moment, epoch microseconds.
    order_by
        How events are sorted, as ``engine.in_time`` tells.
    also
        Further columns to keep.

    Returns
    -------
    narwhals.LazyFrame
        One row per change, and one for every incident's first event, which brings what is known of the incident
        though its state be ``NONE``: the columns ``also``, ``INCIDENT``, ``event_timestamp`` and

        team_id, plugin_version, public
            The first that is known of the incident.
        _us, _left_us, _left_at
            When the state began, and when it ended; null where it had not.
        _state, _next_state
            The state and the one that follows; ``NONE`` where it is none, the latter null where no change follows.
        _n_present
            How many states other than ``NONE`` the incident has had, this one included.
        _is_first, _is_entry
            Whether the event is the incident's first, and whether it is of a kind that begins a state.
        _created_at
            The timestamp of the incident's create; null where it was not recorded.
        _start_us, _first_us
            When the incident began: its create, or where that was not recorded ``created_at``, unless that is more than
            a minute after its first recorded event and so tells nothing; and when that first event was.
    """
    in_time = {"order_by": order_by}
    action = nw.col("action").cast(nw.String)
    is_new = nw.col("action").is_null() & (nw.col("_us") - nw.col("_new_us") <= CREATE_WITHIN_S * engine.MICROSECONDS)
    is_create = ((action == "create") | is_new).fill_null(value=False)
    attributes = {name: nw.col(name) if name == "public" else nw.col(name).cast(nw.String) for name in ATTRIBUTES}
    told = (
        engine.add_epoch_us(events, _us="event_timestamp", _new_us="created_at")
        .filter(nw.col("_us") <= until_us)
        .select(
            *INCIDENT,
            *also,
            *order_by,
            "event_timestamp",
            "_new_us",
            **attributes,
            _state=state.fill_null(NONE),
            _created_at=nw.when(is_create).then(nw.col("event_timestamp")),
            _is_entry=is_create | action.is_in(_ENTERING_ACTIONS).fill_null(value=False),
        )
    )
    # All windows of a step have the same partition, and order where they have one, so that an engine sorts once.
    states = fill_null(
        told,
        *ATTRIBUTES,
        strategy="backward",
        within=INCIDENT,
        order_by=order_by,
        _created_at=nw.col("_created_at").min().over(*INCIDENT),
        _new_us=nw.col("_new_us").min().over(*INCIDENT),
        _first_us=nw.col("_us").min().over(*INCIDENT),
        _before=nw.col("_state").shift(1).over(*INCIDENT, **in_time),
    )
    is_first = nw.col("_before").is_null()
    changes = states.filter(is_first | (nw.col("_before") != nw.col("_state"))).with_columns(
        *(nw.when(is_first).then(nw.col(name)).alias(name) for name in ATTRIBUTES),
        _is_first=is_first,
        _is_present=nw.when(nw.col("_state") != NONE).then(1).otherwise(0),
    )
    with_next = fill_null(
        changes,
        *ATTRIBUTES,
        strategy="forward",
        within=INCIDENT,
        order_by=order_by,
        _next_state=nw.col("_state").shift(-1).over(*INCIDENT, **in_time),
        _left_at=nw.col("event_timestamp").shift(-1).over(*INCIDENT, **in_time),
        _n_present=nw.col("_is_present").cum_sum().over(*INCIDENT, **in_time),
    )
    with_us = engine.add_epoch_us(with_next, _left_us="_left_at", _created_us="_created_at")
    is_told = nw.col("_new_us") - nw.col("_first_us") <= CREATE_WITHIN_S * engine.MICROSECONDS
    start_us = nw.when(is_told).then(nw.min_horizontal("_new_us", "_first_us"))
    return with_us.with_columns(_start_us=nw.coalesce(nw.col("_created_us"), start_us))
