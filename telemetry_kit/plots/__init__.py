"""Pictures: a tidy table in, Matplotlib axes out. A picture computes nothing; it draws what its table says."""

from telemetry_kit.plots.comparisons import plot_comparison, plot_curve_comparison, plot_over_periods
from telemetry_kit.plots.flow import plot_incident_flow, plot_stage_exits, plot_stage_occupancy
from telemetry_kit.plots.hours import plot_load_by_hour
from telemetry_kit.plots.playbooks import plot_playbook_ecdf, plot_playbook_growth, plot_playbook_sizes
from telemetry_kit.plots.servers import plot_server_activity, plot_server_retention, plot_versions
from telemetry_kit.plots.signals import plot_decomposition, plot_process_chart, plot_server_deviation
from telemetry_kit.plots.stages import plot_stage_dwell, plot_stage_funnel, plot_stage_transitions
from telemetry_kit.plots.survival import plot_incident_survival, plot_stage_arrivals, plot_stage_survival
from telemetry_kit.plots.tasks import (
    plot_commander_vs_assignee,
    plot_commander_vs_assignee_over_time,
    plot_completion_by_stage,
    plot_task_completion,
    plot_task_completion_over_time,
)
from telemetry_kit.plots.timelines import plot_incident_timelines

__all__ = [
    "plot_commander_vs_assignee",
    "plot_commander_vs_assignee_over_time",
    "plot_comparison",
    "plot_completion_by_stage",
    "plot_curve_comparison",
    "plot_decomposition",
    "plot_incident_flow",
    "plot_incident_survival",
    "plot_incident_timelines",
    "plot_load_by_hour",
    "plot_over_periods",
    "plot_playbook_ecdf",
    "plot_playbook_growth",
    "plot_playbook_sizes",
    "plot_process_chart",
    "plot_server_activity",
    "plot_server_deviation",
    "plot_server_retention",
    "plot_stage_arrivals",
    "plot_stage_dwell",
    "plot_stage_exits",
    "plot_stage_funnel",
    "plot_stage_occupancy",
    "plot_stage_survival",
    "plot_stage_transitions",
    "plot_task_completion",
    "plot_task_completion_over_time",
    "plot_versions",
]
