"""Who completes tasks, in one group of completions and in another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from telemetry_kit import engine
from telemetry_kit.analyses.pairs import COMPARISON, SIDES, adjust, align, compare_shares, pair_up
from telemetry_kit.analyses.summaries import summarise_at_once, warned
from telemetry_kit.analyses.tasks.state_changes import CHANGES, COMPLETERS, MADE_BY, cluster_totals
from telemetry_kit.stats import check_open_unit

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

    from telemetry_kit.engine.grouping import Groups

_COLUMNS = {"completer": "str", **COMPARISON}
_N = "_n"


def compare_completion(
    tasks: IntoFrame,
    *,
    between: str,
    groups: Sequence[object] | None = None,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    cluster: str = "server_id",
    by: str | Sequence[str] | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare who completes tasks in two groups of completions: by how much each share differs, and how sure that is.

    Parameters
    ----------
    tasks
        A frame of tasks events of any kind, as in ``EventLog.tasks``.
    between
        The column that makes the groups: ``plugin_version``, ``period`` (of ``add_period``), or any other. Events
        without a value are in no group.
    groups
        The two values to compare, the second less the first. Without it, a column of two values is the pair in natural
        order; of more, each value is compared with the one before it.
    since, cutoff
        Events before the one and after the other are left out. By default, all events count.
    cluster
        The column whose values act independently of one another. A cluster may be in both groups.
    by
        A column of ``tasks``, or several: comparisons within each of their values. A null is a group of its own.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        Four rows for each comparison, in the order of the groups and of the kinds of completers:

        by columns
            The group within which two others are compared.
        group_a, group_b
            The two values of ``between``.
        completer : str
            ``commander``, ``assignee``, ``both`` or ``neither``, as in ``task_completion``.
        n_a, n_b : Int64
            Completions in either group whose two flags are known.
        n_servers_a, n_servers_b, n_servers_both : Int64
            Clusters (servers, unless ``cluster`` says otherwise) in either group, and those that are in both.
        estimate_a, estimate_b : float64
            The completer's share of the completions, in [0, 1]; null without completions.
        difference, df, lower, upper : float64
            ``estimate_b`` - ``estimate_a`` in [-1, 1], its degrees of freedom and interval. All but the difference are
            null where a group has fewer than two clusters, and where clusters do not differ at all.
        p_value, p_adjusted : float64
            Two-sided probability of a difference at least as large were there none; and the same adjusted for the
            number of rows of the call after Holm.
        detectable : float64
            The smallest true difference that would be found four times out of five with this error and these degrees
            of freedom. Where it is larger than what would matter, no difference seen is not no difference.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    The four shares of a comparison add up to one, so that their differences are not four findings. A cluster that is in
    both groups counts with what its two parts have in common: see ``telemetry_kit.stats.compare_estimates``.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> table = tk.compare_completion(log.tasks, between="plugin_version")
    >>> table[["group_a", "group_b", "completer", "difference", "lower", "upper", "p_adjusted"]].round(3)
      group_a group_b  completer  difference  lower  upper  p_adjusted
    0   1.0.0   1.1.0  commander      -0.030 -0.109  0.048         1.0
    1   1.0.0   1.1.0   assignee      -0.004 -0.038  0.030         1.0
    2   1.0.0   1.1.0       both      -0.009 -0.030  0.012         1.0
    3   1.0.0   1.1.0    neither       0.043 -0.043  0.130         1.0
    """
    check_open_unit("level", level)
    engine.check_name("between", between)
    totals, [*names, _] = cluster_totals(
        tasks,
        {kind: CHANGES["completion"] & MADE_BY[kind] for kind in COMPLETERS},
        by=by,
        between=between,
        freq=None,
        since=since,
        cutoff=cutoff,
        cluster=cluster,
        reserved=[*SIDES, *_COLUMNS],
        names_clusters=True,
    )
    totals[_N] = totals[list(COMPLETERS)].sum(axis=1)
    paired, keys = pair_up(totals[totals[_N] > 0], names, between, groups)

    def columns(rows: pd.DataFrame, comparisons: Groups) -> dict[str, Any]:
        entries, place = align(rows, comparisons, cluster)
        each = [compare_shares(rows, entries, place, n=_N, successes=kind, level=level) for kind in COMPLETERS]
        completer = np.tile(np.array(COMPLETERS, dtype=object), (comparisons.n, 1))
        return {"completer": completer} | {name: np.stack([one[name] for one in each], axis=1) for name in COMPARISON}

    return warned(adjust(summarise_at_once(paired, keys, columns, _COLUMNS, level=level)), cluster)
