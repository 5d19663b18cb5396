"""Pictures of who completes tasks: the commander, the assignee, both or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from telemetry_kit.plots import given, groups, scales, style

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

COMPLETERS = {
    "commander": (0, "o"),
    "assignee": (1, "s"),
    "both": (2, "D"),
    "neither": (7, "^"),
}
"""The colour and the marker of each completer, the same in every picture."""

SHARES = ["completer", "n_completed", "n_clusters", "estimate", "lower", "upper"]
DIFFERENCES = ["n_completed", "n_clusters", "commander", "assignee", "difference", "lower", "upper"]
PERIOD = "period"
COMPLETED = "Tasks completed by (% of completions)"
DIFFERENCE = "Commander's share minus assignee's share (percentage points)"


@given.picture
def plot_task_completion(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the shares of the four completers with their intervals; each group has its rows.

    Parameters
    ----------
    table
        As ``task_completion`` returns it.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    ParameterError
        Where ``table`` lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> table = pd.DataFrame({
    ...     "completer": ["commander", "assignee", "both", "neither"], "n_completed": [5, 3, 1, 1],
    ...     "n_clusters": [4, 4, 4, 4], "estimate": [0.5, 0.3, 0.1, 0.1], "lower": [0.3, 0.1, 0.0, 0.0],
    ...     "upper": [0.7, 0.5, 0.3, 0.3],
    ... })
    >>> [text.get_text() for text in plots.plot_task_completion(table).get_yticklabels()]
    ['commander', 'assignee', 'both', 'neither']
    """
    table = groups.need(table, SHARES)
    parts = groups.split(table, "completer", size="n_completed", things="completions", most=groups.MOST_ROWS // 2)
    title, is_grouped = "Who completes tasks", bool(parts.title)
    height = 1.6 + (0.62 * len(parts) if is_grouped else 1.4)
    ax = style.open_axes(ax, height=height)
    ylabel = parts.title or "Completer"
    if not len(parts):
        return style.say_empty(ax, "no completed tasks", title=title, xlabel=COMPLETED, ylabel=ylabel)
    rows_at = style.rows_axis(ax, [group.label for group in parts.shown] if is_grouped else list(COMPLETERS))
    for position, group in enumerate(parts.shown):
        for number, (completer, looks) in enumerate(_completer_looks().items()):
            at = np.array([rows_at[position] + (number - 1.5) * 0.2 if is_grouped else rows_at[number]])
            _draw_share(ax, group.rows[group.rows["completer"] == completer], at, *looks, horizontal=True)
    if is_grouped:
        style.beside(ax, rows_at, [_completions(group.rows) for group in parts.shown], heading="")
        for height_ in rows_at[1:] - 0.5:
            ax.axhline(height_, color=style.RULE, linewidth=0.8)
        style.legend(ax, [*_completer_handles(), style.limits_handle(groups.limits_name(table))], below=True)
        told = ""
    else:
        rows = parts.shown[0].rows.set_index("completer")
        texts = [groups.count(rows["n_completed"].get(name, 0), "completion") for name in COMPLETERS]
        style.beside(ax, rows_at, texts, heading="")
        told = groups.joined([f"n = {_completions(table)}", groups.limits_said(table)])
    scales.share_axis(ax, "x")
    style.grid(ax, "x")
    style.describe(ax, title, groups.joined([told, groups.weak_said(table), parts.note()]), COMPLETED, ylabel)
    return ax


@given.picture
def plot_completion_by_stage(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the shares of the four completers stage by stage, with intervals and the number of completions.

    Parameters
    ----------
    table
        As ``task_completion(…, by="stage")`` returns it; completions outside any visit have no stage.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    ParameterError
        Where ``table`` lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> table = pd.DataFrame({
    ...     "stage": [0], "completer": ["both"], "n_completed": [3], "n_clusters": [2], "estimate": [1.0],
    ...     "lower": [0.2], "upper": [1.0],
    ... })
    >>> plots.plot_completion_by_stage(table).get_xlabel()
    'Stage at the moment of completion (counted from 0)'
    """
    table = groups.need(table, ["stage", *SHARES])
    title, xlabel = "Who completes tasks, stage by stage", "Stage at the moment of completion (counted from 0)"
    parts = groups.split(table, "completer", size="n_completed", things="completions", most=groups.MOST_ROWS)
    ax = style.open_axes(ax, width=min(14.0, 4.5 + 0.8 * max(len(parts), 1)))
    if not len(parts):
        return style.say_empty(ax, "no completed tasks", title=title, xlabel=xlabel, ylabel=COMPLETED)
    for position, group in enumerate(parts.shown):
        for number, (completer, looks) in enumerate(_completer_looks().items()):
            at = np.array([position + (number - 1.5) * 0.17])
            _draw_share(ax, group.rows[group.rows["completer"] == completer], at, *looks, horizontal=False)
    names = [group.label.replace(groups.UNKNOWN, "in no stage") for group in parts.shown]
    counts = [groups.total(group.rows["n_completed"]) for group in parts.shown]
    ax.set_xticks(range(len(parts)), [f"{name}\nn = {n:,}" for name, n in zip(names, counts, strict=True)])
    ax.set_xlim(-0.5, len(parts) - 0.5)
    for place in range(1, len(parts)):
        ax.axvline(place - 0.5, color=style.RULE, linewidth=0.8)
    scales.share_axis(ax)
    style.grid(ax, "y")
    style.legend(ax, [*_completer_handles(), style.limits_handle(groups.limits_name(table))])
    told = f"n = {groups.count(groups.total(table['n_completed']), 'completion')}"
    style.describe(ax, title, groups.joined([told, groups.weak_said(table), parts.note()]), xlabel, COMPLETED)
    return ax


@given.picture
def plot_task_completion_over_time(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the shares of the four completers over time, with bands; each group has a panel.

    Parameters
    ----------
    table
        As ``task_completion(…, freq=…)`` returns it.
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
    ...     "period": pd.to_datetime(["2020-11-02", "2020-11-09"], utc=True), "completer": ["both", "both"],
    ...     "n_completed": [3, 4], "n_clusters": [2, 2], "estimate": [0.3, 0.4], "lower": [0.1, 0.1],
    ...     "upper": [0.5, 0.8],
    ... })
    >>> plots.plot_task_completion_over_time(table).get_xlabel()
    'Begin of the period (UTC)'
    """
    table = groups.need(table, [PERIOD, *SHARES])
    parts = groups.split(table, PERIOD, size="n_completed", things="completions")
    ax = _open_course(ax, len(parts))
    title, xlabel = "Who completes tasks, over time", "Begin of the period (UTC)"
    if not len(parts):
        return style.say_empty(ax, "no completed tasks", title=title, xlabel=xlabel, ylabel=COMPLETED)
    names = [f"{group.label}: {_completions(group.rows)}" for group in parts.shown]
    places = style.panels(ax, names, down=40) if len(parts) > 1 else [ax]
    for place, group in zip(places, parts.shown, strict=True):
        for completer, (color, marker) in _completer_looks().items():
            _draw_course(place, group.rows[group.rows["completer"] == completer], "estimate", color, marker)
        scales.share_axis(place)
        style.grid(place, "y")
        scales.date_axis(place)
    style.legend(ax, [*_completer_handles(), style.band_handle(groups.limits_name(table))])
    told = f"by {parts.title}" if parts.title else f"n = {_completions(table, most=True)}"
    style.describe(ax, title, groups.joined([told, groups.weak_said(table), parts.note()]), xlabel, COMPLETED)
    return ax


@given.picture
def plot_commander_vs_assignee(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw commander against assignee as a forest plot: a row for each group, the difference with its interval.

    Parameters
    ----------
    table
        As ``commander_vs_assignee`` returns it.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    ParameterError
        Where ``table`` lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> table = pd.DataFrame({
    ...     "plugin_version": ["1.1.0"], "n_completed": [9], "n_clusters": [3], "commander": [0.6], "assignee": [0.4],
    ...     "difference": [0.2], "lower": [-0.1], "upper": [0.5],
    ... })
    >>> [text.get_text() for text in plots.plot_commander_vs_assignee(table).get_yticklabels()]
    ['1.1.0']
    """
    table = groups.need(table, DIFFERENCES)
    parts = groups.split(table, "n_completed", size="n_completed", things="completions", most=groups.MOST_ROWS)
    ax = style.open_axes(ax, width=9.5, height=1.7 + 0.27 * max(len(parts), 1))
    title, ylabel = "Who completes tasks: commander against assignee", parts.title or "Group"
    if not len(parts):
        return style.say_empty(ax, "no completed tasks", title=title, xlabel=DIFFERENCE, ylabel=ylabel)
    at = style.rows_axis(ax, [group.label or "all" for group in parts.shown])
    ax.axvline(0, color=style.QUIET, linewidth=1)
    for height, group in zip(at, parts.shown, strict=True):
        rows = group.rows
        difference, lower, upper = (groups.numbers(rows[name]) for name in ("difference", "lower", "upper"))
        is_weak = groups.is_weak(rows)
        style.whiskers(ax, [height], difference, lower, upper, is_weak=is_weak, horizontal=True)
        style.points(ax, difference, [height], "o", is_weak=is_weak, color=given.colors()[0], markersize=6)
    columns = {
        "commander": [_per_cent(group.rows["commander"].iloc[0]) for group in parts.shown],
        "assignee": [_per_cent(group.rows["assignee"].iloc[0]) for group in parts.shown],
        "completions": [f"{int(group.rows['n_completed'].iloc[0]):,}" for group in parts.shown],
        "servers": [f"{int(group.rows['n_clusters'].iloc[0]):,}" for group in parts.shown],
    }
    for number, (heading, texts) in enumerate(columns.items()):
        style.beside(ax, at, texts, heading=heading, x=1.02 + 0.15 * number)
    reach = np.concatenate([groups.numbers(table[name]) for name in ("difference", "lower", "upper")])
    furthest = min(1.05, max(0.1, 1.1 * float(np.nanmax(np.abs(reach), initial=0.1))))
    ax.set_xlim(-furthest, furthest)
    _points_axis(ax, "x")
    style.grid(ax, "x")
    told = "right of the line, more was completed by commanders than by assignees"
    note = groups.joined([groups.limits_said(table), told, groups.weak_said(table), parts.note()])
    style.describe(ax, title, note, DIFFERENCE, ylabel)
    return ax


@given.picture
def plot_commander_vs_assignee_over_time(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the difference between commander and assignee over time, with a band; each group has a panel.

    Parameters
    ----------
    table
        As ``commander_vs_assignee(…, freq=…)`` returns it.
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
    ...     "period": pd.to_datetime(["2020-11-02"], utc=True), "n_completed": [9], "n_clusters": [3],
    ...     "commander": [0.6], "assignee": [0.4], "difference": [0.2], "lower": [-0.1], "upper": [0.5],
    ... })
    >>> plots.plot_commander_vs_assignee_over_time(table).get_xlabel()
    'Begin of the period (UTC)'
    """
    table = groups.need(table, [PERIOD, *DIFFERENCES])
    parts = groups.split(table, PERIOD, size="n_completed", things="completions")
    ax = _open_course(ax, len(parts))
    title, xlabel = "Commander against assignee, over time", "Begin of the period (UTC)"
    ylabel = DIFFERENCE.replace(" (", "\n(")
    if not len(parts):
        return style.say_empty(ax, "no completed tasks", title=title, xlabel=xlabel, ylabel=ylabel)
    names = [f"{group.label}: {_completions(group.rows)}" for group in parts.shown]
    places = style.panels(ax, names, down=40) if len(parts) > 1 else [ax]
    for place, group in zip(places, parts.shown, strict=True):
        place.axhline(0, color=style.QUIET, linewidth=1)
        _draw_course(place, group.rows, "difference", given.colors()[0], "o")
        place.set_ylim(-1.05, 1.05)
        _points_axis(place, "y")
        style.grid(place, "y")
        scales.date_axis(place)
    style.legend(ax, [style.band_handle(groups.limits_name(table))])
    told = f"by {parts.title}" if parts.title else f"n = {_completions(table, most=True)}"
    note = groups.joined([told, "above the line: more by commanders", groups.weak_said(table), parts.note()])
    style.describe(ax, title, note, xlabel, ylabel)
    return ax


def _draw_share(
    ax: Axes, rows: pd.DataFrame, at: npt.NDArray[np.float64], color: str, marker: str, *, horizontal: bool
) -> None:
    """Draw one completer's share with its interval; nothing where the group has no such row."""
    if rows.empty:
        return
    estimate, lower, upper = (groups.numbers(rows[name]) for name in ("estimate", "lower", "upper"))
    is_weak = groups.is_weak(rows)
    style.whiskers(ax, at, estimate, lower, upper, horizontal=horizontal, is_weak=is_weak, color=color)
    places = (estimate, at) if horizontal else (at, estimate)
    style.points(ax, *places, marker, is_weak=is_weak, color=color, markersize=5.5)


def _open_course(ax: Axes | None, n_groups: int) -> Axes:
    """Open axes for something over time: for one group, or for a panel each."""
    n_rows, n_columns = style.panel_shape(max(n_groups, 1))
    if n_groups <= 1:
        return style.open_axes(ax, width=8.5, height=4.0)
    return style.open_axes(ax, width=3.6 * n_columns + 1.8, height=2.6 * n_rows + 1.2)


def _draw_course(ax: Axes, rows: pd.DataFrame, column: str, color: str, marker: str) -> None:
    """Draw an estimate over time as a line with a band, whiskers where a neighbour is missing."""
    at = scales.days(pd.DatetimeIndex(rows[PERIOD]))
    estimate, lower, upper = (groups.numbers(rows[name]) for name in (column, "lower", "upper"))
    is_weak = groups.is_weak(rows)
    ax.plot(at, estimate, color=color, linewidth=1.4)
    style.points(ax, at, estimate, marker, is_weak=is_weak, color=color, markersize=4)
    ax.fill_between(at, lower, upper, color=color, alpha=0.15, linewidth=0)
    if len(at) == 1:
        style.whiskers(ax, at, estimate, lower, upper, is_weak=is_weak, color=color)


def _completer_looks() -> dict[str, tuple[str, str]]:
    """Return the colour and the marker of each completer."""
    return {completer: (given.colors()[color], marker) for completer, (color, marker) in COMPLETERS.items()}


def _completer_handles() -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D([], [], color=color, marker=marker, linestyle="none", label=completer)
        for completer, (color, marker) in _completer_looks().items()
    ]


def _completions(rows: pd.DataFrame, *, most: bool = False) -> str:
    """Say how many completions stand behind rows, and in how many clusters (at most, where they are of periods)."""
    n_clusters = groups.largest(rows["n_clusters"])
    at_most = "up to " if most else ""
    n_completed = groups.count(groups.total(rows["n_completed"]), "completion")
    return f"{n_completed}, {at_most}{groups.count(n_clusters, 'server')}" + (" in a period" if most else "")


def _per_cent(share: object) -> str:
    value = float("nan") if share is None else float(share)  # type: ignore[arg-type]
    return "–" if np.isnan(value) else f"{100 * value:.0f} %"


def _points_axis(ax: Axes, axis: str) -> None:
    """Show an axis of differences between shares in percentage points, with their sign."""
    from matplotlib.ticker import FuncFormatter

    scale = ax.xaxis if axis == "x" else ax.yaxis
    scale.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:+.0f}" if round(value, 6) else "0"))
