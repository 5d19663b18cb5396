"""What is known of playbooks: which there are at a moment, how large, and how they change."""

from telemetry_kit.playbooks.sizes import playbook_ecdf, playbook_sizes
from telemetry_kit.playbooks.states import playbook_snapshot

__all__ = ["playbook_ecdf", "playbook_sizes", "playbook_snapshot"]
