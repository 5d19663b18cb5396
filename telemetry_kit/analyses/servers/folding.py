"""Small groups added up under one name, so that what is forwarded tells of no single server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine

if TYPE_CHECKING:
    from narwhals.stable.v2.typing import IntoFrameT

MIN_INCIDENTS = 5


def fold_small_groups(
    frame: IntoFrameT, column: str, *, min_servers: int = 1, min_incidents: int = MIN_INCIDENTS
) -> IntoFrameT:
    """Replace the values of a column that few servers or incidents have by "other", with how many they were.

    Parameters
    ----------
    frame
        A frame of any kind with ``server_id`` and, where incidents are to count, ``incident_id``.
    column
        The column that makes groups, such as ``plugin_version``.
    min_servers
        A value with fewer servers is folded; with 1, none is.
    min_incidents
        A value with fewer incidents is folded as well, where ``min_servers`` is more than 1 and there are incidents.

    Returns
    -------
    frame
        Of the same kind, with the column as text: ``other (3)`` in the place of the three values that were folded. It
        is returned as it is where there is nothing to fold.

    Raises
    ------
    ParameterError
        Where ``frame`` is no frame or lacks a column, or a number is less than 1.

    Examples
    --------
    >>> import pandas as pd
    >>> import telemetry_kit as tk
    >>> events = pd.DataFrame({"server_id": ["a", "b", "b"], "plugin_version": ["1.0.0", "1.1.0", "1.0.0"]})
    >>> tk.fold_small_groups(events, "plugin_version", min_servers=2)["plugin_version"].tolist()
    ['1.0.0', 'other (1)', '1.0.0']
    """
    for name, least in (("min_servers", min_servers), ("min_incidents", min_incidents)):
        engine.check_count(name, least, "a whole number, 1 or more")
    events = engine.open_frame(frame, ["server_id", column], parameter="frame")
    if min_servers == 1:
        return frame
    incident = ["incident_id"] if "incident_id" in events.columns else []
    each = events.group_by(column, "server_id", *incident).agg(_n=nw.len())
    sizes = engine.collect(each.group_by(column, "server_id").agg(n_incidents=nw.len()))
    by_value = sizes.groupby(column, dropna=True, observed=True)["n_incidents"].agg(["size", "sum"])
    is_small = (by_value["size"] < min_servers) | (bool(incident) & (by_value["sum"] < min_incidents))
    small = by_value.index[is_small].astype("str").tolist()
    return frame if not small else _fold(frame, events, column, small)


def _fold(frame: IntoFrameT, events: nw.LazyFrame[Any], column: str, small: list[str]) -> IntoFrameT:
    text = nw.col(column).cast(nw.String)
    other = nw.lit(f"other ({len(small)})")
    return engine.give_back(
        events.with_columns(nw.when(text.is_in(small)).then(other).otherwise(text).alias(column)), like=frame
    )
