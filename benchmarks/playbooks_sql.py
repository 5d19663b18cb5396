"""The analyses of playbooks as a data engineer would write them for DuckDB: the same numbers, but no intervals.

The queries select from ``playbook``, ``incident`` and ``snapshot``, tables or views. Results have the columns' names of
the analyses, by which a test holds them against one another.
"""

SNAPSHOT = """
WITH ordered AS (
    SELECT *, min(event_timestamp) OVER w AS first_seen_at,
        count(*) FILTER (action = 'update' OR action IS NULL) OVER w AS n_updates,
        row_number() OVER (
            PARTITION BY server_id, playbook_id ORDER BY event_timestamp DESC, event_id DESC) AS nth
    FROM playbook WHERE event_timestamp <= $cutoff WINDOW w AS (PARTITION BY server_id, playbook_id)
)
SELECT * EXCLUDE (nth), event_timestamp AS last_changed_at FROM ordered
WHERE nth = 1 AND action IS DISTINCT FROM 'delete' ORDER BY server_id, playbook_id
"""

_SIZES = """count(size) AS n, count(DISTINCT server_id) FILTER (size IS NOT NULL) AS n_servers, avg(size) AS mean,
        stddev_samp(size) AS sd, min(size) AS min, quantile_cont(size, [0.05, 0.25, 0.5, 0.75, 0.95]) AS q,
        max(size) AS max, count(*) - count(size) AS n_missing"""
_OF_SIZES = (
    "n, n_servers, mean, sd, min, q[1] AS p05, q[2] AS p25, q[3] AS median, q[4] AS p75, q[5] AS p95, max, n_missing"
)

SIZES = f"""
SELECT is_public, {_OF_SIZES}
FROM (SELECT is_public, {_SIZES} FROM (SELECT *, total_checklist_items AS size FROM snapshot) GROUP BY ALL)
ORDER BY is_public
"""

ECDF = """
SELECT value, n, sum(n) OVER (ORDER BY value) / sum(n) OVER () AS share
FROM (SELECT total_checklist_items AS value, count(*) AS n FROM snapshot WHERE value IS NOT NULL GROUP BY ALL)
ORDER BY value
"""

_STATES = """
WITH states AS (
    SELECT *, total_checklist_items AS size, row_number() OVER w - 1 AS update,
        lead(event_timestamp) OVER w AS until, first_value(size) OVER w AS first_size,
        coalesce(first_value(action) OVER w, 'create') = 'create' AS from_create
    FROM playbook WINDOW w AS (PARTITION BY server_id, playbook_id ORDER BY event_timestamp, event_id)
)"""

HISTORIES = """
SELECT server_id, playbook_id, min(event_timestamp) AS first_seen_at, max(event_timestamp) AS last_changed_at,
    count(*) FILTER (action = 'update' OR action IS NULL) AS n_updates,
    coalesce(arg_min(action, (event_timestamp, event_id)), 'create') = 'create' AS from_create,
    arg_max(action, (event_timestamp, event_id)) = 'delete' AS is_deleted,
    arg_min(total_checklist_items, (event_timestamp, event_id)) AS first,
    arg_max(total_checklist_items, (event_timestamp, event_id)) AS last, max(total_checklist_items) AS largest
FROM playbook GROUP BY ALL ORDER BY ALL
"""

GROWTH = (
    _STATES
    + """
SELECT update, count(*) AS n, count(DISTINCT server_id) AS n_servers, avg(size) AS mean, median(size) AS median,
    avg(size - first_size) AS mean_change, count(*) FILTER (size > first_size) AS n_larger,
    count(*) FILTER (size < first_size) AS n_smaller
FROM states WHERE from_create AND action IS DISTINCT FROM 'delete' AND size IS NOT NULL GROUP BY ALL ORDER BY update
"""
)

OVER_TIME = f"""{_STATES}, moments AS (
    SELECT least(month + INTERVAL 1 MONTH - INTERVAL 1 MICROSECOND, $cutoff) AS as_of
    FROM (SELECT unnest(generate_series(date_trunc('month', min(event_timestamp)), $cutoff, INTERVAL 1 MONTH)) AS month
        FROM playbook)
), sizes AS (
    SELECT as_of, {_SIZES} FROM moments JOIN states ON event_timestamp <= as_of AND (until > as_of OR until IS NULL)
    WHERE action IS DISTINCT FROM 'delete' GROUP BY ALL
)
SELECT as_of, {_OF_SIZES} FROM sizes ORDER BY as_of
"""

WEIGHTINGS = """
WITH runs AS (
    SELECT server_id, playbook_id, count(DISTINCT incident_id) AS n_runs FROM incident
    WHERE playbook_id IS NOT NULL GROUP BY ALL
), sized AS (
    SELECT server_id, total_checklist_items AS size, coalesce(n_runs, 0) AS n_runs,
        1 / count(*) OVER (PARTITION BY server_id) AS share
    FROM snapshot LEFT JOIN runs USING (server_id, playbook_id) WHERE size IS NOT NULL
), weighted AS (
    SELECT 'playbook' AS weighting, *, 1.0::DOUBLE AS weight FROM sized
    UNION ALL SELECT 'server', *, share FROM sized
    UNION ALL SELECT 'run', *, n_runs FROM sized WHERE n_runs > 0
), placed AS (
    SELECT weighting, size, sum(weight) AS weight,
        sum(sum(weight)) OVER (PARTITION BY weighting ORDER BY size) AS below,
        sum(sum(weight)) OVER (PARTITION BY weighting) AS whole
    FROM weighted GROUP BY weighting, size
), quantiles AS (
    SELECT weighting, min(size) FILTER (below >= 0.25 * whole) AS p25,
        min(size) FILTER (below >= 0.5 * whole) AS median,
        min(size) FILTER (below >= 0.75 * whole) AS p75
    FROM placed GROUP BY ALL
)
SELECT weighting, count(size) AS n, count(DISTINCT server_id) AS n_servers, coalesce(sum(n_runs), 0) AS n_runs,
    sum(size * weight) / sum(weight) AS mean, any_value(p25) AS p25, any_value(median) AS median, any_value(p75) AS p75
FROM (VALUES ('playbook'), ('server'), ('run')) AS weightings(weighting)
LEFT JOIN weighted USING (weighting) LEFT JOIN quantiles USING (weighting) GROUP BY ALL
"""

INCIDENT_SIZES = """
WITH created AS (
    SELECT server_id, incident_id, playbook_id, event_timestamp, num_checklists, total_checklist_items
    FROM incident
    WHERE action = 'create'
), states AS (
    SELECT server_id, playbook_id, event_timestamp, max_by({'action': action, 'stages': num_checklists,
        'tasks': total_checklist_items}, event_id) AS state
    FROM playbook GROUP BY ALL
)
SELECT created.*, CASE WHEN state.action IS DISTINCT FROM 'delete' THEN state.stages END AS playbook_num_checklists,
    CASE WHEN state.action IS DISTINCT FROM 'delete' THEN state.tasks END AS playbook_total_checklist_items
FROM created ASOF LEFT JOIN states ON created.server_id = states.server_id
    AND created.playbook_id = states.playbook_id AND created.event_timestamp >= states.event_timestamp
ORDER BY created.server_id, incident_id
"""
