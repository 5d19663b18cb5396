"""Where the notebooks and the samples lie: at the top of a clone, inside the package in a wheel."""

from __future__ import annotations

from pathlib import Path

from telemetry_kit.errors import ParameterError

_PACKAGE = Path(__file__).resolve().parent


def _place(in_wheel: str, in_clone: str) -> Path:
    installed = _PACKAGE / in_wheel
    return installed if installed.is_dir() else _PACKAGE.parent / in_clone


def notebooks_path() -> Path:
    """Return the directory of the notebooks that come with the package.

    Returns
    -------
    pathlib.Path
        A directory with one ``.ipynb`` file per chapter.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> sorted(path.name for path in tk.notebooks_path().glob("*.ipynb"))[0]
    '00_overview.ipynb'
    """
    return _place("notebooks", "notebooks")


def sample_path(name: str = "recorded-autumn") -> Path:
    """Return the directory of a sample that comes with the package; ``load_events`` reads it like any other source.

    Parameters
    ----------
    name
        The name of the sample.

    Returns
    -------
    pathlib.Path
        The directory with the sample's files.

    Raises
    ------
    ParameterError
        There is no sample of that name.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> tk.sample_path("recorded-autumn").is_dir()
    True
    """
    samples = _place("samples", "data/samples")
    names = sorted(path.name for path in samples.iterdir() if path.is_dir())
    if name not in names:
        raise ParameterError("name", name, names)
    return samples / name
