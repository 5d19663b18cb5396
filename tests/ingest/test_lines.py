"""Lines that are found again by their place in a file."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry_kit.ingest import lines
from telemetry_kit.ingest.lines import Lines, Segment, count_marks, fetch_lines, find_lines


def test_lines_are_found_again_by_their_row(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"a\n\nb\n  \nc\n" + b"\nd\ne\n")
    lines = Lines(path, [Segment(7, 0, 3, 0, 0), Segment(8, 10, 2, 3, 40)])
    assert list(fetch_lines(lines)) == [
        (0, 7, 1, b"a\n"), (1, 7, 3, b"b\n"), (2, 7, 5, b"c\n"), (3, 8, 42, b"d\n"), (4, 8, 43, b"e\n"),
    ]  # fmt: skip
    assert [line for *_, line in fetch_lines(lines, [4, 1])] == [b"b\n", b"e\n"]
    whole = Lines(path, [Segment(9, 0, None)])
    assert list(fetch_lines(whole, [4])) == [(4, 9, 8, b"e\n")]


_FULL_LINES = st.lists(st.text("a,\\", min_size=1, max_size=20).map(str.encode), min_size=1, max_size=20)


@given(_FULL_LINES, st.booleans(), st.integers(1, 40), st.data())
def test_lines_are_found_where_they_lie_when_their_ends_have_been_counted(full, is_ended, block, data):
    rows = data.draw(st.lists(st.integers(0, len(full) - 1), unique=True))
    n_first = data.draw(st.integers(0, len(full)))
    text = b"\n".join(full) + b"\n" * is_ended
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "COUNT_BLOCK", block)
        path = Path(folder, "lines")
        path.write_bytes(text)
        offset = len(b"".join(line + b"\n" for line in full[:n_first]))
        segments = [Segment(7, 0, n_first), Segment(8, offset, len(full) - n_first, n_first, 40)]
        given = Lines(path, segments)
        marks = count_marks(given)
        assert (marks.n_lines, marks.n_commas) == (len(full), text.count(b","))
        assert marks.has_escapes == (b"\\" in text)
        assert list(find_lines(given, rows, marks)) == list(fetch_lines(given, rows))


@pytest.mark.parametrize("text", [b"a\n\nb", b"\na\n", b"a\n \n", b"a\n\n", b"\n"])
def test_a_file_with_a_blank_line_has_more_lines_than_rows(tmp_path, text):
    path = tmp_path / "lines"
    path.write_bytes(text)
    whole = Lines(path, [Segment(0, 0, None)])
    assert count_marks(whole).n_lines > len(list(fetch_lines(whole)))
