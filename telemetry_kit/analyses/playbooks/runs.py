"""Playbooks and the incidents that were run from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine, stats
from telemetry_kit.analyses.playbooks.sizes import size
from telemetry_kit.analyses.playbooks.states import KEYS, NEEDED, in_time, open_events, playbook_states
from telemetry_kit.analyses.summaries import N_CLUSTERS, warned
from telemetry_kit.engine.ordering import CLUSTER, SERVER, number_servers

if TYPE_CHECKING:
    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT
    from numpy.typing import NDArray

    from telemetry_kit.analyses.playbooks.sizes import Measure

WEIGHTINGS = ("playbook", "server", "run")
SIZE_COUNTS = ("num_checklists", "total_checklist_items")
_CREATE_US = 60 * engine.MICROSECONDS
_WEIGHTED = {
    "weighting": "str",
    "measure": "str",
    "n": "Int64",
    "n_servers": "Int64",
    "n_runs": "Int64",
    "mean": "float64",
    "df": "float64",
    "lower": "float64",
    "upper": "float64",
    "p25": "float64",
    "median": "float64",
    "p75": "float64",
    N_CLUSTERS: "Int64",
}


class _Counted(NamedTuple):
    """Playbooks of one server, cluster, size and number of runs, and how many they are."""

    servers: NDArray[np.int64]
    clusters: NDArray[np.int64]
    values: NDArray[np.float64]
    n: NDArray[np.int64]
    n_runs: NDArray[np.int64]


def incident_sizes(incidents: IntoFrameT, playbooks: IntoFrame) -> IntoFrameT:
    """Return how large incidents were when they were created, and how large their playbook was at that moment.

    An incident begins as a copy of its playbook, so the two differ only where events of the playbook were lost, or
    where the incident was made otherwise. The result has what ``playbook_sizes`` and ``playbook_ecdf`` need, so that
    incidents, which count every use, can be held against playbooks, which count once.

    Parameters
    ----------
    incidents
        A frame of incident events of any kind, as in ``EventLog.incident``.
    playbooks
        A frame of playbook events, in memory or on the engine of ``incidents``, as in ``EventLog.playbook``.

    Returns
    -------
    frame
        Of the same kind as ``incidents``, one row per incident whose create was recorded (where events name no action:
        whose first event came at most 60 s after ``created_at``), in the order of ``server_id`` and ``incident_id``:

        server_id, incident_id : str
            The incident.
        playbook_id : str
            Its playbook; null where it has none, and before v1.1.1, whose events do not say.
        event_timestamp : datetime64[us, UTC]
            When it was created.
        num_checklists, total_checklist_items : Int64
            Its stages and tasks.
        playbook_num_checklists, playbook_total_checklist_items : Int64
            Those of its playbook as of that moment; null where no earlier event of the playbook was recorded.

    Raises
    ------
    ParameterError
        Where a frame lacks a column, or the two are on different engines.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> tk.incident_sizes(log.incident, log.playbook)[["num_checklists", "total_checklist_items"]].head(3)
       num_checklists  total_checklist_items
    0               2                      2
    1               1                     12
    2               1                     12
    """
    incident = ("server_id", "incident_id")
    needed = [*incident, "playbook_id", "event_id", "event_timestamp", "action", "created_at", *SIZE_COUNTS]
    events = engine.open_frame(incidents, needed, parameter="incidents", order="_row", named=())
    events = engine.add_epoch_us(events, _us="event_timestamp", _created_us="created_at")
    kept = [*incident, "event_timestamp", "_us", *SIZE_COUNTS]
    events = events.with_columns(nw.col("action", "playbook_id").cast(nw.String))
    # Without an action it takes the order of an incident's events to tell its create, and few incidents have such.
    is_prompt = nw.col("action").is_null() & (nw.col("_us") - nw.col("_created_us") <= _CREATE_US)
    unnamed = engine.distinct(events.filter(is_prompt), *incident)
    before = nw.col("_us").shift(1).over(*incident, order_by=engine.in_time(incidents, "_us", "_row"))
    # A column of its own: Ibis has no window in a filter that PostgreSQL takes.
    ordered = events.join(unnamed, on=list(incident), how="semi").with_columns(_before=before)
    prompt = ordered.filter(nw.col("_before").is_null()).filter(is_prompt)
    named = events.filter(nw.col("action") == "create")
    created = nw.concat([frame.select(*kept, "playbook_id") for frame in (named, prompt)])
    given = engine.open_alike(playbooks, [*NEEDED, *SIZE_COUNTS], parameter="playbooks", like=created, on=KEYS)
    order_by = in_time(given.to_native())
    before = nw.col("_from_us").shift(1).over(*KEYS, order_by=order_by)
    states = playbook_states(open_events(given.to_native()), order_by=order_by, _before_us=before).select(
        *KEYS,
        *("_from_us", "_until_us", "_is_deleted"),
        # The first state stands for the time before it as well, so that at each moment there is exactly one.
        _since_us=nw.when(~nw.col("_before_us").is_null()).then(nw.col("_from_us")),
        **{f"playbook_{name}": nw.col(name) for name in SIZE_COUNTS},
    )
    us, since, until = nw.col("_us"), nw.col("_since_us"), nw.col("_until_us")
    is_there = (nw.col("_from_us") <= us) & ~nw.col("_is_deleted")
    found = created.join(states, on=list(KEYS), how="left")
    result = found.filter((since.is_null() | (since <= us)) & (until.is_null() | (us < until))).select(
        *(*incident, "playbook_id", "event_timestamp", *SIZE_COUNTS),
        **{f"playbook_{name}": nw.when(is_there).then(nw.col(f"playbook_{name}")) for name in SIZE_COUNTS},
    )
    return engine.give_back(result.sort(*incident), like=incidents)


def playbook_weightings(
    snapshot: IntoFrame,
    incidents: IntoFrame,
    *,
    measure: Measure = "total_checklist_items",
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    """Return how large playbooks are per playbook, per server and per run, side by side.

    What is typical depends on what counts once. Per playbook, a server with a hundred of them decides; per server, each
    server counts once and its playbooks share that; per run, a playbook counts as often as an incident was made from
    it, which is what people met. Where the three differ, say which one is meant.

    Parameters
    ----------
    snapshot
        A frame of any kind with one row per playbook, as of ``playbook_snapshot``.
    incidents
        A frame of incident events, in memory or on the engine of ``snapshot``. Only from v1.1.1 on they name their
        playbook; earlier ones are no runs here.
    measure
        As for ``playbook_sizes``. Playbooks without a value are left out.
    cluster
        The column of ``snapshot`` whose values act independently of one another; within one server, ``"playbook_id"``
        or ``"team_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        Three rows, none for an empty snapshot:

        weighting : str
            What counts once: ``playbook``, ``server`` or ``run``.
        measure : str
            What was measured.
        n, n_servers, n_runs : Int64
            Playbooks with a weight, the servers they are on, and the incidents made from them.
        mean, df, lower, upper : float64
            The weighted mean, its degrees of freedom and its interval, in the measure's unit; the last three are null
            with fewer than two clusters, the interval also where clusters do not differ.
        p25, median, p75 : float64
            Weighted quantiles: the smallest size that, with all below it, has that part of the weight.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    Intervals are those of a mean in clustered data, weights standing for units: see
    ``telemetry_kit.stats.estimate_means`` and ``mean_limits``.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> snapshot = pd.DataFrame({
    ...     "server_id": ["a", "a", "a", "b"], "playbook_id": ["p", "q", "r", "s"], "num_checklists": [1, 1, 1, 5],
    ... })
    >>> incidents = pd.DataFrame({"server_id": ["a", "b"], "playbook_id": ["p", "s"], "incident_id": ["i", "j"]})
    >>> table = tk.playbook_weightings(snapshot, incidents, measure="num_checklists")
    >>> table[["weighting", "n", "n_runs", "mean", "median"]]
      weighting  n  n_runs  mean  median
    0  playbook  4       2   2.0     1.0
    1    server  4       2   3.0     1.0
    2       run  2       2   3.0     1.0
    """
    value, needed = size(measure)
    playbooks = engine.open_frame(snapshot, [*KEYS, *needed], parameter="snapshot", named=[cluster])
    engine.check_cluster(cluster, playbooks)
    used = engine.open_alike(incidents, [*KEYS, "incident_id"], parameter="incidents", like=playbooks, on=KEYS)
    used = used.filter(~nw.col("playbook_id").is_null())
    # Grouped twice: to count distinct values takes longer, as does ``unique``.
    runs = used.group_by(*KEYS, "incident_id").agg(_n=nw.len()).group_by(*KEYS).agg(_runs=nw.len())
    counted = (
        playbooks.select(*dict.fromkeys([*KEYS, cluster]), _value=value)
        .filter(~nw.col("_value").is_null())
        .join(runs, on=list(KEYS), how="left")
        .with_columns(_runs=nw.col("_runs").fill_null(0))
        .group_by(*dict.fromkeys(["server_id", cluster, "_value", "_runs"]))
        .agg(_n=nw.len())
    )
    table = number_servers(engine.collect(counted), [], cluster=cluster)
    if table.empty:
        return warned(pd.DataFrame(columns=list(_WEIGHTED)).astype(_WEIGHTED), cluster, finer="playbook_id")
    servers, clusters = table[SERVER].to_numpy(), table[CLUSTER].to_numpy()
    values = table["_value"].to_numpy(np.float64)
    n, n_runs = table["_n"].to_numpy(np.int64), table["_runs"].to_numpy(np.int64)
    # In one order on every engine, so that the last digit of a sum is fixed as well.
    order = np.lexsort((n_runs, clusters, servers, values))
    counts_of = _Counted(*(column[order] for column in (servers, clusters, values, n, n_runs)))
    weights = {
        "playbook": counts_of.n.astype(np.float64),
        "server": counts_of.n / np.bincount(servers, n)[counts_of.servers],
        "run": (counts_of.n * counts_of.n_runs).astype(np.float64),
    }
    rows = [_weighted_row(counts_of, weighting, weights[weighting], level) for weighting in WEIGHTINGS]
    result = pd.DataFrame(rows, columns=list(_WEIGHTED)).assign(measure=measure).astype(_WEIGHTED)
    result.attrs["level"] = level
    return warned(result, cluster, finer="playbook_id")


def _weighted_row(counted: _Counted, weighting: str, weights: NDArray[np.float64], level: float) -> dict[str, Any]:
    is_weighty = weights > 0
    servers, clusters, values, n, n_runs = (column[is_weighty] for column in counted)
    weight = weights[is_weighty]
    totals = np.bincount(clusters, weight)
    sizes = stats.count_clusters(totals, stats.one_group(totals.size))
    row = {
        "weighting": weighting,
        "n": n.sum(),
        "n_servers": np.unique(servers).size,
        "n_runs": (n * n_runs).sum(),
        N_CLUSTERS: sizes.n_clusters[0],
    }
    if weight.size == 0:
        return row
    means = stats.estimate_means(np.bincount(clusters, weight * values), sizes)
    lower, upper = stats.mean_limits(means.estimate, means.error, means.df, level=level)
    quantiles = np.quantile(values, [0.25, 0.5, 0.75], weights=weight, method="inverted_cdf")
    return row | {
        "mean": means.estimate[0], "df": means.df[0], "lower": lower[0], "upper": upper[0],
        **dict(zip(("p25", "median", "p75"), quantiles, strict=True))
    }  # fmt: skip
