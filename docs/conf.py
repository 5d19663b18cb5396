"""How the manual is built: Markdown pages whose code runs, and a reference that the docstrings make."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from latex2mathml.converter import convert

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

sys.path.insert(0, str(Path(__file__).parent))
import reference_pages

project = "telemetry-kit"
author = "The telemetry-kit maintainers"
version = release = importlib.metadata.version("telemetry-kit")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "generate.py"]
suppress_warnings = ["mystnb.unknown_mime_type"]

# Every page is run anew, and a page that fails breaks the build.
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_excludepatterns = ["spark.ipynb"]  # run by the tests, which start a Spark of their own
nb_merge_streams = True
nb_execution_show_tb = True
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_typehints = "none"
add_module_names = False

# No page calls an address when it is opened, and the search works on files without a server.
html_theme = "pydata_sphinx_theme"
html_title = "telemetry-kit"
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_js_files = ["manual.js"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_sidebars = {name: [] for name in ("index", "tutorial", "gallery", "benchmarks", "changelog")}
html_theme_options = {
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_align": "left",
    "footer_start": [],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "search_bar_text": "Search the manual",
}
linkcheck_ignore = [r"https?://.*"]  # where the manual is built there need not be a network


def visit_math(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula as MathML, which browsers show without a script."""
    self.body.append(convert(node.astext()))
    raise nodes.SkipNode


def visit_displaymath(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula of its own line as MathML."""
    self.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def describe_pictures(_app: Sphinx, page: nodes.document, _name: str) -> None:
    """Give each picture that a block draws the title of its section, for those who cannot see it."""
    for section in page.findall(nodes.section):
        title = section.next_node(nodes.title)
        for picture in section.findall(nodes.image):
            picture["alt"] = f"Picture: {title.astext()}" if title else "Picture"


def setup(app: Sphinx) -> None:
    """Register the formulas, and write the pages that the code makes before any page is read."""
    app.connect("doctree-resolved", describe_pictures)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_displaymath, None))
    reference_pages.write(Path(__file__).parent / "api")
