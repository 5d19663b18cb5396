"""A figure's SVG as a file that says what it shows, and inside a page, whose colours it takes."""

from __future__ import annotations

import html
import re

_PROLOG = re.compile(r"\A.*?(?=<svg\b)", re.DOTALL)
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
_SIZE = re.compile(r'\b(width|height)="([\d.]+)pt"')
_NAMESPACES = re.compile(r'\s+xmlns(:\w+)?="[^"]*"')
_IDS = re.compile(r'(\bid="|\bhref="#|url\(#)')
# White is the paper below, between and within marks; only letters are white because what they stand on is dark.
_PAPER = re.compile(r'(?<!<g style="fill: )#ffffff')
_OPENING = re.compile(r"<svg\b[^>]*>")
PAGE_COLORS = {"#222222": "--ink", "#5a5a5a": "--quiet", "#dddddd": "--rule", "#000000": "--black"}
"""The colours of a figure that follow the page into its dark scheme, as its paper does; those of data stay."""
LETTER_COLORS = {"#0072b2": "--first-letters", "#d55e00": "--second-letters"}
"""Colours of data that letters take too, where they are too dark to be read in the dark scheme."""
PIXELS_PER_POINT = 4 / 3
LEAST_SCALE = 0.86
"""How much smaller than drawn a figure may be shown, so that no letter is under nine pixels."""


def with_description(svg: str, title: str, description: str, anchor: str) -> str:
    """Return a figure's SVG with its title and description for those who cannot see it.

    Parameters
    ----------
    svg
        As Matplotlib writes it.
    title, description
        In plain text.
    anchor
        What the figure is called where ids have to differ.

    Returns
    -------
    str
        The SVG, whole.

    Examples
    --------
    >>> with_description("<svg></svg>", "Up", "From 1 to 2", "up").splitlines()[1]
    '<title id="up-title">Up</title>'
    """
    found = _OPENING.search(svg)
    if found is None:
        return svg
    named = f'aria-labelledby="{anchor}-title {anchor}-desc"'
    opening = f'{found[0][:-1]} role="img" {named}>'
    told = (
        f'\n<title id="{anchor}-title">{html.escape(title)}</title>'
        f'\n<desc id="{anchor}-desc">{html.escape(description)}</desc>'
    )
    return svg[: found.start()] + opening + told + svg[found.end() :]


def within_page(svg: str, anchor: str) -> str:
    """Return a figure's SVG as an element of a page: its ids its own, its ink the page's, its size a most.

    Parameters
    ----------
    svg
        As ``with_description`` returns it.
    anchor
        What its ids begin with.

    Returns
    -------
    str
        An ``<svg>`` element.
    """
    # Within HTML, an SVG is told by its name, and no address of a namespace is needed.
    element = _NAMESPACES.sub("", _METADATA.sub("", _PROLOG.sub("", svg, count=1)))
    sizes = dict(_SIZE.findall(element[: element.index(">")]))
    width = float(sizes.get("width", 0)) * PIXELS_PER_POINT
    own = f"{anchor}."
    element = _IDS.sub(lambda match: f"{match[1]}{own}", element)
    for part in ("title", "desc"):
        element = element.replace(f'id="{own}{anchor}-{part}"', f'id="{anchor}-{part}"')
    element = _PAPER.sub("var(--paper)", element)
    for color, name in PAGE_COLORS.items():
        element = element.replace(color, f"var({name})")
    for color, name in LETTER_COLORS.items():
        element = element.replace(f'<g style="fill: {color}', f'<g style="fill: var({name})')
    if width:
        looks = f' style="width: {width:.0f}px; min-width: min({LEAST_SCALE * width:.0f}px, 48rem)"'
        element = _SIZE.sub("", element, count=2).replace("<svg", f"<svg{looks}", 1)
    return element
