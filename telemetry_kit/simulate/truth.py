"""What a simulation knows about its events: every record and its fate, every visit, completion and playbook state."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
import pyarrow.parquet as pq

from telemetry_kit import engine, output, schemas
from telemetry_kit.errors import SourceError
from telemetry_kit.schemas.fields import STATUSES
from telemetry_kit.schemas.names import quote_literal
from telemetry_kit.schemas.values import VALUE_KINDS
from telemetry_kit.simulate.delivery import DAMAGE
from telemetry_kit.simulate.parameters import Effect, Faults, Parameters, Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    import duckdb

    from telemetry_kit.schemas import EventType
    from telemetry_kit.simulate.parameters import Container

SUMMARY = "truth.json"
TABLES = ("records", "visits", "actual_visits", "status_visits", "completions", "playbook_states", "servers")
AUDIT = (
    "source", "n_read", "n_incident", "n_tasks", "n_playbook", "n_duplicate", "n_rejected", "n_other", "n_before_since",
    "n_after_cutoff",
)  # fmt: skip
ENTERING = ("create", "change_stage", "restart")
"""The actions that begin a visit where they are the first event of an incident."""
START_TOLERANCE_S = 60
"""Where events have no action, an incident's first event began it if it came so soon after its creation."""


def records_query(container: Container) -> str:
    """Return the SQL that gives the rows of ``described`` the values and types that a load must find."""
    published = container == "published"
    done = "WHEN 'closed' THEN 'done' WHEN 'in_progress' THEN " + ("'open'" if published else "'in_progress'")
    own = {
        "event_timestamp": "make_timestamp(event_timestamp)::TIMESTAMPTZ",
        "original_timestamp": {
            "object-storage": "make_timestamp(arrival_us // 1000 * 1000)::TIMESTAMPTZ",
            "batch-bodies": "NULL::TIMESTAMPTZ",
            "published": "make_timestamp(event_timestamp)::TIMESTAMPTZ",
        }[container],
        "utc_offset_s": "NULL" if published else "utc_offset_s",
        "created_at": "make_timestamp(created_at)::TIMESTAMPTZ",
        "post_id": "nullif(post_id, '')",
        "playbook_id": "nullif(playbook_id, '')",
        "new_state": f"CASE new_state {done} WHEN '' THEN 'open' END",
    }
    if published:
        own |= {
            "action": "NULL::VARCHAR",
            "current_status": "NULL::VARCHAR",
            "playbook_id": "CASE WHEN event_type = 'playbook' THEN playbook_id END",
        }
    values = ", ".join(
        f"({own.get(declared.column, declared.column)})::{VALUE_KINDS[declared.kind].sql_type} AS {declared.column}"
        for declared in schemas.FIELDS
    )
    damage = " ".join(f"WHEN {number} THEN '{kind.name}'" for number, kind in enumerate(DAMAGE))
    line = ", ".join(str(number) for number, kind in enumerate(DAMAGE) if kind.column is None)
    return f"""
        SELECT source::VARCHAR AS source, record, position, arrival, copy, fate::VARCHAR AS fate,
            CASE damage {damage} END AS damage, coalesce(damage IN ({line}), false) AS is_line_damaged, is_unlisted,
            {values}
        FROM described
    """


class _States(NamedTuple):
    """What a visit is a visit to, all in SQL: whether an event leaves its incident in a state, and in which.

    ``n`` is how many states the incident has, and ``entering`` the actions that begin one where they come first. Only
    events ``of`` the kind count; at the first that ``is_unseen``, the observation of its incident ends.
    """

    is_there: str
    state: str
    n: str
    entering: tuple[str, ...]
    of: str
    is_unseen: str


_STAGES = _States(
    "is_active AND num_checklists > 0", "active_stage", "num_checklists", ENTERING, "true", "is_active IS NULL"
)
_STATUSES = _States(
    f"current_status IN ({', '.join(map(quote_literal, STATUSES[:-1]))})",
    f"list_position([{', '.join(map(quote_literal, STATUSES))}], current_status) - 1",
    str(len(STATUSES)),
    ENTERING[:1],
    f"current_status IN ({', '.join(map(quote_literal, STATUSES))})",
    "false",
)


def _visits(states: _States, cutoff_us: int | None, *, only_recorded: bool) -> str:
    """Return the SQL of the visits that the incident events make, by the definition of a visit."""
    of_event = "fate = 'valid'" if only_recorded else "copy = 0"
    cutoff = "NULL::TIMESTAMPTZ" if cutoff_us is None else f"make_timestamp({cutoff_us})::TIMESTAMPTZ"
    entering = ", ".join(map(quote_literal, states.entering))
    order = "PARTITION BY server_id, incident_id ORDER BY event_timestamp, arrival"
    return f"""
        WITH states AS (
            SELECT *, coalesce({states.is_there}, false) AS is_there, ({states.state})::BIGINT AS state,
                row_number() OVER w AS number,
                first_value(public IGNORE NULLS) OVER whole AS first_public,
                first_value(team_id) OVER whole AS first_team, first_value(plugin_version) OVER whole AS first_version,
                bool_or(coalesce(action = 'create', created_here)) OVER whole AS from_start,
                {states.is_unseen} AS is_unseen,
                min(event_timestamp) FILTER ({states.is_unseen}) OVER whole AS unseen_at
            FROM (SELECT *, epoch_us(event_timestamp) - epoch_us(created_at) <= {START_TOLERANCE_S * 1_000_000}
                      AS created_here FROM records WHERE event_type = 'incident' AND {of_event} AND {states.of})
            WINDOW w AS ({order}), whole AS ({order} ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
        ), changes AS (
            SELECT *, coalesce(lag(is_there) OVER w, false) AS was_there, lag(state) OVER w AS before
            FROM states WHERE unseen_at IS NULL OR event_timestamp <= unseen_at WINDOW w AS ({order})
        ), bounds AS (
            SELECT *, lead(event_timestamp) OVER w AS next_at, lead(is_there) OVER w AS stays,
                lead(state) OVER w AS after, coalesce(NOT lead(is_unseen) OVER w, false) AS is_left
            FROM changes
            WHERE is_there <> was_there OR (is_there AND state <> before)
            WINDOW w AS ({order})
        )
        SELECT server_id, incident_id,
            row_number() OVER (PARTITION BY server_id, incident_id ORDER BY number) - 1 AS visit,
            state AS stage, ({states.n})::BIGINT AS num_stages,
            CASE WHEN is_known THEN event_timestamp END AS entered_at, coalesce(next_at, {cutoff}) AS left_at,
            CASE WHEN is_known THEN (epoch_us(left_at) - epoch_us(event_timestamp)) / 1e6 END AS dwell_s,
            CASE WHEN NOT is_left THEN 'open' WHEN NOT stays THEN 'ended' WHEN after > state THEN 'advanced'
                 ELSE 'returned' END AS exit,
            CASE WHEN stays THEN after END AS next_stage, NOT is_left AS is_censored,
            NOT is_known AS is_left_truncated, from_start, first_team AS team_id, first_version AS plugin_version,
            first_public AS public
        FROM (SELECT *, number > 1 OR coalesce(action IN ({entering}), created_here)
                  AS is_known FROM bounds)
        WHERE is_there ORDER BY server_id, incident_id, visit
    """


COMPLETIONS = """
    SELECT server_id, incident_id, user_actual_id, event_timestamp, plugin_version,
        CASE WHEN was_commander AND was_assignee THEN 'both' WHEN was_commander THEN 'commander'
             WHEN was_assignee THEN 'assignee' ELSE 'neither' END AS completer, fate
    FROM records WHERE event_type = 'tasks' AND new_state = 'done' AND copy = 0 ORDER BY event_timestamp, arrival
"""
PLAYBOOK_STATES = """
    SELECT server_id, playbook_id, event_timestamp AS since,
        lead(event_timestamp) OVER (PARTITION BY server_id, playbook_id ORDER BY event_timestamp, arrival) AS until,
        action, team_id, is_public, num_checklists, total_checklist_items, num_members, num_slash_commands, fate
    FROM records WHERE event_type = 'playbook' AND copy = 0 ORDER BY server_id, playbook_id, since, arrival
"""
COUNTS = """
    SELECT source, count(*) FILTER (NOT is_line_damaged) + count(DISTINCT record) FILTER (is_line_damaged) AS n_read,
        count(*) FILTER (fate = 'valid' AND event_type = 'incident') AS n_incident,
        count(*) FILTER (fate = 'valid' AND event_type = 'tasks') AS n_tasks,
        count(*) FILTER (fate = 'valid' AND event_type = 'playbook') AS n_playbook,
        count(*) FILTER (fate = 'duplicate') AS n_duplicate,
        count(*) FILTER (fate = 'damaged' AND NOT is_line_damaged)
            + count(DISTINCT record) FILTER (is_line_damaged) AS n_rejected,
        count(*) FILTER (fate = 'other') AS n_other, 0 AS n_before_since, 0 AS n_after_cutoff
    FROM records WHERE fate NOT IN ('lost', 'paused') GROUP BY source
"""


@dataclass(frozen=True)
class Simulation:
    """A simulated event log, and what is known about it.

    Attributes
    ----------
    plan
        What was asked for: the ``parameters``, the ``faults``, the ``seed`` and the rest.
    cutoff
        The newest timestamp among the events that a load takes as valid; NaT where there is none.
    audit
        The accounts of a load: one row per file, with the columns of ``EventLog.audit``.
    records
        Every record in order of arrival: its ``source`` and ``record`` (null where it never arrived), ``position`` in
        its body, ``copy`` (0 for the first), ``fate`` (``valid``, ``duplicate``, ``damaged``, ``other``, ``lost``,
        ``paused``), the kind of ``damage``, ``is_unlisted`` (with a property in no contract), and what its event says.
    visits
        What ``stage_visits`` finds in the valid events.
    status_visits
        What ``status_visits`` finds in them.
    actual_visits
        The visits in the recording with nothing lost, damaged or paused.
    completions
        Every task that was completed: who by, when, the ``completer`` and the ``fate`` of the event.
    playbook_states
        Every state of a playbook, ``since`` when and ``until`` when (null: to the end), and the event's ``fate``.
    servers
        The servers and what distinguishes them, among it whether they are ``in_group`` (``Effect``) and the
        ``share_*`` of their state changes by each completer, an effect left out.

    Examples
    --------
    >>> from telemetry_kit.simulate import simulate_log
    >>> log = simulate_log(n_events=500, seed=1)
    >>> len(log.incident) + len(log.tasks) + len(log.playbook)
    500
    """

    plan: Plan
    cutoff: pd.Timestamp
    audit: pd.DataFrame = field(repr=False)
    records: pd.DataFrame = field(repr=False)
    visits: pd.DataFrame = field(repr=False)
    actual_visits: pd.DataFrame = field(repr=False)
    status_visits: pd.DataFrame = field(repr=False)
    completions: pd.DataFrame = field(repr=False)
    playbook_states: pd.DataFrame = field(repr=False)
    servers: pd.DataFrame = field(repr=False)

    @cached_property
    def incident(self) -> pd.DataFrame:
        """The incident events, as a load returns them."""
        return self._frame("incident")

    @cached_property
    def tasks(self) -> pd.DataFrame:
        """The tasks events, as a load returns them."""
        return self._frame("tasks")

    @cached_property
    def playbook(self) -> pd.DataFrame:
        """The playbook events, as a load returns them."""
        return self._frame("playbook")

    def _frame(self, event_type: EventType) -> pd.DataFrame:
        rows = self.records[(self.records["fate"] == "valid") & (self.records["event_type"] == event_type)]
        frame = rows.sort_values("event_timestamp", kind="stable", ignore_index=True)[schemas.columns_of(event_type)]
        levels = {
            declared.column: pd.CategoricalDtype(list(declared.levels)) if declared.levels else "category"
            for declared in schemas.fields_of(event_type)
            if declared.kind == "category"
        }
        return frame.astype(levels)


def write_tables(connection: duckdb.DuckDBPyConnection, folder: Path, plan: Plan, names: Sequence[str]) -> pd.DataFrame:
    """Write the tables that follow from ``folder/records.parquet``, and the summary; return the audit.

    Every one of the files ``names`` has a row in the audit, also where nothing arrived in it.
    """
    records = (folder / "records.parquet").as_posix()
    connection.execute(f"CREATE OR REPLACE VIEW records AS SELECT * FROM {quote_literal(records)}")
    cutoff, end = connection.execute(
        "SELECT epoch_us(max(event_timestamp) FILTER (fate = 'valid')), "
        "epoch_us(max(event_timestamp) FILTER (copy = 0)) FROM records"
    ).fetchall()[0]
    queries = {
        "visits": _visits(_STAGES, cutoff, only_recorded=True),
        "actual_visits": _visits(_STAGES, end, only_recorded=False),
        "status_visits": _visits(_STATUSES, cutoff, only_recorded=True),
        "completions": COMPLETIONS,
        "playbook_states": PLAYBOOK_STATES,
    }
    for table, query in queries.items():
        target = quote_literal((folder / f"{table}.parquet").as_posix())
        connection.execute(f"COPY ({query}) TO {target} (FORMAT parquet)")
    counted = {row[0]: row[1:] for row in connection.execute(COUNTS).fetchall()}
    audit = [dict(zip(AUDIT, (name, *counted.get(name, [0] * (len(AUDIT) - 1))), strict=True)) for name in names]
    summary = asked_of(plan) | {"cutoff": None if cutoff is None else _moment(cutoff).isoformat(), "audit": audit}
    (folder / SUMMARY).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    return _as_audit(audit)


def asked_of(plan: Plan) -> dict[str, Any]:
    """Return what was asked for, as a summary has it."""
    asked = dataclasses.asdict(plan)
    start = plan.parameters.start
    asked["parameters"]["start"] = None if start is None else start.isoformat()
    return asked


def _as_audit(lines: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the accounts as a table; with no file in it, pandas would not know that it counts."""
    return pd.DataFrame(lines, columns=list(AUDIT)).astype({"source": "str"} | dict.fromkeys(AUDIT[1:], "int64"))


def _moment(epoch_us: int) -> pd.Timestamp:
    return pd.Timestamp(epoch_us, unit="us", tz="UTC")


def read_truth(folder: str | Path) -> Simulation:
    """Read the truth that ``write_simulation`` left beside its events.

    Parameters
    ----------
    folder
        The folder of the truth: where the events are in ``NAME.jsonl.gz`` or ``NAME/``, ``NAME.truth/``.

    Returns
    -------
    Simulation
        What was asked for, what a load must find, and what happened.

    Raises
    ------
    SourceError
        Where the folder holds no truth.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from telemetry_kit.simulate import read_truth, write_simulation
    >>> with TemporaryDirectory() as folder:
    ...     audit = write_simulation(Path(folder) / "events.jsonl", n_events=100)
    ...     truth = read_truth(Path(folder) / "events.truth")
    >>> int(truth.audit["n_read"].sum())
    100
    """
    folder = Path(folder)
    try:
        output.settle(folder)
        summary = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceError(f"{folder}: no truth of a simulation here ({SUMMARY} is missing)") from None
    cutoff, audit = pd.Timestamp(summary.pop("cutoff")), _as_audit(summary.pop("audit"))
    given = summary["parameters"]
    given["start"] = None if given["start"] is None else dt.datetime.fromisoformat(given["start"])
    given["completer_shares"] = tuple(given["completer_shares"])
    given["effect"] = None if given["effect"] is None else Effect(**given["effect"])
    tables = {name: engine.arrow_to_pandas(pq.read_table(folder / f"{name}.parquet")) for name in TABLES}
    return Simulation(
        plan=Plan(**summary | {"parameters": Parameters(**given), "faults": Faults(**summary["faults"])}),
        cutoff=cutoff,
        audit=audit,
        **tables,
    )
