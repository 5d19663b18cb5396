"""Why a share changed, part by part."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError


def completions(*rows: tuple) -> pd.DataFrame:
    """Completions: version, server, and of how many how many were the commander's."""
    made = [(version, server, place < x) for version, server, x, n in rows for place in range(n)]
    frame = pd.DataFrame(made, columns=["plugin_version", "server_id", "was_commander"])
    return frame.assign(new_state="done", was_assignee=False)


def parts_of(*rows: tuple, **more) -> dict[str, float]:
    table = tk.decompose_difference(completions(*rows), of="commander", between="plugin_version", **more)
    return dict(zip(table["component"], table["contribution"], strict=True))


def test_servers_that_stay_change_their_ways_or_their_weights():
    # a: 5 of 10 -> 6 of 10; b: 1 of 10 -> 3 of 30. Weights 1/2, 1/2 -> 1/4, 3/4; shares 0.5, 0.1 -> 0.6, 0.1.
    parts = parts_of(("1", "a", 5, 10), ("1", "b", 1, 10), ("2", "a", 6, 10), ("2", "b", 3, 30))
    assert parts["within"] == pytest.approx((0.5 + 0.25) / 2 * 0.1)
    assert parts["mix"] == pytest.approx(-0.25 * 0.55 + 0.25 * 0.1)
    assert parts["entered"] == parts["left"] == 0


def test_newcomers_and_leavers_count_by_how_they_differ_from_those_who_stay():
    # a stays with one half; b with none of 10 leaves, c with all of 30 enters.
    parts = parts_of(("1", "a", 5, 10), ("1", "b", 0, 10), ("2", "a", 5, 10), ("2", "c", 30, 30))
    assert parts == pytest.approx({"within": 0, "mix": 0, "entered": 0.75 * (1 - 0.5), "left": 0.5 * (0.5 - 0)})


def test_each_row_tells_whom_it_is_about_and_what_adds_up():
    table = tk.decompose_difference(
        completions(("1", "a", 5, 10), ("1", "b", 0, 10), ("2", "a", 5, 10), ("2", "c", 30, 30)),
        of="commander",
        between="plugin_version",
    )
    assert dict(zip(table["component"], table["n_servers"], strict=True)) == {
        "within": 1,
        "mix": 1,
        "entered": 1,
        "left": 1,
    }
    assert table[["group_a", "group_b"]].drop_duplicates().to_numpy().tolist() == [["1", "2"]]
    assert table[["estimate_a", "estimate_b", "difference"]].drop_duplicates().to_numpy().tolist() == [
        [0.25, 0.875, 0.625]
    ]


counts = st.integers(0, 20).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.slow
@given(st.lists(st.tuples(counts, counts), min_size=1, max_size=12))
def test_the_parts_add_up_to_the_difference(servers):
    # One server is in both, so that there is something to hold the others against.
    rows = [("1", "both", 1, 3), ("2", "both", 2, 3)]
    rows += [(str(side + 1), f"s{k}", *count) for k, pair in enumerate(servers) for side, count in enumerate(pair)]
    frame = completions(*rows)
    shares = frame.groupby("plugin_version")["was_commander"].mean()
    table = tk.decompose_difference(frame, of="commander", between="plugin_version")
    assert table["contribution"].sum() == pytest.approx(shares["2"] - shares["1"], abs=1e-12)


def test_of_more_than_two_groups_each_is_held_against_the_one_before_in_natural_order():
    frame = completions(*((version, "a", k, 10) for k, version in enumerate(["1.10", "1.2", "1.9"])))
    table = tk.decompose_difference(frame, of="commander", between="plugin_version")
    assert table[["group_a", "group_b"]].drop_duplicates().to_numpy().tolist() == [["1.2", "1.9"], ["1.9", "1.10"]]
    assert len(table) == 8


def test_a_pair_can_be_named_in_either_order():
    rows = [(version, "a", k, 10) for k, version in enumerate("123")]
    assert parts_of(*rows, groups=("3", "1"))["within"] == pytest.approx(-0.2)


def test_over_takes_any_column_and_a_null_is_a_value_of_its_own():
    frame = completions(("1", "a", 5, 10), ("2", "a", 9, 10)).assign(
        team=["x"] * 5 + [None] * 5 + ["x"] * 5 + [None] * 5
    )
    table = tk.decompose_difference(frame, of="commander", between="plugin_version", over="team")
    assert dict(zip(table["component"], table["n_servers"], strict=True)) == {
        "within": 2,
        "mix": 2,
        "entered": 0,
        "left": 0,
    }


def test_between_takes_flags_and_times():
    frame = completions(("1", "a", 5, 10), ("2", "a", 9, 10))
    frame["is_late"] = np.repeat([False, True], 10)
    frame["period"] = pd.to_datetime(np.repeat(["2020-11-01", "2020-12-01"], 10), utc=True)
    for between in ("is_late", "period"):
        table = tk.decompose_difference(frame, of="commander", between=between)
        assert table["difference"].iloc[0] == pytest.approx(0.4)
    assert table["group_a"].to_list() == ["2020-11-01"] * 4


@pytest.mark.parametrize("rows", [[], [("1", "a", 1, 2)]])
def test_without_two_groups_there_is_no_row(rows):
    table = tk.decompose_difference(completions(*rows), of="commander", between="plugin_version")
    assert len(table) == 0
    assert {"component", "contribution"} <= {*table}


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        ([("1", "a", 1, 2), ("2", "b", 1, 2)], {}, "groups of 'plugin_version' that have a server_id in common"),
        ([("1", "a", 1, 2), ("2", "a", 1, 2)], {"groups": ("1", "3")}, "groups: got '3', expected one of '1', '2'"),
        (
            [("1", "a", 1, 2), ("2", "a", 1, 2)],
            {"groups": ("1",)},
            "groups: .* expected two different values of the column",
        ),
        ([("1", "a", 1, 2), ("2", "a", 1, 2)], {"over": "plugin_version"}, "over: got 'plugin_version'"),
        ([("1", "a", 1, 2), ("2", "a", 1, 2)], {"over": "team"}, "frame has no column 'team'"),
    ],
)
def test_what_cannot_be_taken_apart_is_an_error_that_says_why(rows, more, message):
    with pytest.raises(ParameterError, match=message):
        parts_of(*rows, **more)
