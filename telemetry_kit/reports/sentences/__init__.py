"""Sentences: a tidy table in, what it says in words out. A sentence computes nothing that its table does not say.

The first paragraph is a title. A superlative stands only where its interval lies apart from all others', a comparison
only where its interval excludes no difference; otherwise the sentence says that it is not enough to tell.
"""

from telemetry_kit.reports.sentences.comparisons import changed, compared_shares, periods_compared
from telemetry_kit.reports.sentences.eras import recording_eras
from telemetry_kit.reports.sentences.playbooks import playbook_growth, playbook_sizes, playbook_usage
from telemetry_kit.reports.sentences.servers import (
    incident_flow,
    rejected,
    server_activity,
    server_lifecycle,
    versions_in_use,
)
from telemetry_kit.reports.sentences.stages import (
    ended_where,
    last_stage,
    stage_dwell,
    stage_funnel,
    stage_transitions,
    time_to_end,
)
from telemetry_kit.reports.sentences.tasks import commander_vs_assignee, concentration, task_completion
from telemetry_kit.reports.sentences.variation import decomposition, firmness, process_chart, server_deviation

__all__ = [
    "changed",
    "commander_vs_assignee",
    "compared_shares",
    "concentration",
    "decomposition",
    "ended_where",
    "firmness",
    "incident_flow",
    "last_stage",
    "periods_compared",
    "playbook_growth",
    "playbook_sizes",
    "playbook_usage",
    "process_chart",
    "recording_eras",
    "rejected",
    "server_activity",
    "server_deviation",
    "server_lifecycle",
    "stage_dwell",
    "stage_funnel",
    "stage_transitions",
    "task_completion",
    "time_to_end",
    "versions_in_use",
]
