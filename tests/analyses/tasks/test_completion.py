"""Who completes and reopens tasks."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit import stats
from telemetry_kit.errors import OneClusterWarning, ParameterError

SHARES = ["estimate", "lower", "upper"]


def tasks(*rows: tuple) -> pd.DataFrame:
    """State changes: server, day of November 2020, new state, was_commander, was_assignee."""
    columns = ["server_id", "day", "new_state", "was_commander", "was_assignee"]
    frame = pd.DataFrame(rows, columns=columns).astype(
        {"server_id": "str", "new_state": "category", "was_commander": "boolean", "was_assignee": "boolean"}
    )
    frame["event_timestamp"] = pd.Timestamp("2020-10-31", tz="UTC") + pd.to_timedelta(frame.pop("day"), unit="D")
    return frame


FIVE = tasks(
    ("a", 1, "done", True, False),
    ("a", 2, "done", True, True),
    ("a", 3, "open", False, True),
    ("b", 9, "done", False, False),
    ("b", 9, "done", True, False),
)


def test_two_flags_make_four_exclusive_kinds():
    table = tk.task_completion(FIVE)
    assert list(table["completer"]) == ["commander", "assignee", "both", "neither"]
    assert list(table["n_completed"]) == [2, 0, 1, 1]
    assert list(table["n_reopened"]) == [0, 1, 0, 0]
    assert list(table["n_clusters"]) == [2, 2, 2, 2]
    assert list(table["estimate"]) == [0.5, 0, 0.25, 0.25]


def test_only_a_state_change_is_one():
    other = tasks(("c", 1, None, None, None), ("a", 1, "in_progress", True, False))
    pd.testing.assert_frame_equal(tk.task_completion(pd.concat([FIVE, other])), tk.task_completion(FIVE))


def test_a_completion_without_a_flag_is_counted_apart():
    table = tk.task_completion(pd.concat([FIVE, tasks(("c", 1, "done", True, None), ("c", 1, "done", None, None))]))
    assert list(table["n_unknown"]) == [2] * 4
    assert list(table["n_clusters"]) == [2] * 4
    assert list(table["estimate"]) == [0.5, 0, 0.25, 0.25]
    row = tk.commander_vs_assignee(tasks(("c", 1, "done", None, True))).iloc[0]
    assert (row["n_completed"], row["n_unknown"]) == (0, 1)
    assert row[["commander", "assignee", "difference", "n_effective"]].isna().all()


def test_the_difference_is_taken_within_each_completion():
    row = tk.commander_vs_assignee(FIVE).iloc[0]
    assert (row["n_completed"], row["n_clusters"]) == (4, 2)
    assert (row["commander"], row["assignee"], row["difference"]) == (0.75, 0.25, 0.5)
    # Servers a and b have differences of 1 and 1 in 2 completions each: nothing tells how much servers could differ.
    assert row[["lower", "upper"]].isna().all()


def test_limits_are_those_of_r(oct2020):
    """R, with one row for each completion, `x` 1 or 0 (for the difference 1, -1 or 0).

    r <- clubSandwich::coef_test(lm(x ~ 1), vcov = "CR2", cluster = server_id, test = "Satterthwaite")
    n <- min(N, p * (1 - p) / r$SE^2 * (qt(.025, N - 1) / qt(.025, r$df_Satt))^2)
    c(r$df_Satt, qbeta(.025, n * p, n * (1 - p) + 1), qbeta(.975, n * p + 1, n * (1 - p)))
    mean(x) + c(-1, 1) * qt(.975, r$df_Satt) * r$SE
    """
    shares = tk.task_completion(oct2020.tasks)[SHARES].to_numpy()
    in_r = [
        [0.49721293199554067, 0.46783990997698488, 0.52660031985373257],
        [0.06354515050167224, 0.052581772739328639, 0.075994770613572737],
        [0.011705685618729096, 0.0055827939736473875, 0.021535165614906981],
        [0.42753623188405798, 0.40164964065351672, 0.45372267331125149],
    ]
    np.testing.assert_allclose(shares, in_r, rtol=0, atol=1e-9)
    np.testing.assert_allclose(tk.task_completion(oct2020.tasks)["df"].astype(float), [15.298545063018139] * 4)
    per_incident = tk.task_completion(oct2020.tasks, cluster="incident_id")[["lower", "upper"]].iloc[0]
    np.testing.assert_allclose(per_incident, [0.47128427631360104, 0.52315279255321934], atol=1e-9)
    by_version = tk.commander_vs_assignee(oct2020.tasks, by="plugin_version")[["difference", "df", "lower", "upper"]]
    in_r = [
        [0.45541401273885351, 6.1924345791590172, 0.38331947627371593, 0.52750854920399104],
        [0.42905405405405406, 11.280641166924825, 0.38503443432189127, 0.47307367378621684],
    ]
    np.testing.assert_allclose(by_version, in_r, rtol=0, atol=1e-9)


def test_where_all_completions_are_alike_nothing_tells_how_much_others_could_differ():
    row = tk.commander_vs_assignee(tasks(*[(server, 1, "done", True, False) for server in "abc"])).iloc[0]
    assert row["difference"] == 1
    assert row[["df", "lower", "upper"]].isna().all()


def test_one_cluster_is_warned_of_once():
    frame = tasks(("a", 1, "done", True, False), ("a", 2, "done", False, True))
    for analysis in (tk.task_completion, tk.commander_vs_assignee, tk.task_reopening):
        with pytest.warns(OneClusterWarning) as caught:
            analysis(frame)
        assert len(caught) == 1
        told = str(caught[0].message)
        assert told.startswith("cluster='server_id': intervals are null")
        assert told.endswith(
            ", which rest on one server, and one server cannot show how much servers differ; within one server, pass "
            "cluster='incident_id'"
        )
        assert caught[0].filename == __file__


def test_completions_of_every_incident_agree_with_what_was_sent(oct2020, recordings):
    with gzip.open(recordings / "truth" / "oct2020.json.gz") as file:
        incidents = json.load(file)["incidents"]
    kinds = {"true,true": "both", "true,false": "commander", "false,true": "assignee", "false,false": "neither"}
    sent = {
        (incident["incident_id"], kinds[flags.replace("was_commander=", "").replace("was_assignee=", "")]): n
        for incident in incidents
        for flags, n in incident["closed_by_commander_assignee"].items()
    }
    table = tk.task_completion(oct2020.tasks, by="incident_id")
    seen = table[table["n_completed"] > 0].set_index(["incident_id", "completer"])["n_completed"]
    assert seen.to_dict() == sent
    assert len(sent) > 100


def test_groups_come_in_natural_order_and_nulls_are_a_group():
    frame = pd.concat([FIVE, FIVE, FIVE]).assign(version=["1.10.0"] * 5 + ["1.9.0"] * 5 + [None] * 5)
    table = tk.task_completion(frame, by="version")
    assert list(table["version"].fillna("none")) == ["1.9.0"] * 4 + ["1.10.0"] * 4 + ["none"] * 4
    assert set(table["n_completed"].groupby(table["version"], dropna=False).sum()) == {4}


def test_by_takes_several_columns_and_the_cluster_itself():
    table = tk.commander_vs_assignee(FIVE, by=["server_id", "was_commander"])
    assert list(table.columns[:2]) == ["server_id", "was_commander"]
    assert list(table["n_completed"]) == [0, 2, 1, 1]
    assert list(table["n_clusters"]) == [0, 1, 1, 1]
    assert table[["lower", "upper"]].isna().all(axis=None)


def test_a_group_that_only_reopens_has_rows_without_an_estimate():
    table = tk.task_completion(tasks(("a", 1, "open", True, False)))
    assert list(table["n_reopened"]) == [1, 0, 0, 0]
    assert list(table["n_completed"]) == [0] * 4
    assert table[[*SHARES, "largest_cluster_share", "n_effective"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("freq", "starts"),
    [
        ("D", ["2020-11-01", "2020-11-02", "2020-11-03", "2020-11-09"]),
        ("W", ["2020-10-26", "2020-11-02", "2020-11-09"]),
        ("M", ["2020-11-01"]),
    ],
)
def test_periods_are_days_weeks_from_monday_and_months(freq, starts):
    table = tk.commander_vs_assignee(FIVE, freq=freq)
    assert list(table["period"]) == [pd.Timestamp(start, tz="UTC") for start in starts]
    assert table["n_completed"].sum() == 4


def test_periods_stand_between_the_groups_and_the_numbers():
    table = tk.task_completion(FIVE, by="server_id", freq="M")
    assert list(table.columns[:3]) == ["server_id", "period", "completer"]


def test_the_last_microsecond_of_a_month_is_in_it():
    frame = tasks(("a", 1, "done", True, False), ("a", 1, "done", True, False)).assign(
        event_timestamp=pd.to_datetime(["2020-02-29T23:59:59.999999Z", "2020-03-01T00:00:00Z"], format="ISO8601")
    )
    table = tk.commander_vs_assignee(frame, freq="M")
    assert list(table["period"].dt.month) == [2, 3]


def test_concentration_is_shown_with_every_estimate():
    rows = [("big", 1, "done", True, False)] * 6 + [("small", 1, "done", False, True)] * 2
    shares = tk.task_completion(tasks(*rows)).iloc[0]
    assert shares["largest_cluster_share"] == 0.75
    # p = 3/4; residuals of the clusters: (6 - 3/4 * 6) / 8 and (0 - 3/4 * 2) / 8, of 3/4 and 1/4 of all completions:
    # v = (1.5 / 8)^2 (1 / (1/4) + 1 / (3/4)) = 3/16, and the effective size is one.
    assert shares["n_effective"] == pytest.approx(1)
    difference = tk.commander_vs_assignee(tasks(*rows)).iloc[0]
    # The values +1 and -1 are twice a share less one: the same effective size.
    assert difference["n_effective"] == pytest.approx(1)
    assert difference["largest_cluster_share"] == 0.75


def test_reopenings_are_counted_per_completion():
    frame = pd.concat([FIVE, tasks(("a", 4, "open", None, True), ("b", 4, "open", True, False))])
    table = tk.task_reopening(frame).set_index("completer")
    assert list(table.index) == ["commander", "assignee", "both", "neither", "any"]
    assert list(table["n_completed"]) == [2, 0, 1, 1, 4]
    assert list(table["n_reopened"]) == [1, 1, 0, 0, 3]
    assert list(table["n_unknown"]) == [1] * 5
    assert list(table["n_clusters"]) == [2, 1, 1, 1, 2]
    assert table["estimate"].fillna(-1).to_list() == [0.5, -1, 0, 0, 0.75]


def test_reopening_limits_are_the_odds_of_those_of_a_share(oct2020):
    row = tk.task_reopening(oct2020.tasks).set_index("completer").loc["any"]
    changes = oct2020.tasks[oct2020.tasks["new_state"].isin(["open", "done"])]
    is_open = (changes["new_state"] == "open").groupby(changes["server_id"])
    clusters = stats.count_clusters(is_open.size(), stats.one_group(is_open.ngroups))
    (low,), (high,) = stats.share_limits(stats.estimate_shares(is_open.sum(), clusters), level=0.95)
    assert row["lower"] == pytest.approx(low / (1 - low))
    assert row["upper"] == pytest.approx(high / (1 - high))
    # R: as above, of the changes to open among all.
    assert (low, high) == pytest.approx((0.133991271263, 0.169205835557))


def test_nothing_reopened_still_has_an_upper_limit():
    frame = tasks(*[(server, 1, "done", True, False) for server in "abcdefgh"])
    row = tk.task_reopening(frame).iloc[0]
    assert (row["estimate"], row["lower"]) == (0, 0)
    share = 1 - 0.025 ** (1 / 8)
    assert row["upper"] == pytest.approx(share / (1 - share))


@pytest.mark.parametrize("analysis", [tk.task_completion, tk.commander_vs_assignee, tk.task_reopening])
class TestEveryTable:
    def test_is_the_same_on_every_engine(self, analysis, oct2020, as_kind):
        options = {"by": ["plugin_version", "action"], "freq": "M", "cluster": "incident_id", "level": 0.9}
        expected = analysis(oct2020.tasks, **options)
        pd.testing.assert_frame_equal(analysis(as_kind(oct2020.tasks), **options), expected)

    def test_does_not_depend_on_the_order_of_events(self, analysis, oct2020):
        shuffled = oct2020.tasks.sample(frac=1, random_state=1)
        pd.testing.assert_frame_equal(analysis(shuffled, by="server_id"), analysis(oct2020.tasks, by="server_id"))

    def test_of_no_events_has_its_columns_and_types(self, analysis):
        full, empty = analysis(FIVE, by="server_id", freq="W"), analysis(FIVE.iloc[:0], by="server_id", freq="W")
        assert empty.empty
        pd.testing.assert_series_equal(empty.dtypes, full.dtypes)
        assert analysis(FIVE.iloc[:0]).empty

    def test_of_one_completion_has_no_limits(self, analysis):
        row = analysis(FIVE.iloc[:1]).iloc[0]
        assert (row["n_completed"], row["n_clusters"]) == (1, 1)
        assert pd.isna(row["lower"])
        assert pd.isna(row["upper"])

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"by": "edition"}, "by: got 'edition', expected one of 'server_id', 'new_state', "),
            ({"by": "n_completed"}, "by: got 'n_completed', expected one of "),
            ({"cluster": "team"}, "cluster: got 'team', expected one of 'server_id', "),
            ({"freq": "Y"}, "freq: got 'Y', expected one of 'D', 'W', 'M'"),
            ({"level": 95}, "level: got 95, expected a number between 0 and 1, such as 0.95"),
        ],
    )
    def test_names_a_wrong_parameter(self, analysis, wrong, message):
        with pytest.raises(ParameterError) as error:
            analysis(FIVE, **wrong)
        assert str(error.value).startswith(message)

    def test_names_what_a_frame_lacks(self, analysis):
        with pytest.raises(ParameterError, match=r"^tasks has no columns 'was_commander', 'was_assignee'"):
            analysis(FIVE[["server_id", "event_timestamp", "new_state"]])

    def test_of_an_empty_log_checks_its_parameters(self, analysis):
        with pytest.raises(ParameterError):
            analysis(FIVE.iloc[:0], level=0)


def test_the_published_form_gives_the_same_table(oct2020, tmp_path):
    changes = oct2020.tasks[oct2020.tasks["new_state"].isin(["open", "done"])]
    published = changes.rename(
        columns={
            "server_id": "UserID",
            "user_actual_id": "UserActualID",
            "server_version": "serverVersion",
            "plugin_version": "pluginVersion",
            "event_timestamp": "eventTimeStamp",
            "incident_id": "incidentID",
            "event_type": "type",
            "was_commander": "WasCommander",
            "was_assignee": "WasAssignee",
        }
    ).drop(columns=["event_id", "action", "original_timestamp"])
    published["NewState"] = published.pop("new_state").astype(object).where(changes["new_state"] == "done", None)
    published.to_json(tmp_path / "published.jsonl", orient="records", lines=True, date_format="iso", date_unit="us")
    log = tk.load_events(tmp_path / "published.jsonl")
    assert len(log.tasks) == len(changes)
    for by in (None, "plugin_version"):
        pd.testing.assert_frame_equal(tk.task_completion(log.tasks, by=by), tk.task_completion(oct2020.tasks, by=by))
