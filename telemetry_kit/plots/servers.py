"""Pictures of who uses the plugin: activity of servers over time, and versions in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from telemetry_kit.plots import given, groups, scales, style

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh

EVENTS = ["n_incident", "n_tasks", "n_playbook"]
USERS = {"dau": "on the day", "wau": "in the 7 days up to it", "mau": "in the 30 days up to it"}
DATE = "Date (UTC)"
NONE_STAYS = -0.25
"""Where the colours of shares begin, so that a cell of 0 is told from an empty one."""
MOST_CELLS, DARK = 26, 0.6
"""Up to how many periods a number fits into a cell, and from which share on its colour is dark."""
NOBODY = 0.5
"""Stands for zero on the logarithmic scale of colours: it is below the first of them."""


@given.picture
def plot_server_activity(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the people who were active: over time for one server, as a heat map of days for several.

    Parameters
    ----------
    table
        As ``server_activity`` returns it.
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
    ...     "server_id": ["a"], "date": pd.to_datetime(["2020-11-02"]), "n_incident": [3], "n_tasks": [2],
    ...     "n_playbook": [0], "dau": [2], "wau": [2], "mau": [2],
    ... })
    >>> plots.plot_server_activity(table).get_xlabel()
    'Date (UTC)'
    """
    table = groups.need(table, ["server_id", "date", *EVENTS, *USERS])
    n_servers = table["server_id"].nunique()
    n_rows = min(n_servers, groups.MOST_ROWS)
    ax = style.open_axes(ax, width=9.0, height=4.2 if n_servers <= 1 else 1.9 + 0.2 * n_rows)
    if not n_servers:
        return style.say_empty(ax, "no events", title="Activity", xlabel=DATE, ylabel="Server")
    if n_servers == 1:
        return _draw_one_server(ax, table)
    return _draw_servers(ax, table)


@given.picture
def plot_versions(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how many servers run which version over time, one version on top of the other.

    Parameters
    ----------
    table
        As ``versions_in_use`` returns it.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on. Of more than eight versions, those that the most servers ran on one day are drawn.

    Raises
    ------
    ParameterError
        Where ``table`` lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> table = pd.DataFrame({
    ...     "date": pd.to_datetime(["2020-11-02", "2020-11-03"], utc=True), "version": "1.1.0", "n_servers": [3, 4],
    ...     "n_in_use": [3, 4],
    ... })
    >>> plots.plot_versions(table).get_ylabel()
    'Servers in use'
    """
    from matplotlib import colormaps
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

    table = groups.need(table, ["date", "version", "n_servers", "n_in_use"])
    parts = groups.split(table[["version", *table.columns.drop("version")]], "date", size="n_servers", things="servers")
    ax = style.open_axes(ax)
    title, ylabel = "Versions in use", "Servers in use"
    if not len(parts):
        return style.say_empty(ax, "no servers", title=title, xlabel=DATE, ylabel=ylabel)
    at = _days(parts.shown[0].rows)
    colors = colormaps["viridis"](np.linspace(0.9, 0.15, len(parts)))
    counts = [groups.numbers(group.rows["n_servers"]) for group in parts.shown]
    if len(at) == 1:
        at, counts = np.append(at, at + 1), [count.repeat(2) for count in counts]
    ax.stackplot(at, counts, colors=list(colors), edgecolor="white", linewidth=0.6)
    ax.set_xlim(at[0], at[-1])
    ax.set_ylim(0, max(1, groups.largest(table["n_in_use"])) * 1.04)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    scales.date_axis(ax)
    handles = [Patch(color=color, label=group.label) for color, group in zip(colors, parts.shown, strict=True)]
    style.legend(ax, handles[::-1], "version")
    told = f"n = up to {groups.count(groups.largest(table['n_in_use']), 'server')} on one day"
    style.describe(ax, title, groups.joined([told, parts.note()]), DATE, ylabel)
    return ax


@given.picture
def plot_server_retention(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw which part of each cohort of servers was still active, period by period: a cell for each cohort and age.

    Parameters
    ----------
    table
        As ``server_retention`` returns it.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on. Cells that cannot be known yet are empty; of many cohorts, the latest are drawn.

    Raises
    ------
    ParameterError
        Where ``table`` lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> table = pd.DataFrame({
    ...     "cohort": pd.to_datetime(["2020-11-01"], utc=True), "age": [0], "n_servers": [4], "n_active": [4],
    ...     "estimate": [1.0],
    ... })
    >>> plots.plot_server_retention(table).get_ylabel()
    'First seen'
    """
    table = groups.need(table, ["cohort", "age", "n_servers", "n_active", "estimate"])
    unit = {"D": "days", "W": "weeks", "M": "months", "Q": "quarters"}.get(str(table.attrs.get("freq")), "periods")
    title, xlabel, ylabel = "Servers that stay", f"{unit.capitalize()} since then", "First seen"
    cohorts = table[["cohort", "n_servers"]].drop_duplicates("cohort")
    shown = cohorts.tail(groups.MOST_ROWS)
    ax = style.open_axes(ax, height=1.8 + 0.32 * max(4, len(shown)))
    if not len(shown):
        return style.say_empty(ax, "no servers", title=title, xlabel=xlabel, ylabel=ylabel)
    rows = table[table["cohort"].isin(shown["cohort"])]
    age = rows["age"].to_numpy(np.int64)
    cells = np.full((len(shown), age.max() + 1), np.nan)
    cells[pd.Index(shown["cohort"]).get_indexer(pd.Index(rows["cohort"])), age] = groups.numbers(rows["estimate"])
    at = style.rows_axis(ax, [f"{groups.label(cohort)}" for cohort in shown["cohort"]])
    mesh = ax.pcolormesh(
        np.arange(cells.shape[1] + 1) - 0.5,
        np.arange(len(shown) + 1) - 0.5,
        cells,
        cmap="Blues",
        vmin=NONE_STAYS,
        vmax=1,
        edgecolor="white",
        linewidth=1.5,
    )
    if cells.shape[1] <= MOST_CELLS:
        for (row, column), share in np.ndenumerate(cells):
            if not np.isnan(share):
                color = "white" if share > DARK else style.ON_LIGHT
                ax.text(
                    column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=style.small(), color=color
                )
    ax.set_xticks(np.arange(0, cells.shape[1], 1 + cells.shape[1] // MOST_CELLS))
    style.beside(ax, at, [f"{int(n):,}" for n in shown["n_servers"]], heading="servers", x=1.01)
    bar = ax.figure.colorbar(mesh, cax=ax.inset_axes((1.1, 0.0, 0.02, 1.0)), ticks=[0, 0.5, 1])
    bar.ax.set_yticklabels(["0 %", "50 %", "100 %"], fontsize=style.small())
    bar.ax.set_ylim(0, 1)
    bar.ax.spines[:].set_visible(False)
    bar.set_label("Active (% of the cohort)", fontsize=style.small(), color=style.INK)
    told = [f"n = {groups.count(groups.total(cohorts['n_servers']), 'server')}", "empty: not known, or not yet"]
    if len(shown) < len(cohorts):
        told.append(f"the last {len(shown)} of {len(cohorts):,} cohorts are shown")
    style.describe(ax, title, groups.joined(told), xlabel, ylabel)
    return ax


def _draw_one_server(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw daily, weekly and monthly active users of a server as three lines."""
    from matplotlib.lines import Line2D

    at = _days(table)
    for position, users in enumerate(USERS):
        looks: dict[str, Any] = {"color": given.colors()[position], "linestyle": groups.LINE_STYLES[position]}
        ax.plot(at, groups.numbers(table[users]), marker="." if len(at) == 1 else "", linewidth=1.5, **looks)
    ax.set_ylim(bottom=0)
    style.grid(ax, "y")
    scales.date_axis(ax)
    handles = [
        Line2D([], [], color=color, linestyle=line_style, label=f"{name.upper()}: {words}")
        for color, line_style, (name, words) in zip(given.colors(), groups.LINE_STYLES, USERS.items(), strict=False)
    ]
    style.legend(ax, handles, "active users")
    n_events = sum(groups.total(table[column]) for column in EVENTS)
    told = f"server {groups.label(table['server_id'].iloc[0])}; n = {groups.count(n_events, 'event')}"
    style.describe(ax, "Activity of the server", told, DATE, "Distinct active users")
    return ax


def _draw_servers(ax: Axes, table: pd.DataFrame) -> Axes:
    """Draw daily active users as a heat map: a row for each server, the one with the most events on top."""
    from matplotlib import colormaps
    from matplotlib.colors import LogNorm

    n_events = table[EVENTS].sum(axis="columns").groupby(table["server_id"]).sum()
    n_events = n_events.sort_values(ascending=False, kind="stable")
    shown = n_events.head(groups.MOST_ROWS)
    rows = table[table["server_id"].isin(shown.index)]
    ends = _days(rows) + 1  # a period is named after its last day
    edges = _edges(np.unique(ends))
    users = np.full((len(shown), len(edges) - 1), np.nan)
    places = shown.index.get_indexer(pd.Index(rows["server_id"])), np.searchsorted(edges, ends) - 1
    counted = "n_users" if "n_users" in rows else "dau"
    users[places] = np.maximum(groups.numbers(rows[counted]), NOBODY)
    at = style.rows_axis(ax, [groups.label(server) for server in shown.index])
    ax.tick_params(axis="y", labelfontfamily="monospace", labelsize=style.small())
    colors = colormaps["viridis_r"].with_extremes(under="#ECECEC")
    scale = LogNorm(1, max(float(np.nanmax(users)), 2.0))
    mesh = ax.pcolormesh(edges, np.arange(len(shown) + 1) - 0.5, users, cmap=colors, norm=scale, rasterized=False)
    ax.set_xlim(edges[0], edges[-1])
    scales.date_axis(ax)
    style.beside(ax, at, [f"{int(n):,}" for n in shown], heading="", x=1.01)
    # The caption may reach as far as here: it is below.
    looks: dict[str, Any] = {"fontsize": style.small(), "color": style.QUIET, "style": "italic", "va": "top"}
    ax.annotate("events", (1.01, 0), xycoords="axes fraction", **looks)
    _draw_users_scale(ax, mesh, counted)
    told = [f"n = {groups.count(n_events.sum(), 'event')} on {groups.count(len(n_events), 'server')}"]
    told.append("grey: a period without anybody; empty: before a server's first event or after its last")
    if len(shown) < len(n_events):
        told.append(f"{len(shown)} of {len(n_events):,} servers are shown: those with the most events")
    style.describe(ax, "Activity of the servers", groups.joined(told), DATE, "Server")
    return ax


def _draw_users_scale(ax: Axes, mesh: QuadMesh, counted: str) -> None:
    """Draw what the colours of the heat map mean beside the axes."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    _, most = mesh.get_clim()
    scale = ax.inset_axes((1.09, 0.0, 0.02, 1.0))
    ticks = [step * 10**power for power in range(7) for step in (1, 2, 5) if step * 10**power <= (most or 2)]
    bar = ax.figure.colorbar(mesh, cax=scale, ticks=FixedLocator(ticks), format=FuncFormatter(lambda n, _: f"{n:,.0f}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    scale.spines[:].set_visible(False)
    bar.set_label(
        f"People who were active {USERS.get(counted, 'in the period')}", fontsize=style.small(), color=style.INK
    )
    scale.tick_params(labelsize=style.small(), length=0)


def _days(table: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return the dates of a table in days, as Matplotlib counts them."""
    return scales.days(pd.DatetimeIndex(table["date"]))


def _edges(ends: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return where the columns of a heat map begin and end; a gap without any server is a column of its own."""
    length = float(np.median(np.diff(ends))) if len(ends) > 1 else 1.0
    begins = np.maximum(ends - length, np.append(-np.inf, ends[:-1]))
    return np.union1d(begins, ends)
