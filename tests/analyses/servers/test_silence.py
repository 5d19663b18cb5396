"""Up to when each server was observed."""

import json

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError


def log_of(**days):
    frame = pd.DataFrame(
        {
            "server_id": pd.Series(list(days), dtype="str"),
            "event_timestamp": pd.to_datetime([f"2020-{day}T12:00:00Z" for day in days.values()]),
        }
    )
    return {"incident": frame.iloc[:1], "tasks": frame.iloc[1:2], "playbook": frame.iloc[2:]}


def test_a_server_is_silent_where_its_last_event_of_any_type_lies_long_before_the_cutoff():
    log = log_of(a="11-02", b="12-01", c="12-20", a2="11-30")
    table = tk.observed_until(log | {"cutoff": pd.Timestamp("2020-12-28T12:00:00Z")})
    assert table["is_silent"].to_list() == [True, False, False, False]
    assert table["observed_until"].dt.strftime("%m-%d").to_list() == ["11-02", "12-28", "12-28", "12-28"]
    at_the_edge = tk.observed_until(log | {"cutoff": pd.Timestamp("2020-12-28T12:00:00Z")}, silent_after="27D")
    assert at_the_edge["is_silent"].to_list() == [True, True, False, False]


def test_without_a_cutoff_the_newest_event_of_the_log_is_the_last_moment():
    table = tk.observed_until(log_of(a="11-02", b="12-20"), silent_after="7D")
    assert table["is_silent"].to_list() == [True, False]
    assert table["observed_until"].iloc[1] == pd.Timestamp("2020-12-20T12:00:00Z")


def test_no_events_give_no_servers():
    log = {name: frame.iloc[:0] for name, frame in log_of(a="11-02").items()}
    assert tk.observed_until(log).empty


def test_a_length_of_time_that_is_none_is_named(oct2020):
    with pytest.raises(ParameterError, match="silent_after: got 'soon'"):
        tk.observed_until(oct2020, silent_after="soon")


def test_of_recordings_of_two_years_the_servers_of_the_first_are_silent(recordings):
    log = tk.load_events([recordings / "batch-bodies" / f"{era}.jsonl.gz" for era in ("oct2020", "later")])
    heard = tk.observed_until(log)
    visits = tk.stage_visits(log.incident, cutoff=log.cutoff, observed_until=heard).merge(heard, on="server_id")
    silent = visits[visits["is_censored"] & visits["is_silent"]]
    assert (heard["is_silent"].sum(), len(silent)) == (30, 34)
    assert (silent["left_at"] < pd.Timestamp("2021-01-01", tz="UTC")).all()


def test_events_of_other_types_tell_that_a_server_is_on(tmp_path, make_event):
    events = [
        make_event(0) | {"userId": "a"},
        make_event(1) | {"userId": "b"},
        make_event(2, "frontend") | {"userId": "a", "timestamp": "2020-12-24T12:00:00Z"},
        make_event(3, "frontend") | {"userId": "b", "timestamp": "2090-01-01T00:00:00Z"},
        make_event(4) | {"userId": "c", "timestamp": "2020-12-28T12:00:00Z"},
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(map(json.dumps, events)))
    log = tk.load_events(tmp_path / "events.jsonl")
    tk.convert_events(tmp_path / "events.jsonl", tmp_path / "store")
    log.save(tmp_path / "saved")
    for other in (log, tk.load_events(tmp_path / "saved"), tk.scan_events(tmp_path / "store")):
        table = tk.observed_until(other)
        assert table["server_id"].to_list() == ["a", "b", "c"]
        # Server b has a clock of which nothing is to be learnt.
        assert table["is_silent"].to_list() == [False, True, False]
    assert tk.observed_until(log, silent_after="1D")["observed_until"].dt.day.to_list() == [24, 2, 28]
