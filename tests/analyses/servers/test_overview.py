"""Every server in one row."""

import pandas as pd

import telemetry_kit as tk

TYPES = ("incident", "tasks", "playbook")
FIVE = pd.DataFrame(
    {
        "server_id": ["b", "b", "a", "b", "b"],
        "user_actual_id": ["ann", "bob", "ann", "ann", "ann"],
        "event_timestamp": pd.to_datetime([f"2020-11-{day:02d}T12:00" for day in (2, 2, 5, 9, 4)], utc=True),
        "plugin_version": ["1.0.0", "1.0.0", "1.0.0", "1.1.0", "1.0.0"],
        "server_version": ["5.28.0"] * 5,
    }
)


def test_a_server_has_its_days_its_counts_and_its_last_versions():
    table = tk.server_overview({"incident": FIVE.iloc[:1], "tasks": FIVE.iloc[1:], "playbook": FIVE.iloc[:0]})
    assert list(table["server_id"]) == ["a", "b"]
    server = table.set_index("server_id").loc["b"]
    assert (server["first_day"].day, server["last_day"].day, server["n_days"], server["n_days_active"]) == (2, 9, 8, 3)
    assert (server["n_incident"], server["n_tasks"], server["n_playbook"], server["n_users"]) == (1, 3, 0, 2)
    assert (server["plugin_version"], server["server_version"]) == ("1.1.0", "5.28.0")
    assert (server["n_plugin_versions"], server["n_server_versions"]) == (2, 1)


def test_it_agrees_with_daily_activity(oct2020):
    table = tk.server_overview(oct2020).set_index("server_id")
    daily = tk.server_activity(oct2020).groupby("server_id")
    assert list(table["n_days"]) == list(daily.size().loc[table.index])
    assert list(table["n_tasks"]) == list(daily["n_tasks"].sum().loc[table.index])
    assert list(table["n_days_active"]) == list(daily["n_days_active"].sum().loc[table.index])
    assert list(table["first_day"]) == list(daily["date"].min().loc[table.index])


def test_every_kind_of_frame_gives_the_same_table(as_kind, oct2020):
    given = {name: as_kind(getattr(oct2020, name)) for name in TYPES}
    pd.testing.assert_frame_equal(tk.server_overview(given), tk.server_overview(oct2020))


def test_an_empty_log_makes_an_empty_table_of_the_same_types(oct2020):
    empty = tk.server_overview({name: getattr(oct2020, name).iloc[:0] for name in TYPES})
    assert len(empty) == 0
    assert list(empty.dtypes) == list(tk.server_overview(oct2020).dtypes)
