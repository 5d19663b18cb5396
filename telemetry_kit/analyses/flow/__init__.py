"""How incidents come and go: how many started, ended and were open, period by period; and at which hours."""

from telemetry_kit.analyses.flow.hours import add_local_time, load_by_hour, out_of_hours
from telemetry_kit.analyses.flow.incidents import incident_flow

__all__ = ["add_local_time", "incident_flow", "load_by_hour", "out_of_hours"]
