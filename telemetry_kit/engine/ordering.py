"""The order of the rows of small tables in memory: text in natural order, nulls last, and numbers in place of ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from telemetry_kit.engine.grouping import Groups, number_codes, order_by_group
from telemetry_kit.schemas.names import natural_key

if TYPE_CHECKING:
    from collections.abc import Sequence

SERVER = "_server"
"""The column of whole numbers that stand for servers, as ``number_servers`` adds it."""


def sort_rows(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Sort the rows of a result by ``columns``, text in natural order and nulls last, on a fresh index."""
    groups = group_rows(frame, columns)
    return frame.iloc[order_by_group(groups)].reset_index(drop=True)


def group_rows(frame: pd.DataFrame, columns: Sequence[str]) -> Groups:
    """Return to which group each row belongs: those that are equal in ``columns``, numbered as ``sort_rows`` has them.

    Without columns, all rows are one group; without rows, there is none.
    """
    groups = Groups(np.zeros(len(frame), dtype=np.intp), min(len(frame), 1))
    for column in columns:
        ranks = _rank(frame[column])
        if groups.n > 1:
            distinct, of = number_codes(groups.of * ranks.n + ranks.of, groups.n * ranks.n)
            groups = Groups(of, distinct.size)
        else:
            groups = ranks
    return groups


def _rank(column: pd.Series) -> Groups:
    """Return the rank of each value among the distinct ones, nulls last."""
    codes, distinct = column.factorize()
    ranks = np.empty(len(distinct) + 1, dtype=np.int64)
    if isinstance(column.dtype, pd.CategoricalDtype) or pd.api.types.is_string_dtype(column.dtype):
        # Two texts can read alike, such as 1.1 and 1.01, and engines give rows in any order.
        keys = [(natural_key(text), text) for text in map(str, np.asarray(distinct, dtype=object))]
        ranks[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(distinct))
    else:
        ranks[distinct.argsort()] = np.arange(len(distinct))
    ranks[-1] = len(distinct)  # that of null, whose code is -1
    return Groups(ranks[codes], len(distinct) + bool((codes < 0).any()))


def number_servers(frame: pd.DataFrame, groups: Sequence[str]) -> pd.DataFrame:
    """Put whole numbers from 0 in place of ``server_id``, in its order: cheaper to sort and to count than text.

    Where it is one of the ``groups``, it stays beside them.
    """
    codes, servers = frame["server_id"].factorize(use_na_sentinel=False)
    numbers = np.empty(len(servers), dtype=np.int64)
    numbers[servers.argsort()] = np.arange(len(servers))
    kept = frame if "server_id" in groups else frame.drop(columns="server_id")
    return kept.assign(**{SERVER: numbers[codes]})
