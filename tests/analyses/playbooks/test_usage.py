"""Which playbooks are used: what is not known is not zero."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError


def playbooks(*keys: str) -> pd.DataFrame:
    """A snapshot of playbooks such as ``"a/p"``, on server a."""
    return pd.DataFrame([key.split("/") for key in keys], columns=["server_id", "playbook_id"])


def incidents(*rows: tuple) -> pd.DataFrame:
    """Incident events: server/incident, playbook, version, day of November."""
    frame = pd.DataFrame(rows, columns=["key", "playbook_id", "plugin_version", "day"])
    frame[["server_id", "incident_id"]] = frame.pop("key").str.split("/", expand=True)
    frame["event_timestamp"] = pd.Timestamp("2020-10-31", tz="UTC") + pd.to_timedelta(frame.pop("day"), "D")
    return frame.astype({"playbook_id": "str"})


def usage(snapshot, events) -> list[tuple]:
    table = tk.playbook_usage(snapshot, events)
    days = [table[name].dt.day.astype("Int64") for name in ("first_used_at", "last_used_at")]
    columns = [table["playbook_id"], table["n_incidents"], *days, table["n_servers"], table["n_unnamed"]]
    return [tuple(None if pd.isna(cell) else cell for cell in row) for row in zip(*columns, strict=True)]


def test_incidents_are_counted_once_from_their_first_event_on():
    events = incidents(
        ("a/i", "p", "1.2.0", 2), ("a/i", "p", "1.2.0", 9), ("a/j", "p", "1.1.1", 5), ("a/k", None, "1.2.0", 7)
    )
    assert usage(playbooks("a/p", "a/q"), events) == [("p", 2, 2, 5, 1, 0), ("q", 0, None, None, 0, 0)]


def test_where_versions_do_not_name_playbooks_nothing_is_known_and_told_how_much():
    events = incidents(("a/i", None, "1.1.0", 2), ("a/j", None, "1.0.0", 3), ("b/i", "p", "1.1.1", 2))
    assert usage(playbooks("a/p", "b/p"), events) == [("p", None, None, None, None, 2), ("p", 1, 2, 2, 1, 0)]


def test_what_is_named_is_at_least_so_much_where_other_incidents_do_not_tell():
    events = incidents(("a/i", None, "1.1.0", 2), ("a/j", "p", "1.2.0", 3))
    assert usage(playbooks("a/p", "a/q"), events) == [("p", 1, 3, 3, 1, 1), ("q", None, None, None, None, 1)]


def test_an_incident_that_was_upgraded_tells_with_its_later_events():
    events = incidents(
        ("a/i", None, "1.1.0", 2), ("a/i", "p", "1.2.0", 3), ("a/j", None, "1.1.0", 2), ("a/j", None, "1.2.0", 4)
    )
    assert usage(playbooks("a/p", "a/q"), events) == [("p", 1, 2, 2, 1, 0), ("q", 0, None, None, 0, 0)]


def test_a_server_without_incidents_uses_none():
    assert usage(playbooks("c/p"), incidents(("a/i", None, "1.1.0", 2))) == [("p", 0, None, None, 0, 0)]
    assert usage(playbooks("c/p"), incidents(("a/i", None, "1.1.0", 2)).iloc[:0]) == [("p", 0, None, None, 0, 0)]


def test_without_playbooks_there_is_no_row():
    assert len(tk.playbook_usage(playbooks("a/p").iloc[:0], incidents(("a/i", "p", "1.2.0", 2)))) == 0


def test_a_missing_column_is_named():
    with pytest.raises(ParameterError, match="incidents has no column 'plugin_version'"):
        tk.playbook_usage(playbooks("a/p"), incidents(("a/i", "p", "1.2.0", 2)).drop(columns="plugin_version"))
