"""How long stages and incidents last, in one group and in another."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from telemetry_kit import engine, stats
from telemetry_kit.analyses.pairs import (
    COMPARISON,
    IMMATURE_COLUMNS,
    IS_B,
    SIDES,
    adjust,
    check_between,
    compare,
    counts_of,
    first_of,
    named,
    pair_up,
)
from telemetry_kit.analyses.stages.statuses import name_statuses
from telemetry_kit.analyses.summaries import summarise, warned
from telemetry_kit.engine.ordering import CLUSTER, number_servers
from telemetry_kit.errors import ParameterError, UnequalObservationWarning
from telemetry_kit.stats import check_open_unit

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Sequence

    from narwhals.stable.v2.typing import IntoFrame
    from numpy.typing import NDArray

Measure = Literal["restricted_mean_s", "survival", "median_s"]
MEASURES: tuple[Measure, ...] = get_args(Measure)

_DURATIONS = {"measure": "str", "at_s": "float64", **COMPARISON, **IMMATURE_COLUMNS}


def compare_dwell(
    visits: IntoFrame,
    *,
    between: str,
    groups: Sequence[object] | None = None,
    measure: Measure = "restricted_mean_s",
    at: str | dt.timedelta = "4h",
    within: str | dt.timedelta | None = None,
    by: str | Sequence[str] | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare how long visits to each stage last in two groups.

    Parameters
    ----------
    visits
        A frame of any kind, as ``stage_visits`` returns it. Visits whose beginning was not recorded are left out.
    between, groups, by, cluster, level
        As for ``compare_funnel``.
    measure
        What is compared: ``"restricted_mean_s"``, the mean time in the stage where no more than ``at`` counts (the area
        below the curve of ``stage_survival``); ``"survival"``, the share of visits that last longer than ``at``; or
        ``"median_s"``. The first two have an estimate always, and the first uses all of the curve.
    at
        The time for the first two, such as ``"4h"`` or a ``timedelta``.
    within
        The time that every visit is given: visits that began less than that before the cutoff are left out, and nobody
        is watched for longer. Open visits count as lasting at least until the cutoff with or without it.

    Returns
    -------
    pandas.DataFrame
        One row for each comparison and stage, in the order of the groups and then of the stages: the columns ``by``,
        ``group_a``, ``group_b``, ``stage`` (Int64), ``measure`` (str), ``at_s`` (float64, the time in seconds; null for
        the median), and then as ``compare_funnel``: ``n_a``, ``n_b`` are visits, ``estimate_a``, ``estimate_b``,
        ``difference``, ``lower``, ``upper`` and ``detectable`` seconds, or shares for ``"survival"``. A median is null
        where the curve does not fall to one half, and so is what rests on it.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Warns
    -----
    UnequalObservationWarning
        Where no visit of a group was watched for as long as ``at``: its curve is taken to go on as it was last seen.

    Notes
    -----
    Differences of areas and heights of Kaplan-Meier curves, with the error and the degrees of freedom of
    ``telemetry_kit.stats.compare_estimates`` from their infinitesimal jackknife; of medians
    ``telemetry_kit.stats.compare_curve_medians``.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> visits = tk.stage_visits(log.incident, cutoff=log.cutoff)
    >>> table = tk.compare_dwell(visits, between="public", at="4h")
    >>> table[["stage", "n_a", "n_b", "estimate_a", "estimate_b", "difference", "df"]].head(2).round(1)
       stage  n_a  n_b  estimate_a  estimate_b  difference    df
    0      0  173  275      6050.6      6016.3       -34.3  15.2
    1      1  120  163      3956.0      4166.7       210.8  14.7
    """
    asked = _asked(measure, at, within, level)
    table = _compare_curves(visits, _VISITS, asked, between=between, groups=groups, by=by, cluster=cluster)
    return warned(name_statuses(table, visits), cluster)


def compare_durations(
    durations: IntoFrame,
    *,
    between: str,
    groups: Sequence[object] | None = None,
    measure: Measure = "restricted_mean_s",
    at: str | dt.timedelta = "4h",
    within: str | dt.timedelta | None = None,
    by: str | Sequence[str] | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare how long incidents of two groups take to end for the first time.

    Parameters
    ----------
    durations
        A frame of any kind, as ``incident_durations`` returns it. Incidents whose create was not recorded count from
        the age on at which they were first seen (``entry_s``), those whose start is unknown do not.
    between, groups, by, cluster, level
        As for ``compare_funnel``.
    measure, at, within
        As for ``compare_dwell``.

    Returns
    -------
    pandas.DataFrame
        One row for each comparison, in the order of the groups: as ``compare_dwell``, without ``stage``; ``n_a`` and
        ``n_b`` are incidents.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Warns
    -----
    UnequalObservationWarning
        As ``compare_dwell``.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> durations = tk.incident_durations(log.incident, cutoff=log.cutoff)
    >>> table = tk.compare_durations(durations, between="public", measure="survival", at="1D", within="7D")
    >>> table[["group_a", "group_b", "n_a", "n_b", "n_immature_a", "n_immature_b"]]
       group_a  group_b  n_a  n_b  n_immature_a  n_immature_b
    0    False     True  126  193            26            32
    """
    asked = _asked(measure, at, within, level)
    table = _compare_curves(durations, _INCIDENTS, asked, between=between, groups=groups, by=by, cluster=cluster)
    return warned(table, cluster)


class _Names(NamedTuple):
    """What a frame of durations is called, and its columns: what tells durations apart, and what tells of each."""

    parameter: str
    keys: tuple[str, ...]
    duration: str
    ended: str
    begin: str


_VISITS = _Names("visits", ("stage",), "dwell_s", "is_censored", "entered_at")
_INCIDENTS = _Names("durations", (), "first_end_s", "n_ends", "started_at")


class _Asked(NamedTuple):
    """What is compared of two curves: which measure, at which time, with which time given to all."""

    measure: Measure
    at_s: float
    within_us: int | None
    level: float


def _asked(measure: Measure, at: str | dt.timedelta, within: str | dt.timedelta | None, level: float) -> _Asked:
    check_open_unit("level", level)
    if measure not in MEASURES:
        raise ParameterError("measure", measure, MEASURES)
    at_us = engine.span_us(at, parameter="at")
    within_us = None if within is None else engine.span_us(within, parameter="within")
    if within_us is not None and measure != "median_s" and at_us > within_us:
        raise ParameterError("at", at, f"no more than within, {within}: nobody is watched for longer")
    return _Asked(measure, at_us / engine.MICROSECONDS, within_us, level)


def _compare_curves(
    frame: IntoFrame,
    names: _Names,
    asked: _Asked,
    *,
    between: str,
    groups: Sequence[object] | None,
    by: str | Sequence[str] | None,
    cluster: str,
) -> pd.DataFrame:
    """Compare curves of durations: one row for each two groups, within those of ``by`` and of ``names.keys``."""
    needed = ["server_id", *names.keys, names.duration, names.ended]
    needed += [] if asked.within_us is None else [names.begin, "cutoff"]
    also = [*engine.names_of(by), between, cluster, "entry_s"]
    opened = engine.open_frame(frame, needed, parameter=names.parameter, named=also)
    within = engine.group_columns(by, opened, reserved=[*SIDES, *_DURATIONS, *names.keys])
    check_between(between, within, opened, reserved=[*_DURATIONS, *names.keys])
    needed += [engine.check_cluster(cluster, opened), *(["entry_s"] if "entry_s" in opened.columns else [])]
    collected = engine.collect_rows(frame, dict.fromkeys([*within, between, *needed]), opened=opened)
    units = number_servers(_units(collected, names, asked), [*within, between], cluster=cluster)
    paired, keys = pair_up(units, within, between, groups)
    unseen: list[tuple[object, float]] = []

    def rows(part: pd.DataFrame) -> list[dict[str, Any]]:
        codes, n_codes = part[CLUSTER].factorize()[0], part[CLUSTER].nunique()
        is_b, is_immature = part[IS_B].to_numpy(), part["_is_immature"].to_numpy()
        sides = [_Side.of(part, codes, n_codes, ~is_immature & is_side) for is_side in (~is_b, is_b)]
        if asked.measure != "median_s":
            watched = ((part[name].iloc[0], side.watched_s) for name, side in zip(SIDES, sides, strict=True))
            unseen.extend((group, watched_s) for group, watched_s in watched if watched_s < asked.at_s)
        n_immature = {f"n_immature_{side}": int((is_immature & on).sum()) for side, on in (("a", ~is_b), ("b", is_b))}
        at_s = None if asked.measure == "median_s" else asked.at_s
        return [{"measure": asked.measure, "at_s": at_s} | _difference(sides[0], sides[1], asked) | n_immature]

    table = adjust(summarise(paired, [*keys, *names.keys], rows, _DURATIONS, level=asked.level))
    if unseen:
        group, watched_s = min(unseen, key=lambda case: case[1])
        message = f"nothing of {named(group)} was watched for longer than {watched_s:,.0f} s, and at is "
        advice = f"{asked.at_s:,.0f} s: its curve is taken to go on as it was last seen; pass a smaller at="
        warnings.warn(UnequalObservationWarning(message + advice), stacklevel=3)
    return table


def _units(rows: pd.DataFrame, names: _Names, asked: _Asked) -> pd.DataFrame:
    """Return the durations that are known: ``_length_s``, ``_is_seen`` (to end), ``_entry_s``, ``_is_immature``."""
    lengths = rows[names.duration].to_numpy(np.float64, na_value=np.nan)
    ended = rows[names.ended].to_numpy(np.int64, na_value=0)
    is_seen = ended > 0 if names.ended == "n_ends" else ended == 0
    entry_s = rows["entry_s"].to_numpy(np.float64, na_value=0) if "entry_s" in rows else np.zeros(len(rows))
    is_immature = np.zeros(len(rows), dtype=np.bool_)
    if asked.within_us is not None:
        span_s = asked.within_us / engine.MICROSECONDS
        is_immature = (rows[names.begin] + pd.Timedelta(asked.within_us, "us") > rows["cutoff"]).to_numpy(np.bool_)
        is_seen, lengths = is_seen & (lengths <= span_s), np.minimum(lengths, span_s)
    kept = [name for name in rows if name not in (names.duration, names.ended, names.begin, "cutoff", "entry_s")]
    made = {"_length_s": lengths, "_is_seen": is_seen, "_entry_s": entry_s, "_is_immature": is_immature}
    known: pd.DataFrame = rows[kept].assign(**made).loc[~np.isnan(lengths)]
    return known


class _Side(NamedTuple):
    """The durations of one group, with a code for each cluster that the other group has too."""

    lengths_s: NDArray[np.float64]
    is_seen: NDArray[np.bool_]
    codes: NDArray[np.intp]
    entry_s: NDArray[np.float64]
    n_codes: int

    @classmethod
    def of(cls, part: pd.DataFrame, codes: NDArray[np.intp], n_codes: int, is_in: NDArray[np.bool_]) -> _Side:
        length, seen, entry = (part[name].to_numpy()[is_in] for name in ("_length_s", "_is_seen", "_entry_s"))
        return cls(length, seen, codes[is_in], entry, n_codes)

    @property
    def watched_s(self) -> float:
        """Up to which time the curve is known: for ever where it ends at 0, as it does with an end that comes last."""
        longest = float(self.lengths_s.max(initial=0.0))
        is_last = self.lengths_s == longest
        return np.inf if self.is_seen[is_last].all() else longest


def _difference(a: _Side, b: _Side, asked: _Asked) -> dict[str, Any]:
    """Return the columns of the comparison of two curves."""
    if asked.measure == "median_s":
        medians = [stats.CurveMedian.of(*side[:3], entry=side.entry_s, n_codes=side.n_codes) for side in (a, b)]
        change = stats.compare_curve_medians(*medians, level=asked.level)
        counts = counts_of(*(median.shares.clusters for median in medians))
        return first_of(counts) | {
            "estimate_a": medians[0].median,
            "estimate_b": medians[1].median,
            "difference": change.estimate,
            "p_adjusted": None,
            **{name: getattr(change, name) for name in ("df", "lower", "upper", "p_value", "detectable")},
        }
    is_share = asked.measure == "survival"
    estimate = stats.survival_at if is_share else stats.restricted_mean
    each = [estimate(*side[:3], asked.at_s, entry=side.entry_s, n_codes=side.n_codes) for side in (a, b)]
    return first_of(compare(*each, level=asked.level, within=(-1, 1) if is_share else None))
