"""Frames of any kind: computed once, counted, collected as pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine
from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT

INCIDENT = ("server_id", "incident_id")
MOST_ROWS = 2**31 - 1
"""More rows than these need not be counted to be limited."""


def persist(frame: IntoFrameT) -> IntoFrameT:
    """Compute a lazy frame once, for several analyses to use.

    A lazy frame is a question, which each analysis asks anew: the visits of ten million events would be found once for
    the funnel, once more for the dwell times, and so on. What is persisted is answered.

    Parameters
    ----------
    frame
        A frame of any kind.

    Returns
    -------
    frame
        Of the same kind. A frame in memory is returned as it is. Polars keeps the rows in memory; DuckDB in a temporary
        table of the frame's connection, which a transaction that is rolled back takes along, or of more than half a
        million rows in a temporary file, until the process ends; Spark and Ibis in their cache.

    Raises
    ------
    ParameterError
        Where ``frame`` is no frame, or DuckDB may use too little memory.
    ResourceError
        Where memory or the disk for temporary files ran out.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.scan_events(tk.samples() / "recorded-autumn")
    >>> visits = tk.persist(tk.stage_visits(log.incident, cutoff=log.cutoff))
    >>> len(tk.stage_funnel(visits)), len(tk.stage_dwell(visits))
    (8, 8)
    """
    engine.check_frame(frame, parameter="frame")
    return engine.persist_rows(frame)


def filter_incidents(frame: IntoFrameT, incidents: IntoFrame) -> IntoFrameT:
    """Return the rows of a frame that belong to some incidents, to look at them one by one.

    Parameters
    ----------
    frame
        A frame of any kind with ``server_id`` and ``incident_id``: events, visits, task bounds.
    incidents
        A frame with ``server_id`` and ``incident_id`` of the incidents that are wanted; in memory, or on the engine of
        ``frame``.

    Returns
    -------
    frame
        Of the same kind as ``frame``, lazy where it is lazy; its rows in their order where it keeps one.

    Raises
    ------
    ParameterError
        Where a frame lacks one of the two columns, or the two are on different engines.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> longest = tk.incident_durations(log.incident, cutoff=log.cutoff).nlargest(1, "open_s")
    >>> tk.filter_incidents(log.incident, longest)["action"].to_list()
    ['create']
    """
    rows = engine.open_frame(frame, INCIDENT, parameter="frame", order="_order")
    wanted = engine.distinct(
        engine.open_alike(incidents, INCIDENT, parameter="incidents", like=rows, on=INCIDENT), *INCIDENT
    )
    result = rows.join(wanted, on=list(INCIDENT), how="semi").sort("_order").drop("_order")
    return engine.give_back(result, like=frame)


def n_distinct(frame: IntoFrame, *columns: str) -> int:
    """Return how many different values a column has, or how many different rows several columns have together.

    Parameters
    ----------
    frame
        A frame of any kind.
    columns
        The columns; without any, the number of rows is returned. Rows in which one of them is null count as well.

    Returns
    -------
    int
        The number, counted where the frame is.

    Raises
    ------
    ParameterError
        Where ``frame`` is no frame, or lacks a column.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> tk.n_distinct(log.tasks), tk.n_distinct(log.tasks, "server_id", "incident_id")
    (5811, 368)
    """
    rows = engine.open_frame(frame, columns, parameter="frame")
    if columns:
        rows = engine.distinct(rows, *dict.fromkeys(columns))
    return int(engine.collect(rows.select(nw.len().alias("n")))["n"].iloc[0])


def to_pandas(frame: IntoFrame, *, columns: Sequence[str] | None = None, limit: int | None = None) -> pd.DataFrame:
    """Collect a frame of any kind as pandas.

    Parameters
    ----------
    frame
        A frame of any kind.
    columns
        Only these columns, in this order; by default all.
    limit
        At most how many rows, the first ones where the frame keeps its rows in order; by default all.

    Returns
    -------
    pandas.DataFrame
        The rows on a fresh index, with the types that results have: integers as Int64, flags as boolean, text as str,
        times in UTC.

    Raises
    ------
    ParameterError
        Where ``frame`` is no frame, or lacks one of ``columns``, or ``limit`` is no number of rows.

    Examples
    --------
    >>> import polars as pl, telemetry_kit as tk
    >>> tk.to_pandas(pl.LazyFrame({"n": [1, 2, 3]}), limit=2)
       n
    0  1
    1  2
    """
    if limit is not None:
        engine.check_count("limit", limit, "a number of rows, 0 or more", least=0)
    names: Any = columns
    wanted = None if names is None else list(names) if _is_listed(names) else [names]
    if wanted is not None and not (wanted and all(isinstance(name, str) for name in wanted)):
        raise ParameterError("columns", columns, "the names of columns")
    rows = engine.open_frame(frame, wanted or [], parameter="frame", named=wanted)
    if wanted is not None:
        rows = rows.select(*dict.fromkeys(wanted))
    # Engines count the rows that they give in few digits, and pandas has no room for more.
    return engine.collect(rows if limit is None or limit > MOST_ROWS else rows.head(int(limit)))


def _is_listed(names: object) -> bool:
    return hasattr(names, "__iter__") and not isinstance(names, str)
