"""A part of an event log: some servers, some versions, a range of time; and what each condition left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine, schemas
from telemetry_kit.engine.windows import first_known
from telemetry_kit.errors import ParameterError, nearest
from telemetry_kit.schemas.names import natural_key

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Mapping, Sequence

    from telemetry_kit.schemas import EventType

FINDING = "left out by a filter"
VERSIONS = ("server_version", "plugin_version")
_INCIDENT = ("server_id", "incident_id")
_FAILED = "_failed"
_KEPT = -1
_SHOWN = 3
"""How many servers or versions a finding names."""


class _Condition(NamedTuple):
    """What is asked of an event, or of the incident that it belongs to."""

    detail: str
    holds: nw.Expr


def filter_frames(
    given: Mapping[EventType, Any],
    *,
    servers: str | Iterable[str] | None,
    exclude_servers: str | Iterable[str] | None,
    versions: Mapping[str, str | None],
    since: str | dt.datetime | pd.Timestamp | None,
    until: str | dt.datetime | pd.Timestamp | None,
) -> tuple[dict[EventType, Any], pd.DataFrame]:
    """Return the part of a log's frames that meets conditions, and a finding for each, as ``EventLog.filter`` tells."""
    frames = {kind: _open(frame, kind) for kind, frame in given.items()}
    of_servers = [*_server_conditions(frames, servers=servers, exclude_servers=exclude_servers)]
    of_incidents = [*_version_conditions(frames, versions), *_time_conditions(since, until)]
    conditions = [*of_servers, *of_incidents]
    left_out = np.zeros(len(conditions), dtype=np.int64)
    incidents = _incidents(given, frames, conditions) if of_incidents else None
    parts: dict[EventType, Any] = {}
    for kind, events in frames.items():
        if incidents is None or kind == "playbook":
            judged = _judge(events, conditions)
        else:
            judged = events.join(incidents, on=list(_INCIDENT), how="left")
        counted = engine.collect(judged.group_by(_FAILED).agg(n=nw.len())).astype(np.int64)
        counted = counted[counted[_FAILED] != _KEPT]
        left_out[counted[_FAILED]] += counted["n"]
        kept = judged.filter(nw.col(_FAILED) == _KEPT)
        parts[kind] = _give_back(kept, given[kind], kind)
    details = [condition.detail for condition in conditions]
    return parts, pd.DataFrame({"finding": FINDING, "event_type": None, "detail": details, "n": left_out})


def _open(frame: Any, kind: str) -> nw.LazyFrame[Any]:  # noqa: ANN401 - a frame of any kind
    own = [*_INCIDENT, "event_id", "created_at", "action"] if kind == "incident" else ["event_id"]
    needed = ["server_id", *VERSIONS, "event_timestamp", *own]
    events = engine.open_frame(frame, needed, parameter=kind, order="_order")
    return engine.add_epoch_us(events, _us="event_timestamp")


def _server_conditions(
    frames: Mapping[EventType, nw.LazyFrame[Any]], **named: str | Iterable[str] | None
) -> Iterable[_Condition]:
    asked = {name: _texts(name, given) for name, given in named.items() if given is not None}
    known = _distinct(frames, "server_id") if asked else set()
    for name, ids in asked.items():
        for server in ids:
            if server not in known:
                near = nearest(server, sorted(known), least=0)
                hint = f"a server of the log; the nearest is {near!r}" if near else "none: there are no events"
                raise ParameterError(name, server, hint)
        is_named = nw.col("server_id").cast(nw.String).is_in(ids) if ids else nw.lit(value=False)
        yield _Condition(f"{name}: {_some(ids)}", is_named if name == "servers" else ~is_named)


def _version_conditions(
    frames: Mapping[EventType, nw.LazyFrame[Any]], versions: Mapping[str, str | None]
) -> Iterable[_Condition]:
    for component, text in versions.items():
        if text is None:
            continue
        accepted, odd = _match_versions(component, text, _distinct(frames, component))
        is_accepted = nw.col(component).cast(nw.String).is_in(accepted) if accepted else nw.lit(value=False)
        note = f"; no versions: {_some(odd)}" if odd else ""
        yield _Condition(f"{component}: {text}{note}", is_accepted)


def _match_versions(component: str, text: str, known: set[str]) -> tuple[list[str], list[str]]:
    """Return which versions a specifier accepts, and which are none and so cannot be told."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        specifier = SpecifierSet(text)
    except (InvalidSpecifier, TypeError, AttributeError):
        raise ParameterError(component, text, "a version specifier such as '>=5.28,<6' or '==1.1.0'") from None
    accepted, odd = [], []
    for version in sorted(known, key=natural_key):
        try:
            # A release candidate is used like a release.
            if specifier.contains(Version(version), prereleases=True):
                accepted.append(version)
        except InvalidVersion:
            odd.append(version)
    return accepted, odd


def _time_conditions(
    since: str | dt.datetime | pd.Timestamp | None, until: str | dt.datetime | pd.Timestamp | None
) -> Iterable[_Condition]:
    bounds = {
        name: engine.moment(given, parameter=name)
        for name, given in (("since", since), ("until", until))
        if given is not None
    }
    if len(bounds) > 1 and bounds["since"] >= bounds["until"]:
        raise ParameterError("until", until, f"a moment after since, {bounds['since']:%Y-%m-%dT%H:%M:%SZ}")
    for name, bound in bounds.items():
        us = engine.epoch_us(bound)
        holds = nw.col("_us") >= us if name == "since" else nw.col("_us") < us
        yield _Condition(f"{name}: {bound:%Y-%m-%dT%H:%M:%SZ}", holds)


def _incidents(
    given: Mapping[EventType, Any], frames: Mapping[EventType, nw.LazyFrame[Any]], conditions: Sequence[_Condition]
) -> nw.LazyFrame[Any]:
    """Judge every incident by its first known versions and its start: a row each, with ``_failed``.

    An incident of which nothing but tasks was recorded is judged by these.
    """
    events = frames["incident"]
    order_by = engine.in_time(given["incident"], "_us", "_order")
    first = first_known(_texts_of(events), *VERSIONS, within=_INCIDENT, order_by=order_by)
    judged = first.join(_starts(events), on=list(_INCIDENT), how="left")
    tasks = frames["tasks"].join(first.select(*_INCIDENT), on=list(_INCIDENT), how="anti")
    order_by = engine.in_time(given["tasks"], "_us", "_order")
    alone = first_known(_texts_of(tasks), *VERSIONS, "_us", within=_INCIDENT, order_by=order_by)
    columns = [*_INCIDENT, *VERSIONS, "_us"]
    both = nw.concat([judged.select(*columns), alone.select(*columns)])
    return _judge(both, conditions).select(*_INCIDENT, _FAILED)


def _texts_of(events: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    return events.with_columns(nw.col(*VERSIONS).cast(nw.String))


def _starts(incidents: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Return when each incident started, as ``_us``: with its create, and where that was not recorded, as it says."""
    told = engine.add_epoch_us(incidents, _created_us="created_at")
    action, us, created_us = nw.col("action").cast(nw.String), nw.col("_us"), nw.col("_created_us")
    is_prompt = us - created_us <= schemas.CREATE_WITHIN_S * engine.MICROSECONDS
    is_create = ((action == "create") | (action.is_null() & is_prompt)).fill_null(value=False)
    by_incident = told.with_columns(_create_us=nw.when(is_create).then(us)).group_by(*_INCIDENT)
    starts = by_incident.agg(nw.col("_create_us", "_created_us", "_us").min())
    return starts.select(*_INCIDENT, _us=nw.coalesce("_create_us", "_created_us", "_us"))


def _judge(frame: nw.LazyFrame[Any], conditions: Sequence[_Condition]) -> nw.LazyFrame[Any]:
    """Add ``_failed``, the number of the first condition that does not hold; -1 where all do."""
    fails = [
        nw.when(~condition.holds.fill_null(value=False)).then(nw.lit(number))
        for number, condition in enumerate(conditions)
    ]
    return frame.with_columns(_failed=nw.coalesce(*fails, nw.lit(_KEPT)))


def _give_back(kept: nw.LazyFrame[Any], like: Any, kind: EventType) -> Any:  # noqa: ANN401 - a frame of any kind
    """Return rows as a frame of the same kind; of pandas these rows as they were, with the categories that occur."""
    if isinstance(like, pd.DataFrame):
        order = engine.collect(kept.select("_order"))["_order"].sort_values()
        part = like.iloc[order.to_numpy(np.int64)].reset_index(drop=True)
        fixed = {field.column for field in schemas.fields_of(kind) if field.levels}
        for column in part.columns.difference([*fixed]):
            if isinstance(part[column].dtype, pd.CategoricalDtype):
                part[column] = part[column].cat.remove_unused_categories()
        return part
    columns = nw.from_native(like).columns
    rows = kept.sort("_order") if engine.is_ordered(like) else kept
    return engine.give_back(rows.select(*columns), like=like)


def _distinct(frames: Mapping[EventType, nw.LazyFrame[Any]], column: str) -> set[str]:
    values: set[str] = set()
    for frame in frames.values():
        texts = engine.distinct(frame.select(nw.col(column).cast(nw.String)), column)
        values |= {*engine.collect(texts)[column].dropna()}
    return values


def _texts(parameter: str, given: str | Iterable[str]) -> list[str]:
    try:
        texts = [given] if isinstance(given, str) else list(given)
    except TypeError:
        texts = [cast("str", given)]
    for text in texts:
        if not isinstance(text, str):
            raise ParameterError(parameter, text, "server ids as text: one, or a list of them")
    return list(dict.fromkeys(texts))


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more if texts else "none"
