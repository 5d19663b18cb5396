"""Sentences on how far incidents get, how long they take, and where they go back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from telemetry_kit.reports.sentences.rows import apart, kind_of, listed, rows_of, sentence, stage_name
from telemetry_kit.reports.wording import NULL, count, duration, is_null, per_cent, with_limits

if TYPE_CHECKING:
    import pandas as pd

    from telemetry_kit.reports.sentences.rows import Row

_FUNNEL = ("stage", "n_eligible", "n_reached", "n_open", "n_servers", "estimate", "lower", "upper", "step_estimate")
_DWELL = ("stage", "n_visits", "n_censored", "n_servers", "median_s", "median_lower_s", "median_upper_s")
_TO_END = ("n_incidents", "n_ended", "n_censored", "n_servers", "median_s", "median_lower_s", "median_upper_s")
MOST_LISTED = 3


def stage_funnel(table: pd.DataFrame) -> str:
    """Return what a funnel shows: the step that loses most, where one does, and how far incidents get.

    Parameters
    ----------
    table
        As ``tk.stage_funnel`` returns it, without groups.

    Returns
    -------
    str
        Markdown: the title, and a paragraph that describes it.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> said = stage_funnel(tk.stage_funnel(tk.stage_visits(log.incident, cutoff=log.cutoff)))
    >>> "did not reach" in said or "not enough to tell" in said.lower()
    True
    """
    rows = [
        row
        for row in rows_of(table, _FUNNEL)
        if row["n_eligible"] and row["stage"] > 0 and not is_null(row["estimate"])
    ]
    if not rows:
        return "No incident that was recorded from its start has more than one stage, so none can be lost on the way."
    steps = [_with_step(row) for row in rows if not is_null(row["step_estimate"])]
    last = rows[-1]
    reached = (
        f"Of the {count(last['n_eligible'], 'incident')} on {count(last['n_servers'], 'server')} that "
        f"{'have' if is_null(last.get('status')) else 'can reach'} {stage_name(last)}, {with_limits(last)} reached it"
        f"{_still(last)}."
    )
    worst = apart(steps, "step_lower", "step_upper", side="below")
    if worst is not None:
        lost = f"**Incidents stop most often before {stage_name(worst)}**: {_lost(worst)}."
        return sentence(lost, reached)
    if steps and all(row["step_estimate"] == 1 for row in steps):
        which = "with more than one stage" if is_null(last.get("status")) else "with a status"
        first = f"{count(rows[0]['n_eligible'], 'incident')} on {count(rows[0]['n_servers'], 'server')}"
        return sentence(f"Of {first} {which}, none stopped before the last that it has.", reached)
    if len(steps) == 1:
        return sentence(
            f"{_lost(steps[0])[0].upper()}{_lost(steps[0])[1:]}.", reached if rows[-1] is not rows[0] else ""
        )
    if not steps:
        return sentence("No incident reached a second stage.", reached)
    least, most = (pick(steps, key=lambda row: row["step_estimate"]) for pick in (min, max))
    kind = "stage" if is_null(last.get("status")) else "status"
    shares = dict.fromkeys(per_cent(row["step_estimate"]) for row in (least, most))
    title = (
        f"From one {kind} to the next, {' to '.join(shares)} of the incidents that have a next one go on; it is not "
        "enough to tell where most stop."
    )
    return sentence(title, f"At the first step, {_lost(steps[0])}. {reached}")


def _still(row: Row) -> str:
    """Say how many of those that have not come so far are open."""
    were = "was" if row["n_open"] == 1 else "were"
    return f"; {int(row['n_open']):,} of the others {were} open at the cutoff and still may" if row["n_open"] else ""


def _with_step(row: Row) -> Row:
    known = dict.fromkeys(("step_lower", "step_upper", "step_df")) | row
    if is_null(known.get("n_before")):
        known["n_before"] = round(row["n_reached"] / row["step_estimate"]) if row["step_estimate"] else 0
    return known


def _lost(row: Row) -> str:
    """Say of how many that could go on how many did not."""
    stopped = {
        "estimate": 1 - row["step_estimate"],
        "lower": None if is_null(row["step_upper"]) else 1 - row["step_upper"],
        "upper": None if is_null(row["step_lower"]) else 1 - row["step_lower"],
        "df": row["step_df"],
    }
    kind, have = ("stage", " and have one more") if is_null(row.get("status")) else ("status", "")
    before = f"of the {count(row['n_before'], 'incident')} that reached the {kind} before{have}"
    return f"{before}, {with_limits(stopped)} did not reach {stage_name(row)}"


def stage_dwell(table: pd.DataFrame) -> str:
    """Return how long stages hold incidents, and which one longest where the intervals tell it.

    Parameters
    ----------
    table
        As ``tk.stage_dwell`` returns it, without groups.

    Returns
    -------
    str
        Markdown: the title, and a paragraph that describes it.

    Examples
    --------
    >>> import pandas as pd
    >>> stage_dwell(pd.DataFrame({
    ...     "stage": [0], "n_visits": [9], "n_censored": [2], "n_servers": [3],
    ...     "median_s": [600.0], "median_lower_s": [300.0], "median_upper_s": [900.0],
    ... }))
    'Half of the 9 visits to stage 0 on 3 servers are over within 10 min (5 min to 15 min); 2 were open at the cutoff.'
    """
    kind = kind_of(table)
    rows = [row for row in rows_of(table, _DWELL) if row["n_visits"]]
    if not rows:
        return f"No visit to a {kind} was observed."
    known = [row for row in rows if not is_null(row["median_s"])]
    if not known:
        return f"In no {kind} were half of the visits over by the cutoff, so none has a median."
    if len(known) == 1:
        return f"{_half_over(known[0])[0].upper()}{_half_over(known[0])[1:]}."
    # Where half of the visits are not over yet, the stage may hold incidents longest of all.
    longest = apart(known, "median_lower_s", "median_upper_s", side="above") if len(known) == len(rows) else None
    if longest is not None:
        return f"**{stage_name(longest).capitalize()} holds incidents longest**: {_half_over(longest)}."
    shortest, last = (pick(known, key=lambda row: row["median_s"]) for pick in (min, max))
    within = f"{duration(shortest['median_s'])} ({stage_name(shortest)}) to {duration(last['median_s'])}"
    title = f"Half of the visits to a {kind} are over within {within} ({stage_name(last)})"
    if shortest["median_s"] == last["median_s"]:
        title = (
            f"Half of the visits to {listed([*map(stage_name, known)])} are over within {duration(last['median_s'])}"
        )
    return sentence(
        f"{title}; it is not enough to tell which {kind} holds longest.", f"For {stage_name(last)}: {_half_over(last)}."
    )


def _late(row: Row) -> str:
    """Say how many of the incidents count from the moment on from which they were watched."""
    late = row.get("n_late")
    return "" if is_null(late) or not late else f", {int(late):,} of them watched from later on"


def _half_over(row: Row) -> str:
    visits = f"{count(row['n_visits'], 'visit')} to {stage_name(row)} on {count(row['n_servers'], 'server')}"
    return f"half of the {visits} are over within {_median(row)}; {int(row['n_censored']):,} were open at the cutoff"


def _median(row: Row) -> str:
    limits = {"median_s": row["median_s"], "lower": row["median_lower_s"], "upper": row["median_upper_s"]}
    return with_limits(limits | {"df": row.get("df")}, "median_s", write=duration)


def time_to_end(table: pd.DataFrame) -> str:
    """Return how long incidents take to end.

    Parameters
    ----------
    table
        As ``tk.time_to_end`` returns it, without groups.

    Returns
    -------
    str
        Markdown: one sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> time_to_end(pd.DataFrame({
    ...     "n_incidents": [8], "n_ended": [6], "n_censored": [2], "n_servers": [3],
    ...     "median_s": [7200.0], "median_lower_s": [3600.0], "median_upper_s": [None],
    ... }))
    '**Half of the incidents end within 2 h** (1 h or more): 6 of 8 incidents whose start is known, on 3 ...'
    """
    rows = [row for row in rows_of(table, _TO_END) if row["n_incidents"]]
    if not rows:
        return "No incident was observed from its start."
    (row,) = rows
    ended = (
        f"{int(row['n_ended']):,} of {count(row['n_incidents'], 'incident')} whose start is known{_late(row)}, on "
        f"{count(row['n_servers'], 'server')}, had ended by the cutoff"
    )
    if is_null(row["median_s"]):
        return f"How long half of the incidents take to end is not known yet: {ended}."
    interval = _median(row).partition(" (")[2]
    return f"**Half of the incidents end within {duration(row['median_s'])}** ({interval}: {ended}."


def stage_transitions(table: pd.DataFrame) -> str:
    r"""Return how many visits end with a move back, and from where to where.

    Parameters
    ----------
    table
        As ``tk.stage_transitions`` returns it, without groups.

    Returns
    -------
    str
        Markdown: the title, and a paragraph that describes it.

    Examples
    --------
    >>> import pandas as pd
    >>> stage_transitions(pd.DataFrame({
    ...     "stage": [0, 1], "exit": ["advanced", "returned"], "next_stage": [1, 0], "n": [3, 1], "share": [1.0, 1.0],
    ... }))
    '1 of 4 visits to a stage (25 %) ended with a move back.\n\nThe moves back: from stage 1 to stage 0 (1).'
    """
    rows = rows_of(table, ("stage", "exit", "next_stage", "n", "share"))
    total = sum(int(row["n"]) for row in rows)
    if not total:
        return f"No visit to a {kind_of(table)} was observed."
    back = sorted((row for row in rows if row["exit"] == "returned"), key=lambda row: (-row["n"], row["stage"]))
    n_back = sum(int(row["n"]) for row in back)
    if not back:
        return f"No visit to a {kind_of(table)}, of {total:,}, ended with a move back."
    named = [f"from {stage_name(row)} to {_next_name(row)} ({int(row['n']):,})" for row in back[:MOST_LISTED]]
    rest = n_back - sum(int(row["n"]) for row in back[:MOST_LISTED])
    named += [f"others ({rest:,})"] if rest else []
    visits = f"{count(total, 'visit')} to a {kind_of(table)}"
    title = f"{n_back:,} of {visits} ({per_cent(n_back / total)}) ended with a move back."
    return sentence(title, f"The moves back: {listed(named)}.")


def _next_name(row: Row) -> str:
    status = row.get("next_status")
    if not is_null(status):
        return str(status)
    return NULL if is_null(row["next_stage"]) else f"stage {int(row['next_stage'])}"


def last_stage(table: pd.DataFrame, *, of: Literal["stages", "statuses"] = "stages") -> str:
    """Return how many incidents come to their last stage, or, of those that have a status, are resolved.

    Parameters
    ----------
    table
        As ``tk.last_stage_reached`` returns it, without groups.
    of
        Whether the table is made of ``stage_visits`` or of ``status_visits``.

    Returns
    -------
    str
        Markdown: one sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> last_stage(pd.DataFrame({
    ...     "n_incidents": [8], "n_reached": [6], "n_open": [1], "n_servers": [3], "estimate": [0.75], "lower": [0.3],
    ...     "upper": [0.97], "df": [2.1],
    ... }))
    '**75 % of the incidents with more than one stage reach the last** (30–97 %; few servers, weak ground): 6 ...'
    """
    columns = ("n_incidents", "n_reached", "n_open", "n_servers", "estimate", "lower", "upper")
    rows = [row for row in rows_of(table, columns) if row["n_incidents"]]
    if not rows:
        which = "more than one stage" if of == "stages" else "a status"
        return f"No incident with {which} was recorded from its start."
    (row,) = rows
    limits = with_limits(row).partition(" (")[2].removesuffix(")")
    incidents = f"{count(row['n_incidents'], 'incident')} on {count(row['n_servers'], 'server')}"
    share = per_cent(row["estimate"])
    which = "with more than one stage reach the last" if of == "stages" else "with a status are resolved"
    return f"**{share} of the incidents {which}** ({limits}): {int(row['n_reached']):,} of {incidents}{_still(row)}."


def ended_where(table: pd.DataFrame) -> str:
    """Return how often incidents ended in their last stage, and how often before: done, or given up.

    Parameters
    ----------
    table
        As ``tk.stage_transitions(visits, by="is_last_stage")`` returns it.

    Returns
    -------
    str
        Markdown: one sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> ended_where(pd.DataFrame({
    ...     "is_last_stage": [False, True, True], "stage": [0, 0, 1], "exit": ["ended"] * 3, "n": [6, 3, 1],
    ... }))
    'Incidents ended 4 times in their last stage (40 %, 3 of these in the only stage they have) and 6 times before ...'
    """
    rows = [row for row in rows_of(table, ("is_last_stage", "stage", "exit", "n")) if row["exit"] == "ended"]
    known = [row for row in rows if not is_null(row["is_last_stage"])]
    total = sum(int(row["n"]) for row in known)
    if not total:
        return "No incident ended in a stage."
    n_last = sum(int(row["n"]) for row in known if row["is_last_stage"])
    n_only = sum(int(row["n"]) for row in known if row["is_last_stage"] and row["stage"] == 0)
    only = f", {n_only:,} of these in the only stage they have" if n_only else ""
    return (
        f"Incidents ended {count(n_last, 'time')} in their last stage ({per_cent(n_last / total)}{only}) and "
        f"{count(total - n_last, 'time')} before it ({per_cent(1 - n_last / total)})."
    )
