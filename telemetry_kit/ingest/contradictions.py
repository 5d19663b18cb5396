"""Signs that events were lost: events of an incident that do not follow from those before them.

Each incident event tells where its incident stands afterwards, and each task event what it adds or removes. Where two
recorded events do not fit together, at least one between them is missing. Nothing here is proof: nodes of a server
whose clocks differ can put events in an order in which they did not happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import pandas as pd

from telemetry_kit import engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from narwhals.stable.v2.typing import IntoFrame

_CASE = ("server_id", "incident_id")
_TOLD = ("event_id", "event_timestamp", "action")
LOST_CREATE = "create that was never recorded"
_STATE = ("is_active", "active_stage", "commander_user_id")
_UNSEEN = "tasks added or removed unseen"
_EARLY = "task event before the incident's create"
_ORPHAN = "task event of an incident that was never recorded"
_OF_TASKS = (_UNSEEN, _EARLY, _ORPHAN)


def find_contradictions(incident: IntoFrame, tasks: IntoFrame) -> pd.DataFrame:
    """Return the contradictions between events, counted by server.

    Returns
    -------
    pandas.DataFrame
        ``finding`` (what does not follow), ``event_type``, ``server_id``, ``n`` (events), and ``n_lost`` (how many
        events at least are missing, 0 where none needs to be).
    """
    incidents = _open(incident, [*_TOLD, "created_at", "total_checklist_items", *_STATE], parameter="incident")
    changes = _open(tasks, _TOLD, parameter="tasks")
    tables = [
        _count(_steps(_walk(incidents, changes))),
        _count(_uncreated(incidents, changes)),
        _count(_out_of_place(incidents, changes), is_loss=False),
    ]
    return pd.concat(tables, ignore_index=True)


def _open(frame: IntoFrame, columns: Sequence[str], *, parameter: str) -> nw.LazyFrame[Any]:
    events = engine.open_frame(frame, [*_CASE, *columns], parameter=parameter, order="_order")
    times = {"_us": "event_timestamp"} | ({"_created_us": "created_at"} if "created_at" in columns else {})
    kept = [column for column in columns if column not in {"action", *times.values()}]
    return engine.add_epoch_us(events, **times).select(
        *_CASE, *kept, *times, "_order", action=nw.col("action").cast(nw.String)
    )


def _count(lost: nw.LazyFrame[Any], *, is_loss: bool = True) -> pd.DataFrame:
    """Count by server the events of a frame in which each column but ``server_id`` is a finding.

    A number other than 0 means that the finding holds of the event, and how many events must have been lost.
    """
    findings = [column for column in lost.columns if column != "server_id"]
    holds = {f"n {finding}": nw.when(nw.col(finding) != 0).then(1).otherwise(0) for finding in findings}
    added = engine.collect(lost.with_columns(**holds).group_by("server_id").agg(nw.col(*findings, *holds).sum()))
    added = added.sort_values("server_id")
    tables = [
        pd.DataFrame(
            {
                "finding": finding,
                "event_type": "tasks" if finding in _OF_TASKS else "incident",
                "server_id": added["server_id"],
                "n": added[f"n {finding}"].astype("int64"),
                "n_lost": added[finding].astype("int64") if is_loss else 0,
            }
        )
        for finding in findings
    ]
    table = pd.concat(tables)
    return table[table["n"] > 0]


def _one(holds: nw.Expr) -> nw.Expr:
    """Return 1 where a condition holds, and 0 where it does not or nobody knows."""
    return nw.when(holds.fill_null(value=False)).then(1).otherwise(0)


def _walk(incidents: nw.LazyFrame[Any], changes: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Put beside each incident event what the one before it of its incident said.

    That is the columns of ``_STATE`` under names with a line before them. ``_left`` is the number of tasks less those
    that task events have added up to then, and null where such an event does not tell what it did.
    """
    action = nw.col("action")
    added = nw.when(action == "add_task").then(1).when(action == "remove_task").then(-1).otherwise(0)
    is_told = _one(~action.is_null())
    changes = changes.with_columns(_added=added, _is_told=is_told, _is_incident=nw.lit(0))
    # Most task events change no number of tasks.
    changes = changes.filter((nw.col("_added") != 0) | (nw.col("_is_told") == 0))
    totals = incidents.drop("_created_us").with_columns(_added=nw.lit(0), _is_told=nw.lit(1), _is_incident=nw.lit(1))
    # What a task event changed is in the total of the incident event of the same moment.
    in_time = {"order_by": ["_us", "_is_incident", "_order", "event_id"]}
    walked = (
        nw.concat([totals, changes], how="diagonal")
        .with_columns(
            _sum=nw.col("_added").cum_sum().over(*_CASE, **in_time), _told=nw.col("_is_told").min().over(*_CASE)
        )
        .filter(nw.col("_is_incident") == 1)
    )
    left = nw.col("total_checklist_items").cast(nw.Int64) - nw.col("_sum").cast(nw.Int64)
    walked = walked.with_columns(left=nw.when(nw.col("_told") == 1).then(left))
    return walked.with_columns(
        **{f"_{column}": nw.col(column).shift(1).over(*_CASE, **in_time) for column in (*_STATE, "left")}
    )


def _steps(walked: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Tell of each event what contradicts the event of its incident before it."""
    action, is_open, was_open = nw.col("action"), nw.col("is_active"), nw.col("_is_active")
    stage, commander = nw.col("active_stage"), nw.col("commander_user_id")
    is_same = is_open == was_open
    findings = {
        "stage change to the same stage": (action == "change_stage") & (stage == nw.col("_active_stage")),
        "other stage without a stage change": (action != "change_stage") & (stage != nw.col("_active_stage")),
        "restart of an open incident": (action == "restart") & is_same,
        "open again without a restart": (action != "restart") & is_open & ~was_open,
        "end of a closed incident": (action == "end") & is_same,
        "closed without an end": (action != "end") & ~is_open & was_open,
        "other commander without a change of commander": (action != "change_commander")
        & (commander != nw.col("_commander_user_id")),
    }
    unseen = (nw.col("left") - nw.col("_left")).abs().fill_null(0)
    return walked.select("server_id", **{name: _one(holds) for name, holds in findings.items()}, **{_UNSEEN: unseen})


def _uncreated(incidents: nw.LazyFrame[Any], changes: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Tell the first event of each incident whose create is missing, though its server had sent events before it."""
    sent = nw.concat([incidents.select("server_id", "_us"), changes.select("server_id", "_us")])
    first_sent = sent.group_by("server_id").agg(_first_sent=nw.col("_us").min())
    is_create = nw.when(nw.col("action") == "create").then(1).otherwise(0)
    created = incidents.with_columns(_is_create=is_create).group_by(*_CASE).agg(nw.col("_is_create").max())
    before = nw.col("_us").shift(1).over(*_CASE, order_by=["_us", "_order", "event_id"])
    return (
        # Few incidents have no create.
        incidents.join(created.filter(nw.col("_is_create") == 0), on=list(_CASE), how="semi")
        .with_columns(_before=before)
        .filter(nw.col("_before").is_null() & ~nw.col("action").is_null())
        .join(first_sent, on="server_id", how="left")
        .select("server_id", **{LOST_CREATE: _one(nw.col("_created_us") > nw.col("_first_sent"))})
    )


def _out_of_place(incidents: nw.LazyFrame[Any], changes: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Tell the task events that nothing before them leads to."""
    created = nw.when(nw.col("action") == "create").then(nw.col("_us"))
    known = incidents.with_columns(_created=created).group_by(*_CASE).agg(nw.col("_created").min(), _n=nw.len())
    findings = {
        _EARLY: nw.col("_us") < nw.col("_created"),
        _ORPHAN: nw.col("_n").is_null(),
    }
    placed = changes.join(known, on=list(_CASE), how="left")
    return placed.select("server_id", **{name: _one(holds) for name, holds in findings.items()})
