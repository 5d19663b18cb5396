"""A curve of very many times can be thinned to those that a picture shows."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.analyses.stages import curves
from telemetry_kit.plots import scales

N = 60_000


@pytest.fixture(scope="module")
def visits():
    generator = np.random.default_rng(7)
    dwell_s = generator.lognormal(8, 2.5, N).round(3) + 0.001
    return pd.DataFrame(
        {
            "server_id": generator.choice(list("abcdefgh"), N),
            "stage": generator.integers(0, 2, N),
            "dwell_s": dwell_s,
            "is_censored": generator.random(N) < 0.3,
        }
    )


def curves_of(visits, **options):
    table = tk.stage_survival(visits, **options)
    return [part.reset_index(drop=True) for _, part in table.groupby("stage")]


def test_a_thinned_curve_has_points_of_the_whole_one(visits):
    for whole, thin in zip(curves_of(visits), curves_of(visits, thin=True), strict=True):
        assert len(whole) > curves.MANY_TIMES
        assert len(thin) <= curves.MANY_TIMES / 2
        same = ["time_s", "n_at_risk", "survival", "df", "lower", "upper", "n_servers"]
        pd.testing.assert_frame_equal(
            thin[same], whole.loc[whole["time_s"].isin(thin["time_s"]), same].reset_index(drop=True)
        )
        assert thin["time_s"].iloc[[0, -1]].to_list() == whole["time_s"].iloc[[0, -1]].to_list()


def test_its_ends_and_censorings_are_counted_since_the_point_before(visits):
    for whole, thin in zip(curves_of(visits), curves_of(visits, thin=True), strict=True):
        places = np.searchsorted(whole["time_s"], thin["time_s"], side="right") - 1
        for name in ("n_observed", "n_censored"):
            assert thin[name].cumsum().to_list() == whole[name].cumsum()[places].to_list()


@pytest.mark.parametrize("log", [False, True])
def test_it_looks_as_the_whole_one(log, visits):
    for whole, thin in zip(curves_of(visits), curves_of(visits, thin=True), strict=True):
        highest = float(whole["time_s"].max())
        lowest = float(whole["time_s"].min()) if log else 0.0
        at = np.geomspace(lowest, highest, 3000) if log else np.linspace(lowest, highest, 3000)
        heights = [np.append(1.0, t["survival"])[np.searchsorted(t["time_s"], at, side="right")] for t in (whole, thin)]
        # It is late by no more than a part of the axis, which is four of these places.
        earlier = np.append([1.0] * 4, heights[0][:-4])
        assert curves.AXIS_PARTS > scales.PARTS
        assert ((heights[0] <= heights[1]) & (heights[1] <= earlier)).all()


def test_how_many_are_at_risk_at_a_round_time_is_exact(visits):
    rounds = [1.0, 5.0, 60.0, 600.0, 3600.0, 6 * 3600.0, 86_400.0, 7 * 86_400.0, 30 * 86_400.0]
    for whole, thin in zip(curves_of(visits), curves_of(visits, thin=True), strict=True):
        at_risk = [
            [int(table.loc[table["time_s"] >= time, "n_at_risk"].iloc[0]) for time in rounds if time < 1e6]
            for table in (whole, thin)
        ]
        assert at_risk[0] == at_risk[1]


def test_every_tick_of_a_picture_is_at_a_round_time():
    known = set(curves.ROUND_S.tolist())
    for highest in np.geomspace(1, 20 * 365 * 86_400, 400):
        assert set(scales.duration_ticks(0.0, float(highest), log=False)) - {0.0} <= known
    assert {float(tick) for tick in scales.DECADES} <= known


def test_pictures_of_both_say_the_same(visits):
    said = []
    for thin in (False, True):
        ax = tk.plots.plot_stage_survival(tk.stage_survival(visits, thin=thin))
        said.append([text.get_text() for text in ax.texts] + [ax.get_xscale(), ax.get_title(), ax.get_xlim()])
        plt.close(ax.figure)
    assert said[0] == said[1]


def test_a_short_curve_stays_as_it_is(visits):
    few = visits[:500]
    pd.testing.assert_frame_equal(tk.stage_survival(few), tk.stage_survival(few, thin=True))


def test_curves_of_arrivals_and_of_incidents_are_thinned_alike(monkeypatch, oct2020):
    monkeypatch.setattr(curves, "MANY_TIMES", 20)
    monkeypatch.setattr(curves, "AXIS_PARTS", 5)
    monkeypatch.setattr(curves, "ROUND_S", np.array([3600.0]))
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    durations = tk.incident_durations(oct2020.incident, cutoff=oct2020.cutoff)
    for ask, frame, key in ((tk.stage_arrivals, visits, "stage"), (tk.incident_survival, durations, None)):
        whole, thin = ask(frame), ask(frame, thin=True)
        assert len(thin) < len(whole) / 2
        kept = ["time_s", "n_at_risk", "lower", "upper", *([key] if key else [])]
        assert len(whole[kept].merge(thin[kept], how="inner")) == len(thin)
        assert thin[["n_observed", "n_censored"]].sum().to_list() == whole[["n_observed", "n_censored"]].sum().to_list()


def test_a_length_without_end_is_left_out(visits):
    few = visits[:500]
    more = pd.concat([few, few[:3].assign(dwell_s=np.inf)], ignore_index=True)
    pd.testing.assert_frame_equal(tk.stage_survival(few), tk.stage_survival(more))
    assert tk.stage_dwell(more)["n_excluded"].sum() == 3
