"""Pictures of two groups held against each other, and of a measure from period to period."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from drawn import panels_of

import telemetry_kit as tk
from telemetry_kit import plots
from telemetry_kit.errors import ParameterError


@pytest.fixture(scope="module")
def visits(oct2020):
    return tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)


def words_of(ax):
    ax.figure.canvas.draw()
    return " ".join(text.get_text() for text in ax.figure.findobj(mpl.text.Text))


def test_both_estimates_and_both_numbers_stand_beside_a_difference(oct2020):
    ax = plots.plot_comparison(tk.compare_completion(oct2020.tasks, between="plugin_version"))
    text = words_of(ax)
    assert "52.2 % → 49.2 %   n = 314, 1,480" in text
    assert ax.get_xlabel() == "Difference: 1.1.0 minus 1.0.0 (percentage points)"
    assert [label.get_text() for label in ax.get_yticklabels()] == ["commander", "assignee", "both", "neither"]


def test_zero_is_in_the_middle_and_what_could_go_unseen_lies_around_it(visits):
    table = tk.compare_dwell(visits, between="public", at="4h")
    ax = plots.plot_comparison(table)
    low, high = ax.get_xlim()
    assert low == -high
    reach = [bar.get_width() / 2 for bar in ax.patches]
    np.testing.assert_allclose(reach, table["detectable"].fillna(0))
    assert "mean time, at 4 h" in words_of(ax)
    assert "2 h" in words_of(ax)


def test_two_units_get_a_panel_each(oct2020):
    snapshot = tk.playbook_snapshot(oct2020.playbook, as_of=oct2020.cutoff)
    ax = plots.plot_comparison(tk.compare_playbook_sizes(snapshot, between="is_public"))
    assert [panel.get_title(loc="left") for panel in panels_of(ax)] == ["Which are larger", "Difference of medians"]


def test_of_many_rows_those_with_the_most_are_drawn_and_the_rest_is_counted(visits):
    table = tk.compare_funnel(tk.add_period(visits, "W"), between="period", within="3D")
    assert len(table) > 40
    text = words_of(plots.plot_comparison(table)).replace("\n", " ")
    assert f"40 of {len(table)} rows are shown" in text
    assert "2020-11-02 → 2020-11-09 · stage 1" in text


def test_what_was_found_and_what_rests_on_few_servers_looks_otherwise():
    table = pd.DataFrame({
        "group_a": "a", "group_b": "b", "stage": [1, 2, 3], "n_a": 9, "n_b": 9, "estimate_a": 0.1, "estimate_b": 0.3,
        "difference": 0.2, "df": [9.0, 9.0, 2.0], "lower": [0.1, -0.1, 0.1], "upper": 0.5,
        "p_adjusted": [0.01, 0.5, 0.01], "detectable": 0.2,
    })  # fmt: skip
    text = words_of(plots.plot_comparison(table))
    for words in ("told from zero (adjusted)", "not told from zero", "rests on few servers"):
        assert words in text


def test_shares_are_never_more_than_a_hundred_points_apart_and_months_have_their_names():
    table = pd.DataFrame({
        "group_a": ["2021-01-01"], "group_b": ["2021-02-01"], "completer": ["both"], "n_a": [9], "n_b": [4],
        "estimate_a": [0.5], "estimate_b": [0.25], "difference": [-0.25], "df": [1.1], "lower": [-1.0], "upper": [0.7],
        "p_adjusted": [1.0], "detectable": [1.21],
    })  # fmt: skip
    ax = plots.plot_comparison(table)
    assert max(bar.get_width() for bar in ax.patches) == 2
    assert ax.get_xlabel() == "Difference: Feb 2021 minus Jan 2021 (percentage points)"


def test_two_curves_say_how_far_they_are_apart_at_the_chosen_time(oct2020):
    durations = tk.incident_durations(oct2020.incident, cutoff=oct2020.cutoff)
    row = tk.compare_durations(durations, between="public", measure="survival", at="1D")
    ax = plots.plot_curve_comparison(tk.incident_survival(durations, by="public"), row)
    text = words_of(ax)
    assert "at 1 d: share that lasts longer, yes minus no:" in text
    assert f"{100 * row['difference'].iloc[0]:+.1f} points" in text
    assert "numbers at risk" in text


def test_curves_of_a_stage_are_those_of_the_row(visits):
    rows = tk.compare_dwell(visits, between="public", measure="median_s")
    ax = plots.plot_curve_comparison(tk.stage_survival(visits, by="public"), rows.iloc[[1]])
    # The axis of the caption is a child as well.
    panels = panels_of(ax)
    assert [panel.get_title(loc="left") for panel in panels] == ["Stage 1"]
    assert "median time, yes minus no:" in words_of(ax)


def test_periods_that_were_not_recorded_as_a_whole_are_hatched(oct2020, visits):
    table = tk.stage_funnel(tk.add_period(visits, "W"), by="period", within="3D")
    periods = tk.list_periods(oct2020, "W")
    ax = plots.plot_over_periods(table, periods)
    hatched = [patch for patch in panels_of(ax)[0].patches if patch.get_hatch()]
    assert len(hatched) == (~periods["is_complete"]).sum()
    assert "hatched: not recorded as a whole" in words_of(ax)
    assert "hatched" not in words_of(plots.plot_over_periods(table))


def test_a_table_that_lacks_a_column_is_refused():
    with pytest.raises(ParameterError, match="comparison has no column"):
        plots.plot_curve_comparison(pd.DataFrame({"time_s": [1.0]}), pd.DataFrame({"group_a": ["x"]}))
    table = pd.DataFrame({"period": ["x"], "estimate": [0.1], "lower": [0.0], "upper": [0.2]})
    with pytest.raises(ParameterError, match="periods has no column"):
        plots.plot_over_periods(table, pd.DataFrame({"period": ["x"]}))
