"""Analysis of incident-response telemetry."""

from telemetry_kit import errors, plots, schemas
from telemetry_kit.eventlog import EventLog
from telemetry_kit.load import load_events
from telemetry_kit.places import notebooks, samples
from telemetry_kit.playbooks import (
    compare_playbook_sizes,
    playbook_ecdf,
    playbook_growth,
    playbook_histories,
    playbook_sizes,
    playbook_sizes_over_time,
    playbook_snapshot,
)
from telemetry_kit.servers import server_activity
from telemetry_kit.tasks import (
    commander_vs_assignee,
    completion_times,
    detectable_difference,
    open_task_bounds,
    task_completion,
    task_reopening,
    tasks_by_stage,
    time_to_completion,
)

__all__ = [
    "EventLog",
    "commander_vs_assignee",
    "compare_playbook_sizes",
    "completion_times",
    "detectable_difference",
    "errors",
    "load_events",
    "notebooks",
    "open_task_bounds",
    "playbook_ecdf",
    "playbook_growth",
    "playbook_histories",
    "playbook_sizes",
    "playbook_sizes_over_time",
    "playbook_snapshot",
    "plots",
    "samples",
    "schemas",
    "server_activity",
    "task_completion",
    "task_reopening",
    "tasks_by_stage",
    "time_to_completion",
]
