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
import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import telemetry_kit as tk
from telemetry_kit.reports import write_report

DOCS = Path(__file__).parents[1] / "docs"
README = DOCS.parent / "README.md"
HOWTO = DOCS / "howto"
PAGE = (DOCS / "engines.md").read_text("utf-8")
FIVE_LINES = 5
COMMAND = """
import sys
from pathlib import Path

from telemetry_kit import cli
from telemetry_kit.eventlog import bundled

bundled.notebooks = lambda: Path("my-notebooks")
sys.exit(cli.main(sys.argv[1:]))
"""
RESULTS = ("funnel", "completion", "sizes")
needs_spark = pytest.mark.skipif(not importlib.util.find_spec("pyspark"), reason="the extra spark is not installed")
ENGINES = ["Polars", "DuckDB", pytest.param("Spark", marks=[needs_spark, pytest.mark.spark]), "A warehouse"]


def blocks_of(engine):
    """Return the Python of the part of the page on an engine; without one, of what stands before all parts."""
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)
    sections = {None: parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}
    return blocks_in(sections[engine])


def blocks_in(text, language="python"):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


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
    monkeypatch.setattr(ibis.postgres, "connect", lambda *_, **__: instead)


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_lines_on_warehouses_say_what_the_same_tables_say_here(recordings, instead_of_postgresql):
    got = run(blocks_in((HOWTO / "warehouse.md").read_text("utf-8")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log = tk.load_events(recordings / "warehouse-snowflake-v0")
    wanted = tk.stage_funnel(tk.stage_visits(log.incident, cutoff=log.cutoff))
    assert len(wanted) > 0
    pd.testing.assert_frame_equal(got["funnel"], wanted, check_dtype=False, rtol=1e-9)


@pytest.fixture
def my_notebooks(tmp_path):
    """A directory with the notebook that the page on own notebooks shows."""
    blocks = blocks_in((HOWTO / "own-notebook.md").read_text("utf-8"))
    cells = [
        new_code_cell(block, metadata={"tags": ["parameters"]} if block.startswith("source, ") else {})
        for block in blocks
    ]
    (tmp_path / "my-notebooks").mkdir()
    nbformat.write(new_notebook(cells=cells), tmp_path / "my-notebooks" / "mine.ipynb")
    return tmp_path / "my-notebooks"


@pytest.mark.slow
def test_the_notebook_that_is_shown_is_one_for_reports(my_notebooks, autumn, tmp_path):
    report = write_report(autumn, tmp_path / "report", notebooks=my_notebooks)
    page = (report / "mine.html").read_text("utf-8")
    completion = tk.task_completion(tk.load_events(autumn).tasks)
    assert "error" not in page.partition("</style>")[2]
    assert f"{completion['n_completed'].max():,}" in page


@pytest.mark.slow
def test_the_script_for_every_week_holds_each_report_against_the_last_whole_one(my_notebooks, autumn, tmp_path):
    (script,) = blocks_in((HOWTO / "weekly-report.md").read_text("utf-8"), "sh")
    (tmp_path / "weekly.sh").write_text(script)
    (tmp_path / "test-servers.txt").write_text(tk.load_events(autumn).tasks["server_id"].iloc[0])
    # The command itself, with one notebook in place of all that it brings; and a calendar of our own.
    (tmp_path / "command.py").write_text(COMMAND)
    programs = {"telemetry-kit": f'"{sys.executable}" command.py "$@"', "date": 'echo "$WEEK"'}
    (tmp_path / "bin").mkdir()
    for name, line in programs.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / "bin" / name).chmod(0o755)

    def weekly(week):
        path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        given = os.environ | {"PATH": path, "WEEK": week}
        return subprocess.run(["sh", "weekly.sh"], cwd=tmp_path, env=given, check=False, capture_output=True, text=True)

    days = sorted(autumn.rglob("*.json.gz"))
    (tmp_path / "dumps").mkdir()
    for week, until in (("2020-11-16", 12), ("2020-11-23", 19)):
        for day in days[:until]:
            (tmp_path / "dumps" / f"{day.parent.name}-{day.name}").write_bytes(day.read_bytes())
        done = weekly(week)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "reports" / "latest").resolve().name == week
    first, second = (
        (tmp_path / "reports" / week / "index.html").read_text("utf-8") for week in ("2020-11-16", "2020-11-23")
    )
    assert 'id="changes"' not in first
    assert 'id="changes"' in second
    for path in (tmp_path / "dumps").iterdir():
        path.write_text("")
    assert weekly("2020-11-30").returncode == 1
    assert (tmp_path / "reports" / "latest").resolve().name == "2020-11-23"


@pytest.mark.parametrize("path", [README, *sorted(DOCS.glob("*.md"))], ids=lambda path: path.name)
def test_every_file_that_is_pointed_to_is_there(path):
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", path.read_text("utf-8")):
        assert os.path.exists(path.parent / target), target  # noqa: PTH110 - a target may be a directory


def test_what_the_docs_say_of_the_code_is_what_the_code_says():
    done = subprocess.run([sys.executable, DOCS / "generate.py", "--check"], check=False, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
