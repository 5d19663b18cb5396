r"""How many tasks of an incident can be open or done, when no event says which task it was about.

Incident events give the number of an incident's tasks; tasks events add one, remove one, or move one to another state
out of either of the other two. So the tasks in each of the three states are not known, but they are bounded, and the
bounds here are the tightest: each is attained by some history that the events allow.

What is possible after each event is a set of triples (open, in progress, done) that add up to the number of tasks, of
a kind that its upper bounds :math:`u(X)` for the states :math:`X` taken alone and in pairs describe completely (an
integral base polyhedron; Fujishige 2005, Submodular Functions and Optimization, chapter 3; least numbers follow from
the most that the other states can hold). An event adds to :math:`u(X)` the most it can add to the states :math:`X`
together, and no state can hold less than nothing, which makes :math:`u(X)` at most :math:`u(Z)` for every larger
:math:`Z`. Unrolled over time, with the sums :math:`B_X` of what events can add to :math:`X`, and :math:`N` tasks,

.. math::

    u_t(\text{pair}) = B_{\text{pair}}(t) + \min_{s \le t} \big(N(s) - B_{\text{pair}}(s)\big), \qquad
    u_t(\text{state}) = B_{\text{state}}(t) + \min_{s \le t,\ \text{pair} \ni \text{state}}
        \big(u_s(\text{pair}) - B_{\text{state}}(s)\big),

so that running sums and running minima are all that it takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine
from telemetry_kit.analyses.tasks.state_changes import INCIDENT, state
from telemetry_kit.schemas import ACTIONS, CREATE_WITHIN_S, NEW_STATES

if TYPE_CHECKING:
    import datetime as dt

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT

_IN_TIME = ("_us", "_rank", "_order", "event_id")
_BOUNDS = ("n_tasks_min", "n_tasks_max", *(f"n_{each}_{bound}" for each in NEW_STATES for bound in ("min", "max")))
_SETS = (*NEW_STATES, *(f"not_{each}" for each in NEW_STATES))
"""The states alone, and in pairs, each named after the state that is not in it."""

_WORD = 2**31
"""More than any number of tasks, so that two numbers fit into one."""


def open_task_bounds(
    tasks: IntoFrameT, incidents: IntoFrame, *, cutoff: str | dt.datetime | pd.Timestamp
) -> IntoFrameT:
    """Return the least and the most tasks that can be open, in progress and done in each incident at the cutoff.

    No event tells which task it is about, so a change to open may undo a completion or end work in progress, and a
    removed task may have been done or not. The bounds are the tightest under what is known of the plugin: tasks of a
    new incident and added tasks are open, a state change moves a task out of another state, and every event since the
    first that was recorded was recorded. They cannot see an event that was lost without a trace.

    Parameters
    ----------
    tasks
        A frame of tasks events of any kind, as in ``EventLog.tasks``.
    incidents
        The incident events, as in ``EventLog.incident``.
    cutoff
        The moment for which the bounds hold; later events are left out. Without a zone it is in UTC.

    Returns
    -------
    frame
        Of the same kind as ``tasks``, lazy where it is lazy; one row per incident, in the order of the ids:

        server_id, incident_id : str
            The incident.
        n_tasks_min, n_tasks_max : integer
            Number of tasks; the two differ only where an event says neither that it added nor that it removed one.
        n_open_min, n_open_max, n_in_progress_min, n_in_progress_max, n_done_min, n_done_max : integer
            Number of tasks in each state. The published form calls work in progress open.
        basis : str
            What the bounds rest on. ``from_start``: all events since the incident's create (without actions: since an
            event at most a minute after ``created_at``). ``left_truncated``: the
            events since the first that was recorded, before which any task may have been in any state. ``total``: the
            number of tasks alone, where the events contradict one another (some were lost, or clocks disagree) or do
            not say what they did. ``none``: no event gave the number of tasks, and all bounds are null.

    Raises
    ------
    ParameterError
        Where a frame lacks columns, the two are on different engines, or ``cutoff`` is no point in time.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> bounds = tk.open_task_bounds(log.tasks, log.incident, cutoff=log.cutoff)
    >>> bounds[["n_tasks_min", "n_tasks_max", "n_done_min", "n_done_max", "basis"]].head(3)
       n_tasks_min  n_tasks_max  n_done_min  n_done_max       basis
    0            7            7           2           6  from_start
    1           11           11           2           2  from_start
    2           20           20           4          17  from_start
    """
    events = _events(tasks, incidents, engine.epoch_us(engine.moment(cutoff, parameter="cutoff", of=incidents)))
    result = _bounds(_walk(events)).select(*INCIDENT, nw.col(*_BOUNDS).cast(nw.Int64), "basis")
    return engine.give_back(result.sort(*INCIDENT), like=tasks)


def _events(tasks: IntoFrame, incidents: IntoFrame, until_us: int) -> nw.LazyFrame[Any]:
    """Return all events in one frame, with what each can add to the number of tasks in each set of states."""
    columns = [*INCIDENT, "event_id", "event_timestamp", "action"]
    changes = engine.open_frame(tasks, [*columns, "new_state"], parameter="tasks", order="_order")
    numbers = ["created_at", "total_checklist_items"]
    totals = engine.open_alike(incidents, [*columns, *numbers], parameter="incidents", like=changes, on=INCIDENT)
    own_action, action, to = nw.col("action").cast(nw.String).fill_null(""), nw.col("_action"), nw.col("_state")
    changes = engine.add_epoch_us(changes, _us="event_timestamp").with_columns(
        _rank=nw.lit(1), _order=nw.col("_order").cast(nw.Int64), _action=own_action, _state=state()
    )
    totals = engine.add_epoch_us(totals, _us="event_timestamp", _created_us="created_at")
    is_new = nw.col("_us") - nw.col("_created_us") <= CREATE_WITHIN_S * engine.MICROSECONDS
    is_create = (own_action == "create") | ((own_action == "") & is_new)
    totals = totals.with_columns(
        _rank=nw.when(is_create).then(0).otherwise(2),
        _order=nw.lit(0, nw.Int64),
        _action=own_action,
        _state=nw.lit(""),
        _total=nw.col("total_checklist_items").cast(nw.Int64),
    )
    keys = [*INCIDENT, "event_id", "_us", "_rank", "_order", "_action", "_state"]
    events = nw.concat([changes.select(*keys), totals.select(*keys, "_total")], how="diagonal")
    is_added, is_task = action == "add_task", nw.col("_rank") == 1
    # The published form has no action, and there a change to open may come from work in progress, which it calls open.
    leaves = {each: to == each for each in NEW_STATES} | {"open": (to == "open") & (action != "")}
    return events.filter(nw.col("_us") <= until_us).with_columns(
        _one=nw.lit(1, nw.Int32),
        _n=_count(is_added) - _count(action == "remove_task"),
        _unnamed=_count(is_task & (to == "") & ~action.is_in(ACTIONS["tasks"])),
        **{f"_{each}": _count((to == each) | is_added if each == "open" else to == each) for each in NEW_STATES},
        **{
            f"_not_{each}": _count((to != "") & (to != each)) + _count(is_added & (each != "open")) - _count(is_left)
            for each, is_left in leaves.items()
        },
    )


def _count(flag: nw.Expr) -> nw.Expr:
    return nw.when(flag).then(nw.lit(1, nw.Int32)).otherwise(nw.lit(0, nw.Int32))


def _walk(events: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Return one row per incident with what running sums and minima over its events tell.

    ``_start`` is the number of tasks before the first event. It is known in the end only, and the bounds on the way
    are less that number: ``_most_X`` is the most tasks in the states X, ``_room_X`` the least that larger sets of
    states left to them, less what events can have added since, and ``_created`` what a new incident holds in states
    other than open.
    """
    # What goes through windows is narrow: no incident has 2^31 events, and many rows are sorted on the disk.
    sums = nw.col("_one", "_n", "_unnamed", *(f"_{name}" for name in _SETS)).cum_sum()
    sums = sums.over(*INCIDENT, order_by=_IN_TIME)
    is_create = (nw.col("_rank") == 0) & (nw.col("_sum_one") == 1)
    walked = events.with_columns(sums.cast(nw.Int32).name.prefix("_sum")).with_columns(
        _start=nw.col("_total") - nw.col("_sum_n"),
        _from_start=_count(is_create),
        _created=nw.when(is_create).then(-nw.col("_total")).otherwise(nw.lit(0, nw.Int64)),
        _unnamed_before=nw.when(~nw.col("_total").is_null()).then(nw.col("_sum_unnamed")),
        **{f"_room_not_{each}": nw.col("_sum_n") - nw.col(f"_sum_not_{each}") for each in NEW_STATES},
    )
    least = nw.col("_created", *(f"_room_not_{each}" for each in NEW_STATES)).cum_min()
    walked = walked.with_columns(
        least.over(*INCIDENT, order_by="_sum_one"),
        # The latest is the largest of the numbers that begin with the place of the event.
        _latest=nw.col("_sum_one").cast(nw.Int64) * _WORD + nw.col("_start") + _WORD // 2,
    ).with_columns(
        **{
            f"_most_not_{each}": nw.col(f"_sum_not_{each}")
            + nw.min_horizontal(_at_start(f"not_{each}"), nw.col(f"_room_not_{each}"))
            for each in NEW_STATES
        }
    )
    larger = {each: [nw.col(f"_most_not_{other}") for other in NEW_STATES if other != each] for each in NEW_STATES}
    walked = walked.with_columns(
        **{f"_room_{each}": nw.min_horizontal(*larger[each]) - nw.col(f"_sum_{each}") for each in NEW_STATES}
    )
    return walked.group_by(*INCIDENT).agg(
        nw.col("_start", "_from_start", "_latest", "_unnamed_before").max(),
        nw.col("_n", "_unnamed", *(f"_{name}" for name in _SETS)).sum(),
        nw.col("_created", *(f"_room_{name}" for name in _SETS), *(f"_most_not_{each}" for each in NEW_STATES)).min(),
        _start_least=nw.col("_start").min(),
    )


def _at_start(name: str) -> nw.Expr:
    """Return the most tasks in a set of states before the first event, less their number."""
    return nw.lit(0, nw.Int64) if name in {"open", "not_in_progress", "not_done"} else nw.col("_created")


def _bounds(walked: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Return the bounds of each incident, and what they rest on."""
    n_tasks, zero = nw.col("_start") + nw.col("_n"), nw.lit(0, nw.Int64)
    least = nw.min_horizontal(*(nw.col(f"_most_not_{each}") for each in NEW_STATES))
    is_possible = nw.col("_start") + least >= 0
    is_told = is_possible & (nw.col("_start") == nw.col("_start_least")) & (nw.col("_unnamed") == 0)
    by_total = nw.col("_latest") % _WORD - _WORD // 2 + nw.col("_n")
    unnamed = nw.col("_unnamed") - nw.col("_unnamed_before")
    counted = walked.with_columns(
        basis=nw.when(nw.col("_start").is_null())
        .then(nw.lit("none"))
        .when(~is_told)
        .then(nw.lit("total"))
        .when(nw.col("_from_start") == 1)
        .then(nw.lit("from_start"))
        .otherwise(nw.lit("left_truncated")),
        _total_min=nw.max_horizontal(zero, by_total - unnamed),
        _total_max=nw.max_horizontal(zero, by_total + unnamed),
        **{
            f"_held_{name}": nw.col("_start")
            + nw.col(f"_{name}")
            + nw.min_horizontal(_at_start(name), nw.col(f"_room_{name}"))
            for name in _SETS
        },
    )
    by_events: dict[str, nw.Expr] = {"n_tasks_min": n_tasks, "n_tasks_max": n_tasks}
    alone: dict[str, nw.Expr] = {"n_tasks_min": nw.col("_total_min"), "n_tasks_max": nw.col("_total_max")}
    for each in NEW_STATES:
        by_events |= {f"n_{each}_min": n_tasks - nw.col(f"_held_not_{each}"), f"n_{each}_max": nw.col(f"_held_{each}")}
        alone |= {f"n_{each}_min": zero, f"n_{each}_max": nw.col("_total_max")}
    is_by_events = nw.col("basis").is_in(["from_start", "left_truncated"])
    is_by_total = nw.col("basis") == "total"
    return counted.with_columns(
        **{name: nw.when(is_by_events).then(by_events[name]).when(is_by_total).then(alone[name]) for name in _BOUNDS}
    )
