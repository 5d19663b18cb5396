"""Every public question that takes frames, for the tests that ask each of them on another engine."""

import narwhals.stable.v2 as nw
import pandas as pd

import telemetry_kit as tk
from telemetry_kit import engine

PERIODS = {"early": (None, "2020-10-22"), "late": ("2020-10-22", "2020-11-20"), "last": ("2020-11-20", None)}
FRAME_TO_FRAME = {
    "stage_visits": lambda log: tk.stage_visits(log["incident"], cutoff=log["cutoff"]),
    "stage_visits observed": lambda log: tk.stage_visits(
        log["incident"], cutoff=log["cutoff"], observed_until=log["heard"]
    ),
    "status_visits": lambda log: tk.status_visits(log["incident"], cutoff=log["cutoff"], observed_until=log["heard"]),
    "incident_durations observed": lambda log: tk.incident_durations(
        log["incident"], cutoff=log["cutoff"], observed_until=log["heard"]
    ),
    "incident_durations": lambda log: tk.incident_durations(log["incident"], cutoff=log["cutoff"]),
    "tasks_by_stage": lambda log: tk.tasks_by_stage(log["tasks"], _visits(log)),
    "completion_times": lambda log: tk.completion_times(log["tasks"], log["incident"]),
    "open_task_bounds": lambda log: tk.open_task_bounds(log["tasks"], log["incident"], cutoff=log["cutoff"]),
    "incident_sizes": lambda log: tk.incident_sizes(log["incident"], log["playbook"]),
    "fold_small_groups": lambda log: tk.fold_small_groups(log["tasks"], "plugin_version", min_servers=99),
    "playbook_snapshot": lambda log: tk.playbook_snapshot(log["playbook"], as_of=log["cutoff"]),
    "playbook_histories": lambda log: tk.playbook_histories(log["playbook"]),
    "filter_incidents": lambda log: tk.filter_incidents(log["tasks"], log["incident"]),
    "attach_groups": lambda log: tk.attach_groups(log["incident"], log["licenses"], columns=["edition", "starts_at"]),
    "attach_license": lambda log: tk.attach_license(log["incident"], log["licenses"]),
    "add_period": lambda log: tk.add_period(log["incident"], "M"),
    "add_period of visits": lambda log: tk.add_period(_visits(log), "W"),
    "add_period of durations": lambda log: tk.add_period(_durations(log), PERIODS),
    "add_period of a snapshot": lambda log: tk.add_period(_snapshot(log), "Q"),
    "persist": lambda log: tk.persist(log["tasks"]),
    "add_local_time": lambda log: tk.add_local_time(log["tasks"]),
}
SUMMARIES = {
    "stage_funnel": lambda log: tk.stage_funnel(_visits(log), by="public"),
    "stage_funnel within": lambda log: tk.stage_funnel(_visits(log), within="4h"),
    "stage_dwell": lambda log: tk.stage_dwell(_visits(log)),
    "stage_survival": lambda log: tk.stage_survival(_visits(log)),
    "stage_arrivals": lambda log: tk.stage_arrivals(_visits(log)),
    "last_stage_reached": lambda log: tk.last_stage_reached(_visits(log), by="public"),
    "stage_transitions": lambda log: tk.stage_transitions(_visits(log), by="plugin_version"),
    "visit_counts": lambda log: tk.visit_counts(_visits(log), by="public"),
    "stage_rework": lambda log: tk.stage_rework(_visits(log)),
    "time_to_stage": lambda log: tk.time_to_stage(_visits(log)),
    "incident_survival": lambda log: tk.incident_survival(tk.incident_durations(log["incident"], cutoff=log["cutoff"])),
    "time_to_end": lambda log: tk.time_to_end(tk.incident_durations(log["incident"], cutoff=log["cutoff"])),
    "task_completion since": lambda log: tk.task_completion(log["tasks"], since="2020-10-22", cutoff="2020-11-20"),
    "task_completion": lambda log: tk.task_completion(log["tasks"], by="plugin_version", freq="W"),
    "commander_vs_assignee": lambda log: tk.commander_vs_assignee(log["tasks"], by="server_version"),
    "commander_vs_assignee incident_id": lambda log: tk.commander_vs_assignee(log["tasks"], cluster="incident_id"),
    "task_reopening": lambda log: tk.task_reopening(log["tasks"]),
    "time_to_completion": lambda log: tk.time_to_completion(log["tasks"], log["incident"]),
    "detectable_difference": lambda log: tk.detectable_difference(log["tasks"], between="plugin_version"),
    "playbook_sizes": lambda log: tk.playbook_sizes(_snapshot(log), by="is_public"),
    "playbook_ecdf": lambda log: tk.playbook_ecdf(_snapshot(log), measure="items_per_checklist"),
    "playbook_growth": lambda log: tk.playbook_growth(log["playbook"]),
    "playbook_sizes_over_time": lambda log: tk.playbook_sizes_over_time(log["playbook"], cutoff=log["cutoff"]),
    "playbook_weightings": lambda log: tk.playbook_weightings(_snapshot(log), log["incident"]),
    "compare_playbook_sizes": lambda log: tk.compare_playbook_sizes(_snapshot(log), between="is_public"),
    "compare_completion": lambda log: tk.compare_completion(log["tasks"], between="plugin_version"),
    "compare_funnel": lambda log: tk.compare_funnel(_visits(log), between="public", within="7D"),
    "compare_dwell": lambda log: tk.compare_dwell(_visits(log), between="public", at="1min", by="plugin_version"),
    "compare_durations": lambda log: tk.compare_durations(_durations(log), between="public", measure="median_s"),
    "decompose_difference": lambda log: tk.decompose_difference(
        log["tasks"], of="commander", between="plugin_version", over="user_actual_id"
    ),
    "decompose_difference ended": lambda log: tk.decompose_difference(
        log["incident"], of="ended", between="plugin_version", over="public"
    ),
    "recording_eras": tk.recording_eras,
    "process_chart": lambda log: tk.process_chart(_weeks(log), events="n_tasks", area="n_users"),
    "server_lifecycle": lambda log: tk.server_lifecycle(log, freq="D"),
    "server_retention": lambda log: tk.server_retention(log, freq="W"),
    "playbook_usage": lambda log: tk.playbook_usage(_snapshot(log), log["incident"]),
    "server_deviation": lambda log: tk.server_deviation(log["tasks"], of="commander", cluster="user_actual_id"),
    "server_deviation reached_last": lambda log: tk.server_deviation(
        log["incident"], of="reached_last", cluster="commander_user_id"
    ),
    "server_activity": tk.server_activity,
    "stage_occupancy": lambda log: tk.stage_occupancy(_visits(log), cutoff=log["cutoff"], by="public"),
    "stage_occupancy statuses": lambda log: tk.stage_occupancy(_statuses(log), cutoff=log["cutoff"], at=["1h", "2D"]),
    "stage_exits": lambda log: tk.stage_exits(_visits(log), at=["1h", "2D"], by="public"),
    "incident_flow": lambda log: tk.incident_flow(log["incident"], cutoff=log["cutoff"], by="public"),
    "incident_flow observed": lambda log: tk.incident_flow(
        log["incident"], cutoff=log["cutoff"], freq="D", observed_until=log["heard"]
    ),
    "load_by_hour": lambda log: tk.load_by_hour(log["tasks"], by="plugin_version"),
    "out_of_hours": lambda log: tk.out_of_hours(log["incident"], cutoff=log["cutoff"], by="public"),
    "observed_until": lambda log: tk.observed_until(log, silent_after="3D"),
    "stage_funnel statuses": lambda log: tk.stage_funnel(_statuses(log)),
    "stage_transitions statuses": lambda log: tk.stage_transitions(_statuses(log)),
    "server_overview": tk.server_overview,
    "versions_in_use": tk.versions_in_use,
    "version_adoption": lambda log: tk.version_adoption(log, "1.0.0"),
    "warehouse_metrics": tk.warehouse_metrics,
    "n_distinct": lambda log: pd.DataFrame({"n": [tk.n_distinct(log["tasks"], "server_id", "action")]}),
    "to_pandas": lambda log: tk.to_pandas(log["playbook"]),
}
KINDS = ("incident", "tasks", "playbook")
FRAMES = (*KINDS, "licenses", "heard")


def _durations(log):
    return tk.incident_durations(log["incident"], cutoff=log["cutoff"])


def _visits(log):
    return tk.stage_visits(log["incident"], cutoff=log["cutoff"])


def _statuses(log):
    return tk.status_visits(log["incident"], cutoff=log["cutoff"])


def _snapshot(log):
    return tk.playbook_snapshot(log["playbook"], as_of=log["cutoff"])


def _weeks(log):
    """Events and users of a log by week, on its engine."""
    activity = tk.server_activity(log, freq="W").rename(columns={"date": "period"})
    return activity.groupby("period", as_index=False)[["n_tasks", "n_users"]].sum()


def load_two_eras(recordings):
    """Return a recording whose servers have stages, and later ones that have statuses."""
    return tk.load_events([recordings / "batch-bodies" / f"{era}.jsonl.gz" for era in ("prev", "later")])


def as_frames(log):
    """Return a log as the questions take it, with licenses for some of its servers and up to when each was heard."""
    servers = log.incident["server_id"].drop_duplicates().head(2)
    licenses = pd.DataFrame({"server_id": servers, "edition": ["E10", "E20"]})
    licenses["starts_at"] = log.incident["event_timestamp"].iloc[0] - pd.Timedelta("1D")
    licenses["ends_at"] = licenses["starts_at"] + pd.Timedelta("3D")
    others = {"licenses": licenses, "heard": tk.observed_until(log, silent_after="3D"), "cutoff": log.cutoff}
    return {kind: getattr(log, kind) for kind in KINDS} | others


def as_arrow(frame):
    """As a table without categories, which not every engine has."""
    return engine.to_arrow(frame.astype({c: "str" for c in frame if frame[c].dtype == "category"}))


def plain(frame):
    """As pandas, rows in one order, text as text, without the columns by which rows that have no order tell it."""
    rows = engine.collect(engine.open_frame(frame, [], parameter="frame"))
    rows = rows.drop(columns=[engine.ARRIVAL, engine.RECEIVED], errors="ignore")
    return rows.sort_values(list(rows.columns), ignore_index=True)


def kind_of(frame):
    opened = nw.from_native(frame)
    return type(opened), opened.implementation
