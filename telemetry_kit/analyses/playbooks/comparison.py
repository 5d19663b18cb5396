"""How large playbooks are, in one group and in another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from telemetry_kit import engine, stats
from telemetry_kit.analyses.pairs import COMPARISON, IS_B, SIDES, adjust, check_between, counts_of, first_of, pair_up
from telemetry_kit.analyses.playbooks.sizes import count_values
from telemetry_kit.analyses.summaries import summarise, warned
from telemetry_kit.engine.ordering import CLUSTER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

    from telemetry_kit.analyses.playbooks.sizes import Measure

SUPERIORITY, DIFFERENCE = "probability_of_superiority", "difference_of_medians"
_COLUMNS = {"measure": "str", "comparison": "str", **COMPARISON, "n_missing_a": "Int64", "n_missing_b": "Int64"}
_NONE = 0.5
"""The probability of superiority where neither group has the larger playbooks."""


def compare_playbook_sizes(
    snapshot: IntoFrame,
    *,
    between: str,
    groups: Sequence[object] | None = None,
    measure: Measure = "total_checklist_items",
    by: str | Sequence[str] | None = None,
    cluster: str = "server_id",
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare how large the playbooks of two groups are: in which they are larger, and by how much.

    The probability that a playbook of the second group is larger than one of the first needs no assumption about the
    sizes, whose tails are long: 1/2 says that neither group has the larger playbooks.

    Parameters
    ----------
    snapshot
        A frame of any kind with one row per playbook, as of ``playbook_snapshot``.
    between
        The column that makes the groups: ``is_public``, ``period`` (of ``add_period``), or any other. Playbooks without
        a value are in no group.
    groups
        The two values to compare, the second less the first. Without it, a column of two values is the pair in natural
        order; of more, each value is compared with the one before it.
    measure
        As for ``playbook_sizes``. Playbooks without a value are left out.
    by
        A column of ``snapshot``, or several: comparisons within each of their values. A null is a group of its own.
    cluster
        The column whose values act independently of one another. A cluster may be in both groups.
    level
        Confidence level of the intervals.

    Returns
    -------
    pandas.DataFrame
        Two rows for each comparison, in the order of the groups:

        by columns
            The group within which two others are compared.
        group_a, group_b
            The two values of ``between``.
        measure : str
            What was measured.
        comparison : str
            ``probability_of_superiority``, or ``difference_of_medians``.
        n_a, n_b : Int64
            Playbooks of either group that have a value.
        n_servers_a, n_servers_b, n_servers_both : Int64
            Clusters (servers, unless ``cluster`` says otherwise) in either group, and those that are in both.
        estimate_a, estimate_b : float64
            For the medians, either of them in the measure's unit. For the probability, that a playbook of the first
            group is larger than one of the second, and the other way round, ties counting half: they add up to 1.
        difference, df, lower, upper : float64
            ``estimate_b`` - ``estimate_a``, its degrees of freedom and its interval: of the medians in the measure's
            unit; of the probabilities in [-1, 1], where 0 says that neither group has the larger playbooks. Null where
            there are too few servers or playbooks to tell.
        p_value, p_adjusted : float64
            Two-sided probability of a difference at least as large were there none; and the same adjusted for the
            number of rows of the call after Holm.
        detectable : float64
            The smallest true difference that would be found four times out of five with this error and these degrees
            of freedom. Where it is larger than what would matter, no difference seen is not no difference.
        n_missing_a, n_missing_b : Int64
            Playbooks without a value, which are in no other number.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    Every interval takes clusters as independent, and one can have playbooks in both groups. For the formulas see
    ``telemetry_kit.stats.superiority`` and ``difference_of_medians``. The difference of the two probabilities is twice
    the first of them less 1, which is Cliff's delta (1993, Psychological Bulletin 114:494-509).

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> snapshot = pd.DataFrame({
    ...     "server_id": ["a", "a", "b", "b", "c", "c"],
    ...     "is_public": [True, False] * 3,
    ...     "num_checklists": [2, 1, 3, 2, 4, 1],
    ... })
    >>> table = tk.compare_playbook_sizes(snapshot, between="is_public", measure="num_checklists")
    >>> table[["comparison", "estimate_a", "estimate_b", "difference"]].round(3)
                       comparison  estimate_a  estimate_b  difference
    0  probability_of_superiority       0.056       0.944       0.889
    1       difference_of_medians       1.000       3.000       2.000
    """
    stats.check_open_unit("level", level)
    names = engine.names_of(by)
    check_between(between, names, engine.check_frame(snapshot, parameter="snapshot"), reserved=_COLUMNS)
    counted, _ = count_values(snapshot, measure, [*names, between], [*SIDES, *_COLUMNS], cluster=cluster)
    paired, keys = pair_up(counted, names, between, groups)

    def rows(part: pd.DataFrame) -> Iterator[dict[str, Any]]:
        return _compare(part, measure, level)

    return warned(adjust(summarise(paired, keys, rows, _COLUMNS, level=level)), cluster, finer="playbook_id")


def _compare(part: pd.DataFrame, measure: str, level: float) -> Iterator[dict[str, Any]]:
    """Make the two rows of one comparison out of the numbers of playbooks of each value and server."""
    codes, n_codes = part[CLUSTER].factorize()[0], part[CLUSTER].nunique()
    values, n, is_b = part["_value"].to_numpy(np.float64, na_value=np.nan), part["_n"].to_numpy(np.int64), part[IS_B]
    samples = []
    clusters = []
    n_missing = []
    for is_side in (~is_b.to_numpy(), is_b.to_numpy()):
        is_known = is_side & ~np.isnan(values)
        samples += [values[is_known].repeat(n[is_known]), codes[is_known].repeat(n[is_known])]
        totals = np.bincount(codes[is_known], n[is_known], minlength=n_codes)
        clusters.append(stats.count_clusters(totals, stats.one_group(n_codes)))
        n_missing.append(int(n[is_side & np.isnan(values)].sum()))
    shared = {"measure": measure, "p_adjusted": None, **first_of(counts_of(*clusters))}
    shared |= dict(zip(("n_missing_a", "n_missing_b"), n_missing, strict=True))
    chance = stats.superiority(*samples, level=level)
    # From the scale of one probability to that of the difference between the two.
    yield shared | {
        "comparison": SUPERIORITY,
        "estimate_a": 1 - chance.estimate,
        "estimate_b": chance.estimate,
        "difference": 2 * (chance.estimate - _NONE),
        "df": chance.df,
        "lower": 2 * (chance.lower - _NONE),
        "upper": 2 * (chance.upper - _NONE),
        "p_value": chance.p_value,
        "detectable": 2 * chance.detectable,
    }
    medians = stats.difference_of_medians(*samples, level=level)
    of_sides = [float(np.median(values)) if values.size else None for values in (samples[0], samples[2])]
    yield shared | {
        "comparison": DIFFERENCE,
        "estimate_a": of_sides[0],
        "estimate_b": of_sides[1],
        "difference": medians.estimate,
        **{name: getattr(medians, name) for name in ("df", "lower", "upper", "p_value", "detectable")},
    }
