"""What was kept but deserves a look: oddities of single events, and signs that events were lost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from telemetry_kit import schemas
from telemetry_kit.contradictions import find_contradictions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemetry_kit.schemas import EventType

Finding = tuple[str, str | None, str | None, int]
_COLUMNS = ["finding", "event_type", "detail", "n"]
_SHOWN = 64
_VERSION = re.compile(r"v?\d+\.\d+(\.\d+)?([-+.][0-9A-Za-z.+-]*)?")
_ID_FORM = r"[a-z0-9]{26}"


def find_notes(incident: pd.DataFrame, tasks: pd.DataFrame, playbook: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """Return the findings of a log, one row per finding.

    Returns
    -------
    pandas.DataFrame
        ``finding`` (what it is), ``event_type`` (null where it belongs to none), ``detail`` (the name, value or server
        it is about) and ``n`` (how many events). ``events probably lost, at least`` counts by server what must be
        missing for the events to contradict each other as they do.
    """
    frames: dict[EventType, pd.DataFrame] = {"incident": incident, "tasks": tasks, "playbook": playbook}
    rows: list[Finding] = list(seen.itertuples(index=False, name=None))
    for kind, frame in frames.items():
        rows += _of_single_events(kind, frame)
    rows += _of_incident_events(incident)
    contradictions = find_contradictions(incident, tasks)
    contradictions["detail"] = "server " + contradictions["server_id"].astype("str")
    lost = contradictions.groupby("server_id", as_index=False).agg(detail=("detail", "first"), n=("n_lost", "sum"))
    lost = lost[lost["n"] > 0].assign(finding="events probably lost, at least", event_type=None)
    table = pd.concat([pd.DataFrame(rows, columns=_COLUMNS), contradictions[_COLUMNS], lost[_COLUMNS]])
    return table.astype({"finding": "str", "event_type": "str", "detail": "str", "n": "int64"}).reset_index(drop=True)


def _of_single_events(kind: EventType, frame: pd.DataFrame) -> Iterator[Finding]:
    for action, n in _counts(frame["action"]):
        if action not in schemas.ACTIONS[kind]:
            yield "unknown action", kind, action[:_SHOWN], n
    differs = (frame["original_timestamp"].notna() & (frame["original_timestamp"] != frame["event_timestamp"])).sum()
    if differs:
        yield "timestamps differ", kind, "event_timestamp and original_timestamp", int(differs)
    for field in schemas.fields_of(kind):
        if field.is_id:
            given = frame[field.column].dropna()
            n = int((~given.str.fullmatch(_ID_FORM)).sum())
            if n:
                yield "id of unusual form", kind, field.column, n
    for column in ("plugin_version", "server_version"):
        for version, n in _counts(frame[column]):
            if not _VERSION.fullmatch(version):
                yield "version that does not parse", kind, f"{column} {version[:_SHOWN]}", n


def _of_incident_events(incident: pd.DataFrame) -> Iterator[Finding]:
    # Up to v1.2 incidents have a stage, from v1.3 on a status instead.
    n_staged, n_with_status = (int(incident[column].notna().sum()) for column in ("active_stage", "current_status"))
    if n_staged and n_with_status:
        yield "eras mixed", "incident", "with a stage (up to v1.2)", n_staged
        yield "eras mixed", "incident", "with a status (from v1.3)", n_with_status
    n_early = int((incident["created_at"] > incident["event_timestamp"]).sum())
    if n_early:
        yield "event before its incident was created", "incident", "created_at", n_early
    has_stages = incident["num_checklists"] > 0
    n_beyond = int((has_stages & (incident["active_stage"] >= incident["num_checklists"]).fillna(value=False)).sum())
    if n_beyond:
        yield "stage beyond the number of stages", "incident", "active_stage", n_beyond


def _counts(column: pd.Series) -> list[tuple[str, int]]:
    counted = column.value_counts(sort=False)
    return [(str(value), int(n)) for value, n in counted.items() if n]
