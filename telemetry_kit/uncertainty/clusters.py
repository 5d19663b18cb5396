"""What every clustered estimate shares: its result, its parameters' checks, and the variance between clusters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Interval(NamedTuple):
    """An estimate and its confidence limits; what cannot be computed is NaN."""

    estimate: float
    lower: float
    upper: float


class RatioMean(NamedTuple):
    """A mean per event, and what each cluster contributes to its error.

    Attributes
    ----------
    estimate
        Sum over all clusters divided by the count over all clusters; NaN where there is no event.
    influence
        Per cluster, the first-order change of the estimate that is this cluster's doing; they add up to zero.
    variance
        Variance of the estimate between clusters; NaN with fewer than two of them.
    n_events
        Events in all clusters.
    n_clusters
        Clusters that have an event.
    """

    estimate: float
    influence: NDArray[np.float64]
    variance: float
    n_events: float
    n_clusters: int


def check_open_unit(parameter: str, value: object) -> float:
    """Return ``value`` where it is a number strictly between 0 and 1.

    Raises
    ------
    ParameterError
        Where it is anything else.
    """
    if not isinstance(value, int | float) or not 0 < value < 1:
        raise ParameterError(parameter, value, "a number between 0 and 1, such as 0.95")
    return float(value)


def t_quantile(probability: float, df: float) -> float:
    """Return a quantile of Student's t distribution, NaN where ``df`` is not positive."""
    from scipy.special import stdtrit

    return float(stdtrit(df, probability))


def cluster_variance(influence: NDArray[np.float64], n_clusters: int) -> float:
    """Return the variance of an estimate from each cluster's influence on it, NaN with fewer than two clusters."""
    if n_clusters < 2:  # noqa: PLR2004 - one cluster differs from no other
        return math.nan
    # Sorted, because engines give clusters in any order, and a sum of floats would show which in its last digit.
    return float(n_clusters / (n_clusters - 1) * np.sum(np.sort(influence**2)))


def ratio_mean(sums: ArrayLike, totals: ArrayLike) -> RatioMean:
    r"""Return a mean per event with its linearised variance between clusters.

    With cluster sums :math:`y_c`, counts :math:`n_c`, :math:`n = \sum n_c`, mean :math:`m = \sum y_c / n` and
    :math:`k` clusters, the influence of a cluster is :math:`z_c = (y_c - m n_c) / n` and the variance
    :math:`k / (k - 1) \sum z_c^2` (Binder 1983, Int. Stat. Rev. 51:279-292; ``survey::svymean``). Clusters without
    an event do not count.
    """
    y, n = np.asarray(sums, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    n_events, n_clusters = float(n.sum()), int(np.count_nonzero(n))
    if n_clusters == 0:
        return RatioMean(math.nan, np.full(n.shape, math.nan), math.nan, 0.0, 0)
    # Crosswise before the one division: of whole numbers, clusters with equal means then leave exactly zero.
    influence = (y * n_events - y.sum() * n) / n_events**2
    variance = cluster_variance(influence, n_clusters)
    return RatioMean(float(y.sum() / n_events), influence, variance, n_events, n_clusters)
