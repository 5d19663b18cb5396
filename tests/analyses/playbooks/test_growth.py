"""How playbooks change."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.errors import ParameterError


def playbooks(*rows: tuple) -> pd.DataFrame:
    """Playbook events: server, playbook, day from the end of October 2020, action, number of tasks."""
    frame = pd.DataFrame(rows, columns=["server_id", "playbook_id", "day", "action", "total_checklist_items"])
    frame["event_timestamp"] = pd.Timestamp("2020-10-31", tz="UTC") + pd.to_timedelta(frame.pop("day"), unit="D")
    frame["event_id"] = [f"{place:04d}" for place in range(len(frame))]
    frame["num_checklists"] = pd.array([2] * len(frame), dtype="Int64")
    return frame.astype({"action": "category", "total_checklist_items": "Int64"})


EVENTS = playbooks(
    ("a", "p", 1, "create", 4),
    ("a", "p", 3, "update", 10),
    ("a", "p", 31, "update", 6),
    ("b", "q", 2, "create", 8),
    ("b", "q", 9, "update", 7),
    ("b", "q", 40, "delete", 7),
    ("c", "r", 5, "update", 50),
    ("c", "s", 45, "create", 1),
)


def test_a_history_has_the_first_the_last_and_the_largest_size():
    table = tk.playbook_histories(EVENTS)
    sizes = ["playbook_id", "n_updates", "from_create", "is_deleted", "first", "last", "largest"]
    assert list(table[sizes].itertuples(index=False, name=None)) == [
        ("p", 2, True, False, 4, 6, 10),
        ("q", 1, True, True, 8, 7, 8),
        ("r", 1, False, False, 50, 50, 50),
        ("s", 0, True, False, 1, 1, 1),
    ]
    assert list(table["last_changed_at"] - table["first_seen_at"]) == list(pd.to_timedelta([30, 38, 0, 0], unit="D"))


def test_growth_holds_each_playbook_against_itself_as_it_was_created():
    table = tk.playbook_growth(EVENTS)
    columns = ["update", "n", "n_servers", "mean", "mean_change", "n_larger", "n_smaller"]
    assert list(table[columns].itertuples(index=False, name=None)) == [
        (0, 3, 3, 13 / 3, 0, 0, 0),
        (1, 2, 2, 17 / 2, 5 / 2, 1, 1),
        (2, 1, 1, 6, 2, 1, 0),
    ]
    assert table.loc[2, ["lower", "upper"]].isna().all()


def test_the_limits_of_growth_are_those_of_r(oct2020):
    """In R, with d the change of each playbook that has a second update:

    r <- coef_test(lm(change ~ 1, d), vcov = "CR2", cluster = d$server_id, test = "Satterthwaite")
    c(r$beta, r$df_Satt, r$beta + c(-1, 1) * qt(.975, r$df_Satt) * r$SE)
    """
    row = tk.playbook_growth(oct2020.playbook).set_index("update").loc[2]
    assert (row["n"], row["n_servers"]) == (79, 25)
    assert list(row[["mean_change", "df", "lower", "upper"]]) == pytest.approx(
        [-0.0886075949, 13.2675006120, -0.6935529592, 0.5163377693]
    )


def test_growth_without_actions_takes_the_first_event_for_the_create():
    table = tk.playbook_growth(EVENTS.assign(action=pd.Series([None] * len(EVENTS), dtype="category")))
    assert list(table["n"]) == [4, 2, 2]


def test_growth_has_a_group_for_each_value_of_a_column():
    table = tk.playbook_growth(EVENTS, by="server_id", measure="items_per_checklist")
    assert list(table[["server_id", "update", "mean_change"]].itertuples(index=False, name=None)) == [
        ("a", 0, 0),
        ("a", 1, 3),
        ("a", 2, 1),
        ("b", 0, 0),
        ("b", 1, -0.5),
        ("c", 0, 0),
    ]


def test_sizes_over_time_are_those_of_snapshots(oct2020):
    table = tk.playbook_sizes_over_time(oct2020.playbook, freq="W", cutoff=oct2020.cutoff, by="is_public")
    assert table["as_of"].nunique() == 7
    for as_of, rows in table.groupby("as_of"):
        snapshot = tk.playbook_snapshot(oct2020.playbook, as_of=as_of)
        expected = tk.playbook_sizes(snapshot, by="is_public")
        pd.testing.assert_frame_equal(rows.drop(columns="as_of").reset_index(drop=True), expected)


def test_the_last_period_ends_with_the_cutoff():
    table = tk.playbook_sizes_over_time(EVENTS, cutoff="2020-12-20T12:00:00")
    ends = pd.to_datetime(["2020-11-30T23:59:59.999999", "2020-12-20T12:00:00"], format="ISO8601", utc=True)
    assert list(table["as_of"]) == list(ends)
    assert list(table[["n", "mean"]].itertuples(index=False, name=None)) == [
        (3, (10 + 7 + 50) / 3),
        (3, (6 + 50 + 1) / 3),
    ]


def test_a_period_without_a_playbook_has_no_row():
    gone = playbooks(("a", "p", 1, "create", 4), ("a", "p", 2, "delete", 4), ("a", "q", 70, "create", 5))
    assert list(tk.playbook_sizes_over_time(gone)["as_of"].dt.month) == [1]


def test_a_cutoff_before_the_first_event_leaves_nothing():
    assert len(tk.playbook_sizes_over_time(EVENTS, cutoff="2020-09-01")) == 0


def test_every_kind_of_frame_gives_the_same_tables(as_kind, oct2020):
    given = as_kind(oct2020.playbook)
    histories = tk.playbook_histories(given, measure="num_members")
    assert type(histories) is type(given)
    expected = tk.playbook_histories(oct2020.playbook, measure="num_members")
    pd.testing.assert_frame_equal(engine.collect(engine.open_frame(histories, [], parameter="frame")), expected)
    for statistic in (tk.playbook_growth, tk.playbook_sizes_over_time):
        options = {"measure": "items_per_checklist", "by": "is_public"}
        pd.testing.assert_frame_equal(statistic(given, **options), statistic(oct2020.playbook, **options))


def test_no_events_make_empty_tables_of_the_same_types():
    for statistic in (tk.playbook_histories, tk.playbook_growth, tk.playbook_sizes_over_time):
        empty, full = statistic(EVENTS.iloc[:0]), statistic(EVENTS)
        assert len(empty) == 0
        assert list(empty.dtypes) == list(full.dtypes)


def test_mistakes_are_named():
    with pytest.raises(ParameterError, match=r"measure: got 'tasks', expected one of"):
        tk.playbook_growth(EVENTS, measure="tasks")
    with pytest.raises(ParameterError, match=r"freq: got 'Y', expected one of 'D', 'W', 'M', 'Q'"):
        tk.playbook_sizes_over_time(EVENTS, freq="Y")
    with pytest.raises(ParameterError, match="playbooks has no column 'num_members'"):
        tk.playbook_histories(EVENTS, measure="num_members")


def test_a_delete_is_no_update_in_any_table():
    events = playbooks(("a", "p", 1, "create", 4), ("a", "p", 2, "delete", 4), ("a", "p", 3, "update", 9))
    growth = tk.playbook_growth(events, cluster="playbook_id")
    assert growth[["update", "mean"]].to_numpy().tolist() == [[0, 4], [1, 9]]
    assert tk.playbook_histories(events)["n_updates"].to_list() == [1]
