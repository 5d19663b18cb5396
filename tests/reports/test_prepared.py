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


def test_reasons_tell_no_value_of_what_was_rejected(make_event, tmp_path):
    secret = "Secret" + "x" * 20
    events = [make_event(n, "incident", IncidentID="i") | {"userId": "a" * 26} for n in range(6)]
    other_server = events[0] | {"userId": secret}
    other_user = make_event(1, "incident", IncidentID="i", UserActualID=secret) | {"userId": "a" * 26}
    events[2]["properties"]["CreateAt"] = f'"{secret}", at last'
    events[3]["properties"] = {secret: 1}
    events[4]["event"] = None
    events[4]["properties"]["Action"] = [secret]
    lines = [*map(json.dumps, [*events, other_server, other_user])]
    lines += [lines[5].replace('"event":', f'"{secret}": 1, "{secret}": 2, "event":', 1)]
    lines += [json.dumps({"_id": secret, secret: lines[0][:90], "other": {"a": 1}})]
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    tk.convert_events(tmp_path / "events.jsonl", tmp_path / "log")
    options = {"since": None, "cutoff": None, "memory_limit": "500MB"}
    log = open_prepared(str(tmp_path / "log"), **options)
    write_labelled(log, tmp_path / "servers.csv")
    labelled = open_prepared(str(tmp_path / "log"), key=str(tmp_path / "servers.csv"), **options)
    whole, masked = (tk.to_pandas(each.quarantine)["reason"] for each in (log, labelled))
    assert len(whole) == len(masked) >= 6
    assert whole.str.contains(secret).sum() >= 5
    assert not masked.str.contains("Secret").any()
    assert not masked.str.contains("a" * 26).any()
