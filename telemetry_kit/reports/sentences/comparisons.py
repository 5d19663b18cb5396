"""Sentences on what differs between two groups, or changed from one to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from telemetry_kit.reports.sentences.rows import rows_of, sentence, stage_name
from telemetry_kit.reports.wording import between, count, is_null, per_cent, points

if TYPE_CHECKING:
    import pandas as pd

    from telemetry_kit.reports.sentences.rows import Row

_NEEDED = ("group_a", "group_b", "n_a", "n_b", "estimate_a", "estimate_b", "difference", "lower", "upper", "p_adjusted")
ALPHA = 0.05


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
    rows = [row for row in rows_of(table, _NEEDED) if not is_null(row["difference"])]
    if not rows:
        return f"There are no two groups of {things} to compare."
    first, second = names or (str(rows[0]["group_a"]), str(rows[0]["group_b"]))
    found = [row for row in rows if not is_null(row["p_adjusted"]) and row["p_adjusted"] < ALPHA]
    if not found:
        widest = max(rows, key=lambda row: abs(row["difference"]))
        return (
            f"It is not enough to tell whether {first} and {second} {things} differ: in none of "
            f"{count(len(rows), 'comparison')} does the interval, adjusted for their number, exclude no difference. "
            f"The largest difference seen is that of {_key(widest)}, {_told(widest)}."
        )
    told = [f"{_key(row)}: {_told(row)}" for row in found]
    pair = f"{first[0].upper()}{first[1:]} and {second} {things}"
    title = f"**{pair} differ** in {len(found):,} of {count(len(rows), 'comparison')}."
    return sentence(title, f"{'; '.join(told)}.")


def _key(row: Row) -> str:
    if not is_null(row.get("stage")):
        return stage_name(row)
    return str(row.get("completer", row.get("measure", "the share")))


def _told(row: Row) -> str:
    return (
        f"{per_cent(row['estimate_a'])} of {int(row['n_a']):,} against {per_cent(row['estimate_b'])} of "
        f"{int(row['n_b']):,}, {points(row['difference'])} points ({between(row['lower'], row['upper'], points)})"
    )
