"""An executed notebook -> its exhibits: the tables and figures that its cells are tagged to give away.

A cell tagged ``table:NAME`` shows a pandas frame, which becomes ``tables/NAME.csv``; a cell tagged ``figure:NAME``
draws a figure, which becomes ``figures/NAME.svg``. The tag stands in the notebook's metadata, so the notebook itself
needs nothing but the public names of the package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from telemetry_kit.errors import ReportError
from telemetry_kit.reports.execution import tags_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nbformat import NotebookNode

Kind = Literal["table", "figure"]
MIMETYPES: dict[Kind, str] = {"table": "text/csv", "figure": "image/svg+xml"}
FILES: dict[Kind, str] = {"table": "tables/{}.csv", "figure": "figures/{}.svg"}
_TAG = re.compile(r"(table|figure):([a-z0-9]+(?:-[a-z0-9]+)*)")


@dataclass(frozen=True)
class Exhibit:
    """A table or a figure under the name by which it leaves its notebook."""

    kind: Kind
    name: str
    content: str

    @property
    def path(self) -> str:
        """Where the exhibit's file lies in the report."""
        return FILES[self.kind].format(self.name)

    @property
    def title(self) -> str:
        """The name in words."""
        words = self.name.replace("-", " ")
        return words[0].upper() + words[1:]


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
        One for each tag that names one.

    Raises
    ------
    ReportError
        The cell is tagged for an exhibit that none of its outputs is.
    """
    for tag in tags_of(cell):
        match = _TAG.fullmatch(tag)
        if match is None:
            if tag.startswith(tuple(f"{kind}:" for kind in FILES)):
                raise ReportError(notebook, f"the tag {tag!r} is no name: expected small letters, digits and hyphens")
            continue
        kind: Kind = "table" if match[1] == "table" else "figure"
        contents = [
            output.data[MIMETYPES[kind]]
            for output in cell.get("outputs", [])
            if MIMETYPES[kind] in output.get("data", {})
        ]
        if len(contents) != 1:
            raise ReportError(notebook, f"the cell tagged {tag!r} shows {len(contents)} {kind}s, expected one")
        yield Exhibit(kind, match[2], contents[0])
