"""What every test can ask for, and what holds around every test."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import telemetry_kit as tk

os.environ["MPLBACKEND"] = "Agg"


@pytest.fixture(scope="session")
def autumn() -> Path:
    """The recorded sample: object-storage dumps of one autumn."""
    return tk.samples() / "recorded-autumn"


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
