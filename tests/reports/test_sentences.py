"""Sentences: what they say stands in their table, and a superlative only where its interval supports it."""

import re
import warnings

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError
from telemetry_kit.reports.wording import count, duration, number, per_cent, points
from telemetry_kit.simulate import write_simulation

NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?")
ALWAYS = {"0", "100"}


def numbers_in(text):
    # A limit that is next to nothing, or nearly all, is not spelled out.
    return {found.rstrip(",") for found in NUMBER.findall(re.sub(r"<0\.1|>99\.9", "", text))}


def numbers_of(table):
    """Return every number that may stand in a sentence about a table: its cells as written, and sums of its counts."""
    allowed = set(ALWAYS) | {str(len(table))}
    for column in table.to_dict("series").values():
        if not pd.api.types.is_numeric_dtype(column.dtype):
            allowed |= numbers_in(" ".join(map(str, column.dropna())))
            continue
        values = column.dropna().astype(float)
        total = float(values.sum())
        for value in [*values, total, float(values.max()) if len(values) else 0.0]:
            for text in (
                number(value),
                per_cent(value),
                per_cent(1 - value),
                points(value),
                duration(value),
                f"{value:,.0f}",
            ):
                allowed |= numbers_in(text)
    return allowed


def tables_of(log):
    visits = tk.stage_visits(log.incident, cutoff=log.cutoff)
    statuses = tk.status_visits(log.incident, cutoff=log.cutoff)
    bounds = {"cutoff": log.cutoff}
    completion = tk.task_completion(log.tasks)
    yield tk.sentences.time_to_end, tk.time_to_end(tk.incident_durations(log.incident, **bounds))
    yield tk.sentences.incident_flow, tk.incident_flow(log.incident, **bounds)
    yield tk.sentences.task_completion, completion
    yield tk.sentences.concentration, completion
    yield tk.sentences.commander_vs_assignee, tk.commander_vs_assignee(log.tasks)
    yield tk.sentences.playbook_sizes, tk.playbook_sizes(tk.playbook_snapshot(log.playbook, as_of=log.cutoff))
    yield tk.sentences.playbook_growth, tk.playbook_growth(log.playbook)
    yield tk.sentences.server_activity, tk.server_activity(log)
    yield (
        tk.sentences.playbook_usage,
        tk.playbook_usage(tk.playbook_snapshot(log.playbook, as_of=log.cutoff), log.incident),
    )
    yield tk.sentences.recording_eras, tk.recording_eras(log)
    yield tk.sentences.server_lifecycle, tk.server_lifecycle(log, freq="W")
    for staged in (visits, statuses):
        yield tk.sentences.stage_funnel, tk.stage_funnel(staged)
        yield tk.sentences.last_stage, tk.last_stage_reached(staged)
        yield tk.sentences.ended_where, tk.stage_transitions(staged, by="is_last_stage")
        yield tk.sentences.stage_dwell, tk.stage_dwell(staged)
        yield tk.sentences.stage_transitions, tk.stage_transitions(staged)


def hold(say, table):
    """Hold a sentence against its table."""
    text = say(table)
    plain = re.sub(r"\bstage \d+|[Ff]irst update", "", text)
    if say is tk.sentences.stage_transitions:
        n_back, total = table.loc[table["exit"] == "returned", "n"].sum(), table["n"].sum()
        rest = n_back - table.loc[table["exit"] == "returned", "n"].nlargest(3).sum()
        extra = numbers_in(f"{count(n_back, 'x')} {count(rest, 'x')} {per_cent(n_back / max(total, 1))}")
    elif say is tk.sentences.stage_funnel:
        before = (table["n_reached"] / table["step_estimate"]).dropna()
        extra = {f"{value:,.0f}" for value in before}
    elif say is tk.sentences.ended_where:
        ended = table[table["exit"] == "ended"]
        n, n_last = ended["n"].sum(), ended.loc[ended["is_last_stage"].fillna(value=False), "n"].sum()
        only = ended.loc[ended["is_last_stage"].fillna(value=False) & (ended["stage"] == 0), "n"].sum()
        shares = f"{per_cent(n_last / max(n, 1))} {per_cent(1 - n_last / max(n, 1))}"
        extra = numbers_in(f"{n_last:,} {n - n_last:,} {only:,} {shares}")
    elif say is tk.sentences.playbook_usage:
        known = table["n_incidents"].dropna()
        extra = {f"{(known > 0).sum():,}", f"{(known == 0).sum():,}", f"{table['n_incidents'].isna().sum():,}"}
    elif say in (tk.sentences.recording_eras, tk.sentences.server_lifecycle):
        times = [column for name in ("first_at", "last_at", "period") if name in table for column in table[name]]
        extra = numbers_in(" ".join(f"{moment.day} {moment.year}" for moment in times))
    elif say is tk.sentences.server_activity:
        n_events = table[["n_incident", "n_tasks", "n_playbook"]].to_numpy().sum()
        extra = {
            f"{n_events:,}",
            str(table["server_id"].nunique()),
            *numbers_in(" ".join(f"{d.day} {d.year}" for d in table["date"])),
        }
    else:
        extra = set()
    assert numbers_in(plain) <= numbers_of(table) | extra, text
    assert "nan" not in text.lower().split(), text
    assert "None" not in text, text
    supported(say, table, text)
    return text


def supported(say, table, text):
    """See that a superlative or a comparison has the interval that it needs."""
    if "stop most often before" in text:
        steps = table.dropna(subset=["step_estimate"]).sort_values("step_estimate")
        assert (steps["step_upper"].iloc[0] < steps["step_lower"].iloc[1:]).all(), text
    if "holds incidents longest" in text:
        medians = table.sort_values("median_s")
        assert (medians["median_lower_s"].iloc[-1] > medians["median_upper_s"].iloc[:-1]).all(), text
    if "Most tasks are" in text:
        assert table["lower"].max() > 0.5, text
    if "largest share" in text:
        shares = table.sort_values("estimate")
        assert (shares["lower"].iloc[-1] > shares["upper"].iloc[:-1]).all(), text
    if "complete more tasks than" in text:
        assert (table["lower"] > 0).all() or (table["upper"] < 0).all(), text
    if re.search(r"Playbooks (grow|shrink)", text):
        first = table[table["update"] == 1].iloc[0]
        assert first["lower"] > 0 or first["upper"] < 0, text


@pytest.mark.slow
@pytest.mark.parametrize("era", ["prev", "oct2020", "later"])
def test_every_sentence_about_a_recording_stands_in_its_table(era, recordings):
    log = tk.load_events(recordings / "batch-bodies" / f"{era}.jsonl.gz")
    for say, table in tables_of(log):
        hold(say, table)


@pytest.mark.slow
@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 10_000),
    n_events=st.sampled_from([1, 30, 400]),
    era=st.sampled_from(["prev", "oct2020", "later"]),
)
def test_every_sentence_about_simulated_events_stands_in_its_table(seed, n_events, era, tmp_path):
    path = tmp_path / "events.jsonl"
    write_simulation(path, n_events=n_events, seed=seed, era=era, container="batch-bodies")
    log = tk.load_events(path)
    for say, table in tables_of(log):
        hold(say, table)


def test_every_sentence_about_the_empty_log_says_that_there_is_nothing(oct2020):
    log = tk.EventLog(
        incident=oct2020.incident.head(0), tasks=oct2020.tasks.head(0), playbook=oct2020.playbook.head(0),
        cutoff=oct2020.cutoff, quarantine=oct2020.quarantine, audit=oct2020.audit, seen=oct2020.seen,
    )  # fmt: skip
    for say, table in tables_of(log):
        assert say(table).startswith("No "), say.__name__


def test_one_server_has_no_interval_and_the_sentence_says_so(oct2020):
    server = oct2020.tasks["server_id"].iloc[0]
    one = oct2020.filter(servers=[server])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no interval: it is said once in a process
        said = tk.sentences.commander_vs_assignee(tk.commander_vs_assignee(one.tasks))
    assert "no interval: servers too few, or all alike" in said
    assert said.startswith("It is not enough to tell")


def test_a_table_without_its_columns_is_named():
    with pytest.raises(ParameterError, match="median_s"):
        tk.sentences.time_to_end(pd.DataFrame({"n_incidents": [1]}))


def test_a_step_whose_interval_lies_apart_is_named():
    table = pd.DataFrame(
        {
            "stage": [0, 1, 2], "n_eligible": [90, 90, 90], "n_reached": [90, 85, 30], "n_open": [0, 1, 2],
            "n_servers": [9, 9, 9], "estimate": [1.0, 0.94, 0.33], "lower": [0.9, 0.8, 0.2], "upper": [1.0, 0.99, 0.5],
            "step_estimate": [None, 0.944, 0.353], "step_lower": [None, 0.8, 0.2], "step_upper": [None, 0.99, 0.5],
            "n_before": [None, 90, 85],
        }
    )  # fmt: skip
    said = tk.sentences.stage_funnel(table)
    assert said.startswith("**Incidents stop most often before stage 2**: of the 85 incidents")
    table.loc[1, "step_lower"] = 0.4
    assert "not enough to tell where most stop" in tk.sentences.stage_funnel(table)


# What changed, and what varies ---------------------------------------------------------------------------------------


def compared(**columns):
    """Return a comparison of one stage, of which some columns are as given."""
    row = {
        "group_a": "2020-11-01", "group_b": "2020-12-01", "stage": 1, "n_a": 40, "n_b": 60, "estimate_a": 0.5,
        "estimate_b": 0.7, "difference": 0.2, "lower": 0.1, "upper": 0.3, "p_adjusted": 0.001, "detectable": 0.15,
    }  # fmt: skip
    return pd.DataFrame([row | columns])


def test_a_change_is_claimed_only_where_its_adjusted_p_value_is_small():
    said = tk.sentences.changed(compared(), things="incidents")
    assert said.startswith("**From Nov 2020 to Dec 2020, 1 of 1 comparison of incidents changed.**")
    said = tk.sentences.changed(compared(p_adjusted=0.2, lower=-0.1), things="incidents")
    assert said.startswith("It is not enough to tell whether anything changed from Nov 2020 to Dec 2020: chance alone")
    assert said.endswith("A true difference of 15 points would be found four times out of five.")
    said = tk.sentences.changed(compared(p_adjusted=0.9, detectable=1.21), things="incidents")
    assert said.endswith("No true difference, however large, would be found four times out of five.")
    said = tk.sentences.changed(compared(p_adjusted=None, lower=None, upper=None, detectable=None), things="incidents")
    assert "there is no interval (servers too few, or all alike)" in said
    assert "no interval: servers too few, or all alike" in said


def test_times_and_sizes_are_told_in_their_units():
    time = {"measure": "restricted_mean_s", "at_s": 86400.0, "estimate_a": 7200.0, "estimate_b": 3600.0}
    said = tk.sentences.changed(
        compared(**time, stage=None, difference=-3600.0, lower=-5400.0, upper=-1800.0), things="incidents"
    )
    assert (
        "mean time, up to 1 d: 2 h of 40, then 1 h of 60, a difference of −1 h (−1 h 30 min to −30 min)" in said.lower()
    )
    size = {"measure": "total_checklist_items", "comparison": ["difference_of_medians", "probability_of_superiority"]}
    table = pd.concat([compared(stage=None)] * 2, ignore_index=True).assign(
        **size, estimate_a=22.0, estimate_b=19.5, difference=-2.5, lower=-4.0, upper=-1.0
    )
    said = tk.sentences.changed(table, things="playbooks")
    assert "1 of 1 comparison of playbooks changed" in said
    assert "median number of tasks: 22 of 40, then 19.5 of 60, a difference of −2.5 (−4 to −1)" in said.lower()


def test_weeks_are_called_weeks_and_versions_are_no_days():
    weeks = {
        f"2021-03-{day}": (pd.Timestamp(f"2021-03-{day}", tz="UTC"), pd.Timestamp(f"2021-03-{day + 7}", tz="UTC"))
        for day in (15, 22)
    }
    table = compared(group_a="2021-03-15", group_b="2021-03-22", p_adjusted=0.2)
    said = tk.sentences.changed(table, things="incidents", latest=weeks)
    assert "whether anything changed from the week of 15 Mar 2021 to the week of 22 Mar 2021: " in said
    versions = compared(group_a="1.1.0", group_b="1.2.1", p_adjusted=0.2)
    assert "from 1.1.0 to 1.2.1: " in tk.sentences.changed(versions, things="incidents")


def test_where_no_incident_stops_none_is_said_to():
    row = {"n_eligible": 25, "n_reached": 25, "n_open": 0, "n_servers": 7, "estimate": 1.0, "lower": 0.6, "upper": 1.0}
    table = pd.DataFrame([row | {"stage": n, "step_estimate": 1.0 if n else None} for n in range(3)])
    said = tk.sentences.stage_funnel(table)
    assert said.startswith("Of 25 incidents on 7 servers with more than one stage, none stopped before the last")
    assert "did not reach" not in said


def test_visits_to_a_status_are_not_called_visits_to_a_stage():
    limits = {"median_lower_s": 10.0, "median_upper_s": 90_000.0}
    rows = [
        {"stage": n, "status": s, "n_visits": 9, "n_censored": 1, "n_servers": 3, "median_s": 600.0 * (n + 1), **limits}
        for n, s in enumerate(("Reported", "Active"))
    ]
    title = tk.sentences.stage_dwell(pd.DataFrame(rows)).partition("\n\n")[0]
    assert title.endswith("10 min (Reported) to 20 min (Active); it is not enough to tell which status holds longest.")


def test_two_groups_of_which_none_differs_are_told_plainly():
    names = {"things": "incidents", "names": ("private", "public")}
    said = tk.sentences.compared_shares(compared(p_adjusted=0.2), **names)
    assert said.startswith("It is not enough to tell whether private and public incidents differ: chance alone may")
    assert "50 % of 40 against 70 % of 60" in said
    assert "exclude no difference" not in said


def test_without_two_periods_there_is_nothing_to_say(oct2020):
    assert tk.sentences.changed(compared().head(0), things="incidents").startswith("There are no two periods")
    assert tk.sentences.periods_compared(tk.list_periods(oct2020, "Q"), tk.latest_periods(oct2020, "Q")) == ""


def test_the_servers_out_of_the_ordinary_are_named_and_the_rest_counted():
    table = pd.DataFrame(
        {
            "server_id": list("abcdefgh"), "n": 40, "estimate": 0.9, "overall": 0.5,
            "p_adjusted": [0.01 * n for n in range(8)], "is_signal": [True] * 7 + [False],
        }
    )  # fmt: skip
    said = tk.sentences.server_deviation(table, things="completions")
    assert said.startswith(
        "**7 of 8 servers are out of the ordinary**: a (90 % of 40 completions, against 50 % of all)"
    )
    assert said.endswith("e (90 % of 40 completions) and 2 more.")
    few = tk.sentences.server_deviation(table.assign(is_signal=None), things="completions")
    assert few.startswith("It is not enough to tell")
    none = tk.sentences.server_deviation(table.assign(is_signal=False), things="completions")
    assert none.startswith("None of 8 servers differs")


def test_servers_that_lapsed_and_are_on_are_told():
    row = {"period": pd.Timestamp("2020-11-09"), "n_new": 0, "n_retained": 7, "n_returned": 1, "n_active": 8}
    table = pd.DataFrame([row | {"n_lapsed": 3, "n_unused": 2, "is_complete": True}])
    said = tk.sentences.server_lifecycle(table)
    assert said.endswith("3 lapsed, of which 2 sent events of other types: on, and not used.")
    assert tk.sentences.server_lifecycle(table.assign(is_complete=False)).startswith("No period was recorded")


def test_a_series_without_limits_has_not_stayed_within_them():
    table = pd.DataFrame(
        {"period": [pd.Timestamp("2020-10-12")], "is_beyond": [None], "is_run_signal": [None], "changed_at": [None]}
    )
    said = tk.sentences.process_chart(table, what="the number of incidents started")
    assert said.startswith("It is not enough to tell whether the number of incidents started moved: 1 complete period")


def test_the_parts_of_a_change_add_up_in_the_sentence(oct2020):
    parts = tk.decompose_difference(oct2020.tasks, of="commander", between="plugin_version")
    said = tk.sentences.decomposition(parts)
    told = [float(n.replace("−", "-")) for n in re.findall(r"([+−]?[\d.]+) (?:come from|from)", said)]
    whole = float(re.search(r"Of these ([+−]?[\d.]+) points", said)[1].replace("−", "-"))
    assert len(told) == 4
    assert sum(told) == pytest.approx(whole, abs=0.2)
    assert tk.sentences.decomposition(parts.head(0)).startswith("No share")


@pytest.mark.parametrize(
    ("columns", "beginning"),
    [
        ({}, "In 2 complete periods, the number of incidents did not move"),
        ({"is_beyond": [True, False]}, "1 of 2 complete periods was beyond the ordinary variation"),
        ({"is_run_signal": [True, True]}, "The number of incidents stayed on one side"),
        ({"changed_at": pd.Timestamp("2020-11-09", tz="UTC")}, "**The number of incidents changed for good**, most"),
    ],
)
def test_a_series_is_said_to_have_changed_where_its_chart_has_a_signal(columns, beginning):
    quiet = {"period": pd.to_datetime(["2020-11-02", "2020-11-09"], utc=True), "is_beyond": False}
    table = pd.DataFrame({**quiet, "is_run_signal": False, "changed_at": pd.NaT, **columns})
    assert tk.sentences.process_chart(table, what="the number of incidents").startswith(beginning)
    assert tk.sentences.process_chart(table.head(0), what="it") == "No complete period tells of it."


def test_few_quiet_weeks_are_not_taken_for_stability():
    weeks = pd.DataFrame({"period": pd.date_range("2020-10-05", periods=12, freq="7D", tz="UTC")})
    quiet = weeks.assign(is_beyond=False, is_run_signal=False, changed_at=pd.NaT)
    few = "So few periods show large changes only."
    assert few not in tk.sentences.process_chart(quiet, what="it")
    assert few in tk.sentences.process_chart(quiet.head(9), what="it")


def test_no_table_of_statuses_is_spoken_of_as_one_of_stages(recordings):
    log = tk.load_events(recordings / "batch-bodies" / "later.jsonl.gz")
    statuses = tk.status_visits(log.incident, cutoff=log.cutoff)
    for visits in (statuses, statuses.head(0)):
        said = [
            tk.sentences.stage_dwell(tk.stage_dwell(visits)),
            tk.sentences.stage_transitions(tk.stage_transitions(visits)),
        ]
        assert not [text for text in said if "stage" in text]


def test_a_number_that_turns_over_is_named():
    table = pd.DataFrame(
        {
            "number": ["incidents that ended", "tasks"], "turns_over": [True, None], "largest_server": "S01",
            "n_servers_with_gaps": 2,
        }
    )  # fmt: skip
    said = tk.sentences.firmness(table)
    assert said.startswith("**1 of 1 headline number turns over** without the largest server, S01, without 2 servers")
    assert said.endswith("Incidents that ended.")
    assert tk.sentences.firmness(table.tail(1)).startswith("No headline number")


def test_a_recording_across_a_change_of_era_says_which_versions_tell_what(recordings):
    log = tk.load_events([recordings / "batch-bodies" / f"{era}.jsonl.gz" for era in ("prev", "later")])
    said = tk.sentences.recording_eras(tk.recording_eras(log))
    assert said.startswith("3 versions of the plugin sent these events, 0.7.0, 1.0.0 and 1.5.1, from 17 Oct 2020 to ")
    assert "how far incidents get in their stages (0.7.0 and 1.0.0)" in said
    assert "which status incidents have (1.5.1)" in said


def test_of_incidents_with_a_status_it_is_said_so(recordings):
    log = tk.load_events(recordings / "batch-bodies" / "later.jsonl.gz")
    last = tk.last_stage_reached(tk.status_visits(log.incident, cutoff=log.cutoff))
    assert "of the incidents with a status are resolved" in tk.sentences.last_stage(last, of="statuses")
    assert (
        tk.sentences.last_stage(last.head(0), of="statuses") == "No incident with a status was recorded from its start."
    )


def test_stages_that_hold_as_long_are_both_named():
    row = {"n_visits": 6, "n_censored": 0, "n_servers": 6, "median_s": 60.0, "median_lower_s": 30.0}
    said = tk.sentences.stage_dwell(pd.DataFrame([row | {"stage": stage, "median_upper_s": 90.0} for stage in (0, 1)]))
    assert said.startswith("Half of the visits to stage 0 and stage 1 are over within 1 min; it is not enough to tell")


@pytest.mark.parametrize(
    ("n_open", "told"), [(0, None), (1, "1 of the others was open"), (6, "6 of the others were open")]
)
def test_open_incidents_are_among_those_that_did_not_come_so_far(n_open, told):
    row = {
        "n_incidents": 8,
        "n_reached": 2,
        "n_open": n_open,
        "n_servers": 3,
        "estimate": 0.25,
        "lower": 0.1,
        "upper": 0.6,
    }
    said = tk.sentences.last_stage(pd.DataFrame([row]))
    assert (told in said) if told else ("open" not in said)


def test_every_interval_on_few_servers_says_so():
    tasks = pd.DataFrame({
        "n_completed": [9], "n_clusters": [2], "commander": [0.9], "assignee": [0.1], "difference": [0.8],
        "lower": [0.2], "upper": [1.0], "df": [1.0],
    })  # fmt: skip
    sizes = pd.DataFrame({
        "measure": ["num_checklists"], "n": [9], "n_servers": [2], "median": [4.0], "median_lower": [4.0],
        "median_upper": [6.0], "p05": [1.0], "p95": [9.0], "df": [1.0],
    })  # fmt: skip
    growth = pd.DataFrame({
        "measure": ["num_checklists"], "update": [1], "n": [9], "n_servers": [2], "mean_change": [1.0], "lower": [0.5],
        "upper": [1.5], "df": [1.0],
    })  # fmt: skip
    for said in (
        tk.sentences.commander_vs_assignee(tasks),
        tk.sentences.playbook_sizes(sizes),
        tk.sentences.playbook_growth(growth),
    ):
        assert "few servers, weak ground" in said
