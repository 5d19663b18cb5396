"""The figures that Mattermost's own data warehouse showed for this plugin, recomputed under their names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.analyses.servers.activity import activity_calendar
from telemetry_kit.analyses.servers.logs import open_frames, open_log
from telemetry_kit.schemas import STATE_CHANGE

if TYPE_CHECKING:
    from telemetry_kit.analyses.servers.logs import Log
    from telemetry_kit.schemas import EventType

WINDOWS = {"daily_active_users": 1, "weekly_active_users": 8, "monthly_active_users": 31}
_TOTALS = {
    "metric": "str",
    "value": "Int64",
    "n_servers": "Int64",
    "n_users": "Int64",
    "definition": "str",
    "difference": "str",
}


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
    keys = ["server_id", "user_actual_id", "action"]
    # No event is twice in a log: its rows are the distinct events.
    counted = engine.collect(open_log(log, keys).group_by("event_type", *keys).agg(_n=nw.len()))
    users = counted[["server_id", "user_actual_id"]].drop_duplicates()
    rows = [*_actions(counted), *_statuses(log), _playbooks(log), *_people(log, users)]
    return pd.DataFrame(rows, columns=list(_TOTALS)).astype(_TOTALS)


def _row(name: str, value: int, users: pd.DataFrame, definition: str, difference: str | None = None) -> dict[str, Any]:
    return {
        "metric": name,
        "value": value,
        "n_servers": users["server_id"].nunique(),
        "n_users": len(users[["server_id", "user_actual_id"]].drop_duplicates()),
        "definition": definition,
        "difference": difference,
    }


def _actions(counted: pd.DataFrame) -> list[dict[str, Any]]:
    rows = []
    for name, event_type, actions, difference in ACTION_METRICS:
        mine = counted[(counted["event_type"] == event_type) & counted["action"].isin(actions)]
        definition = f"{event_type.capitalize()} events with the action {' or '.join(actions)}."
        rows.append(_row(name, int(mine["_n"].sum()), mine, definition, difference))
    return rows


def _statuses(log: Log) -> list[dict[str, Any]]:
    columns = ["server_id", "user_actual_id", "incident_id", "current_status"]
    frame = open_frames(log, {"incident": columns})["incident"]
    status = nw.col("current_status").cast(nw.String)
    frame = frame.with_columns(current_status=status).filter(~nw.col("current_status").is_null())
    seen = engine.collect(frame.select("server_id", "user_actual_id", "current_status").unique())
    incidents = frame.select("server_id", "incident_id", "current_status").unique().group_by("current_status")
    n_incidents = engine.collect(incidents.agg(_n=nw.len())).set_index("current_status")["_n"]
    rows = []
    for name, status_name in STATUS_METRICS.items():
        mine = seen[seen["current_status"] == status_name]
        definition = f"Distinct incidents with an event in which their status was {status_name}."
        difference = "Plugins before v1.3 send no status: their incidents are not in it."
        rows.append(_row(name, n_incidents.get(status_name, 0), mine, definition, difference))
    return rows


def _playbooks(log: Log) -> dict[str, Any]:
    columns = ["server_id", "user_actual_id", "playbook_id"]
    frames = open_frames(log, {"incident": columns, "playbook": columns})
    known = nw.concat([frame.select(nw.col(*columns).cast(nw.String)) for frame in frames.values()])
    known = known.filter(~nw.col("playbook_id").is_null())
    n_playbooks = known.select("server_id", "playbook_id").unique().select(nw.len().alias("n"))
    return _row(
        "playbooks",
        int(engine.collect(n_playbooks)["n"].iloc[0]),
        engine.collect(known.select("server_id", "user_actual_id").unique()),
        "Distinct playbooks named by any event, incidents that were made from them included.",
        "Deleted ones stay in it; playbook_snapshot leaves them out.",
    )


def _people(log: Log, users: pd.DataFrame) -> list[dict[str, Any]]:
    calendar = activity_calendar(log, windows=list(WINDOWS.values()), freq=None)
    is_last = calendar.day == calendar.last_day
    contributors = _row(
        "incident_contributors",
        len(users),
        users,
        "Distinct users of any event.",
        "Its name says incidents, but whoever only edits a playbook is in it.",
    )
    active_days = _row(
        "days_active",
        int((calendar.counts["active_1"] > 0).sum()),
        users,
        "Days with an event, added up over servers.",
        "server_overview has it for each server as n_days_active.",
    )
    rows = [contributors, active_days]
    for name, window in WINDOWS.items():
        active = calendar.counts[f"active_{window}"][is_last]
        definition = (
            f"Distinct users over the {window} days that end with the last day of the log, added up over servers."
        )
        difference = (
            None
            if window == 1
            else f"Both ends of the window count: {window} days, where server_activity has {window - 1}."
        )
        row = _row(name, active.sum(), users, definition, difference)
        rows.append(row | {"n_servers": int(np.count_nonzero(active)), "n_users": active.sum()})
    return rows
