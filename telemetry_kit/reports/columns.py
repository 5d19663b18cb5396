"""How each column of a tidy table is headed and written for readers, and which give way when there are many."""

from __future__ import annotations

HEADINGS = {
    "df": "Degrees of freedom",
    "n": "Number",
    "n_servers": "Servers",
    "n_clusters": "Servers",
    "n_incidents": "Incidents",
    "n_visits": "Visits",
    "n_eligible": "Have it",
    "n_reached": "Reached it",
    "n_visited": "Visited it",
    "n_before": "Reached the one before",
    "n_open": "Open, may still",
    "n_open_max": "Open at most",
    "n_observed": "Over",
    "n_censored": "Still open",
    "n_excluded": "Left out",
    "n_immature": "Too young",
    "n_completed": "Completed",
    "n_reopened": "Reopened",
    "n_unknown": "Unknown",
    "n_missing": "Unknown",
    "n_effective": "Worth independent ones",
    "n_total": "Of",
    "n_in_use": "Servers in use",
    "n_users": "People",
    "n_days_active": "Active days",
    "n_incident": "Incident events",
    "n_tasks": "Task events",
    "n_playbook": "Playbook events",
    "n_read": "Records",
    "n_duplicate": "Duplicates",
    "n_rejected": "Rejected",
    "n_other": "Other types",
    "n_before_since": "Before the period",
    "n_after_cutoff": "After the cutoff",
    "n_larger": "Larger",
    "n_smaller": "Smaller",
    "n_runs": "Incidents made from them",
    "n_first": "In the first",
    "n_second": "In the second",
    "n_tasks_max": "Tasks",
    "n_done_min": "Done, at least",
    "n_done_max": "Done, at most",
    "most_left": "Left, at most",
    "largest_cluster_share": "Largest server",
    "step_estimate": "Of those before",
    "q25_s": "A quarter within",
    "q75_s": "Three quarters within",
    "median_s": "Half within",
    "p05": "5 %",
    "p25": "25 %",
    "p75": "75 %",
    "p95": "95 %",
    "sd": "Standard deviation",
    "min": "Smallest",
    "max": "Largest",
    "is_public": "Public",
    "is_complete": "Complete",
    "dau": "People, last day",
    "wau": "People, 7 days",
    "mau": "People, 30 days",
    "plugin_version": "Plugin version",
    "server_version": "Server version",
    "server_id": "Server",
    "incident_id": "Incident",
    "exit": "Way out",
    "p_value": "p",
    "p_adjusted": "p, adjusted",
    "group_a": "From",
    "group_b": "To",
    "estimate_a": "Before",
    "estimate_b": "After",
    "detectable": "Could be found",
    "verdict": "More than chance?",
    "number": "What",
    "n_events": "Events",
    "n_active": "Active",
    "n_unused": "On and not used",
    "n_with_stages": "With stages",
    "n_with_status": "With a status",
    "n_with_playbook": "With their playbook",
    "n_with_completer": "Changes of tasks that tell who",
    "n_unnamed": "May be of it",
    "first_at": "First event",
    "last_at": "Last event",
    "expected_lower": "Ordinary, from",
    "expected_upper": "Ordinary, to",
    "center": "All together",
    "lower": "Ordinary, from",
    "upper": "Ordinary, to",
    "run": "Run on one side",
    "is_beyond": "Beyond",
    "is_run_signal": "Run too long",
    "without_largest": "Without the largest server",
    "without_gaps": "Without servers with gaps",
    "complete_only": "Complete incidents",
}

VALUES = {
    "num_checklists": "stages",
    "total_checklist_items": "tasks",
    "items_per_checklist": "tasks per stage",
    "num_members": "members",
    "num_slash_commands": "slash commands",
    "revisited_share": "incidents that came back to a stage",
    "stepped_back_share": "incidents that went back a stage",
    "restarted_share": "incidents that were restarted",
    "back_step_rate": "moves that go back",
    "revisits_per_incident": "returns per incident",
    "restarts_per_incident": "restarts per incident",
    "from_start": "recorded from the start",
    "probability_of_superiority": "chance of being the larger one",
    "difference_of_medians": "difference of medians",
    "commander_vs_assignee": "commander minus assignee",
    "within": "same servers, other ways",
    "mix": "same servers, other sizes",
    "entered": "servers that came",
    "left": "servers that left",
}
"""What some columns say in code, in words."""

RATES = frozenset({"revisits_per_incident", "restarts_per_incident"})
"""Measures that are no shares, though they may lie below 1."""
MEDIANS = frozenset({"difference_of_medians"})
"""Comparisons that are in the unit of what was measured."""
TIMES = frozenset({"restricted_mean_s", "median_s"})
"""Measures that are durations in seconds."""
SHARES = frozenset(
    {
        *("share", "step_estimate", "largest_cluster_share", "commander", "assignee", "overall", "shrunk", "survival"),
        *("estimate", "estimate_a", "estimate_b", "center", "lower", "upper", "expected_lower", "expected_upper"),
    }
)
DIFFERENCES = frozenset({"difference", "detectable", "contribution"})
"""Differences of shares, in percentage points."""

LIMITS_OF_A_CHART = "center"
"""A table with this column has limits of ordinary variation, which are no interval of its estimate."""

INTERVALS = (
    ("estimate", "lower", "upper"),
    ("step_estimate", "step_lower", "step_upper"),
    ("median_s", "median_lower_s", "median_upper_s"),
    ("q25_s", "q25_lower_s", "q25_upper_s"),
    ("q75_s", "q75_lower_s", "q75_upper_s"),
    ("median", "median_lower", "median_upper"),
    ("p25", "p25_lower", "p25_upper"),
    ("p75", "p75_lower", "p75_upper"),
    ("difference", "lower", "upper"),
    ("median_difference", "median_difference_lower", "median_difference_upper"),
    ("mean_change", "lower", "upper"),
    ("mean", "lower", "upper"),
    ("share", "lower", "upper"),
    ("survival", "lower", "upper"),
)
"""An estimate and its limits, which share a cell: the first of those with the same limits that a table has."""

GIVE_WAY = (
    *("step_df", "df", "sd", "n_effective", "n_missing", "n_unknown", "n_excluded", "n_immature", "n_visited"),
    *("min", "p05", "p95", "max", "n_before", "n_other", "n_plugin_versions", "n_server_versions", "n_days"),
    *("n_in_progress_min", "n_in_progress_max", "n_open_min", "n_open_max", "n_tasks_min", "basis"),
    *("n_smaller", "n_larger", "mean", "n_runs", "wau", "n_days_active", "n_observed", "largest_cluster_share"),
    *("n_reopened", "n_before_since", "n_after_cutoff", "dau", "n_clusters_a", "n_clusters_b", "n_users", "n_ended"),
    *("n_servers_a", "n_servers_b", "n_servers_both", "n_completed_a", "n_completed_b", "n_a", "n_b", "p_value"),
    *("detectable", "median_first", "median_second", "q25_s", "server_version", "n_first", "n_second"),
    *("unit", "largest_server", "n_servers_with_gaps", "between_sd", "rho", "sigma_z", "changed_at"),
    *("first_at", "last_at", "n_events", "size", "n_gone"),
)
"""Columns that a table for reading leaves to the file beside it, the first of them first."""
