"""How large playbooks are."""

import numpy as np
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.analyses.playbooks.sizes import MEASURES
from telemetry_kit.errors import ParameterError

QUANTILES = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
FIVE = pd.DataFrame(
    {
        "server_id": ["a", "a", "b", "b", "c"],
        "num_checklists": pd.array([1, 2, 2, 0, 5], dtype="Int64"),
        "total_checklist_items": pd.array([4, 4, 10, 0, 40], dtype="Int64"),
        "is_public": pd.array([True, False, True, None, True], dtype="boolean"),
        "plugin_version": ["1.9.0", "1.9.0", "1.10.0", "1.10.0", "1.10.0"],
    }
)


def test_sizes_are_counted_over_playbooks():
    row = tk.playbook_sizes(FIVE).iloc[0]
    assert (row["measure"], row["n"], row["n_servers"], row["n_missing"]) == ("total_checklist_items", 5, 3, 0)
    assert (row["min"], row["median"], row["max"]) == (0, 4, 40)
    assert row["mean"] == pytest.approx(58 / 5)
    assert row["sd"] == pytest.approx(FIVE["total_checklist_items"].astype(float).std())


@pytest.mark.parametrize("measure", MEASURES[:4])
def test_every_number_is_that_of_pandas(oct2020, measure):
    snapshot = tk.playbook_snapshot(oct2020.playbook, as_of=oct2020.cutoff)
    row, values = tk.playbook_sizes(snapshot, measure=measure).iloc[0], snapshot[measure].astype(float)
    expected = {"mean": values.mean(), "sd": values.std(), "min": values.min(), "max": values.max(), "n": len(values)}
    expected |= {name: values.quantile(probability) for name, probability in QUANTILES.items()}
    assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("num_checklists", [(3.5, 3, 5, 1, 3, 4, 8), (4, 3, 6, 1, 4, 5, 7)]),
        ("total_checklist_items", [(18.5, 11, 28, 2, 16, 23, 47), (25, 16, 28, 7, 17, 28, 43)]),
        ("num_slash_commands", [(3.5, 3, 5, 0, 3, 5, 8), (5, 3, 5, 1, 3, 5, 9)]),
        ("num_members", [(3, 3, 3, 1, 3, 3, 4), (3, 3, 4, 1, 3, 4, 4)]),
    ],
)
def test_the_limits_of_quartiles_are_those_of_r(oct2020, measure, expected):
    """In R, with x of the N playbooks of a group and q the value sort(x)[ceiling(p * N)]:

    r <- coef_test(lm(x <= q ~ 1), vcov = "CR2", cluster = server_id, test = "Satterthwaite")
    n <- min(N, p * (1 - p) / r$SE^2 * (qt(.025, N - 1) / qt(.025, r$df_Satt))^2)
    # as q the values at qbeta(.025, n * p, n * (1 - p) + 1) and qbeta(.975, n * p + 1, n * (1 - p))
    """
    snapshot = tk.playbook_snapshot(oct2020.playbook, as_of=oct2020.cutoff)
    table = tk.playbook_sizes(snapshot, measure=measure, by="is_public")
    assert list(table["is_public"]) == [False, True]
    limits = ["median_lower", "median_upper", "p25_lower", "p25_upper", "p75_lower", "p75_upper"]
    assert list(table[["median", *limits]].itertuples(index=False, name=None)) == expected
    assert list(table["df"]) == pytest.approx([13.579109, 12.068984])


def test_items_per_checklist_is_missing_without_checklists():
    row = tk.playbook_sizes(FIVE, measure="items_per_checklist").iloc[0]
    assert (row["n"], row["n_servers"], row["n_missing"]) == (4, 3, 1)
    assert (row["min"], row["median"], row["max"]) == (2, 4.5, 8)


def test_a_group_without_any_value_keeps_its_row():
    table = tk.playbook_sizes(FIVE.iloc[[0, 3]], measure="items_per_checklist", by="server_id")
    assert list(table["n"]) == [1, 0]
    assert table.loc[1, ["mean", "median", "max", "median_lower"]].isna().all()


def test_groups_come_in_natural_order_and_a_null_is_one():
    table = tk.playbook_sizes(FIVE, by=["plugin_version", "is_public"])
    groups = [
        (version, None if pd.isna(public) else public) for version, public in table.iloc[:, :2].itertuples(index=False)
    ]
    assert groups == [("1.9.0", False), ("1.9.0", True), ("1.10.0", True), ("1.10.0", None)]
    assert list(table["n"]) == [1, 1, 2, 1]


def test_one_server_bounds_no_median_and_one_playbook_has_no_deviation():
    row = tk.playbook_sizes(FIVE.iloc[:1]).iloc[0]
    assert (row["n"], row["mean"], row["median"]) == (1, 4, 4)
    assert row[["sd", "median_lower", "median_upper"]].isna().all()


def test_the_empirical_distribution_counts_each_size():
    table = tk.playbook_ecdf(FIVE)
    assert list(table.itertuples(index=False, name=None)) == [
        ("total_checklist_items", 0.0, 1, 0.2),
        ("total_checklist_items", 4.0, 2, 0.6),
        ("total_checklist_items", 10.0, 1, 0.8),
        ("total_checklist_items", 40.0, 1, 1.0),
    ]


def test_every_group_has_its_own_distribution():
    table = tk.playbook_ecdf(FIVE, measure="num_checklists", by="server_id")
    assert list(table[["server_id", "value", "n", "share"]].itertuples(index=False, name=None)) == [
        ("a", 1.0, 1, 0.5),
        ("a", 2.0, 1, 1.0),
        ("b", 0.0, 1, 0.5),
        ("b", 2.0, 1, 1.0),
        ("c", 5.0, 1, 1.0),
    ]


def test_every_kind_of_frame_gives_the_same_tables(as_kind, oct2020):
    snapshot = tk.playbook_snapshot(oct2020.playbook, as_of=oct2020.cutoff)
    for statistic in (tk.playbook_sizes, tk.playbook_ecdf):
        options = {"measure": "items_per_checklist", "by": ["is_public", "plugin_version"]}
        pd.testing.assert_frame_equal(statistic(as_kind(snapshot), **options), statistic(snapshot, **options))


def test_no_playbooks_make_empty_tables_of_the_same_types():
    for statistic in (tk.playbook_sizes, tk.playbook_ecdf):
        empty, full = statistic(FIVE.iloc[:0], by="server_id"), statistic(FIVE, by="server_id")
        assert len(empty) == 0
        assert list(empty.dtypes) == list(full.dtypes)


def test_the_order_of_the_rows_changes_nothing():
    shuffled = FIVE.iloc[np.array([3, 1, 4, 0, 2])]
    pd.testing.assert_frame_equal(tk.playbook_sizes(shuffled), tk.playbook_sizes(FIVE))


def test_mistakes_are_named():
    with pytest.raises(ParameterError, match=r"measure: got 'stages', expected one of 'num_checklists'"):
        tk.playbook_sizes(FIVE, measure="stages")
    with pytest.raises(ParameterError, match=r"by: got 'team', expected one of"):
        tk.playbook_ecdf(FIVE, by="team")
    with pytest.raises(ParameterError, match=r"level: got 95, expected a number between 0 and 1"):
        tk.playbook_sizes(FIVE, level=95)
    with pytest.raises(ParameterError, match="snapshot has no column 'num_members'"):
        tk.playbook_sizes(FIVE, measure="num_members")
