"""Sentences: a tidy table in, what it says in words out. A sentence computes nothing that its table does not say.

The first paragraph is a title. A superlative stands only where its interval lies apart from all others', a comparison
only where its interval excludes no difference; otherwise the sentence says that it is not enough to tell.
"""

from telemetry_kit.reports.sentences.comparisons import compared_shares
from telemetry_kit.reports.sentences.playbooks import playbook_growth, playbook_sizes
from telemetry_kit.reports.sentences.servers import incident_flow, rejected, server_activity, versions_in_use
from telemetry_kit.reports.sentences.stages import last_stage, stage_dwell, stage_funnel, stage_transitions, time_to_end
from telemetry_kit.reports.sentences.tasks import commander_vs_assignee, concentration, task_completion

__all__ = [
    "commander_vs_assignee",
    "compared_shares",
    "concentration",
    "incident_flow",
    "last_stage",
    "playbook_growth",
    "playbook_sizes",
    "rejected",
    "server_activity",
    "stage_dwell",
    "stage_funnel",
    "stage_transitions",
    "task_completion",
    "time_to_end",
    "versions_in_use",
]
