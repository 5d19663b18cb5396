"""The stage in which an incident was when one of its tasks changed."""

from collections import defaultdict
from typing import Any

import pandas as pd
import polars as pl
import pytest

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.errors import ParameterError

START = pd.Timestamp("2020-11-02T09:00:00Z")


def at(minutes: list[float | None]) -> pd.Series:
    return pd.Series([pd.NaT if each is None else START + pd.Timedelta(each, "min") for each in minutes]).astype(
        "datetime64[us, UTC]"
    )


def changes(*minutes: float, incident: str = "i") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "server_id": "s",
            "incident_id": incident,
            "event_id": [f"{incident}-{number}" for number in range(len(minutes))],
            "event_timestamp": at(list(minutes)),
            "new_state": "done",
            "was_commander": pd.array([True] * len(minutes), dtype="boolean"),
            "was_assignee": pd.array([False] * len(minutes), dtype="boolean"),
        }
    )


def visits(*rows: tuple, incident: str = "i") -> pd.DataFrame:
    """Visits of one incident: stage, minute of entry (None: not recorded), minute left, is_censored."""
    stages, entered, left, censored = (list(column) for column in zip(*rows, strict=True))
    return pd.DataFrame(
        {
            "server_id": "s",
            "incident_id": incident,
            "visit": pd.array(range(len(rows)), dtype="Int64"),
            "stage": pd.array(stages, dtype="Int64"),
            "entered_at": at(entered),
            "left_at": at(left),
            "is_censored": pd.array(censored, dtype="boolean"),
            "is_left_truncated": pd.array([each is None for each in entered], dtype="boolean"),
        }
    )


def placed(frame: Any) -> list[tuple]:
    plain = engine.collect(engine.open_frame(frame, [], parameter="frame"))
    rows = plain[["visit", "stage", "position"]].astype(object).itertuples(index=False, name=None)
    return [tuple(None if pd.isna(cell) else cell for cell in row) for row in rows]


def test_before_during_between_and_after_are_told_apart():
    twice = visits((0, 10, 20, False), (1, 20, 30, False), (1, 40, 50, False))
    assert placed(tk.tasks_by_stage(changes(5, 10, 19, 20, 30, 35, 45, 50), twice)) == [
        (None, None, "before"),
        (0, 0, "during"),
        (0, 0, "during"),
        (1, 1, "during"),
        (None, None, "between"),
        (None, None, "between"),
        (2, 1, "during"),
        (None, None, "after"),
    ]


def test_an_open_visit_holds_its_cutoff_and_nothing_later():
    still_open = visits((3, 0, 60, True))
    assert placed(tk.tasks_by_stage(changes(59, 60, 61), still_open)) == [
        (0, 3, "during"),
        (0, 3, "during"),
        (None, None, "unknown"),
    ]


def test_an_incident_without_visits_is_unknown():
    assert placed(tk.tasks_by_stage(changes(5, incident="other"), visits((0, 0, 60, True)))) == [
        (None, None, "unknown")
    ]


def test_a_visit_whose_beginning_is_unknown_is_said_to_be():
    late = visits((2, None, 20, False), (3, 20, 30, False))
    assert placed(tk.tasks_by_stage(changes(-500, 19, 20), late)) == [
        (0, 2, "left_truncated"),
        (0, 2, "left_truncated"),
        (1, 3, "during"),
    ]


def test_a_visit_of_no_length_is_passed_over():
    hurried = visits((0, 0, 10, False), (1, 10, 10, False), (2, 10, 20, False))
    assert placed(tk.tasks_by_stage(changes(10), hurried)) == [(2, 2, "during")]


def test_only_state_changes_are_placed_and_keep_their_columns():
    events = changes(1, 2, 3).assign(new_state=["done", None, "in_progress"], note=[7, 8, 9])
    result = tk.tasks_by_stage(events, visits((0, 0, 60, True)))
    assert list(result.columns) == [*events.columns, "visit", "stage", "position"]
    assert list(result["note"]) == [7, 9]


def test_incidents_do_not_mix():
    both = pd.concat([visits((0, 0, 60, True)), visits((5, 0, 60, True), incident="j")])
    result = tk.tasks_by_stage(pd.concat([changes(1, 3), changes(2, incident="j")]), both)
    assert placed(result) == [(0, 0, "during"), (0, 5, "during"), (0, 0, "during")]


def test_completion_can_be_read_by_stage():
    result = tk.tasks_by_stage(changes(1, 2, 11, 99), visits((0, 0, 10, False), (1, 10, 20, False)))
    table = tk.commander_vs_assignee(result, by=["position", "stage"])
    assert table[["position", "stage", "n_completed"]].astype(object).fillna("-").to_numpy().tolist() == [
        ["after", "-", 1],
        ["during", 0, 2],
        ["during", 1, 1],
    ]


@pytest.mark.parametrize("start", [0, 400, 900])
def test_every_recorded_change_has_the_stage_that_its_incident_was_in(oct2020, start):
    """Against one look at the visits per event, for recordings that begin late too."""
    frame = tk.stage_visits(oct2020.incident.iloc[start:], cutoff=oct2020.cutoff)
    by_incident = defaultdict(list)
    for visit in frame.itertuples():
        by_incident[visit.incident_id].append(visit)
    result = tk.tasks_by_stage(oct2020.tasks, frame)
    expected = []
    for event in result.itertuples():
        mine = by_incident[event.incident_id]
        begun = [each for each in mine if each.is_left_truncated or each.entered_at <= event.event_timestamp]
        if not begun:
            expected.append((None, None, "before" if mine else "unknown"))
        elif event.event_timestamp < begun[-1].left_at or begun[-1].is_censored:
            position = "left_truncated" if begun[-1].is_left_truncated else "during"
            expected.append((begun[-1].visit, begun[-1].stage, position))
        else:
            expected.append((None, None, "after" if begun[-1] is mine[-1] else "between"))
    assert placed(result) == expected
    assert result["event_timestamp"].is_monotonic_increasing
    assert len(result) == oct2020.tasks["new_state"].notna().sum()


def test_the_result_is_of_the_kind_that_was_given_and_the_same(oct2020, as_kind):
    frame = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    given = as_kind(oct2020.tasks)
    result = tk.tasks_by_stage(given, as_kind(frame))
    assert type(result) is type(given)
    assert placed(result) == placed(tk.tasks_by_stage(oct2020.tasks, frame))


def test_nothing_has_its_columns():
    result = tk.tasks_by_stage(changes().astype({"new_state": "str"}), visits((0, 0, 1, False)).iloc[:0])
    assert result.empty
    assert list(result.columns[-3:]) == ["visit", "stage", "position"]


def test_a_wrong_frame_is_named():
    some = visits((0, 0, 60, True))
    with pytest.raises(ParameterError, match=r"^visits has no column 'left_at'"):
        tk.tasks_by_stage(changes(1), some.drop(columns="left_at"))
    with pytest.raises(ParameterError, match=r"^tasks: got 'a frame with visit, stage, position'"):
        tk.tasks_by_stage(tk.tasks_by_stage(changes(1), some), some)
    with pytest.raises(ParameterError, match=r"^visits: got 'a frame on polars', expected one on duckdb"):
        tk.tasks_by_stage(changes(1), pl.from_pandas(some).lazy())


def test_visits_may_be_another_kind_of_frame_in_memory():
    expected = placed(tk.tasks_by_stage(changes(1), visits((0, 0, 60, True))))
    assert placed(tk.tasks_by_stage(changes(1), pl.from_pandas(visits((0, 0, 60, True))))) == expected
    assert placed(tk.tasks_by_stage(pl.from_pandas(changes(1)), visits((0, 0, 60, True)))) == expected


def test_changes_at_the_same_moment_keep_the_order_of_their_rows():
    events = changes(5, 5, 5).assign(event_id=["b", "c", "a"])
    assert list(tk.tasks_by_stage(events, visits((0, 0, 60, True)))["event_id"]) == ["b", "c", "a"]
