"""What there is to say something about is counted."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError


@pytest.fixture
def visits(incident_log):
    events = incident_log(
        "a1 0 create 0/2", "a1 5 change_stage 1/2", "a1 9 end x1/2", "a2 0 create 0/2", "b1 3 end x1/2",
        "b2 4 change_commander 1/3",
    )  # fmt: skip
    return tk.stage_visits(events, cutoff="2020-11-02T01:00:00Z")


def test_visits_incidents_and_servers_are_counted(visits, as_kind):
    # Incident b1 was closed when it was first heard of: it has no visit.
    (row,) = tk.visit_counts(as_kind(visits)).to_dict("records")
    assert row == {
        "n_visits": 4, "n_censored": 2, "n_left_truncated": 1, "n_incidents": 3, "n_from_start": 2, "n_servers": 2,
    }  # fmt: skip


def test_each_group_is_counted_by_itself(visits, as_kind):
    counts = tk.visit_counts(as_kind(visits), by="stage")
    assert counts[["stage", "n_visits", "n_incidents", "n_servers"]].to_numpy().tolist() == [[0, 2, 2, 1], [1, 2, 2, 2]]
    by_server = tk.visit_counts(as_kind(visits), by="server_id")
    assert by_server[["server_id", "n_visits", "n_servers"]].to_numpy().tolist() == [["a", 3, 1], ["b", 1, 1]]


def test_where_there_is_no_visit_everything_is_zero(visits):
    assert tk.visit_counts(visits[:0]).to_numpy().tolist() == [[0, 0, 0, 0, 0, 0]]
    assert len(tk.visit_counts(visits[:0], by="stage")) == 0


def test_what_it_cannot_count_by_is_one_clear_line(visits):
    with pytest.raises(ParameterError, match="by: got 'colour'"):
        tk.visit_counts(visits, by="colour")
    with pytest.raises(ParameterError, match="visits has no column"):
        tk.visit_counts(pd.DataFrame({"server_id": []}))
