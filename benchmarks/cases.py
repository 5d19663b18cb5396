"""Incident events for process mining tools, which have an environment of their own, without telemetry_kit."""

from __future__ import annotations

import pandas as pd


def read_incidents(store: str) -> pd.DataFrame:
    """Read the incident events of a store."""
    return pd.read_parquet(f"{store}/incident.parquet")


def as_cases(incidents: pd.DataFrame) -> pd.DataFrame:
    """Turn incident events into what these tools read: one column for the case, one for the activity."""
    events = incidents.dropna(subset="active_stage")
    return pd.DataFrame(
        {
            "case": (events["server_id"] + "/" + events["incident_id"]).astype(object),
            "activity": ("stage " + events["active_stage"].astype(int).astype(str)).astype(object),
            "timestamp": events["event_timestamp"].dt.tz_localize(None).astype("datetime64[ns]"),
        }
    )


def performance_graph(incidents: pd.DataFrame) -> tuple[object, ...]:
    """Discover mean times between consecutive events of a case, by their stages, with pm4py."""
    import pm4py

    log = pm4py.format_dataframe(
        as_cases(incidents), case_id="case", activity_key="activity", timestamp_key="timestamp"
    )
    graph: tuple[object, ...] = pm4py.discover_performance_dfg(log)
    return graph


def funnel(incidents: pd.DataFrame) -> pd.DataFrame:
    """Count how many cases come to each stage after all stages before it, with retentioneering."""
    from retentioneering import Eventstream

    events = as_cases(incidents)
    schema = {"path_cols": ["case"], "event_col": "activity", "timestamp_col": "timestamp"}
    return Eventstream(events, schema=schema).funnel_data(steps=sorted(events["activity"].unique()))
