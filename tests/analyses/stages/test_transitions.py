"""Where visits to each stage lead."""

from collections import Counter

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

COLUMNS = ["stage", "exit", "next_stage", "n", "share", "n_servers", "df", "lower", "upper"]


def visits(*rows):
    """Visits: server, stage, exit, next stage."""
    frame = pd.DataFrame(rows, columns=["server_id", "stage", "exit", "next_stage"])
    return frame.astype({"server_id": "str", "stage": "Int64", "exit": "str", "next_stage": "Int64"})


SIX = visits(
    ("a", 1, "open", None), ("a", 1, "returned", 0), ("b", 1, "ended", None), ("b", 1, "advanced", 3),
    ("b", 1, "advanced", 2), ("a", 0, "advanced", 1),
)  # fmt: skip


def test_ways_out_come_in_the_order_of_stage_exit_and_next_stage():
    table = tk.stage_transitions(SIX)
    assert list(table.columns) == COLUMNS
    assert table["stage"].to_list() == [0, 1, 1, 1, 1, 1]
    assert table["exit"].to_list() == ["advanced", "advanced", "advanced", "returned", "ended", "open"]
    assert table["next_stage"].fillna(-1).to_list() == [1, 2, 3, 0, -1, -1]
    assert table["n"].to_list() == [1] * 6
    assert table["share"].to_list() == [1, 0.2, 0.2, 0.2, 0.2, 0.2]
    assert table["n_servers"].to_list() == [1, 2, 2, 2, 2, 2]


def test_limits_take_servers_as_clusters():
    # R: as in test_funnel.py, of exit == "ended".
    rows = (
        [("a", 1, "ended", None)] * 3
        + [("a", 1, "open", None)]
        + [("b", 1, "ended", None)]
        + [("b", 1, "open", None)] * 4
    )
    table = tk.stage_transitions(visits(*rows, ("c", 1, "ended", None), ("c", 1, "open", None))).set_index("exit")
    assert table.loc["ended", ["share", "df", "lower", "upper"]].to_list() == pytest.approx(
        [0.454545454545, 1.73394495413, 0.000487883742979, 0.99826046283], abs=1e-6
    )
    alone = tk.stage_transitions(SIX, by="server_id")
    assert alone[["lower", "upper"]].isna().all(axis=None)


def test_the_recording_gives_the_counts_of_a_plain_count(oct2020):
    seen = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    table = tk.stage_transitions(seen, by="public")
    names = ["public", "stage", "exit", "next_stage"]
    counted = Counter(tuple(None if pd.isna(x) else x for x in row) for row in seen[names].itertuples(index=False))
    rows = table[[*names, "n"]].itertuples(index=False)
    assert {tuple(None if pd.isna(x) else x for x in row[:-1]): row[-1] for row in rows} == counted
    totals = table.groupby(["public", "stage"], dropna=False)["share"].sum()
    assert totals.to_list() == pytest.approx([1] * len(totals))


def test_visits_without_rows_give_a_table_without_rows():
    table = tk.stage_transitions(SIX[:0], by="server_id")
    assert table.empty
    pd.testing.assert_series_equal(table.dtypes, tk.stage_transitions(SIX, by="server_id").dtypes)


@pytest.mark.slow
def test_every_kind_of_frame_gives_the_same_table(oct2020, as_kind):
    seen = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    pd.testing.assert_frame_equal(
        tk.stage_transitions(as_kind(seen), by="team_id"), tk.stage_transitions(seen, by="team_id")
    )


def test_mistakes_are_named():
    with pytest.raises(ParameterError, match="level: got 2"):
        tk.stage_transitions(SIX, level=2)
    with pytest.raises(ParameterError, match="by: got 'exit'"):
        tk.stage_transitions(SIX, by="exit")
