"""Sentences on which servers differ, why a share changed and since when, and how firm a number is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_kit.reports.sentences.comparisons import period_name
from telemetry_kit.reports.sentences.rows import listed, rows_of, sentence
from telemetry_kit.reports.wording import count, day, is_null, number, per_cent, signed

if TYPE_CHECKING:
    import pandas as pd

MOST_NAMED = 5
TELLING_PERIODS = 10
"""With fewer, no run on one side can be long enough to be a signal, and what is ordinary is hardly known."""
_PARTS = {
    "within": "the same servers working differently",
    "mix": "the same servers being a larger or smaller part of all",
    "entered": "servers that came",
    "left": "servers that left",
}


def server_deviation(table: pd.DataFrame, *, things: str) -> str:
    """Return which servers differ by more than chance and ordinary variety explain.

    Parameters
    ----------
    table
        As ``tk.server_deviation`` returns it.
    things
        What the share is of, in words: "completions", "incidents".

    Returns
    -------
    str
        Markdown: one sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> print(server_deviation(pd.DataFrame({
    ...     "server_id": ["a", "b"], "n": [40, 60], "estimate": [0.9, 0.5], "overall": [0.66, 0.66],
    ...     "p_adjusted": [0.01, 0.7], "is_signal": [True, False],
    ... }), things="completions"))
    **1 of 2 servers is out of the ordinary**: a (90 % of 40 completions, against 66 % of all).
    """
    rows = rows_of(table, ("server_id", "n", "estimate", "overall", "p_adjusted", "is_signal"))
    if not rows:
        return f"No server has {things} to be held against the others."
    n_servers = count(len(rows), "server")
    if all(is_null(row["is_signal"]) for row in rows):
        were = "was" if len(rows) == 1 else "were"
        return (
            f"It is not enough to tell whether a server is out of the ordinary: {n_servers} {were} seen, fewer than 10."
        )
    signals = [row for row in rows if not is_null(row["is_signal"]) and row["is_signal"]]
    if not signals:
        return f"None of {n_servers} differs by more than chance and ordinary variety explain."
    signals.sort(key=lambda row: (row["p_adjusted"], str(row["server_id"])))
    named = [f"{row['server_id']} ({per_cent(row['estimate'])} of {int(row['n']):,} {things}" for row in signals]
    named[0] += f", against {per_cent(signals[0]['overall'])} of all"
    shown = [f"{text})" for text in named[:MOST_NAMED]]
    shown += [f"{len(signals) - MOST_NAMED:,} more"] if len(signals) > MOST_NAMED else []
    are = "is" if len(signals) == 1 else "are"
    return f"**{len(signals):,} of {n_servers} {are} out of the ordinary**: {listed(shown)}."


def decomposition(table: pd.DataFrame, *, what: str = "the share") -> str:
    """Return what the latest change of a share is made of.

    Parameters
    ----------
    table
        As ``tk.decompose_difference`` returns it.
    what
        What the share is, in words: "the commanders' share of completions".

    Returns
    -------
    str
        Markdown: the title, and a paragraph that describes it. The parts are of what was seen; whether it is more than
        chance, a comparison tells.

    Examples
    --------
    >>> import pandas as pd
    >>> print(decomposition(pd.DataFrame({
    ...     "group_a": "2020-11-01", "group_b": "2020-12-01", "component": ["within", "mix", "entered", "left"],
    ...     "contribution": [0.04, 0.03, -0.01, 0.0], "n_servers": [9, 9, 2, 0], "estimate_a": 0.5, "estimate_b": 0.56,
    ...     "difference": 0.06,
    ... })))
    From Nov 2020 to Dec 2020 the share went from 50 % to 56 %.
    <BLANKLINE>
    Of these +6 points, +4 come from the same servers working differently (9 servers), ... (0 servers). ...
    """
    sides = ("group_a", "group_b", "estimate_a", "estimate_b")
    rows = rows_of(table, (*sides, "component", "contribution", "n_servers", "difference"))
    if not rows:
        return "No share could be taken apart: there are not two periods with completions."
    latest = rows[-1]
    parts = [row for row in rows if (row["group_a"], row["group_b"]) == (latest["group_a"], latest["group_b"])]
    told = [
        f"{_points(row['contribution'])} from {_PARTS.get(row['component'], row['component'])} "
        f"({count(row['n_servers'], 'server')})"
        for row in parts
    ]
    first, *others = told
    begin, end = (period_name(latest[side], latest) for side in ("group_a", "group_b"))
    before, after = (per_cent(latest[side]) for side in ("estimate_a", "estimate_b"))
    went = f"stayed at {after}" if before == after else f"went from {before} to {after}"
    return sentence(
        f"From {begin} to {end} {what} {went}.",
        f"Of these {_points(latest['difference'])} points, "
        f"{listed([first.replace(' from', ' come from', 1), *others])}. Whether the whole is more than chance, only a "
        "comparison of the two periods tells.",
    )


def process_chart(table: pd.DataFrame, *, what: str) -> str:
    """Return whether a series moved beyond its ordinary variation, and since when.

    Parameters
    ----------
    table
        As ``tk.process_chart`` returns it.
    what
        What the series is, in words: "the number of incidents started".

    Returns
    -------
    str
        Markdown: the title, and a paragraph where there are too few periods to see small changes.

    Examples
    --------
    >>> import pandas as pd
    >>> weeks = pd.DataFrame({"period": pd.date_range("2020-10-05", periods=12, freq="7D")})
    >>> weeks = weeks.assign(is_beyond=False, is_run_signal=False, changed_at=None)
    >>> process_chart(weeks, what="the number of incidents started")
    'In 12 complete periods, the number of incidents started did not move beyond its ordinary variation.'
    """
    rows = rows_of(table, ("period", "is_beyond", "is_run_signal", "changed_at"))
    if not rows:
        return f"No complete period tells of {what}."
    periods = f"in {count(len(rows), 'complete period')}"
    changed = rows[0]["changed_at"]
    n_beyond = sum(not is_null(row["is_beyond"]) and bool(row["is_beyond"]) for row in rows)
    if not is_null(changed):
        when = day(changed) if hasattr(changed, "day") else str(changed)
        return f"**{what[0].upper()}{what[1:]} changed for good**, most likely from {when} on, {periods}."
    if n_beyond:
        were = "was" if n_beyond == 1 else "were"
        return f"{n_beyond:,} of {count(len(rows), 'complete period')} {were} beyond the ordinary variation of {what}."
    if any(not is_null(row["is_run_signal"]) and row["is_run_signal"] for row in rows):
        return f"{what[0].upper()}{what[1:]} stayed on one side for longer than chance explains, {periods}."
    if all(is_null(row["is_beyond"]) for row in rows):
        return (
            f"It is not enough to tell whether {what} moved: {count(len(rows), 'complete period')}, too few for limits."
        )
    unmoved = f"{periods[0].upper()}{periods[1:]}, {what} did not move beyond its ordinary variation."
    return unmoved if len(rows) >= TELLING_PERIODS else sentence(unmoved, "So few periods show large changes only.")


def firmness(table: pd.DataFrame) -> str:
    """Return which headline numbers one server, gaps or incomplete incidents could overturn.

    Parameters
    ----------
    table
        As ``tk.headline_sensitivity`` returns it.

    Returns
    -------
    str
        Markdown: the title, and a paragraph that describes it.

    Examples
    --------
    >>> import pandas as pd
    >>> firmness(pd.DataFrame({
    ...     "number": ["incidents that ended"], "turns_over": [False], "largest_server": ["a"],
    ...     "n_servers_with_gaps": [0],
    ... }))
    'None of 1 headline number turns over without the largest server, a, or for complete incidents alone.'
    """
    rows = rows_of(table, ("number", "turns_over", "largest_server", "n_servers_with_gaps"))
    known = [row for row in rows if not is_null(row["turns_over"])]
    if not known:
        return "No headline number could be made again without a part of what it rests on."
    n_gaps = int(known[0]["n_servers_with_gaps"])
    gaps = f", without {count(n_gaps, 'server')} whose deliveries have gaps" if n_gaps else ""
    without = f"without the largest server, {known[0]['largest_server']}{gaps}, or for complete incidents alone"
    turned = [row["number"] for row in known if row["turns_over"]]
    numbers = count(len(known), "headline number")
    if not turned:
        return f"None of {numbers} turns over {without}."
    turn = "turns" if len(turned) == 1 else "turn"
    return sentence(f"**{len(turned):,} of {numbers} {turn} over** {without}.", f"{_first_up(listed(turned))}.")


def _first_up(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def _points(value: float) -> str:
    """Return a part of a difference in points, to a tenth, so that small parts add up to the whole."""
    return signed(round(100 * value, 1), number)
