"""The rows of a tidy table as the groups of a picture: which there are, what they are called, how they look."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from telemetry_kit.errors import MissingColumnError, ParameterError
from telemetry_kit.plots import given
from telemetry_kit.schemas.kinds import advice

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

MARKERS = ("o", "s", "D", "^", "v", "P", "X", "*")
LINE_STYLES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (7, 3)))
MOST_COLORS = len(given.COLORS)
MOST_ROWS = 40
MOST_PANELS = 6
MOST_STAGES = 30
"""How many stages fit into a picture; real incidents have fewer, but a wrong number in one event is enough."""
WEAK_DF = 4
"""With fewer degrees of freedom an interval rests on weak ground, few servers: pictures and sentences say so."""
UNKNOWN = "unknown"
LABEL_LENGTH = 16
_MONTH = re.compile(r"\d{4}-\d\d-01")


@dataclass(frozen=True)
class Group:
    """The rows of one group, with its name and its looks."""

    label: str
    rows: pd.DataFrame
    color: str
    marker: str
    line_style: Any


@dataclass(frozen=True)
class Groups:
    """The groups that a picture shows, and how many the table has."""

    title: str
    shown: list[Group]
    n_groups: int
    chosen_by: str

    def __len__(self) -> int:
        return len(self.shown)

    def note(self) -> str:
        """Say which groups are left out; empty where none is."""
        if len(self) == self.n_groups:
            return ""
        return f"{len(self)} of {self.n_groups:,} groups are shown: those with the most {self.chosen_by}"


def _line_style(position: int) -> Any:  # noqa: ANN401 - a name or a pattern, as Matplotlib takes them
    return LINE_STYLES[position % MOST_COLORS]


def need(table: object, columns: Iterable[str], *, parameter: str = "table") -> pd.DataFrame:
    """See that ``table`` is a pandas frame with ``columns``, and return it."""
    if not isinstance(table, pd.DataFrame):
        raise ParameterError(parameter, type(table).__name__, "a pandas.DataFrame")
    missing = [column for column in columns if column not in table.columns]
    if missing:
        hint = advice(parameter, table.columns)
        if parameter == "table":
            hint = f"{hint} Pass the table that the analysis of the same name returns".strip()
        raise MissingColumnError(parameter, missing, table.columns, advice=hint)
    return table


def split(table: pd.DataFrame, before: str, *, size: str, things: str, most: int = MOST_COLORS) -> Groups:
    """Split a table into its groups.

    Parameters
    ----------
    table
        A tidy table. The columns in front of ``before`` make its groups; without any, all rows are one group.
    before
        The first column that is the table's own.
    size
        The count that tells large groups from small ones.
    things
        What that count counts, in words.
    most
        With more groups than this, only the largest are kept, in their order in the table.

    Returns
    -------
    Groups
        The groups in the order of the table; none where it is empty.
    """
    by = [str(column) for column in table.columns[: list(table.columns).index(before)]]
    number: npt.NDArray[Any] = np.zeros(len(table), np.int64)
    if by and len(table):
        number = table.groupby(by, sort=False, dropna=False, observed=True).ngroup().to_numpy()
    sizes = np.zeros(number.max(initial=-1) + 1)
    np.maximum.at(sizes, number, np.nan_to_num(numbers(table[size])))
    shown = []
    for position, kept in enumerate(sorted(np.argsort(-sizes, kind="stable")[:most])):
        rows = table[number == kept]
        name = " · ".join(label(rows[column].iloc[0]) for column in by)
        looks = given.colors()[position % MOST_COLORS], MARKERS[position % MOST_COLORS], _line_style(position)
        shown.append(Group(name, rows, *looks))
    return Groups(" · ".join(words(column) for column in by), shown, len(sizes), things)


def first_stages(table: pd.DataFrame, most: int = MOST_STAGES) -> tuple[pd.DataFrame, str]:
    """Keep the rows of the first stages, and say that there are more; the latter is empty where there are not."""
    told = [numbers(table[column]) for column in ("stage", "next_stage") if column in table]
    is_later = np.any([stages >= most for stages in told], axis=0)
    return (table[~is_later], f"stages from {most} on are not shown") if is_later.any() else (table, "")


def stage_names(table: pd.DataFrame, n_stages: int) -> list[str]:
    """Return what stages are called: the statuses that a table names beside them, or their numbers."""
    names = {stage: str(stage) for stage in range(n_stages)}
    for place, status in (("stage", "status"), ("next_stage", "next_status")):
        if status in table:
            told = table[[place, status]].dropna().drop_duplicates()
            names |= {int(stage): str(name) for stage, name in told.itertuples(index=False)}
    return [names[stage] for stage in range(n_stages)]


def stage_word(table: pd.DataFrame) -> str:
    """Return what stages are: stages, or statuses where a table names them."""
    return "status" if "status" in table else "stage"


def stage_axis(table: pd.DataFrame) -> str:
    """Return what an axis of stages is called: those of status visits are statuses."""
    return "Status" if "status" in table else "Stage (counted from 0)"


def numbers(column: pd.Series[Any]) -> npt.NDArray[np.float64]:
    """Return a column as floats, its nulls as NaN."""
    return column.to_numpy(dtype=np.float64, na_value=np.nan)


def total(column: pd.Series[Any]) -> int:
    """Return the sum of a column of counts."""
    return int(column.sum())


def label(value: Any) -> str:  # noqa: ANN401 - a cell of any column
    """Return a value as people read it in a label: a long one is shortened in its middle."""
    if pd.isna(value):
        return UNKNOWN
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "".join(character if character.isprintable() else "?" for character in str(value))
    if len(text) > LABEL_LENGTH:
        text = f"{text[: LABEL_LENGTH // 2]}…{text[-(LABEL_LENGTH // 2 - 1) :]}"
    return text.replace("$", r"\$")


def pair_names(first: object, second: object) -> list[str]:
    """Return what two groups are called that are held against each other: months by their names, where both are.

    Examples
    --------
    >>> pair_names("2021-01-01", "2021-02-01"), pair_names("2021-01-25", "2021-02-01")
    (['Jan 2021', 'Feb 2021'], ['2021-01-25', '2021-02-01'])
    """
    names = [label(group) for group in (first, second)]
    if all(_MONTH.fullmatch(name) for name in names):
        return [f"{datetime.fromisoformat(name):%b %Y}" for name in names]
    return names


def words(column: str) -> str:
    """Return the name of a column as words.

    Examples
    --------
    >>> words("plugin_version"), words("is_public")
    ('plugin version', 'public')
    """
    return column.removeprefix("is_").replace("_", " ")


def count(n: float, thing: str, things: str | None = None) -> str:
    """Return a count with what it counts.

    Examples
    --------
    >>> count(1, "server"), count(2000, "server"), count(3, "visit", "of all visits")
    ('1 server', '2,000 servers', '3 of all visits')
    """
    many = f"{thing}s" if things is None else things
    return f"{int(n):,} {thing if int(n) == 1 else many}"


def largest(column: pd.Series[Any]) -> int:
    """Return the largest of a column of counts; 0 where there is none."""
    return 0 if column.isna().all() else int(column.max())


def limits_name(table: pd.DataFrame) -> str:
    """Return what to call the intervals in a table, with their level where it says it; empty where it has none."""
    limits = [table[name] for name in table if str(name).endswith(("lower", "upper", "lower_s", "upper_s"))]
    if limits and all(column.isna().all() for column in limits):
        return ""
    level = table.attrs.get("level")
    return "intervals" if level is None else f"{100 * level:.4g} % intervals"


def with_limits(thing: str, table: pd.DataFrame) -> str:
    """Name an estimate, and its intervals where the table has any."""
    name = limits_name(table)
    return f"{thing} and its {name.removesuffix('s')}" if name else thing


def limits_said(table: pd.DataFrame) -> str:
    """Say what the bars of a picture are; nothing where there are none."""
    name = limits_name(table)
    return f"bars: {name}" if name else ""


def is_weak(rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Tell which rows have an interval that rests on few servers: one with few degrees of freedom."""
    return numbers(rows["df"]) < WEAK_DF if "df" in rows else np.zeros(len(rows), dtype=np.bool_)


def weak_said(table: pd.DataFrame) -> str:
    """Say what lighter ink means; nothing where nothing has any."""
    return "lighter ink: rests on few servers" if is_weak(table).any() else ""


def joined(parts: Sequence[str]) -> str:
    """Join what is to be said into one note."""
    return "; ".join(part for part in parts if part)
