"""Table files with a few bytes changed, and values that no reader expects, take nothing of another file along."""

import damaged_tables
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import telemetry_kit as tk


@pytest.mark.slow
def test_files_with_some_bytes_changed_cost_no_other_file(tmp_path):
    # A part of what ``python tests/support/damaged_tables.py 1000 1`` tries; 50 holds a time that has no text.
    assert list(damaged_tables.faults_of(tmp_path / "in", [50, *range(12)], seed=1)) == []


@pytest.mark.parametrize("form", [None, "parquet", "arrow plain"])
def test_a_time_that_has_no_text_costs_its_row(tmp_path, account, form):
    frame = damaged_tables.flat_events(0, 6)
    seconds = frame["timestamp"].astype("datetime64[s, UTC]").astype("int64").to_numpy(copy=True)
    seconds[[1, 4]] = 2**62, -(2**62)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    # Parquet has no times in seconds.
    unit = "ms" if form == "parquet" else "s"
    times = pa.array(np.where(np.abs(seconds) < 2**61, seconds * (1000 if unit == "ms" else 1), seconds))
    table = table.set_column(table.column_names.index("timestamp"), "timestamp", times.view(pa.timestamp(unit, "UTC")))
    if form is None:
        source = table
    else:
        source = tmp_path / "a"
        damaged_tables.write_table(table, source, form)
    log = tk.load_events(source)
    assert account(log) == {"read": 6, "valid": 4, "duplicate": 0, "rejected": 2, "other": 0}
    assert log.quarantine["record"].to_list() == [2, 5]
    assert set(log.quarantine["reason"]) == {"timestamp: a time too far from 1970 to be told"}


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([1.0, None, 2.0], pa.float16()),
        pa.array([10**70, None, 1], pa.decimal256(76, 0)),
        pa.UnionArray.from_dense(
            pa.array([0, 1, 0], pa.int8()), pa.array([0, 0, 1], pa.int32()), [pa.array([1, 2]), pa.array(["x"])]
        ),
        pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', "{bad", None])),
    ],
    ids=lambda cells: str(cells.type)[:12],
)
def test_a_column_of_a_type_that_duckdb_has_not_is_read(account, cells):
    table = pa.Table.from_pandas(damaged_tables.flat_events(0, 3), preserve_index=False).append_column("plan", cells)
    log = tk.load_events(table)
    assert account(log)["valid"] == 3
    assert "plan" in set(log.findings["detail"])


def test_counts_in_half_precision_are_counts(account):
    frame = damaged_tables.flat_events(0, 3).astype({"NumMembers": np.float16})
    log = tk.load_events(frame)
    assert account(log)["valid"] == 3
    assert log.playbook["num_members"].to_list() == [2]
    assert pd.api.types.is_integer_dtype(log.playbook["num_members"])
