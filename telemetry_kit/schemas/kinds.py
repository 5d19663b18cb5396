"""Which kind of frame a frame is, told by its columns, and how each kind is made: for messages that say what next."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection


class Kind(NamedTuple):
    """A kind of frame: the columns that only it has, and the call that gives it."""

    columns: frozenset[str]
    made_by: str


# What is made of a kind has its columns too, and so comes before it. Names are those of the parameters.
KINDS = {
    "log": Kind(frozenset({"incident", "tasks", "playbook"}), "tk.load_events(source)"),
    "visits": Kind(frozenset({"stage", "entered_at", "dwell_s"}), "tk.stage_visits(incidents, cutoff=...)"),
    "durations": Kind(frozenset({"first_end_s", "n_ends"}), "tk.incident_durations(incidents, cutoff=...)"),
    "completions": Kind(frozenset({"completer", "elapsed_s"}), "tk.completion_times(tasks, incidents)"),
    "bounds": Kind(frozenset({"n_open_min", "n_open_max"}), "tk.open_task_bounds(tasks, incidents, cutoff=...)"),
    "histories": Kind(frozenset({"from_create", "is_deleted", "largest"}), "tk.playbook_histories(playbooks)"),
    "snapshot": Kind(frozenset({"first_seen_at", "num_members"}), "tk.playbook_snapshot(playbooks, as_of=...)"),
    "playbooks": Kind(frozenset({"action", "num_members"}), "tk.load_events(source).playbook"),
    "tasks": Kind(frozenset({"action", "was_commander"}), "tk.load_events(source).tasks"),
    "incidents": Kind(frozenset({"action", "active_stage"}), "tk.load_events(source).incident"),
}
# Frames of the second kind have all columns that the first needs, and would be counted as what they are not.
MISTAKEN = {
    "snapshot": ("playbooks", "the state of each playbook at one moment, not its events"),
    "playbooks": ("snapshot", "all events of playbooks, not only the state that they left"),
}


def kind_of(columns: Collection[str]) -> str | None:
    """Return the kind of a frame with these columns, by the name of the parameters that take it."""
    present = set(columns)
    return next((name for name, kind in KINDS.items() if kind.columns <= present), None)


def advice(parameter: str, columns: Collection[str]) -> str:
    """Return what a caller can do who passed a frame with these columns as a parameter that takes another."""
    given, wanted = kind_of(columns), KINDS.get(parameter)
    asked = f"did you pass {given}?" if given and given != parameter else ""
    made = f"Make {parameter} with {wanted.made_by}" if wanted else ""
    return f"{asked} {made}".strip()
