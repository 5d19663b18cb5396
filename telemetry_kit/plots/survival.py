"""The picture of how long stages hold incidents: survival curves, their bands, and the numbers at risk."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from telemetry_kit.plots import groups, style
from telemetry_kit.plots.groups import Group

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes

MOST_CURVES = 4
LINE_HEIGHT = 10.5
"""Points that a line of numbers at risk takes."""


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
    columns = ["stage", "time_s", "n_at_risk", "n_observed", "n_censored", "survival", "lower", "upper"]
    table = groups.need(table, columns)
    parts = groups.split(table, "stage", size="n_at_risk", things="visits")
    stages = sorted(int(stage) for stage in table["stage"].dropna().unique())
    is_divided = len(parts) > 1 or len(stages) > MOST_CURVES
    n_rows, n_columns = style.panel_shape(max(len(stages), 1)) if is_divided else (1, 1)
    n_lines = len(parts) if is_divided else len(stages)
    size = (3.3 * n_columns + 1.6, (2.3 + 0.15 * n_lines) * n_rows + 0.7) if is_divided else (8.5, 4.2 + 0.15 * n_lines)
    ax = style.open_axes(ax, width=size[0], height=size[1])
    title, xlabel, ylabel = (
        "How long stages hold incidents",
        "Time since the stage was entered",
        "Visits still in the stage (%)",
    )
    if not len(parts):
        return style.say_empty(ax, "no visits", title=title, xlabel=xlabel, ylabel=ylabel)
    below = 30 + LINE_HEIGHT * n_lines
    names = [group.label for group in parts.shown] if is_divided else list(map(str, stages))
    name_width = 16 + 0.6 * style.SMALL * max(map(len, names))
    if is_divided:
        places = style.panels(
            ax, [f"Stage {stage}" for stage in stages], below=below, down=24, across=max(44, name_width)
        )
        curves = [[replace(group, rows=_of_stage(group.rows, stage)) for group in parts.shown] for stage in stages]
    else:
        places = [ax]
        curves = [[_stage_as_group(table, stage) for stage in stages]]
    times = groups.numbers(table["time_s"])
    log = style.is_long_tailed(times)
    lowest, highest = style.log_limits(times[times > 0]) if log else (0.0, float(max(times.max(), 1.0)) * 1.01)
    for place, of_place in zip(places, curves, strict=True):
        for curve in of_place:
            _draw_curve(place, curve, begin=lowest)
        ticks = style.duration_axis(place, lowest, highest, log=log)
        style.share_axis(place)
        style.grid(place, "both")
        _write_at_risk(place, ticks, of_place, named=n_lines > 1)
    style.legend(ax, _handles(curves[0], groups.limits_name(table)), parts.title or ("" if is_divided else "stage"))
    ends = "ends of visits are steps, visits open at the cutoff are ticks; below: numbers at risk"
    style.describe(ax, title, groups.joined([ends, parts.note()]), xlabel, ylabel)
    ax.xaxis.labelpad = 0 if is_divided else below - 14
    ax.yaxis.labelpad = max(36, name_width) if is_divided else max(4, name_width - 30)
    return ax


def _of_stage(rows: pd.DataFrame, stage: int) -> pd.DataFrame:
    return rows[(rows["stage"] == stage).fillna(value=False)]


def _stage_as_group(table: pd.DataFrame, stage: int) -> Group:
    """Return a stage of the only group as a group of its own, so that its curve has its own looks."""
    looks = (groups.COLORS[stage % groups.MOST_COLORS], "", groups.LINE_STYLES[stage % groups.MOST_COLORS])
    return Group(str(stage), _of_stage(table, stage), *looks)


def _draw_curve(ax: Axes, curve: Group, *, begin: float) -> None:
    """Draw a curve from 1 at its begin, a step for each end, a tick for each censoring, and its band."""
    rows = curve.rows
    time = np.concatenate([[begin], groups.numbers(rows["time_s"])])
    survival, lower, upper = (
        np.concatenate([[1.0], groups.numbers(rows[column])]) for column in ("survival", "lower", "upper")
    )
    time = np.maximum(time, begin)
    ax.step(time, survival, where="post", color=curve.color, linestyle=curve.line_style, linewidth=1.6)
    ax.fill_between(time, lower, upper, step="post", color=curve.color, alpha=0.15, linewidth=0)
    is_censored = np.concatenate([[False], groups.numbers(rows["n_censored"]) > 0])
    ax.plot(time[is_censored], survival[is_censored], "|", color=curve.color, markersize=5, markeredgewidth=0.8)


def _write_at_risk(ax: Axes, ticks: Sequence[float], curves: Sequence[Group], *, named: bool) -> None:
    """Write below each tick how many visits of each curve were still in the stage then, a line for each curve."""
    looks: dict[str, Any] = {
        "textcoords": "offset points",
        "fontsize": style.SMALL - 0.5,
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


def _handles(curves: Sequence[Group], limits: str) -> list[Any]:
    """Return what the legend shows: the curves where there are several, and what a band is."""
    from matplotlib.lines import Line2D

    lines: list[Any] = [
        Line2D([], [], color=curve.color, linestyle=curve.line_style, label=curve.label)
        for curve in curves
        if len(curves) > 1
    ]
    return [*lines, style.band_handle(f"{limits}, pointwise")]
