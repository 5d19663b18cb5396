"""How firm the headline numbers are: the same numbers without what could carry them alone."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

from telemetry_kit import engine, stats
from telemetry_kit.analyses.playbooks import playbook_sizes, playbook_snapshot
from telemetry_kit.analyses.servers.logs import open_log
from telemetry_kit.analyses.servers.outcomes import N, X, count_outcomes
from telemetry_kit.analyses.servers.silence import observed_until
from telemetry_kit.analyses.stages import incident_durations, time_to_end
from telemetry_kit.analyses.tasks import commander_vs_assignee
from telemetry_kit.errors import ParameterError
from telemetry_kit.eventlog.frames import filter_incidents, persist
from telemetry_kit.stats.limits import check_open_unit

if TYPE_CHECKING:
    from telemetry_kit.analyses.servers.outcomes import Outcome
    from telemetry_kit.eventlog.log import EventLog

SHARES: dict[str, Outcome] = {
    "incidents with several stages that came to the last": "reached_last",
    "incidents that ended": "ended",
    "tasks completed by the commander": "commander",
    "tasks completed by the assignee": "assignee",
}
DIFFERENCE = "tasks completed by the commander, less those by the assignee"
TIME, SIZE = "median time until an incident ends", "median number of tasks of a playbook"
LOST = "events probably lost, at least"
"""The finding by which a log tells that deliveries of a server have gaps; its detail names the server."""

_SERVER = "server "
_COLUMNS = {
    "number": "str",
    "unit": "str",
    "estimate": "float64",
    "lower": "float64",
    "upper": "float64",
    "n_servers": "Int64",
    "without_largest": "float64",
    "without_gaps": "float64",
    "complete_only": "float64",
    "turns_over": "boolean",
    "largest_server": "str",
    "n_servers_with_gaps": "Int64",
}


class _Number(NamedTuple):
    """A headline number with its interval, and of how many servers it is."""

    unit: str
    estimate: float
    lower: float
    upper: float
    n_servers: int


class _Parts(NamedTuple):
    """What the numbers are made of, computed once: leaving servers out of it is cheap."""

    outcomes: dict[str, pd.DataFrame]
    """For each share, how many there are and of how many it holds, by server."""
    difference: pd.DataFrame
    durations: Any
    snapshot: Any


def headline_sensitivity(log: EventLog[Any], *, level: float = 0.95) -> pd.DataFrame:
    """Return the headline numbers of a log, and each of them again without what could carry it alone.

    Parameters
    ----------
    log
        An event log.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per number that the log can tell, in a fixed order:

        number, unit : str
            What it is, in words; and ``share``, ``difference`` (of shares), ``seconds`` or ``tasks``.
        estimate, lower, upper : float64
            The number and its interval, all servers together.
        n_servers : Int64
            Servers that it is of.
        without_largest : float64
            The number without the server that sent the most events.
        without_gaps : float64
            The number without the servers of which ``log.findings`` tells that events were probably lost.
        complete_only : float64
            The number of incidents whose create and whose end were recorded; null where incidents do not matter, and
            for what would be known beforehand of such incidents: that they ended, and how soon.
        turns_over : boolean
            Whether one of the three lies outside the interval, or a difference has another sign: then say so beside the
            number. Null where none of the three is known, or the interval is not.
        largest_server : str
            The server that ``without_largest`` leaves out.
        n_servers_with_gaps : Int64
            How many ``without_gaps`` leaves out.

    Raises
    ------
    ParameterError
        Where ``log`` is no event log, or ``level`` not between 0 and 1.

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> table = tk.headline_sensitivity(log)
    >>> table[["unit", "estimate", "without_largest", "complete_only", "turns_over"]].round(3)
             unit   estimate  without_largest  complete_only  turns_over
    0       share      0.328            0.324          0.348       False
    1       share      0.889            0.884            NaN       False
    2       share      0.509            0.512          0.511       False
    3       share      0.075            0.076          0.076       False
    4  difference      0.434            0.435          0.436       False
    5     seconds  22186.956        21628.296            NaN       False
    6       tasks     22.000           22.500            NaN       False
    """
    check_open_unit("level", level)
    engine.check_log(log)
    counts = engine.collect(open_log(log, ["server_id"]).group_by("server_id").agg(n=nw.len()))
    servers = counts.sort_values(["n", "server_id"], ascending=[False, True])["server_id"].to_list()
    gaps = _servers_with_gaps(log, servers)
    with warnings.catch_warnings():
        # That a part has one server or none is what its nulls say.
        warnings.simplefilter("ignore")
        parts = _parts(log, level)
        numbers = _numbers(parts, level)
        without_largest = _estimates_without(parts, servers[:1]) if len(servers) > 1 else {}
        without_gaps = _estimates_without(parts, gaps) if gaps and len(gaps) < len(servers) else {}
        complete = _complete_estimates(log, parts) if numbers else {}
    rows = []
    for name, number in numbers.items():
        again = {
            "without_largest": without_largest.get(name, math.nan),
            "without_gaps": number.estimate if not gaps else without_gaps.get(name, math.nan),
            "complete_only": complete.get(name, math.nan),
        }
        told = {"largest_server": servers[0], "n_servers_with_gaps": len(gaps)}
        turns_over = _turns_over(number, [*again.values()])
        rows.append({"number": name, **number._asdict(), **again, "turns_over": turns_over, **told})
    table = pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)
    table.attrs["level"] = level
    return table


def _turns_over(number: _Number, again: list[float]) -> bool | None:
    known = [value for value in again if not math.isnan(value)]
    if not known or math.isnan(number.lower + number.upper):
        return None
    is_outside = any(value < number.lower or value > number.upper for value in known)
    has_other_sign = number.unit == "difference" and any(value * number.estimate < 0 for value in known)
    return is_outside or has_other_sign


def _servers_with_gaps(log: EventLog[Any], servers: list[str]) -> list[str]:
    details = log.findings.loc[log.findings["finding"] == LOST, "detail"]
    return sorted({str(detail).removeprefix(_SERVER) for detail in details} & {*servers})


def _parts(log: EventLog[Any], level: float) -> _Parts:
    bounds: dict[str, Any] = {"cutoff": log.cutoff, "observed_until": observed_until(log)}
    return _Parts(
        _outcomes(log.incident, log.tasks),
        commander_vs_assignee(log.tasks, level=level),
        persist(incident_durations(log.incident, **bounds)),
        persist(playbook_snapshot(log.playbook, as_of=log.cutoff)),
    )


def _outcomes(incidents: Any, tasks: Any) -> dict[str, pd.DataFrame]:  # noqa: ANN401 - frames of any kind
    found = {}
    for name, of in SHARES.items():
        try:
            frame = tasks if of in ("commander", "assignee") else incidents
            counted = count_outcomes(frame, of, ["server_id"], parameter="log")
        except ParameterError:
            # Incidents of versions without stages have no last one.
            continue
        if len(counted):
            found[name] = counted
    return found


def _numbers(parts: _Parts, level: float) -> dict[str, _Number]:
    numbers = {}
    for name, counted in parts.outcomes.items():
        clusters = stats.count_clusters(counted[N], stats.one_group(len(counted)))
        share = stats.estimate_shares(counted[X], clusters)
        lower, upper = stats.share_limits(share, level=level)
        estimate, low, high = (float(values[0]) for values in (share.estimate, lower, upper))
        numbers[name] = _Number("share", estimate, low, high, len(counted))
    difference = ["difference", "lower", "upper", "n_clusters"]
    time = ["median_s", "median_lower_s", "median_upper_s", "n_servers"]
    size = ["median", "median_lower", "median_upper", "n_servers"]
    return {
        **numbers,
        **_of_row(parts.difference, DIFFERENCE, "difference", difference),
        **_of_row(time_to_end(parts.durations, level=level), TIME, "seconds", time),
        **_of_row(playbook_sizes(parts.snapshot, level=level), SIZE, "tasks", size),
    }


def _estimates_without(parts: _Parts, servers: list[str]) -> dict[str, float]:
    """Return the numbers without some servers."""
    kept = {name: counted[~counted["server_id"].isin(servers)] for name, counted in parts.outcomes.items()}
    tables = {
        TIME: (time_to_end(_without(parts.durations, servers)), "median_s"),
        SIZE: (playbook_sizes(_without(parts.snapshot, servers)), "median"),
    }
    others = {name: float(table[column].iloc[0]) for name, (table, column) in tables.items() if len(table)}
    return _share_estimates(kept) | others


def _without(frame: Any, servers: list[str]) -> Any:  # noqa: ANN401 - a frame of any kind
    opened = engine.open_frame(frame, ["server_id"], parameter="frame")
    return engine.give_back(opened.filter(~nw.col("server_id").cast(nw.String).is_in(servers)), like=frame)


def _share_estimates(outcomes: dict[str, pd.DataFrame]) -> dict[str, float]:
    """Return the shares, and the difference of those of commanders and assignees."""
    shares = {name: float(part[X].sum() / part[N].sum()) for name, part in outcomes.items() if len(part)}
    sides = [name for name, of in SHARES.items() if of in ("commander", "assignee") and name in shares]
    difference = {DIFFERENCE: shares[sides[0]] - shares[sides[1]]} if len(sides) > 1 else {}
    return shares | difference


def _complete_estimates(log: EventLog[Any], parts: _Parts) -> dict[str, float]:
    """Return the numbers of incidents whose create and end were recorded."""
    opened = engine.open_frame(parts.durations, [], parameter="durations")
    is_over = nw.col("from_start") & ~nw.col("is_censored")
    over = engine.give_back(opened.filter(is_over.fill_null(value=False)), like=parts.durations)
    complete = _outcomes(*(filter_incidents(frame, over) for frame in (log.incident, log.tasks)))
    return _share_estimates({name: counted for name, counted in complete.items() if SHARES[name] != "ended"})


def _of_row(table: pd.DataFrame, name: str, unit: str, columns: list[str]) -> dict[str, _Number]:
    """Return the number that the only row of a table tells; none where it has none."""
    if not len(table) or pd.isna(table[columns[0]].iloc[0]):
        return {}
    estimate, lower, upper, n_servers = table[columns].iloc[0].to_numpy(np.float64, na_value=np.nan)
    return {name: _Number(unit, float(estimate), float(lower), float(upper), int(n_servers))}
