"""Visits, funnel and dwell times as a data engineer would write them for DuckDB: no limits, no censoring."""

VISITS = """
CREATE OR REPLACE TEMP TABLE visits AS
WITH told AS (
    SELECT server_id, incident_id, event_timestamp AS moment, event_id, action, public, num_checklists,
        CASE WHEN is_active AND active_stage IS NOT NULL AND num_checklists > 0 THEN active_stage ELSE -1 END AS place
    FROM incident WHERE event_timestamp <= $cutoff
), moved AS (
    SELECT *, lag(place) OVER w AS before, row_number() OVER w AS nth FROM told
    WINDOW w AS (PARTITION BY server_id, incident_id ORDER BY moment, event_id)
), stretches AS (
    SELECT *, lead(moment) OVER w AS left_at, lead(place) OVER w AS next_place
    FROM moved WHERE before IS NULL OR before <> place
    WINDOW w AS (PARTITION BY server_id, incident_id ORDER BY moment, event_id)
), incidents AS (
    SELECT server_id, incident_id, bool_or(action = 'create') AS from_start, any_value(public) AS public
    FROM told GROUP BY ALL
)
SELECT server_id, incident_id, row_number() OVER (PARTITION BY server_id, incident_id ORDER BY moment) - 1 AS visit,
    place AS stage, num_checklists AS num_stages,
    CASE WHEN nth > 1 OR action IN ('create', 'change_stage', 'restart') THEN moment END AS entered_at,
    coalesce(left_at, $cutoff) AS left_at,
    (epoch_us(coalesce(left_at, $cutoff)) - epoch_us(moment)) / 1e6 AS dwell_s,
    CASE WHEN next_place IS NULL THEN 'open' WHEN next_place = -1 THEN 'ended'
        WHEN next_place > place THEN 'advanced' ELSE 'returned' END AS exit,
    from_start, incidents.public
FROM stretches JOIN incidents USING (server_id, incident_id) WHERE place >= 0
"""

FUNNEL = """
WITH incidents AS (
    SELECT server_id, incident_id, max(num_stages) AS stages, max(stage) AS furthest, bool_or(exit = 'open') AS is_open
    FROM visits WHERE from_start GROUP BY ALL
)
SELECT stage, count(*) AS n_eligible, count(*) FILTER (furthest >= stage) AS n_reached,
    count(*) FILTER (furthest < stage AND is_open) AS n_open, count(DISTINCT server_id) AS n_servers
FROM incidents, unnest(range(stages)) AS steps(stage) GROUP BY stage ORDER BY stage
"""

DWELL = """
SELECT stage, count(*) AS n_visits, count(*) FILTER (exit <> 'open') AS n_observed,
    quantile_cont(dwell_s, [0.25, 0.5, 0.75]) AS quartiles, count(DISTINCT server_id) AS n_servers
FROM visits WHERE entered_at IS NOT NULL GROUP BY stage ORDER BY stage
"""
