"""What an analysis and its peer both read: the frames of a log, and licences for its servers."""

from __future__ import annotations

import re
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.engine import connections
from telemetry_kit.eventlog.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pandas as pd

    from benchmarks.analyses import Analysis

Kind = Literal["relations", "pandas"]

_LICENSES = """
SELECT server_id, 'E20' AS edition, TIMESTAMPTZ '2020-10-15' + INTERVAL (n % 60) DAYS AS starts_at,
    CASE WHEN n % 3 > 0 THEN starts_at + INTERVAL 30 DAYS END AS ends_at
FROM (SELECT server_id, row_number() OVER (ORDER BY server_id) AS n FROM (SELECT DISTINCT server_id FROM incident))
WHERE n % 2 = 0
"""

# Incidents of the versions that have stages do not say which playbook they came from. For the analyses that ask, each
# came from one of its server's.
_FROM_PLAYBOOKS = """
SELECT incident.* REPLACE (found[1 + (hash(incident_id) % len(found))::BIGINT] AS playbook_id)
FROM incident LEFT JOIN (
    SELECT server_id, list(DISTINCT playbook_id ORDER BY playbook_id) AS found FROM playbook GROUP BY ALL
) USING (server_id)
"""


def open_inputs(
    store: str, kind: Kind, sql: str, *, memory_limit: str = ""
) -> tuple[dict[str, Any], duckdb.DuckDBPyConnection]:
    """Open a store as ``scan_events`` does, or as pandas frames; and what a query names beside them.

    Returns
    -------
    tuple of dict and duckdb.DuckDBPyConnection
        The frames by name, with the ``cutoff``, and a connection on which the query finds all of them.
    """
    connection = connections.connect()
    connection.execute(f"SET temp_directory = '{tempfile.gettempdir()}/spilled'")
    if memory_limit:
        connection.execute(f"SET memory_limit = '{memory_limit}'")
    log: dict[str, Any]
    opened = open_store(connection, Path(store), None, None) if kind == "relations" else tk.load_events(store)
    log = {each: getattr(opened, each) for each in tk.schemas.EVENT_TYPES} | {"cutoff": opened.cutoff}
    for each in tk.schemas.EVENT_TYPES:
        _name(connection, each, log[each])
    if kind == "relations" and re.search(r"\bincident\b", sql) and "playbook_id" in sql:
        log["incident"] = connection.read_parquet(_from_playbooks(connection, store))
        _name(connection, "incident", log["incident"])
    if re.search(r"\blicenses\b", sql):
        log["licenses"] = _home(connection.sql(_LICENSES))
        _name(connection, "licenses", log["licenses"])
    return log, connection


def _from_playbooks(connection: duckdb.DuckDBPyConnection, store: str) -> str:
    """Write the incidents of a store once more, each with a playbook, where that was not done before."""
    path = Path(store) / "incident-of-playbooks.parquet"
    if not path.exists():
        new = path.with_suffix(".new")
        connection.sql(_FROM_PLAYBOOKS).write_parquet(str(new))
        new.rename(path)
    return str(path)


def _name(connection: duckdb.DuckDBPyConnection, name: str, frame: Any) -> None:  # noqa: ANN401 - of any kind
    if hasattr(frame, "create_view"):
        frame.create_view(name)
    else:
        connection.register(name, frame)


def ask(connection: duckdb.DuckDBPyConnection, analysis: Analysis, cutoff: Any) -> duckdb.DuckDBPyRelation:  # noqa: ANN401
    """Return an analysis's query as a relation, after the query before it; ``$cutoff`` is the cutoff of the log."""
    if analysis.visits:
        made = f"CREATE OR REPLACE TEMP TABLE visits AS {analysis.visits}"
        connection.execute(made, {"cutoff": cutoff.to_pydatetime()})
    sql = analysis.sql
    return connection.sql(sql, params={"cutoff": cutoff.to_pydatetime()} if "$cutoff" in sql else None)


def consume(result: Any) -> int:  # noqa: ANN401 - of any kind
    """Collect all rows of a result, a lazy one batch by batch, and return how many they are."""
    if hasattr(result, "to_arrow_reader"):
        return sum(batch.num_rows for batch in result.to_arrow_reader(100_000))
    return len(result)


@contextmanager
def few_events() -> Iterator[str]:
    """Make a store of few events, on which a first run imports what it needs."""
    with tempfile.TemporaryDirectory() as folder:
        tk.convert_events(tk.samples() / "recorded-autumn", f"{folder}/log")
        yield f"{folder}/log"


def _home(relation: duckdb.DuckDBPyRelation) -> pd.DataFrame:
    return engine.arrow_to_pandas(relation.to_arrow_table())
