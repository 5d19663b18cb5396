"""The manual says everything that it is to say: compared with the code, without building a page."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

import telemetry_kit as tk
from telemetry_kit.eventlog.saved import own_files
from telemetry_kit.schemas import EVENT_TYPES, rules

CLONE = Path(__file__).parents[1]
DOCS = CLONE / "docs"
PACKAGE = CLONE / "telemetry_kit"
FINDINGS = (DOCS / "reference" / "findings.md").read_text("utf-8")
FILES = (DOCS / "reference" / "files.md").read_text("utf-8")
OTHERS = {"_build", "api", "decisions"}
OF_USERS = [path for path in DOCS.rglob("*.md") if not OTHERS & set(path.relative_to(DOCS).parts)]
MOST_LINES = 10
BLOCK = re.compile(r"^```\{code-cell\} python3\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def reference_pages():
    spec = importlib.util.spec_from_file_location("reference_pages", DOCS / "reference_pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def trees(*folders):
    for folder in folders:
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            yield ast.parse(path.read_text("utf-8"))


def names_of_findings():
    """Return every name under which a finding is told: of tuples, of dictionaries, and of columns of a frame."""
    found = set()
    for tree in trees("ingest", "eventlog"):
        constants = {
            node.targets[0].id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            given = []
            if isinstance(node, ast.Tuple) and len(node.elts) == len(("finding", "event_type", "detail", "n")):
                given = node.elts[:1]
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "findings":
                given = node.value.keys if isinstance(node.value, ast.Dict) else []
            elif isinstance(node, ast.keyword) and node.arg == "finding":
                given = [node.value]
            elif isinstance(node, ast.keyword) and node.arg is None and isinstance(node.value, ast.Dict):
                given = node.value.keys
            elif isinstance(node, ast.Dict):
                given = [v for k, v in zip(node.keys, node.values, strict=True) if getattr(k, "value", 0) == "finding"]
            elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("_UNSEEN", "FINDING"):
                given = [node.value]
            values = [getattr(each, "value", None) or constants.get(getattr(each, "id", "")) for each in given]
            found |= {value for value in values if isinstance(value, str) and " " in value}
    return found


def beginnings_of_reasons():
    """Return how each reason of a whole record begins, as far as its first part that differs from case to case."""
    found = set()
    for tree in trees("ingest"):
        for node in ast.walk(tree):
            text = ""
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            elif isinstance(node, ast.JoinedStr):
                text = "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            found |= set(re.findall(r"(?:^|(?<='))(?:record|properties): [^'\n]*", text))
    return {reason.strip(' "…') for reason in found}


def test_every_finding_is_explained_and_no_other():
    told = set(re.findall(r"^\| `([^`]+)` \|", FINDINGS.partition("## Reasons of rejection")[0], flags=re.MULTILINE))
    assert told == names_of_findings()


def test_every_reason_of_a_record_is_explained():
    told = re.findall(r"`([^`]+)`", FINDINGS)
    missing = [reason for reason in beginnings_of_reasons() if not any(span.startswith(reason) for span in told)]
    assert not missing


def test_every_reason_of_a_field_is_explained():
    messages = {fault.message for event_type in EVENT_TYPES for fault in rules.faults_of(event_type)}
    words = {re.sub(r"^[a-z_]+: ", "", text) for m in messages for text in re.findall(r"'((?:[^']|'')*)'", m)}
    words = {word.strip(' ,"').removeprefix("expected ").removeprefix("missing, expected ") for word in words}
    missing = [word for word in words if re.search(r"[a-z] ", word) and word not in FINDINGS]
    assert not missing


def test_every_public_name_and_picture_has_its_place_in_the_reference(reference_pages):
    functions = reference_pages.contents()
    modules = {"errors", "plots", "schemas", "sentences"}
    missing = [name for name in tk.__all__ if name not in modules and f"`telemetry_kit.{name}`" not in functions]
    assert not missing
    assert all(f"`telemetry_kit.plots.{name}`" in functions for name in tk.plots.__all__)


def test_every_command_is_in_the_reference(reference_pages):
    whole = reference_pages.printed(["--help"])
    commands = re.findall(r"^    ([a-z]+)\s", whole, flags=re.MULTILINE)
    assert commands == list(reference_pages.COMMANDS)


def test_every_picture_is_in_the_gallery():
    gallery = (DOCS / "gallery.md").read_text("utf-8")
    assert set(re.findall(r"^### (\w+)$", gallery, flags=re.MULTILINE)) == set(tk.plots.__all__)
    assert all(f"tk.plots.{name}(" in gallery for name in tk.plots.__all__)


def test_every_file_of_a_saved_log_is_explained():
    assert all(f"`{name}`" in FILES for name in own_files())


@pytest.mark.parametrize("page", sorted(OF_USERS), ids=lambda page: str(page.relative_to(DOCS)))
def test_no_block_is_longer_than_ten_lines(page):
    assert all(len(block.strip().splitlines()) <= MOST_LINES for block in BLOCK.findall(page.read_text("utf-8")))


@pytest.mark.parametrize("page", sorted(OF_USERS), ids=lambda page: str(page.relative_to(DOCS)))
def test_every_name_that_a_page_tells_of_is_there(page):
    text = page.read_text("utf-8")
    for name in re.findall(r"\btk\.((?:plots\.|sentences\.|errors\.)?[a-zA-Z_]+)\b(?!…)", text):
        where, _, own = name.rpartition(".")
        if not own.endswith("_"):  # tk.compare_… stands for all of them
            assert hasattr(getattr(tk, where) if where else tk, own), name
