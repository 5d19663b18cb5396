"""Which plugin versions a recording holds, from when to when, and which questions the events of each can answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.analyses.servers.logs import open_frames, open_log
from telemetry_kit.engine.ordering import sort_rows

if TYPE_CHECKING:
    from telemetry_kit.analyses.servers.logs import Log

_VERSION = "plugin_version"
_COUNTS = ("n_incidents", "n_with_stages", "n_with_status", "n_with_playbook", "n_with_completer", "n_playbooks")


def recording_eras(log: Log) -> pd.DataFrame:
    """Return which plugin versions a recording holds, and how much each of them can tell.

    The plugin changed what it sends: before 1.3 an incident has stages and is open or closed, since then it has a
    status; before 1.1.1 it does not say which playbook it came from. A question that rests on one of these is answered
    by the incidents that have it, and says nothing of the others.

    Parameters
    ----------
    log
        An ``EventLog``, or a mapping with a frame of any kind for each of ``incident``, ``tasks`` and ``playbook``.

    Returns
    -------
    pandas.DataFrame
        One row per plugin version, the oldest version first:

        plugin_version : str
            The version.
        first_at, last_at : datetime64[us, UTC]
            Its first and its last event of any type.
        n_events, n_servers : Int64
            Events of it, and servers that sent one.
        n_incidents : Int64
            Incidents with an event of it. One that lived through a change of versions counts in each.
        n_with_stages, n_with_status, n_with_playbook : Int64
            Of these, the incidents with which it tells a stage (for ``stage_visits``), a status (``status_visits``),
            or the playbook that they came from (``playbook_usage``).
        n_with_completer : Int64
            State changes of tasks that tell whether commander or assignee made them (``task_completion``).
        n_playbooks : Int64
            Playbooks with an event of it (``playbook_snapshot``).

    Raises
    ------
    ParameterError
        Where ``log`` is not one of the above, or a frame lacks a column.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> tk.recording_eras(log)[["plugin_version", "n_incidents", "n_with_stages", "n_with_status"]]
      plugin_version  n_incidents  n_with_stages  n_with_status
    0          1.0.0           71             70              0
    1          1.1.0          310            308              0
    """
    events = open_log(log, ["server_id", _VERSION])
    spans = engine.collect(
        events.group_by(_VERSION, "server_id")
        .agg(_first=nw.col("_us").min(), _last=nw.col("_us").max(), n_events=nw.len())
        .group_by(_VERSION)
        .agg(nw.col("_first").min(), nw.col("_last").max(), nw.col("n_events").sum(), n_servers=nw.len())
    )
    frames = open_frames(
        log,
        {
            "incident": ["server_id", "incident_id", _VERSION, "num_checklists"],
            "tasks": [_VERSION, "was_commander"],
            "playbook": ["server_id", "playbook_id", _VERSION],
        },
        named=("active_stage", "current_status", "playbook_id"),
    )
    parts = [
        _incidents(frames["incident"]),
        _version(frames["tasks"])
        .filter(~nw.col("was_commander").is_null())
        .group_by(_VERSION)
        .agg(n_with_completer=nw.len()),
        engine.distinct(_version(frames["playbook"]), _VERSION, "server_id", "playbook_id")
        .group_by(_VERSION)
        .agg(n_playbooks=nw.len()),
    ]
    table = spans
    for part in parts:
        table = table.merge(engine.collect(part), on=_VERSION, how="left")
    table = sort_rows(table, [_VERSION]).reset_index(drop=True)
    times = {
        name: pd.DatetimeIndex(table[us].to_numpy(np.int64).astype("datetime64[us]"), tz="UTC")
        for name, us in (("first_at", "_first"), ("last_at", "_last"))
    }
    counts = table[["n_events", "n_servers", *_COUNTS]].fillna(0).astype("Int64")
    return pd.concat([table[[_VERSION]], pd.DataFrame(times), counts], axis="columns")


def _version(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    return frame.with_columns(nw.col(_VERSION).cast(nw.String))


def _incidents(frame: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Count the incidents of each version, and those of which it tells a stage, a status and a playbook."""
    told = {
        "n_with_stages": ("active_stage", nw.col("num_checklists") > 0),
        "n_with_status": ("current_status", nw.lit(value=True)),
        "n_with_playbook": ("playbook_id", nw.lit(value=True)),
    }
    present = frame.columns
    flags = {
        name: nw.when(~nw.col(column).is_null() & also).then(1).otherwise(0) if column in present else nw.lit(0)
        for name, (column, also) in told.items()
    }
    each = (
        _version(frame).with_columns(**flags).group_by(_VERSION, "server_id", "incident_id").agg(nw.col(*flags).max())
    )
    return each.group_by(_VERSION).agg(nw.col(*flags).sum(), n_incidents=nw.len())
