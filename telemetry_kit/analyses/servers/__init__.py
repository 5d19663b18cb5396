"""What is known of servers: how active they are, which versions they run, under which licence."""

from telemetry_kit.analyses.servers.activity import server_activity
from telemetry_kit.analyses.servers.decomposition import decompose_difference
from telemetry_kit.analyses.servers.deviation import server_deviation
from telemetry_kit.analyses.servers.eras import recording_eras
from telemetry_kit.analyses.servers.folding import fold_small_groups
from telemetry_kit.analyses.servers.groups import attach_groups
from telemetry_kit.analyses.servers.licenses import attach_license
from telemetry_kit.analyses.servers.lifecycle import server_lifecycle, server_retention
from telemetry_kit.analyses.servers.overview import server_overview
from telemetry_kit.analyses.servers.process import process_chart
from telemetry_kit.analyses.servers.sensitivity import headline_sensitivity
from telemetry_kit.analyses.servers.silence import observed_until
from telemetry_kit.analyses.servers.versions import version_adoption, versions_in_use
from telemetry_kit.analyses.servers.warehouse import warehouse_metrics

__all__ = [
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
