"""Executed notebooks -> HTML pages that stand alone: nothing is fetched, nothing runs, every figure is inside."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from telemetry_kit.reports import figures
from telemetry_kit.reports.blocks import blocks_of, headings_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Environment
    from nbformat import NotebookNode

    from telemetry_kit.reports.blocks import Block
    from telemetry_kit.reports.exhibits import Exhibit

_TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)
_ANCHOR = re.compile(r'<a class="anchor-link".*?</a>', re.DOTALL)
_MARK = re.compile(r"[*`]|\[([^\]]*)\]\([^)]*\)")
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Chapter:
    """One executed notebook on its way to its page."""

    name: str
    notebook: NotebookNode
    number: int
    error: str = ""
    """Why its execution ended early; empty where it did not."""

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
    def blocks(self) -> list[Block]:
        """What its page shows, in order."""
        return blocks_of(self.notebook, self.name, self.number, self.error)

    @functools.cached_property
    def exhibits(self) -> list[Exhibit]:
        """Its tables and figures with a name, in their order on the page."""
        return [block.exhibit for block in self.blocks if block.exhibit and block.exhibit.name]

    @property
    def contents(self) -> list[tuple[str, str]]:
        """The headings of its page, each with its fragment."""
        return [(heading, _fragment(heading)) for heading in headings_of(self.blocks)]

    @property
    def _prose(self) -> str:
        return "\n\n".join(cell.source for cell in self.notebook.cells if cell.cell_type == "markdown")


def render_chapter(chapter: Chapter, chapters: Sequence[Chapter], cover: Mapping[str, Any]) -> str:
    """Return the page of a chapter: prose, figures and tables, the code of each one click away.

    Parameters
    ----------
    chapter
        The chapter to render.
    chapters
        All chapters, for the links between them.
    cover
        What every page says about the events, as ``writing`` makes it.

    Returns
    -------
    str
        An HTML document.
    """
    return _environment().get_template("chapter.html").render(chapter=chapter, chapters=chapters, **cover)


def render_index(chapters: Sequence[Chapter], cover: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    """Return the first page of a report: what was found, in numbers and in short, and the way to everything else.

    Parameters
    ----------
    chapters
        All chapters, in their order.
    cover
        What every page says about the events, as for ``render_chapter``.
    first
        What the first page alone says: ``findings``, ``cards``, ``alerts``, ``changes``, ``files``.

    Returns
    -------
    str
        An HTML document.
    """
    return _environment().get_template("index.html").render(chapters=chapters, **cover, **first)


def render_single(chapters: Sequence[Chapter], cover: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    """Return all pages of a report in one, for a mail: its links lead within it.

    Parameters
    ----------
    chapters, cover, first
        As for ``render_index``.

    Returns
    -------
    str
        An HTML document.
    """
    page = _environment().get_template("single.html").render(chapters=chapters, is_single=True, **cover, **first)
    for chapter in chapters:
        page = page.replace(f'href="{chapter.path}#', 'href="#').replace(
            f'href="{chapter.path}"', f'href="#{chapter.name}"'
        )
    return page.replace('href="index.html"', 'href="#content"')


def plain_text(markdown: str) -> str:
    """Return Markdown of a paragraph as plain text.

    Examples
    --------
    >>> plain_text("**Half** of [them](a.html) stay in `stage 0`.")
    'Half of them stay in stage 0.'
    """
    return " ".join(_MARK.sub(lambda match: match[1] or "", markdown).split())


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "prose": _prose,
        "said": lambda text: _prose(_without_html(text)),
        "sentence": lambda text: Markup(_paragraph(_prose(_without_html(text)))),  # noqa: S704 - escaped before
        "code": _highlighted,
        "plain": plain_text,
        "figure": lambda exhibit: Markup(_figure(exhibit)),  # noqa: S704 - drawn by Matplotlib, which escapes texts
    }
    style = (_TEMPLATES / "style.css").read_text("utf-8")
    environment.globals["is_single"] = False
    environment.globals["style"] = Markup(style)  # noqa: S704 - this package's file
    return environment


def _figure(exhibit: Exhibit) -> str:
    return figures.within_page(described(exhibit), exhibit.anchor)


def described(exhibit: Exhibit) -> str:
    """Return the SVG of a figure with its title and its description."""
    description = plain_text(exhibit.description) or exhibit.title
    return figures.with_description(exhibit.content, plain_text(exhibit.title), description, exhibit.anchor)


def _prose(text: str) -> Any:  # noqa: ANN401 - markupsafe is imported where it is used
    from markupsafe import Markup
    from nbconvert.filters import markdown2html

    made = _ANCHOR.sub("", markdown2html(text))
    made = re.sub(r"<h([123])([^>]*)>", lambda match: f"<h{match[1]}>", made)
    made = re.sub(
        r"<h([23])>(.*?)</h\1>", lambda match: f'<h{match[1]} id="{_fragment(match[2])}">{match[2]}</h{match[1]}>', made
    )
    return Markup(made)  # noqa: S704 - the notebook's own words, or escaped before


def _paragraph(html: str) -> str:
    return re.sub(r"\A\s*<p>(.*?)</p>\s*\Z", r"\1", str(html), flags=re.DOTALL)


def _fragment(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", re.sub("<.*?>", "", heading).lower()).strip("-")


def _highlighted(code: str) -> Any:  # noqa: ANN401 - markupsafe is imported where it is used
    from markupsafe import Markup
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return Markup(highlight(code, PythonLexer(), HtmlFormatter(nowrap=True)))  # noqa: S704 - Pygments escapes


def _without_html(markdown: str) -> str:
    """Escape the HTML in Markdown that a cell has computed: it may quote what an event said."""
    return markdown.replace("&", "&amp;").replace("<", "&lt;")
