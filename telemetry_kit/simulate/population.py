"""Servers of uneven size, and the playbooks on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from telemetry_kit.engine import DAY_US
from telemetry_kit.simulate.columns import SECOND_US, concatenate, take
from telemetry_kit.simulate.parameters import VERSIONS

if TYPE_CHECKING:
    from telemetry_kit.simulate.columns import Columns, Flags, Integers
    from telemetry_kit.simulate.parameters import Plan

ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "America/Los_Angeles")
ZONE_SHARES = (0.6, 0.1, 0.1, 0.1, 0.1)
MAX_NODES = 3
TICK_US = 5 * SECOND_US
"""Every client sends what it has every five seconds."""

USERS_PER_SERVER = 1024
THINGS_PER_SERVER = 1 << 20
"""Numbers of people, and of teams, playbooks and incidents, that a server has to itself."""

PLAYBOOK_CREATE, PLAYBOOK_UPDATE, PLAYBOOK_DELETE = range(3)
STAGES = np.arange(1, 9)
STAGE_SHARES = np.array([0.2, 0.11, 0.13, 0.14, 0.13, 0.11, 0.09, 0.09])
TASKS_PER_STAGE = 5.0
MAX_UPDATES = 60
YEAR_US = 365 * DAY_US


def server_batch(rng: np.random.Generator, plan: Plan, first: int, count: int) -> Columns:
    """Draw ``count`` servers, numbered from ``first``."""
    parameters, (start_us, end_us) = plan.parameters, plan.window_us
    length = end_us - start_us
    sigma = parameters.server_size_sigma
    nodes = np.where(rng.random(count) < parameters.multi_node_share, rng.integers(2, MAX_NODES + 1, count), 1)
    pause_start = start_us + (rng.random(count) * length).astype(np.int64)
    pause_length = np.minimum(rng.uniform(7, 28, count) * DAY_US, length / 4).astype(np.int64)
    pauses = rng.random(count) < parameters.pause_share
    upgrades = start_us + (rng.uniform(-0.5, 1.5, (count, len(VERSIONS[plan.era]) - 1)) * length).astype(np.int64)
    shares = np.array(parameters.completer_shares) * parameters.completer_concentration
    people = np.exp(rng.normal(np.log(parameters.users_per_server), 0.5, count))
    return {
        "server": first + np.arange(count),
        "size": np.exp(rng.normal(-(sigma**2) / 2, sigma, count)),
        "n_users": np.clip(people, 3, USERS_PER_SERVER).astype(np.int64),
        "n_teams": rng.integers(1, 5, count),
        "zone": rng.choice(len(ZONES), count, p=ZONE_SHARES),
        "n_nodes": nodes,
        "clock_error_us": (rng.normal(0, parameters.clock_error_s, (count, MAX_NODES)) * SECOND_US).astype(np.int64),
        "tick_us": rng.integers(0, TICK_US, (count, MAX_NODES)),
        "upgrade_us": np.sort(upgrades, axis=1),
        "pause_start_us": np.where(pauses, pause_start, 0),
        "pause_end_us": np.where(pauses, pause_start + pause_length, 0),
        "dwell_factor": np.exp(rng.normal(0, parameters.server_dwell_sigma, count)),
        "completer_shares": rng.dirichlet(shares, count),
        "in_group": rng.random(count) < 1 / 2,
        "address": rng.integers(1, 255, count),
    }


def version_at(servers: Columns, server: Integers, time_us: Integers) -> Integers:
    """Return which of its era's versions each server runs at a time."""
    n_upgrades: Integers = np.count_nonzero(servers["upgrade_us"][server] <= time_us[:, None], axis=1)
    return n_upgrades


def is_affected(plan: Plan, servers: Columns, server: Integers, time_us: Integers) -> Flags:
    """Return where the effect holds, if there is one."""
    effect = plan.parameters.effect
    if effect is None:
        return np.zeros(server.size, dtype=bool)
    if effect.between == "servers":
        return np.asarray(servers["in_group"][server], dtype=bool)
    if effect.between == "dates":
        return time_us >= sum(plan.window_us) // 2
    plugins = [plugin for plugin, _ in VERSIONS[plan.era]]
    newest = np.array([plugin == plugins[-1] for plugin in plugins])
    return np.asarray(newest[version_at(servers, server, time_us)], dtype=bool)


def utc_offset_us(servers: Columns, server: Integers, time_us: Integers) -> Integers:
    """Return how far each server's local time is ahead of UTC, daylight saving included."""
    offset = np.zeros(time_us.size, dtype=np.int64)
    zone = servers["zone"][server]
    for number, name in enumerate(ZONES[1:], start=1):
        rows = np.flatnonzero(zone == number)
        local = pd.DatetimeIndex(time_us[rows].view("datetime64[us]"), tz="UTC").tz_convert(name).tz_localize(None)
        offset[rows] = local.as_unit("us").asi8 - time_us[rows]
    return offset


def playbook_histories(rng: np.random.Generator, plan: Plan, servers: Columns) -> Columns:
    """Draw the playbooks of a batch of servers: every state each goes through, in order of playbook and time.

    A playbook is created up to a year before the recording or during it, updated at random intervals, at most of
    which it grows, and perhaps deleted; its delete repeats its last state, as the wire does.
    """
    parameters, (start_us, end_us) = plan.parameters, plan.window_us
    n_playbooks = rng.poisson(parameters.playbooks_per_server * np.sqrt(servers["size"]))
    server = np.repeat(np.arange(n_playbooks.size), n_playbooks)
    count = server.size
    before = rng.random(count) < 1 / 2
    since = np.where(before, start_us - YEAR_US, start_us)
    now = since + (rng.random(count) * (np.where(before, start_us, end_us) - since)).astype(np.int64)
    checklists = np.where(rng.random(count) < parameters.no_stage_share, 0, rng.choice(STAGES, count, p=STAGE_SHARES))
    items = rng.poisson(TASKS_PER_STAGE * checklists)
    state: Columns = {
        "playbook": np.arange(count),
        "server": server,
        "time_us": now,
        "action": np.full(count, PLAYBOOK_CREATE, dtype=np.int64),
        "team": rng.integers(0, servers["n_teams"][server]) if count else server,
        "user": rng.integers(0, servers["n_users"][server]) if count else server,
        "num_checklists": checklists,
        "items": items,
        "members": 1 + rng.poisson(1.5, count),
        "slash_commands": rng.binomial(items, 0.15),
        "is_public": rng.random(count) < 0.55,  # noqa: PLR2004 - about the share that recordings show
    }
    updates = np.minimum(rng.poisson(rng.gamma(2, parameters.playbook_updates / 2, count)), MAX_UPDATES)
    deleted = rng.random(count) < parameters.playbook_delete_share
    history = [state]
    for step in range(int(updates.max(initial=0))):
        state = _next_state(rng, take(state, step < updates[state["playbook"]]), servers)
        history.append(state)
    whole = concatenate(history)
    whole = take(whole, np.lexsort((whole["time_us"], whole["playbook"])))
    last = np.flatnonzero(np.diff(whole["playbook"], append=-1))
    gone = take(whole, last[deleted[whole["playbook"][last]]])
    gone["time_us"] = gone["time_us"] + _pause(rng, n_rows=gone["time_us"].size)
    gone["action"] = np.full(gone["time_us"].size, PLAYBOOK_DELETE, dtype=np.int64)
    whole = concatenate([whole, gone])
    return take(whole, np.lexsort((whole["time_us"], whole["playbook"])))


def _next_state(rng: np.random.Generator, state: Columns, servers: Columns) -> Columns:
    count = state["playbook"].size
    staged = state["num_checklists"] > 0
    checklists = np.maximum(state["num_checklists"] + rng.choice([-1, 0, 0, 0, 1], count), 1)
    items = np.maximum(state["items"] + rng.choice([-1, 0, 1, 1, 2, 3], count), 0)
    items = np.where(staged, items, 0)
    return state | {
        "time_us": state["time_us"] + _pause(rng, n_rows=count),
        "action": np.full(count, PLAYBOOK_UPDATE, dtype=np.int64),
        "user": rng.integers(0, servers["n_users"][state["server"]]) if count else state["user"],
        "num_checklists": np.where(staged, checklists, 0),
        "items": items,
        "members": np.maximum(state["members"] + rng.choice([-1, 0, 0, 1], count), 1),
        "slash_commands": np.minimum(np.maximum(state["slash_commands"] + rng.choice([-1, 0, 0, 1], count), 0), items),
        "is_public": state["is_public"] ^ (rng.random(count) < 1 / 32),
    }


def _pause(rng: np.random.Generator, *, n_rows: int) -> Integers:
    """Draw times between changes of a playbook: minutes while somebody edits it, weeks otherwise."""
    editing = rng.random(n_rows) < 1 / 2
    return (2 * SECOND_US + rng.exponential(np.where(editing, 300 * SECOND_US, 14 * DAY_US))).astype(np.int64)
