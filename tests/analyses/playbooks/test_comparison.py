"""Playbooks of one group held against those of another."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

SIX = pd.DataFrame(
    {
        "server_id": ["a", "a", "b", "b", "c", "d"],
        "is_public": pd.array([False, True, False, True, True, None], dtype="boolean"),
        "num_checklists": pd.array([3, 1, 3, 3, 5, 0], dtype="Int64"),
        "total_checklist_items": pd.array([6, 2, 6, 6, 5, 0], dtype="Int64"),
    }
)


def test_the_probability_counts_pairs_and_half_of_ties():
    table = tk.compare_playbook_sizes(SIX, between="is_public", measure="num_checklists")
    assert table["comparison"].to_list() == ["probability_of_superiority", "difference_of_medians"]
    row = table.iloc[0]
    assert (row["group_a"], row["group_b"]) == (False, True)
    assert row[["n_a", "n_b", "n_servers_a", "n_servers_b", "n_servers_both"]].to_list() == [2, 3, 2, 3, 2]
    # Two of 3 against 1, 3 and 5: larger than the first, equal to the second, smaller than the third.
    assert row[["estimate_a", "estimate_b", "difference"]].to_list() == pytest.approx([0.5, 0.5, 0])
    assert -1 <= row["lower"] <= row["difference"] <= row["upper"] <= 1
    assert table.iloc[1][["estimate_a", "estimate_b", "difference"]].to_list() == [3, 3, 0]


def test_what_is_larger_has_a_probability_above_one_half_and_a_difference_above_zero(oct2020):
    snapshot = tk.playbook_snapshot(oct2020.playbook, as_of=oct2020.cutoff)
    table = tk.compare_playbook_sizes(snapshot, between="is_public")
    turned = tk.compare_playbook_sizes(snapshot, between="is_public", groups=(True, False))
    assert (table["difference"] > 0).all()
    for sign, names in ((-1, ("difference",)), (1, ("p_value", "df", "detectable"))):
        for name in names:
            assert turned[name].to_list() == pytest.approx((sign * table[name]).to_list())
    assert turned["lower"].to_list() == pytest.approx((-table["upper"]).to_list())


def test_playbooks_without_a_value_are_left_out_and_counted():
    rows = SIX.assign(num_checklists=SIX["num_checklists"].mask(SIX["server_id"] == "c", 0))
    table = tk.compare_playbook_sizes(rows, between="is_public", measure="items_per_checklist")
    assert table[["n_a", "n_b", "n_missing_a", "n_missing_b"]].to_numpy().tolist() == [[2, 2, 0, 1]] * 2


def test_one_server_gives_no_limits():
    table = tk.compare_playbook_sizes(SIX.iloc[:2], between="is_public")
    assert table[["lower", "upper", "p_value", "p_adjusted", "detectable"]].isna().all(axis=None)


def test_every_kind_of_frame_gives_the_same_table(as_kind, oct2020):
    snapshot = tk.playbook_snapshot(oct2020.playbook, as_of=oct2020.cutoff)
    expected = tk.compare_playbook_sizes(snapshot, between="server_version")
    pairs = list((expected["group_a"] + " " + expected["group_b"]).drop_duplicates())
    assert pairs == ["5.28.0 5.28.1", "5.28.1 5.29.0"]
    pd.testing.assert_frame_equal(tk.compare_playbook_sizes(as_kind(snapshot), between="server_version"), expected)


def test_a_single_group_and_no_playbooks_have_nothing_to_compare():
    full = tk.compare_playbook_sizes(SIX, between="is_public")
    for rows in (SIX.iloc[[0, 2]], SIX.iloc[:0]):
        table = tk.compare_playbook_sizes(rows, between="is_public")
        assert len(table) == 0
        assert list(table.dtypes) == list(full.dtypes)


def test_mistakes_are_named():
    with pytest.raises(ParameterError, match=r"level: got 2, expected a number between 0 and 1"):
        tk.compare_playbook_sizes(SIX, between="is_public", level=2)
    with pytest.raises(ParameterError, match=r"between: got 'team', expected one of"):
        tk.compare_playbook_sizes(SIX, between="team")
