"""Events in many files by month, as a cluster writes them, are read as those of one file are."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import SourceError
from telemetry_kit.reports import write_report


@pytest.fixture(scope="module")
def loaded(autumn):
    return tk.load_events(autumn)


@pytest.fixture
def by_month(loaded, tmp_path):
    """A saved log whose events lie in a folder for each type, in it one for each month, two files each."""
    folder = tmp_path / "log"
    loaded.save(folder)
    for kind in tk.schemas.EVENT_TYPES:
        path = folder / f"{kind}.parquet"
        table = pq.read_table(path)
        # On a cluster it is the place of arrival, which has gaps, and is not the order of time.
        table = table.append_column("arrival", pa.array([7 * n for n in range(len(table))]))
        path.unlink()
        months = pd.Series(table["event_timestamp"].to_pandas().dt.strftime("%Y-%m"))
        for month, rows in months.groupby(months):
            own = folder / path.name / f"month={month}"
            own.mkdir(parents=True)
            for part in range(2):
                pq.write_table(table.take(pa.array(rows.index[part::2])), own / f"part-{part:05}.parquet")
    return folder


def test_a_log_by_month_is_the_log_of_one_file_for_each_type(by_month, loaded):
    log = tk.load_events(by_month)
    for part in (*tk.schemas.EVENT_TYPES, "quarantine", "audit", "seen", "findings"):
        pd.testing.assert_frame_equal(getattr(log, part), getattr(loaded, part))


def test_every_way_to_open_it_has_the_same_events(by_month, loaded, tmp_path):
    log = tk.scan_events(by_month, since="2020-11-01")
    here = tk.load_events(by_month, since="2020-11-01")
    pd.testing.assert_frame_equal(log.audit, here.audit)
    visits = [tk.stage_visits(each.incident, cutoff=each.cutoff) for each in (log, here)]
    pd.testing.assert_frame_equal(*map(tk.stage_funnel, visits))
    tk.convert_events(by_month, tmp_path / "copy")
    copy = tk.load_events(tmp_path / "copy")
    pd.testing.assert_frame_equal(copy.incident, loaded.incident)
    assert (tmp_path / "copy" / "incident.parquet").is_file()


def test_it_gives_way_to_files_and_takes_their_place(by_month, loaded):
    loaded.save(by_month)
    assert (by_month / "tasks.parquet").is_file()
    pd.testing.assert_frame_equal(tk.load_events(by_month).tasks, loaded.tasks)


@pytest.mark.parametrize("fault", ["no file", "a file less", "another column"])
def test_one_that_is_not_whole_is_told(by_month, fault):
    first, *_ = files = sorted((by_month / "tasks.parquet").rglob("*.parquet"))
    if fault == "another column":
        table = pq.ParquetFile(first).read()
        pq.write_table(table.append_column("more", pa.nulls(len(table))), first)
    for path in files[: {"no file": None, "a file less": 1, "another column": 0}[fault]]:
        path.unlink()
    for opened in (tk.load_events, tk.scan_events):
        with pytest.raises(SourceError, match=r"tasks\.parquet (has|holds)"):
            opened(by_month)


@pytest.mark.slow
def test_a_report_of_it_is_the_one_of_its_files(by_month, loaded, tmp_path):
    loaded.save(tmp_path / "one")
    pages = [write_report(source, tmp_path / f"r-{source.name}") for source in (by_month, tmp_path / "one")]
    for table in sorted(path.name for path in (pages[0] / "tables").iterdir()):
        assert (pages[0] / "tables" / table).read_bytes() == (pages[1] / "tables" / table).read_bytes(), table
