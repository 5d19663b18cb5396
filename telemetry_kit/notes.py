"""What was kept but deserves a look: oddities of single events, and signs that events were lost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from telemetry_kit import engine, schemas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from telemetry_kit.schemas import EventType

Finding = tuple[str, str | None, str | None, int]
_VERSION = re.compile(r"v?\d+\.\d+(\.\d+)?([-+.][0-9A-Za-z.+-]*)?")
_ID_FORM = r"[a-z0-9]{26}"


def find_notes(incident: pd.DataFrame, tasks: pd.DataFrame, playbook: pd.DataFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """Return the findings of a log, one row per finding.

    Returns
    -------
    pandas.DataFrame
        ``finding`` (what it is), ``event_type`` (null where it belongs to none), ``detail`` (the name, value or server
        it is about) and ``n`` (how many events).
    """
    frames: dict[EventType, pd.DataFrame] = {"incident": incident, "tasks": tasks, "playbook": playbook}
    rows: list[Finding] = list(seen.itertuples(index=False, name=None))
    for kind, frame in frames.items():
        rows += _of_single_events(kind, frame)
    rows += _eras(frames)
    rows += _contradictions(incident, tasks)
    table = pd.DataFrame(rows, columns=["finding", "event_type", "detail", "n"])
    return table.astype({"finding": "str", "event_type": "str", "detail": "str", "n": "int64"})


def _of_single_events(kind: EventType, frame: pd.DataFrame) -> Iterator[Finding]:
    for action, n in _counts(frame["action"]):
        if action not in schemas.ACTIONS[kind]:
            yield "unknown action", kind, action, n
    given = frame["original_timestamp"].notna()
    differs = int((given & (frame["original_timestamp"] != frame["event_timestamp"])).sum())
    if differs:
        yield "timestamps differ", kind, "event_timestamp and original_timestamp", differs
    for field in schemas.fields_of(kind):
        if field.is_id:
            given_ids = frame[field.column].dropna()
            n = int((~given_ids.str.fullmatch(_ID_FORM)).sum())
            if n:
                yield "id of unusual form", kind, field.column, n
    for column in ("plugin_version", "server_version"):
        for version, n in _counts(frame[column]):
            if not _VERSION.fullmatch(version):
                yield "version that does not parse", kind, f"{column} {version[:64]}", n


def _counts(column: pd.Series) -> list[tuple[str, int]]:
    counted = column.value_counts(sort=False)
    return [(str(value), int(n)) for value, n in counted.items() if n]


def _eras(frames: dict[EventType, pd.DataFrame]) -> Iterator[Finding]:
    """Tell the eras where there is more than one: staged incidents, and incidents that have a status instead."""
    incident = frames["incident"]
    staged, with_status = int(incident["active_stage"].notna().sum()), int(incident["current_status"].notna().sum())
    if staged and with_status:
        yield "eras mixed", "incident", "with a stage (up to v1.2)", staged
        yield "eras mixed", "incident", "with a status (from v1.3)", with_status


def _contradictions(incident: pd.DataFrame, tasks: pd.DataFrame) -> Iterator[Finding]:
    """Tell, by server, events that contradict what came before them: something between was probably lost."""
    keys = ["server_id", "incident_id"]
    before = incident.groupby(keys, sort=False, observed=True)[["active_stage", "is_active"]].shift()
    same_stage = (incident["action"] == "change_stage") & (incident["active_stage"] == before["active_stage"])
    restarted_open = (incident["action"] == "restart") & before["is_active"]
    skipped_restart = (
        incident["is_active"] & ~before["is_active"].fillna(value=True) & (incident["action"] != "restart")
    )
    ended_closed = (incident["action"] == "end") & ~before["is_active"].fillna(value=True)
    yield from _by_server("stage change to the same stage", "incident", incident, same_stage)
    yield from _by_server("restart of an open incident", "incident", incident, restarted_open)
    yield from _by_server("open again without a restart", "incident", incident, skipped_restart)
    yield from _by_server("end of a closed incident", "incident", incident, ended_closed)
    created = incident[incident["action"] == "create"].groupby(keys, observed=True)["event_timestamp"].min()
    starts = tasks[keys].merge(created.rename("created").reset_index(), on=keys, how="left")["created"]
    early = tasks["event_timestamp"] < starts.set_axis(tasks.index)
    yield from _by_server("task event before the incident's create", "tasks", tasks, early)
    begun = incident.drop_duplicates(keys)
    unseen = ~tasks.set_index(keys).index.isin(begun.set_index(keys).index)
    yield from _by_server(
        "task event of an incident that was never recorded", "tasks", tasks, pd.Series(unseen, tasks.index)
    )


def _by_server(finding: str, kind: str, frame: pd.DataFrame, holds: pd.Series) -> Iterator[Finding]:
    chosen = frame.loc[holds.fillna(value=False).astype(bool), "server_id"].value_counts()
    for server in sorted(chosen.index, key=schemas.natural_key):
        yield finding, kind, f"server {server}", int(chosen[server])
