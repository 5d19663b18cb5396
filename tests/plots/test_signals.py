"""Pictures of what is out of the ordinary: servers, weeks, and what a difference is made of."""

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from telemetry_kit import plots
from telemetry_kit.errors import ParameterError

LONG_ID = "abcdefghijklmnopqrstuvwxyz"


def deviation(n=12, odd=2) -> pd.DataFrame:
    table = pd.DataFrame({
        "server_id": [f"{LONG_ID}{number:02}" for number in range(n)], "n": np.arange(10, 10 + 10 * n, 10),
        "estimate": np.linspace(0.4, 0.6, n), "overall": 0.5, "shrunk": 0.5, "expected_lower": 0.3,
        "expected_upper": 0.7, "p_value": 0.5, "p_adjusted": 0.8, "is_signal": pd.array([False] * n, dtype="boolean"),
        "rho": 0.01, "between_sd": 0.05,
    })  # fmt: skip
    table.loc[: odd - 1, ["estimate", "p_adjusted", "is_signal"]] = [0.95, 0.001, True]
    table.attrs |= {"level": 0.95, "of": "commander"}
    return table


def decomposition() -> pd.DataFrame:
    return pd.DataFrame({
        "group_a": "1.0.0", "group_b": "1.1.0", "component": ["within", "mix", "entered", "left"],
        "contribution": [0.05, -0.01, 0.02, 0.0], "n_servers": [5, 5, 2, 0], "estimate_a": 0.5, "estimate_b": 0.56,
        "difference": 0.06,
    })  # fmt: skip


def chart(n=6, changed=3) -> pd.DataFrame:
    period = pd.date_range("2020-11-02", periods=n, freq="7D", tz="UTC")
    table = pd.DataFrame({
        "period": period, "n_events": 5, "size": 10.0, "estimate": np.where(np.arange(n) < changed, 0.3, 0.7),
        "center": 0.5, "lower": 0.4, "upper": 0.8, "is_beyond": pd.array(np.arange(n) < changed, dtype="boolean"),
        "run": 3, "is_run_signal": pd.array(np.arange(n) >= changed, dtype="boolean"),
        "changed_at": pd.Series([period[changed] if changed < n else pd.NaT] * n), "sigma_z": 1.0,
    })  # fmt: skip
    table.attrs |= {"is_share": True, "measure": "Done (% of all)"}
    return table


def retention() -> pd.DataFrame:
    table = pd.DataFrame({
        "cohort": pd.to_datetime(["2020-11-02"] * 3 + ["2020-11-09"] * 2, utc=True), "age": [0, 1, 2, 0, 1],
        "n_servers": [4, 4, 4, 1, 1], "n_active": pd.array([4, 3, None, 1, 0], dtype="Int64"),
        "estimate": [1.0, 0.75, None, 1.0, 0.0], "lower": 0.0, "upper": 1.0,
    })  # fmt: skip
    table.attrs |= {"level": 0.95, "freq": "W"}
    return table


ALL = {
    plots.plot_server_deviation: deviation(),
    plots.plot_decomposition: decomposition(),
    plots.plot_process_chart: chart(),
    plots.plot_server_retention: retention(),
}
each = pytest.mark.parametrize(("plot", "table"), ALL.items(), ids=lambda value: getattr(value, "__name__", ""))


def words_of(ax):
    """All that is written anywhere in a picture, once it is drawn."""
    ax.figure.canvas.draw()
    return " ".join(text.get_text() for text in ax.figure.findobj(mpl.text.Text)).replace("\n", " ")


@each
def test_a_picture_says_what_it_shows_and_leaves_its_table_alone(plot, table):
    copy = table.copy()
    ax = plot(table.convert_dtypes())
    ax.figure.canvas.draw()
    assert ax.get_title()
    assert ax.get_xlabel()
    assert ax.get_ylabel()
    pd.testing.assert_frame_equal(table, copy)


@each
def test_an_empty_table_gives_axes_that_say_so(plot, table):
    assert plot(table.iloc[:0]).texts[-1].get_text().startswith("no ")


@each
def test_a_table_that_lacks_a_column_is_refused(plot, table):
    with pytest.raises(ParameterError, match="table has no column"):
        plot(table.iloc[:, :1])


@each
def test_given_axes_are_drawn_on(plot, table):
    figure = mpl.figure.Figure()
    ax = figure.add_subplot()
    assert plot(table, ax=ax) is ax
    figure.canvas.draw()


def test_signals_are_named_and_ordinary_servers_are_not():
    text = words_of(plots.plot_server_deviation(deviation()))
    assert text.count("abcdefgh…") == 2
    assert "n = 780 completions of 12 servers" in text
    assert "standard deviation of 5.0 points" in text


def test_names_of_signals_that_lie_together_do_not_lie_on_one_another():
    ax = plots.plot_server_deviation(deviation(40, odd=5))
    ax.figure.canvas.draw()
    boxes = sorted((text.get_window_extent() for text in ax.texts if "…" in text.get_text()), key=lambda box: box.y0)
    assert len(boxes) == 5
    assert all(below.y1 <= above.y0 + 1 for below, above in pairwise(boxes))


def test_of_very_many_signals_those_that_are_the_farthest_off_are_named():
    text = words_of(plots.plot_server_deviation(deviation(40, odd=20)))
    assert "12 of 20 signals are named" in text


def test_of_very_many_servers_those_under_others_are_not_drawn():
    table = deviation(n=200_000, odd=2)
    rng = np.random.default_rng(1)
    table["n"] = rng.integers(1, 5000, len(table))
    table.loc[2:, "estimate"] = rng.random(len(table) - 2)
    ax = plots.plot_server_deviation(table)
    ordinary, signals = (np.asarray(drawn.get_offsets()) for drawn in ax.collections[1:3])
    assert len(signals) == 2
    assert 10_000 < len(ordinary) < 251**2
    # Where a server is, a point is drawn within a small part of the picture.
    x, y = np.log(table["n"].to_numpy()), table["estimate"].to_numpy()
    drawn = {(int(250 * np.log(n) / np.log(5000)), int(250 * share)) for n, share in ordinary}
    near = {(a + i, b + j) for a, b in drawn for i in (-1, 0, 1) for j in (-1, 0, 1)}
    spots = zip((250 * x[2:] / np.log(5000)).astype(int), (250 * y[2:]).astype(int), strict=True)
    assert all(spot in near for spot in spots)


def test_servers_of_one_size_are_drawn_however_many():
    table = deviation(n=6000, odd=0).assign(n=7, estimate=0.5)
    ax = plots.plot_server_deviation(table)
    assert len(np.asarray(ax.collections[1].get_offsets())) == 1


def test_no_signal_and_too_few_servers_are_said():
    assert "no server differs" in words_of(plots.plot_server_deviation(deviation(odd=0)))
    few = deviation(3, odd=0).assign(is_signal=pd.array([None] * 3, dtype="boolean"))
    assert "too few servers" in words_of(plots.plot_server_deviation(few))
    unknown = dict.fromkeys(["expected_lower", "expected_upper", "between_sd"], np.nan)
    assert "ordinary servers lie" not in words_of(plots.plot_server_deviation(few.head(1).assign(**unknown)))


def test_each_part_of_a_difference_begins_where_the_one_before_ends():
    ax = plots.plot_decomposition(decomposition())
    assert [round(bar.get_height(), 9) for bar in ax.patches] == [0.5, 0.56, 0.05, -0.01, 0.02, 0.0]
    assert [round(bar.get_y(), 9) for bar in ax.patches[2:]] == [0.5, 0.55, 0.54, 0.56]
    text = words_of(ax)
    assert "+6.0 points from 1.0.0 to 1.1.0" in text
    assert "the axis does not begin at 0" in text


def test_of_several_pairs_the_last_is_drawn():
    pairs = pd.concat([decomposition(), decomposition().assign(group_a="1.1.0", group_b="1.2.0")])
    assert "the last of 2 pairs is shown" in words_of(plots.plot_decomposition(pairs))


def test_the_period_of_a_change_is_named():
    assert "another level, most likely from 2020-11-23 on" in words_of(plots.plot_process_chart(chart()))
    assert "single signals, and no lasting change" in words_of(plots.plot_process_chart(chart(changed=6)))


def test_the_first_days_of_versions_are_marked_and_those_close_together_share_a_mark():
    days = ["2020-11-03", "2020-11-04", "2020-11-24", "2020-11-24", "2020-12-24"]
    versions = pd.DataFrame({
        "date": pd.to_datetime(days, utc=True), "version": ["1.0.0", "1.0.0", "1.1.0", "1.1.1", "1.2.0"],
        "n_servers": [0, 2, 1, 1, 5],
    })  # fmt: skip
    text = words_of(plots.plot_process_chart(chart(), versions=versions))
    assert "1.1.0, 1.1.1" in text
    assert "1.0.0" in text
    # Its first day lies behind the last period.
    assert "1.2.0" not in text


def test_periods_may_be_names_and_one_alone():
    named = chart(1, changed=1).assign(period="before", changed_at=None)
    assert "before" in words_of(plots.plot_process_chart(named))


def test_what_is_not_known_yet_is_an_empty_cell_and_not_zero():
    ax = plots.plot_server_retention(retention())
    assert sorted(text.get_text() for text in ax.texts if text.get_text().isdigit() and len(text.get_text()) > 1) == [
        "100", "100", "75",
    ]  # fmt: skip
    text = words_of(ax)
    assert "Weeks since then" in text
    assert "n = 5 servers" in text
