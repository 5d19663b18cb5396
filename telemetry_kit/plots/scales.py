"""The scales of pictures: shares, durations, sizes and dates on an axis, and which points of a curve can be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from telemetry_kit.plots import style

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

MOST_TICKS, TICK_WIDTH = 8, 36
PARTS = 600
"""Into how many parts an axis is cut, no wider than a line, to tell which points of a curve can be seen."""
TICK_PARTS = 60
"""The same for ticks, which would run into one another."""
MANY_POINTS = 5000
SPOTS = 250
"""From how many points on only those are drawn that are seen, and into how many spots that cuts an axis."""
LONG_TAIL = 20
"""A largest value this many times the typical one makes a picture's axis logarithmic."""
MINUTE, HOUR, DAY = 60, 3600, 86_400
STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(MINUTE * n for n in (1, 2, 5, 10, 15, 30)),
    *(HOUR * n for n in (1, 2, 3, 6, 12)),
    *(DAY * n for n in (1, 2, 5, 10, 20, 30, 50, 100, 200, 365, 730, 1825, 3650)),
)
DECADES = (1, 10, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 7 * DAY, 30 * DAY, 365 * DAY, 3650 * DAY)


def share_axis(ax: Axes, axis: str = "y", *, whole: bool = True) -> None:
    """Show an axis of shares in per cent, from none to all where ``whole``."""
    from matplotlib.ticker import PercentFormatter

    scale = ax.yaxis if axis == "y" else ax.xaxis
    scale.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    if whole and axis == "y":
        ax.set_ylim(0, 1.02)
    elif whole:
        ax.set_xlim(0, 1.02)


def duration(seconds: float) -> str:
    """Return a round number of seconds in its largest whole unit.

    Examples
    --------
    >>> [duration(s) for s in (0, 30, 90, 5400, 10800, 172800)]
    ['0', '30 s', '90 s', '90 min', '3 h', '2 d']
    """
    if seconds == 0:
        return "0"
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds % unit == 0:
            return f"{seconds / unit:,.0f} {name}"
    return f"{seconds:,.3g} s"


def is_long_tailed(values: npt.NDArray[np.float64]) -> bool:
    """Tell whether values are spread so widely that only a logarithmic axis shows all of them."""
    known = values[np.isfinite(values) & (values > 0)]
    return bool(len(known)) and bool(known.max() > LONG_TAIL * np.median(known))


def duration_ticks(lowest: float, highest: float, *, log: bool, most: int = MOST_TICKS) -> list[float]:
    """Return where to mark an axis of durations between its ends, with so many marks that each can be read."""
    if log:
        apart = np.log(highest / lowest) / most
        ticks: list[float] = []
        for tick in DECADES:
            if lowest <= tick <= highest and (not ticks or np.log(tick / ticks[-1]) >= apart):
                ticks.append(float(tick))
        # Between two of them, the first whole unit; below a second, where there is none, the end of the axis.
        whole = (float(np.ceil(lowest / unit)) * unit for unit in (DAY, HOUR, MINUTE, 1))
        return ticks or [next((tick for tick in whole if tick <= highest), lowest)]
    step = next((step for step in STEPS if highest <= most * step), STEPS[-1])
    return [float(tick) for tick in np.arange(0, highest + step / 1e6, step)]


def duration_axis(ax: Axes, lowest: float, highest: float, *, log: bool) -> list[float]:
    """Show a horizontal axis of seconds in seconds, minutes, hours and days, and return its ticks."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ticks = duration_ticks(lowest, highest, log=log, most=int(np.clip(style.extent(ax)[0] / TICK_WIDTH, 2, MOST_TICKS)))
    ax.set_xscale("log" if log else "linear")
    ax.set_xlim(lowest, highest)
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: duration(value)))
    return ticks


def size_axis(ax: Axes, values: npt.NDArray[np.float64], axis: str = "x") -> None:
    """Show an axis of counts from zero, logarithmic above one where the tail is long."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    known = values[np.isfinite(values)]
    highest = float(known.max()) if len(known) else 1.0
    scale = ax.xaxis if axis == "x" else ax.yaxis
    limits = (-0.02 * highest, max(1.0, highest * 1.04))
    if is_long_tailed(known):
        looks = {"linthresh": 1, "linscale": 0.5}
        ax.set_xscale("symlog", **looks) if axis == "x" else ax.set_yscale("symlog", **looks)
        limits = (-0.1, highest * 1.25)
        scale.set_minor_locator(NullLocator())
        ticks = [0, *(step * 10**power for power in range(10) for step in (1, 3) if step * 10**power <= limits[1])]
        scale.set_ticks(ticks)
    scale.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.4g}"))
    ax.set_xlim(*limits) if axis == "x" else ax.set_ylim(*limits)


def visible(
    positions: npt.NDArray[np.float64], lowest: float, highest: float, *, log: bool, parts: int = PARTS
) -> npt.NDArray[np.intp]:
    """Return which points of a curve can be told apart on an axis, in their order: the others would not be seen.

    Of the points that fall into one of many narrow parts of the axis these are the first and the last, between which a
    curve that goes one way cannot be seen to do anything else.
    """
    scale = np.log if log else np.asarray
    begin, end = scale(lowest), scale(highest)
    part = np.floor((scale(positions) - begin) / (end - begin) * parts)
    is_first = np.diff(part, prepend=np.nan) != 0
    return np.flatnonzero(is_first | np.append(is_first[1:], [True]))


def on_top(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return which of points are seen that are drawn in their order: all, or of very many the last in each spot.

    A spot is much smaller than the mark of a point.
    """
    if len(x) <= MANY_POINTS:
        return np.arange(len(x))
    spots = np.zeros(len(x), np.int64)
    for values in (x, y):
        width = float(np.ptp(values)) or 1.0
        spots = spots * (SPOTS + 1) + ((values - values.min()) / width * SPOTS).astype(np.int64)
    last = len(x) - 1 - np.unique(spots[::-1], return_index=True)[1]
    return np.sort(last)


def log_limits(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return where a logarithmic axis of seconds begins and ends: a little outside the values, or a minute to a day."""
    known = values[np.isfinite(values) & (values > 0)]
    return (float(known.min()) / 1.3, float(known.max()) * 1.3) if len(known) else (float(MINUTE), float(DAY))


def days(times: pd.DatetimeIndex) -> npt.NDArray[np.float64]:
    """Return times in days, as Matplotlib counts them."""
    from matplotlib.dates import date2num

    counted: npt.NDArray[np.float64] = date2num(times.tz_localize(None).to_numpy())  # type: ignore[no-untyped-call]
    return counted


def date_axis(ax: Axes) -> None:
    """Show an axis of days and times briefly."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=8)  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    ax.xaxis.get_offset_text().set_fontsize(style.small())
    ax.xaxis.get_offset_text().set_color(style.QUIET)
