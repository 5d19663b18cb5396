"""The event log: valid events by type, and the account of everything that was read."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import narwhals.stable.v2 as nw
import pandas as pd

from telemetry_kit import engine, output, schemas
from telemetry_kit.errors import ResourceError, SourceError
from telemetry_kit.eventlog import partitioned
from telemetry_kit.eventlog.filtering import filter_frames
from telemetry_kit.eventlog.saved import own_files, parts, write_mark
from telemetry_kit.ingest.findings import find_findings
from telemetry_kit.ingest.opening import why
from telemetry_kit.schemas.log_tables import MARK, TABLES

if TYPE_CHECKING:
    import datetime as dt
    import os
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from narwhals.stable.v2.typing import IntoFrame

FrameT = TypeVar("FrameT", bound="IntoFrame")
"""The kind of a log's frames: pandas, DuckDB relations, or what a warehouse gives."""
_LEFT_OUT = {
    "duplicate": "duplicates",
    "rejected": "rejected",
    "other": "of other types",
    "before_since": "before its start",
    "after_cutoff": "after the cutoff",
}


@dataclass(frozen=True, eq=False, repr=False)
class EventLog(Generic[FrameT]):
    """Telemetry of one source: the valid events, and what became of everything else.

    Generic in the kind of its frames: ``EventLog[pd.DataFrame]`` of ``load_events``,
    ``EventLog[duckdb.DuckDBPyRelation]`` of ``scan_events``.

    Attributes
    ----------
    incident, tasks, playbook
        The valid events by type, as ``tk.schemas.IncidentEvents``, ``TaskEvents`` and ``PlaybookEvents`` describe them,
        in the order of ``event_timestamp`` (ties keep the order of arrival), on a fresh RangeIndex. In a log of
        ``scan_events``, DuckDB relations with the same columns and ``arrival``, the place of an event in that order.
    cutoff
        The moment up to which the log tells what happened, UTC. NaT where the log has no events.
    quarantine
        One row per rejected record: ``source``, ``record`` (1-based; a line number for line formats), ``event_type``
        (null where unknown), ``reason`` (every fault of the record) and ``raw`` (the record as it came, its first
        64 KiB). A DuckDB relation as well in a log of ``scan_events``.
    audit
        One row per file or table: ``source``, ``n_read``, ``n_incident``, ``n_tasks``, ``n_playbook``, ``n_duplicate``,
        ``n_rejected``, ``n_other``, ``n_before_since`` and ``n_after_cutoff``; the last eight add up to ``n_read``.
    seen
        What the reader saw beside the events: other event types and unknown properties, by name and count.
    since
        The moment from which on the log tells what happened, UTC; None where it begins with its first event.
    others_us
        When each server last sent an event of another type, in microseconds since 1970: it was on then.
    """

    incident: FrameT
    tasks: FrameT
    playbook: FrameT
    cutoff: pd.Timestamp
    quarantine: FrameT
    audit: pd.DataFrame
    seen: pd.DataFrame = field(repr=False)
    since: pd.Timestamp | None = None
    others_us: Mapping[str, int] = field(default_factory=dict, repr=False)

    @functools.cached_property
    def findings(self) -> pd.DataFrame:
        """What is valid but deserves a look: ``finding``, ``event_type`` (nullable), ``detail`` and ``n`` (events)."""
        return find_findings(self.incident, self.tasks, self.playbook, self.seen)

    def to_frame(self) -> FrameT:
        """Return the incident and task events as one case-centric event log, as process mining understands it.

        Process-mining tools know these columns under names of their own; for pm4py, rename ``case_id`` to
        ``case:concept:name``, ``activity`` to ``concept:name``, ``timestamp`` to ``time:timestamp`` and ``resource`` to
        ``org:resource``.

        Returns
        -------
        pandas.DataFrame
            One row per event, in the order of time: ``case_id`` (str, server and incident), ``activity`` (str, event
            type and action; for a state change the new state too; of an event without an action the type alone),
            ``timestamp`` (UTC), ``resource`` (str, who acted), ``server_id``, ``incident_id`` and ``event_id`` (str),
            ``active_stage`` (Int64, of incident events). A DuckDB relation in a log of ``scan_events``.

        Examples
        --------
        >>> import telemetry_kit as tk
        >>> log = tk.load_events(tk.samples() / "recorded-autumn")
        >>> log.to_frame()["activity"].value_counts().index[0]
        'tasks: modify_task_state: done'
        """
        ids = ("server_id", "incident_id", "event_id")
        own = {"incident": "active_stage", "tasks": "new_state"}
        parts = []
        for rank, (kind, column) in enumerate(own.items()):
            needed = [*ids, "event_timestamp", "user_actual_id", "action", column]
            events = engine.open_frame(getattr(self, kind), needed, parameter=kind, order="_order")
            told = [nw.col(name).cast(nw.String) for name in ("action", *([column] if kind == "tasks" else []))]
            stage = nw.col(column) if kind == "incident" else nw.lit(None)
            parts.append(
                events.select(
                    case_id=nw.concat_str("server_id", nw.lit("/"), "incident_id"),
                    activity=nw.concat_str(nw.lit(kind), *told, separator=": ", ignore_nulls=True),
                    timestamp="event_timestamp",
                    resource="user_actual_id",
                    **dict(zip(ids, ids, strict=True)),
                    active_stage=stage.cast(nw.Int64),
                    _rank=nw.lit(rank),
                    _order="_order",
                )
            )
        rows = nw.concat(parts).sort("timestamp", "_rank", "_order").drop("_rank", "_order")
        return engine.give_back(rows, like=self.incident)

    def filter(
        self,
        *,
        servers: str | Iterable[str] | None = None,
        exclude_servers: str | Iterable[str] | None = None,
        server_version: str | None = None,
        plugin_version: str | None = None,
        since: str | dt.datetime | pd.Timestamp | None = None,
        until: str | dt.datetime | pd.Timestamp | None = None,
    ) -> EventLog[FrameT]:
        """Return the part of the log that meets all conditions.

        An incident is kept or left out whole, and its tasks with it, so that none is seen in part; where nothing but
        tasks was recorded of it, these decide. An event of a playbook is kept or left out by itself.

        Parameters
        ----------
        servers, exclude_servers
            The ids of servers to keep, and of servers to leave out, such as those that are for tests.
        server_version, plugin_version
            Which versions to keep, as a specifier such as ``">=5.28,<6"`` or ``"==1.1.*"`` (PEP 440; a release
            candidate counts as used). An incident has the first version that is known of it. What is no version is
            left out, and named in ``findings``.
        since, until
            From when on, and up to before when; without a zone in UTC. An incident has the time of its start: of its
            create, or ``created_at`` where that was not recorded.

        Returns
        -------
        EventLog
            Frames of the same kind, lazy where they are lazy; ``cutoff``, ``audit`` and ``quarantine`` stay. Its
            ``findings`` have a row for each condition, ``left out by a filter``: how many of the events that the
            conditions before it had kept it left out, in the order of the parameters.

        Raises
        ------
        ParameterError
            Where a server is not in the log, which names the nearest that is, or a condition cannot be read.

        Examples
        --------
        >>> import telemetry_kit as tk
        >>> log = tk.load_events(tk.samples() / "recorded-autumn")
        >>> newer = log.filter(plugin_version=">=1.1", until="2020-12-01")
        >>> newer.findings.loc[newer.findings["finding"] == "left out by a filter", ["detail", "n"]]
                                detail     n
        0        plugin_version: >=1.1  1427
        1  until: 2020-12-01T00:00:00Z  2710
        """
        parts, told = filter_frames(
            {kind: getattr(self, kind) for kind in schemas.EVENT_TYPES},
            servers=servers,
            exclude_servers=exclude_servers,
            versions={"server_version": server_version, "plugin_version": plugin_version},
            since=since,
            until=until,
        )
        seen = pd.concat([self.seen, told.astype(self.seen.dtypes.to_dict())], ignore_index=True)
        return dataclasses.replace(self, **parts, seen=seen)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write the log to a directory as Parquet, from which ``load_events`` reads it back as it is.

        The events of a type are one file. Those of a log on Spark are written by its workers, into a folder in place of
        that file, which has a folder for each month.

        Parameters
        ----------
        directory
            A directory; it is made where it does not exist, and a log that lies in it is replaced. The workers of Spark
            have to see it under the same path.

        Raises
        ------
        SourceError
            Where the directory cannot be written, or holds files that are not of an event log.
        """
        import duckdb

        folder = output.path_of("directory", directory)
        if folder.exists() and not folder.is_dir():
            raise SourceError(f"directory: {output.named(folder)} is a file, expected a directory")
        try:
            with output.held(folder, lambda fault: SourceError(f"directory: {output.named(folder)}: {fault}")):
                foreign = sorted({path.name for path in folder.iterdir()} - own_files())
                if foreign:
                    raise SourceError(
                        f"directory: {output.named(folder)} holds {foreign[0]!r}, expected a directory of its own"
                    )
                # The frames may lie in this very directory, and are read while they are written.
                with output.new_directory(folder) as made:
                    for part in parts():
                        _write(getattr(self, part), part, made / f"{part}.parquet", self.audit)
                    write_mark(made, self.since, self.cutoff, others_us=dict(self.others_us))
                    output.put_in_place(made, folder, own_files(), MARK)
        except (OSError, duckdb.IOException) as error:
            raise ResourceError(f"directory: {output.named(folder)} cannot be written: {why(error)}") from None

    def __repr__(self) -> str:
        """Show what the log holds in a few lines."""
        return f"EventLog: {self._scope()}\n{self._events().to_string()}\n{self._account()}"

    def _repr_html_(self) -> str:
        table = self._events().to_html(border=0)
        return f"<div><p><b>EventLog</b>: {self._scope()}</p>{table}<p>{self._account()}</p></div>"

    @functools.cached_property
    def _servers(self) -> dict[str, pd.DataFrame]:
        """The number of events of each type and server, and the times of the first and the last."""
        return {kind: _by_server(getattr(self, kind), kind) for kind in schemas.EVENT_TYPES}

    def _scope(self) -> str:
        servers = pd.concat([servers["server_id"] for servers in self._servers.values()]).nunique()
        events = sum(int(servers["n"].sum()) for servers in self._servers.values())
        since = "" if self.since is None else f", from {self.since:%Y-%m-%d %H:%M:%S} UTC"
        until = "" if self.cutoff is engine.NO_TIME else f", up to {self.cutoff:%Y-%m-%d %H:%M:%S} UTC"
        return f"{_counted(events, 'valid event')} of {_counted(servers, 'server')}{since}{until}"

    def _events(self) -> pd.DataFrame:
        """Tell the events of each type: how many, of how many servers, and when."""

        def day(us: pd.Series[int]) -> str:
            return f"{pd.Timestamp(us.iloc[0], unit='us', tz='UTC'):%Y-%m-%d}" if len(us) else "–"

        rows = {
            kind: [
                f"{servers['n'].sum():,}",
                f"{len(servers):,}",
                day(servers["first"].nsmallest(1)),
                day(servers["last"].nlargest(1)),
            ]
            for kind, servers in self._servers.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index", columns=["events", "servers", "first", "last"])

    def _account(self) -> str:
        total = self.audit.drop(columns="source").sum()
        n_events = sum(total[f"n_{kind}"] for kind in schemas.EVENT_TYPES)
        told = {key: words for key, words in _LEFT_OUT.items() if key != "before_since" or self.since is not None}
        left_out = ", ".join(f"{total[f'n_{key}']:,} {words}" for key, words in told.items())
        read = f"{_counted(total['n_read'], 'record')} read from {_counted(len(self.audit), 'source')}"
        return f"{read}: {n_events:,} valid, {left_out}"


def _by_server(frame: IntoFrame, parameter: str) -> pd.DataFrame:
    events = engine.open_frame(frame, ["server_id", "event_timestamp"], parameter=parameter)
    times = engine.add_epoch_us(events, _us="event_timestamp").group_by("server_id")
    return engine.collect(times.agg(n=nw.len(), first=nw.col("_us").min(), last=nw.col("_us").max()))


def _write(frame: Any, part: str, path: Path, audit: pd.DataFrame) -> None:  # noqa: ANN401 - a frame of any kind
    columns = TABLES.get(part) or schemas.columns_of(cast("schemas.EventType", part))
    rows = nw.from_native(frame)
    if partitioned.is_on_spark(frame):
        if part in TABLES:
            partitioned.write_quarantine(frame, audit, path)
        else:
            partitioned.write_events(frame, columns, path)
        return
    if rows.implementation.is_duckdb():
        # What was filtered by a join has lost its order.
        rows = rows.sort("event_timestamp", engine.ARRIVAL) if engine.ARRIVAL in rows.columns else rows
        rows.select(*columns).sink_parquet(path)
        return
    table = frame if isinstance(frame, pd.DataFrame) else _in_order(frame, part)
    table[columns].to_parquet(path, index=False)


def _in_order(frame: IntoFrame, part: str) -> pd.DataFrame:
    """Collect a lazy frame, events in the order of time, which not every engine preserves."""
    rows = engine.open_frame(frame, [], parameter=part, order="_order")
    return engine.collect(rows if part in TABLES else rows.sort("event_timestamp", "_order", "event_id"))


def _counted(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"
