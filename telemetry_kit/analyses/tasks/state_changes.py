"""Task events as the analyses of tasks read them: who changed a task to which state, when, in which group.

A tasks event with a state is a state change; every other action has none. A missing state is never an unchecked task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine
from telemetry_kit.engine.periods import add_period_number, check_freq, dates, first_days
from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Iterable, Mapping, Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

    from telemetry_kit.engine.periods import Freq

INCIDENT = ("server_id", "incident_id")
UNKNOWN = "unknown"
_WAS_COMMANDER, _WAS_ASSIGNEE = nw.col("was_commander"), nw.col("was_assignee")
MADE_BY: dict[str, nw.Expr] = {
    "commander": _WAS_COMMANDER & ~_WAS_ASSIGNEE,
    "assignee": ~_WAS_COMMANDER & _WAS_ASSIGNEE,
    "both": _WAS_COMMANDER & _WAS_ASSIGNEE,
    "neither": ~_WAS_COMMANDER & ~_WAS_ASSIGNEE,
    UNKNOWN: _WAS_COMMANDER.is_null() | _WAS_ASSIGNEE.is_null(),
}
"""Who made a state change: the commander alone, the assignee alone, one person who was both, or neither of them; and
unknown where a flag is missing. Exactly one of these is true."""

COMPLETERS = tuple(kind for kind in MADE_BY if kind != UNKNOWN)
PERIOD = "period"
"""The column of the first moments of days, weeks or months."""


def state() -> nw.Expr:
    """Return the expression for the state after an event as text; empty for an event that is no state change."""
    return nw.col("new_state").cast(nw.String).fill_null("")


CHANGES: dict[str, nw.Expr] = {"completion": state() == "done", "reopening": state() == "open"}
"""The state changes that are counted."""


def completer() -> nw.Expr:
    """Return the expression for who made a state change."""
    return nw.coalesce(*(nw.when(flag).then(nw.lit(kind)) for kind, flag in MADE_BY.items()))


def open_state_changes(
    tasks: IntoFrame,
    columns: Collection[str],
    *,
    added: Iterable[str],
    since: str | dt.datetime | pd.Timestamp | None,
    cutoff: str | dt.datetime | pd.Timestamp | None,
    named: Collection[str] | None = None,
) -> tuple[nw.LazyFrame[Any], list[str]]:
    """Open the state changes among tasks events for an analysis that adds columns (``named`` as ``engine.open_frame``).

    ``_us`` is their time, and ``_order`` as ``engine.in_time`` asks for it.

    Returns
    -------
    tuple of narwhals.LazyFrame and list of str
        The state changes, and the columns that ``tasks`` has.
    """
    frame = engine.open_frame(tasks, columns, parameter="tasks", order="_order", named=named)
    present = [column for column in frame.columns if column != "_order"]
    if taken := [column for column in added if column in present]:
        raise ParameterError("tasks", f"a frame with {', '.join(taken)}", "one without them: they are added")
    frame = engine.filter_times(frame, "event_timestamp", since, cutoff)
    return engine.add_epoch_us(frame.filter(state() != ""), _us="event_timestamp"), present


def cluster_totals(
    tasks: IntoFrame,
    columns: Mapping[str, nw.Expr],
    *,
    by: str | Sequence[str] | None,
    freq: Freq | None,
    since: str | dt.datetime | pd.Timestamp | None,
    cutoff: str | dt.datetime | pd.Timestamp | None,
    cluster: str,
    reserved: Iterable[str],
    between: str | None = None,
    names_clusters: bool = False,
) -> tuple[pd.DataFrame, list[str]]:
    """Add up flags of the completions and reopenings in each group and cluster.

    Parameters
    ----------
    tasks
        A frame of tasks events of any kind.
    columns
        For each name the flag to count, an expression over the columns of ``tasks``.
    by, freq, since, cutoff, cluster, between
        As the caller gave them.
    reserved
        The columns of the caller's result, which ``by`` must not name.
    names_clusters
        Whether the column ``cluster`` is collected too: there can be very many clusters, and few callers ask which.

    Returns
    -------
    tuple of pandas.DataFrame and list of str
        One row per group and cluster, with the counts as int64; and the columns that make a group: those of ``by``,
        then ``between`` or ``period``.
    """
    if freq is not None:
        check_freq(freq)
    needed = ["event_timestamp", "new_state", "was_commander", "was_assignee"]
    named = [*engine.names_of(by), cluster, between]
    frame = engine.open_frame(tasks, needed, parameter="tasks", named=named)
    present = frame.columns
    engine.check_column("cluster", cluster, present)
    groups = engine.group_columns(by, frame, reserved=[*reserved, *columns, *([PERIOD] if freq else [])])
    if between is not None:
        engine.check_column("between", between, [column for column in present if column not in groups])
        groups = [*groups, between]
    frame = engine.filter_times(frame, "event_timestamp", since, cutoff)
    frame = frame.filter(nw.any_horizontal(*CHANGES.values(), ignore_nulls=True))
    if freq:
        frame = engine.add_epoch_us(frame, _us="event_timestamp").with_columns(_day=nw.col("_us") // engine.DAY_US)
        frame = add_period_number(frame, freq).with_columns(nw.col("_period").alias(PERIOD))
        groups = [*groups, PERIOD]
    flags = {name: nw.when(flag).then(1) for name, flag in columns.items()}
    keys = list(dict.fromkeys([*groups, cluster]))
    counted = frame.select(*keys, **flags).group_by(*keys).agg(nw.col(*columns).count())
    if not names_clusters:
        counted = counted.select(*groups, *columns)
    totals = engine.collect(counted).astype(dict.fromkeys(columns, np.int64))
    if freq:
        totals[PERIOD] = dates(first_days(totals[PERIOD].to_numpy(np.int64), freq))
    return totals, groups
