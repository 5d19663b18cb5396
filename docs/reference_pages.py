"""The pages of the reference that the code makes: public functions by topic, the data dictionary, the command line."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import sys
from itertools import groupby
from types import ModuleType
from typing import TYPE_CHECKING

import telemetry_kit as tk
from telemetry_kit.cli import main as command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIELDS_OF_LOG = frozenset(field.name for field in dataclasses.fields(tk.EventLog))
COMMANDS = ("report", "validate", "convert", "simulate", "schema")


def write(folder: Path) -> None:
    """Write every page; one that is as it was keeps its time, so that it is not built again."""
    folder.mkdir(exist_ok=True)
    pages = {**dict(function_pages()), "functions": contents(), "cli": commands(), "fields": fields()}
    for path in folder.glob("*.md"):
        if path.stem not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def topics() -> dict[str, list[str]]:
    """Return the public functions and classes by the package or module that they are of, which is one topic."""
    named = [(getattr(tk, name), name) for name in tk.__all__]
    public = [(topic_of(value.__module__), name) for value, name in named if not isinstance(value, ModuleType)]
    grouped = groupby(sorted(public), key=lambda pair: pair[0])
    return {package: [name for _, name in pairs] for package, pairs in grouped}


def topic_of(module: str) -> str:
    """Return the package of a module, and the module itself where the package holds all topics."""
    package = module.rpartition(".")[0]
    return module if package == "telemetry_kit.analyses" else package


def pictures() -> list[str]:
    """Return the names of all pictures."""
    return sorted(name for name in tk.plots.__all__ if name.startswith("plot_"))


def function_pages() -> Iterator[tuple[str, str]]:
    """Give the page of each topic with the docstrings of its functions."""
    for package, names in topics().items():
        yield slug(package), page(title(package), sys.modules[package], [f"telemetry_kit.{name}" for name in names])
    yield "plots", page("Pictures", tk.plots, [f"telemetry_kit.plots.{name}" for name in pictures()])
    own = [name for name, value in vars(tk.errors).items() if getattr(value, "__module__", "") == tk.errors.__name__]
    classes = [name for name in own if inspect.isclass(getattr(tk.errors, name))]
    yield "errors", page("Errors and warnings", tk.errors, [f"telemetry_kit.errors.{name}" for name in classes])


def slug(package: str) -> str:
    """Return the name of the page of a package."""
    return package.rpartition(".")[2]


def title(package: str) -> str:
    """Return what the page of a package is called."""
    return "Event log" if slug(package) == "eventlog" else slug(package).capitalize()


def page(heading: str, module: ModuleType, names: list[str]) -> str:
    """Return a page with the docstrings of some public names."""
    parts = [f"# {heading}", "", first_line(module), ""]
    for name in names:
        is_class = inspect.isclass(getattr(tk, name.rpartition(".")[2], None)) or ".errors." in name
        directive = "autoclass" if is_class else "autofunction"
        methods = [key for key in vars(tk.EventLog) if not key.startswith("_") and key not in FIELDS_OF_LOG]
        members = f"   :members: {', '.join(methods)}\n" if name.endswith("EventLog") else ""
        parts += ["```{eval-rst}", f".. {directive}:: {name}\n{members}".rstrip(), "```", ""]
    return "\n".join(parts)


def contents() -> str:
    """Return the list of all public functions by topic, one line each, each a link to its docstring."""
    parts = ["# Functions by topic", "", "`import telemetry_kit as tk`; every name below is `tk.<name>`.", ""]
    pages = []
    for package, names in topics().items():
        pages.append(slug(package))
        parts += [f"## {title(package)}", "", first_line(sys.modules[package]), ""]
        parts += [f"- {{py:obj}}`telemetry_kit.{name}`: {first_line(getattr(tk, name))}" for name in names]
        parts.append("")
    parts += ["## Pictures", ""]
    parts += [f"- {{py:obj}}`telemetry_kit.plots.{name}`: {first_line(getattr(tk.plots, name))}" for name in pictures()]
    tree = "\n".join([*pages, "plots", "errors"])
    return "\n".join([*parts, "", f"```{{toctree}}\n:hidden:\n\n{tree}\n```", ""])


def commands() -> str:
    """Return the help of every command, as it is printed."""
    parts = ["# Command line", ""]
    for name in ((), *((each,) for each in COMMANDS)):
        title = " ".join(("telemetry-kit", *name))
        parts += [f"## `{title}`", "", "```text", printed([*name, "--help"]), "```", ""]
    return "\n".join(parts)


def printed(arguments: list[str]) -> str:
    """Return what a command prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        command(arguments)
    return out.getvalue().strip()


def fields() -> str:
    """Return the data dictionary as one table for each event type."""
    table = tk.schemas.data_dictionary().astype("object").fillna("").astype("str")
    parts = [
        "# Data dictionary",
        "",
        "One table for each event type; the columns stand in the order of the frames.",
        "",
    ]
    for event_type, rows in table.groupby("event_type", sort=False):
        parts += [
            f"## {event_type}",
            "",
            "| column | type | null | published | wire | values | meaning |",
            "|---|---|---|---|---|---|---|",
        ]
        cells = rows[["column", "type", "nullable", "published", "wire", "values", "description"]].to_numpy()
        parts += [
            "| " + " | ".join(f"`{cell}`" if n in (0, 1, 3, 4) and cell else cell for n, cell in enumerate(row)) + " |"
            for row in cells
        ]
        parts.append("")
    return "\n".join(parts)


def first_line(value: object) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(value) or "").partition("\n")[0]
