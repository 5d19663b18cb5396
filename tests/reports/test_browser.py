"""Pages of reports in a real browser: readable by everybody (axe), nothing beyond the edge at 1280 and 390 pixels."""

import browser
import pytest

from telemetry_kit.reports import write_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ERAS = ("prev", "oct2020", "later")


@pytest.fixture(scope="module", params=ERAS)
def report(request, recordings, tmp_path_factory):
    """The report of a recording of each era, all its pages in one file as well."""
    if browser.missing():
        pytest.skip(f"needs {browser.missing()}")
    source = recordings / "batch-bodies" / f"{request.param}.jsonl.gz"
    return write_report(source, tmp_path_factory.mktemp("reports") / request.param, single_file=True)


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_no_page_has_a_serious_fault_for_those_who_cannot_see_it(report, is_dark, tmp_path):
    told = browser.probe(sorted(report.glob("*.html")), 1280, tmp_path, with_axe=True, is_dark=is_dark)
    assert {page: each["found"] for page, each in told.items() if each["found"]} == {}


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_goes_beyond_its_edge(report, width, tmp_path):
    told = browser.probe(sorted(report.glob("*.html")), width, tmp_path)
    wide = {page: each for page, each in told.items() if max(each["width"], each["unfolded"]) > each["shown"]}
    assert wide == {}


def test_paper_loses_no_column(report, tmp_path):
    # What lies within the margins of A4 at 96 pixels per inch, by the rules for paper.
    (told,) = browser.probe([report / "report.html"], 718, tmp_path, on_paper=True).values()
    assert told["cut"] == []


def test_the_first_page_is_small(report):
    assert (report / "index.html").stat().st_size < 300_000
