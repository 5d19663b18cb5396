"""Records as the plugin, its client and the pipeline write them: canonical values first, then text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from telemetry_kit import schemas
from telemetry_kit.schemas.names import quote_literal
from telemetry_kit.simulate import text
from telemetry_kit.simulate.columns import n_rows
from telemetry_kit.simulate.delivery import AS_IT_IS, CLOCK_AHEAD, DAMAGE, FATES, FUTURE_US
from telemetry_kit.simulate.incidents import CHANGE_STATE, CREATE
from telemetry_kit.simulate.model import (
    ACTIONS,
    INCIDENT,
    KINDS,
    OTHER,
    PLAYBOOK,
    STATUSES,
    TASKS,
    UNKNOWN,
    UPDATE_STATUS,
)
from telemetry_kit.simulate.parameters import VERSIONS

if TYPE_CHECKING:
    from telemetry_kit.simulate.columns import Columns, Flags, Integers
    from telemetry_kit.simulate.parameters import Container, Era, Plan

USER, SERVER, TEAM, PLAYBOOK_ID, INCIDENT_ID, POST, CHANNEL, EVENT, BODY, GATEWAY = range(10)
"""What identifiers are drawn for."""
TIME_GRAIN_US = {"object-storage": 1000, "batch-bodies": 1, "published": 1}
"""The finest difference of event times that a container keeps, in microseconds."""
REMINDERS_S = (0, 900, 1800, 3600, 14_400, 86_400)
CHANNEL_SHARE = 3
UNLISTED = "WebhookOnCreationURL"
"""A property that is in no contract, with a value that might tell too much."""
UNLISTED_VALUE = '"https://hooks.example.org/on-call"'
UNKNOWN_TYPE = "page_view"
STATE_WORDS = ("", "in_progress", "closed")
LEGACY_NAMES = {(kind, action): name for name, (kind, action, state) in schemas.LEGACY_EVENTS.items() if state is None}
LATER_NUMBERS = ("ReminderTimerDefaultSeconds", "ReminderTimerSeconds", "UsesReminderMessageTemplate")
LATER_TEXTS = ("BroadcastChannelID",)


def describe(records: Columns, plan: Plan) -> pa.Table:
    """Name what the model numbers: return the records with the values that they carry on the wire.

    A value is null where a record has no such field. ``post_id``, ``playbook_id`` and ``new_state`` are spelled as on
    the wire, where empty text stands for none, none and open.
    """
    era, container, seed = plan.era, plan.container, plan.seed
    kind, action, count = records["kind"], records["action"], n_rows(records)
    incident = (kind == INCIDENT) | (kind == OTHER)
    tasks, playbook = kind == TASKS, kind == PLAYBOOK
    sized, changes = incident | playbook, tasks & (action == CHANGE_STATE)
    later = np.array(plan.has_status)[records["version"]]
    staged = incident & ~later
    created = incident & (action == CREATE)
    time = records["clock_us"] - records["clock_us"] % TIME_GRAIN_US[container]
    created_ms = records["created_us"] // 1000
    playbook_id = text.ids(seed, PLAYBOOK_ID, records["playbook"], records["playbook"] >= 0)
    post_id = text.ids(seed, POST, records["subject"], records["has_post"])
    columns = {
        "event_id": text.uuids(seed, EVENT, records["event"]),
        "event_type": text.choose([*KINDS[:UNKNOWN], UNKNOWN_TYPE], kind),
        "action": _actions(kind, action),
        "server_id": server_ids(seed, records["server"]),
        "user_actual_id": text.ids(seed, USER, records["user"]),
        "event_timestamp": pa.array(time),
        "server_version": text.choose([server for _, server in VERSIONS[era]], records["version"]),
        "plugin_version": text.choose([plugin for plugin, _ in VERSIONS[era]], records["version"]),
        "incident_id": text.ids(seed, INCIDENT_ID, records["subject"], incident | tasks),
        "is_active": pa.array(records["is_active"], mask=~staged),
        "commander_user_id": text.ids(seed, USER, records["commander"], incident),
        "playbook_id": _or_empty(playbook_id, playbook | (incident & later)),
        "team_id": text.ids(seed, TEAM, records["team"], sized),
        "created_at": pa.array(created_ms * 1000, mask=~incident),
        "post_id": _or_empty(post_id, incident),
        "num_checklists": pa.array(records["num_checklists"], mask=~sized),
        "total_checklist_items": pa.array(records["items"], mask=~sized),
        "active_stage": pa.array(records["stage"], mask=~staged),
        "public": pa.array(records["is_public"], mask=~created),
        "current_status": text.choose(list(STATUSES), records["status"], incident & later),
        "new_state": text.choose(list(STATE_WORDS), np.maximum(records["new_state"], 0), changes),
        "was_commander": pa.array(records["was_commander"], mask=~changes),
        "was_assignee": pa.array(records["was_assignee"], mask=~changes),
        "is_public": pa.array(records["is_public"], mask=~playbook),
        "num_members": pa.array(records["members"], mask=~playbook),
        "num_slash_commands": pa.array(records["slash_commands"], mask=~playbook),
        "kind": pa.array(kind),
        "fate": text.choose(list(FATES), records["fate"]),
        "damage": pa.array(records["damage"]),
        "is_unlisted": pa.array(records["is_unlisted"]),
        "zone": text.offset_text(records["offset_us"]),
        "utc_offset_s": pa.array(records["offset_us"] // 1_000_000),
        "time_text": _time_text(records, container),
    }
    if container == "object-storage":
        columns |= {
            "received_text": text.clock_text(records["arrival_us"], digits=3),
            "gateway_id": text.uuids(seed, GATEWAY, records["server"]),
            "address": pa.array(records["address"]),
        }
    if container == "batch-bodies":
        rewrapped = np.where(records["is_rewrapped"], records["copy"], 0)
        sent = np.where(records["is_rewrapped"], records["arrival_us"], records["sent_us"]) + records["offset_us"]
        columns |= {
            "body_id": text.uuids(seed, BODY, records["body"] * 4 + rewrapped),
            "sent_text": text.clock_text(sent, digits=9, nanoseconds=_nanoseconds(records["body"] * 4 + rewrapped)),
        }
    if any(plan.has_status):
        columns |= _later_columns(records, seed, later)
    assert all(len(values) == count for values in columns.values())
    return pa.table(columns)


def server_ids(seed: int, servers: Integers) -> pa.Array:
    """Return the identifiers of servers."""
    return text.ids(seed, SERVER, servers)


def _or_empty(values: pa.Array, present: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> pa.Array:
    """Return ``values`` with empty text for null where the field is present, and null elsewhere."""
    import pyarrow.compute as pc

    return pc.if_else(pa.array(present), pc.fill_null(values, ""), pa.scalar(None, pa.string()))


def _actions(kind: Integers, action: Integers) -> pa.Array:
    names = [name for event_type in KINDS[:OTHER] for name in ACTIONS[event_type]]
    first = np.cumsum([0, *(len(ACTIONS[event_type]) for event_type in KINDS[:OTHER])])
    offset = np.where(kind == OTHER, first[INCIDENT], first[np.minimum(kind, OTHER)])
    return text.choose(names, np.minimum(offset + action, len(names) - 1), kind != UNKNOWN)


def _nanoseconds(numbers: Integers) -> Integers:
    """Return the digits of a clock below the microsecond, which no reader keeps."""
    return (text.random_words(0, BODY, numbers)[0] % np.uint64(1000)).astype(np.int64)


def _time_text(records: Columns, container: Container) -> pa.Array:
    clock = records["clock_us"] + np.where(records["damage"] == CLOCK_AHEAD, FUTURE_US, 0)
    if container == "published":
        return text.clock_text(clock, digits=6)
    local = clock + records["offset_us"]
    if container == "object-storage":
        return text.clock_text(local, digits=3)
    return text.clock_text(local, digits=9, nanoseconds=_nanoseconds(records["event"]))


def _later_columns(records: Columns, seed: int, later: Flags) -> dict[str, pa.Array]:
    """Return the properties that only the later era has, none of which is in the contract."""
    kind, playbook = records["kind"], (records["kind"] == PLAYBOOK) & later
    first, second = text.random_words(seed, CHANNEL, records["playbook"])
    reminders = np.array(REMINDERS_S)
    updates = (kind == INCIDENT) & (records["action"] == UPDATE_STATUS)
    chosen = reminders[(text.random_words(seed, GATEWAY, records["event"])[1] % np.uint64(4)).astype(np.int64)]
    has_channel = playbook & (first % np.uint64(CHANNEL_SHARE) == 0)
    channel = text.ids(seed, CHANNEL, records["playbook"], has_channel)
    default = reminders[(second % np.uint64(reminders.size)).astype(np.int64)]
    return {
        "BroadcastChannelID": _or_empty(channel, playbook),
        "ReminderTimerDefaultSeconds": pa.array(default, mask=~playbook),
        "ReminderTimerSeconds": pa.array(chosen * 10**9, mask=~updates),
        "UsesReminderMessageTemplate": pa.array(has_channel, mask=~playbook),
    }


STORED_LINE = (
    '{"anonymousId":$server,"context":$library,"event":$event,"messageId":"$event_id","originalTimestamp":"$received",'
    '"properties":{$properties},"receivedAt":"$received","request_ip":"198.51.100.$address","rudderId":"$gateway_id",'
    '"sentAt":"$received","timestamp":$time,"type":"track","userId":$server}'
)
PUBLISHED_LINE = '{"UserID":$server,"type":$event,"eventTimeStamp":$time,"event originalTimestamp":$time,$properties}'
BODY_EVENT = (
    '{"type":"track","messageId":"$event_id","anonymousId":$server,"userId":$server,"event":$event,'
    '"timestamp":$time,"context":$library,"properties":{$properties}}'
)
BODY_LINE = '{"messageId":"$body_id","sentAt":"$sent","batch":[$events],"context":{"library":$client}}'
LAST_PROPERTY = "UserActualID"
"""It is never absent: properties before it end with a comma, those after it begin with one."""


def line_query(plan: Plan) -> str:
    """Return the SQL that makes the lines of a file out of the rows of ``described``, in order.

    ``described`` holds what ``describe`` returns, and ``record`` and ``position``, where each row stands; a row
    without a record does not arrive.
    """
    era, container, is_damaged = plan.era, plan.container, plan.faults.damaged > 0
    values = {
        "server": _with_damage("server_id", _text_json("server_id"), is_damaged=is_damaged),
        "event": _with_damage("event_type", _text_json(_event_name(era, container)), is_damaged=is_damaged),
        "event_id": "event_id",
        "time": _time(container, is_damaged=is_damaged),
        "properties": _properties(plan),
        "library": quote_literal('{"library":{"name":"analytics-go","version":"1.0.0"}}'),
    }
    damage, rest = "damage", "WHERE record IS NOT NULL"
    if container == "batch-bodies":
        events = f"string_agg({_concat(BODY_EVENT, values)}, ',' ORDER BY position)"
        sent = f"any_value({_trimmed('sent_text')} || zone)"
        client = quote_literal('{"name":"analytics-go","version":"3.0.0"}')
        line = _concat(BODY_LINE, {"body_id": "any_value(body_id)", "sent": sent, "events": events, "client": client})
        damage, rest = "any_value(damage)", f"{rest} GROUP BY record ORDER BY record"
    elif container == "published":
        line = _concat(PUBLISHED_LINE, values)
    else:
        stored = {"received": "received_text || 'Z'", "address": "address", "gateway_id": "gateway_id"}
        line = _concat(STORED_LINE, values | stored)
    if is_damaged:
        line = _with_line_damage(line, damage)
    return f"SELECT {line} || chr(10) AS line FROM described {rest}"


def _with_line_damage(line: str, damage: str) -> str:
    cases = " ".join(
        f"WHEN {number} THEN {'left(whole, length(whole) * 3 // 5)' if kind.text is None else quote_literal(kind.text)}"
        for number, kind in enumerate(DAMAGE)
        if kind.column is None
    )
    return f"list_transform([{line}], lambda whole: CASE {damage} {cases} ELSE whole END)[1]"


def _concat(template: str, values: dict[str, str]) -> str:
    """Return the SQL that puts the values of ``$name`` in their places."""
    parts = re.split(r"\$(\w+)", template)
    return (
        "concat("
        + ", ".join(values[part] if n % 2 else quote_literal(part) for n, part in enumerate(parts) if part)
        + ")"
    )


def _text_json(expression: str) -> str:
    return f"'\"' || {expression} || '\"'"


def _number(expression: str) -> str:
    return f"CAST({expression} AS VARCHAR)"


def _with_damage(column: str, json: str, *, is_damaged: bool) -> str:
    """Return the SQL of a column's JSON, with what damage makes of it."""
    cases = " ".join(
        f"WHEN {number} THEN {'NULL' if kind.text is None else quote_literal(kind.text)}"
        for number, kind in enumerate(DAMAGE)
        if kind.column == column and kind.text != AS_IT_IS
    )
    return f"CASE damage {cases} ELSE {json} END" if cases and is_damaged else json


def _event_name(era: Era, container: Container) -> str:
    if era != "prev" or container == "published":
        return "event_type::VARCHAR"
    cases = " ".join(
        f"WHEN {quote_literal(f'{event_type} {action}')} THEN {quote_literal(name)}"
        for (event_type, action), name in LEGACY_NAMES.items()
    )
    return f"(CASE event_type || ' ' || action {cases} ELSE event_type END)"


def _trimmed(column: str) -> str:
    """Return the SQL that leaves out the zeros at the end of a fraction, as Go does."""
    return f"rtrim(rtrim({column}, '0'), '.')"


def _time(container: Container, *, is_damaged: bool) -> str:
    words = {
        "object-storage": "time_text || zone",
        "batch-bodies": f"{_trimmed('time_text')} || zone",
        "published": "time_text || 'Z'",
    }[container]
    return _with_damage("event_timestamp", _text_json(words), is_damaged=is_damaged)


def _properties(plan: Plan) -> str:
    """Return the SQL of an event's properties, in order of their names; those that are null are left out."""
    era, container, is_damaged = plan.era, plan.container, plan.faults.damaged > 0
    values = {UNLISTED: f"CASE WHEN is_unlisted THEN {quote_literal(UNLISTED_VALUE)} END"}
    for field in schemas.FIELDS:
        name = field.published if container == "published" else field.wire
        if field.is_property and name and (era != "prev" or field.column != "action"):
            values[name] = _with_damage(field.column, _json(field, container), is_damaged=is_damaged)
    if any(plan.has_status) and container != "published":
        values |= {name: _number(name) for name in LATER_NUMBERS} | {name: _text_json(name) for name in LATER_TEXTS}
    parts = []
    for name, json in sorted(values.items()):
        before, after = ("", ",") if name < LAST_PROPERTY else ("," if name > LAST_PROPERTY else "", "")
        start, end = quote_literal(f'{before}"{name}":'), f" || {quote_literal(after)}" if after else ""
        parts.append(f"{start} || {json}{end}")
    return f"concat({', '.join(parts)})"


def _json(field: schemas.Field, container: Container) -> str:
    """Return the SQL of a property's JSON; null where a record does not have it."""
    if container == "published":
        if field.column == "new_state":
            return "CASE WHEN new_state = 'closed' THEN '\"done\"' WHEN new_state IS NOT NULL THEN 'null' END"
        if field.column == "post_id":
            return f"CASE WHEN post_id = '' THEN 'null' ELSE {_text_json('post_id')} END"
        if field.column == "playbook_id":
            return f"CASE WHEN event_type = 'playbook' THEN {_text_json('playbook_id')} END"
        if field.column == "created_at":
            return _text_json("strftime(make_timestamp(created_at), '%Y-%m-%dT%H:%M:%S.%gZ')")
    if field.column == "created_at":
        return _number("created_at // 1000")
    return _text_json(field.column) if field.kind in ("id", "category") else _number(field.column)
