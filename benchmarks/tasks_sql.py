"""The analyses of tasks as a data engineer would write them for DuckDB: the same numbers, but no intervals.

The queries select from ``tasks``, ``incident`` and ``visits``, tables or views. Results have the columns' names of the
analyses, by which a test holds them against one another. Where intervals rest on the variance of a share between
clusters, which takes another pass over them, the queries give it as ``variance``.
"""


def _variance(y: str, n: str) -> str:
    """Return the aggregate over clusters for the variance of ``sum(y) / sum(n)``, as ``estimate_means`` has it.

    A cluster's square counts by its ``correction``.
    """
    share, weight = f"sum({y}) / sum({n})", "correction"
    squares = (
        f"sum({weight} * ({y}) ** 2) - 2 * {share} * sum({weight} * ({y}) * {n})"
        f" + ({share}) ** 2 * sum({weight} * {n} ** 2)"
    )
    return f"({squares}) / sum({n}) ** 2"


def _correction(n: str, group: str) -> str:
    """Return the column of clusters of one over one less their part of the group's ``n``; null where it is all."""
    n_all = f"sum({n}) OVER (PARTITION BY {group})"
    return f"{n_all} / nullif({n_all} - {n}, 0) AS correction"


_COMPLETER = """CASE WHEN was_commander AND was_assignee THEN 'both'
        WHEN was_commander AND NOT was_assignee THEN 'commander'
        WHEN NOT was_commander AND was_assignee THEN 'assignee'
        WHEN NOT was_commander AND NOT was_assignee THEN 'neither' ELSE 'unknown' END"""

_COUNTED = f"""
WITH counted AS (
    SELECT {{by}}, {{cluster}} AS cluster, {_COMPLETER} AS completer,
        count(*) FILTER (new_state = 'done') AS n_done, count(*) FILTER (new_state = 'open') AS n_open
    FROM tasks WHERE new_state IN ('done', 'open') GROUP BY ALL
)"""
_COMPLETION = (
    _COUNTED
    + """, clusters AS (
    SELECT {group}, cluster, sum(n_done) AS n FROM counted WHERE completer <> 'unknown' GROUP BY ALL
), corrected AS (
    SELECT *, {correction} FROM clusters
), groups AS (
    SELECT {group}, sum(n) AS n, count(*) FILTER (n > 0) AS n_clusters, max(n) / sum(n) AS largest_cluster_share,
        sum(correction * n ** 2) AS all_squares
    FROM corrected GROUP BY ALL
), kinds AS (
    SELECT {group}, completer, sum(n_done) AS n_completed, sum(n_open) AS n_reopened,
        sum(correction * n_done ** 2) AS own_squares, sum(correction * n_done * n) AS products
    FROM counted JOIN corrected USING ({group}, cluster) WHERE completer <> 'unknown' GROUP BY ALL
)
SELECT {group}, completer, coalesce(n_completed, 0) AS n_completed, coalesce(n_reopened, 0) AS n_reopened, n_clusters,
    coalesce(n_completed, 0) / nullif(n, 0) AS estimate, largest_cluster_share,
    (coalesce(own_squares, 0) - 2 * estimate * coalesce(products, 0) + estimate ** 2 * all_squares)
        / nullif(n, 0) ** 2 AS variance
FROM groups CROSS JOIN (VALUES ('commander'), ('assignee'), ('both'), ('neither')) AS completers(completer)
LEFT JOIN kinds USING ({group}, completer) ORDER BY ALL
"""
)
_ALL = {"by": "1 AS everything", "group": "everything", "cluster": "server_id"}

COMPLETION = _COMPLETION.format(**_ALL, correction=_correction("n", "everything"))
COMPLETION_BY_WEEK = _COMPLETION.format(
    by="date_trunc('week', event_timestamp) AS period",
    group="period",
    cluster="server_id",
    correction=_correction("n", "period"),
)
COMPLETION_BY_SERVER = _COMPLETION.format(
    by="server_id", group="server_id", cluster="incident_id", correction=_correction("n", "server_id")
)

_SHARES = f"""
WITH clusters AS (
    SELECT plugin_version, server_id, count(*) FILTER (was_commander IS NOT NULL AND was_assignee IS NOT NULL) AS n,
        count(*) FILTER (was_commander AND NOT was_assignee) AS commander,
        count(*) FILTER (was_assignee AND NOT was_commander) AS assignee,
        count(*) FILTER (was_assignee AND was_commander) AS "both",
        count(*) FILTER (was_commander IS NULL OR was_assignee IS NULL) AS n_unknown
    FROM tasks WHERE new_state = 'done' GROUP BY ALL
), corrected AS (
    SELECT *, {_correction("n", "plugin_version")} FROM clusters
), shares AS (
    SELECT plugin_version, sum(n) AS n_completed, count(*) FILTER (n > 0) AS n_clusters, sum(commander) AS commander,
        sum(assignee) AS assignee, sum("both") AS "both", sum(n_unknown) AS n_unknown,
        max(n) / sum(n) AS largest_cluster_share, {_variance("commander - assignee", "n")} AS variance
    FROM corrected GROUP BY ALL
)"""

DIFFERENCE = (
    _SHARES
    + """
SELECT plugin_version, n_completed, n_clusters, (commander + "both") / n_completed AS commander,
    (assignee + "both") / n_completed AS assignee, (commander - assignee) / n_completed AS difference, n_unknown,
    largest_cluster_share, variance
FROM shares ORDER BY plugin_version
"""
)

DETECTABLE = (
    _SHARES
    + """, measures AS (
    UNPIVOT (
        SELECT plugin_version, n_completed, n_clusters, commander / n_completed AS commander,
            assignee / n_completed AS assignee, "both" / n_completed AS "both",
            (n_completed - commander - assignee - "both") / n_completed AS neither,
            (commander - assignee) / n_completed AS commander_vs_assignee
        FROM shares
    ) ON commander, assignee, "both", neither, commander_vs_assignee INTO NAME measure VALUE estimate
)
SELECT lag(plugin_version) OVER w AS group_a, plugin_version AS group_b, measure,
    lag(n_completed) OVER w AS n_completed_a, n_completed AS n_completed_b, lag(n_clusters) OVER w AS n_clusters_a,
    n_clusters AS n_clusters_b, lag(estimate) OVER w AS estimate_a, estimate AS estimate_b,
    estimate - lag(estimate) OVER w AS difference
FROM measures WINDOW w AS (PARTITION BY measure ORDER BY plugin_version) QUALIFY group_a IS NOT NULL ORDER BY ALL
"""
)

REOPENING = (
    _COUNTED
    + """, kinds AS (
    FROM counted UNION ALL SELECT everything, cluster, 'any', sum(n_done), sum(n_open) FROM counted GROUP BY ALL
)
SELECT completer, sum(n_done) AS n_completed, sum(n_open) AS n_reopened, count(DISTINCT cluster) AS n_clusters,
    sum(n_open) / sum(n_done) AS estimate, max(n_done + n_open) / sum(n_done + n_open) AS largest_cluster_share
FROM kinds WHERE completer <> 'unknown' GROUP BY ALL ORDER BY ALL
"""
).format(**_ALL)

BY_STAGE = """
WITH stays AS (
    SELECT server_id, incident_id, coalesce(entered_at, '-infinity'::TIMESTAMPTZ) AS entered_at,
        max_by({'visit': visit, 'stage': stage, 'left_at': left_at, 'is_censored': exit = 'open',
            'is_left_truncated': visits.entered_at IS NULL}, visit) AS stay
    FROM visits GROUP BY ALL
), lasts AS (
    SELECT server_id, incident_id, max(visit) AS last FROM visits GROUP BY ALL
), placed AS (
    SELECT tasks.*, stay, last, (event_timestamp < stay.left_at
        OR stay.is_censored AND event_timestamp = stay.left_at) AS is_inside
    FROM tasks LEFT JOIN lasts USING (server_id, incident_id)
    ASOF LEFT JOIN stays ON tasks.server_id = stays.server_id AND tasks.incident_id = stays.incident_id
        AND tasks.event_timestamp >= stays.entered_at
    WHERE new_state IS NOT NULL
)
SELECT * EXCLUDE (stay, last, is_inside), CASE WHEN is_inside THEN stay.visit END AS visit,
    CASE WHEN is_inside THEN stay.stage END AS stage,
    CASE WHEN last IS NULL THEN 'unknown' WHEN stay IS NULL THEN 'before'
        WHEN is_inside AND stay.is_left_truncated THEN 'left_truncated' WHEN is_inside THEN 'during'
        WHEN stay.is_censored THEN 'unknown' WHEN stay.visit < last THEN 'between' ELSE 'after' END AS position
FROM placed ORDER BY event_timestamp, event_id
"""

_TIMED = f"""
WITH starts AS (
    SELECT server_id, incident_id, min(created_at) AS started_at FROM incident GROUP BY ALL
), timed AS (
    SELECT tasks.*, {_COMPLETER} AS completer, started_at,
        (epoch_us(event_timestamp) - epoch_us(started_at)) / 1e6 AS elapsed_s
    FROM tasks LEFT JOIN starts USING (server_id, incident_id) WHERE new_state = 'done'
)"""

TIMES = _TIMED + " FROM timed ORDER BY event_timestamp, event_id"

TIME_TO_COMPLETION = (
    _TIMED
    + f""", quartiles AS (
    SELECT completer, count(elapsed_s) AS n_completed, quantile_cont(elapsed_s, [0.25, 0.5, 0.75]) AS q,
        count(*) - count(elapsed_s) AS n_excluded
    FROM timed GROUP BY ALL
), clusters AS (
    SELECT completer, server_id, count(elapsed_s) AS n, count_if(elapsed_s <= q[2]) AS n_below
    FROM timed JOIN quartiles USING (completer) GROUP BY ALL
), corrected AS (
    SELECT *, {_correction("n", "completer")} FROM clusters
), shares AS (
    SELECT completer, count(*) FILTER (n > 0) AS n_clusters, max(n) / sum(n) AS largest_cluster_share,
        {_variance("n_below", "n")} AS variance
    FROM corrected GROUP BY ALL
)
SELECT completer, n_completed, n_clusters, q[1] AS q25_s, q[2] AS median_s, q[3] AS q75_s, n_excluded,
    largest_cluster_share, variance
FROM quartiles JOIN shares USING (completer) WHERE completer <> 'unknown' ORDER BY completer
"""
)

_STATES = ("open", "in_progress", "done")
_ADDS = {
    "open": "state = 'open' OR is_added",
    "in_progress": "state = 'in_progress'",
    "done": "state = 'done'",
}
_LEAVES = {"open": "state = 'open' AND has_action", "in_progress": _ADDS["in_progress"], "done": _ADDS["done"]}


_ADDED_TO_OTHERS = """sum(CASE WHEN state NOT IN ('', '{x}') OR is_added AND '{x}' <> 'open' THEN 1 ELSE 0 END
            - CASE WHEN {leaves} THEN 1 ELSE 0 END) OVER w AS not_{x}"""


def _each(form: str, states: tuple[str, ...] = _STATES) -> str:
    return ", ".join(form.format(x=x, adds=_ADDS[x], leaves=_LEAVES[x]) for x in states)


def _others(form: str, state: str) -> str:
    return ", ".join(form.format(x=x) for x in _STATES if x != state)


_HOLDS = {
    x: (
        f"least({'0' if x == 'open' else 'created'}, room_{x})",
        f"least({'created' if x == 'open' else '0'}, room_not_{x})",
    )
    for x in _STATES
}

_FOUND = [
    f"""CASE WHEN is_told THEN n - not_{x} - {others} WHEN basis = 'total' THEN 0 END AS n_{x}_min,
    CASE WHEN is_told THEN start + {x} + {own} WHEN basis = 'total' THEN most END AS n_{x}_max"""
    for x, (own, others) in _HOLDS.items()
]
_ROOMS = [f"min(least({_others('most_not_{x}', x)}) - {x}) AS room_{x}" for x in _STATES]

BOUNDS = f"""
WITH events AS (
    SELECT server_id, incident_id, event_timestamp, event_id, 1 AS place, NULL AS total,
        action = 'add_task' AS is_added,
        action = 'remove_task' AS is_removed, coalesce(new_state, '') AS state, action IS NOT NULL AS has_action,
        state = '' AND (action IS NULL OR action NOT IN ('add_task', 'remove_task', 'rename_task', 'move_task',
            'modify_task_state', 'set_assignee_for_task', 'run_task_slash_command')) AS is_unnamed
    FROM tasks WHERE event_timestamp <= $cutoff
    UNION ALL
    SELECT server_id, incident_id, event_timestamp, event_id, CASE WHEN action = 'create'
            OR action IS NULL AND event_timestamp - created_at <= INTERVAL 60 SECONDS THEN 0 ELSE 2 END,
        total_checklist_items, false, false, '', false, false
    FROM incident WHERE event_timestamp <= $cutoff
), summed AS (
    SELECT server_id, incident_id, event_timestamp, event_id, place, total, row_number() OVER w AS nth,
        sum(CASE WHEN is_added THEN 1 WHEN is_removed THEN -1 ELSE 0 END) OVER w AS n,
        sum(CASE WHEN is_unnamed THEN 1 ELSE 0 END) OVER w AS unnamed,
        {_each("sum(CASE WHEN {adds} THEN 1 ELSE 0 END) OVER w AS {x}")},
        {_each(_ADDED_TO_OTHERS)}
    FROM events WINDOW w AS (PARTITION BY server_id, incident_id ORDER BY event_timestamp, place, event_id)
), walked AS (
    SELECT *, place = 0 AND nth = 1 AS is_create,
        min(CASE WHEN place = 0 AND nth = 1 THEN -total ELSE 0 END) OVER w AS created,
        {_each("min(n - not_{x}) OVER w AS room_not_{x}")}
    FROM summed WINDOW w AS (PARTITION BY server_id, incident_id ORDER BY event_timestamp, place, event_id)
), held AS (
    SELECT *, {_each("not_{x} + least(0, room_not_{x}) AS most_not_{x}", ("in_progress", "done"))},
        not_open + least(created, room_not_open) AS most_not_open
    FROM walked
), incidents AS (
    SELECT server_id, incident_id, max(total - n) AS start, min(total - n) AS start_least,
        bool_or(is_create) AS from_start,
        arg_max(total - n, nth) AS latest, max(unnamed) FILTER (total IS NOT NULL) AS unnamed_before,
        arg_max(n, nth) AS n, arg_max(unnamed, nth) AS unnamed, min(created) AS created,
        {_each("arg_max({x}, nth) AS {x}, arg_max(not_{x}, nth) AS not_{x}")},
        {_each("min(room_not_{x}) AS room_not_{x}, min(most_not_{x}) AS most_not_{x}")},
        {", ".join(_ROOMS)}
    FROM held GROUP BY ALL
), based AS (
    SELECT *, CASE WHEN start IS NULL THEN 'none'
            WHEN start + least({_each("most_not_{x}")}) < 0 OR start <> start_least OR unnamed > 0 THEN 'total'
            WHEN from_start THEN 'from_start' ELSE 'left_truncated' END AS basis,
        basis IN ('from_start', 'left_truncated') AS is_told,
        greatest(0, latest + n + unnamed - unnamed_before) AS most,
        greatest(0, latest + n - unnamed + unnamed_before) AS least
    FROM incidents
)
SELECT server_id, incident_id,
    CASE WHEN is_told THEN start + n WHEN basis = 'total' THEN least END AS n_tasks_min,
    CASE WHEN is_told THEN start + n WHEN basis = 'total' THEN most END AS n_tasks_max,
    {", ".join(_FOUND)}, basis
FROM based ORDER BY server_id, incident_id
"""
