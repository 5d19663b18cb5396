"""What was kept but deserves a look: oddities of single events, and signs that events were lost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import pandas as pd

from telemetry_kit import engine, schemas
from telemetry_kit.engine.ordering import sort_rows
from telemetry_kit.ingest.contradictions import LOST_CREATE, find_contradictions
from telemetry_kit.schemas.fields import CREATE_WITHIN_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narwhals.stable.v2.typing import IntoFrame

    from telemetry_kit.schemas import EventType

Finding = tuple[str, str | None, str | None, int]
_COLUMNS = ["finding", "event_type", "detail", "n"]
_SHOWN = 64
_VERSION = re.compile(r"v?\d+\.\d+(\.\d+)?([-+.][0-9A-Za-z.+-]*)?")
_ID_FORM = "^[a-z0-9]{26}$"


def find_findings(incident: IntoFrame, tasks: IntoFrame, playbook: IntoFrame, seen: pd.DataFrame) -> pd.DataFrame:
    """Return the findings of a log, one row per finding.

    Returns
    -------
    pandas.DataFrame
        ``finding`` (what it is), ``event_type`` (null where it belongs to none), ``detail`` (the name, value or server
        it is about) and ``n`` (how many events). ``events probably lost, at least`` counts by server what must be
        missing for the events to contradict each other as they do.
    """
    frames: dict[EventType, IntoFrame] = {"incident": incident, "tasks": tasks, "playbook": playbook}
    rows: list[Finding] = list(seen.itertuples(index=False, name=None))
    opened = {
        kind: engine.open_frame(frame, schemas.columns_of(kind), parameter=kind) for kind, frame in frames.items()
    }
    for kind, events in opened.items():
        rows += _of_single_events(kind, events)
    rows += _of_incident_events(opened["incident"])
    contradictions = find_contradictions(incident, tasks)
    n_lost = int(contradictions.loc[contradictions["finding"] == LOST_CREATE, "n"].sum())
    n_begun = _count_without_create(opened["incident"]) - n_lost
    if n_begun > 0:
        rows.append(("incident begun before the recording", "incident", "no create, and none before is known", n_begun))
    contradictions["detail"] = "server " + contradictions["server_id"].astype("str")
    lost = contradictions.groupby("server_id", as_index=False).agg(detail=("detail", "first"), n=("n_lost", "sum"))
    lost = lost[lost["n"] > 0].assign(finding="events probably lost, at least", event_type=None)
    table = pd.concat([pd.DataFrame(rows, columns=_COLUMNS), contradictions[_COLUMNS], lost[_COLUMNS]])
    return table.astype({"finding": "str", "event_type": "str", "detail": "str", "n": "int64"}).reset_index(drop=True)


def _of_single_events(kind: EventType, events: nw.LazyFrame[Any]) -> Iterator[Finding]:
    values = _values(events, ["action", "plugin_version", "server_version"])
    for action, n in values["action"]:
        if action not in schemas.ACTIONS[kind]:
            yield "unknown action", kind, action[:_SHOWN], n
    ids = [field.column for field in schemas.fields_of(kind) if field.kind == "id" and field.column != "event_id"]
    is_odd = {f"odd {column}": ~nw.col(column).str.contains(_ID_FORM) for column in ids}
    differs = nw.col("original_timestamp") != nw.col("event_timestamp")
    counted = _count(events, {"differs": differs, **is_odd})
    if counted["differs"]:
        yield "timestamps differ", kind, "event_timestamp and original_timestamp", counted["differs"]
    for column in ids:
        if counted[f"odd {column}"]:
            yield "id of unusual form", kind, column, counted[f"odd {column}"]
    for column in ("plugin_version", "server_version"):
        for version, n in values[column]:
            if not _VERSION.fullmatch(version):
                yield "version that does not parse", kind, f"{column} {version[:_SHOWN]}", n


def _of_incident_events(incident: nw.LazyFrame[Any]) -> Iterator[Finding]:
    n = _count(
        incident,
        {
            "staged": ~nw.col("active_stage").is_null(),
            "with_status": ~nw.col("current_status").is_null(),
            "early": nw.col("created_at") > nw.col("event_timestamp"),
            "beyond": (nw.col("num_checklists") > 0) & (nw.col("active_stage") >= nw.col("num_checklists")),
        },
    )
    n_tied = _count_ties(incident)
    if n_tied:
        yield "incident events at one moment", "incident", "ordered by what they say, then by arrival", n_tied
    # Up to v1.2 incidents have a stage, from v1.3 on a status instead.
    if n["staged"] and n["with_status"]:
        yield "eras mixed", "incident", "with a stage (up to v1.2)", n["staged"]
        yield "eras mixed", "incident", "with a status (from v1.3)", n["with_status"]
    if n["early"]:
        yield "event before its incident was created", "incident", "created_at", n["early"]
    if n["beyond"]:
        yield "stage beyond the number of stages", "incident", "active_stage", n["beyond"]


def _count_ties(incident: nw.LazyFrame[Any]) -> int:
    """Count the events that share their time with another one of their incident."""
    times = engine.add_epoch_us(incident, _us="event_timestamp")
    shared = times.group_by("server_id", "incident_id", "_us").agg(n=nw.len()).filter(nw.col("n") > 1)
    return int(engine.collect(shared.select(nw.col("n").sum()))["n"].fillna(0).iloc[0])


def _count_without_create(incident: nw.LazyFrame[Any]) -> int:
    """Count the incidents whose create was not recorded."""
    times = engine.add_epoch_us(incident, _us="event_timestamp", _new_us="created_at")
    # Events of the published form have no action: the first comes right after the incident was created.
    is_new = nw.col("action").is_null() & (nw.col("_us") - nw.col("_new_us") <= CREATE_WITHIN_S * engine.MICROSECONDS)
    is_create = ((nw.col("action").cast(nw.String) == "create") | is_new).fill_null(value=False)
    flags = times.select("server_id", "incident_id", _is_create=nw.when(is_create).then(1).otherwise(0))
    begun = flags.group_by("server_id", "incident_id").agg(nw.col("_is_create").max()).filter(nw.col("_is_create") == 0)
    return int(engine.collect(begun.select(n=nw.len()))["n"].iloc[0])


def _values(events: nw.LazyFrame[Any], columns: list[str]) -> dict[str, list[tuple[str, int]]]:
    """Count the values of columns, each in their natural order; few combinations of them occur."""
    texts = events.select(*(nw.col(column).cast(nw.String) for column in columns))
    counted = engine.collect(texts.group_by(*columns).agg(n=nw.len()))
    values = {}
    for column in columns:
        added = sort_rows(counted.groupby(column)["n"].sum().reset_index(), [column])
        values[column] = list(zip(added[column], map(int, added["n"]), strict=True))
    return values


def _count(events: nw.LazyFrame[Any], conditions: dict[str, nw.Expr]) -> dict[str, int]:
    """Count the events for which each condition holds, all in one pass."""
    flags = {name: nw.when(holds.fill_null(value=False)).then(1).otherwise(0) for name, holds in conditions.items()}
    counted = engine.collect(events.select(**flags).select(nw.col(*flags).sum()))
    return {name: int(counted[name].fillna(0).iloc[0]) for name in flags}
