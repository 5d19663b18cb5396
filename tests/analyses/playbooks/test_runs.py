"""Playbooks and the incidents that were run from them."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.errors import ParameterError

START = pd.Timestamp("2020-11-01", tz="UTC")


def at(days: list[float]) -> pd.DatetimeIndex:
    return START + pd.to_timedelta(days, unit="D")


PLAYBOOKS = pd.DataFrame(
    {
        "server_id": "a",
        "playbook_id": ["p", "p", "q", "q"],
        "event_id": ["1", "2", "3", "4"],
        "event_timestamp": at([1, 5, 1, 3]),
        "action": ["create", "update", "create", "delete"],
        "num_checklists": pd.array([1, 2, 3, 3], dtype="Int64"),
        "total_checklist_items": pd.array([4, 8, 9, 9], dtype="Int64"),
    }
)
INCIDENTS = pd.DataFrame(
    {
        "server_id": "a",
        "incident_id": ["i", "i", "j", "k", "l", "m"],
        "playbook_id": ["p", "p", "p", "q", "p", None],
        "event_id": ["5", "6", "7", "8", "9", "10"],
        "event_timestamp": at([2, 3, 5, 4, 0, 6]),
        "action": ["create", "end", "create", "create", "create", "create"],
        "created_at": at([2, 2, 5, 4, 0, 6]),
        "num_checklists": pd.array([1, 1, 2, 3, 1, 1], dtype="Int64"),
        "total_checklist_items": pd.array([4, 5, 8, 9, 4, 0], dtype="Int64"),
    }
)


def cells(table: pd.DataFrame) -> list[tuple]:
    columns = ["incident_id", "total_checklist_items", "playbook_total_checklist_items"]
    rows = table[columns].itertuples(index=False, name=None)
    return [tuple(None if pd.isna(cell) else cell for cell in row) for row in rows]


def test_an_incident_stands_beside_its_playbook_as_it_was_then():
    # j at the very moment of the update; k after the delete of its playbook, l before the create, m without one.
    table = tk.incident_sizes(INCIDENTS, PLAYBOOKS)
    assert cells(table) == [("i", 4, 4), ("j", 8, 8), ("k", 9, None), ("l", 4, None), ("m", 0, None)]


def test_without_actions_a_prompt_first_event_is_the_create():
    published = INCIDENTS.assign(action=None, created_at=INCIDENTS["created_at"] - pd.Timedelta(60, "s"))
    assert [row[0] for row in cells(tk.incident_sizes(published, PLAYBOOKS))] == ["i", "j", "k", "l", "m"]
    late = published.assign(created_at=published["created_at"] - pd.Timedelta(1, "us"))
    assert cells(tk.incident_sizes(late, PLAYBOOKS)) == []


@pytest.fixture(scope="module")
def later(recordings):
    """The recording of the era whose incidents name their playbook."""
    return tk.load_events(recordings / "batch-bodies" / "later.jsonl.gz")


def test_recorded_incidents_begin_as_copies_of_their_playbooks(later):
    table = tk.incident_sizes(later.incident, later.playbook).dropna(subset="playbook_num_checklists")
    assert len(table) == 12
    for size in ("num_checklists", "total_checklist_items"):
        assert (table[size] == table[f"playbook_{size}"]).all()


def test_incident_sizes_are_of_every_kind_of_frame(as_kind):
    given = as_kind(INCIDENTS)
    for playbooks in (PLAYBOOKS, as_kind(PLAYBOOKS)):
        sizes = tk.incident_sizes(given, playbooks)
        assert type(sizes) is type(given)
        collected = engine.collect(engine.open_frame(sizes, [], parameter="frame"))
        pd.testing.assert_frame_equal(collected, tk.incident_sizes(INCIDENTS, PLAYBOOKS))


SNAPSHOT = pd.DataFrame(
    {
        "server_id": ["a", "a", "a", "b", "c"],
        "playbook_id": ["p", "q", "r", "s", "t"],
        "num_checklists": pd.array([2, 2, 2, 8, 5], dtype="Int64"),
        "total_checklist_items": pd.array([1, 2, 3, 4, 5], dtype="Int64"),
    }
)


def test_sizes_are_weighted_by_playbook_by_server_and_by_run():
    runs = pd.DataFrame(
        {
            "server_id": ["a", "b", "b", "b", "b"],
            "playbook_id": ["p", "s", "s", "s", "s"],
            "incident_id": ["1", "2", "2", "3", "4"],
        }
    )
    table = tk.playbook_weightings(SNAPSHOT, runs, measure="num_checklists").set_index("weighting")
    assert list(table.index) == ["playbook", "server", "run"]
    assert list(table["n"]) == [5, 5, 2]
    assert list(table["n_servers"]) == [3, 3, 2]
    assert list(table["n_runs"]) == [4, 4, 4]
    assert list(table["mean"]) == pytest.approx([19 / 5, (2 + 8 + 5) / 3, (2 + 3 * 8) / 4])
    assert list(table["median"]) == [2, 5, 8]


def test_the_limits_of_a_weighted_mean_are_those_of_r():
    """In R:

    d <- data.frame(s = c("a", "a", "b", "b", "c"), x = c(1, 2, 3, 4, 9), w = c(.5, .5, .5, .5, 1))
    m <- svymean(~x, svydesign(ids = ~s, weights = ~w, data = d)); confint(m, df = 2)  # CR2, for servers of one weight
    """
    snapshot = SNAPSHOT.assign(
        server_id=["a", "a", "b", "b", "c"], total_checklist_items=pd.array([1, 2, 3, 4, 9], dtype="Int64")
    )
    none = pd.DataFrame({"server_id": ["a"], "playbook_id": pd.array([None], dtype="str"), "incident_id": ["1"]})
    table = tk.playbook_weightings(snapshot, none).set_index("weighting")
    assert list(table.loc["server", ["mean", "lower", "upper"]]) == pytest.approx(
        [4.6666666667, -4.9810453719, 14.3143787052]
    )
    assert table.loc["run", "n"] == 0
    assert table.loc["run", ["mean", "lower", "upper", "median"]].isna().all()


def test_weightings_are_the_same_on_every_kind_of_frame(as_kind, later):
    snapshot = tk.playbook_snapshot(later.playbook, as_of=later.cutoff)
    got = tk.playbook_weightings(as_kind(snapshot), as_kind(later.incident), measure="items_per_checklist")
    pd.testing.assert_frame_equal(got, tk.playbook_weightings(snapshot, later.incident, measure="items_per_checklist"))
    assert list(got["n_runs"]) == [10, 10, 10]


def test_an_empty_snapshot_has_no_weights():
    runs = INCIDENTS[["server_id", "playbook_id", "incident_id"]]
    empty, full = tk.playbook_weightings(SNAPSHOT.iloc[:0], runs), tk.playbook_weightings(SNAPSHOT, runs)
    assert len(empty) == 0
    assert list(empty.dtypes) == list(full.dtypes)


def test_mistakes_are_named():
    with pytest.raises(ParameterError, match="incidents has no column 'incident_id'"):
        tk.playbook_weightings(SNAPSHOT, SNAPSHOT)
    with pytest.raises(ParameterError, match="level: got 0, expected"):
        tk.playbook_weightings(SNAPSHOT, INCIDENTS, level=0)
