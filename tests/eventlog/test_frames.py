"""Frames of any kind can be persisted, counted and collected."""

import tempfile

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import telemetry_kit as tk
from telemetry_kit import engine, temporary
from telemetry_kit.engine import connections
from telemetry_kit.errors import ParameterError, ResourceError

ROWS = pd.DataFrame({"a": [1, 1, 2, None], "b": ["x", "x", "x", None]}).astype({"a": "Int64", "b": "str"})


def test_what_is_kept_has_the_same_rows_in_a_frame_of_the_same_kind(as_kind):
    frame = as_kind(ROWS)
    kept = tk.persist(frame)
    assert type(kept) is type(frame)
    pd.testing.assert_frame_equal(tk.to_pandas(kept).sort_values("a", ignore_index=True), ROWS)


def test_what_is_in_memory_is_kept_as_it_is():
    for frame in (ROWS, pl.from_pandas(ROWS), pa.Table.from_pandas(ROWS)):
        assert tk.persist(frame) is frame


def test_what_is_kept_no_longer_asks_where_it_came_from():
    connection = duckdb.connect()
    connection.execute("CREATE TABLE numbers AS SELECT 1 AS n")
    kept = tk.persist(connection.table("numbers"))
    connection.execute("INSERT INTO numbers VALUES (2)")
    assert tk.to_pandas(kept)["n"].to_list() == [1]
    assert tk.n_distinct(connection.table("numbers"), "n") == 2


@pytest.mark.parametrize("few_rows", [10, 1000])
def test_many_rows_are_kept_in_a_file_and_few_in_memory(few_rows, monkeypatch, tmp_path):
    monkeypatch.setattr(engine.frames, "FEW_ROWS", few_rows)
    folder = tmp_path / "[a]*?"
    folder.mkdir()
    monkeypatch.setattr(temporary, "kept", lambda: folder)
    connection = connections.connect()
    rows = connection.sql("""
        SELECT i AS n, i / 7 AS share, 'x' || i % 5 AS text, i % 2 = 0 AS flag, nullif(i, 3)::INTEGER AS small,
            TIMESTAMPTZ '2020-10-01 12:00:00.000001+00' + to_days(i::INT) AS at, DATE '2020-10-01' AS day
        FROM range(100) AS numbers(i)
    """)
    kept = tk.persist(rows)
    assert len(list(folder.iterdir())) == (few_rows < 100)
    assert kept.types == rows.types
    assert kept.to_arrow_table() == rows.to_arrow_table()


def test_what_a_file_would_not_give_back_as_it_was_is_kept_in_memory(monkeypatch):
    monkeypatch.setattr(engine.frames, "FEW_ROWS", 0)
    connection = connections.connect()
    rows = connection.sql("SELECT sum(i) AS n, [i] AS list FROM range(3) AS numbers(i) GROUP BY i ORDER BY i")
    kept = tk.persist(rows)
    assert (kept.types, kept.fetchall()) == (rows.types, rows.fetchall())


def test_a_connection_that_may_touch_no_file_keeps_its_rows_in_memory(monkeypatch):
    monkeypatch.setattr(engine.frames, "FEW_ROWS", 0)
    connection = connections.connect()
    connection.execute("SET enable_external_access = false")
    assert tk.persist(connection.sql("SELECT 1 AS n")).fetchall() == [(1,)]


def test_a_disk_that_cannot_be_written_is_told_in_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(temporary, "kept", lambda: tmp_path / "gone")
    with pytest.raises(ResourceError, match=r"temporary files in '.*': .*; TMPDIR names another"):
        tk.persist(connections.connect().sql("SELECT 1::BIGINT AS n"))


def test_rows_and_different_values_are_counted_nulls_among_them(as_kind):
    frame = as_kind(ROWS)
    assert tk.n_distinct(frame) == 4
    assert tk.n_distinct(frame, "a") == 3
    assert tk.n_distinct(frame, "a", "b") == 3
    assert tk.n_distinct(frame, "b", "b") == 2
    assert tk.n_distinct(as_kind(ROWS.rename(columns={"a": "_n"})), "_n") == 3


def test_the_rows_of_some_incidents_are_found_in_their_order(as_kind):
    rows = pd.DataFrame({"server_id": list("aabb"), "incident_id": list("yxyx"), "n": [4, 3, 2, 1]})
    wanted = pd.DataFrame({"server_id": list("bab"), "incident_id": list("yyy"), "more": 1})
    found = tk.filter_incidents(as_kind(rows), as_kind(wanted))
    assert type(found) is type(as_kind(rows))
    assert sorted(tk.to_pandas(found)["n"]) == [2, 4]
    assert tk.filter_incidents(rows, wanted)["n"].to_list() == [4, 2]


def test_incidents_in_memory_are_found_on_any_engine(as_kind):
    rows = pd.DataFrame({"server_id": list("ab"), "incident_id": list("xx"), "n": [1, 2]})
    assert tk.to_pandas(tk.filter_incidents(as_kind(rows), rows[:1]))["n"].to_list() == [1]


def test_the_first_rows_come_home_alone_where_that_is_asked(as_kind):
    assert tk.to_pandas(as_kind(ROWS), limit=2)["a"].to_list() == [1, 1]
    assert len(tk.to_pandas(as_kind(ROWS), limit=0)) == 0


def test_only_the_wanted_columns_come_home(as_kind):
    assert tk.to_pandas(as_kind(ROWS), columns=["b", "a", "b"]).columns.to_list() == ["b", "a"]
    assert tk.to_pandas(as_kind(ROWS), columns="a", limit=1).to_dict("list") == {"a": [1]}


def test_what_is_no_frame_is_one_clear_line():
    for function in (tk.persist, tk.n_distinct, tk.to_pandas):
        with pytest.raises(ParameterError, match="frame: got 'list', expected a frame"):
            function([1, 2])
    with pytest.raises(ParameterError, match="frame has no column 'c'"):
        tk.n_distinct(ROWS, "c")
    with pytest.raises(ParameterError, match="limit: got -1, expected a number of rows, 0 or more"):
        tk.to_pandas(ROWS, limit=-1)
    with pytest.raises(ParameterError, match="frame has no column 'c'"):
        tk.to_pandas(ROWS, columns=["a", "c"])


@pytest.mark.parametrize("columns", [[], 3, [["a"]], [None]])
def test_what_are_no_names_of_columns_is_one_clear_line(columns):
    with pytest.raises(ParameterError, match=r"columns: got .*, expected the names of columns"):
        tk.to_pandas(ROWS, columns=columns)


@pytest.mark.parametrize("limit", ["3", 1.5, True, -1])
def test_what_is_no_number_of_rows_is_one_clear_line(as_kind, limit):
    with pytest.raises(ParameterError, match=r"limit: got .*, expected a number of rows, 0 or more"):
        tk.to_pandas(as_kind(ROWS), limit=limit)


@pytest.mark.parametrize("limit", [10**12, 2**70, np.int64(4)])
def test_a_limit_beyond_the_rows_gives_all_of_them(as_kind, limit):
    assert len(tk.to_pandas(as_kind(ROWS), limit=limit)) == 4


@pytest.mark.parametrize("ask", [tk.persist, tk.to_pandas, tk.n_distinct])
def test_too_little_memory_is_said_in_one_line(ask, recordings):
    log = tk.load_events(recordings / "batch-bodies" / "prev.jsonl.gz")
    connection = connections.connect()
    rows = connection.from_arrow(engine.to_arrow(log.tasks)).order("event_id")
    connection.execute("SET memory_limit = '100KB'; SET temp_directory = ''")
    columns = ["event_id"] if ask is tk.n_distinct else []
    with pytest.raises(ParameterError, match=r"memory_limit: got '97.6 KiB', expected more, because DuckDB ran out"):
        ask(rows, *columns)
