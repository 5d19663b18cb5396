"""Nothing is lost: whatever records, files and archives hold, each record is counted once, in its source.

Each example loads several files; each file is a case of its own, because a source has an account of its own.
"""

import codecs
import gzip
import hashlib
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import telemetry_kit as tk
from telemetry_kit.schemas.values import NULL_WORDS

NAMES = [f"file {letter}" for letter in "abcdefghij"]
EXAMPLES = {"containers": 75, "wire lines": 30}
"""Together well over a thousand files."""
FATES = ("valid", "duplicate", "rejected", "other")
KINDS = ("tasks", "incident", "playbook")

# Records --------------------------------------------------------------------------------------------------------------

NOT_A_TEXT = ("{", "[", "NaN", "Infinity", "-Infinity", *"+-0123456789")
"""How what is nested, is no number, or may be one begins."""
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(
    lambda text: not text.startswith(NOT_A_TEXT) and text.strip() == text and text not in NULL_WORDS
)
COUNTS = st.integers(0, 2**63 - 1)
FAULTS = st.sampled_from(
    [
        ("NumChecklists", "three"), ("NumChecklists", 2.5), ("NumChecklists", -1), ("NumChecklists", 2**63),
        ("NumChecklists", True), ("NumChecklists", float("nan")), ("NumChecklists", None), ("NumChecklists", [3]),
        ("TeamID", ""), ("TeamID", None), ("TeamID", {"a": "b"}), ("TeamID", float("inf")),
        ("timestamp", "yesterday"), ("timestamp", None), ("userId", ""), ("userId", [1]),
        ("event", None), ("event", {}), ("receivedAt", "2019-01-01T00:00:00Z"), ("TeamID@twice", "x"),
    ]
)  # fmt: skip
DEPTH = 3000
MARKS = {"@twice": "", '"@deep"': "[" * DEPTH + "]" * DEPTH}
"""What stands in a record in the place of what no dictionary of Python can hold, and what it becomes in the text."""
ANYTHING = st.just("@deep") | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
PLACES = st.sampled_from(
    [
        "messageId", "event", "userId", "timestamp", "properties", "type", "receivedAt", "context", "x", "Event",
        "user_id", "Action", "TeamID", "team_id", "NumChecklists", "IsActive", "CreateAt", "PluginVersion",
    ]
)  # fmt: skip


@dataclass
class Record:
    """A record as it is sent, and what must become of it; null where that is anyone's guess."""

    event: object
    fate: str | None
    team: str | None = None


@st.composite
def records(draw, make_event, identity):
    """Draw a record that is plain, faulty, of another type, or has anything at all in some place."""
    event = make_event(draw(st.integers(0, 99)), draw(st.sampled_from(KINDS[1:])))
    event["messageId"] = hashlib.md5(identity.encode()).hexdigest()
    event["properties"] |= {"TeamID": draw(WORDS), "NumChecklists": draw(COUNTS)}
    way = draw(st.sampled_from(["valid", "valid", "valid", "rejected", "other", "anything"]))
    if way == "rejected":
        name, value = draw(FAULTS)
        (event["properties"] if name.split("@")[0] in event["properties"] else event)[name] = value
    elif way == "other":
        event["event"] = draw(st.sampled_from(["frontend", "pages", "identify"]))
    elif way == "anything":
        name = draw(PLACES)
        (event["properties"] if draw(st.booleans()) else event)[name] = draw(ANYTHING)
        return Record(event, None)
    return Record(event, way, event["properties"]["TeamID"])


@st.composite
def batches(draw, make_event, name):
    """Draw the records of a file, some of which come again."""
    drawn = [draw(records(make_event, f"{name}/{number}")) for number in range(draw(st.integers(0, 6)))]
    again = [Record(r.event, "duplicate") for r in drawn if r.fate == "valid" and draw(st.integers(0, 5)) == 0]
    return drawn + again


# Files ----------------------------------------------------------------------------------------------------------------


def zstd(data):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def flat(events):
    return [{k: v for k, v in e.items() if k != "properties"} | e["properties"] for e in events]


def as_csv(events):
    rows = flat(events)
    return pd.DataFrame(rows, columns=list({key: None for row in rows for key in row})).to_csv(index=False)


def as_parquet(events):
    sink = pa.BufferOutputStream()
    columns = list({key: None for row in flat(events) for key in row})
    rows = [{key: row.get(key) for key in columns} for row in flat(events)]
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue().to_pybytes()


FORMS = {
    "lines": lambda events: "".join(json.dumps(event) + "\n" for event in events),
    "compact lines": lambda events: "\n".join(json.dumps(e, separators=(",", ":"), ensure_ascii=False) for e in events),
    "bodies": lambda events: "".join(json.dumps({"batch": [event]}) + "\n" for event in events),
    "a body": lambda events: json.dumps({"batch": events}),
    "a pretty body": lambda events: json.dumps({"batch": events}, indent=1),
    "an array": json.dumps,
    "a pretty array": lambda events: json.dumps(events, indent=1, ensure_ascii=False),
    "csv": as_csv,
    "parquet": as_parquet,
}
TABLES = ("csv", "parquet")
CODINGS = {
    "plain": lambda text: text.encode(),
    "marked": lambda text: codecs.BOM_UTF8 + text.encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "crlf": lambda text: text.replace("\n", "\r\n").encode(),
    "cr": lambda text: text.replace("\n", "\r").encode(),
}
PACKINGS = {
    "none": bytes,
    "gzip": lambda data: gzip.compress(data, 1),
    "zstd": zstd,
    "both": lambda d: zstd(gzip.compress(d, 1)),
}
JUNK = st.sampled_from(["junk", "{", '{"a": 1', "[1]", "null", '"x"', "{}", '{"batch": 1}', "\0", "{} {}"]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), min_size=1, max_size=20
).map(lambda text: "x" + text)
HURTS = ("none", "none", "none", "junk line", "blank lines", "cut", "changed byte", "inserted byte", "joined")


@dataclass
class File:
    """A file, and the account that it must have; null where it was hurt beyond telling."""

    data: bytes
    records: list[Record]
    is_told: bool = True
    n_junk: int = 0
    rejected_at: set[int] = field(default_factory=set)


@st.composite
def files(draw, make_event, name, forms=tuple(FORMS), hurts=HURTS):
    """Draw a file of some form, coding and packing, whole or hurt."""
    batch = draw(batches(make_event, name))
    form = draw(st.sampled_from(forms))
    if form in TABLES:
        # A table has cells of one type, and what is missing is an empty cell.
        batch = [record for record in batch if record.fate in ("valid", "duplicate", "other")]
    text = FORMS[form]([record.event for record in batch])
    hurt = draw(st.sampled_from(hurts))
    file = File(b"", batch)
    if form == "parquet":
        # Without rows there are no columns to know it by.
        file.is_told = bool(batch)
    else:
        # Too deep a body is one record, whatever it holds.
        file.is_told = not (form.endswith("body") and '"@deep"' in text)
        for mark, meant in MARKS.items():
            text = text.replace(mark, meant)
    if form.endswith("lines"):
        lines = text.splitlines(keepends=False) if form == "lines" else text.split("\n") if text else []
        places = list(range(1, len(lines) + 1))
        if hurt == "junk line":
            at = draw(st.integers(0, len(lines)))
            junk = draw(JUNK)
            lines.insert(at, junk)
            places = [place + (place > at) for place in places]
            # Documents that stand in one line are a record each, but a file without any event is one as a whole.
            file.n_junk, file.rejected_at = 1 + (junk == "{} {}" and bool(places)), {at + 1}
        elif hurt == "blank lines":
            lines = [part for line in lines for part in (" \t" * draw(st.integers(0, 1)), line)]
            places = [2 * place for place in places]
        file.rejected_at |= {place for place, r in zip(places, batch, strict=True) if r.fate == "rejected"}
        text = "\n".join(lines)
    coding = draw(st.sampled_from(list(CODINGS)))
    packing = draw(st.sampled_from(list(PACKINGS)))
    file.data = PACKINGS[packing](text if form == "parquet" else CODINGS[coding](text))
    if hurt in ("cut", "changed byte", "inserted byte", "joined") and file.data:
        at = len(file.data) if hurt == "joined" else draw(st.integers(0, len(file.data) - 1))
        byte = bytes([draw(st.integers(0, 255))])
        behind = {
            "cut": b"",
            "changed byte": byte + file.data[at + 1 :],
            "inserted byte": byte + file.data[at:],
            "joined": file.data,
        }
        file.data = file.data[:at] + behind[hurt]
        file.is_told = False
    return file


def load(given):
    """Load files as one folder; return the log and the account of each file."""
    with tempfile.TemporaryDirectory() as folder:
        for name, file in given.items():
            Path(folder, name).write_bytes(file.data)
        log = tk.load_events(folder)
    return log, log.audit.set_index("source")


def assert_nothing_is_lost(given):
    log, audit = load(given)
    events = ["n_incident", "n_tasks", "n_playbook"]
    assert (audit["n_read"] == audit.drop(columns="n_read").sum(axis=1)).all()
    assert len(log.quarantine) == audit["n_rejected"].sum()
    assert sum(len(getattr(log, kind)) for kind in KINDS) == audit[events].to_numpy().sum()
    assert (log.quarantine["reason"] != "").all()
    frames = pd.concat([getattr(log, kind) for kind in KINDS])
    teams = pd.concat([log.incident, log.playbook]).set_index("event_id")["team_id"].to_dict()
    assert frames["event_id"].is_unique
    rejected = log.quarantine.groupby("source")["record"].agg(set).to_dict()
    for name, file in given.items():
        if not file.is_told:
            continue
        row = audit.loc[name]
        least = {fate: sum(record.fate == fate for record in file.records) for fate in FATES}
        least["rejected"] += file.n_junk
        found = {"valid": row[events].sum(), **{fate: row[f"n_{fate}"] for fate in FATES[1:]}}
        n_free = sum(record.fate is None for record in file.records)
        assert row["n_read"] == len(file.records) + file.n_junk
        assert row["n_read"] == sum(found.values())
        assert all(least[fate] <= found[fate] <= least[fate] + n_free for fate in FATES)
        assert file.rejected_at <= rejected.get(name, set())
        for record in file.records:
            if record.fate == "valid":
                assert teams[record.event["messageId"]] == record.team
            elif record.fate == "rejected" and record.event["messageId"] in teams:
                raise AssertionError("a rejected record was kept")


# A failing example is shown as it was drawn: to make it smaller would take longer than to read it.
CALM = settings(
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)


@pytest.mark.slow
@settings(CALM, max_examples=EXAMPLES["containers"])
@given(data=st.data())
def test_nothing_is_lost_in_any_container(make_event, data):
    assert_nothing_is_lost({name: data.draw(files(make_event, name)) for name in NAMES})


@pytest.mark.slow
@settings(CALM, max_examples=EXAMPLES["wire lines"])
@given(data=st.data())
def test_nothing_is_lost_among_plain_wire_lines(make_event, data):
    few = {"forms": ("compact lines",), "hurts": ("none", "none", "junk line", "blank lines")}
    assert_nothing_is_lost({name: data.draw(files(make_event, name, **few)) for name in NAMES})
