"""Every server in one row: since when, how active, which versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine, schemas
from telemetry_kit.analyses.servers.logs import open_log
from telemetry_kit.engine.ordering import sort_rows
from telemetry_kit.engine.periods import dates

if TYPE_CHECKING:
    import pandas as pd

    from telemetry_kit.analyses.servers.logs import Log

_VERSIONS = ["plugin_version", "server_version"]


def server_overview(log: Log) -> pd.DataFrame:
    """Return every server of a log in one row.

    Parameters
    ----------
    log
        An ``EventLog``, or a mapping with a frame of any kind for each of ``incident``, ``tasks`` and ``playbook``.

    Returns
    -------
    pandas.DataFrame
        One row per server, in the natural order of ``server_id``:

        server_id : str
            The server.
        first_day, last_day : datetime64[us, UTC]
            The days of its first and last event.
        n_days, n_days_active : Int64
            Days from the first to the last, and how many of them have an event.
        n_incident, n_tasks, n_playbook : Int64
            Events of each type.
        n_users : Int64
            Distinct ``user_actual_id``.
        plugin_version, server_version : str
            The versions of its last event.
        n_plugin_versions, n_server_versions : Int64
            How many versions it was seen with.

    Raises
    ------
    ParameterError
        Where ``log`` is not one of the above, or a frame lacks a column.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> tk.server_overview(log)[["n_days", "n_days_active", "n_users", "plugin_version"]].head(3)
       n_days  n_days_active  n_users plugin_version
    0      45             28        7          1.1.0
    1      45             15       10          1.1.0
    2      20              3        4          1.1.0
    """
    events = open_log(log, ["server_id", "user_actual_id", *_VERSIONS])
    kinds = {f"n_{kind}": nw.when(nw.col("event_type") == kind).then(1).otherwise(0) for kind in schemas.EVENT_TYPES}
    days = events.with_columns(_day=(nw.col("_us") // engine.DAY_US).cast(nw.Int64), **kinds).group_by(
        "server_id", "_day"
    )
    servers = engine.collect(
        days.agg(nw.col(*kinds).sum())
        .group_by("server_id")
        .agg(
            nw.col(*kinds).sum(), first_day=nw.col("_day").min(), last_day=nw.col("_day").max(), n_days_active=nw.len()
        )
    )
    users = engine.distinct(events, "server_id", "user_actual_id").group_by("server_id").agg(n_users=nw.len())
    servers = servers.merge(engine.collect(users), on="server_id")
    spans = engine.collect(events.group_by("server_id", *_VERSIONS).agg(_us=nw.col("_us").max()))
    spans = sort_rows(spans, ["server_id", "_us", *_VERSIONS])
    latest = spans.drop_duplicates("server_id", keep="last").drop(columns="_us")
    for version in _VERSIONS:
        n_versions = spans.groupby("server_id")[version].nunique()
        latest[f"n_{version}s"] = latest["server_id"].map(n_versions).astype("Int64")
    table = sort_rows(servers.merge(latest, on="server_id"), ["server_id"])
    table["n_days"] = table["last_day"] - table["first_day"] + 1
    for day in ("first_day", "last_day"):
        table[day] = dates(table[day].to_numpy(np.int64))
    order = ["server_id", "first_day", "last_day", "n_days", "n_days_active", *kinds, "n_users", *_VERSIONS]
    return table[[*order, *(f"n_{version}s" for version in _VERSIONS)]]
