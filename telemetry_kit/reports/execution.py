"""A notebook and its parameters -> the executed notebook, in a kernel that nothing on the machine can colour."""

from __future__ import annotations

import asyncio
import atexit
import os
import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from telemetry_kit import temporary
from telemetry_kit.errors import ReportError
from telemetry_kit.reports.kernel import FOLDER, FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from subprocess import Popen

    from jupyter_client.manager import KernelManager
    from nbformat import NotebookNode

PARAMETERS_TAG = "parameters"
EXTENSION = "telemetry_kit.reports.kernel"
OPENING = "from telemetry_kit.reports.prepared import open_prepared as tk_open_prepared"
"""What the parameters of a report need."""
STARTUP_S = 600
"""Seconds that a kernel has to start: a machine that is busy takes many."""
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


def read_notebook(path: Path) -> NotebookNode:
    """Read a notebook, and see that it has the one cell that a report fills in.

    Parameters
    ----------
    path
        The notebook's file.

    Returns
    -------
    nbformat.NotebookNode
        The notebook, in version 4 of the format.

    Raises
    ------
    ReportError
        The notebook does not have exactly one cell with the tag ``parameters``.
    """
    import nbformat

    notebook: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    n_parameters = sum(PARAMETERS_TAG in tags_of(cell) for cell in notebook.cells)
    if n_parameters != 1:
        raise ReportError(path.name, f"has {n_parameters} cells tagged {PARAMETERS_TAG!r}, expected one")
    return notebook


def execute_notebook(
    notebook: NotebookNode,
    name: str,
    parameters: Mapping[str, str],
    on_cell: Callable[[], None],
    *,
    tables: Path,
    tables_as: str,
) -> None:
    """Execute a notebook in place, with the cell tagged ``parameters`` replaced.

    The kernel is this interpreter's own, talks through files of its own instead of network ports, and reads nobody's
    IPython or Matplotlib settings, so that the same notebook on the same events gives the same outputs.

    Parameters
    ----------
    notebook
        The notebook, as ``read_notebook`` returns it; its outputs are filled in.
    name
        Its name in messages.
    parameters
        For each variable, the Python expression that it gets.
    on_cell
        Called after each code cell.
    tables
        An empty directory for the files of the tables that its cells show.
    tables_as
        In which format tables are written.

    Raises
    ------
    ReportError
        A cell raised an exception, or the kernel did not start or died.
    """
    from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError

    _set_parameters(notebook, parameters)
    own = {FOLDER: str(tables.absolute()), FORMAT: tables_as}
    # The paths of sockets must be short.
    with temporary.scratch("tk-") as folder:
        manager = AsyncKernelManager(
            kernel_name=NATIVE_KERNEL_NAME,
            kernel_spec_manager=KernelSpecManager(kernel_dirs=[]),
            transport="ipc" if os.name == "posix" else "tcp",
            connection_file=str(folder / "kernel.json"),
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=None,
            startup_timeout=STARTUP_S,
            record_timing=False,
            store_widget_state=False,
            extra_arguments=[f"--InteractiveShellApp.extra_extensions={EXTENSION}"],
            on_cell_executed=lambda **_: on_cell(),
        )
        executing = client.async_execute(cleanup_kc=True, cwd=str(folder), env=_environment(folder) | own)
        # In a thread of its own, nbclient leaves the signals alone: an interrupt arrives here, and ends the kernel.
        try:
            with ThreadPoolExecutor(max_workers=1) as thread:
                execution = thread.submit(asyncio.run, executing)
                try:
                    execution.result()
                except CellExecutionError as error:
                    raise ReportError(name, f"{_failed_cell(notebook)}: {_told(error.ename, error.evalue)}") from None
                except (CellControlSignal, DeadKernelError) as error:
                    raise ReportError(name, f"the kernel died ({error})") from None
                except RuntimeError as error:
                    # That of a kernel that is not ready in time; what cells raise comes as one of the above. nbclient
                    # would clean up once more, when Python ends, what is no longer there.
                    atexit.unregister(client._cleanup_kernel)  # noqa: SLF001
                    raise ReportError(name, f"the kernel did not start ({error})") from None
                except BaseException:
                    # An interrupt, or a signal that ends the command.
                    atexit.unregister(client._cleanup_kernel)  # noqa: SLF001
                    while not execution.done():
                        _kill_kernel(manager)
                        time.sleep(0.1)
                    raise
        finally:
            # A kernel is ended without a word, and leaves what it put on the disk.
            temporary.remove_dead(Path(tempfile.gettempdir()), temporary.PREFIX)


def _kill_kernel(manager: KernelManager) -> None:
    """Kill the kernel's process, if it has begun."""
    process: Popen[bytes] | None = getattr(manager.provisioner, "process", None)
    if process is not None:
        process.kill()


def tags_of(cell: NotebookNode) -> list[str]:
    """Return the tags of a cell."""
    tags: list[str] = cell.metadata.get("tags", [])
    return tags


def has_failed(cell: NotebookNode) -> bool:
    """Tell whether a cell ended with an exception."""
    return any(output.output_type == "error" for output in cell.get("outputs", []))


def _set_parameters(notebook: NotebookNode, parameters: Mapping[str, str]) -> None:
    for cell in notebook.cells:
        if PARAMETERS_TAG in tags_of(cell):
            lines = [f"{variable} = {expression}" for variable, expression in parameters.items()]
            cell.source = "\n".join([OPENING, *lines])


def _environment(folder: Path) -> dict[str, str]:
    settings = folder / "matplotlibrc"
    settings.touch()
    # A warning that somebody wants as an error is one of our code or of theirs, not of what kernels are made of.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    return inherited | {
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
        "MATPLOTLIBRC": str(settings),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "PYTHONHASHSEED": "0",
    }


def _told(name: str, value: str) -> str:
    """Return the kind and the first line of an exception."""
    lines = _ANSI.sub("", str(value)).strip().splitlines()
    return f"{name}: {lines[0]}" if lines else f"{name} without a message"


def _failed_cell(notebook: NotebookNode) -> str:
    for number, cell in enumerate(notebook.cells, start=1):
        if has_failed(cell):
            return f"cell {number} ({cell.source.strip().splitlines()[0]})"
    return "a cell"
