"""Tables leave a report in the format that was asked for, and in CSV where that cannot hold them."""

import pandas as pd
import pytest

from telemetry_kit.reports import tables, takeaway
from telemetry_kit.reports.takeaway import write_table

TABLE = pd.DataFrame({"server_id": ["=1+1", "b", None], "n": pd.array([1, None, 3], dtype="Int64")})


@pytest.mark.parametrize(("form", "end"), [("csv", ".csv"), ("parquet", ".parquet"), ("xlsx", ".xlsx")])
def test_a_file_is_named_after_its_format(form, end, tmp_path):
    assert write_table(TABLE, tmp_path / "1", form) == tmp_path / f"1{end}"


def test_parquet_has_the_types_of_the_table(tmp_path):
    pd.testing.assert_frame_equal(
        pd.read_parquet(write_table(TABLE, tmp_path / "1", "parquet"), dtype_backend="numpy_nullable")["n"].to_frame(),
        TABLE[["n"]],
    )


def test_csv_is_written_some_rows_at_a_time_and_no_other_than_at_once(monkeypatch, tmp_path):
    whole = tables.table_to_csv(TABLE)
    monkeypatch.setattr(tables, "ROWS_AT_A_TIME", 2)
    assert write_table(TABLE, tmp_path / "1", "csv").read_bytes().decode() == whole
    assert whole == '"server_id","n"\n"\'=1+1",1\n"b",\n,3\n'


def test_what_a_format_cannot_hold_is_csv(monkeypatch, tmp_path):
    mixed = pd.DataFrame({"value": [1, "a", (2, 3)]})
    assert write_table(mixed, tmp_path / "mixed", "parquet").suffix == ".csv"
    monkeypatch.setattr(takeaway, "MOST_ROWS", 2)
    assert write_table(TABLE, tmp_path / "long", "xlsx").suffix == ".csv"
    assert write_table(TABLE[:2], tmp_path / "short", "xlsx").suffix == ".xlsx"
