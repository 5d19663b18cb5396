"""Executed notebooks -> HTML pages that stand alone: nothing is fetched, nothing runs, every figure is inside."""

from __future__ import annotations

import base64
import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telemetry_kit.reports.exhibits import exhibits_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Environment
    from nbformat import NotebookNode

    from telemetry_kit.reports.exhibits import Exhibit

_TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Chapter:
    """One executed notebook on its way to its page."""

    name: str
    notebook: NotebookNode

    @property
    def path(self) -> str:
        """Where the chapter's page lies in the report."""
        return f"{self.name}.html"

    @property
    def n_cells(self) -> int:
        """How many cells there are to execute."""
        return sum(cell.cell_type == "code" for cell in self.notebook.cells)

    @functools.cached_property
    def title(self) -> str:
        """The first heading of its prose."""
        found = _TITLE.search(self._prose)
        return found[1].strip() if found else self.name

    @functools.cached_property
    def lead(self) -> str:
        """The first paragraph after that heading, as Markdown."""
        paragraphs = _TITLE.sub("", self._prose, count=1).split("\n\n")
        return next((text.strip() for text in paragraphs if text.strip() and not text.lstrip().startswith("#")), "")

    @functools.cached_property
    def exhibits(self) -> list[Exhibit]:
        """Its tables and figures, in their order on the page."""
        return [exhibit for cell in self.notebook.cells for exhibit in exhibits_of(cell, self.name)]

    @property
    def _prose(self) -> str:
        return "\n\n".join(cell.source for cell in self.notebook.cells if cell.cell_type == "markdown")


def render_chapter(chapter: Chapter, chapters: Sequence[Chapter], cover: Mapping[str, Any]) -> str:
    """Return the page of a chapter: prose, tables and figures, without the code.

    Parameters
    ----------
    chapter
        The chapter to render.
    chapters
        All chapters, for the links between them.
    cover
        What every page says about the events: ``sources``, ``cutoff``, ``counts`` and ``version``.

    Returns
    -------
    str
        An HTML document.
    """
    return _environment().get_template("chapter.html").render(chapter=chapter, chapters=chapters, **cover)


def render_index(chapters: Sequence[Chapter], cover: Mapping[str, Any]) -> str:
    """Return the first page of a report: what was read, the chapters, and every file to take away.

    Parameters
    ----------
    chapters
        All chapters, in their order.
    cover
        What every page says about the events, as for ``render_chapter``.

    Returns
    -------
    str
        An HTML document.
    """
    return _environment().get_template("index.html").render(chapters=chapters, **cover)


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup
    from nbconvert.filters import markdown2html

    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = lambda text: Markup(markdown2html(text))  # noqa: S704 - the notebook's own words
    environment.filters["shown_prose"] = lambda text: Markup(markdown2html(_without_html(text)))  # noqa: S704 - escaped
    environment.filters["datauri"] = _data_uri
    environment.globals["exhibits_of"] = exhibits_of
    environment.globals["style"] = Markup((folder / "style.css").read_text("utf-8"))  # noqa: S704 - this package's file
    return environment


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _without_html(markdown: str) -> str:
    """Escape the HTML in Markdown that a cell has computed: it may quote what an event said."""
    return markdown.replace("&", "&amp;").replace("<", "&lt;")
