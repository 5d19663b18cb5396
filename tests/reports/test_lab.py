"""Copies of the notebooks to work with."""

import nbformat

import telemetry_kit as tk
from telemetry_kit.reports.execution import PARAMETERS_TAG, tags_of
from telemetry_kit.reports.lab import copy_notebooks


def parameters_of(path):
    (cell,) = [cell for cell in nbformat.read(path, as_version=4).cells if PARAMETERS_TAG in tags_of(cell)]
    return cell.source


def test_every_notebook_is_copied_with_the_source_set(tmp_path):
    copies = copy_notebooks(str(tmp_path / "it's mine.jsonl"), tmp_path / "new" / "lab")
    assert [copy.name for copy in copies] == sorted(path.name for path in tk.notebooks().glob("*.ipynb"))
    for copy in copies:
        code = parameters_of(copy)
        values = {}
        exec(code.replace("tk.scan_events", "None"), values)
        assert values["source"] == str(tmp_path / "it's mine.jsonl")


def test_a_copy_that_somebody_has_worked_on_is_left_as_it_is(tmp_path):
    first, *_ = copy_notebooks("a.jsonl", tmp_path)
    first.write_text("mine")
    assert copy_notebooks("b.jsonl", tmp_path)[0].read_text() == "mine"


def test_the_notebooks_of_the_package_stay_as_they_were(tmp_path):
    before = {path.name: path.read_bytes() for path in tk.notebooks().glob("*.ipynb")}
    copy_notebooks("a.jsonl", tmp_path)
    assert before == {path.name: path.read_bytes() for path in tk.notebooks().glob("*.ipynb")}
