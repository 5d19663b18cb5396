"""What stands on a page, in the order of its notebook."""

import nbformat.v4 as nb

from telemetry_kit.reports.blocks import blocks_of, headings_of


def page(*cells):
    return blocks_of(nb.new_notebook(cells=list(cells)), "own", 1)


def test_a_heading_under_which_nothing_stands_is_left_out():
    blocks = page(
        nb.new_markdown_cell("# Stages"),
        nb.new_markdown_cell("## How far"),
        nb.new_code_cell("", metadata={"tags": ["table:funnel"]}),
        nb.new_markdown_cell("## How long"),
        nb.new_markdown_cell("### By server"),
        nb.new_markdown_cell("Half an hour."),
        nb.new_markdown_cell("## Single incidents"),
        nb.new_markdown_cell("### The first ones"),
    )
    assert [block.text for block in blocks] == ["# Stages", "## How long", "### By server", "Half an hour."]
    assert list(headings_of(blocks)) == ["How long"]
