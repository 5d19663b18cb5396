"""Tables by stage of incidents that have a status: the status's name beside its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_kit import engine
from telemetry_kit.schemas import STATUSES

if TYPE_CHECKING:
    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

STATUS_COLUMNS = ("status", "next_status")
"""What visits have beside ``stage`` and ``next_stage`` where these are the places of statuses."""
N_VISITED = len(STATUSES) - 1
"""How many statuses have visits: all but the last, which is the end."""


def are_of_statuses(visits: IntoFrame) -> bool:
    """Tell whether visits are those of ``status_visits``."""
    present = engine.check_frame(visits, parameter="visits").collect_schema().names()
    return set(STATUS_COLUMNS) <= set(present)


def name_statuses(table: pd.DataFrame, visits: IntoFrame) -> pd.DataFrame:
    """Put ``status`` beside ``stage``, and ``next_status`` beside ``next_stage``, where visits are of statuses."""
    if not are_of_statuses(visits):
        return table
    names = dict(enumerate(STATUSES))
    for place, status in (("stage", "status"), ("next_stage", "next_status")):
        if place in table:
            named = table[place].map(names, na_action="ignore").astype("str")
            table.insert(list(table.columns).index(place) + 1, status, named)
    return table
