"""The exceptions a caller can catch; each message names the place, the value and what was expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class TelemetryKitError(Exception):
    """Any mistake that a caller of telemetry_kit can mend."""


class ParameterError(TelemetryKitError, ValueError):
    """A parameter has a value that it cannot take.

    Parameters
    ----------
    parameter
        The name of the parameter, as the caller wrote it.
    value
        What was given.
    expected
        What it takes, in words, or the choices there are.
    """

    def __init__(self, parameter: str, value: object, expected: str | Iterable[object]) -> None:
        self.parameter = parameter
        self.value = value
        wanted = expected if isinstance(expected, str) else "one of " + ", ".join(repr(choice) for choice in expected)
        super().__init__(f"{parameter}: got {value!r}, expected {wanted}")


class SourceError(TelemetryKitError):
    """The source itself cannot be used: it is missing, may not be read, or holds nothing that could be events."""


class MissingExtraError(TelemetryKitError, ImportError):
    """A feature needs packages of an extra that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs the extra {extra!r}: pip install 'telemetry-kit[{extra}]'")


class ReportError(TelemetryKitError):
    """A report cannot be made: a notebook fails, or the place for it is taken by something else.

    Parameters
    ----------
    place
        The notebook or the directory.
    fault
        What is wrong with it, and what was expected.
    """

    def __init__(self, place: str, fault: str) -> None:
        super().__init__(f"{place}: {fault}")


class RejectedEventsError(TelemetryKitError):
    """Records were rejected, and the caller asked for an error instead of a quarantine.

    Attributes
    ----------
    n_rejected
        How many records were rejected.
    """

    def __init__(self, n_rejected: int, first: Iterable[str]) -> None:
        self.n_rejected = n_rejected
        lines = "".join(f"\n  {line}" for line in first)
        super().__init__(f"{n_rejected} record{'s were' if n_rejected != 1 else ' was'} rejected; the first:{lines}")


class RejectedEventsWarning(UserWarning):
    """Records were rejected, and what is returned does not tell which."""

    def __init__(self, n_rejected: int) -> None:
        self.n_rejected = n_rejected
        were = "record was" if n_rejected == 1 else "records were"
        super().__init__(f"{n_rejected} {were} rejected; load_events(source).quarantine tells which, and why")
