"""Which playbooks there are at a moment."""

import gzip
import json

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.errors import ParameterError

SIZES = ["num_checklists", "total_checklist_items", "num_slash_commands", "num_members"]
KEYS = ["server_id", "playbook_id"]


def playbooks(*rows: tuple) -> pd.DataFrame:
    """Playbook events: server, playbook, day of November 2020, action, number of tasks."""
    frame = pd.DataFrame(rows, columns=[*KEYS, "day", "action", "total_checklist_items"])
    frame["event_timestamp"] = pd.Timestamp("2020-10-31", tz="UTC") + pd.to_timedelta(frame.pop("day"), unit="D")
    frame["event_id"] = [f"{len(frame) - place:04d}" for place in range(len(frame))]
    return frame.astype(
        {"server_id": "str", "playbook_id": "str", "action": "category", "total_checklist_items": "Int64"}
    )


FIVE = playbooks(
    ("a", "p", 1, "create", 4),
    ("a", "p", 3, "update", 6),
    ("a", "q", 2, "update", 9),
    ("a", "p", 5, "delete", 6),
    ("b", "p", 4, "create", 1),
)


def cells(snapshot: pd.DataFrame) -> list[tuple]:
    return list(snapshot[[*KEYS, "total_checklist_items", "n_updates"]].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2020-10-31", []),
        ("2020-11-01", [("a", "p", 4, 0)]),
        ("2020-11-02", [("a", "p", 4, 0), ("a", "q", 9, 1)]),
        ("2020-11-04", [("a", "p", 6, 1), ("a", "q", 9, 1), ("b", "p", 1, 0)]),
        ("2020-11-05", [("a", "q", 9, 1), ("b", "p", 1, 0)]),
    ],
)
def test_a_snapshot_is_what_the_latest_events_left(day, expected):
    assert cells(tk.playbook_snapshot(FIVE, as_of=day)) == expected


def test_a_snapshot_tells_since_when_and_until_when_a_playbook_is_known():
    snapshot = tk.playbook_snapshot(FIVE, as_of="2020-11-04T12:00:00")
    assert list(snapshot["first_seen_at"].dt.day) == [1, 2, 4]
    assert list(snapshot["last_changed_at"].dt.day) == [3, 2, 4]
    assert list(snapshot.columns) == [*FIVE.columns, "first_seen_at", "last_changed_at", "n_updates"]


def test_a_playbook_that_is_updated_after_its_delete_exists_again():
    revived = playbooks(("a", "p", 1, "create", 4), ("a", "p", 2, "delete", 4), ("a", "p", 3, "update", 5))
    assert cells(tk.playbook_snapshot(revived, as_of="2020-11-02")) == []
    assert cells(tk.playbook_snapshot(revived, as_of="2020-11-03")) == [("a", "p", 5, 1)]


def test_of_two_events_at_one_moment_the_later_row_counts():
    tied = playbooks(("a", "p", 1, "create", 4), ("a", "p", 2, "update", 5), ("a", "p", 2, "update", 6))
    assert cells(tk.playbook_snapshot(tied, as_of="2020-11-02")) == [("a", "p", 6, 2)]
    assert cells(tk.playbook_snapshot(tied.iloc[[0, 2, 1]], as_of="2020-11-02")) == [("a", "p", 5, 2)]


def test_without_actions_what_follows_the_first_event_is_an_update():
    published = playbooks(("a", "p", 1, None, 4), ("a", "p", 2, None, 5), ("a", "p", 3, None, 5))
    assert cells(tk.playbook_snapshot(published, as_of="2020-11-03")) == [("a", "p", 5, 2)]


def test_every_kind_of_frame_gives_its_own_kind_with_the_same_rows(as_kind, oct2020):
    given = as_kind(oct2020.playbook)
    snapshot = tk.playbook_snapshot(given, as_of=oct2020.cutoff)
    assert type(snapshot) is type(given)
    expected = tk.playbook_snapshot(oct2020.playbook, as_of=oct2020.cutoff)
    pd.testing.assert_frame_equal(engine.collect(engine.open_frame(snapshot, [], parameter="snapshot")), expected)


def test_the_recorded_playbooks_are_what_the_sender_had(oct2020, recordings):
    with gzip.open(recordings / "truth" / "oct2020.json.gz") as file:
        truth = json.load(file)["playbooks"]
    expected = {}
    for playbook in truth:
        tracked = [state for state in playbook["history"] if state["tracked"]]
        if tracked and tracked[-1]["action"] != "delete":
            key = playbook["diagnostic_id"], playbook["playbook_id"]
            n_updates = sum(state["action"] == "update" for state in tracked)
            expected[key] = (*(tracked[-1][size] for size in SIZES), tracked[-1]["is_public"], n_updates)
    snapshot = tk.playbook_snapshot(oct2020.playbook, as_of=oct2020.cutoff).set_index(KEYS)
    got = snapshot[[*SIZES, "is_public", "n_updates"]].itertuples(name=None)
    assert {key: tuple(values) for key, *values in got} == expected
    assert len(expected) == 103


def test_no_events_make_an_empty_snapshot_of_the_same_types():
    empty, full = (tk.playbook_snapshot(rows, as_of="2020-11-04") for rows in (FIVE.iloc[:0], FIVE))
    assert len(empty) == 0
    assert list(empty.dtypes) == list(full.dtypes)


def test_mistakes_are_named():
    with pytest.raises(ParameterError, match=r"as_of: got 'soon', expected a datetime, or a text such as"):
        tk.playbook_snapshot(FIVE, as_of="soon")
    with pytest.raises(ParameterError, match="playbooks has no column 'action'"):
        tk.playbook_snapshot(FIVE.drop(columns="action"), as_of="2020-11-04")


def test_a_column_may_have_a_name_that_is_no_text():
    log = tk.load_events(tk.samples() / "recorded-autumn")
    plain = tk.playbook_snapshot(log.playbook, as_of="2020-12-01")
    numbered = tk.playbook_snapshot(log.playbook.assign(x=1).rename(columns={"x": 5}), as_of="2020-12-01")
    pd.testing.assert_frame_equal(numbered[list(plain)], plain)
