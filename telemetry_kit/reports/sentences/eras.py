"""Sentences on which versions of the plugin a recording holds, and what the events of each can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from telemetry_kit.reports.sentences.rows import listed, rows_of, sentence
from telemetry_kit.reports.wording import count, day

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from telemetry_kit.reports.sentences.rows import Row

TELLS = {
    "n_with_stages": "how far incidents get in their stages",
    "n_with_status": "which status incidents have",
    "n_with_playbook": "which playbook an incident came from",
    "n_with_completer": "whether commanders or assignees complete tasks",
    "n_playbooks": "how large playbooks are",
}
"""What the events of a version can tell, by the column that counts of what."""
_MANY = 4


def recording_eras(table: pd.DataFrame) -> str:
    r"""Return which versions of the plugin a recording holds, from when to when, and which questions they can answer.

    Parameters
    ----------
    table
        As ``tk.recording_eras`` returns it.

    Returns
    -------
    str
        Markdown: the title, and a paragraph that describes it.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> print(recording_eras(tk.recording_eras(log)).partition("\n")[0])
    2 versions of the plugin sent these events, 1.0.0 and 1.1.0, from 2 Nov 2020 to 20 Dec 2020.
    """
    rows = rows_of(table, ("plugin_version", "first_at", "last_at", *TELLS))
    if not rows:
        return "No version of the plugin sent an event of these types."
    names = [str(row["plugin_version"]) for row in rows]
    first, last = min(row["first_at"] for row in rows), max(row["last_at"] for row in rows)
    title = (
        f"{count(len(rows), 'version')} of the plugin sent these events, {_named(names)}, from {day(first)} to "
        f"{day(last)}."
    )
    told = [f"{what} ({_which(rows, names, column)})" for column, what in TELLS.items()]
    return sentence(title, f"What they tell, and which of them do: {'; '.join(told)}.")


def answers(row: Mapping[Any, Any]) -> str:
    """Return which questions the events of one version can answer, as a list in words.

    Examples
    --------
    >>> answers({"n_with_stages": 3, "n_with_status": 0, "n_with_playbook": 0, "n_with_completer": 9, "n_playbooks": 0})
    'stages of 3 incidents; who changed tasks, 9 times'
    """
    told = []
    for column, text in (
        ("n_with_stages", "stages of {}"),
        ("n_with_status", "a status of {}"),
        ("n_with_playbook", "the playbook of {}"),
    ):
        told += [text.format(count(row[column], "incident"))] if row[column] else []
    told += [f"who changed tasks, {count(row['n_with_completer'], 'time')}"] if row["n_with_completer"] else []
    told += [f"the size of {count(row['n_playbooks'], 'playbook')}"] if row["n_playbooks"] else []
    return "; ".join(told) or "none of the questions of this report"


def _which(rows: list[Row], names: list[str], column: str) -> str:
    those = [name for row, name in zip(rows, names, strict=True) if row[column]]
    if not those:
        return "none"
    return "all" if len(those) == len(rows) else _named(those)


def _named(names: list[str]) -> str:
    return listed(names) if len(names) <= _MANY else f"{names[0]} to {names[-1]}"
