"""What a user is warned of who gets a log: records that were rejected, and that nothing is in it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Protocol

from telemetry_kit import engine, schemas
from telemetry_kit.errors import NoEventsWarning, RejectedEventsWarning

if TYPE_CHECKING:
    import pandas as pd


class HasAccount(Protocol):
    """An ``EventLog``, or the account of one without its events."""

    @property
    def audit(self) -> pd.DataFrame:
        """What became of the records of each source."""

    @property
    def quarantine(self) -> Any:  # noqa: ANN401 - a frame of any kind
        """The rejected records."""


def warn_of(log: HasAccount, *, is_stored: bool) -> None:
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
