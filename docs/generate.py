"""What the documentation says of the code, written by the code: run it after a public name, a module or an import.

``python docs/generate.py`` writes the list of public names in ``telemetry_kit/__init__.py``, and the picture of the
imports and the list of modules in ``ARCHITECTURE.md``; with ``--check`` it only tells whether they are as they stand
there, and exits with 1 where they are not.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import sys
from itertools import groupby
from pathlib import Path
from types import ModuleType

import grimp

import telemetry_kit as tk

CLONE = Path(__file__).parent.parent
PACKAGE = CLONE / "telemetry_kit"
# What everything imports, and what only starts the rest, would be arrows without a message.
NOT_DRAWN = {"errors", "__main__"}
WAYS_OF_DATA = ["bytes([files, tables, frames]) -.-> ingest", "public -.-> notebooks([notebooks]) -.-> reports"]


def main(argv: list[str] | None = None) -> int:
    """Write the parts, or check them; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a part is out of date")
    is_check = parser.parse_args(argv).check
    stale = [path for path, text in generated().items() if path.read_text(encoding="utf-8") != text]
    for path in stale:
        if not is_check:
            path.write_text(generated()[path], encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(CLONE)} {'is out of date: make docs' if is_check else 'written'}\n")
    return int(is_check and bool(stale))


def generated() -> dict[Path, str]:
    """Return each file with a part that the code writes, as it should be."""
    root, architecture = PACKAGE / "__init__.py", CLONE / "ARCHITECTURE.md"
    picture = f"```mermaid\n{imports()}\n```"
    text = replace_part(architecture.read_text(encoding="utf-8"), "picture", picture)
    return {
        root: replace_docstring(root.read_text(encoding="utf-8"), public_names()),
        architecture: replace_part(text, "modules", modules()),
    }


def public_names() -> str:
    """Return the docstring of the root: the public names by topic, one line each."""
    named = {name: getattr(tk, name) for name in tk.__all__}
    of_topic = [(topic(value), name) for name, value in named.items() if not isinstance(value, ModuleType)]
    of_topic.sort(key=lambda pair: (pair[0].count("."), pair))  # events come first, what is asked about them after
    lines = ["Analysis of incident-response telemetry: ``import telemetry_kit as tk``.", ""]
    for package, names in groupby(of_topic, key=lambda pair: pair[0]):
        lines += [first_line(sys.modules[package]), *(f"    {name}: {answer(named[name])}" for _, name in names), ""]
    for name, value in named.items():
        if isinstance(value, ModuleType):
            lines += [f"tk.{name}: {first_line(value)}"]
    return "\n".join(lines)


def topic(value: object) -> str:
    """Return the package that a public function or class is of: it is about one topic, and its docstring says which."""
    return getattr(value, "__module__", "").rpartition(".")[0]


def answer(value: object) -> str:
    """Return the first line of a docstring as a line of a list."""
    line = first_line(value).removeprefix("Return ").removesuffix(".")
    return line[0].upper() + line[1:]


def first_line(value: object) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(value) or "").partition("\n")[0]


def imports() -> str:
    """Return the picture of the imports at the root: an arrow from what is used to what uses it, none that follows."""
    graph = grimp.build_graph("telemetry_kit")
    children = {name: name.rpartition(".")[2] for name in graph.find_children("telemetry_kit")}
    boxes = {name: box for name, box in children.items() if box not in NOT_DRAWN}
    needs = {
        box: {boxes[other] for other in boxes if other != name and uses(graph, name, other)}
        for name, box in boxes.items()
    }
    lines = ["flowchart TD", *(f"    {way}" for way in WAYS_OF_DATA)]
    for box, needed in sorted(needs.items()):
        direct = {other for other in needed if not any(other in reached(needs, one) for one in needed - {other})}
        lines += [f"    {other} --> {box}" for other in sorted(direct)]
    return "\n".join(lines)


def uses(graph: grimp.ImportGraph, importer: str, imported: str) -> bool:
    """Tell whether a package, or a module in it, imports another or what is in that."""
    return graph.direct_import_exists(importer=importer, imported=imported, as_packages=True)


def reached(needs: dict[str, set[str]], box: str) -> set[str]:
    """Return what a package needs, and what that needs."""
    found: set[str] = set()
    rest = list(needs[box])
    while rest:
        if (one := rest.pop()) not in found:
            found.add(one)
            rest += needs[one]
    return found


def modules() -> str:
    """Return every module with the first line of its docstring, package by package."""
    lines = []
    for path in sorted(PACKAGE.rglob("*.py"), key=lambda path: (path.parent, path.name != "__init__.py", path.name)):
        if path in (PACKAGE / "__init__.py", PACKAGE / "__main__.py"):
            continue
        told = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
        place = path.relative_to(PACKAGE)
        is_package = path.name == "__init__.py"
        lines += [f"\n**`{place.parent}/`** {told}\n"] if is_package else [f"- `{place}`: {told}"]
    return "\n".join(lines).strip()


def replace_docstring(text: str, docstring: str) -> str:
    """Replace the docstring with which a module begins."""
    end = text.index('"""', 3)
    return f'"""{docstring}\n{text[end:]}'


def replace_part(text: str, name: str, part: str) -> str:
    """Replace what stands between the marks of a part."""
    begin, end = f"<!-- {name}: written by make docs -->", f"<!-- {name}: end -->"
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{part}\n{end}{rest.partition(end)[2]}"


if __name__ == "__main__":
    sys.exit(main())
