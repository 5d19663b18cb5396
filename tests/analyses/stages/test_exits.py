"""How visits to a stage end, by time in the stage."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError


def visits_of(*rows):
    names = ["server_id", "stage", "dwell_s", "exit"]
    return pd.DataFrame(rows, columns=names).astype({"dwell_s": "float64", "stage": "Int64"})


def test_what_ended_takes_away_from_what_can_still_advance():
    # Of four, one advances at 10 (1/4) and one ends at 20; the third is lost from sight at 30, the last advances at 40:
    # it stands for the half that was left. Kaplan-Meier for advancing alone would come to 1.
    visits = visits_of(("a", 0, 10, "advanced"), ("a", 0, 20, "ended"), ("b", 0, 30, "open"), ("b", 0, 40, "advanced"))
    exits = tk.stage_exits(visits).pivot_table(index="time_s", columns="exit", values="estimate")
    assert exits["advanced"].to_list() == [0.25, 0.25, 0.75]
    assert exits["ended"].to_list() == [0, 0.25, 0.25]
    assert exits["returned"].to_list() == [0, 0, 0]


def test_visits_of_no_or_of_unknown_length_are_left_out():
    visits = visits_of(("a", 0, 0, "ended"), ("a", 0, None, "advanced"), ("a", 0, 5, "ended"), ("b", 0, 5, "open"))
    exits = tk.stage_exits(visits, at="5s")
    assert exits["n_visits"].to_list() == [2] * 3
    assert exits["estimate"].to_list() == [0, 0, 0.5]


def test_visits_whose_cluster_is_null_are_a_cluster():
    visits = visits_of(("a", 0, 10, "ended"), ("b", 0, 20, "ended"), ("c", 0, 30, "open"))
    named, unknown = (visits.assign(team=pd.array(["t", "t", last], dtype="str")) for last in ("u", None))
    pd.testing.assert_frame_equal(tk.stage_exits(unknown, cluster="team"), tk.stage_exits(named, cluster="team"))


def test_each_stage_and_group_is_a_sample_of_its_own(oct2020):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    exits = tk.stage_exits(visits, at=["1h", "1D"], by="public")
    alone = tk.stage_exits(visits[visits["public"].eq(True).fillna(value=False)], at=["1h", "1D"])
    mine = exits[exits["public"].eq(True).fillna(value=False)].drop(columns="public").reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, alone)


def test_the_shares_of_a_recording_equal_those_of_r(oct2020):
    # Rscript: s <- exits[exits$stage == k, ]; fit <- survfit(Surv(dwell_s, factor(exit, c("open", ways))) ~ 1,
    # data = s); limits as for stage_occupancy, with visits as units.
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    exits = tk.stage_exits(visits, at=["1h", "1D"]).set_index(["stage", "exit", "time_s"])
    for (stage, way, time), expected in R_EXITS.items():
        row = exits.loc[(stage, way, time), ["estimate", "df", "lower", "upper"]]
        assert row.to_list() == pytest.approx(expected, abs=1e-6)


def test_in_the_end_the_ways_are_those_of_the_transitions_where_nothing_is_open(oct2020):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    done = visits[(visits["exit"] != "open") & (visits["dwell_s"] > 0)]
    last = tk.stage_exits(done).groupby(["stage", "exit"])["estimate"].last()
    shares = tk.stage_transitions(done).groupby(["stage", "exit"])["share"].sum()
    for key, share in shares.items():
        assert last[key] == pytest.approx(share)


def test_no_visits_give_a_table_without_rows():
    exits = tk.stage_exits(visits_of(), at="1h")
    assert exits.empty
    assert list(exits.columns)[:3] == ["stage", "exit", "time_s"]


def test_mistakes_are_named():
    with pytest.raises(ParameterError, match="at: got '-1h'"):
        tk.stage_exits(visits_of(("a", 0, 10, "ended")), at="-1h")
    with pytest.raises(ParameterError, match="cluster: got 'team'"):
        tk.stage_exits(visits_of(("a", 0, 10, "ended")), cluster="team")


R_EXITS = {
    (0, "advanced", 3600.0): [0.37193764, 16.35660954, 0.31439887, 0.43229414],
    (0, "ended", 3600.0): [0.14922049, 16.35660954, 0.11509301, 0.18886917],
    (0, "advanced", 86400.0): [0.53452116, 16.35660954, 0.45907229, 0.60882175],
    (0, "ended", 86400.0): [0.32739421, 16.35660954, 0.27484610, 0.38335476],
    (1, "advanced", 3600.0): [0.37192982, 14.33997169, 0.30663296, 0.44087275],
    (1, "returned", 3600.0): [0.09824561, 14.33997169, 0.06519849, 0.14061357],
    (1, "ended", 3600.0): [0.18947368, 14.33997169, 0.14241581, 0.24420767],
    (1, "advanced", 86400.0): [0.52982456, 14.33997169, 0.44909874, 0.60941586],
    (1, "returned", 86400.0): [0.13684211, 14.33997169, 0.09716125, 0.18520269],
    (1, "ended", 86400.0): [0.27719298, 14.33997169, 0.22434034, 0.33507380],
    (2, "advanced", 3600.0): [0.36224490, 14.03046142, 0.27324279, 0.45877776],
    (2, "returned", 3600.0): [0.10714286, 14.03046142, 0.06755759, 0.15910864],
}
