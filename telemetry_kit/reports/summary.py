"""What the first page of a report says: the findings, the numbers, and what to know before one relies on them."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from telemetry_kit.analyses.flow import incident_flow
from telemetry_kit.analyses.playbooks import playbook_sizes, playbook_snapshot
from telemetry_kit.analyses.servers import observed_until, recording_eras, server_overview
from telemetry_kit.analyses.stages import (
    incident_durations,
    last_stage_reached,
    stage_funnel,
    stage_visits,
    status_visits,
    time_to_end,
)
from telemetry_kit.analyses.tasks import commander_vs_assignee, task_completion
from telemetry_kit.errors import OneClusterWarning
from telemetry_kit.eventlog.frames import n_distinct, persist
from telemetry_kit.ingest.audit import LATE
from telemetry_kit.plots.groups import WEAK_DF
from telemetry_kit.reports import changes, sentences
from telemetry_kit.reports.changed import card_changes, changes_said
from telemetry_kit.reports.reading import table_to_html
from telemetry_kit.reports.sentences.eras import answers
from telemetry_kit.reports.sentences.rows import listed
from telemetry_kit.reports.wording import count, day, duration, is_null, per_cent, with_limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from telemetry_kit.eventlog.log import EventLog
    from telemetry_kit.reports.pages import Chapter

DOMINANT = 1 / 3
"""A server with more of the completions than this decides what is said of them."""
FEW_SERVERS = 10
MOST_FINDINGS = 6
MOST_LATE = 5


class Tables(NamedTuple):
    """The tables behind the first page, without groups."""

    eras: pd.DataFrame
    servers: pd.DataFrame
    ends: pd.DataFrame
    flow: pd.DataFrame
    silence: pd.DataFrame
    funnel: pd.DataFrame
    last: pd.DataFrame
    resolved: pd.DataFrame
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
    statuses = persist(status_visits(log.incident, **bounds))
    # Versions of the plugin that send no stages send a status; a recording may have incidents of both.
    staged = visits if n_distinct(visits, "incident_id") else statuses
    snapshot = playbook_snapshot(log.playbook, as_of=log.cutoff)
    return Tables(
        eras=recording_eras(log),
        servers=server_overview(log),
        ends=time_to_end(incident_durations(log.incident, **bounds)),
        flow=incident_flow(log.incident, **bounds),
        silence=silence,
        funnel=stage_funnel(staged),
        last=last_stage_reached(visits),
        resolved=last_stage_reached(statuses),
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
    funnel = "status-funnel" if "status" in tables.funnel else "stage-funnel"
    told = (
        (tables.ends, sentences.time_to_end, "incident-survival"),
        (tables.last, sentences.last_stage, "stage-funnel"),
        (tables.resolved, partial(sentences.last_stage, of="statuses"), "status-funnel"),
        (tables.funnel, sentences.stage_funnel, funnel),
        (tables.completion, sentences.task_completion, "task-completion"),
        (tables.difference, sentences.commander_vs_assignee, "commander-vs-assignee"),
        (tables.sizes, sentences.playbook_sizes, "playbook-sizes"),
    )
    return [Finding(say(table).partition("\n\n")[0], *links.get(name, ())) for table, say, name in told if len(table)]


def cards(tables: Tables, links: Mapping[str, tuple[str, str]], told: Mapping[str, str]) -> list[Card]:
    """Return the numbers of a report, each with what it is a part of.

    Parameters
    ----------
    tables
        As ``compute_tables`` returns them.
    links
        Where the figure of each name is, and what it is called.
    told
        How numbers changed, as ``changed.card_changes`` returns it.

    Returns
    -------
    list of Card
        In the order of the page.
    """
    return [*_incident_cards(tables, links, told), *_other_cards(tables, links, told)]


def _incident_cards(tables: Tables, links: Mapping[str, tuple[str, str]], told: Mapping[str, str]) -> Iterator[Card]:
    if len(tables.flow):
        sums, last = tables.flow[["n_started", "n_ended"]].sum(), tables.flow.iloc[-1]
        first, most = tables.servers["first_day"].min(), tables.flow["n_open_max"].max()
        span = count((tables.servers["last_day"].max() - first).days + 1, "day")
        unknown = f"; of {last['n_unknown']:,} more nobody knows" if last["n_unknown"] else ""
        for what, name, n, of in (
            ("Incidents started", changes.STARTED, sums["n_started"], f"in {span}"),
            ("Incidents ended", changes.ENDED, sums["n_ended"], f"in {span}, reopened ones each time"),
            ("Open at the cutoff", changes.OPEN, last["n_open_at_end"], f"at most {most:,} at once{unknown}"),
        ):
            yield Card(what, f"{n:,}", of, _counted(told.get(name, ""), n))
    for row in tables.ends.to_dict("records"):
        if not is_null(row["median_s"]):
            limits = {"median_s": row["median_s"], "lower": row["median_lower_s"], "upper": row["median_upper_s"]}
            interval = with_limits(limits, "median_s", write=duration).partition(" (")[2].removesuffix(")")
            of = f"{interval}; {count(row['n_incidents'], 'incident')}"
            change = f"mean time, {told[changes.TIME]}" if changes.TIME in told else ""
            yield Card("Half end within", duration(row["median_s"]), of, change, *links.get("incident-survival", ()))
    yield from _last_cards(tables.last, (changes.LAST_STAGE, "with more than one stage"), links, told, "stage-funnel")
    yield from _last_cards(tables.resolved, (changes.RESOLVED, "with a status"), links, told, "status-funnel")


def _counted(change: str, n: int) -> str:
    """Say where a change is of other numbers than its card: of other periods, or with what began before them."""
    return change if not change or change.endswith(f"now {n:,}") else f"in the periods compared: {change}"


def _last_cards(
    table: pd.DataFrame,
    names: tuple[str, str],
    links: Mapping[str, tuple[str, str]],
    told: Mapping[str, str],
    link: str,
) -> Iterator[Card]:
    what, which = names
    for row in table.to_dict("records"):
        if row["n_incidents"]:
            incidents = f"{count(row['n_incidents'], 'incident')} {which}, on {count(row['n_servers'], 'server')}"
            of = f"{_interval(row)}{'; ' if is_null(row['lower']) else ' of '}{incidents}"
            yield Card(what, per_cent(row["estimate"]), of, told.get(what, ""), *links.get(link, ()))


def _other_cards(tables: Tables, links: Mapping[str, tuple[str, str]], told: Mapping[str, str]) -> Iterator[Card]:
    for row in tables.difference.to_dict("records"):
        if row["n_completed"]:
            of = f"of {count(row['n_completed'], 'completion')} on {count(row['n_clusters'], 'server')}"
            share, change = per_cent(row["commander"]), told.get(changes.COMMANDERS, "")
            yield Card("Completed by commanders", share, of, change, *links.get("task-completion", ()))
    for row in tables.sizes.to_dict("records"):
        of = f"on {count(row['n_servers'], 'server')}, not deleted"
        change = _counted(told.get(changes.PLAYBOOKS, ""), row["n"])
        yield Card("Playbooks", f"{row['n']:,}", of, change, *links.get("playbook-sizes", ()))
    if len(tables.servers):
        of = f"from {day(tables.servers['first_day'].min())} to {day(tables.servers['last_day'].max())}"
        change = told.get(changes.SERVERS, "")
        yield Card("Servers active", f"{len(tables.servers):,}", of, change, *links.get("server-activity", ()))


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
    n_servers = len(tables.servers)
    if (
        n_servers > 1
        and tables.completion["n_completed"].any()
        and tables.completion["largest_cluster_share"].max() > DOMINANT
    ):
        told.append(sentences.concentration(tables.completion))
    late = (
        log.findings[log.findings["finding"] == LATE]
        .groupby("detail")["n"]
        .sum()
        .sort_values(ascending=False, kind="stable")
    )
    if len(late):
        named = [f"{server} ({n:,})" for server, n in late.head(MOST_LATE).items()]
        named += [f"{len(late) - MOST_LATE:,} more"] if len(late) > MOST_LATE else []
        told.append(
            f"**{count(int(late.sum()), 'event')} arrived more than 90 days late**, from {listed(named)}: they waited "
            "so long, or the clock there is wrong, and with it the time of what happened."
        )
    n_silent = int(tables.silence["is_silent"].sum())
    if n_silent:
        n_unknown = int(tables.flow["n_unknown"].iloc[-1]) if len(tables.flow) else 0
        unknown = "no incident was open there then"
        if n_unknown:
            were, they = ("was", "it is") if n_unknown == 1 else ("were", "they are")
            those = f"{count(n_unknown, 'incident')} that {were} open there then"
            unknown = f"of {those} nobody knows whether {they} open now"
        told.append(
            f"**{n_silent:,} of {count(n_servers, 'server')} fell silent before the cutoff**: {unknown}. What lies "
            "there was observed until the server's last event, and not until the cutoff."
        )
    if n_servers == 1:
        told.append(
            "**The report is of 1 server**, and says nothing of others: how far servers differ is not known, so that "
            "shares, times and sizes have no interval."
        )
    elif 0 < n_servers < FEW_SERVERS:
        told.append(
            f"**The report rests on {count(n_servers, 'server')}**: its intervals hold for so few, but they are wide, "
            "and what one server does weighs much."
        )
    if tables.resolved["n_incidents"].any():
        told.append(
            "**A status is known from the next event on**: with a change of status the plugin sends the one before it, "
            "as recordings of version 1.5.1 show. So a change is seen later than it was made, and one that no event "
            "follows is not seen: more incidents may be resolved than this report can tell."
        )
    weak = pd.concat([tables.last, tables.resolved])["df"].dropna()
    if (weak < WEAK_DF).any():
        told.append(
            "**Few servers make up most incidents**: intervals with fewer than four degrees of freedom are weak ground."
        )
    return told


def what_versions_tell(eras: pd.DataFrame) -> dict[str, str]:
    """Return which versions of the plugin there are and what they can tell, for the template of the first page.

    Parameters
    ----------
    eras
        As ``recording_eras`` returns it.

    Returns
    -------
    dict
        ``sentence``, and ``table``, which is HTML.
    """
    shown = pd.DataFrame(
        {
            "plugin_version": eras["plugin_version"],
            "from": [day(moment) for moment in eras["first_at"]],
            "to": [day(moment) for moment in eras["last_at"]],
            "n_servers": eras["n_servers"],
            "n_incidents": eras["n_incidents"],
            "tells": [answers(row) for row in eras.astype(object).to_dict("records")],
        }
    )
    return {"sentence": sentences.recording_eras(eras).partition("\n\n")[0], "table": table_to_html(shown)}


def first_page(
    log: EventLog[Any], chapters: Sequence[Chapter], changed: tuple[pd.DataFrame | None, str] | None
) -> dict[str, object]:
    """Return what the first page alone says, for its template.

    Parameters
    ----------
    log
        The events of the report.
    chapters
        Its parts, whose figures the sentences lead to.
    changed
        As ``changed.what_changed`` returns it; None where it was not asked for.

    Returns
    -------
    dict
        ``scope``, ``findings``, ``cards``, ``alerts``, ``eras`` and ``changes``.
    """
    links = {
        exhibit.name: (f"{chapter.path}#{exhibit.anchor}", exhibit.label)
        for chapter in chapters
        for exhibit in chapter.exhibits
        if exhibit.kind == "figure"
    }
    with warnings.catch_warnings():
        # What rests on one server says so where it stands.
        warnings.simplefilter("ignore", OneClusterWarning)
        tables = compute_tables(log)
    n_servers = len(tables.servers)
    n_events = int(tables.servers[["n_incident", "n_tasks", "n_playbook"]].to_numpy().sum())
    said = None if changed is None else changes_said(*changed)
    way = ("#changes", "What changed") if said and said["table"] else ()
    news = [Finding(text, *way) for text in said["sentences"]] if said else []
    return {
        "scope": f"{count(n_servers, 'server')} · {count(n_events, 'event')}",
        "findings": [*news, *findings(tables, links)][:MOST_FINDINGS] if n_events else [],
        "cards": cards(tables, links, card_changes(changed[0] if changed else None)) if n_events else [],
        "alerts": alerts(log, tables),
        "eras": what_versions_tell(tables.eras) if n_events else None,
        "changes": said,
    }
