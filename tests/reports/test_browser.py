"""Pages in a real browser: readable by everybody (axe), nothing beyond the edge at 1280 and 390 pixels.

They need Chromium and axe-core (``npm install axe-core``), which ``AXE_CORE`` names or ``node_modules`` holds, and are
skipped where one of them is missing.
"""

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from telemetry_kit.reports import write_report

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
AXE = Path(os.environ.get("AXE_CORE", Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"))
ERAS = ("prev", "oct2020", "later")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--virtual-time-budget=60000",
)
PROBE = """
<script>
addEventListener("load", async () => {
  document.querySelectorAll("details").forEach(folded => { folded.open = true; });
  const width = document.documentElement.scrollWidth, shown = document.documentElement.clientWidth;
  const run = typeof axe === "undefined" ? {violations: []} : await axe.run();
  const found = run.violations
    .filter(rule => ["serious", "critical"].includes(rule.impact))
    .map(rule => [rule.id, rule.nodes.slice(0, 3).map(node => node.html.slice(0, 120))]);
  const cut = [...document.querySelectorAll("table, svg")]
    .filter(part => part.getBoundingClientRect().right > shown + 1)
    .map(part => part.textContent.trim().slice(0, 80));
  parent.postMessage({width, shown, found, cut}, "*");
});
</script>
"""
FRAME = """<!DOCTYPE html><body style="margin:0"><pre id="told">nothing</pre>
<script>addEventListener("message", message => {{ told.textContent = JSON.stringify(message.data); }});</script>
<iframe src="{page}" style="border:0; width:{width}px; height:3000px"></iframe></body>"""


@pytest.fixture(scope="module", params=ERAS)
def report(request, recordings, tmp_path_factory):
    """The report of a recording of each era, all its pages in one file as well."""
    missing = [
        name for name, found in (("Chromium", CHROMIUM), ("axe-core (npm install axe-core)", AXE.exists())) if not found
    ]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}")
    source = recordings / "batch-bodies" / f"{request.param}.jsonl.gz"
    return write_report(source, tmp_path_factory.mktemp("reports") / request.param, single_file=True)


def probe(page, width, tmp_path, *, with_axe, on_paper=False):
    """Open a page in a frame of a width, and return what its script tells."""
    text = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8"))
    if on_paper:
        text = text.replace("@media print", "@media all").replace("@media (max-width", "@media not all and (max-width")
    script = f"<script>{AXE.read_text('utf-8')}</script>" if with_axe else ""
    (tmp_path / "page.html").write_text(text.replace("</body>", f"{script}{PROBE}</body>"), "utf-8")
    (tmp_path / "frame.html").write_text(FRAME.format(page="page.html", width=width), "utf-8")
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1400,3000", "--dump-dom"]
    done = subprocess.run(
        [*command, (tmp_path / "frame.html").as_uri()], capture_output=True, text=True, check=True, timeout=300
    )
    return json.loads(unescape(re.search('<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)[1]))


def test_no_page_has_a_serious_fault_for_those_who_cannot_see_it(report, tmp_path):
    faults = {
        page.name: told["found"]
        for page in sorted(report.glob("*.html"))
        if (told := probe(page, 1280, tmp_path, with_axe=True))["found"]
    }
    assert faults == {}


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_goes_beyond_its_edge(report, width, tmp_path):
    for page in sorted(report.glob("*.html")):
        told = probe(page, width, tmp_path, with_axe=False)
        assert told["width"] <= told["shown"], page.name


def test_paper_loses_no_column(report, tmp_path):
    # What lies within the margins of A4 at 96 pixels per inch, by the rules for paper.
    told = probe(report / "report.html", 718, tmp_path, with_axe=False, on_paper=True)
    assert told["cut"] == []


def test_the_first_page_is_small(report):
    assert (report / "index.html").stat().st_size < 300_000
