"""What all pictures have in common: their inks and sizes, titles, intervals, legends and panels."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from telemetry_kit.plots import given

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes

INK, QUIET, RULE = "#222222", "#5A5A5A", "#DDDDDD"
ON_LIGHT = "#262626"
"""The ink on a light mark: where a page turns its ink light, as in its dark scheme, marks stay as they are."""
LEAST = 8.0
"""Points: no letter of a picture is smaller, unless its figure is shown smaller than it was drawn."""
POINTS_PER_INCH = 72
PAGE_WIDTH = 10.0
"""Inches: what fits beside each other on a page of a report."""
LIGHTER = 0.5
"""How much of a colour is left in its lighter ink, which stands for what rests on few servers."""


def text() -> float:
    """Return the size of labels in points, as Matplotlib's settings have it: a context of seaborn's changes it."""
    return max(0.95 * _points("axes.labelsize"), LEAST)


def small() -> float:
    """Return the size of ticks and notes in points."""
    return max(0.85 * _points("xtick.labelsize"), LEAST)


def _points(setting: Literal["axes.labelsize", "xtick.labelsize"]) -> float:
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    return float(FontProperties(size=rcParams[setting]).get_size_in_points())


def open_axes(ax: Axes | None, *, width: float = 8.0, height: float = 4.5) -> Axes:
    """Return ``ax``, or the axes of a new figure of this size in inches."""
    if ax is None:
        from matplotlib import pyplot as plt

        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    plain(ax)
    return ax


def plain(ax: Axes) -> None:
    """Give axes the look of all pictures: no box, quiet ticks, the grid behind everything."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(QUIET)
    ax.tick_params(colors=QUIET, labelcolor=INK, labelsize=small())
    ax.set_axisbelow(True)


def grid(ax: Axes, axis: str) -> None:
    """Draw quiet grid lines across ``axis``."""
    ax.grid(visible=True, axis=axis, color=RULE, linewidth=0.7)  # type: ignore[arg-type]


def describe(ax: Axes, title: str, note: str, xlabel: str, ylabel: str) -> None:
    """Write the title, the caption below it, and what the two axes show.

    The caption is the label of an axis on top, and the title the one that ``ax.set_title`` sets: another title takes
    its place, above the caption, wherever that ends.
    """
    title, note = given.chosen(title, "title"), given.chosen(note, "caption")
    ax.set_xlabel(xlabel, fontsize=text(), color=INK)
    ax.set_ylabel(ylabel, fontsize=text(), color=INK)
    place: dict[str, Any] = {"horizontalalignment": "left", "x": 0.0}
    size = 1.1 * _points("axes.labelsize")
    ax.set_title(title, fontsize=size, fontweight="bold", color=INK, **place)
    lines = textwrap.wrap(note, max(30, int(extent(ax)[0] / (0.5 * small())))) if note else []
    if lines:
        top = ax.secondary_xaxis("top")
        top.set_xticks([])
        top.set_xticks([], minor=True)
        top.spines[:].set_visible(False)
        top.set_xlabel("\n".join(lines), fontsize=small(), color=QUIET, linespacing=1.25, labelpad=3, **place)


def say_empty(ax: Axes, sentence: str, *, title: str, xlabel: str, ylabel: str) -> Axes:
    """Draw axes that say in a sentence that there is nothing to draw."""
    describe(ax, title, "", xlabel, ylabel)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.text(0.5, 0.5, sentence, transform=ax.transAxes, ha="center", va="center", fontsize=text(), color=QUIET)
    return ax


def whiskers(
    ax: Axes,
    at: npt.ArrayLike,
    estimate: npt.NDArray[np.float64],
    lower: npt.NDArray[np.float64],
    upper: npt.NDArray[np.float64],
    *,
    is_weak: npt.NDArray[np.bool_],
    color: str = INK,
    horizontal: bool = False,
    **looks: Any,  # noqa: ANN401 - what Matplotlib's errorbar takes
) -> None:
    """Draw intervals as whiskers around estimates, in lighter ink where ``is_weak``; where they are null is none."""
    reach = np.array([estimate - lower, upper - estimate])
    # A bound that is alone makes half a whisker. An estimate at 0 or 1 may stick out of its interval by a rounding
    # error, which Matplotlib refuses.
    is_alone = np.isnan(reach) & ~np.isnan(reach).all(axis=0)
    reach = np.where(is_alone, 0, np.maximum(reach, 0))
    places = np.asarray(at, dtype=np.float64)
    drawn: dict[str, Any] = {"fmt": "none", "capsize": 2.5, "elinewidth": 1.2} | looks
    for shown, ink in _inks(is_weak, color):
        if horizontal:
            ax.errorbar(estimate[shown], places[shown], xerr=reach[:, shown], color=ink, **drawn)
        else:
            ax.errorbar(places[shown], estimate[shown], yerr=reach[:, shown], color=ink, **drawn)


def points(
    ax: Axes,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    marker: str,
    *,
    is_weak: npt.NDArray[np.bool_],
    color: str,
    **looks: Any,  # noqa: ANN401 - what Matplotlib's plot takes
) -> None:
    """Draw estimates as points, in lighter ink where ``is_weak``."""
    for shown, ink in _inks(is_weak, color):
        ax.plot(np.asarray(x)[shown], np.asarray(y)[shown], marker, color=ink, **looks)


def lighter(color: str) -> str:
    """Return the lighter ink of a colour, for what rests on few servers.

    Examples
    --------
    >>> lighter("#000000")
    '#808080'
    """
    from matplotlib.colors import to_hex, to_rgb

    red, green, blue = (1 - LIGHTER * (1 - part) for part in to_rgb(color))
    return to_hex((red, green, blue))


def inks(color: str, is_weak: npt.NDArray[np.bool_]) -> list[str]:
    """Return the ink of each of several marks of a colour: the lighter one where ``is_weak``."""
    return [lighter(color) if weak else color for weak in is_weak]


def _inks(is_weak: npt.NDArray[np.bool_], color: str) -> list[tuple[npt.NDArray[np.bool_], str]]:
    """Return which marks have which ink; the lighter one only where it is needed."""
    return [(~is_weak, color), *([(is_weak, lighter(color))] if is_weak.any() else [])]


def legend(ax: Axes, handles: Sequence[Any], title: str = "", *, below: bool = False) -> None:
    """Put a legend beside the axes, or below their labels, where it hides nothing."""
    from matplotlib.transforms import offset_copy

    handles = [handle for handle in handles if handle.get_label()]
    if not handles:
        return
    place = offset_copy(ax.transAxes, ax.get_figure(root=True), 0 if below else 10, -44 if below else 0, units="points")
    box = ax.legend(
        handles=list(handles),
        labels=[handle.get_label() for handle in handles],
        title=title or None,
        loc="upper left",
        bbox_to_anchor=(0, 0) if below else (1, 1),
        bbox_transform=place,
        ncols=min(len(handles), 3) if below else 1,
        borderaxespad=0,
        frameon=False,
        fontsize=small(),
        labelcolor=INK,
        alignment="left",
    )
    box.get_title().set_fontsize(small())
    box.get_title().set_color(QUIET)


def limits_handle(name: str) -> Any:  # noqa: ANN401 - a container of Matplotlib's
    """Return what stands for intervals in a legend: a whisker."""
    from matplotlib.lines import Line2D

    return Line2D([], [], color=INK, linestyle="none", marker="|", markersize=11, markeredgewidth=1.2, label=name)


def band_handle(name: str) -> Any:  # noqa: ANN401 - an artist of Matplotlib's
    """Return what stands for intervals in a legend: a piece of a band."""
    from matplotlib.patches import Patch

    return Patch(color="#999999", alpha=0.3, linewidth=0, label=name)


def panel_shape(n: int, width: float = 0) -> tuple[int, int]:
    """Return the rows and columns in which to lay out panels, each of a width in inches, so that they fit on a page."""
    n_columns = n if n <= 3 else 2 if n == 4 else 3 if n <= 9 else 4  # noqa: PLR2004 - a table of layouts
    n_columns = max(1, min(n_columns, int(PAGE_WIDTH // width))) if width else n_columns
    return -(-n // n_columns), n_columns


def panels(
    ax: Axes,
    titles: Sequence[str],
    *,
    width: float = 0,
    across: float = 44,
    down: float = 48,
    below: float = 0,
) -> list[Axes]:
    """Divide axes into panels, one for each title, and let the axes keep nothing but their labels.

    Parameters
    ----------
    ax
        The axes to divide.
    titles
        What stands over each panel.
    width
        Their width in inches, as for ``panel_shape``.
    across, down
        Space between panels, in points.
    below
        Space that every panel needs below itself, in points.

    Returns
    -------
    list of matplotlib.axes.Axes
        The panels, row by row.
    """
    n_rows, n_columns = panel_shape(len(titles), width)
    all_width, height = extent(ax)
    gap_x, gap_y, base = across / all_width, (down + below) / height, below / height
    panel_width = (1 - (n_columns - 1) * gap_x) / n_columns
    panel_height = (1 - base - (n_rows - 1) * gap_y - 14 / height) / n_rows
    made = []
    for number, title in enumerate(titles):
        row, column = divmod(number, n_columns)
        left = column * (panel_width + gap_x)
        bottom = base + (n_rows - 1 - row) * (panel_height + gap_y)
        panel = ax.inset_axes((left, bottom, max(panel_width, 0.02), max(panel_height, 0.02)))
        plain(panel)
        panel.set_title(title, loc="left", fontsize=text(), color=INK, pad=3)
        made.append(panel)
    ax.spines[:].set_visible(False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.xaxis.labelpad = 26
    ax.yaxis.labelpad = 36
    return made


def rows_axis(ax: Axes, labels: Sequence[str]) -> npt.NDArray[np.float64]:
    """Give each label a row, the first on top, and return the rows' heights on the axis."""
    at = np.arange(len(labels), dtype=np.float64)
    ax.set_yticks(at, list(labels))
    ax.set_ylim(max(len(labels), 1) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    return at


def beside(ax: Axes, at: npt.NDArray[np.float64], texts: Sequence[str], *, heading: str, x: float = 1.02) -> None:
    """Write a column of text beside rows: what stands behind each of them."""
    looks: dict[str, Any] = {"transform": ax.get_yaxis_transform(), "fontsize": small(), "color": QUIET, "va": "center"}
    for height, text in zip(at, texts, strict=True):
        ax.text(x, height, text, **looks)
    ax.annotate(heading, (x, 1), xycoords="axes fraction", fontsize=small(), color=QUIET, style="italic", va="bottom")


def extent(ax: Axes) -> tuple[float, float]:
    """Return the width and height of axes in points, as the figure is laid out now."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    box = ax.get_window_extent()
    return box.width * POINTS_PER_INCH / figure.dpi, box.height * POINTS_PER_INCH / figure.dpi
