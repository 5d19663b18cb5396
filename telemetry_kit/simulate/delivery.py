"""What the client and the way to the gateway do to events: bodies, repeats, losses, delays and damage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from telemetry_kit import schemas
from telemetry_kit.engine import DAY_US
from telemetry_kit.simulate.columns import SECOND_US, concatenate, n_rows, number_in_group, take
from telemetry_kit.simulate.model import INCIDENT, PLAYBOOK, TASKS, UNKNOWN
from telemetry_kit.simulate.population import MAX_NODES, TICK_US

if TYPE_CHECKING:
    from telemetry_kit.simulate.columns import Columns, Flags, Integers
    from telemetry_kit.simulate.parameters import Faults, Plan

VALID, DUPLICATE, DAMAGED, OTHER_TYPE, LOST, PAUSED = range(6)
FATES = ("valid", "duplicate", "damaged", "other", "lost", "paused")
EXTRA_COPIES = (0.9, 0.08, 0.02)
FUTURE_US = 400 * DAY_US


@dataclass(frozen=True)
class Damage:
    """One kind of damage to a record.

    With a ``column``, its value arrives as the JSON in ``text`` (``AS_IT_IS``: unchanged, the value itself is wrong),
    or not at all where that is None. Without one, the
    whole line arrives as ``text``, or cut off where that is None.
    """

    name: str
    column: str | None
    text: str | None
    kinds: tuple[int, ...] = (INCIDENT, TASKS, PLAYBOOK)
    only_state_changes: bool = False


_SIZED = (INCIDENT, PLAYBOOK)
AS_IT_IS = ""
INVALID_BYTE = "\x1a"
"""Stands in text for a byte that no UTF-8 has; what writes the text puts that byte in its place."""

DAMAGE: tuple[Damage, ...] = (
    Damage("cut_off", None, None),
    Damage("not_an_object", None, "null"),
    Damage("not_json", None, "upstream request timeout"),
    Damage("invalid_utf8", None, f'{{"event":"{INVALID_BYTE}"}}'),
    Damage("word_for_count", "num_checklists", '"three"', _SIZED),
    Damage("fraction_for_count", "num_checklists", "2.5", _SIZED),
    Damage("negative_count", "total_checklist_items", "-3", _SIZED),
    Damage("beyond_64_bits", "total_checklist_items", "123456789012345678901", _SIZED),
    Damage("null_team", "team_id", "null", _SIZED),
    Damage("no_incident", "incident_id", None, (INCIDENT, TASKS)),
    Damage("nested_user", "user_actual_id", '{"id":"a"}'),
    Damage("empty_user", "user_actual_id", '""'),
    Damage("null_server", "server_id", "null"),
    Damage("null_type", "event_type", "null"),
    Damage("word_for_time", "event_timestamp", '"yesterday"'),
    Damage("no_stage", "active_stage", None, (INCIDENT,)),
    Damage("word_for_creation", "created_at", '"soon"', (INCIDENT,)),
    Damage("unknown_state", "new_state", '"finished"', (TASKS,), only_state_changes=True),
    Damage("word_for_flag", "was_commander", '"perhaps"', (TASKS,), only_state_changes=True),
    Damage("clock_ahead", "event_timestamp", AS_IT_IS),
)
"""Every kind of damage; ``clock_ahead`` dates an event to long after it was received, where the record tells."""
LINE_DAMAGE = tuple(n for n, damage in enumerate(DAMAGE) if damage.column is None)
CLOCK_AHEAD = len(DAMAGE) - 1


def deliver(rng: np.random.Generator, plan: Plan, servers: Columns, events: Columns, *, first_event: int) -> Columns:
    """Send the events of a batch of servers; return one row for each record that arrives or is lost on the way.

    Adds to the columns of ``events``: ``event`` (numbered from ``first_event``), ``body``, ``copy`` (0 for the first
    arrival), ``sent_us`` (by the node's clock), ``arrival_us``, ``fate``, ``damage`` (-1 for none), ``is_unlisted``
    (with an unknown property) and ``is_rewrapped`` (a copy in another body).
    """
    faults = plan.faults
    events = _with_unknown(rng, events, faults)
    local = events["server"] - servers["server"][0]
    node = local * MAX_NODES + events["node"]
    phase = servers["tick_us"].ravel()[node]
    tick = (events["clock_us"] - phase) // TICK_US + 1
    order = np.lexsort((events["clock_us"], tick, node))
    events = take(events, order)
    node, tick, phase = node[order], tick[order], phase[order]
    count = n_rows(events)
    events["event"] = first_event + np.arange(count)
    same = (np.diff(node, prepend=-1) == 0) & (np.diff(tick, prepend=-1) == 0)
    start = np.flatnonzero(~same)
    body = np.cumsum(~same) - 1
    events["body"] = events["event"][start][body]
    events["copy"] = np.zeros(count, dtype=np.int64)
    events["sent_us"] = tick * TICK_US + phase + (SECOND_US // 1000 + rng.integers(0, 300, start.size))[body]
    events["arrival_us"] = events["sent_us"] - (events["clock_us"] - events["time_us"])
    events["is_rewrapped"] = np.zeros(count, dtype=bool)
    events["is_unlisted"] = rng.random(count) < faults.unknown_property
    lost = (rng.random(start.size) < faults.lost)[body]
    repeats = np.where(rng.random(start.size) < faults.repeated, 1 + rng.choice(3, start.size, p=EXTRA_COPIES), 0)[body]
    repeats = np.where(lost | events["is_paused"], 0, repeats)
    late = (rng.random(start.size) < faults.late)[body]
    overtaken = (rng.random(start.size) < faults.out_of_order)[body]
    events["arrival_us"] += np.where(late, (rng.uniform(1 / 24, 4, start.size) * DAY_US).astype(np.int64)[body], 0)
    events["arrival_us"] += np.where(overtaken, rng.integers(10, 1200, start.size)[body] * SECOND_US, 0)
    events["damage"] = _damage(rng, plan, events, spared=lost | (repeats > 0) | events["is_paused"])
    ours = events["kind"] <= PLAYBOOK
    arrived = np.where(events["damage"] >= 0, DAMAGED, np.where(ours, VALID, OTHER_TYPE))
    events["fate"] = np.where(events["is_paused"], PAUSED, np.where(lost, LOST, arrived))
    return concatenate([events, _copies(rng, events, repeats)])


def _with_unknown(rng: np.random.Generator, events: Columns, faults: Faults) -> Columns:
    """Add records of an unknown type, each beside an event of the same person."""
    count = rng.binomial(n_rows(events), faults.unknown_type)
    unknown = take(events, np.sort(rng.integers(0, max(n_rows(events), 1), count)))
    unknown["kind"] = np.full(count, UNKNOWN)
    return concatenate([events, unknown])


def _copies(rng: np.random.Generator, events: Columns, repeats: Integers) -> Columns:
    """Repeat the rows whose body arrives again, each copy between half a minute and hours after the one before."""
    copies = take(events, np.repeat(np.arange(repeats.size), repeats))
    copies["copy"] = 1 + number_in_group(copies["event"])
    bodies, which = np.unique(copies["body"], return_inverse=True)
    wait = (30 * SECOND_US + rng.exponential(3600 * SECOND_US, (bodies.size, len(EXTRA_COPIES)))).astype(np.int64)
    copies["arrival_us"] = copies["arrival_us"] + np.cumsum(wait, axis=1)[which, copies["copy"] - 1]
    copies["is_rewrapped"] = (rng.random((bodies.size, len(EXTRA_COPIES))) < 1 / 2)[which, copies["copy"] - 1]
    copies["fate"] = np.where(copies["fate"] == VALID, DUPLICATE, copies["fate"])
    return copies


def _damage(rng: np.random.Generator, plan: Plan, events: Columns, *, spared: Flags) -> Integers:
    """Draw the damage to each record, -1 for none; in a batch body, damage to the line befalls all its events."""
    damage = np.full(n_rows(events), -1)
    hit = np.flatnonzero(~spared & (events["kind"] <= PLAYBOOK) & (rng.random(damage.size) < plan.faults.damaged))
    if not hit.size:
        return damage
    possible = _possible(plan, events, hit)
    nth = (rng.random(hit.size) * possible.sum(axis=1)).astype(np.int64)
    damage[hit] = np.argmax(np.cumsum(possible, axis=1) > nth[:, None], axis=1)
    if plan.container == "batch-bodies":
        to_line = np.where(np.isin(damage, LINE_DAMAGE), damage, -1)
        body = events["event"] - events["body"]
        first = np.arange(damage.size) - body
        worst = np.maximum.reduceat(to_line, np.unique(first))
        whole = worst[np.cumsum(body == 0) - 1]
        damage = np.where(whole >= 0, whole, damage)
    return damage


def _possible(plan: Plan, events: Columns, hit: Integers) -> Flags:
    """Return which kinds of damage can befall each of the records ``hit``, as a matrix."""
    possible = np.zeros((hit.size, len(DAMAGE)), dtype=bool)
    staged = {field.column for field in schemas.FIELDS if field.until_version is not None}
    has_status = np.array(plan.has_status)[events["version"][hit]]
    for column, damage in enumerate(DAMAGE):
        fits = np.isin(events["kind"][hit], damage.kinds)
        if damage.only_state_changes:
            fits &= events["new_state"][hit] >= 0
        if damage.column in staged:
            fits &= ~has_status
        possible[:, column] = fits & (column != CLOCK_AHEAD or plan.container != "published")
    return possible
