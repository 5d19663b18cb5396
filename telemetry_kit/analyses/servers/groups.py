"""What a table of one's own says of servers: plans, regions, seats."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.errors import ParameterError, UnmatchedKeysWarning

if TYPE_CHECKING:
    from collections.abc import Sequence

    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT

_PERSON = frozenset(
    [
        *("address", "admin", "birthday", "contact", "customer", "email", "fax", "firstname"),
        *("fullname", "ip", "lastname", "login", "mail", "mobile", "name", "owner"),
        *("person", "phone", "street", "surname", "user", "username"),
    ]
)
"""Words in the names of columns that tell of persons."""

_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_ADDRESS = r"^\S+@\S+\.\S+$"
_KEYS_SHOWN = 3


def attach_groups(
    frame: IntoFrameT, table: IntoFrame, *, on: str = "server_id", columns: str | Sequence[str] | None = None
) -> IntoFrameT:
    """Add what a table of one's own says of each server, such as its plan or region, to group and compare by it.

    Parameters
    ----------
    frame
        A frame of any kind with the column ``on``: events, visits, a snapshot.
    table
        A frame with a row per value of ``on``; in memory, or on the engine of ``frame``.
    on
        The column that both have.
    columns
        Which columns of ``table`` to add; by default all. What looks like persons (names, addresses) is added only
        where it is named here.

    Returns
    -------
    frame
        Of the same kind as ``frame``, lazy where it is lazy; its rows (in their order, where it has one) with the
        columns of ``table``. They are null where ``table`` does not have the key, so that every summary by them has a
        group for those.

    Raises
    ------
    ParameterError
        Where a key stands in several rows of ``table``, a column is missing or already there, or looks like persons
        and is not named.

    Warns
    -----
    UnmatchedKeysWarning
        Where ``frame`` is in memory and has keys that ``table`` does not have: how many, and some of them.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> events = pd.DataFrame({"server_id": ["a", "b", "a"]})
    >>> plans = pd.DataFrame({"server_id": ["a", "b"], "plan": ["free", "paid"], "contact": ["ann@example.org", None]})
    >>> tk.attach_groups(events, plans, columns="plan")
      server_id  plan
    0         a  free
    1         b  paid
    2         a  free
    """
    named = engine.names_of(columns, parameter="columns")
    rows = engine.open_frame(frame, [on], parameter="frame", order="_row")
    present = [name for name in rows.columns if name != "_row"]
    given = engine.collect(engine.open_frame(table, [on, *named], parameter="table"))
    added = _columns(given, on, named if columns is not None else None)
    # Engines of SQL do not tell names apart that differ in case alone.
    fold = str if rows.implementation.is_polars() else str.lower
    if taken := [name for name in added if fold(name) in {fold(str(each)) for each in present}]:
        raise ParameterError("table", f"a table with {', '.join(taken)}", "other columns than those that frame has")
    known = given[given[on].notna()]
    if (repeated := known[on].duplicated()).any():
        key = known.loc[repeated, on].iloc[0]
        raise ParameterError("table", f"several rows of {on} {key}", f"one row per {on}")
    told = engine.open_alike(table, [on, *added], parameter="table", like=rows, on=[on]).select(on, *added)
    if isinstance(check := engine.check_frame(frame, parameter="frame"), nw.DataFrame):
        _warn_of_unmatched({*check.get_column(on).drop_nulls().to_list()}, known[on], on)
    result = rows.join(told.filter(~nw.col(on).is_null()), on=on, how="left")
    if engine.is_ordered(frame):
        result = result.sort("_row")
    return engine.give_back(result.select(*present, *added), like=frame)


def _columns(table: pd.DataFrame, on: str, named: list[str] | None) -> list[str]:
    """Return which columns to add, and see that none of them tells of persons without having been named."""
    if named is not None:
        return [name for name in dict.fromkeys(named) if name != on]
    added = [str(name) for name in table.columns if name != on]
    for name in added:
        values = table[name]
        is_address = pd.api.types.is_string_dtype(values) and values.str.match(_ADDRESS, na=False).any()
        if is_address or {word.lower() for word in _WORDS.findall(name)} & _PERSON:
            given = f"a table with {name!r}, which looks like persons"
            raise ParameterError("table", given, "no such column, or columns=[...] with all that are wanted")
    return added


def _warn_of_unmatched(keys: set[Any], known: pd.Series[Any], on: str) -> None:
    if unmatched := sorted(map(str, keys - {*known.to_list()})):
        warnings.warn(UnmatchedKeysWarning(len(unmatched), len(keys), on, unmatched[:_KEYS_SHOWN]), stacklevel=3)
