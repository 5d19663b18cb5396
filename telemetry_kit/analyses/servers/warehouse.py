"""The figures that Mattermost's own data warehouse showed for this plugin, recomputed under their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.analyses.servers.logs import open_frames, open_log
from telemetry_kit.schemas import STATE_CHANGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from telemetry_kit.analyses.servers.logs import Log
    from telemetry_kit.schemas import EventType

WINDOWS = {"daily_active_users": 1, "weekly_active_users": 8, "monthly_active_users": 31}
_USER = ("server_id", "user_actual_id")
_TOTALS = {
    "metric": "str",
    "value": "Int64",
    "n_servers": "Int64",
    "n_users": "Int64",
    "definition": "str",
    "difference": "str",
}


class Found(NamedTuple):
    """A figure, with the distinct servers and the distinct users on them that are behind it."""

    value: int
    n_servers: int
    n_users: int


class ActionMetric(NamedTuple):
    """A figure that counts the events with certain actions."""

    name: str
    event_type: EventType
    actions: tuple[str, ...]
    difference: str | None = None


ACTION_METRICS = (
    ActionMetric("playbooks_created", "playbook", ("create",)),
    ActionMetric("playbooks_edited", "playbook", ("update",)),
    ActionMetric(
        "playbooks_deleted",
        "playbook",
        ("delete",),
        "The warehouse looks for an action 'deleted', which the plugin never sends, and shows 0 for v1.1.0 and later.",
    ),
    ActionMetric(
        "incidents_created",
        "incident",
        ("create",),
        "The warehouse has it for plugins before v1.1.0, and reported_incidents from v1.3 on; it misses those between.",
    ),
    ActionMetric("ended_incident", "incident", ("end",)),
    ActionMetric("restarted_incident", "incident", ("restart",)),
    ActionMetric("stages_changed", "incident", ("change_stage",)),
    ActionMetric("commanders_changed", "incident", ("change_commander",)),
    ActionMetric("status_updates", "incident", ("update_status",)),
    ActionMetric("tasks_added", "tasks", ("add_task",)),
    ActionMetric("tasks_removed", "tasks", ("remove_task",)),
    ActionMetric("tasks_renamed", "tasks", ("rename_task",)),
    ActionMetric(
        "tasks_moved",
        "tasks",
        ("move_task",),
        "The warehouse counts rows and not distinct events here, so that repeated deliveries count again.",
    ),
    ActionMetric(
        "task_states_modified",
        "tasks",
        (STATE_CHANGE,),
        "Checking and unchecking a task alike; task_completion tells the two apart.",
    ),
    ActionMetric("task_assignees_set", "tasks", ("set_assignee_for_task",)),
    ActionMetric("task_slash_commands_run", "tasks", ("run_task_slash_command",)),
    ActionMetric(
        "checklist_items",
        "tasks",
        ("add_task", "remove_task", "rename_task", "move_task", STATE_CHANGE),
        "The warehouse shows its servers and users only (server_w_checklist_items, users_w_checklist_items).",
    ),
)
STATUS_METRICS = {
    "reported_incidents": "Reported",
    "acknowledged_incidents": "Active",
    "resolved_incidents": "Resolved",
    "archived_incidents": "Archived",
}


def warehouse_metrics(log: Log) -> pd.DataFrame:
    """Return the figures of Mattermost's data warehouse for this plugin, so that they can be recognised.

    The names and definitions are those of its models ``incident_daily_details`` and ``incident_collaboration_fact`` and
    of its view of the events, over the whole log. Where another analysis of this package answers the same question
    differently, or the warehouse does not do what its name says, the last column tells.

    Parameters
    ----------
    log
        An ``EventLog``, or a mapping with a frame of any kind for each of ``incident``, ``tasks`` and ``playbook``.

    Returns
    -------
    pandas.DataFrame
        One row per figure, in a fixed order:

        metric : str
            Its name in the warehouse.
        value : Int64
            The figure.
        n_servers, n_users : Int64
            Distinct servers, and distinct ``user_actual_id`` on them, behind it.
        definition : str
            What it counts.
        difference : str
            Where and why it differs from what one would expect, or from this package; null where it does not.

    Raises
    ------
    ParameterError
        Where ``log`` is not one of the above, or a frame lacks a column.

    Notes
    -----
    In the published form events name no action: figures that count actions are then 0.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> tk.warehouse_metrics(log).set_index("metric").loc[["playbooks_created", "weekly_active_users"], "value"]
    metric
    playbooks_created      113
    weekly_active_users    310
    Name: value, dtype: Int64
    """
    events = open_log(log, [*_USER, "action"]).with_columns(_day=nw.col("_us") // engine.DAY_US)
    found = _count_events(events, _last_day(log, events))
    rows = [*_actions(found), *_statuses(log), _playbooks(log), *_people(events, found)]
    return pd.DataFrame(rows, columns=list(_TOTALS)).astype(_TOTALS)


def _row(name: str, found: Found, definition: str, difference: str | None = None) -> dict[str, Any]:
    return {"metric": name, **found._asdict(), "definition": definition, "difference": difference}


def _last_day(log: Log, events: nw.LazyFrame[Any]) -> int:
    """Return the last day of a log, in days since 1970: that of its cutoff, or of a later event."""
    latest = engine.collect(events.select(nw.col("_day").max()))["_day"].iloc[0]
    cutoff = getattr(log, "cutoff", None)
    days = [] if pd.isna(latest) else [int(latest)]
    return max([*days, *([] if pd.isna(cutoff) else [engine.epoch_us(cutoff) // engine.DAY_US])], default=0)


def _count_events(events: nw.LazyFrame[Any], last_day: int) -> dict[str, Found]:
    """Count the events behind every figure that any event can be in."""
    # No event is twice in a log: its rows are the distinct events. Few combinations stand for many of them.
    counted = (
        piece.group_by("event_type", *_USER, "action").agg(_n=nw.len(), _day=nw.col("_day").max())
        for piece in engine.pieces(events, "server_id")
    )
    counts = {
        metric.name: (nw.col("event_type") == metric.event_type) & nw.col("action").is_in(metric.actions)
        for metric in ACTION_METRICS
    }
    counts["incident_contributors"] = nw.col("_n") > 0
    counts |= {name: nw.col("_day") > last_day - window for name, window in WINDOWS.items()}
    return _add_up(counted, {name: nw.when(is_in).then(nw.col("_n")).otherwise(0) for name, is_in in counts.items()})


def _add_up(pieces: Iterable[nw.LazyFrame[Any]], counts: Mapping[str, nw.Expr]) -> dict[str, Found]:
    """Add up counts over all rows, with the servers and users for which each is above 0; no server is in two pieces.

    Where the events are, because of users there are too many to bring home.
    """
    users_of = {name: f"{name}_users" for name in counts}
    servers_of = {name: f"{name}_servers" for name in counts}
    added = []
    for rows in pieces:
        users = rows.with_columns(**counts).group_by(*_USER).agg(nw.col(*counts).sum())
        users = users.with_columns(**{column: _is_above_0(name) for name, column in users_of.items()})
        servers = users.group_by("server_id").agg(nw.col(*counts, *users_of.values()).sum())
        servers = servers.with_columns(**{column: _is_above_0(name) for name, column in servers_of.items()})
        sums = nw.col(*counts, *users_of.values(), *servers_of.values()).sum()
        added.append(engine.collect(servers.select(sums)).iloc[0].fillna(0).astype("int64"))
    totals = pd.concat(added, axis=1).sum(axis=1)
    return {
        name: Found(*(int(totals[column]) for column in (name, servers_of[name], users_of[name]))) for name in counts
    }


def _is_above_0(column: str) -> nw.Expr:
    return nw.when(nw.col(column) > 0).then(1).otherwise(0)


def _actions(found: Mapping[str, Found]) -> list[dict[str, Any]]:
    return [
        _row(
            metric.name,
            found[metric.name],
            f"{metric.event_type.capitalize()} events with the action {' or '.join(metric.actions)}.",
            metric.difference,
        )
        for metric in ACTION_METRICS
    ]


def _statuses(log: Log) -> list[dict[str, Any]]:
    frame = open_frames(log, {"incident": [*_USER, "incident_id", "current_status"]})["incident"]
    text = [nw.col(column).cast(nw.String) for column in (*_USER, "incident_id", "current_status")]
    events = frame.select(*text).filter(~nw.col("current_status").is_null())
    is_status = {name: nw.col("current_status") == status for name, status in STATUS_METRICS.items()}
    found = _add_up([events], {name: nw.when(is_so).then(1).otherwise(0) for name, is_so in is_status.items()})
    incidents = engine.distinct(events, "server_id", "incident_id", "current_status").group_by("current_status")
    n_incidents = engine.collect(incidents.agg(_n=nw.len())).set_index("current_status")["_n"]
    return [
        _row(
            name,
            found[name]._replace(value=int(n_incidents.get(status, 0))),
            f"Distinct incidents with an event in which their status was {status}.",
            "Plugins before v1.3 send no status: their incidents are not in it.",
        )
        for name, status in STATUS_METRICS.items()
    ]


def _playbooks(log: Log) -> dict[str, Any]:
    columns = [*_USER, "playbook_id"]
    frames = open_frames(log, {"incident": columns, "playbook": columns})
    known = nw.concat([frame.select(nw.col(*columns).cast(nw.String)) for frame in frames.values()])
    known = known.filter(~nw.col("playbook_id").is_null())
    found = _add_up([known], {"playbooks": nw.lit(1)})["playbooks"]
    return _row(
        "playbooks",
        found._replace(value=_n_distinct(known, "server_id", "playbook_id")),
        "Distinct playbooks named by any event, incidents that were made from them included.",
        "Deleted ones stay in it; playbook_snapshot leaves them out.",
    )


def _people(events: nw.LazyFrame[Any], found: Mapping[str, Found]) -> list[dict[str, Any]]:
    contributors = _of_users(found["incident_contributors"])
    rows = [
        _row(
            "incident_contributors",
            contributors,
            "Distinct users of any event.",
            "Its name says incidents, but whoever only edits a playbook is in it.",
        ),
        _row(
            "days_active",
            contributors._replace(value=_n_distinct(events, "server_id", "_day")),
            "Days with an event, added up over servers.",
            "server_overview has it for each server as n_days_active.",
        ),
    ]
    for name, window in WINDOWS.items():
        definition = (
            f"Distinct users over the {window} days that end with the last day of the log, added up over servers."
        )
        difference = f"Both ends of the window count: {window} days, where server_activity has {window - 1}."
        rows.append(_row(name, _of_users(found[name]), definition, None if window == 1 else difference))
    return rows


def _of_users(found: Found) -> Found:
    return found._replace(value=found.n_users)


def _n_distinct(rows: nw.LazyFrame[Any], *columns: str) -> int:
    return int(engine.collect(engine.distinct(rows, *columns).select(nw.len().alias("n")))["n"].iloc[0])
