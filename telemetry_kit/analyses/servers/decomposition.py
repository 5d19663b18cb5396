"""Why a share changed: the same servers work differently, others weigh more, new ones came, or old ones left."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from telemetry_kit import engine
from telemetry_kit.analyses.pairs import named, read_pair
from telemetry_kit.analyses.servers.outcomes import N, X, count_outcomes
from telemetry_kit.engine.ordering import group_rows, sort_rows
from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from narwhals.stable.v2.typing import IntoFrame
    from numpy.typing import NDArray

    from telemetry_kit.analyses.servers.outcomes import Outcome

COMPONENTS = ("within", "mix", "entered", "left")
_COLUMNS = {
    "group_a": "str",
    "group_b": "str",
    "component": "str",
    "contribution": "float64",
    "n_servers": "Int64",
    "estimate_a": "float64",
    "estimate_b": "float64",
    "difference": "float64",
}


def decompose_difference(
    frame: IntoFrame,
    *,
    of: Outcome,
    between: str,
    groups: tuple[Any, Any] | None = None,
    over: str = "server_id",
) -> pd.DataFrame:
    r"""Return why a share differs between two groups: behaviour within servers, their mix, newcomers and leavers.

    Parameters
    ----------
    frame
        A frame of any kind: tasks events for ``commander`` and ``assignee``, incident events for ``reached_last`` and
        ``ended``.
    of
        The share, as for ``server_deviation``.
    between
        The column with the groups, such as ``plugin_version``, or ``period`` as ``add_period`` adds it. An incident is
        in the group of its first known value.
    groups
        Which two of its values; without it a column of two values is the pair in natural order, and of more, each value
        is held against the one before. Rows without a value are left out.
    over
        What the share is taken apart into: ``server_id``, or any other column, such as ``plugin_version`` or
        ``public``. A null is a value of its own.

    Returns
    -------
    pandas.DataFrame
        Four rows per pair, whose contributions add up to the difference; none where there are not two groups:

        group_a, group_b : str
            The pair; of periods the day with which each begins.
        component : str
            ``within``: servers that are in both groups have other shares; ``mix``: they have other weights among
            themselves; ``entered``: servers that are only in b have another share than those; ``left``: servers that
            were only in a had.
        contribution : float64
            Its part of the difference, a difference of shares.
        n_servers : Int64
            Servers, or values of ``over``, that it is about.
        estimate_a, estimate_b, difference : float64
            The two shares, and ``estimate_b`` - ``estimate_a``; the same in the rows of a pair.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take, there is only one group, or no server is in both: then
        nothing tells what they do from who they are.

    Notes
    -----
    With :math:`S` the servers in both groups, :math:`N` the new ones, :math:`L` those that left, weights :math:`W` and
    shares :math:`R`: entered is :math:`W_N (R_N - R_S)` in b, left :math:`W_L (R_S - R_L)` in a (Melitz and Polanec
    2015, The RAND Journal of Economics 46:362-375). Among :math:`S`, with weights :math:`w` that sum to 1 in each group
    and shares :math:`r`, within is :math:`\sum \bar{w} \Delta r` and mix :math:`\sum \Delta w\, \bar{r}` (Kitagawa
    1955, Journal of the American Statistical Association 50:1168-1194).

    Examples
    --------
    >>> import telemetry_kit as tk
    >>> log = tk.load_events(tk.samples() / "recorded-autumn")
    >>> parts = tk.decompose_difference(log.tasks, of="commander", between="plugin_version")
    >>> parts[["component", "contribution", "n_servers", "difference"]].round(4)
      component  contribution  n_servers  difference
    0    within       -0.0341          5     -0.0394
    1       mix        0.0404          5     -0.0394
    2   entered       -0.0268         25     -0.0394
    3      left       -0.0189          8     -0.0394
    """
    engine.check_name("between", between)
    engine.check_name("over", over)
    if over == between:
        raise ParameterError("over", over, f"another column than {between!r}, which makes the groups")
    counted = count_outcomes(frame, of, [between, over], parameter="frame")
    counted = sort_rows(counted[counted[between].notna()], [between, over])
    pairs = _pairs(counted[between].drop_duplicates().to_list(), groups)
    place = group_rows(counted, [over])
    x, n = np.zeros((2, place.n)), np.zeros((2, place.n))
    rows: list[dict[str, Any]] = []
    for pair in pairs:
        for side, value in enumerate(pair):
            is_in = (counted[between] == value).to_numpy(bool)
            x[side], n[side] = (
                np.bincount(place.of[is_in], counted.loc[is_in, column], minlength=place.n) for column in (X, N)
            )
        rows += _parts(x, n, pair, between, over)
    return pd.DataFrame(rows, columns=list(_COLUMNS)).astype(_COLUMNS)


def _pairs(values: Sequence[Any], groups: tuple[Any, Any] | None) -> list[tuple[Any, Any]]:
    if groups is None:
        return list(pairwise(values))
    a, b = read_pair(groups)
    by_text = {str(value): value for value in values}
    for name in (a, b) if values else ():
        if str(name) not in by_text:
            raise ParameterError("groups", name, list(by_text))
    return [(by_text[str(a)], by_text[str(b)])] if values else []


def _parts(
    x: NDArray[np.float64], n: NDArray[np.float64], pair: tuple[Any, Any], between: str, over: str
) -> list[dict[str, Any]]:
    """Take the difference of two groups apart; ``x`` of ``n`` by group and server."""
    is_there = n > 0
    stays = is_there.all(axis=0)
    if not stays.any():
        expected = (
            f"groups of {between!r} that have a {over} in common: without one, nothing tells behaviour from composition"
        )
        raise ParameterError("between", " and ".join(map(str, pair)), expected)
    total = x.sum(axis=1) / n.sum(axis=1)
    share = x[:, stays] / n[:, stays]
    weight = n[:, stays] / n[:, stays].sum(axis=1, keepdims=True)
    staying = (weight * share).sum(axis=1)
    contributions = {
        "within": weight.mean(axis=0) @ (share[1] - share[0]),
        "mix": (weight[1] - weight[0]) @ share.mean(axis=0),
        # A group's share is that of those who stay and, by their weight, that of the others: W (R - R_S) = total - R_S.
        "entered": total[1] - staying[1],
        "left": staying[0] - total[0],
    }
    n_servers = {"entered": (is_there[1] & ~stays).sum(), "left": (is_there[0] & ~stays).sum()}
    return [
        {
            "group_a": named(pair[0]),
            "group_b": named(pair[1]),
            "component": component,
            "contribution": contributions[component],
            "n_servers": n_servers.get(component, stays.sum()),
            "estimate_a": total[0],
            "estimate_b": total[1],
            "difference": total[1] - total[0],
        }
        for component in COMPONENTS
    ]
