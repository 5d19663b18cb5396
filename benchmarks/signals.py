"""How often signals are false, and planted ones found, on simulated draws: ``python -m benchmarks signals``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.stats import false_discovery_control

from telemetry_kit.stats.charts import laney_chart
from telemetry_kit.stats.deviations import leave_one_out

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = 0.95
SHARE, BETWEEN_SD = 0.5, 0.05
"""The mean and the standard deviation of the servers' true shares, which follow a beta distribution."""
MEDIAN_SIZE, SIZE_SD = 60, 1.0
"""Completions of a server: log-normal, so that the largest of forty has ten times as many as the typical one."""
ODD = (0.2, 0.3, 0.4)
"""By how much the share of the odd server is another one."""
WEEKS, SINCE = 26, 14
WEEKLY, WEEKLY_SD = 150, 0.03
"""Completions of a week, and the standard deviation of its true share beyond chance."""
CHANGES = (0.0, 0.05, 0.10, 0.15)


class Found(NamedTuple):
    """In how many of the draws something was found."""

    what: str
    n_draws: int
    share: float


def signals_of_servers(n_servers: int, n_draws: int, *, odd: float, seed: int) -> NDArray[np.bool_]:
    """Return which servers are signals in each draw; the first one is odd by ``odd``, and of the median size."""
    rng = np.random.default_rng(seed)
    n = np.ceil(rng.lognormal(np.log(MEDIAN_SIZE), SIZE_SD, (n_draws, n_servers)))
    strength = SHARE * (1 - SHARE) / BETWEEN_SD**2 - 1
    share = rng.beta(SHARE * strength, (1 - SHARE) * strength, n.shape)
    if odd:
        n[:, 0], share[:, 0] = MEDIAN_SIZE, SHARE + odd
    x = rng.binomial(n.astype(int), share).astype(float)
    return np.asarray(false_discovery_control(leave_one_out(x, n), axis=1) < 1 - LEVEL)


def changes_of_weeks(n_draws: int, *, change: float, seed: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return for each draw whether there is a signal, and with which week a change is said to have begun, or -1."""
    rng = np.random.default_rng(seed)
    n = rng.poisson(WEEKLY, (n_draws, WEEKS))
    share = SHARE + rng.normal(0, WEEKLY_SD, n.shape) + change * (np.arange(WEEKS) >= SINCE)
    x = rng.binomial(n, np.clip(share, 0, 1))
    has_signal, begun = np.empty(n_draws, np.bool_), np.empty(n_draws, np.int64)
    for draw in range(n_draws):
        chart = laney_chart(x[draw], n[draw], is_share=True)
        is_beyond = (chart.estimate < chart.lower) | (chart.estimate > chart.upper)
        has_signal[draw] = is_beyond.any() or (chart.run > chart.longest_run).any()
        begun[draw] = chart.change
    return has_signal, begun


def measure(n_draws: int = 1000) -> list[Found]:
    """Return all rates."""
    return [*measure_servers(n_draws), *measure_weeks(n_draws)]


def measure_servers(n_draws: int) -> list[Found]:
    """Return how often ordinary servers are signals, and how often an odd one is."""
    found = []
    for n_servers in (10, 20, 40, 100):
        among = f"{n_servers} ordinary servers"
        none = signals_of_servers(n_servers, n_draws, odd=0, seed=n_servers)
        found.append(Found(f"{among}: one or more is a signal", n_draws, none.any(axis=1).mean()))
        for odd in ODD:
            signals = signals_of_servers(n_servers, n_draws, odd=odd, seed=n_servers + 1)
            alone = signals[:, 0] & ~signals[:, 1:].any(axis=1)
            what = f"one server {odd:+.0%} off among {among}"
            found.append(Found(f"{what}: it is a signal", n_draws, signals[:, 0].mean()))
            found.append(Found(f"{what}: it alone is", n_draws, alone.mean()))
    return found


def measure_weeks(n_draws: int) -> list[Found]:
    """Return how often a series without a change has a signal, and how often a change is found."""
    found = []
    for change in CHANGES:
        has_signal, begun = changes_of_weeks(n_draws, change=change, seed=round(change * 100))
        what = f"{WEEKS} weeks, {change:+.0%} from week {SINCE + 1} on" if change else f"{WEEKS} weeks without a change"
        found.append(Found(f"{what}: a week or a run is a signal", n_draws, has_signal.mean()))
        found.append(Found(f"{what}: a change is named", n_draws, (begun >= 0).mean()))
        if change:
            is_near = (begun >= 0) & (np.abs(begun - SINCE) <= 2)  # noqa: PLR2004 - two weeks
            found.append(Found(f"{what}: it is dated within two weeks", n_draws, is_near.mean()))
    return found


def main(n_draws: int = 1000) -> None:
    """Print a line for each rate."""
    for what, n, share in measure(n_draws):
        print(f"| {what} | {n:,} draws | {share:.1%} |", flush=True)


if __name__ == "__main__":
    main()
