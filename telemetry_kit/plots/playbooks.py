"""Pictures of how large playbooks are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from telemetry_kit.plots import given, groups, scales, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

MOST_UPDATES_MARKED = 10
QUANTILES = ["min", "p05", "p25", "median", "p75", "p95", "max", "median_lower", "median_upper"]
MEASURES = {
    "num_checklists": "Stages per playbook",
    "total_checklist_items": "Tasks per playbook",
    "num_members": "Members per playbook",
    "num_slash_commands": "Slash commands per playbook",
    "items_per_checklist": "Tasks per stage",
}
"""What each measure counts, as an axis says it."""


@given.picture
def plot_playbook_sizes(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the quantiles of playbook sizes: a row for each group, on a logarithmic axis where the tail is long.

    The thick bar holds the middle half of the playbooks, the thin one nine in ten; the diamond is the median, the
    whisker its interval; small ticks are the smallest and the largest.

    Parameters
    ----------
    table
        As ``playbook_sizes`` returns it.
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
    ...     "measure": ["num_checklists"], "n": [3], "n_servers": [2], "min": [1.0], "p05": [1.1], "p25": [1.5],
    ...     "median": [2.0], "p75": [3.0], "p95": [3.8], "max": [4.0], "median_lower": [1.0], "median_upper": [4.0],
    ... })
    >>> plots.plot_playbook_sizes(table).get_xlabel()
    'Stages per playbook'
    """
    from matplotlib.lines import Line2D

    table = groups.need(table, ["measure", "n", "n_servers", *QUANTILES])
    parts = groups.split(table, "measure", size="n", things="playbooks", most=groups.MOST_ROWS)
    ax = style.open_axes(ax, width=9.0, height=1.9 + 0.32 * max(len(parts), 1))
    title, xlabel, ylabel = "How large playbooks are", _axis_of(table), parts.title or "Group"
    if not len(parts):
        return style.say_empty(ax, "no playbooks", title=title, xlabel=xlabel, ylabel=ylabel)
    at = style.rows_axis(ax, [group.label or "all" for group in parts.shown])
    color = given.colors()[0]
    for height, group in zip(at, parts.shown, strict=True):
        least, p05, p25, median, p75, p95, most, lower, upper = (groups.numbers(group.rows[name]) for name in QUANTILES)
        ax.hlines(height, p05, p95, color=color, linewidth=2, alpha=0.6)
        ax.hlines(height, p25, p75, color=color, linewidth=9, alpha=0.4)
        ax.plot(np.concatenate([least, most]), [height, height], "|", color=color, markersize=6)
        is_weak = groups.is_weak(group.rows)
        style.whiskers(ax, [height], median, lower, upper, is_weak=is_weak, horizontal=True, capsize=3.5)
        style.points(ax, median, [height], "D", is_weak=is_weak, color=style.INK, markersize=4.5)
    counts = [(groups.total(group.rows["n"]), groups.total(group.rows["n_servers"])) for group in parts.shown]
    texts = [f"{groups.count(n, 'playbook')} on {groups.count(servers, 'server')}" for n, servers in counts]
    style.beside(ax, at, texts, heading="")
    drawn = [groups.numbers(group.rows[name]) for group in parts.shown for name in QUANTILES]
    scales.size_axis(ax, np.concatenate(drawn))
    style.grid(ax, "x")
    handles = [
        Line2D([], [], color=color, linewidth=9, alpha=0.4, label="middle half of the playbooks"),
        Line2D([], [], color=color, linewidth=2, alpha=0.6, label="from 5 to 95 % of them"),
        Line2D([], [], color=color, linestyle="none", marker="|", label="smallest and largest"),
        Line2D([], [], color=style.INK, marker="D", markersize=4.5, label=groups.with_limits("median", table)),
    ]
    style.legend(ax, handles, below=True)
    style.describe(ax, title, groups.joined([groups.weak_said(table), parts.note()]), xlabel, ylabel)
    return ax


@given.picture
def plot_playbook_ecdf(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of playbooks up to each size, and above it how many playbooks have each size.

    Parameters
    ----------
    table
        As ``playbook_ecdf`` returns it; each group has its curve, and its own histogram.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the curves; the histograms are insets above them (``child_axes``).

    Raises
    ------
    ParameterError
        Where ``table`` lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> table = pd.DataFrame({
    ...     "measure": ["num_members"] * 2, "value": [1.0, 4.0], "n": [3, 1], "share": [0.75, 1.0],
    ... })
    >>> plots.plot_playbook_ecdf(table).get_xlabel()
    'Members per playbook'
    """
    from matplotlib.lines import Line2D

    table = groups.need(table, ["measure", "value", "n", "share"])
    parts = groups.split(table, "measure", size="n", things="playbooks of one size")
    n_strips = max(len(parts), 1)
    ax = style.open_axes(ax, height=4.0 + 0.45 * n_strips)
    title, xlabel, ylabel = "How large playbooks are", _axis_of(table), "Playbooks of at most that size (%)"
    if not len(parts):
        return style.say_empty(ax, "no playbooks", title=title, xlabel=xlabel, ylabel=ylabel)
    strip = min(0.12, 0.5 / n_strips)
    ax.spines["left"].set_bounds(0, 1)
    scales.size_axis(ax, groups.numbers(table["value"]))
    for position, group in enumerate(parts.shown):
        value, n, share = (groups.numbers(group.rows[name]) for name in ("value", "n", "share"))
        looks = {"color": group.color, "linestyle": group.line_style}
        edge = ax.get_xlim()[1]
        ax.step([value[0], *value, edge], [0, *share, share[-1]], where="post", linewidth=1.6, **looks)
        inset = ax.inset_axes((0, 1 - (position + 1) * strip, 1, strip * 0.85), sharex=ax)
        inset.vlines(value, 0, n, color=group.color, linewidth=2.5)
        inset.set_ylim(0, float(n.max()) * 1.05)
        inset.spines[["top", "right", "left"]].set_visible(False)
        inset.spines["bottom"].set_color(style.RULE)
        inset.set_yticks([float(n.max())], [f"{int(n.max()):,}"], fontsize=style.small(), color=group.color)
        inset.tick_params(axis="x", bottom=False, labelbottom=False, which="both")
        inset.tick_params(axis="y", length=0)
        inset.patch.set_visible(False)
    scales.share_axis(ax, whole=False)
    top = 1 / (1 - n_strips * strip - 0.04)
    ax.set_ylim(0, top)
    ax.set_yticks(np.arange(0, 1.01, 0.25))
    style.grid(ax, "both")
    counts = [groups.count(groups.total(group.rows["n"]), "playbook") for group in parts.shown]
    handles = [
        Line2D([], [], color=group.color, linestyle=group.line_style, label=f"{group.label}: {counted}")
        for group, counted in zip(parts.shown, counts, strict=True)
        if parts.title
    ]
    style.legend(ax, handles, parts.title)
    told = "" if parts.title else f"n = {counts[0]}"
    style.describe(ax, title, groups.joined([told, "above: how many have each size", parts.note()]), xlabel, ylabel)
    return ax


@given.picture
def plot_playbook_growth(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how much larger playbooks are after each update than they were when they were created, with bands.

    Parameters
    ----------
    table
        As ``playbook_growth`` returns it; each group has its line.
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
    ...     "measure": "num_members", "update": [0, 1], "n": [9, 4], "n_servers": [3, 2], "mean_change": [0.0, 1.5],
    ...     "lower": [0.0, -0.5], "upper": [0.0, 3.5],
    ... })
    >>> plots.plot_playbook_growth(table).get_ylabel()
    'Members per playbook: mean change since its creation'
    """
    from matplotlib.lines import Line2D
    from matplotlib.ticker import MaxNLocator

    table = groups.need(table, ["measure", "update", "n", "n_servers", "mean_change", "lower", "upper"])
    parts = groups.split(table, "measure", size="n", things="playbooks")
    ax = style.open_axes(ax)
    title, xlabel = "How playbooks grow with their updates", "Number of the update (0: as created)"
    ylabel = f"{_axis_of(table)}: mean change since its creation"
    if not len(parts):
        return style.say_empty(
            ax, "no playbooks whose creation was recorded", title=title, xlabel=xlabel, ylabel=ylabel
        )
    ax.axhline(0, color=style.QUIET, linewidth=1)
    for group in parts.shown:
        update, change, lower, upper = (
            groups.numbers(group.rows[name]) for name in ("update", "mean_change", "lower", "upper")
        )
        ax.plot(update, change, color=group.color, linestyle=group.line_style, linewidth=1.4)
        is_weak = groups.is_weak(group.rows)
        style.points(ax, update, change, group.marker, is_weak=is_weak, color=group.color, markersize=4)
        ax.fill_between(update, lower, upper, color=group.color, alpha=0.15, linewidth=0)
    ax.xaxis.set_major_locator(MaxNLocator(MOST_UPDATES_MARKED, integer=True))
    style.grid(ax, "y")
    counts = [f"{groups.count(groups.largest(group.rows['n']), 'playbook')}" for group in parts.shown]
    handles = [
        Line2D([], [], color=group.color, marker=group.marker, linestyle=group.line_style, label=f"{group.label}: {n}")
        for group, n in zip(parts.shown, counts, strict=True)
        if parts.title
    ]
    style.legend(ax, [*handles, style.band_handle(groups.limits_name(table))], parts.title)
    told = "" if parts.title else _shrinking(parts.shown[0].rows)
    style.describe(ax, title, groups.joined([told, groups.weak_said(table), parts.note()]), xlabel, ylabel)
    return ax


def _shrinking(rows: pd.DataFrame) -> str:
    """Say how many playbooks have the first and the last update."""
    first, last = rows.iloc[0], rows.iloc[-1]
    counts = [f"{groups.count(row['n'], 'playbook')} at update {int(row['update'])}" for row in (first, last)]
    return f"n = {' and '.join(counts)}" if len(rows) > 1 else f"n = {counts[0]}"


def _axis_of(table: pd.DataFrame) -> str:
    """Say what the table measures."""
    measured = table["measure"].dropna().unique()
    return MEASURES.get(measured[0], groups.words(str(measured[0]))) if len(measured) == 1 else "Size of the playbook"
