"""Sentences on who completes tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_kit.reports.sentences.rows import apart, listed, rows_of, sentence
from telemetry_kit.reports.wording import between, count, is_null, per_cent, points, with_limits

if TYPE_CHECKING:
    import pandas as pd

COMPLETERS = {
    "commander": "the commander alone",
    "assignee": "the assignee alone",
    "both": "one who is both",
    "neither": "one who is neither commander nor assignee",
}
HALF = 0.5


def task_completion(table: pd.DataFrame) -> str:
    """Return who completes tasks, and who completes most where the intervals tell it.

    Parameters
    ----------
    table
        As ``tk.task_completion`` returns it, without groups.

    Returns
    -------
    str
        Markdown: the title, and a paragraph that describes it.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> task_completion(tk.task_completion(log.tasks)).partition("**: ")[0]
    '**The largest share of tasks is completed by the commander alone'
    """
    rows = rows_of(table, ("completer", "n_completed", "n_clusters", "estimate", "lower", "upper"))
    total = sum(int(row["n_completed"]) for row in rows)
    if not total:
        return "No completion of a task was observed."
    scope = f"{count(total, 'completion')} on {count(max(row['n_clusters'] for row in rows), 'server')}"
    named = {row["completer"]: f"{COMPLETERS[row['completer']]} {with_limits(row)}" for row in rows}
    most = apart(rows, "lower", "upper", side="above")
    if most is None:
        first = sorted(rows, key=lambda row: -row["estimate"])[:2]
        title = (
            f"It is not enough to tell who completes most tasks: {listed([named[row['completer']] for row in first])}"
        )
        rest = [text for completer, text in named.items() if completer not in {row["completer"] for row in first}]
        return sentence(f"{title}, of {scope}.", f"The others: {listed(rest)}." if rest else "")
    rest = [text for completer, text in named.items() if completer != most["completer"]]
    who = COMPLETERS[most["completer"]]
    said = "Most tasks are" if most["lower"] > HALF else "The largest share of tasks is"
    title = f"**{said} completed by {who}**: {with_limits(most)} of {scope}."
    return sentence(title, f"The others: {listed(rest)}.")


def commander_vs_assignee(table: pd.DataFrame) -> str:
    """Return whether commanders or assignees complete more, as far as the interval tells it.

    Parameters
    ----------
    table
        As ``tk.commander_vs_assignee`` returns it, without groups.

    Returns
    -------
    str
        Markdown: one sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> commander_vs_assignee(pd.DataFrame({
    ...     "n_completed": [9], "n_clusters": [3], "commander": [0.6], "assignee": [0.4], "difference": [0.2],
    ...     "lower": [-0.1], "upper": [0.5],
    ... }))
    'It is not enough to tell whether commanders or assignees complete more tasks: 60 % against 40 % of 9 ...'
    """
    rows = [
        row
        for row in rows_of(
            table, ("n_completed", "n_clusters", "commander", "assignee", "difference", "lower", "upper")
        )
        if row["n_completed"]
    ]
    if not rows:
        return "No completion of a task was observed."
    (row,) = rows
    shares = [per_cent(row["commander"]), per_cent(row["assignee"])]
    scope = (
        f"of {count(row['n_completed'], 'completion')} on {count(row['n_clusters'], 'server')}, a difference of "
        f"{points(row['difference'])} points ({between(row['lower'], row['upper'], points, row.get('df'))})"
    )
    if is_null(row["lower"]) or row["lower"] <= 0 <= row["upper"]:
        unknown = "It is not enough to tell whether commanders or assignees complete more tasks"
        return f"{unknown}: {' against '.join(shares)} {scope}."
    if row["lower"] > 0:
        return f"**Commanders complete more tasks than assignees**: {' against '.join(shares)} {scope}."
    return f"**Assignees complete more tasks than commanders**: {' against '.join(reversed(shares))} {scope}."


def concentration(table: pd.DataFrame) -> str:
    """Return how much of the completions the largest server made.

    Parameters
    ----------
    table
        As ``tk.task_completion`` returns it, without groups.

    Returns
    -------
    str
        Markdown: one sentence; a warning where it is more than a third.

    Examples
    --------
    >>> import pandas as pd
    >>> concentration(pd.DataFrame({"n_completed": [9], "largest_cluster_share": [0.5]}))
    '**One server made 50 % of all 9 completions**: what is said of completions is mostly about that server.'
    """
    rows = rows_of(table, ("n_completed", "largest_cluster_share"))
    total = sum(int(row["n_completed"]) for row in rows)
    if not total:
        return "No completion of a task was observed."
    share = max(row["largest_cluster_share"] for row in rows if not is_null(row["largest_cluster_share"]))
    made = f"{per_cent(share)} of all {count(total, 'completion')}"
    if share > 1 / 3:
        return f"**One server made {made}**: what is said of completions is mostly about that server."
    return f"The largest server made {made}: no single server decides the result."
