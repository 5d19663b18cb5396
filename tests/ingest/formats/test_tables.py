"""Tables of every kind: files, databases and frames in memory, raw or canonical."""

import contextlib
import gzip
import json
import os
from pathlib import Path
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

import telemetry_kit as tk
from telemetry_kit.engine import connections
from telemetry_kit.errors import ParameterError, SourceError
from telemetry_kit.ingest.formats import table_reader, tables
from telemetry_kit.ingest.formats.database import is_url
from telemetry_kit.ingest.intake import Intake
from telemetry_kit.ingest.sources import take

ALL_VALID = {"read": 3, "valid": 3, "duplicate": 0, "rejected": 0, "other": 0}


@pytest.fixture(scope="module")
def events(make_event):
    return [make_event(n, kind) for n, kind in enumerate(["tasks", "incident", "playbook"])]


def flat(events):
    return pd.DataFrame([{k: v for k, v in e.items() if k != "properties"} | e["properties"] for e in events])


def reasons(log):
    return {row.record: row.reason for row in log.quarantine.itertuples()}


# Frames ---------------------------------------------------------------------------------------------------------------

RAW = {
    "dict cells": pd.DataFrame,
    "json_normalize": pd.json_normalize,
    "properties as text": lambda events: pd.DataFrame(
        [e | {"properties": json.dumps(e["properties"])} for e in events]
    ),
    "flat": flat,
    "flat in upper case": lambda events: flat(events).rename(columns=str.upper),
    "flat with any index": lambda events: flat(events).set_index(pd.Index(["x", "x", "y"])),
    "flat as objects": lambda events: flat(events).astype(object),
    "flat with missing counts": lambda events: flat(events).astype({"NumMembers": float, "NumChecklists": float}),
    "structs of Polars": lambda events: pl.DataFrame(events, infer_schema_length=None),
    "structs of Arrow": pa.Table.from_pylist,
    "a lazy frame": lambda events: pl.from_pandas(flat(events)).lazy(),
    "a relation": lambda events: duckdb.connect().from_arrow(pa.Table.from_pandas(flat(events))),
    "a mapping": lambda events: {e["event"]: flat([e]).drop(columns="event") for e in events},
    "a mapping of other names": lambda events: {f"table {n}": flat([e]) for n, e in enumerate(events)},
    "a list": lambda events: [flat([e]) for e in events],
}


NESTED = ("dict cells", "properties as text", "structs of Polars", "structs of Arrow")


@pytest.mark.slow
@pytest.mark.parametrize("kind", list(RAW))
def test_raw_frames_of_every_kind_give_the_same_log(events, account, kind):
    log = tk.load_events(RAW[kind](events))
    wanted = tk.load_events(flat(events))
    assert account(log) == ALL_VALID
    for part in ("incident", "tasks", "playbook"):
        got, expected = getattr(log, part), getattr(wanted, part)
        # Events with properties of their own are as they were sent; what was made flat has no offset of a server.
        assert got["utc_offset_s"].notna().all() == (kind in NESTED)
        pd.testing.assert_frame_equal(got.drop(columns="utc_offset_s"), expected.drop(columns="utc_offset_s"))


def test_canonical_frames_of_every_kind_load_as_they_are(events, as_kind):
    log = tk.load_events(flat(events))
    again = tk.load_events({kind: as_kind(getattr(log, kind)) for kind in ("incident", "tasks", "playbook")})
    for kind in ("incident", "tasks", "playbook"):
        pd.testing.assert_frame_equal(getattr(again, kind), getattr(log, kind))
    assert again.audit["source"].to_list() == ["incident", "tasks", "playbook"]


def test_no_rows_are_no_records(events, account):
    assert account(tk.load_events(flat(events).iloc[:0])) == dict.fromkeys(ALL_VALID, 0)


@pytest.mark.parametrize(
    "frame", [pd.DataFrame(), pd.DataFrame({"a": [1, 2], "event": ["x", "y"]}), pd.DataFrame({0: [1]})]
)
def test_a_frame_without_columns_of_events_is_one_rejected_record(account, frame):
    log = tk.load_events(frame)
    assert account(log) == {"read": 1, "valid": 0, "duplicate": 0, "rejected": 1, "other": 0}
    assert reasons(log)[1].endswith("holds no events, expected columns such as event, user_id and timestamp")


def test_the_table_of_envelopes_counts_as_other(events, account):
    log = tk.load_events({"tracks": pd.DataFrame(events).drop(columns="properties")})
    assert account(log) == {"read": 3, "valid": 0, "duplicate": 0, "rejected": 0, "other": 3}
    assert log.findings[["finding", "detail", "n"]].to_numpy().tolist() == [["other event type", "tracks", 3]]


def test_a_cell_of_a_wrong_type_is_rejected_in_its_row(events, make_event, account):
    mixed = [*events, make_event(3, "playbook", NumMembers="three"), make_event(4, "playbook", TeamID=["a"])]
    for frame in (flat(mixed), pd.DataFrame(mixed)):
        log = tk.load_events(frame)
        assert account(log) == {"read": 5, "valid": 3, "duplicate": 0, "rejected": 2, "other": 0}
        assert reasons(log) == {
            4: 'num_members: got "three", expected a whole number >= 0',
            5: 'team_id: got "["a"]", expected a text, not a nested value',
        }
        assert '"three"' in log.quarantine["raw"].iloc[0]


def test_columns_of_one_name_stand_side_by_side(events, account):
    frame = flat(events)
    frame["teamid"] = ["x", "y", "z"]
    frame["TEAM_ID"] = ["other"] * 3
    double = pd.concat([frame, frame[["event", "teamid"]]], axis=1)
    double["number"] = double["c0"] = double["record number"] = "3"
    double.loc[1, "TeamID"] = None
    log = tk.load_events(double)
    assert account(log) == ALL_VALID
    assert log.incident["team_id"].item() in ("y", "other")
    assert log.playbook["team_id"].item() == "teamaaaaaaaaaaaaaaaaaaaaaa"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "source: got 'NoneType', expected a path, a glob"),
        (5, "source: got 'int'"),
        (b"abc", "source: got 'bytes'"),
        (pd.Series([1]), "source: got 'Series'"),
        ([], r"source: got \[\]"),
        ({}, "source: got {}"),
        ([[]], r"source: got \[\[\]\]"),
        ({"incident": 5}, r"source\['incident'\]: got 'int'"),
        ("s3://bucket/key", "source: got 's3://…', expected a path, or the URL of a PostgreSQL"),
        ("mysql://me:secret@host/db", "source: got 'mysql://…', expected a path, or the URL of a PostgreSQL"),
    ],
)
def test_what_is_no_source_is_told_in_one_line(given, words):
    with pytest.raises(ParameterError, match=words) as caught:
        tk.load_events(given)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


# Files ----------------------------------------------------------------------------------------------------------------


def write_duckdb(frame, path):
    arrow = pa.Table.from_pandas(frame)
    with duckdb.connect(str(path)) as connection:
        connection.from_arrow(arrow).create("events")


FILES = {
    "parquet": lambda frame, path: frame.to_parquet(path, index=False),
    "arrow": lambda frame, path: pyarrow.feather.write_feather(pa.Table.from_pandas(frame, preserve_index=False), path),
    "duckdb": write_duckdb,
}


@pytest.mark.slow
@pytest.mark.parametrize("form", list(FILES))
@pytest.mark.parametrize("name", ["event=incident/x.csv", "a[1]*?"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_the_content_of_a_table_file_decides(tmp_path, events, account, form, name, is_packed):  # noqa: PLR0917 - each tells one thing of the case
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    FILES[form](flat(events), tmp_path / "table")
    data = (tmp_path / "table").read_bytes()
    path.write_bytes(gzip.compress(data) if is_packed else data)
    (tmp_path / "table").unlink()
    log = tk.load_events(tmp_path)
    assert account(log) == ALL_VALID
    assert log.audit["source"].to_list() == [name + "/events" * (form == "duckdb")]


def many_rows(event, n):
    """Return rows that differ in their ids alone."""
    return flat([event]).loc[[0] * n].assign(messageId=[f"m{k}" for k in range(n)]).reset_index(drop=True)


def test_rows_that_are_judged_together_keep_their_order(tmp_path, make_event):
    many_rows(make_event(), 60_000).to_parquet(tmp_path / "a.parquet")
    with contextlib.closing(connections.connect()) as connection:
        intake = Intake(connection)
        take(intake, tmp_path / "a.parquet", tmp_path)
        records = connection.execute("SELECT record FROM events ORDER BY rowid").fetchnumpy()["record"]
    assert records.tolist() == list(range(1, 60_001))


@pytest.mark.parametrize("n_rows", [1, 150, 10**6])
def test_however_many_rows_are_judged_together_each_has_its_place(tmp_path, make_event, account, monkeypatch, n_rows):
    monkeypatch.setattr(table_reader, "JOINED_ROWS", n_rows)
    monkeypatch.setattr(tables, "BATCH_ROWS", 7)
    frame = many_rows(make_event(), 400)
    frame.loc[[3, 250], "timestamp"] = "no time"
    frame.loc[[120, 399], "messageId"] = "m0"
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=100)
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 400, "valid": 396, "duplicate": 2, "rejected": 2, "other": 0}
    assert log.quarantine["record"].to_list() == [4, 251]
    assert json.loads(log.quarantine["raw"].iloc[1])["messageId"] == "m250"


def test_nested_columns_and_nan_in_parquet_are_read(tmp_path, events, account):
    pyarrow.parquet.write_table(pa.Table.from_pylist(events), tmp_path / "nested.parquet")
    frame = flat(events)
    frame["NumMembers"] = [np.nan, np.nan, 2.0]
    frame["PostID"] = np.nan
    frame["messageId"] += "x"
    frame.to_parquet(tmp_path / "nan.parquet")
    assert account(tk.load_events(tmp_path)) == {k: 2 * v for k, v in ALL_VALID.items()}


@pytest.mark.slow
@pytest.mark.parametrize("form", list(FILES))
@pytest.mark.parametrize("damage", ["head", "cut", "middle", "end"])
def test_a_damaged_table_file_is_rejected_and_never_a_crash(tmp_path, make_event, account, form, damage):
    FILES[form](flat([make_event(n) for n in range(2000)]), tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    third, junk = len(data) // 3, b"\xa5" * 200
    (tmp_path / "whole").write_bytes(
        {
            "head": data[:20],
            "cut": data[: 2 * third],
            "middle": data[:third] + junk + data[third + 200 :],
            "end": data[:-200] + junk,
        }[damage]
    )
    log = tk.load_events(tmp_path)
    got = account(log)
    assert got["rejected"] >= 1 or got["valid"] == 2000
    assert str(tmp_path) not in log.quarantine.to_csv() + log.audit.to_csv()


def test_a_damaged_piece_of_a_parquet_file_costs_no_other_piece(tmp_path, make_event, account):
    path = tmp_path / "a.parquet"
    flat([make_event(n) for n in range(4000)]).to_parquet(path, row_group_size=1000)
    data = bytearray(path.read_bytes())
    begin = pyarrow.parquet.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data[begin : begin + 400] = b"\xa5" * 400
    path.write_bytes(bytes(data))
    log = tk.load_events(path)
    assert account(log) == {"read": 4000, "valid": 3000, "duplicate": 0, "rejected": 1000, "other": 0}
    assert list(reasons(log)) == list(range(1001, 2001))
    assert reasons(log)[1001].startswith("record: rows 1001 to 2000 cannot be read: ")
    assert "message-2500" in set(log.tasks["event_id"])


def test_a_duckdb_file_has_a_source_for_each_table(tmp_path, events, account):
    frame = pa.Table.from_pandas(flat(events))
    with duckdb.connect(str(tmp_path / "a.db")) as connection:
        connection.from_arrow(frame).create("events")
        connection.execute("CREATE SCHEMA old; CREATE TABLE old.incident AS FROM events WHERE event = 'incident'")
        connection.execute("CREATE TABLE nothing AS SELECT 1 AS x")
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 5, "valid": 3, "duplicate": 1, "rejected": 1, "other": 0}
    assert log.audit["source"].to_list() == ["a.db/events", "a.db/nothing", "a.db/old.incident"]


def test_a_cell_that_is_no_text_or_too_long_costs_its_row(tmp_path, make_event, account):
    frame = flat([make_event(n) for n in range(200)])
    table = pa.Table.from_pandas(frame, preserve_index=False)
    texts = [text.encode() for text in frame["IncidentID"]]
    texts[7], texts[9] = b"\xff\xfe", b"x" * 20_000_000
    cells = pa.array(texts, pa.binary()).view(pa.string())
    table = table.set_column(table.column_names.index("IncidentID"), "IncidentID", cells)
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    pyarrow.feather.write_feather(
        table.set_column(0, "messageId", pa.array([f"a{n}" for n in range(200)])), tmp_path / "b"
    )
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 400, "valid": 396, "duplicate": 0, "rejected": 4, "other": 0}
    assert log.quarantine["record"].to_list() == [8, 10, 8, 10]
    assert set(log.quarantine["reason"]) == {
        "IncidentID: the cell cannot be read, expected text in UTF-8",
        "IncidentID: a cell of 20000000 bytes, expected at most 16777215",
    }


@pytest.mark.slow
def test_a_long_value_that_many_rows_share_takes_no_more_than_itself(tmp_path, make_event, account):
    frame = pd.concat([flat([make_event()])] * 200, ignore_index=True)
    frame["messageId"] = [f"m{n}" for n in range(200)]
    values = pa.DictionaryArray.from_arrays(pa.array([1] * 150 + [0] * 50), pa.array(["incident", "x" * 50_000_000]))
    table = pa.Table.from_pandas(frame, preserve_index=False)
    table = table.set_column(table.column_names.index("IncidentID"), "IncidentID", values)
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with duckdb.connect(str(tmp_path / "b.duckdb")) as connection:
        arrow = pa.Table.from_pandas(frame.assign(messageId=[f"d{n}" for n in range(200)]), preserve_index=False)
        connection.from_arrow(arrow).create("events")
        connection.execute("UPDATE events SET IncidentID = repeat('x', 50_000_000) WHERE messageId IN ('d0', 'd5')")
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 400, "valid": 50 + 198, "duplicate": 0, "rejected": 152, "other": 0}


def test_an_arrow_file_with_other_offsets_gives_nothing_of_the_memory_around_it(tmp_path, make_event, account):
    frame = flat([make_event(n) for n in range(50)])
    pyarrow.feather.write_feather(
        pa.Table.from_pandas(frame, preserve_index=False), tmp_path / "a", compression="uncompressed"
    )
    data = bytearray((tmp_path / "a").read_bytes())
    offsets = np.cumsum([0, *map(len, frame["messageId"])]).astype(np.int64)
    at = data.find(offsets.tobytes())
    assert at > 0
    offsets[30:] = 60_000
    data[at : at + offsets.nbytes] = offsets.tobytes()
    (tmp_path / "a").write_bytes(bytes(data))
    log = tk.load_events(tmp_path)
    assert account(log)["read"] == 50
    assert account(log)["rejected"] >= 20
    assert set(log.tasks["event_id"]) <= set(frame["messageId"])


def test_only_base_tables_of_a_database_are_read_and_what_is_computed_is_told(tmp_path, make_event, account):
    with duckdb.connect(str(tmp_path / "a.duckdb")) as connection:
        connection.from_arrow(pa.Table.from_pandas(flat([make_event(n) for n in range(3)]))).create("events")
        columns = ", ".join(f'"{name}" {kind}' for name, kind, *_ in connection.execute("DESCRIBE events").fetchall())
        connection.execute(f"CREATE TABLE computed ({columns}, secret AS (current_setting('temp_directory')))")
        connection.execute("INSERT INTO computed FROM events")
        connection.execute("CREATE VIEW seen AS FROM events")
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 7, "valid": 3, "duplicate": 3, "rejected": 1, "other": 0}
    assert log.audit["source"].to_list() == ["a.duckdb/computed", "a.duckdb/events", "a.duckdb/seen"]
    assert log.quarantine["reason"].item().startswith("record: a view, which is not read")
    told = log.findings.set_index("finding")["detail"]
    assert told["generated column that was not read"] == "a.duckdb/computed.secret"


def test_a_database_without_tables_is_told(tmp_path, account):
    duckdb.connect(str(tmp_path / "a.duckdb")).close()
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 1, "valid": 0, "duplicate": 0, "rejected": 1, "other": 0}
    assert reasons(log)[1] == "record: the duckdb file holds no tables"


def test_a_file_that_makes_the_reader_stop_costs_no_other(tmp_path, events, account, monkeypatch):
    flat(events).to_parquet(tmp_path / "a.parquet")
    flat([event | {"messageId": f"b{n}"} for n, event in enumerate(events)]).to_parquet(tmp_path / "b.parquet")
    crash = "import os, signal; from {0} import serve\nline = open(0).readline()\nos.kill(os.getpid(), signal.SIGSEGV)"
    codes = iter([crash, table_reader._CODE])
    monkeypatch.setattr(table_reader, "_CODE", SimpleNamespace(format=lambda module: next(codes).format(module)))
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 4, "valid": 3, "duplicate": 0, "rejected": 1, "other": 0}
    assert reasons(log)[1] == "record: the parquet file cannot be read: it makes the reader stop (SIGSEGV)"


# PostgreSQL -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database(postgresql):
    """Give a connection to the server, in a schema of its own that the URL has on its search path, and that URL."""
    driver = pytest.importorskip("adbc_driver_postgresql.dbapi")
    schema = f"recorded_{os.getpid()}"
    url = f"{postgresql}{'&' if '?' in postgresql else '?'}options=-csearch_path%3D{schema}"
    with driver.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA {schema}")
        yield cursor, url, schema
        cursor.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.mark.slow
def test_a_warehouse_in_postgresql_loads_like_its_export(database, fill_warehouse, recordings, account):
    cursor, url, schema = database
    fill_warehouse(cursor)
    cursor.execute("CREATE TABLE licences (server_id text, edition text)")
    cursor.execute("CREATE TABLE odd (id uuid, user_id text, event text, properties jsonb, timestamp timestamptz)")
    properties = '{"IncidentID":"i","Action":"add_task","PluginVersion":"1.1.0","ServerVersion":"5","UserActualID":"u"}'
    identity = "3f333df6-90a4-4fda-8dd3-9485d27cee36"
    cursor.execute(f"INSERT INTO odd VALUES ('{identity}', 's', 'tasks', '{properties}', '2020-01-01T00:00:00Z')")
    log, export = tk.load_events(url), tk.load_events(recordings / "warehouse-postgres")
    got, wanted = account(log), account(export)
    assert got["other"] == wanted["other"]
    assert got["valid"] == wanted["valid"] + 1
    assert reasons(log).keys() == {1}
    tables = {source.removeprefix(f"{schema}.") for source in log.audit["source"]}
    assert tables == {source.removesuffix(".csv.gz") for source in export.audit["source"]} | {"licences", "odd"}
    for kind in ("incident", "tasks", "playbook"):
        left, right = getattr(log, kind), getattr(export, kind)
        left = left[left["event_id"] != identity].sort_values("event_id", ignore_index=True)
        pd.testing.assert_frame_equal(left, right.sort_values("event_id", ignore_index=True), check_categorical=False)


def test_a_database_that_cannot_be_used_is_one_clear_line_without_the_password(postgresql):
    pytest.importorskip("adbc_driver_postgresql")
    for url in (
        "postgresql://me:hidden@127.0.0.1:1/x",
        "postgres://me:hid den@127.0.0.1/x",
        "postgresql://me:hidden@/?x=1",
    ):
        with pytest.raises(SourceError, match="source: the database cannot be reached: ") as caught:
            tk.load_events(url)
        assert "\n" not in str(caught.value)
        assert "hid" not in str(caught.value)
    with pytest.raises(SourceError, match="has no tables"):
        tk.load_events(f"{postgresql}{'&' if '?' in postgresql else '?'}options=-csearch_path%3Dnothing_here")


def test_only_addresses_are_addresses():
    assert is_url("postgresql://host/db")
    assert not is_url("C:/events.json")
    assert not is_url(Path("postgresql://host"))


# Control characters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("character", ["\x01", "\x1f", "\x7f"])
@pytest.mark.parametrize("make", ["frame", "view", "category", "csv", "properties"])
def test_a_control_character_in_an_id_is_found_in_every_kind_of_table(tmp_path, events, make, character):
    rows = flat(events)
    rows["IncidentID"] = ["a" * 26, f"{'b' * 12}{character}{'b' * 13}", "c" * 26]
    source = pa.table(rows.convert_dtypes()[["messageId", "event", "userId", "timestamp", "IncidentID", "Action"]])
    place = source.column_names.index("IncidentID")
    if make == "view":
        source = source.set_column(place, "IncidentID", source.column(place).cast(pa.string_view()))
    elif make == "category":
        source = source.set_column(place, "IncidentID", source.column(place).dictionary_encode())
    elif make == "csv":
        rows = [source.column_names, *zip(*source.to_pydict().values(), strict=True)]
        source = tmp_path / "events.csv"
        source.write_text("\n".join(",".join(map(str, row)) for row in rows))
    elif make == "properties":
        texts = [json.dumps({"IncidentID": value}) for value in source.column("IncidentID").to_pylist()]
        source = source.drop_columns(["IncidentID"]).append_column("properties", pa.array(texts))
    told = tk.load_events(source).quarantine["reason"]
    (reason,) = told[told.str.contains("an id without control characters")]
    assert "incident_id: got" in reason


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (pa.array(["a", None, "é", ""]), False),
        (pa.array(["a\tb"]), True),
        (pa.array(["a\x7f"]), True),
        (pa.array(["a\x01", "b", "c\x02"]).slice(1, 1), False),
        (pa.array(["a\x01", "b"], pa.large_string()).slice(1), False),
        (pa.array(["a", "b\x01"], pa.large_string()).slice(1), True),
        (pa.array([1, None]), False),
        (pa.array([True]), False),
        (pa.array([], pa.string()), False),
        (pa.array([None], pa.null()), False),
        (pa.array(["a"]).dictionary_encode(), True),
        (pa.array([{"a": "b"}]), True),
    ],
)
def test_control_characters_are_told_by_the_bytes_of_plain_text_alone(cells, wanted):
    assert tables.may_hold_control(pa.table([cells], names=["c0"])) is wanted


# JSON -----------------------------------------------------------------------------------------------------------------

USERS = ["b" * 26, {"id": "x"}, "", None, 7, "NaN"]


@pytest.mark.parametrize("is_flat", [False, True])
@pytest.mark.parametrize("make", ["parquet", "arrow", "database", "relation"])
def test_what_is_of_the_type_json_is_what_it_says(tmp_path, make_event, make, is_flat):
    """As ``read_json`` of DuckDB makes it where some value is an object."""
    events = [make_event(n, "tasks") for n in range(len(USERS))]
    for event, user in zip(events, USERS, strict=True):
        event["properties"]["UserActualID"] = user
    lines = tmp_path / "lines.jsonl"
    lines.write_text("".join(json.dumps(event) + "\n" for event in events))
    cells = "* EXCLUDE (properties), unnest(properties)" if is_flat else "*"
    relation = duckdb.sql(f"SELECT {cells} FROM read_json('{lines}')")
    assert any("JSON" in str(kind) for kind in relation.types)
    source = {"relation": relation}.get(make, tmp_path / f"events.{make}")
    if make == "database":
        with duckdb.connect(source) as database:
            database.execute(f"CREATE TABLE events AS SELECT {cells} FROM read_json('{lines}')")
    elif make != "relation":
        relation.write_parquet(str(tmp_path / "events.parquet"))
        if make == "arrow":
            pyarrow.feather.write_feather(pyarrow.parquet.read_table(tmp_path / "events.parquet"), source)
    wanted, found = tk.load_events(lines), tk.load_events(source)
    assert found.tasks["user_actual_id"].tolist() == wanted.tasks["user_actual_id"].tolist() == ["b" * 26, "7"]
    assert {n: r.replace('": "', '":"') for n, r in reasons(found).items()} == reasons(wanted)


# The stream form of Arrow ---------------------------------------------------------------------------------------------


@pytest.fixture
def stream(tmp_path, make_event):
    """A file of three batches of two events each."""
    table = pa.table(flat([make_event(n, "tasks") for n in range(6)]).convert_dtypes())
    path = tmp_path / "events.arrows"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return path


def test_the_stream_form_of_arrow_is_read_as_its_files_are(stream):
    log = tk.load_events(stream)
    assert (len(log.tasks), len(log.quarantine)) == (6, 0)


def test_of_a_stream_that_breaks_off_all_before_is_read(stream):
    data = stream.read_bytes()
    stream.write_bytes(data[: len(data) - 500])
    log = tk.load_events(stream)
    assert len(log.tasks) == 4
    assert reasons(log)[5].startswith("record: rows 5 to 5 cannot be read: batch 3 and what follows: ")
