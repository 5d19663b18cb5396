"""Events whose truth is known, as the plugin, its client and the pipeline would have written them."""

from telemetry_kit.simulate.parameters import Effect, Faults, Parameters, parse_faults
from telemetry_kit.simulate.write import write_simulation

__all__ = ["Effect", "Faults", "Parameters", "parse_faults", "write_simulation"]
