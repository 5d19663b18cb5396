"""From visits to the steps of each incident: how far it came, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine

if TYPE_CHECKING:
    from collections.abc import Sequence

STAGES_LISTED = 1_000
"""How many stages a table lists at most: a wrong number in one event must not make it endless."""
NONE_BEFORE = -1
"""What stands for the stage before an incident's lowest."""
ELIGIBLE, IMMATURE, EXCLUDED = range(3)
"""Whether an incident counts in a funnel: it does; it is younger than the time given to all; its start is unknown."""


def find_steps(visits: nw.LazyFrame[Any], incident: Sequence[str]) -> nw.LazyFrame[Any]:
    """Return one row per incident and stage that it visited: it brought the incident past every stage below it.

    Parameters
    ----------
    visits
        Visits with the columns of ``stage_visits``.
    incident
        The columns that make an incident, and the group that it is looked at in.

    Returns
    -------
    narwhals.LazyFrame
        ``incident``, ``stage`` and

        _before
            The next lower stage that the incident visited; ``NONE_BEFORE`` where this one is its lowest.
        _furthest, _n_stages
            The furthest stage that it visited, and how many it had at most.
        _is_open, _is_unknown
            1 or 0: whether it was open at the cutoff; whether its start is unknown, because its create was not
            recorded or a visit began before the recording.
        _entered_us, _arrived_us, _start_us, _cutoff_us
            In microseconds since 1970: when it first came to this stage, when to this or a later one, when it started,
            and when its observation ended.
    """
    visits = engine.add_epoch_us(_add_cutoff_us(visits), _entered_us="entered_at")
    flags = {"_is_open": nw.col("is_censored"), "_is_unknown": ~nw.col("from_start") | nw.col("is_left_truncated")}
    steps = visits.group_by(*incident, "stage").agg(
        _n_stages=nw.col("num_stages").max(),
        **{name: nw.when(flag).then(1).otherwise(0).max() for name, flag in flags.items()},
        _entered_us=nw.col("_entered_us").min(),
        _cutoff_us=nw.col("_cutoff_us").max(),
    )
    return (
        steps.with_columns(_down=-nw.col("stage"))
        # From the highest stage down, and all windows alike, so that an engine sorts once.
        .with_columns(
            nw.col("_n_stages", "_is_open", "_is_unknown").max().over(*incident),
            _furthest=nw.col("stage").max().over(*incident),
            _before=nw.col("stage").shift(-1).over(*incident, order_by="_down"),
            _arrived_us=nw.col("_entered_us").cum_min().over(*incident, order_by="_down"),
            _start_us=nw.col("_entered_us").min().over(*incident),
        )
        .with_columns(nw.col("_before").fill_null(NONE_BEFORE))
    )


def find_reach(visits: nw.LazyFrame[Any], incident: Sequence[str], span_us: int | None) -> nw.LazyFrame[Any]:
    """Return how far each incident came, ever or within a time of its start.

    Parameters
    ----------
    visits
        Visits with the columns of ``stage_visits``.
    incident
        The columns that make an incident, and the group that it is looked at in.
    span_us
        The time that every incident is given, in microseconds; None for as long as it was observed.

    Returns
    -------
    narwhals.LazyFrame
        One row or more per incident and stage that it visited, to be grouped by ``incident``: ``_came_to`` (the stage;
        null where that was too late), and alike in all rows or to be taken at most ``_n_stages``, ``_is_open`` (1 where
        it was open at the cutoff) and ``_status`` (``ELIGIBLE``, ``IMMATURE`` or ``EXCLUDED``).
    """
    if span_us is None:
        is_in_time, has_had_its_time = nw.lit(value=True), nw.lit(value=True)
        steps, is_unknown = visits, ~nw.col("from_start")
        flags = {"_n_stages": nw.col("num_stages"), "_is_open": nw.when(nw.col("is_censored")).then(1).otherwise(0)}
    else:
        is_in_time = nw.col("_entered_us") - nw.col("_start_us") <= span_us
        has_had_its_time = nw.col("_start_us") + span_us <= nw.col("_cutoff_us")
        steps, is_unknown = find_steps(visits, incident), nw.col("_is_unknown") == 1
        flags = {name: nw.col(name) for name in ("_n_stages", "_is_open")}
    status = nw.when(has_had_its_time).then(ELIGIBLE).otherwise(IMMATURE)
    return steps.select(
        *incident,
        **flags,
        _came_to=nw.when(is_in_time).then(nw.col("stage")),
        _status=nw.when(is_unknown).then(EXCLUDED).otherwise(status),
    )


def _add_cutoff_us(visits: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Add when the observation of visits ended, as ``_cutoff_us``; of visits that do not tell, when the last was left.

    The latter is the cutoff as well wherever an incident was still open, and sooner otherwise.
    """
    if "cutoff" in visits.columns:
        return engine.add_epoch_us(visits, _cutoff_us="cutoff")
    left = engine.add_epoch_us(visits, _left_us="left_at")
    latest = engine.collect(left.select(nw.col("_left_us").max()))["_left_us"]
    return visits.with_columns(_cutoff_us=nw.lit(int(latest.fillna(0).iloc[0])))
