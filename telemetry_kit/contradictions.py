"""Signs that events were lost: events of an incident that do not follow from those before them.

Each incident event tells where its incident stands afterwards, and each task event what it adds or removes. Where two
recorded events do not fit together, at least one between them is missing. Nothing here is proof: nodes of a server
whose clocks differ can put events in an order in which they did not happen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from telemetry_kit.schemas import EventType

_ADDED = {"add_task": 1, "remove_task": -1}


def find_contradictions(incident: pd.DataFrame, tasks: pd.DataFrame) -> pd.DataFrame:
    """Return the contradictions between events, counted by server.

    Returns
    -------
    pandas.DataFrame
        ``finding`` (what does not follow), ``event_type``, ``server_id``, ``n`` (events), and ``n_lost`` (how many
        events at least are missing, 0 where none needs to be).
    """
    case = pd.factorize(pd.concat([_case(incident), _case(tasks)], ignore_index=True))[0]
    incident_case, task_case = np.split(case, [len(incident)])
    order = np.argsort(incident_case, kind="stable")
    now = incident.iloc[order]
    follows = np.diff(incident_case[order], prepend=-1) == 0
    tables = [_count("incident", now["server_id"], name, n & follows) for name, n in _steps(now).items()]
    uncreated = _uncreated(incident, tasks, incident_case)
    tables.append(_count("incident", incident["server_id"], "create that was never recorded", uncreated))
    unseen = _unseen_items(incident, tasks, case)
    tables.append(_count("tasks", incident["server_id"], "tasks added or removed unseen", unseen != 0, unseen))
    for name, n in _out_of_place(incident, tasks, incident_case, task_case).items():
        tables.append(_count("tasks", tasks["server_id"], name, n, np.zeros(len(tasks), np.int64)))
    return pd.concat(tables, ignore_index=True)


def _case(frame: pd.DataFrame) -> pd.Series:
    return frame["server_id"] + "/" + frame["incident_id"]


def _count(
    event_type: EventType,
    server: pd.Series,
    finding: str,
    holds: NDArray[np.bool_],
    lost: NDArray[np.int64] | None = None,
) -> pd.DataFrame:
    n_lost = np.ones(int(holds.sum()), np.int64) if lost is None else np.abs(lost[holds])
    events = pd.DataFrame({"server_id": server.to_numpy()[holds], "n_lost": n_lost})
    counted = events.groupby("server_id")["n_lost"].agg(["size", "sum"]).reset_index()
    return pd.DataFrame(
        {
            "finding": finding,
            "event_type": event_type,
            "server_id": counted["server_id"],
            "n": counted["size"],
            "n_lost": counted["sum"],
        }
    )


def _steps(now: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Tell for each event, in the order of its incident, what contradicts the event before it."""
    action = {
        name: (now["action"] == name).to_numpy() for name in ("change_stage", "change_commander", "end", "restart")
    }
    is_told = now["action"].notna().to_numpy()
    stage = now["active_stage"].to_numpy(np.float64, na_value=np.nan)
    is_open = now["is_active"].to_numpy(np.float64, na_value=np.nan)
    commander = pd.factorize(now["commander_user_id"])[0].astype(np.float64)
    moved, turned, replaced = (np.diff(values, prepend=np.nan) for values in (stage, is_open, commander))
    other = {name: is_told & ~done for name, done in action.items()}
    return {
        "stage change to the same stage": action["change_stage"] & (moved == 0),
        "other stage without a stage change": other["change_stage"] & np.isfinite(moved) & (moved != 0),
        "restart of an open incident": action["restart"] & (turned == 0),
        "open again without a restart": other["restart"] & (turned == 1),
        "end of a closed incident": action["end"] & (turned == 0),
        "closed without an end": other["end"] & (turned == -1),
        "other commander without a change of commander": other["change_commander"]
        & np.isfinite(replaced)
        & (replaced != 0),
    }


def _uncreated(incident: pd.DataFrame, tasks: pd.DataFrame, incident_case: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Tell the first event of each incident whose create is missing, though its server had sent events before it."""
    server = pd.factorize(pd.concat([incident["server_id"], tasks["server_id"]], ignore_index=True))[0]
    first_sent = np.full(len(server), np.iinfo(np.int64).max)
    np.minimum.at(first_sent, server, np.concatenate([_epoch_us(incident), _epoch_us(tasks)]))
    is_first = np.zeros(len(incident), np.bool_)
    is_first[np.unique(incident_case, return_index=True)[1]] = True
    is_create = (incident["action"] == "create").to_numpy()
    begun_before = _epoch_us(incident, "created_at") <= first_sent[server[: len(incident)]]
    is_told = incident["action"].notna().to_numpy()
    return is_first & is_told & ~begun_before & ~np.isin(incident_case, incident_case[is_create])


def _unseen_items(incident: pd.DataFrame, tasks: pd.DataFrame, case: NDArray[np.intp]) -> NDArray[np.int64]:
    """Tell for each incident event by how many tasks its total differs from the one before and the changes between."""
    n_incident = len(incident)
    is_incident = np.arange(len(case)) < n_incident
    total = np.concatenate([incident["total_checklist_items"].to_numpy(np.int64), np.zeros(len(tasks), np.int64)])
    added = tasks["action"].astype("str").map(_ADDED).fillna(0).to_numpy(np.int64)
    change = np.concatenate([np.zeros(n_incident, np.int64), added])
    times = np.concatenate([_epoch_us(incident), _epoch_us(tasks)])
    order = np.lexsort([is_incident, times, case])
    balance = (total[order] - np.cumsum(change[order]))[is_incident[order]]
    mine = order[is_incident[order]]
    difference = np.diff(balance, prepend=0)
    difference[np.diff(case[mine], prepend=-1) != 0] = 0
    unseen = np.zeros(n_incident, np.int64)
    # Without actions nothing tells what a task event did.
    unseen[mine] = difference if tasks["action"].notna().all() else 0
    return unseen


def _out_of_place(
    incident: pd.DataFrame, tasks: pd.DataFrame, incident_case: NDArray[np.intp], task_case: NDArray[np.intp]
) -> dict[str, NDArray[np.bool_]]:
    is_create = (incident["action"] == "create").to_numpy()
    created = np.full(int(max(incident_case.max(initial=0), task_case.max(initial=0))) + 1, np.iinfo(np.int64).min)
    # From the last to the first, so that the first create counts.
    created[incident_case[is_create][::-1]] = _epoch_us(incident)[is_create][::-1]
    return {
        "task event before the incident's create": _epoch_us(tasks) < created[task_case],
        "task event of an incident that was never recorded": ~np.isin(task_case, incident_case),
    }


def _epoch_us(frame: pd.DataFrame, column: str = "event_timestamp") -> NDArray[np.int64]:
    # By way of integers: pandas turns times with a zone into objects one by one.
    return np.asarray(frame[column].astype("int64"), np.int64)
