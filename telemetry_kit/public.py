"""The public names of the package, which has them from here when one is asked for."""

from typing import TYPE_CHECKING

from telemetry_kit import errors, schemas
from telemetry_kit.analyses.flow import add_local_time, incident_flow, load_by_hour, out_of_hours
from telemetry_kit.analyses.periods import add_period, latest_periods, list_periods
from telemetry_kit.analyses.playbooks import (
    compare_playbook_sizes,
    incident_sizes,
    playbook_ecdf,
    playbook_growth,
    playbook_histories,
    playbook_sizes,
    playbook_sizes_over_time,
    playbook_snapshot,
    playbook_usage,
    playbook_weightings,
)
from telemetry_kit.analyses.servers import (
    attach_groups,
    attach_license,
    decompose_difference,
    fold_small_groups,
    headline_sensitivity,
    observed_until,
    process_chart,
    recording_eras,
    server_activity,
    server_deviation,
    server_lifecycle,
    server_overview,
    server_retention,
    version_adoption,
    versions_in_use,
    warehouse_metrics,
)
from telemetry_kit.analyses.stages import (
    compare_durations,
    compare_dwell,
    compare_funnel,
    incident_durations,
    incident_survival,
    last_stage_reached,
    stage_arrivals,
    stage_dwell,
    stage_exits,
    stage_funnel,
    stage_occupancy,
    stage_rework,
    stage_survival,
    stage_transitions,
    stage_visits,
    status_visits,
    time_to_end,
    time_to_stage,
    visit_counts,
)
from telemetry_kit.analyses.tasks import (
    commander_vs_assignee,
    compare_completion,
    completion_times,
    detectable_difference,
    open_task_bounds,
    task_completion,
    task_reopening,
    tasks_by_stage,
    time_to_completion,
)
from telemetry_kit.eventlog.bundled import notebooks, samples
from telemetry_kit.eventlog.convert import convert_events
from telemetry_kit.eventlog.frames import filter_incidents, n_distinct, persist, to_pandas
from telemetry_kit.eventlog.load import load_events, load_incidents, load_playbooks, load_tasks
from telemetry_kit.eventlog.log import EventLog
from telemetry_kit.eventlog.scan import scan_events
from telemetry_kit.eventlog.warehouse import open_warehouse
from telemetry_kit.reports import sentences

if TYPE_CHECKING:
    from telemetry_kit import plots  # noqa: TC004 - plots are imported by themselves, when asked for

__all__ = ["errors", "plots", "schemas", "sentences"]
# Events.
__all__ += [
    "EventLog",
    "convert_events",
    "filter_incidents",
    "load_events",
    "load_incidents",
    "load_playbooks",
    "load_tasks",
    "n_distinct",
    "notebooks",
    "open_warehouse",
    "persist",
    "samples",
    "scan_events",
    "to_pandas",
]
# Flow.
__all__ += [
    "add_local_time",
    "incident_flow",
    "load_by_hour",
    "out_of_hours",
]
# Stages.
__all__ += [
    "compare_durations",
    "compare_dwell",
    "compare_funnel",
    "incident_durations",
    "incident_survival",
    "last_stage_reached",
    "stage_arrivals",
    "stage_dwell",
    "stage_exits",
    "stage_funnel",
    "stage_occupancy",
    "stage_rework",
    "stage_survival",
    "stage_transitions",
    "stage_visits",
    "status_visits",
    "time_to_end",
    "time_to_stage",
    "visit_counts",
]
# Tasks.
__all__ += [
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
# Playbooks.
__all__ += [
    "compare_playbook_sizes",
    "incident_sizes",
    "playbook_ecdf",
    "playbook_growth",
    "playbook_histories",
    "playbook_sizes",
    "playbook_sizes_over_time",
    "playbook_snapshot",
    "playbook_usage",
    "playbook_weightings",
]
# Periods.
__all__ += [
    "add_period",
    "latest_periods",
    "list_periods",
]
# Servers.
__all__ += [
    "attach_groups",
    "attach_license",
    "decompose_difference",
    "fold_small_groups",
    "headline_sensitivity",
    "observed_until",
    "process_chart",
    "recording_eras",
    "server_activity",
    "server_deviation",
    "server_lifecycle",
    "server_overview",
    "server_retention",
    "version_adoption",
    "versions_in_use",
    "warehouse_metrics",
]
