"""Playbooks of one group held against those of another."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from telemetry_kit import stats
from telemetry_kit.analyses.playbooks.sizes import count_values
from telemetry_kit.engine.ordering import SERVER, sort_rows

if TYPE_CHECKING:
    from narwhals.stable.v2.typing import IntoFrame

    from telemetry_kit.analyses.playbooks.sizes import Measure

_PAIRS = {
    "measure": "str",
    "n_first": "Int64",
    "n_second": "Int64",
    "n_servers": "Int64",
    "estimate": "float64",
    "lower": "float64",
    "upper": "float64",
    "median_first": "float64",
    "median_second": "float64",
    "median_difference": "float64",
    "median_difference_lower": "float64",
    "median_difference_upper": "float64",
}


def compare_playbook_sizes(
    snapshot: IntoFrame, *, by: str, measure: Measure = "total_checklist_items", level: float = 0.95
) -> pd.DataFrame:
    """Return how playbooks of one group compare with those of another: which are larger, and by how much.

    The probability that a playbook of the first group is larger than one of the second needs no assumption about the
    sizes, whose tails are long: 1/2 says that neither group has the larger playbooks.

    Parameters
    ----------
    snapshot
        A frame of any kind with one row per playbook, as of ``playbook_snapshot``.
    by
        The column of ``snapshot`` that makes the groups; a null is a group of its own.
    measure
        As for ``playbook_sizes``. Playbooks without a value are left out.
    level
        Confidence level of the limits.

    Returns
    -------
    pandas.DataFrame
        One row for each two groups that have a value, in the natural order of their names:

        first, second
            The values of ``by``.
        measure : str
            What was measured.
        n_first, n_second, n_servers : Int64
            Playbooks of either group, and the servers that have any of them.
        estimate, lower, upper : float64
            Probability that a playbook of the first group exceeds one of the second, ties counting half; in [0, 1].
        median_first, median_second : float64
            The medians, in the measure's unit.
        median_difference, median_difference_lower, median_difference_upper : float64
            The first median less the second, and its limits.

        Limits are null where there are too few servers to tell.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    Every limit takes servers as independent, and a server can have playbooks in both groups. For the formulas see
    ``telemetry_kit.stats.probability_of_superiority`` and ``median_difference``. With many groups some pairs
    differ by chance.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> snapshot = pd.DataFrame({
    ...     "server_id": ["a", "a", "b", "b", "c", "c"],
    ...     "is_public": [True, False] * 3,
    ...     "num_checklists": [2, 1, 3, 2, 4, 1],
    ... })
    >>> table = tk.compare_playbook_sizes(snapshot, by="is_public", measure="num_checklists")
    >>> table[["first", "second", "estimate", "median_difference"]].round(3)
       first  second  estimate  median_difference
    0  False    True     0.056               -2.0
    """
    counted, groups = count_values(snapshot, measure, by, [*_PAIRS, "first", "second"])
    known = sort_rows(counted[counted["_value"].notna()], groups)
    values = known["_value"].to_numpy(np.float64).repeat(known["_n"])
    servers = known[SERVER].to_numpy().repeat(known["_n"])
    names = known[by].drop_duplicates()
    group = known[by].factorize(use_na_sentinel=False)[0].repeat(known["_n"])
    rows, pairs = [], list(combinations(range(len(names)), 2))
    for first, second in pairs:
        samples = values[group == first], servers[group == first], values[group == second], servers[group == second]
        superiority = stats.probability_of_superiority(*samples, level=level)
        difference = stats.median_difference(*samples, level=level)
        rows.append(
            {
                "measure": measure,
                "n_first": len(samples[0]),
                "n_second": len(samples[2]),
                "n_servers": np.count_nonzero(np.bincount(np.concatenate([samples[1], samples[3]]))),
                "estimate": superiority.estimate,
                "lower": superiority.lower,
                "upper": superiority.upper,
                "median_first": np.median(samples[0]),
                "median_second": np.median(samples[2]),
                "median_difference": difference.estimate,
                "median_difference_lower": difference.lower,
                "median_difference_upper": difference.upper,
            }
        )
    sides = {side: names.iloc[[pair[at] for pair in pairs]].array for at, side in enumerate(("first", "second"))}
    table = pd.concat([pd.DataFrame(sides), pd.DataFrame(rows, columns=list(_PAIRS)).astype(_PAIRS)], axis="columns")
    table.attrs["level"] = level
    return table
