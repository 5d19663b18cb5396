"""Pictures of what happens as time goes by: curves, their bands, and the numbers at risk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from telemetry_kit.plots import given, groups, scales, style
from telemetry_kit.plots.groups import Group

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from telemetry_kit.plots.groups import Groups

MOST_CURVES = 4
LINE_HEIGHT = 10.5
"""Points that a line of numbers at risk takes."""

_COUNTS = ("time_s", "n_at_risk", "n_observed", "n_censored")


@dataclass(frozen=True)
class _Look:
    """What a picture of curves shows, in words, and where its curves begin."""

    title: str
    xlabel: str
    ylabel: str
    thing: str
    note: str
    column: str
    begins_at: float


@given.picture
def plot_stage_survival(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of visits still in each stage as time goes by, with bands and the numbers at risk.

    Up to four stages of one group share one picture; several groups, or more stages, get a panel for each stage.

    Parameters
    ----------
    table
        As ``stage_survival`` returns it.
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
    ...     "stage": [0, 0], "time_s": [60.0, 120.0], "n_at_risk": [2, 1], "n_observed": [1, 1], "n_censored": [0, 0],
    ...     "survival": [0.5, 0.0], "lower": [0.1, None], "upper": [0.9, None],
    ... })
    >>> plots.plot_stage_survival(table).get_xlabel()
    'Time since the stage was entered'
    """
    look = _Look(
        title="How long stages hold incidents",
        xlabel="Time since the stage was entered",
        ylabel="Visits still in the stage (%)",
        thing="visit",
        note="steps are ends of visits, ticks are visits open at the cutoff",
        column="survival",
        begins_at=1.0,
    )
    return _draw_stages(table, look, ax)


@given.picture
def plot_stage_arrivals(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of incidents that have come to each stage as time goes by, with bands and the numbers at risk.

    Up to four stages of one group share one picture; several groups, or more stages, get a panel for each stage. A
    curve that levels off below 100 % belongs to a stage that not all incidents come to.

    Parameters
    ----------
    table
        As ``stage_arrivals`` returns it.
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
    ...     "stage": [1, 1], "time_s": [60.0, 120.0], "n_at_risk": [3, 2], "n_observed": [1, 1], "n_censored": [0, 1],
    ...     "estimate": [0.33, 0.67], "lower": [0.1, 0.2], "upper": [0.8, 0.9],
    ... })
    >>> plots.plot_stage_arrivals(table).get_xlabel()
    'Time since the start of the incident'
    """
    look = _Look(
        title="How soon incidents come to each stage",
        xlabel="Time since the start of the incident",
        ylabel="Incidents that came so far (%)",
        thing="incident",
        note="steps are arrivals, ticks are incidents of that age at the cutoff that had not come, open or ended",
        column="estimate",
        begins_at=0.0,
    )
    return _draw_stages(table, look, ax)


@given.picture
def plot_incident_survival(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of incidents that have not ended yet as time goes by, with bands and the numbers at risk.

    Parameters
    ----------
    table
        As ``incident_survival`` returns it; every group is a curve.
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
    ...     "time_s": [60.0, 120.0], "n_at_risk": [2, 1], "n_observed": [1, 1], "n_censored": [0, 0],
    ...     "survival": [0.5, 0.0], "lower": [0.1, None], "upper": [0.9, None],
    ... })
    >>> plots.plot_incident_survival(table).get_xlabel()
    'Time since the incident was created'
    """
    look = _Look(
        title="How long incidents take to end",
        xlabel="Time since the incident was created",
        ylabel="Incidents that have not ended yet (%)",
        thing="incident",
        note="steps are first ends, ticks are incidents that had never ended by the cutoff",
        column="survival",
        begins_at=1.0,
    )
    table = groups.need(table, [*_COUNTS, look.column, "lower", "upper"])
    parts = groups.split(table, "time_s", size="n_at_risk", things=f"{look.thing}s")
    return _draw(table, parts, look, ax, title=parts.title, curves=parts.shown)


def _draw_stages(table: pd.DataFrame, look: _Look, ax: Axes | None) -> Axes:
    """Draw stages as curves of one picture where they are few and the only group, as panels otherwise."""
    table, later = groups.first_stages(
        groups.need(table, ["stage", *_COUNTS, look.column, "lower", "upper"]), most=groups.MOST_PANELS
    )
    word = groups.stage_word(table)
    if word == "status":
        look = _of_statuses(look)
    parts = groups.split(table, "stage", size="n_at_risk", things=f"{look.thing}s")
    stages = sorted(int(stage) for stage in table["stage"].dropna().unique())
    if len(parts) > 1 or len(stages) > MOST_CURVES:
        return _draw(table, parts, look, ax, title=parts.title, curves=parts.shown, stages=stages, later=later)
    curves = [_stage_as_group(table, stage) for stage in stages]
    return _draw(table, parts, look, ax, title=word, curves=curves, later=later)


def _draw(
    table: pd.DataFrame,
    parts: Groups,
    look: _Look,
    ax: Axes | None,
    *,
    title: str,
    curves: Sequence[Group],
    stages: Sequence[int] = (),
    later: str = "",
) -> Axes:
    n_rows, n_columns = style.panel_shape(len(stages)) if stages else (1, 1)
    n_lines = len(curves)
    is_named = n_lines > 1 or bool(title)
    size = (8.5, 4.2 + 0.15 * n_lines)
    if stages:
        # The legend stands below, in up to three columns.
        n_below = -(-(n_lines + 1) // 3) + 1 if is_named else 1
        size = (max(2.85 * n_columns + 1.2, 8.5), (2.3 + 0.15 * n_lines) * n_rows + 0.7 + 0.25 * n_below)
    ax = style.open_axes(ax, width=size[0], height=size[1])
    if not len(parts):
        nothing = later or f"no {look.thing}s"
        return style.say_empty(ax, nothing, title=look.title, xlabel=look.xlabel, ylabel=look.ylabel)
    below = 30 + LINE_HEIGHT * n_lines
    name_width = 16 + 0.6 * style.small() * max(len(curve.label) for curve in curves)
    places, drawn = [ax], [list(curves)]
    if stages:
        names = groups.stage_names(table, max(stages) + 1)
        titles = [names[stage] if "status" in table else f"Stage {stage}" for stage in stages]
        places = style.panels(ax, titles, below=below, down=24, across=max(44, name_width))
        drawn = [[replace(curve, rows=_of_stage(curve.rows, stage)) for curve in curves] for stage in stages]
    times = groups.numbers(table["time_s"])
    # What happened, and not how long was watched, tells which axis shows it; a row can stand for many ends.
    happened = np.repeat(times, groups.numbers(table["n_observed"]).astype(np.int64))
    log = scales.is_long_tailed(happened if len(happened) else times)
    lowest, highest = scales.log_limits(times[times > 0]) if log else (0.0, float(max(times.max(), 1.0)) * 1.01)
    for place, of_place in zip(places, drawn, strict=True):
        for curve in of_place:
            _draw_curve(place, curve, look, lowest, highest, log=log)
        ticks = scales.duration_axis(place, lowest, highest, log=log)
        scales.share_axis(place)
        style.grid(place, "both")
        _write_at_risk(place, ticks, of_place, named=n_lines > 1)
    style.legend(ax, _handles(curves if is_named else [], look, groups.limits_name(table)), title, below=bool(stages))
    counted = "" if is_named else f"n = {_counted(curves[0].rows, look)}"
    note = groups.joined([counted, look.note, "below: numbers at risk", groups.weak_said(table), later, parts.note()])
    style.describe(ax, look.title, note, f"{look.xlabel} (log axis)" if log else look.xlabel, look.ylabel)
    ax.xaxis.labelpad = 0 if stages else below - 14
    ax.yaxis.labelpad = max(36, name_width) if stages else max(4, name_width - 30)
    return ax


def _counted(rows: pd.DataFrame, look: _Look) -> str:
    """Say how many things, and where the table tells it how many servers, stand behind a curve or its panels."""
    # Whoever is watched leaves, by an end or censored; of those who were watched late, not all were at risk at once.
    counts = rows[["n_at_risk"]].assign(n_left=rows["n_observed"] + rows["n_censored"])
    parts = [part for _, part in counts.groupby(rows["stage"])] if "stage" in rows else [counts]
    of_stages = [max(groups.largest(part["n_at_risk"]), groups.total(part["n_left"])) for part in parts]
    # A visit is in one stage, but an incident counts in each that it has.
    n = sum(of_stages) if look.thing == "visit" else max(of_stages, default=0)
    if "n_servers" not in rows:
        return groups.count(n, look.thing)
    return f"{groups.count(n, look.thing)} on {groups.count(groups.largest(rows['n_servers']), 'server')}"


def _of_stage(rows: pd.DataFrame, stage: int) -> pd.DataFrame:
    return rows[(rows["stage"] == stage).fillna(value=False)]


def _stage_as_group(table: pd.DataFrame, stage: int) -> Group:
    """Return a stage of the only group as a group of its own, so that its curve has its own looks."""
    looks = (given.colors()[stage % groups.MOST_COLORS], "", groups.LINE_STYLES[stage % groups.MOST_COLORS])
    return Group(groups.stage_names(table, stage + 1)[stage], _of_stage(table, stage), *looks)


def _of_statuses(look: _Look) -> _Look:
    """Return the words of a picture for incidents that have statuses and no stages."""
    told = {name: getattr(look, name) for name in ("title", "xlabel", "ylabel", "note")}
    return replace(
        look, **{name: text.replace("stages", "statuses").replace("stage", "status") for name, text in told.items()}
    )


def _draw_curve(ax: Axes, curve: Group, look: _Look, begin: float, end: float, *, log: bool) -> None:
    """Draw a curve from its begin, a step for each end, a tick for each censoring, and its band."""
    rows = curve.rows
    time = np.concatenate([[begin], groups.numbers(rows["time_s"])])
    height, lower, upper = (
        np.concatenate([[look.begins_at], groups.numbers(rows[column])]) for column in (look.column, "lower", "upper")
    )
    time = np.maximum(time, begin)
    seen = scales.visible(time, begin, end, log=log)
    color = style.lighter(curve.color) if groups.is_weak(rows).any() else curve.color
    ax.step(time[seen], height[seen], where="post", color=color, linestyle=curve.line_style, linewidth=1.6)
    ax.fill_between(time[seen], lower[seen], upper[seen], step="post", color=color, alpha=0.15, linewidth=0)
    censored = np.flatnonzero(np.concatenate([[False], groups.numbers(rows["n_censored"]) > 0]))
    censored = censored[scales.visible(time[censored], begin, end, log=log, parts=scales.TICK_PARTS)]
    ax.plot(time[censored], height[censored], "|", color=color, markersize=5, markeredgewidth=0.8)


def _write_at_risk(ax: Axes, ticks: Sequence[float], curves: Sequence[Group], *, named: bool) -> None:
    """Write below each tick how many of each curve were at risk then, a line for each curve."""
    looks: dict[str, Any] = {
        "textcoords": "offset points",
        "fontsize": style.small(),
        "va": "top",
        "annotation_clip": False,
    }
    for line, curve in enumerate(curves):
        down = -20 - LINE_HEIGHT * line
        times = groups.numbers(curve.rows["time_s"])
        n_at_risk = groups.numbers(curve.rows["n_at_risk"])
        for tick in ticks:
            later = np.flatnonzero(times >= tick)
            n = int(n_at_risk[later[0]]) if len(later) else 0
            ax.annotate(
                f"{n:,}", (tick, 0), xycoords=("data", "axes fraction"), xytext=(0, down), ha="center",
                color=curve.color, **looks,
            )  # fmt: skip
        if named:
            ax.annotate(
                curve.label, (0, 0), xycoords="axes fraction", xytext=(-12, down), ha="right",
                color=curve.color, **looks,
            )  # fmt: skip


def _handles(curves: Sequence[Group], look: _Look, limits: str) -> list[Any]:
    """Return what the legend shows: the curves and their counts, and what a band is."""
    from matplotlib.lines import Line2D

    lines: list[Any] = [
        Line2D(
            [],
            [],
            color=curve.color,
            linestyle=curve.line_style,
            label=f"{curve.label}: {_counted(curve.rows, look)}",
        )
        for curve in curves
    ]
    return [*lines, style.band_handle(f"{limits}, pointwise" if limits else "")]
