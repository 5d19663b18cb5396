"""How playbooks change: over their updates, and from month to month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.periods import check_freq, last_days, periods_of
from telemetry_kit.playbooks.sizes import SIZES, server_numbers, size, summarise_sizes
from telemetry_kit.playbooks.states import IN_TIME, KEYS, playbook_states
from telemetry_kit.summaries import summarise_at_once
from telemetry_kit.uncertainty.clusters import Groups, ratio_means
from telemetry_kit.uncertainty.medians import group_quantiles, number_clusters, sort_samples
from telemetry_kit.uncertainty.shares import mean_limits

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT

    from telemetry_kit.periods import Freq
    from telemetry_kit.playbooks.sizes import Measure

_GROWTH = {
    "measure": "str",
    "n": "Int64",
    "n_servers": "Int64",
    "mean": "float64",
    "median": "float64",
    "mean_change": "float64",
    "lower": "float64",
    "upper": "float64",
    "n_larger": "Int64",
    "n_smaller": "Int64",
}


def _sized_states(
    playbooks: IntoFrame, measure: str, by: str | Sequence[str] | None = None
) -> tuple[nw.LazyFrame[Any], nw.Expr]:
    """Open the states of playbooks, and return them with the expression for their size."""
    value, needed = size(measure)
    return playbook_states(playbooks, needed=needed, named=engine.names_of(by)), value


def _at_first(expression: nw.Expr) -> nw.Expr:
    """Return an expression in the first state of each playbook, and null in the others."""
    return nw.when(nw.col("_update") == 0).then(expression)


def _is_create() -> nw.Expr:
    return (nw.col("action").cast(nw.String) == "create").fill_null(value=True)


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
    states, value = _sized_states(playbooks, measure)
    is_last = nw.col("_until_us").is_null()
    flags = {"from_create": _at_first(_is_create()), "is_deleted": nw.when(is_last).then(nw.col("_is_deleted"))}
    known = {
        "first_seen_at": nw.col("event_timestamp"),
        "last_changed_at": nw.col("event_timestamp"),
        "n_updates": nw.col("_n_updates"),
        **{name: nw.when(flag).then(1).otherwise(0) for name, flag in flags.items()},
        "first": _at_first(value),
        "last": nw.when(is_last).then(value),
        "largest": value,
    }
    ends = {name: nw.col(name).min() if name == "first_seen_at" else nw.col(name).max() for name in known}
    histories = states.select(*KEYS, **known).group_by(*KEYS).agg(**ends)
    result = histories.with_columns(**{name: nw.col(name) == 1 for name in flags})
    return engine.give_back(result.sort(*KEYS), like=playbooks)


def playbook_growth(
    playbooks: IntoFrame,
    *,
    measure: Measure = "total_checklist_items",
    by: str | Sequence[str] | None = None,
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
    level
        Confidence level of the limits.

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
        mean_change, lower, upper : float64
            Mean of the size after it less the size at create, and its limits; null with fewer than two servers.
        n_larger, n_smaller : Int64
            Playbooks that are larger, and smaller, after it than at create.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    Limits are those of a mean in clustered data, with servers as clusters: see
    ``telemetry_kit.uncertainty.difference_interval``.

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
    states, value = _sized_states(playbooks, measure, by)
    groups = engine.group_columns(by, states, reserved=[*_GROWTH, "update"])
    keys = list(dict.fromkeys([*groups, "_nth", "server_id"]))
    states = states.with_columns(_value=value, _is_create=_is_create())
    firsts = {"_first": "_value", "_from_create": "_is_create"}
    # With the number of its own the first size takes one sort; with that of the states it would take two.
    states = engine.number_rows(states, "_nth", within=KEYS, order_by=IN_TIME, **firsts)
    states = states.filter(nw.col("_from_create"), ~nw.col("_is_deleted"), ~nw.col("_value").is_null())
    counted = engine.collect(states.group_by(*keys, "_value", "_first").agg(_n=nw.len()))
    counted["_server"] = server_numbers(counted["server_id"])

    def columns(counted: pd.DataFrame, groups: Groups) -> dict[str, Any]:
        counts, values = counted["_n"].to_numpy(np.int64), counted["_value"].to_numpy(np.float64)
        change = values - counted["_first"].to_numpy(np.float64, na_value=np.nan)
        is_known = ~np.isnan(change)
        servers, of_servers = number_clusters(counted["_server"].to_numpy(), groups)
        in_server = Groups(servers, of_servers.of.size)
        changes = ratio_means(
            in_server.add_up_ascending(np.where(is_known, change * counts, 0.0)),
            in_server.add_up(counts * is_known),
            of_servers,
        )
        mean_change, lower, upper = mean_limits(changes, level=level)
        samples = sort_samples(values, groups, counts)
        return {
            "measure": np.full(groups.n, measure, dtype=object),
            "n": samples.n,
            "n_servers": np.bincount(of_servers.of, minlength=groups.n),
            "mean": groups.add_up_ascending(values * counts) / samples.n,
            "median": group_quantiles(samples, np.array([0.5]))[:, 0],
            "mean_change": mean_change,
            "lower": lower,
            "upper": upper,
            "n_larger": groups.add_up(counts * (change > 0)),
            "n_smaller": groups.add_up(counts * (change < 0)),
        }

    own = counted.drop(columns=[] if "server_id" in groups else "server_id")
    table = summarise_at_once(own, [*groups, "_nth"], columns, _GROWTH, level=level)
    return table.rename(columns={"_nth": "update"})[[*groups, "measure", "update", *list(_GROWTH)[1:]]]


def playbook_sizes_over_time(
    playbooks: IntoFrame,
    *,
    freq: Freq = "M",
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    measure: Measure = "total_checklist_items",
    by: str | Sequence[str] | None = None,
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
    level
        Confidence level of the limits.

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
    states, value = _sized_states(playbooks, measure, by)
    groups = engine.group_columns(by, states, reserved=[*SIZES, "as_of"])
    until = None if cutoff is None else engine.epoch_us(engine.moment(cutoff, parameter="cutoff"))
    ends = _period_ends(states, freq, until)
    # A state shows at the ends from the first that is not before it to the last that is before the next state.
    states = states.with_columns(
        _value=value,
        _begins=_n_before(nw.col("_from_us"), ends),
        _stops=nw.when(nw.col("_until_us").is_null()).then(len(ends)).otherwise(_n_before(nw.col("_until_us"), ends)),
    ).filter(~nw.col("_is_deleted"), nw.col("_begins") < nw.col("_stops"))
    keys = list(dict.fromkeys([*groups, "server_id", "_value", "_begins", "_stops"]))
    counted = engine.collect(states.group_by(*keys).agg(_n=nw.len()))
    counted["_server"] = server_numbers(counted["server_id"])
    shown = [
        counted[(counted["_begins"] <= at) & (counted["_stops"] > at)].assign(
            as_of=pd.Timestamp(end, unit="us", tz="UTC")
        )
        for at, end in enumerate(ends)
    ]
    totals = pd.concat(shown) if shown else counted.assign(as_of=pd.Series(dtype="datetime64[us, UTC]"))
    return summarise_sizes(totals, [*groups, "as_of"], measure, level)


def _period_ends(states: nw.LazyFrame[Any], freq: Freq, cutoff: int | None) -> list[int]:
    """Return the last microseconds of the periods from the first event to the cutoff, which ends the last of them."""
    span = engine.collect(states.select(first=nw.col("_from_us").min(), last=nw.col("_from_us").max())).iloc[0]
    if pd.isna(span["first"]):
        return []
    last = span["last"] if cutoff is None else cutoff
    days = np.array([span["first"], last], dtype=np.int64) // engine.DAY_US
    begin, end = periods_of(days, freq)
    ends = (last_days(np.arange(begin, end + 1), freq) + 1) * engine.DAY_US - 1
    return [int(moment) for moment in np.minimum(ends, last)]


def _n_before(moment: nw.Expr, ends: Sequence[int]) -> nw.Expr:
    """Return how many of ``ends`` come before a moment."""
    return nw.sum_horizontal(nw.lit(0), *(nw.when(moment > end).then(1).otherwise(0) for end in ends))
