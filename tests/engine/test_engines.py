"""The same question on every engine has the same answer."""

import inspect
from unittest.mock import Mock

import ibis
import pandas as pd
import polars as pl
import pytest
from questions import FRAME_TO_FRAME, FRAMES, KINDS, SUMMARIES, as_arrow, as_frames, kind_of, load_two_eras, plain
from sqlframe.duckdb import DuckDBSession
from sqlframe.postgres import PostgresSession

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.engine import connections
from telemetry_kit.errors import ParameterError


def _takes_frames(function):
    annotations = [str(parameter.annotation) for parameter in inspect.signature(function).parameters.values()]
    return any("IntoFrame" in text or text == "Log" for text in annotations)


def test_every_public_function_that_takes_frames_is_asked_on_every_engine():
    functions = {name for name in tk.__all__ if inspect.isfunction(getattr(tk, name))}
    taking = {name for name in functions if _takes_frames(getattr(tk, name))}
    assert {"stage_visits", "server_activity", "persist"} <= taking
    assert taking <= {question.partition(" ")[0] for question in FRAME_TO_FRAME | SUMMARIES}


# The engines ----------------------------------------------------------------------------------------------------------


def _on_ibis(frames):
    connection = ibis.duckdb.connect()
    return {name: connection.create_table(name, as_arrow(frame)) for name, frame in frames.items()}


def _on_sqlframe(frames):
    connection = connections.connect()
    for name, frame in frames.items():
        connection.from_arrow(as_arrow(frame)).create(name)
    session = DuckDBSession(conn=connection)
    return {name: session.table(name) for name in frames}


def _on_duckdb(frames):
    connection = connections.connect()
    return {name: connection.from_arrow(engine.to_arrow(frame)) for name, frame in frames.items()}


def _on_duckdb_in_order(frames):
    """As a log of ``scan_events`` has them: shuffled, and each event tells its place."""
    connection = connections.connect()
    numbered = {
        name: frame.assign(arrival=range(len(frame))).sample(frac=1, random_state=1) for name, frame in frames.items()
    }
    return {name: connection.from_arrow(engine.to_arrow(frame)) for name, frame in numbered.items()}


WAYS = {
    "polars": lambda frames: {name: pl.from_pandas(frame) for name, frame in frames.items()},
    "polars-lazy": lambda frames: {name: pl.from_pandas(frame).lazy() for name, frame in frames.items()},
    "pyarrow": lambda frames: {name: engine.to_arrow(frame) for name, frame in frames.items()},
    "duckdb": _on_duckdb,
    "duckdb-in-order": _on_duckdb_in_order,
    "ibis": _on_ibis,
    "sqlframe": _on_sqlframe,
}


@pytest.fixture(scope="module")
def on_pandas(recordings):
    return as_frames(load_two_eras(recordings))


@pytest.fixture(scope="module")
def answers(on_pandas):
    """What pandas frames give, each question asked once."""
    return {name: plain(ask(on_pandas)) for name, ask in (FRAME_TO_FRAME | SUMMARIES).items()}


SLOW = ("ibis", "sqlframe")  # they write SQL of Python's own making, expression by expression


@pytest.fixture(
    scope="module", params=[pytest.param(way, marks=pytest.mark.slow) if way in SLOW else way for way in WAYS]
)
def on_engine(request, on_pandas):
    """The recording's frames on each engine in turn."""
    return WAYS[request.param]({name: on_pandas[name] for name in FRAMES}) | {"cutoff": on_pandas["cutoff"]}


# The questions --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FRAME_TO_FRAME)
def test_a_frame_comes_back_as_the_kind_that_was_given_with_the_same_rows(name, on_engine, answers):
    given = FRAME_TO_FRAME[name](on_engine)
    assert kind_of(given) == kind_of(on_engine["incident"])
    pd.testing.assert_frame_equal(plain(given), answers[name])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_is_the_same_table(name, on_engine, answers):
    pd.testing.assert_frame_equal(plain(SUMMARIES[name](on_engine)), answers[name], rtol=1e-9)


@pytest.fixture
def n_fetched(monkeypatch):
    """Count the rows of every result that is collected."""
    fetched = []
    collect = engine.collect_arrow

    def count(result):
        table = collect(result)
        fetched.append(len(table))
        return table

    for place in (engine, engine.frames):
        monkeypatch.setattr(place, "collect_arrow", count)
    return fetched


# That persist computes is what it is for; fold_small_groups has to count its groups; attach_groups reads its table,
# which it has to check, and not the frame.
@pytest.mark.parametrize("name", sorted(FRAME_TO_FRAME.keys() - {"persist", "fold_small_groups", "attach_groups"}))
def test_a_lazy_frame_is_not_computed(name, on_pandas, n_fetched):
    frames = WAYS["duckdb"]({name: on_pandas[name] for name in FRAMES})
    FRAME_TO_FRAME[name](frames | {"cutoff": on_pandas["cutoff"]})
    assert n_fetched == []


def _copies(frame, n):
    """Return the events of a frame n times: other events of other incidents and playbooks, on the same servers."""
    ids = [column for column in ("event_id", "incident_id", "playbook_id") if column in frame]
    return pd.concat([frame.assign(**{c: frame[c] + f"-{copy}" for c in ids}) for copy in range(n)], ignore_index=True)


ROW_BY_ROW = {
    "to_pandas": "that is what it is for",
    "playbook_usage": "has a row for each playbook",
    "commander_vs_assignee incident_id": "has each incident as a cluster of its own",
    **dict.fromkeys(
        [
            *("stage_dwell", "stage_survival", "stage_arrivals", "incident_survival"),
            *("stage_occupancy", "stage_occupancy statuses", "stage_exits"),
            *("time_to_stage", "time_to_end", "time_to_completion"),
            *("compare_dwell", "compare_durations"),
        ],
        "has a step in its curve at every duration, and no two are alike",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SUMMARIES.keys() - ROW_BY_ROW.keys()))
def test_a_summary_brings_home_no_more_rows_when_there_are_more_incidents(name, on_pandas, n_fetched):
    counts = []
    for n in (1, 3):
        frames = {name: _copies(on_pandas[name], n) if name in KINDS else on_pandas[name] for name in FRAMES}
        SUMMARIES[name](WAYS["duckdb"](frames) | {"cutoff": on_pandas["cutoff"]})
        counts.append(sum(n_fetched))
        n_fetched.clear()
    assert counts[1] == counts[0]


def test_events_are_sorted_by_their_ids_only_where_nothing_else_tells_their_order(on_pandas):
    tasks = on_pandas["tasks"].head(3)
    by_id, by_place = ("us", "place", "event_id"), ("us", "place")
    for frame, expected in [
        (tasks, by_place),
        (pl.from_pandas(tasks).lazy(), by_place),
        (_on_duckdb({"tasks": tasks})["tasks"], by_id),
        (_on_duckdb_in_order({"tasks": tasks})["tasks"], by_place),
        (_on_duckdb({"tasks": tasks.assign(received_us=1)})["tasks"], by_id),
    ]:
        assert engine.in_time(frame, "us", "place") == expected


def test_events_of_one_moment_without_a_place_follow_their_receipt(on_pandas):
    incident = on_pandas["incident"].head(1)
    stages = [0, 1, 0, 2]
    # By its id, the last would come first.
    frame = pd.concat(
        [
            incident.assign(active_stage=stage, action="change_stage", received_us=number, event_id=f"{9 - number}")
            for number, stage in enumerate(stages)
        ]
    )
    visits = tk.stage_visits(_on_duckdb({"incident": frame})["incident"], cutoff=on_pandas["cutoff"])
    assert tk.to_pandas(visits)["stage"].to_list() == stages


def test_where_sqlframe_counts_whole_seconds_it_is_refused():
    events = PostgresSession(conn=Mock()).createDataFrame([{"server_id": "a"}], schema="server_id string")
    with pytest.raises(ParameterError, match=r"got 'sqlframe[.]postgres', expected a frame of Ibis"):
        engine.add_epoch_us(engine.open_frame(events, [], parameter="events"), us="server_id")
