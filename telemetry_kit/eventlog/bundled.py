"""Where the samples and the notebooks lie: at the top of a clone, inside the package in a wheel."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def samples() -> Path:
    """Return the directory of the samples that come with the package, each a source for ``load_events``.

    Returns
    -------
    pathlib.Path
        A directory with one directory per sample, and a README that tells what they are.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> (tk.samples() / "recorded-autumn").is_dir()
    True
    """
    return _place("samples", "data/samples")


def notebooks() -> Path:
    """Return the directory of the notebooks that come with the package.

    Returns
    -------
    pathlib.Path
        A directory with one notebook per chapter of a report.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> tk.notebooks().is_dir()
    True
    """
    return _place("notebooks", "notebooks")


def _place(in_wheel: str, in_clone: str) -> Path:
    installed = _PACKAGE / in_wheel
    return installed if installed.is_dir() else _PACKAGE.parent / in_clone
