"""Sentences on what differs between two groups, or changed from one period to the next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pandas as pd

from telemetry_kit.reports.columns import TIMES, VALUES
from telemetry_kit.reports.sentences.rows import check_columns, listed, rows_of, sentence, stage_name
from telemetry_kit.reports.wording import (
    NOTHING_TOLD,
    between,
    count,
    day,
    duration,
    is_null,
    number,
    per_cent,
    points,
    signed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from telemetry_kit.reports.sentences.rows import Row

_NEEDED = ("group_a", "group_b", "n_a", "n_b", "estimate_a", "estimate_b", "difference", "lower", "upper", "p_adjusted")
ALPHA = 0.05
WEEK = pd.Timedelta(days=7)
AGAINST, THEN = " against", ", then"
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MEDIANS = "difference_of_medians"
_COMPLETERS = {
    "commander": "completed by the commander alone",
    "assignee": "completed by the assignee alone",
    "both": "completed by one who is both",
    "neither": "completed by one who is neither",
}


def compared_shares(table: pd.DataFrame, *, things: str, names: tuple[str, str] | None = None) -> str:
    """Return in which rows of a comparison of shares two groups differ, after the adjustment for the number of rows.

    Parameters
    ----------
    table
        As ``tk.compare_funnel`` or ``tk.compare_completion`` returns it, of one pair of groups.
    things
        What the groups are made of, in words: "incidents", "completions".
    names
        What the two groups are called; by default their values.

    Returns
    -------
    str
        Markdown: the title, and a paragraph that describes it.

    Examples
    --------
    >>> import pandas as pd
    >>> compared_shares(pd.DataFrame({
    ...     "group_a": [False], "group_b": [True], "stage": [1], "n_a": [40], "n_b": [60], "estimate_a": [0.5],
    ...     "estimate_b": [0.55], "difference": [0.05], "lower": [-0.1], "upper": [0.2], "p_adjusted": [0.5],
    ... }), things="incidents", names=("private", "public")).partition(":")[0]
    'It is not enough to tell whether private and public incidents differ'
    """
    rows = _known(table)
    if not rows:
        return f"There are no two groups of {things} to compare."
    first, second = names or (str(rows[0]["group_a"]), str(rows[0]["group_b"]))
    found = _found(rows)
    if not found:
        title = f"It is not enough to tell whether {first} and {second} {things} differ: {_all_within_chance(rows)}."
        return sentence(title, _largest(rows, AGAINST))
    pair = f"{first[0].upper()}{first[1:]} and {second} {things}"
    title = f"**{pair} differ** in {len(found):,} of {count(len(rows), 'comparison')}."
    return sentence(title, f"{_listed(found, AGAINST)}.")


def changed(
    table: pd.DataFrame, *, things: str, latest: Mapping[str, tuple[pd.Timestamp, pd.Timestamp]] | None = None
) -> str:
    """Return what changed from one period to the next, after the adjustment for the number of comparisons.

    Parameters
    ----------
    table
        As a ``compare_*`` function returns it between the two periods of ``tk.latest_periods``.
    things
        What the periods are made of, in words: "incidents", "completions".
    latest
        As ``tk.latest_periods`` returns it, of the same periods: it tells weeks from days.

    Returns
    -------
    str
        Markdown: the title, and a paragraph that describes it.

    Examples
    --------
    >>> import pandas as pd
    >>> print(changed(pd.DataFrame({
    ...     "group_a": ["2020-11-01"], "group_b": ["2020-12-01"], "stage": [1], "n_a": [40], "n_b": [60],
    ...     "estimate_a": [0.5], "estimate_b": [0.7], "difference": [0.2], "lower": [0.1], "upper": [0.3],
    ...     "p_adjusted": [0.001],
    ... }), things="incidents"))
    **From Nov 2020 to Dec 2020, 1 of 1 comparison of incidents changed.**
    <BLANKLINE>
    Reached stage 1: 50 % of 40, then 70 % of 60, a difference of +20 points (+10 to +30).
    """
    rows = _known(table)
    if not rows:
        return f"There are no two periods with {things} to compare."
    first, last = (period_name(rows[0][side], rows[0], latest) for side in ("group_a", "group_b"))
    pair = f"from {first} to {last}"
    found = _found(rows)
    if not found:
        title = f"It is not enough to tell whether anything changed {pair}: {_all_within_chance(rows)}."
        return sentence(title, _largest(rows, THEN))
    compared = count(len(rows), f"comparison of {things}", f"comparisons of {things}")
    return sentence(
        f"**{pair[0].upper()}{pair[1:]}, {len(found):,} of {compared} changed.**", f"{_listed(found, THEN)}."
    )


def periods_compared(periods: pd.DataFrame, latest: Mapping[str, tuple[pd.Timestamp, pd.Timestamp]]) -> str:
    """Return which two periods are compared, and whether the recording tells of all of them.

    Parameters
    ----------
    periods
        As ``tk.list_periods`` returns it.
    latest
        As ``tk.latest_periods`` returns it, of the same periods.

    Returns
    -------
    str
        Markdown: one sentence, or two; empty where there are not two periods.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> print(periods_compared(tk.list_periods(log, "M"), tk.latest_periods(log, "M")))
    Nov 2020 is compared with Dec 2020. Not recorded as a whole: Nov 2020 and Dec 2020, so that their counts ...
    """
    if not latest:
        return ""
    check_columns(periods, ("period", "is_complete"))
    first, last = latest
    row = {"group_a": first, "group_b": last}
    names = {name: period_name(name, row, latest) for name in latest}
    known = {
        f"{period:%Y-%m-%d}": bool(flag) for period, flag in zip(periods["period"], periods["is_complete"], strict=True)
    }
    partial = [names[name] for name in latest if not known[name]]
    told = f"{names[first][0].upper()}{names[first][1:]} is compared with {names[last]}."
    if not partial:
        return told
    return (
        f"{told} Not recorded as a whole: {listed(partial)}, so that {'its' if len(partial) == 1 else 'their'} counts "
        "tell less than shares and times do."
    )


def _known(table: pd.DataFrame) -> list[Row]:
    """Return the rows that have a difference; of two ways to compare sizes the one that is a number of them."""
    rows = [row for row in rows_of(table, _NEEDED) if not is_null(row["difference"])]
    return [row for row in rows if row.get("comparison", _MEDIANS) == _MEDIANS]


def _found(rows: list[Row]) -> list[Row]:
    return [row for row in rows if not is_null(row["p_adjusted"]) and row["p_adjusted"] < ALPHA]


def _all_within_chance(rows: list[Row]) -> str:
    """Say that none of the differences is more than chance may be, or that nothing tells what chance may be."""
    if all(is_null(row["p_adjusted"]) for row in rows):
        return f"there is no interval ({NOTHING_TOLD})"
    if len(rows) == 1:
        return "chance alone may explain the difference seen"
    return f"chance alone may explain each of {count(len(rows), 'difference')}, adjusted for their number"


def _largest(rows: list[Row], then: str) -> str:
    """Tell the largest difference that was seen, and how large a true one would have been found."""
    widest = max(rows, key=lambda row: abs(row["difference"]))
    what = "The difference seen" if len(rows) == 1 else "The largest difference seen"
    told = f"{what}: {_told(widest, then)}."
    detectable: Any = widest.get("detectable")
    if is_null(detectable):
        return told
    if _write(widest) is per_cent and detectable >= 1:
        return f"{told} No true difference, however large, would be found four times out of five."
    return f"{told} A true difference of {_size(widest, float(detectable))} would be found four times out of five."


def _listed(rows: list[Row], then: str) -> str:
    told = "; ".join(_told(row, then) for row in rows)
    return f"{told[0].upper()}{told[1:]}"


def _key(row: Row) -> str:
    if not is_null(row.get("stage")):
        return f"reached {stage_name(row)}" if is_null(row.get("measure")) else f"time in {stage_name(row)}"
    if not is_null(row.get("completer")):
        return _COMPLETERS.get(row["completer"]) or str(row["completer"])
    measure: Any = row.get("measure")
    if measure == "restricted_mean_s":
        return f"mean time, up to {duration(float(row['at_s']))}"
    return f"median number of {VALUES[measure]}" if measure in VALUES else "median time" if measure else "share"


def _told(row: Row, then: str) -> str:
    write = _write(row)
    difference = _difference(row)
    limits = between(row["lower"], row["upper"], difference, row.get("df"))
    unit = " points" if write is per_cent else ""
    return (
        f"{_key(row)}: {write(float(row['estimate_a']))} of {int(row['n_a']):,}{then} "
        f"{write(float(row['estimate_b']))} of {int(row['n_b']):,}, a difference of "
        f"{difference(float(row['difference']))}{unit} ({limits})"
    )


def _write(row: Row) -> Callable[[float], str]:
    if row.get("measure") in TIMES:
        return duration
    return number if row.get("comparison") == _MEDIANS else per_cent


def _difference(row: Row) -> Callable[[float], str]:
    write = _write(row)
    return points if write is per_cent else lambda value: signed(value, write)


def _size(row: Row, value: float) -> str:
    write = _write(row)
    return f"{points(value).removeprefix('+')} points" if write is per_cent else write(value)


def period_name(name: object, row: Row, latest: Mapping[str, tuple[pd.Timestamp, pd.Timestamp]] | None = None) -> str:
    """Return what a period is called: a month by its name where both begin with one, otherwise by its first day."""
    # Without the form, a version such as 1.1.0 would pass for a day.
    if not all(_DAY.match(str(row[side])) for side in ("group_a", "group_b")):
        return str(name)
    first, moments = pd.Timestamp(str(name)), [pd.Timestamp(str(row[side])) for side in ("group_a", "group_b")]
    is_month = all(moment.day == 1 and moment == moment.normalize() for moment in moments)
    if is_month:
        return f"{first:%b %Y}"
    begin, end = (latest or {}).get(str(name), (first, first))
    return f"the week of {day(first)}" if end - begin == WEEK else day(first)
