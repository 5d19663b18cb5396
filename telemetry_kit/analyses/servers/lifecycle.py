"""Which servers come, stay, lapse and return, from period to period."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.analyses.servers.logs import open_log, others_us
from telemetry_kit.engine.periods import add_period_number, check_freq, dates, first_days, last_days, periods_of
from telemetry_kit.stats.limits import beta_limits, check_open_unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from telemetry_kit.analyses.servers.logs import Log
    from telemetry_kit.engine.periods import Freq

_STATES = ("n_new", "n_retained", "n_returned", "n_active", "n_lapsed", "n_gone", "n_unused")


class _Presence(NamedTuple):
    """Which servers were active in which periods, which of these the log tells of in full, and when others were sent.

    ``others_us`` is when a server last sent an event of another type, 0 where nobody knows.
    """

    is_active: NDArray[np.bool_]
    periods: NDArray[np.int64]
    is_complete: NDArray[np.bool_]
    others_us: NDArray[np.int64]


def server_lifecycle(log: Log, *, freq: Freq = "M") -> pd.DataFrame:
    """Return how many servers are new, stay, come back and lapse, period by period.

    A server is active in a period in which it sent an event of any of the three types.

    Parameters
    ----------
    log
        An ``EventLog``, or a mapping with a frame of any kind for each of ``incident``, ``tasks`` and ``playbook``.
    freq
        The period: ``"D"``, ``"W"`` (from Monday), ``"M"`` or ``"Q"``, in UTC.

    Returns
    -------
    pandas.DataFrame
        One row per period from the first event to the cutoff, in the order of time, periods without events included:

        period : datetime64[us, UTC]
            The first moment of the period.
        n_new : Int64
            Servers never seen before. In the first period of a log these are all.
        n_retained : Int64
            Servers that were active in the period before as well.
        n_returned : Int64
            Servers that were active before, but not in the period before.
        n_active : Int64
            All three together.
        n_lapsed : Int64
            Servers that were active in the period before, and not in this one.
        n_gone : Int64
            Of these, those that were not seen again until the cutoff.
        n_unused : Int64
            Of ``n_lapsed``, those that sent events of other types after the period had begun: they are on, and the
            plugin was not used. Of the others nobody knows whether they were switched off, not used, or their events
            no longer delivered; where a recording has no other types, these are all.
        is_complete : boolean
            Whether the log tells of the whole period. In one that is cut short, servers that seem to have lapsed may
            yet be active.

    Raises
    ------
    ParameterError
        Where ``log`` or ``freq`` is not one of the above.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> tk.server_lifecycle(log, freq="W")[["n_new", "n_retained", "n_returned", "n_lapsed", "is_complete"]].head(3)
       n_new  n_retained  n_returned  n_lapsed  is_complete
    0     36           0           0         0         True
    1      1          27           0         9         True
    2      1          21           5         7         True
    """
    seen = _presence(log, freq)
    before = np.pad(seen.is_active, ((0, 0), (1, 0)))[:, :-1]
    ever = np.logical_or.accumulate(before, axis=1)
    later = np.logical_or.accumulate(seen.is_active[:, ::-1], axis=1)[:, ::-1]
    is_in = {
        "n_new": seen.is_active & ~ever,
        "n_retained": seen.is_active & before,
        "n_returned": seen.is_active & ever & ~before,
        "n_active": seen.is_active,
        "n_lapsed": ~seen.is_active & before,
        "n_gone": ~later & before,
    }
    begin_us = first_days(seen.periods, freq) * engine.DAY_US
    is_in["n_unused"] = is_in["n_lapsed"] & (seen.others_us[:, None] >= begin_us)
    counts = {name: pd.array(is_in[name].sum(axis=0), dtype="Int64") for name in _STATES}
    is_complete = pd.array(seen.is_complete, dtype="boolean")
    return pd.DataFrame({"period": dates(first_days(seen.periods, freq)), **counts, "is_complete": is_complete})


def server_retention(log: Log, *, freq: Freq = "M", level: float = 0.95) -> pd.DataFrame:
    """Return how many of the servers that were first seen in a period are active in it and in each one after.

    Parameters
    ----------
    log
        An ``EventLog``, or a mapping with a frame of any kind for each of ``incident``, ``tasks`` and ``playbook``.
    freq
        The period: ``"D"``, ``"W"`` (from Monday), ``"M"`` or ``"Q"``, in UTC.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per cohort and age, in their order:

        cohort : datetime64[us, UTC]
            The first moment of the period in which its servers were first seen. The first cohort of a log has all
            servers that were there when it began.
        age : Int64
            How many periods later.
        n_servers : Int64
            Servers of the cohort.
        n_active : Int64
            Of these, those that are active at that age; null where the log does not tell of the whole period, because
            what is not known yet is not zero.
        estimate, lower, upper : float64
            Share of the cohort, in [0, 1], and its interval (Clopper and Pearson 1934: servers act on their own); null
            as ``n_active``.

    Raises
    ------
    ParameterError
        Where ``log``, ``freq`` or ``level`` is not one of the above.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> tk.server_retention(log, freq="W")[["age", "n_servers", "n_active", "estimate", "lower"]].head(3).round(3)
       age  n_servers  n_active  estimate  lower
    0    0         36        36     1.000  0.903
    1    1         36        27     0.750  0.578
    2    2         36        25     0.694  0.519
    """
    check_open_unit("level", level)
    seen = _presence(log, freq)
    n_periods = seen.periods.size
    joined = seen.is_active.argmax(axis=1) if n_periods else np.empty(0, np.int64)
    n_servers = np.bincount(joined, minlength=n_periods)
    n_active = np.zeros((n_periods, n_periods), np.int64)
    np.add.at(n_active, joined, seen.is_active.astype(np.int64))
    cohort, period = np.nonzero(np.triu(np.ones((n_periods, n_periods), np.bool_)) & (n_servers > 0)[:, None])
    is_known = seen.is_complete[period]
    servers = n_servers[cohort].astype(np.float64)
    estimate = np.where(is_known, n_active[cohort, period] / servers, np.nan)
    lower, upper = beta_limits(estimate, servers, 1 - level)
    table = pd.DataFrame(
        {
            "cohort": dates(first_days(seen.periods, freq))[cohort],
            "age": pd.array(period - cohort, dtype="Int64"),
            "n_servers": pd.array(n_servers[cohort], dtype="Int64"),
            "n_active": pd.Series(n_active[cohort, period], dtype="Int64").where(is_known),
            "estimate": estimate,
            "lower": lower,
            "upper": upper,
        }
    )
    table.attrs |= {"level": level, "freq": freq}
    return table


def _presence(log: Log, freq: Freq) -> _Presence:
    check_freq(freq)
    events = open_log(log, ["server_id"]).with_columns(_day=(nw.col("_us") // engine.DAY_US).cast(nw.Int64))
    seen = add_period_number(events, freq).group_by("server_id", "_period")
    seen_at = engine.collect(seen.agg(_first=nw.col("_day").min(), _last=nw.col("_day").max()))
    if not len(seen_at):
        return _Presence(
            np.zeros((0, 0), np.bool_), np.empty(0, np.int64), np.empty(0, np.bool_), np.empty(0, np.int64)
        )
    own = seen_at["_period"].to_numpy(np.int64)
    begin, end = _span(log, int(seen_at["_first"].min()), int(seen_at["_last"].max()))
    periods = np.arange(own.min(), max(own.max(), int(periods_of(np.array([end]), freq)[0])) + 1)
    codes, servers = seen_at["server_id"].factorize()
    is_active = np.zeros((len(servers), periods.size), np.bool_)
    is_active[codes, own - periods[0]] = True
    is_complete = (first_days(periods, freq) >= begin) & (last_days(periods, freq) < end)
    told = others_us(log)
    return _Presence(is_active, periods, is_complete, np.array([told.get(server, 0) for server in servers], np.int64))


def _span(log: Log, first_day: int, last_day: int) -> tuple[int, int]:
    """Return the day with which a log begins, and the one with which it ends, on which more may have happened."""
    told: Any = log if isinstance(log, Mapping) else {name: getattr(log, name, None) for name in ("since", "cutoff")}
    given = {name: told.get(name) for name in ("since", "cutoff") if not pd.isna(told.get(name))}
    us = {name: engine.epoch_us(engine.moment(moment, parameter=name)) for name, moment in given.items()}
    # A log that begins within a day does not tell of all of it.
    begin = -(-us["since"] // engine.DAY_US) if "since" in us else first_day
    return begin, us["cutoff"] // engine.DAY_US if "cutoff" in us else last_day
