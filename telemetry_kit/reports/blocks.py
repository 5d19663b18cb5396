"""An executed notebook -> the blocks of its page: prose, figures and tables with their code, and what went wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from telemetry_kit.reports.execution import PARAMETERS_TAG, has_failed, tags_of
from telemetry_kit.reports.exhibits import Exhibit, exhibits_of, is_for_exhibits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

READING_TAG = "how-to-read"
IF_SHOWN_TAG = "if-shown"
"""Prose that stands only where an exhibit follows before the next prose of its kind."""
_HEADING = re.compile(r"^(#{1,3}) +(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A piece of a page, in the order of the notebook."""

    kind: Literal["prose", "said", "exhibit", "html", "text", "error"]
    text: str = ""
    exhibit: Exhibit | None = None
    reading: str = ""
    """How to read the exhibit, as Markdown."""
    code: str = ""
    """The code that makes the exhibit, from the cell after the last one on."""


def blocks_of(notebook: NotebookNode, name: str, number: int, error: str = "") -> list[Block]:
    """Return the blocks of a page.

    Parameters
    ----------
    notebook
        An executed notebook.
    name
        Its name in messages.
    number
        Which part of the report it is, which its exhibits are numbered after.
    error
        Why its execution ended early, if it did; what follows the failed cell is left out.

    Returns
    -------
    list of Block
        In the order of the page.
    """
    blocks: list[Block] = []
    counts = {"figure": 0, "table": 0}
    reading, waiting, code = "", [], []
    for cell in notebook.cells:
        tags = tags_of(cell)
        if cell.cell_type == "markdown":
            prose = Block("prose", cell.source)
            if READING_TAG in tags:
                reading = cell.source
            else:
                waiting = [prose] if IF_SHOWN_TAG in tags else []
                blocks.extend([] if waiting else [prose])
        elif cell.cell_type == "code":
            if has_failed(cell) or (error and not _ran(cell)):
                break
            code += [] if PARAMETERS_TAG in tags else [cell.source.strip()]
            exhibits = list(exhibits_of(cell, name))
            blocks.extend(waiting if exhibits else [] if is_for_exhibits(cell) else _shown(cell))
            for exhibit in exhibits:
                counts[exhibit.kind] += 1
                numbered = replace(exhibit, number=f"{number}.{counts[exhibit.kind]}")
                blocks.append(Block("exhibit", exhibit=numbered, reading=reading, code="\n\n".join(code)))
            if is_for_exhibits(cell):
                waiting = [] if exhibits else waiting
                reading, code = "", [] if exhibits else code
    return [*blocks, Block("error", error)] if error else _without_bare_headings(blocks)


def headings_of(blocks: list[Block]) -> Iterator[str]:
    """Yield the headings of the second order, for the contents of a page."""
    for block in blocks:
        if block.kind == "prose":
            yield from (text for marks, text in _HEADING.findall(block.text) if len(marks) == 2)  # noqa: PLR2004


def _without_bare_headings(blocks: list[Block]) -> list[Block]:
    """Leave out headings under which nothing stands, because the recording holds nothing that they are about."""
    kept: list[Block] = []
    # From the end, so that a heading goes whose headings below it have gone.
    for block in reversed(blocks):
        heading = _HEADING.fullmatch(block.text.strip()) if block.kind == "prose" else None
        after = _HEADING.match(kept[-1].text.strip()) if kept and kept[-1].kind == "prose" else None
        is_bare = not kept or (after is not None and heading is not None and len(after[1]) <= len(heading[1]))
        if not (heading and is_bare):
            kept.append(block)
    return kept[::-1]


def _ran(cell: NotebookNode) -> bool:
    return cell.get("execution_count") is not None or not cell.source.strip()


def _shown(cell: NotebookNode) -> Iterator[Block]:
    """Yield what a cell without exhibits shows; what it wrote to standard error may name paths, and is no part."""
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if "text/html" in data:
            yield Block("html", data["text/html"])
        elif "text/markdown" in data:
            yield Block("said", data["text/markdown"])
        elif "image/svg+xml" in data:
            yield Block("exhibit", exhibit=Exhibit("figure", "", data["image/svg+xml"]))
        elif "text/plain" in data:
            yield Block("text", data["text/plain"])
        elif output.output_type == "stream" and output.name == "stdout":
            yield Block("text", output.text)
