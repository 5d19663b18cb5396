"""How playbooks change: over their updates, and from month to month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine, stats
from telemetry_kit.analyses.playbooks.sizes import SIZES, size, summarise_sizes
from telemetry_kit.analyses.playbooks.states import (
    KEYS,
    in_time,
    is_create,
    is_delete,
    marks,
    n_updates,
    open_events,
    playbook_states,
)
from telemetry_kit.analyses.summaries import N_CLUSTERS, summarise_at_once, warned
from telemetry_kit.engine.grouping import Groups
from telemetry_kit.engine.ordering import CLUSTER, SERVER, number_servers
from telemetry_kit.engine.periods import check_freq, last_days, periods_of
from telemetry_kit.engine.windows import number_rows

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT

    from telemetry_kit.analyses.playbooks.sizes import Measure
    from telemetry_kit.engine.periods import Freq

_GROWTH = {
    "measure": "str",
    "n": "Int64",
    "n_servers": "Int64",
    "mean": "float64",
    "median": "float64",
    "mean_change": "float64",
    "df": "float64",
    "lower": "float64",
    "upper": "float64",
    **dict.fromkeys(("n_larger", "n_smaller", N_CLUSTERS), "Int64"),
}


def playbook_histories(playbooks: IntoFrameT, *, measure: Measure = "total_checklist_items") -> IntoFrameT:
    """Return how the size of each playbook began, how it ended and how large it ever was.

    Parameters
    ----------
    playbooks
        A frame of playbook events of any kind, as in ``EventLog.playbook``.
    measure
        As for ``playbook_sizes``.

    Returns
    -------
    frame
        Of the same kind as ``playbooks``, one row per playbook in the order of ``server_id`` and ``playbook_id``:

        server_id, playbook_id : str
            The playbook.
        first_seen_at, last_changed_at : datetime64[us, UTC]
            Its first and last recorded event.
        n_updates : Int64
            Updates among its recorded events.
        from_create : boolean
            Whether the recording begins with its create. Where events name no action, it is taken to.
        is_deleted : boolean
            Whether its last event is its delete.
        first, last, largest : float64
            Its size in its first and last recorded state, and in its largest, in the measure's unit.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> tk.playbook_histories(log.playbook)[["n_updates", "first", "last", "largest"]].head(3)
       n_updates  first  last  largest
    0          1    1.0   2.0      2.0
    1          4   29.0  28.0     32.0
    2          0   18.0  18.0     18.0
    """
    value, needed = size(measure)
    events = open_events(playbooks, needed=needed, named=())
    order_by = in_time(playbooks)
    before = nw.col("_from_us").shift(1).over(*KEYS, order_by=order_by)
    states = playbook_states(events, order_by=order_by, _before_us=before)
    is_first, is_last = nw.col("_before_us").is_null(), nw.col("_until_us").is_null()
    flags = {"from_create": is_first & is_create(), "is_deleted": is_last & nw.col("_is_deleted")}
    known = {
        "first_seen_at": nw.col("event_timestamp"),
        "last_changed_at": nw.col("event_timestamp"),
        **{name: nw.when(flag).then(1).otherwise(0) for name, flag in flags.items()},
        "first": nw.when(is_first).then(value),
        "last": nw.when(is_last).then(value),
        "largest": value,
    }
    ends = {name: nw.col(name).min() if name == "first_seen_at" else nw.col(name).max() for name in known}
    sums = {name: nw.col(name).sum() for name in marks()}
    histories = states.select(*KEYS, **known, **marks()).group_by(*KEYS).agg(**ends, **sums)
    result = histories.select(
        *(*KEYS, "first_seen_at", "last_changed_at"),
        n_updates=n_updates(),
        **{name: nw.col(name) == 1 for name in flags},
        **{name: nw.col(name) for name in ("first", "last", "largest")},
    )
    return engine.give_back(result.sort(*KEYS), like=playbooks)


def playbook_growth(
    playbooks: IntoFrame,
    *,
    measure: Measure = "total_checklist_items",
    by: str | Sequence[str] | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    """Return how the size of playbooks changes with every update.

    Playbooks that are updated often differ from the others from the start, so sizes by update number compare different
    playbooks. ``mean_change`` does not: it holds every playbook against itself as it was created.

    Parameters
    ----------
    playbooks
        A frame of playbook events of any kind, as in ``EventLog.playbook``. Playbooks whose create was not recorded are
        left out, because the numbers of their updates are unknown; ``playbook_histories`` tells which.
    measure
        As for ``playbook_sizes``. States without a value are left out.
    by
        A column of ``playbooks``, or several, as of the update: one group of rows for each of their values.
    cluster
        The column of ``playbooks`` whose values act independently of one another; within one server, ``"playbook_id"``
        or ``"team_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group and update number, in the order of the groups and of the numbers:

        by columns
            The group.
        measure : str
            What was measured.
        update : Int64
            0 for playbooks as they were created, then 1, 2, ….
        n, n_servers : Int64
            Playbooks that have this update, and the servers they are on.
        mean, median : float64
            Of their sizes after it, in the measure's unit.
        mean_change, df, lower, upper : float64
            Mean of the size after it less the size at create, with its degrees of freedom and interval; these are null
            with fewer than two clusters, the interval also where clusters do not differ: at the create, above all.
        n_larger, n_smaller : Int64
            Playbooks that are larger, and smaller, after it than at create.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    Intervals are those of a mean in clustered data: see ``telemetry_kit.stats.estimate_means`` and ``mean_limits``.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> playbooks = pd.DataFrame({
    ...     "server_id": ["a", "a", "b"],
    ...     "playbook_id": ["p", "p", "q"],
    ...     "event_id": ["1", "2", "3"],
    ...     "event_timestamp": pd.to_datetime(["2020-11-02", "2020-11-05", "2020-11-03"], utc=True),
    ...     "action": ["create", "update", "create"],
    ...     "total_checklist_items": [6, 9, 4],
    ... })
    >>> tk.playbook_growth(playbooks)[["update", "n", "mean", "mean_change"]]
       update  n  mean  mean_change
    0       0  2   5.0          0.0
    1       1  1   9.0          3.0
    """
    value, needed = size(measure)
    events = open_events(playbooks, needed=needed, named=[*engine.names_of(by), cluster])
    engine.check_cluster(cluster, events)
    groups = engine.group_columns(by, events, reserved=[*_GROWTH, "update"])
    states = events.with_columns(_value=value, _is_create=is_create(), _is_deleted=is_delete())
    firsts = {"_first": "_value", "_from_create": "_is_create"}
    # A delete is no update: what comes behind it is the next one.
    states = number_rows(
        states.filter(~nw.col("_is_deleted")), "_nth", within=KEYS, order_by=in_time(playbooks), **firsts
    )
    states = states.filter(nw.col("_from_create"), ~nw.col("_value").is_null())
    keys = dict.fromkeys([*groups, "_nth", "server_id", cluster, "_value", "_first"])
    counted = number_servers(engine.collect(states.group_by(*keys).agg(_n=nw.len())), groups, cluster=cluster)

    def columns(counted: pd.DataFrame, groups: Groups) -> dict[str, Any]:
        counts, values = counted["_n"].to_numpy(np.int64), counted["_value"].to_numpy(np.float64)
        change = values - counted["_first"].to_numpy(np.float64, na_value=np.nan)
        is_known = ~np.isnan(change)
        numbers, of_clusters = stats.number_clusters(counted[CLUSTER].to_numpy(), groups)
        in_cluster = Groups(numbers, of_clusters.of.size)
        sizes = stats.count_clusters(in_cluster.add_up(counts * is_known), of_clusters)
        sums = in_cluster.add_up_in_any_order(np.where(is_known, change * counts, 0.0))
        changes = stats.estimate_means(sums, sizes)
        numbers, of_servers = stats.number_clusters(counted[SERVER].to_numpy(), groups)
        in_server = Groups(numbers, of_servers.of.size)
        samples = stats.sort_samples(values, groups, counts)
        return {
            "measure": np.full(groups.n, measure, dtype=object),
            "n": samples.n,
            "n_servers": of_servers.add_up(in_server.add_up(counts) > 0),
            "mean": stats.moments(samples)[0],
            "median": stats.group_quantiles(samples, np.array([0.5]))[:, 0],
            "mean_change": changes.estimate,
            "df": changes.df,
            **stats.mean_limits(changes.estimate, changes.error, changes.df, level=level)._asdict(),
            "n_larger": groups.add_up(counts * (change > 0)),
            "n_smaller": groups.add_up(counts * (change < 0)),
            N_CLUSTERS: sizes.n_clusters,
        }

    table = warned(
        summarise_at_once(counted, [*groups, "_nth"], columns, _GROWTH, level=level), cluster, finer="playbook_id"
    )
    return table.rename(columns={"_nth": "update"})[[*groups, "measure", "update", *list(_GROWTH)[1:-1]]]


def playbook_sizes_over_time(
    playbooks: IntoFrame,
    *,
    freq: Freq = "M",
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    measure: Measure = "total_checklist_items",
    by: str | Sequence[str] | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    """Return how large playbooks were at the end of each month, week or day.

    The same as ``playbook_sizes`` of a ``playbook_snapshot`` at each of these moments, from one pass over the events.

    Parameters
    ----------
    playbooks
        A frame of playbook events of any kind, as in ``EventLog.playbook``.
    freq
        ``"D"``, ``"W"`` (weeks end with Sunday) or ``"M"``.
    cutoff
        The moment up to which the log tells what happened, as in ``EventLog.cutoff``; the newest event by default.
    measure
        As for ``playbook_sizes``.
    by
        A column of ``playbooks``, or several, as of each moment: one row for each of their values.
    cluster
        The column of ``playbooks`` whose values act independently of one another; within one server, ``"playbook_id"``
        or ``"team_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per group and period with a playbook, in the order of the groups and then of time:

        by columns
            The group.
        as_of : datetime64[us, UTC]
            The last microsecond of the period, or the cutoff where it comes first.
        measure, n, … n_missing
            The columns of ``playbook_sizes``.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> tk.playbook_sizes_over_time(log.playbook, cutoff=log.cutoff)[["as_of", "n", "median"]]
                                 as_of    n  median
    0 2020-11-30 23:59:59.999999+00:00   88    22.5
    1 2020-12-20 23:54:40.320000+00:00  103    22.0
    """
    check_freq(freq)
    value, needed = size(measure)
    events = open_events(playbooks, needed=needed, named=[*engine.names_of(by), cluster])
    engine.check_cluster(cluster, events)
    groups = engine.group_columns(by, events, reserved=[*SIZES, "as_of"])
    until = None if cutoff is None else engine.epoch_us(engine.moment(cutoff, parameter="cutoff", of=playbooks))
    ends = _period_ends(playbooks, freq, until)
    # A state shows at the ends from the first that is not before it to the last that is before the next state.
    keys = dict.fromkeys([*groups, "server_id", cluster])
    states = (
        playbook_states(events, order_by=in_time(playbooks), _value=value)
        .with_columns(
            _begins=_n_before(nw.col("_from_us"), ends),
            _stops=nw.when(nw.col("_until_us").is_null())
            .then(len(ends))
            .otherwise(_n_before(nw.col("_until_us"), ends)),
        )
        .filter(~nw.col("_is_deleted"), nw.col("_begins") < nw.col("_stops"))
    )
    keys |= dict.fromkeys(["_value", "_begins", "_stops"])
    counted = number_servers(engine.collect(states.group_by(*keys).agg(_n=nw.len())), groups, cluster=cluster)
    first, n_ends = counted["_begins"].to_numpy(np.int64), (counted["_stops"] - counted["_begins"]).to_numpy(np.int64)
    shown = counted.drop(columns=["_begins", "_stops"]).iloc[np.repeat(np.arange(len(counted)), n_ends)]
    # The first end of each row, the next one, … up to its last: the place in the whole less that of its first.
    at = np.arange(len(shown)) - np.repeat(np.cumsum(n_ends) - n_ends - first, n_ends)
    as_of = pd.to_datetime(np.array(ends, dtype="datetime64[us]"), utc=True)[at]
    return warned(
        summarise_sizes(shown.assign(as_of=as_of), [*groups, "as_of"], measure, level), cluster, finer="playbook_id"
    )


def _period_ends(playbooks: IntoFrame, freq: Freq, cutoff: int | None) -> list[int]:
    """Return the last microseconds of the periods from the first event to the cutoff, which ends the last of them."""
    events = engine.open_frame(playbooks, ["event_timestamp"], parameter="playbooks", named=())
    time = nw.col("event_timestamp")
    known = engine.collect(events.select(first=time.min(), last=time.max())).iloc[0]
    if pd.isna(known["first"]):
        return []
    first, newest = (engine.epoch_us(known[name]) for name in ("first", "last"))
    last = newest if cutoff is None else cutoff
    days = np.array([first, last], dtype=np.int64) // engine.DAY_US
    begin, end = periods_of(days, freq)
    ends = (last_days(np.arange(begin, end + 1), freq) + 1) * engine.DAY_US - 1
    return [int(moment) for moment in np.minimum(ends, last)]


def _n_before(moment: nw.Expr, ends: Sequence[int]) -> nw.Expr:
    """Return how many of ``ends`` come before a moment."""
    return nw.sum_horizontal(nw.lit(0), *(nw.when(moment > end).then(1).otherwise(0) for end in ends))
