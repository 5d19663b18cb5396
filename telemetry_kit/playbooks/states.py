"""The states of playbooks: what each event left behind, from when until when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT

KEYS = ("server_id", "playbook_id")
NEEDED = (*KEYS, "event_id", "event_timestamp", "action")
IN_TIME = ("_from_us", "_row", "event_id")
"""How the states of a playbook are sorted. An engine sorts once where every window has the same order."""

_STATE = ("_from_us", "_until_us", "_row", "_update", "_is_deleted", "_first_seen_at", "_n_updates")


def playbook_states(
    playbooks: IntoFrame,
    *,
    until: int | None = None,
    needed: Collection[str] = (),
    named: Collection[str] | None = None,
) -> nw.LazyFrame[Any]:
    """Open a frame of playbook events as the states that they left behind.

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
        The columns of ``playbooks`` and ``_from_us`` and ``_until_us``, between which the state held (epoch
        microseconds; the latter is null for the last state), ``_row`` as in ``IN_TIME``, ``_update`` (0 for the first
        recorded state, then 1, 2, …), ``_is_deleted``, ``_first_seen_at`` (the time of the first recorded state) and
        ``_n_updates`` up to now.
    """
    events = engine.open_frame(playbooks, [*NEEDED, *needed], parameter="playbooks", order="_row", named=named)
    events = engine.add_epoch_us(events, _from_us="event_timestamp")
    if until is not None:
        events = events.filter(nw.col("_from_us") <= until)
    action = nw.col("action").cast(nw.String)
    is_update = nw.when((action == "update") | action.is_null()).then(1)

    def in_time(expression: nw.Expr) -> nw.Expr:
        return expression.over(*KEYS, order_by=IN_TIME)

    # All windows in one step: each step is one more query for the engine to read, and can be one more sort.
    # Where no event of a playbook names its action, the first is no update.
    n_firsts = nw.when(in_time(action.cum_count()) == 0).then(1).otherwise(0)
    return events.with_columns(
        _until_us=in_time(nw.col("_from_us").shift(-1)),
        _update=in_time(nw.col("event_id").cum_count()).cast(nw.Int64) - 1,
        _is_deleted=(action == "delete").fill_null(value=False),
        _first_seen_at=in_time(nw.col("event_timestamp").cum_min()),
        _n_updates=in_time(is_update.cum_count()).cast(nw.Int64) - n_firsts,
    )


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
    states = playbook_states(playbooks, until=engine.epoch_us(engine.moment(as_of, parameter="as_of")))
    columns = [name for name in states.columns if name not in _STATE]
    result = states.filter(nw.col("_until_us").is_null(), ~nw.col("_is_deleted")).select(
        *columns,
        first_seen_at=nw.col("_first_seen_at"),
        last_changed_at=nw.col("event_timestamp"),
        n_updates=nw.col("_n_updates"),
    )
    return engine.give_back(result.sort(*KEYS), like=playbooks)
