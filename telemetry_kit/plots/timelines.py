"""The picture of single incidents: their visits as bars, the tasks completed in them as ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from telemetry_kit.plots import given, groups, scales, style

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes

MOST_INCIDENTS = 30
VISIT = ["server_id", "incident_id", "visit", "stage", "entered_at", "left_at", "exit"]
COMPLETION = ["server_id", "incident_id", "event_timestamp", "new_state"]
CASE = ["server_id", "incident_id"]
SYMLOG_FROM = scales.MINUTE


@given.picture
def plot_incident_timelines(visits: pd.DataFrame, tasks: pd.DataFrame | None = None, *, ax: Axes | None = None) -> Axes:
    """Draw single incidents: a row for each, a bar for each visit, a tick for each completed task.

    Time counts from the first moment that is known of an incident. A gap between bars is time in which it was
    closed; ▸ marks a visit that was open at the cutoff, ◂ one that had begun before the recording.

    Parameters
    ----------
    visits
        As ``stage_visits`` returns it, as pandas. The first thirty incidents are drawn, in their order.
    tasks
        The tasks events; those of other incidents are passed over.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on.

    Raises
    ------
    ParameterError
        Where ``visits`` or ``tasks`` is no pandas frame, or lacks a column.

    Examples
    --------
    >>> import pandas as pd
    >>> from telemetry_kit import plots
    >>> visits = pd.DataFrame({
    ...     "server_id": ["a"], "incident_id": ["i"], "visit": [0], "stage": [0], "exit": ["ended"],
    ...     "entered_at": pd.to_datetime(["2020-11-02 08:00"], utc=True),
    ...     "left_at": pd.to_datetime(["2020-11-02 09:30"], utc=True),
    ... })
    >>> plots.plot_incident_timelines(visits).get_xlabel()
    'Time since the first moment known of the incident'
    """
    visits = groups.need(visits, VISIT, parameter="visits")
    cases = visits[CASE].drop_duplicates()
    shown = cases.head(MOST_INCIDENTS)
    ax = style.open_axes(ax, width=9.5, height=2.0 + 0.22 * max(len(shown), 1))
    title, xlabel = "Single incidents", "Time since the first moment known of the incident"
    if shown.empty:
        return style.say_empty(ax, "no visits", title=title, xlabel=xlabel, ylabel="Incident")
    rows = visits.merge(shown.assign(row=np.arange(len(shown))), on=CASE)
    known = rows["entered_at"].fillna(rows["left_at"])
    begins = known.groupby(rows["row"]).min()
    entered = _seconds(rows["entered_at"], rows["row"].map(begins))
    left = _seconds(rows["left_at"], rows["row"].map(begins))
    completed = _completions(tasks, shown, begins)
    at = style.rows_axis(ax, [groups.label(incident) for incident in shown["incident_id"]])
    ax.tick_params(axis="y", labelfontfamily="monospace", labelsize=style.small())
    stages = rows["stage"].to_numpy(int)
    for row in at:
        mine = rows["row"].to_numpy() == row
        ax.hlines(row, 0, np.nanmax(left[mine]), color=style.RULE, linewidth=1, zorder=1)
    _draw_visits(ax, rows, entered, left)
    for color, width in (("white", 2.6), (style.INK, 1.0)):
        ax.plot(completed["at_s"], completed["row"], "|", color=color, markersize=9, markeredgewidth=width, zorder=4)
    times = np.concatenate([left[left > 0], groups.numbers(completed["at_s"])])
    if _time_axis(ax, times):
        xlabel = f"{xlabel} (log axis)"
    names = groups.stage_names(visits, int(stages.max()) + 1)
    word = "" if groups.stage_word(visits) == "status" else "stage "
    told_stages = {int(stage): f"{word}{names[stage]}" for stage in sorted(set(stages))}
    _write_legend(ax, told_stages, has_ticks=tasks is not None)
    of_all = f" of {len(cases):,}" if len(cases) > len(shown) else ""
    servers = groups.count(shown["server_id"].nunique(), "server")
    told = [f"n = {groups.count(len(shown), 'incident')}{of_all} on {servers}", groups.count(len(rows), "visit")]
    if tasks is not None:
        told.append(groups.count(len(completed), "completed task"))
    style.describe(ax, title, ", ".join(told), xlabel, "Incident")
    return ax


def _draw_visits(ax: Axes, rows: pd.DataFrame, entered: npt.NDArray[np.float64], left: npt.NDArray[np.float64]) -> None:
    from matplotlib.markers import MarkerStyle

    at, stages = rows["row"].to_numpy(float), rows["stage"].to_numpy(int)
    colors = np.array(given.colors())[stages % groups.MOST_COLORS]
    is_whole = ~np.isnan(entered)
    ax.barh(
        at[is_whole], (left - entered)[is_whole], left=entered[is_whole], height=0.62, color=colors[is_whole],
        alpha=0.75, edgecolor="white", linewidth=0.6, zorder=2,
    )  # fmt: skip
    is_open = (rows["exit"] == "open").to_numpy(bool)
    for marker, where in ((MarkerStyle(5), is_open), (MarkerStyle(4), ~is_whole)):
        ax.scatter(left[where], at[where], marker=marker, s=45, c=colors[where], zorder=3)


def _completions(tasks: pd.DataFrame | None, shown: pd.DataFrame, begins: pd.Series[pd.Timestamp]) -> pd.DataFrame:
    """Return the completions in the incidents shown: their rows, and their seconds since the incidents' begin."""
    if tasks is None:
        return pd.DataFrame({"row": np.empty(0), "at_s": np.empty(0)})
    tasks = groups.need(tasks, COMPLETION, parameter="tasks")
    done = tasks.loc[(tasks["new_state"] == "done").fillna(value=False), COMPLETION]
    done = done.merge(shown.assign(row=np.arange(len(shown))), on=CASE)
    return done.assign(at_s=_seconds(done["event_timestamp"], done["row"].map(begins)))


def _seconds(times: pd.Series[pd.Timestamp], begins: pd.Series[pd.Timestamp]) -> npt.NDArray[np.float64]:
    return groups.numbers((times - begins).dt.total_seconds())


def _time_axis(ax: Axes, times: npt.NDArray[np.float64]) -> bool:
    """Show the time since the begin; tell whether on a log axis, where some incidents last much longer than others."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    highest = float(max(np.nanmax(times, initial=1.0), 1.0))
    is_log = scales.is_long_tailed(times)
    if not is_log:
        scales.duration_axis(ax, 0.0, highest * 1.03, log=False)
    else:
        ax.set_xscale("symlog", linthresh=SYMLOG_FROM, linscale=0.4)
        ax.set_xlim(0, highest * 1.4)
        ticks = [0, *(tick for tick in scales.DECADES if SYMLOG_FROM <= tick <= highest * 1.4)]
        ax.xaxis.set_major_locator(FixedLocator(ticks))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: scales.duration(value)))
    style.grid(ax, "x")
    return is_log


def _write_legend(ax: Axes, stages: dict[int, str], *, has_ticks: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Patch | Line2D] = [
        Patch(color=given.colors()[stage % groups.MOST_COLORS], alpha=0.75, label=name)
        for stage, name in stages.items()
    ]
    looks: dict[str, Any] = {"linestyle": "none", "color": style.QUIET}
    if has_ticks:
        handles.append(Line2D([], [], marker="|", markersize=9, label="task completed", **looks))
    handles.append(Line2D([], [], marker=5, label="open at the cutoff", **looks))
    handles.append(Line2D([], [], marker=4, label="begun before the recording", **looks))
    style.legend(ax, handles)
