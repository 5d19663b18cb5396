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


def test_the_estimate_counts_pairs_and_half_of_ties():
    row = tk.compare_playbook_sizes(SIX.iloc[:5], by="is_public", measure="num_checklists").iloc[0]
    assert (row["first"], row["second"]) == (False, True)
    assert (row["n_first"], row["n_second"], row["n_servers"]) == (2, 3, 3)
    # Two of 3 against 1, 3 and 5: larger than the first, equal to the second, smaller than the third.
    assert row["estimate"] == pytest.approx((2 * 1 + 2 * 0.5) / 6)
    assert (row["median_first"], row["median_second"], row["median_difference"]) == (3, 3, 0)
    assert 0 <= row["lower"] <= row["estimate"] <= row["upper"] <= 1


def test_every_two_groups_make_a_row_and_a_null_is_a_group():
    table = tk.compare_playbook_sizes(SIX, by="is_public", measure="num_checklists")
    pairs = [
        tuple(None if pd.isna(side) else bool(side) for side in pair) for pair in table[["first", "second"]].to_numpy()
    ]
    assert pairs == [(False, True), (False, None), (True, None)]
    assert list(table["estimate"])[1:] == [1, 1]


def test_playbooks_without_a_value_are_left_out():
    table = tk.compare_playbook_sizes(SIX, by="is_public", measure="items_per_checklist")
    assert list(table[["n_first", "n_second"]].itertuples(index=False, name=None)) == [(2, 3)]


def test_one_server_gives_no_limits():
    row = tk.compare_playbook_sizes(SIX.iloc[:2], by="is_public").iloc[0]
    limits = ["lower", "upper", "median_difference_lower", "median_difference_upper"]
    assert row[limits].isna().all()


def test_every_kind_of_frame_gives_the_same_table(as_kind, oct2020):
    snapshot = tk.playbook_snapshot(oct2020.playbook, as_of=oct2020.cutoff)
    expected = tk.compare_playbook_sizes(snapshot, by="server_version")
    assert list(expected["first"] + " " + expected["second"]) == ["5.28.0 5.28.1", "5.28.0 5.29.0", "5.28.1 5.29.0"]
    pd.testing.assert_frame_equal(tk.compare_playbook_sizes(as_kind(snapshot), by="server_version"), expected)


def test_a_single_group_and_no_playbooks_have_nothing_to_compare():
    full = tk.compare_playbook_sizes(SIX, by="is_public")
    for rows in (SIX.iloc[[0, 2]], SIX.iloc[:0]):
        table = tk.compare_playbook_sizes(rows, by="is_public")
        assert len(table) == 0
        assert list(table.dtypes) == list(full.dtypes)


def test_mistakes_are_named():
    with pytest.raises(ParameterError, match=r"level: got 2, expected a number between 0 and 1"):
        tk.compare_playbook_sizes(SIX, by="is_public", level=2)
    with pytest.raises(ParameterError, match=r"by: got 'team', expected one of"):
        tk.compare_playbook_sizes(SIX, by="team")
