"""The same question on every engine has the same answer."""

import inspect
from unittest.mock import Mock

import duckdb
import ibis
import pandas as pd
import polars as pl
import pyarrow as pa
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


def _on_duckdb_elsewhere(frames):
    """In a session of another zone: times of one frame without a zone, of others in nanoseconds, as pandas had them."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'Asia/Kolkata'")
    forms = {
        "incident": lambda times: times.dt.tz_localize(None),
        "playbook": lambda times: times.dt.tz_localize(None).astype("datetime64[ns]"),
        "heard": lambda times: times,
    }
    relations = {}
    for name, frame in frames.items():
        in_form = forms.get(name, lambda times: times.astype("datetime64[ns, UTC]"))
        times = {
            column: in_form(frame[column]) for column in frame if pd.api.types.is_datetime64_any_dtype(frame[column])
        }
        connection.register("given", as_arrow(frame.assign(**times)))
        connection.execute(f"CREATE TABLE {name} AS FROM given")
        relations[name] = connection.table(name)
    return relations


WAYS = {
    "polars": lambda frames: {name: pl.from_pandas(frame) for name, frame in frames.items()},
    "polars-lazy": lambda frames: {name: pl.from_pandas(frame).lazy() for name, frame in frames.items()},
    "pyarrow": lambda frames: {name: engine.to_arrow(frame) for name, frame in frames.items()},
    "duckdb": _on_duckdb,
    "duckdb-in-order": _on_duckdb_in_order,
    "duckdb-elsewhere": _on_duckdb_elsewhere,
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


FROM_ARROW = {
    "pandas": lambda table: table.to_pandas(),
    "polars": pl.from_arrow,
    "polars-lazy": lambda table: pl.from_arrow(table).lazy(),
    "pyarrow": lambda table: table,
    "duckdb": duckdb.from_arrow,
}


@pytest.mark.parametrize("way", FROM_ARROW)
def test_a_float_that_is_missing_is_in_one_group_whether_it_is_null_or_no_number(way, on_pandas):
    incidents, tasks = on_pandas["incident"], as_arrow(on_pandas["tasks"])
    ids = incidents["incident_id"].factorize()[0]
    scores = pa.array([(1.0, None, float("nan"))[n % 3] for n in ids], pa.float64(), from_pandas=False)
    scored = FROM_ARROW[way](as_arrow(incidents).append_column("score", scores))
    flow = tk.incident_flow(scored, cutoff=on_pandas["cutoff"], by="score", freq="M")
    all_of_them = tk.incident_flow(incidents, cutoff=on_pandas["cutoff"], freq="M")
    assert flow["score"].isna().sum() == len(flow) / 2
    assert flow[["n_started", "n_ended"]].sum().equals(all_of_them[["n_started", "n_ended"]].sum())
    servers = pa.array([(1.0, None, float("nan"))[n % 3] for n in on_pandas["tasks"]["server_id"].factorize()[0]])
    told = FROM_ARROW[way](tasks.append_column("score", servers))
    assert tk.n_distinct(told, "score") == 2
    assert tk.task_completion(told, cluster="score")["n_clusters"].max() == 2


@pytest.mark.parametrize("kind", ["int8", "int32", "uint16", "int64", "float32", "bool"])
def test_a_group_keeps_its_kind(kind, on_pandas):
    is_late = (on_pandas["incident"]["server_id"] > "m").astype(kind)
    incidents = on_pandas["incident"].assign(score=is_late)
    flow = tk.incident_flow(incidents, cutoff=on_pandas["cutoff"], by="score")
    assert flow["score"].dtype == tk.load_by_hour(incidents, by="score")["score"].dtype
    assert set(flow["score"]) == set(is_late)


@pytest.mark.parametrize(
    ("way", "names", "message"),
    [
        *(
            (way, ["plan", "Plan"], "tasks: got 'columns plan and Plan', expected names")
            for way in ("pandas", "pyarrow")
        ),
        *(
            (way, ["crm.plan"], "got 'a name with a dot', expected one without")
            for way in ("pandas", "pyarrow", "duckdb")
        ),
    ],
)
def test_a_name_that_sql_takes_for_another_is_refused(way, names, message, on_pandas):
    table = as_arrow(on_pandas["tasks"])
    for name in names:
        table = table.append_column(name, pa.array(["x"] * len(table)))
    with pytest.raises(ParameterError, match=message):
        tk.task_completion(FROM_ARROW[way](table), by=names)
    assert len(tk.task_completion(FROM_ARROW[way](table))) == 4
    assert len(tk.task_completion(FROM_ARROW["polars"](table), by=names)) == 4


@pytest.mark.parametrize("way", FROM_ARROW)
@pytest.mark.parametrize(
    ("column", "wanted"),
    [("is_active", "flags"), ("num_checklists", "whole numbers"), ("active_stage", "whole numbers")],
)
def test_flags_and_numbers_that_are_text_are_told(way, column, wanted, on_pandas):
    table = as_arrow(on_pandas["incident"].assign(**{column: on_pandas["incident"][column].astype("str")}))
    with pytest.raises(ParameterError, match=rf"incidents\['{column}'\]: got 'text', expected {wanted}: "):
        tk.to_pandas(tk.stage_visits(FROM_ARROW[way](table), cutoff=on_pandas["cutoff"]))


def test_names_that_differ_in_case_alone_are_added_where_the_engine_tells_them_apart(on_pandas):
    incidents = on_pandas["incident"]
    plans = pd.DataFrame({"server_id": incidents["server_id"].unique(), "Public": "yes"})
    with pytest.raises(ParameterError, match="table: got 'a table with Public'"):
        tk.attach_groups(incidents, plans)
    attached = tk.attach_groups(pl.from_pandas(incidents), pl.from_pandas(plans))
    assert attached["Public"].unique().to_list() == ["yes"]
    assert attached["public"].to_list() == pl.from_pandas(incidents)["public"].to_list()
