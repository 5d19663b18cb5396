"""Tables that are written as JSON give their rows, each of them once."""

import json

import pandas as pd
import pytest

import telemetry_kit as tk

KEYS = ["messageId", "event", "userId", "timestamp"]


def flat(events):
    return pd.DataFrame([{key: event[key] for key in KEYS} | event["properties"] for event in events])


def arrays(events):
    split = json.loads(flat(events).to_json(orient="split"))
    return split["columns"], split["data"]


LAYOUTS = {
    **{way: lambda events, way=way: flat(events).to_json(orient=way) for way in ("split", "index", "columns", "table")},
    "index, nested": lambda events: pd.DataFrame(events).to_json(orient="index"),
    "columns, nested": lambda events: pd.DataFrame(events).to_json(orient="columns"),
    "split over lines": lambda events: flat(events).to_json(orient="split", indent=2),
    "under keys": lambda events: json.dumps({event["messageId"]: event for event in events}, indent=1),
    "under keys below a key": lambda events: json.dumps({"events": {event["messageId"]: event for event in events}}),
    "lists by name": lambda events: json.dumps({
        name: [row[n] for row in arrays(events)[1]] for n, name in enumerate(arrays(events)[0])
    }),
    "names first": lambda events: json.dumps([arrays(events)[0], *arrays(events)[1]]),
    "names first, a row a line": lambda events: "\n".join(map(json.dumps, [arrays(events)[0], *arrays(events)[1]])),
    "names first below a key": lambda events: json.dumps({"values": [arrays(events)[0], *arrays(events)[1]]}),
    "described columns": lambda events: json.dumps(
        {"data": {"rows": arrays(events)[1], "cols": [{"name": name} for name in arrays(events)[0]]}, "status": "ok"}
    ),
    "texts": lambda events: json.dumps(list(map(json.dumps, events))),
    "a sequence": lambda events: "".join(f"\x1e{json.dumps(event)}\n" for event in events),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_row_of_a_table_is_an_event(layout, make_event, tmp_path, account):
    events = [make_event(n, "incident") for n in range(3)]
    (tmp_path / "a.json").write_text(LAYOUTS[layout](events))
    log = tk.load_events(tmp_path)
    assert account(log) == {"read": 3, "valid": 3, "duplicate": 0, "rejected": 0, "other": 0}
    assert log.incident["event_id"].to_list() == [event["messageId"] for event in events]
    assert log.incident["total_checklist_items"].to_list() == [7, 7, 7]


def test_rows_without_names_are_one_rejected_record_each(make_event, tmp_path, account):
    (tmp_path / "a.json").write_text(flat([make_event(n) for n in range(3)]).to_json(orient="values"))
    assert account(tk.load_events(tmp_path))["rejected"] == 3
