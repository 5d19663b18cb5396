"""Sentences on what was read, who sent it, and how many incidents there were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from telemetry_kit.reports.sentences.rows import check_columns, listed, rows_of
from telemetry_kit.reports.wording import count, day, per_cent

if TYPE_CHECKING:
    from collections.abc import Sequence

_EVENTS = ("n_incident", "n_tasks", "n_playbook")


def server_activity(table: pd.DataFrame) -> str:
    """Return how many servers were active, and when.

    Parameters
    ----------
    table
        As ``tk.server_activity`` or ``tk.server_overview`` returns it.

    Returns
    -------
    str
        Markdown: one sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> server_activity(pd.DataFrame({
    ...     "server_id": ["a", "b"], "date": pd.to_datetime(["2020-11-02", "2020-11-03"]),
    ...     "n_incident": [1, 2], "n_tasks": [0, 3], "n_playbook": [0, 0],
    ... }))
    '2 servers sent 6 events from 2 Nov 2020 to 3 Nov 2020.'
    """
    days = ("first_day", "last_day") if "first_day" in table else ("date", "date")
    check_columns(table, ("server_id", *days, *_EVENTS))
    if table.empty:
        return "No server sent an event of these types."
    n_events = int(table[list(_EVENTS)].to_numpy().sum())
    first, last = table[days[0]].min(), table[days[1]].max()
    sent = f"{count(table['server_id'].nunique(), 'server')} sent {count(n_events, 'event')}"
    return f"{sent} from {day(first)} to {day(last)}."


def rejected(audit: pd.DataFrame) -> str:
    """Return how many records were rejected.

    Parameters
    ----------
    audit
        As ``EventLog.audit``.

    Returns
    -------
    str
        Markdown: one sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> rejected(pd.DataFrame({"n_read": [8], "n_rejected": [2]}))
    '**2 of 8 records (25 %) were rejected**, each with its reasons.'
    """
    check_columns(audit, ("n_read", "n_rejected"))
    n_read, n_rejected = int(audit["n_read"].sum()), int(audit["n_rejected"].sum())
    if not n_read:
        return "No record was read."
    if not n_rejected:
        return f"None of {count(n_read, 'record')} was rejected."
    were = "was" if n_rejected == 1 else "were"
    share = per_cent(n_rejected / n_read)
    return f"**{n_rejected:,} of {count(n_read, 'record')} ({share}) {were} rejected**, each with its reasons."


def versions_in_use(table: pd.DataFrame) -> str:
    """Return which versions of the plugin were in use on the last day of a table.

    Parameters
    ----------
    table
        As ``tk.versions_in_use`` returns it.

    Returns
    -------
    str
        Markdown: one sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> versions_in_use(pd.DataFrame({
    ...     "date": pd.to_datetime(["2020-12-20"] * 2), "version": ["1.0.0", "1.1.0"], "n_servers": [8, 31],
    ...     "n_in_use": [39, 39],
    ... }))
    'On 20 Dec 2020, 31 of 39 servers (79 %) ran version 1.1.0, 8 (21 %) 1.0.0.'
    """
    check_columns(table, ("date", "version", "n_servers", "n_in_use"))
    last = table[table["date"] == table["date"].max()]
    rows = [row for row in rows_of(last, ("n_in_use",)) if row["n_in_use"]]
    if not rows:
        return "No version was in use."
    rows.sort(key=lambda row: (-row["n_servers"], str(row["version"])))
    total = int(rows[0]["n_in_use"])
    shares = [f"({per_cent(row['n_servers'] / total)})" for row in rows]
    first = f"{int(rows[0]['n_servers']):,} of {count(total, 'server')} {shares[0]} ran version {rows[0]['version']}"
    others: Sequence[str] = [
        f"{int(row['n_servers']):,} {share} {row['version']}" for row, share in zip(rows[1:4], shares[1:4], strict=True)
    ]
    return f"On {day(pd.Timestamp(rows[0]['date']))}, {', '.join([first, *others])}."


def incident_flow(table: pd.DataFrame) -> str:
    """Return how many incidents were started and ended, and how many are open.

    Parameters
    ----------
    table
        As ``tk.incident_flow`` returns it, without groups.

    Returns
    -------
    str
        Markdown: one sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> incident_flow(pd.DataFrame({
    ...     "n_started": [5, 3], "n_ended": [2, 4], "n_reopened": [0, 1], "n_open_at_end": [3, 2], "n_open_max": [4, 5],
    ... }))
    '8 incidents were started and 6 ended; 2 are open at the cutoff, and at most 5 were open at once.'
    """
    rows = rows_of(table, ("n_started", "n_ended", "n_open_at_end", "n_open_max"))
    if not rows:
        return "No incident was observed."
    started, ended = (sum(int(row[name]) for row in rows) for name in ("n_started", "n_ended"))
    n_open, most = int(rows[-1]["n_open_at_end"]), max(int(row["n_open_max"]) for row in rows)
    unknown = sum(int(row.get("n_unknown") or 0) for row in rows[-1:])
    silent = f"; of {unknown:,} more nobody knows, because their servers fell silent" if unknown else ""
    are = "is" if n_open == 1 else "are"
    return (
        f"{count(started, 'incident')} {'was' if started == 1 else 'were'} started and {ended:,} ended; {n_open:,} "
        f"{are} open at the cutoff, and at most {most:,} were open at once{silent}."
    )


def server_lifecycle(table: pd.DataFrame) -> str:
    """Return how many servers were new, stayed, came back and left in the last period that was recorded as a whole.

    Parameters
    ----------
    table
        As ``tk.server_lifecycle`` returns it.

    Returns
    -------
    str
        Markdown: one sentence.

    Examples
    --------
    >>> import pandas as pd
    >>> server_lifecycle(pd.DataFrame({
    ...     "period": pd.to_datetime(["2020-11-02", "2020-11-09"]), "n_new": [9, 2], "n_retained": [0, 7],
    ...     "n_returned": [0, 0], "n_active": [9, 9], "n_lapsed": [0, 2], "is_complete": [True, True],
    ... }))
    '9 servers were active in the period that began on 9 Nov 2020: 2 new, 7 retained and 0 returned; 2 lapsed.'
    """
    rows = rows_of(table, ("period", "n_new", "n_retained", "n_returned", "n_active", "n_lapsed", "is_complete"))
    complete = [row for row in rows if row["is_complete"]]
    if not complete:
        return "No period was recorded as a whole, so that nobody can say which servers came, stayed or left."
    row = complete[-1]
    numbers = [f"{int(row[f'n_{name}']):,} {name}" for name in ("new", "retained", "returned")]
    were = "was" if row["n_active"] == 1 else "were"
    n_unused = int(row.get("n_unused") or 0)
    unused = f", of which {n_unused:,} sent events of other types: on, and not used" if n_unused else ""
    return (
        f"{count(row['n_active'], 'server')} {were} active in the period that began on {day(row['period'])}: "
        f"{listed(numbers)}; {int(row['n_lapsed']):,} lapsed{unused}."
    )
