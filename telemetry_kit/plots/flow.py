"""Pictures of what comes, goes and is there: incidents by period, where they are by time, and how visits end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from telemetry_kit.plots import given, groups, scales, style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes

STARTED, ENDED, REOPENED = "#0072B2", "#D55E00", "#56B4E9"
MOST_PANELS = 16
CLOSED, CLOSED_COLOR = "closed", "#BBBBBB"
WAYS = {"advanced": "#0072B2", "returned": "#D55E00", "ended": "#009E73"}


class _Scale(NamedTuple):
    """The axis of time that all panels of a picture share."""

    lowest: float
    highest: float
    is_log: bool


@given.picture
def plot_incident_flow(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how many incidents started, ended and were open in each period.

    Bars are what happened in a period, pale where the period is not complete; the line is what was open at its end.

    Parameters
    ----------
    table
        As ``incident_flow`` returns it; every group gets a panel.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; panels are its insets (``child_axes``).

    Raises
    ------
    ParameterError
        Where ``table`` lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> table = pd.DataFrame({
    ...     "period": pd.to_datetime(["2020-11-02", "2020-11-09"], utc=True), "n_started": [3, 2], "n_ended": [1, 3],
    ...     "n_reopened": [0, 1], "n_open_at_end": [2, 2], "n_open_max": [3, 4], "n_unknown": 0, "is_complete": True,
    ... })
    >>> plots.plot_incident_flow(table).get_ylabel()
    'Incidents'
    """
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    counts = ["n_started", "n_ended", "n_reopened", "n_open_at_end", "n_open_max", "n_unknown"]
    table = groups.need(table, ["period", *counts, "is_complete"])
    parts = groups.split(table, "period", size="n_open_max", things="open incidents", most=MOST_PANELS)
    n_rows, n_columns = style.panel_shape(max(len(parts), 1))
    ax = style.open_axes(ax, width=max(9.5, 4.2 * n_columns + 2.2), height=max(4.5, 2.5 * n_rows + 1.2))
    title, xlabel, ylabel = "How incidents come and go", "Period (UTC, by its first day)", "Incidents"
    if not len(parts):
        return style.say_empty(ax, "no incidents", title=title, xlabel=xlabel, ylabel=ylabel)
    places = style.panels(ax, [part.label for part in parts.shown]) if len(parts) > 1 else [ax]
    for place, part in zip(places, parts.shown, strict=True):
        _draw_flow(place, part.rows)
    n_unknown = groups.total(table.groupby("period")["n_unknown"].sum().tail(1))
    handles: list[Any] = [
        Patch(color=STARTED, label="started"),
        Patch(color=REOPENED, label="reopened"),
        Patch(color=ENDED, label="ended"),
        Line2D([], [], color=style.INK, marker="o", markersize=3, label="open at the end"),
        Line2D([], [], color=style.INK, linestyle=":", label="open at most"),
    ]
    if n_unknown:
        handles.append(Line2D([], [], color="#CC79A7", linestyle="--", label="unknown: server fell silent"))
    style.legend(ax, handles, parts.title)
    is_partial = ~table["is_complete"].astype("boolean").fillna(value=False).to_numpy(bool)
    pale = "pale: the period is not complete" if is_partial.any() else ""
    lost = f"{groups.count(n_unknown, 'incident')} unknown in the end" if n_unknown else ""
    style.describe(ax, title, groups.joined([pale, lost, parts.note()]), xlabel, ylabel)
    return ax


def _draw_flow(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw one group's flow: two bars and the height of a line for each period."""
    day = scales.days(pd.DatetimeIndex(rows["period"]))
    apart = float(np.min(np.diff(day))) if len(day) > 1 else 7.0
    width = 0.38 * apart
    middle = day + apart / 2
    is_complete = rows["is_complete"].astype("boolean").fillna(value=False).to_numpy(bool)
    started, ended, reopened = (groups.numbers(rows[name]) for name in ("n_started", "n_ended", "n_reopened"))
    for shown, alpha in ((is_complete, 0.9), (~is_complete, 0.35)):
        looks: dict[str, Any] = {"width": width, "alpha": alpha, "linewidth": 0}
        ax.bar(middle[shown] - width / 2, started[shown], color=STARTED, **looks)
        ax.bar(middle[shown] - width / 2, reopened[shown], bottom=started[shown], color=REOPENED, **looks)
        ax.bar(middle[shown] + width / 2, ended[shown], color=ENDED, **looks)
    size = 3 if len(day) <= MOST_PANELS * 4 else 0
    ax.plot(day + apart, groups.numbers(rows["n_open_at_end"]), "o-", color=style.INK, markersize=size, linewidth=1.2)
    ax.plot(middle, groups.numbers(rows["n_open_max"]), ":", color=style.INK, linewidth=1.0)
    if groups.total(rows["n_unknown"]):
        ax.plot(day + apart, groups.numbers(rows["n_unknown"]), "--", color="#CC79A7", linewidth=1.2)
    ax.set_ylim(bottom=0)
    style.grid(ax, "y")
    scales.date_axis(ax)


@given.picture
def plot_stage_occupancy(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw where incidents are by time since their start, as bands that add up to all of them.

    Parameters
    ----------
    table
        As ``stage_occupancy`` returns it; every group gets a panel.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; panels are its insets (``child_axes``).

    Raises
    ------
    ParameterError
        Where ``table`` lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> table = pd.DataFrame({
    ...     "time_s": [60.0, 60.0, 120.0, 120.0], "state": ["0", "closed"] * 2, "n_incidents": 4, "n_servers": 2,
    ...     "n_at_risk": 4, "estimate": [0.75, 0.25, 0.5, 0.5],
    ... })
    >>> plots.plot_stage_occupancy(table).get_xlabel()
    'Time since the start of the incident'
    """
    from matplotlib.patches import Patch

    table = groups.need(table, ["time_s", "state", "n_incidents", "n_servers", "n_at_risk", "estimate"])
    parts = groups.split(table, "time_s", size="n_incidents", things="incidents", most=MOST_PANELS)
    n_rows, n_columns = style.panel_shape(max(len(parts), 1))
    ax = style.open_axes(ax, width=max(8.5, 3.6 * n_columns + 2.0), height=max(4.6, 2.4 * n_rows + 1.2))
    title, xlabel = "Where incidents are", "Time since the start of the incident"
    ylabel = "Incidents (%)"
    if not len(parts):
        return style.say_empty(ax, "no incidents whose start was recorded", title=title, xlabel=xlabel, ylabel=ylabel)
    states = sorted(table["state"].astype(str).unique(), key=_state_order(table))
    colors = _state_colors(states)
    titles = [
        f"{part.label}: {groups.count(groups.largest(part.rows['n_incidents']), 'incident')}" for part in parts.shown
    ]
    places = style.panels(ax, titles) if len(parts) > 1 else [ax]
    times = groups.numbers(table["time_s"])
    is_log = scales.is_long_tailed(times)
    scale = _Scale(*(scales.log_limits(times) if is_log else (0.0, float(times.max()))), is_log)
    for place, part in zip(places, parts.shown, strict=True):
        _draw_bands(place, part.rows, states, colors, scale)
    word = "" if _are_named(states) else "stage "
    handles = [
        Patch(color=colors[state], label=state if state == CLOSED else f"{word}{state}") for state in reversed(states)
    ]
    style.legend(ax, handles, parts.title)
    n, servers = (groups.largest(table[name]) for name in ("n_incidents", "n_servers"))
    told = "" if len(parts) > 1 else f"n = {groups.count(n, 'incident')} on {groups.count(servers, 'server')}"
    note = groups.joined([told, "closed: between and after visits", groups.weak_said(table), parts.note()])
    style.describe(ax, title, note, f"{xlabel} (log axis)" if is_log else xlabel, ylabel)
    return ax


def _state_order(table: pd.DataFrame) -> Any:  # noqa: ANN401 - a key to sort by
    """Return the order in which the table lists states, stages by number, closed last."""
    order = {state: number for number, state in enumerate(dict.fromkeys(table["state"].astype(str)))}
    return lambda state: (state == CLOSED, int(state) if state.isdigit() else order[state])


def _are_named(states: Sequence[str]) -> bool:
    return any(state != CLOSED and not state.isdigit() for state in states)


def _state_colors(states: Sequence[str]) -> dict[str, Any]:
    """Return a colour for each state: from dark to light in their order, so that neighbours differ."""
    from matplotlib import colormaps

    shades = colormaps["cividis"](np.linspace(0.0, 1.0, max(len(states) - 1, 2)))
    return {state: CLOSED_COLOR if state == CLOSED else shades[number] for number, state in enumerate(states)}


def _draw_bands(ax: Axes, rows: pd.DataFrame, states: Sequence[str], colors: Mapping[str, Any], scale: _Scale) -> None:
    lowest, highest, is_log = scale
    opacity = style.LIGHTER if groups.is_weak(rows).any() else 1.0
    times = np.unique(groups.numbers(rows["time_s"]))
    bottom: npt.NDArray[np.float64] = np.zeros(len(times))
    for state in states:
        mine = rows[rows["state"].astype(str) == state]
        height = np.zeros(len(times))
        height[np.searchsorted(times, groups.numbers(mine["time_s"]))] = groups.numbers(mine["estimate"])
        seen = scales.visible(times, lowest, highest, log=is_log) if len(times) > 1 else np.arange(len(times))
        # The last shares hold until the edge of the picture.
        x = np.append(times[seen], highest)
        low, high = (np.append(edge[seen], edge[seen][-1:]) for edge in (bottom, bottom + height))
        looks: dict[str, Any] = {"color": colors[state], "alpha": opacity, "linewidth": 0.4, "edgecolor": "white"}
        ax.fill_between(x, low, high, step="post", **looks)
        bottom = bottom + height
    scales.duration_axis(ax, lowest, highest, log=is_log)
    scales.share_axis(ax)


@given.picture
def plot_stage_exits(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how visits to each stage end, by time in the stage: a panel for each stage, a curve for each way out.

    Parameters
    ----------
    table
        As ``stage_exits`` returns it; groups have line styles.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; panels are its insets (``child_axes``).

    Raises
    ------
    ParameterError
        Where ``table`` lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> table = pd.DataFrame({
    ...     "stage": 0, "exit": ["advanced", "ended"], "time_s": 60.0, "n_visits": 4, "n_servers": 2,
    ...     "estimate": [0.5, 0.2], "lower": [0.2, 0.1], "upper": [0.8, 0.5],
    ... })
    >>> plots.plot_stage_exits(table).get_ylabel()
    'Visits that have left the stage (%)'
    """
    from matplotlib.lines import Line2D

    columns = ["stage", "exit", "time_s", "n_visits", "n_servers", "estimate", "lower", "upper"]
    table, later = groups.first_stages(groups.need(table, columns), most=groups.MOST_PANELS)
    parts = groups.split(table, "stage", size="n_visits", things="visits", most=3)
    stages = sorted(int(stage) for stage in table["stage"].dropna().unique())
    n_rows, n_columns = style.panel_shape(max(len(stages), 1))
    ax = style.open_axes(ax, width=max(8.5, 3.3 * n_columns), height=max(4.4, 2.5 * n_rows + 1.2))
    word = groups.stage_word(table)
    title, xlabel = f"How visits to a {word} end", f"Time since the {word} was entered"
    ylabel = f"Visits that have left the {word} (%)"
    if not len(parts):
        return style.say_empty(ax, later or "no visits", title=title, xlabel=xlabel, ylabel=ylabel)
    names = groups.stage_names(table, max(stages) + 1)
    titles = [names[stage] if word == "status" else f"Stage {stage}" for stage in stages]
    if not parts.title:
        sizes = [groups.largest(table.loc[table["stage"] == stage, "n_visits"]) for stage in stages]
        titles = [f"{name}: {groups.count(n, 'visit')}" for name, n in zip(titles, sizes, strict=True)]
    places = style.panels(ax, titles) if len(stages) > 1 else [ax]
    times = groups.numbers(table["time_s"])
    is_log = scales.is_long_tailed(times)
    scale = _Scale(*(scales.log_limits(times) if is_log else (0.0, float(times.max()) * 1.02)), is_log)
    for place, stage in zip(places, stages, strict=True):
        for part in parts.shown:
            for way, color in WAYS.items():
                mine = part.rows[(part.rows["stage"] == stage) & (part.rows["exit"] == way)]
                ink = style.lighter(color) if groups.is_weak(mine).any() else color
                _draw_way(place, mine, scale, color=ink, linestyle=part.line_style)
        scales.duration_axis(place, scale.lowest, scale.highest, log=is_log)
        scales.share_axis(place)
        style.grid(place, "both")
    handles: list[Any] = [Line2D([], [], color=color, label=way) for way, color in WAYS.items()]
    if parts.title:
        handles += [Line2D([], [], color=style.QUIET, linestyle=p.line_style, label=p.label) for p in parts.shown]
    style.legend(ax, [*handles, style.band_handle(f"{groups.limits_name(table)}, pointwise")], parts.title, below=True)
    note = groups.joined(["what is missing to 100 % is still there", groups.weak_said(table), later, parts.note()])
    style.describe(ax, title, note, f"{xlabel} (log axis)" if is_log else xlabel, ylabel)
    return ax


def _draw_way(ax: Axes, rows: pd.DataFrame, scale: _Scale, **looks: Any) -> None:  # noqa: ANN401 - as Matplotlib has them
    """Draw the curve of one way out with its band; one that nobody took is not drawn."""
    lowest, highest, is_log = scale
    if not len(rows) or not groups.numbers(rows["estimate"]).any():
        return
    begin = np.array([lowest])
    time = np.maximum(np.concatenate([begin, groups.numbers(rows["time_s"]), [highest]]), lowest)
    height, lower, upper = (
        np.concatenate([[0.0], known, known[-1:]])
        for known in (groups.numbers(rows[column]) for column in ("estimate", "lower", "upper"))
    )
    seen = scales.visible(time, lowest, highest, log=is_log)
    ax.step(time[seen], height[seen], where="post", linewidth=1.6, **looks)
    ax.fill_between(time[seen], lower[seen], upper[seen], step="post", color=looks["color"], alpha=0.12, linewidth=0)
