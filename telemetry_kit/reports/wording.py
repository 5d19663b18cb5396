"""How a report writes a number: shares, durations, counts, months, and each with its interval."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from telemetry_kit.plots.groups import WEAK_DF

if TYPE_CHECKING:
    from collections.abc import Callable

NULL = "–"
MINUTE, HOUR, DAY = 60, 3600, 86_400
LEAST_SHARE = 0.0005
NOTHING_TOLD = "servers too few, or all alike"
"""Why an interval is missing."""


def is_null(value: object) -> bool:
    """Tell whether a value is no value."""
    return value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and math.isnan(value))


def per_cent(share: float, *, symbol: bool = True) -> str:
    """Return a share in per cent, with a decimal where it is next to nothing or nearly all.

    Examples
    --------
    >>> [per_cent(share) for share in (0.0, 0.004, 0.56, 0.9972, 1.0)]
    ['0 %', '0.4 %', '56 %', '99.7 %', '100 %']
    """
    value = 100 * share
    is_near_an_end = 0 < value < 1 or 99 < value < 100  # noqa: PLR2004 - the ends of per cents
    text = f"{value:.1f}" if is_near_an_end else f"{value:.0f}"
    if text in {"0.0", "100.0"}:
        text = f"{value:.2g}" if value < 1 else f"{value:.5g}"
    return f"{text} %" if symbol else text


def points(difference: float) -> str:
    """Return a difference of shares in percentage points, with its sign.

    Examples
    --------
    >>> [points(difference) for difference in (0.104, -0.02, 0.0)]
    ['+10', '−2', '0']
    """
    value = 100 * difference
    text = f"{abs(value):.0f}" if abs(value) >= 1 or value == 0 else f"{abs(value):.1f}"
    sign = "" if float(text) == 0 else "+" if value > 0 else "−"
    return f"{sign}{text.removesuffix('.0')}"


def number(value: float) -> str:
    """Return a number to three digits, a whole one in full.

    Examples
    --------
    >>> [number(value) for value in (12_345, 23.563, 0.1234, -4.0)]
    ['12,345', '23.6', '0.123', '−4']
    """
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    decimals = 0 if value == int(value) or abs(value) >= 100 else 2 - math.floor(math.log10(abs(value)))  # noqa: PLR2004
    text = f"{value:,.{min(max(decimals, 0), 6)}f}".replace("-", "−")
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration(seconds: float) -> str:
    """Return a number of seconds in the two largest units that tell it, in one where that has two digits.

    Examples
    --------
    >>> [duration(s) for s in (0.25, 42, 454, 754, 12_360, 273_600, 950_400)]
    ['0.25 s', '42 s', '7 min 34 s', '13 min', '3 h 26 min', '3 d 4 h', '11 d']
    """
    if abs(seconds) < MINUTE:
        return f"{seconds:.3g} s"
    sign = "-" if seconds < 0 else ""
    for larger, smaller, names in ((DAY, HOUR, "d h"), (HOUR, MINUTE, "h min"), (MINUTE, 1, "min s")):
        # What rounds up to the larger unit is shown in it.
        whole, rest = divmod(round(abs(seconds) / smaller), larger // smaller)
        if whole:
            first, second = names.split()
            is_alone = whole >= 10 and first != "h"  # noqa: PLR2004 - two digits say enough
            if is_alone:
                return f"{sign}{round(abs(seconds) / larger)} {first}"
            return f"{sign}{whole} {first}" + (f" {rest} {second}" if rest else "")
    return f"{seconds:.3g} s"


def count(n: float, thing: str, things: str | None = None) -> str:
    """Return a count with what it counts.

    Examples
    --------
    >>> count(1, "server"), count(2000, "server"), count(0, "case", "cases of")
    ('1 server', '2,000 servers', '0 cases of')
    """
    return f"{int(n):,} {thing if int(n) == 1 else things or f'{thing}s'}"


def day(moment: pd.Timestamp) -> str:
    """Return a day as people write it.

    Examples
    --------
    >>> day(pd.Timestamp("2020-11-02"))
    '2 Nov 2020'
    """
    return f"{moment.day} {moment:%b %Y}"


def signed(value: float, write: Callable[[float], str]) -> str:
    """Return a difference with its sign.

    Examples
    --------
    >>> signed(-60.0, duration), signed(3.0, number), signed(0.0, number)
    ('−1 min', '+3', '0')
    """
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{write(abs(value))}"


def share_limit(share: float, *, symbol: bool = True) -> str:
    """Return a limit of a share in per cent, and no more than that where it is next to nothing or nearly all.

    Examples
    --------
    >>> [share_limit(share) for share in (0.0, 5e-7, 0.004, 0.49, 0.9998, 1.0)]
    ['0 %', '<0.1 %', '0.4 %', '49 %', '>99.9 %', '100 %']
    """
    if 0 < share < LEAST_SHARE:
        text = "<0.1"
    elif 1 - LEAST_SHARE < share < 1:
        text = ">99.9"
    else:
        return per_cent(share, symbol=symbol)
    return f"{text} %" if symbol else text


def between(lower: Any, upper: Any, write: Any = per_cent, df: Any = None) -> str:  # noqa: ANN401 - cells of any column
    """Return the limits of an interval, or that there is none; and where it rests on few servers, that it does.

    Examples
    --------
    >>> between(0.49, 0.63), between(None, None), between(600.0, None, duration, 2.5)
    ('49–63 %', 'no interval: servers too few, or all alike', '10 min or more; few servers, weak ground')
    """
    if is_null(lower) and is_null(upper):
        return f"no interval: {NOTHING_TOLD}"
    return _limits(lower, upper, write) + ("; few servers, weak ground" if not is_null(df) and df < WEAK_DF else "")


def _limits(lower: Any, upper: Any, write: Any) -> str:  # noqa: ANN401 - limits of any kind, and their words
    write_limit = share_limit if write is per_cent else write
    if is_null(upper):
        return f"{write_limit(float(lower))} or more"
    if is_null(lower):
        return f"{write_limit(float(upper))} or less"
    if write is per_cent:
        return f"{share_limit(float(lower), symbol=False)}–{share_limit(float(upper))}"
    first, last = write(float(lower)), write(float(upper))
    return f"{first} to {last}" if write is duration or {"−", "+"} & {*first, *last} else f"{first}–{last}"


def with_limits(row: Any, estimate: str = "estimate", prefix: str = "", write: Any = per_cent) -> str:  # noqa: ANN401
    """Return an estimate of a row with its interval, and say where it rests on few servers.

    Examples
    --------
    >>> row = {"estimate": 0.56, "lower": 0.49, "upper": 0.63, "df": 2.5}
    >>> with_limits(row)
    '56 % (49–63 %; few servers, weak ground)'
    """
    limits = between(row[f"{prefix}lower"], row[f"{prefix}upper"], write, row.get(f"{prefix}df"))
    return f"{write(float(row[estimate]))} ({limits})"
