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
    return {found.rstrip(",") for found in NUMBER.findall(text)}


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
    for staged in (visits, statuses):
        yield tk.sentences.stage_funnel, tk.stage_funnel(staged)
        yield tk.sentences.last_stage, tk.last_stage_reached(staged)
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


@pytest.mark.parametrize("era", ["prev", "oct2020", "later"])
def test_every_sentence_about_a_recording_stands_in_its_table(era, recordings):
    log = tk.load_events(recordings / "batch-bodies" / f"{era}.jsonl.gz")
    for say, table in tables_of(log):
        hold(say, table)


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
    assert "no interval: too few servers" in said
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
