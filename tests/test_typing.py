"""A user's script passes the type checkers, and the checkers know what kind of frame comes back."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import telemetry_kit as tk

SCRIPT = Path(__file__).parent / "support" / "user_script.py"
ROOT = Path(tk.__file__).parents[1]

pytestmark = pytest.mark.slow


def run(*command, folder):
    environment = os.environ | {"MYPYPATH": str(ROOT), "MYPY_CACHE_DIR": str(folder / "cache")}
    return subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)


def test_mypy_passes_what_a_user_writes(tmp_path):
    done = run(sys.executable, "-m", "mypy", "--strict", "--config-file=", SCRIPT, folder=tmp_path)
    assert done.returncode == 0, done.stdout


def test_pyright_passes_what_a_user_writes(tmp_path):
    (tmp_path / SCRIPT.name).write_bytes(SCRIPT.read_bytes())
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(ROOT)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = run(sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "-p", tmp_path, folder=tmp_path)
    assert done.returncode == 0, done.stdout
