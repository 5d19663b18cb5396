"""What the first page says of changes: claimed where the interval supports it, told on the card of the number."""

import re
from types import SimpleNamespace

import pandas as pd
import pytest

from telemetry_kit.reports import changes
from telemetry_kit.reports.changed import card_changes, changes_said, what_changed


def table_of(*rows):
    columns = ["measure", "unit", "before", "now", "difference", "lower", "upper", "p_value", "p_adjusted"]
    table = pd.DataFrame([dict(zip(columns, row, strict=False)) for row in rows])
    return table.reindex(columns=list(changes.COLUMNS)).astype(changes.COLUMNS)


COUNTED = (changes.STARTED, changes.NUMBER, 20, 30, 10)
FOUND = (f"{changes.LAST_STAGE} within 7 d", changes.SHARE, 0.3, 0.5, 0.2, 0.1, 0.3, 0.001, 0.002)
NOT_FOUND = (f"{changes.TIME}, counted up to 7 d", changes.SECONDS, 7200, 3600, -3600, -9000, 1800, 0.2, 0.2)
UNKNOWN = (changes.COMMANDERS, changes.SHARE, None, 0.5)


def test_a_change_is_claimed_where_its_adjusted_p_value_is_small():
    said = changes_said(table_of(COUNTED, FOUND, NOT_FOUND), "")
    assert said["sentences"] == ["**Reach the last stage within 7 d** went from 30 % to 50 %: +20 points (+10 to +30)."]
    assert "−1 h" in said["table"]


def test_without_one_it_is_not_enough_to_tell_and_a_count_is_no_finding():
    (said,) = changes_said(table_of(COUNTED, NOT_FOUND), "")["sentences"]
    assert said.startswith("It is not enough to tell whether shares or times changed: of 1 number compared, none ")


def test_two_periods_that_cannot_be_compared_are_told_with_the_reason():
    said = changes_said(None, "the events are gone")
    assert said["sentences"] == ["The two periods cannot be compared: the events are gone."]
    assert not said["table"]


def test_each_card_has_the_change_of_its_number():
    told = card_changes(table_of(COUNTED, FOUND, NOT_FOUND, UNKNOWN))
    assert told == {
        changes.STARTED: "20 before, now 30",
        changes.LAST_STAGE: "within 7 d: 30 % before, now 50 %, +20 points (+10 to +30)",
        changes.TIME: "counted up to 7 d: 2 h before, now 1 h, −1 h (−2 h 30 min to +30 min)",
    }


@pytest.mark.parametrize("table", [None, table_of()])
def test_without_a_comparison_cards_say_nothing_of_it(table):
    assert card_changes(table) == {}


def test_each_change_says_whether_it_is_more_than_chance():
    table = changes_said(table_of(COUNTED, FOUND, NOT_FOUND), "")["table"]
    cells = re.findall(r'data-label="More than chance\?"[^>]*>(.*?)</td>', table)
    assert [re.sub("<.*?>", "", cell) for cell in cells] == ["a count, not tested", "yes", "cannot be told"]


@pytest.mark.parametrize(("since", "is_told"), [("2020-11-20", True), ("2020-12-01", False)])
def test_the_two_periods_are_named_and_a_recording_that_lacks_some_of_the_earlier_is_told(since, is_told, oct2020):
    asked = SimpleNamespace(against=None, since=since)
    _, said = what_changed(oct2020, asked, whole=oct2020)
    assert said.startswith("Before is ")
    assert ("begins within the time before" in said) == is_told
