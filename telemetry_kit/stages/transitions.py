"""Where incidents go from each stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import narwhals.stable.v2 as nw

from telemetry_kit import engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

_OWN = ["stage", "exit", "next_stage", "n", "share"]
_EXITS = ("advanced", "returned", "ended", "open")


def stage_transitions(visits: IntoFrame, *, by: str | Sequence[str] | None = None) -> pd.DataFrame:
    """Return how visits to each stage end, and where they lead.

    Parameters
    ----------
    visits
        Visits, as ``stage_visits`` returns them, in a frame of any kind.
    by
        Columns of ``visits`` that make groups; a null is a group of its own.

    Returns
    -------
    pandas.DataFrame
        One row per group, stage, exit and next stage, in that order: the columns of ``by``; ``stage``; ``exit``
        (``advanced``, ``returned``, ``ended``, ``open``); ``next_stage`` (null unless moved); ``n`` (visits); ``share``
        (of the visits to that stage in the group).

    Raises
    ------
    ParameterError
        Where the frame lacks a column, or ``by`` is none of its columns.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> moves = tk.stage_transitions(tk.stage_visits(log.incident, cutoff=log.cutoff))
    >>> moves.loc[0, ["stage", "exit", "next_stage"]].tolist()
    [0, 'advanced', 1]
    """
    frame = engine.open_frame(visits, ("stage", "exit", "next_stage"), parameter="visits")
    keys = engine.group_columns(by, frame, reserved=_OWN)
    table = engine.collect(frame.group_by(*keys, "stage", "exit", "next_stage").agg(n=nw.len()))
    in_stage = table.groupby([*keys, "stage"], dropna=False)["n"].transform("sum")
    table["share"] = (table["n"] / in_stage).astype("float64")
    table["rank"] = table["exit"].map(dict(zip(_EXITS, range(len(_EXITS)), strict=True)))
    return engine.sort_rows(table, [*keys, "stage", "rank", "next_stage"])[[*keys, *_OWN]]
