"""What a report was asked to be, and what every page of it says of the events."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import narwhals.stable.v2 as nw
import pandas as pd

from telemetry_kit import engine, schemas
from telemetry_kit.ingest.discovery import shown
from telemetry_kit.ingest.formats.database import is_url
from telemetry_kit.ingest.inputs import list_items
from telemetry_kit.reports.manifest import COUNTS, digest_of_inputs
from telemetry_kit.reports.wording import day

if TYPE_CHECKING:
    import datetime as dt
    import os
    from collections.abc import Sequence

    from telemetry_kit.eventlog.log import EventLog

    Source = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
    Moment = str | dt.datetime | pd.Timestamp
    Notebooks = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None

MIN_SERVERS = 3


@dataclass(frozen=True)
class Asked:
    """What a report is to be, as it was asked for."""

    since: Moment | None
    cutoff: Moment | None
    exclude_servers: tuple[str, ...]
    min_servers: int
    with_ids: bool
    with_quarantine: bool
    tables: str
    single_file: bool
    memory_limit: str
    against: str | None
    compare: str | None
    with_pdf: bool = False
    notebooks: tuple[str, ...] = ()
    """The names of the folders of notebooks that are not of the package."""

    @property
    def words(self) -> list[str]:
        """The options of the command that asks for it, with no path of this machine in them."""
        bounds = [f"--{name} {value}" for name in ("since", "cutoff") if (value := getattr(self, name)) is not None]
        flags = [name for name in ("with_ids", "with_quarantine", "single_file") if getattr(self, name)]
        return [
            *bounds,
            *(["--against REPORT"] if self.against is not None else []),
            *([f"--compare {self.compare}"] if self.compare is not None else []),
            *(f"--notebooks {name}" for name in self.notebooks),
            *(["--exclude-servers FILE"] if self.exclude_servers else []),
            *([f"--min-servers {self.min_servers}"] if self.min_servers != MIN_SERVERS else []),
            *([f"--tables {self.tables}"] if self.tables != "csv" else []),
            *(f"--{name.replace('_', '-')}" for name in flags),
            *(["--format pdf"] if self.with_pdf else []),
        ]


class Account(NamedTuple):
    """The events that were read, where they lie, and where it stands which server each label means."""

    events: Path
    key: Path | None
    log: EventLog[Any]
    inputs: list[dict[str, str | int]]

    @property
    def cutoff(self) -> str | None:
        """The cutoff as text; none where there are no events."""
        moment = self.log.cutoff.isoformat()
        return None if moment == "NaT" else moment

    @property
    def since(self) -> str | None:
        """The begin as text; none where there is none."""
        return None if self.log.since is None else self.log.since.isoformat()


def cover_of(names: Sequence[str], account: Account, asked: Asked) -> dict[str, object]:
    """Return what every page says about the events.

    Parameters
    ----------
    names
        What was read, as ``names_of`` names it.
    account
        The events.
    asked
        What was asked for.

    Returns
    -------
    dict
        What the templates of all pages take.
    """
    log, none = account.log, "no events"
    return {
        "sources": names,
        "period": period_of(log) or none,
        "cutoff": none if account.cutoff is None else f"{pd.Timestamp(account.cutoff):%Y-%m-%d %H:%M:%S} UTC",
        "counts": {label: int(log.audit[column].sum()) for column, label in COUNTS.items()},
        "version": importlib.metadata.version("telemetry-kit"),
        "command": " ".join(["telemetry-kit report", *names, "--out report", *asked.words]),
        "digest": digest_of_inputs(account.inputs)[:16],
    }


def period_of(log: EventLog[Any]) -> str:
    """Return from which day to which the events of a log are; empty where it has none."""
    times = []
    for kind in schemas.EVENT_TYPES:
        events = engine.open_frame(getattr(log, kind), ["event_timestamp"], parameter=kind)
        us = nw.col("_us")
        times.append(
            engine.collect(engine.add_epoch_us(events, _us="event_timestamp").select(first=us.min(), last=us.max()))
        )
    known = pd.concat(times).dropna()
    if known.empty:
        return ""
    first, last = (pd.Timestamp(int(us), unit="us") for us in (known["first"].min(), known["last"].max()))
    return f"{day(first)} to {day(last)}"


def names_of(source: Source) -> list[str]:
    """Name what was given without the directories above it, and a database without the account that opens it."""
    return [
        urlsplit(item)._replace(netloc=urlsplit(item).hostname or "", query="").geturl()
        if isinstance(item, str) and is_url(item)
        else shown(Path(item).absolute().name)
        for item in list_items(source)
    ]
