"""A figure inside a page: its paper and its ink are the page's, in the dark scheme too; its data stay as they are."""

import pytest
from matplotlib import pyplot as plt

from telemetry_kit.plots import style
from telemetry_kit.reports.figures import PAGE_COLORS, within_page


@pytest.fixture
def drawn(tmp_path):
    """A figure with a white letter on a dark mark, and a letter on a light one."""
    _, ax = plt.subplots()
    ax.bar([0, 1], [1, 2], color=["#0072B2", "#CFE2F3"], edgecolor="white")
    ax.text(0, 0.5, "on dark", color="white")
    ax.text(1, 0.5, "on light", color=style.ON_LIGHT)
    ax.set_xlabel("below", color=style.INK)
    plt.rcParams["svg.fonttype"] = "path"
    plt.savefig(tmp_path / "figure.svg")
    return (tmp_path / "figure.svg").read_text("utf-8")


def test_the_paper_of_a_figure_is_that_of_its_page(drawn):
    element = within_page(drawn, "figure-a")
    assert "fill: #ffffff" in drawn
    assert 'style="fill: var(--paper)"' in element
    assert "stroke: var(--paper)" in element


def test_letters_on_marks_stay_as_they_were_drawn(drawn):
    element = within_page(drawn, "figure-a")
    assert element.count('<g style="fill: #ffffff"') == 1
    assert element.count(f'<g style="fill: {style.ON_LIGHT}"') == 1
    assert style.ON_LIGHT not in PAGE_COLORS
    assert "fill: var(--ink)" in element
