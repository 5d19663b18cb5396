"""The order of the rows of small tables in memory: text in natural order, nulls last, and numbers in place of ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from telemetry_kit.engine.grouping import Groups, number_codes, order_by_group
from telemetry_kit.schemas.names import natural_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

SERVER, CLUSTER = "_server", "_cluster"
"""The columns of whole numbers that stand for servers and for clusters, as ``number_servers`` adds them."""


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


def number_servers(frame: pd.DataFrame, groups: Sequence[str], *, cluster: str = "server_id") -> pd.DataFrame:
    """Put whole numbers from 0 in place of ``server_id`` and of the column of clusters: cheaper to sort than text.

    They are in the order of what they stand for. A column that is one of the ``groups`` stays beside its numbers.
    """
    return join_numbered([frame], groups, cluster=cluster)


def join_numbered(parts: Iterable[pd.DataFrame], groups: Sequence[str], *, cluster: str = "server_id") -> pd.DataFrame:
    """Join parts of a frame as ``number_servers`` returns it as a whole: the ids of all are never in memory together.

    There is one part at least.
    """
    known: dict[str, dict[Any, int]] = {"server_id": {}, cluster: {}}
    joined = pd.concat([_numbered(part, groups, known, cluster) for part in parts], ignore_index=True)
    ranks = {column: _ranks(numbers) for column, numbers in known.items()}
    joined[SERVER] = ranks["server_id"][joined[SERVER]]
    joined[CLUSTER] = ranks[cluster][joined[CLUSTER]]
    return joined


def _numbered(
    part: pd.DataFrame, groups: Sequence[str], known: dict[str, dict[Any, int]], cluster: str
) -> pd.DataFrame:
    servers = number_values(part["server_id"], known["server_id"])
    clusters = servers if cluster == "server_id" else number_values(part[cluster], known[cluster])
    dropped = [column for column in known if column not in groups]
    return part.drop(columns=dropped).assign(**{SERVER: servers, CLUSTER: clusters})


def number_values(column: pd.Series, known: dict[Any, int]) -> NDArray[np.int32]:
    """Return the numbers of values, counted from 0; one that is not ``known`` yet gets the next, and is known then."""
    codes, distinct = column.factorize(use_na_sentinel=False)
    values: list[Any] = list(distinct)
    for place in np.flatnonzero(pd.isna(distinct)):
        values[place] = None
    of_rows: NDArray[np.int32] = np.array([known.setdefault(each, len(known)) for each in values], np.int32)[codes]
    return of_rows


def _ranks(numbers: dict[Any, int]) -> NDArray[np.int64]:
    """Return the place of each numbered value among all in their order, null last."""
    ranks = np.empty(len(numbers), np.int64)
    ranks[pd.array(list(numbers)).argsort()] = np.arange(len(numbers))
    return ranks
