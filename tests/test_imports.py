"""Imports run one way through the house, and importing the package stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import telemetry_kit as tk

PACKAGE = Path(tk.__file__).parent
ANALYSES = {"stages", "tasks", "playbooks", "servers"}
ROOMS = {
    path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for path in PACKAGE.rglob("*.py")
    if path.relative_to(PACKAGE).parts[0] not in ("notebooks", "samples")
} - {"__init__"}
# What each room may import, besides the rooms on the way there.
LAYERS = [
    {"errors", "schemas", "grouping"},
    {"connections", "ordering"},
    {"engine", "places", "periods", "windows"},
    {"frames"},
    {"sources"},
    {"documents", "delimited", "texts", "rules"},
    {"containers", "tables", "wire_lines"},
    {"quarantine"},
    {"contradictions", "notes"},
    {"eventlog"},
    {"accounts", "inputs", "stores"},
    {"load", "warehouses"},
    {"convert"},
    {"scan"},
]
READERS = set.union(*LAYERS[4:])


def imports_of(path):
    """Return the modules of the package that a file imports when it runs; imports for types alone do not run."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative import"
            if node.module == "telemetry_kit":
                found |= {alias.name for alias in node.names}
            elif (node.module or "").startswith("telemetry_kit."):
                found.add(node.module.removeprefix("telemetry_kit."))
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("telemetry_kit.") for a in node.names if a.name.startswith("telemetry_kit.")}
    return found


def rooms_of(room):
    files = [PACKAGE / f"{room}.py"] if (PACKAGE / f"{room}.py").exists() else sorted((PACKAGE / room).rglob("*.py"))
    return {module.partition(".")[0] for file in files for module in imports_of(file)} - {room}


@pytest.mark.parametrize("room", sorted(READERS | set.union(*LAYERS[:4])))
def test_what_reads_imports_only_what_stands_before_it(room):
    (level,) = (n for n, layer in enumerate(LAYERS) if room in layer)
    allowed = set.union(*LAYERS[: level + 1])
    assert rooms_of(room) <= allowed


@pytest.mark.parametrize("room", sorted(ANALYSES & ROOMS))
def test_an_analysis_imports_neither_the_readers_nor_the_pictures(room):
    assert not rooms_of(room) & (READERS | {"plots", "reports", "cli", "simulate"})


@pytest.mark.parametrize("room", sorted(ANALYSES & ROOMS))
def test_an_analysis_uses_of_another_only_what_that_one_offers(room):
    for file in (PACKAGE / room).rglob("*.py"):
        others = {m for m in imports_of(file) if m.partition(".")[0] in ANALYSES - {room}}
        assert all("." not in module for module in others), f"{file.name} reaches into {others}"


def test_pictures_import_no_analysis_and_read_nothing():
    assert not rooms_of("plots") & (ANALYSES | READERS | {"uncertainty", "reports", "cli", "simulate"})


def test_uncertainty_knows_nothing_of_telemetry():
    assert rooms_of("uncertainty") <= {"errors", "engine", "grouping"}


def test_only_the_door_is_used_by_notebooks():
    for path in tk.notebooks().glob("*.ipynb"):
        assert "telemetry_kit." not in path.read_text(encoding="utf-8").replace("telemetry_kit.git", ""), path.name
        assert "from telemetry_kit" not in path.read_text(encoding="utf-8"), path.name


def test_importing_the_package_loads_no_heavy_library():
    heavy = (
        "matplotlib",
        "seaborn",
        "scipy.stats",
        "nbconvert",
        "nbclient",
        "duckdb",
        "IPython",
        "adbc_driver_postgresql",
        "ibis",
        "polars",
        "sqlframe",
    )
    command = f"import sys, telemetry_kit; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_package_waits_with_all_else_until_it_is_asked_for():
    asked = "print('pandas' in sys.modules)"
    command = f"import sys, telemetry_kit; {asked}; telemetry_kit.load_events; {asked}"
    done = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"]


def test_a_name_is_looked_up_once():
    assert vars(tk).get("stage_funnel", tk.stage_funnel) is vars(tk)["stage_funnel"]


def test_every_public_name_is_there_and_listed():
    assert {name for name in tk.__all__ if not hasattr(tk, name)} == set()
    assert set(tk.__all__) <= set(dir(tk))


@pytest.mark.parametrize("name", ["load_event", "_engine", "__version__"])
def test_a_name_that_is_not_there_is_told(name):
    with pytest.raises(AttributeError, match=f"module 'telemetry_kit' has no attribute '{name}'"):
        getattr(tk, name)
