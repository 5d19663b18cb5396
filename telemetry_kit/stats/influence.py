"""From what each cluster contributes to an estimate to the error of the estimate and its degrees of freedom.

Every estimate is, to first order, a mean of one value per unit (event, incident, visit, playbook): the true value and
the sum of the units' *influences*. Units of one cluster are alike, so only the sums over clusters tell how far the
estimate may be off. That is the one recipe of this package: influence, sums over clusters, variance and degrees of
freedom, limits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from telemetry_kit.engine.grouping import Groups

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Clusters(NamedTuple):
    """How the units of many groups lie in clusters: one entry per cluster of a group, or one per group.

    Attributes
    ----------
    groups
        The group of each cluster. A cluster that is in two groups has two entries.
    n
        Units of each cluster; 0 where an entry only holds a place.
    correction
        Per cluster :math:`1 / (1 - w_c)`, where :math:`w_c` is its share of the group's units; NaN in a group of one
        cluster.
    n_units, n_clusters
        Per group, its units, and its clusters that have any.
    df
        Per group, Satterthwaite's degrees of freedom; NaN with fewer than two clusters.
    """

    groups: Groups
    n: NDArray[np.float64]
    correction: NDArray[np.float64]
    n_units: NDArray[np.float64]
    n_clusters: NDArray[np.int64]
    df: NDArray[np.float64]


class Estimates(NamedTuple):
    """Estimates of many groups, with their error between clusters.

    Attributes
    ----------
    estimate
        Per group; NaN where it has no unit.
    influence
        Per cluster, the first-order change of its group's estimate that is this cluster's doing. They add up to zero
        in each group.
    variance, df
        Per group, the variance of the estimate between clusters and its degrees of freedom; NaN with fewer than two
        clusters.
    clusters
        What the influences belong to.
    """

    estimate: NDArray[np.float64]
    influence: NDArray[np.float64]
    variance: NDArray[np.float64]
    df: NDArray[np.float64]
    clusters: Clusters

    @property
    def error(self) -> NDArray[np.float64]:
        """Standard error of each estimate."""
        return np.sqrt(self.variance)


def one_group(n_clusters: int) -> Groups:
    """Return the only group of so many clusters."""
    return Groups(np.zeros(n_clusters, dtype=np.intp), 1)


def count_clusters(totals: ArrayLike, groups: Groups) -> Clusters:
    r"""Return how units lie in clusters, with the degrees of freedom that this leaves to a mean of theirs.

    With :math:`w_c` the share of a group's units that cluster :math:`c` holds and :math:`a_c = w_c^2 / (1 - w_c)`, they
    are Satterthwaite's under working independence, :math:`1 / (\sum w_c^2 + (\sum a_c)^2 - \sum a_c^2)`: one less than
    the number of clusters where these are of one size, and far fewer where one of them holds most units.

    Parameters
    ----------
    totals
        Units of each cluster.
    groups
        The group of each cluster.

    Notes
    -----
    Bell and McCaffrey (2002), Survey Methodology 28:169-181; Pustejovsky and Tipton (2018), Journal of Business &
    Economic Statistics 36:672-683. In R, for one group:
    ``clubSandwich::coef_test(lm(y ~ 1), vcov = "CR2", cluster = cluster, test = "Satterthwaite")$df_Satt``.

    Examples
    --------
    >>> print(*(f"{count_clusters(totals, one_group(5)).df[0]:.3f}" for totals in ([7] * 5, [90, 1, 2, 3, 4])))
    4.000 1.158
    """
    n = np.asarray(totals, dtype=np.float64)
    n_units, n_clusters = groups.add_up(n), groups.add_up(n != 0).astype(np.int64)
    is_told = n_clusters > 1
    of_told, n_all = is_told[groups.of], n_units[groups.of]
    with np.errstate(divide="ignore", invalid="ignore"):
        correction = np.where(of_told, n_all / (n_all - n), math.nan)
        a = np.where(of_told, (n / n_all) ** 2 * correction, 0.0)
        squares = groups.add_up_in_any_order(n * n) / n_units**2
        b = groups.add_up_in_any_order(a) ** 2 - groups.add_up_in_any_order(a * a)
        df = np.where(is_told, 1 / (squares + b), math.nan)
    return Clusters(groups, n, correction, n_units, n_clusters, df)


def estimate_from_influence(estimate: ArrayLike, influence: ArrayLike, clusters: Clusters) -> Estimates:
    r"""Return estimates with their CR2 variance, :math:`v = \sum_c s_c^2 / (1 - w_c)`.

    Parameters
    ----------
    estimate
        The estimate of each group.
    influence
        Per cluster, the sum :math:`s_c` of its units' influences on the estimate of its group.
    clusters
        What ``count_clusters`` returned for the same units.

    Notes
    -----
    For a sum of influences that is a mean of :math:`y_i = \hat\theta + N u_i`, this is in R
    ``clubSandwich::vcovCR(lm(y ~ 1), cluster, type = "CR2")``.
    """
    theta, s = np.asarray(estimate, dtype=np.float64), np.asarray(influence, dtype=np.float64)
    is_told = clusters.n_clusters > 1
    squares = np.where(is_told[clusters.groups.of], s * s * clusters.correction, 0.0)
    variance = np.where(is_told, clusters.groups.add_up_in_any_order(squares), math.nan)
    return Estimates(theta, s, variance, clusters.df, clusters)


def estimate_means(sums: ArrayLike, clusters: Clusters) -> Estimates:
    r"""Return the mean per unit of each group, from one sum per cluster.

    With the sum :math:`y_c` of a cluster's values and :math:`n_c` of the group's :math:`N` units, its influence on the
    mean :math:`m` is :math:`(y_c - m n_c) / N`.

    Parameters
    ----------
    sums
        Sum of the values of each cluster.
    clusters
        What ``count_clusters`` returned for the same units.

    Examples
    --------
    >>> means = estimate_means([2, -1, 3, 4, 1], count_clusters([10, 8, 9, 12, 14], one_group(5)))
    >>> print(f"{means.estimate[0]:.3f}, error {means.error[0]:.4f} on {means.df[0]:.2f} degrees of freedom")
    0.170, error 0.0774 on 3.82 degrees of freedom
    """
    y = np.asarray(sums, dtype=np.float64)
    groups, n, n_all = clusters.groups, clusters.n, clusters.n_units
    y_all = groups.add_up_in_any_order(y)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Crosswise before the one division: of whole numbers, clusters with equal means then leave exactly zero.
        influence = (y * n_all[groups.of] - y_all[groups.of] * n) / n_all[groups.of] ** 2
        estimate = y_all / n_all
    return estimate_from_influence(estimate, influence, clusters)


def estimate_shares(successes: ArrayLike, clusters: Clusters) -> Estimates:
    """Return the share of each group's units that count, from one number per cluster: ``as_shares`` of the means.

    Parameters
    ----------
    successes
        Units that count, of each cluster.
    clusters
        What ``count_clusters`` returned for the units.
    """
    return as_shares(estimate_means(successes, clusters))


def as_shares(estimates: Estimates) -> Estimates:
    """Return estimates that are shares: those of 0 and 1 have no degrees of freedom, as all units are alike."""
    is_constant = (estimates.estimate <= 0) | (estimates.estimate >= 1)
    return estimates._replace(df=np.where(is_constant, math.nan, estimates.df))


def largest_shares(clusters: Clusters) -> NDArray[np.float64]:
    """Return for each group the share of its units that its largest cluster holds; NaN without units.

    Examples
    --------
    >>> largest_shares(count_clusters([1, 6, 1], one_group(3)))
    array([0.75])
    """
    largest = np.zeros(clusters.groups.n)
    np.maximum.at(largest, clusters.groups.of, clusters.n)
    with np.errstate(invalid="ignore"):
        return largest / clusters.n_units
