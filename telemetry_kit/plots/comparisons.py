"""Pictures of two groups or periods held against each other, and of a measure from period to period."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from telemetry_kit.plots import given, groups, scales, style, survival
from telemetry_kit.plots.groups import numbers

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

_SIDES = ["group_a", "group_b"]
_VALUES = ["estimate_a", "estimate_b", "difference", "lower", "upper", "detectable"]
_OWN = [*_SIDES, "n_a", "n_b", *_VALUES, "df", "p_adjusted"]
_UNNAMED = (*_SIDES, "measure", "at_s", "comparison")
_SECONDS, _SHARE, _SIZE = "s", "share", "size"
_WORDS = {
    "restricted_mean_s": "mean time",
    "median_s": "median time",
    "survival": "share that lasts longer",
    "probability_of_superiority": "Which are larger",
    "difference_of_medians": "Difference of medians",
}


@given.picture
def plot_comparison(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw differences between two groups around zero, with their intervals and the estimates of both as text.

    Grey bars reach as far as a true difference could go unseen in one of five repetitions (``detectable``): a point
    within its bar whose interval includes zero is no proof that nothing differs. Filled points are told from zero after
    the adjustment for all rows of the table, pale ones rest on few servers.

    Parameters
    ----------
    table
        As any of ``compare_funnel``, ``compare_dwell``, ``compare_durations``, ``compare_completion`` and
        ``compare_playbook_sizes`` returns it.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; where the rows have two units, panels are its insets (``child_axes``).

    Raises
    ------
    ParameterError
        Where ``table`` lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> table = pd.DataFrame({
    ...     "group_a": ["1.0.0"], "group_b": ["1.1.0"], "completer": ["commander"], "n_a": [300], "n_b": [900],
    ...     "estimate_a": [0.5], "estimate_b": [0.4], "difference": [-0.1], "df": [9.0], "lower": [-0.2],
    ...     "upper": [0.0], "p_adjusted": [0.05], "detectable": [0.15],
    ... })
    >>> plots.plot_comparison(table).get_xlabel()
    'Difference: 1.1.0 minus 1.0.0 (percentage points)'
    """
    table = groups.need(table, _OWN)
    rows, later = _most(table)
    kinds = list(dict.fromkeys(rows["comparison"])) if "comparison" in rows else [None]
    title = "What differs, and how sure that is"
    ax = style.open_axes(ax, width=9.5, height=(1.9 + 0.33 * len(rows)) * (1 if len(rows) else 2))
    ylabel = next((name.capitalize() for name in ("status", "stage", "completer") if name in rows), "Comparison")
    if rows.empty:
        return style.say_empty(ax, "no two groups to compare", title=title, xlabel="Difference", ylabel=ylabel)
    parts = [rows if kind is None else rows[rows["comparison"] == kind] for kind in kinds]
    places = (
        [ax] if len(parts) == 1 else style.panels(ax, [_WORDS.get(str(kind), str(kind)) for kind in kinds], across=250)
    )
    pairs = rows[_SIDES].drop_duplicates()
    sides = groups.pair_names(*pairs.iloc[0]) if len(pairs) == 1 else ["first", "second"]
    for place, part in zip(places, parts, strict=True):
        _draw_differences(place, part, unit=_unit_of(part), sides=sides, names_pairs=len(pairs) > 1)
    style.legend(ax, _handles(rows, groups.limits_name(table)), below=True)
    measure = ""
    if "measure" in rows and "comparison" not in rows:
        name, at_s = str(rows["measure"].iloc[0]), rows["at_s"].iloc[0]
        measure = _WORDS.get(name, name) + ("" if pd.isna(at_s) else f", at {scales.duration(float(at_s))}")
    unit = "" if len(parts) > 1 else {_SHARE: " (percentage points)", _SECONDS: " (time)", _SIZE: ""}[_unit_of(rows)]
    xlabel = f"Difference: {sides[1]} minus {sides[0]}{unit}"
    style.describe(ax, title, groups.joined([measure, later]), xlabel, ylabel)
    return ax


def _most(table: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the rows that fit into a picture: those with the most on the smaller side, in their order."""
    if len(table) <= groups.MOST_ROWS:
        return table, ""
    smaller = np.minimum(numbers(table["n_a"]), numbers(table["n_b"]))
    kept = np.sort(np.argsort(-smaller, kind="stable")[: groups.MOST_ROWS])
    return table.iloc[kept], f"{groups.MOST_ROWS} of {len(table):,} rows are shown: those with the most in both groups"


def _unit_of(rows: pd.DataFrame) -> str:
    if "comparison" in rows:
        return _SIZE if (rows["comparison"] == "difference_of_medians").all() else _SHARE
    return _SECONDS if "measure" in rows and str(rows["measure"].iloc[0]).endswith("_s") else _SHARE


def _draw_differences(ax: Axes, rows: pd.DataFrame, *, unit: str, sides: list[str], names_pairs: bool) -> None:
    """Draw one row of points, intervals and texts for each comparison."""
    at = style.rows_axis(ax, [_row_label(row, names_pairs=names_pairs) for _, row in rows.iterrows()])
    estimate, lower, upper, detectable = (numbers(rows[name]) for name in _VALUES[2:])
    reach = np.nan_to_num(detectable)
    if unit == _SHARE:
        # No two shares are farther apart.
        reach = np.minimum(reach, 1.0)
    ax.barh(at, 2 * reach, left=-reach, height=0.62, color=style.RULE, alpha=0.7, linewidth=0)
    ax.axvline(0, color=style.INK, linewidth=0.9)
    alpha = 1 - float(rows.attrs.get("level", 0.95))
    is_found, is_weak = numbers(rows["p_adjusted"]) < alpha, groups.is_weak(rows)
    style.whiskers(ax, at, estimate, lower, upper, is_weak=is_weak, horizontal=True)
    for places, looks in _looks(is_found, is_weak):
        ax.plot(estimate[places], at[places], "o", markersize=5.5, zorder=3, **looks)
    values = np.concatenate([estimate, lower, upper, reach, -reach])
    most = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    _difference_axis(ax, most or 1.0, unit)
    texts = [
        f"{_text(a, unit)} → {_text(b, unit)}   n = {int(n_a):,}, {int(n_b):,}"
        for a, b, n_a, n_b in zip(
            *(numbers(rows[name]) for name in ("estimate_a", "estimate_b", "n_a", "n_b")), strict=True
        )
    ]
    style.beside(ax, at, texts, heading=f"{sides[0]} → {sides[1]}")
    style.grid(ax, "x")


def _row_label(row: pd.Series[Any], *, names_pairs: bool) -> str:
    """Return what a row is of: the group, the pair where there are several, and the stage or who completes."""
    before = list(row.index)[: list(row.index).index("n_a")]
    parts = []
    for name in before:
        if name == "group_a" and names_pairs:
            parts.append(" → ".join(groups.pair_names(*row[_SIDES])))
        elif name == "stage" and "status" not in before:
            parts.append(f"stage {groups.label(row[name])}")
        elif name not in (*_UNNAMED, "stage"):
            parts.append(groups.label(row[name]))
    return " · ".join(parts)


def _looks(
    is_found: npt.NDArray[np.bool_], is_weak: npt.NDArray[np.bool_]
) -> list[tuple[npt.NDArray[np.bool_], dict[str, Any]]]:
    found = {"color": given.colors()[0], "markeredgecolor": given.colors()[0]}
    unclear = {"color": "white", "markeredgecolor": style.INK}
    weak = {"color": "white", "markeredgecolor": "#AAAAAA"}
    return [(is_found & ~is_weak, found), (~is_found & ~is_weak, unclear), (is_weak, weak)]


def _text(value: float, unit: str) -> str:
    """Return an estimate as people read it."""
    if np.isnan(value):
        return "–"
    if unit == _SHARE:
        return f"{value:.1%}".replace("%", " %")
    return _round_duration(value) if unit == _SECONDS else f"{value:,.4g}"


def _round_duration(seconds: float) -> str:
    for size, name in ((scales.DAY, "d"), (scales.HOUR, "h"), (scales.MINUTE, "min")):
        if abs(seconds) >= size:
            return f"{seconds / size:,.3g} {name}"
    return f"{seconds:,.3g} s"


def _difference_axis(ax: Axes, most: float, unit: str) -> None:
    """Show an axis of differences as wide on one side of zero as on the other."""
    from matplotlib.ticker import FixedLocator, FuncFormatter

    ax.set_xlim(-1.08 * most, 1.08 * most)
    if unit == _SECONDS:
        step = next((step for step in scales.STEPS if most <= 4 * step), scales.STEPS[-1])
        ticks = np.arange(-(most // step), most // step + 1) * step
        ax.xaxis.set_major_locator(FixedLocator(list(ticks)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{'-' if x < 0 else ''}{scales.duration(abs(x))}"))
    elif unit == _SHARE:
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{100 * x:.4g}"))


def _handles(rows: pd.DataFrame, limits: str) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    alpha = 1 - float(rows.attrs.get("level", 0.95))
    is_found, is_weak = numbers(rows["p_adjusted"]) < alpha, groups.is_weak(rows)
    names = ("told from zero (adjusted)", "not told from zero", "rests on few servers")
    looks = _looks(is_found, is_weak)
    points = [
        Line2D([], [], linestyle="none", marker="o", markersize=5.5, label=name, **look)
        for name, (places, look) in zip(names, looks, strict=True)
        if places.any()
    ]
    return [*points, style.limits_handle(limits), Patch(color=style.RULE, alpha=0.7, label="could go unseen")]


@given.picture
def plot_curve_comparison(curves: pd.DataFrame, comparison: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the curves of two groups with the numbers at risk, and how far apart they are at the chosen time.

    Parameters
    ----------
    curves
        As ``incident_survival(durations, by=…)`` returns it, or ``stage_survival(visits, by=…)`` of one stage.
    comparison
        The row of ``compare_durations`` or ``compare_dwell`` that belongs to them.
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
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> curves = pd.DataFrame({
    ...     "public": [False, True], "time_s": [60.0, 120.0], "n_at_risk": [2, 2], "n_observed": [1, 1],
    ...     "n_censored": [0, 0], "survival": [0.5, 0.5], "lower": [0.1, 0.1], "upper": [0.9, 0.9],
    ... })
    >>> row = pd.DataFrame({
    ...     "group_a": [False], "group_b": [True], "measure": ["survival"], "at_s": [90.0], "difference": [0.5],
    ...     "lower": [0.2], "upper": [0.8],
    ... })
    >>> len(plots.plot_curve_comparison(curves, row).get_lines()) > 2
    True
    """
    row = groups.need(comparison, [*_SIDES, "measure", "at_s", "difference", "lower", "upper"], parameter="comparison")
    by = [name for name in list(curves.columns)[: list(curves.columns).index("time_s")] if name != "stage"]
    if len(row) and len(by) == 1:
        curves = curves[curves[by[0]].isin([row[side].iloc[0] for side in _SIDES]).fillna(value=False)]
    if "stage" in row and len(row):
        curves = curves[(curves["stage"] == row["stage"].iloc[0]).fillna(value=False)]
    draw = survival.plot_stage_survival if "stage" in curves else survival.plot_incident_survival
    ax = draw(curves, ax=ax)
    # The axis that bears the caption is a child too, but no panel.
    place: Any = next((child for child in ax.child_axes if hasattr(child, "axvline")), ax)
    if row.empty:
        return ax
    unit = _unit_of(row)
    difference, lower, upper = (float(numbers(row[name])[0]) for name in ("difference", "lower", "upper"))
    names = " minus ".join(reversed(groups.pair_names(*row.iloc[0][_SIDES])))
    between = "" if np.isnan(lower) else f" [{_signed(lower, unit)}, {_signed(upper, unit)}]"
    text = f"{_WORDS.get(str(row['measure'].iloc[0]), '')}, {names}:\n{_signed(difference, unit)}{between}"
    if groups.is_weak(row)[0]:
        text = f"{text}\nrests on few servers"
    at_s = float(numbers(row["at_s"])[0])
    if not np.isnan(at_s):
        place.axvline(at_s, color=style.QUIET, linewidth=1, linestyle=(0, (4, 3)))
        text = f"at {scales.duration(at_s)}: {text}"
    looks: dict[str, Any] = {"ha": "right", "va": "top", "fontsize": style.small(), "color": style.INK}
    looks["bbox"] = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2}
    place.text(0.99, 0.98, text, transform=place.transAxes, **looks)
    return ax


def _signed(value: float, unit: str) -> str:
    if unit == _SHARE:
        return f"{100 * value:+.1f} points"
    return f"{'+' if value > 0 else ''}{_round_duration(value)}"


@given.picture
def plot_over_periods(table: pd.DataFrame, periods: pd.DataFrame | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw a share from period to period, in a panel for each stage or completer, incomplete periods hatched.

    Parameters
    ----------
    table
        As ``stage_funnel(visits, by="period")`` or ``task_completion(tasks, by="period")`` returns it.
    periods
        As ``list_periods`` returns it: those that were not recorded as a whole are hatched.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; panels are its insets (``child_axes``).

    Raises
    ------
    ParameterError
        Where a table lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> table = pd.DataFrame({
    ...     "period": pd.to_datetime(["2020-11-01", "2020-12-01"], utc=True), "completer": "commander",
    ...     "estimate": [0.5, 0.4], "lower": [0.4, 0.3], "upper": [0.6, 0.5],
    ... })
    >>> sum(hasattr(panel, "get_title") for panel in plots.plot_over_periods(table).child_axes)
    1
    """
    table = groups.need(table, ["period", "estimate", "lower", "upper"])
    key = next((name for name in ("completer", "stage") if name in table), None)
    names = list(dict.fromkeys(table[key].dropna())) if key else [""]
    names = names[: groups.MOST_PANELS]
    listed = [value for value in dict.fromkeys(table["period"]) if not pd.isna(value)]
    n_rows, n_columns = style.panel_shape(max(len(names), 1))
    ax = style.open_axes(ax, width=3.1 * n_columns + 1, height=2.3 * n_rows + 1.2)
    title, ylabel = "From period to period", "Share (%)"
    if not names or not listed:
        return style.say_empty(ax, "no periods", title=title, xlabel="Period", ylabel=ylabel)
    told = [f"stage {groups.label(name)}" if key == "stage" else groups.label(name) for name in names]
    partial = _incomplete(periods, listed)
    for name, place in zip(names, style.panels(ax, told), strict=True):
        rows = table[table[key] == name] if key else table
        at = np.array([listed.index(value) for value in rows["period"] if not pd.isna(value)], dtype=np.float64)
        rows = rows[rows["period"].notna()]
        for number in np.flatnonzero(partial):
            place.axvspan(number - 0.5, number + 0.5, facecolor="none", edgecolor="#BBBBBB", hatch="////", linewidth=0)
        estimate, lower, upper = (numbers(rows[column]) for column in ("estimate", "lower", "upper"))
        is_weak, color = groups.is_weak(rows), given.colors()[0]
        style.whiskers(place, at, estimate, lower, upper, is_weak=is_weak)
        place.plot(at, estimate, color=color, linewidth=1.2)
        style.points(place, at, estimate, "o", is_weak=is_weak, color=color, markersize=4)
        shown = np.linspace(0, len(listed) - 1, min(len(listed), 4)).round().astype(int)
        place.set_xticks(shown, [_short(listed[number]) for number in shown])
        place.set_xlim(-0.5, len(listed) - 0.5)
        scales.share_axis(place)
        style.grid(place, "y")
    hatched = "hatched: not recorded as a whole" if partial.any() else ""
    note = groups.joined([groups.limits_said(table), groups.weak_said(table), hatched])
    style.describe(ax, title, note, "Period", ylabel)
    return ax


def _short(value: object) -> str:
    return f"{value:%d %b}" if isinstance(value, pd.Timestamp) else groups.label(value)


def _incomplete(periods: pd.DataFrame | None, listed: list[Any]) -> npt.NDArray[np.bool_]:
    if periods is None:
        return np.zeros(len(listed), dtype=np.bool_)
    periods = groups.need(periods, ["period", "is_complete"], parameter="periods")
    complete = dict(zip(periods["period"], periods["is_complete"].to_numpy(np.bool_, na_value=True), strict=True))
    return np.array([not complete.get(value, True) for value in listed])
