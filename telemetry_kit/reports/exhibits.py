"""An executed notebook -> its exhibits: the tables and figures that its cells are tagged to give away.

A cell tagged ``table:NAME`` shows a pandas frame, which becomes ``tables/NAME.csv``, or a file of another format; a
cell tagged ``figure:NAME`` draws a figure, which becomes ``figures/NAME.svg``. What the cell says as Markdown is the
title of its exhibit, and after the first paragraph its description. The tag stands in the notebook's metadata, so the
notebook itself needs nothing but the public names of the package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from telemetry_kit.errors import ReportError
from telemetry_kit.reports.execution import tags_of
from telemetry_kit.reports.kernel import TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

Kind = Literal["table", "figure"]
MIMETYPES: dict[Kind, str] = {"table": TABLE, "figure": "image/svg+xml"}
FOLDERS: dict[Kind, str] = {"table": "tables", "figure": "figures"}
_TAG = re.compile(r"(table|figure):([a-z0-9]+(?:-[a-z0-9]+)*)")


@dataclass(frozen=True)
class Exhibit:
    """A table or a figure under the name by which it leaves its notebook."""

    kind: Kind
    name: str
    content: str
    """The SVG of a figure; of a table the path of its file."""
    said: str = ""
    """What its cell says of it, as Markdown: the first paragraph is its title."""
    code: str = ""
    bundle: dict[str, str] = field(default_factory=dict)
    number: str = ""

    @property
    def path(self) -> str:
        """Where the exhibit's file lies in the report."""
        end = ".svg" if self.kind == "figure" else Path(self.content).suffix
        return f"{FOLDERS[self.kind]}/{self.name}{end}"

    @property
    def anchor(self) -> str:
        """The fragment under which its page has it."""
        return f"{self.kind}-{self.name}"

    @property
    def label(self) -> str:
        """What it is called in the text, with its number."""
        return f"{self.kind.capitalize()} {self.number}".rstrip()

    @property
    def title(self) -> str:
        """What it shows, in a sentence where its cell says one, and otherwise its name in words."""
        words = self.name.replace("-", " ")
        first = self.said.strip().partition("\n\n")[0]
        return " ".join(first.replace("**", "").split()) or words[0].upper() + words[1:]

    @property
    def description(self) -> str:
        """What its cell says after the title, as Markdown."""
        return self.said.strip().partition("\n\n")[2]


def is_for_exhibits(cell: NotebookNode) -> bool:
    """Tell whether a cell is tagged for a table or a figure, whether it shows one or not."""
    return any(_TAG.fullmatch(tag) for tag in tags_of(cell))


def exhibits_of(cell: NotebookNode, notebook: str) -> Iterator[Exhibit]:
    """Yield the exhibits of an executed cell, in the order of its tags.

    Parameters
    ----------
    cell
        A cell of an executed notebook.
    notebook
        The notebook's name in messages.

    Yields
    ------
    Exhibit
        One for each tag that names one, without a number.

    Raises
    ------
    ReportError
        The cell is tagged for an exhibit that none of its outputs is.
    """
    outputs = cell.get("outputs", [])
    said = "\n\n".join(output.data["text/markdown"] for output in outputs if "text/markdown" in output.get("data", {}))
    # What there is nothing of, such as stages where the plugin sends none, is not shown.
    is_silent = all("text/markdown" in output.get("data", {}) or output.output_type == "stream" for output in outputs)
    for tag in tags_of(cell):
        match = _TAG.fullmatch(tag)
        if match is None:
            if tag.startswith(tuple(f"{kind}:" for kind in FOLDERS)):
                raise ReportError(notebook, f"the tag {tag!r} is no name: expected small letters, digits and hyphens")
            continue
        kind: Kind = "table" if match[1] == "table" else "figure"
        bundles = [output.data for output in outputs if MIMETYPES[kind] in output.get("data", {})]
        if is_silent:
            continue
        if len(bundles) != 1:
            raise ReportError(notebook, f"the cell tagged {tag!r} shows {len(bundles)} {kind}s, expected one")
        yield Exhibit(kind, match[2], bundles[0][MIMETYPES[kind]], said, cell.source.strip(), dict(bundles[0]))
