"""What the first page of a report says: the findings, the numbers, and what to know before one relies on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from telemetry_kit.analyses.flow import incident_flow
from telemetry_kit.analyses.playbooks import playbook_sizes, playbook_snapshot
from telemetry_kit.analyses.servers import observed_until, server_activity
from telemetry_kit.analyses.stages import (
    incident_durations,
    last_stage_reached,
    stage_funnel,
    stage_visits,
    status_visits,
    time_to_end,
)
from telemetry_kit.analyses.tasks import commander_vs_assignee, task_completion
from telemetry_kit.eventlog.frames import n_distinct, persist
from telemetry_kit.plots.groups import WEAK_DF
from telemetry_kit.reports import sentences
from telemetry_kit.reports.wording import count, day, duration, is_null, per_cent, with_limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from telemetry_kit.eventlog.log import EventLog
    from telemetry_kit.reports.pages import Chapter

DOMINANT = 1 / 3
"""A server with more of the completions than this decides what is said of them."""
FEW_SERVERS = 10
DOUBTFUL_TIMES = frozenset({"events arrived late"})
"""The findings that say that times may be wrong."""


class Tables(NamedTuple):
    """The tables behind the first page, without groups."""

    activity: pd.DataFrame
    ends: pd.DataFrame
    flow: pd.DataFrame
    silence: pd.DataFrame
    funnel: pd.DataFrame
    last: pd.DataFrame
    completion: pd.DataFrame
    difference: pd.DataFrame
    sizes: pd.DataFrame


class Finding(NamedTuple):
    """A sentence, and the figure that shows it."""

    text: str
    link: str = ""
    link_text: str = ""


class Card(NamedTuple):
    """A number, what it is, of what it is a part, and how it changed."""

    what: str
    value: str
    of: str
    change: str = ""
    link: str = ""
    link_text: str = ""


def compute_tables(log: EventLog[Any]) -> Tables:
    """Compute the tables of the first page.

    Parameters
    ----------
    log
        The events of the report.

    Returns
    -------
    Tables
        One table for each question.
    """
    silence = observed_until(log)
    bounds: dict[str, Any] = {"cutoff": log.cutoff, "observed_until": silence}
    visits = persist(stage_visits(log.incident, **bounds))
    if not n_distinct(visits, "incident_id"):
        # Versions of the plugin that send no stages send a status.
        visits = persist(status_visits(log.incident, **bounds))
    snapshot = playbook_snapshot(log.playbook, as_of=log.cutoff)
    return Tables(
        activity=server_activity(log),
        ends=time_to_end(incident_durations(log.incident, **bounds)),
        flow=incident_flow(log.incident, **bounds),
        silence=silence,
        funnel=stage_funnel(visits),
        last=last_stage_reached(visits),
        completion=task_completion(log.tasks),
        difference=commander_vs_assignee(log.tasks),
        sizes=playbook_sizes(snapshot),
    )


def findings(tables: Tables, links: Mapping[str, tuple[str, str]]) -> list[Finding]:
    """Return the findings of a report, those that there are numbers for.

    Parameters
    ----------
    tables
        As ``compute_tables`` returns them.
    links
        Where the figure of each name is, and what it is called.

    Returns
    -------
    list of Finding
        Three to six where every kind of event was read, none where nothing was.
    """
    told = (
        (tables.ends, sentences.time_to_end, "incident-survival"),
        (tables.last, sentences.last_stage, "stage-funnel"),
        (tables.funnel, sentences.stage_funnel, "stage-funnel"),
        (tables.completion, sentences.task_completion, "task-completion"),
        (tables.difference, sentences.commander_vs_assignee, "commander-vs-assignee"),
        (tables.sizes, sentences.playbook_sizes, "playbook-sizes"),
    )
    return [Finding(say(table).partition("\n\n")[0], *links.get(name, ())) for table, say, name in told if len(table)]


def cards(tables: Tables, links: Mapping[str, tuple[str, str]]) -> list[Card]:
    """Return the numbers of a report, each with what it is a part of.

    Parameters
    ----------
    tables
        As ``compute_tables`` returns them.
    links
        Where the figure of each name is, and what it is called.

    Returns
    -------
    list of Card
        In the order of the page.
    """
    return [*_incident_cards(tables, links), *_other_cards(tables, links)]


def _incident_cards(tables: Tables, links: Mapping[str, tuple[str, str]]) -> Iterator[Card]:
    if len(tables.flow):
        sums, last = tables.flow[["n_started", "n_ended"]].sum(), tables.flow.iloc[-1]
        weeks, most = count(len(tables.flow), "week"), tables.flow["n_open_max"].max()
        yield Card("Incidents started", f"{sums['n_started']:,}", f"in {weeks}")
        yield Card("Incidents ended", f"{sums['n_ended']:,}", f"in {weeks}, reopened ones each time")
        yield Card("Open at the cutoff", f"{last['n_open_at_end']:,}", f"at most {most:,} at once")
    for row in tables.ends.to_dict("records"):
        if not is_null(row["median_s"]):
            limits = {"median_s": row["median_s"], "lower": row["median_lower_s"], "upper": row["median_upper_s"]}
            interval = with_limits(limits, "median_s", write=duration).partition(" (")[2].removesuffix(")")
            of = f"{interval}; {count(row['n_incidents'], 'incident')}"
            yield Card("Half end within", duration(row["median_s"]), of, "", *links.get("incident-survival", ()))
    for row in tables.last.to_dict("records"):
        if row["n_incidents"]:
            of = f"{_interval(row)} of {count(row['n_incidents'], 'incident')} on {count(row['n_servers'], 'server')}"
            what = "Are resolved" if "status" in tables.funnel else "Reach the last stage"
            yield Card(what, per_cent(row["estimate"]), of, "", *links.get("stage-funnel", ()))


def _other_cards(tables: Tables, links: Mapping[str, tuple[str, str]]) -> Iterator[Card]:
    for row in tables.difference.to_dict("records"):
        if row["n_completed"]:
            of = f"of {count(row['n_completed'], 'completion')} on {count(row['n_clusters'], 'server')}"
            what = "Completed by commanders"
            yield Card(what, per_cent(row["commander"]), of, "", *links.get("task-completion", ()))
    for row in tables.sizes.to_dict("records"):
        of = f"on {count(row['n_servers'], 'server')}, not deleted"
        yield Card("Playbooks", f"{row['n']:,}", of, "", *links.get("playbook-sizes", ()))
    if len(tables.activity):
        days = tables.activity["date"]
        of = f"from {day(days.min())} to {day(days.max())}"
        n_servers = tables.activity["server_id"].nunique()
        yield Card("Servers active", f"{n_servers:,}", of, "", *links.get("server-activity", ()))


def _interval(row: Mapping[Any, Any]) -> str:
    return with_limits(row).partition(" (")[2].removesuffix(")")


def alerts(log: EventLog[Any], tables: Tables) -> list[str]:
    """Return what to know before one relies on the report.

    Parameters
    ----------
    log
        The events of the report.
    tables
        As ``compute_tables`` returns them.

    Returns
    -------
    list of str
        A sentence each; none where there is nothing to warn of.
    """
    told = []
    if log.audit["n_rejected"].any():
        told.append(sentences.rejected(log.audit))
    if tables.completion["n_completed"].any() and tables.completion["largest_cluster_share"].max() > DOMINANT:
        told.append(sentences.concentration(tables.completion))
    told += [
        f"**{row['finding'][0].upper()}{row['finding'][1:]}**: {row['detail']} ({count(row['n'], 'event')})."
        for row in log.findings.to_dict("records")
        if row["finding"] in DOUBTFUL_TIMES
    ]
    n_servers = int(tables.activity["server_id"].nunique())
    n_silent = int(tables.silence["is_silent"].sum())
    if n_silent:
        told.append(
            f"**{n_silent:,} of {count(n_servers, 'server')} fell silent before the cutoff**: what was open there "
            "counts as open until the server's last event, and not until the cutoff."
        )
    if 0 < n_servers < FEW_SERVERS:
        told.append(
            f"**The report rests on {count(n_servers, 'server')}**: its intervals hold for so few, but they are wide, "
            "and what one server does weighs much."
        )
    weak = tables.last.get("df")
    if weak is not None and len(weak) and not is_null(weak.iloc[0]) and weak.iloc[0] < WEAK_DF:
        told.append(
            "**Few servers make up most incidents**: intervals with fewer than four degrees of freedom are weak ground."
        )
    return told


def first_page(log: EventLog[Any], chapters: Sequence[Chapter]) -> dict[str, object]:
    """Return what the first page alone says, for its template.

    Parameters
    ----------
    log
        The events of the report.
    chapters
        Its parts, whose figures the sentences lead to.

    Returns
    -------
    dict
        ``scope``, ``findings``, ``cards``, ``alerts`` and ``changes``.
    """
    links = {
        exhibit.name: (f"{chapter.path}#{exhibit.anchor}", exhibit.label)
        for chapter in chapters
        for exhibit in chapter.exhibits
        if exhibit.kind == "figure"
    }
    tables = compute_tables(log)
    n_servers = tables.activity["server_id"].nunique()
    n_events = int(tables.activity[["n_incident", "n_tasks", "n_playbook"]].to_numpy().sum())
    return {
        "scope": f"{count(n_servers, 'server')} · {count(n_events, 'event')}",
        "findings": findings(tables, links) if n_events else [],
        "cards": cards(tables, links) if n_events else [],
        "alerts": alerts(log, tables),
        "changes": None,
    }
