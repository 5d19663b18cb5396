"""How long after an incident's start its tasks are completed."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit import engine
from telemetry_kit.errors import ParameterError

START = pd.Timestamp("2020-11-02T09:00:00Z")


def completions(*rows: tuple) -> pd.DataFrame:
    """State changes to done: server, incident, seconds after nine, was_commander, was_assignee."""
    frame = pd.DataFrame(rows, columns=["server_id", "incident_id", "seconds", "was_commander", "was_assignee"]).astype(
        {"server_id": "str", "incident_id": "str", "was_commander": "boolean", "was_assignee": "boolean"}
    )
    frame["event_timestamp"] = (START + pd.to_timedelta(frame.pop("seconds"), unit="s")).astype("datetime64[us, UTC]")
    return frame.assign(event_id=[str(number) for number in range(len(rows))], new_state="done")


INCIDENTS = pd.DataFrame(
    {
        "server_id": ["a", "a", "b"],
        "incident_id": ["i", "i", "j"],
        "created_at": [START, START, START + pd.Timedelta(1, "h")],
    }
)
SIX = completions(
    ("a", "i", 30.5, True, False),
    ("a", "i", 10, True, False),
    ("b", "j", 3620, True, False),
    ("b", "j", 3599, False, True),
    ("c", "k", 5, True, False),
    ("a", "i", 7, None, False),
)


def test_time_runs_from_the_incidents_start():
    times = tk.completion_times(SIX, INCIDENTS)
    assert list(times["event_id"]) == ["4", "5", "1", "0", "3", "2"]
    assert list(times["completer"]) == ["commander", "unknown", "commander", "commander", "assignee", "commander"]
    assert times["elapsed_s"].fillna(-99).to_list() == [-99, 7, 10, 30.5, -1, 20]
    assert times["started_at"].isna().to_list() == [True] + [False] * 5


def test_quantiles_are_of_known_times_by_completer():
    table = tk.time_to_completion(SIX, INCIDENTS).set_index("completer")
    assert list(table.index) == ["commander", "assignee", "both", "neither"]
    commander = table.loc["commander"]
    assert (commander["q25_s"], commander["median_s"], commander["q75_s"]) == (15, 20, 25.25)
    assert (commander["n_completed"], commander["n_clusters"], commander["n_excluded"]) == (3, 2, 1)
    assert commander["largest_cluster_share"] == pytest.approx(2 / 3)
    assert list(table["n_unknown"]) == [1] * 4
    assert table.loc["assignee", "median_s"] == -1
    assert table.loc["both", ["q25_s", "median_s", "q75_s", "median_lower_s"]].isna().all()


def test_limits_of_quartiles_are_those_of_r(oct2020):
    """In R, with x of the N completions and q the value sort(x)[ceiling(p * N)]:

    r <- clubSandwich::coef_test(lm(x <= q ~ 1), vcov = "CR2", cluster = server_id, test = "Satterthwaite")
    n <- p * (1 - p) / r$SE^2 * (qt(.025, N - 1) / qt(.025, r$df_Satt))^2
    # as q the values at qbeta(.025, n * p, n * (1 - p) + 1) and qbeta(.975, n * p + 1, n * (1 - p))
    """
    row = tk.time_to_completion(oct2020.tasks, oct2020.incident).set_index("completer").loc["commander"]
    start = oct2020.incident.groupby("incident_id")["created_at"].first()
    done = oct2020.tasks[(oct2020.tasks["new_state"] == "done") & oct2020.tasks["was_commander"]]
    done = done[~done["was_assignee"].astype(bool)]
    elapsed = (done["event_timestamp"] - done["incident_id"].map(start)).dt.total_seconds()
    known = elapsed.notna()
    limits = ["df", "q25_lower_s", "q25_upper_s", "median_lower_s", "median_upper_s", "q75_lower_s", "q75_upper_s"]
    expected = [15.731132, 768.614349, 1860.473641, 5288.530427, 13637.814268, 30344.320732, 75234.821698]
    assert row[limits].to_list() == pytest.approx(expected)
    assert row["median_s"] == pytest.approx(8704.038834)
    assert row["n_completed"] == known.sum()
    assert row["q75_s"] == pytest.approx(elapsed.quantile(0.75))


def test_groups_and_clusters_can_be_any_columns(oct2020):
    table = tk.time_to_completion(
        oct2020.tasks, oct2020.incident, by="plugin_version", cluster="incident_id", level=0.9
    )
    assert list(table["plugin_version"].unique()) == ["1.0.0", "1.1.0"]
    whole = tk.time_to_completion(oct2020.tasks, oct2020.incident, cluster="incident_id")
    assert list(table.groupby("completer")["n_completed"].sum()[whole["completer"]]) == list(whole["n_completed"])


def test_both_are_the_same_on_every_engine(oct2020, as_kind):
    tasks, incidents = as_kind(oct2020.tasks), as_kind(oct2020.incident)
    times = tk.completion_times(tasks, incidents)
    assert type(times) is type(tasks)
    plain = engine.collect(engine.open_frame(times, [], parameter="times"))
    pd.testing.assert_frame_equal(plain, tk.completion_times(oct2020.tasks, oct2020.incident))
    expected = tk.time_to_completion(oct2020.tasks, oct2020.incident, by="server_version")
    pd.testing.assert_frame_equal(tk.time_to_completion(tasks, incidents, by="server_version"), expected)


def test_no_events_give_the_columns_and_types():
    full, empty = (tk.time_to_completion(frame, INCIDENTS, by="server_id") for frame in (SIX, SIX.iloc[:0]))
    assert empty.empty
    pd.testing.assert_series_equal(empty.dtypes, full.dtypes)
    full, empty = (tk.completion_times(frame, INCIDENTS) for frame in (SIX, SIX.iloc[:0]))
    assert empty.empty
    pd.testing.assert_series_equal(empty.dtypes, full.dtypes)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cluster": "team"}, "cluster: got 'team', expected one of "),
        ({"by": "started_at"}, "by: got 'started_at', expected one of "),
        ({"level": 1}, "level: got 1, expected a number between 0 and 1"),
    ],
)
def test_a_wrong_parameter_is_named(wrong, message):
    with pytest.raises(ParameterError) as error:
        tk.time_to_completion(SIX, INCIDENTS, **wrong)
    assert str(error.value).startswith(message)
