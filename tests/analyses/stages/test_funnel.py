"""How far incidents get: the share that reaches each stage, ever or within a time."""

import warnings

import pandas as pd
import pytest
from scipy.special import betaincinv

import telemetry_kit as tk
from telemetry_kit.errors import OneClusterWarning, ParameterError

START = pd.Timestamp("2020-11-02T00:00:00Z")
COLUMNS = [
    "stage", "n_eligible", "n_reached", "n_visited", "n_open", "n_servers", "estimate", "df", "lower",
    "upper", "n_before", "step_estimate", "step_df", "step_lower", "step_upper", "n_immature", "n_excluded",
]  # fmt: skip


def minute(number):
    return START + pd.Timedelta(number, "min")


@pytest.fixture(scope="module")
def visits(incident_log):
    """Five incidents: two that go on, one that skips, one that is open in its first stage, one without its create."""
    events = incident_log(
        "a1 0 create 0/3", "a1 30 change_stage 1/3", "a1 90 change_stage 2/3", "a1 100 end x2/3",
        "a2 0 create 0/3", "a2 200 change_stage 2/3", "a2 210 end x2/3",
        "b1 0 create 0/2", "b1 60 change_stage 1/2", "b1 70 change_stage 0/2", "b1 80 end x0/2",
        "b2 250 create 0/2",
        "c1 10 change_stage 1/3",
    )  # fmt: skip
    return tk.stage_visits(events, cutoff=minute(300))


def test_incidents_count_towards_every_stage_up_to_their_furthest(visits):
    funnel = tk.stage_funnel(visits)
    assert list(funnel.columns) == COLUMNS
    assert funnel["stage"].to_list() == [0, 1, 2]
    assert funnel["n_eligible"].to_list() == [4, 4, 2]
    assert funnel["n_reached"].to_list() == [4, 3, 2]
    assert funnel["n_visited"].to_list() == [4, 2, 2]
    assert funnel["n_open"].to_list() == [0, 1, 0]
    assert funnel["n_servers"].to_list() == [2, 2, 1]
    assert funnel["n_excluded"].to_list() == [1, 1, 1]
    assert funnel["n_immature"].to_list() == [0, 0, 0]
    assert funnel["estimate"].to_list() == [1, 0.75, 1]
    assert funnel["n_before"].fillna(-1).to_list() == [-1, 4, 2]
    assert funnel["step_estimate"].fillna(-1).to_list() == [-1, 0.75, 1]


def test_stages_are_counted_however_many_there_are(incident_log):
    events = incident_log(
        "a1 0 create 0/90", "a1 30 change_stage 61/90", "a1 40 change_stage 62/90", "a1 50 change_stage 80/90",
        "a1 60 change_stage 61/90", "a2 0 create 80/90", "a3 5 change_stage 80/90", "b1 0 create 3/70",
    )  # fmt: skip
    funnel = tk.stage_funnel(tk.stage_visits(events, cutoff=minute(300))).set_index("stage")
    assert list(funnel.index) == list(range(90))
    visited = funnel["n_visited"]
    assert visited[visited > 0].to_dict() == {0: 1, 3: 1, 61: 1, 62: 1, 80: 2}
    assert funnel.loc[[0, 3, 4, 62, 81], "n_reached"].to_list() == [3, 3, 2, 2, 0]


@pytest.mark.slow
def test_a_wrong_number_of_stages_does_not_make_a_table_endless(incident_log):
    events = incident_log("a1 0 create 0/2147483647", "a1 30 change_stage 1/2147483647", "b1 0 create 0/3")
    visits = tk.stage_visits(events, cutoff=minute(300))
    assert tk.stage_funnel(visits)["n_eligible"].to_list() == [2, 2, 2] + [1] * 997
    assert tk.time_to_stage(visits)["stage"].to_list() == list(range(1, 1000))


def test_within_a_time_late_arrivals_do_not_count_and_young_incidents_are_left_out(visits):
    funnel = tk.stage_funnel(visits, within="1h")
    assert funnel["n_eligible"].to_list() == [3, 3, 2]
    assert funnel["n_immature"].to_list() == [1, 1, 0]
    assert funnel["n_reached"].to_list() == [3, 2, 0]
    assert funnel["n_visited"].to_list() == [3, 2, 0]
    assert funnel["n_open"].to_list() == [0, 0, 0]
    assert funnel["step_estimate"].fillna(-1).to_list() == pytest.approx([-1, 2 / 3, 0])


@pytest.mark.parametrize(("within", "n_eligible"), [("50min", 4), ("3000.000001s", 3), (pd.Timedelta(49, "min"), 4)])
def test_an_incident_as_old_as_the_time_has_had_it(visits, within, n_eligible):
    assert tk.stage_funnel(visits, within=within).loc[0, "n_eligible"] == n_eligible


def test_within_counts_from_the_cutoff_although_nothing_is_open(incident_log):
    events = incident_log("a1 0 create 0/2", "a1 1 end x0/2")
    ended = tk.stage_visits(events, cutoff=minute(100))
    assert tk.stage_funnel(ended, within="1h")["n_eligible"].to_list() == [1, 1]
    # Visits of one's own, without a cutoff, tell no more than when the last of them was left.
    assert tk.stage_funnel(ended.drop(columns="cutoff"), within="1h")["n_immature"].to_list() == [1, 1]


def test_within_leaves_out_incidents_with_an_event_before_their_create(incident_log):
    events = incident_log("a1 0 change_commander 0/2", "a1 1 create 0/2", "a1 2 change_stage 1/2", "a2 0 create 0/2")
    seen = tk.stage_visits(events, cutoff=minute(100))
    assert tk.stage_funnel(seen)["n_reached"].to_list() == [2, 1]
    funnel = tk.stage_funnel(seen, within="1h")
    assert funnel[["n_eligible", "n_reached", "n_excluded"]].to_numpy().tolist() == [[1, 1, 1], [1, 0, 1]]


def test_where_all_incidents_are_young_nothing_is_estimated(visits):
    funnel = tk.stage_funnel(visits, within="30D")
    assert funnel["n_eligible"].to_list() == [0, 0, 0]
    assert funnel["n_immature"].to_list() == [4, 4, 2]
    assert funnel[["estimate", "lower", "upper", "step_estimate"]].isna().all(axis=None)


def test_the_share_within_any_time_is_that_of_a_plain_count(oct2020):
    visits = tk.stage_visits(oct2020.incident, cutoff="2020-12-05")
    filter_incidents = [part for _, part in visits[visits["from_start"]].groupby(["server_id", "incident_id"])]
    for hours in (1, 24, 24 * 14):
        span = pd.Timedelta(hours, "h")
        counts = {}
        for part in filter_incidents:
            start = part["entered_at"].min()
            is_mature = start + span <= pd.Timestamp("2020-12-05", tz="UTC")
            furthest = part.loc[part["entered_at"] <= start + span, "stage"].max()
            for stage in range(part["num_stages"].max()):
                eligible, reached, immature = counts.get(stage, (0, 0, 0))
                reaches = is_mature and furthest >= stage
                counts[stage] = (eligible + is_mature, reached + reaches, immature + (not is_mature))
        funnel = tk.stage_funnel(visits, within=span).set_index("stage")[["n_eligible", "n_reached", "n_immature"]]
        assert {stage: tuple(row) for stage, *row in funnel.itertuples(name=None)} == counts
    assert funnel["n_immature"].sum() > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::telemetry_kit.errors.PartialIncidentsWarning")  # of groups by visit
@pytest.mark.parametrize("within", [None, "4h"])
@pytest.mark.parametrize("by", ["server_id", "public", "plugin_version", ["team_id", "num_stages"], "exit"])
def test_each_group_is_a_sample_of_its_own(oct2020, by, within):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    names = [by] if isinstance(by, str) else by
    table = tk.stage_funnel(visits, by=by, within=within)
    assert list(table.columns) == [*names, *COLUMNS]
    groups = dict(list(table.groupby(names, dropna=False)))
    for key, part in visits.groupby(names, dropna=False):
        alone = tk.stage_funnel(part, within=within)
        if len(alone):
            pd.testing.assert_frame_equal(groups.pop(key)[COLUMNS].reset_index(drop=True), alone)
    assert not groups


def test_a_null_is_a_group_of_its_own_and_comes_last(visits):
    public = pd.array([None] * 3 + [True] * (len(visits) - 3), dtype="boolean")
    table = tk.stage_funnel(visits.assign(public=public), by="public")
    assert table["public"].isna().to_list() == [False] * 3 + [True] * 3


def test_limits_are_those_of_korn_and_graubard(oct2020):
    # R: r <- clubSandwich::coef_test(lm(x ~ 1), vcov = "CR2", cluster = server_id, test = "Satterthwaite");
    # n <- min(N, p * (1 - p) / r$SE^2 * (qt(.025, N - 1) / qt(.025, r$df_Satt))^2);
    # c(r$df_Satt, qbeta(.025, n * p, n * (1 - p) + 1), qbeta(.975, n * p + 1, n * (1 - p)))
    funnel = tk.stage_funnel(tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)).set_index("stage")
    assert funnel.loc[1, ["df", "lower", "upper"]].to_list() == pytest.approx(
        [15.945380213037495, 0.75893305577131132, 0.85659481498444445], abs=1e-6
    )
    assert funnel.loc[7, ["df", "lower", "upper"]].to_list() == pytest.approx(
        [7.9433868077720691, 0.0034356340739457379, 0.2058273730588257], abs=1e-6
    )
    # Of the incidents that came to the stage before: few, on few servers.
    assert funnel.loc[7, ["step_estimate", "step_df", "step_lower", "step_upper"]].to_list() == pytest.approx(
        [0.5, 1.8, 0.02865299446025418, 0.97134700553974584], abs=1e-6
    )


def test_within_one_server_incidents_can_be_the_clusters(oct2020):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    one = visits[visits["server_id"] == visits["server_id"].value_counts().idxmax()]
    with pytest.warns(
        OneClusterWarning, match="cluster='server_id': .* one server cannot show how much servers differ"
    ):
        funnel = tk.stage_funnel(one)
    assert funnel[["df", "lower", "upper", "step_lower"]].isna().all(axis=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        funnel = tk.stage_funnel(one, cluster="incident_id").set_index("stage")
    assert (funnel["n_servers"] == 1).all()
    # Every incident counts once, so that these are the limits of Clopper and Pearson.
    n, p = funnel.loc[1, "n_eligible"], funnel.loc[1, "estimate"]
    assert funnel.loc[1, "df"] == pytest.approx(n - 1)
    assert funnel.loc[1, ["lower", "upper"]].to_list() == pytest.approx(
        [betaincinv(n * p, n * (1 - p) + 1, 0.025), betaincinv(n * p + 1, n * (1 - p), 0.975)], abs=0.02
    )


def test_a_column_of_clusters_that_is_none_is_named(visits):
    with pytest.raises(ParameterError, match=r"^cluster: got 'server', expected one of .*did you mean 'server_id'"):
        tk.stage_funnel(visits, cluster="server")


def test_a_higher_level_gives_wider_limits(visits):
    narrow, wide = (tk.stage_funnel(visits, level=level) for level in (0.8, 0.99))
    assert (wide["lower"] <= narrow["lower"])[:2].all()
    assert wide.loc[1, "lower"] < narrow.loc[1, "lower"]


def test_one_server_has_no_limits(visits):
    table = tk.stage_funnel(visits, by="server_id")
    assert table["server_id"].to_list() == ["a"] * 3 + ["b"] * 2
    assert table[["lower", "upper"]].isna().all(axis=None)


def test_visits_without_rows_give_a_table_without_rows(visits):
    for within in (None, "1h"):
        table = tk.stage_funnel(visits[:0], by="public", within=within)
        assert table.empty
        pd.testing.assert_series_equal(table.dtypes, tk.stage_funnel(visits, by="public", within=within).dtypes)


@pytest.mark.parametrize("within", [None, "4h"])
def test_every_kind_of_frame_gives_the_same_funnel(oct2020, as_kind, within):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    table = tk.stage_funnel(as_kind(visits), by=["public", "plugin_version"], within=within)
    pd.testing.assert_frame_equal(table, tk.stage_funnel(visits, by=["public", "plugin_version"], within=within))


def test_mistakes_are_named(visits):
    with pytest.raises(ParameterError, match="level: got 1"):
        tk.stage_funnel(visits, level=1)
    with pytest.raises(ParameterError, match="by: got 'colour', expected one of 'server_id'"):
        tk.stage_funnel(visits, by="colour")
    with pytest.raises(ParameterError, match="by: got 'stage'"):
        tk.stage_funnel(visits, by="stage")
    for within in ("soon", "-1h", "0s", [1]):
        with pytest.raises(ParameterError, match=r"within: got .* expected a length of time above zero"):
            tk.stage_funnel(visits, within=within)
    with pytest.raises(ParameterError, match="visits has no column 'entered_at'"):
        tk.stage_funnel(visits.drop(columns="entered_at"), within="1h")


def test_the_column_of_a_group_may_have_any_name(oct2020):
    visits = tk.stage_visits(oct2020.incident, cutoff=oct2020.cutoff)
    plain, renamed = tk.stage_funnel(visits, by="public"), visits.rename(columns={"public": 'pub"lic'})
    pd.testing.assert_frame_equal(tk.stage_funnel(renamed, by='pub"lic').rename(columns={'pub"lic': "public"}), plain)


@pytest.mark.parametrize("beyond", [1, 70])
def test_a_visit_beyond_the_stages_of_an_incident_is_none_of_an_eligible_one(incident_log, beyond):
    events = incident_log("a1 0 create 0/1", f"a1 10 change_stage {beyond}/1", f"b1 0 create 0/{beyond + 2}")
    funnel = tk.stage_funnel(tk.stage_visits(events, cutoff=minute(60))).set_index("stage")
    assert funnel.loc[beyond, ["n_eligible", "n_reached", "n_visited"]].to_list() == [1, 0, 0]
    assert (funnel["n_visited"] <= funnel["n_reached"]).all()
