"""The visits that a caller gives: each of them once, and where incidents are counted, all visits of an incident."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine
from telemetry_kit.errors import ParameterError, PartialIncidentsWarning

if TYPE_CHECKING:
    from collections.abc import Collection

    from narwhals.stable.v2.typing import IntoFrame

_INCIDENT = ("server_id", "incident_id")
_FRAMES_UP = 4
"""From the warning up to the call of the public function."""


def open_visits(
    visits: IntoFrame, columns: Collection[str], *, named: Collection[str], are_whole: bool = False
) -> nw.LazyFrame[Any]:
    """Open visits as ``engine.open_frame`` does, and see that they are as ``stage_visits`` made them.

    Parameters
    ----------
    visits, columns, named
        As for ``engine.open_frame``.
    are_whole
        Whether the question is about incidents, so that it needs all visits of each.

    Raises
    ------
    ParameterError
        As ``engine.open_frame``; and where a visit stands twice.

    Warns
    -----
    PartialIncidentsWarning
        With ``are_whole``, where an incident lacks one of its visits.

    Both are told of frames in memory that have the number of each ``visit``: a lazy one would have to be computed.
    """
    opened = engine.check_frame(visits, parameter="visits")
    is_told = isinstance(opened, nw.DataFrame) and {*_INCIDENT, "visit"} <= {*opened.columns}
    frame = engine.open_frame(
        visits, columns, parameter="visits", named=[*named, *((*_INCIDENT, "visit") if is_told else ())]
    )
    if is_told and not _are_as_made(opened):
        _check(frame, are_whole=are_whole)
    return frame


def _are_as_made(visits: nw.DataFrame[Any]) -> bool:
    """Tell that visits stand in the order of ``stage_visits``, and so each once: a tenth of the cost of grouping them.

    Each is the next of the incident before it, or the first of one that comes later in the order of ids.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    server, incident, visit = (visits[name].to_arrow() for name in (*_INCIDENT, "visit"))
    if not all(pa.types.is_large_string(ids.type) or pa.types.is_string(ids.type) for ids in (server, incident)):
        return False
    n = len(visit)
    if not n or visit[0].as_py() != 0:
        return not n
    (server_before, server), (incident_before, incident), (before, visit) = (
        (column.slice(0, n - 1), column.slice(1)) for column in (server, incident, visit)
    )
    is_same = pc.equal(server_before, server)
    is_next = pc.and_(pc.equal(incident_before, incident), pc.equal(visit, pc.add(before, 1)))
    is_first = pc.and_(pc.less(incident_before, incident), pc.equal(visit, 0))
    of_same = pc.and_(is_same, pc.or_(is_next, is_first))
    of_later = pc.and_(pc.less(server_before, server), pc.equal(visit, 0))
    return bool(pc.all(pc.or_(of_same, of_later), skip_nulls=False).as_py())


def _check(visits: nw.LazyFrame[Any], *, are_whole: bool) -> None:
    # Visits are numbered from 0, so that their number and sum tell whether each stands there once, without a set.
    n, last, total = nw.col("_n"), nw.col("_last"), nw.col("_sum")
    each = visits.group_by(*_INCIDENT).agg(_n=nw.len(), _last=nw.col("visit").max(), _sum=nw.col("visit").sum())
    whole = last * (last + 1)
    is_twice = nw.when((n > last + 1) | (total * 2 > whole)).then(1).otherwise(0)
    is_part = nw.when((n <= last) | (total * 2 < whole)).then(1).otherwise(0)
    found = engine.collect(each.select(n_twice=is_twice.sum(), n_part=is_part.sum())).fillna(0).iloc[0]
    if n_twice := int(found["n_twice"]):
        told = f"visits that stand twice, of {n_twice} incident{'' if n_twice == 1 else 's'}"
        raise ParameterError("visits", told, "each once: a concat overlaps, or a merge matched several rows")
    # A visit that was left out makes the others look like all that happened.
    if are_whole and (n_part := int(found["n_part"])):
        some = "1 incident lacks some of its" if n_part == 1 else f"{n_part:,} incidents lack some of their"
        advice = "choose whole incidents with tk.filter_incidents, or rows of the result"
        warnings.warn(
            f"visits: {some} visits, and {'is' if n_part == 1 else 'are'} counted by the others alone; {advice}",
            PartialIncidentsWarning,
            _FRAMES_UP,
        )
