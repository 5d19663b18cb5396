"""What a file holds is told by its content, and its account adds up however it is damaged."""

import codecs
import contextlib
import gzip
import io
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.ingest import compression, detection
from telemetry_kit.ingest import lines as line_reader
from telemetry_kit.ingest.lines import LINE_LIMIT, RAW_LIMIT

PLAIN = {"duplicate": 0, "rejected": 0, "other": 0}


@pytest.fixture
def load(tmp_path):
    """Load bytes out of a file."""

    def load(data, name="given"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return tk.load_events(path)

    return load


@pytest.fixture(scope="module")
def events(make_event):
    return [make_event(n, kind) for n, kind in enumerate(["tasks", "incident", "playbook"])]


@pytest.fixture(scope="module")
def lines(events):
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def rejected(log):
    return {(row.source, row.record): row.reason for row in log.quarantine.itertuples()}


def as_csv(events, **options):
    flat = [{k: v for k, v in e.items() if k != "properties"} | e["properties"] for e in events]
    return pd.DataFrame(flat).to_csv(index=False, **options)


FORMS = {
    "lines": lambda events: "".join(json.dumps(e) + "\n" for e in events),
    "lines without the last end": lambda events: "\n".join(map(json.dumps, events)),
    "blank lines": lambda events: "\n \n" + "\n\n".join(map(json.dumps, events)),
    "bodies": lambda events: "".join(json.dumps({"batch": [e]}) + "\n" for e in events),
    "one body": lambda events: json.dumps({"messageId": "b", "batch": events, "context": {}}),
    "a pretty body": lambda events: json.dumps({"context": {}, "batch": events}, indent=2),
    "bodies and events": lambda events: json.dumps({"batch": events[:2]}) + "\n" + json.dumps(events[2]) + "\n",
    "an array": json.dumps,
    "a pretty array": lambda events: json.dumps(events, indent=1),
    "pretty documents": lambda events: "\n".join(json.dumps(e, indent=1) for e in events),
    "an array of bodies": lambda events: json.dumps([{"batch": events[:1]}, {"batch": events[1:]}]),
    "one behind the other": lambda events: "".join(map(json.dumps, events)),
    "two on a line": lambda events: json.dumps(events[0]) + " " + json.dumps(events[1]) + "\n" + json.dumps(events[2]),
    "lines that end in a comma": lambda events: "".join(json.dumps(e) + ",\n" for e in events),
    "a byte-order mark in each line": lambda events: "".join("\ufeff" + json.dumps(e) + "\n" for e in events),
    "files without a last line end": lambda events: "\ufeff".join(json.dumps(e) for e in events),
    "a wrapper": lambda events: json.dumps({"total": 3, "rows": events}),
    "a wrapper over lines": lambda events: '{"rows":[\n' + ",\n".join(map(json.dumps, events)) + "\n]}\n",
    "csv": as_csv,
    "csv with semicolons": lambda events: as_csv(events, sep=";"),
}
CODINGS = {
    "plain": str.encode,
    "byte-order mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16-le without a mark": lambda text: text.removeprefix("\ufeff").encode("utf-16-le"),
    "utf-16-be": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "cr": lambda text: text.replace("\n", "\r").encode(),
    "gzip": lambda text: gzip.compress(text.encode()),
}


@pytest.mark.slow
@pytest.mark.parametrize("form", list(FORMS))
def test_every_form_in_every_coding_gives_the_same_events(form, events, tmp_path, account):
    for number, code in enumerate(CODINGS.values()):
        copies = [event | {"messageId": f"{event['messageId']}-{number}"} for event in events]
        (tmp_path / str(number)).write_bytes(code(FORMS[form](copies)))
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 3 * len(CODINGS), "valid": 3 * len(CODINGS), **PLAIN}
    assert (log.audit[["n_incident", "n_tasks", "n_playbook"]] == 1).all(axis=None)


@pytest.mark.parametrize(
    ("data", "n_read"),
    [
        (b"", 0),
        (b"\n \n\r\n", 0),
        (b"[]", 0),
        (b"[\n]\n", 0),
        (b'{"batch": []}\n', 0),
        (b"# README\n\nThese are our events.\n", 1),
        (b"server_id,edition,starts_at,ends_at\na,E10,2020-01-01,2021-01-01\n", 1),
        (b"null", 1),
        (b"\x1f\x8b", 1),
        (b"\x28\xb5\x2f\xfd", 1),
        (b"PAR1", 1),
        (b"ARROW1", 1),
        (bytes(8) + b"DUCK", 1),
        (random.Random(1).randbytes(300_000), 1),
        (b"{" + random.Random(2).randbytes(300_000), 1),
        (b"[" + random.Random(3).randbytes(300_000), 1),
    ],
)  # fmt: skip
def test_a_file_without_events_is_empty_or_one_rejected_record(load, account, data, n_read):
    log = load(data)
    assert account(log) == {"read": n_read, "valid": 0, **PLAIN, "rejected": n_read}
    assert log.quarantine["record"].to_list() == [1] * n_read
    assert log.cutoff is pd.NaT


def test_an_example_in_a_page_of_prose_is_no_event(load, lines, account):
    page = b"# How an event looks\n\n```json\n" + lines.partition(b"\n")[0] + b"\n```\n\nThat is all.\n"
    assert account(load(page))["valid"] == 0


@pytest.mark.parametrize(
    "junk", [b"junk", b"{", b"[INFO] started", b'{"messageId": "cut', b"\0" * 5000, b"id,event", b"[1, 2"]
)
def test_junk_in_the_first_line_costs_no_other(load, lines, account, junk):
    log = load(junk + b"\n" + lines)
    assert account(log) == {"read": 4, "valid": 3, **PLAIN, "rejected": 1}
    assert rejected(log).keys() == {("given", 1)}


def test_events_behind_a_megabyte_of_junk_are_found(load, lines, account):
    assert account(load(b"\0" * 3_000_000 + b"\n" + lines)) == {"read": 4, "valid": 3, **PLAIN, "rejected": 1}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"event": "inci', "record: not JSON: Unterminated string"),
        (b'{"event": "\xff"}', "record: not UTF-8 at byte 12"),
        (b"\0\0\0", "record: not JSON: Expecting value"),
        (b"null", "record: expected a JSON object with the fields of an event"),
        (b"[]", "record: expected a JSON object with the fields of an event"),
        (b'"incident"', "record: expected a JSON object with the fields of an event"),
        (b"{}", "event_type: missing, expected one of incident, tasks, playbook"),
        (b'{"batch": null}', "event_type: missing"),
        (b'{"a": "\\ud800"}', "record: not JSON: half a character"),
        (b"[" * 100_000, "record: not JSON: nested too deeply; the record has 100000 bytes"),
        (b'{"x": "' + b"y" * LINE_LIMIT + b'"}', f"record: a line of {LINE_LIMIT + 9} bytes"),
    ],
)
def test_a_damaged_line_is_rejected_in_its_place_and_costs_no_other(load, lines, account, line, reason):
    log = load(lines + b"\n" + line + b"\n" + lines.replace(b"message", b"other"))
    assert account(log) == {"read": 7, "valid": 6, **PLAIN, "rejected": 1}
    (row,) = log.quarantine.itertuples()
    assert row.record == 5
    assert row.reason.startswith(reason)
    assert row.raw == line[:RAW_LIMIT].decode("utf-8", "backslashreplace")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('[1, null, "x", [], {}, @]', {"read": 6, "valid": 1, "rejected": 5}),
        ("[@, @]", {"read": 2, "valid": 1, "duplicate": 1}),
        ('[{"event": "frontend"}, @, {"event": "pages"}]', {"read": 3, "valid": 1, "other": 2}),
        ('[@], "batch": [@]', {"read": 1, "rejected": 1}),
        ("null", {"read": 1, "rejected": 1}),
        ("{}", {"read": 1, "rejected": 1}),
        ("[]", {"read": 0}),
    ],
)
def test_each_event_of_a_body_is_a_record(load, make_event, account, body, expected):
    event = json.dumps(make_event())
    log = load(f'{{"sentAt": null, "batch": {body}, "context": {{}}}}'.replace("@", event).encode())
    assert account(log) == {"valid": 0, **PLAIN, **expected}
    assert set(log.quarantine["record"]) <= {1}
    if expected.get("rejected", 0) > 1:
        assert log.quarantine["raw"].to_list() == ["1", "null", '"x"', "[]", "{}"]


def test_text_in_utf16_that_is_no_text_is_rejected_alone(load, lines, make_event, account):
    text = (
        lines.decode().encode("utf-16-le") + b"\x00\xd8\n\0" + json.dumps(make_event(9)).encode("utf-16-le") + b"\n\0\0"
    )
    log = load(codecs.BOM_UTF16_LE + text)
    assert account(log) == {"read": 6, "valid": 4, **PLAIN, "rejected": 2}
    assert rejected(log).keys() == {("given", 4), ("given", 6)}


@pytest.mark.parametrize("n_bytes", [0, 10_000, 100_000, 1 << 20, 3 << 20])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_carriage_returns_end_lines_however_long_the_first_one_is(load, lines, account, n_bytes, pack):
    first = b'{"a": "' + b"x" * n_bytes + b'"}'
    log = load(pack((first + b"\n" + lines).replace(b"\n", b"\r")))
    assert account(log) == {"read": 4, "valid": 3, **PLAIN, "rejected": 1}
    assert rejected(log).keys() == {("given", 1)}


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_return_and_its_feed_are_one_end_of_a_line_on_both_sides_of_a_block(load, lines, account, over):
    first = b'{"a": "' + b"x" * (compression.BLOCK + over - 10) + b'"}'
    # With its return, it ends before, at or behind the end of a block.
    assert len(first) + 1 == compression.BLOCK + over
    log = load((first + b"\n" + lines).replace(b"\n", b"\r\n"))
    assert account(log) == {"read": 4, "valid": 3, **PLAIN, "rejected": 1}
    assert rejected(log).keys() == {("given", 1)}


@pytest.mark.parametrize("first", ['{"a": ' + "[" * 3000 + "]" * 3000 + "}", '{"a": 1'], ids=["too deep", "broken"])
def test_a_text_behind_a_line_that_cannot_be_read_is_no_part_of_it(load, lines, account, first):
    log = load(f'{first}\n"x"\n'.encode() + lines)
    assert account(log) == {"read": 5, "valid": 3, **PLAIN, "rejected": 2}
    assert rejected(log).keys() == {("given", 1), ("given", 2)}


def test_text_in_utf16_that_begins_with_a_zero_is_not_taken_for_utf32(load, lines, account):
    log = load(codecs.BOM_UTF16_LE + ("\0\n" + lines.decode()).encode("utf-16-le"))
    assert account(log) == {"read": 4, "valid": 3, **PLAIN, "rejected": 1}
    assert rejected(log).keys() == {("given", 1)}


def test_what_is_no_character_of_utf32_is_rejected_alone(load, lines, make_event, account):
    more = json.dumps(make_event(9)).encode("utf-32-le")
    log = load(codecs.BOM_UTF32_LE + lines.decode().encode("utf-32-le") + b"\xff\xff\xff\x7f\n\0\0\0" + more)
    assert account(log) == {"read": 5, "valid": 4, **PLAIN, "rejected": 1}
    assert rejected(log).keys() == {("given", 4)}


@pytest.mark.parametrize("form", ["lines", "an array", "csv", "bodies"])
def test_a_truncated_archive_is_short_by_one_rejected_record(load, make_event, account, form):
    events = [make_event(n) for n in range(3000)]
    log = load(gzip.compress(FORMS[form](events).encode())[:-1000])
    got = account(log)
    assert got["rejected"] == 1
    assert 2000 < got["valid"] == got["read"] - 1 < 3000
    assert "the file is damaged" in log.quarantine["reason"].item()
    assert log.quarantine["record"].item() == got["valid"] + 1 + (form == "csv")


def test_many_small_files_keep_their_own_accounts(tmp_path, make_event, account):
    for n in range(300):
        text = json.dumps(make_event(n)) + "\n" + json.dumps(make_event(n, "frontend")) + "\n" + "junk\n" * (n % 7 == 0)
        (tmp_path / f"{n:03}.json.gz").write_bytes(gzip.compress(text.encode()))
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 643, "valid": 300, "duplicate": 0, "rejected": 43, "other": 300}
    assert log.audit["source"].to_list() == [f"{n:03}.json.gz" for n in range(300)]
    assert (log.audit[["n_tasks", "n_other"]] == 1).all(axis=None)
    assert list(rejected(log)) == [(f"{n:03}.json.gz", 3) for n in range(0, 300, 7)]


def test_one_broken_file_never_stops_the_rest(tmp_path, lines, account):
    (tmp_path / "a.json").write_bytes(lines)
    (tmp_path / "b.json.gz").write_bytes(b"\x1f\x8b broken")
    (tmp_path / "c.parquet").write_bytes(b"PAR1 broken PAR1")
    (tmp_path / "d.json").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "e.json")
    (tmp_path / "f.json").write_bytes(lines.replace(b"message", b"other"))
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 10, "valid": 6, **PLAIN, "rejected": 4}
    assert [source for source, _ in rejected(log)] == ["b.json.gz", "c.parquet", "d.json", "e.json"]
    assert all("cannot be read" in reason for reason in rejected(log).values())
    assert str(tmp_path) not in log.quarantine.to_csv()


@contextlib.contextmanager
def somebody():
    """Be a user like any other, who may not read everything."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_file_without_permission_is_one_rejected_record_in_a_folder_and_a_mistake_alone(lines, account):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "open").write_bytes(lines)
        (folder / "closed").write_bytes(lines)
        (folder / "closed").chmod(0)
        (folder / "folder").mkdir(mode=0)
        tk.load_events(folder / "open")
        with somebody():
            log = tk.load_events(folder)
            for given in ("closed", "folder", "folder/inside"):
                with pytest.raises(tk.errors.SourceError, match="cannot be read: Permission denied"):
                    tk.load_events(folder / given)
    assert account(log) == {"read": 5, "valid": 3, **PLAIN, "rejected": 2}
    reason = "record: the file cannot be read: Permission denied"
    assert rejected(log) == {("closed", 1): reason, ("folder", 1): reason}


@pytest.fixture
def _in_place(monkeypatch):
    """Take every file for a large one."""
    monkeypatch.setattr(detection, "IN_PLACE", 1)


@pytest.mark.parametrize("name", ["plain.jsonl", "event=incident/x.json.gz", "a[1]*.jsonl", "ü\n'.parquet"])
@pytest.mark.usefixtures("_in_place")
def test_a_large_file_is_read_in_place_whatever_its_name(load, lines, account, name):
    log = load(b"\n" + lines + b"\x0c\n{}\n\n" + lines.replace(b"message", b"other"), name)
    assert account(log) == {"read": 7, "valid": 6, **PLAIN, "rejected": 1}
    assert log.quarantine["record"].item() == 6


@pytest.mark.usefixtures("_in_place")
def test_a_long_line_or_a_mark_in_a_large_file_is_found(load, lines, account):
    assert account(load(lines + b"x" * (LINE_LIMIT + 1))) == {"read": 4, "valid": 3, **PLAIN, "rejected": 1}
    assert account(load(codecs.BOM_UTF8 + lines)) == {"read": 3, "valid": 3, **PLAIN}


@pytest.mark.slow
def test_text_is_read_in_parts_and_keeps_its_places(tmp_path, make_event, account, monkeypatch):
    monkeypatch.setattr(detection, "UNIT", 10_000)
    monkeypatch.setattr(line_reader, "BLOCK", 1000)
    for name in ("a", "b"):
        events = [json.dumps(make_event(n) | {"messageId": f"{name}{n}"}) for n in range(200)]
        events[150] = "junk"
        (tmp_path / name).write_text("\n\n".join(events))
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 400, "valid": 398, **PLAIN, "rejected": 2}
    assert list(rejected(log)) == [("a", 301), ("b", 301)]


PEAK = """
import resource, sys
import telemetry_kit as tk
tk.load_events(sys.argv[1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
log = tk.load_events(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, len(log.tasks), len(log.quarantine))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak is counted in other units")
@pytest.mark.parametrize(
    ("first", "last", "n_valid", "n_rejected"),
    [(b"@\n", b"\n@", 2, 1), (b'[@,{"a": "', b'"},@]', 2, 1), (b"event,userId\n", b"\n", 0, 1), (b"\0", b"", 0, 1)],
)
def test_a_bomb_is_unpacked_into_bounded_memory(tmp_path, make_event, first, last, n_valid, n_rejected):  # noqa: PLR0917 - each tells one thing of the case
    events = [json.dumps(make_event(n)).encode() for n in range(2)]
    text = io.BytesIO()
    with gzip.open(text, "wb", 1) as stream:
        stream.write(first.replace(b"@", events[0]))
        for _ in range(300):
            stream.write(b"x" * 1_000_000)
        stream.write(last.replace(b"@", events[1]))
    (tmp_path / "bomb").write_bytes(text.getvalue())
    (tmp_path / "plain").write_bytes(events[0])
    command = [sys.executable, "-c", PEAK, str(tmp_path / "plain"), str(tmp_path / "bomb")]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    grown_kb, *found = map(int, told.split())
    assert found == [n_valid, n_rejected]
    assert grown_kb < 200_000
