"""What is known of playbooks: which there are at a moment, how large they are, and how they change."""

from telemetry_kit.analyses.playbooks.comparison import compare_playbook_sizes
from telemetry_kit.analyses.playbooks.growth import playbook_growth, playbook_histories, playbook_sizes_over_time
from telemetry_kit.analyses.playbooks.runs import incident_sizes, playbook_weightings
from telemetry_kit.analyses.playbooks.sizes import playbook_ecdf, playbook_sizes
from telemetry_kit.analyses.playbooks.states import playbook_snapshot
from telemetry_kit.analyses.playbooks.usage import playbook_usage

__all__ = [
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
