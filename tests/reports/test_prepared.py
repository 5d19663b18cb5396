"""The events of a report: servers under labels, in what is found as well."""

import json

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ResourceError
from telemetry_kit.reports.prepared import (
    open_prepared,
    servers_of,
    warn_of_absent,
    write_labelled,
)


@pytest.fixture
def prepared(make_event, tmp_path):
    """Events of two servers, of which one has lost an event and one sends a version that is none."""
    lines = [
        make_event(0, "incident", IncidentID="i", PluginVersion="new") | {"userId": "z" * 26},
        make_event(1, "incident", IncidentID="i") | {"userId": "a" * 26},
        make_event(2, "incident", IncidentID="i", Action="restart") | {"userId": "a" * 26},
        make_event(3, "frontend") | {"userId": "a" * 26},
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, lines)))
    tk.convert_events(tmp_path / "events.jsonl", tmp_path / "log")

    def opened(**options):
        return open_prepared(str(tmp_path / "log"), since=None, cutoff=None, memory_limit="500MB", **options)

    log, key = opened(), tmp_path / "servers.csv"
    write_labelled(log, key)
    return log, opened(key=str(key))


def test_a_standing_list_of_servers_may_name_some_that_are_not_there_and_says_so(prepared, tmp_path):
    log, _ = prepared
    options = {"since": None, "cutoff": None, "memory_limit": "500MB"}
    listed = ["a" * 26, "gone"]
    part = open_prepared(str(tmp_path / "log"), exclude_servers=listed, **options)
    assert set(tk.to_pandas(part.incident)["server_id"]) == {"z" * 26}
    assert servers_of(open_prepared(str(tmp_path / "log"), exclude_servers=["gone"], **options)) == servers_of(log)
    with pytest.warns(UserWarning, match=r"--exclude-servers: not in this recording: 'gone'$"):
        warn_of_absent(listed, log)


def test_findings_name_servers_by_their_labels(prepared):
    log, labelled = prepared
    assert f"server {'a' * 26}" in set(log.findings["detail"])
    assert "server S02" in set(labelled.findings["detail"])
    assert not labelled.findings["detail"].str.contains("a" * 26, na=False).any()


def test_a_label_is_no_id_of_unusual_form(prepared):
    log, labelled = prepared
    pd.testing.assert_frame_equal(log.findings.drop(columns="detail"), labelled.findings.drop(columns="detail"))
    told = labelled.findings[labelled.findings["finding"] == "id of unusual form"]
    assert "server_id" not in set(told["detail"])


def test_servers_whose_deliveries_have_gaps_are_found_under_their_labels(prepared):
    _, labelled = prepared
    lost = labelled.findings[labelled.findings["finding"] == "events probably lost, at least"]
    assert lost["detail"].to_list() == ["server S02"]
    servers = set(tk.to_pandas(labelled.incident)["server_id"])
    assert servers == {"S01", "S02"}


def test_events_of_other_types_are_those_of_the_label(prepared):
    log, labelled = prepared
    assert labelled.others_us == {"S02": log.others_us["a" * 26]}


def test_where_labelled_events_cannot_be_written_is_told_in_one_line(prepared, tmp_path):
    log, _ = prepared
    with pytest.raises(ResourceError, match=r"^temporary files: '.*' cannot be written: .*; TMPDIR names another$"):
        write_labelled(log, tmp_path / "gone" / "servers.csv")
