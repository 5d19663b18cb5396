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
        Where ``log`` is neither of the two, a frame lacks a column, or the frames are not of one kind.
    """
    frames = []
    for event_type in schemas.EVENT_TYPES:
        frame = log.get(event_type) if isinstance(log, Mapping) else getattr(log, event_type, None)
        if frame is None:
            expected = f"an EventLog, or a mapping with frames for {', '.join(schemas.EVENT_TYPES)}"
            raise ParameterError("log", type(log).__name__, expected)
        opened = engine.open_frame(frame, [*columns, "event_timestamp"], parameter=f"log.{event_type}")
        opened = engine.add_epoch_us(opened, _us="event_timestamp")
        text = [nw.col(column).cast(nw.String) for column in columns]
        frames.append(opened.select(*text, "_us", event_type=nw.lit(event_type)))
    kinds = {str(frame.implementation) for frame in frames}
    if len(kinds) > 1:
        raise ParameterError("log", f"frames on {' and '.join(sorted(kinds))}", "three frames of one kind")
    return nw.concat(frames)
