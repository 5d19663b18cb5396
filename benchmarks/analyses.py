"""Every public analysis, and the hand-written query that makes the same table without its confidence intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw

import telemetry_kit as tk
from benchmarks import playbooks_sql, servers_sql, stages_sql, tasks_sql

if TYPE_CHECKING:
    from collections.abc import Callable

Inputs = dict[str, Any]
"""The frames of a log, licences that are made beforehand, and the cutoff."""


class Analysis(NamedTuple):
    """An analysis of inputs, its peer's query, and the columns of which only we leave out what is not known.

    ``visits`` is the query for a table of that name that the peer makes first, where it gives the visits as well, in
    the order that ours has.
    """

    ours: Callable[[Inputs], Any]
    sql: str
    apart: tuple[str, ...] = ()
    visits: str = ""


def _visits(log: Inputs) -> Any:  # noqa: ANN401 - a frame of the kind that was given
    return tk.stage_visits(log["incident"], cutoff=log["cutoff"])


def _durations(log: Inputs) -> Any:  # noqa: ANN401 - as above
    return tk.incident_durations(log["incident"], cutoff=log["cutoff"])


def _on(table: str, made_by: str, query: str) -> str:
    """Let a query begin with the query for a table that it reads."""
    first, rest = f"WITH {table} AS ({made_by.strip()})", query.strip()
    return f"{first}, {rest.removeprefix('WITH ')}" if rest.startswith("WITH ") else f"{first} {rest}"


def _on_visits(query: str) -> str:
    return _on("visits", stages_sql.VISITS, query)


def _snapshot(log: Inputs) -> Any:  # noqa: ANN401 - a frame of the kind that was given
    return tk.playbook_snapshot(log["playbook"], as_of=log["cutoff"])


def _on_snapshot(query: str) -> str:
    return _on("snapshot", playbooks_sql.SNAPSHOT, query)


def _progression(log: Inputs) -> Any:  # noqa: ANN401 - as above
    visits = tk.persist(_visits(log))
    return tk.stage_funnel(visits).merge(tk.stage_dwell(visits), on="stage", suffixes=("", "_of_visits"))


PROGRESSION = "visits, funnel and dwell"
_STAGES = {
    PROGRESSION: Analysis(
        _progression,
        f"SELECT funnel.*, dwell.* EXCLUDE (stage, n_servers) FROM ({stages_sql.FUNNEL}) AS funnel "
        f"JOIN ({stages_sql.DWELL}) AS dwell USING (stage) ORDER BY stage",
        visits=f"{stages_sql.VISITS} ORDER BY server_id, incident_id, visit",
    ),
    "stage_visits": Analysis(_visits, stages_sql.VISITS, ("dwell_s",)),
    "stage_funnel": Analysis(lambda log: tk.stage_funnel(_visits(log)), _on_visits(stages_sql.FUNNEL)),
    "stage_funnel by public": Analysis(
        lambda log: tk.stage_funnel(_visits(log), by="public"), _on_visits(stages_sql.FUNNEL_BY)
    ),
    "stage_funnel within 4h": Analysis(
        lambda log: tk.stage_funnel(_visits(log), within="4h"), _on_visits(stages_sql.FUNNEL_WITHIN)
    ),
    "stage_dwell": Analysis(lambda log: tk.stage_dwell(_visits(log)), _on_visits(stages_sql.DWELL)),
    "stage_survival": Analysis(lambda log: tk.stage_survival(_visits(log)), _on_visits(stages_sql.SURVIVAL)),
    "stage_transitions": Analysis(lambda log: tk.stage_transitions(_visits(log)), _on_visits(stages_sql.TRANSITIONS)),
    "time_to_stage": Analysis(lambda log: tk.time_to_stage(_visits(log)), _on_visits(stages_sql.ARRIVALS)),
    "stage_rework": Analysis(lambda log: tk.stage_rework(_visits(log)), _on_visits(stages_sql.REWORK)),
    # The query does not take delayed entry: where no create was recorded, its start and durations are null.
    "incident_durations": Analysis(
        lambda log: nw.from_native(_durations(log)).filter(nw.col("from_start")).to_native(),
        f"SELECT * FROM ({stages_sql.DURATIONS}) AS durations WHERE started_at IS NOT NULL",
    ),
}
ANALYSES = _STAGES | {
    "task_completion": Analysis(lambda log: tk.task_completion(log["tasks"]), tasks_sql.COMPLETION),
    "task_completion by week": Analysis(
        lambda log: tk.task_completion(log["tasks"], freq="W"), tasks_sql.COMPLETION_BY_WEEK
    ),
    "task_completion by server": Analysis(
        lambda log: tk.task_completion(log["tasks"], by="server_id", cluster="incident_id"),
        tasks_sql.COMPLETION_BY_SERVER,
    ),
    "commander_vs_assignee": Analysis(
        lambda log: tk.commander_vs_assignee(log["tasks"], by="plugin_version"), tasks_sql.DIFFERENCE
    ),
    "task_reopening": Analysis(lambda log: tk.task_reopening(log["tasks"]), tasks_sql.REOPENING),
    "detectable_difference": Analysis(
        lambda log: tk.detectable_difference(log["tasks"], between="plugin_version"), tasks_sql.DETECTABLE
    ),
    "tasks_by_stage": Analysis(
        lambda log: tk.tasks_by_stage(log["tasks"], _visits(log)), _on_visits(tasks_sql.BY_STAGE)
    ),
    "completion_times": Analysis(lambda log: tk.completion_times(log["tasks"], log["incident"]), tasks_sql.TIMES),
    "time_to_completion": Analysis(
        lambda log: tk.time_to_completion(log["tasks"], log["incident"]), tasks_sql.TIME_TO_COMPLETION
    ),
    "open_task_bounds": Analysis(
        lambda log: tk.open_task_bounds(log["tasks"], log["incident"], cutoff=log["cutoff"]), tasks_sql.BOUNDS
    ),
    "playbook_snapshot": Analysis(_snapshot, playbooks_sql.SNAPSHOT),
    "playbook_sizes": Analysis(
        lambda log: tk.playbook_sizes(_snapshot(log), by="is_public"), _on_snapshot(playbooks_sql.SIZES)
    ),
    "playbook_ecdf": Analysis(lambda log: tk.playbook_ecdf(_snapshot(log)), _on_snapshot(playbooks_sql.ECDF)),
    "playbook_histories": Analysis(lambda log: tk.playbook_histories(log["playbook"]), playbooks_sql.HISTORIES),
    "playbook_growth": Analysis(lambda log: tk.playbook_growth(log["playbook"]), playbooks_sql.GROWTH),
    "playbook_sizes_over_time": Analysis(
        lambda log: tk.playbook_sizes_over_time(log["playbook"], cutoff=log["cutoff"]), playbooks_sql.OVER_TIME
    ),
    "playbook_weightings": Analysis(
        lambda log: tk.playbook_weightings(_snapshot(log), log["incident"]), _on_snapshot(playbooks_sql.WEIGHTINGS)
    ),
    "incident_sizes": Analysis(
        lambda log: tk.incident_sizes(log["incident"], log["playbook"]), playbooks_sql.INCIDENT_SIZES
    ),
    "server_activity": Analysis(tk.server_activity, servers_sql.ACTIVITY),
    "server_overview": Analysis(tk.server_overview, servers_sql.OVERVIEW),
    "versions_in_use": Analysis(tk.versions_in_use, servers_sql.VERSIONS),
    "version_adoption": Analysis(lambda log: tk.version_adoption(log, "1.1.0"), servers_sql.ADOPTION),
    "attach_license": Analysis(lambda log: tk.attach_license(log["tasks"], log["licenses"]), servers_sql.LICENSE),
    "warehouse_metrics": Analysis(tk.warehouse_metrics, servers_sql.METRICS),
}
