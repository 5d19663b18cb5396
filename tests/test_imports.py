"""Importing the package stays light, and shows public names alone."""

import subprocess
import sys

import pytest

import telemetry_kit as tk


def test_notebooks_import_nothing_but_the_package_root():
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


def test_modules_below_are_not_reached_or_completed_at_the_root():
    command = (
        "import telemetry_kit.engine.frames, telemetry_kit as tk; print(hasattr(tk, 'engine'), 'engine' in dir(tk))"
    )
    done = subprocess.run([sys.executable, "-c", command], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "False"]


def test_every_public_name_is_there_and_listed():
    assert {name for name in tk.__all__ if not hasattr(tk, name)} == set()
    assert set(tk.__all__) <= set(dir(tk))


@pytest.mark.parametrize("name", ["load_event", "_engine", "engine", "rules", "simulate"])
def test_a_name_that_is_not_there_is_told(name):
    with pytest.raises(AttributeError, match=f"module 'telemetry_kit' has no attribute '{name}'"):
        getattr(tk, name)
