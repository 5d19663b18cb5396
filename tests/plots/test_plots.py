"""Pictures: every table becomes axes with a title, units and counts, however hard it is, and nothing else changes."""

import re
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from telemetry_kit import plots
from telemetry_kit.errors import ParameterError
from telemetry_kit.plots import given, groups, scales

LONG_ID = "abcdefghijklmnopqrstuvwxyz"


def funnel():
    return pd.DataFrame({
        "stage": [0, 1], "n_eligible": [8, 6], "n_reached": [8, 3], "n_visited": [8, 3], "n_open": [0, 2],
        "n_servers": [3, 2], "estimate": [1.0, 0.5], "lower": [0.4, None], "upper": [1.0, None],
        "step_estimate": [None, 0.5],
    })  # fmt: skip


def dwell():
    return pd.DataFrame({
        "stage": [0, 1], "n_visits": [9, 0], "n_observed": [7, 0], "n_censored": [2, 0], "n_excluded": [0, 1],
        "n_servers": [3, 0], "q25_s": [600.0, None], "median_s": [5400.0, None], "q75_s": [9000.0, None],
        "median_lower_s": [900.0, None], "median_upper_s": [None, None],
    })  # fmt: skip


def survival():
    return pd.DataFrame({
        "stage": [0, 0, 0], "time_s": [60.0, 120.0, 240.0], "n_at_risk": [5, 4, 2], "n_observed": [1, 1, 2],
        "n_censored": [0, 1, 0], "survival": [0.8, 0.6, 0.0], "lower": [0.2, 0.1, None], "upper": [1.0, 0.9, None],
    })  # fmt: skip


def arrivals():
    return survival().rename(columns={"survival": "estimate"}).assign(estimate=[0.2, 0.4, 1.0], n_servers=3)


def ends():
    return survival().drop(columns="stage").assign(n_servers=3)


def transitions():
    return pd.DataFrame({
        "stage": [0, 0, 1], "exit": ["advanced", "open", "ended"], "next_stage": [1, None, None], "n": [3, 1, 2],
        "share": [0.75, 0.25, 1.0],
    })  # fmt: skip


def completion():
    return pd.DataFrame({
        "completer": ["commander", "assignee", "both", "neither"], "n_completed": [5, 3, 2, 0],
        "n_reopened": [0, 0, 0, 0], "n_clusters": [4, 4, 4, 4], "estimate": [0.5, 0.3, 0.2, 0.0],
        "lower": [0.3, 0.1, None, 0.0], "upper": [0.7, 0.5, None, 0.6],
    })  # fmt: skip


def difference():
    return pd.DataFrame({
        "n_completed": [9], "n_clusters": [3], "commander": [0.6], "assignee": [0.4], "difference": [0.2],
        "lower": [-0.1], "upper": [0.5],
    })  # fmt: skip


def sizes():
    return pd.DataFrame({
        "measure": ["num_checklists"], "n": [3], "n_servers": [2], "mean": [2.3], "sd": [1.5], "min": [1.0],
        "p05": [1.1], "p25": [1.5], "median": [2.0], "p75": [3.0], "p95": [3.8], "max": [4.0], "median_lower": [None],
        "median_upper": [None],
    })  # fmt: skip


def ecdf():
    return pd.DataFrame({"measure": ["num_members"] * 2, "value": [1.0, 4.0], "n": [3, 1], "share": [0.75, 1.0]})


def growth():
    return pd.DataFrame({
        "measure": ["num_members"] * 2, "update": [0, 1], "n": [9, 4], "n_servers": [3, 2], "mean": [4.0, 7.0],
        "mean_change": [0.0, 1.5], "lower": [0.0, None], "upper": [0.0, None],
    })  # fmt: skip


def activity():
    return pd.DataFrame({
        "server_id": ["a", "a", LONG_ID], "date": pd.to_datetime(["2020-11-02", "2020-11-03", "2020-11-09"]),
        "n_incident": [3, 0, 1], "n_tasks": [2, 0, 0], "n_playbook": [0, 0, 0], "dau": [2, 0, 1], "wau": [2, 2, 1],
        "mau": [2, 2, 1],
    })  # fmt: skip


def versions():
    return pd.DataFrame({
        "date": pd.to_datetime(["2020-11-02", "2020-11-02", "2020-11-03", "2020-11-03"], utc=True),
        "version": ["1.1.0", "1.2.0"] * 2, "n_servers": [3, 0, 2, 1], "n_in_use": [3, 3, 3, 3],
        "share": [1.0, 0.0, 2 / 3, 1 / 3],
    })  # fmt: skip


def with_period(table):
    periods = pd.Series(pd.to_datetime(["2020-11-02", "2020-11-09"], utc=True), name="period")
    return pd.concat([table.assign(period=period) for period in periods], ignore_index=True)


def by(table, values, column="team_id"):
    """The table once for each value of a column that makes its groups."""
    parts = [table.assign(**{column: pd.array([value] * len(table), dtype=pd.array(values).dtype)}) for value in values]
    grouped = pd.concat(parts, ignore_index=True)
    return grouped[[column, *table.columns]]


def compared():
    return pd.DataFrame({
        "group_a": ["1.0.0"] * 3, "group_b": ["1.1.0"] * 3, "stage": [1, 2, 3], "n_a": [90, 50, 3], "n_b": [80, 40, 2],
        "estimate_a": [0.5, 0.4, 0.0], "estimate_b": [0.7, 0.38, 0.0], "difference": [0.2, -0.02, 0.0],
        "df": [12.0, 3.1, None], "lower": [0.1, -0.3, None], "upper": [0.3, 0.26, None],
        "p_adjusted": [0.01, 0.9, None], "detectable": [0.14, 0.6, None],
    })  # fmt: skip


def first(column, table):
    return table[[column, *table.columns.drop(column)]]


GROUPED = {
    plots.plot_stage_funnel: funnel(),
    plots.plot_stage_dwell: dwell(),
    plots.plot_stage_survival: survival(),
    plots.plot_stage_arrivals: arrivals(),
    plots.plot_incident_survival: ends(),
    plots.plot_stage_transitions: transitions(),
    plots.plot_task_completion: completion(),
    plots.plot_task_completion_over_time: first("period", with_period(completion())),
    plots.plot_commander_vs_assignee: difference(),
    plots.plot_commander_vs_assignee_over_time: first("period", with_period(difference())),
    plots.plot_playbook_sizes: sizes(),
    plots.plot_playbook_ecdf: ecdf(),
    plots.plot_playbook_growth: growth(),
}
ALL = GROUPED | {
    plots.plot_comparison: compared(),
    plots.plot_over_periods: first("period", with_period(completion())),
    plots.plot_completion_by_stage: by(completion(), pd.array([0, 1, None], dtype="Int64"), "stage"),
    plots.plot_server_activity: activity(),
    plots.plot_versions: versions(),
}
each = pytest.mark.parametrize(("plot", "table"), ALL.items(), ids=lambda value: getattr(value, "__name__", ""))
each_grouped = pytest.mark.parametrize(
    ("plot", "table"), GROUPED.items(), ids=lambda value: getattr(value, "__name__", "")
)


def words_of(ax):
    """All that is written anywhere in a picture."""
    return " ".join(text.get_text() for text in ax.figure.findobj(mpl.text.Text))


def drawn(ax):
    ax.figure.canvas.draw()
    return ax


@each
def test_a_picture_has_a_title_and_says_what_its_axes_show(plot, table):
    ax = drawn(plot(table))
    assert isinstance(ax, Axes)
    assert ax.get_title()
    assert ax.get_xlabel()
    assert ax.get_ylabel()


@each
def test_nullable_types_are_drawn_like_plain_ones(plot, table):
    drawn(plot(table.convert_dtypes()))


@each
def test_an_empty_table_gives_axes_that_say_so(plot, table):
    ax = drawn(plot(table.iloc[:0]))
    assert ax.texts[-1].get_text().startswith("no ")
    assert ax.get_xlabel()


@each
def test_a_table_that_lacks_a_column_is_refused_in_one_line(plot, table):
    with pytest.raises(ParameterError, match=r"^table has no column.*$"):
        plot(table.iloc[:, -1:])
    with pytest.raises(ParameterError, match=r"^table: got 'dict', expected 'a pandas.DataFrame'$|pandas.DataFrame"):
        plot({})


@each
def test_given_axes_are_drawn_on_and_no_figure_is_made(plot, table):
    figure = mpl.figure.Figure()
    ax = figure.add_subplot()
    before = plt.get_fignums()
    assert plot(table, ax=ax) is ax
    figure.canvas.draw()
    assert plt.get_fignums() == before


@each
def test_a_picture_leaves_its_table_and_the_global_settings_alone(plot, table):
    copy, settings = table.copy(), dict(mpl.rcParams)
    plot(table)
    pd.testing.assert_frame_equal(table, copy)
    assert dict(mpl.rcParams) == settings


@pytest.mark.slow
@each
def test_the_same_table_gives_the_same_bytes(plot, table, tmp_path):
    paths = [tmp_path / name for name in ("first.svg", "second.svg")]
    with mpl.rc_context({"svg.hashsalt": "x"}):
        for path in paths:
            plot(table).figure.savefig(path, metadata={"Date": None})
    assert paths[0].read_bytes() == paths[1].read_bytes()


@pytest.mark.slow
@each_grouped
@pytest.mark.parametrize("values", [["1.0.9", "1.1.0", "1.2.0", None], [True, False, None]], ids=["versions", "flags"])
def test_groups_are_named_and_a_null_is_a_group(plot, table, values):
    text = words_of(drawn(plot(by(table, values))))
    for value in values:
        assert groups.label(value) in text
    assert "team id" in text


@pytest.mark.slow
@each_grouped
def test_of_forty_two_groups_the_largest_are_drawn_and_the_rest_is_counted(plot, table):
    many = by(table, [f"{LONG_ID}{number:02}" for number in range(42)])
    text = words_of(drawn(plot(many)))
    assert "of 42 groups are shown: those with the most" in text.replace("\n", " ")
    assert LONG_ID not in text
    assert "abcdefgh…" in text


@each_grouped
def test_two_columns_make_a_group_together(plot, table):
    text = words_of(plot(by(by(table, ["1.1.0", None], "plugin_version"), [True, None], "public")))
    assert "yes · 1.1.0" in text
    assert "unknown · unknown" in text


def test_names_that_matplotlib_would_read_as_formulas_are_taken_literally():
    ax = drawn(plots.plot_task_completion(by(completion(), ["$\\frac$", "_hidden", "tab\t"])))
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == [r"\$\frac\$", "_hidden", "tab?"]


def test_a_hidden_looking_name_stays_in_the_legend():
    ax = plots.plot_stage_funnel(by(funnel(), ["_a", "_b"]))
    assert [text.get_text() for text in ax.get_legend().get_texts()][:2] == [
        "_a: 8 incidents on 3 servers",
        "_b: 8 incidents on 3 servers",
    ]


def test_limits_are_named_with_their_level_where_the_table_says_it():
    table = funnel()
    table.attrs["level"] = 0.9
    assert "90 % intervals" in words_of(plots.plot_stage_funnel(table))
    assert "% intervals" not in words_of(plots.plot_stage_funnel(funnel()))


def test_the_funnel_shows_reached_and_still_open_shares_on_top_of_each_other():
    reached, still_open = plots.plot_stage_funnel(funnel()).containers[:2]
    assert [bar.get_width() for bar in reached] == [1.0, 0.5]
    assert [bar.get_width() for bar in still_open] == [0.0, pytest.approx(2 / 6)]
    assert [bar.get_x() for bar in still_open] == [1.0, 0.5]


def test_the_funnel_says_how_many_reached_each_stage_of_how_many():
    ax = plots.plot_stage_funnel(funnel())
    assert [text.get_text() for text in ax.texts if "/" in text.get_text()][:2] == ["8 / 8", "3 / 6"]


def test_the_legend_speaks_of_open_incidents_only_where_there_are_any():
    assert "still open at the cutoff" in words_of(plots.plot_stage_funnel(funnel()))
    assert "still open" not in words_of(plots.plot_stage_funnel(funnel().assign(n_open=0)))


def test_null_limits_draw_no_whisker():
    ax = plots.plot_stage_funnel(funnel())
    (lines,) = [container.lines[2][0] for container in ax.containers if hasattr(container, "lines")]
    # Of the first stage every share is all, by definition; of the second the limits are null.
    assert [len(segment) for segment in lines.get_segments()] == [0, 0]


def test_a_limit_that_is_alone_draws_half_a_whisker():
    ax = plots.plot_stage_dwell(dwell().iloc[:1])
    (whisker,) = [container.lines[2][0] for container in ax.containers if hasattr(container, "lines")]
    assert [segment[:, 0].tolist() for segment in whisker.get_segments()] == [[900.0, 5400.0]]


def test_a_funnel_in_which_all_incidents_are_too_young_is_drawn_without_bars():
    table = funnel().assign(n_eligible=0, n_reached=0, n_open=0, estimate=None, lower=None, upper=None, n_immature=4)
    ax = drawn(plots.plot_stage_funnel(table.convert_dtypes()))
    assert "0 / 0" in words_of(ax)
    assert "4 incidents too young to count" in words_of(ax).replace("\n", " ")


def test_the_funnel_says_how_many_incidents_were_too_young_to_count():
    ax = plots.plot_stage_funnel(funnel().assign(n_immature=[3, 2]))
    assert "3 incidents too young to count" in words_of(ax).replace("\n", " ")


def test_numbers_at_risk_stand_below_the_ticks():
    ax = plots.plot_stage_survival(survival())
    assert ax.get_xticks().tolist() == [0.0, 60.0, 120.0, 180.0, 240.0]
    assert [text.get_text() for text in ax.texts][:5] == ["5", "5", "4", "2", "2"]


def test_a_curve_of_very_many_points_is_drawn_with_those_that_can_be_seen():
    n = 60_000
    left = np.arange(n, 0, -1)
    table = pd.DataFrame({"stage": 0, "time_s": np.arange(1.0, n + 1), "n_at_risk": left, "n_observed": 1})
    share = (left - 1) / n
    table = table.assign(n_censored=1, survival=share, lower=share, upper=share)
    curve, ticks = plots.plot_stage_survival(table).lines[:2]
    assert len(curve.get_xdata()) < 5000
    assert len(ticks.get_xdata()) < 200
    assert curve.get_ydata()[-1] == 0
    at = np.searchsorted(curve.get_xdata(), 30_000.0, side="right") - 1
    assert abs(curve.get_ydata()[at] - share[29_999]) < 1 / 1000


@pytest.mark.parametrize(
    ("plot", "table"),
    [
        (plots.plot_stage_funnel, funnel()),
        (plots.plot_stage_dwell, dwell()),
        (plots.plot_stage_transitions, transitions()),
        (plots.plot_stage_survival, survival()),
        (plots.plot_stage_arrivals, arrivals()),
    ],
)
def test_stages_that_no_picture_has_room_for_are_left_out_and_it_says_so(plot, table):
    assert "are not shown" not in words_of(plot(table))
    far = pd.concat([table, table.assign(stage=2_147_483_647)])
    for others in (far, far[far["stage"] > 1_000]):
        assert re.search(r"stages from \d+ on are not shown", " ".join(words_of(plot(others)).split()))


def test_several_groups_get_a_panel_for_each_stage():
    table = by(pd.concat([survival().assign(stage=stage) for stage in range(8)]), ["1.1.0", "1.2.0"])
    panels = [child for child in plots.plot_stage_survival(table).child_axes if isinstance(child, Axes)]
    assert [panel.get_title(loc="left") for panel in panels] == [f"Stage {stage}" for stage in range(6)]
    assert all(len(panel.lines) == 4 for panel in panels)


def test_a_transition_stands_in_the_row_of_its_stage_and_the_column_of_its_way_out():
    ax = plots.plot_stage_transitions(transitions())
    cells = {(text.get_position(), text.get_text()) for text in ax.texts if "%" in text.get_text()}
    assert cells == {((1.5, 0.5), "75 %\n3"), ((3.5, 0.5), "25 %\n1"), ((2.5, 1.5), "100 %\n2")}


def test_transitions_say_how_many_servers_stand_behind_them_where_the_table_does():
    ax = plots.plot_stage_transitions(transitions().assign(n_servers=[2, 2, 1]))
    assert "n = 6 visits; at most 2 servers in a stage" in words_of(ax)


def test_a_long_tail_makes_the_size_axis_logarithmic_and_keeps_zero():
    short = plots.plot_playbook_ecdf(ecdf())
    long = plots.plot_playbook_ecdf(ecdf().assign(value=[0.0, 4000.0]))
    assert (short.get_xscale(), long.get_xscale()) == ("linear", "linear")
    table = pd.DataFrame(
        {"measure": ["num_members"] * 4, "value": [0.0, 1, 2, 900], "n": 1, "share": [0.25, 0.5, 0.75, 1]}
    )
    ax = plots.plot_playbook_ecdf(table)
    assert ax.get_xscale() == "symlog"
    assert ax.get_xticks().tolist() == [0, 1, 3, 10, 30, 100, 300, 1000]


def test_one_server_is_drawn_over_time_and_several_as_rows():
    one = plots.plot_server_activity(activity().iloc[:2])
    assert [line.get_ydata().tolist() for line in one.lines] == [[2, 0], [2, 2], [2, 2]]
    several = plots.plot_server_activity(activity())
    assert [text.get_text() for text in several.get_yticklabels()] == ["a", "abcdefgh…tuvwxyz"]
    users = several.collections[0].get_array()
    assert users.shape == (2, 4)
    assert users[0, 0] == 2
    assert users[0, 1] < 1
    assert users[1].mask.tolist() == [True, True, True, False]


def test_versions_are_stacked_in_their_order_and_the_largest_eight_are_drawn():
    lower, upper = plots.plot_versions(versions()).collections
    assert lower.get_paths()[0].get_extents().ymax == 3
    assert upper.get_paths()[0].get_extents().ymin == 2
    many = pd.concat([versions().assign(version=f"1.{number}.0", n_servers=number) for number in range(9)])
    ax = drawn(plots.plot_versions(many))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [f"1.{n}.0" for n in range(8, 0, -1)]
    assert "8 of 9 groups are shown: those with the most servers" in words_of(ax)


def visits():
    return pd.DataFrame({
        "server_id": ["a", "a", "a"], "incident_id": [LONG_ID, LONG_ID, "late"], "visit": [0, 1, 0],
        "stage": [0, 1, 2], "exit": ["ended", "open", "advanced"],
        "entered_at": pd.to_datetime(["2020-11-02 08:00", "2020-11-02 10:00", None], utc=True),
        "left_at": pd.to_datetime(["2020-11-02 09:00", "2020-11-02 12:00", "2020-11-03 09:00"], utc=True),
    })  # fmt: skip


def test_a_timeline_has_a_bar_for_each_visit_and_a_tick_for_each_completion():
    tasks = pd.DataFrame({
        "server_id": ["a", "a", "b", "a"], "incident_id": [LONG_ID, LONG_ID, LONG_ID, LONG_ID],
        "event_timestamp": pd.to_datetime(["2020-11-02 08:30", "2020-11-02 08:31"] * 2, utc=True),
        "new_state": pd.Categorical(["done", "open", "done", None]),
    })  # fmt: skip
    ax = drawn(plots.plot_incident_timelines(visits(), tasks))
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [(0, 3600), (7200, 7200)]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["abcdefgh…tuvwxyz", "late"]
    *_, ticks = [line for line in ax.lines if line.get_marker() == "|"]
    assert (ticks.get_xdata().tolist(), ticks.get_ydata().tolist()) == ([1800], [0])


def test_timelines_are_drawn_without_tasks_without_visits_and_for_the_first_thirty_incidents():
    drawn(plots.plot_incident_timelines(visits()))
    assert "no visits" in words_of(plots.plot_incident_timelines(visits().iloc[:0]))
    many = pd.concat([visits().assign(incident_id=f"i{number}") for number in range(31)])
    ax = plots.plot_incident_timelines(many)
    assert len(ax.get_yticks()) == 30
    assert "n = 30 incidents of 31 on 1 server" in words_of(ax)
    with pytest.raises(ParameterError, match=r"^visits has no column"):
        plots.plot_incident_timelines(visits().drop(columns="stage"))
    with pytest.raises(ParameterError, match=r"^tasks has no column"):
        plots.plot_incident_timelines(visits(), visits())


def test_colours_are_all_different_and_none_is_pale():
    assert len(set(given.COLORS)) == len(given.COLORS) == len(groups.MARKERS) == len(groups.LINE_STYLES)
    for color in given.COLORS:
        red, green, blue = mpl.colors.to_rgb(to_hex(color))
        assert 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.7


@pytest.mark.parametrize(
    ("highest", "expected"), [(50.0, [0, 10, 20, 30, 40, 50]), (5 * 3600, [0, 3600, 7200, 10800, 14400, 18000])]
)
def test_durations_are_marked_at_round_times(highest, expected):
    assert scales.duration_ticks(0.0, highest, log=False) == expected


def test_a_narrow_log_axis_has_fewer_marks_than_a_wide_one():
    wide = scales.duration_ticks(1.0, 8 * 86_400, log=True)
    assert wide == [1, 10, 60, 600, 3600, 21_600, 604_800]
    assert scales.duration_ticks(1.0, 8 * 86_400, log=True, most=4) == [1, 60, 3600, 604_800]


def test_importing_the_pictures_loads_no_drawing_library():
    code = (
        "import sys, telemetry_kit; telemetry_kit.plots.plot_stage_funnel; "
        "print({'matplotlib', 'seaborn'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


@each
def test_a_picture_takes_another_title_caption_and_palette(plot, table):
    ax = drawn(plot(table, title="Mine", caption=False, palette="dark"))
    assert ax.get_title() == "Mine"
    ax.set_title("Later")
    assert "Mine" not in words_of(drawn(ax))
    plt.close(ax.figure)
    assert plot(table, title=False).get_title() == ""


def test_a_later_title_stands_above_the_caption():
    ax = drawn(plots.plot_stage_funnel(funnel()))
    ax.set_title("Later")
    drawn(ax)
    (caption,) = [child for child in ax.child_axes if not isinstance(child, Axes)]
    assert ax.title.get_window_extent().y0 >= caption.xaxis.label.get_window_extent().y1 - 1


def test_a_palette_that_is_none_is_an_error():
    with pytest.raises(ParameterError, match="palette"):
        plots.plot_stage_funnel(funnel(), palette="no such palette")


def test_those_who_were_watched_late_count_as_well():
    late = pd.DataFrame({
        "time_s": [60.0, 600.0], "n_at_risk": [2, 2], "n_observed": [1, 1], "n_censored": [0, 1],
        "survival": [0.5, 0.25], "lower": [0.1, 0.0], "upper": [0.9, 0.8], "n_servers": 2,
    })  # fmt: skip
    assert "n = 3 incidents on 2 servers" in words_of(plots.plot_incident_survival(late))


def test_visits_of_no_length_are_shown_without_a_warning():
    quantiles = dict.fromkeys(("q25_s", "median_s", "q75_s", "median_lower_s", "median_upper_s"), 0.0)
    ax = plots.plot_stage_dwell(dwell().iloc[:1].assign(**quantiles))
    assert ax.get_xscale() == "linear"
    assert ax.get_xlabel() == "Dwell time"
