"""What lies before and after a period, in the SQL of Spark."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_kit import engine

if TYPE_CHECKING:
    import pandas as pd


def is_early(since: pd.Timestamp | None) -> str:
    """Return the condition by which an event is before a period."""
    return "false" if since is None else f"unix_micros(event_timestamp) < {engine.epoch_us(since)}"


def is_late(cutoff: pd.Timestamp) -> str:
    """Return the condition by which an event is after a period; without a cutoff, none is."""
    return "false" if cutoff is engine.NO_TIME else f"unix_micros(event_timestamp) > {engine.epoch_us(cutoff)}"
