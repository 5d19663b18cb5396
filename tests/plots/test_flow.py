"""Pictures of what comes, goes and is there; and the names of statuses in the pictures of stages."""

import matplotlib.axes
import pandas as pd
import pytest
from drawn import caption_of, panels_of

import telemetry_kit as tk
from telemetry_kit import plots
from telemetry_kit.errors import ParameterError


@pytest.fixture(scope="module")
def log(recordings):
    return tk.load_events([recordings / "batch-bodies" / f"{era}.jsonl.gz" for era in ("prev", "later")])


@pytest.fixture(scope="module")
def visits(log):
    return tk.stage_visits(log.incident, cutoff=log.cutoff)


@pytest.fixture(scope="module")
def statuses(log):
    return tk.status_visits(log.incident, cutoff=log.cutoff)


def labels(axis):
    return [text.get_text() for text in axis]


def legend_of(ax):
    return labels(ax.get_legend().get_texts())


def test_flow_draws_periods_and_says_what_is_not_complete_and_unknown(log):
    flow = tk.incident_flow(
        log.incident, cutoff=log.cutoff, freq="M", observed_until=tk.observed_until(log, silent_after="3D")
    )
    ax = plots.plot_incident_flow(flow)
    assert ax.get_ylabel() == "Incidents"
    assert len(ax.patches) == 3 * len(flow)
    assert "unknown: server fell silent" in legend_of(ax)
    assert "pale: the period is not complete" in caption_of(ax)
    heights = ax.lines[0].get_ydata()
    assert list(heights) == flow["n_open_at_end"].to_list()


def test_flow_of_groups_has_a_panel_for_each(log):
    flow = tk.incident_flow(log.incident, cutoff=log.cutoff, freq="M", by="plugin_version")
    ax = plots.plot_incident_flow(flow)
    assert [panel.get_title(loc="left") for panel in panels_of(ax)] == ["0.7.0", "1.0.0", "1.5.1"]


def test_forty_groups_are_cut_to_the_largest(log):
    events = log.incident.assign(group=[str(n % 40) for n in range(len(log.incident))])
    ax = plots.plot_incident_flow(tk.incident_flow(events, cutoff=log.cutoff, freq="Q", by="group"))
    assert len(panels_of(ax)) == 16
    assert "groups are shown" in caption_of(ax)


def test_occupancy_draws_a_band_for_each_state_and_names_statuses(log, visits, statuses):
    ax = plots.plot_stage_occupancy(tk.stage_occupancy(visits, cutoff=log.cutoff))
    assert legend_of(ax)[-1] == "stage 0"
    assert legend_of(ax)[0] == "closed"
    named = plots.plot_stage_occupancy(tk.stage_occupancy(statuses, cutoff=log.cutoff, at=["1h", "1D"]))
    assert legend_of(named) == ["closed", "Resolved", "Active", "Reported"]
    panels = panels_of(plots.plot_stage_occupancy(tk.stage_occupancy(visits, cutoff=log.cutoff, by="public")))
    assert panels[0].get_title(loc="left").startswith("no: ")


def test_exits_have_a_panel_for_each_stage_and_a_curve_for_each_way_that_was_taken(visits, statuses):
    ax = plots.plot_stage_exits(tk.stage_exits(visits))
    assert panels_of(ax)[0].get_title(loc="left").startswith("Stage 0: ")
    named = plots.plot_stage_exits(tk.stage_exits(statuses))
    assert [panel.get_title(loc="left").partition(":")[0] for panel in panels_of(named)] == [
        "Reported",
        "Active",
        "Resolved",
    ]
    assert [len(panel.lines) for panel in panels_of(named)] == [1, 1, 1]
    assert named.get_xlabel().startswith("Time since the status was entered")


@pytest.mark.parametrize(
    ("draw", "ask"),
    [
        (plots.plot_stage_exits, tk.stage_exits),
        (plots.plot_stage_occupancy, lambda visits: tk.stage_occupancy(visits, cutoff="2021-05-01")),
    ],
)
def test_nothing_to_draw_is_said(visits, draw, ask):
    ax = draw(ask(visits.iloc[:0]))
    assert isinstance(ax, matplotlib.axes.Axes)
    assert ax.texts[-1].get_text().startswith("no ")


def test_no_incidents_are_said(log):
    ax = plots.plot_incident_flow(tk.incident_flow(log.incident.iloc[:0], cutoff=log.cutoff))
    assert ax.texts[-1].get_text() == "no incidents"


def test_another_table_is_refused(visits):
    for draw in (plots.plot_incident_flow, plots.plot_stage_exits, plots.plot_stage_occupancy):
        with pytest.raises(ParameterError, match="table"):
            draw(pd.DataFrame({"a": [1]}))


def test_the_pictures_of_stages_name_statuses(statuses):
    funnel = plots.plot_stage_funnel(tk.stage_funnel(statuses))
    assert labels(funnel.get_yticklabels()) == ["Reported", "Active", "Resolved"]
    assert funnel.get_ylabel() == "Status"
    dwell = plots.plot_stage_dwell(tk.stage_dwell(statuses))
    assert labels(dwell.get_yticklabels()) == ["Reported", "Active", "Resolved"]
    moves = plots.plot_stage_transitions(tk.stage_transitions(statuses))
    assert labels(moves.get_xticklabels()) == ["Reported", "Active", "Resolved", "ended", "open"]
    survival = plots.plot_stage_survival(tk.stage_survival(statuses))
    assert survival.get_xlabel().startswith("Time since the status was entered")
    assert any(text.startswith("Active: ") for text in legend_of(survival))
    assert (
        plots.plot_stage_arrivals(tk.stage_arrivals(statuses)).get_title() == "How soon incidents come to each status"
    )


def test_the_load_by_hour_has_a_panel_for_each_of_the_six_largest_groups():
    hours = pd.MultiIndex.from_product([range(1, 8), range(24)], names=["weekday", "hour"]).to_frame(index=False)
    weeks = [hours.assign(n_events=n, n_servers=1) for n in range(1, 9)]
    table = pd.concat(weeks, keys=[f"t{n}" for n in range(1, 9)], names=["team", None]).reset_index("team")
    # The scale of colours is an inset as well.
    assert len(panels_of(plots.plot_load_by_hour(table))) == 6 + 1
    assert len(panels_of(plots.plot_load_by_hour(table[table["team"] == "t1"].drop(columns="team")))) == 1
    empty = plots.plot_load_by_hour(table.head(0))
    assert any("no events whose offset is known" in text.get_text() for text in empty.texts)


def test_single_incidents_are_drawn_in_stages_or_in_statuses(visits, statuses):
    assert "stage 0" in legend_of(plots.plot_incident_timelines(visits))
    assert legend_of(plots.plot_incident_timelines(statuses))[:3] == ["Reported", "Active", "Resolved"]
