"""Who completes tasks, in two groups of completions."""

import numpy as np
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError


def completions(*lines):
    """Write completions as lines: server, group, completer, number."""
    rows = []
    for line in lines:
        server, group, completer, n = line.split()
        row = {"server_id": server, "group": group, "new_state": "done"}
        row |= {"was_commander": completer in {"commander", "both"}, "was_assignee": completer in {"assignee", "both"}}
        rows += [row] * int(n)
    frame = pd.DataFrame(rows, columns=["server_id", "group", "new_state", "was_commander", "was_assignee"])
    frame["event_timestamp"] = pd.Timestamp("2020-11-02", tz="UTC")
    return frame.astype({"server_id": "str", "group": "str", "new_state": "str"})


FOUR = completions(
    "s1 a commander 4", "s1 a neither 6", "s2 a commander 2", "s2 a neither 8",
    "s3 a commander 3", "s3 a neither 7", "s4 a commander 6", "s4 a neither 4",
    "s1 b commander 6", "s1 b neither 4", "s2 b commander 3", "s2 b neither 7",
    "s3 b commander 5", "s3 b neither 5", "s4 b commander 7", "s4 b neither 3",
)  # fmt: skip


def test_the_difference_is_that_of_the_shares_with_the_error_of_servers_that_are_in_both():
    # R: d <- data.frame(y, g, cl); coef_test(lm(y ~ g, d), vcov = "CR2", cluster = d$cl, test = "Satterthwaite")
    table = tk.compare_completion(FOUR, between="group").set_index("completer")
    row = table.loc["commander"]
    assert row[["group_a", "group_b", "n_a", "n_b"]].to_list() == ["a", "b", 40, 40]
    assert row[["n_servers_a", "n_servers_b", "n_servers_both"]].to_list() == [4, 4, 4]
    assert row[["estimate_a", "estimate_b", "difference"]].to_list() == pytest.approx([15 / 40, 21 / 40, 0.15])
    # Servers changed by 2, 1, 2 and 1 of 10: their mean 0.15 has the error of four numbers, on 3 degrees of freedom.
    error = np.std([0.2, 0.1, 0.2, 0.1], ddof=1) / 2
    assert row["df"] == pytest.approx(3)
    assert row[["lower", "upper"]].to_list() == pytest.approx([0.15 - 3.1824463 * error, 0.15 + 3.1824463 * error])
    assert row["p_value"] == pytest.approx(0.0138466, abs=1e-6)
    assert row["detectable"] == pytest.approx((3.1824463 + 0.9784723) * error, abs=1e-6)
    assert table.loc["neither", "difference"] == pytest.approx(-0.15)
    assert table.loc[["assignee", "both"], "p_value"].isna().all()


def test_servers_in_one_group_each_differ_as_strangers_do():
    apart = FOUR.assign(server_id=FOUR["server_id"] + FOUR["group"])
    both, apart = (tk.compare_completion(frame, between="group").iloc[0] for frame in (FOUR, apart))
    assert apart["n_servers_both"] == 0
    assert apart["difference"] == both["difference"]
    assert apart["detectable"] > 2 * both["detectable"]


def test_p_values_are_adjusted_over_all_rows_of_the_call():
    two = pd.concat([FOUR.assign(team="x"), FOUR.assign(team="y")], ignore_index=True)
    table = tk.compare_completion(two, between="group", by="team")
    assert table["team"].to_list() == ["x"] * 4 + ["y"] * 4
    known = table[table["p_value"].notna()]
    assert len(known) == 4
    assert known["p_adjusted"].to_list() == pytest.approx([4 * 0.0138466] * 4, abs=1e-5)


def test_the_numbers_are_those_of_r(oct2020):
    # R: two(as.numeric(A$completer == kind), A$server_id, as.numeric(B$completer == kind), B$server_id) with
    # coef_test(lm(y ~ g), vcov = "CR2", cluster = cl, test = "Satterthwaite"), A of 1.0.0 and B of 1.1.0.
    table = tk.compare_completion(oct2020.tasks, between="plugin_version")
    assert table[["completer", "group_a", "group_b"]].iloc[0].to_list() == ["commander", "1.0.0", "1.1.0"]
    np.testing.assert_allclose(
        table[["difference", "lower", "upper", "df"]].to_numpy(),
        [
            [-0.030401101738681324, -0.10882234024640741, 0.048020136769044763, 8.7754573766973039],
            [-0.0040411430538819099, -0.037754746716354141, 0.029672460608590322, 8.7754573766973039],
            [-0.0089731451196419336, -0.030240555034101918, 0.012294264794818051, 8.7754573766973039],
            [0.043415389912205171, -0.043442230516859304, 0.13027301034126965, 8.7754573766973039],
        ],
        rtol=1e-9,
    )


def test_the_cluster_can_be_another_column():
    table = tk.compare_completion(FOUR.assign(team_id=FOUR.index % 8), between="group", cluster="team_id")
    assert table["n_servers_both"].unique().tolist() == [8]


def test_a_group_that_lies_outside_the_period_is_none():
    later = FOUR.assign(
        event_timestamp=FOUR["event_timestamp"].where(FOUR["group"] == "a", pd.Timestamp("2021", tz="UTC"))
    )
    assert len(tk.compare_completion(later, between="group", cutoff="2020-12-01")) == 0


def test_a_side_without_completions_has_nulls():
    two = pd.concat([FOUR.assign(team="x"), completions("s9 a commander 3").assign(team="y")], ignore_index=True)
    row = tk.compare_completion(two, between="group", by="team").iloc[4]
    assert row[["team", "n_a", "n_b", "estimate_a"]].to_list() == ["y", 3, 0, 1]
    assert row[["estimate_b", "difference", "p_value", "detectable"]].isna().all()


def test_one_group_or_none_has_nothing_to_compare():
    full = tk.compare_completion(FOUR, between="group")
    for rows in (FOUR[FOUR["group"] == "a"], FOUR.iloc[:0]):
        table = tk.compare_completion(rows, between="group")
        assert len(table) == 0
        assert list(table.columns) == list(full.columns)


def test_mistakes_are_named():
    with pytest.raises(ParameterError, match=r"between: got 'grup'.*did you mean 'group'"):
        tk.compare_completion(FOUR, between="grup")
    with pytest.raises(ParameterError, match=r"groups: got 'c', expected one of 'a', 'b'"):
        tk.compare_completion(FOUR, between="group", groups=("a", "c"))
    with pytest.raises(ParameterError, match=r"level: got 2"):
        tk.compare_completion(FOUR, between="group", level=2)
