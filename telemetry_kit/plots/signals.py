"""Pictures of what is out of the ordinary: which servers, since when, and what a change is made of."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from telemetry_kit.plots import given, groups, scales, style

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

ORDINARY, SIGNAL = given.colors()[7], given.colors()[1]
DEVIATION = [
    *("n", "estimate", "overall", "expected_lower", "expected_upper", "p_adjusted", "is_signal", "between_sd"),
]
OUTCOMES = {
    "commander": ("Completed by the commander (% of completions)", "completion"),
    "assignee": ("Completed by the assignee (% of completions)", "completion"),
    "reached_last": ("Came to the last stage (% of incidents)", "incident"),
    "ended": ("Ended (% of incidents)", "incident"),
}
CHART = ["period", "estimate", "center", "lower", "upper", "is_beyond", "run", "is_run_signal", "changed_at"]
PARTS = ["group_a", "group_b", "component", "contribution", "n_servers", "estimate_a", "estimate_b"]
COMPONENTS = {
    "within": "same servers,\nother ways",
    "mix": "same servers,\nother sizes",
    "entered": "new servers",
    "left": "servers that left",
}
MOST_LABELS = 12
"""How many signals are labelled: those that are the farthest off."""
MOST_VERSIONS, VERSION_WIDTH = 12, 0.02
"""How many versions are marked, and which part of the axis the name of one takes."""


@given.picture
def plot_server_deviation(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the share of each server over its size, with the range of ordinary servers, and name the signals.

    Parameters
    ----------
    table
        As ``server_deviation`` returns it.
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
    ...     "server_id": ["a", "b"], "n": [10, 40], "estimate": [0.2, 0.6], "overall": 0.52, "shrunk": [0.4, 0.58],
    ...     "expected_lower": [0.2, 0.3], "expected_upper": [0.8, 0.7], "p_value": [0.1, 0.4], "p_adjusted": [0.2, 0.4],
    ...     "is_signal": pd.array([None, None], dtype="boolean"), "rho": 0.02, "between_sd": 0.07,
    ... })
    >>> plots.plot_server_deviation(table).get_xlabel()
    'Completions or incidents of the server (logarithmic)'
    """
    table = groups.need(table, DEVIATION)
    cluster = str(table.columns[0])
    thing = {"server_id": "server", "team_id": "team"}.get(cluster, groups.words(cluster))
    ylabel, counted = OUTCOMES.get(str(table.attrs.get("of")), ("Share (%)", "completion or incident"))
    many = "Completions or incidents" if "or" in counted else f"{counted.capitalize()}s"
    title, xlabel = f"Each {thing} against the others", f"{many} of the {thing} (logarithmic)"
    ax = style.open_axes(ax, height=5.0)
    if not len(table):
        return style.say_empty(ax, "no completions or incidents", title=title, xlabel=xlabel, ylabel=ylabel)
    n, share = groups.numbers(table["n"]), groups.numbers(table["estimate"])
    is_signal = table["is_signal"].fillna(value=False).to_numpy(bool)
    _draw_funnel(ax, table, n)
    for of_kind, color, marker in ((~is_signal, ORDINARY, "o"), (is_signal, SIGNAL, "D")):
        chosen = np.flatnonzero(of_kind)
        chosen = chosen[scales.on_top(np.log(n[chosen]), share[chosen])]
        ax.scatter(
            n[chosen], share[chosen], s=30, color=color, marker=marker, edgecolor="white", linewidth=0.6, zorder=3
        )
    _label_signals(ax, table, n, share, is_signal)
    _size_axis(ax, n)
    scales.share_axis(ax)
    style.grid(ax, "y")
    style.describe(ax, title, groups.joined(_deviation_note(table, thing, counted, is_signal)), xlabel, ylabel)
    style.legend(ax, _deviation_handles(table, thing, is_signal), below=True)
    return ax


def _draw_funnel(ax: Axes, table: pd.DataFrame, n: npt.NDArray[np.float64]) -> None:
    order = np.argsort(n, kind="stable")
    lower, upper = (groups.numbers(table[name])[order] for name in ("expected_lower", "expected_upper"))
    at = n[order]
    if len(at) == 1:
        at, lower, upper = at * np.array([0.8, 1.25]), lower.repeat(2), upper.repeat(2)
    if len(at) > scales.MANY_POINTS and at[0] < at[-1]:
        seen = scales.visible(at, at[0], at[-1], log=True)
        at, lower, upper = at[seen], lower[seen], upper[seen]
    ax.fill_between(at, lower, upper, color="#999999", alpha=0.25, linewidth=0)
    ax.axhline(float(table["overall"].iloc[0]), color=style.INK, linewidth=1)


def _label_signals(
    ax: Axes,
    table: pd.DataFrame,
    n: npt.NDArray[np.float64],
    share: npt.NDArray[np.float64],
    is_signal: npt.NDArray[np.bool_],
) -> None:
    """Write the names of the signals beside them, one below the other where they are close."""
    p = groups.numbers(table["p_adjusted"])
    labelled = sorted(np.flatnonzero(is_signal), key=lambda place: p[place])[:MOST_LABELS]
    heights = _apart(share[labelled], 0.045)
    middle = np.sqrt(n.min() * n.max())
    for place, height in zip(labelled, heights, strict=True):
        is_left = n[place] > middle
        ax.annotate(
            groups.label(table[table.columns[0]].iloc[int(place)]),
            (n[place], share[place]),
            xytext=(-9 if is_left else 9, (height - share[place]) * 300),
            textcoords="offset points",
            ha="right" if is_left else "left",
            va="center",
            fontsize=style.small(),
            color=style.INK,
        )


def _apart(heights: npt.NDArray[np.float64], least: float) -> npt.NDArray[np.float64]:
    """Move heights up from the lowest on, until each lies ``least`` above the one before, and none above the top."""
    moved = heights.copy()
    order = np.argsort(moved)
    for before, place in pairwise(order):
        moved[place] = max(moved[place], moved[before] + least)
    return np.asarray(moved - max(0.0, float(moved.max(initial=0)) - 1), np.float64)


def _size_axis(ax: Axes, n: npt.NDArray[np.float64]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    lowest, highest = n.min() / 1.3, n.max() * 1.3
    ax.set_xscale("log")
    ax.set_xlim(lowest, highest)
    ticks = [step * 10**power for power in range(8) for step in (1, 2, 5) if lowest <= step * 10**power <= highest]
    ax.xaxis.set_major_locator(FixedLocator(ticks[:: 1 + len(ticks) // 9] or [float(n.max())]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _deviation_note(table: pd.DataFrame, thing: str, counted: str, is_signal: npt.NDArray[np.bool_]) -> list[str]:
    told = [f"n = {groups.count(groups.total(table['n']), counted)} of {groups.count(len(table), thing)}"]
    between = table["between_sd"].iloc[0]
    if not pd.isna(between):
        told.append(f"true shares vary by a standard deviation of {100 * between:.1f} points")
    if table["is_signal"].isna().all():
        told.append(f"too few {thing}s to call one of them odd")
    elif not is_signal.any():
        told.append(f"no {thing} differs by more than chance and that variety explain")
    elif is_signal.sum() > MOST_LABELS:
        told.append(f"{MOST_LABELS} of {is_signal.sum()} signals are named: those that are the farthest off")
    return told


def _deviation_handles(table: pd.DataFrame, thing: str, is_signal: npt.NDArray[np.bool_]) -> list[Any]:
    from matplotlib.lines import Line2D

    def point(color: str, marker: str, name: str) -> Line2D:
        return Line2D([], [], color=color, marker=marker, linestyle="none", markersize=5.5, label=name)

    level = table.attrs.get("level")
    ordinary = f"where {100 * level:.4g} % of ordinary {thing}s lie" if level else f"where ordinary {thing}s lie"
    band = [] if table["expected_lower"].isna().all() else [style.band_handle(ordinary)]
    handles = [
        point(ORDINARY, "o", thing),
        *band,
        Line2D([], [], color=style.INK, linewidth=1, label="all together"),
    ]
    return [*handles, point(SIGNAL, "D", "signal, adjusted for looking at all")] if is_signal.any() else handles


@given.picture
def plot_decomposition(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how a share becomes another one, part by part: a bar for each component between the two shares.

    Parameters
    ----------
    table
        As ``decompose_difference`` returns it, of one pair of groups.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on. Of a table with several pairs, the last one is drawn.

    Raises
    ------
    ParameterError
        Where ``table`` lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> table = pd.DataFrame({
    ...     "group_a": "1.0.0", "group_b": "1.1.0", "component": ["within", "mix", "entered", "left"],
    ...     "contribution": [0.05, -0.01, 0.02, 0.0], "n_servers": [5, 5, 2, 0], "estimate_a": 0.5, "estimate_b": 0.56,
    ... })
    >>> plots.plot_decomposition(table).get_ylabel()
    'Share (%)'
    """
    table = groups.need(table, PARTS)
    title, xlabel, ylabel = "What the difference is made of", "Part", "Share (%)"
    ax = style.open_axes(ax, height=4.6)
    if not len(table):
        return style.say_empty(ax, "no difference to take apart", title=title, xlabel=xlabel, ylabel=ylabel)
    pairs = table[["group_a", "group_b"]].drop_duplicates()
    a, b = pairs.iloc[-1]
    rows = table[(table["group_a"] == a) & (table["group_b"] == b)]
    parts = groups.numbers(rows["contribution"])
    first, last = float(rows["estimate_a"].iloc[0]), float(rows["estimate_b"].iloc[0])
    steps = first + np.concatenate([[0.0], np.cumsum(parts)])
    at = np.arange(len(parts) + 2)
    ax.bar(at[[0, -1]], [first, last], width=0.62, color=ORDINARY)
    colors = [given.colors()[0] if part >= 0 else given.colors()[1] for part in parts]
    ax.bar(at[1:-1], parts, bottom=steps[:-1], width=0.62, color=colors)
    for before, height in enumerate(steps):
        ax.plot([before + 0.31, before + 0.69], [height, height], color=style.QUIET, linewidth=0.8)
    lowest, highest = _waterfall_limits(np.append(steps, last))
    ax.set_ylim(lowest, highest)
    gap = 0.015 * (highest - lowest)
    tops = [first, *np.maximum(steps[:-1], steps[1:]), last]
    texts = [f"{100 * first:.1f} %", *(f"{100 * part:+.1f}" for part in parts), f"{100 * last:.1f} %"]
    for place, top, text in zip(at, tops, texts, strict=True):
        ax.text(float(place), top + gap, text, ha="center", va="bottom", fontsize=style.text(), color=style.INK)
    pair = groups.pair_names(a, b)
    names = [f"{COMPONENTS[name]}\n({n})" for name, n in zip(rows["component"], rows["n_servers"], strict=True)]
    ax.set_xticks(at, [pair[0], *names, pair[1]])
    scales.share_axis(ax, whole=False)
    style.grid(ax, "y")
    told = [f"{100 * (last - first):+.1f} points from {pair[0]} to {pair[1]}"]
    told.append("in brackets, how many a part is about")
    if lowest > 0:
        told.append("the axis does not begin at 0")
    if len(pairs) > 1:
        told.append(f"the last of {len(pairs)} pairs is shown")
    style.describe(ax, title, groups.joined(told), xlabel, ylabel)
    return ax


def _waterfall_limits(steps: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Return the limits of the axis: from 0 where the steps can be seen then, and else from a little below them."""
    spread = float(np.ptp(steps)) or 0.05
    top = float(steps.max())
    lowest = 0.0 if spread > (top + 0.25 * spread) / 8 else max(0.0, float(steps.min()) - spread)
    # A number stands above the highest.
    return lowest, top + 0.1 * (top - lowest)


@given.picture
def plot_process_chart(table: pd.DataFrame, *, versions: pd.DataFrame | None = None, ax: Axes | None = None) -> Axes:
    """Draw a series with the limits of its ordinary variation, its signals, and when versions first appeared.

    Parameters
    ----------
    table
        As ``process_chart`` returns it.
    versions
        As ``versions_in_use`` returns it: the first day of each version is marked, so that a release and a change can
        be seen together.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    ParameterError
        Where a table lacks a column.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> weeks = pd.date_range("2020-11-02", periods=4, freq="7D", tz="UTC")
    >>> ended = pd.DataFrame({"period": weeks, "n_ended": [4, 6, 5, 7]})
    >>> tk.plots.plot_process_chart(tk.process_chart(ended, events="n_ended")).get_ylabel()
    'Ended'
    """
    table = groups.need(table, CHART)
    sizes = groups.numbers(table["size"]) if "size" in table else np.ones(len(table))
    ylabel = table.attrs.get("measure") or ("Events" if (sizes == 1).all() else "Rate")
    title, xlabel = "When it changed", "Period"
    ax = style.open_axes(ax)
    if not len(table):
        return style.say_empty(ax, "no complete period", title=title, xlabel=xlabel, ylabel=ylabel)
    is_dated = isinstance(table["period"].dtype, pd.DatetimeTZDtype)
    at = scales.days(pd.DatetimeIndex(table["period"])) if is_dated else np.arange(len(table), dtype=np.float64)
    estimate, center, lower, upper = (groups.numbers(table[name]) for name in ("estimate", "center", "lower", "upper"))
    ax.fill_between(at, lower, upper, step="mid", color="#999999", alpha=0.25, linewidth=0)
    ax.plot(at, center, color=style.INK, linewidth=1)
    ax.plot(at, estimate, color=given.colors()[0], linewidth=1.4, marker="o", markersize=4)
    is_beyond, is_run = (table[name].fillna(value=False).to_numpy(bool) for name in ("is_beyond", "is_run_signal"))
    ax.plot(at[is_beyond], estimate[is_beyond], "D", color=SIGNAL, markersize=8, zorder=4)
    ax.plot(
        at[is_run],
        estimate[is_run],
        "o",
        markersize=10,
        markerfacecolor="none",
        markeredgecolor=given.colors()[2],
        zorder=4,
    )
    is_share = bool(table.attrs.get("is_share"))
    _chart_axes(ax, table, at, is_share=is_share, is_dated=is_dated)
    changed = _mark_change(ax, table, at)
    n_hidden = _mark_versions(ax, versions) if versions is not None and is_dated else 0
    told = [f"n = {groups.count(len(table), 'period')}"]
    told.append(
        _verdict(
            changed, has_signal=bool(is_beyond.any() or is_run.any()), is_known=bool(table["is_beyond"].notna().any())
        )
    )
    if n_hidden:
        told.append(f"{n_hidden} more versions are not marked")
    style.grid(ax, "y")
    style.describe(ax, title, groups.joined(told), xlabel, ylabel)
    style.legend(ax, _chart_handles(is_beyond, is_run), below=True)
    return ax


def _verdict(changed: str, *, has_signal: bool, is_known: bool) -> str:
    if not is_known:
        return "too few periods for limits"
    if changed:
        return f"another level, most likely from {changed} on"
    return "single signals, and no lasting change" if has_signal else "nothing beyond ordinary variation"


def _chart_axes(ax: Axes, table: pd.DataFrame, at: npt.NDArray[np.float64], *, is_share: bool, is_dated: bool) -> None:
    if is_share:
        scales.share_axis(ax, whole=False)
    known = np.concatenate([groups.numbers(table[name]) for name in ("estimate", "lower", "upper")])
    highest = np.nanmax(known, initial=0.0) * 1.12 or 1.0
    ax.set_ylim(0, min(highest, 1.02) if is_share else highest)
    if is_dated:
        step = float(np.median(np.diff(at))) if len(at) > 1 else 1.0
        ax.set_xlim(at[0] - step / 2, at[-1] + step / 2)
        scales.date_axis(ax)
    else:
        ax.set_xticks(at, [groups.label(period) for period in table["period"]])


def _mark_change(ax: Axes, table: pd.DataFrame, at: npt.NDArray[np.float64]) -> str:
    """Mark with which period another level began, and return its name; without a signal there is none."""
    changed = table["changed_at"].iloc[0]
    if pd.isna(changed):
        return ""
    place = at[int(np.flatnonzero((table["period"] == changed).to_numpy(bool))[0])]
    before = at[at < place]
    ax.axvline((before[-1] + place) / 2 if len(before) else place, color=SIGNAL, linewidth=1.2, linestyle="--")
    return groups.label(changed)


def _mark_versions(ax: Axes, versions: pd.DataFrame) -> int:
    """Mark on the time axis when each version was first in use; return how many are left out."""
    versions = groups.need(versions, ["date", "version", "n_servers"], parameter="versions")
    first = versions[versions["n_servers"] > 0].drop_duplicates("version").sort_values("date", kind="stable")
    days = scales.days(pd.DatetimeIndex(first["date"]))
    lowest, highest = ax.get_xlim()
    is_inside = (days >= lowest) & (days <= highest)
    shown = [*zip(days[is_inside], first.loc[is_inside, "version"], strict=True)]
    near = (highest - lowest) * VERSION_WIDTH
    labels: list[tuple[float, str]] = []
    for day, version in shown[-MOST_VERSIONS:]:
        ax.axvline(day, ymax=0.03, color=style.INK, linewidth=1.2)
        if labels and day - labels[-1][0] < near:
            labels[-1] = (labels[-1][0], f"{labels[-1][1]}, {groups.label(version)}")
        else:
            labels.append((day, groups.label(version)))
    looks: dict[str, Any] = {
        "rotation": 90,
        "ha": "center",
        "va": "bottom",
        "fontsize": style.small(),
        "color": style.QUIET,
    }
    for day, label in labels:
        ax.annotate(label, (day, 0.04), xycoords=("data", "axes fraction"), **looks)
    return max(0, len(shown) - MOST_VERSIONS)


def _chart_handles(is_beyond: npt.NDArray[np.bool_], is_run: npt.NDArray[np.bool_]) -> list[Any]:
    from matplotlib.lines import Line2D

    handles: list[Any] = [
        style.band_handle("ordinary variation (three sigma)"),
        Line2D([], [], color=style.INK, linewidth=1, label="all periods"),
    ]
    looks: dict[str, Any] = {"linestyle": "none", "markersize": 8}
    if is_beyond.any():
        handles.append(Line2D([], [], color=SIGNAL, marker="D", label="beyond it", **looks))
    if is_run.any():
        looks |= {"markerfacecolor": "none", "markeredgecolor": given.colors()[2]}
        handles.append(Line2D([], [], marker="o", label="in a run too long for chance", **looks))
    return handles
