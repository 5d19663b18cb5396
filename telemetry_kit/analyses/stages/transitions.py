"""Where visits to each stage lead: on, back, to the end of the incident, or nowhere yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.analyses.stages.given import open_visits
from telemetry_kit.analyses.stages.statuses import name_statuses
from telemetry_kit.analyses.stages.visits import EXITS
from telemetry_kit.analyses.summaries import N_CLUSTERS, share_columns, summarise, warned
from telemetry_kit.engine.grouping import number_labels
from telemetry_kit.engine.ordering import CLUSTER, SERVER, number_servers
from telemetry_kit.stats import check_open_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from narwhals.stable.v2.typing import IntoFrame
    from numpy.typing import NDArray

_NEEDED = ("server_id", "stage", "exit", "next_stage")
_TRANSITIONS = {
    "exit": "str",
    "next_stage": "Int64",
    "n": "Int64",
    "share": "float64",
    "n_servers": "Int64",
    **dict.fromkeys(("df", "lower", "upper"), "float64"),
    N_CLUSTERS: "Int64",
}


def stage_transitions(
    visits: IntoFrame, *, by: str | Sequence[str] | None = None, cluster: str = "server_id", level: float = 0.95
) -> pd.DataFrame:
    """Return where visits to each stage lead, with the share of each way out and its interval.

    Parameters
    ----------
    visits
        A frame of any kind, as ``stage_visits`` returns it. A visit whose beginning was not recorded counts like any
        other.
    by
        A column of ``visits``, or several: each of their values is a sample of its own, a null as well.
    cluster
        The column of ``visits`` whose values act independently of one another; within one server, ``"incident_id"`` or
        ``"team_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group, stage and way out that occurs, in the order of the groups, of the stages, of the exits as
        listed here, and of the next stages:

        by columns
            The group.
        stage : Int64
            The stage, counted from 0.
        exit : str
            ``advanced``, ``returned``, ``ended`` or ``open`` (still there at the cutoff).
        next_stage : Int64
            Where it advanced or returned to; null otherwise.
        n : Int64
            Visits that went this way.
        share : float64
            Of the stage's visits; in (0, 1].
        n_servers : Int64
            Servers that have a visit to the stage.
        df, lower, upper : float64
            Degrees of freedom and interval of the share; null with fewer than two clusters, ``df`` also where it is 1.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    The intervals are those of Korn and Graubard (1998, Survey Methodology 24:193-201), each share by itself: see
    ``telemetry_kit.stats.share_limits``, and ``stage_funnel`` for where they fall short.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> visits = tk.stage_visits(log.incident, cutoff=log.cutoff)
    >>> tk.stage_transitions(visits).query("stage == 1")[["stage", "exit", "next_stage", "n"]]
        stage      exit  next_stage    n
    6       1  advanced           2  155
    7       1  advanced           3    1
    8       1  advanced           4    1
    9       1  returned           0   40
    10      1     ended        <NA>   80
    11      1      open        <NA>    8
    """
    check_open_unit("level", level)
    frame = open_visits(visits, _NEEDED, named=[*engine.names_of(by), cluster])
    groups = engine.group_columns(by, frame, reserved=["stage", *_TRANSITIONS])
    keys = dict.fromkeys([*groups, *_NEEDED, engine.check_cluster(cluster, frame)])
    counts = number_servers(engine.collect(frame.group_by(*keys).agg(_n=nw.len())), groups, cluster=cluster)
    gone: list[NDArray[np.int64]] = []
    there: list[NDArray[np.int64]] = []

    def rows(part: pd.DataFrame) -> list[dict[str, Any]]:
        _, clusters = number_labels(part[CLUSTER].to_numpy())
        n = part["_n"].to_numpy(np.int64)
        totals = np.bincount(clusters, n)
        n_servers = np.unique(part[SERVER].to_numpy()).size
        ways = []
        for (exit_, next_stage), way in part.assign(_at=clusters).groupby(["exit", "next_stage"], dropna=False):
            took = np.bincount(way["_at"], way["_n"].to_numpy(np.int64), minlength=totals.size)
            counted = {"n": int(took.sum()), "n_servers": n_servers, N_CLUSTERS: totals.size}
            ways.append(({"exit": exit_, "next_stage": next_stage, **counted}, took))
        ways.sort(key=lambda way: EXITS.index(way[0]["exit"]))
        gone.extend(took for _, took in ways)
        there.extend(totals for _ in ways)
        return [row for row, _ in ways]

    table = summarise(counts, [*groups, "stage"], rows, _TRANSITIONS, level=level)
    table[["share", "df", "lower", "upper"]] = pd.DataFrame(share_columns(gone, there, level=level))
    return warned(name_statuses(table, visits), cluster)
