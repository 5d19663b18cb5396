"""Since when a series is another one; the numbers are those of tests/stats/test_charts.py."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

DONE = [40, 52, 47, 61, 38, 55, 49, 44, 58, 51, 90, 88]
ALL = [100, 120, 110, 130, 95, 125, 115, 105, 128, 118, 122, 119]


def weeks(done=DONE, n=ALL) -> pd.DataFrame:
    period = pd.date_range("2020-11-02", periods=len(done), freq="7D", tz="UTC")
    return pd.DataFrame({"period": period, "n_done": done, "n_all": n})


def test_periods_beyond_the_limits_and_long_runs_are_signals_and_the_change_is_named():
    chart = tk.process_chart(weeks(), events="n_done", trials="n_all")
    assert chart["is_beyond"].to_list() == [False] * 10 + [True] * 2
    assert chart["run"].to_list() == [10] * 10 + [2] * 2
    assert chart["is_run_signal"].to_list() == [True] * 10 + [False] * 2
    assert (chart["changed_at"] == pd.Timestamp("2021-01-11", tz="UTC")).all()
    assert chart["sigma_z"].unique() == pytest.approx([0.935593872422])


def test_without_a_signal_no_change_is_named():
    chart = tk.process_chart(weeks(DONE[:6], ALL[:6]), events="n_done", trials="n_all")
    assert not chart["is_beyond"].any()
    assert chart["changed_at"].isna().all()


def test_counts_and_rates_are_charted_without_trials():
    counts = tk.process_chart(weeks(), events="n_done")
    assert (counts["size"] == 1).all()
    assert counts["estimate"].to_list() == DONE
    rates = tk.process_chart(weeks(), events="n_done", area="n_all")
    assert rates["center"].iloc[0] == pytest.approx(sum(DONE) / sum(ALL))


def test_periods_that_are_not_complete_are_left_out_and_others_put_in_order():
    table = weeks().assign(is_complete=[True] * 11 + [False]).iloc[::-1]
    chart = tk.process_chart(table, events="n_done", trials="n_all")
    assert chart["n_events"].to_list() == DONE[:11]


def test_a_period_without_trials_or_events_is_unknown():
    table = weeks([4, 0, 5, 6], [10, 0, 10, 10]).astype({"n_done": "Int64"})
    table.loc[2, "n_done"] = pd.NA
    chart = tk.process_chart(table, events="n_done", trials="n_all")
    assert chart["estimate"].isna().to_list() == [False, True, True, False]
    assert chart["is_beyond"].isna().to_list() == [False, True, True, False]


def test_periods_may_be_names():
    table = pd.DataFrame({"period": ["2020-2", "2020-10"], "n": [4, 6]})
    assert tk.process_chart(table, events="n")["period"].to_list() == ["2020-2", "2020-10"]


@pytest.mark.parametrize("n", [0, 1])
def test_none_or_one_period_has_no_limits(n):
    chart = tk.process_chart(weeks(DONE[:n], ALL[:n]), events="n_done", trials="n_all")
    assert len(chart) == n
    assert chart["upper"].isna().all()
    assert chart["changed_at"].isna().all()


@pytest.mark.parametrize(
    ("table", "more", "message"),
    [
        (weeks(), {"trials": "n"}, "table has no column 'n'"),
        (weeks(), {"trials": "n_all", "area": "n_all"}, "area: got 'n_all', expected None with trials='n_all'"),
        (weeks([11], [10]), {"trials": "n_all"}, "events: .* not 11 events of 10 in the period 2020-11-02"),
        (weeks([-1], [10]), {}, "events: .* counts from 0"),
        (
            pd.concat([weeks(), weeks()]),
            {},
            "table: got '2 rows of the period 2020-11-02', expected one row per period",
        ),
        (weeks().assign(period=None), {}, "table: got 'a row without a period"),
        (weeks(), {"trials": "period"}, "trials: got 'period', expected a column of numbers"),
        (weeks(), {"area": "period"}, "area: got 'period', expected a column of numbers"),
        (weeks().assign(is_complete=True), {"area": "is_complete"}, "area: got 'is_complete', expected a column of n"),
        (weeks().assign(n_done="many"), {}, "events: got 'n_done', expected a column of numbers"),
    ],
)
def test_what_cannot_be_charted_is_an_error_that_says_why(table, more, message):
    with pytest.raises(ParameterError, match=message):
        tk.process_chart(table, events="n_done", **more)
