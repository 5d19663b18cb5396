"""The model and its truth: what was asked for is what happens."""

import datetime as dt
import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from telemetry_kit.errors import ParameterError, SourceError
from telemetry_kit.simulate import (
    Effect,
    Faults,
    Parameters,
    arrival,
    parse_faults,
    read_truth,
    simulate_log,
    write_simulation,
)

ALIKE = Parameters(dwell_sigma=0, server_dwell_sigma=0, median_dwell_s=1800, clock_error_s=0, pause_share=0)


@pytest.fixture(scope="module")
def log():
    return simulate_log(n_events=20_000, seed=2)


def test_so_many_events_are_exactly_so_many():
    for n in (1, 999):
        log = simulate_log(n_events=n, seed=1)
        assert len(log.incident) + len(log.tasks) + len(log.playbook) == n == log.audit["n_read"].sum()


def test_so_many_servers_are_exactly_so_many_for_so_many_days():
    start = dt.datetime(2021, 5, 1)  # noqa: DTZ001 - without a zone it is in UTC
    log = simulate_log(Parameters(start=start, days=10, clock_error_s=0), n_servers=7, seed=1)
    assert len(log.servers) == 7
    assert set(log.records["server_id"]) <= set(log.servers["server_id"])
    times = log.records["event_timestamp"]
    assert times.min() >= pd.Timestamp("2021-05-01", tz="UTC")
    assert times.max() < pd.Timestamp("2021-05-11", tz="UTC")


def test_a_log_in_which_nothing_happens_is_empty():
    quiet = Parameters(days=1, incidents_per_week=0.001, playbooks_per_server=0)
    log = simulate_log(quiet, n_servers=1, seed=1)
    assert len(log.records) == len(log.visits) == len(log.incident) == 0
    assert pd.isna(log.cutoff)
    assert log.audit["n_read"].tolist() == [0]


@pytest.mark.parametrize("era", ["prev", "oct2020", "later", "change"])
@pytest.mark.parametrize("name", ["run", "run.jsonl", "run.csv"])
def test_where_nothing_arrives_the_audit_counts_nothing(tmp_path, name, era):
    audit = write_simulation(tmp_path / name, n_events=5, seed=1, era=era, faults=Faults(lost=1))
    assert len(audit) == (1 if "." in name else 0)
    assert set(audit.drop(columns="source").dtypes) == {np.dtype("int64")}
    assert audit.sum(numeric_only=True).eq(0).all()
    pd.testing.assert_frame_equal(read_truth(tmp_path / "run.truth").audit, audit)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        for suffix in ("jsonl", "jsonl.gz", "jsonl.zst"):
            path = tmp_path / name / suffix / f"events.{suffix}"
            write_simulation(path, n_events=300, seed=seed, faults=Faults(repeated=0.1))
    plain = {name: (tmp_path / name / "jsonl" / "events.jsonl").read_bytes() for name in "abc"}
    assert plain["a"] == plain["b"] != plain["c"]
    for suffix in ("jsonl.gz", "jsonl.zst"):
        packed = [(tmp_path / name / suffix / f"events.{suffix}").read_bytes() for name in "ab"]
        assert packed[0] == packed[1]
    assert gzip.decompress((tmp_path / "a" / "jsonl.gz" / "events.jsonl.gz").read_bytes()) == plain["a"]
    with pa.input_stream(tmp_path / "a" / "jsonl.zst" / "events.jsonl.zst", compression="zstd") as file:
        assert file.read() == plain["a"]


@pytest.mark.slow
def test_chunks_do_not_show(tmp_path, monkeypatch):
    faults = Faults(repeated=0.1, late=0.1, lost=0.05, damaged=0.05)
    for container in ("object-storage", "batch-bodies"):
        whole, pieces = tmp_path / f"whole-{container}.jsonl", tmp_path / f"pieces-{container}.jsonl"
        write_simulation(whole, n_events=5000, seed=3, container=container, faults=faults)
        with monkeypatch.context() as patched:
            patched.setattr(arrival, "ROWS_PER_CHUNK", 700)
            write_simulation(pieces, n_events=5000, seed=3, container=container, faults=faults)
        assert whole.read_bytes() == pieces.read_bytes()


def test_dwell_times_are_those_of_the_parameters():
    log = simulate_log(ALIKE, n_servers=20, seed=5)
    whole = log.visits[~log.visits["is_censored"] & ~log.visits["is_left_truncated"]]
    assert len(whole) > 500
    # Nobody clicks twice in a second: an event that would come in the same second as another comes a little later.
    assert whole["dwell_s"].between(1795, 1805).mean() > 0.95
    assert whole["dwell_s"].median() == pytest.approx(1800, abs=0.01)


def test_shares_of_moves_are_those_of_the_parameters():
    log = simulate_log(Parameters(back_share=0.2, early_end_share=0.3, skip_share=0), n_servers=60, seed=5)
    inner = log.visits[(log.visits["stage"] > 0) & (log.visits["stage"] < log.visits["num_stages"] - 1)]
    shares = inner.loc[~inner["is_censored"], "exit"].value_counts(normalize=True)
    assert len(inner) > 700
    assert shares["returned"] == pytest.approx(0.2, abs=0.05)
    assert shares["ended"] == pytest.approx(0.3, abs=0.05)


def test_incidents_that_go_back_and_forth_for_ever_are_left_alone():
    restless = Parameters(
        back_share=1, skip_share=0, early_end_share=0, median_dwell_s=0.001, days=7, pause_share=0, no_playbook_share=0
    )
    log = simulate_log(restless, n_servers=10, seed=5)
    n_visits = log.visits.groupby("incident_id").size()
    assert n_visits.max() == 501
    assert not (log.incident["action"] == "end").groupby(log.incident["incident_id"]).any()[n_visits.idxmax()]


def test_completers_have_the_shares_of_their_server():
    shares = (0.5, 0.2, 0.1, 0.2)
    alike = Parameters(completer_shares=shares, completer_concentration=1e6)
    log = simulate_log(alike, n_servers=30, seed=6)
    found = log.completions["completer"].value_counts(normalize=True)
    assert len(log.completions) > 2000
    for name, share in zip(("commander", "assignee", "both", "neither"), shares, strict=True):
        assert found[name] == pytest.approx(share, abs=0.03)


def test_servers_differ_in_who_completes_tasks(log):
    by_server = log.completions.groupby("server_id")["completer"]
    commander = by_server.apply(lambda column: (column == "commander").mean())[by_server.size() > 50]
    assert commander.std() > 3 * np.sqrt(0.25 / by_server.size()[commander.index].mean())
    expected = log.servers.set_index("server_id")["share_commander"][commander.index]
    assert np.corrcoef(commander, expected)[0, 1] > 0.9


@pytest.mark.parametrize("between", ["servers", "versions", "dates"])
def test_an_effect_is_where_it_should_be(between):
    effect = Effect(between, dwell_factor=0.25, commander_shift=0.3)
    parameters = Parameters(
        dwell_sigma=0, server_dwell_sigma=0, pause_share=0, completer_concentration=1e6, clock_error_s=0, effect=effect
    )
    log = simulate_log(parameters, n_servers=60, seed=7)
    middle = pd.Timestamp("2020-10-01", tz="UTC") + pd.Timedelta(days=91) / 2
    groups = {"servers": log.servers.set_index("server_id")["in_group"], "versions": None, "dates": None}

    def affected(frame, moment):
        if between == "versions":
            return frame["plugin_version"] == "1.1.0"
        if between == "dates":
            return frame[moment] >= middle
        return frame["server_id"].map(groups["servers"])

    first = log.visits[log.visits["from_start"] & (log.visits["visit"] == 0) & ~log.visits["is_censored"]]
    medians = first.groupby(affected(first, "entered_at"))["dwell_s"].median()
    assert medians[False] == pytest.approx(7200, abs=5)
    assert medians[True] == pytest.approx(1800, abs=5)
    changes = log.completions
    shares = (changes["completer"] == "commander").groupby(affected(changes, "event_timestamp")).mean()
    assert shares[False] == pytest.approx(0.44, abs=0.03)
    assert shares[True] == pytest.approx(0.74, abs=0.03)


def test_who_completes_a_task_is_the_commander_exactly_where_the_event_says_so(log):
    incidents = log.incident[["incident_id", "event_timestamp", "commander_user_id"]]
    changes = log.tasks.dropna(subset=["was_commander"])
    known = pd.merge_asof(changes, incidents, on="event_timestamp", by="incident_id").dropna(
        subset=["commander_user_id"]
    )
    assert len(known) > 5000
    is_commander = known["user_actual_id"] == known["commander_user_id"]
    # Two nodes of a server disagree by some milliseconds about what came first.
    assert (is_commander == known["was_commander"]).mean() > 0.999


def test_incidents_count_their_tasks(log):
    created = set(log.incident.loc[log.incident["action"] == "create", "incident_id"])
    ends = log.incident.groupby("incident_id").agg(
        begun=("total_checklist_items", "first"),
        left=("total_checklist_items", "last"),
        until=("event_timestamp", "last"),
    )
    tasks = log.tasks.merge(ends, left_on="incident_id", right_index=True)
    tasks = tasks[tasks["event_timestamp"] <= tasks["until"]]
    step = tasks["action"].map({"add_task": 1, "remove_task": -1}).fillna(0).astype(int)
    expected = ends["begun"] + step.groupby(tasks["incident_id"]).sum().reindex(ends.index, fill_value=0)
    whole = ends.index.isin(created)
    assert whole.sum() > 300
    assert (expected[whole] == ends["left"][whole]).mean() > 0.99
    assert (ends["left"] >= 0).all()


def test_nothing_comes_from_a_server_while_it_pauses():
    log = simulate_log(Parameters(pause_share=1), n_servers=10, seed=8)
    records = log.records.merge(log.servers, on="server_id")
    within = records["event_timestamp"].between(records["paused_from"], records["paused_until"])
    assert (within == (records["fate"] == "paused")).mean() > 0.999
    assert within.sum() > 100
    assert len(log.actual_visits) > len(log.visits)


def test_faults_befall_about_the_share_that_was_asked_for():
    shares = {"repeated": 0.1, "lost": 0.2, "damaged": 0.15, "unknown_type": 0.05, "unknown_property": 0.25}
    records = simulate_log(n_events=20_000, seed=9, faults=Faults(**shares)).records
    first = records[records["copy"] == 0]
    fates = first["fate"].value_counts() / 20_000
    assert fates["lost"] == pytest.approx(0.2 * 1.05, abs=0.02)
    assert first["is_unlisted"].mean() == pytest.approx(0.25, abs=0.02)
    assert (records["fate"] == "duplicate").sum() / 20_000 == pytest.approx(0.1 * 0.8 * 1.12, abs=0.03)
    assert (fates["other"] + 0) == pytest.approx(0.05 * 0.8, abs=0.015)
    event_faults = first.loc[first["damage"].notna() & ~first["is_line_damaged"]]
    assert len(event_faults) / 20_000 == pytest.approx(0.15 * 0.7 * 0.65, abs=0.03)
    assert first["damage"].nunique() == 20


def test_late_bodies_arrive_days_later_and_others_overtake_them():
    clean = simulate_log(n_events=3000, seed=3).records
    late = simulate_log(n_events=3000, seed=3, faults=Faults(late=0.1)).records
    assert set(clean["event_id"]) == set(late["event_id"])
    behind = clean["event_timestamp"].cummax() - clean["event_timestamp"]
    assert behind.max() < pd.Timedelta(seconds=10)
    behind = late["event_timestamp"].cummax() - late["event_timestamp"]
    assert (behind > pd.Timedelta(hours=1)).mean() == pytest.approx(0.1, abs=0.03)
    assert pd.Timedelta(days=1) < behind.max() < pd.Timedelta(days=5)


def test_the_truth_is_read_as_it_was_asked_for(tmp_path):
    parameters = Parameters(start=dt.datetime(2020, 3, 1, tzinfo=dt.UTC), effect=Effect("dates", dwell_factor=2))
    faults = Faults(lost=0.1)
    audit = write_simulation(
        tmp_path / "e.jsonl", parameters, n_events=50, seed=3, era="prev", container="batch-bodies", faults=faults
    )
    truth = read_truth(tmp_path / "e.truth")
    assert (truth.plan.parameters, truth.plan.faults) == (parameters, faults)
    assert (truth.plan.n_events, truth.plan.n_servers, truth.plan.seed) == (50, None, 3)
    assert (truth.plan.era, truth.plan.container) == ("prev", "batch-bodies")
    pd.testing.assert_frame_equal(truth.audit, audit)
    with pytest.raises(SourceError, match=r"no truth of a simulation here \(truth\.json is missing\)"):
        read_truth(tmp_path)


@pytest.mark.parametrize("name", ["own", "own.jsonl"])
@pytest.mark.parametrize("file", ["truth.json", "notes.txt", "visits.parquet"])
def test_files_that_no_simulation_wrote_stay_in_the_folder_of_the_truth(tmp_path, name, file):
    notes = tmp_path / "own.truth" / file
    notes.parent.mkdir()
    notes.write_text('{"my": "notes"}')
    with pytest.raises(ParameterError, match=f"a name of its own: 'own.truth' holds '{file}', which is of no simulat"):
        write_simulation(tmp_path / name, n_events=5, seed=1)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["own.truth", f"own.truth/{file}"]
    assert notes.read_text() == '{"my": "notes"}'


def test_a_file_beside_a_truth_stays(tmp_path):
    write_simulation(tmp_path / "run.jsonl", n_events=5, seed=1)
    (tmp_path / "run.truth" / "notes.txt").write_text("mine")
    with pytest.raises(ParameterError, match=r"'run\.truth' holds 'notes\.txt'"):
        write_simulation(tmp_path / "run.jsonl", n_events=6, seed=1)
    assert read_truth(tmp_path / "run.truth").plan.n_events == 5


@pytest.mark.parametrize("faults", [Faults(), Faults(lost=1)])
@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("run.jsonl", "run.jsonl.gz", "'run.jsonl'"),
        ("run.jsonl", "run", "'run.jsonl'"),
        ("run", "run.csv", "the folder 'run'"),
        ("run.one.jsonl", "run.two.jsonl", "'run.one.jsonl'"),
    ],
)
def test_the_truth_of_another_simulation_is_not_replaced(tmp_path, first, second, told, faults):
    write_simulation(tmp_path / first, n_events=5, seed=1, faults=faults)
    with pytest.raises(ParameterError) as caught:
        write_simulation(tmp_path / second, n_events=6, seed=1)
    assert str(caught.value).endswith(f"expected a name of its own: 'run.truth' holds the truth of {told}")
    assert not (tmp_path / second).exists()
    assert read_truth(tmp_path / "run.truth").plan.n_events == 5


def test_one_truth_serves_the_same_simulation_in_other_files_and_one_whose_file_is_gone(tmp_path):
    for name in ("run.jsonl", "run.jsonl.gz", "run", "run.csv"):
        write_simulation(tmp_path / name, n_events=5, seed=1)
    for name in ("run.jsonl", "run.jsonl.gz", "run.csv"):
        (tmp_path / name).unlink()
    write_simulation(tmp_path / "run.zst", n_events=6, seed=1)
    assert read_truth(tmp_path / "run.truth").plan.n_events == 6


@pytest.mark.parametrize("name", ["run", "run.jsonl", ".run", ".run.jsonl.gz"])
def test_an_earlier_simulation_of_the_same_name_is_replaced(tmp_path, name):
    write_simulation(tmp_path / name, n_events=5, seed=1, faults=Faults(lost=1))
    write_simulation(tmp_path / name, n_events=5, seed=1)
    audit = write_simulation(tmp_path / name, n_events=6, seed=1)
    assert audit["n_read"].sum() == 6
    stem = ".run" if name.startswith(".") else "run"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, f"{stem}.truth"])
    assert read_truth(tmp_path / f"{stem}.truth").plan.n_events == 6


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Parameters(days=0), "days: got 0, expected a number from 0.001 to 3653"),
        (lambda: Parameters(back_share=1.5), "back_share: got 1.5, expected a number from 0 to 1"),
        (lambda: Parameters(dwell_sigma=float("nan")), "dwell_sigma: got nan, expected a number from 0 to 1e+09"),
        (
            lambda: Parameters(back_share=0.5, skip_share=0.5, early_end_share=0.5),
            "back_share + skip_share + early_end_share: got 1.5, expected at most 1",
        ),
        (
            lambda: Parameters(restart_share=0.5, closed_move_share=0.5),
            "restart_share + closed_move_share: got 1.0, expected less than 1",
        ),
        (
            lambda: Parameters(completer_shares=(0.5, 0.5, 0.5, 0.5)),
            "completer_shares: got (0.5, 0.5, 0.5, 0.5), expected four shares above 0 that add up to 1",
        ),
        (lambda: Effect("weeks"), "between: got 'weeks', expected one of 'servers', 'versions', 'dates'"),
        (lambda: Faults(lost=2), "lost: got 2, expected a number from 0 to 1"),
        (
            lambda: parse_faults(["gone=0.1"]),
            "faults: got 'gone=0.1', expected NAME=SHARE with one of repeated, lost, late, out_of_order, damaged",
        ),
        (
            lambda: parse_faults(["lost=some"]),
            "faults: got 'lost=some', expected NAME=SHARE with a share between 0 and 1",
        ),
        (simulate_log, "n_events, n_servers: got (None, None), expected exactly one of the two"),
        (lambda: simulate_log(n_events=1, n_servers=1), "n_events, n_servers: got (1, 1), expected exactly one"),
        (lambda: simulate_log(n_events=0), "n_events: got 0, expected a whole number of at least 1"),
        (lambda: simulate_log(n_events=1, seed=-1), "seed: got -1, expected a whole number of at least 0"),
        (
            lambda: Parameters(start=dt.datetime(2019, 1, 9)),  # noqa: DTZ001 - UTC without saying
            "start: got '2019-01-09 00:00:00', expected a time from 2019-02-01 on",
        ),
        (
            lambda: simulate_log(n_events=1, parameters=Parameters(start=dt.datetime(2100, 1, 1, tzinfo=dt.UTC))),
            "start + days: got ('2100-01-01 00:00:00+00:00', 91), expected an end that has passed",
        ),
        (lambda: Parameters(clock_error_s=1e6), "clock_error_s: got 1000000.0, expected a number from 0 to 3600"),
        (
            lambda: simulate_log(n_events=1, era="2020"),
            "era: got '2020', expected one of 'prev', 'oct2020', 'later', 'change'",
        ),
        (
            lambda: write_simulation("e.json", n_events=1, container="csv"),
            "container: got 'csv', expected one of 'object-storage', 'batch-bodies', 'published'",
        ),
        (lambda: write_simulation(None, n_events=1), "path: got None, expected the name of a file or folder"),
        (lambda: write_simulation("..", n_events=1), "path: got '..', expected the name of a file or folder"),
        (
            lambda: write_simulation("events", n_events=1, container="published"),
            "path: got 'events', expected a file name with a suffix such as .jsonl for published",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_its_value_and_what_was_expected(make, message):
    with pytest.raises(ParameterError) as caught:
        make()
    assert str(caught.value).startswith(message)
