"""Analysis of incident-response telemetry: ``import telemetry_kit as tk``.

Valid frames -> tidy tables: one folder per question.
    add_period: Add in which period each row lies: ``by="period"`` or ``between="period"`` then tell the periods apart
    latest_periods: The two latest periods of a log, for ``add_period``: a comparison of them tells what changed
    list_periods: The periods of a log, and which of them were recorded as a whole

What a user holds: valid events by type, and the account of all that was read.
    EventLog: Telemetry of one source: the valid events, and what became of everything else
    convert_events: Convert telemetry to validated Parquet, one file per event type, within bounded memory
    filter_incidents: The rows of a frame that belong to some incidents, to look at them one by one
    load_events: Load telemetry of any container, era and spelling, and account for every record
    load_incidents: Load the incident events of a source
    load_playbooks: Load the playbook events of a source, as ``load_incidents`` loads its incident events
    load_tasks: Load the task events of a source, as ``load_incidents`` loads its incident events
    n_distinct: How many different values a column has, or how many different rows several columns have together
    notebooks: The directory of the notebooks that come with the package
    open_warehouse: Open the telemetry in a warehouse: the events stay there, and every analysis runs there
    persist: Compute a lazy frame once, for several analyses to use
    samples: The directory of the samples that come with the package, each a source for ``load_events``
    scan_events: Open telemetry of any size: the events stay on disk, and every analysis runs on them as on frames in memory
    to_pandas: Collect a frame of any kind as pandas

How incidents come and go: how many started, ended and were open, period by period; and at which hours.
    add_local_time: Add the day of the week and the hour at which each event happened by the clock of its server
    incident_flow: How many incidents started, ended and were open, period by period
    load_by_hour: How many events happened in each hour of the week, by the clocks of their servers
    out_of_hours: The share of incidents that start outside of working hours, by the clock of their server

What is known of playbooks: which there are at a moment, how large they are, and how they change.
    compare_playbook_sizes: Compare how large the playbooks of two groups are: in which they are larger, and by how much
    incident_sizes: How large incidents were when they were created, and how large their playbook was at that moment
    playbook_ecdf: The share of playbooks up to each size: the empirical distribution function
    playbook_growth: How the size of playbooks changes with every update
    playbook_histories: How the size of each playbook began, how it ended and how large it ever was
    playbook_sizes: How large playbooks are: mean, quantiles and the intervals of the quartiles
    playbook_sizes_over_time: How large playbooks were at the end of each month, week or day
    playbook_snapshot: Every playbook that exists at a moment, in the state in which its latest event left it
    playbook_usage: How many incidents were made from each playbook, and when for the first and for the last time
    playbook_weightings: How large playbooks are per playbook, per server and per run, side by side

What is known of servers: how active they are, which versions they run, under which licence.
    attach_groups: Add what a table of one's own says of each server, such as its plan or region, to group and compare by it
    attach_license: Add the edition of the licence that the row's server had at the row's time
    decompose_difference: Why a share differs between two groups: behaviour within servers, their mix, newcomers and leavers
    fold_small_groups: Replace the values of a column that few servers or incidents have by "other", with how many they were
    headline_sensitivity: The headline numbers of a log, and each of them again without what could carry it alone
    observed_until: Up to when each server was observed, for everything that counts what is open
    process_chart: Since when a series of shares or counts is another one than before
    recording_eras: Which plugin versions a recording holds, and how much each of them can tell
    server_activity: The events and distinct users of every server, day by day
    server_deviation: Which servers differ more than chance and ordinary variety explain
    server_lifecycle: How many servers are new, stay, come back and lapse, period by period
    server_overview: Every server of a log in one row
    server_retention: How many of the servers that were first seen in a period are active in it and in each one after
    version_adoption: How soon servers take up a version, or a later one, that others already run
    versions_in_use: How many servers run which version, day by day
    warehouse_metrics: The figures of Mattermost's data warehouse for this plugin, so that they can be recognised

How incidents move through their stages: how far they get, how long each stage holds them, where they go back.
    compare_durations: Compare how long incidents of two groups take to end for the first time
    compare_dwell: Compare how long visits to each stage last in two groups
    compare_funnel: Compare how far incidents of two groups get: by how much the share that reaches each stage differs
    incident_durations: How long each incident took to end, for the first and for the last time, and how long it was open
    incident_survival: The share of incidents that have not ended yet as time goes by: the curves of ``time_to_end``
    last_stage_reached: How many incidents come to their last stage, with the interval of the share
    stage_arrivals: The share of incidents that have come to each stage as time goes by: the curves of ``time_to_stage``
    stage_dwell: How long visits to each stage last: quartiles and their intervals
    stage_exits: How visits to each stage end, by time in the stage: the share that has advanced, returned or ended
    stage_funnel: How many incidents reach each stage, with the interval of the share
    stage_occupancy: Where incidents are by time since their start: the share that is in each stage or status, or closed
    stage_rework: How much incidents go back, with intervals: to stages that they had left, and from closed to open
    stage_survival: The share of visits still in each stage as time goes by: Kaplan-Meier curves with their bands
    stage_transitions: Where visits to each stage lead, with the share of each way out and its interval
    stage_visits: The visits of every incident: the stretches of time that it spent in one stage while open
    status_visits: The visits of incidents that have a status: the stretches of time that each spent in one status
    time_to_end: How long incidents take to end for the first time: quartiles and their intervals
    time_to_stage: How long incidents take from their start to each stage: quartiles and their intervals
    visit_counts: How many visits, incidents and servers there are

What is known of tasks: who completes and reopens them, in which stage, how soon, and how many can be left.
    commander_vs_assignee: How much more often the commander completes a task than its assignee does
    compare_completion: Compare who completes tasks in two groups of completions: by how much each share differs, and how sure that is
    completion_times: Each completion of a task with the time since its incident's start
    detectable_difference: The smallest differences in who completes tasks that a comparison with this much data could show
    open_task_bounds: The least and the most tasks that can be open, in progress and done in each incident at the cutoff
    task_completion: Who completes tasks: the share of completions by each kind of completer
    task_reopening: How many tasks are reopened for each one that is completed, by who does it
    tasks_by_stage: Each state change of a task with the stage in which its incident was at that moment
    time_to_completion: How long after the incident's start tasks are completed, by who completes them

tk.errors: The exceptions a caller can catch; each message names the place, the value and what was expected.
tk.plots: Pictures: a tidy table in, Matplotlib axes out. A picture computes nothing; it draws what its table says.
tk.schemas: The one place that knows a field: its names everywhere, its type, its rules and what it means.
tk.sentences: Sentences: a tidy table in, what it says in words out. A sentence computes nothing that its table does not say.
"""

import importlib as _importlib
import sys as _sys
import types as _types
from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from telemetry_kit.public import *  # noqa: F403 - which are all public names

    __version__: str
else:
    _PUBLIC_MODULES = ("errors", "plots", "schemas")

    class _Root(_types.ModuleType):
        """The root as users see it: the public names, each imported when it is first asked for, and nothing else."""

        def __setattr__(self, name: str, value: object) -> None:
            # Python binds every module below to the root once it is imported, where completion would offer it.
            if not isinstance(value, _types.ModuleType) or name in _PUBLIC_MODULES:
                super().__setattr__(name, value)

    def __getattr__(name: str) -> object:
        if name == "__version__":
            return _importlib.import_module("importlib.metadata").version("telemetry-kit")
        if name in _PUBLIC_MODULES:
            return _importlib.import_module(f"{__name__}.{name}")
        # All together take a quarter as long again as pandas and Pandera do. A submodule is nobody's public name: Python
        # asks for it here before it imports it, and must not get all of them for an answer. A wheel has folders of data
        # of the same names as functions, samples and notebooks, which are no modules and have no origin.
        spec = None if name.startswith("_") else _find_spec(f"{__name__}.{name}")
        is_module = spec is not None and spec.origin is not None
        if name == "__all__" or not (is_module or name.startswith("_")):
            public = _importlib.import_module(f"{__name__}.public")
            if name in public.__all__ or name == "__all__":
                return globals().setdefault(name, getattr(public, name))
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*__getattr__("__all__"), "__version__", "__doc__", "__name__", "__file__", "__path__"})

    _sys.modules[__name__].__class__ = _Root
