"""Under which licence a server was when something happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import narwhals.stable.v2 as nw

from telemetry_kit import engine
from telemetry_kit.errors import ParameterError

if TYPE_CHECKING:
    from narwhals.stable.v2.typing import IntoFrame, IntoFrameT

UNLICENSED = "unlicensed"
_LICENSE = ("server_id", "edition", "starts_at", "ends_at")
_TIMES = {"starts_at": "_starts_us", "ends_at": "_ends_us"}
_BEFORE_ALL, _AFTER_ALL = -(2**62), 2**62


def attach_license(frame: IntoFrameT, licenses: IntoFrame, *, at: str = "event_timestamp") -> IntoFrameT:
    """Add the edition of the licence that the row's server had at the row's time.

    A licence holds from its start until just before its end. Where several hold, the one that started last does; of
    those that started together, the one that ends last.

    Parameters
    ----------
    frame
        A frame of any kind with ``server_id`` and a time: events, visits, a snapshot.
    licenses
        A frame with ``server_id``, ``edition``, ``starts_at`` and ``ends_at`` (null: open). A licence without a start
        is passed over. Nothing but the edition is taken from it, so that no contact comes along. It is in memory, or on
        the engine of ``frame``.
    at
        The column of ``frame`` with the time; ``"entered_at"`` for visits, ``"last_changed_at"`` for a snapshot.

    Returns
    -------
    frame
        Of the same kind as ``frame``, its rows (in their order, where it has one) with one more column:

        edition : str
            The edition, ``"unlicensed"`` where no licence holds, null where the row has no time.

    Raises
    ------
    ParameterError
        Where a frame lacks a column, ``frame`` has an ``edition``, ``licenses`` no times, or the two are on different
        engines.

    Examples
    --------
    >>> import pandas as pd, telemetry_kit as tk
    >>> events = pd.DataFrame({
    ...     "server_id": ["a", "a", "b"],
    ...     "event_timestamp": pd.to_datetime(["2020-10-30", "2020-11-02", "2020-11-02"], utc=True),
    ... })
    >>> licenses = pd.DataFrame({
    ...     "server_id": ["a"],
    ...     "edition": ["E20"],
    ...     "starts_at": pd.to_datetime(["2020-11-01"], utc=True),
    ...     "ends_at": pd.to_datetime([None], utc=True),
    ...     "contact": ["never taken along"],
    ... })
    >>> tk.attach_license(events, licenses)[["server_id", "edition"]]
      server_id     edition
    0         a  unlicensed
    1         a         E20
    2         b  unlicensed
    """
    rows = engine.open_frame(frame, ["server_id", at], parameter="frame", order="_row")
    engine.check_times(rows, [at], parameter="frame")
    columns = [name for name in rows.columns if name != "_row"]
    if "edition" in columns:
        raise ParameterError("frame", "a frame with edition", "one without it: it is added")
    given = engine.open_alike(licenses, _LICENSE, parameter="licenses", like=rows)
    # Every moment lies in exactly one term of its server, so the join neither drops nor repeats a row.
    terms = _terms(given)
    rows = engine.add_epoch_us(rows, _us=at)
    time = nw.col("_us").fill_null(_BEFORE_ALL)
    placed = rows.join(terms, on="server_id", how="left").filter(
        nw.col("_from_us").is_null() | ((nw.col("_from_us") <= time) & (time < nw.col("_until_us")))
    )
    edition = nw.when(~nw.col("_us").is_null()).then(nw.col("edition").fill_null(UNLICENSED))
    result = placed.with_columns(edition=edition)
    if engine.is_ordered(frame):
        result = result.sort("_row")
    return engine.give_back(result.select(*columns, "edition"), like=frame)


def _terms(licenses: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Cut the time of each licensed server into terms: ``_from_us``, ``_until_us``, and the ``edition`` that holds."""
    # A column of nothing but nulls has no type, and tells no time.
    empty = [name for name in _TIMES if licenses.collect_schema()[name] == nw.Unknown]
    held = licenses.select(*_LICENSE).with_columns(nw.lit(None, nw.Datetime("us", "UTC")).alias(name) for name in empty)
    held = engine.add_epoch_us(held, **{us: name for name, us in _TIMES.items()}).select(
        "server_id",
        "_starts_us",
        edition=nw.col("edition").cast(nw.String),
        _ends_us=nw.col("_ends_us").fill_null(_AFTER_ALL),
    )
    held = held.filter(~nw.col("_starts_us").is_null())
    moments = nw.concat(
        [
            held.select("server_id", _from_us=nw.lit(_BEFORE_ALL)),
            held.select("server_id", _from_us=nw.col("_starts_us")),
            held.select("server_id", _from_us=nw.col("_ends_us")),
        ]
    )
    cuts = engine.distinct(moments, "server_id", "_from_us")
    latest = {"order_by": ["_starts_us", "_ends_us", "edition"]}
    best = (
        cuts.join(held, on="server_id")
        .filter(nw.col("_starts_us") <= nw.col("_from_us"), nw.col("_from_us") < nw.col("_ends_us"))
        .with_columns(_next=nw.col("_starts_us").shift(-1).over("server_id", "_from_us", **latest))
        .filter(nw.col("_next").is_null())
        .select("server_id", "_from_us", "edition")
    )
    until = nw.col("_from_us").shift(-1).over("server_id", order_by="_from_us").fill_null(_AFTER_ALL)
    return cuts.with_columns(_until_us=until).join(best, on=["server_id", "_from_us"], how="left")
