"""The mistakes that a person makes, in every public function: each is told with its parameter and what comes next."""

import inspect

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import MissingColumnError, TelemetryKitError
from telemetry_kit.reports import write_report

FUNCTIONS = {name: getattr(tk, name) for name in sorted(tk.__all__) if inspect.isfunction(getattr(tk, name))}
PARAMETERS = {name: inspect.signature(function).parameters for name, function in FUNCTIONS.items()}
# What is passed where a frame of some kind is needed, and a frame of another kind that a hurried person passes.
KINDS = {
    "incidents": "visits",
    "tasks": "visits",
    "playbooks": "snapshot",
    "visits": "incidents",
    "durations": "visits",
    "snapshot": "playbooks",
}
# Any frame with the columns it is about will do there.
ANY_INCIDENTS = {
    ("filter_incidents", "incidents"),
    ("completion_times", "incidents"),
    ("time_to_completion", "incidents"),
}
NEEDED = {"cutoff": "2020-12-01T00:00:00Z", "as_of": "2020-12-01T00:00:00Z", "between": "plugin_version"}
WRONG_VALUES = {
    "by": ["plugin_verson", 3, ["server_id", "server_id"]],
    "between": ["plugin_verson", ["plugin_version"], {"plugin_version": 1}, 3],
    "measure": ["total_checklist_item"],
    "cluster": ["server", ["server_id", "team_id"], {"server_id": 1}, None],
    "groups": [True, {True, False}, {"1.0.0": 1, "1.1.0": 2}, "1.0.0", ["1.0.0"], ["1.0.0", "1.0.0"]],
    "freq": ["quarter"],
    "level": [95, 0, "high"],
    "within": ["-4h", "soon", 0],
    "cutoff": ["yesterday", "2020-13-45", object(), pd.NaT],
    "as_of": ["yesterday", "2020-13-45", object(), pd.NaT],
    "since": ["yesterday", "2020-13-45", object(), pd.NaT],
    "component": ["plugin"],
    "version": [None, 1.1],
    "window": [0, 7.5, "7", None, True],
    "workdays": [None, 1, [8]],
    "work_hours": [None, 9, (17, 9)],
    "limit": [-1, "2", True],
    "memory_limit": ["much", 400],
    "directory": [None, 3, b"log"],
    "store": [3, b"log"],
    "on_error": ["ignore"],
}
NEAREST = {"plugin_verson": "plugin_version", "total_checklist_item": "total_checklist_items"}


@pytest.fixture(scope="module")
def frames():
    log = tk.load_events(tk.samples() / "recorded-autumn")
    return {
        "log": log,
        "incidents": log.incident,
        "tasks": log.tasks,
        "playbooks": log.playbook,
        "visits": tk.stage_visits(log.incident, cutoff=log.cutoff),
        "durations": tk.incident_durations(log.incident, cutoff=log.cutoff),
        "snapshot": tk.playbook_snapshot(log.playbook, as_of=log.cutoff),
        "frame": log.tasks,
        "source": tk.samples() / "recorded-autumn",
    }


def call(name, frames, tmp_path, **given):
    """Call a function with what it needs, but for what is given."""
    needed = {p.name for p in PARAMETERS[name].values() if p.default is p.empty and p.kind is not p.VAR_POSITIONAL}
    right = {**frames, **NEEDED, "directory": tmp_path / "store", "version": "1.1.0"}
    if "freq" not in given:  # which stands in its place
        needed |= {"between"} & {*PARAMETERS[name]}
    arguments = {parameter: right[parameter] for parameter in needed - set(given)} | given
    first = [
        arguments.pop(p) for p in PARAMETERS[name] if PARAMETERS[name][p].kind is inspect.Parameter.POSITIONAL_ONLY
    ]
    return FUNCTIONS[name](*first, **arguments)


def can_be_called(name):
    """Tell whether the table knows what a function needs; the others have their mistakes in tests of their own."""
    known = {*KINDS, *NEEDED, "log", "frame", "source", "directory", "version"}
    return all(
        p.name in known or p.default is not p.empty or p.kind is p.VAR_POSITIONAL for p in PARAMETERS[name].values()
    )


CALLED = [name for name in FUNCTIONS if can_be_called(name) and PARAMETERS[name]]


def told(name, frames, tmp_path, parameter, **given):
    """The message of a mistake, of which every one has to be in words and short enough to be read."""
    with pytest.raises(TelemetryKitError) as caught:
        call(name, frames, tmp_path, **given)
    message = str(caught.value)
    assert message.startswith(parameter), message
    assert " object at 0x" not in message
    assert "Implementation." not in message
    return message


@pytest.mark.parametrize(
    ("name", "parameter"), [(name, kind) for name in CALLED for kind in KINDS if kind in PARAMETERS[name]]
)
def test_a_frame_of_another_kind_without_columns_or_none_is_told(frames, tmp_path, name, parameter):
    if (name, parameter) not in ANY_INCIDENTS:
        message = told(name, frames, tmp_path, parameter, **{parameter: frames[KINDS[parameter]]})
        assert "tk." in message, message
    with pytest.raises(MissingColumnError, match=f"^{parameter} has no column"):
        call(name, frames, tmp_path, **{parameter: frames[parameter][["plugin_version"]]})
    told(name, frames, tmp_path, parameter, **{parameter: "events.csv"})
    assert "log." in told(name, frames, tmp_path, parameter, **{parameter: frames["log"]})


@pytest.mark.parametrize(
    ("name", "parameter"), [(name, wrong) for name in CALLED for wrong in WRONG_VALUES if wrong in PARAMETERS[name]]
)
def test_a_value_that_cannot_be_is_told_with_the_nearest_name(frames, tmp_path, name, parameter):
    for value in WRONG_VALUES[parameter]:
        message = told(name, frames, tmp_path, parameter, **{parameter: value})
        assert "expected" in message, message
        near = NEAREST.get(str(value), "")
        assert f"did you mean '{near}'" in message or f"'{near}'" not in message, message


# Another kind of source, and visits that end where their cutoff says.
ELSEWHERE = {"open_warehouse", "stage_occupancy"}


@pytest.mark.parametrize(
    "name", [name for name in CALLED if {"cutoff", "as_of"} & {*PARAMETERS[name]} and name not in ELSEWHERE]
)
def test_a_time_without_a_zone_is_in_utc(frames, tmp_path, name):
    (parameter,) = {"cutoff", "as_of"} & {*PARAMETERS[name]}
    naive, aware = (call(name, frames, tmp_path, **{parameter: f"2020-11-20T00:00:00{zone}"}) for zone in ("", "Z"))
    if isinstance(naive, pd.DataFrame):
        pd.testing.assert_frame_equal(naive, aware)


@pytest.mark.parametrize(
    ("name", "parameter"), [(name, kind) for name in CALLED for kind in KINDS if kind in PARAMETERS[name]]
)
def test_an_empty_frame_has_an_empty_answer(frames, tmp_path, name, parameter):
    call(name, frames, tmp_path, **{parameter: frames[parameter].head(0)})


@pytest.mark.parametrize("name", [name for name in CALLED if "log" in PARAMETERS[name]])
def test_a_frame_in_place_of_a_log_is_told(frames, tmp_path, name):
    told(name, frames, tmp_path, "log", log=frames["tasks"])


@pytest.mark.parametrize("log", [None, {"incident": pd.DataFrame()}])
@pytest.mark.parametrize(
    "summarise",
    [lambda log: tk.list_periods(log, "W"), lambda log: tk.latest_periods(log, "W"), tk.headline_sensitivity],
    ids=["list", "latest", "headlines"],
)
def test_periods_and_headlines_are_those_of_a_whole_log(summarise, log):
    with pytest.raises(
        TelemetryKitError, match=r"^log: got '(NoneType|dict)', expected an EventLog, as tk.load_events"
    ):
        summarise(log)


COLUMNS = ["server_id", "team_id"]


def _visits(log):
    return tk.stage_visits(log.incident, cutoff=log.cutoff)


NAMING = {
    "decompose over": lambda log, name: tk.decompose_difference(log.tasks, of="commander", between="public", over=name),
    "decompose between": lambda log, name: tk.decompose_difference(log.tasks, of="commander", between=name),
    "deviation": lambda log, name: tk.server_deviation(log.tasks, of="commander", cluster=name),
    "groups": lambda log, name: tk.attach_groups(log.tasks, log.tasks, on=name),
    "columns": lambda log, name: tk.attach_groups(log.tasks, log.tasks, columns=[name]),
    "license": lambda log, name: tk.attach_license(log.tasks, log.tasks, at=name),
    "occupancy": lambda log, name: tk.stage_occupancy(_visits(log), cutoff=log.cutoff, cluster=name),
    "exits": lambda log, name: tk.stage_exits(_visits(log), cluster=name),
    "period": lambda log, name: tk.add_period(log.tasks, "W", of=name),
    "folding": lambda log, name: tk.fold_small_groups(log.tasks, name),
    "distinct": lambda log, name: tk.n_distinct(log.tasks, name),
    "pandas": lambda log, name: tk.to_pandas(log.tasks, columns=[name]),
    "events": lambda log, name: tk.process_chart(log.tasks.assign(period=1), events=name),
    "trials": lambda log, name: tk.process_chart(log.tasks.assign(period=1), events="action", trials=name),
    "area": lambda log, name: tk.process_chart(log.tasks.assign(period=1), events="action", area=name),
}


@pytest.mark.parametrize(
    "name", [COLUMNS, {"server_id": 1}, pd.Series(COLUMNS), 3], ids=["list", "dict", "series", "number"]
)
@pytest.mark.parametrize("call", NAMING.values(), ids=NAMING)
def test_what_names_no_column_is_told_wherever_one_is_named(frames, call, name):
    with pytest.raises(TelemetryKitError) as caught:
        call(frames["log"], name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "place",
    [
        lambda tasks: tk.add_period(tasks, "W", of="server_id"),
        lambda tasks: tk.attach_license(tasks, tasks, at="server_id"),
    ],
    ids=["period", "license"],
)
def test_a_column_without_times_in_place_of_one_is_told(frames, place):
    with pytest.raises(TelemetryKitError, match=r"^frame\['server_id'\]: got 'text', expected times"):
        place(frames["tasks"].astype({"server_id": "str"}))


@pytest.mark.parametrize("parameter", ["min_servers", "min_incidents"])
@pytest.mark.parametrize("least", ["2", None, 0, 1.5])
def test_a_number_that_is_none_is_told(frames, parameter, least):
    with pytest.raises(TelemetryKitError, match=f"^{parameter}: got {least!r}, expected a whole number, 1 or more"):
        tk.fold_small_groups(frames["tasks"], "plugin_version", **{parameter: least})


def test_servers_of_a_report_are_a_whole_number(recordings, tmp_path):
    with pytest.raises(
        TelemetryKitError, match=r"^min_servers: got '2', expected a whole number of servers, 1 or more"
    ):
        write_report(recordings / "oct2020.jsonl", tmp_path, min_servers="2")


def test_times_as_text_are_told(frames):
    text = frames["incidents"].assign(event_timestamp=frames["incidents"]["event_timestamp"].astype(str))
    with pytest.raises(TelemetryKitError, match=r"^incidents\['event_timestamp'\]: got 'text', expected times"):
        tk.stage_visits(text, cutoff="2020-12-01T00:00:00Z")


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
def test_times_of_any_unit_are_read(frames, unit):
    given = frames["incidents"]
    times = given["event_timestamp"].astype(f"datetime64[{unit}, UTC]")
    found = tk.stage_visits(given.assign(event_timestamp=times), cutoff=frames["log"].cutoff)
    if unit == "ns":
        pd.testing.assert_frame_equal(found, frames["visits"])
    assert len(found) == len(frames["visits"])


def test_columns_that_were_made_an_index_are_told(frames):
    with pytest.raises(MissingColumnError, match=r"'stage'; it is in the index: pass visits.reset_index\(\)"):
        tk.stage_funnel(frames["visits"].set_index("stage"))


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(TelemetryKitError, match=r"^source: "):
        tk.load_events(tmp_path)
