"""What a command shows on a terminal: accounts and tables as text, complaints in a line, and how far it is."""

from __future__ import annotations

import contextlib
import sys
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TextIO

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROGRAM = "telemetry-kit"
MOST_LINES = 12
MISTAKE = 2
"""The exit status after a mistake of the user's."""


def print_audit(audit: pd.DataFrame) -> float:
    """Print what became of every record, the total first, and return the share that was rejected."""
    total = audit.sum(numeric_only=True)
    share: float = total["n_rejected"] / max(total["n_read"], 1)
    print(f"{total['n_rejected']:,} of {total['n_read']:,} records rejected ({share:.2%})\n")
    folded = _by_folder(audit)
    in_all = total.to_frame().T.assign(source="in all")[audit.columns]
    print(plain_table(folded if len(audit) == 1 else pd.concat([in_all, folded])))
    return share


def _by_folder(audit: pd.DataFrame) -> pd.DataFrame:
    """Add up the lines of an audit by folder, where there are more than can be looked at."""
    places = [PurePosixPath(source).parts for source in audit["source"]]
    deepest = max((len(parts) for parts in places), default=0)
    for depth in range(deepest, 0, -1):
        names = pd.Series(
            ["/".join([*parts[:depth], ""]) if len(parts) > depth else "/".join(parts) for parts in places],
            index=audit.index,
            dtype="str",
        )
        if depth == 1 or names.nunique() <= MOST_LINES:
            break
    else:
        return audit
    sums = audit.drop(columns="source").groupby(names, sort=False).sum()
    n_files = names.value_counts().reindex(sums.index)
    told = [f"{name} ({n:,} files)" if n > 1 else name for name, n in n_files.items()]
    return sums.reset_index(drop=True).assign(source=pd.Series(told, dtype="str"))[audit.columns]


def plain_table(frame: pd.DataFrame) -> str:
    """Return a frame as aligned text, numbers to the right, with nothing in it that a terminal would obey."""
    columns = []
    for name, column in frame.items():
        is_number = pd.api.types.is_integer_dtype(column.dtype)
        cells = ["" if pd.isna(value) else f"{value:,}" if is_number else _printable(str(value)) for value in column]
        width = max(map(len, [str(name), *cells]))
        columns.append([cell.rjust(width) if is_number else cell.ljust(width) for cell in [str(name), *cells]])
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextlib.contextmanager
def progress(stream: TextIO) -> Iterator[Callable[[int, int, str], None]]:
    """Show on a terminal what is done and how long the rest will take, and nothing elsewhere."""
    with contextlib.ExitStack() as stack:
        bar = None

        def show(done: int, total: int, what: str) -> None:
            nonlocal bar
            if not stream.isatty():
                return
            from tqdm import tqdm

            if bar is None:
                bar = stack.enter_context(tqdm(total=total, unit="cell", file=stream, leave=False, delay=2))
            bar.set_description(what, refresh=False)
            bar.update(done - bar.n)

        yield show


def show_once() -> Callable[..., None]:
    """Return what shows a warning, once in a run: a report reads the same events again and again."""
    shown: set[str] = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            complain(f"warning: {message}")

    return show


def complain(message: str, status: int = MISTAKE) -> int:
    """Say on standard error, in a line, what is wrong, and return the exit status."""
    print(f"{PROGRAM}: {_printable(' '.join(message.split()))}", file=sys.stderr)
    return status
