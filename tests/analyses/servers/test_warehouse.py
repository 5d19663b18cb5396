"""The figures of the data warehouse."""

import gzip
import json

import pandas as pd

import telemetry_kit as tk
from telemetry_kit import engine

TYPES = ("incident", "tasks", "playbook")
METHODS = {
    "playbooks_created": "CreatePlaybook",
    "playbooks_edited": "UpdatePlaybook",
    "playbooks_deleted": "DeletePlaybook",
    "incidents_created": "CreateIncident",
    "ended_incident": "EndIncident",
    "restarted_incident": "RestartIncident",
    "stages_changed": "ChangeStage",
    "commanders_changed": "ChangeCommander",
    "tasks_added": "AddTask",
    "tasks_removed": "RemoveTask",
    "tasks_renamed": "RenameTask",
    "tasks_moved": "MoveTask",
    "task_states_modified": "ModifyCheckedState",
    "task_assignees_set": "SetAssignee",
    "task_slash_commands_run": "RunTaskSlashCommand",
}


def values(log: object) -> pd.Series:
    return tk.warehouse_metrics(log).set_index("metric")["value"]


def test_actions_are_counted_as_the_sender_made_them(oct2020, recordings):
    with gzip.open(recordings / "truth" / "oct2020.json.gz") as file:
        tracked = json.load(file)["totals"]["tracked_by_method"]
    figures = values(oct2020)
    assert {name: figures[name] for name in METHODS} == {name: tracked[method] for name, method in METHODS.items()}


def test_servers_and_users_are_those_who_did_it(oct2020):
    row = tk.warehouse_metrics(oct2020).set_index("metric").loc["stages_changed"]
    moves = oct2020.incident[oct2020.incident["action"] == "change_stage"]
    assert (row["n_servers"], row["n_users"]) == (moves["server_id"].nunique(), moves["user_actual_id"].nunique())


def test_statuses_count_incidents_and_not_events(recordings):
    log = tk.load_events(recordings / "batch-bodies" / "later.jsonl.gz")
    figures = values(log)
    for name, status in (("reported_incidents", "Reported"), ("archived_incidents", "Archived")):
        mine = log.incident[log.incident["current_status"] == status]
        assert figures[name] == mine["incident_id"].nunique() > 0
    assert figures["playbooks"] == pd.concat([log.incident["playbook_id"], log.playbook["playbook_id"]]).nunique()


def test_weeks_have_8_days_and_months_31():
    times = pd.to_datetime(["2020-10-31", "2020-11-01", "2020-11-23", "2020-11-24", "2020-12-01"], utc=True)
    frame = pd.DataFrame(
        {
            "server_id": ["s", "t", "s", "t", "s"],
            "user_actual_id": [*"abcde"],
            "event_timestamp": times,
            "event_id": [*"12345"],
            "action": None,
            "incident_id": "i",
            "playbook_id": "p",
            "current_status": None,
        }
    )
    figures = values({"incident": frame, "tasks": frame.iloc[:0], "playbook": frame.iloc[:0]})
    assert figures[["daily_active_users", "weekly_active_users", "monthly_active_users"]].tolist() == [1, 2, 4]
    assert figures[["incident_contributors", "days_active", "playbooks"]].tolist() == [5, 5, 2]


def test_every_figure_says_what_it_counts(oct2020):
    table = tk.warehouse_metrics(oct2020)
    assert table["metric"].is_unique
    assert table["definition"].str.endswith(".").all()
    assert table.set_index("metric").loc["playbooks_deleted", "difference"].startswith("The warehouse looks for")


def test_every_kind_of_frame_gives_the_same_table(as_kind, oct2020):
    given = {name: as_kind(getattr(oct2020, name)) for name in TYPES}
    pd.testing.assert_frame_equal(tk.warehouse_metrics(given), tk.warehouse_metrics(oct2020))


def test_an_empty_log_has_figures_of_zero(oct2020):
    empty = {name: getattr(oct2020, name).iloc[:0] for name in TYPES}
    assert (values(empty) == 0).all()


def test_many_events_are_counted_in_pieces_of_servers(oct2020, monkeypatch):
    at_once = tk.warehouse_metrics(oct2020)
    monkeypatch.setattr(engine.frames, "PIECE_ROWS", sum(len(getattr(oct2020, name)) for name in TYPES) // 5)
    pd.testing.assert_frame_equal(tk.warehouse_metrics(oct2020), at_once)
