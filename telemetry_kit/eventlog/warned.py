"""What a user is warned of who gets a log: records that were rejected, and that nothing is in it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from telemetry_kit import engine, schemas
from telemetry_kit.errors import NoEventsWarning, RejectedEventsWarning

if TYPE_CHECKING:
    from telemetry_kit.eventlog.load import Judgement
    from telemetry_kit.eventlog.log import EventLog


def warn_of(log: EventLog[Any] | Judgement, *, is_stored: bool) -> None:
    """Warn the user, who called what called this, of rejected records and of an empty log.

    Of a log that was stored before, and opened as it is, the rejected records have been told.
    """
    total = log.audit.sum(numeric_only=True)
    if total["n_rejected"] and not is_stored:
        first = engine.collect(engine.open_frame(log.quarantine, [], parameter="quarantine").head(1)).iloc[0]
        told = f"{first['source']}, record {first['record']}: {first['reason']}"
        warnings.warn(RejectedEventsWarning(int(total["n_rejected"]), told), stacklevel=3)
    if not sum(int(total[f"n_{kind}"]) for kind in schemas.EVENT_TYPES):
        warnings.warn(NoEventsWarning({str(name): int(n) for name, n in total.items()}), stacklevel=3)
