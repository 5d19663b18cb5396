"""A warehouse answers as its tables do when they are loaded."""

import gc
import os

import ibis
import narwhals.stable.v2 as nw
import pandas as pd
import polars as pl
import pytest
import sqlglot
from questions import FRAME_TO_FRAME, KINDS, SUMMARIES, as_arrow, as_frames, kind_of, plain

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.engine import connections
from telemetry_kit.engine import frames as engine_frames
from telemetry_kit.errors import ParameterError, SourceError

PARTS = ("incident", "tasks", "playbook")
DIALECTS = ("snowflake", "bigquery", "databricks")


def as_warehouse(log, others):
    """Return an opened log as the questions take it."""
    return {kind: getattr(log, kind) for kind in KINDS} | others | {"cutoff": log.cutoff}


def create_others(connection, log):
    """Create the tables beside the events that the questions take, and return them."""
    asked = as_frames(log)
    return {name: connection.create_table(name, as_arrow(asked[name])) for name in ("licenses", "heard")}


# PostgreSQL -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def export(recordings):
    return tk.load_events(recordings / "warehouse-postgres")


@pytest.fixture(scope="module")
def connection(postgresql, fill_warehouse, export):
    """An Ibis connection to a PostgreSQL with the recorded tables, and a table of licenses."""
    driver = pytest.importorskip("adbc_driver_postgresql.dbapi")
    schema = f"warehouse_{os.getpid()}"
    with driver.connect(postgresql, autocommit=True) as adbc, adbc.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {schema}")
        cursor.execute(f"SET search_path = {schema}")
        fill_warehouse(cursor)
        connection = ibis.postgres.connect(**_parts(postgresql), schema=schema)
        create_others(connection, export)
        yield connection
        # Ibis drops what it keeps when the last frame of it goes, which has to be while there is a connection.
        gc.collect()
        connection.disconnect()
        cursor.execute(f"DROP SCHEMA {schema} CASCADE")


def _parts(url):
    from psycopg.conninfo import conninfo_to_dict

    given = conninfo_to_dict(url)
    return {key: given[name] for key, name in
            {"host": "host", "port": "port", "user": "user", "password": "password", "database": "dbname"}.items()
            if name in given}  # fmt: skip


@pytest.fixture(scope="module")
def warehouse(connection):
    return tk.open_warehouse(connection)


@pytest.mark.slow
@pytest.mark.parametrize("kind", PARTS)
def test_the_events_of_a_postgresql_are_those_of_its_export(warehouse, export, kind):
    assert kind_of(getattr(warehouse, kind))[1] is nw.Implementation.IBIS
    pd.testing.assert_frame_equal(plain(getattr(warehouse, kind)), plain(getattr(export, kind)))


@pytest.mark.slow
def test_the_account_of_a_postgresql_is_that_of_its_export(warehouse, export):
    assert warehouse.cutoff == export.cutoff
    wanted = export.audit.assign(source=export.audit["source"].str.removesuffix(".csv.gz"))
    by_name = [audit.sort_values("source", ignore_index=True) for audit in (warehouse.audit, wanted)]
    pd.testing.assert_frame_equal(*by_name)
    found = [log.seen.sort_values(["finding", "detail"], ignore_index=True) for log in (warehouse, export)]
    pd.testing.assert_frame_equal(*found)
    assert len(plain(warehouse.quarantine)) == 0


@pytest.fixture(scope="module")
def others(connection):
    return {name: connection.table(name) for name in ("licenses", "heard")}


@pytest.fixture(scope="module")
def kept(warehouse, others):
    """The events as temporary tables of the server, so that Ibis need not write their making anew each time."""
    frames = {kind: tk.persist(getattr(warehouse, kind)) for kind in KINDS}
    frames |= others | {"cutoff": warehouse.cutoff}
    yield frames
    frames.clear()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::telemetry_kit.errors.UnmatchedKeysWarning")
@pytest.mark.parametrize("name", FRAME_TO_FRAME | SUMMARIES)
def test_a_postgresql_gives_the_same_answer(name, kept, export):
    ask = (FRAME_TO_FRAME | SUMMARIES)[name]
    pd.testing.assert_frame_equal(plain(ask(kept)), plain(ask(as_frames(export))), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stage_funnel", "task_completion", "playbook_sizes", "server_activity"])
def test_what_is_not_kept_gives_it_as_well(name, warehouse, others, export):
    given = SUMMARIES[name](as_warehouse(warehouse, others))
    pd.testing.assert_frame_equal(plain(given), plain(SUMMARIES[name](as_frames(export))), rtol=1e-9)


# Other warehouses -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def upper_case(recordings):
    """The recorded tables of a Snowflake of the older generation, in DuckDB, and what they hold."""
    folder = recordings / "warehouse-snowflake-v0"
    connection = ibis.duckdb.connect()
    log = tk.load_events(folder)
    others = create_others(connection, log)
    tables = {
        path.name.partition(".")[0]: connections.connect().sql(f"FROM read_csv('{path}')").to_arrow_table()
        for path in sorted(folder.glob("*.csv.gz"))
    }
    warehouse = tk.open_warehouse({name: connection.create_table(name, table) for name, table in tables.items()})
    return warehouse, others, log


def check_sql(question):
    """See that a question can be written for each kind of warehouse, and that its parser takes it."""
    for dialect in DIALECTS:
        sql = str(ibis.to_sql(question, dialect=dialect))
        sqlglot.parse_one(sql, read=dialect, error_level=sqlglot.ErrorLevel.RAISE)


@pytest.mark.slow
@pytest.mark.parametrize("part", [*PARTS, "quarantine"])
def test_the_frames_are_sql_of_every_warehouse(part, upper_case):
    check_sql(getattr(upper_case[0], part))


@pytest.fixture
def asked(monkeypatch):
    """Every question that is sent to Ibis."""
    asked = []
    bring_home = engine.collect_arrow

    def overhear(result):
        if result.implementation.is_ibis():
            asked.append(result.to_native())
        return bring_home(result)

    # Within the engine it is called by its module, elsewhere by the package.
    for place in (engine, engine_frames):
        monkeypatch.setattr(place, "collect_arrow", overhear)
    return asked


@pytest.mark.slow
def test_what_is_asked_of_the_frames_is_sql_of_every_warehouse(upper_case, asked):
    warehouse, _, log = upper_case
    visits = tk.stage_visits(warehouse.incident, cutoff=warehouse.cutoff)
    wanted = tk.stage_funnel(tk.stage_visits(log.incident, cutoff=log.cutoff))
    pd.testing.assert_frame_equal(plain(tk.stage_funnel(visits)), plain(wanted))
    assert asked
    for question in asked:
        check_sql(question)


@pytest.fixture(scope="module")
def kept_upper_case(upper_case):
    warehouse, others, log = upper_case
    frames = {kind: tk.persist(getattr(warehouse, kind)) for kind in KINDS}
    return frames | others | {"cutoff": warehouse.cutoff}, log


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::telemetry_kit.errors.UnmatchedKeysWarning")
@pytest.mark.parametrize("name", FRAME_TO_FRAME | SUMMARIES)
def test_every_question_is_sql_of_every_warehouse(name, kept_upper_case, asked):
    kept, log = kept_upper_case
    ask = (FRAME_TO_FRAME | SUMMARIES)[name]
    given = plain(ask(kept))
    questions = list(asked)
    pd.testing.assert_frame_equal(given, plain(ask(as_frames(log))), rtol=1e-9)
    assert questions
    for question in questions:
        check_sql(question)


# Single rows ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(make_event):
    """Write events as rows of a table of the newer generation; what is named is set in the row itself."""

    def write(*events, **columns):
        rows = []
        for event in events:
            flat = {"id": event["messageId"], "user_id": event["userId"], "timestamp": pd.Timestamp(event["timestamp"])}
            flat |= {key: value for key, value in event["properties"].items() if value != ""}
            rows.append(flat | {"received_at": flat["timestamp"] + pd.Timedelta("1s")} | columns)
        return pl.DataFrame(rows, infer_schema_length=None).lazy()

    return write


def test_what_is_invalid_is_left_out_with_its_reasons_and_counted(table, make_event):
    playbooks = [
        make_event(0, "playbook"),
        make_event(0, "playbook"),
        make_event(1, "playbook", NumMembers=-1, TeamID=None),
        make_event(2, "playbook", TeamID="NaN"),
        make_event(9, "playbook"),
    ]
    cutoff = pd.Timestamp("2020-11-02T10:00:05Z")
    log = tk.open_warehouse({"playbook": table(*playbooks)}, cutoff=cutoff)
    assert log.audit.iloc[0].to_dict() == {
        "source": "playbook", "n_read": 5, "n_incident": 0, "n_tasks": 0, "n_playbook": 1, "n_duplicate": 1,
        "n_rejected": 2, "n_other": 0, "n_before_since": 0, "n_after_cutoff": 1,
    }  # fmt: skip
    reasons = dict(zip(plain(log.quarantine)["raw"], plain(log.quarantine)["reason"], strict=True))
    assert reasons == {
        "message-1": 'team_id: missing, expected a text; num_members: got "-1", expected a whole number >= 0',
        "message-2": "team_id: missing, expected a text",
    }
    assert plain(log.playbook)["event_id"].to_list() == ["message-0"]
    assert len(plain(log.tasks)) == 0


def test_what_is_before_since_is_left_out_and_counted(table, make_event):
    events = [make_event(n, "playbook") for n in range(5)]
    bounds = {"since": "2020-11-02T10:00:01Z", "cutoff": "2020-11-02T10:00:02Z"}
    log = tk.open_warehouse({"playbook": table(*events)}, **bounds)
    counts = log.audit[["n_read", "n_playbook", "n_before_since", "n_after_cutoff"]]
    assert counts.iloc[0].to_list() == [5, 2, 1, 2]
    assert plain(log.playbook)["event_id"].to_list() == ["message-1", "message-2"]
    assert log.since == pd.Timestamp("2020-11-02T10:00:01Z")


def test_a_clock_that_is_days_ahead_does_not_set_the_cutoff(table, make_event):
    early = pd.Timestamp("2020-10-01T00:00:00Z")
    log = tk.open_warehouse(
        {"tasks": table(make_event(), received_at=early), "playbook": table(make_event(1, "playbook"))}
    )
    assert log.cutoff == pd.Timestamp("2020-11-02T10:00:01Z")
    assert plain(log.quarantine)["reason"].item().startswith("event_timestamp: lies more than a day after")


def test_an_incident_of_a_version_with_stages_has_to_have_one(table, make_event):
    staged = [
        make_event(n, "incident", PluginVersion=v, ActiveStage=None) for n, v in enumerate(["1.2.1", "v0.7", "1.3"])
    ]
    log = tk.open_warehouse({"incident": table(*staged).cast({"ActiveStage": pl.Int64})})
    assert plain(log.incident)["event_id"].to_list() == ["message-2"]
    reason = plain(log.quarantine)["reason"].iloc[0]
    assert reason == "active_stage: missing in an event of plugin 1.2.1, expected a whole number"


def test_an_id_that_was_a_number_is_read_as_one_and_one_that_lost_digits_is_rejected(table, make_event):
    ids = ["1001.0", "-7.", "4.79E+17", "12345678901234567.0", "a\x01b", "x.0", "None"]
    log = tk.open_warehouse(
        {"playbook": table(*(make_event(n, "playbook", TeamID=team) for n, team in enumerate(ids)))}
    )
    assert sorted(plain(log.playbook)["team_id"]) == ["-7", "1001", "x.0"]
    reasons = dict(zip(plain(log.quarantine)["raw"], plain(log.quarantine)["reason"], strict=True))
    assert reasons == {
        "message-2": 'team_id: got "4.79E+17", expected an id with all its digits',
        "message-3": 'team_id: got "12345678901234567.0", expected an id with all its digits',
        "message-4": "team_id: expected an id without control characters",
        "message-6": "team_id: missing, expected a text",
    }


def test_two_spellings_side_by_side_give_the_first_that_is_not_null(table, make_event):
    old = table(make_event(0, "playbook", TeamID=None)).rename({"TeamID": "team_id"}).with_columns(teamid=pl.lit("old"))
    log = tk.open_warehouse({"playbook": old})
    assert plain(log.playbook)["team_id"].item() == "old"


@pytest.mark.parametrize("given", [1604311200, 1604311200000, 1604311200000000])
def test_the_size_of_a_count_tells_its_unit(table, make_event, given):
    log = tk.open_warehouse({"incident": table(make_event(0, "incident", CreateAt=given))})
    assert plain(log.incident)["created_at"].item() == pd.Timestamp("2020-11-02T10:00:00Z")


def test_a_state_is_that_of_a_state_change_alone(table, make_event):
    events = [
        make_event(0, Action="modify_task_state", NewState=None, WasCommander=True, WasAssignee=False),
        make_event(1, Action="modify_task_state", NewState="closed", WasCommander=True, WasAssignee=False),
        make_event(2, Action="add_task", NewState=None, WasCommander=None, WasAssignee=None),
        make_event(3, Action="modify_task_state", NewState="odd", WasCommander=True, WasAssignee=False),
    ]
    log = tk.open_warehouse({"tasks": table(*events)})
    assert plain(log.tasks).set_index("event_id")["new_state"].fillna("none").to_list() == ["open", "done", "none"]
    assert plain(log.quarantine)["reason"].item().startswith('new_state: got "odd", expected one of "", "open"')


def test_a_name_of_the_first_era_says_what_was_done(table, make_event):
    event = make_event(0, without=("Action",), WasCommander=True, WasAssignee=False)
    log = tk.open_warehouse(
        {"CHECKCHECKLISTITEM": table(event), "remove_checklist_item": table(make_event(1, without=("Action",)))}
    )
    tasks = plain(log.tasks).sort_values("event_id")
    assert tasks["action"].to_list() == ["modify_task_state", "remove_task"]
    assert tasks["new_state"].iloc[0] == "done"


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        (5, ParameterError, "source: got 'int', expected an Ibis connection"),
        ({"tasks": 5}, ParameterError, r"source\['tasks'\]: got 'int'"),
        ({}, SourceError, "source: no table holds events of ours"),
        ({"licenses": pl.LazyFrame({"server_id": ["a"]})}, SourceError, "source: no table holds events of ours"),
    ],
)
def test_what_is_no_warehouse_is_told_in_one_line(given, error, words):
    with pytest.raises(error, match=words) as caught:
        tk.open_warehouse(given)
    assert "\n" not in str(caught.value)


def test_a_column_of_a_wrong_type_is_named(table, make_event):
    with pytest.raises(SourceError, match=r"source: playbook.NumMembers has the type String, expected a whole number"):
        tk.open_warehouse({"playbook": table(make_event(0, "playbook", NumMembers="3"))})
