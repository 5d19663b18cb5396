"""What was kept but deserves a look is named and counted."""

import json

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import telemetry_kit as tk

EVERYWHERE = [
    "id of unusual form",
    "incident begun before the recording",
    "task event of an incident that was never recorded",
]


@pytest.fixture
def notes(tmp_path):
    """Load events and return their notes as tuples without the findings that every log here has."""

    def notes(*events):
        (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
        log = tk.load_events(tmp_path / "events.jsonl")
        assert len(log.quarantine) == 0
        rows = log.findings[~log.findings["finding"].isin(EVERYWHERE)]
        return [tuple(None if pd.isna(cell) else cell for cell in row) for row in rows.to_numpy().tolist()]

    return notes


def test_plain_events_deserve_no_note(notes, make_event):
    events = [make_event(n, kind) for n, kind in enumerate(["incident", "tasks", "playbook"])]
    assert notes(*events) == []


def test_complete_recordings_deserve_none_but_of_what_is_new(recordings, oct2020):
    assert oct2020.findings[["finding", "n"]].to_numpy().tolist() == [["incident begun before the recording", 4]]
    later = tk.load_events(recordings / "batch-bodies" / "later.jsonl.gz").findings
    assert set(later["finding"]) == {"other event type", "unknown property", "unknown action"}
    assert later.loc[later["detail"] == "add_timeline_event_from_post", "n"].item() == 26


def test_unknown_types_properties_and_actions_are_named_by_event_type(notes, make_event):
    assert notes(
        make_event(1, "incident", Colour="red", Action="paint"),
        make_event(2, "incident", Colour="red", Size=1, Action="paint"),
        make_event(3, "tasks", Colour="red"),
        make_event(4, "frontend", Colour="red"),
    ) == [
        ("other event type", None, "frontend", 1),
        ("unknown property", "incident", "Colour", 2),
        ("unknown property", "incident", "Size", 1),
        ("unknown property", "tasks", "Colour", 1),
        ("unknown action", "incident", "paint", 2),
    ]


def _plain_lines(events, path):
    path.write_text("\n".join(map(json.dumps, events)))


def _rows_of_pandas(events, path):
    pd.json_normalize(events).to_json(path, orient="records", lines=True)


def _rows_of_duckdb(events, path):
    table = pa.Table.from_pylist(events)
    duckdb.from_arrow(table).query("events", f"COPY (FROM events) TO '{path}' (FORMAT json)")


def _cells_of_csv(events, path):
    pd.DataFrame([event | {"properties": json.dumps(event["properties"])} for event in events]).to_csv(
        path, index=False
    )


NULLS = {
    "lines.jsonl": _plain_lines,
    "document.json": lambda events, path: path.write_text(json.dumps(events)),
    "body.json": lambda events, path: path.write_text(json.dumps({"batch": events})),
    "search.jsonl": lambda events, path: _plain_lines([{"_id": "x", "_source": event} for event in events], path),
    "pandas.jsonl": _rows_of_pandas,
    "duckdb.jsonl": _rows_of_duckdb,
    "flat.csv": lambda events, path: pd.json_normalize(events).to_csv(path, index=False),
    "nested.csv": _cells_of_csv,
    "struct.parquet": lambda events, path: pq.write_table(pa.Table.from_pylist(events), path),
}


@pytest.mark.parametrize("is_rejected", [False, True])
@pytest.mark.parametrize("name", NULLS)
def test_an_unknown_property_without_a_value_is_none(tmp_path, make_event, name, is_rejected):
    odd = "a/b~c"
    events = [make_event(n, "incident", Colour=colour) for n, colour in enumerate([None, "red", None, "null"])]
    for event, value in zip(events, [1, None, None, None], strict=True):
        event["properties"][odd] = value
    if is_rejected:
        # What is rejected is looked at one by one.
        for event in events:
            event["timestamp"] = "no time"
    NULLS[name](events, tmp_path / name)
    log = tk.load_events(tmp_path / name)
    assert log.audit[["n_incident", "n_rejected"]].to_numpy().tolist() == [[0, 4] if is_rejected else [4, 0]]
    told = log.findings[log.findings["finding"] == "unknown property"]
    # A whole cell of a delimited file may be a word for null.
    n_colours = 1 if name == "flat.csv" else 2
    assert dict(zip(told["detail"], told["n"], strict=True)) == {"Colour": n_colours, odd: 1}


def test_incidents_that_had_begun_before_are_counted_and_those_whose_create_was_lost_are_not(tmp_path, make_event):
    def event(n, incident, action, created_s):
        return make_event(n, "incident", Action=action, IncidentID=incident * 26, CreateAt=1604311200000 + created_s)

    events = [event(1, "a", "create", 0), event(2, "b", "end", -9000), event(3, "b", "restart", -9000)]
    (tmp_path / "begun.jsonl").write_text("\n".join(map(json.dumps, events)))
    (tmp_path / "lost.jsonl").write_text("\n".join(map(json.dumps, [events[0], event(9, "b", "end", 3000)])))
    begun, lost = (tk.load_events(tmp_path / f"{name}.jsonl").findings for name in ("begun", "lost"))
    assert begun.loc[begun["finding"] == "incident begun before the recording", "n"].to_list() == [1]
    assert "incident begun before the recording" not in set(lost["finding"])
    assert "create that was never recorded" in set(lost["finding"])


def test_times_that_differ_are_counted(notes, make_event):
    same, other = make_event(1), make_event(2)
    same["originalTimestamp"], other["originalTimestamp"] = "2020-11-02T11:00:01+01:00", "2020-11-02T10:00:02.001Z"
    assert notes(same, other) == [("timestamps differ", "tasks", "event_timestamp and original_timestamp", 1)]


def test_ids_of_unusual_form_are_counted_by_column(make_event):
    log = tk.load_events(pd.DataFrame([make_event(1, "playbook", TeamID="my-team"), make_event(2, "playbook")]))
    rows = log.findings[log.findings["finding"] == "id of unusual form"]
    assert rows[["event_type", "detail", "n"]].to_numpy().tolist() == [["playbook", "team_id", 1]]


@pytest.mark.parametrize(
    ("version", "is_odd"),
    [("1.1.0", False), ("v5.28", False), ("1.2.0-rc1+abc", False), ("1.1.0.1", False), ("dev", True), ("1", True)],
)
def test_versions_that_do_not_parse_are_named(notes, make_event, version, is_odd):
    wanted = [("version that does not parse", "playbook", f"plugin_version {version}", 1)]
    assert notes(make_event(1, "playbook", PluginVersion=version)) == wanted * is_odd


def test_eras_in_one_source_are_told_apart(notes, make_event):
    later = make_event(
        2, "incident", without=("ActiveStage", "IsActive"), CurrentStatus="Active", PluginVersion="1.3.0"
    )
    later["properties"]["IncidentID"] = "incidentbbbbbbbbbbbbbbbbbb"
    assert notes(make_event(1, "incident"), later) == [
        ("eras mixed", "incident", "with a stage (up to v1.2)", 1),
        ("eras mixed", "incident", "with a status (from v1.3)", 1),
    ]


def test_impossible_times_and_stages_are_counted(notes, make_event):
    assert notes(
        make_event(1, "incident", ActiveStage=3, NumChecklists=3),
        make_event(2, "incident", Action="change_stage", ActiveStage=0, NumChecklists=0),
        make_event(3, "incident", Action="change_stage", CreateAt=1704311200000, ActiveStage=2),
    ) == [
        ("event before its incident was created", "incident", "created_at", 1),
        ("stage beyond the number of stages", "incident", "active_stage", 1),
    ]


def test_what_was_probably_lost_is_counted_by_server(notes, make_event):
    def moved(number, server, **properties):
        return make_event(number, "incident", Action="change_stage", **properties) | {"userId": server}

    found = notes(
        make_event(1, "incident") | {"userId": "a"},
        moved(2, "a", ActiveStage=0, TotalChecklistItems=9),
        moved(3, "a", ActiveStage=0, TotalChecklistItems=9, CommanderUserID="x"),
        make_event(1, "incident") | {"messageId": "b1", "userId": "b"},
        moved(4, "b", ActiveStage=0),
    )
    assert found == [
        ("stage change to the same stage", "incident", "server a", 2),
        ("stage change to the same stage", "incident", "server b", 1),
        ("other commander without a change of commander", "incident", "server a", 1),
        ("tasks added or removed unseen", "tasks", "server a", 1),
        ("events probably lost, at least", None, "server a", 5),
        ("events probably lost, at least", None, "server b", 1),
    ]
