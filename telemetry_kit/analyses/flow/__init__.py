"""How incidents come and go: how many started, ended and were open, period by period."""

from telemetry_kit.analyses.flow.incidents import incident_flow

__all__ = ["incident_flow"]
