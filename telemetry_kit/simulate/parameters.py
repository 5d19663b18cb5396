"""What a simulation can be told: the model's parameters, an effect, and what delivery does to the events."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from telemetry_kit.engine import DAY_US
from telemetry_kit.errors import ParameterError
from telemetry_kit.schemas import LAST_STAGED_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

Era = Literal["prev", "oct2020", "later", "change"]
Container = Literal["object-storage", "batch-bodies", "published"]
ERAS: tuple[Era, ...] = get_args(Era)
CONTAINERS: tuple[Container, ...] = get_args(Container)
MANY = 1e9
"""No size, rate or spread of the model is larger: beyond it nothing would fit anyway."""
WORST_CLOCK_S = 3600
FIRST_START = dt.datetime(2019, 2, 1, tzinfo=dt.UTC)
"""When a recording can begin: incidents begin up to three weeks before it, and none before 2019 is believed."""

STARTS: dict[Era, dt.datetime] = {
    "prev": dt.datetime(2020, 7, 1, tzinfo=dt.UTC),
    "oct2020": dt.datetime(2020, 10, 1, tzinfo=dt.UTC),
    "later": dt.datetime(2021, 3, 1, tzinfo=dt.UTC),
    "change": dt.datetime(2020, 12, 1, tzinfo=dt.UTC),
}
"""Where a recording begins unless told otherwise: quarters of the era, with a change of clocks in two of them."""

VERSIONS: dict[Era, tuple[tuple[str, str], ...]] = {
    "prev": (("0.7.0", "5.27.0"), ("1.0.0", "5.28.0")),
    "oct2020": (("1.0.0", "5.28.0"), ("1.1.0", "5.28.1"), ("1.1.0", "5.29.0")),
    "later": (("1.5.1", "5.32.1"), ("1.5.1", "5.33.0"), ("1.6.0", "5.34.2")),
    "change": (("1.1.0", "5.29.0"), ("1.5.1", "5.32.1")),
}
"""The plugin and server versions that a server of the era goes through, oldest first.

``change`` is no era but the change from one to the next: from stages to statuses.
"""


@dataclass(frozen=True)
class Effect:
    """A difference that the simulation puts in, for an analysis to find.

    Parameters
    ----------
    between
        Where it holds: ``"servers"``, on a random half of the servers; ``"versions"``, under the newest plugin version
        of the era; ``"dates"``, in the second half of the recording.
    dwell_factor
        The dwell times of the incidents that begin there are multiplied by it.
    commander_shift
        The share of state changes made there by the commander alone grows by it, and the shares of the others shrink
        in proportion.

    Examples
    --------
    >>> from telemetry_kit.simulate import Effect
    >>> Effect("versions", dwell_factor=0.5).commander_shift
    0.0
    """

    between: Literal["servers", "versions", "dates"]
    dwell_factor: float = 1.0
    commander_shift: float = 0.0

    def __post_init__(self) -> None:
        _check_choice("between", self.between, ("servers", "versions", "dates"))
        _check_number("dwell_factor", self.dwell_factor, least=1e-3, most=1e3)
        _check_number("commander_shift", self.commander_shift, least=-1, most=1)


@dataclass(frozen=True)
class Parameters:
    """The model: servers of uneven size, and what people do on them.

    Servers differ in size, in speed and in who completes tasks; incidents of one server are alike. The defaults
    give about the mixture of events that real recordings have.

    Parameters
    ----------
    start
        When the recording begins, not before February 2019; a time without a zone is in UTC. None: the beginning of
        a quarter of the era.
    days
        Length of the recording in days.
    server_size_sigma
        Spread of the servers' sizes: the standard deviation of the logarithm of their rates of incidents.
    users_per_server
        Median number of people on a server, at least 3.
    multi_node_share
        Share of servers that run on two or three nodes, each with a client and a clock of its own.
    clock_error_s
        Standard deviation of the nodes' clocks around the true time, in seconds, an hour at most.
    pause_share
        Share of servers that send nothing for some weeks. What happens there meanwhile is not tracked.
    incidents_per_week
        Mean number of incidents that begin on a server in a week.
    playbooks_per_server
        Mean number of playbooks on a server.
    playbook_updates
        Mean number of updates of a playbook.
    playbook_delete_share
        Share of playbooks that are deleted in the end.
    no_playbook_share
        Share of incidents that begin without a playbook: one stage, no tasks.
    no_stage_share
        Share of playbooks without any checklist; incidents made from them have no stages.
    median_dwell_s
        Median dwell time in a stage, in seconds.
    dwell_sigma
        Standard deviation of the logarithm of the dwell times of one server.
    server_dwell_sigma
        Standard deviation, between servers, of the mean logarithm of their dwell times.
    back_share
        Share of moves that go back to an earlier stage, where there is one.
    skip_share
        Share of moves that leave out a stage, where there is one to leave out.
    early_end_share
        Share of visits before the last stage that end with the incident.
    never_end_share
        Share of incidents that are never ended.
    restart_share
        Share of ends after which the incident is restarted.
    closed_move_share
        Share of ends after which the stage is moved while the incident is closed.
    commander_changes
        Mean number of changes of commander in an incident.
    task_done_share
        Share of tasks that are ever completed.
    task_reopened_share
        Share of completed tasks that are reopened; about two in three of these are completed again.
    completer_shares
        Mean shares of state changes by ``commander`` alone, ``assignee`` alone, ``both`` in one person, ``neither``.
    completer_concentration
        How alike servers are in these shares (the concentration of a Dirichlet distribution): the smaller, the more
        the servers differ.
    effect
        A difference between groups or dates; None: there is none.

    Raises
    ------
    ParameterError
        Where a value is outside its range.

    Examples
    --------
    >>> from telemetry_kit.simulate import Parameters
    >>> Parameters(median_dwell_s=600).days
    91
    """

    start: dt.datetime | None = None
    days: float = 91
    server_size_sigma: float = 1.0
    users_per_server: float = 15
    multi_node_share: float = 0.1
    clock_error_s: float = 0.02
    pause_share: float = 0.1
    incidents_per_week: float = 1.5
    playbooks_per_server: float = 5.0
    playbook_updates: float = 4.0
    playbook_delete_share: float = 0.2
    no_playbook_share: float = 0.2
    no_stage_share: float = 0.02
    median_dwell_s: float = 7200.0
    dwell_sigma: float = 1.5
    server_dwell_sigma: float = 0.5
    back_share: float = 0.08
    skip_share: float = 0.05
    early_end_share: float = 0.12
    never_end_share: float = 0.06
    restart_share: float = 0.15
    closed_move_share: float = 0.02
    commander_changes: float = 0.8
    task_done_share: float = 0.35
    task_reopened_share: float = 0.15
    completer_shares: tuple[float, float, float, float] = (0.44, 0.05, 0.04, 0.47)
    completer_concentration: float = 8.0
    effect: Effect | None = None

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self) if field.name.endswith("_share")):
            _check_number(name, getattr(self, name), least=0, most=1)
        if self.start is not None and _in_utc(self.start) < FIRST_START:
            raise ParameterError("start", str(self.start), f"a time from {FIRST_START:%Y-%m-%d} on")
        _check_number("clock_error_s", self.clock_error_s, least=0, most=WORST_CLOCK_S)
        for name in ("server_size_sigma", "dwell_sigma", "server_dwell_sigma"):
            _check_number(name, getattr(self, name), least=0)
        for name in ("playbooks_per_server", "playbook_updates", "commander_changes"):
            _check_number(name, getattr(self, name), least=0, most=100)
        for name in ("incidents_per_week", "median_dwell_s", "completer_concentration"):
            _check_number(name, getattr(self, name), least=1e-3)
        _check_number("days", self.days, least=1e-3, most=3653)
        _check_number("users_per_server", self.users_per_server, least=3, most=1000)
        one_visit = self.back_share + self.skip_share + self.early_end_share
        if one_visit > 1:
            raise ParameterError("back_share + skip_share + early_end_share", one_visit, "at most 1")
        one_end = self.restart_share + self.closed_move_share
        if one_end >= 1:
            raise ParameterError("restart_share + closed_move_share", one_end, "less than 1")
        shares = self.completer_shares
        if len(shares) != len(COMPLETERS) or min(shares) <= 0 or not math.isclose(sum(shares), 1, abs_tol=1e-9):
            raise ParameterError("completer_shares", shares, "four shares above 0 that add up to 1")


COMPLETERS = ("commander", "assignee", "both", "neither")


@dataclass(frozen=True)
class Faults:
    """What delivery does to the events, each a share between 0 and 1; all 0: every event arrives once and whole.

    The client sends events in bodies, one for each five seconds in which a node of a server has any. Bodies are
    repeated, lost, late or out of order as a whole; damage, and what is unknown, befall single records.

    Parameters
    ----------
    repeated
        Share of bodies that arrive again, up to three times, each later than the time before.
    lost
        Share of bodies that never arrive.
    late
        Share of bodies that arrive hours or days late.
    out_of_order
        Share of bodies that arrive minutes late, so that others overtake them.
    damaged
        Share of records that arrive damaged, with every kind of damage equally often (``DAMAGE``).
    unknown_type
        Records of an event type that is not one of the three, per event.
    unknown_property
        Share of events with a property that is in no contract.

    Raises
    ------
    ParameterError
        Where a share is not between 0 and 1.

    Examples
    --------
    >>> from telemetry_kit.simulate import Faults
    >>> Faults(repeated=0.02, lost=0.01).damaged
    0.0
    """

    repeated: float = 0.0
    lost: float = 0.0
    late: float = 0.0
    out_of_order: float = 0.0
    damaged: float = 0.0
    unknown_type: float = 0.0
    unknown_property: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            _check_number(field.name, getattr(self, field.name), least=0, most=1)


def parse_faults(settings: Iterable[str]) -> Faults:
    """Read faults from texts such as ``"lost=0.01"``.

    Parameters
    ----------
    settings
        ``NAME=SHARE``, one text for each fault.

    Returns
    -------
    Faults
        With the faults that are named; the others are 0.

    Raises
    ------
    ParameterError
        Where a text is not ``NAME=SHARE``, names no fault, or its share is not between 0 and 1.

    Examples
    --------
    >>> from telemetry_kit.simulate import parse_faults
    >>> parse_faults(["lost=0.01", "late=0.05"]).late
    0.05
    """
    names = tuple(field.name for field in fields(Faults))
    shares: dict[str, float] = {}
    for setting in settings:
        name, _, share = setting.partition("=")
        if name not in names:
            raise ParameterError("faults", setting, f"NAME=SHARE with one of {', '.join(names)}")
        try:
            shares[name] = float(share)
        except ValueError:
            raise ParameterError("faults", setting, "NAME=SHARE with a share between 0 and 1") from None
    return Faults(**shares)


@dataclass(frozen=True)
class Plan:
    """All that a simulation is asked for.

    Parameters
    ----------
    n_events, n_servers
        The size, exactly one of the two: so many events in order of time, before delivery, and as many servers as
        that takes; or so many servers and all their events in ``parameters.days``.
    seed
        The same plan gives the same events.
    era
        ``"prev"``, ``"oct2020"`` or ``"later"``; ``"change"``: from the second to the third, at a time of its own on
        each server.
    container
        ``"object-storage"``, ``"batch-bodies"`` or ``"published"``.
    parameters
        The model.
    faults
        What delivery does to the events.

    Raises
    ------
    ParameterError
        Where a size, the seed, the era or the container is not one.
    """

    n_events: int | None
    n_servers: int | None
    seed: int
    era: Era
    container: Container
    parameters: Parameters
    faults: Faults

    def __post_init__(self) -> None:
        if (self.n_events is None) == (self.n_servers is None):
            raise ParameterError("n_events, n_servers", (self.n_events, self.n_servers), "exactly one of the two")
        for name, least in (("n_events", 1), ("n_servers", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int) and value >= least):
                raise ParameterError(name, value, f"a whole number of at least {least}")
        _check_choice("era", self.era, ERAS)
        _check_choice("container", self.container, CONTAINERS)
        end_us, now = self.window_us[1], dt.datetime.now(dt.UTC)
        if end_us > now.timestamp() * 1_000_000:
            expected = "an end that has passed, since events of the future are rejected when they are loaded"
            raise ParameterError("start + days", (str(self._start), self.parameters.days), expected)

    @property
    def has_status(self) -> tuple[bool, ...]:
        """Which versions of the era have a status in place of stages."""
        plugins = [tuple(map(int, plugin.split("."))) for plugin, _ in VERSIONS[self.era]]
        return tuple(plugin[: len(LAST_STAGED_VERSION)] > LAST_STAGED_VERSION for plugin in plugins)

    @property
    def _start(self) -> dt.datetime:
        return _in_utc(self.parameters.start or STARTS[self.era])

    @property
    def window_us(self) -> tuple[int, int]:
        """The recording's first moment and the first one after it, in microseconds since 1970."""
        start_us = (self._start - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
        return start_us, start_us + round(self.parameters.days * DAY_US)


def _in_utc(time: dt.datetime) -> dt.datetime:
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def _check_choice(name: str, value: object, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        raise ParameterError(name, value, choices)


def _check_number(name: str, value: float, *, least: float, most: float = MANY) -> None:
    if not least <= value <= most:
        raise ParameterError(name, value, f"a number from {least:g} to {most:g}")
