"""How often intervals hold the truth, in populations whose truth is known: ``python -m benchmarks coverage``.

Servers are drawn as the simulator draws them: their sizes are lognormal, who completes tasks is Dirichlet between them,
and dwell times are lognormal within them and between them. A draw is a recording of so many servers. An interval covers
where the true value lies within its limits. Its width is held against the oracle's, who knows how the estimate varies
from draw to draw: the distance between the 2.5 % and the 97.5 % quantile of the estimates.
"""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.integrate import quad
from scipy.special import ndtr, ndtri

from telemetry_kit import stats
from telemetry_kit.engine.grouping import Groups
from telemetry_kit.simulate import Parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Sizes = NDArray[np.int64]
    Draw = Callable[[np.random.Generator, int, int], dict[str, "Result"]]

SERVERS = (5, 10, 30, 100)
DRAWS, SEED, LEVEL = 1_000, 19, 0.95
CURVES_PART, MEDIANS_PART = 2, 8
"""One in so many draws is made of curves, and of medians of two groups, which take long."""
_AT_ONCE = 250
"""How many draws are in memory at the same time, where each unit of theirs is."""

MODEL = Parameters()
TOTAL_SIGMA = math.hypot(MODEL.dwell_sigma, MODEL.server_dwell_sigma)
DAY_S, HOUR_S = 86_400.0, 3_600.0
HEIGHTS = {"q25": 0.75, "q50": 0.5, "q75": 0.25}


class Result(NamedTuple):
    """What the draws of so many servers gave: one entry per draw."""

    estimate: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    truth: float

    @property
    def has_limits(self) -> NDArray[np.bool_]:
        """Whether a draw has limits."""
        return ~(np.isnan(self.lower) | np.isnan(self.upper))

    @property
    def coverage(self) -> float:
        """Share of the draws with limits that hold the truth."""
        holds = (self.lower <= self.truth) & (self.truth <= self.upper)
        return float(holds[self.has_limits].mean())

    @property
    def width(self) -> float:
        """Mean width of the limits over that of the oracle's."""
        low, high = np.nanquantile(self.estimate, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(np.mean((self.upper - self.lower)[self.has_limits]) / (high - low)) if high > low else math.nan


def as_simulated(rng: np.random.Generator, shape: tuple[int, int]) -> Sizes:
    """Draw the units of servers as the simulator draws its sizes, 25 of them on average: from 1 up to hundreds."""
    sigma = MODEL.server_size_sigma
    return np.maximum(np.rint(25 * rng.lognormal(-(sigma**2) / 2, sigma, shape)), 1).astype(np.int64)


def alike(rng: np.random.Generator, shape: tuple[int, int]) -> Sizes:
    """Draw servers of nearly one size."""
    return rng.poisson(25, shape) + 1


def few_large(rng: np.random.Generator, shape: tuple[int, int]) -> Sizes:
    """Draw servers of which one in five has five times the units of the others."""
    sizes = rng.poisson(12, shape) + 1
    sizes[:, ::5] *= 5
    return sizes


def up_to_thousands(rng: np.random.Generator, shape: tuple[int, int]) -> Sizes:
    """Draw servers whose sizes lie further apart than the simulator's: from 1 to thousands."""
    return np.clip(np.rint(rng.lognormal(math.log(20), 1.6, shape)), 1, 5_000).astype(np.int64)


def dominated(rng: np.random.Generator, shape: tuple[int, int]) -> Sizes:
    """Draw servers of which the first has nine tenths of all units."""
    sizes = rng.poisson(12, shape) + 1
    sizes[:, 0] = 9 * sizes[:, 1:].sum(axis=1)
    return sizes


NAMES = {
    as_simulated: "as simulated",
    alike: "of one size",
    few_large: "one in five 5 times larger",
    up_to_thousands: "from 1 to thousands of units",
    dominated: "one has 90 % of the units",
}


def of_draws(n: int, k: int) -> Groups:
    """Return the draw of each of its servers."""
    return Groups(np.repeat(np.arange(n), k), n)


def shares(sizes_of: Callable[..., Sizes], *truths: float) -> Draw:
    """Draw shares that vary between servers as the simulator's do."""

    def draw(rng: np.random.Generator, n: int, k: int) -> dict[str, Result]:
        found = {}
        for truth in truths:
            sizes = sizes_of(rng, (n, k))
            counts = rng.binomial(sizes, _server_shares(rng, truth, (n, k)))
            each = stats.estimate_shares(counts.ravel(), stats.count_clusters(sizes.ravel(), of_draws(n, k)))
            limits = stats.share_limits(each, level=LEVEL)
            found[f"share of {100 * truth:.3g} %"] = Result(each.estimate, *limits, truth)
        return found

    return draw


def _server_shares(rng: np.random.Generator, truth: float, shape: tuple[int, int]) -> NDArray[np.float64]:
    return rng.beta(MODEL.completer_concentration * truth, MODEL.completer_concentration * (1 - truth), shape)


def difference(sizes_of: Callable[..., Sizes]) -> Draw:
    """Draw commander minus assignee."""
    shares_of = np.array(MODEL.completer_shares)

    def draw(rng: np.random.Generator, n: int, k: int) -> dict[str, Result]:
        sizes = sizes_of(rng, (n, k)).ravel()
        counts = rng.multinomial(sizes, rng.dirichlet(MODEL.completer_concentration * shares_of, n * k))
        means = stats.estimate_means(counts[:, 0] - counts[:, 1], stats.count_clusters(sizes, of_draws(n, k)))
        limits = stats.mean_limits(means.estimate, means.error, means.df, level=LEVEL, within=(-1, 1))
        return {"commander less assignee": Result(means.estimate, *limits, shares_of[0] - shares_of[1])}

    return draw


def quantiles(sizes_of: Callable[..., Sizes]) -> Draw:
    """Draw quartiles of lognormal values, and the median of the same as whole numbers."""

    def draw(rng: np.random.Generator, n: int, k: int) -> dict[str, Result]:
        parts: dict[str, list[tuple[NDArray[np.float64], ...]]] = {}
        for begin in range(0, n, _AT_ONCE):
            groups = of_draws(min(_AT_ONCE, n - begin), k)
            sizes = sizes_of(rng, (groups.n, k)).ravel()
            server = np.repeat(np.arange(sizes.size), sizes)
            clusters = stats.count_clusters(sizes, groups)
            values = np.exp(3 + 0.5 * rng.normal(size=sizes.size)[server] + 0.9 * rng.normal(size=server.size))
            for name, seen, probability in (
                ("median of values", values, 0.5),
                ("upper quartile of values", values, 0.75),
                ("median of whole numbers", np.ceil(values), 0.5),
            ):
                samples = stats.sort_samples(seen, Groups(groups.of[server], groups.n))
                below = stats.quantile_shares(samples, seen, server, clusters, probability)
                limits = stats.quantile_limits(samples, below, probability, level=LEVEL)
                parts.setdefault(name, []).append((samples.order_statistics(probability), *limits))
        truths = [math.exp(3 + math.hypot(0.5, 0.9) * ndtri(p)) for p in (0.5, 0.75, 0.5)]
        truths[-1] = math.ceil(truths[-1])
        return {
            name: Result(*(np.concatenate(column) for column in zip(*part, strict=True)), truth)
            for (name, part), truth in zip(parts.items(), truths, strict=True)
        }

    return draw


def _dwells(
    rng: np.random.Generator, sizes: Sizes, effects: NDArray[np.float64], recorded_s: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Draw dwell times, each seen from a moment of the recording to its end; whether they ended, and their servers."""
    codes = np.repeat(np.arange(sizes.size), sizes)
    lengths = MODEL.median_dwell_s * np.exp(effects[codes] + MODEL.dwell_sigma * rng.normal(size=codes.size))
    seen = rng.uniform(0.0, recorded_s, codes.size)
    return np.minimum(lengths, seen), lengths <= seen, codes


def _longer_than(time: float) -> float:
    return float(ndtr(-math.log(time / MODEL.median_dwell_s) / TOTAL_SIGMA))


def curves(
    sizes_of: Callable[..., Sizes], recorded_s: float = 7 * DAY_S, heights: Sequence[str] = tuple(HEIGHTS)
) -> Draw:
    """Draw Kaplan-Meier curves where they truly are at three heights, their median, and the mean up to four hours."""

    def draw(rng: np.random.Generator, n: int, k: int) -> dict[str, Result]:
        times = [MODEL.median_dwell_s * math.exp(-TOTAL_SIGMA * ndtri(HEIGHTS[height])) for height in heights]
        rows: list[list[tuple[float, ...]]] = [[] for _ in range(len(heights) + 2)]
        for sizes in sizes_of(rng, (max(n // CURVES_PART, 1), k)):
            lives = _dwells(rng, sizes, MODEL.server_dwell_sigma * rng.normal(size=k), recorded_s)
            curve = stats.survival_curve(*lives, level=LEVEL)
            for row, at in zip(rows, np.searchsorted(curve.time, times, side="right") - 1, strict=False):
                row.append((curve.survival[at], curve.lower[at], curve.upper[at]) if at >= 0 else (math.nan,) * 3)
            (lower,), (upper,) = stats.curve_quantile_limits(curve, [0.5])
            # An edge that does not come so far bounds nothing.
            rows[-2].append((stats.curve_quantiles(curve, [0.5])[0], lower, math.inf if math.isnan(upper) else upper))
            mean = stats.restricted_mean(*lives, 4 * HOUR_S)
            (low,), (high,) = stats.mean_limits(mean.estimate, mean.error, mean.df, level=LEVEL, within=(0, 4 * HOUR_S))
            rows[-1].append((mean.estimate[0], low, high))
        names = [*(f"Kaplan-Meier at {height}" for height in heights), "Kaplan-Meier median", "restricted mean"]
        truths = [
            *(HEIGHTS[height] for height in heights),
            MODEL.median_dwell_s,
            quad(_longer_than, 1e-9, 4 * HOUR_S)[0],
        ]
        return {name: Result(*np.transpose(row), truth) for name, row, truth in zip(names, rows, truths, strict=True)}

    return draw


def _two_groups(
    rng: np.random.Generator, sizes_of: Callable[..., Sizes], shape: tuple[int, int], *, is_shared: bool
) -> tuple[Sizes, Sizes]:
    """Draw the sizes of servers in two groups: a half of each in either, or every other server in one."""
    sizes = sizes_of(rng, shape)
    if is_shared:
        first = rng.binomial(sizes, 0.5)
        return first, sizes - first
    # In an order of chance, so that large ones are in either.
    is_first = rng.permuted(np.broadcast_to(np.arange(shape[1]) % 2 == 0, shape), axis=1)
    return np.where(is_first, sizes, 0), np.where(is_first, 0, sizes)


def comparisons(sizes_of: Callable[..., Sizes], *, is_shared: bool) -> Draw:
    """Draw two groups that do not differ: shares, restricted means and medians."""

    def draw(rng: np.random.Generator, n: int, k: int) -> dict[str, Result]:
        p = _server_shares(rng, 0.44, (n, k))
        groups = of_draws(n, k)
        change = stats.compare_estimates(
            *(
                stats.estimate_shares(rng.binomial(size, p).ravel(), stats.count_clusters(size.ravel(), groups))
                for size in _two_groups(rng, sizes_of, (n, k), is_shared=is_shared)
            )
        )
        limits = stats.mean_limits(*change, level=LEVEL, within=(-1, 1))
        means, medians = [], []
        pairs = _two_groups(rng, sizes_of, (max(n // CURVES_PART, 1), k), is_shared=is_shared)
        for place, pair in enumerate(zip(*pairs, strict=True)):
            effects = MODEL.server_dwell_sigma * rng.normal(size=k)
            a, b = (_dwells(rng, size, effects, 7 * DAY_S) for size in pair)
            if not (a[0].size and b[0].size):
                continue
            mean = stats.compare_estimates(*(stats.restricted_mean(*each, 4 * HOUR_S, n_codes=k) for each in (a, b)))
            means.append([each[0] for each in (mean.estimate, *stats.mean_limits(*mean, level=LEVEL))])
            if place % (MEDIANS_PART // CURVES_PART) == 0:
                median = stats.difference_of_medians(a[0], a[2], b[0], b[2], level=LEVEL)
                medians.append((median.estimate, median.lower, median.upper))
        return {
            "shares": Result(change.estimate, *limits, 0.0),
            "restricted means": Result(*np.transpose(means), 0.0),
            "medians": Result(*np.transpose(medians), 0.0),
        }

    return draw


class Part(NamedTuple):
    """A table of the manual."""

    title: str
    servers: Sequence[int]
    rows: Sequence[tuple[Callable[..., Sizes], Draw]]
    is_of_alarms: bool = False


_USUAL = (as_simulated, alike, few_large)
PARTS = (
    Part(
        "Coverage",
        SERVERS,
        [
            (sizes, draw)
            for sizes in _USUAL
            for draw in (shares(sizes, 0.05, 0.44, 0.9), difference(sizes), quantiles(sizes), curves(sizes))
        ],
    ),
    Part("Half of the dwell times censored", SERVERS, [(as_simulated, curves(as_simulated, 4 * HOUR_S, ["q25"]))]),
    Part(
        "False alarms, servers in both groups",
        SERVERS,
        [(sizes, comparisons(sizes, is_shared=True)) for sizes in _USUAL],
        is_of_alarms=True,
    ),
    Part(
        "False alarms, servers in one group each",
        SERVERS,
        [(sizes, comparisons(sizes, is_shared=False)) for sizes in _USUAL],
        is_of_alarms=True,
    ),
    Part(
        "Where the intervals fall short",
        SERVERS,
        [
            (as_simulated, shares(as_simulated, 0.005, 0.02, 0.98)),
            *((up_to_thousands, draw(up_to_thousands)) for draw in (difference, quantiles, curves)),
            (dominated, shares(dominated, 0.05, 0.44)),
            *((dominated, draw(dominated)) for draw in (difference, quantiles, curves)),
        ],
    ),
    Part(
        "False alarms where the comparison falls short",
        SERVERS,
        [
            (up_to_thousands, comparisons(up_to_thousands, is_shared=False)),
            (dominated, comparisons(dominated, is_shared=True)),
        ],
        is_of_alarms=True,
    ),
    Part(
        "Two servers", (2,), [(alike, draw) for draw in (shares(alike, 0.05, 0.44), difference(alike), curves(alike))]
    ),
)


def lines_of(part: Part, *, n: int, seed: int) -> Iterator[str]:
    """Give the lines of a table: per number of servers the percentage, its error, and the width in the oracle's."""
    names = [f"{k} servers" for k in part.servers]
    yield f"| what | servers | {' | '.join(names)} |"
    yield f"| --- | --- | {' | '.join(['---'] * len(names))} |"
    for place, (sizes, draw) in enumerate(part.rows):
        found = [draw(np.random.default_rng([seed, place, k]), n, k) for k in part.servers]
        for name in found[0]:
            cells = [_cell(each[name], is_of_alarms=part.is_of_alarms) for each in found]
            yield f"| {name} | {NAMES[sizes]} | {' | '.join(cells)} |"


def _cell(result: Result, *, is_of_alarms: bool) -> str:
    n = int(result.has_limits.sum())
    if not n:
        return "no limits"
    share = 1 - result.coverage if is_of_alarms else result.coverage
    error, n_null = math.sqrt(share * (1 - share) / n), result.estimate.size - n
    told = f", {100 * n_null / result.estimate.size:.1f} null" if n_null else ""
    wide = "" if is_of_alarms or not math.isfinite(result.width) else f", {result.width:.2f}×"
    return f"{100 * share:.1f} ± {100 * error:.1f}{wide}{told}"


def main(arguments: Sequence[str]) -> None:
    """Print the tables of the manual."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks coverage", description=__doc__)
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"draws of each kind (default {DRAWS:,})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"seed of the draws (default {SEED})")
    parser.add_argument("--only", metavar="TEXT", default="", help="only tables that have this in their title")
    options = parser.parse_args(arguments)
    for part in PARTS:
        if options.only in part.title:
            print(f"\n### {part.title}\n", *lines_of(part, n=options.draws, seed=options.seed), sep="\n", flush=True)
