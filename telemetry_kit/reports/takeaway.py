"""The tables of a report as files to take away: CSV, Parquet or a workbook, equal in every byte each time."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Literal, get_args

import pandas as pd

from telemetry_kit.errors import MissingExtraError, ParameterError
from telemetry_kit.reports.tables import csv_lines, with_named_index
from telemetry_kit.reports.wording import is_null

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa

TableFormat = Literal["csv", "xlsx", "parquet"]
MOST_ROWS = 1_048_575
"""How many rows a sheet has below its header."""
_CREATED = dt.datetime(2020, 1, 1)  # noqa: DTZ001 - a workbook's time has no zone, and has to be the same each time


def check_format(tables: str) -> None:
    """See that tables can be written so.

    Raises
    ------
    ParameterError
        Where there is no such format.
    MissingExtraError
        Where a workbook is asked for and XlsxWriter is not installed.
    """
    if tables not in get_args(TableFormat):
        raise ParameterError("tables", tables, get_args(TableFormat))
    if tables == "xlsx":
        try:
            import xlsxwriter  # noqa: F401 - only to see that it is there
        except ModuleNotFoundError as error:
            raise MissingExtraError("a workbook", "lab") from error


def write_table(frame: pd.DataFrame, place: Path, tables: str) -> Path:
    """Write a table to a file.

    Parameters
    ----------
    frame
        Any table; a named index becomes its first columns.
    place
        The file without the end of its name.
    tables
        Its format. What that cannot hold, because Arrow has no type for it or a workbook has too few rows, is CSV.

    Returns
    -------
    pathlib.Path
        The file.
    """
    arrow = None if tables == "csv" else _table_to_arrow(frame)
    if arrow is None or (tables == "xlsx" and len(arrow) > MOST_ROWS):
        path = place.with_name(f"{place.name}.csv")
        with path.open("w", encoding="utf-8", newline="\n") as stream:
            stream.writelines(csv_lines(frame))
        return path
    path = place.with_name(f"{place.name}.{tables}")
    if tables == "parquet":
        import pyarrow.parquet as pq

        pq.write_table(arrow, path)
    else:
        _write_workbook(arrow.to_pandas(), path)
    return path


def _table_to_arrow(frame: pd.DataFrame) -> pa.Table | None:
    """Return a table as Arrow has it; none where its columns hold what Arrow has no type for."""
    import pyarrow as pa

    try:
        return pa.Table.from_pandas(with_named_index(frame), preserve_index=False).replace_schema_metadata()
    except (pa.ArrowException, TypeError, ValueError):
        return None


def _write_workbook(table: pd.DataFrame, path: Path) -> None:
    """Write a table as a sheet: numbers as numbers, times in UTC, and no text that a spreadsheet would compute."""
    import xlsxwriter

    with xlsxwriter.Workbook(str(path), {"in_memory": True}) as workbook:
        workbook.set_properties({"created": _CREATED})
        as_time = workbook.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        bold = workbook.add_format({"bold": True})
        sheet = workbook.add_worksheet("table")
        sheet.freeze_panes(1, 0)
        for at, (name, column) in enumerate(table.items()):
            sheet.write_string(0, at, str(name), bold)
            for row, value in enumerate(column.astype(object), start=1):
                _write_cell(sheet, (row, at), value, as_time)


def _write_cell(sheet: Any, at: tuple[int, int], value: Any, as_time: Any) -> None:  # noqa: ANN401 - of XlsxWriter
    if is_null(value):
        return
    if isinstance(value, bool):
        sheet.write_boolean(*at, value)
    elif isinstance(value, int | float):
        sheet.write_number(*at, value)
    elif isinstance(value, dt.datetime):
        moment = pd.Timestamp(value)
        naive = moment.tz_convert("UTC").tz_localize(None) if moment.tz else moment
        sheet.write_datetime(*at, naive.to_pydatetime(warn=False), as_time)
    else:
        sheet.write_string(*at, str(value))
