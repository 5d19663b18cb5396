"""A report on paper: printed by the browser that is there, and a clear line where there is none."""

import shutil
import time

import pytest

from telemetry_kit.errors import ReportError
from telemetry_kit.reports import write_report
from telemetry_kit.reports.pdf import BROWSERS, find_browser, print_page, without_times

PAGE = "<!DOCTYPE html><html lang='en'><title>Report</title><h1>What the telemetry tells</h1></html>"


def test_without_a_browser_nothing_is_read_and_the_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ReportError, match=r"--format pdf: needs a browser to print with, and none of chromium, "):
        write_report(tmp_path / "no such source", tmp_path / "out", with_pdf=True)
    assert not (tmp_path / "out").exists()


def test_a_browser_that_does_not_print_is_told(tmp_path, monkeypatch):
    browser = tmp_path / "chromium"
    browser.write_text("#!/bin/sh\nexit 3\n")
    browser.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert find_browser() == str(browser)
    with pytest.raises(ReportError, match="chromium did not print, and ended with status 3"):
        print_page(PAGE, tmp_path / "report.pdf")


def test_only_the_times_of_a_pdf_are_replaced():
    pdf = b"%PDF /CreationDate (D:20261129101500+00'00') /ModDate (D:20261129101501+00'00') (D:20261129101500)"
    fixed = without_times(pdf)
    assert len(fixed) == len(pdf)
    assert fixed.count(b"D:20200101000000") == 2
    assert fixed.endswith(b"(D:20261129101500)")


@pytest.mark.browser
@pytest.mark.slow
def test_the_same_page_gives_the_same_bytes(tmp_path):
    if not any(map(shutil.which, BROWSERS)):
        pytest.skip("needs Chromium or Chrome")
    print_page(PAGE, tmp_path / "a.pdf")
    time.sleep(1)  # the times within are in seconds
    print_page(PAGE, tmp_path / "b.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()
