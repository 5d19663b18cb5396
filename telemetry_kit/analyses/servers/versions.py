"""Which versions servers run, over time, and how soon they take up a new one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine, stats
from telemetry_kit.analyses.servers.logs import open_log
from telemetry_kit.engine.ordering import sort_rows
from telemetry_kit.engine.periods import check_freq, dates, last_days, periods_of
from telemetry_kit.errors import ParameterError
from telemetry_kit.schemas.names import natural_key

if TYPE_CHECKING:
    from telemetry_kit.analyses.servers.logs import Log
    from telemetry_kit.engine.periods import Freq

Component = Literal["plugin_version", "server_version"]
COMPONENTS: tuple[Component, ...] = get_args(Component)


def _check_component(component: str) -> None:
    if component not in COMPONENTS:
        raise ParameterError("component", component, COMPONENTS)


def versions_in_use(
    log: Log, *, component: Component = "plugin_version", freq: Freq = "D", window: int = 30
) -> pd.DataFrame:
    """Return how many servers run which version, day by day.

    A server counts on a day when it sent an event in the ``window`` days that end with it, under the version of its
    latest event. So a server that pauses is not lost at once, and the end of the log looks like its middle.

    Parameters
    ----------
    log
        An ``EventLog``, or a mapping with a frame of any kind for each of ``incident``, ``tasks`` and ``playbook``.
    component
        ``"plugin_version"`` or ``"server_version"``.
    freq
        ``"D"`` for every day, ``"W"`` and ``"M"`` for the last day of each week (Sunday) and month.
    window
        For how many days an event shows that its server is in use. The first ``window`` - 1 days of a log undercount.

    Returns
    -------
    pandas.DataFrame
        One row per day and version, in the order of time and then of versions, a version that nobody runs included:

        date : datetime64[us, UTC]
            The day; of the last period the last day of the log.
        version : str
            The version.
        n_servers, n_in_use : Int64
            Servers that run it, and servers in use altogether.
        share : float64
            The one by the other, in [0, 1]; null where no server is in use.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> tk.versions_in_use(log, freq="M")
                           date version  n_servers  n_in_use     share
    0 2020-11-30 00:00:00+00:00   1.0.0          9        40  0.225000
    1 2020-11-30 00:00:00+00:00   1.1.0         31        40  0.775000
    2 2020-12-20 00:00:00+00:00   1.0.0          8        39  0.205128
    3 2020-12-20 00:00:00+00:00   1.1.0         31        39  0.794872
    """
    _check_component(component)
    check_freq(freq)
    engine.check_count("window", window, "a whole number of days, 1 or more")
    events = open_log(log, ["server_id", component]).with_columns(_day=nw.col("_us") // engine.DAY_US)
    latest = engine.collect(events.group_by("server_id", "_day", component).agg(_us=nw.col("_us").max()))
    latest = sort_rows(latest, ["server_id", "_us", component]).drop_duplicates(["server_id", "_day"], keep="last")
    versions = sort_rows(latest[[component]].drop_duplicates(), [component])[component]
    day = latest["_day"].to_numpy(np.int64)
    first, last = (day.min(), day.max()) if len(day) else (0, -1)
    # Each day of a server counts from itself until the server's next day, or until the window has passed.
    is_followed = (latest["server_id"] == latest["server_id"].shift(-1)).to_numpy()
    until = np.where(is_followed, np.minimum(np.append(day[1:], last), day + window), day + window)
    change = np.zeros((last - first + 2, len(versions)), np.int64)
    code = pd.Index(versions).get_indexer(latest[component])
    np.add.at(change, (day - first, code), 1)
    np.add.at(change, (np.minimum(until, last + 1) - first, code), -1)
    n_servers = change.cumsum(axis=0)
    periods = np.unique(periods_of(np.arange(first, last + 1), freq))
    shown = np.minimum(last_days(periods, freq), last)
    counts = n_servers[shown - first]
    in_use = counts.sum(axis=1).repeat(len(versions))
    with np.errstate(invalid="ignore"):
        share = counts.ravel() / in_use
    return pd.DataFrame(
        {
            "date": dates(shown.repeat(len(versions))),
            "version": pd.array(np.tile(versions.to_numpy(object), len(shown)), dtype="str"),
            "n_servers": pd.array(counts.ravel(), dtype="Int64"),
            "n_in_use": pd.array(in_use, dtype="Int64"),
            "share": share,
        }
    )


def version_adoption(
    log: Log, version: str, *, component: Component = "plugin_version", level: float = 0.95
) -> pd.DataFrame:
    """Return how soon servers take up a version, or a later one, that others already run.

    Looked at are the servers that ran an older version at first. A server's clock starts when any server of the log is
    first seen with the version, or with its own first event where that is later; it ends when the server is first seen
    with it. Servers that have not been until their last event may still take it up: they are censored there.

    Parameters
    ----------
    log
        An ``EventLog``, or a mapping with a frame of any kind for each of ``incident``, ``tasks`` and ``playbook``.
    version
        The version, such as ``"1.1.0"``; versions are compared part by part as numbers, 1.10.0 after 1.9.0.
    component
        ``"plugin_version"`` or ``"server_version"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per distinct time, in the order of time; none where no server of the log has the version:

        days : float64
            Days since the clock started.
        n_at_risk, n_adopted, n_censored : Int64
            Servers that had neither taken it up nor been censored before, and those that are at that time.
        estimate, df, lower, upper : float64
            Share of servers that have taken it up by then, in [0, 1], with its degrees of freedom and pointwise
            interval.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    One less the estimate of Kaplan and Meier (1958), every server a cluster of its own: see
    ``telemetry_kit.stats.survival_curve``. It takes servers that fall silent for no different from the others.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> events = pd.DataFrame({
    ...     "server_id": ["a", "b", "c", "b", "c"],
    ...     "event_timestamp": pd.to_datetime([f"2020-11-0{day}" for day in (2, 2, 2, 4, 8)], utc=True),
    ...     "plugin_version": ["1.1.0", "1.0.0", "1.0.0", "1.1.0", "1.0.0"],
    ... })
    >>> log = {"incident": events, "tasks": events[:0], "playbook": events[:0]}
    >>> tk.version_adoption(log, "1.1.0")[["days", "n_at_risk", "n_adopted", "n_censored", "estimate"]]
       days  n_at_risk  n_adopted  n_censored  estimate
    0   2.0          2          1           0       0.5
    1   6.0          1          0           1       0.5
    """
    _check_component(component)
    if not isinstance(version, str):
        raise ParameterError("version", version, "a version such as '1.1.0'")
    events = open_log(log, ["server_id", component])
    spans = engine.collect(
        events.group_by("server_id", component).agg(first=nw.col("_us").min(), last=nw.col("_us").max())
    ).astype({"first": np.int64, "last": np.int64})
    wanted = natural_key(version)
    has_it = np.array([natural_key(seen) >= wanted for seen in spans[component]], dtype=bool)
    taken_up = spans[has_it].groupby("server_id")["first"].min()
    older = spans[~has_it].groupby("server_id")["first"].min()
    servers = pd.DataFrame({"began": older, "last": spans.groupby("server_id")["last"].max(), "taken_up": taken_up})
    release = taken_up.min()
    servers = servers[(servers["began"] < servers["taken_up"].fillna(np.inf)) & (servers["last"] >= release)]
    start = servers["began"].clip(lower=release)
    days = (servers["taken_up"].fillna(servers["last"]) - start) / engine.DAY_US
    is_observed = servers["taken_up"].notna()
    curve = stats.survival_curve(days, is_observed, np.arange(len(days)), level=level)
    table = pd.DataFrame(
        {
            "days": curve.time,
            "n_at_risk": pd.array(curve.n_at_risk, dtype="Int64"),
            "n_adopted": pd.array(curve.n_observed, dtype="Int64"),
            "n_censored": pd.array(curve.n_censored, dtype="Int64"),
            "estimate": 1 - curve.survival,
            "df": curve.df,
            "lower": 1 - curve.upper,
            "upper": 1 - curve.lower,
        }
    )
    table.attrs["level"] = level
    return table
