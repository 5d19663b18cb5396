"""Pictures of how incidents move through their stages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from telemetry_kit.plots import given, groups, scales, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes

    from telemetry_kit.plots.groups import Group

MOST_ANNOTATED_BARS = 40
HEAT = "Blues"
"""Light where there is nothing."""
STILL_OPEN = "not reached, still open at the cutoff"


@given.picture
def plot_stage_funnel(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of incidents that reached each stage, with its interval and what may still come.

    The pale part on top of a bar is the share of incidents that had not reached the stage and were open at the
    cutoff: it may still be added.

    Parameters
    ----------
    table
        As ``stage_funnel`` returns it; groups stand side by side.
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
    ...     "stage": [0, 1], "n_eligible": [8, 8], "n_reached": [8, 4], "n_open": [0, 2], "n_servers": [3, 3],
    ...     "estimate": [1.0, 0.5], "lower": [0.4, 0.2], "upper": [1.0, 0.8],
    ... })
    >>> plots.plot_stage_funnel(table).get_xlabel()
    'Incidents that reached the stage (%)'
    """
    from matplotlib.patches import Patch

    columns = ["stage", "n_eligible", "n_reached", "n_open", "n_servers", "estimate", "lower", "upper"]
    table, later = groups.first_stages(groups.need(table, columns))
    word = groups.stage_word(table)
    if word == "status":
        # The last status is the end: nobody visits it, and its row says nothing.
        table = table[table["estimate"].notna()]
    parts = groups.split(table, "stage", size="n_eligible", things="incidents", most=groups.MOST_PANELS)
    n_stages = groups.largest(table["stage"]) + 1
    n_bars = n_stages * max(len(parts), 1)
    ax = style.open_axes(ax, width=8.5, height=min(16.0, 1.8 + 0.3 * n_bars + 0.12 * n_stages))
    title, xlabel, ylabel = "How far incidents get", f"Incidents that reached the {word} (%)", groups.stage_axis(table)
    if not len(parts):
        return style.say_empty(
            ax, later or "no incidents whose start was recorded", title=title, xlabel=xlabel, ylabel=ylabel
        )
    step = 0.8 / len(parts)
    for position, group in enumerate(parts.shown):
        rows = group.rows
        at = groups.numbers(rows["stage"]) + (position - (len(parts) - 1) / 2) * step
        estimate = groups.numbers(rows["estimate"])
        still = groups.numbers(rows["n_open"]) / np.maximum(groups.numbers(rows["n_eligible"]), 1)
        # All incidents that have a first stage reached it: no chance is in that share.
        by_chance = (groups.numbers(rows["stage"]) > 0) | (groups.numbers(rows["n_reached"]) < _eligible(rows))
        is_weak = by_chance & groups.is_weak(rows)
        looks: dict[str, Any] = {"height": step * 0.88, "color": style.inks(group.color, is_weak)}
        ax.barh(at, estimate, **looks)
        ax.barh(at, still, left=estimate, alpha=0.25, hatch="////", edgecolor="white", linewidth=0, **looks)
        lower, upper = (np.where(by_chance, groups.numbers(rows[name]), np.nan) for name in ("lower", "upper"))
        style.whiskers(ax, at, estimate, lower, upper, is_weak=is_weak, horizontal=True)
        if n_bars <= MOST_ANNOTATED_BARS:
            style.beside(ax, at, _counts(rows), heading="" if position else "reached it / have it")
    scales.share_axis(ax, "x")
    style.grid(ax, "x")
    ax.set_yticks(range(n_stages), groups.stage_names(table, n_stages))
    ax.set_ylim(n_stages - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    handles = [Patch(color=group.color, label=_incidents(group)) for group in parts.shown if parts.title]
    if groups.total(table["n_open"]):
        handles.append(Patch(facecolor="#BBBBBB", hatch="////", edgecolor="white", label=STILL_OPEN))
    handles.append(style.limits_handle(groups.limits_name(table)))
    style.legend(ax, handles, parts.title, below=True)
    told = "" if parts.title else f"n = {_incidents(parts.shown[0])}"
    n_immature = groups.total(table["n_immature"].groupby(table["stage"]).sum().head(1)) if "n_immature" in table else 0
    young = f"{groups.count(n_immature, 'incident')} too young to count" if n_immature else ""
    note = groups.joined([told, young, groups.weak_said(table), later, parts.note()])
    style.describe(ax, title, note, xlabel, ylabel)
    return ax


@given.picture
def plot_stage_dwell(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how long visits to each stage last: the median with its interval, and the quartiles, on a log axis.

    Parameters
    ----------
    table
        As ``stage_dwell`` returns it; groups stand side by side.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on. A median, quartile or end of an interval that was not reached by the cutoff is not drawn.

    Raises
    ------
    ParameterError
        Where ``table`` lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> table = pd.DataFrame({
    ...     "stage": [0], "n_visits": [9], "n_censored": [2], "n_servers": [3], "q25_s": [600.0], "median_s": [5400.0],
    ...     "q75_s": [9000.0], "median_lower_s": [900.0], "median_upper_s": [None],
    ... })
    >>> plots.plot_stage_dwell(table).get_xscale()
    'log'
    """
    from matplotlib.lines import Line2D

    quantiles = ["q25_s", "median_s", "q75_s", "median_lower_s", "median_upper_s"]
    table, later = groups.first_stages(groups.need(table, ["stage", "n_visits", "n_censored", "n_servers", *quantiles]))
    parts = groups.split(table, "stage", size="n_visits", things="visits")
    n_stages = groups.largest(table["stage"]) + 1
    n_rows = n_stages * max(len(parts), 1)
    ax = style.open_axes(ax, width=9.0, height=min(14.0, 1.8 + 0.24 * n_rows + 0.1 * n_stages))
    title, xlabel = f"How long incidents stay in each {groups.stage_word(table)}", "Dwell time (log axis)"
    if not len(parts):
        return style.say_empty(ax, later or "no visits", title=title, xlabel=xlabel, ylabel=groups.stage_axis(table))
    step = 0.8 / len(parts)
    for position, group in enumerate(parts.shown):
        rows = group.rows
        at = groups.numbers(rows["stage"]) + (position - (len(parts) - 1) / 2) * step
        q25, median, q75, lower, upper = (groups.numbers(rows[column]) for column in quantiles)
        is_weak = groups.is_weak(rows)
        ax.hlines(at, q25, q75, color=style.inks(group.color, is_weak), alpha=0.35, linewidth=7)
        inked: dict[str, Any] = {"is_weak": is_weak, "color": group.color}
        style.whiskers(ax, at, median, lower, upper, horizontal=True, **inked)
        style.points(ax, median, at, group.marker, markersize=5.5, markeredgecolor="white", **inked)
        texts = [
            f"{groups.count(n, 'visit')} on {groups.count(servers, 'server')}, {int(open_):,} open" if n else "no visit"
            for n, servers, open_ in zip(rows["n_visits"], rows["n_servers"], rows["n_censored"], strict=True)
        ]
        style.beside(ax, at, texts, heading="")
    known = np.concatenate([groups.numbers(table[column]) for column in quantiles])
    if (known == 0).any() and not (known > 0).any():
        # Recorded by the second, all visits of a stage may have no length, which no logarithmic axis shows.
        scales.duration_axis(ax, 0.0, 1.0, log=False)
        xlabel = "Dwell time"
    else:
        scales.duration_axis(ax, *scales.log_limits(known), log=True)
    ax.set_yticks(range(n_stages), groups.stage_names(table, n_stages))
    ax.set_ylim(n_stages - 0.5, -0.5)
    style.grid(ax, "x")
    handles = [
        Line2D([], [], color=group.color, marker=group.marker, linestyle="none", label=group.label)
        for group in parts.shown
        if parts.title
    ]
    handles += [
        Line2D([], [], color="#777777", linewidth=7, alpha=0.35, label="from the first to the third quartile"),
        Line2D([], [], color="#777777", marker="o", label=groups.with_limits("median", table)),
    ]
    style.legend(ax, handles, parts.title, below=True)
    note = "Kaplan–Meier over the visits whose start was recorded; what was not reached by the cutoff is not drawn"
    note = groups.joined([note, groups.weak_said(table), later, parts.note()])
    style.describe(ax, title, note, xlabel, groups.stage_axis(table))
    return ax


@given.picture
def plot_stage_transitions(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw where visits to each stage lead, as a heat map: to a stage, to the end, or nowhere yet.

    Parameters
    ----------
    table
        As ``stage_transitions`` returns it; every group gets a panel.
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
    ...     "stage": [0, 0], "exit": ["advanced", "open"], "next_stage": [1, None], "n": [3, 1], "share": [0.75, 0.25],
    ... })
    >>> [text.get_text() for text in plots.plot_stage_transitions(table).get_xticklabels()]
    ['0', '1', 'ended', 'open']
    """
    table, later = groups.first_stages(groups.need(table, ["stage", "exit", "next_stage", "n", "share"]))
    parts = groups.split(table, "stage", size="n", things="visits", most=groups.MOST_PANELS)
    stages = list(range(max(groups.largest(table["stage"]), groups.largest(table["next_stage"])) + 1))
    word = groups.stage_word(table)
    # Names are wider than numbers.
    size = (
        max(3.0, 0.66 * (len(stages) + 2)) + (0.3 * len(stages) if word == "status" else 0),
        max(2.0, 0.46 * len(stages)),
    )
    n_rows, n_columns = style.panel_shape(max(len(parts), 1), size[0])
    ax = style.open_axes(ax, width=size[0] * n_columns + 2.0, height=(size[1] + 0.6) * n_rows + 1.2)
    title, xlabel, ylabel = (
        f"Where incidents go from each {word}",
        f"Next {word}, or how the visit ended",
        f"{word.capitalize()} of the visit",
    )
    if not len(parts):
        return style.say_empty(ax, later or "no visits", title=title, xlabel=xlabel, ylabel=ylabel)
    if len(parts) > 1:
        titles = [f"{group.label}: {groups.count(groups.total(group.rows['n']), 'visit')}" for group in parts.shown]
        places = style.panels(ax, titles, width=size[0], below=16, down=24, across=26)
    else:
        places = [ax]
    for place, group in zip(places, parts.shown, strict=True):
        _draw_heat_map(place, group.rows, groups.stage_names(table, len(stages)))
    _draw_share_scale(ax, word)
    told = "" if len(parts) > 1 else f"n = {groups.count(groups.total(table['n']), 'visit')}"
    if "n_servers" in table:
        servers = groups.count(groups.largest(table["n_servers"]), "server")
        told = groups.joined([told, f"at most {servers} in a stage"])
    cells = "in the cells: share of the row's visits, and their number; open: still there at the cutoff"
    by = f"by {parts.title}" if parts.title else ""
    style.describe(ax, title, groups.joined([by, told, cells, later, parts.note()]), xlabel, ylabel)
    return ax


def _incidents(group: Group) -> str:
    """Say how many incidents and servers stand behind a group of the funnel."""
    n_incidents = groups.largest(group.rows["n_eligible"])
    n_servers = groups.largest(group.rows["n_servers"])
    counted = f"{groups.count(n_incidents, 'incident')} on {groups.count(n_servers, 'server')}"
    return f"{group.label}: {counted}" if group.label else counted


def _eligible(rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    return groups.numbers(rows["n_eligible"])


def _counts(rows: pd.DataFrame) -> list[str]:
    """Say beside each bar how many reached the stage, of how many that have it."""
    return [
        f"{int(reached):,} / {int(eligible):,}"
        for reached, eligible in zip(rows["n_reached"], rows["n_eligible"], strict=True)
    ]


def _draw_heat_map(ax: Axes, rows: pd.DataFrame, stages: Sequence[str]) -> None:
    """Draw one group's transitions: a row for each stage, a column for each way out of it."""
    import seaborn as sns

    ways = [*stages, "ended", "open"]
    share = np.full((len(stages), len(ways)), np.nan)
    text = np.full(share.shape, "", dtype=object)
    cells = zip(rows["stage"], rows["exit"], rows["next_stage"], rows["n"], groups.numbers(rows["share"]), strict=True)
    for stage, way, next_stage, n, part in cells:
        column = ways.index(way) if way in ways[len(stages) :] else int(next_stage)
        share[int(stage), column] = part
        text[int(stage), column] = f"{100 * part:.0f} %\n{int(n):,}"
    sns.heatmap(
        share,
        ax=ax,
        vmin=0,
        vmax=1,
        cmap=HEAT,
        annot=text,
        fmt="",
        annot_kws={"fontsize": style.small(), "linespacing": 1.1},
        cbar=False,
        linewidths=0.6,
        linecolor="white",
    )
    ax.set_xticks(np.arange(len(ways)) + 0.5, ways, rotation=0, fontsize=style.small())
    ax.set_yticks(np.arange(len(stages)) + 0.5, list(stages), rotation=0, fontsize=style.small())
    ax.axvline(len(stages), color=style.INK, linewidth=1.2)
    ax.tick_params(length=0)


def _draw_share_scale(ax: Axes, word: str) -> None:
    """Draw what the colours of the heat map mean beside the axes."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.ticker import PercentFormatter

    # The caption above may be as wide as both.
    scale = ax.inset_axes((1.03, 0.0, 0.025, 0.95))
    bar = ax.figure.colorbar(ScalarMappable(cmap=HEAT), cax=scale, format=PercentFormatter(1, symbol=" %"))
    scale.spines[:].set_visible(False)
    bar.set_label(f"Share of the {word}'s visits", fontsize=style.small(), color=style.INK)
    scale.tick_params(labelsize=style.small(), length=0)
