"""How many visits, incidents and servers there are to say something about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals.stable.v2 as nw

from telemetry_kit import engine
from telemetry_kit.analyses.stages.changes import INCIDENT
from telemetry_kit.analyses.stages.given import open_visits
from telemetry_kit.engine.ordering import sort_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

_NEEDED = (*INCIDENT, "is_censored", "is_left_truncated", "from_start")
_COUNTS = ("n_visits", "n_censored", "n_left_truncated", "n_incidents", "n_from_start")


def visit_counts(visits: IntoFrame, *, by: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Return how many visits, incidents and servers there are.

    Parameters
    ----------
    visits
        A frame of any kind, as ``stage_visits`` returns it.
    by
        A column of ``visits``, or several: each of their values is counted by itself, a null as well.

    Returns
    -------
    pandas.DataFrame
        One row per group, in the order of the groups; without ``by`` one row:

        by columns
            The group.
        n_visits : Int64
            Visits.
        n_censored, n_left_truncated : Int64
            Of these, the visits that were open at the cutoff, and those that had begun before the recording.
        n_incidents, n_from_start : Int64
            Incidents with a visit, and of these the ones whose create was recorded.
        n_servers : Int64
            Servers with a visit.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> visits = tk.stage_visits(log.incident, cutoff=log.cutoff)
    >>> tk.visit_counts(visits, by="public")[["public", "n_visits", "n_incidents", "n_servers"]]
       public  n_visits  n_incidents  n_servers
    0   False       467          150         25
    1    True       686          224         33
    2    <NA>        12            2          1
    """
    frame = open_visits(visits, _NEEDED, named=engine.names_of(by))
    groups = engine.group_columns(by, frame, reserved=[*_COUNTS, "n_servers"])
    flags = {
        name: nw.when(nw.col(column)).then(1).otherwise(0)
        for name, column in zip(("n_censored", "n_left_truncated", "n_from_start"), _NEEDED[2:], strict=True)
    }
    by_server = list(dict.fromkeys([*groups, "server_id"]))
    by_incident = list(dict.fromkeys([*groups, *INCIDENT]))
    counted = (
        frame.with_columns(**flags)
        .group_by(*by_incident)
        .agg(nw.col("n_censored", "n_left_truncated").sum(), nw.col("n_from_start").max(), n_visits=nw.len())
        .group_by(*by_server)
        .agg(nw.col(*(name for name in _COUNTS if name != "n_incidents")).sum(), n_incidents=nw.len())
    )
    servers = engine.collect(counted).assign(n_servers=1)
    columns = [*_COUNTS, "n_servers"]
    if not groups:
        return servers[columns].sum().to_frame().T.astype("Int64")
    table = servers.groupby(groups, dropna=False, as_index=False)[columns].sum().astype(dict.fromkeys(columns, "Int64"))
    return sort_rows(table, groups)
