"""Who completes tasks and who reopens them: the commander, the assignee, one person who is both, or neither.

Every estimate carries the number of its clusters, the largest cluster's part of it and the number of independent
completions that would tell as much, so that a few large servers are seen for what they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from telemetry_kit import stats
from telemetry_kit.analyses.summaries import summarise_at_once, warned
from telemetry_kit.analyses.tasks.state_changes import CHANGES, COMPLETERS, MADE_BY, UNKNOWN, cluster_totals

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame
    from numpy.typing import NDArray

    from telemetry_kit.engine.grouping import Groups
    from telemetry_kit.engine.periods import Freq
    from telemetry_kit.stats import Estimates

_COMPLETION = {
    "completer": "str",
    "n_completed": "Int64",
    "n_reopened": "Int64",
    "n_clusters": "Int64",
    "estimate": "float64",
    "df": "float64",
    "lower": "float64",
    "upper": "float64",
    "n_unknown": "Int64",
    "largest_cluster_share": "float64",
    "n_effective": "float64",
}
_ANY = "any"
"""Whoever it was, a person without known flags included."""

_DIFFERENCE = {
    "n_completed": "Int64",
    "n_clusters": "Int64",
    "commander": "float64",
    "assignee": "float64",
    "difference": "float64",
    "df": "float64",
    "lower": "float64",
    "upper": "float64",
    "n_unknown": "Int64",
    "largest_cluster_share": "float64",
    "n_effective": "float64",
}

_FLAGS = {f"{change}_{kind}": is_made & flag for change, is_made in CHANGES.items() for kind, flag in MADE_BY.items()}


def task_completion(
    tasks: IntoFrame,
    *,
    by: str | Sequence[str] | None = None,
    freq: Freq | None = None,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    """Return who completes tasks: the share of completions by each kind of completer.

    A completion is a state change to done, a reopening one to open. The two flags make four exclusive kinds:
    ``commander`` (and not the assignee), ``assignee`` (and not the commander), ``both`` and ``neither``. A task
    without an assignee is never completed by its assignee; and there is no task id, so a task that is completed
    twice counts twice. This is the composition of what was completed, not how much of the work got done.

    Parameters
    ----------
    tasks
        A frame of tasks events of any kind, as in ``EventLog.tasks``.
    by
        A column of ``tasks``, or several: one group of rows for each of their values. A null is a group of its own.
    freq
        ``"D"``, ``"W"``, ``"M"`` or ``"Q"``: groups also by the day, the week (from Monday), the month or the quarter
        of the event, UTC.
    since, cutoff
        Events before the one and after the other are left out, so that the table is of the same period as others: the
        cutoff of ``stage_visits``, for one. By default, all events count.
    cluster
        The column whose values act independently of one another; within one server, ``"incident_id"`` or ``"team_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        Four rows for each group in which a task was completed or reopened, in the order of the groups and of the
        kinds above:

        by columns, period
            The group; ``period`` (UTC) is the first moment of the day, week, month or quarter, only with ``freq``.
        completer : str
            ``commander``, ``assignee``, ``both`` or ``neither``.
        n_completed, n_reopened : Int64
            State changes to done, and to open. One to open can also undo work in progress.
        n_clusters : Int64
            Clusters with a completion in the group.
        estimate, df, lower, upper : float64
            Share of the group's completions, in [0, 1], with its degrees of freedom and interval; null in a group
            without completions. The interval is null with fewer than two clusters, ``df`` also at 0 and 1; fewer than 4
            degrees of freedom are a weak ground.
        n_unknown : Int64
            Completions of the group that lack a flag. They are in no other number.
        largest_cluster_share : float64
            Share of the group's completions that its largest cluster made.
        n_effective : float64
            Effective sample size: independent completions with which the share would be as uncertain.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    Intervals are those of Korn and Graubard (1998) for a share in clustered data: the interval of Clopper and Pearson
    at the effective sample size, with the CR2 variance between clusters and Satterthwaite's degrees of freedom: see
    ``telemetry_kit.stats.share_limits``. At shares of 0 and 1, where that has no meaning, each cluster counts as one
    observation.

    Measured on simulated truth, an interval falls short for shares under 2 % or over 98 %: far too wide with few
    servers, it holds the truth 87 to 93 times in 100 with thirty or more. Of two servers it holds it and is two to four
    times as wide as it had to be; where one server has 90 % of the events it rests on about one degree of freedom.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> table = tk.task_completion(log.tasks)
    >>> table[["completer", "n_completed", "n_clusters", "estimate", "lower", "upper"]].round(3)
       completer  n_completed  n_clusters  estimate  lower  upper
    0  commander          892          38     0.497  0.468  0.527
    1   assignee          114          38     0.064  0.053  0.076
    2       both           21          38     0.012  0.006  0.022
    3    neither          767          38     0.428  0.402  0.454
    """
    stats.check_open_unit("level", level)
    totals, groups = cluster_totals(
        tasks, _FLAGS, by=by, freq=freq, since=since, cutoff=cutoff, cluster=cluster, reserved=_COMPLETION
    )

    def columns(totals: pd.DataFrame, groups: Groups) -> dict[str, Any]:
        completions = {kind: totals[f"completion_{kind}"].to_numpy() for kind in COMPLETERS}
        clusters = stats.count_clusters(np.sum(list(completions.values()), axis=0), groups)
        shares = [stats.estimate_shares(mine, clusters) for mine in completions.values()]
        limits = [stats.share_limits(share, level=level) for share in shares]
        return {
            "completer": np.tile(np.array(COMPLETERS, dtype=object), (groups.n, 1)),
            "n_completed": np.stack([groups.add_up(mine) for mine in completions.values()], axis=1),
            "n_reopened": np.stack([groups.add_up(totals[f"reopening_{kind}"]) for kind in COMPLETERS], axis=1),
            "n_clusters": clusters.n_clusters,
            "estimate": np.stack([share.estimate for share in shares], axis=1),
            "df": np.stack([share.df for share in shares], axis=1),
            "lower": np.stack([lower for lower, _ in limits], axis=1),
            "upper": np.stack([upper for _, upper in limits], axis=1),
            "n_unknown": groups.add_up(totals[f"completion_{UNKNOWN}"]),
            "largest_cluster_share": stats.largest_shares(clusters),
            "n_effective": np.stack([stats.kish_sizes(share) for share in shares], axis=1),
        }

    return warned(summarise_at_once(totals, groups, columns, _COMPLETION, level=level), cluster, counted="n_clusters")


def commander_vs_assignee(
    tasks: IntoFrame,
    *,
    by: str | Sequence[str] | None = None,
    freq: Freq | None = None,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Return how much more often the commander completes a task than its assignee does.

    Both shares are of the same completions, and one person can be both, so the difference is taken within each
    completion: +1 for the commander alone, -1 for the assignee alone, 0 for both and for neither.

    Parameters
    ----------
    tasks
        A frame of tasks events of any kind, as in ``EventLog.tasks``.
    by
        A column of ``tasks``, or several: one row for each of their values. A null is a group of its own.
    freq
        ``"D"``, ``"W"``, ``"M"`` or ``"Q"``: groups also by the day, the week (from Monday), the month or the quarter
        of the event, UTC.
    since, cutoff
        Events before the one and after the other are left out, so that the table is of the same period as others: the
        cutoff of ``stage_visits``, for one. By default, all events count.
    cluster
        The column whose values act independently of one another; within one server, ``"incident_id"`` or ``"team_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row for each group in which a task was completed or reopened:

        by columns, period
            The group; ``period`` (UTC) is the first moment of the day, week, month or quarter, only with ``freq``.
        n_completed, n_clusters : Int64
            Completions, and the clusters that have any.
        commander, assignee : float64
            Shares of the completions made by the commander and by the assignee, in [0, 1]; those made by one
            person who is both are in each.
        difference, df, lower, upper : float64
            ``commander`` - ``assignee``, in [-1, 1], with its degrees of freedom and interval; these are null with
            fewer than two clusters and where all completions are alike, the interval also where clusters do not differ.
        n_unknown : Int64
            Completions of the group that lack a flag. They are in no other number.
        largest_cluster_share : float64
            Share of the group's completions that its largest cluster made.
        n_effective : float64
            Effective sample size: independent completions with which the difference would be as uncertain.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    Intervals are :math:`d \pm t_{\mathit{df}}\,s` with the CR2 standard error :math:`s` of a mean between clusters and
    Satterthwaite's degrees of freedom (Bell and McCaffrey 2002): see ``telemetry_kit.stats.estimate_means``.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> table = tk.commander_vs_assignee(log.tasks, by="plugin_version")
    >>> table[["plugin_version", "n_completed", "difference", "lower", "upper"]].round(3)
      plugin_version  n_completed  difference  lower  upper
    0          1.0.0          314       0.455  0.383  0.528
    1          1.1.0         1480       0.429  0.385  0.473
    """
    flags = {kind: CHANGES["completion"] & flag for kind, flag in MADE_BY.items()}
    stats.check_open_unit("level", level)
    totals, groups = cluster_totals(
        tasks, flags, by=by, freq=freq, since=since, cutoff=cutoff, cluster=cluster, reserved=_DIFFERENCE
    )

    def columns(totals: pd.DataFrame, groups: Groups) -> dict[str, Any]:
        commander, assignee, both, neither = (totals[kind].to_numpy() for kind in COMPLETERS)
        clusters = stats.count_clusters(commander + assignee + both + neither, groups)
        difference = stats.estimate_means(commander - assignee, clusters)
        with np.errstate(invalid="ignore"):
            either, of_commander, of_assignee = (
                groups.add_up(each) / clusters.n_units
                for each in (commander + assignee, commander + both, assignee + both)
            )
        # Where all completions are alike, nothing tells how much others could differ.
        is_constant = (np.abs(difference.estimate) == 1) | (either == 0)
        df = np.where(is_constant, np.nan, difference.df)
        limits = stats.mean_limits(difference.estimate, difference.error, df, level=level, within=(-1, 1))
        return {
            "n_completed": clusters.n_units,
            "n_clusters": clusters.n_clusters,
            "commander": of_commander,
            "assignee": of_assignee,
            "difference": difference.estimate,
            "df": df,
            **limits._asdict(),
            "n_unknown": groups.add_up(totals[UNKNOWN]),
            "largest_cluster_share": stats.largest_shares(clusters),
            "n_effective": _effective_sizes(difference, either),
        }

    return warned(summarise_at_once(totals, groups, columns, _DIFFERENCE, level=level), cluster, counted="n_clusters")


def task_reopening(
    tasks: IntoFrame,
    *,
    by: str | Sequence[str] | None = None,
    freq: Freq | None = None,
    since: str | dt.datetime | pd.Timestamp | None = None,
    cutoff: str | dt.datetime | pd.Timestamp | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Return how many tasks are reopened for each one that is completed, by who does it.

    There is no task id, so nobody can tell which completion a reopening undoes, or whether it undoes one at all: a
    change to open also ends work in progress, and a change from done to in progress is not counted. Read it as an
    upper bound of the part of completions that was set back to open.

    Parameters
    ----------
    tasks
        A frame of tasks events of any kind, as in ``EventLog.tasks``.
    by
        A column of ``tasks``, or several: one group of rows for each of their values. A null is a group of its own.
    freq
        ``"D"``, ``"W"``, ``"M"`` or ``"Q"``: groups also by the day, the week (from Monday), the month or the quarter
        of the event, UTC.
    since, cutoff
        Events before the one and after the other are left out, so that the table is of the same period as others: the
        cutoff of ``stage_visits``, for one. By default, all events count.
    cluster
        The column whose values act independently of one another; within one server, ``"incident_id"`` or ``"team_id"``.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        Five rows for each group in which a task was completed or reopened:

        by columns, period
            The group; ``period`` (UTC) is the first moment of the day, week, month or quarter, only with ``freq``.
        completer : str
            Who made the change: ``commander``, ``assignee``, ``both``, ``neither``; and ``any``, whoever it was.
        n_completed, n_reopened : Int64
            State changes to done, and to open.
        n_clusters : Int64
            Clusters with either.
        estimate, df, lower, upper : float64
            Reopenings per completion, at least 0 and possibly above 1, with its degrees of freedom and interval; null
            without completions. The interval is null with fewer than two clusters, the upper one also where it has no
            bound.
        n_unknown : Int64
            Changes to done or open of the group that lack a flag. They are counted in ``any`` alone.
        largest_cluster_share : float64
            Share of these completions and reopenings that the largest cluster made.
        n_effective : float64
            Effective sample size: independent completions and reopenings with which the estimate would be as uncertain.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    With the share :math:`p` of reopenings among reopenings and completions, the estimate is the odds
    :math:`p / (1 - p)`, and the ends of its interval are the odds of those of :math:`p` after Korn and Graubard, which
    stay above zero and say something even where nothing was reopened.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> table = tk.task_reopening(log.tasks)
    >>> table[["completer", "n_completed", "n_reopened", "estimate", "lower", "upper"]].round(3)
       completer  n_completed  n_reopened  estimate  lower  upper
    0  commander          892         141     0.158  0.128  0.193
    1   assignee          114          53     0.465  0.329  0.649
    2       both           21          12     0.571  0.256  1.216
    3    neither          767         113     0.147  0.116  0.185
    4        any         1794         319     0.178  0.155  0.204
    """
    stats.check_open_unit("level", level)
    totals, groups = cluster_totals(
        tasks, _FLAGS, by=by, freq=freq, since=since, cutoff=cutoff, cluster=cluster, reserved=_COMPLETION
    )

    def columns(totals: pd.DataFrame, groups: Groups) -> dict[str, Any]:
        completed, reopened = (
            np.stack([totals[f"{change}_{kind}"].to_numpy() for kind in MADE_BY]) for change in CHANGES
        )
        n_unknown = groups.add_up(completed[-1] + reopened[-1])
        # The unknown come last: in their place stand all together.
        completed, reopened = (np.vstack([made[:-1], made.sum(axis=0)]) for made in (completed, reopened))
        kinds = [_reopening(done, opened, groups, level) for done, opened in zip(completed, reopened, strict=True)]
        return {
            "completer": np.tile(np.array([*COMPLETERS, _ANY], dtype=object), (groups.n, 1)),
            "n_unknown": n_unknown,
            **{name: np.stack([kind[name] for kind in kinds], axis=1) for name in kinds[0]},
        }

    return warned(summarise_at_once(totals, groups, columns, _COMPLETION, level=level), cluster, counted="n_clusters")


def _reopening(
    completed: NDArray[np.int64], reopened: NDArray[np.int64], groups: Groups, level: float
) -> dict[str, NDArray[Any]]:
    clusters = stats.count_clusters(completed + reopened, groups)
    share = stats.estimate_shares(reopened, clusters)
    lower, upper = stats.share_limits(share, level=level)
    n_completed, n_reopened = groups.add_up(completed), groups.add_up(reopened)
    with np.errstate(divide="ignore", invalid="ignore"):
        odds = {"estimate": n_reopened / n_completed, "lower": lower / (1 - lower), "upper": upper / (1 - upper)}
    return {
        "n_completed": n_completed,
        "n_reopened": n_reopened,
        "n_clusters": clusters.n_clusters,
        "df": share.df,
        **{name: np.where((n_completed > 0) & np.isfinite(value), value, np.nan) for name, value in odds.items()},
        "largest_cluster_share": stats.largest_shares(clusters),
        "n_effective": stats.kish_sizes(share),
    }


def _effective_sizes(difference: Estimates, either: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how many independent events would give a difference of two the same variance.

    As for a share: the variance of one event's +1, -1 or 0 over that of the mean, and each cluster counts as one
    event where clusters do not differ. ``either`` is the share of events that carry +1 or -1.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        size = (either - difference.estimate**2) / difference.variance
    return np.where(difference.variance == 0, difference.clusters.n_clusters, size)
