"""The exceptions a caller can catch; each message names the place, the value and what was expected."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MOST_SHOWN = 80
"""Up to how many characters a message shows of a value; of a longer one it names the type."""


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
        What it takes, in words, or the choices there are: the message then names the nearest one.
    """

    def __init__(self, parameter: str, value: object, expected: str | Iterable[object]) -> None:
        self.parameter = parameter
        self.value = value
        if isinstance(expected, str):
            wanted = expected
        else:
            choices = list(expected)
            wanted = "one of " + ", ".join(map(repr, choices)) if choices else "nothing: there is no choice"
            near = nearest(value, choices)
            wanted += f"; did you mean {near!r}?" if near else ""
        super().__init__(f"{parameter}: got {_shown(value)}, expected {wanted}")


class MissingColumnError(ParameterError):
    """A frame lacks columns that it needs to have.

    Parameters
    ----------
    parameter
        The name of the parameter that takes the frame.
    missing
        The columns that it lacks.
    present
        The columns that it has.
    advice
        What the caller can do, in whole sentences.

    Attributes
    ----------
    missing
        The columns that it lacks.
    """

    def __init__(self, parameter: str, missing: Sequence[str], present: Iterable[object], *, advice: str = "") -> None:
        self.missing = list(missing)
        self.parameter, self.value = parameter, list(present)
        near = [(column, nearest(column, self.value, least=0.85)) for column in missing]
        renamed = ", ".join(f"{found!r} for {column!r}" for column, found in near if found)
        hints = " ".join(hint for hint in (f"did you mean {renamed}?" if renamed else "", advice) if hint)
        names = ", ".join(map(_shown, missing))
        message = f"{parameter} has no column{'s' if len(self.missing) > 1 else ''} {names}"
        joint = "; " if hints[:1].islower() else ". "
        Exception.__init__(self, f"{message}{joint}{hints}" if hints else message)


def nearest(name: object, choices: Iterable[object], *, least: float = 0.6) -> str | None:
    """Return the choice that a misspelled name most likely means, or none where none is at ``least`` so alike.

    Examples
    --------
    >>> nearest("plugin_verson", ["plugin_version", "server_version"])
    'plugin_version'
    """
    folded = {_folded(choice): choice for choice in choices if isinstance(choice, str)}
    found = difflib.get_close_matches(_folded(name), folded, n=1, cutoff=least) if isinstance(name, str) else []
    return folded[found[0]] if found else None


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


def _shown(value: object) -> str:
    """Return a value as a person would have written it; of one that is long or an object, only its type."""
    text = repr(value)
    is_told = isinstance(value, str) or (len(text) <= MOST_SHOWN and "\n" not in text and not text.startswith("<"))
    return text if is_told else f"a value of type {type(value).__name__}"


class SourceError(TelemetryKitError):
    """The source itself cannot be used: it is missing, may not be read, or holds nothing that could be events."""


class ResourceError(TelemetryKitError):
    """The machine falls short: its disk is full or cannot be written, memory or open files run out."""


class MissingExtraError(TelemetryKitError, ImportError):
    """A feature needs packages of an extra that is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        # The package is on no index, so that pip finds it in a clone or in a wheel only.
        super().__init__(
            f"{feature} needs the extra {extra!r}: in a clone of the project, pip install '.[{extra}]'; "
            f"of a wheel, pip install 'telemetry_kit-<version>-py3-none-any.whl[{extra}]'"
        )


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


class IncompleteReportError(TelemetryKitError):
    """A report was made, but a notebook of it failed, or no event was there to report on."""


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


class UnequalObservationWarning(UserWarning):
    """Two groups that are compared were not watched for equally long, so that one may seem what it is not."""


class RejectedEventsWarning(UserWarning):
    """Records were rejected: how many, the first of them and why, and where the others are told."""

    def __init__(self, n_rejected: int, first: str) -> None:
        self.n_rejected = n_rejected
        were = "record was" if n_rejected == 1 else "records were"
        super().__init__(
            f"{n_rejected} {were} rejected; the first: {first}. load_events(source).quarantine tells each, and why"
        )


class NoEventsWarning(UserWarning):
    """A log has no event at all."""

    def __init__(self, account: Mapping[str, int]) -> None:
        words = {"n_rejected": "rejected", "n_duplicate": "duplicates", "n_other": "of other types"}
        words |= {"n_before_since": "before since", "n_after_cutoff": "after the cutoff"}
        told = ", ".join(f"{account[name]} {word}" for name, word in words.items() if account.get(name))
        read = f"{account['n_read']} records were read" + (f": {told}" if told else "")
        super().__init__(f"no event is there: {read}; the audit of the log tells what became of each file")


class FewServersWarning(UserWarning):
    """There are too few servers to call one of them odd."""

    def __init__(self, n_servers: int, fewest: int, cluster: str) -> None:
        self.n_servers = n_servers
        super().__init__(
            f"{n_servers} {'value' if n_servers == 1 else 'values'} of {cluster!r}: is_signal is null with fewer than "
            f"{fewest}, because too few cannot tell how far ordinary ones lie apart"
        )


class UnmatchedKeysWarning(UserWarning):
    """A table of groups does not have all keys that occur."""

    def __init__(self, n_unmatched: int, n_keys: int, on: str, first: Sequence[str]) -> None:
        self.n_unmatched = n_unmatched
        more = ", …" if n_unmatched > len(first) else ""
        super().__init__(f"table has no row for {n_unmatched} of {n_keys} values of {on}: {', '.join(first)}{more}")


class PartialIncidentsWarning(UserWarning):
    """Incidents were counted by some of their visits alone, as where visits were filtered by their stage."""


class OneClusterWarning(UserWarning):
    """Intervals are null because what they rest on is one cluster.

    Parameters
    ----------
    cluster
        The column of clusters.
    n_rows, n_all
        In how many rows of the result, and how many it has.
    finer
        The column whose values are clusters within one server.
    """

    def __init__(self, cluster: str, n_rows: int, n_all: int, *, finer: str) -> None:
        self.cluster = cluster
        thing = _CLUSTERS.get(cluster, f"value of {cluster}")
        where = "intervals are null" if n_rows == n_all else f"intervals are null in {n_rows:,} of {n_all:,} rows"
        advice = f"; within one server, pass cluster={finer!r}" if cluster == "server_id" else ""
        super().__init__(
            f"cluster={cluster!r}: {where}, which rest on one {thing}, and one {thing} cannot show how much "
            f"{thing.replace('value', 'values')}{'s' if cluster in _CLUSTERS else ''} differ{advice}"
        )


_CLUSTERS = {"server_id": "server", "incident_id": "incident", "team_id": "team", "playbook_id": "playbook"}
"""What the values of a column of clusters are called."""
