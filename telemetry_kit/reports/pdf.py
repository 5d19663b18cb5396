"""A report on paper: its single page, printed by the Chromium that is there; equal in every byte each time."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from telemetry_kit import temporary
from telemetry_kit.errors import ReportError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
_FLAGS = (
    *("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-extensions", "--no-pdf-header-footer"),
)
_TIMEOUT_S = 600
_TIMES = re.compile(rb"/(CreationDate|ModDate) \(D:\d{14}")
_CREATED = b"20200101000000"


def find_browser() -> str:
    """Return the path of a browser that prints.

    Raises
    ------
    ReportError
        Where there is none.
    """
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    named = ", ".join(BROWSERS)
    raise ReportError("--format pdf", f"needs a browser to print with, and none of {named} is on the PATH: install one")


def print_page(page: str, path: Path) -> None:
    """Print a page that needs nothing else.

    Parameters
    ----------
    page
        An HTML document.
    path
        The PDF.

    Raises
    ------
    ReportError
        Where there is no browser, or it does not print.
    """
    browser = find_browser()
    # The sandbox of a browser is not for root, which containers are.
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with temporary.scratch() as folder:
        printed, source = folder / "report.pdf", folder / "report.html"
        source.write_text(page, encoding="utf-8", newline="\n")
        own = [f"--user-data-dir={folder / 'profile'}", f"--print-to-pdf={printed}", source.as_uri()]
        command = [browser, *_FLAGS, *(["--no-sandbox"] if is_root else []), *own]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=_TIMEOUT_S)  # noqa: S603 - own page
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ReportError("--format pdf", f"{Path(browser).name} did not print: {error}") from None
        if not printed.exists():
            raise ReportError(
                "--format pdf", f"{Path(browser).name} did not print, and ended with status {done.returncode}"
            )
        path.write_bytes(without_times(printed.read_bytes()))


def without_times(pdf: bytes) -> bytes:
    """Return a PDF as if it had been made at one moment always.

    Examples
    --------
    >>> without_times(b"/CreationDate (D:20261129101500+00'00')")
    b"/CreationDate (D:20200101000000+00'00')"
    """
    return _TIMES.sub(lambda found: b"/" + found[1] + b" (D:" + _CREATED, pdf)
