"""Visits that stand twice, or that were left out, are told before they are counted."""

import pandas as pd
import polars as pl
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError, PartialIncidentsWarning

OF_INCIDENTS = (tk.stage_funnel, tk.stage_rework, tk.time_to_stage, tk.stage_arrivals)
OF_VISITS = (tk.stage_dwell, tk.stage_survival, tk.stage_transitions, tk.visit_counts)


@pytest.fixture
def visits(incident_log):
    events = incident_log(
        "a1  0 create            0/3",
        "a1 60 changed_stage     1/3",
        "a1 90 changed_stage     2/3",
        "b1  0 create            0/3",
    )
    return tk.stage_visits(events, cutoff="2020-11-03T00:00:00Z")


@pytest.mark.parametrize("question", [*OF_INCIDENTS, *OF_VISITS])
def test_visits_that_stand_twice_are_told(visits, question):
    for twice in (pd.concat([visits, visits.head(1)]), pl.from_pandas(pd.concat([visits, visits]))):
        with pytest.raises(ParameterError, match=r"visits: got 'visits that stand twice, of \d incidents?'"):
            question(twice)


@pytest.mark.parametrize("question", OF_INCIDENTS)
def test_it_is_told_where_incidents_are_counted_by_some_of_their_visits(visits, question):
    with pytest.warns(PartialIncidentsWarning, match=r"visits: 1 incident lacks some of its visits.*filter_incidents"):
        question(visits[visits["stage"] > 0])


@pytest.mark.parametrize("question", OF_VISITS)
def test_visits_can_be_chosen_where_the_question_is_about_visits(visits, question):
    question(visits[visits["stage"] > 0])


def test_whole_incidents_can_be_chosen(visits):
    assert tk.stage_funnel(visits[visits["incident_id"] == "b1"]).loc[0, "n_eligible"] == 1


def test_visits_without_numbers_are_taken_as_they_are(visits):
    assert tk.stage_funnel(visits.drop(columns="visit")).loc[0, "n_eligible"] == 2


@pytest.mark.parametrize("order", [[3, 0, 1, 2], [2, 1, 0, 3], [0, 3, 1, 2]])
def test_visits_may_stand_in_any_order(visits, order):
    assert len(visits) == len(order)
    given = visits.iloc[order]
    pd.testing.assert_frame_equal(tk.stage_funnel(given), tk.stage_funnel(visits))
    with pytest.raises(ParameterError, match="visits that stand twice, of 1 incident'"):
        tk.stage_funnel(pd.concat([given, given.tail(1)]))
