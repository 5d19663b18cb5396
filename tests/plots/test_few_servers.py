"""What rests on few servers is drawn in lighter ink, and a picture that has any says so."""

import matplotlib as mpl
import pandas as pd
import pytest

from telemetry_kit import plots
from telemetry_kit.plots import style
from tests.plots import test_plots as tables

SAID = "lighter ink: rests on few servers"
STRONG, WEAK = 9.0, 3.9


@pytest.fixture(autouse=True, scope="module")
def _without_a_screen():
    mpl.use("agg")


def occupancy():
    shares = {"state": ["0", "closed"] * 2, "n_incidents": 4, "n_servers": 2, "n_at_risk": 4}
    return pd.DataFrame({"time_s": [60.0, 60.0, 120.0, 120.0], **shares, "estimate": [0.75, 0.25, 0.5, 0.5]})


def exits():
    counts = {"stage": 0, "exit": ["advanced", "ended"], "time_s": 60.0, "n_visits": 4, "n_servers": 2}
    return pd.DataFrame({**counts, "estimate": [0.5, 0.2], "lower": [0.2, 0.1], "upper": [0.8, 0.5]})


WITHOUT_INTERVALS = {
    plots.plot_stage_transitions,
    plots.plot_playbook_ecdf,
    plots.plot_server_activity,
    plots.plot_versions,
}
SAID_IN_THE_LEGEND = {plots.plot_comparison}
PICTURES = {
    **{plot: table for plot, table in tables.ALL.items() if plot not in WITHOUT_INTERVALS | SAID_IN_THE_LEGEND},
    plots.plot_stage_occupancy: occupancy(),
    plots.plot_stage_exits: exits(),
}


@pytest.mark.parametrize(("plot", "table"), PICTURES.items(), ids=[plot.__name__ for plot in PICTURES])
def test_few_degrees_of_freedom_are_said_and_many_or_unknown_ones_are_not(plot, table):
    def caption(df):
        ax = plot(table.assign(df=df))
        return "\n".join(child.get_xlabel() for child in ax.child_axes).replace("\n", " ")

    assert SAID in caption(WEAK)
    assert SAID not in caption(STRONG)
    assert SAID not in caption(None)


def test_a_point_and_its_whisker_have_the_lighter_ink_where_they_rest_on_few_servers():
    table = pd.concat([tables.difference().head(1)] * 2).assign(team_id=["many", "few"], df=[STRONG, WEAK])
    ax = plots.plot_commander_vs_assignee(table[["team_id", *table.columns.drop("team_id")]])
    drawn = {line.get_color() for line in ax.get_lines() if line.get_marker() == "o"}
    color = plots.given.colors()[0]
    assert drawn == {color, style.lighter(color)}


def test_a_curve_on_few_servers_is_lighter_than_its_colour():
    ax = plots.plot_incident_survival(tables.ends().assign(df=WEAK))
    assert ax.get_lines()[0].get_color() == style.lighter(plots.given.colors()[0])


def test_a_share_of_one_that_no_chance_is_in_keeps_its_ink():
    ax = plots.plot_stage_funnel(tables.funnel().assign(df=WEAK))
    color = plots.given.colors()[0]
    inks = [mpl.colors.to_hex(bar.get_facecolor()).upper() for bar in ax.patches[:2]]
    assert inks == [color, style.lighter(color).upper()]
