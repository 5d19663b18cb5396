"""Which servers come, stay, lapse and return."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

COUNTS = ["n_new", "n_retained", "n_returned", "n_active", "n_lapsed", "n_gone"]


def log_of(cutoff=None, since=None, **days: str) -> dict:
    """A log whose servers sent an event on each of some days of 2020, such as ``a="11-02 12-24"``."""
    rows = [(server, f"2020-{day}T12:00:00Z") for server, told in days.items() for day in told.split()]
    events = pd.DataFrame(rows, columns=["server_id", "event_timestamp"])
    events["event_timestamp"] = pd.to_datetime(events["event_timestamp"], utc=True).astype("datetime64[us, UTC]")
    told = {name: pd.Timestamp(at, tz="UTC") for name, at in (("cutoff", cutoff), ("since", since)) if at}
    return {"incident": events, "tasks": events[:0], "playbook": events[:0], **told}


THREE_MONTHS = log_of(cutoff="2021-01-01", a="09-02 10-03 11-04 12-05", b="09-10 12-11", c="10-03 11-05", d="12-30")


def test_every_active_server_is_new_retained_or_returned():
    table = tk.server_lifecycle(THREE_MONTHS)
    assert table["period"].dt.month.to_list() == [9, 10, 11, 12, 1]
    assert table[COUNTS].to_numpy().tolist() == [
        [2, 0, 0, 2, 0, 0],
        [1, 1, 0, 2, 1, 0],
        [0, 2, 0, 2, 0, 0],
        [1, 1, 1, 3, 1, 1],
        [0, 0, 0, 0, 3, 3],
    ]


def test_a_period_is_complete_where_the_log_tells_of_all_of_it():
    # It begins on the second of September, and ends with the first moment of January.
    assert tk.server_lifecycle(THREE_MONTHS)["is_complete"].to_list() == [False, True, True, True, False]
    whole = log_of(cutoff="2020-12-01", since="2020-11-01", a="11-02")
    assert tk.server_lifecycle(whole)["is_complete"].to_list() == [True, False]
    begun = log_of(cutoff="2020-12-01", since="2020-11-01T06:00", a="11-02")
    assert tk.server_lifecycle(begun)["is_complete"].to_list() == [False, False]


def test_periods_without_events_are_there():
    table = tk.server_lifecycle(log_of(a="11-02 11-16"), freq="W")
    assert table["n_active"].to_list() == [1, 0, 1]
    assert table["n_returned"].to_list() == [0, 0, 1]


def test_a_cohort_is_followed_as_far_as_the_log_tells():
    table = tk.server_retention(THREE_MONTHS)
    cells = {
        (cohort.month, age): None if pd.isna(n) else (n, of)
        for cohort, age, n, of in table[["cohort", "age", "n_active", "n_servers"]].itertuples(index=False)
    }
    assert cells == {
        # September was not recorded from its first day, and January has only begun: not known is not zero.
        (9, 0): None, (9, 1): (1, 2), (9, 2): (1, 2), (9, 3): (2, 2), (9, 4): None,
        (10, 0): (1, 1), (10, 1): (1, 1), (10, 2): (0, 1), (10, 3): None,
        (12, 0): (1, 1), (12, 1): None,
    }  # fmt: skip


def test_limits_are_those_of_clopper_and_pearson():
    days = {f"s{number}": "10-02 11-02" if number < 3 else "10-02" for number in range(9)}
    table = tk.server_retention(log_of(cutoff="2021-01-01", since="2020-10-01", **days))
    row = table[table["age"] == 1].iloc[0]
    # As binom.test has them in R, of 3 in 9.
    assert (row["estimate"], row["lower"], row["upper"]) == pytest.approx((1 / 3, 0.074854631420, 0.700704943791))
    assert table.loc[table["age"] == 0, "upper"].iloc[0] == 1


@pytest.mark.parametrize("ask", [tk.server_lifecycle, tk.server_retention])
def test_without_events_there_is_no_row(ask):
    assert len(ask(log_of())) == 0
    assert len(ask(log_of(cutoff="2021-01-01"))) == 0


def test_one_server_on_one_day():
    assert len(tk.server_lifecycle(log_of(a="11-02"), freq="D")) == 1
    assert tk.server_retention(log_of(a="11-02"), freq="D")["n_active"].isna().to_list() == [True]


def test_a_parameter_that_it_cannot_take_is_named():
    with pytest.raises(ParameterError, match="freq: got 'Y'"):
        tk.server_lifecycle(THREE_MONTHS, freq="Y")
    with pytest.raises(ParameterError, match="level: got 95"):
        tk.server_retention(THREE_MONTHS, level=95)


def test_a_server_that_lapsed_and_still_sends_other_events_is_not_used():
    log = log_of(a="11-02 12-02", b="11-02", c="11-02") | {"cutoff": pd.Timestamp("2021-01-31T23:59:59.999999Z")}
    others = {
        name: pd.Timestamp(day, tz="UTC").value // 1000 for name, day in {"b": "2021-01-05", "c": "2020-11-30"}.items()
    }
    table = tk.server_lifecycle(log | {"others_us": others})
    assert table[["n_lapsed", "n_unused"]].to_numpy().tolist() == [[0, 0], [2, 1], [1, 0]]
    assert tk.server_lifecycle(log)["n_unused"].sum() == 0
