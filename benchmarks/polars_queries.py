"""Some of the analyses as one would write them for Polars, where that is natural: the same numbers, no intervals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAYBOOK = ["server_id", "playbook_id"]
_COMMANDER, _ASSIGNEE = pl.col("was_commander"), pl.col("was_assignee")


def task_completion(store: str) -> pl.LazyFrame:
    """Completions and reopenings by who made them, in clusters and then in all."""
    tasks = pl.scan_parquet(f"{store}/tasks.parquet").filter(pl.col("new_state").is_in(["done", "open"]))
    completer = (
        pl.when(_COMMANDER & _ASSIGNEE)
        .then(pl.lit("both"))
        .when(_COMMANDER & ~_ASSIGNEE)
        .then(pl.lit("commander"))
        .when(~_COMMANDER & _ASSIGNEE)
        .then(pl.lit("assignee"))
        .when(~_COMMANDER & ~_ASSIGNEE)
        .then(pl.lit("neither"))
    )
    counted = (
        tasks.with_columns(completer=completer)
        .filter(pl.col("completer").is_not_null())
        .group_by("server_id", "completer")
        .agg(n_completed=(pl.col("new_state") == "done").sum(), n_reopened=(pl.col("new_state") == "open").sum())
    )
    return counted.group_by("completer").agg(pl.col("n_completed", "n_reopened").sum())


def commander_vs_assignee(store: str) -> pl.LazyFrame:
    """Shares of completions by the commander and by the assignee."""
    done = pl.scan_parquet(f"{store}/tasks.parquet").filter(
        pl.col("new_state") == "done", _COMMANDER.is_not_null(), _ASSIGNEE.is_not_null()
    )
    clusters = done.group_by("plugin_version", "server_id").agg(n=pl.len(), c=_COMMANDER.sum(), a=_ASSIGNEE.sum())
    totals = clusters.group_by("plugin_version").agg(pl.col("n", "c", "a").sum(), n_clusters=pl.len())
    return totals.with_columns(difference=(pl.col("c") - pl.col("a").cast(pl.Int64)) / pl.col("n"))


def playbook_snapshot(store: str) -> pl.LazyFrame:
    """The latest state of every playbook that was not deleted."""
    events = pl.scan_parquet(f"{store}/playbook.parquet").sort("event_timestamp", "event_id")
    latest = events.group_by(_PLAYBOOK).agg(
        pl.all().last(),
        first_seen_at=pl.col("event_timestamp").first(),
        n_updates=(pl.col("action").fill_null("update") == "update").sum(),
    )
    return latest.filter(pl.col("action").ne_missing("delete")).sort(_PLAYBOOK)


def server_overview(store: str) -> pl.LazyFrame:
    """Every server in one row."""
    columns = ["server_id", "user_actual_id", "event_timestamp", "plugin_version", "server_version", "event_type"]
    events = pl.concat(
        [pl.scan_parquet(f"{store}/{kind}.parquet").select(columns) for kind in ("incident", "tasks", "playbook")]
    )
    latest = pl.col("plugin_version", "server_version")
    return (
        events.group_by("server_id")
        .agg(
            *((pl.col("event_type") == kind).sum().alias(f"n_{kind}") for kind in ("incident", "tasks", "playbook")),
            latest.get(pl.col("event_timestamp").arg_max()),
            latest.n_unique().name.prefix("n_"),
            first=pl.col("event_timestamp").min(),
            last=pl.col("event_timestamp").max(),
            n_days_active=pl.col("event_timestamp").dt.date().n_unique(),
            n_users=pl.col("user_actual_id").n_unique(),
        )
        .sort("server_id")
    )


QUERIES: dict[str, Callable[[str], pl.LazyFrame]] = {
    "task_completion": task_completion,
    "commander_vs_assignee": commander_vs_assignee,
    "playbook_snapshot": playbook_snapshot,
    "server_overview": server_overview,
}
