"""When a series changed: its periods against the limits of its own ordinary variation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.engine.ordering import sort_rows
from telemetry_kit.errors import ParameterError
from telemetry_kit.stats.charts import laney_chart

if TYPE_CHECKING:
    from narwhals.stable.v2.typing import IntoFrame
    from numpy.typing import NDArray

PERIOD = "period"
_IS_COMPLETE = "is_complete"


def process_chart(table: IntoFrame, *, events: str, trials: str | None = None, area: str | None = None) -> pd.DataFrame:
    r"""Return since when a series of shares or counts is another one than before.

    Telemetry varies from week to week by more than chance: the limits are as wide as the series itself varies from one
    period to the next, so that a signal is a change and no ordinary week.

    Parameters
    ----------
    table
        A frame of any kind with a row per ``period``, such as ``incident_flow`` returns, or ``task_completion`` by
        ``period`` of one completer. Where it has a column ``is_complete``, periods that are not are left out.
    events
        The column that counts what is charted.
    trials
        The column that tells of how many: shares are charted.
    area
        The column that tells in how much (open incidents, active servers): rates are charted. Without ``trials`` and
        ``area``, the counts are.

    Returns
    -------
    pandas.DataFrame
        One row per period, in the order of time:

        period : as in ``table``
            The period.
        n_events : Int64
            What ``events`` counts.
        size : float64
            The trials or the area; 1 where counts are charted.
        estimate : float64
            The share in [0, 1], or the rate; null where the size is zero.
        center, lower, upper : float64
            The share or rate of all periods together, and the limits of ordinary variation (three sigma); null where
            the size is zero, the limits with a single period too.
        is_beyond : boolean
            Whether the estimate lies outside the limits.
        run : Int64
            How many periods in a row, this one among them, lie on its side of the center; 0 on the center.
        is_run_signal : boolean
            Whether that is more than a series without a change would have.
        changed_at : as ``period``
            With which period another level most likely began; the same in every row. Null where the periods before
            and from none on differ by more than three standard errors.
        sigma_z : float64
            How much more than chance the periods vary from one to the next; the same in every row.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take, or a period stands in several rows.

    Notes
    -----
    Laney's p' and u' charts, and the longest run of Anhøj and Olesen: see ``telemetry_kit.stats.charts.laney_chart``.
    The center is that of all periods, so a chart looks back over a series rather than forward from a baseline.
    Measured on a thousand draws each (``python -m benchmarks signals``; 26 weeks of 150 completions, shares around one
    half that vary by 0.03 beyond chance): without a change a week or a run was a signal in 7 % of the draws, and a
    change was named in 6 %. A change by 5, 10 or 15 points in the middle was named in 46, 97 and 100 %, and dated
    within two weeks of its own in 28, 89 and 99 %.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> weeks = pd.DataFrame({
    ...     "period": pd.date_range("2020-11-02", periods=12, freq="7D", tz="UTC"),
    ...     "n_done": [40, 52, 47, 61, 38, 55, 49, 44, 58, 51, 90, 88],
    ...     "n_all": [100, 120, 110, 130, 95, 125, 115, 105, 128, 118, 122, 119],
    ... })
    >>> chart = tk.process_chart(weeks, events="n_done", trials="n_all")
    >>> chart.loc[chart["is_beyond"], ["n_events", "estimate", "upper"]].round(3)
        n_events  estimate  upper
    10        90     0.738  0.612
    11        88     0.739  0.614
    >>> f"{chart['changed_at'].iloc[0]:%Y-%m-%d}"
    '2021-01-11'
    """
    if trials is not None and area is not None:
        raise ParameterError("area", area, f"None with trials={trials!r}: it is one or the other")
    size = trials if trials is not None else area
    needed = [PERIOD, events, *([] if size is None else [size])]
    opened = engine.open_frame(table, needed, parameter="table")
    for parameter, name in (("events", events), ("trials", trials), ("area", area)):
        _check_numbers(opened, parameter, name)
    rows = engine.collect(opened)
    if _IS_COMPLETE in rows:
        rows = rows[rows[_IS_COMPLETE].fillna(value=False).astype(bool)]
    rows = sort_rows(rows, [PERIOD])
    _check_periods(rows)
    n_events = rows[events].to_numpy(np.float64, na_value=np.nan)
    sizes = np.ones(len(rows)) if size is None else rows[size].to_numpy(np.float64, na_value=np.nan)
    _check_counts(rows, events, n_events, sizes if trials else np.full(len(rows), np.inf))
    sizes = np.where(np.isnan(n_events), np.nan, sizes)
    chart = laney_chart(n_events, sizes, is_share=trials is not None)
    is_known = ~(np.isnan(chart.estimate) | np.isnan(chart.upper))
    is_beyond = (chart.estimate < chart.lower) | (chart.estimate > chart.upper)
    is_run_signal = chart.run > chart.longest_run
    changed_at = (
        rows[PERIOD]
        .iloc[[chart.change] * len(rows)]
        .reset_index(drop=True)
        .where(np.full(len(rows), chart.change >= 0))
    )
    chart_table = pd.DataFrame(
        {
            PERIOD: rows[PERIOD],
            "n_events": rows[events].astype("Int64"),
            "size": sizes,
            "estimate": chart.estimate,
            "center": np.where(np.isnan(chart.estimate), np.nan, chart.center),
            "lower": chart.lower,
            "upper": chart.upper,
            "is_beyond": pd.Series(is_beyond, dtype="boolean").where(is_known),
            "run": pd.array(chart.run, dtype="Int64"),
            "is_run_signal": pd.array(is_run_signal, dtype="boolean"),
            "changed_at": changed_at,
            "sigma_z": chart.sigma_z,
        }
    )
    # What the picture has to say of its axis.
    chart_table.attrs |= {"is_share": trials is not None, "measure": _measure(events, trials, area)}
    return chart_table


def _measure(events: str, trials: str | None, area: str | None) -> str:
    words = [name.removeprefix("n_").replace("_", " ") for name in (events, trials or area or "")]
    measure = words[0].capitalize()
    return f"{measure} (% of {words[1]})" if trials else f"{measure} per {words[1]}" if area else measure


def _check_numbers(table: nw.LazyFrame[Any], parameter: str, column: str | None) -> None:
    """See that a parameter names a column of numbers; one of nothing but nulls has no type."""
    kind = None if column is None else table.select(column).collect_schema()[column]
    if kind is not None and not kind.is_numeric() and kind != nw.Unknown:
        raise ParameterError(parameter, column, "a column of numbers")


def _check_periods(rows: pd.DataFrame) -> None:
    if rows[PERIOD].isna().any():
        rows = rows[rows[PERIOD].isna()]
        raise ParameterError("table", "a row without a period", "rows that have one: leave the others out")
    n_rows = rows[PERIOD].value_counts(sort=False)
    if (n_rows > 1).any():
        period = n_rows.index[n_rows > 1][0]
        given = f"{n_rows[period]} rows of the period {_told(period)}"
        raise ParameterError("table", given, "one row per period: chart one group, such as one completer, at a time")


def _check_counts(rows: pd.DataFrame, events: str, n_events: NDArray[np.float64], most: NDArray[np.float64]) -> None:
    is_wrong = (n_events < 0) | (n_events > most)
    if is_wrong.any():
        at = int(np.flatnonzero(is_wrong)[0])
        given = f"{n_events[at]:g} events of {most[at]:g} in the period {_told(rows[PERIOD].iloc[at])}"
        raise ParameterError("events", events, f"counts from 0 to the number of trials, and not {given}")


def _told(period: object) -> str:
    return f"{period:%Y-%m-%d}" if isinstance(period, pd.Timestamp) else str(period)
