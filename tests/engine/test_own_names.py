"""No column of a user's is taken for one that an analysis computes on the way."""

import re
from pathlib import Path

import duckdb
import polars as pl
import pytest

import telemetry_kit as tk
from telemetry_kit.engine.own_names import is_own_name
from telemetry_kit.errors import ParameterError

PACKAGE = Path(tk.__file__).parent
_NAME = re.compile(r"[(,\s](_[a-z][a-z0-9_]*)=(?!=)|\"(_[a-z][a-z0-9_]*)\"")


@pytest.fixture(scope="module")
def log():
    return tk.load_events(tk.samples() / "recorded-autumn")


def test_every_name_that_the_analyses_use_is_known():
    used = set()
    for part in ("analyses", "engine", "eventlog", "stats"):
        for file in (PACKAGE / part).rglob("*.py"):
            used |= {one or other for one, other in _NAME.findall(file.read_text("utf-8"))}
    assert len(used) > 100
    assert sorted(name for name in used if not is_own_name(name)) == []


@pytest.mark.parametrize("name", ["_us", "_US", "_started_us", "_last", "_sum_not_done"])
@pytest.mark.parametrize("kind", ["pandas", "polars", "duckdb"])
def test_a_frame_with_such_a_column_is_refused(log, name, kind):
    tasks = log.tasks.assign(**{name: 1})
    tasks = {"pandas": lambda f: f, "polars": pl.from_pandas, "duckdb": duckdb.from_df}[kind](tasks)
    with pytest.raises(ParameterError, match=f"tasks: got 'the column {name}', expected another name"):
        tk.completion_times(tasks, log.incident)


@pytest.mark.parametrize("name", ["_merge", "_rescued_data", "_fivetran_synced"])
def test_names_that_other_tools_give_are_none_of_them(log, name):
    assert name in tk.completion_times(log.tasks.assign(**{name: 1}), log.incident)
