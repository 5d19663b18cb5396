"""The states of playbooks: what each event left behind, from when until when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT

KEYS = ("server_id", "playbook_id")
NEEDED = (*KEYS, "event_id", "event_timestamp", "action")


def open_events(
    playbooks: IntoFrame,
    *,
    until: int | None = None,
    needed: Collection[str] = (),
    named: Collection[str] | None = None,
) -> nw.LazyFrame[Any]:
    """Open a frame of playbook events.

    Parameters
    ----------
    playbooks
        A frame of playbook events of any kind.
    until
        Epoch microseconds of the last moment to look at.
    needed, named
        What ``playbooks`` needs to have besides ``NEEDED``, and what the caller's caller named, as for
        ``engine.open_frame``.

    Returns
    -------
    narwhals.LazyFrame
        The columns of ``playbooks``, and ``_from_us`` (epoch microseconds) and ``_row`` as ``in_time`` asks for them.
    """
    events = engine.open_frame(playbooks, [*NEEDED, *needed], parameter="playbooks", order="_row", named=named)
    events = engine.add_epoch_us(events, _from_us="event_timestamp")
    return events if until is None else events.filter(nw.col("_from_us") <= until)


def in_time(playbooks: IntoFrame) -> tuple[str, ...]:
    """Return how the states of a playbook are sorted. An engine sorts once where every window has the same order."""
    return engine.in_time(playbooks, "_from_us", "_row")


def is_create() -> nw.Expr:
    """Whether an event is a create; where it names no action, it is taken to be one."""
    return (nw.col("action").cast(nw.String) == "create").fill_null(value=True)


def is_delete() -> nw.Expr:
    """Whether an event is a delete."""
    return (nw.col("action").cast(nw.String) == "delete").fill_null(value=False)


def marks() -> dict[str, nw.Expr]:
    """Return what is to be added up over the events of a playbook for ``n_updates``."""
    action = nw.col("action").cast(nw.String)
    return {
        "_updates": nw.when((action == "update") | action.is_null()).then(1).otherwise(0),
        "_named": nw.when(action.is_null()).then(0).otherwise(1),
    }


def n_updates() -> nw.Expr:
    """How many updates the sums of ``marks`` tell; where no event names its action, the first is none."""
    return nw.col("_updates").cast(nw.Int64) - nw.when(nw.col("_named") == 0).then(1).otherwise(0)


def playbook_states(events: nw.LazyFrame[Any], *, order_by: Sequence[str], **more: nw.Expr) -> nw.LazyFrame[Any]:
    """Turn playbook events into the states that they left behind.

    Parameters
    ----------
    events
        What ``open_events`` returned.
    order_by
        What ``in_time`` returned.
    more
        Further columns to add, in the same step: each step is one more query for the engine to read.

    Returns
    -------
    narwhals.LazyFrame
        The columns of ``events``, ``_until_us``, up to when the state held (epoch microseconds; null for the last
        one), ``_is_deleted`` and ``more``.
    """
    after = nw.col("_from_us").shift(-1).over(*KEYS, order_by=order_by)
    return events.with_columns(_until_us=after, _is_deleted=is_delete(), **more)


def playbook_snapshot(playbooks: IntoFrameT, *, as_of: str | dt.datetime | pd.Timestamp) -> IntoFrameT:
    """Return every playbook that exists at a moment, in the state in which its latest event left it.

    A playbook is one ``playbook_id`` on one server. It is known from its first recorded event, which need not be its
    create, and gone from its delete; an event at exactly ``as_of`` counts.

    Parameters
    ----------
    playbooks
        A frame of playbook events of any kind, as in ``EventLog.playbook``.
    as_of
        The moment; without a zone it is in UTC.

    Returns
    -------
    frame
        Of the same kind as ``playbooks``, one row per playbook in the order of ``server_id`` and ``playbook_id``:
        all columns of ``playbooks`` as of its latest event, and

        first_seen_at, last_changed_at : datetime64[us, UTC]
            Its first recorded event, and its latest one up to ``as_of``.
        n_updates : Int64
            Updates up to ``as_of``. In the published form, which names no action, every event after the first
            counts as one, and no delete can be seen.

    Raises
    ------
    ParameterError
        Where ``as_of`` is no point in time, or ``playbooks`` lacks a column.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> snapshot = tk.playbook_snapshot(log.playbook, as_of="2020-12-01")
    >>> snapshot[["num_checklists", "total_checklist_items", "n_updates"]].head(3)
       num_checklists  total_checklist_items  n_updates
    0               2                      2          1
    1               4                     28          4
    2               5                     26          2
    """
    events = open_events(playbooks, until=engine.epoch_us(engine.moment(as_of, parameter="as_of", of=playbooks)))
    columns = [name for name in events.columns if name not in ("_from_us", "_row")]
    # What needs no order comes first, so that only the last moment of each playbook has to be sorted.
    sums = {name: mark.sum().over(*KEYS) for name, mark in marks().items()}
    first = nw.col("event_timestamp").min().over(*KEYS)
    told = events.with_columns(_last_us=nw.col("_from_us").max().over(*KEYS), _first_seen_at=first, **sums)
    last = playbook_states(told.filter(nw.col("_from_us") == nw.col("_last_us")), order_by=in_time(playbooks))
    result = last.filter(nw.col("_until_us").is_null(), ~nw.col("_is_deleted")).select(
        *columns,
        first_seen_at=nw.col("_first_seen_at"),
        last_changed_at=nw.col("event_timestamp"),
        n_updates=n_updates(),
    )
    return engine.give_back(result.sort(*KEYS), like=playbooks)
