"""What is known of tasks: who completes and reopens them, in which stage, how soon, and how many can be left."""

from telemetry_kit.analyses.tasks.bounds import open_task_bounds
from telemetry_kit.analyses.tasks.comparison import compare_completion
from telemetry_kit.analyses.tasks.completion import commander_vs_assignee, task_completion, task_reopening
from telemetry_kit.analyses.tasks.power import detectable_difference
from telemetry_kit.analyses.tasks.stages import tasks_by_stage
from telemetry_kit.analyses.tasks.times import completion_times, time_to_completion

__all__ = [
    "commander_vs_assignee",
    "compare_completion",
    "completion_times",
    "detectable_difference",
    "open_task_bounds",
    "task_completion",
    "task_reopening",
    "tasks_by_stage",
    "time_to_completion",
]
