"""What the documentation shows is run as it stands there."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import duckdb
import ibis
import pandas as pd
import pytest

DOCS = Path(__file__).parents[1] / "docs"
README = DOCS.parent / "README.md"
PAGE = (DOCS / "engines.md").read_text("utf-8")
FIVE_LINES = 5
RESULTS = ("funnel", "completion", "sizes")
needs_spark = pytest.mark.skipif(not importlib.util.find_spec("pyspark"), reason="the extra spark is not installed")
ENGINES = ["Polars", "DuckDB", pytest.param("Spark", marks=[needs_spark, pytest.mark.spark]), "A warehouse"]


def blocks_of(engine):
    """Return the Python of the part of the page on an engine; without one, of what stands before all parts."""
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    sections = {None: parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}
    return re.findall(r"^```python\n(.*?)^```$", sections[engine], flags=re.MULTILINE | re.DOTALL)


def run(blocks):
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for code in blocks:
            exec(compile(code, "engines.md", "exec"), names)
    return names


def run_apart(blocks, folder):
    """Run blocks in a process of their own: a path means to Spark what it meant where its Java was started."""
    saved = "".join(f"{name}.to_pickle('{name}.pickle')\n" for name in RESULTS)
    code = "\n".join([*blocks, saved])
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, cwd=folder, capture_output=True)
    return {name: pd.read_pickle(folder / f"{name}.pickle") for name in RESULTS}


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    """A directory in which the first block of the page has been run."""
    folder = tmp_path_factory.mktemp("docs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(blocks_of(None))
    return folder


@pytest.fixture
def here(events, monkeypatch):
    monkeypatch.chdir(events)
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    return events


@pytest.fixture
def instead_of_postgresql(recordings, monkeypatch):
    """The same events as tables of a warehouse, in DuckDB."""
    connection = ibis.duckdb.connect()
    tables = {
        path.name.partition(".")[0]: connection.create_table(
            path.name.partition(".")[0], duckdb.sql(f"FROM read_csv('{path}')").to_arrow_table()
        )
        for path in sorted((recordings / "warehouse-snowflake-v0").glob("*.csv.gz"))
    }
    instead = SimpleNamespace(list_tables=lambda: list(tables), table=tables.__getitem__)
    monkeypatch.setattr(ibis.postgres, "connect", lambda **_: instead)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_five_lines_give_the_same_on_every_engine(engine, here, instead_of_postgresql):
    expected, given = blocks_of("pandas"), blocks_of(engine)
    assert given[-1] == expected[-1]
    assert len(given[-1].splitlines()) == FIVE_LINES
    wanted, got = run(expected), run_apart(given, here) if engine == "Spark" else run(given)
    for result in RESULTS:
        pd.testing.assert_frame_equal(got[result], wanted[result], check_dtype=False, rtol=1e-9)


@needs_spark
@pytest.mark.spark
def test_the_spark_notebook_runs_and_says_the_same(here):
    cells = json.loads((DOCS / "spark.ipynb").read_text("utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") for cell in cells)
    assert blocks_of("Spark")[-1].rstrip() in code
    got, wanted = run_apart(code, here), run(blocks_of("pandas"))
    for result in RESULTS:
        pd.testing.assert_frame_equal(got[result], wanted[result], check_dtype=False, rtol=1e-9)


@pytest.mark.parametrize("path", [README, *sorted(DOCS.glob("*.md"))], ids=lambda path: path.name)
def test_every_file_that_is_pointed_to_is_there(path):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text("utf-8")):
        assert os.path.exists(path.parent / target), target  # noqa: PTH110 - a target may be a directory


def test_what_the_docs_say_of_the_code_is_what_the_code_says():
    done = subprocess.run([sys.executable, DOCS / "generate.py", "--check"], check=False, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
