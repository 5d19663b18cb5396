"""Small groups added up under one name."""

import pandas as pd
import polars as pl
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError


def events(*rows):
    return pd.DataFrame(rows, columns=["plugin_version", "server_id", "incident_id"])


ROWS = [
    *(("1.0.0", server, f"{server}{n}") for server in "abc" for n in range(2)),
    ("1.1.0", "a", "a9"),
    ("1.2.0", "b", "b9"),
    (None, "c", "c9"),
]


def test_values_of_few_servers_become_one_with_their_number():
    folded = tk.fold_small_groups(events(*ROWS), "plugin_version", min_servers=2)
    assert folded["plugin_version"].to_list()[:-1] == ["1.0.0"] * 6 + ["other (2)"] * 2
    assert pd.isna(folded["plugin_version"].iloc[-1])
    assert folded["incident_id"].to_list() == [row[2] for row in ROWS]


def test_values_of_few_incidents_are_folded_as_well():
    rows = [("1.0.0", server, f"{server}{n}") for server in "ab" for n in range(3)]
    rows += [("1.1.0", server, f"{server}x") for server in "ab"]
    few = tk.fold_small_groups(events(*rows), "plugin_version", min_servers=2)
    assert few["plugin_version"].to_list() == ["1.0.0"] * 6 + ["other (1)"] * 2
    enough = tk.fold_small_groups(events(*rows), "plugin_version", min_servers=2, min_incidents=2)
    assert enough["plugin_version"].to_list() == ["1.0.0"] * 6 + ["1.1.0"] * 2


def test_an_incident_with_many_events_counts_once():
    rows = [("1.0.0", "a", "x")] * 9 + [("1.0.0", "b", "y")]
    assert set(tk.fold_small_groups(events(*rows), "plugin_version", min_servers=2)["plugin_version"]) == {"other (1)"}


@pytest.mark.parametrize("frame", [events(*ROWS), pl.DataFrame(events(*ROWS[:-1])), events()])
def test_a_frame_with_nothing_to_fold_is_returned_as_it_is(frame):
    assert tk.fold_small_groups(frame, "plugin_version") is frame
    assert tk.fold_small_groups(events(*ROWS[:6]), "plugin_version", min_servers=3).equals(events(*ROWS[:6]))


def test_a_lazy_frame_stays_lazy():
    folded = tk.fold_small_groups(pl.LazyFrame(events(*ROWS[:-1])), "plugin_version", min_servers=2)
    assert folded.collect()["plugin_version"].to_list() == ["1.0.0"] * 6 + ["other (2)"] * 2


@pytest.mark.parametrize("name", ["min_servers", "min_incidents"])
def test_a_number_below_one_is_a_mistake(name):
    with pytest.raises(ParameterError, match=f"{name}: got 0, expected a whole number, 1 or more"):
        tk.fold_small_groups(events(*ROWS), "plugin_version", **{name: 0})


def test_a_missing_column_is_named():
    with pytest.raises(ParameterError, match="no column 'version'"):
        tk.fold_small_groups(events(*ROWS), "version", min_servers=2)
