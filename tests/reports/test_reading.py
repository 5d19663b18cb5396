"""Tables for reading: every limit stands in the cell of its estimate."""

import telemetry_kit as tk
from telemetry_kit.reports.reading import MOST_COLUMNS, reading_columns


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
