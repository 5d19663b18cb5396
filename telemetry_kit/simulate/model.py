"""The model: batches of servers, and every event that happens on them in the recording."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from telemetry_kit.simulate.columns import concatenate, n_rows, take
from telemetry_kit.simulate.incidents import (
    CHANGE_COMMANDER,
    CREATE,
    FRONTEND,
    TIMELINE,
    incident_cases,
    incident_events,
    items_at,
    task_events,
)
from telemetry_kit.simulate.population import THINGS_PER_SERVER, playbook_histories, server_batch, version_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemetry_kit.simulate.columns import Columns, Integers
    from telemetry_kit.simulate.parameters import Plan

KINDS = ("incident", "tasks", "playbook", "frontend", "unknown")
INCIDENT, TASKS, PLAYBOOK, OTHER, UNKNOWN = range(len(KINDS))
ACTIONS: dict[str, tuple[str, ...]] = {
    "incident": ("create", "end", "restart", "change_stage", "change_commander", "add_timeline_event_from_post",
                 "timeline_tab_clicked", "update_status"),
    "tasks": ("add_task", "remove_task", "rename_task", "move_task", "modify_task_state", "set_assignee_for_task",
              "run_task_slash_command"),
    "playbook": ("create", "update", "delete"),
}  # fmt: skip
"""What the model's numbers of actions mean, per event type."""
UPDATE_STATUS = ACTIONS["incident"].index("update_status")
STATUSES = ("Reported", "Active", "Resolved", "Archived")
REPORTED, ACTIVE, RESOLVED, ARCHIVED = range(len(STATUSES))

INCIDENTS_PER_BATCH = 6000
SERVERS_PER_BATCH = 512
EVENTS_PER_INCIDENT = 22
"""About as many as the defaults give; only the size of the first batch depends on it."""

BLANK: dict[str, int | bool] = {
    "time_us": 0, "server": 0, "kind": 0, "action": 0, "user": 0, "subject": -1, "playbook": -1, "team": -1,
    "commander": -1, "has_post": False, "is_public": False, "created_us": 0, "num_checklists": 0, "items": 0,
    "stage": 0, "is_active": False, "status": 0, "new_state": -1, "was_commander": False, "was_assignee": False,
    "members": 0, "slash_commands": 0, "node": 0, "version": 0, "is_paused": False,
}  # fmt: skip
"""Every column of an event, and what stands there where the event has no such thing."""


def event_batches(plan: Plan) -> Iterator[tuple[Columns, Columns]]:
    """Draw batches of servers and all their events in the recording, in order of time within a batch.

    With ``n_events``, servers are added until the recording holds at least as many events.
    """
    parameters, n_events, n_servers = plan.parameters, plan.n_events, plan.n_servers
    expected = parameters.incidents_per_week * (parameters.days / 7 + 1)
    largest = int(np.clip(INCIDENTS_PER_BATCH / expected, 1, SERVERS_PER_BATCH))
    n_drawn, n_seen, batch = 0, 0, 0
    while n_drawn < n_servers if n_servers is not None else n_seen < (n_events or 0):
        if n_servers is not None:
            wanted = n_servers - n_drawn
        else:
            per_server = max(n_seen / n_drawn if n_drawn else EVENTS_PER_INCIDENT * expected, 1.0)
            wanted = math.ceil(((n_events or 0) - n_seen) / per_server)
        rng = np.random.default_rng([plan.seed, batch])
        servers, events = _batch(rng, plan, n_drawn, min(wanted, largest))
        yield servers, events
        n_drawn += n_rows(servers)
        n_seen += int((~events["is_paused"]).sum())
        batch += 1


def _batch(rng: np.random.Generator, plan: Plan, first: int, count: int) -> tuple[Columns, Columns]:
    servers = server_batch(rng, plan, first, count)
    playbooks = playbook_histories(rng, plan, servers)
    cases = incident_cases(rng, plan, servers, playbooks)
    incidents, cases["life_us"] = incident_events(rng, plan, servers, cases)
    tasks = task_events(rng, plan, servers, cases, incidents)
    parts = [
        _incident_rows(playbooks, cases, incidents, tasks),
        _task_rows(cases, tasks),
        _playbook_rows(playbooks),
    ]
    events = concatenate(parts)
    start_us, end_us = plan.window_us
    events = take(events, (events["time_us"] >= start_us) & (events["time_us"] < end_us))
    events = take(events, np.argsort(events["time_us"], kind="stable"))
    _place(rng, servers, events)
    return servers, events


def _rows(count: int, **given: Integers) -> Columns:
    return {name: np.asarray(given[name]) if name in given else np.full(count, blank) for name, blank in BLANK.items()}


def _incident_rows(playbooks: Columns, cases: Columns, incidents: Columns, tasks: Columns) -> Columns:
    case = incidents["case"]
    action, is_active = incidents["action"], incidents["is_active"]
    closed = np.where(cases["number"][case] % 3 == 0, ARCHIVED, RESOLVED)
    status = np.where(is_active, np.where(incidents["stage"] > 0, ACTIVE, REPORTED), closed)
    as_it_is = np.isin(action, (CREATE, CHANGE_COMMANDER, TIMELINE, FRONTEND))
    action = np.where(incidents["has_status"] & ~as_it_is, UPDATE_STATUS, action)
    playbook = cases["playbook"][case]
    return _rows(
        case.size,
        time_us=incidents["time_us"],
        server=cases["server"][case],
        kind=np.where(action == FRONTEND, OTHER, INCIDENT),
        action=action,
        user=incidents["user"],
        subject=cases["number"][case],
        playbook=np.where(playbook >= 0, _number_of(playbooks, playbook), -1),
        team=cases["team"][case],
        commander=incidents["commander"],
        has_post=cases["has_post"][case],
        is_public=cases["public"][case],
        created_us=cases["start_us"][case],
        num_checklists=cases["num_checklists"][case],
        items=items_at(cases, incidents, tasks),
        stage=incidents["stage"],
        is_active=is_active,
        status=status,
    )


def _task_rows(cases: Columns, tasks: Columns) -> Columns:
    case = tasks["case"]
    return _rows(
        case.size,
        time_us=tasks["time_us"],
        server=cases["server"][case],
        kind=np.full(case.size, TASKS),
        action=tasks["action"],
        user=tasks["user"],
        subject=cases["number"][case],
        commander=tasks["commander"],
        new_state=tasks["new_state"],
        was_commander=tasks["was_commander"],
        was_assignee=tasks["was_assignee"],
    )


def _playbook_rows(playbooks: Columns) -> Columns:
    return _rows(
        n_rows(playbooks),
        time_us=playbooks["time_us"],
        server=playbooks["server"],
        kind=np.full(n_rows(playbooks), PLAYBOOK),
        action=playbooks["action"],
        user=playbooks["user"],
        playbook=_number_of(playbooks, playbooks["playbook"]),
        team=playbooks["team"],
        is_public=playbooks["is_public"],
        num_checklists=playbooks["num_checklists"],
        items=playbooks["items"],
        members=playbooks["members"],
        slash_commands=playbooks["slash_commands"],
    )


def _number_of(playbooks: Columns, playbook: Integers) -> Integers:
    """Return the number of a playbook on its server."""
    if not n_rows(playbooks):
        return playbook
    firsts = np.flatnonzero(np.diff(playbooks["playbook"], prepend=-1))
    owner = playbooks["server"][firsts]
    return np.arange(owner.size)[playbook] - np.searchsorted(owner, owner)[playbook]


def _place(rng: np.random.Generator, servers: Columns, events: Columns) -> None:
    """Say which node handles each event, under which version, by which clock; and number things across servers."""
    local, time = events["server"], events["time_us"]
    events["node"] = (rng.random(local.size) * servers["n_nodes"][local]).astype(np.int64)
    events["version"] = version_at(servers, local, time)
    paused = servers["pause_start_us"][local] <= time
    events["is_paused"] = paused & (time < servers["pause_end_us"][local])
    error = servers["clock_error_us"][local, events["node"]]
    events["clock_us"] = time + error
    created = (events["kind"] == INCIDENT) & (events["action"] == CREATE)
    # An incident's creation was timed by the node that handled it.
    key = local * THINGS_PER_SERVER + events["subject"]
    order = np.argsort(key[created], kind="stable")
    position = np.searchsorted(key[created][order], key)
    found = np.append(key[created][order], -1)[position] == key
    events["created_us"] = events["created_us"] + np.where(found, np.append(error[created][order], 0)[position], 0)
    server = servers["server"][local]
    for name in ("user", "subject", "playbook", "team", "commander"):
        events[name] = np.where(events[name] >= 0, server * THINGS_PER_SERVER + events[name], -1)
    events["server"] = server
