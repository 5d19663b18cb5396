"""How active servers are."""

import datetime as dt

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.errors import ParameterError

TYPES = ("incident", "tasks", "playbook")
COUNTS = ["n_incident", "n_tasks", "n_playbook"]
USERS = ["dau", "wau", "mau"]


def a_log(*rows: tuple) -> dict[str, pd.DataFrame]:
    """Events: type, server, user, day from the end of October 2020."""
    frame = pd.DataFrame(rows, columns=["event_type", "server_id", "user_actual_id", "day"])
    frame["event_timestamp"] = pd.Timestamp("2020-10-31", tz="UTC") + pd.to_timedelta(frame.pop("day"), unit="D")
    frame = frame.astype({"server_id": "str", "user_actual_id": "str"})
    return {name: frame[frame["event_type"] == name].drop(columns="event_type") for name in TYPES}


def frames(log: tk.EventLog) -> dict[str, pd.DataFrame]:
    return {name: getattr(log, name) for name in TYPES}


def test_a_day_without_events_is_a_day_with_zero():
    table = tk.server_activity(
        a_log(("incident", "s", "ann", 1), ("tasks", "s", "ann", 1.5), ("playbook", "s", "bob", 3))
    )
    assert list(table["date"].dt.day) == [1, 2, 3]
    assert table[COUNTS].to_numpy().tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert table[USERS].to_numpy().tolist() == [[1, 1, 1], [0, 1, 1], [1, 2, 2]]


def test_days_before_the_first_event_and_after_the_last_are_not_there():
    table = tk.server_activity(a_log(("tasks", "b", "ann", 9), ("tasks", "a", "ann", 2), ("tasks", "a", "ann", 4)))
    assert list(zip(table["server_id"], table["date"].dt.day, strict=True)) == [("a", 2), ("a", 3), ("a", 4), ("b", 9)]


def test_windows_have_exactly_7_and_30_days():
    table = tk.server_activity(a_log(("tasks", "s", "ann", 1), ("tasks", "s", "bob", 32)))
    assert list(table["wau"]) == [1] * 7 + [0] * 24 + [1]
    assert list(table["mau"]) == [1] * 30 + [0] + [1]


def test_a_user_who_returns_within_a_window_counts_once():
    table = tk.server_activity(
        a_log(*(("tasks", "s", "ann", day) for day in (1, 1, 4, 10, 18)), ("tasks", "s", "bob", 5))
    )
    assert list(table["wau"]) == [1, 1, 1, 1, *[2] * 6, 2, *[1] * 5, 0, 1]
    assert list(table["mau"]) == [1] * 4 + [2] * 14


def test_a_day_ends_at_midnight_utc(as_kind):
    midnight = pd.Timestamp("2020-11-02", tz="UTC")
    times = [midnight - pd.Timedelta(1, "us"), midnight]
    events = pd.DataFrame({"server_id": "s", "user_actual_id": "ann", "event_timestamp": times})
    log = {"incident": as_kind(events.iloc[:0]), "tasks": as_kind(events), "playbook": as_kind(events.iloc[:0])}
    assert list(tk.server_activity(log)["date"].dt.day) == [1, 2]


def test_recorded_activity_is_what_a_plain_count_says(oct2020):
    users: dict[tuple, set] = {}
    counts: dict[tuple, dict] = {}
    for name, frame in frames(oct2020).items():
        for server, user, time in zip(
            frame["server_id"], frame["user_actual_id"], frame["event_timestamp"], strict=True
        ):
            users.setdefault((server, time.date()), set()).add(user)
            counts.setdefault((server, time.date()), dict.fromkeys(TYPES, 0))[name] += 1
    table = tk.server_activity(oct2020)
    for row in table.itertuples():
        key = row.server_id, row.date.date()
        assert [row.n_incident, row.n_tasks, row.n_playbook] == list(counts.get(key, dict.fromkeys(TYPES, 0)).values())
        for window, distinct in ((1, row.dau), (7, row.wau), (30, row.mau)):
            days = [key[1] - dt.timedelta(days=back) for back in range(window)]
            assert distinct == len(set().union(*(users.get((row.server_id, day), set()) for day in days)))
    assert set(counts) <= set(zip(table["server_id"], table["date"].dt.date, strict=True))


@pytest.mark.parametrize(("freq", "period"), [("W", "W-SUN"), ("M", "M")])
def test_weeks_and_months_add_up_their_days(oct2020, freq, period):
    every_day = tk.server_activity(oct2020)
    table = tk.server_activity(oct2020, freq=freq)
    days = every_day.assign(period=every_day["date"].dt.tz_localize(None).dt.to_period(period))
    added = days.groupby(["server_id", "period"], sort=False)[COUNTS].sum().reset_index()
    assert table[COUNTS].to_numpy().tolist() == added[COUNTS].to_numpy().tolist()
    assert list(table["date"].dt.tz_localize(None).dt.to_period(period)) == list(added["period"])
    active = days[days["dau"] > 0].groupby(["server_id", "period"])["dau"].count()
    assert list(table["n_days_active"]) == list(
        active.reindex(pd.MultiIndex.from_frame(added.iloc[:, :2]), fill_value=0)
    )
    events = pd.concat(frames(oct2020).values())
    events["period"] = events["event_timestamp"].dt.tz_localize(None).dt.to_period(period)
    n_users = events.groupby(["server_id", "period"])["user_actual_id"].nunique()
    assert list(table["n_users"]) == list(n_users.reindex(pd.MultiIndex.from_frame(added.iloc[:, :2]), fill_value=0))


def test_a_week_is_seen_as_of_its_sunday_and_the_last_one_as_of_the_end_of_the_log():
    table = tk.server_activity(a_log(("tasks", "s", "ann", 3), ("tasks", "s", "bob", 10)), freq="W")
    assert list(table["date"].dt.day) == [8, 10]
    assert table[["n_tasks", "dau", "wau", "mau"]].to_numpy().tolist() == [[1, 0, 1, 1], [1, 1, 1, 2]]
    assert list(table["is_complete"]) == [False, False]


def test_a_period_is_complete_between_the_first_day_and_the_cutoff():
    class Log:
        incident, tasks, playbook = a_log(
            ("tasks", "s", "ann", 2), ("tasks", "s", "ann", 9), ("tasks", "s", "ann", 16)
        ).values()
        cutoff = pd.Timestamp("2020-11-23T00:00", tz="UTC")

    assert list(tk.server_activity(Log(), freq="W")["is_complete"]) == [True, True, True]
    Log.cutoff -= pd.Timedelta(1, "us")
    table = tk.server_activity(Log(), freq="W")
    assert list(table["is_complete"]) == [True, True, False]
    assert list(table["date"].dt.day) == [8, 15, 22]


def test_every_kind_of_frame_gives_the_same_table(as_kind, oct2020):
    for freq in ("D", "M"):
        given = {name: as_kind(frame) for name, frame in frames(oct2020).items()}
        pd.testing.assert_frame_equal(
            tk.server_activity(given, freq=freq), tk.server_activity(frames(oct2020), freq=freq)
        )


def test_an_empty_log_makes_an_empty_table_of_the_same_types(oct2020):
    for freq in ("D", "W"):
        empty = tk.server_activity({name: frame.iloc[:0] for name, frame in frames(oct2020).items()}, freq=freq)
        assert len(empty) == 0
        assert list(empty.dtypes) == list(tk.server_activity(oct2020, freq=freq).dtypes)


def test_mistakes_are_named():
    log = a_log(("tasks", "s", "ann", 1))
    with pytest.raises(ParameterError, match=r"log: got 'dict', expected an EventLog, or a mapping"):
        tk.server_activity({"tasks": log["tasks"]})
    with pytest.raises(ParameterError, match=r"log: got 'DataFrame', expected an EventLog"):
        tk.server_activity(log["tasks"])
    with pytest.raises(ParameterError, match=r"log.tasks has no column 'user_actual_id'"):
        tk.server_activity(log | {"tasks": log["tasks"].drop(columns="user_actual_id")})
    with pytest.raises(ParameterError, match=r"freq: got 'Y', expected one of 'D', 'W', 'M', 'Q'"):
        tk.server_activity(log, freq="Y")


def test_frames_of_two_engines_do_not_mix():
    import polars as pl

    log = a_log(("tasks", "s", "ann", 1))
    with pytest.raises(ParameterError, match=r"log: got 'frames on duckdb and polars', expected frames on one engine"):
        tk.server_activity(log | {"tasks": pl.from_pandas(log["tasks"])})


@pytest.mark.parametrize("freq", ["D", "W"])
def test_many_events_are_counted_in_pieces_of_servers(oct2020, monkeypatch, freq):
    at_once = tk.server_activity(oct2020, freq=freq)
    n_events = sum(len(getattr(oct2020, name)) for name in TYPES)
    monkeypatch.setattr(engine.frames, "PIECE_ROWS", n_events // 5)
    pd.testing.assert_frame_equal(tk.server_activity(oct2020, freq=freq), at_once)
    pd.testing.assert_frame_equal(tk.server_activity(frames(oct2020), freq=freq), at_once)
