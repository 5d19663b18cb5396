"""What changed since an earlier period or report, as the first page of a report says it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd

from telemetry_kit.analyses.periods import list_periods
from telemetry_kit.errors import ParameterError
from telemetry_kit.reports import changes, wording
from telemetry_kit.reports.reading import table_to_html

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from telemetry_kit.eventlog.log import EventLog
    from telemetry_kit.reports.cover import Asked

ALPHA = 0.05
BY_CHANCE = "changed by more than chance explains, adjusted for how many they are"
_WRITERS: dict[str, Callable[[float], str]] = {
    changes.SHARE: wording.per_cent,
    changes.SECONDS: wording.duration,
    changes.NUMBER: wording.number,
}


def check_compare(compare: str | None, since: object, against: object) -> None:
    """See that a report can be held against the period before, where that is asked.

    Raises
    ------
    ParameterError
        Where it is to be compared with something else, begins nowhere, or is held against another report.
    """
    if compare is None:
        return
    if compare != "previous":
        raise ParameterError("compare", compare, "'previous'")
    if since is None:
        expected = "a point in time: compare='previous' holds what follows it against as much before"
        raise ParameterError("since", since, expected)
    if against is not None:
        raise ParameterError("against", against, "None with compare='previous': it is one or the other")


def what_changed(log: EventLog[Any], asked: Asked, *, whole: EventLog[Any]) -> tuple[pd.DataFrame | None, str]:
    """Compare a report with the period before it, or with an earlier report, as it was asked for.

    Parameters
    ----------
    log
        The events of both periods.
    asked
        What was asked for: ``against`` or ``compare``.
    whole
        The same with the servers that are left out: an earlier report counted what it read, before it left any out.

    Returns
    -------
    pandas.DataFrame or None, and str
        As ``changes.find_changes`` returns it, and which periods these are; or None, and why they cannot be compared.
    """
    why = ""
    if asked.against is not None:
        bounds, why = changes.bounds_against(changes.read_earlier(asked.against), whole)
    elif asked.since is not None:
        bounds = changes.compare_with_previous(asked.since, log.cutoff)
    else:
        bounds = None
    if bounds is None:
        return None, why
    return changes.find_changes(log, bounds), " ".join(filter(None, [_periods_said(log, bounds), why]))


def _periods_said(log: EventLog[Any], bounds: changes.Bounds) -> str:
    """Say which two periods are compared, and whether the recording begins only within the earlier one."""
    named = [
        f"{wording.day(begin)} to {wording.day(end - pd.Timedelta(1, 'us'))}"
        for begin, end in (bounds.before, bounds.now)
    ]
    told = f"Before is {named[0]}, now {named[1]}."
    if list_periods(log, {"before": bounds.before})["is_complete"].all():
        return told
    return f"{told} The recording begins within the time before, so that its counts tell less than shares and times do."


def changes_said(table: pd.DataFrame | None, told: str) -> dict[str, Any]:
    """Return what the first page says of changes: the sentences, and a table for reading.

    Parameters
    ----------
    table, told
        As ``what_changed`` returns them.

    Returns
    -------
    dict
        ``sentences``, ``periods`` and ``table``, which is HTML.
    """
    if table is None:
        return {"sentences": [f"The two periods cannot be compared: {told}."], "periods": "", "table": ""}
    rows = table.astype(object).to_dict("records")
    found = [row for row in rows if not wording.is_null(row["p_adjusted"]) and row["p_adjusted"] < ALPHA]
    n_compared = sum(not wording.is_null(row["p_adjusted"]) for row in rows)
    sentences = [
        f"**{row['measure']}** went from {_number(row, 'before')} to {_number(row, 'now')}: {_change(row)}."
        for row in found
    ]
    if not found:
        compared = f"of {wording.count(n_compared, 'number')} compared, none {BY_CHANCE}"
        why = compared if n_compared else "no number could be compared"
        sentences = [f"It is not enough to tell whether shares or times changed: {why}."]
    shown = pd.DataFrame(
        {
            "number": [row["measure"] for row in rows],
            "before": [_number(row, "before") for row in rows],
            "now": [_number(row, "now") for row in rows],
            "change": [_change(row) for row in rows],
            "verdict": [_verdict(row) for row in rows],
            "servers_before": table["n_servers_before"],
            "servers_now": table["n_servers_now"],
        }
    )
    return {"sentences": sentences, "periods": told, "table": table_to_html(shown)}


def _verdict(row: Mapping[Any, Any]) -> str:
    if wording.is_null(row["p_adjusted"]):
        return "a count, not tested" if row["unit"] == changes.NUMBER else wording.NULL
    return "yes" if row["p_adjusted"] < ALPHA else "cannot be told"


def card_changes(table: pd.DataFrame | None) -> dict[str, str]:
    """Return how each headline number changed, for the card that has it.

    Parameters
    ----------
    table
        As ``what_changed`` returns it; None where two periods cannot be compared.

    Returns
    -------
    dict of str to str
        By what ``changes`` calls the number, without the time that it is given; no entry for a number that is unknown
        in one of the periods.

    Examples
    --------
    >>> card_changes(pd.DataFrame({
    ...     "measure": ["Reach the last stage within 7 d"], "unit": ["share"], "before": [0.3], "now": [0.35],
    ...     "difference": [0.05], "lower": [-0.02], "upper": [0.12],
    ... }))
    {'Reach the last stage': 'within 7 d: 30 % before, now 35 %, +5 points (−2 to +12)'}
    """
    told = {}
    for row in [] if table is None else table.astype(object).to_dict("records"):
        name = next((name for name in changes.ON_CARDS if row["measure"].startswith(name)), None)
        if name is None or wording.is_null(row["before"]) or wording.is_null(row["now"]):
            continue
        given = row["measure"].removeprefix(name).strip(", ")
        sides = f"{_number(row, 'before')} before, now {_number(row, 'now')}"
        difference = "" if row["unit"] == changes.NUMBER else f", {_change(row)}"
        told[name] = f"{f'{given}: ' if given else ''}{sides}{difference}"
    return told


def _number(row: Mapping[Any, Any], name: str) -> str:
    return wording.NULL if wording.is_null(row[name]) else _WRITERS[row["unit"]](float(row[name]))


def _change(row: Mapping[Any, Any]) -> str:
    if wording.is_null(row["difference"]):
        return wording.NULL
    write = wording.points if row["unit"] == changes.SHARE else partial(wording.signed, write=_WRITERS[row["unit"]])
    unit = " points" if row["unit"] == changes.SHARE else ""
    difference = f"{write(float(row['difference']))}{unit}"
    if wording.is_null(row["lower"]) or wording.is_null(row["upper"]):
        return difference
    return f"{difference} ({write(float(row['lower']))} to {write(float(row['upper']))})"
