"""The three frames of an event log side by side, for what asks about servers and not about one type of event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import narwhals.stable.v2 as nw

from telemetry_kit import engine, schemas
from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from narwhals.stable.v2.typing import IntoFrame

    from telemetry_kit.schemas import EventType


class HasEvents(Protocol):
    """Anything with a frame of each type of event, such as an ``EventLog``."""

    @property
    def incident(self) -> IntoFrame:
        """The incident events."""

    @property
    def tasks(self) -> IntoFrame:
        """The tasks events."""

    @property
    def playbook(self) -> IntoFrame:
        """The playbook events."""


Log: TypeAlias = "HasEvents | Mapping[str, IntoFrame]"


def open_frames(
    log: Log, columns: Mapping[EventType, Sequence[str]], *, named: Sequence[str] = ()
) -> dict[EventType, nw.LazyFrame[Any]]:
    """Open the frames of a log by type of event, and see that each has the ``columns`` that are named for it.

    The columns ``named`` are there as well in the frames that have them.

    Raises
    ------
    ParameterError
        Where ``log`` is no log, a frame lacks a column, or the frames are not on one engine.
    """
    opened: dict[EventType, nw.LazyFrame[Any]] = {}
    for event_type, needed in columns.items():
        frame = log.get(event_type) if isinstance(log, Mapping) else getattr(log, event_type, None)
        if frame is None:
            expected = f"an EventLog, or a mapping with frames for {', '.join(schemas.EVENT_TYPES)}"
            raise ParameterError("log", type(log).__name__, expected)
        opened[event_type] = engine.open_frame(frame, needed, parameter=f"log.{event_type}", named=named)
    engines = sorted({str(frame.implementation) for frame in opened.values()})
    if len(engines) > 1:
        raise ParameterError("log", f"frames on {' and '.join(engines)}", "frames on one engine")
    return opened


def others_us(log: Log) -> Mapping[str, int]:
    """Return when each server last sent an event of another type, as far as the log tells: see ``EventLog``."""
    told: Any = log.get("others_us", {}) if isinstance(log, Mapping) else getattr(log, "others_us", {})
    return told  # type: ignore[no-any-return]


def open_log(log: Log, columns: Sequence[str]) -> nw.LazyFrame[Any]:
    """Open the events of all types as one lazy frame.

    Parameters
    ----------
    log
        An ``EventLog``, or a mapping with a frame for each of ``incident``, ``tasks`` and ``playbook``.
    columns
        The columns to keep, which all three have.

    Returns
    -------
    narwhals.LazyFrame
        ``columns`` as text, ``event_type``, and ``_us``, the event's time in epoch microseconds.

    Raises
    ------
    ParameterError
        As ``open_frames``.
    """
    frames = open_frames(log, {event_type: [*columns, "event_timestamp"] for event_type in schemas.EVENT_TYPES})
    text = [nw.col(column).cast(nw.String) for column in columns]
    return nw.concat(
        [
            engine.add_epoch_us(frame, _us="event_timestamp").select(*text, "_us", event_type=nw.lit(event_type))
            for event_type, frame in frames.items()
        ]
    )
