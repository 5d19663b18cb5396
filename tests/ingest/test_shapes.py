"""Whatever shape events have, container by nesting by spelling by words and times, they load, and the account holds."""

import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import telemetry_kit as tk
from telemetry_kit.schemas.values import NULL_WORDS

TIMES = {
    "zulu": lambda t: f"{t:%Y-%m-%dT%H:%M:%S.%f}Z",
    "offset": lambda t: f"{t.tz_convert('Asia/Kolkata'):%Y-%m-%d %H:%M:%S.%f} +05:30",
    "comma": lambda t: f"{t:%Y-%m-%d %H:%M:%S},0",
    "milliseconds": lambda t: str(t.value // 1_000_000),
    "seconds": lambda t: f"{t.value // 1_000_000_000}.000",
}
SPELLINGS = {"wire": lambda key: key, "upper": str.upper, "lower": str.lower}


def shaped(event, nesting, spell, time, word):
    """Return an event with its properties in one of the shapes."""
    properties = {spell(key): value for key, value in event["properties"].items()} | {spell("PostID"): word}
    given = event | {"timestamp": TIMES[time](pd.Timestamp(event["timestamp"]))}
    del given["properties"]
    if nesting == "object":
        return given | {"properties": properties}
    if nesting == "text":
        return given | {"properties": json.dumps(properties)}
    return given | {f"properties{nesting}{key}": value for key, value in properties.items()}


def write(folder, container, events):
    if container == "lines":
        (folder / "a.jsonl").write_text("\n".join(map(json.dumps, events)))
    elif container == "array":
        (folder / "a.json").write_text(json.dumps(events))
    elif container == "csv":
        pd.json_normalize(events, max_level=0).to_csv(folder / "a.csv", index=False)
    else:
        pd.DataFrame(events).to_parquet(folder / "a.parquet")


@pytest.mark.slow
@settings(max_examples=20, derandomize=True, database=None, deadline=None)
@given(data=st.data())
def test_the_account_holds_whatever_the_shape(data, make_event, account, tmp_path_factory):
    container = data.draw(st.sampled_from(["lines", "array", "csv", "parquet"]))
    nestings = ["text", ".", "_", "__"] if container == "csv" else ["object", "text", ".", "_", "__"]
    nesting, spelling = data.draw(st.sampled_from(nestings)), data.draw(st.sampled_from(sorted(SPELLINGS)))
    word, time = data.draw(st.sampled_from(["", *NULL_WORDS])), data.draw(st.sampled_from(sorted(TIMES)))
    events = [make_event(n, "incident") for n in range(4)]
    given_events = [shaped(event, nesting, SPELLINGS[spelling], time, word) for event in events]
    folder = tmp_path_factory.mktemp("shape")
    write(folder, container, [*given_events, given_events[1]])
    log = tk.load_events(folder)
    assert account(log) == {"read": 5, "valid": 4, "duplicate": 1, "rejected": 0, "other": 0}
    assert log.incident["post_id"].isna().all()
    wanted = pd.to_datetime([event["timestamp"] for event in events])
    assert log.incident["event_timestamp"].to_list() == wanted.to_list()
