import numpy as np
import pandas as pd
import pytest

from telemetry_kit.engine.ordering import CLUSTER, SERVER, group_rows, join_numbered, number_servers, sort_rows


def test_text_is_sorted_as_people_read_it_and_nulls_come_last():
    frame = pd.DataFrame({"version": pd.array(["1.10.0", None, "1.9.0", "1.2.0"], dtype="str")})
    assert list(sort_rows(frame, ["version"])["version"].fillna("null")) == ["1.2.0", "1.9.0", "1.10.0", "null"]


def test_texts_that_read_alike_come_in_one_order_however_they_came():
    for came in (["1.1", "1.01"], ["1.01", "1.1"]):
        frame = pd.DataFrame({"version": pd.array(came, dtype="str")})
        assert list(sort_rows(frame, ["version"])["version"]) == ["1.01", "1.1"]


@pytest.mark.parametrize(
    "values",
    [
        pd.array([3, None, 1, 2], dtype="Int64"),
        pd.array([2.5, np.nan, -1.0, 0.0], dtype="float64"),
        pd.array([True, None, False, True], dtype="boolean"),
        pd.array(pd.to_datetime(["2020-11-03", None, "2020-11-01", "2020-11-02"], utc=True)),
    ],
    ids=lambda values: str(values.dtype),
)
def test_numbers_flags_and_times_are_sorted_by_value_and_nulls_come_last(values):
    expected = pd.Series(values).sort_values(kind="stable", ignore_index=True)
    pd.testing.assert_series_equal(sort_rows(pd.DataFrame({"x": values}), ["x"])["x"], expected, check_names=False)


def test_equal_rows_stay_in_order():
    frame = pd.DataFrame({"a": [2, 1, 2, 1], "b": ["x", "y", "x", "y"], "at": [0, 1, 2, 3]})
    assert list(sort_rows(frame, ["a", "b"])["at"]) == [1, 3, 0, 2]
    assert list(sort_rows(frame, [])["at"]) == [0, 1, 2, 3]


def test_groups_are_those_of_pandas_numbered_in_order():
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"a": rng.integers(0, 40, 500), "b": rng.choice(["p10", "p9", None], 500)}).astype(
        {"a": "Int64", "b": "str"}
    )
    groups = group_rows(frame, ["a", "b"])
    ordered = sort_rows(frame, ["a", "b"])
    distinct = ordered.drop_duplicates(ignore_index=True)
    assert groups.n == len(distinct)
    pd.testing.assert_frame_equal(distinct.iloc[groups.of].reset_index(drop=True), frame)


def test_without_columns_all_rows_are_one_group_and_without_rows_there_is_none():
    frame = pd.DataFrame({"a": [3, 1]})
    assert group_rows(frame, []).n == 1
    assert group_rows(frame.head(0), []).n == 0
    assert group_rows(frame.head(0), ["a"]).n == 0


def test_servers_are_numbered_in_the_order_of_their_ids_and_a_null_is_the_last():
    frame = pd.DataFrame({"server_id": pd.array(["b", None, "a", "b"], dtype="str"), "n": [1, 2, 3, 4]})
    assert list(number_servers(frame, [])[SERVER]) == [1, 2, 0, 1]
    assert list(number_servers(frame, []).columns) == ["n", SERVER, "_cluster"]
    assert list(number_servers(frame, ["server_id"]).columns) == ["server_id", "n", SERVER, "_cluster"]


@pytest.mark.parametrize(
    "teams",
    [
        pd.array(["t2", "t10", None, "t2", "t1"], dtype="str"),
        pd.array([3, None, 1, 3, 2], dtype="Int64"),
        pd.Categorical(["y", "x", "x", None, "y"], ["y", "x"]),
    ],
    ids=lambda values: str(values.dtype),
)
def test_parts_are_numbered_as_the_whole_is(teams):
    frame = pd.DataFrame({"server_id": pd.array(["b", "a", "c", "a", "b"], dtype="str"), "team": teams, "n": range(5)})
    whole = number_servers(frame, ["team"], cluster="team")
    parts = join_numbered([frame[:2], frame[2:2], frame[2:]], ["team"], cluster="team")
    pd.testing.assert_frame_equal(parts, whole)
    assert whole[SERVER].tolist() == [1, 0, 2, 0, 1]
    assert whole.columns.tolist() == ["team", "n", SERVER, CLUSTER]
    assert whole[CLUSTER].nunique() == frame["team"].nunique(dropna=False)
