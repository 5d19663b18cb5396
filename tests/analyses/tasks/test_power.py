"""What a comparison of two groups or periods could show."""

import numpy as np
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

FOUR = ["a"] * 4 + ["b"] * 4 + ["c"] * 4 + ["d"] * 4
BY_COMMANDER = [1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1, 1]


def completions() -> pd.DataFrame:
    """Four completions on each of four servers, the first two of each in one week and the others in the next."""
    days = pd.to_datetime(["2020-11-02", "2020-11-08", "2020-11-09", "2020-11-15"] * 4, utc=True)
    return pd.DataFrame(
        {
            "server_id": FOUR,
            "event_timestamp": days,
            "new_state": "done",
            "was_commander": pd.array(np.array(BY_COMMANDER, dtype=bool), dtype="boolean"),
            "was_assignee": pd.array([False] * 16, dtype="boolean"),
            "half": ["first", "first", "second", "second"] * 4,
        }
    )


def test_each_period_is_compared_with_the_one_before():
    table = tk.detectable_difference(completions(), freq="W")
    assert list(table["measure"]) == ["commander", "assignee", "both", "neither", "commander_vs_assignee"]
    assert set(table["group_a"]) == {pd.Timestamp("2020-11-02", tz="UTC")}
    assert set(table["group_b"]) == {pd.Timestamp("2020-11-09", tz="UTC")}
    commander = table.iloc[0]
    # By server, of two each: 2, 1, 2, 2 in the first week; 1, 0, 0, 2 in the second.
    assert (commander["n_completed_a"], commander["n_clusters_b"]) == (8, 4)
    assert (commander["estimate_a"], commander["estimate_b"]) == (7 / 8, 3 / 8)
    assert commander["difference"] == -0.5
    # Changes of -1, -1, -2, 0 against a mean of -1, over 8: a variance of 4/3 * 2/64, and 3 degrees of freedom.
    error, t_975, t_800 = np.sqrt(4 / 3 * 2 / 64), 3.18244630528371, 0.978472312363272  # R: qt(c(.975, .8), 3)
    assert commander["upper"] == pytest.approx(-0.5 + t_975 * error)
    assert commander["detectable"] == pytest.approx((t_975 + t_800) * error)


def test_a_column_is_compared_like_a_period():
    by_week = tk.detectable_difference(completions(), freq="W")
    by_half = tk.detectable_difference(completions(), between="half")
    assert list(by_half["group_b"].unique()) == ["second"]
    pd.testing.assert_frame_equal(by_half.iloc[:, 2:], by_week.iloc[:, 2:])


def test_more_power_needs_a_larger_difference():
    usual, sure = (tk.detectable_difference(completions(), freq="W", power=power) for power in (0.8, 0.95))
    assert (sure["detectable"] > usual["detectable"])[[0, 3, 4]].all()


def test_the_difference_of_shares_is_that_of_commander_less_assignee():
    table = tk.detectable_difference(completions(), freq="W").set_index("measure")
    numbers = ["difference", "lower", "upper", "detectable"]
    # Nobody was an assignee here. The limits of a share end at -1, those of a difference of two at -2.
    assert list(table.loc["commander_vs_assignee", numbers[::3]]) == list(table.loc["commander", numbers[::3]])
    assert table.loc["commander_vs_assignee", "lower"] < table.loc["commander", "lower"] == -1
    assert pd.isna(table.loc["assignee", "detectable"])


def test_comparisons_stay_within_their_group(oct2020):
    table = tk.detectable_difference(oct2020.tasks, freq="M", by="plugin_version")
    assert list(table["plugin_version"]) == ["1.0.0"] * 5 + ["1.1.0"] * 5
    one = tk.detectable_difference(oct2020.tasks[oct2020.tasks["plugin_version"] == "1.1.0"], freq="M")
    pd.testing.assert_frame_equal(table.iloc[5:, 1:].reset_index(drop=True), one)


def test_estimates_are_those_of_task_completion(oct2020):
    table = tk.detectable_difference(oct2020.tasks, between="plugin_version")
    shares = tk.task_completion(oct2020.tasks, by="plugin_version").pivot_table(
        index="completer", columns="plugin_version", values="estimate"
    )
    shares = shares.loc[table["measure"].iloc[:4]]
    np.testing.assert_allclose(table["estimate_a"].iloc[:4], shares["1.0.0"])
    np.testing.assert_allclose(table["estimate_b"].iloc[:4], shares["1.1.0"])


def test_one_group_has_nothing_to_be_compared_with():
    table = tk.detectable_difference(completions().iloc[:2], freq="W")
    assert table.empty
    assert list(table.columns[:3]) == ["group_a", "group_b", "measure"]


def test_too_few_clusters_show_nothing():
    table = tk.detectable_difference(completions().iloc[:4], freq="W")
    assert table[["lower", "upper", "detectable"]].isna().all(axis=None)
    assert table["difference"].notna().all()


def test_it_is_the_same_on_every_engine(oct2020, as_kind):
    expected = tk.detectable_difference(oct2020.tasks, freq="W", by="server_version")
    result = tk.detectable_difference(as_kind(oct2020.tasks), freq="W", by="server_version")
    pd.testing.assert_frame_equal(result, expected)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "between: got None, expected a column to compare, or freq in its place, and not both"),
        ({"between": "half", "freq": "W"}, "between: got 'half', expected a column to compare, or freq"),
        ({"between": "edition"}, "between: got 'edition', expected one of 'server_id', "),
        ({"between": "half", "by": "half"}, "between: got 'half', expected one of 'server_id', "),
        ({"freq": "W", "by": "group_a"}, "by: got 'group_a', expected "),
        ({"freq": "W", "power": 0}, "power: got 0, expected a number between 0 and 1"),
        ({"freq": "W", "level": 95}, "level: got 95, expected a number between 0 and 1"),
    ],
)
def test_a_wrong_parameter_is_named(wrong, message):
    with pytest.raises(ParameterError) as error:
        tk.detectable_difference(completions(), **wrong)
    assert str(error.value).startswith(message)
