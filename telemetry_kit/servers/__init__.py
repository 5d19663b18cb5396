"""What is known of servers: how active they are, which versions they run, under which licence."""

from telemetry_kit.servers.activity import server_activity

__all__ = ["server_activity"]
