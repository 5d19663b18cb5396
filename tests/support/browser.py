"""Pages in a real browser: how wide they are, what they cut off, and what axe finds in them, in light and in dark.

They need Chromium, and axe-core of ``requirements/axe`` (``make axe``), which ``AXE_CORE`` may name as well.
"""

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
_LOCKED = Path(__file__).parents[2] / "requirements" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
AXE = Path(os.environ.get("AXE_CORE", _LOCKED))
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--dump-dom", "--window-size=1400,3000", "--virtual-time-budget=600000"),
)
# Colours are judged as they stay, not on their way there.
PROBE = """
<style>* { transition: none !important; }</style>
<script>
addEventListener("load", async () => {
  const width = document.documentElement.scrollWidth, shown = document.documentElement.clientWidth;
  const is_dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.querySelectorAll("details").forEach(folded => { folded.open = true; });
  const unfolded = document.documentElement.scrollWidth;
  const run = typeof axe === "undefined" ? {violations: []} : await axe.run();
  const found = run.violations
    .filter(rule => ["serious", "critical"].includes(rule.impact))
    .map(rule => [rule.id, rule.nodes.slice(0, 3).map(node => node.html.slice(0, 120))]);
  const cut = [...document.querySelectorAll("table, svg")]
    .filter(part => part.getBoundingClientRect().right > shown + 1)
    .map(part => part.textContent.trim().slice(0, 80));
  parent.postMessage({width, unfolded, shown, is_dark, found, cut}, "*");
});
</script>
"""
# A page in a frame takes the scheme of its frame; one page after the other, so that a browser is started once.
FRAME = """<!DOCTYPE html><html style="color-scheme: {scheme}"><body style="margin:0"><pre id="told">{{}}</pre>
<iframe id="page" style="border:0; width:{width}px; height:3000px; color-scheme: {scheme}"></iframe>
<script>
const pages = {pages}, all = {{}};
const next = () => {{ if (pages.length) page.src = pages[0][1]; }};
addEventListener("message", message => {{
  all[pages.shift()[0]] = message.data;
  told.textContent = JSON.stringify(all);
  next();
}});
next();
</script></body></html>"""


def missing(*, axe=True):
    """Return what is not there of what a probe needs, in words; empty where all is."""
    needed = (("Chromium", CHROMIUM), ("axe-core (make axe)", AXE.exists() or not axe))
    return " and ".join(name for name, found in needed if not found)


def probe(pages, width, folder, *, with_axe=False, on_paper=False, is_dark=False, based=False):
    """Open pages in a frame of a width, and return by their names what their scripts tell.

    ``based``: they lean on files beside them, such as style sheets.
    """
    copies = []
    for number, page in enumerate(pages):
        text = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8"))
        if on_paper:
            text = text.replace("@media print", "@media all").replace(
                "@media (max-width", "@media not all and (max-width"
            )
        if based:
            text = text.replace("<head>", f'<head><base href="{page.as_uri()}">', 1)
        script = f"<script>{AXE.read_text('utf-8')}</script>" if with_axe else ""
        before, end, after = text.rpartition("</body>")
        copy = folder / f"page-{number}.html"
        copy.write_text(f"{before}{script}{PROBE}{end}{after}", "utf-8")
        copies.append((str(page), copy.as_uri()))
    frame = folder / "frame.html"
    scheme = "dark" if is_dark else "light"
    frame.write_text(FRAME.format(pages=json.dumps(copies), width=width, scheme=scheme), "utf-8")
    settings = [f"--user-data-dir={folder / 'profile'}", f"--blink-settings=preferredColorScheme={int(not is_dark)}"]
    done = subprocess.run(
        [CHROMIUM, *FLAGS, *settings, frame.as_uri()], capture_output=True, text=True, check=True, timeout=1200
    )
    told = json.loads(unescape(re.search('<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)[1]))
    assert list(told) == [str(page) for page in pages], "the browser did not come to the end"
    assert all(each["is_dark"] == is_dark for each in told.values())
    return told
