"""Tables for reading: every limit stands in the cell of its estimate."""

import pandas as pd

import telemetry_kit as tk
from telemetry_kit.reports.reading import FEW_ROWS, MOST_COLUMNS, ROWS_SHOWN, WIDE, reading_columns, table_to_html
from telemetry_kit.reports.wording import with_limits


def test_no_column_for_reading_is_a_limit_alone(oct2020):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    durations = tk.incident_durations(oct2020.incident, cutoff=oct2020.cutoff)
    sizes = tk.playbook_sizes(tk.playbook_snapshot(oct2020.playbook, as_of=oct2020.cutoff))
    for table in (tk.stage_funnel(visits), tk.stage_dwell(visits), tk.time_to_end(durations), sizes):
        columns = reading_columns(table)
        assert len(columns) <= MOST_COLUMNS
        assert not [column.heading for column in columns if "ower" in column.heading or "pper" in column.heading]
    (half,) = [column for column in reading_columns(tk.stage_dwell(visits)) if column.heading == "Half within"]
    assert " (" in half.cells[0]


def test_a_rate_per_incident_is_no_share_and_no_name_of_the_code_is_shown(oct2020):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    columns = {column.heading: column.cells for column in reading_columns(tk.stage_rework(visits))}
    told = dict(zip(columns["Measure"], columns["Estimate"], strict=True))
    assert {measure for measure, cell in told.items() if "%" not in cell} == {
        "returns per incident", "restarts per incident",
    }  # fmt: skip
    snapshot = tk.playbook_snapshot(oct2020.playbook, as_of=oct2020.cutoff)
    compared = reading_columns(tk.compare_playbook_sizes(snapshot, between="is_public"))
    assert not [cell for column in compared for cell in column.cells if "_" in cell]


def cells_of(table):
    return {column.heading: column.cells for column in reading_columns(table)}


def compared(group_a, group_b, **columns):
    return pd.DataFrame(
        {"group_a": [group_a], "group_b": [group_b], **{key: [value] for key, value in columns.items()}}
    )


def test_a_comparison_of_times_is_written_in_times():
    seconds = {
        "estimate_a": 38_830.0,
        "estimate_b": 37_419.0,
        "difference": -1_411.0,
        "lower": -8_802.0,
        "upper": 5_980.0,
    }
    told = cells_of(compared("2020-11-01", "2020-12-01", measure="restricted_mean_s", **seconds))
    assert told["From"] + told["To"] == ["Nov 2020", "Dec 2020"]
    assert told["Before"] + told["After"] == ["10 h 47 min", "10 h 24 min"]
    assert told["Difference"] == ["−24 min (−2 h 27 min to +1 h 40 min)"]


def test_two_groups_that_are_no_periods_are_neither_before_nor_after():
    told = cells_of(compared(False, True, estimate_a=0.5, estimate_b=0.6))
    assert set(told) == {"One", "Other", "In the one", "In the other"}
    moments = compared(pd.Timestamp("2020-11-02", tz="UTC"), pd.Timestamp("2020-11-09", tz="UTC"), estimate_a=0.5)
    for in_order in (compared("1.0.0", "1.1.0", estimate_a=0.5), moments):
        assert set(cells_of(in_order)) == {"From", "To", "Before"}
    weeks = cells_of(compared("2020-11-02", "2020-11-09", estimate_a=0.5, estimate_b=0.6))
    assert weeks["From"] + weeks["To"] == ["2 Nov 2020", "9 Nov 2020"]


def test_a_rate_that_may_be_more_than_one_is_no_share():
    rates = pd.DataFrame({"estimate": [0.16, 0.57], "lower": [0.13, 0.26], "upper": [0.19, 1.22]})
    assert cells_of(rates) == {"Estimate": ["0.16 (0.13–0.19)", "0.57 (0.26–1.22)"]}


def test_a_limit_next_to_nothing_or_nearly_all_is_not_spelled_out():
    shares = pd.DataFrame({"estimate": [0.03, 0.97], "lower": [0.0000016, 0.5], "upper": [0.35, 0.99999]})
    assert cells_of(shares) == {"Share": ["3 % (<0.1–35)", "97 % (50–>99.9)"]}


def test_in_a_wide_table_intervals_may_stand_below_their_estimates(oct2020):
    narrow = pd.DataFrame({"estimate": [0.56], "lower": [0.49], "upper": [0.63]})
    assert "apart" not in table_to_html(narrow)
    dwell = tk.stage_dwell(tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff))
    assert sum(max(map(len, [c.heading, *c.cells])) for c in reading_columns(dwell)) > WIDE
    assert '<td class="n apart" data-label="Half within"><span>' in table_to_html(dwell)


def test_the_sentences_write_such_a_limit_as_the_tables_do():
    row = {"estimate": 0.38, "lower": 5.2e-7, "upper": 0.99983, "df": 1.2}
    assert with_limits(row) == "38 % (<0.1–>99.9 %; few servers, weak ground)"


def test_one_or_two_rows_more_than_are_shown_are_not_folded():
    assert "<details>" not in table_to_html(pd.DataFrame({"n": range(FEW_ROWS)}))
    assert f"{FEW_ROWS + 1 - ROWS_SHOWN} more rows" in table_to_html(pd.DataFrame({"n": range(FEW_ROWS + 1)}))


def test_a_status_needs_no_number_beside_its_name():
    table = pd.DataFrame({"stage": [0], "status": ["Reported"], "next_stage": [1], "next_status": ["Active"], "n": [3]})
    assert list(cells_of(table)) == ["Status", "Next status", "Number"]


def test_a_period_that_was_not_recorded_as_a_whole_says_so_in_its_cell():
    periods = pd.to_datetime(["2020-11-30", "2020-12-07"], utc=True)
    told = cells_of(pd.DataFrame({"period": periods, "n_started": [30, 33], "is_complete": [False, True]}))
    assert told == {"Period": ["30 Nov 2020 (partial)", "7 Dec 2020"], "Started": ["30", "33"]}


def test_a_table_on_power_shows_what_could_be_found(oct2020):
    told = cells_of(tk.detectable_difference(oct2020.tasks, freq="M"))
    assert not [cell for cell in told["Could be found (points)"] if cell.startswith("+")]
    assert "commander minus assignee" in told["Measure"]


def test_medians_are_no_shares_however_small_they_are():
    told = cells_of(
        compared(
            False, True, comparison="difference_of_medians", estimate_a=1.0, estimate_b=0.0, difference=-1.0,
            lower=-1.0, upper=1.0, detectable=1.0,
        )
    )  # fmt: skip
    assert told["In the one"] + told["In the other"] == ["1", "0"]
    assert told["Difference"] == ["−1 (−1 to 1)"]
