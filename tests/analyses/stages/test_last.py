"""How many incidents come to their last stage, or are resolved."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

COLUMNS = ["server_id", "incident_id", "stage", "num_stages", "is_censored", "from_start"]


def visits(*rows):
    return pd.DataFrame(rows, columns=COLUMNS)


ROWS = [
    ("a", "done", 0, 2, False, True),
    ("a", "done", 1, 2, False, True),
    ("a", "given up", 0, 3, False, True),
    ("b", "open", 0, 2, True, True),
    ("b", "at last and open", 2, 3, True, True),
    ("b", "one stage", 0, 1, False, True),
    ("b", "start unknown", 1, 2, False, False),
]


def test_incidents_with_more_than_one_stage_and_a_known_start_count():
    (row,) = tk.last_stage_reached(visits(*ROWS)).to_dict("records")
    assert (row["n_incidents"], row["n_reached"], row["n_open"], row["n_servers"]) == (4, 2, 1, 2)
    assert row["estimate"] == 0.5
    assert row["lower"] < 0.5 < row["upper"]


def test_the_interval_is_that_of_the_same_counts_in_a_funnel():
    # The one of R: clubSandwich::coef_test of lm(reached ~ 1) and svyciprop's beta limits, held in test_funnel.py.
    rows = [
        (server, f"{server}{n}", int(n < k), 2, False, True) for server, k in (("a", 3), ("b", 1)) for n in range(4)
    ]
    last = tk.last_stage_reached(visits(*rows))
    funnel = tk.stage_funnel(visits(*rows)).iloc[[1]].reset_index(drop=True)
    for name in ("estimate", "df", "lower", "upper"):
        assert last[name].iloc[0] == pytest.approx(funnel[name].iloc[0], abs=1e-12)


def test_with_statuses_those_count_that_were_resolved():
    statuses = visits(*[("a", "x", stage, 4, False, True) for stage in (0, 1, 2)], ("b", "y", 1, 4, True, True))
    (row,) = tk.last_stage_reached(statuses.assign(status="Active")).to_dict("records")
    assert (row["n_incidents"], row["n_reached"], row["n_open"]) == (2, 1, 1)


def test_each_group_is_a_sample_of_its_own():
    table = tk.last_stage_reached(visits(*ROWS), by="server_id")
    assert table["server_id"].to_list() == ["a", "b"]
    assert table["n_reached"].to_list() == [1, 1]
    assert table["lower"].isna().all()  # one server each


@pytest.mark.parametrize("rows", [[], ROWS[5:]])
def test_without_such_incidents_there_is_no_row(rows):
    assert len(tk.last_stage_reached(visits(*rows))) == 0


def test_a_mistake_is_told():
    with pytest.raises(ParameterError, match="level"):
        tk.last_stage_reached(visits(*ROWS), level=2)
    with pytest.raises(ParameterError, match="visits has no column 'num_stages'"):
        tk.last_stage_reached(visits(*ROWS).drop(columns="num_stages"))
