"""The manual's pages in a real browser, as ``make docs`` built them; without them there is nothing to open."""

from pathlib import Path

import browser
import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

BUILT = Path(__file__).parents[1] / "docs" / "_build" / "html"
PAGES = [page for page in sorted(BUILT.rglob("*.html")) if "_static" not in page.parts]


@pytest.fixture(autouse=True)
def _can_be_opened():
    needed = browser.missing() or ("" if PAGES else "the manual (make docs)")
    if needed:
        pytest.skip(f"needs {needed}")


@pytest.mark.parametrize("is_dark", [False, True], ids=["light", "dark"])
def test_no_page_has_a_serious_fault_for_those_who_cannot_see_it(is_dark, tmp_path):
    told = browser.probe(PAGES, 1280, tmp_path, with_axe=True, is_dark=is_dark, based=True)
    assert {page: each["found"] for page, each in told.items() if each["found"]} == {}


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_goes_beyond_its_edge(width, tmp_path):
    told = browser.probe(PAGES, width, tmp_path, based=True)
    assert {page: each["width"] for page, each in told.items() if each["width"] > each["shown"]} == {}
