"""The analyses of stages as a data engineer would write them for DuckDB: counts and times, but no intervals.

``VISITS`` and ``DURATIONS`` select from ``incident`` up to ``$cutoff``; the other queries select from ``visits`` or
``durations``. Quartiles take no account of what was still open, and so have no name of ours.
"""

VISITS = """
WITH told AS (
    SELECT server_id, incident_id, event_timestamp AS moment, event_id, action, team_id, plugin_version, public,
        num_checklists,
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
    SELECT server_id, incident_id, bool_or(action = 'create') AS from_start, any_value(team_id) AS team_id,
        any_value(plugin_version) AS plugin_version, any_value(public) AS public
    FROM told GROUP BY ALL
)
SELECT server_id, incident_id, row_number() OVER (PARTITION BY server_id, incident_id ORDER BY moment) - 1 AS visit,
    place AS stage, num_checklists AS num_stages,
    CASE WHEN nth > 1 OR action IN ('create', 'change_stage', 'restart') THEN moment END AS entered_at,
    coalesce(left_at, $cutoff) AS left_at,
    (epoch_us(coalesce(left_at, $cutoff)) - epoch_us(moment)) / 1e6 AS dwell_s,
    CASE WHEN next_place IS NULL THEN 'open' WHEN next_place = -1 THEN 'ended'
        WHEN next_place > place THEN 'advanced' ELSE 'returned' END AS exit,
    CASE WHEN next_place >= 0 THEN next_place END AS next_stage, next_place IS NULL AS is_censored,
    entered_at IS NULL AS is_left_truncated, from_start, incidents.team_id, incidents.plugin_version, incidents.public,
    $cutoff AS cutoff
FROM stretches JOIN incidents USING (server_id, incident_id) WHERE place >= 0
"""

_FUNNEL = """
WITH incidents AS (
    SELECT server_id, incident_id, {by} max(num_stages) AS stages, max(stage) AS furthest,
        bool_or(exit = 'open') AS is_open
    FROM visits WHERE from_start GROUP BY ALL
)
SELECT {by} stage, count(*) AS n_eligible, count(*) FILTER (furthest >= stage) AS n_reached,
    count(*) FILTER (furthest < stage AND is_open) AS n_open, count(DISTINCT server_id) AS n_servers
FROM incidents, unnest(range(stages)) AS steps(stage) GROUP BY ALL ORDER BY ALL
"""
FUNNEL, FUNNEL_BY = _FUNNEL.format(by=""), _FUNNEL.format(by="public,")

FUNNEL_WITHIN = """
WITH begun AS (
    SELECT *, min(entered_at) OVER (PARTITION BY server_id, incident_id) AS started_at FROM visits WHERE from_start
), incidents AS (
    SELECT server_id, incident_id, max(num_stages) AS stages,
        max(stage) FILTER (entered_at <= started_at + INTERVAL 4 HOURS) AS furthest
    FROM begun WHERE started_at + INTERVAL 4 HOURS <= $cutoff GROUP BY ALL
)
SELECT stage, count(*) AS n_eligible, count(*) FILTER (furthest >= stage) AS n_reached,
    count(DISTINCT server_id) AS n_servers
FROM incidents, unnest(range(stages)) AS steps(stage) GROUP BY stage ORDER BY stage
"""

DWELL = """
SELECT stage, count(*) AS n_visits, count(*) FILTER (exit <> 'open') AS n_observed,
    quantile_cont(dwell_s, [0.25, 0.5, 0.75]) AS quartiles, count(DISTINCT server_id) AS n_servers
FROM visits WHERE entered_at IS NOT NULL GROUP BY stage ORDER BY stage
"""

SURVIVAL = """
WITH times AS (
    SELECT stage, dwell_s, count(*) FILTER (exit <> 'open') AS n_observed, count(*) AS n
    FROM visits WHERE entered_at IS NOT NULL GROUP BY ALL
), risks AS (
    SELECT *, sum(n) OVER (PARTITION BY stage ORDER BY dwell_s DESC) AS n_at_risk FROM times
)
SELECT stage, dwell_s AS time_s, n_at_risk, n_observed, n - n_observed AS n_censored,
    product(1 - n_observed / n_at_risk) OVER (PARTITION BY stage ORDER BY dwell_s) AS survival
FROM risks ORDER BY stage, dwell_s
"""

TRANSITIONS = """
WITH ways AS (SELECT stage, exit, next_stage, count(*) AS n FROM visits GROUP BY ALL)
SELECT *, n / sum(n) OVER (PARTITION BY stage) AS share FROM ways ORDER BY ALL
"""

ARRIVALS = """
WITH incidents AS (
    SELECT server_id, incident_id, max(num_stages) AS stages, min(entered_at) AS started_at, max(stage) AS furthest,
        bool_or(is_censored) AS is_open
    FROM visits WHERE from_start GROUP BY ALL
), arrivals AS (
    SELECT step, server_id, incident_id, min(started_at) AS started_at, min(entered_at) AS arrived_at
    FROM incidents JOIN visits USING (server_id, incident_id), unnest(range(1, stage + 1)) AS steps(step) GROUP BY ALL
), eligible AS (
    SELECT stage, count(*) AS n_eligible, count(DISTINCT server_id) AS n_servers,
        count(*) FILTER (furthest < stage AND is_open) AS n_open,
        count(*) FILTER (furthest < stage AND NOT is_open) AS n_ended
    FROM incidents, unnest(range(1, stages)) AS steps(stage) GROUP BY ALL
)
SELECT stage, n_eligible, n_servers, n_open, n_ended, count(step) AS n_reached,
    quantile_cont((epoch_us(arrived_at) - epoch_us(started_at)) / 1e6, [0.25, 0.5, 0.75]) AS quartiles
FROM eligible LEFT JOIN arrivals ON step = stage GROUP BY ALL ORDER BY stage
"""

REWORK = """
WITH incidents AS (
    SELECT server_id, incident_id, count(*) - count(DISTINCT stage) AS n_revisits,
        count(*) FILTER (exit = 'returned') AS n_back, count(*) FILTER (exit IN ('advanced', 'returned')) AS n_moves,
        count(*) FILTER (exit = 'ended') - 1 + max(CASE WHEN exit = 'open' THEN 1 ELSE 0 END) AS n_restarts
    FROM visits WHERE from_start GROUP BY ALL
)
SELECT measure, n, n_total, n / nullif(n_total, 0) AS estimate FROM (
    SELECT count(*) AS incidents, sum(n_moves) AS moves, sum(n_back) AS back, sum(n_revisits) AS revisits,
        sum(n_restarts) AS restarts, count(*) FILTER (n_revisits > 0) AS revisited,
        count(*) FILTER (n_back > 0) AS stepped, count(*) FILTER (n_restarts > 0) AS restarted
    FROM incidents
) AS counted, LATERAL (VALUES ('revisited_share', revisited, incidents), ('stepped_back_share', stepped, incidents),
    ('restarted_share', restarted, incidents), ('back_step_rate', back, moves),
    ('revisits_per_incident', revisits, incidents), ('restarts_per_incident', restarts, incidents)
) AS measures(measure, n, n_total)
"""

DURATIONS = """
WITH told AS (
    SELECT server_id, incident_id, event_timestamp AS moment, event_id, action, public, is_active, num_checklists
    FROM incident WHERE event_timestamp <= $cutoff AND is_active IS NOT NULL
), moved AS (
    SELECT *, lag(is_active) OVER w AS before FROM told
    WINDOW w AS (PARTITION BY server_id, incident_id ORDER BY moment, event_id)
), stretches AS (
    SELECT *, lead(moment) OVER w AS left_at FROM moved WHERE before IS NULL OR before <> is_active
    WINDOW w AS (PARTITION BY server_id, incident_id ORDER BY moment, event_id)
), incidents AS (
    SELECT server_id, incident_id, min(moment) FILTER (action = 'create') AS started_at, any_value(public) AS public
    FROM told GROUP BY ALL
)
SELECT server_id, incident_id, started_at, incidents.public,
    min(left_at) FILTER (is_active) AS first_ended_at, max(left_at) FILTER (is_active) AS last_ended_at,
    count(*) FILTER (is_active AND left_at IS NOT NULL) AS n_ends,
    count(*) FILTER (is_active AND before IS NOT NULL) AS n_restarts,
    bool_or(is_active AND left_at IS NULL) AS is_censored,
    sum(epoch_us(coalesce(left_at, $cutoff)) - epoch_us(moment)) FILTER (is_active AND started_at IS NOT NULL) / 1e6
        AS open_s,
    (epoch_us(coalesce(min(left_at) FILTER (is_active), $cutoff)) - epoch_us(any_value(started_at))) / 1e6
        AS first_end_s
FROM stretches JOIN incidents USING (server_id, incident_id) GROUP BY ALL
"""

ENDS = """
SELECT count(*) AS n_incidents, count(*) FILTER (n_ends > 0) AS n_ended, count(DISTINCT server_id) AS n_servers,
    quantile_cont(first_end_s, [0.25, 0.5, 0.75]) AS quartiles
FROM durations WHERE first_end_s IS NOT NULL
"""
