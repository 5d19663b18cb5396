"""What people do in incidents: the path through the stages, changes of commander, and the work on tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from telemetry_kit.engine import DAY_US
from telemetry_kit.simulate.columns import (
    SECOND_US,
    SPAN_US,
    concatenate,
    first_of_group,
    number_in_group,
    sort_key,
    sum_in_group,
    take,
)
from telemetry_kit.simulate.population import PLAYBOOK_DELETE, is_affected, utc_offset_us, version_at

if TYPE_CHECKING:
    from telemetry_kit.simulate.columns import Columns, Flags, Integers
    from telemetry_kit.simulate.parameters import Parameters, Plan

CREATE, END, RESTART, CHANGE_STAGE, CHANGE_COMMANDER, TIMELINE, FRONTEND = range(7)
ADD, REMOVE, RENAME, MOVE, CHANGE_STATE, ASSIGN, SLASH_COMMAND = range(7)
OPEN, IN_PROGRESS, DONE = range(3)
NO_STATE = -1

LIFE_US = SPAN_US - 2 * DAY_US
"""An incident that would last longer is left alone: nothing more happens in it."""
MOST_STEPS = 500
"""Nor does anything once it was moved, ended and restarted so often."""
CLOSED_MEDIAN_US = 3600 * SECOND_US
OFFICE_HOURS = range(8, 19)
QUIET = {"evening": 0.45, "night": 0.2, "weekend": 0.35}
"""How often incidents begin outside office hours, against office hours."""
TASKS_ADDED = 2.2
ASSIGNED_SHARE = 0.12
PROGRESS_SHARE = 0.4
ABANDONED_SHARE = 0.06
REDONE_SHARE = 2 / 3
REMOVED_SHARE = 0.045
RENAMED_SHARE = 0.045
MOVED_SHARE = 0.045
SLASH_SHARE = 0.01
COMMANDER_ACTS_SHARE = 0.6
POST_SHARE = 0.28
PUBLIC_SHARE = 0.6
TIMELINE_POSTS = 1.3
TABS_CLICKED = 0.6


def incident_cases(rng: np.random.Generator, plan: Plan, servers: Columns, playbooks: Columns) -> Columns:
    """Draw the incidents of a batch of servers, in order of server and beginning, with what they begin with.

    Those that begin up to three weeks before the recording are drawn as well, so that some are under way when it
    begins.
    """
    parameters, (start_us, end_us) = plan.parameters, plan.window_us
    since = start_us - 21 * DAY_US
    busiest = 7 * 24 / _weekly_hours()
    rate = servers["size"] * parameters.incidents_per_week * busiest * (end_us - since) / (7 * DAY_US)
    server = np.repeat(np.arange(rate.size), rng.poisson(rate))
    start = since + (rng.random(server.size) * (end_us - since)).astype(np.int64)
    kept = rng.random(server.size) < _intensity(start + utc_offset_us(servers, server, start))
    server, start = server[kept], start[kept]
    order = np.lexsort((start, server))
    server, start = server[order], start[order]
    count = server.size
    source = _playbook_of(rng, servers, playbooks, server, start)
    source = np.where(rng.random(count) < parameters.no_playbook_share, -1, source)
    known = source >= 0
    affected = is_affected(plan, servers, server, start)
    factor = parameters.effect.dwell_factor if parameters.effect else 1.0
    return {
        "case": np.arange(count),
        "server": server,
        "number": number_in_group(server),
        "start_us": start,
        "team": rng.integers(0, servers["n_teams"][server]) if count else server,
        "commander": rng.integers(0, servers["n_users"][server]) if count else server,
        "has_post": rng.random(count) < POST_SHARE,
        "public": rng.random(count) < PUBLIC_SHARE,
        "playbook": _pick(playbooks["playbook"], source, otherwise=-1),
        "num_checklists": _pick(playbooks["num_checklists"], source, otherwise=1),
        "items": np.where(known, _pick(playbooks["items"], source, otherwise=0), 0),
        "median_us": parameters.median_dwell_s * SECOND_US * servers["dwell_factor"][server]
        * np.where(affected, factor, 1.0),
    }  # fmt: skip


def _weekly_hours() -> float:
    week = np.arange(7 * 24) * 3600 * SECOND_US
    return float(_intensity(week).sum())


def _intensity(local_us: Integers) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    hour = local_us // (3600 * SECOND_US) % 24
    weekday = (local_us // DAY_US + 3) % 7
    office = (hour >= OFFICE_HOURS.start) & (hour < OFFICE_HOURS.stop)
    by_hour = np.where(office, 1.0, np.where(hour >= OFFICE_HOURS.stop, QUIET["evening"], QUIET["night"]))
    return by_hour * np.where(weekday < 5, 1.0, QUIET["weekend"])  # noqa: PLR2004 - Monday to Friday


def _pick(values: Integers, index: Integers, *, otherwise: int) -> Integers:
    return np.where(index >= 0, np.append(values, otherwise)[index], otherwise)


def _playbook_of(
    rng: np.random.Generator, servers: Columns, playbooks: Columns, server: Integers, start: Integers
) -> Integers:
    """Choose a playbook for each incident; return the row of its state at the time, -1 for none."""
    if not playbooks["playbook"].size or not server.size:
        return np.full(server.size, -1)
    firsts = np.flatnonzero(np.diff(playbooks["playbook"], prepend=-1))
    owner = playbooks["server"][firsts]
    first, n_owned = np.searchsorted(owner, server), np.bincount(owner, minlength=servers["server"].size)[server]
    chosen = np.minimum(first + (rng.random(server.size) * n_owned).astype(np.int64), firsts.size - 1)
    # Both are ranks among all moments, so that a playbook and a moment make one integer that cannot overflow.
    moments = np.unique(playbooks["time_us"])
    history = playbooks["playbook"] * (moments.size + 1) + np.searchsorted(moments, playbooks["time_us"], "right")
    wanted = chosen * (moments.size + 1) + np.searchsorted(moments, start, "right")
    row = np.searchsorted(history, wanted, "right") - 1
    fits = (n_owned > 0) & (row >= 0)
    fits &= (playbooks["playbook"][row] == chosen) & (playbooks["action"][row] != PLAYBOOK_DELETE)
    return np.where(fits, row, -1)


def incident_events(rng: np.random.Generator, plan: Plan, servers: Columns, cases: Columns) -> tuple[Columns, Integers]:
    """Let every incident run; return its events in order of case and time, and how long people work in each."""
    path, life = _path(rng, plan.parameters, cases, plan.window_us[1])
    touches = [_touches(rng, cases, life, plan.parameters.commander_changes, CHANGE_COMMANDER)]
    if any(plan.has_status):
        touches.append(_touches(rng, cases, life, TIMELINE_POSTS, TIMELINE))
        touches.append(_touches(rng, cases, life, TABS_CLICKED, FRONTEND))
    events = concatenate([path, *touches])
    events = take(events, np.lexsort((events["time_us"], events["case"])))
    moved = events["stage"] >= 0
    latest = np.maximum.accumulate(np.where(moved, np.arange(moved.size), 0))
    events["stage"], events["is_active"] = events["stage"][latest], events["is_active"][latest]
    events = take(events, events["is_active"] | (events["action"] != CHANGE_COMMANDER))
    case = events["case"]
    events["time_us"] = _apart(case, events["time_us"], cases["start_us"])
    version = version_at(servers, cases["server"][case], events["time_us"])
    events["has_status"] = np.array(plan.has_status)[version]
    # Only versions that have a status send these.
    events = take(events, events["has_status"] | ~np.isin(events["action"], (TIMELINE, FRONTEND)))
    case = events["case"]
    n_users = servers["n_users"][cases["server"][case]]
    changed = events["action"] == CHANGE_COMMANDER
    step = np.where(changed, 1 + (rng.random(case.size) * (n_users - 1)).astype(np.int64), 0)
    commander = (cases["commander"][case] + sum_in_group(step, case)) % n_users
    other = (commander + 1 + (rng.random(case.size) * (n_users - 1)).astype(np.int64)) % n_users
    acts = (events["action"] == CREATE) | (rng.random(case.size) < COMMANDER_ACTS_SHARE)
    events["commander"] = commander
    events["user"] = np.where(acts, commander, other)
    return events, life


def _path(rng: np.random.Generator, parameters: Parameters, cases: Columns, until_us: int) -> tuple[Columns, Integers]:
    now, last_stage = cases["start_us"].copy(), np.maximum(cases["num_checklists"] - 1, 0)
    stage = np.zeros(now.size, dtype=np.int64)
    is_open = np.ones(now.size, dtype=bool)
    never_ends = rng.random(now.size) < parameters.never_end_share
    life = np.zeros(now.size, dtype=np.int64)
    busy = np.arange(now.size)
    steps = [_step(busy, now, np.full(now.size, CREATE), stage, is_open)]
    for _ in range(MOST_STEPS):
        if not busy.size:
            break
        opened = is_open[busy]
        median = np.where(opened, cases["median_us"][busy], CLOSED_MEDIAN_US)
        wait = median * np.exp(rng.normal(0, parameters.dwell_sigma, busy.size))
        now[busy] += np.clip(wait, 2 * SECOND_US, SPAN_US).astype(np.int64)
        action, target = _choose(rng, parameters, stage[busy], last_stage[busy], opened)
        abandoned = opened & (action == END) & never_ends[busy]
        in_time = (now[busy] < until_us) & (now[busy] - cases["start_us"][busy] < LIFE_US)
        worked = np.clip(np.minimum(now[busy], until_us) - cases["start_us"][busy], 0, LIFE_US)
        life[busy] = np.where(opened, worked, life[busy])
        goes_on = in_time & ~abandoned & (action >= 0)
        busy, action = busy[goes_on], action[goes_on]
        stage[busy] = target[goes_on]
        is_open[busy] = (is_open[busy] | (action == RESTART)) & (action != END)
        steps.append(_step(busy, now, action, stage, is_open))
    return concatenate(steps), life


def _step(busy: Integers, now: Integers, action: Integers, stage: Integers, is_open: Flags) -> Columns:
    return {"case": busy, "time_us": now[busy], "action": action, "stage": stage[busy], "is_active": is_open[busy]}


def _choose(
    rng: np.random.Generator, parameters: Parameters, stage: Integers, last_stage: Integers, opened: Flags
) -> tuple[Integers, Integers]:
    """Choose what happens next, -1 for nothing more, and the stage it leads to."""
    draw = rng.random(stage.size)
    back = (draw < parameters.back_share) & (stage > 0)
    skip_until = parameters.back_share + parameters.skip_share
    skip = ~back & (draw < skip_until) & (stage + 1 < last_stage)
    early = (draw >= skip_until) & (draw < skip_until + parameters.early_end_share)
    ends = ~back & ~skip & (early | (stage >= last_stage))
    earlier = (rng.random(stage.size) * stage).astype(np.int64)
    forward = np.where(back, earlier, stage + 1 + skip)
    restarts = draw < parameters.restart_share
    moves = ~restarts & (draw < parameters.restart_share + parameters.closed_move_share) & (last_stage > 0)
    away = (stage + 1 + (rng.random(stage.size) * last_stage).astype(np.int64)) % (last_stage + 1)
    open_action = np.where(ends, END, CHANGE_STAGE)
    closed_action = np.where(restarts, RESTART, np.where(moves, CHANGE_STAGE, -1))
    open_target, closed_target = np.where(ends, stage, forward), np.where(moves, away, stage)
    return np.where(opened, open_action, closed_action), np.where(opened, open_target, closed_target)


def _touches(rng: np.random.Generator, cases: Columns, life: Integers, mean: float, action: int) -> Columns:
    """Draw events that leave the incident in its stage, evenly spread over its life."""
    case = np.repeat(cases["case"], rng.poisson(mean, life.size))
    time = cases["start_us"][case] + SECOND_US + (rng.random(case.size) * life[case]).astype(np.int64)
    unknown = np.full(case.size, -1, dtype=np.int64)
    return {
        "case": case,
        "time_us": time,
        "action": np.full(case.size, action),
        "stage": unknown,
        "is_active": unknown < 0,
    }


def _apart(case: Integers, time_us: Integers, start_us: Integers) -> Integers:
    """Move the events of a case apart by a second at least, in their order: one person clicks after another."""
    delay = number_in_group(case) * SECOND_US
    since = sort_key(case, time_us - start_us[case] - delay)
    return np.maximum.accumulate(since) % SPAN_US + delay + start_us[case]


def task_events(rng: np.random.Generator, plan: Plan, servers: Columns, cases: Columns, incidents: Columns) -> Columns:
    """Let people work on the tasks of every incident, a little longer than its ``life_us``."""
    parameters, life = plan.parameters, cases["life_us"]
    n_added = rng.poisson(TASKS_ADDED, life.size)
    case = np.repeat(cases["case"], cases["items"] + n_added)
    added = number_in_group(case) >= cases["items"][case]
    start, until = cases["start_us"][case], life[case] * 1.03 + 60 * SECOND_US
    born = start + np.where(added, SECOND_US + rng.random(case.size) * life[case], 0).astype(np.int64)

    def between(low: Integers, high: Integers) -> Integers:
        within: Integers = (rng.random(case.size) * np.maximum(high - low, 1)).astype(np.int64)
        return low + within

    def happens(share: float) -> Flags:
        return rng.random(case.size) < share

    end = start + until.astype(np.int64)
    gone = np.where(happens(REMOVED_SHARE), between(born, end), end + DAY_US)
    done = happens(parameters.task_done_share)
    done_at = between(born, end)
    begun = np.where(done, happens(PROGRESS_SHARE), happens(ABANDONED_SHARE))
    begun_at = between(born, done_at)
    reopened = done & happens(parameters.task_reopened_share)
    reopened_at = between(done_at, end)
    redone = reopened & happens(REDONE_SHARE)
    changes = [
        (begun, begun_at, IN_PROGRESS),
        (done, done_at, DONE),
        (reopened, reopened_at, OPEN),
        (redone, between(reopened_at, end), DONE),
    ]
    parts: list[Columns] = []
    assigned = happens(ASSIGNED_SHARE)
    for occurs, when, state in changes:
        rows = np.flatnonzero(occurs)
        completer = _completers(rng, plan, servers, cases["server"][case[rows]], when[rows])
        was_assignee = (completer == 1) | (completer == 2)  # noqa: PLR2004 - positions in COMPLETERS
        assigned[rows] |= was_assignee
        parts.append(_task_rows(rows, case, when, CHANGE_STATE, state=state, was_commander=completer % 2 == 0)
                     | {"was_assignee": was_assignee})  # fmt: skip
    first_change = np.where(begun, begun_at, np.where(done, done_at, end))
    others = [
        (assigned, between(born, first_change), ASSIGN),
        (added, born, ADD),
        (happens(RENAMED_SHARE), between(born, end), RENAME),
        (happens(MOVED_SHARE), between(born, end), MOVE),
        (happens(SLASH_SHARE), between(born, end), SLASH_COMMAND),
    ]
    parts += [_task_rows(np.flatnonzero(occurs), case, when, action) for occurs, when, action in others]
    parts = [take(part, part["time_us"] < gone[part["task"]]) for part in parts]
    parts.append(_task_rows(np.flatnonzero(gone <= end), case, gone, REMOVE))
    events = concatenate(parts)
    events["user"], events["commander"] = _actors(rng, servers, cases, incidents, events)
    return events


def _task_rows(
    rows: Integers,
    case: Integers,
    when: Integers,
    action: int,
    *,
    state: int = NO_STATE,
    was_commander: Flags | None = None,
) -> Columns:
    no = np.zeros(rows.size, dtype=bool)
    return {
        "task": rows,
        "case": case[rows],
        "time_us": when[rows],
        "action": np.full(rows.size, action),
        "new_state": np.full(rows.size, state),
        "was_commander": no if was_commander is None else was_commander,
        "was_assignee": no,
    }


def _completers(rng: np.random.Generator, plan: Plan, servers: Columns, server: Integers, when: Integers) -> Integers:
    """Draw who changes a state: a position in ``COMPLETERS``, by the shares of the server and the effect."""
    shares = servers["completer_shares"][server]
    affected = is_affected(plan, servers, server, when)
    effect = plan.parameters.effect
    shift = effect.commander_shift if effect else 0.0
    commander = np.clip(shares[:, 0] + np.where(affected, shift, 0.0), 0, 1)
    rest = np.cumsum(np.maximum(shares[:, 1:], np.finfo(float).tiny), axis=1)
    thresholds = commander[:, None] + rest / rest[:, -1:] * (1 - commander[:, None])
    draw = rng.random(server.size)[:, None]
    return np.where(draw[:, 0] < commander, 0, 1 + (draw >= thresholds[:, :-1]).sum(axis=1))


def _actors(
    rng: np.random.Generator, servers: Columns, cases: Columns, incidents: Columns, events: Columns
) -> tuple[Integers, Integers]:
    """Choose who acts, so that it is the commander of the moment exactly where the event says so."""
    case = events["case"]
    start = cases["start_us"]
    history = sort_key(incidents["case"], incidents["time_us"] - start[incidents["case"]])
    wanted = sort_key(case, events["time_us"] - start[case])
    commander = incidents["commander"][np.searchsorted(history, wanted, "right") - 1]
    n_users = servers["n_users"][cases["server"][case]]
    other = (commander + 1 + (rng.random(case.size) * (n_users - 1)).astype(np.int64)) % n_users
    anybody = (events["action"] != CHANGE_STATE) & (rng.random(case.size) < COMMANDER_ACTS_SHARE)
    return np.where(events["was_commander"] | anybody, commander, other), commander


def items_at(cases: Columns, incidents: Columns, tasks: Columns) -> Integers:
    """Return how many tasks each incident has at each of its events."""
    start = cases["start_us"]
    wanted = sort_key(incidents["case"], incidents["time_us"] - start[incidents["case"]])
    first = first_of_group(incidents["case"])
    total = cases["items"][incidents["case"]].copy()
    for action, sign in ((ADD, 1), (REMOVE, -1)):
        rows = tasks["action"] == action
        case = tasks["case"][rows]
        moments = np.sort(sort_key(case, tasks["time_us"][rows] - start[case]))
        seen = np.searchsorted(moments, wanted, "right")
        total += sign * (seen - seen[first])
    return total
