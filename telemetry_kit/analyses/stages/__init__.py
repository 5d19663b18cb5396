"""How incidents move through their stages: how far they get, how long each stage holds them, where they go back."""

from telemetry_kit.analyses.stages.arrivals import stage_arrivals, time_to_stage
from telemetry_kit.analyses.stages.changes import ATTRIBUTES, INCIDENT, NONE, OPEN, find_changes, is_open, open_events
from telemetry_kit.analyses.stages.counts import visit_counts
from telemetry_kit.analyses.stages.duration_comparison import compare_durations, compare_dwell
from telemetry_kit.analyses.stages.durations import incident_durations, incident_survival, time_to_end
from telemetry_kit.analyses.stages.dwell import stage_dwell, stage_survival
from telemetry_kit.analyses.stages.exits import stage_exits
from telemetry_kit.analyses.stages.funnel import stage_funnel
from telemetry_kit.analyses.stages.funnel_comparison import compare_funnel
from telemetry_kit.analyses.stages.last import last_stage_reached
from telemetry_kit.analyses.stages.occupancy import stage_occupancy
from telemetry_kit.analyses.stages.rework import stage_rework
from telemetry_kit.analyses.stages.transitions import stage_transitions
from telemetry_kit.analyses.stages.visits import stage_visits, status_visits

__all__ = [
    "ATTRIBUTES",
    "INCIDENT",
    "NONE",
    "OPEN",
    "compare_durations",
    "compare_dwell",
    "compare_funnel",
    "find_changes",
    "incident_durations",
    "incident_survival",
    "is_open",
    "last_stage_reached",
    "open_events",
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
