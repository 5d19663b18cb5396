"""Going back: incidents that come again to a stage, step back, or are restarted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw
import numpy as np

from telemetry_kit import engine, stats
from telemetry_kit.analyses.stages.changes import INCIDENT
from telemetry_kit.analyses.stages.given import open_visits
from telemetry_kit.analyses.summaries import summarise
from telemetry_kit.engine.ordering import sort_rows
from telemetry_kit.stats.clusters import check_open_unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from narwhals.stable.v2.typing import IntoFrame

_NEEDED = (*INCIDENT, "stage", "exit", "is_censored", "from_start")
_REWORK = {
    "measure": "str",
    **dict.fromkeys(("n", "n_total", "n_servers"), "Int64"),
    **dict.fromkeys(("estimate", "lower", "upper"), "float64"),
    "n_excluded": "Int64",
}
_SHARES = {
    "revisited_share": ("_has_revisit", "_n_incidents"),
    "stepped_back_share": ("_has_back", "_n_incidents"),
    "restarted_share": ("_has_restart", "_n_incidents"),
    "back_step_rate": ("_n_back", "_n_moves"),
}
_MEANS = {
    "revisits_per_incident": ("_n_revisits", "_n_incidents"),
    "restarts_per_incident": ("_n_restarts", "_n_incidents"),
}
_MEASURES = _SHARES | _MEANS
_TOTALS = tuple(dict.fromkeys(name for pair in _MEASURES.values() for name in pair))
_ADDED = ("_n_back", "_n_moves", "_n_ended")


def stage_rework(visits: IntoFrame, *, by: str | Sequence[str] | None = None, level: float = 0.95) -> pd.DataFrame:
    """Return how much incidents go back, with intervals: to stages that they had left, and from closed to open.

    Only incidents whose create was recorded count, because the others may have gone back before. What is open at
    the cutoff may still go back.

    Parameters
    ----------
    visits
        A frame of any kind, as ``stage_visits`` returns it.
    by
        A column of ``visits``, or several: each of their values is a sample of its own, a null as well, as if
        ``visits`` had no other rows.
    level
        Confidence level of the limits.

    Returns
    -------
    pandas.DataFrame
        Six rows per group, in the order of the groups and then as listed here:

        by columns
            The group.
        measure : str
            ``revisited_share``: incidents with more than one visit to some stage; ``stepped_back_share``: incidents
            that returned to an earlier stage; ``restarted_share``: incidents that were opened again after an end;
            ``back_step_rate``: of the moves between stages, those to an earlier one; ``revisits_per_incident``:
            visits to a stage that the incident had visited before, whether it stepped or was restarted into it;
            ``restarts_per_incident``.
        n, n_total : Int64
            What was counted, and the incidents (for ``back_step_rate`` the moves) out of which it was.
        n_servers : Int64
            Servers of the ``n_total``.
        estimate, lower, upper : float64
            ``n / n_total`` and its limits: a share in [0, 1], or a mean per incident; null where ``n_total`` is 0, the
            limits as well with fewer than two servers.
        n_excluded : Int64
            Incidents of the group whose create was not recorded.

    Raises
    ------
    ParameterError
        Where a parameter has a value that it cannot take.

    Notes
    -----
    Servers are the clusters. The intervals of shares are those of Korn and Graubard (1998, Survey Methodology
    24:193-201), those of means per incident the linearised ones with Student's t (Binder 1983, Int. Stat. Rev.
    51:279-292), which may lie below 0. An incident that was restarted without having stages has no visit to show it.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> visits = pd.DataFrame({
    ...     "server_id": ["a", "a", "a", "b"], "incident_id": ["i", "i", "i", "k"], "stage": [0, 1, 0, 0],
    ...     "exit": ["advanced", "returned", "ended", "open"], "is_censored": [False, False, False, True],
    ...     "from_start": True,
    ... })
    >>> tk.stage_rework(visits)[["measure", "n", "n_total", "estimate"]]
                     measure  n  n_total  estimate
    0        revisited_share  1        2       0.5
    1     stepped_back_share  1        2       0.5
    2        restarted_share  0        2       0.0
    3         back_step_rate  1        2       0.5
    4  revisits_per_incident  1        2       0.5
    5  restarts_per_incident  0        2       0.0
    """
    check_open_unit("level", level)
    frame = open_visits(visits, _NEEDED, named=engine.names_of(by), are_whole=True)
    groups = engine.group_columns(by, frame, reserved=_REWORK)
    totals = sort_rows(engine.collect(_count_per_server(frame, groups)), ["server_id"])
    return summarise(totals, groups, lambda part: _rework(part, level), _REWORK, level=level)


def _count_per_server(frame: nw.LazyFrame[Any], groups: Sequence[str]) -> nw.LazyFrame[Any]:
    left = nw.col("exit").cast(nw.String)

    def flag(condition: nw.Expr) -> nw.Expr:
        return nw.when(condition).then(1).otherwise(0)

    incidents = (
        frame.with_columns(
            _n_back=flag(left == "returned"),
            _n_moves=flag(left.is_in(["advanced", "returned"])),
            _n_ended=flag(left == "ended"),
            _is_open=flag(nw.col("is_censored")),
            _n_incidents=flag(nw.col("from_start")),
        )
        .group_by(*dict.fromkeys([*groups, *INCIDENT, "stage"]))
        .agg(nw.col(*_ADDED).sum(), nw.col("_is_open", "_n_incidents").max(), _n_visits=nw.len())
        .group_by(*dict.fromkeys([*groups, *INCIDENT]))
        .agg(nw.col(*_ADDED, "_n_visits").sum(), nw.col("_is_open", "_n_incidents").max(), _n_stages=nw.len())
    )
    # An incident that ended was opened again after each end but the last, after which it is still open or not.
    counted = incidents.with_columns(
        _n_revisits=nw.col("_n_visits") - nw.col("_n_stages"), _n_restarts=nw.col("_n_ended") - 1 + nw.col("_is_open")
    ).with_columns(
        _has_revisit=flag(nw.col("_n_revisits") > 0),
        _has_back=flag(nw.col("_n_back") > 0),
        _has_restart=flag(nw.col("_n_restarts") > 0),
        _n_excluded=1 - nw.col("_n_incidents"),
    )
    counted = counted.with_columns(nw.col(*_TOTALS) * nw.col("_n_incidents"))
    return counted.group_by(*dict.fromkeys([*groups, "server_id"])).agg(nw.col(*_TOTALS, "_n_excluded").sum())


def _rework(totals: pd.DataFrame, level: float) -> Iterator[dict[str, Any]]:
    for measure, names in _MEASURES.items():
        interval_of = stats.share_interval if measure in _SHARES else stats.difference_interval
        counts, out_of = (totals[name].to_numpy(np.int64) for name in names)
        estimate, lower, upper = interval_of(counts, out_of, level=level)
        yield {
            "measure": measure,
            "n": counts.sum(),
            "n_total": out_of.sum(),
            "n_servers": np.count_nonzero(out_of),
            "estimate": estimate,
            "lower": lower,
            "upper": upper,
            "n_excluded": int(totals["_n_excluded"].sum()),
        }
