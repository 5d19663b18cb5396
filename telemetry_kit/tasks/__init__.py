"""What is known of tasks: who completes and reopens them, in which stage, how soon, and how many can be left."""

from telemetry_kit.tasks.completion import commander_vs_assignee, task_completion
from telemetry_kit.tasks.stages import tasks_by_stage

__all__ = ["commander_vs_assignee", "task_completion", "tasks_by_stage"]
