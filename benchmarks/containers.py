"""The same simulated events as users have them: clean, with damage, packed, in bodies, and as tables."""

from __future__ import annotations

import gzip
import itertools
import random
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.readers import FLAT, flat_query

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DELIVERED_LATER = 1000
"""How many lines behind an event it is delivered again."""
IN_A_BODY = 100


@dataclass(frozen=True)
class Container:
    """What is made of a file of events: its name in the table, and how much of what is wrong in it."""

    what: str
    repeated: float = 0
    malformed: float = 0
    n_malformed: int = 0
    has_unknown: bool = False

    @property
    def is_malformed(self) -> bool:
        """Tell whether some line is no JSON."""
        return self.malformed > 0 or self.n_malformed > 0


CLEAN = "jsonl"
BODIES = "bodies.jsonl"
CONTAINERS = {
    CLEAN: Container("clean"),
    "usual.jsonl": Container("1 % repeated, 0.1 % malformed", repeated=0.01, malformed=0.001),
    "dirty.jsonl": Container("10 % repeated, 1 % malformed", repeated=0.1, malformed=0.01),
    "one.jsonl": Container("one malformed line", n_malformed=1),
    "unknown.jsonl": Container("one unknown property on every line", has_unknown=True),
    "jsonl.gz": Container("gzip"),
    BODIES: Container("bodies of 100 events"),
    "csv": Container("CSV"),
    "parquet": Container("Parquet"),
}
"""What users have, by the ending of its file."""
SHARES = {
    f"malformed-{share:g}.jsonl": Container(f"{share:.4g} malformed", malformed=share)
    for share in (1e-4, 1e-3, 0.01, 0.1)
}
"""Growing damage, to see what a line of it costs."""


def write_container(container: Container, clean: Path, path: Path) -> None:
    """Write the events of ``clean``, which are plain JSON lines, as ``container`` has them."""
    made = path.with_name(f"new-{path.name}")
    if path.suffix in (".csv", ".parquet"):
        _write_table(clean, made)
    elif path.suffix == ".gz":
        with clean.open("rb") as stream, gzip.open(made, "wb", compresslevel=6) as out:
            shutil.copyfileobj(stream, out, 1024 * 1024)
    else:
        with clean.open("rb") as stream, made.open("wb") as out:
            out.writelines(_bodies(stream) if path.name.endswith(BODIES) else _damaged(container, stream))
    made.rename(path)


def _damaged(container: Container, lines: Iterator[bytes]) -> Iterator[bytes]:
    draw = random.Random(7).random
    later: list[tuple[int, bytes]] = []
    for n, line in enumerate(lines):
        text = line.replace(b'"properties":{', b'"properties":{"Flavour":"x",', 1) if container.has_unknown else line
        breaks_off = draw() < container.malformed or (container.n_malformed and n == DELIVERED_LATER)
        yield text[: len(text) // 2] + b"\n" if breaks_off else text
        if draw() < container.repeated:
            later.append((n + DELIVERED_LATER, text))
        while later and later[0][0] <= n:
            yield later.pop(0)[1]
    yield from (text for _, text in later)


def _bodies(lines: Iterator[bytes]) -> Iterator[bytes]:
    while some := list(itertools.islice(lines, IN_A_BODY)):
        yield b'{"batch":[' + b",".join(line.rstrip(b"\n") for line in some) + b"]}\n"


def _write_table(clean: Path, path: Path) -> None:
    import duckdb

    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    form = "(FORMAT csv, HEADER)" if path.suffix == ".csv" else "(FORMAT parquet, COMPRESSION zstd)"
    connection.execute(f"COPY (SELECT {', '.join(FLAT)} FROM ({flat_query(str(clean))})) TO '{path}' {form}")
