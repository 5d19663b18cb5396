"""Which servers differ more than chance and ordinary variety explain."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from telemetry_kit.analyses.servers.outcomes import N, X, count_outcomes
from telemetry_kit.engine.ordering import sort_rows
from telemetry_kit.errors import FewServersWarning
from telemetry_kit.stats.deviations import FEWEST_GROUPS, cautious_p_values, group_deviations
from telemetry_kit.stats.limits import check_open_unit

if TYPE_CHECKING:
    from narwhals.stable.v2.typing import IntoFrame

    from telemetry_kit.analyses.servers.outcomes import Outcome

FEWEST_SERVERS = 10
"""With fewer, how far ordinary servers lie apart is too uncertain to call one of them odd."""


def server_deviation(
    tasks_or_incidents: IntoFrame, *, of: Outcome, cluster: str = "server_id", level: float = 0.95
) -> pd.DataFrame:
    r"""Return which servers differ more than chance and ordinary variety explain.

    Every server is held against the others alone, so that an odd one does not hide itself: by chance and by the variety
    of the others, how often would an ordinary server with as many completions be as far off?

    Parameters
    ----------
    tasks_or_incidents
        A frame of any kind: tasks events for ``commander`` and ``assignee``, incident events for ``reached_last`` and
        ``ended``.
    of
        ``"commander"`` or ``"assignee"``: the share of completions made by the commander, or by the assignee (where one
        person is both, by both). ``"reached_last"`` or ``"ended"``: the share of incidents, of those whose create was
        recorded, that came to their last stage (incidents with one stage do not count), or ended at least once.
    cluster
        The column whose values are held against each other: ``"server_id"``, or within one server ``"team_id"``.
    level
        A server is a signal where its ``p_adjusted`` is below 1 - ``level``, but for others that are all alike (see
        ``is_signal``).

    Returns
    -------
    pandas.DataFrame
        One row per server that has any, in their natural order:

        server_id : str
            The server, or the value of ``cluster``.
        n : Int64
            Its completions or incidents.
        estimate, overall : float64
            Its share, and that of all together.
        shrunk : float64
            Its share drawn towards ``overall``, the more the fewer it has: the best guess of what it will do next.
        expected_lower, expected_upper : float64
            Between which shares ``level`` of ordinary servers of its size lie.
        p_value, p_adjusted : float64
            How probable a share as far from that of the others is in an ordinary server; and adjusted for looking at
            all of them (Benjamini and Hochberg 1995). Null with fewer than three servers.
        is_signal : boolean
            Whether it differs; null with fewer than ten servers. Where all completions of the others came out alike,
            ``p_value`` is 0 for a single one that did not; the signal then takes the others to have half a case more.
        rho, between_sd : float64
            How alike completions of one server are (intra-class correlation), and the standard deviation of the
            servers' true shares. Null with one server.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take, or the events do not tell the outcome.

    Warns
    -----
    FewServersWarning
        Where there are fewer than ten servers.

    Notes
    -----
    The formulas are those of ``telemetry_kit.stats.deviations.group_deviations``. Measured on a thousand draws each
    (``python -m benchmarks signals``; shares around one half with a standard deviation of 0.05 between servers, 60
    completions on the typical one): of 10, 20, 40 and 100 ordinary servers one or more was a signal in 6, 8, 7 and 5 %
    of the draws. An odd one of the typical size among 40, 20, 30 or 40 points off, was a signal in 13, 67 and 100 %,
    and the only one in 13, 65 and 98 %: a small server has to be far off to be told from chance.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> table = tk.server_deviation(log.tasks, of="commander")
    >>> table[["n", "estimate", "overall", "shrunk", "p_adjusted", "is_signal"]].head(3).round(3)
        n  estimate  overall  shrunk  p_adjusted  is_signal
    0  74     0.486    0.509   0.499       0.962      False
    1  32     0.625    0.509   0.539       0.868      False
    2  36     0.639    0.509   0.545       0.860      False
    """
    check_open_unit("level", level)
    counted = sort_rows(count_outcomes(tasks_or_incidents, of, [cluster], parameter="tasks_or_incidents"), [cluster])
    n, x = counted[N].to_numpy(np.float64), counted[X].to_numpy(np.float64)
    found = group_deviations(x, n, level=level)
    is_signal: pd.Series[Any] = pd.Series(None, range(n.size), dtype=object)
    p_adjusted = found.p_value
    if n.size >= FEWEST_GROUPS:
        from scipy.stats import false_discovery_control

        p_adjusted = false_discovery_control(found.p_value)
        if n.size >= FEWEST_SERVERS:
            is_signal = pd.Series(false_discovery_control(cautious_p_values(x, n, found.p_value)) < 1 - level)
    if 0 < n.size < FEWEST_SERVERS:
        warnings.warn(FewServersWarning(n.size, FEWEST_SERVERS, cluster), stacklevel=2)
    table = pd.DataFrame(
        {
            cluster: counted[cluster],
            "n": counted[N].astype("Int64"),
            "estimate": x / n,
            "overall": found.overall,
            "shrunk": found.shrunk,
            "expected_lower": found.lower,
            "expected_upper": found.upper,
            "p_value": found.p_value,
            "p_adjusted": p_adjusted,
            "is_signal": is_signal,
            "rho": found.rho,
            "between_sd": found.between_sd,
        }
    )
    table = table.astype({"is_signal": "boolean"})
    table.attrs |= {"level": level, "of": of}
    return table
