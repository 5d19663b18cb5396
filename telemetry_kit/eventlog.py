"""The event log: valid events by type, and the account of everything that was read."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pandera.pandas as pa

from telemetry_kit import engine, schemas
from telemetry_kit.errors import SourceError
from telemetry_kit.notes import find_notes

if TYPE_CHECKING:
    import os

AUDIT_COLUMNS = [
    "source",
    "n_read",
    "n_incident",
    "n_tasks",
    "n_playbook",
    "n_duplicate",
    "n_rejected",
    "n_other",
    "n_after_cutoff",
]
MARK = "event-log.json"
_FORMAT = 1
_TABLES = ("quarantine", "audit", "seen")
_ACTIVITIES = {"incident": "action", "tasks": "action"}


@dataclass(frozen=True, eq=False, repr=False)
class EventLog:
    """Telemetry of one source: the valid events, and what became of everything else.

    Attributes
    ----------
    incident, tasks, playbook
        The valid events by type, as ``tk.schemas.IncidentEvents``, ``TaskEvents`` and ``PlaybookEvents`` describe them,
        in the order of ``event_timestamp`` (ties keep the order of arrival), on a fresh RangeIndex.
    cutoff
        The moment up to which the log tells what happened, UTC. NaT where the log has no events.
    quarantine
        One row per rejected record: ``source``, ``record`` (1-based; a line number for line formats), ``event_type``
        (null where unknown), ``reason`` (every fault of the record) and ``raw`` (the record as it came, its first
        64 KiB).
    audit
        One row per file or table: ``source``, ``n_read``, ``n_incident``, ``n_tasks``, ``n_playbook``, ``n_duplicate``,
        ``n_rejected``, ``n_other`` and ``n_after_cutoff``; the last seven add up to ``n_read``.
    seen
        What the reader saw beside the events: other event types and unknown properties, by name and count.
    """

    incident: pd.DataFrame
    tasks: pd.DataFrame
    playbook: pd.DataFrame
    cutoff: pd.Timestamp
    quarantine: pd.DataFrame
    audit: pd.DataFrame
    seen: pd.DataFrame = field(repr=False)

    @functools.cached_property
    def notes(self) -> pd.DataFrame:
        """What was kept but deserves a look: ``finding``, ``event_type`` (nullable), ``detail`` and ``n`` (events)."""
        return find_notes(self.incident, self.tasks, self.playbook, self.seen)

    def to_frame(self) -> pd.DataFrame:
        """Return the incident and task events as one case-centric event log, as process mining tools expect it.

        Returns
        -------
        pandas.DataFrame
            One row per event, in the order of time: ``case_id`` (server and incident), ``activity`` (event type and
            action; for a state change the new state too), ``timestamp`` (UTC), ``resource`` (who acted), ``server_id``,
            ``incident_id`` and ``event_id``. Events without an action are called after their type.

        Examples
        --------
        >>> import telemetry_kit as tk
        >>> log = tk.load_events(tk.samples() / "recorded-autumn")
        >>> log.to_frame().columns.tolist()[:3]
        ['case_id', 'activity', 'timestamp']
        """
        parts = [self.incident, self.tasks]
        columns = ["server_id", "incident_id", "event_id", "event_timestamp", "user_actual_id", "event_type", "action"]
        rows = pd.concat(
            [
                part[columns].assign(state=part["new_state"].astype("str") if "new_state" in part else None)
                for part in parts
            ]
        ).sort_values("event_timestamp", kind="stable", ignore_index=True)
        words = [rows["event_type"].astype("str"), rows["action"].astype("str"), rows["state"].astype("str")]
        activity = words[0]
        for word in words[1:]:
            activity = activity.where(word.isna(), activity + ": " + word.fillna(""))
        return pd.DataFrame(
            {
                "case_id": rows["server_id"] + "/" + rows["incident_id"],
                "activity": activity,
                "timestamp": rows["event_timestamp"],
                "resource": rows["user_actual_id"],
                "server_id": rows["server_id"],
                "incident_id": rows["incident_id"],
                "event_id": rows["event_id"],
            }
        )

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write the log to a directory as Parquet, from which ``load_events`` reads it back as it is.

        Parameters
        ----------
        directory
            A directory; it is made where it does not exist, and a log that lies in it is replaced.

        Raises
        ------
        SourceError
            Where the directory cannot be written, or holds files that are not of an event log.
        """
        folder = Path(directory)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            foreign = sorted({path.name for path in folder.iterdir()} - {MARK, *(f"{n}.parquet" for n in _parts())})
            if foreign:
                raise SourceError(f"directory: {folder.name!r} holds {foreign[0]!r}, expected a directory of its own")
            for part in _parts():
                getattr(self, part).to_parquet(folder / f"{part}.parquet", index=False)
            write_mark(folder, self.cutoff)
        except OSError as error:
            raise SourceError(f"directory: {folder.name!r} cannot be written: {error.strerror}") from None

    def __repr__(self) -> str:
        """Show the counts of the log in a few lines."""
        return "EventLog: " + "\n  ".join(self._summary())

    def _summary(self) -> list[str]:
        total = self.audit.drop(columns="source").sum()
        events = [self.incident, self.tasks, self.playbook]
        times = [moment for frame in events if len(frame) for moment in (frame["event_timestamp"].iloc[[0, -1]])]
        servers = pd.concat([frame["server_id"] for frame in events]).nunique()
        span = f"{min(times):%Y-%m-%d %H:%M} to {max(times):%Y-%m-%d %H:%M} UTC" if times else "no events"
        counts = ", ".join(f"{total[f'n_{kind}']:,} {kind}" for kind in schemas.EVENT_TYPES)
        left = {
            "duplicate": "duplicates",
            "rejected": "rejected",
            "other": "of other types",
            "after_cutoff": "after the cutoff",
        }
        rest = ", ".join(f"{total[f'n_{key}']:,} {words}" for key, words in left.items())
        sources = f"{len(self.audit):,} source{'s' if len(self.audit) != 1 else ''}"
        cutoff = "none" if self.cutoff is engine.NO_TIME else f"{self.cutoff:%Y-%m-%d %H:%M:%S} UTC"
        return [
            f"{sum(map(len, events)):,} valid events of {servers:,} servers, {span}",
            f"valid: {counts}",
            f"not taken: {rest}",
            f"read: {total['n_read']:,} records from {sources}; cutoff {cutoff}",
        ]

    def _repr_html_(self) -> str:
        rows = "".join(f"<div>{line}</div>" for line in self._summary())
        total = self.audit.drop(columns="source").sum().rename("records").to_frame().T
        return f"<div><b>EventLog</b>{rows}</div>{total.to_html(border=0)}"


def write_mark(folder: Path, cutoff: pd.Timestamp) -> None:
    """Write the file by which a directory is known as an event log."""
    about = {"format": _FORMAT, "cutoff": None if cutoff is engine.NO_TIME else cutoff.isoformat()}
    (folder / MARK).write_text(json.dumps(about) + "\n", encoding="utf-8")


def _parts() -> tuple[str, ...]:
    return (*schemas.EVENT_TYPES, *_TABLES)


def is_saved(source: object) -> bool:
    """Tell whether a source is a directory that ``EventLog.save`` wrote."""
    try:
        return (Path(source) / MARK).is_file()  # type: ignore[arg-type]
    except (TypeError, OSError, ValueError):
        return False


def read_saved(folder: Path, until: pd.Timestamp | None) -> EventLog:
    """Read a saved log; events after ``until`` are left out and counted.

    Raises
    ------
    SourceError
        Where a part of the log is missing or does not pass its model.
    """
    import pyarrow.parquet as pq

    try:
        about = json.loads((folder / MARK).read_text(encoding="utf-8"))
        parts: dict[str, Any] = {part: pd.read_parquet(folder / f"{part}.parquet") for part in _TABLES}
        for kind in schemas.EVENT_TYPES:
            table = pq.read_table(folder / f"{kind}.parquet").replace_schema_metadata()
            parts[kind] = schemas.with_categories(engine.arrow_to_pandas(table), kind)
            schemas.MODELS[kind].validate(parts[kind], lazy=True)
    except (OSError, ValueError, KeyError, pa.errors.SchemaErrors) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SourceError(f"source: the saved log in {folder.name!r} cannot be read: {reason}") from None
    cutoff = engine.NO_TIME if about["cutoff"] is None else engine.moment(about["cutoff"], parameter="cutoff")
    log = EventLog(**parts, cutoff=cutoff)
    if until is None:
        return log
    frames: dict[str, pd.DataFrame] = {}
    for kind in schemas.EVENT_TYPES:
        frames[kind] = parts[kind][parts[kind]["event_timestamp"] <= until].reset_index(drop=True)
    left_out = sum(len(parts[kind]) - len(frames[kind]) for kind in schemas.EVENT_TYPES)
    if not left_out:
        return EventLog(**{**parts, "cutoff": until})
    # The parts no longer say from which file an event came: the saved log itself is the source.
    audit = log.audit.drop(columns="source").sum().to_frame().T
    for kind in schemas.EVENT_TYPES:
        audit[f"n_{kind}"] = len(frames[kind])
    audit["n_after_cutoff"] += left_out
    audit.insert(0, "source", folder.name)
    parts.update(frames, audit=audit, cutoff=until)
    return EventLog(**parts)
