"""What a frame has to be before an analysis begins: a frame, of the right kind, with its columns, times as times."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit.engine.own_names import is_own_name
from telemetry_kit.engine.times import duckdb_type
from telemetry_kit.errors import MissingColumnError, ParameterError
from telemetry_kit.schemas.kinds import KINDS, MISTAKEN, advice, kind_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from narwhals.stable.v2.typing import IntoFrame

_FRAME = "a frame (pandas, Polars, PyArrow, DuckDB, PySpark or another that Narwhals knows)"


def check_frame(frame: IntoFrame, *, parameter: str) -> Any:  # noqa: ANN401 - eager or lazy
    """See that ``frame`` is a frame, and return it as Narwhals has it.

    Raises
    ------
    ParameterError
        Where it is none.
    """
    try:
        return nw.from_native(frame)
    except TypeError:
        is_log = all(hasattr(frame, kind) for kind in KINDS["log"].columns)
        part = {"tasks": "tasks", "playbooks": "playbook"}.get(parameter, "incident")
        expected = f"one of its frames, such as log.{part}" if is_log else _FRAME
        raise ParameterError(parameter, type(frame).__name__, expected) from None


def check_log(log: object) -> None:
    """See that ``log`` is an event log, and not just frames of one.

    Raises
    ------
    ParameterError
        Where it is none.
    """
    if not all(hasattr(log, part) for part in (*KINDS["log"].columns, "cutoff", "findings")):
        raise ParameterError("log", type(log).__name__, "an EventLog, as tk.load_events(source) returns it")


def check_name(parameter: str, name: object) -> None:
    """See that a parameter names one column, and not none or several.

    Raises
    ------
    ParameterError
        Where it is no text.
    """
    if not isinstance(name, str):
        raise ParameterError(parameter, name, "the name of a column")


def check_column(parameter: str, name: str, present: Collection[str]) -> None:
    """See that a parameter names a column that is there.

    Raises
    ------
    ParameterError
        Where it does not.
    """
    check_name(parameter, name)
    if name not in present:
        raise ParameterError(parameter, name, present)


def check_count(parameter: str, value: Any, expected: str, *, least: int = 1) -> None:  # noqa: ANN401 - anything
    """See that a parameter is a whole number, and not below the ``least`` that it can be.

    Raises
    ------
    ParameterError
        Where it is not; ``expected`` says what it is a number of.
    """
    # A flag is a number too, but nobody means one.
    is_whole = hasattr(value, "__index__") and np.ndim(value) == 0 and not isinstance(value, bool | np.bool_)
    if not is_whole or operator.index(value) < least:
        raise ParameterError(parameter, value, expected)


def check_columns(columns: Collection[Any], present: Sequence[str], index: Collection[Any], *, parameter: str) -> None:
    """See that a frame has ``columns``, and is not of a kind that would be taken for another.

    Raises
    ------
    MissingColumnError
        Where one of ``columns`` is not ``present``; the message tells what the frame looks like, and how to make it.
    ParameterError
        Where the frame is of another kind that has the same columns.
    """
    # A caller may have named anything, also what cannot be looked up.
    missing = [column for column in columns if not isinstance(column, str) or column not in present]
    if missing:
        in_index = [name for name in missing if isinstance(name, str) and name in index]
        hint = f"it is in the index: pass {parameter}.reset_index()" if in_index else advice(parameter, present)
        raise MissingColumnError(parameter, missing, present, advice=hint)
    kind, expected = MISTAKEN.get(parameter, (None, ""))
    if kind is not None and kind_of(present) == kind:
        raise ParameterError(parameter, kind, f"{expected}. {advice(parameter, [])}")


def check_names(kept: Sequence[str], asked: Collection[str], *, parameter: str) -> None:
    """See that SQL can tell the columns that are ``kept`` apart, and find those that are ``asked`` for.

    Raises
    ------
    ParameterError
        Where two names differ in case alone, or one has a dot.
    """
    firsts: dict[str, str] = {}
    for name in kept:
        first = firsts.setdefault(str(name).lower(), name)
        if first != name:
            raise ParameterError(
                parameter, f"columns {first} and {name}", "names that differ in more than case: rename one of them"
            )
    if dotted := [name for name in asked if "." in str(name)]:
        raise ParameterError(
            f"{parameter}[{dotted[0]!r}]", "a name with a dot", "one without: SQL takes what comes before for a table"
        )


def check_own_names(names: Iterable[str], *, parameter: str) -> None:
    """See that no column would be taken for one that an analysis computes on the way.

    Raises
    ------
    ParameterError
        Where one has such a name.
    """
    if taken := [name for name in names if is_own_name(name)]:
        expected = "another name: the analyses compute a column of this one on the way"
        raise ParameterError(parameter, f"the column {taken[0]}", expected)


def check_keys(
    second: nw.LazyFrame[Any], like: nw.LazyFrame[Any], on: Collection[str], *, parameter: str
) -> dict[str, Any]:
    """See that the columns by which two frames are joined hold values that can be equal.

    Returned are those in which one frame has no value, with their types in the first: they equal nothing, whatever
    type such a column was given.

    Raises
    ------
    ParameterError
        Where one holds, say, numbers in the second frame, and text in the first.
    """
    theirs, ours = (frame.select(*on).collect_schema() for frame in (second, like))
    blank = {}
    for column in on:
        held, wanted = _kind_of_values(theirs[column]), _kind_of_values(ours[column])
        if held == wanted or nw.Unknown in (theirs[column], ours[column]):
            continue
        if not (_has_values(second, column) and _has_values(like, column)):
            blank[column] = ours[column]
            continue
        expected = f"{wanted}, as the frame has that it is joined to"
        raise ParameterError(f"{parameter}[{column!r}]", held, expected)
    return blank


def _has_values(frame: nw.LazyFrame[Any], column: str) -> bool:
    return len(frame.filter(~nw.col(column).is_null()).select(column).head(1).collect()) > 0


def _kind_of_values(kind: nw.dtypes.DType) -> str:
    if kind in (nw.String, nw.Categorical, nw.Enum):
        return "text"
    words = {"numbers": kind.is_numeric(), "flags": kind == nw.Boolean, "times": kind.is_temporal()}
    return next((word for word, holds in words.items() if holds), str(kind))


def check_times(frame: nw.LazyFrame[Any], times: Collection[str], *, parameter: str) -> None:
    """See that columns of ``times`` hold such.

    Raises
    ------
    ParameterError
        Where one holds text or numbers.
    """
    if frame.implementation.is_duckdb():
        times = [column for column in times if not duckdb_type(frame, column).startswith("TIMESTAMP")]
    if not times:
        return
    schema = frame.collect_schema()
    for column in times:
        kind = schema[column]
        if not kind.is_temporal() and kind != nw.Unknown:
            held = "text" if kind == nw.String else str(kind)
            wanted = "times: convert it with pandas.to_datetime(..., utc=True), or load the events with tk.load_events"
            raise ParameterError(f"{parameter}[{column!r}]", held, wanted)


def group_columns(
    by: str | Sequence[str] | None, frame: nw.LazyFrame[Any], *, reserved: Iterable[str] = ()
) -> list[str]:
    """Return ``by`` as a list of columns that ``frame`` has, none of them twice or a name of the result.

    Raises
    ------
    ParameterError
        Where a name is not a column of the frame, stands twice, or is one of ``reserved``.
    """
    names = names_of(by)
    present = frame.columns
    for position, name in enumerate(names):
        if name not in present:
            raise ParameterError("by", name, present)
        if name in names[:position]:
            raise ParameterError("by", name, "each column once")
        if name in reserved:
            own = ", ".join(each for each in reserved if not each.startswith("_"))
            raise ParameterError("by", name, f"a column other than {own}, which the result has itself")
    return names


def check_cluster(cluster: str, frame: nw.LazyFrame[Any]) -> str:
    """Return the name of the column of clusters where ``frame`` has it.

    Raises
    ------
    ParameterError
        Where it is no column of the frame.
    """
    check_column("cluster", cluster, frame.columns)
    return cluster


def names_of(by: str | Sequence[str] | None, *, parameter: str = "by") -> list[str]:
    """Return ``by``, or another parameter that names columns, as a list.

    Raises
    ------
    ParameterError
        Where it is no name, and no names.
    """
    names: list[Any] = [] if by is None else [by] if isinstance(by, str) or not hasattr(by, "__iter__") else list(by)
    if not all(isinstance(name, str) for name in names):
        raise ParameterError(parameter, by, "the name of a column, or a list of names")
    return names
