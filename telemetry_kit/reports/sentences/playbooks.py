"""Sentences on how large playbooks are."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from telemetry_kit.reports.columns import VALUES
from telemetry_kit.reports.sentences.rows import rows_of
from telemetry_kit.reports.wording import between, count, is_null, number, signed

if TYPE_CHECKING:
    import pandas as pd

_SIZES = ("measure", "n", "n_servers", "median", "median_lower", "median_upper", "p05", "p95")


def playbook_sizes(table: pd.DataFrame) -> str:
    """Return how large playbooks are, by the first measure of a table.

    Parameters
    ----------
    table
        As ``tk.playbook_sizes`` returns it, without groups.

    Returns
    -------
    str
        Markdown: one sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> playbook_sizes(pd.DataFrame({
    ...     "measure": ["num_checklists"], "n": [103], "n_servers": [34], "median": [4.0], "median_lower": [4.0],
    ...     "median_upper": [6.0], "p05": [1.0], "p95": [9.0],
    ... }))
    '**Half of the playbooks have at most 4 stages** (4–6), nine in ten between 1 and 9: 103 playbooks on 34 servers.'
    """
    rows = [row for row in rows_of(table, _SIZES) if row["n"]]
    if not rows:
        return "No playbook is known at the cutoff."
    row = rows[0]
    things = VALUES.get(row["measure"], row["measure"])
    # Quantiles between two playbooks are no whole numbers, but of most measures only whole ones exist.
    least, most = (
        row[name] if row["measure"] == "items_per_checklist" else round(row[name]) for name in ("p05", "p95")
    )
    limits = between(row["median_lower"], row["median_upper"], number, row.get("df"))
    return (
        f"**Half of the playbooks have at most {number(row['median'])} {things}** ({limits}), nine in ten "
        f"between {number(least)} and {number(most)}: {count(row['n'], 'playbook')} on "
        f"{count(row['n_servers'], 'server')}."
    )


def playbook_growth(table: pd.DataFrame) -> str:
    """Return how much playbooks have grown after the last update that at least ten of them have.

    Parameters
    ----------
    table
        As ``tk.playbook_growth`` returns it, without groups.

    Returns
    -------
    str
        Markdown: one sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> playbook_growth(pd.DataFrame({
    ...     "measure": ["total_checklist_items"] * 2, "update": [0, 1], "n": [30, 20], "n_servers": [9, 8],
    ...     "mean_change": [0.0, 1.5], "lower": [0.0, -0.5], "upper": [0.0, 3.5],
    ... }))
    'Not enough to tell if playbooks grow: after the first update, 20 playbooks on 8 servers had changed by ...'
    """
    rows = [
        row
        for row in rows_of(table, ("measure", "update", "n", "n_servers", "mean_change", "lower", "upper"))
        if row["n"] and row["update"] == 1
    ]
    if not rows:
        return "No playbook was updated since its creation was recorded."
    (row,) = rows
    things = VALUES.get(row["measure"], row["measure"])
    limits = between(row["lower"], row["upper"], partial(signed, write=number), row.get("df"))
    changed = (
        f"after the first update, {count(row['n'], 'playbook')} on {count(row['n_servers'], 'server')} had changed by "
        f"{signed(row['mean_change'], number)} {things} on average ({limits})"
    )
    if is_null(row["lower"]) or row["lower"] <= 0 <= row["upper"]:
        return f"Not enough to tell if playbooks grow: {changed}."
    return f"**Playbooks {'grow' if row['lower'] > 0 else 'shrink'} when they are updated**: {changed}."


def playbook_usage(table: pd.DataFrame) -> str:
    """Return how many playbooks are known to be used and to be unused, and of how many that is unknown.

    Parameters
    ----------
    table
        As ``tk.playbook_usage`` returns it.

    Returns
    -------
    str
        Markdown: one sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> playbook_usage(pd.DataFrame({"n_incidents": pd.array([3, 0, None], "Int64"), "n_unnamed": [0, 0, 7]}))
    'Of 3 playbooks, 1 is known to be used and 1 to be unused; of 1 it is unknown, since no incident of its server ...'
    """
    rows = rows_of(table, ("n_incidents", "n_unnamed"))
    if not rows:
        return "No playbook is known at the cutoff."
    n_unknown = sum(is_null(row["n_incidents"]) for row in rows)
    n_used = sum(not is_null(row["n_incidents"]) and row["n_incidents"] > 0 for row in rows)
    n_unused = len(rows) - n_unknown - n_used
    told = f"{n_used:,} {'is' if n_used == 1 else 'are'} known to be used and {n_unused:,} to be unused"
    unknown = f"; of {n_unknown:,} it is unknown, since no incident of {'its' if n_unknown == 1 else 'their'} server"
    names = " names its playbook" if n_unknown == 1 else "s names its playbook"
    return f"Of {count(len(rows), 'playbook')}, {told}{unknown + names if n_unknown else ''}."
