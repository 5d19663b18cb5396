"""How long after an incident's start its tasks are completed."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine, stats
from telemetry_kit.analyses.summaries import summarise_at_once, warned
from telemetry_kit.analyses.tasks.state_changes import (
    COMPLETERS,
    INCIDENT,
    completer,
    open_state_changes,
    state,
)
from telemetry_kit.engine.grouping import Groups
from telemetry_kit.engine.ordering import number_values

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Collection, Sequence

    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT

_ADDED = ("completer", "started_at", "elapsed_s")
# Completions are collected with a number for who made them, and another for the same where the time is unknown.
_NOBODY = len(COMPLETERS)
_UNTIMED = _NOBODY + 1
_N_KINDS = _UNTIMED + len(COMPLETERS)

_QUARTILES = {"q25_s": 0.25, "median_s": 0.5, "q75_s": 0.75}
_TIMES = {
    "completer": "str",
    "n_completed": "Int64",
    "n_clusters": "Int64",
    "q25_s": "float64",
    "median_s": "float64",
    "q75_s": "float64",
    "df": "float64",
    **{f"{name}_{limit}_s": "float64" for name in ("median", "q25", "q75") for limit in ("lower", "upper")},
    "n_excluded": "Int64",
    "n_unknown": "Int64",
    "largest_cluster_share": "float64",
}


def completion_times(
    tasks: IntoFrameT,
    incidents: IntoFrame,
    *,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
) -> IntoFrameT:
    """Return each completion of a task with the time since its incident's start.

    Parameters
    ----------
    tasks
        A frame of tasks events of any kind, as in ``EventLog.tasks``.
    incidents
        The incident events, as in ``EventLog.incident``.
    since, cutoff
        Tasks events before the one and after the other are left out. By default, all events count.

    Returns
    -------
    frame
        Of the same kind as ``tasks``, lazy where it is lazy: the state changes to done with all their columns, in
        the order of time, and

        completer : str
            ``commander``, ``assignee``, ``both`` or ``neither``; ``unknown`` where a flag is missing.
        started_at : timestamp
            When the incident was created, UTC; null where no event of the incident was recorded.
        elapsed_s : float
            Seconds from then to the completion; below zero where the clocks of two nodes disagree.

    Raises
    ------
    ParameterError
        Where a frame lacks columns, ``tasks`` already has one of the new ones, or the two are on different engines.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> times = tk.completion_times(log.tasks, log.incident)
    >>> times[["completer", "started_at", "elapsed_s"]].head(2)
       completer                    started_at  elapsed_s
    0   assignee 2020-11-01 08:15:36.257+00:00  68073.382
    1  commander 2020-11-02 04:10:37.387+00:00    768.614
    """
    timed, columns = _timed_completions(tasks, incidents, since=since, cutoff=cutoff)
    timed = timed.with_columns(elapsed_s=nw.col("_elapsed_us") / engine.MICROSECONDS)
    in_time = engine.in_time(tasks, "_us", "_order")
    return engine.give_back(timed.sort(*in_time).select(*columns, *_ADDED), like=tasks)


def time_to_completion(
    tasks: IntoFrame,
    incidents: IntoFrame,
    *,
    by: str | Sequence[str] | None = None,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    """Return how long after the incident's start tasks are completed, by who completes them.

    Only completions are seen, and a task has no id: this describes the tasks that were completed. Those that are
    still open, or never will be done, are not in it, and in a young incident they are the slow ones. So it is no
    survival curve, and says nothing of how long a task takes from when it became somebody's turn.

    Parameters
    ----------
    tasks
        A frame of tasks events of any kind, as in ``EventLog.tasks``.
    incidents
        The incident events, as in ``EventLog.incident``.
    by
        A column of ``tasks``, or several: one group of rows for each of their values. A null is a group of its own.
    since, cutoff
        Tasks events before the one and after the other are left out. By default, all events count.
    cluster
        The column whose values act independently of one another; within one server, ``"incident_id"`` or ``"team_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        Four rows for each group in which a task was completed:

        by columns
            The group.
        completer : str
            ``commander``, ``assignee``, ``both`` or ``neither``.
        n_completed, n_clusters : Int64
            Completions with a known start of their incident, and the clusters that have any.
        q25_s, median_s, q75_s : float64
            Quantiles of the seconds from the incident's start to the completion; null without completions.
        df : float64
            Degrees of freedom of the interval; fewer than 4 is a weak ground.
        median_lower_s, median_upper_s, q25_lower_s, q25_upper_s, q75_lower_s, q75_upper_s : float64
            Intervals of the quantiles in seconds; null with fewer than two clusters.
        n_excluded : Int64
            Completions by this kind of completer in incidents of which no event was recorded.
        n_unknown : Int64
            Completions of the group that lack a flag. They are in no other number.
        largest_cluster_share : float64
            Share of the counted completions that the largest cluster made.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    Quantiles are type 7 of Hyndman and Fan (1996); the intervals are order statistics (Woodruff 1952) at the
    interval of a share: see ``telemetry_kit.stats.quantile_limits``.

    Measured on simulated truth, the intervals of two servers hold the truth and are two to four times as wide as they
    had to be; where one server has 90 % of the events they rest on about one degree of freedom.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> table = tk.time_to_completion(log.tasks, log.incident)
    >>> table[["completer", "n_completed", "median_s", "median_lower_s", "median_upper_s"]].round()
       completer  n_completed  median_s  median_lower_s  median_upper_s
    0  commander          892    8704.0          5289.0         13638.0
    1   assignee          114   24508.0         13057.0         50701.0
    2       both           21   40207.0         14228.0        115093.0
    3    neither          767    9083.0          5868.0         13057.0
    """
    stats.check_open_unit("level", level)
    timed, present = _timed_completions(
        tasks, incidents, since=since, cutoff=cutoff, named=[*engine.names_of(by), cluster]
    )
    groups = engine.group_columns(by, timed.select(*present), reserved=_TIMES)
    engine.check_column("cluster", cluster, present)
    keys = list(dict.fromkeys([*groups, cluster]))
    # Quantiles need the values themselves. They are many, and a column more of them, or a copy, takes its time.
    is_untimed, kinds = nw.col("_elapsed_us").is_null(), nw.lit(_NOBODY)
    for code, kind in enumerate(COMPLETERS):
        own = nw.when(is_untimed).then(_UNTIMED + code).otherwise(code)
        kinds = nw.when(nw.col("completer") == kind).then(own).otherwise(kinds)
    elapsed_s = nw.col("_elapsed_us").cast(nw.Float64) / engine.MICROSECONDS
    wanted = timed.select(*keys, _elapsed_s=elapsed_s, _kind=kinds.cast(nw.Int16))
    known: dict[Any, int] = {}

    def numbered(part: pd.DataFrame) -> pd.DataFrame:
        numbers = {"_kind": part["_kind"].to_numpy(np.int16), "_cluster": number_values(part[cluster], known)}
        return part[[*groups, "_elapsed_s"]].assign(**numbers)

    # The ids of all clusters are never in memory together.
    with closing(engine.parts(wanted.to_native(), engine.MANY_ROWS)) as parts:
        values = pd.concat(map(numbered, parts), ignore_index=True)

    def columns(rows: pd.DataFrame, groups: Groups) -> dict[str, Any]:
        of_both = groups.of * _N_KINDS
        of_both += rows["_kind"].to_numpy()
        parts = Groups(of_both, groups.n * _N_KINDS)
        elapsed_s = rows["_elapsed_s"].to_numpy()
        numbers, of_clusters = stats.number_clusters(rows["_cluster"].to_numpy(), parts)
        samples = stats.sort_samples(elapsed_s, parts)
        sizes = stats.count_clusters(np.bincount(numbers, minlength=of_clusters.of.size), of_clusters)
        limits = {}
        for name, probability in _QUARTILES.items():
            shares = stats.quantile_shares(samples, elapsed_s, numbers, sizes, probability)
            for limit, values in stats.quantile_limits(samples, shares, probability, level=level)._asdict().items():
                limits[f"{name.removesuffix('_s')}_{limit}_s"] = values
        n_of_kind = samples.n.reshape(groups.n, _N_KINDS)
        made = {
            "n_completed": samples.n,
            "n_clusters": sizes.n_clusters,
            **dict(zip(_QUARTILES, stats.group_quantiles(samples, np.array([*_QUARTILES.values()])).T, strict=True)),
            "df": sizes.df,
            **limits,
            "largest_cluster_share": stats.largest_shares(sizes),
        }
        return {
            "completer": np.tile(np.array(COMPLETERS, dtype=object), (groups.n, 1)),
            "n_unknown": n_of_kind[:, _NOBODY],
            "n_excluded": n_of_kind[:, _UNTIMED:],
            **{name: column.reshape(groups.n, _N_KINDS)[:, :_NOBODY] for name, column in made.items()},
        }

    return warned(summarise_at_once(values, groups, columns, _TIMES, level=level), cluster, counted="n_clusters")


def _timed_completions(
    tasks: IntoFrame,
    incidents: IntoFrame,
    *,
    since: str | dt.datetime | pd.Timestamp | None,
    cutoff: str | dt.datetime | pd.Timestamp | None,
    named: Collection[str] | None = None,
) -> tuple[nw.LazyFrame[Any], list[str]]:
    """Return the completions with who and when, ``_us`` and ``_elapsed_us``; and the columns that ``tasks`` has."""
    needed = [*INCIDENT, "event_id", "event_timestamp", "new_state", "was_commander", "was_assignee"]
    events, columns = open_state_changes(tasks, needed, added=_ADDED, since=since, cutoff=cutoff, named=named)
    starts = engine.open_alike(incidents, [*INCIDENT, "created_at"], parameter="incidents", like=events, on=INCIDENT)
    starts = starts.group_by(*INCIDENT).agg(started_at=nw.col("created_at").min())
    # An unknown start is as good as none. That some may be unknown lets DuckDB expect fewer incidents than completions,
    # so that it keeps the incidents in memory and not the completions.
    starts = starts.filter(~nw.col("started_at").is_null())
    starts = engine.add_epoch_us(starts, _started_us="started_at")
    timed = events.filter(state() == "done").join(starts, on=list(INCIDENT), how="left")
    return timed.with_columns(completer=completer(), _elapsed_us=nw.col("_us") - nw.col("_started_us")), columns
