"""Which playbooks incidents are made from, since when, and which are never used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.analyses.playbooks.states import KEYS
from telemetry_kit.engine.ordering import sort_rows
from telemetry_kit.schemas.names import natural_key

if TYPE_CHECKING:
    from narwhals.stable.v2.typing import IntoFrame

NAMES_PLAYBOOKS_FROM = "1.1.1"
"""The first plugin version whose incidents name the playbook that they were made from."""


def playbook_usage(snapshot: IntoFrame, incidents: IntoFrame) -> pd.DataFrame:
    """Return how many incidents were made from each playbook, and when for the first and for the last time.

    Parameters
    ----------
    snapshot
        A frame of any kind with one row per playbook, as of ``playbook_snapshot``.
    incidents
        A frame of incident events, in memory or on the engine of ``snapshot``.

    Returns
    -------
    pandas.DataFrame
        One row per playbook, in the natural order of ``server_id`` and ``playbook_id``:

        server_id, playbook_id : str
            The playbook.
        n_incidents : Int64
            Incidents that name it; at least so many where ``n_unnamed`` is above zero. Null, and not zero, where none
            names it and ``n_unnamed`` is above zero.
        first_used_at, last_used_at : datetime64[us, UTC]
            The first recorded events of the first and of the last of these incidents; null without any.
        n_servers : Int64
            Servers whose incidents name it: 0 or 1, unless a playbook's id occurs on several. Null as ``n_incidents``.
        n_unnamed : Int64
            Incidents of its server with events of versions before 1.1.1 only, which do not name the playbook: any of
            them may have been made from it.

    Raises
    ------
    ParameterError
        Where a frame lacks a column, or the two are on different engines.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> snapshot = pd.DataFrame({"server_id": ["a", "a", "b"], "playbook_id": ["p", "q", "r"]})
    >>> incidents = pd.DataFrame({
    ...     "server_id": ["a", "b"], "incident_id": ["i", "j"], "playbook_id": ["p", None],
    ...     "plugin_version": ["1.2.0", "1.1.0"],
    ...     "event_timestamp": pd.to_datetime(["2020-11-02", "2020-11-03"], utc=True),
    ... })
    >>> tk.playbook_usage(snapshot, incidents)[["playbook_id", "n_incidents", "n_unnamed"]]
      playbook_id  n_incidents  n_unnamed
    0           p            1          0
    1           q            0          0
    2           r         <NA>          1
    """
    playbooks = engine.open_frame(snapshot, KEYS, parameter="snapshot", named=())
    needed = [*KEYS, "incident_id", "plugin_version", "event_timestamp"]
    events = engine.open_alike(incidents, needed, parameter="incidents", like=playbooks, on=KEYS)
    events = engine.add_epoch_us(events, _us="event_timestamp").with_columns(
        nw.col(*KEYS, "plugin_version").cast(nw.String)
    )
    named = nw.when(~nw.col("playbook_id").is_null() | _tells_playbook(events)).then(1).otherwise(0)
    started = (
        events.with_columns(_is_named=named)
        .group_by("server_id", "incident_id")
        .agg(nw.col("playbook_id", "_is_named").max(), nw.col("_us").min())
    )
    counted = engine.collect(
        started.group_by(*KEYS, "_is_named").agg(n=nw.len(), first=nw.col("_us").min(), last=nw.col("_us").max())
    )
    used = counted[counted["playbook_id"].notna()].drop(columns="_is_named")
    unnamed = counted[counted["_is_named"] == 0].groupby("server_id", as_index=False).agg(n_unnamed=("n", "sum"))
    table = engine.collect(playbooks.select(nw.col(*KEYS).cast(nw.String)))
    table = table.merge(used, "left", on=[*KEYS]).merge(unnamed, "left", on="server_id")
    table["n_servers"] = table["playbook_id"].map(used.groupby("playbook_id")["server_id"].nunique())
    return _finish(sort_rows(table, KEYS))


def _tells_playbook(events: nw.LazyFrame[Any]) -> nw.Expr:
    """Whether an event is of a version that names the playbook, so that none named is none."""
    versions = engine.collect(engine.distinct(events, "plugin_version"))["plugin_version"].dropna()
    naming = [version for version in versions if natural_key(version) >= natural_key(NAMES_PLAYBOOKS_FROM)]
    return nw.col("plugin_version").is_in(naming).fill_null(value=False) if naming else nw.lit(value=False)


def _finish(table: pd.DataFrame) -> pd.DataFrame:
    is_known = table["n"].notna() | table["n_unnamed"].isna()
    times = {"first_used_at": "first", "last_used_at": "last"}
    return pd.DataFrame(
        {
            **{key: table[key] for key in KEYS},
            "n_incidents": table["n"].fillna(0).astype("Int64").where(is_known),
            **{name: pd.to_datetime(table[us], unit="us", utc=True).dt.as_unit("us") for name, us in times.items()},
            "n_servers": table["n_servers"].fillna(0).astype("Int64").where(is_known),
            "n_unnamed": table["n_unnamed"].fillna(0).astype("Int64"),
        }
    )
