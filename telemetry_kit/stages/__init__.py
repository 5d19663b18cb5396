"""How incidents move through their stages: how far they get, how long each stage holds them, where they go back."""

from telemetry_kit.stages.dwell import stage_dwell, stage_survival
from telemetry_kit.stages.funnel import stage_funnel
from telemetry_kit.stages.transitions import stage_transitions
from telemetry_kit.stages.visits import stage_visits

__all__ = ["stage_dwell", "stage_funnel", "stage_survival", "stage_transitions", "stage_visits"]
