"""How far incidents get, in one group and in another."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.analyses.pairs import (
    COMPARISON,
    IMMATURE_COLUMNS,
    IS_B,
    SIDES,
    adjust,
    align,
    check_between,
    compare_shares,
    named,
    pair_up,
)
from telemetry_kit.analyses.stages.changes import INCIDENT
from telemetry_kit.analyses.stages.statuses import N_VISITED, are_of_statuses, name_statuses
from telemetry_kit.analyses.stages.steps import ELIGIBLE, EXCLUDED, IMMATURE, STAGES_LISTED, find_reach
from telemetry_kit.analyses.summaries import summarise_at_once, warned
from telemetry_kit.engine.ordering import CLUSTER, number_servers
from telemetry_kit.errors import UnequalObservationWarning
from telemetry_kit.stats import check_open_unit

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from narwhals.stable.v2.typing import IntoFrame

    from telemetry_kit.engine.grouping import Groups

_FUNNEL = {"stage": "Int64", **COMPARISON, **IMMATURE_COLUMNS}
_REACH = ("_came_to", "_n_stages", "_is_open", "_status")
_DAY_S = engine.DAY_US // engine.MICROSECONDS
_TIMES_LONGER = 2
"""How many times as long one group has to have been observed as the other for a warning."""


def compare_funnel(
    visits: IntoFrame,
    *,
    between: str,
    groups: Sequence[object] | None = None,
    within: str | dt.timedelta | None = None,
    by: str | Sequence[str] | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare how far incidents of two groups get: by how much the share that reaches each stage differs.

    Parameters
    ----------
    visits
        A frame of any kind, as ``stage_visits`` returns it.
    between
        The column that makes the groups: ``public``, ``plugin_version``, ``period`` (of ``add_period``), or any other
        that is alike in all visits of an incident. Visits without a value are in no group.
    groups
        The two values to compare, the second less the first. Without it, a column of two values is the pair in natural
        order; of more, each value is compared with the one before it.
    within
        The time that every incident is given, such as ``"7D"`` or a ``timedelta``: only what it reached within that
        time of its start counts, and incidents that were not that old at the cutoff are left out. Without it, each has
        as long as it was observed, and a group of younger incidents is judged too soon: a warning says so.
    by
        A column of ``visits``, or several: comparisons within each of their values. A null is a group of its own.
    cluster
        The column whose values act independently of one another. A cluster may be in both groups.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row for each comparison and stage after the first, in the order of the groups and then of the stages:

        by columns
            The group within which two others are compared.
        group_a, group_b
            The two values of ``between``.
        stage : Int64
            The stage, counted from 0. Of ``status_visits``, ``status`` stands beside it.
        n_a, n_b : Int64
            Incidents of either group that have this stage and whose start is known: ``n_eligible`` of
            ``stage_funnel``.
        n_servers_a, n_servers_b, n_servers_both : Int64
            Clusters (servers, unless ``cluster`` says otherwise) in either group, and those that are in both.
        estimate_a, estimate_b : float64
            Share of them that reached this stage, in [0, 1]; null without incidents.
        difference, df, lower, upper : float64
            ``estimate_b`` - ``estimate_a`` in [-1, 1], its degrees of freedom and interval. All but the difference are
            null where a group has fewer than two servers, and where servers do not differ at all.
        p_value, p_adjusted : float64
            Two-sided probability of a difference at least as large were there none; and the same adjusted for the
            number of rows of the call after Holm.
        detectable : float64
            The smallest true difference that would be found four times out of five with this error and these degrees
            of freedom. Where it is larger than what would matter, no difference seen is not no difference.
        n_immature_a, n_immature_b : Int64
            Incidents that were left out because they were younger than ``within`` at the cutoff.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Warns
    -----
    UnequalObservationWarning
        Where, without ``within``, one group could be watched for twice as long as the other.

    Notes
    -----
    The method is that of ``telemetry_kit.stats.compare_estimates``: a server that is in both groups counts with what
    its two parts have in common.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> visits = tk.stage_visits(log.incident, cutoff=log.cutoff)
    >>> table = tk.compare_funnel(visits, between="public", within="7D")
    >>> table[["group_a", "group_b", "stage", "n_a", "n_b", "n_servers_both", "n_immature_a"]].head(2)
       group_a  group_b  stage  n_a  n_b  n_servers_both  n_immature_a
    0    False     True      1   98  126              14            21
    1    False     True      2   89  117              13            21
    """
    check_open_unit("level", level)
    span_us = None if within is None else engine.span_us(within, parameter="within")
    needed = [*INCIDENT, "stage", "num_stages", "is_censored", "from_start"]
    needed += [] if within is None else ["entered_at", "left_at", "is_left_truncated"]
    also = [*engine.names_of(by), between, cluster, "started_at", "cutoff"]
    frame = engine.open_frame(visits, needed, parameter="visits", named=also)
    names = engine.group_columns(by, frame, reserved=[*SIDES, *_FUNNEL])
    check_between(between, names, frame, reserved=_FUNNEL)
    incident = list(dict.fromkeys([*names, between, *INCIDENT, engine.check_cluster(cluster, frame)]))
    reach = find_reach(frame, incident, span_us).group_by(*incident).agg(nw.col(*_REACH).max())
    keys = list(dict.fromkeys([*names, between, "server_id", cluster, *_REACH]))
    counted = engine.collect(reach.group_by(*keys).agg(_n=nw.len()))
    totals = number_servers(pd.concat(_by_stage(counted), ignore_index=True), [*names, between], cluster=cluster)
    paired, keys = pair_up(totals, names, between, groups)
    if span_us is None and {"started_at", "cutoff"} <= {*frame.columns} and (counted["_is_open"] == 1).any():
        _warn_of_ages(frame, between, paired)

    def columns(rows: pd.DataFrame, comparisons: Groups) -> dict[str, Any]:
        entries, place = align(rows, comparisons, CLUSTER)
        made = compare_shares(rows, entries, place, n="_n_eligible", successes="_n_reached", level=level)
        is_b, n_immature = rows[IS_B].to_numpy(), rows["_n_immature"].to_numpy()
        sides = {"n_immature_a": ~is_b, "n_immature_b": is_b}
        return made | {name: comparisons.add_up(np.where(is_side, n_immature, 0)) for name, is_side in sides.items()}

    own = {name: kind for name, kind in _FUNNEL.items() if name != "stage"}
    table = summarise_at_once(paired, [*keys, "stage"], columns, own, level=level).astype({"stage": _FUNNEL["stage"]})
    if are_of_statuses(visits):
        # The last status is the end: nobody visits it.
        estimates = [name for name, kind in own.items() if kind == "float64"]
        table.loc[table["stage"] == N_VISITED, estimates] = np.nan
    return warned(name_statuses(adjust(table), visits), cluster)


def _by_stage(counted: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Give, for each stage after the first, how many incidents of each kind have it, and how many reached it."""
    came_to, n_stages, status, n = (
        counted[name].to_numpy(np.int64, na_value=-1) for name in ("_came_to", "_n_stages", "_status", "_n")
    )
    kinds = counted.drop(columns=[*_REACH, "_n"])
    columns = ("stage", "_n_eligible", "_n_reached", "_n_immature")
    yield kinds.head(0).assign(**dict.fromkeys(columns, np.zeros(0, dtype=np.int64)))
    for stage in range(1, min(STAGES_LISTED, int(n_stages[status != EXCLUDED].max(initial=0)))):
        has_stage = (n_stages > stage) & (status != EXCLUDED)
        is_eligible = status == ELIGIBLE
        counts = {
            "_n_eligible": np.where(is_eligible, n, 0),
            "_n_reached": np.where(is_eligible & (came_to >= stage), n, 0),
            "_n_immature": np.where(status == IMMATURE, n, 0),
        }
        yield kinds.assign(stage=stage, **counts)[has_stage]


def _warn_of_ages(frame: nw.LazyFrame[Any], between: str, compared: pd.DataFrame) -> None:
    """Warn where incidents of one group could be watched for far longer than those of the one it is held against."""
    visits = engine.add_epoch_us(frame, _start_us="started_at", _until_us="cutoff")
    ages = visits.select(between, _age_s=(nw.col("_until_us") - nw.col("_start_us")) // engine.MICROSECONDS)
    means = engine.collect(ages.group_by(between).agg(nw.col("_age_s").mean())).dropna()
    days = dict(zip(means[between], means["_age_s"].to_numpy(np.float64) / _DAY_S, strict=True))
    for pair in compared[list(SIDES)].drop_duplicates().itertuples(index=False):
        known = sorted((days[value], value) for value in pair if value in days)
        if len(known) == len(SIDES) and known[-1][0] > _TIMES_LONGER * known[0][0]:
            told = ", ".join(f"those of {named(value)} for {n_days:.1f} days" for n_days, value in known)
            message = f"incidents of two groups could not be watched for equally long on average, {told}: pass within= "
            warnings.warn(UnequalObservationWarning(f"{message}(such as '7D') to give all the same time"), stacklevel=3)
            return
