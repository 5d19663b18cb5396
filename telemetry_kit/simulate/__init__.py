"""Events whose truth is known, as the plugin, its client and the pipeline would have written them."""

from telemetry_kit.simulate.parameters import Effect, Faults, Parameters, parse_faults
from telemetry_kit.simulate.truth import Simulation, read_truth
from telemetry_kit.simulate.write import simulate_log, write_simulation

__all__ = [
    "Effect",
    "Faults",
    "Parameters",
    "Simulation",
    "parse_faults",
    "read_truth",
    "simulate_log",
    "write_simulation",
]
