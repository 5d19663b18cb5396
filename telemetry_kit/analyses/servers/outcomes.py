"""What can be held against one another as a share: of completions who made them, of incidents what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine
from telemetry_kit.analyses.stages import incident_durations, stage_visits
from telemetry_kit.engine.windows import first_known
from telemetry_kit.errors import ParameterError
from telemetry_kit.schemas import LAST_STAGED_VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

Outcome = Literal["commander", "assignee", "reached_last", "ended"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
N, X = "_n", "_x"
"""The columns of how many there are, and of how many of them the outcome holds."""

_FLAGS = {"commander": "was_commander", "assignee": "was_assignee"}
_INCIDENT = ("server_id", "incident_id")
_NEVER = "2200-01-01"
"""Whether incidents end, and not how long it takes, depends on no end of the observation."""


def count_outcomes(frame: IntoFrame, of: Outcome, columns: Sequence[str], *, parameter: str) -> pd.DataFrame:
    """Count of how many completions or incidents an outcome holds, by the values of columns.

    Parameters
    ----------
    frame
        Tasks events for ``commander`` and ``assignee``, of which completions with both flags count; incident events for
        ``reached_last`` and ``ended``, where incidents whose create was recorded count (for ``reached_last`` those with
        more than one stage), each with the first value that is known of it in each of ``columns``.
    of
        The outcome.
    columns
        The columns of ``frame`` by which to count.
    parameter
        What the caller calls ``frame``.

    Returns
    -------
    pandas.DataFrame
        One row per combination of values that occurs: ``columns`` (texts, flags, numbers; a null is a value of its
        own), ``_n`` and ``_x`` (int64).

    Raises
    ------
    ParameterError
        Where ``of`` is no outcome, a column is missing, or no incident of the frame has a stage.
    """
    if of not in OUTCOMES:
        raise ParameterError("of", of, OUTCOMES)
    flag = _FLAGS.get(of)
    rows = _completions(frame, flag, columns, parameter) if flag else _incidents(frame, of, columns, parameter)
    counted = rows.select(*columns, **{N: nw.lit(1), X: nw.when(nw.col("_holds")).then(1).otherwise(0)})
    keys = list(dict.fromkeys(columns))
    return engine.collect(counted.group_by(*keys).agg(nw.col(N, X).sum())).astype({N: np.int64, X: np.int64})


def _completions(frame: IntoFrame, flag: str, columns: Sequence[str], parameter: str) -> nw.LazyFrame[Any]:
    needed = ["new_state", *_FLAGS.values(), *columns]
    events = engine.open_frame(frame, needed, parameter=parameter, named=())
    is_known = ~nw.any_horizontal(nw.col(*_FLAGS.values()).is_null(), ignore_nulls=True)
    is_done = (nw.col("new_state").cast(nw.String) == "done").fill_null(value=False)
    return events.filter(is_done & is_known).with_columns(_holds=nw.col(flag))


def _incidents(frame: IntoFrame, of: Outcome, columns: Sequence[str], parameter: str) -> nw.LazyFrame[Any]:
    needed = [*_INCIDENT, "event_id", "event_timestamp", *columns]
    events = engine.open_frame(frame, needed, parameter=parameter, order="_order", named=())
    found = _ended(frame) if of == "ended" else _reached_last(frame, parameter)
    own = [column for column in columns if column not in _INCIDENT]
    if not own:
        return found
    told = engine.add_epoch_us(events, _us="event_timestamp")
    first = first_known(told, *own, within=_INCIDENT, order_by=engine.in_time(frame, "_us", "_order"))
    return found.join(first, on=list(_INCIDENT), how="left")


def _ended(frame: IntoFrame) -> nw.LazyFrame[Any]:
    durations = engine.open_frame(incident_durations(frame, cutoff=_NEVER), [], parameter="durations")
    return durations.filter(nw.col("from_start")).select(*_INCIDENT, _holds=nw.col("n_ends") > 0)


def _reached_last(frame: IntoFrame, parameter: str) -> nw.LazyFrame[Any]:
    visits = engine.open_frame(stage_visits(frame, cutoff=_NEVER), [], parameter="visits")
    events = engine.open_frame(frame, ["active_stage"], parameter=parameter)
    # An incident that ended as it began has stages, and no visit.
    if _is_empty(events.filter(~nw.col("active_stage").is_null())) and not _is_empty(events):
        last = ".".join(map(str, LAST_STAGED_VERSION))
        raise ParameterError(
            "of", "reached_last", f"'ended': no incident of {parameter} has stages, which end with plugin {last}"
        )
    known = visits.filter(nw.col("from_start")).group_by(*_INCIDENT)
    came_to = known.agg(_furthest=nw.col("stage").max(), _stages=nw.col("num_stages").max())
    # As in last_stage_reached: who has one stage is in the last from the start, which says nothing of how work went.
    return came_to.filter(nw.col("_stages") > 1).select(*_INCIDENT, _holds=nw.col("_furthest") >= nw.col("_stages") - 1)


def _is_empty(frame: nw.LazyFrame[Any]) -> bool:
    # A literal alone would be a row of its own in an empty frame of Polars.
    return not len(engine.collect(frame.select("server_id").head(1)))
