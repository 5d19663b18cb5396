"""Pictures of the hours of the week in which servers work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from telemetry_kit.plots import given, groups, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MOST_PANELS = 6
HOURS = 24
HEAT = "Blues"


@given.picture
def plot_load_by_hour(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how many events happened in each hour of the week, as a heat map in which white is none.

    Parameters
    ----------
    table
        As ``load_by_hour`` returns it; every group gets a panel, the largest six.
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
    >>> import telemetry_kit as tk
    >>> from telemetry_kit import plots
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> plots.plot_load_by_hour(tk.load_by_hour(log.tasks)).get_xlabel()
    "Hour of the day, by the server's clock"
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import MaxNLocator

    table = groups.need(table, ["weekday", "hour", "n_events", "n_servers"])
    parts = groups.split(table, "weekday", size="n_events", things="events", most=MOST_PANELS)
    n_rows, n_columns = style.panel_shape(max(len(parts), 1))
    ax = style.open_axes(ax, width=7.0 * min(n_columns, 2) + 1.5, height=2.9 * n_rows + 0.8)
    title, xlabel, ylabel = "When servers work", "Hour of the day, by the server's clock", "Day of the week"
    if not len(parts) or not groups.total(table["n_events"]):
        return style.say_empty(ax, "no events whose offset is known", title=title, xlabel=xlabel, ylabel=ylabel)
    if len(parts) > 1:
        counts = [groups.count(groups.total(group.rows["n_events"]), "event") for group in parts.shown]
        titles = [f"{group.label}: {count}" for group, count in zip(parts.shown, counts, strict=True)]
        places = style.panels(ax, titles, below=16, down=24, across=26)
    else:
        places = [ax]
    most = max(float(groups.numbers(group.rows["n_events"]).max()) for group in parts.shown)
    for place, group in zip(places, parts.shown, strict=True):
        _draw_week(place, group.rows, most)
    colors = ScalarMappable(Normalize(0, most), cmap=HEAT)
    bar = ax.figure.colorbar(colors, cax=ax.inset_axes((1.03, 0.0, 0.02, 1.0)), ticks=MaxNLocator(integer=True))
    bar.set_label("Events", fontsize=style.small(), color=style.INK)
    bar.ax.tick_params(labelsize=style.small(), length=0)
    bar.ax.spines[:].set_visible(False)
    by = f"by {parts.title}" if parts.title else ""
    told = "" if len(parts) > 1 else f"n = {groups.count(groups.total(table['n_events']), 'event')}"
    servers = f"at most {groups.count(groups.largest(table['n_servers']), 'server')} in an hour"
    style.describe(ax, title, groups.joined([by, told, servers, parts.note()]), xlabel, ylabel)
    return ax


def _draw_week(ax: Axes, rows: pd.DataFrame, most: float) -> None:
    cells = np.zeros((len(WEEKDAYS), HOURS))
    cells[rows["weekday"].to_numpy(np.int64) - 1, rows["hour"].to_numpy(np.int64)] = groups.numbers(rows["n_events"])
    ax.pcolormesh(
        np.arange(HOURS + 1), np.arange(len(WEEKDAYS) + 1), cells, cmap=HEAT, vmin=0, vmax=most, edgecolor="white",
        linewidth=0.6,
    )  # fmt: skip
    ax.set_xticks(np.arange(0, HOURS + 1, 3), [f"{hour}" for hour in range(0, HOURS + 1, 3)], fontsize=style.small())
    ax.set_yticks(np.arange(len(WEEKDAYS)) + 0.5, WEEKDAYS, fontsize=style.small())
    ax.invert_yaxis()
    ax.tick_params(length=0)
    style.plain(ax)
