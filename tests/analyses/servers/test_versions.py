"""Which versions servers run."""

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.errors import ParameterError

TYPES = ("incident", "tasks", "playbook")


def a_log(*rows: tuple) -> dict[str, pd.DataFrame]:
    """Tasks events: server, day from the end of October 2020, plugin version."""
    frame = pd.DataFrame(rows, columns=["server_id", "day", "plugin_version"])
    frame["event_timestamp"] = pd.Timestamp("2020-10-31", tz="UTC") + pd.to_timedelta(frame.pop("day"), unit="D")
    frame["server_version"] = "5.28.0"
    return {"incident": frame.iloc[:0], "tasks": frame, "playbook": frame.iloc[:0]}


UPGRADES = a_log(
    ("a", 1, "1.9.0"),
    ("a", 1.5, "1.10.0"),
    ("b", 1, "1.9.0"),
    ("b", 3, "1.10.0"),
    ("c", 2, "1.9.0"),
    ("c", 5, "1.9.0"),
    ("d", 4, "1.10.0"),
)


def test_a_server_counts_under_the_version_of_its_latest_event():
    table = tk.versions_in_use(UPGRADES)
    assert list(table["version"]) == ["1.9.0", "1.10.0"] * 5
    assert list(table["n_servers"]) == [1, 1, 2, 1, 1, 2, 1, 3, 1, 3]
    assert list(table["n_in_use"]) == [2, 2, 3, 3, 3, 3, 4, 4, 4, 4]
    assert list(table["share"][:4]) == pytest.approx([1 / 2, 1 / 2, 2 / 3, 1 / 3])


def test_a_server_is_in_use_for_a_window_of_days():
    table = tk.versions_in_use(UPGRADES, window=2)
    assert list(table.loc[table["version"] == "1.9.0", "n_servers"]) == [1, 2, 1, 0, 1]
    assert list(table.loc[table["version"] == "1.10.0", "n_servers"]) == [1, 1, 1, 2, 1]
    paused = tk.versions_in_use(a_log(("a", 1, "1.0.0"), ("b", 4, "1.0.0")), window=1)
    assert list(paused["n_servers"]) == [1, 0, 0, 1]
    assert paused["share"].isna().tolist() == [False, True, True, False]


def test_weeks_and_months_are_seen_on_their_last_day():
    daily = tk.versions_in_use(UPGRADES).set_index(["date", "version"])
    table = tk.versions_in_use(UPGRADES, freq="W")
    assert list(table["date"].dt.day) == [1, 1, 5, 5]
    assert list(table["n_servers"]) == list(
        daily.loc[list(zip(table["date"], table["version"], strict=True)), "n_servers"]
    )


def test_adoption_counts_from_the_first_server_that_has_the_version():
    # Out on day 1.5; b takes it up 1.5 days later; c, first seen on day 2, has not 3 days later; d never had less.
    table = tk.version_adoption(UPGRADES, "1.10.0")
    assert list(table["days"]) == pytest.approx([0, 1.5, 3])
    assert list(table["n_at_risk"]) == [3, 2, 1]
    assert list(table["n_adopted"]) == [1, 1, 0]
    assert list(table["n_censored"]) == [0, 0, 1]
    assert list(table["estimate"]) == pytest.approx([1 / 3, 2 / 3, 2 / 3])


def test_a_later_version_is_an_adoption_too_and_who_left_before_is_no_loss():
    log = a_log(("a", 3, "1.2.0"), ("b", 1, "1.0.0"), ("b", 5, "1.3.0"), ("c", 1, "1.0.0"), ("c", 2, "1.0.0"))
    table = tk.version_adoption(log, "1.2.0")
    assert table[["days", "n_at_risk", "n_adopted", "estimate"]].to_numpy().tolist() == [[2, 1, 1, 1]]
    assert table[["lower", "upper"]].isna().all(axis=None)


def test_the_band_of_adoption_is_that_of_r(oct2020):
    """In R, with d the days and whether the version was taken up:

    f <- survfit(Surv(days, adopted) ~ 1, data = d); s <- f$surv[10]
    y <- s + nrow(d) * residuals(f, times = f$time[10], type = "survival")
    r <- coef_test(lm(y ~ 1), vcov = "CR2", cluster = seq_along(y), test = "Satterthwaite")
    h <- qt(.975, r$df_Satt) * r$SE / (s * abs(log(s))); c(1 - s, r$df_Satt, 1 - s^exp(-h), 1 - s^exp(h))
    """
    row = tk.version_adoption(oct2020, "1.1.0").iloc[9]
    assert (row["n_at_risk"], row["n_adopted"]) == (5, 1)
    assert list(row[["estimate", "df", "lower", "upper"]]) == pytest.approx(
        [0.4857142857, 13, 0.2151662646, 0.8387998588], abs=1e-9
    )


def test_every_kind_of_frame_gives_the_same_tables(as_kind, oct2020):
    given = {name: as_kind(getattr(oct2020, name)) for name in TYPES}
    for component, version in (("plugin_version", "1.1.0"), ("server_version", "5.29.0")):
        options = {"component": component}
        pd.testing.assert_frame_equal(tk.versions_in_use(given, **options), tk.versions_in_use(oct2020, **options))
        pd.testing.assert_frame_equal(
            tk.version_adoption(given, version, **options), tk.version_adoption(oct2020, version, **options)
        )


def test_an_empty_log_and_an_unknown_version_make_empty_tables_of_the_same_types(oct2020):
    empty = {name: getattr(oct2020, name).iloc[:0] for name in TYPES}
    for got, full in (
        (tk.versions_in_use(empty), tk.versions_in_use(oct2020)),
        (tk.version_adoption(empty, "1.1.0"), tk.version_adoption(oct2020, "1.1.0")),
        (tk.version_adoption(oct2020, "9.9.9"), tk.version_adoption(oct2020, "1.1.0")),
    ):
        assert len(got) == 0
        assert list(got.dtypes) == list(full.dtypes)


def test_mistakes_are_named():
    with pytest.raises(ParameterError, match=r"component: got 'edition', expected one of 'plugin_version'"):
        tk.versions_in_use(UPGRADES, component="edition")
    with pytest.raises(ParameterError, match=r"window: got 0, expected a whole number of days, 1 or more"):
        tk.versions_in_use(UPGRADES, window=0)
