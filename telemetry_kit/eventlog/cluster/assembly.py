"""From what the tasks gave to a log: the frames, the quarantine, the audit and what was seen beside."""

from __future__ import annotations

import json
import time
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pandas as pd

from telemetry_kit import engine, schemas
from telemetry_kit.eventlog.cluster import settling, worker
from telemetry_kit.eventlog.cluster.parts import SCHEMA, as_rows, is_remote, list_parts
from telemetry_kit.eventlog.cluster.periods import is_early, is_late
from telemetry_kit.eventlog.log import EventLog
from telemetry_kit.ingest.audit import seen_table
from telemetry_kit.ingest.conflicts import reason_of
from telemetry_kit.schemas.log_tables import AUDIT_COLUMNS, QUARANTINE_COLUMNS
from telemetry_kit.schemas.rules import REJECTED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame, SparkSession

    from telemetry_kit.eventlog.cluster.parts import Part

ROWS_OF_A_PART = 1 << 36
"""More than the rows of any part, so that part and row make one number: the place of arrival."""
_ARRIVAL = f"part * {ROWS_OF_A_PART} + row"
_REASON = "telemetry_kit_reason_of"
_REJECTED = "record BIGINT, event_type STRING, reason STRING, raw STRING"


def scan_on_spark(
    source: Any,  # noqa: ANN401 - as scan_events
    session: SparkSession,
    since: pd.Timestamp | None,
    until: pd.Timestamp | None,
) -> EventLog[DataFrame]:
    """Load a source on the cluster of a session; nothing but counts comes to this machine.

    Raises
    ------
    SourceError
        Where the source cannot be used at all.
    """
    from pyspark import StorageLevel

    beside: list[str] = []
    parts = list_parts(source, session, beside)
    handed = _handed(session, parts, loaded_us=time.time_ns() // 1000)
    read = handed.mapInArrow(worker.read_parts, worker.SCHEMA).persist(StorageLevel.DISK_ONLY)
    told = _told(read)
    offsets = session.createDataFrame(list(enumerate(_lines_before(told, parts))), "part BIGINT, lines_before BIGINT")
    events = read.where("told IS NULL").drop("told", "about").selectExpr(f"{_ARRIVAL} AS arrival", "*")
    held: list[DataFrame] = []
    valid, fates = _settled(events, held)
    conflicts = _conflicts(events, fates, handed, offsets).persist()
    quarantine = _quarantine(read, offsets).unionByName(conflicts).persist()
    cutoff = engine.last_moment(_newest(valid), since) if until is None else until
    period = is_early(since), is_late(cutoff)
    in_time = valid.where(f"NOT ({period[0]}) AND NOT ({period[1]})")
    log = EventLog(
        **{kind: _frame(in_time, kind) for kind in schemas.EVENT_TYPES},
        cutoff=cutoff,
        since=since,
        quarantine=quarantine.select(*QUARANTINE_COLUMNS),
        audit=_audit(
            parts, told, {"events": events, "valid": valid, "conflicts": conflicts, "rejected": quarantine}, period
        ),
        seen=_seen(told, valid, beside),
        others_us=_others(told),
    )
    # The account has counted every row of the events and of the quarantine, so that what led to them can go: a session
    # that loads again and again would fill the memory of its workers.
    for frame in held:
        frame.unpersist()
    return log


def _settled(events: DataFrame, held: list[DataFrame]) -> tuple[DataFrame, DataFrame]:
    """Take repeated ids out of the events and put ties in order; return these events, and what became of the others."""
    from pyspark import StorageLevel

    columns = ["arrival", "is_late", *(field.column for field in schemas.FIELDS)]
    fates = settling.repeated_ids(events.select(*columns), held).persist()
    held.append(fates)
    left_out, _ = settling.sent_to_all(fates.select("arrival"), held)
    valid = events.join(left_out, "arrival", "left_anti")
    moves, _ = settling.sent_to_all(
        settling.tied_events(valid.where("event_type = 'incident'").select(*columns), held), held
    )
    moved = valid.join(moves, "arrival", "left")
    return moved.selectExpr("COALESCE(moved, arrival) AS arrival", *valid.columns[1:]).persist(
        StorageLevel.DISK_ONLY
    ), fates


def _handed(session: SparkSession, parts: Sequence[Part], *, loaded_us: int) -> DataFrame:
    """Return the parts as rows, one partition each; what lies at an address brings its content along."""
    # By ranges, because hashes would put some parts into one partition, and leave others empty.
    handed = session.createDataFrame(as_rows(parts, loaded_us), SCHEMA).repartitionByRange(len(parts), "part")
    remote = [part.path for part in parts if is_remote(part.path)]
    if remote:
        content = session.read.format("binaryFile").load(remote).select("path", "content")
        handed = handed.join(content, "path", "left")
    return handed


def _newest(valid: DataFrame) -> pd.Timestamp:
    ((us,),) = valid.selectExpr("unix_micros(max(event_timestamp)) AS us").collect()
    return engine.NO_TIME if us is None else pd.Timestamp(us, unit="us", tz="UTC")


def _frame(valid: DataFrame, kind: schemas.EventType) -> DataFrame:
    return valid.where(f"event_type = '{kind}'").select(*schemas.columns_of(kind), engine.ARRIVAL)


def _told(read: DataFrame) -> pd.DataFrame:
    """Collect what is small: the sources of each part, counts by name, the lines of pieces."""
    small = read.where("told IS NOT NULL AND told <> 'rejected'").select("part", "row", "source", "told", "about")
    rows = [row.asDict() for row in small.collect()]
    table = pd.DataFrame(rows, columns=["part", "row", "source", "told", "about"])
    return table.sort_values(["part", "row"], ignore_index=True)


def _about(told: pd.DataFrame, kind: str) -> list[dict[str, Any]]:
    """Return what was told of one kind: its part and source, and what it holds."""
    rows = told[told["told"] == kind]
    return [
        {"part": int(part), "source": source, **json.loads(about)}
        for part, source, about in zip(rows["part"], rows["source"], rows["about"], strict=True)
    ]


def _lines_before(told: pd.DataFrame, parts: Sequence[Part]) -> list[int]:
    """Return, for each part, how many lines its file has before it."""
    n_lines = {row["part"]: row["n"] for row in _about(told, "lines")}
    before: list[int] = []
    for part in parts:
        before.append(before[-1] + n_lines[part.part - 1] if part.start else 0)
    return before


def _quarantine(read: DataFrame, offsets: DataFrame) -> DataFrame:
    """Return the records that the tasks rejected, numbered in their files."""
    rejected = read.where("told = 'rejected'").selectExpr(
        "part", "source", f"from_json(about, '{_REJECTED}') AS rejected"
    )
    numbered = rejected.join(offsets.hint("broadcast"), "part")
    return numbered.selectExpr(
        "part", "source", "rejected.record + lines_before AS record", "rejected.event_type AS event_type",
        "rejected.reason AS reason", "rejected.raw AS raw",
    )  # fmt: skip


def _conflicts(events: DataFrame, fates: DataFrame, handed: DataFrame, offsets: DataFrame) -> DataFrame:
    """Return the events with the id of another one as rejected records; their texts are found by a second reading."""
    other = fates.where(f"status = {REJECTED}").select(
        "arrival", "first_arrival", "event_id", "event_type", "difference"
    )
    concerned = other.select("arrival").union(other.select("first_arrival")).distinct()
    place = (f"arrival DIV {ROWS_OF_A_PART} AS part", f"arrival % {ROWS_OF_A_PART} AS row")
    rows = concerned.selectExpr(*place).groupBy("part").agg({"row": "collect_list"}).toDF("part", "rows")
    texts = handed.join(rows, "part").mapInArrow(worker.find_texts, worker.TEXT_SCHEMA)
    sources = events.join(concerned, "arrival", "left_semi").select("arrival", "source")
    found = (
        texts.join(offsets.hint("broadcast"), "part")
        .selectExpr(f"{_ARRIVAL} AS arrival", "part", "record + lines_before AS record", "raw")
        .join(sources, "arrival")
    )
    first = found.selectExpr("arrival AS first_arrival", "record AS first_record", "source AS first_source")
    other.sparkSession.udf.register(_REASON, reason_of, "string")
    reason = f"{_REASON}(event_id, first_record, first_source, difference) AS reason"
    conflicts = other.join(found, "arrival").join(first, "first_arrival")
    return conflicts.selectExpr("part", "source", "record", "event_type", reason, "raw")


def _audit(
    parts: Sequence[Part], told: pd.DataFrame, counted: dict[str, DataFrame], period: tuple[str, str]
) -> pd.DataFrame:
    """Count what became of the records of each source, in the order of arrival."""
    file_of = list(accumulate(int(not part.start) for part in parts))
    sources = dict.fromkeys((file_of[row["part"]], row["source"]) for row in _about(told, "source"))
    index = pd.MultiIndex.from_tuples(list(sources), names=["file", "source"])
    audit = pd.DataFrame(0, index=index, columns=AUDIT_COLUMNS[1:], dtype="int64")
    for other in _about(told, "other"):
        audit.loc[(file_of[other["part"]], other["source"]), "n_other"] += other["n"]
    early, late = period
    outcome = f"CASE WHEN {early} THEN 'before_since' WHEN {late} THEN 'after_cutoff' ELSE event_type END"
    # A duplicate is what is neither valid nor rejected for its id.
    outcomes = {"events": ("'duplicate'", 1), "valid": ("'duplicate'", -1), "conflicts": ("'duplicate'", -1)}
    terms = [(counted[name], words, sign) for name, (words, sign) in outcomes.items()]
    terms += [(counted["valid"], outcome, 1), (counted["rejected"], "'rejected'", 1)]
    for frame, words, sign in terms:
        for row in (
            frame.selectExpr("part", "source", f"{words} AS outcome")
            .groupBy("part", "source", "outcome")
            .count()
            .collect()
        ):
            audit.loc[(file_of[row["part"]], row["source"]), f"n_{row['outcome']}"] += sign * row["count"]
    audit["n_read"] = audit.drop(columns="n_read").sum(axis=1)
    return audit.reset_index(level="file", drop=True).reset_index().astype({"source": "str"})


def _seen(told: pd.DataFrame, valid: DataFrame, beside: list[str]) -> pd.DataFrame:
    """Add up what the tasks saw beside the events."""
    others: Counter[str] = Counter()
    for row in _about(told, "other"):
        others[row["type_name"]] += row["n"]
    unknown: Counter[tuple[str | None, str]] = Counter()
    for row in _about(told, "unknown"):
        unknown[row["event_type"], row["key"]] += row["n"]
    late = valid.where("is_late").groupBy("event_type", "server_id").count().collect()
    names = [*beside, *(row["name"] for row in _about(told, "beside"))]
    generated = [row["column"] for row in _about(told, "generated")]
    return seen_table(sorted(others.items()), unknown, sorted(tuple(row) for row in late), generated, names)


def _others(told: pd.DataFrame) -> dict[str, int]:
    """Return when each server last sent an event of another type, in the order of servers."""
    last: dict[str, int] = {}
    for row in _about(told, "others"):
        for server, us in row["us"].items():
            last[server] = max(us, last.get(server, us))
    return dict(sorted(last.items()))
