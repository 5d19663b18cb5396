"""The one place that knows a field: its names everywhere, its type, its rules and what it means.

The reader's queries, the Pandera models, the reasons in the quarantine and the data dictionary all follow from
``FIELDS``. Adding a field is one line there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from telemetry_kit.schemas.names import fold

EventType = Literal["incident", "tasks", "playbook"]
Kind = Literal["id", "category", "count", "integer", "flag", "time"]

EVENT_TYPES: tuple[EventType, ...] = ("incident", "tasks", "playbook")
NEW_STATES = ("open", "in_progress", "done")
STATUSES = ("Reported", "Active", "Resolved", "Archived")
"""The statuses of incidents (v1.3 and later), in the order of an incident's life."""
OPEN_STATUSES = ("Reported", "Active")
"""The statuses in which an incident is open."""
STATE_SPELLINGS = {"": "open", "open": "open", "in_progress": "in_progress", "closed": "done", "done": "done"}
"""What arrives as the state of a task, and the state it means."""

LAST_STAGED_VERSION = (1, 2)
"""The last plugin series whose incidents have an active stage and an open or closed flag; later ones have a status."""

CREATE_WITHIN_S = 60
"""How long after an incident's creation an event without an action still is its create."""

STATE_CHANGE = "modify_task_state"
ACTIONS: dict[EventType, tuple[str, ...]] = {
    "incident": ("create", "end", "restart", "change_stage", "change_commander", "update_status"),
    "tasks": (
        "add_task",
        "remove_task",
        "rename_task",
        "move_task",
        STATE_CHANGE,
        "set_assignee_for_task",
        "run_task_slash_command",
    ),
    "playbook": ("create", "update", "delete"),
}

LEGACY_EVENTS: dict[str, tuple[EventType, str, str | None]] = {
    "CreateIncident": ("incident", "create", None),
    "EndIncident": ("incident", "end", None),
    "RestartIncident": ("incident", "restart", None),
    "ChangeStage": ("incident", "change_stage", None),
    "ChangeCommander": ("incident", "change_commander", None),
    "AddChecklistItem": ("tasks", "add_task", None),
    "RemoveChecklistItem": ("tasks", "remove_task", None),
    "RenameChecklistItem": ("tasks", "rename_task", None),
    "MoveChecklistItem": ("tasks", "move_task", None),
    "ModifyStateChecklistItem": ("tasks", STATE_CHANGE, None),
    "CheckChecklistItem": ("tasks", STATE_CHANGE, "done"),
    "UncheckChecklistItem": ("tasks", STATE_CHANGE, "open"),
    "SetAssignee": ("tasks", "set_assignee_for_task", None),
    "RunChecklistItemSlashCommand": ("tasks", "run_task_slash_command", None),
    "CreatePlaybook": ("playbook", "create", None),
    "UpdatePlaybook": ("playbook", "update", None),
    "DeletePlaybook": ("playbook", "delete", None),
}
"""One event name per action (before v1.1.0): the type and action it means, and the state where the name says it."""


@dataclass(frozen=True)
class Field:
    """One field of the contract.

    ``wire`` is its name in the JSON that the plugin sends, ``published`` its name on the published page;
    ``aliases`` are further spellings that differ in more than case, underscores and spaces. ``is_property`` tells
    a property of the event from the envelope that the client library and the pipeline put around it.
    """

    column: str
    kind: Kind
    description: str
    published: str | None = None
    wire: str | None = None
    aliases: tuple[str, ...] = ()
    events: tuple[EventType, ...] = EVENT_TYPES
    nullable_in: tuple[EventType, ...] = ()
    levels: tuple[str, ...] = ()
    is_property: bool = True
    until_version: tuple[int, int] | None = None

    def spellings(self) -> frozenset[str]:
        """Every folded name under which the field arrives."""
        names = (self.column, self.published, self.wire, *self.aliases)
        return frozenset(fold(name) for name in names if name is not None)


_INCIDENT: tuple[EventType, ...] = ("incident",)
_TASKS: tuple[EventType, ...] = ("tasks",)
_PLAYBOOK: tuple[EventType, ...] = ("playbook",)
_SIZED: tuple[EventType, ...] = ("incident", "playbook")

FIELDS: tuple[Field, ...] = (
    Field("event_id", "id", "Unique identifier of the event; a digest of the content where the record has none.",
          wire="messageId", aliases=("id",), is_property=False),
    Field("event_type", "category", "What the event is about.", published="type", wire="event",
          aliases=("event_text",), levels=EVENT_TYPES, is_property=False),
    Field("action", "category", "What was done; absent in the published form.", wire="Action", nullable_in=EVENT_TYPES),
    Field("server_id", "id", "The server that sent the event.", published="UserID", wire="userId",
          is_property=False),
    Field("user_actual_id", "id", "The person who acted, as an opaque identifier.", published="UserActualID",
          wire="UserActualID"),
    Field("event_timestamp", "time", "When the event was queued on the server, UTC.", published="eventTimeStamp",
          wire="timestamp", is_property=False),
    Field("original_timestamp", "time", "What the pipeline calls the original time (often the gateway's), UTC.",
          published="event originalTimestamp", wire="originalTimestamp", nullable_in=EVENT_TYPES, is_property=False),
    Field("utc_offset_s", "integer", "How far the server's clock is ahead of UTC, in seconds, as its JSON tells; null "
          "where events came as a table, with flattened properties, or in the published form.",
          nullable_in=EVENT_TYPES, is_property=False),
    Field("server_version", "category", "Version of the server.", published="serverVersion", wire="ServerVersion"),
    Field("plugin_version", "category", "Version of the plugin.", published="pluginVersion", wire="PluginVersion"),
    Field("incident_id", "id", "The incident.", published="incidentID", wire="IncidentID",
          events=("incident", "tasks")),
    Field("is_active", "flag", "Whether the incident is open after the event.", published="IsActive", wire="IsActive",
          events=_INCIDENT, nullable_in=_INCIDENT, until_version=LAST_STAGED_VERSION),
    Field("commander_user_id", "id", "The commander after the event.", published="CommanderUserID",
          wire="CommanderUserID", events=_INCIDENT),
    Field("playbook_id", "id", "The playbook; on incidents from v1.1.1 on, where they were made from one.",
          published="PlaybookID", wire="PlaybookID", events=_SIZED, nullable_in=_INCIDENT),
    Field("team_id", "id", "The team of the incident's channel or of the playbook.", published="TeamID",
          wire="TeamID", events=_SIZED),
    Field("created_at", "time", "When the incident was created, UTC.", published="CreatedAt", wire="CreateAt",
          events=_INCIDENT),
    Field("post_id", "id", "The post from which the incident was created, if any.", published="PostID",
          wire="PostID", events=_INCIDENT, nullable_in=_INCIDENT),
    Field("num_checklists", "count", "Number of stages.", published="NumChecklists", wire="NumChecklists",
          events=_SIZED),
    Field("total_checklist_items", "count", "Number of tasks.", published="TotalChecklistItems",
          wire="TotalChecklistItems", events=_SIZED),
    Field("active_stage", "integer", "The stage after the event, counted from 0.", published="ActiveStage",
          wire="ActiveStage", events=_INCIDENT, nullable_in=_INCIDENT, until_version=LAST_STAGED_VERSION),
    Field("public", "flag", "Whether the incident's channel is public; on the wire only when it is created.",
          published="Public", wire="Public", aliases=("_public",), events=_INCIDENT, nullable_in=_INCIDENT),
    Field("current_status", "category", "The incident's status (v1.3 and later).", wire="CurrentStatus",
          events=_INCIDENT, nullable_in=_INCIDENT),
    Field("new_state", "category", "The task's state after a state change; null for every other action.",
          published="NewState", wire="NewState", events=_TASKS, nullable_in=_TASKS, levels=NEW_STATES),
    Field("was_commander", "flag", "Whether the person was the incident's commander (state changes only).",
          published="WasCommander", wire="WasCommander", events=_TASKS, nullable_in=_TASKS),
    Field("was_assignee", "flag", "Whether the person was the task's assignee (state changes only).",
          published="WasAssignee", wire="WasAssignee", events=_TASKS, nullable_in=_TASKS),
    Field("is_public", "flag", "Whether the playbook is public.", published="IsPublic", wire="IsPublic",
          events=_PLAYBOOK),
    Field("num_members", "count", "Number of people with access to the playbook.", published="NumMembers",
          wire="NumMembers", events=_PLAYBOOK),
    Field("num_slash_commands", "count", "Number of slash commands in the playbook.", published="NumSlashCommands",
          wire="NumSlashCommands", events=_PLAYBOOK),
)  # fmt: skip
"""Every field of the contract, in the order of the columns."""


def fields_of(event_type: EventType) -> tuple[Field, ...]:
    """Return the fields that events of ``event_type`` have, in the order of their columns."""
    return tuple(field for field in FIELDS if event_type in field.events)


def columns_of(event_type: EventType) -> list[str]:
    """Return the columns of the frame of ``event_type``, in order."""
    return [field.column for field in fields_of(event_type)]
