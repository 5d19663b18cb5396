"""What a table of one's own says of servers."""

import pandas as pd
import polars as pl
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError, UnmatchedKeysWarning

EVENTS = pd.DataFrame({"server_id": ["b", "a", "b"], "n": [1, 2, 3]})
PLANS = pd.DataFrame({"server_id": ["a", "b", "unseen"], "plan": ["free", "paid", "paid"], "seats": [5, 500, 50]})


def test_each_row_gets_what_the_table_says_of_its_server():
    got = tk.attach_groups(EVENTS, PLANS)
    assert got.to_dict("list") == {
        "server_id": ["b", "a", "b"], "n": [1, 2, 3], "plan": ["paid", "free", "paid"], "seats": [500, 5, 500],
    }  # fmt: skip


def test_columns_can_be_chosen():
    assert list(tk.attach_groups(EVENTS, PLANS, columns="plan")) == ["server_id", "n", "plan"]
    assert list(tk.attach_groups(EVENTS, PLANS, columns=["seats", "server_id", "seats"])) == ["server_id", "n", "seats"]


def test_keys_without_a_row_are_counted_and_their_groups_are_null():
    with pytest.warns(UnmatchedKeysWarning, match="table has no row for 1 of 2 values of server_id: b$"):
        got = tk.attach_groups(EVENTS, PLANS.head(1))
    assert got["plan"].isna().to_list() == [True, False, True]


def test_a_lazy_frame_stays_lazy_and_is_not_counted():
    got = tk.attach_groups(pl.from_pandas(EVENTS).lazy(), PLANS.head(1))
    assert isinstance(got, pl.LazyFrame)
    assert got.collect()["plan"].to_list() == [None, "free", None]


def test_it_goes_by_any_column():
    eras = pd.DataFrame({"n": [1, 2, 3], "era": ["old", "old", "new"]})
    assert tk.attach_groups(EVENTS, eras, on="n")["era"].to_list() == ["old", "old", "new"]


def test_a_row_without_a_key_has_no_group():
    events, plans = (
        pd.DataFrame({"server_id": ["a", None]}),
        pd.DataFrame({"server_id": ["a", None], "plan": ["x", "y"]}),
    )
    assert tk.attach_groups(events, plans)["plan"].isna().to_list() == [False, True]


@pytest.mark.parametrize("name", ["contact", "Name", "firstName", "customer_email", "IPAddress", "user_id"])
def test_what_looks_like_persons_is_refused_unless_it_is_named(name):
    table = PLANS.rename(columns={"plan": name})
    with pytest.raises(ParameterError, match=f"table: got \"a table with '{name}', which looks like persons\""):
        tk.attach_groups(EVENTS, table)
    assert name in tk.attach_groups(EVENTS, table, columns=name)


def test_addresses_are_refused_whatever_their_column_is_called():
    with pytest.raises(ParameterError, match="'plan', which looks like persons"):
        tk.attach_groups(EVENTS, PLANS.assign(plan=["free", "ann@example.org", None]))


@pytest.mark.parametrize("name", ["plan", "region", "seats", "edition", "tenant", "seat_count"])
def test_other_columns_are_not_refused(name):
    assert name in tk.attach_groups(EVENTS, PLANS[["server_id", "plan"]].rename(columns={"plan": name}))


@pytest.mark.parametrize(
    ("table", "more", "message"),
    [
        (
            pd.concat([PLANS, PLANS.tail(1)]),
            {},
            "table: got 'several rows of server_id unseen', expected one row per server_id",
        ),
        (PLANS.assign(n=1), {}, "table: got 'a table with n'"),
        (PLANS, {"columns": "plam"}, "table has no column 'plam'"),
        (PLANS, {"on": "team_id"}, "frame has no column 'team_id'"),
    ],
)
def test_a_table_that_cannot_be_joined_is_an_error_that_says_why(table, more, message):
    with pytest.raises(ParameterError, match=message):
        tk.attach_groups(EVENTS, table, **more)


def test_without_rows_there_are_the_columns():
    assert list(tk.attach_groups(EVENTS.iloc[:0], PLANS)) == ["server_id", "n", "plan", "seats"]
