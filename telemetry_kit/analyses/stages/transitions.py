"""Where visits to each stage lead: on, back, to the end of the incident, or nowhere yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine, stats
from telemetry_kit.analyses.stages.given import open_visits
from telemetry_kit.analyses.stages.statuses import name_statuses
from telemetry_kit.analyses.stages.visits import EXITS
from telemetry_kit.analyses.summaries import summarise
from telemetry_kit.stats.clusters import check_open_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

_NEEDED = ("server_id", "stage", "exit", "next_stage")
_TRANSITIONS = {
    "exit": "str",
    "next_stage": "Int64",
    "n": "Int64",
    "share": "float64",
    "n_servers": "Int64",
    "lower": "float64",
    "upper": "float64",
}


def stage_transitions(visits: IntoFrame, *, by: str | Sequence[str] | None = None, level: float = 0.95) -> pd.DataFrame:
    """Return where visits to each stage lead, with the share of each way out and its limits.

    Parameters
    ----------
    visits
        A frame of any kind, as ``stage_visits`` returns it. A visit whose beginning was not recorded counts like any
        other.
    by
        A column of ``visits``, or several: each of their values is a sample of its own, a null as well.
    level
        Confidence level of the limits.

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
        lower, upper : float64
            Limits of the share; null with fewer than two servers.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    The intervals are those of Korn and Graubard (1998, Survey Methodology 24:193-201) with servers as clusters, each
    share by itself.

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
    frame = open_visits(visits, _NEEDED, named=engine.names_of(by))
    groups = engine.group_columns(by, frame, reserved=["stage", *_TRANSITIONS])
    keys = dict.fromkeys([*groups, *_NEEDED])
    counts = engine.collect(frame.group_by(*keys).agg(_n=nw.len()))

    def rows(part: pd.DataFrame) -> list[dict[str, Any]]:
        servers, labels = part["server_id"].factorize(sort=True)
        n = part["_n"].to_numpy(np.int64)
        totals = np.bincount(servers, n, minlength=len(labels))
        ways = []
        for (exit_, next_stage), way in part.assign(_server=servers).groupby(["exit", "next_stage"], dropna=False):
            gone = np.bincount(way["_server"], way["_n"].to_numpy(np.int64), minlength=len(labels))
            share, lower, upper = stats.share_interval(gone, totals, level=level)
            values = (exit_, next_stage, int(gone.sum()), share, len(labels), lower, upper)
            ways.append(dict(zip(_TRANSITIONS, values, strict=True)))
        return sorted(ways, key=lambda way: EXITS.index(way["exit"]))

    return name_statuses(summarise(counts, [*groups, "stage"], rows, _TRANSITIONS, level=level), visits)
