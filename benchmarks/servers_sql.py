"""The analyses of servers as a data engineer would write them for DuckDB: the same numbers, but no intervals.

The queries select from ``incident``, ``tasks``, ``playbook`` and ``licenses``, tables or views. Results have the
columns' names of the analyses, by which a test holds them against one another.
"""

_EVENTS = """
WITH events AS (
    SELECT 'incident' AS kind, server_id, user_actual_id, event_timestamp, plugin_version, server_version FROM incident
    UNION ALL SELECT 'tasks', server_id, user_actual_id, event_timestamp, plugin_version, server_version FROM tasks
    UNION ALL
    SELECT 'playbook', server_id, user_actual_id, event_timestamp, plugin_version, server_version FROM playbook
)"""
_COUNTS = """count(*) FILTER (kind = 'incident') AS n_incident, count(*) FILTER (kind = 'tasks') AS n_tasks,
        count(*) FILTER (kind = 'playbook') AS n_playbook"""

# A user who is seen on a day counts for the days of the window from it on. Counting where such stretches begin and end,
# and adding up along the calendar, is a tenth of the work of repeating every user for every day of the window.
ACTIVITY = (
    _EVENTS
    + f""", user_days AS (
    SELECT server_id, user_actual_id, event_timestamp::DATE AS date, {_COUNTS} FROM events GROUP BY ALL
), gaps AS (
    SELECT *, date - lag(date) OVER w AS since, lead(date) OVER w - date AS until
    FROM user_days WINDOW w AS (PARTITION BY server_id, user_actual_id ORDER BY date)
), daily AS (
    SELECT server_id, date, sum(n_incident) AS n_incident, sum(n_tasks) AS n_tasks, sum(n_playbook) AS n_playbook,
        count(*) AS dau, count(*) FILTER (since IS NULL OR since >= 7) AS came_7,
        count(*) FILTER (until IS NULL OR until >= 7) AS left_7,
        count(*) FILTER (since IS NULL OR since >= 30) AS came_30,
        count(*) FILTER (until IS NULL OR until >= 30) AS left_30
    FROM gaps GROUP BY ALL
), spans AS (
    SELECT server_id, min(date) AS first, max(date) AS last FROM daily GROUP BY ALL
), calendar AS (
    SELECT server_id, unnest(generate_series(first, last, INTERVAL 1 DAY))::DATE AS date FROM spans
)
SELECT server_id, date, coalesce(d.n_incident, 0) AS n_incident, coalesce(d.n_tasks, 0) AS n_tasks,
    coalesce(d.n_playbook, 0) AS n_playbook, coalesce(d.dau, 0) AS dau,
    sum(coalesce(d.came_7, 0) - coalesce(w.left_7, 0)) OVER s AS wau,
    sum(coalesce(d.came_30, 0) - coalesce(m.left_30, 0)) OVER s AS mau
FROM calendar AS c LEFT JOIN daily AS d USING (server_id, date)
LEFT JOIN daily AS w ON w.server_id = c.server_id AND w.date = c.date - 7
LEFT JOIN daily AS m ON m.server_id = c.server_id AND m.date = c.date - 30
WINDOW s AS (PARTITION BY c.server_id ORDER BY c.date) ORDER BY c.server_id, c.date
"""
)

OVERVIEW = (
    _EVENTS
    + f"""
SELECT server_id, min(event_timestamp)::DATE AS first_day, max(event_timestamp)::DATE AS last_day,
    last_day - first_day + 1 AS n_days, count(DISTINCT event_timestamp::DATE) AS n_days_active, {_COUNTS},
    count(DISTINCT user_actual_id) AS n_users, arg_max(plugin_version, event_timestamp) AS plugin_version,
    arg_max(server_version, event_timestamp) AS server_version,
    count(DISTINCT plugin_version) AS n_plugin_versions, count(DISTINCT server_version) AS n_server_versions
FROM events GROUP BY ALL ORDER BY server_id
"""
)

VERSIONS = (
    _EVENTS
    + """, daily AS (
    SELECT server_id, event_timestamp::DATE AS seen, arg_max(plugin_version, event_timestamp) AS version
    FROM events GROUP BY ALL
), days AS (
    SELECT unnest(generate_series(min(seen), max(seen), INTERVAL 1 DAY))::DATE AS date FROM daily
), servers AS (
    SELECT DISTINCT server_id FROM daily
), running AS (
    SELECT date, version FROM (SELECT * FROM days, servers) AS each
    ASOF JOIN daily ON each.server_id = daily.server_id AND each.date >= daily.seen
    WHERE date - seen < 30
)
SELECT date, version, count(*) AS n_servers, sum(count(*)) OVER (PARTITION BY date) AS n_in_use,
    n_servers / n_in_use AS share
FROM running GROUP BY date, version ORDER BY date, version
"""
)

ADOPTION = (
    _EVENTS
    + """, spans AS (
    SELECT server_id, min(event_timestamp) FILTER (is_new) AS taken_up,
        min(event_timestamp) FILTER (NOT is_new) AS began,
        max(event_timestamp) AS last
    FROM (
        SELECT *, list_transform(string_split(plugin_version, '.'), lambda part: part::INT) >= [1, 1, 0] AS is_new
        FROM events
    ) GROUP BY ALL
), clocks AS (
    SELECT (epoch_us(coalesce(taken_up, last)) - epoch_us(greatest(began, release))) / 86400e6 AS days,
        taken_up IS NOT NULL AS is_observed
    FROM spans, (SELECT min(taken_up) AS release FROM spans)
    WHERE (began < taken_up OR began IS NOT NULL AND taken_up IS NULL) AND last >= release
), times AS (
    SELECT days, count(*) FILTER (is_observed) AS n_adopted, count(*) FILTER (NOT is_observed) AS n_censored
    FROM clocks GROUP BY ALL
), risks AS (
    SELECT *, sum(n_adopted + n_censored) OVER (ORDER BY days DESC) AS n_at_risk FROM times
)
SELECT days, n_at_risk, n_adopted, n_censored,
    1 - exp(sum(ln(greatest(1 - n_adopted / n_at_risk, 1e-300))) OVER (ORDER BY days)) AS estimate
FROM risks ORDER BY days
"""
)

LICENSE = """
SELECT tasks.*, CASE WHEN event_timestamp IS NOT NULL THEN
    CASE WHEN edition IS NOT NULL AND (ends_at IS NULL OR event_timestamp < ends_at) THEN edition
        ELSE 'unlicensed' END END AS edition
FROM tasks ASOF LEFT JOIN licenses ON tasks.server_id = licenses.server_id AND event_timestamp >= starts_at
"""

_ACTIONS = {
    "playbook": {
        "playbooks_created": "action = 'create'",
        "playbooks_edited": "action = 'update'",
        "playbooks_deleted": "action = 'delete'",
    },
    "incident": {
        "incidents_created": "action = 'create'",
        "ended_incident": "action = 'end'",
        "restarted_incident": "action = 'restart'",
        "stages_changed": "action = 'change_stage'",
        "commanders_changed": "action = 'change_commander'",
        "status_updates": "action = 'update_status'",
    },
    "tasks": {
        "tasks_added": "action = 'add_task'",
        "tasks_removed": "action = 'remove_task'",
        "tasks_renamed": "action = 'rename_task'",
        "tasks_moved": "action = 'move_task'",
        "task_states_modified": "action = 'modify_task_state'",
        "task_assignees_set": "action = 'set_assignee_for_task'",
        "task_slash_commands_run": "action = 'run_task_slash_command'",
        "checklist_items": "action IN ('add_task', 'remove_task', 'rename_task', 'move_task', 'modify_task_state')",
    },
}
_STATUSES = {
    "reported_incidents": "Reported",
    "acknowledged_incidents": "Active",
    "resolved_incidents": "Resolved",
    "archived_incidents": "Archived",
}
_WINDOWS = {"daily_active_users": 1, "weekly_active_users": 8, "monthly_active_users": 31}
_BEHIND = "count(DISTINCT server_id) AS n_servers, count(DISTINCT (server_id, user_actual_id)) AS n_users"

_FIGURES = [
    *(
        f"SELECT '{name}' AS metric, count(DISTINCT event_id) AS value, {_BEHIND} FROM {kind} WHERE {action}"
        for kind, figures in _ACTIONS.items()
        for name, action in figures.items()
    ),
    *(
        f"SELECT '{name}', count(DISTINCT (server_id, incident_id)), {_BEHIND} FROM incident "
        f"WHERE current_status = '{status}'"
        for name, status in _STATUSES.items()
    ),
    f"SELECT 'playbooks', count(DISTINCT (server_id, playbook_id)), {_BEHIND} FROM named",
    f"SELECT 'incident_contributors', count(*), {_BEHIND} FROM users",
    f"SELECT 'days_active', (SELECT count(*) FROM days), {_BEHIND} FROM users",
    *(
        f"SELECT '{name}', count(*), count(DISTINCT server_id), count(*) FROM users "
        f"WHERE last > (SELECT max(last) FROM users) - {window}"
        for name, window in _WINDOWS.items()
    ),
]

METRICS = f"""{_EVENTS}, users AS (
    SELECT server_id, user_actual_id, max(event_timestamp)::DATE AS last FROM events GROUP BY ALL
), days AS (
    SELECT DISTINCT server_id, event_timestamp::DATE AS date FROM events
), named AS (
    SELECT server_id, user_actual_id, playbook_id FROM incident WHERE playbook_id IS NOT NULL
    UNION SELECT server_id, user_actual_id, playbook_id FROM playbook WHERE playbook_id IS NOT NULL
)
{" UNION ALL ".join(_FIGURES)}
"""
