"""The notebooks: stored without outputs, in public names only, and fit for any log."""

import ast
import functools
import json
import re

import pytest
from matplotlib import pyplot as plt

import telemetry_kit as tk

PATHS = sorted(tk.notebooks().glob("*.ipynb"))
each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def cells_of(path):
    return json.loads(path.read_text("utf-8"))["cells"]


def code_of(path):
    return [(cell, "".join(cell["source"])) for cell in cells_of(path) if cell["cell_type"] == "code"]


def tags_of(cell):
    return cell["metadata"].get("tags", [])


@functools.cache
def execute(path, source, load="tk.load_events", period="M"):
    """Run the cells of a notebook as its kernel would, and return what they leave behind and what they show."""
    shown = []
    names = {"display": shown.append}
    for cell, code in code_of(path):
        lines = (
            f"source = {str(source)!r}\ncutoff = None\nload = {load}\nmin_servers = 3\nperiod = {period!r}"
            if "parameters" in tags_of(cell)
            else code
        )
        tree = ast.parse(lines)
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, cell["id"], "exec"), names)
        value = eval(compile(ast.Expression(last.value), cell["id"], "eval"), names) if last else None
        figures = plt.get_fignums()
        for number in figures:
            plt.figure(number).canvas.draw()
        plt.close("all")
        for tag in tags_of(cell):
            kind = tag.partition(":")[0]
            if kind == "table":
                assert value is None or type(value).__name__ == "DataFrame", cell["id"]
            if kind == "figure":
                assert len(figures) == (0 if value is None else 1), cell["id"]
    return names, [getattr(text, "data", "") for text in shown]


def test_there_are_five_chapters_in_order():
    assert [path.stem for path in PATHS] == [
        "00_overview", "01_stage_progression", "02_task_completion", "03_playbook_sizes", "04_servers",
    ]  # fmt: skip


@each
def test_a_notebook_is_stored_without_outputs_under_names_that_stay(path):
    cells = cells_of(path)
    ids = [cell["id"] for cell in cells]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in ids)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell, _ in code_of(path))


@each
def test_a_notebook_has_one_parameters_cell_that_sets_what_is_loaded_and_how(path):
    (code,) = [code for cell, code in code_of(path) if "parameters" in tags_of(cell)]
    assert [target.id for node in ast.parse(code).body for target in node.targets] == [
        "source",
        "cutoff",
        "load",
        "min_servers",
        "period",
    ]


@each
def test_a_notebook_defines_nothing_and_uses_public_names_only(path):
    tree = ast.parse("\n".join(code.replace(");", ")") for _, code in code_of(path)))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda)
        if isinstance(node, ast.Import):
            assert {name.name for name in node.names} <= {"telemetry_kit", "pandas"}
        if isinstance(node, ast.ImportFrom):
            assert node.module == "IPython.display"
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "tk":
            assert node.attr in tk.__all__
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "plots":
            assert node.attr in tk.plots.__all__


@each
def test_every_table_and_figure_has_a_name_of_its_own_and_prose_before_it(path):
    names, has_prose = [], False
    for cell in cells_of(path):
        if cell["cell_type"] == "markdown":
            has_prose = True
        exhibits = [tag for tag in tags_of(cell) if ":" in tag]
        names += exhibits
        assert has_prose or not exhibits, cell["id"]
        assert "plot_" not in "".join(cell["source"]) or exhibits, cell["id"]
    assert len(set(names)) == len(names) > 0


@each
def test_prose_holds_no_number_that_the_log_would_have_to_say(path):
    prose = " ".join("".join(cell["source"]) for cell in cells_of(path) if cell["cell_type"] == "markdown")
    assert not re.search(r"\d+(\.\d+)? ?%|\b\d{3,}\b", prose)


@pytest.mark.slow
@each
def test_a_notebook_runs_on_the_recorded_sample(path, autumn):
    execute(path, autumn)


@pytest.mark.slow
@each
def test_a_notebook_says_the_same_of_events_that_stay_on_disk(path, autumn):
    assert execute(path, autumn, "tk.scan_events")[1] == execute(path, autumn)[1]


@pytest.mark.slow
def test_the_part_on_stages_tells_of_statuses_where_versions_send_no_stages(recordings):
    path = next(path for path in PATHS if path.stem == "01_stage_progression")
    names, sentences = execute(path, recordings / "batch-bodies" / "later.jsonl.gz", period="W")
    said = " ".join(sentences)
    n_incidents = names["log"].incident["incident_id"].nunique()
    assert f"Incidents: {n_incidents:,}, of which 0 have stages and {n_incidents:,} a status." in said
    assert "of the incidents with a status are resolved" in said
    assert "Half of the visits to a status are over within" in said
    assert "from the week of 15 Mar 2021 to the week of 22 Mar 2021" in said
    assert all(len(names[name]) > 0 for name in ("changed", "status_exits", "status_occupancy"))
    assert set(names["status_occupancy"]["state"]) == {"Reported", "Active", "Resolved", "closed"}


@pytest.mark.slow
@each
def test_a_notebook_runs_where_every_record_was_rejected(path, tmp_path):
    (tmp_path / "broken.jsonl").write_text("{no record\n")
    names, _ = execute(path, tmp_path)
    assert len(names["log"].quarantine) == 1


@pytest.mark.slow
@each
@pytest.mark.parametrize("kind", ["incident", "tasks", "playbook"])
def test_a_notebook_runs_on_a_single_event_of_any_type(path, kind, autumn, tmp_path):
    event = getattr(tk.load_events(autumn), kind).head(1)
    event.to_parquet(tmp_path / "one.parquet")
    names, _ = execute(path, tmp_path)
    assert len(getattr(names["log"], kind)) == 1


def test_the_sample_is_told_in_sentences_with_its_numbers(autumn):
    path = next(path for path in PATHS if path.stem == "01_stage_progression")
    names, sentences = execute(path, autumn)
    visits = tk.to_pandas(names["visits"])
    said = " ".join(sentences)
    assert f"Visits to a stage: {len(visits):,}, of which {visits['is_censored'].sum()} censored" in said
    assert tk.sentences.stage_funnel(tk.stage_funnel(visits)) in said
    assert "from stage 1 to stage 0" in said
