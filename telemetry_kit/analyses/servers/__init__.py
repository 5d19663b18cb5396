"""What is known of servers: how active they are, which versions they run, under which licence."""

from telemetry_kit.analyses.servers.activity import server_activity
from telemetry_kit.analyses.servers.licenses import attach_license
from telemetry_kit.analyses.servers.overview import server_overview
from telemetry_kit.analyses.servers.versions import version_adoption, versions_in_use
from telemetry_kit.analyses.servers.warehouse import warehouse_metrics

__all__ = [
    "attach_license",
    "server_activity",
    "server_overview",
    "version_adoption",
    "versions_in_use",
    "warehouse_metrics",
]
