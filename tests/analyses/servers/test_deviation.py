"""Which servers differ more than chance and ordinary variety explain; the numbers are those of tests/stats."""

import pandas as pd
import polars as pl
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import FewServersWarning, ParameterError

X = [12, 30, 7, 44, 9, 21, 15, 3, 26, 60, 18, 5]
N = [30, 55, 21, 80, 25, 40, 33, 9, 51, 75, 37, 14]


def completions(x=X, n=N) -> pd.DataFrame:
    """Completions of servers s0, s1, …: of each x of n by the commander, and the others by nobody who is known."""
    rows = [(f"s{k}", place < of) for k, (of, all_) in enumerate(zip(x, n, strict=True)) for place in range(all_)]
    frame = pd.DataFrame(rows, columns=["server_id", "was_commander"])
    return frame.assign(new_state="done", was_assignee=False)


def incidents(*rows: tuple) -> pd.DataFrame:
    """Incident events: server, incident, day, action, stage of three, whether open."""
    frame = pd.DataFrame(rows, columns=["server_id", "incident_id", "day", "action", "active_stage", "is_active"])
    frame["event_timestamp"] = pd.Timestamp("2020-11-01", tz="UTC") + pd.to_timedelta(frame.pop("day"), "D")
    frame["event_id"] = [str(place) for place in range(len(frame))]
    told = {"created_at": pd.Timestamp("2020-11-01", tz="UTC"), "num_checklists": 3, "current_status": None}
    return frame.assign(**told, team_id="t", plugin_version="1.1.0", public=True)


def test_an_odd_server_is_a_signal_and_the_others_are_none():
    table = tk.server_deviation(completions(), of="commander")
    assert table["server_id"].to_list() == [f"s{k}" for k in range(12)]
    assert table["n"].to_list() == N
    assert table.loc[table["is_signal"], "server_id"].to_list() == ["s9"]
    # In R, what p.adjust makes of the p-values by "BH".
    assert table["p_adjusted"].iloc[[0, 1, 9]].to_list() == pytest.approx(
        [0.768312154, 0.953558910, 0.002558010], abs=1e-9
    )
    assert table["rho"].nunique() == table["between_sd"].nunique() == table["overall"].nunique() == 1
    odd = table.loc[9]
    assert odd["expected_upper"] < odd["estimate"]
    assert odd["overall"] < odd["shrunk"] < odd["estimate"]


def test_the_level_decides_what_is_a_signal():
    assert not tk.server_deviation(completions(), of="commander", level=0.999)["is_signal"].any()


def test_only_completions_with_both_flags_count():
    frame = completions()
    other = frame.head(3).assign(new_state=["open", None, "done"])
    other["was_assignee"] = other["was_assignee"].astype("boolean")
    other.loc[2, "was_assignee"] = pd.NA
    table = tk.server_deviation(pd.concat([frame, other]), of="commander")
    pd.testing.assert_frame_equal(table, tk.server_deviation(frame, of="commander"))


def test_with_fewer_than_ten_servers_nothing_is_called_odd_and_a_warning_says_why():
    with pytest.warns(FewServersWarning, match="9 values of 'server_id': is_signal is null with fewer than 10"):
        table = tk.server_deviation(completions(X[:9], N[:9]), of="commander")
    assert table["is_signal"].isna().all()
    assert table["p_value"].notna().all()


def test_of_one_server_its_share_is_all_that_is_known():
    with pytest.warns(FewServersWarning, match="1 value of 'server_id'"):
        (row,) = tk.server_deviation(completions([3], [4]), of="commander").to_dict("records")
    assert (row["estimate"], row["overall"]) == (0.75, 0.75)
    assert all(pd.isna(row[name]) for name in ("rho", "between_sd", "shrunk", "p_value", "p_adjusted", "is_signal"))


def test_without_completions_there_is_no_row():
    table = tk.server_deviation(completions([], []), of="commander")
    assert len(table) == 0
    assert {"server_id", "is_signal", "rho"} <= {*table}


@pytest.mark.filterwarnings("ignore::telemetry_kit.errors.FewServersWarning")
def test_incidents_are_asked_whether_they_came_to_their_last_stage_and_whether_they_ended():
    frame = incidents(
        ("a", "i", 1, "create", 0, True), ("a", "i", 2, "change_stage", 2, True), ("a", "i", 3, "end", 2, False),
        ("a", "j", 1, "create", 0, True), ("a", "j", 4, "end", 0, False), ("a", "j", 5, "restart", 0, True),
        ("b", "k", 1, "create", 0, True),
        # Its create was not recorded: nobody knows what else was not.
        ("b", "l", 2, "end", 2, False),
    )  # fmt: skip
    assert tk.server_deviation(frame, of="reached_last")[["n", "estimate"]].to_numpy().tolist() == [[2, 0.5], [1, 0]]
    assert tk.server_deviation(frame, of="ended")[["n", "estimate"]].to_numpy().tolist() == [[2, 1], [1, 0]]


@pytest.mark.filterwarnings("ignore::telemetry_kit.errors.FewServersWarning")
def test_an_incident_with_one_stage_says_nothing_of_coming_to_the_last_one():
    frame = incidents(
        ("a", "i", 1, "create", 0, True), ("a", "i", 2, "change_stage", 2, True), ("a", "j", 1, "create", 0, True),
        ("a", "k", 1, "create", 0, True), ("b", "l", 1, "create", 0, True),
    )  # fmt: skip
    frame.loc[frame["incident_id"].isin(["k", "l"]), "num_checklists"] = 1
    table = tk.server_deviation(frame, of="reached_last")
    assert table[["server_id", "n", "estimate"]].to_numpy().tolist() == [["a", 2, 0.5]]
    reached = tk.last_stage_reached(tk.stage_visits(frame, cutoff="2020-11-10"))
    assert reached[["n_incidents", "estimate"]].to_numpy().tolist() == [[2, 0.5]]


@pytest.mark.filterwarnings("ignore::telemetry_kit.errors.FewServersWarning")
def test_an_incident_has_the_first_value_that_is_known_of_it():
    frame = incidents(
        ("a", "i", 1, "create", 0, True), ("a", "i", 2, "end", 0, False), ("a", "j", 1, "create", 0, True)
    )
    frame["region"] = [None, "north", "south"]
    table = tk.server_deviation(frame, of="ended", cluster="region")
    assert table[["region", "n", "estimate"]].to_numpy().tolist() == [["north", 1, 1], ["south", 1, 0]]


def test_an_outcome_that_the_events_cannot_tell_is_an_error_that_says_who_can():
    later = incidents(("a", "i", 1, "create", 0, True)).assign(active_stage=pd.NA, is_active=pd.NA, num_checklists=0)
    later = later.astype({"active_stage": "Int64", "is_active": "boolean"})
    with pytest.raises(ParameterError, match=r"'ended': no incident of tasks_or_incidents has stages, .* plugin 1\.2"):
        tk.server_deviation(later, of="reached_last")


def test_a_parameter_that_it_cannot_take_is_named():
    with pytest.raises(ParameterError, match=r"of: got 'comander', .* did you mean 'commander'[?]"):
        tk.server_deviation(completions(), of="comander")
    with pytest.raises(ParameterError, match="tasks_or_incidents has no column 'was_commander'"):
        tk.server_deviation(completions().drop(columns="was_commander"), of="commander")
    with pytest.raises(ParameterError, match="level"):
        tk.server_deviation(completions(), of="commander", level=95)


@pytest.mark.parametrize("engine", ["pandas", "polars"])
def test_incidents_with_stages_of_which_none_was_visited_make_an_empty_table(incident_log, engine):
    events = incident_log("a1 0 end x1/3", "b1 0 end x1/3")
    without = events.assign(active_stage=pd.array([None] * len(events), "Int64"))
    events, without = (pl.from_pandas(each) if engine == "polars" else each for each in (events, without))
    assert len(tk.server_deviation(events, of="reached_last")) == 0
    with pytest.raises(ParameterError, match="no incident of tasks_or_incidents has stages"):
        tk.server_deviation(without, of="reached_last")


@pytest.mark.parametrize(("n", "is_signal"), [(1, False), (40, True)])
def test_one_case_among_servers_that_have_none_is_no_signal_and_many_are(incident_log, n, is_signal):
    odd = [line for k in range(n) for line in (f"a{k} 0 create 0/1", f"a{k} 9 end x0/1")]
    others = [f"{letter}{k} 0 create 0/1" for letter in "bcdefghijkl" for k in range(n)]
    table = tk.server_deviation(incident_log(*odd, *others), of="ended").set_index("server_id")
    assert table.loc["a", "p_value"] == 0
    assert table["is_signal"].to_list() == [is_signal] + [False] * 11
