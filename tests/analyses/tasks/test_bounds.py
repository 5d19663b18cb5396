"""How many tasks can be open or done, when no event says which task it was about."""

import gzip
import json
import random
from itertools import product

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.errors import ParameterError

START = pd.Timestamp("2020-11-02T09:00:00Z")
STATES = ("open", "in_progress", "done")
STATE_CHANGE = "modify_task_state"
Event = tuple[str, str | None, str | int | None]
"""A frame, an action, and the new state of a task or the number of tasks of an incident."""


def frames(incidents: dict[str, list[Event]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Frames of tasks and of incident events, one event a second."""
    rows = [
        {
            "server_id": "s",
            "incident_id": incident,
            "event_id": f"{incident}-{second}",
            "event_timestamp": START + pd.Timedelta(second, "s"),
            "action": action,
            "new_state" if kind == "tasks" else "total_checklist_items": value,
            "kind": kind,
        }
        for incident, events in incidents.items()
        for second, (kind, action, value) in enumerate(events)
    ]
    both = pd.DataFrame(rows, columns=[*INCIDENT, "action", "new_state", "total_checklist_items", "kind"])
    both = both.astype({"total_checklist_items": "Int64", "new_state": "str", "action": "str", "event_id": "str"})
    both["event_timestamp"] = both["event_timestamp"].astype("datetime64[us, UTC]")
    both["created_at"] = START.as_unit("us")
    tasks, incident = (both[both["kind"] == kind].drop(columns="kind") for kind in ("tasks", "incident"))
    return tasks, incident


INCIDENT = ["server_id", "incident_id", "event_id", "event_timestamp"]


def bounds(*events: Event) -> dict[str, tuple | str]:
    """The bounds of one incident: least and most of each state, of all tasks, and what they rest on."""
    row = tk.open_task_bounds(*frames({"i": list(events)}), cutoff="2021-01-01").iloc[0]
    result = {name: (row[f"n_{name}_min"], row[f"n_{name}_max"]) for name in ("tasks", *STATES)}
    return {**result, "basis": row["basis"]}


def to(state: str) -> Event:
    return ("tasks", STATE_CHANGE, state)


CREATE: Event = ("incident", "create", 3)


def test_without_reopenings_everything_is_known():
    assert bounds(CREATE, to("done"), to("done")) == {
        "tasks": (3, 3), "open": (1, 1), "in_progress": (0, 0), "done": (2, 2), "basis": "from_start",
    }  # fmt: skip


def test_a_change_to_open_undoes_the_completion_where_nothing_was_in_progress():
    assert bounds(CREATE, to("done"), to("open"))["done"] == (0, 0)


def test_a_change_to_open_may_have_ended_work_in_progress():
    known = bounds(CREATE, to("done"), to("in_progress"), to("open"))
    assert known["done"] == (0, 1)
    assert known["in_progress"] == (0, 1)
    assert known["open"] == (2, 3)


def test_a_removed_task_may_have_been_done_or_not():
    known = bounds(CREATE, to("done"), ("tasks", "remove_task", None))
    assert known["tasks"] == (2, 2)
    assert known["done"] == (0, 1)


def test_an_added_task_is_open():
    assert bounds(CREATE, to("done"), to("done"), to("done"), ("tasks", "add_task", None))["open"] == (1, 1)


def test_other_actions_change_nothing():
    others = [("tasks", action, None) for action in ("rename_task", "move_task", "set_assignee_for_task")]
    assert bounds(CREATE, *others)["open"] == (3, 3)


def test_before_a_late_recording_any_state_is_possible():
    assert bounds(("incident", "end", 3), to("done")) == {
        "tasks": (3, 3), "open": (0, 2), "in_progress": (0, 2), "done": (1, 3), "basis": "left_truncated",
    }  # fmt: skip


def test_the_number_of_tasks_reaches_back_over_earlier_changes():
    assert bounds(to("done"), ("tasks", "add_task", None), ("incident", "end", 2))["done"] == (1, 1)


@pytest.mark.parametrize(
    "events",
    [
        [CREATE, ("incident", "end", 4)],
        [CREATE, to("open")],
        [("incident", "create", 1), to("done"), to("done")],
        [("incident", "create", 0), ("tasks", "remove_task", None), ("incident", "end", 0)],
    ],
)
def test_where_events_contradict_each_other_the_latest_number_of_tasks_bounds_alone(events):
    latest = [value for kind, _, value in events if kind == "incident"][-1]
    known = bounds(*events)
    assert known["basis"] == "total"
    assert known["tasks"] == (latest, latest)
    assert known["done"] == known["open"] == known["in_progress"] == (0, latest)


def test_an_event_without_a_name_may_have_added_or_removed_a_task():
    nameless: Event = ("tasks", None, None)
    known = bounds(CREATE, nameless, ("incident", None, 4), nameless, ("tasks", "add_task", None))
    assert known["basis"] == "total"
    assert known["tasks"] == (4, 6)
    assert known["done"] == (0, 6)


def test_the_published_form_calls_work_in_progress_open():
    assert bounds(CREATE, ("tasks", None, "done"), ("tasks", None, "open"))["done"] == (0, 1)


@pytest.mark.parametrize(("seconds", "basis"), [(60, "from_start"), (61, "left_truncated")])
def test_without_actions_an_event_soon_after_the_creation_is_the_create(seconds, basis):
    tasks, incidents = frames({"i": [("incident", None, 3), ("tasks", None, "done")]})
    incidents["created_at"] -= pd.Timedelta(seconds, "s")
    assert tk.open_task_bounds(tasks, incidents, cutoff="2021-01-01")["basis"].item() == basis


def test_events_at_the_same_moment_keep_the_order_of_their_rows():
    tasks, incidents = frames({"i": [CREATE, to("done"), to("open")]})
    tasks["event_timestamp"] = START
    known, reverse = (tk.open_task_bounds(rows, incidents, cutoff=START) for rows in (tasks, tasks.iloc[::-1]))
    assert known["basis"].item() == "from_start"
    assert reverse["basis"].item() == "total"  # opened before any task was done


def test_without_a_number_of_tasks_nothing_is_bounded():
    result = tk.open_task_bounds(*frames({"i": [to("done")]}), cutoff="2021-01-01")
    assert list(result["basis"]) == ["none"]
    assert result.drop(columns=["server_id", "incident_id", "basis"]).isna().all(axis=None)


def test_events_after_the_cutoff_are_left_out():
    tasks, incidents = frames({"i": [CREATE, to("done"), to("done")]})
    at_second = [tk.open_task_bounds(tasks, incidents, cutoff=START + pd.Timedelta(k, "s")) for k in range(3)]
    assert [result["n_done_min"].item() for result in at_second] == [0, 1, 2]
    assert tk.open_task_bounds(tasks, incidents, cutoff="2020-01-01").empty


def test_events_at_the_moment_of_creation_follow_it():
    tasks, incidents = frames({"i": [CREATE, to("done"), ("incident", "end", 3)]})
    tasks["event_timestamp"] = incidents["event_timestamp"] = START
    assert tk.open_task_bounds(tasks, incidents, cutoff=START)["basis"].item() == "from_start"


def histories(seed: int, n_incidents: int) -> dict[str, list[Event]]:
    """Random incidents: some begin late, some contradict themselves, some have no actions."""
    chance = random.Random(seed)
    result = {}
    for number in range(n_incidents):
        is_published, n = chance.random() < 0.2, chance.randint(0, 4)
        events: list[Event] = [("incident", "create", n)] if chance.random() < 0.7 else [to("done")]
        for _ in range(chance.randint(0, 7)):
            draw = chance.random()
            if draw < 0.15 and not is_published:
                events.append(("tasks", "add_task", None))
                n += 1
            elif draw < 0.3 and not is_published and n:
                events.append(("tasks", "remove_task", None))
                n -= 1
            elif draw < 0.85:
                state = chance.choice(("open", "done") if is_published else STATES)
                events.append(("tasks", None if is_published else STATE_CHANGE, state))
            else:
                events.append(("incident", "end", n + (chance.random() < 0.05)))
        result[f"incident-{number}"] = events
    return result


def step(state: tuple[int, ...], action: str | None, to_state: str | None) -> set[tuple[int, ...]]:
    """Every triple of open, in progress and done that one task event can make of a triple."""

    def moved(source: int | None, target: int | None) -> tuple[int, ...]:
        return tuple(n - (place == source) + (place == target) for place, n in enumerate(state))

    if action == "add_task":
        return {moved(None, 0)}
    target = None if action == "remove_task" else STATES.index(to_state)
    after = {moved(source, target) for source in range(3) if source != target and state[source]}
    return after | {state} if action is None and to_state == "open" else after


def possible(events: list[Event]) -> tuple[str, set[tuple[int, ...]]]:
    """What the bounds rest on, and every triple that is possible in the end, by trying them all."""
    n_before, added = set(), 0
    for kind, action, value in events:
        added += (action == "add_task") - (action == "remove_task")
        if kind == "incident":
            n_before.add(value - added)
    if len(n_before) != 1:
        return ("total" if n_before else "none"), set()
    n = n_before.pop()
    basis = "from_start" if events[0][1] == "create" else "left_truncated"
    states = {(n, 0, 0)} if basis == "from_start" else {t for t in product(range(n + 1), repeat=3) if sum(t) == n}
    for kind, action, value in events:
        if kind == "tasks":
            states = {after for state in states for after in step(state, action, value)}
    return (basis if states else "total"), states


def test_bounds_are_exactly_what_is_possible():
    incidents = histories(seed=1, n_incidents=1500)
    result = tk.open_task_bounds(*frames(incidents), cutoff="2021-01-01").set_index("incident_id")
    assert set(result.index) == set(incidents)
    for incident, events in incidents.items():
        basis, states = possible(events)
        row = result.loc[incident]
        assert row["basis"] == basis, (events, row)
        for place, name in enumerate(STATES if states else ()):
            held = [state[place] for state in states]
            assert (row[f"n_{name}_min"], row[f"n_{name}_max"]) == (min(held), max(held)), (name, events, row)
    assert set(result["basis"]) == {"from_start", "left_truncated", "total", "none"}


def test_recorded_incidents_have_the_tasks_that_they_had(oct2020, recordings):
    with gzip.open(recordings / "truth" / "oct2020.json.gz") as file:
        sent = {each["incident_id"]: each for each in json.load(file)["incidents"] if each["fully_tracked"]}
    result = tk.open_task_bounds(oct2020.tasks, oct2020.incident, cutoff=oct2020.cutoff).set_index("incident_id")
    whole = result.loc[list(sent)]
    assert (whole["basis"] == "from_start").all()
    assert list(whole["n_tasks_min"]) == [each["total_checklist_items_at_end_of_run"] for each in sent.values()]
    assert (whole["n_done_max"] <= whole["n_tasks_max"]).all()
    assert (whole["n_done_min"] + whole["n_open_max"] <= whole["n_tasks_max"]).all()
    assert len(whole) > 300


def test_the_result_is_of_the_kind_that_was_given_and_the_same(oct2020, as_kind):
    given = as_kind(oct2020.tasks)
    result = tk.open_task_bounds(given, as_kind(oct2020.incident), cutoff=oct2020.cutoff)
    assert type(result) is type(given)
    plain = engine.collect(engine.open_frame(result, [], parameter="result"))
    expected = tk.open_task_bounds(oct2020.tasks, oct2020.incident, cutoff=oct2020.cutoff)
    pd.testing.assert_frame_equal(plain, expected)


def test_no_events_have_no_bounds():
    tasks, incidents = frames({"i": [CREATE, to("done")]})
    full = tk.open_task_bounds(tasks, incidents, cutoff="2021-01-01")
    empty = tk.open_task_bounds(tasks.iloc[:0], incidents.iloc[:0], cutoff="2021-01-01")
    assert empty.empty
    pd.testing.assert_series_equal(empty.dtypes, full.dtypes)


def test_a_wrong_parameter_is_named():
    tasks, incidents = frames({"i": [CREATE]})
    with pytest.raises(ParameterError, match=r"^cutoff: got 'soon', expected a datetime"):
        tk.open_task_bounds(tasks, incidents, cutoff="soon")
    with pytest.raises(ParameterError, match=r"^incidents has no column 'total_checklist_items'"):
        tk.open_task_bounds(tasks, incidents.drop(columns="total_checklist_items"), cutoff="2021-01-01")
