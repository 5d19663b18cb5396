"""From totals to tidy tables."""

import pandas as pd

from telemetry_kit.analyses.summaries import summarise

TOTALS = pd.DataFrame({"version": ["1.10", "1.9", None, "1.9"], "n": [1, 2, 3, 4]}).astype({"version": "str"})


def total(part: pd.DataFrame) -> list[dict]:
    return [{"what": "total", "n": part["n"].sum()}]


def test_groups_come_in_natural_order_and_a_null_is_the_last():
    table = summarise(TOTALS, ["version"], total, {"what": "str", "n": "Int64"})
    assert list(table["version"])[:2] == ["1.9", "1.10"]
    assert table["version"].isna().tolist() == [False, False, True]
    assert list(table["n"]) == [6, 1, 3]


def test_without_groups_all_rows_are_one():
    assert list(summarise(TOTALS, [], total, {"n": "Int64"})["n"]) == [10]


def test_a_group_can_have_several_rows_or_none():
    table = summarise(TOTALS, ["version"], lambda part: total(part) * (len(part) - 1), {"n": "Int64"})
    assert table.to_dict("records") == [{"version": "1.9", "n": 6}]


def test_no_totals_make_no_rows_but_all_columns():
    for by in ([], ["version"]):
        table = summarise(TOTALS.iloc[:0], by, total, {"what": "str", "n": "Int64"})
        assert len(table) == 0
        assert list(table.columns) == [*by, "what", "n"]
        assert str(table["n"].dtype) == "Int64"
