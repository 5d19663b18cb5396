"""What a frame has to be before an analysis begins."""

import warnings

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

ENGINES = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "lazy polars": lambda frame: pl.from_pandas(frame).lazy(),
    "pyarrow": pa.Table.from_pandas,
    "duckdb": lambda frame: duckdb.from_arrow(pa.Table.from_pandas(frame)),
}
AS_TEXT, AS_NUMBERS = (pd.DataFrame({"server_id": ids}) for ids in (["a1001", "1002"], [1001, 1002]))
A_DAY = pd.Timestamp("2020-11-02", tz="UTC")
JOINED = {
    "table": (tk.attach_groups, {"plan": "x"}),
    "licenses": (tk.attach_license, {"edition": "E20", "starts_at": A_DAY, "ends_at": A_DAY}),
    "incidents": (tk.filter_incidents, {"incident_id": "i"}),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("parameter", JOINED)
@pytest.mark.parametrize(
    ("first", "second", "message"),
    [(AS_TEXT, AS_NUMBERS, "got 'numbers', expected text"), (AS_NUMBERS, AS_TEXT, "got 'text', expected numbers")],
)
def test_frames_whose_ids_cannot_be_equal_are_not_joined_on_any_engine(engine, parameter, first, second, message):
    join, more = JOINED[parameter]
    events = first.assign(event_timestamp=A_DAY, incident_id="i")
    with pytest.raises(ParameterError, match=rf"^{parameter}\['server_id'\]: {message}, as the frame has that it"):
        join(*map(ENGINES[engine], (events, second.assign(**more))))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("int64", "int8"), ("int8", "int64"), ("Int64", "float64"), ("str", "category"), ("category", "str")],
)
def test_ids_that_are_equal_are_joined_whatever_their_exact_type(engine, ours, theirs):
    ids = pd.DataFrame({"server_id": ["1", "2"]})
    table = ids.astype(theirs).assign(plan=["x", "y"])
    joined = tk.attach_groups(ENGINES[engine](ids.astype(ours)), ENGINES[engine](table))
    assert sorted(tk.to_pandas(joined)["plan"]) == ["x", "y"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.filterwarnings("ignore::telemetry_kit.errors.UnmatchedKeysWarning")
def test_a_number_that_another_type_cannot_hold_equals_none(engine):
    small = pd.DataFrame({"server_id": pd.array([1, 2], "int8")})
    table = pd.DataFrame({"server_id": [1.5, 257.0, 2.0], "plan": ["x", "y", "z"]})
    joined = tk.to_pandas(tk.attach_groups(*map(ENGINES[engine], (small, table))))
    assert joined.sort_values("server_id")["plan"].fillna("none").tolist() == ["none", "z"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.filterwarnings("ignore::telemetry_kit.errors.UnmatchedKeysWarning")
def test_a_column_of_nothing_but_nulls_equals_nothing(engine):
    nothing = pa.table({"server_id": pa.nulls(1), "plan": ["x"]})
    assert tk.to_pandas(tk.attach_groups(ENGINES[engine](AS_NUMBERS), nothing))["plan"].isna().all()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("empty", [{"server_id": [], "plan": []}, {"server_id": [float("nan")], "plan": ["x"]}])
def test_ids_without_a_value_are_of_no_kind_and_equal_nothing(engine, empty):
    rows, none = ENGINES[engine](AS_TEXT), ENGINES[engine](pd.DataFrame(empty))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tk.errors.UnmatchedKeysWarning)
        joined = tk.to_pandas(tk.attach_groups(rows, none))
    assert len(joined) == len(AS_TEXT)
    assert joined["plan"].isna().all()
    table = ENGINES[engine](AS_TEXT.assign(plan="x"))
    assert len(tk.to_pandas(tk.attach_groups(ENGINES[engine](pd.DataFrame({"server_id": []})), table))) == 0
