"""The events of a report as its notebooks see them: some servers left out, the others under short labels."""

from __future__ import annotations

import csv
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import pandas as pd

from telemetry_kit import engine, schemas
from telemetry_kit.engine import connections
from telemetry_kit.errors import SourceError
from telemetry_kit.eventlog.scan import scan_events
from telemetry_kit.ingest.opening import own_disk
from telemetry_kit.schemas.names import quote_literal

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import duckdb

    from telemetry_kit.eventlog.log import EventLog

KEY_COLUMNS = ("label", "server_id")
MOST_NAMED = 3
_FINDINGS = "findings.parquet"
_SHOWN = (
    (r'got ".*?", expected', 'got "…", expected'),
    (r'event_id: ".*?" is the id', 'event_id: "…" is the id'),
    (r", which differs: .*", ", which differs"),
    (r'the key ".*?" stands twice', 'the key "…" stands twice'),
    (r'in its ".*?": not JSON', 'in its "…": not JSON'),
    (r"; not understood: .*", ""),
)
"""What a reason shows of a rejected record, ids among it, and what a report that may be forwarded tells instead."""


def open_prepared(
    store: str,
    *,
    since: str | None,
    cutoff: str | None,
    memory_limit: str,
    exclude_servers: Sequence[str] = (),
    key: str | None = None,
) -> EventLog[Any]:
    """Open the events of a report where they lie.

    Parameters
    ----------
    store
        The directory of a saved log.
    since, cutoff
        As for ``scan_events``.
    memory_limit
        As for ``scan_events``.
    exclude_servers
        The ids of servers that are left out; such that sent nothing in this recording make no difference.
    key
        The file that ``write_labelled`` wrote, by which servers are called; without it by their ids.

    Returns
    -------
    EventLog
        As ``scan_events`` returns it.
    """
    log = scan_events(store, since=since, cutoff=cutoff, memory_limit=memory_limit)
    if excluded := sorted(set(exclude_servers) & servers_of(log)) if exclude_servers else []:
        log = log.filter(exclude_servers=excluded)
    return log if key is None else _relabel(log, Path(key))


def servers_of(log: EventLog[Any]) -> set[str]:
    """Return the ids of all servers that sent an event."""
    servers: set[str] = set()
    for kind in schemas.EVENT_TYPES:
        events = engine.open_frame(getattr(log, kind), ["server_id"], parameter=kind)
        servers |= set(engine.collect(engine.distinct(events, "server_id"))["server_id"].astype("str"))
    return servers


def label_servers(log: EventLog[Any]) -> pd.DataFrame:
    """Give each server a short label, in the order in which they were first seen, so that labels stay as a log grows.

    Parameters
    ----------
    log
        The events.

    Returns
    -------
    pandas.DataFrame
        ``label`` (``S01``, …) and ``server_id``, one row per server.
    """
    seen = []
    for kind in schemas.EVENT_TYPES:
        events = engine.open_frame(getattr(log, kind), ["server_id", "event_timestamp"], parameter=kind)
        times = engine.add_epoch_us(events, _us="event_timestamp").group_by("server_id")
        seen.append(engine.collect(times.agg(first=nw.col("_us").min())))
    first = pd.concat(seen).groupby("server_id")["first"].min().reset_index()
    servers = first.sort_values(["first", "server_id"])["server_id"].astype("str").tolist()
    width = max(2, len(str(len(servers))))
    labels = [f"S{n:0{width}}" for n in range(1, len(servers) + 1)]
    # Of no server too, so that it is joined to the events of none.
    return pd.DataFrame({"label": labels, "server_id": servers}, dtype="str")


def read_key(path: Path) -> pd.DataFrame:
    """Read which server each label stands for, as ``write_labelled`` wrote it."""
    return pd.read_csv(path, dtype="str", keep_default_na=False)


def read_server_list(path: str | os.PathLike[str]) -> list[str]:
    """Read the ids of servers from a file, one a line; blank lines and what follows a ``#`` are passed over.

    Raises
    ------
    SourceError
        Where the file cannot be read, or names no server.
    """
    try:
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is no text"
        raise SourceError(f"--exclude-servers: {Path(path).name!r} cannot be read: {reason}") from None
    servers = [name for line in lines if (name := line.partition("#")[0].strip())]
    if not servers:
        raise SourceError(f"--exclude-servers: {Path(path).name!r} names no server, expected an id a line")
    return servers


def warn_of_absent(servers: Sequence[str], log: EventLog[Any]) -> None:
    """Warn of servers that are to be left out and are not there: they may be misspelled."""
    there = servers_of(log)
    if absent := [server for server in servers if server not in there]:
        named = ", ".join(map(repr, absent[:MOST_NAMED])) + (", …" if len(absent) > MOST_NAMED else "")
        warnings.warn(f"--exclude-servers: not in this recording: {named}", stacklevel=5)


def is_key(path: Path) -> bool:
    """Tell whether a file tells which server each label of a report stands for."""
    head = ",".join(f'"{column}"' for column in KEY_COLUMNS).encode()
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return stream.read(len(head)) == head
    except OSError:
        return False


def write_labelled(log: EventLog[Any], key: Path) -> None:
    """Write which server each label stands for, and beside it the events and their findings under these labels.

    They are written once for all notebooks: a join within every question, nested as they are, takes DuckDB minutes to
    plan, and in memory each notebook would hold all events.

    Parameters
    ----------
    log
        The events as they came: of labels, it would find that they are ids of unusual form.
    key
        Where to write the key.
    """
    labels, findings = label_servers(log), log.findings
    with own_disk():
        labels.to_csv(key, index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
        _labelled(findings, labels).to_parquet(key.with_name(_FINDINGS), index=False)
        for kind in schemas.EVENT_TYPES:
            events = _relabelled(getattr(log, kind), labels)
            with connections.within_memory(events):
                events.write_parquet(str(_events_file(key, kind)))


def _events_file(key: Path, kind: str) -> Path:
    return key.with_name(f"labelled-{kind}.parquet")


def _relabel(log: EventLog[Any], key: Path) -> EventLog[Any]:
    labels = read_key(key)
    connection = connections.shared_connection()
    frames: dict[str, Any] = {
        kind: connection.sql(f"FROM read_parquet({quote_literal(str(_events_file(key, kind)))})")
        for kind in schemas.EVENT_TYPES
    }
    others = {
        label: log.others_us[server] for label, server in labels.itertuples(index=False) if server in log.others_us
    }
    quarantine = log.quarantine.project(f"* REPLACE ({_masked('reason')} AS reason)")
    told = replace(log, **frames, quarantine=quarantine, seen=_labelled(log.seen, labels), others_us=others)
    # In the place of what the log would find of its labels.
    vars(told)["findings"] = pd.read_parquet(key.with_name(_FINDINGS))
    return told


def _masked(reason: str) -> str:
    """Return SQL for the text of a reason without the values that it shows."""
    for pattern, shown in _SHOWN:
        reason = f"regexp_replace({reason}, {quote_literal(pattern)}, {quote_literal(shown)}, 'gs')"
    return reason


def _labelled(findings: pd.DataFrame, key: pd.DataFrame) -> pd.DataFrame:
    """Return findings that name servers by their labels."""
    names = {f"server {server}": f"server {label}" for label, server in key.itertuples(index=False)}
    return findings.assign(detail=findings["detail"].replace(names))


def _relabelled(events: duckdb.DuckDBPyRelation, key: pd.DataFrame) -> duckdb.DuckDBPyRelation:
    """Return the events of a relation with the label in the place of the server's id."""
    opened = engine.open_frame(events, ["server_id"], parameter="events")
    labels = engine.open_alike(key, KEY_COLUMNS, parameter="key", like=opened)
    joined = opened.join(labels, on="server_id", how="left")
    told = [nw.col("label").alias("server_id") if name == "server_id" else nw.col(name) for name in opened.columns]
    labelled: duckdb.DuckDBPyRelation = engine.give_back(joined.select(*told), like=events)
    return labelled
