"""Up to when each server was observed: to the cutoff, or to its last event where it fell silent before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.analyses.servers.logs import open_log, others_us
from telemetry_kit.engine.ordering import sort_rows

if TYPE_CHECKING:
    import datetime as dt

    from telemetry_kit.analyses.servers.logs import Log


def observed_until(log: Log, *, silent_after: str | dt.timedelta = "28D") -> pd.DataFrame:
    """Return up to when each server was observed, for everything that counts what is open.

    A server whose last event lies long before the cutoff was switched off, or stopped sending: what was open there then
    is not known to be open at the cutoff, months later. Pass the result as ``observed_until`` to ``stage_visits``,
    ``status_visits``, ``incident_durations`` and ``incident_flow``.

    Parameters
    ----------
    log
        An ``EventLog``, or a mapping with a frame of any kind for each of ``incident``, ``tasks`` and ``playbook``, and
        perhaps a ``cutoff`` (without one, it is the newest event of the log) and ``others_us``, as of an ``EventLog``.
    silent_after
        How long before the cutoff a server's last event has to lie for the server to be silent: a length of time such
        as ``"28D"``. Servers that are switched on but idle are silent as well.

    Returns
    -------
    pandas.DataFrame
        One row per server, in the natural order of ``server_id``:

        server_id : str
            The server.
        observed_until : datetime64[us, UTC]
            Its last event of any type where it is silent, the cutoff where it is not. Events of other types count
            where the log was read from a recording that has them; a warehouse is asked for its three types alone.
        is_silent : boolean
            Whether its last event lies more than ``silent_after`` before the cutoff.

    Raises
    ------
    ParameterError
        Where ``log`` is no log, or ``silent_after`` no length of time.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> events = pd.DataFrame({
    ...     "server_id": ["a", "b"], "event_timestamp": pd.to_datetime(["2020-11-02", "2020-12-20"], utc=True),
    ... })
    >>> log = {"incident": events, "tasks": events[:0], "playbook": events[:0]}
    >>> tk.observed_until(log)
      server_id            observed_until  is_silent
    0         a 2020-11-02 00:00:00+00:00       True
    1         b 2020-12-20 00:00:00+00:00      False
    """
    span = engine.span_us(silent_after, parameter="silent_after")
    events = open_log(log, ["server_id"])
    last = sort_rows(engine.collect(events.group_by("server_id").agg(_us=nw.col("_us").max())), ["server_id"])
    last_us = last["_us"].to_numpy(np.int64)
    newest = last_us.max(initial=0)
    cutoff: Any = log.get("cutoff") if isinstance(log, Mapping) else getattr(log, "cutoff", None)
    others = others_us(log)
    is_untold = cutoff is None or (cutoff is engine.NO_TIME and last.empty)
    cutoff_us = newest if is_untold else engine.epoch_us(engine.moment(cutoff, parameter="cutoff"))
    last_us = np.maximum(last_us, [min(others.get(server, 0), cutoff_us) for server in last["server_id"]])
    is_silent = cutoff_us - last_us > span
    until = pd.DatetimeIndex(np.where(is_silent, last_us, cutoff_us).astype("datetime64[us]"), tz="UTC")
    return pd.DataFrame(
        {
            "server_id": last["server_id"],
            "observed_until": until,
            "is_silent": pd.array(is_silent, dtype="boolean"),
        }
    )
