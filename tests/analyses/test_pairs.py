"""Which two groups are held against each other."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.analyses.pairs import COMPARISON, check_between, pair_up
from telemetry_kit.errors import ParameterError


def frame(values, **columns):
    return pd.DataFrame({"version": pd.Series(values, dtype="str"), **columns})


def pairs_of(rows, groups=None, by=()):
    paired, _ = pair_up(rows, list(by), "version", groups)
    return [*paired[["group_a", "group_b"]].drop_duplicates().itertuples(index=False, name=None)]


def test_two_values_are_the_pair_in_natural_order():
    assert pairs_of(frame(["1.10.0", "1.9.0"])) == [("1.9.0", "1.10.0")]


def test_of_more_values_each_is_held_against_the_one_before():
    assert pairs_of(frame(["1.2", "1.10", "1.1"])) == [("1.1", "1.2"), ("1.2", "1.10")]


def test_groups_name_the_pair_the_other_way_round_too():
    assert pairs_of(frame(["a", "b", "c"]), groups=("c", "a")) == [("c", "a")]
    paired, keys = pair_up(frame(["a", "b", "c"]), [], "version", ("c", "a"))
    assert keys == ["group_a", "group_b"]
    assert paired[["version", "_is_b"]].to_numpy().tolist() == [["c", False], ["a", True]]


def test_rows_without_a_value_are_in_no_group():
    paired, _ = pair_up(frame(["a", None, "b"]), [], "version", None)
    assert paired["version"].to_list() == ["a", "b"]


@pytest.mark.parametrize("values", [[], ["a"], ["a", "a"], [None, None]])
def test_where_there_are_not_two_groups_there_is_no_pair(values):
    assert pairs_of(frame(values)) == []


def test_a_period_is_named_as_a_caller_writes_a_day():
    days = pd.to_datetime(["2020-11-01", "2020-12-01"], utc=True)
    paired, _ = pair_up(pd.DataFrame({"version": days}), [], "version", ("2020-12-01", "2020-11-01"))
    assert paired["group_a"].unique().tolist() == [days[1]]


def test_flags_are_named_as_what_they_are():
    flags = pd.DataFrame({"version": pd.array([True, False, None], dtype="boolean")})
    assert pairs_of(flags) == [(False, True)]
    assert pairs_of(flags, groups=(True, False)) == [(True, False)]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (("a", "bb"), r"groups: got 'bb', expected one of 'a', 'b'"),
        (("a", "a"), r"groups: got \('a', 'a'\), expected two different values"),
        (("a",), r"groups: got \('a',\), expected two different values"),
        ("ab", r"groups: got 'ab', expected two different values"),
    ],
)
def test_a_pair_that_is_none_is_told(groups, message):
    with pytest.raises(ParameterError, match=message):
        pair_up(frame(["a", "b"]), [], "version", groups)


@pytest.mark.parametrize(
    ("between", "by", "message"),
    [
        ("versoin", [], r"between: got 'versoin', .*did you mean 'version'"),
        ("x", ["x"], "between: got 'x', expected one"),
    ],
)
def test_between_names_a_column_of_its_own(between, by, message):
    import narwhals.stable.v2 as nw

    with pytest.raises(ParameterError, match=message):
        check_between(between, by, nw.from_native(frame(["a"], x=[1])))


def test_the_columns_of_a_comparison_are_those_of_every_comparison(incident_log):
    log = incident_log("a1 0 create 0/3", "b1 0 create 0/3")
    visits = tk.stage_visits(log, cutoff="2020-11-03").assign(group=["x", "y"])
    durations = tk.incident_durations(log, cutoff="2020-11-03").assign(group=["x", "y"])
    for table in (
        tk.compare_funnel(visits, between="group"),
        tk.compare_dwell(visits, between="group"),
        tk.compare_durations(durations, between="group"),
    ):
        assert {"group_a", "group_b", *COMPARISON} <= {*table.columns}
        assert table.attrs["level"] == 0.95
        assert table["df"].isna().all()
