"""What changed from one period to the next: each headline number before and now, and how sure the difference is."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine, schemas, stats
from telemetry_kit.analyses.flow import incident_flow
from telemetry_kit.analyses.periods import add_period
from telemetry_kit.analyses.playbooks import compare_playbook_sizes, playbook_snapshot
from telemetry_kit.analyses.servers import observed_until
from telemetry_kit.analyses.stages import (
    compare_durations,
    compare_funnel,
    incident_durations,
    stage_visits,
    status_visits,
)
from telemetry_kit.analyses.tasks import compare_completion
from telemetry_kit.errors import ParameterError, ReportError, UnequalObservationWarning
from telemetry_kit.eventlog.frames import n_distinct, persist
from telemetry_kit.reports.wording import duration

if TYPE_CHECKING:
    import datetime as dt
    import os
    from collections.abc import Callable, Iterator, Mapping

    from telemetry_kit.eventlog.log import EventLog

BEFORE, NOW = "before", "now"
COLUMNS = {
    "measure": "str",
    "unit": "str",
    **dict.fromkeys(("before", "now", "difference", "lower", "upper", "df", "p_value", "p_adjusted"), "float64"),
    "detectable": "float64",
    **dict.fromkeys(("n_before", "n_now", "n_servers_before", "n_servers_now"), "Int64"),
    "note": "str",
}
SHARE, SECONDS, NUMBER = "share", "s", "number"
STARTED, ENDED, OPEN = "Incidents started", "Incidents ended", "Incidents open at the end"
SERVERS, PLAYBOOKS = "Servers with events", "Playbooks at the end"
TIME, LAST_STAGE, RESOLVED = "Mean time to end", "Reach the last stage", "Are resolved"
COMMANDERS = "Tasks completed by the commander, as assignee or not"
ON_CARDS = (STARTED, ENDED, OPEN, TIME, LAST_STAGE, RESOLVED, COMMANDERS, PLAYBOOKS, SERVERS)
"""What the first page has a card for; of some follows the time that is given to all."""
_COUNTED = "a count of what happened, not an estimate: it has no interval"
_NOTHING = "nothing of it in one of the periods"
_NO_EVENTS = "the events of the earlier period are not in this source: the two numbers alone"
_HORIZON, _LEAST_PART = pd.Timedelta("7D"), 4
"""Incidents are given a week, or the fourth part of the shorter period where that is less."""


class Bounds(NamedTuple):
    """Two periods to compare: both from their first moment up to but without the second."""

    before: tuple[pd.Timestamp, pd.Timestamp]
    now: tuple[pd.Timestamp, pd.Timestamp]


def previous_period(
    since: str | dt.datetime | pd.Timestamp, cutoff: str | dt.datetime | pd.Timestamp
) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the period of equal length before one.

    Examples
    --------
    >>> [f"{moment:%Y-%m-%d}" for moment in previous_period("2020-12-01", "2020-12-11")]
    ['2020-11-21', '2020-12-01']
    """
    first, last = engine.moments(since, cutoff)
    if first is None or last is None or first == last:
        raise ParameterError("since", since, "a moment before the cutoff")
    return first - (last - first), first


def compare_with_previous(since: str | dt.datetime | pd.Timestamp, cutoff: str | dt.datetime | pd.Timestamp) -> Bounds:
    """Return the bounds of a period and of the one of equal length before it (``--compare previous``)."""
    before = previous_period(since, cutoff)
    # The last event of a recording stands at its cutoff, and belongs to the period.
    return Bounds(before, (before[1], before[1] + (before[1] - before[0]) + pd.Timedelta(1, "us")))


def find_changes(log: EventLog[Any], bounds: Bounds, *, level: float = 0.95) -> pd.DataFrame:
    """Compare the headline numbers of two periods of one log.

    Incidents and playbooks belong to the period in which they began, and each incident is given the same time, so that
    the later period is not judged by those of its incidents alone that were over soon.

    Parameters
    ----------
    log
        Events of both periods, up to the end of the later one.
    bounds
        The two periods.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per number:

        measure, unit : str
            What it is, and what it is measured in: ``share``, ``s`` or ``number``.
        before, now : float64
            The number in either period; null where there is nothing to tell it from.
        difference, lower, upper, df, p_value, detectable : float64
            ``now`` - ``before`` as of the ``compare_*`` functions; only the difference for counts.
        p_adjusted : float64
            The p value adjusted for all numbers of the table after Holm: a change is claimed where it is below 1 -
            ``level``.
        n_before, n_now, n_servers_before, n_servers_now : Int64
            What the numbers are of, and on how many servers.
        note : str
            Why there is no interval; empty where there is one.

    Raises
    ------
    ParameterError
        Where the periods overlap, or the second moment of one is not after the first.
    """
    periods: dict[str, tuple[Any, Any]] = {BEFORE: bounds.before, NOW: bounds.now}
    shortest = min(end - begin for begin, end in bounds)
    within = min(_HORIZON, shortest / _LEAST_PART)
    silence = observed_until(log)
    seen: dict[str, Any] = {"cutoff": log.cutoff, "observed_until": silence}
    durations = persist(add_period(incident_durations(log.incident, **seen), periods))
    visits = persist(stage_visits(log.incident, **seen))
    if not n_distinct(visits, "incident_id"):
        # Versions of the plugin that send no stages send a status.
        visits = persist(status_visits(log.incident, **seen))
    rows = [
        *_counts(log, durations, periods, silence),
        *_comparisons(log, durations, visits, periods, within=within, level=level),
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    table["p_adjusted"] = stats.holm(table["p_value"].to_numpy(np.float64))
    table.attrs["level"] = level
    return table


def _counts(
    log: EventLog[Any],
    durations: Any,  # noqa: ANN401 - a frame of the kind of the log's
    periods: Mapping[str, tuple[Any, Any]],
    silence: pd.DataFrame,
) -> Iterator[dict[str, Any]]:
    """Count what happened in either period; ``durations`` tell their period."""
    opened = engine.open_frame(durations, ["period", "from_start"], parameter="durations")
    made = engine.collect(opened.filter(nw.col("from_start")).group_by("period").agg(n=nw.len()))
    n_created = dict(zip(made["period"], made["n"], strict=True))
    yield _count(STARTED, n_created.get(BEFORE, 0), n_created.get(NOW, 0))
    # What had ended when the first period began, when it ended, and when the second one did.
    moments = [periods[BEFORE][0], periods[BEFORE][1], periods[NOW][1]]
    flows = [_flow_until(log, moment, silence) for moment in moments]
    n_ended = [0 if flow.empty else int(flow["n_ended"].sum()) for flow in flows]
    yield _count(ENDED, n_ended[1] - n_ended[0], n_ended[2] - n_ended[1])
    yield _count(OPEN, *(0 if flow.empty else int(flow["n_open_at_end"].iloc[-1]) for flow in flows[1:]))
    active = [
        len(set().union(*(_servers(log, kind, since, until) for kind in schemas.EVENT_TYPES)))
        for since, until in periods.values()
    ]
    yield _count(SERVERS, *active)
    ends = [until - pd.Timedelta(1, "us") for _, until in periods.values()]
    yield _count(PLAYBOOKS, *(n_distinct(playbook_snapshot(log.playbook, as_of=end)) for end in ends))


def _flow_until(log: EventLog[Any], until: pd.Timestamp, silence: pd.DataFrame) -> pd.DataFrame:
    try:
        return incident_flow(log.incident, cutoff=until - pd.Timedelta(1, "us"), freq="M", observed_until=silence)
    except ParameterError:
        # Events that tell nothing of being open.
        return pd.DataFrame({"n_ended": [], "n_open_at_end": []})


def _servers(log: EventLog[Any], kind: str, since: pd.Timestamp, until: pd.Timestamp) -> set[str]:
    events = engine.open_frame(getattr(log, kind), ["server_id", "event_timestamp"], parameter=kind)
    part = engine.filter_times(events, "event_timestamp", since, until - pd.Timedelta(1, "us"))
    return set(engine.collect(engine.distinct(part, "server_id"))["server_id"])


def _count(measure: str, before: float, now: float) -> dict[str, Any]:
    numbers = {"before": float(before), "now": float(now), "difference": float(now - before)}
    return {"measure": measure, "unit": NUMBER, **numbers, "note": _COUNTED}


def _comparisons(
    log: EventLog[Any],
    durations: Any,  # noqa: ANN401 - a frame of the kind of the log's
    visits: Any,  # noqa: ANN401
    periods: Mapping[str, tuple[Any, Any]],
    *,
    within: pd.Timedelta,
    level: float,
) -> Iterator[dict[str, Any]]:
    pair: dict[str, Any] = {"between": "period", "groups": (BEFORE, NOW), "level": level}
    span = duration(within.total_seconds())
    tasks = add_period(log.tasks, periods)
    snapshot = add_period(playbook_snapshot(log.playbook, as_of=log.cutoff), periods)
    is_staged = "status" not in engine.open_frame(visits, [], parameter="visits").columns
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnequalObservationWarning)
        ends = _of_both(compare_durations, durations, measure="restricted_mean_s", at=within, within=within, **pair)
        reached = _of_both(compare_funnel, add_period(visits, periods), within=within, **pair)
        last = _of_both(compare_funnel, add_period(_to_last(visits), periods), within=within, **pair)
    yield from _rows(ends, f"{TIME}, counted up to {span}", SECONDS)
    for stage in (1, 2) if is_staged else ():
        yield from _rows(reached[reached["stage"] == stage], f"Reach stage {stage} within {span}", SHARE)
    yield from _rows(last, f"{LAST_STAGE if is_staged else RESOLVED} within {span}", SHARE)
    of_commanders = _of_both(compare_completion, _of_commanders(tasks), **pair)
    yield from _rows(of_commanders[of_commanders["completer"] == "commander"], COMMANDERS, SHARE)
    completion = _of_both(compare_completion, tasks, **pair)
    for completer in ("commander", "assignee"):
        rows = completion[completion["completer"] == completer]
        yield from _rows(rows, f"Tasks completed by the {completer} alone", SHARE)
    sizes = _of_both(compare_playbook_sizes, snapshot, measure="total_checklist_items", **pair)
    medians = sizes[sizes["comparison"] == "difference_of_medians"]
    yield from _rows(medians, "Tasks in a new playbook (median)", NUMBER)


def _to_last(visits: Any) -> Any:  # noqa: ANN401 - a frame of any kind
    """Return visits of which the last stage, or the status of being resolved, is the second of two stages."""
    opened = engine.open_frame(visits, ["stage", "num_stages"], parameter="visits")
    is_staged = "status" not in opened.columns
    last = nw.col("num_stages") - 1 if is_staged else nw.lit(2)
    told = opened.filter(nw.col("num_stages") > 1).with_columns(
        stage=nw.when(nw.col("stage") >= last).then(1).otherwise(0), num_stages=nw.lit(2)
    )
    return engine.give_back(told if is_staged else told.drop("status", "next_status"), like=visits)


def _of_commanders(tasks: Any) -> Any:  # noqa: ANN401 - a frame of any kind
    """Return tasks events as if nobody were an assignee, so that all of a commander's completions are of one kind."""
    opened = engine.open_frame(tasks, ["was_assignee"], parameter="tasks")
    nobody = nw.when(~nw.col("was_assignee").is_null()).then(nw.lit(value=False))
    return engine.give_back(opened.with_columns(was_assignee=nobody), like=tasks)


def _of_both(compare: Callable[..., pd.DataFrame], frame: object, **arguments: object) -> pd.DataFrame:
    """Return a comparison of the two periods; without rows where one of them has nothing to compare."""
    try:
        return compare(frame, **arguments)
    except ParameterError as error:
        if error.parameter != "groups":
            raise
        return pd.DataFrame({name: [] for name in ("stage", "completer", "comparison")})


def _rows(compared: pd.DataFrame, measure: str, unit: str) -> Iterator[dict[str, Any]]:
    """Turn rows of a comparison into rows of the table."""
    if compared.empty:
        yield {"measure": measure, "unit": unit, "note": _NOTHING}
    for row in compared.to_dict("records"):
        numbers = {name: row[name] for name in ("difference", "lower", "upper", "df", "p_value", "detectable")}
        sides = {"before": row["estimate_a"], "now": row["estimate_b"], "n_before": row["n_a"], "n_now": row["n_b"]}
        servers = {"n_servers_before": row["n_servers_a"], "n_servers_now": row["n_servers_b"]}
        yield {"measure": measure, "unit": unit, **sides, **numbers, **servers, "note": _why_none(row)}


def _why_none(row: Mapping[Any, Any]) -> str:
    """Say why a comparison has no interval; empty where it has one."""
    if not pd.isna(row["lower"]):
        return ""
    if not row["n_a"] or not row["n_b"]:
        return _NOTHING
    if min(row["n_servers_a"], row["n_servers_b"]) < 2:  # noqa: PLR2004 - one server cannot show how servers differ
        return "one server cannot show how much servers differ"
    return "all servers agree, or the curve is not known for so long: nothing tells how far it may be off"


class Earlier(NamedTuple):
    """An earlier report, as its folder tells: its bounds, its counts, and the numbers of its table of changes."""

    since: pd.Timestamp | None
    cutoff: pd.Timestamp
    counts: dict[str, int]
    files: list[str]


def read_earlier(folder: str | os.PathLike[str]) -> Earlier:
    """Read what an earlier report was made of from its manifest.

    Raises
    ------
    ReportError
        Where the folder holds no report, or one without events.
    """
    place = Path(folder)
    try:
        manifest = json.loads((place / "manifest.json").read_text("utf-8"))
        since, cutoff = engine.moments(manifest.get("since"), manifest["cutoff"])
        counts = {str(name): int(n) for name, n in manifest["counts"].items()}
        files = [str(entry["path"]) for entry in manifest["outputs"]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        raise ReportError(str(place), "holds no manifest.json of a report, expected the folder of one") from None
    if cutoff is None:
        raise ReportError(str(place), "is a report without events: there is nothing to compare with")
    return Earlier(since, cutoff, counts, files)


def bounds_against(earlier: Earlier, log: EventLog[Any]) -> tuple[Bounds | None, str]:
    """Return the two periods that a report and an earlier one stand for, where this source has the events of both.

    The earlier period is that of the earlier report; the later one begins where the earlier ended, or where this
    report begins.

    Parameters
    ----------
    earlier
        As ``read_earlier`` returns it.
    log
        The events of this report, those of the earlier period included where the source has them.

    Returns
    -------
    tuple of Bounds or None, and str
        The periods, and in how many events of the earlier one this source differs, if it does; or None and why the two
        cannot be held against each other.
    """
    first, n_events = _first_and_number(log, earlier)
    begin = earlier.since if earlier.since is not None else first
    if first is None or begin is None or first > earlier.cutoff:
        return None, _NO_EVENTS
    end = earlier.cutoff + pd.Timedelta(1, "us")
    if log.cutoff <= earlier.cutoff:
        return None, f"this report ends where the earlier one did, {earlier.cutoff:%Y-%m-%d %H:%M} UTC, or before"
    n_earlier = sum(earlier.counts.get(f"n_{kind}", 0) for kind in schemas.EVENT_TYPES)
    if n_events < n_earlier:
        return None, f"of the {n_earlier:,} events of the earlier report, {n_events:,} are in this source"
    bounds = Bounds((begin, end), (end, log.cutoff + pd.Timedelta(1, "us")))
    if n_events == n_earlier:
        return bounds, ""
    # Some may have arrived late, and all may be of another source.
    return bounds, f"The earlier report counted {n_earlier:,} events up to then; this source has {n_events:,}."


def _first_and_number(log: EventLog[Any], earlier: Earlier) -> tuple[pd.Timestamp | None, int]:
    """Return the first moment of a log, and how many events it has in the period of an earlier report."""
    first_us, n_events = [], 0
    until_us = engine.epoch_us(earlier.cutoff)
    since_us = engine.epoch_us(earlier.since) if earlier.since is not None else -(2**62)
    us = nw.col("_us")
    is_in = nw.when((us >= since_us) & (us <= until_us)).then(1).otherwise(0)
    for kind in schemas.EVENT_TYPES:
        events = engine.open_frame(getattr(log, kind), ["event_timestamp"], parameter=kind)
        told = engine.add_epoch_us(events, _us="event_timestamp").select(_first=us.min(), _n=is_in.sum())
        first, n = engine.collect(told).iloc[0]
        if not pd.isna(first):
            first_us.append(int(first))
            n_events += int(n)
    return (pd.Timestamp(min(first_us), unit="us", tz="UTC") if first_us else None), n_events


def pair_numbers(before: pd.DataFrame, now: pd.DataFrame, *, why: str) -> pd.DataFrame:
    """Put the numbers of two reports side by side where their events cannot be compared.

    Parameters
    ----------
    before, now
        The headline numbers of either: ``measure``, ``unit`` and ``value``.
    why
        Why there is no interval.

    Returns
    -------
    pandas.DataFrame
        As ``find_changes``, with ``note`` in each row: ``why``, or that the number appeared or went.
    """
    both = before.merge(now, on=["measure", "unit"], how="outer", suffixes=("_before", "_now"), sort=False)
    order = {name: place for place, name in enumerate(dict.fromkeys([*now["measure"], *before["measure"]]))}
    both = both.sort_values("measure", key=lambda names: names.map(order), ignore_index=True)
    told = both[["measure", "unit"]].assign(
        before=both["value_before"],
        now=both["value_now"],
        difference=both["value_now"] - both["value_before"],
        note=[
            "appeared" if pd.isna(a) and not pd.isna(b) else "went" if pd.isna(b) else why
            for a, b in zip(both["value_before"], both["value_now"], strict=True)
        ],
    )
    return told.reindex(columns=list(COLUMNS)).astype(COLUMNS)
