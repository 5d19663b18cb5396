"""Delimited text: rows with their places, whatever the delimiter, the quotes and the damage."""

import io

import pytest

from telemetry_kit.ingest.formats.csv import delimiter_of, read_rows
from telemetry_kit.ingest.lines import LINE_LIMIT, Damage


def read(text):
    """Read rows; return the header, the cells of each record by its number, and the damages."""
    header, cells, damages = [], {}, {}
    data = text if isinstance(text, bytes) else text.encode()
    for part in read_rows(io.BufferedReader(io.BytesIO(data)), 0, "a.csv"):
        if isinstance(part, Damage):
            damages[part.record] = part.reason
        else:
            header = part.header
            for row, number in enumerate(part.records):
                cells[number] = [column[row] for column in part.cells]
    return header, cells, damages


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_header_tells_the_delimiter(delimiter):
    text = "user_id,Action,ID\ns,add_task,1\n".replace(",", delimiter)
    assert read(text) == (["user_id", "Action", "ID"], {2: ["s", "add_task", "1"]}, {})


@pytest.mark.parametrize("header", ["name,age", "server_id,edition,starts_at", "nothing", "user_id"])
def test_a_header_that_names_fewer_than_two_fields_is_none(header):
    assert delimiter_of(header.encode()) is None


def test_upper_case_quotes_and_spaces_name_fields_too():
    assert delimiter_of(b'"USER_ID"; "EVENT TEXT" ;"ID"\r\n') == ";"


def test_an_empty_cell_is_null():
    assert read('user_id,id\n,1\n"",2\n')[1] == {2: [None, "1"], 3: [None, "2"]}


def test_columns_of_one_name_stay_apart():
    assert read("id,id,user_id\n1,2,s\n") == (["id", "id", "user_id"], {2: ["1", "2", "s"]}, {})


def test_quoted_cells_hold_delimiters_quotes_and_line_ends_and_the_record_is_its_first_line():
    text = 'id,user_id\n1,"a\nb\n\nc"\n"x,""y""",s\n\n3,s\n'
    assert read(text) == (["id", "user_id"], {2: ["1", "a\nb\n\nc"], 6: ['x,"y"', "s"], 8: ["3", "s"]}, {})


@pytest.mark.parametrize("n_rows", [3, 500])
def test_a_quote_that_never_closes_damages_its_own_line_only(n_rows):
    rows = [f"{n},s" for n in range(n_rows)]
    rows[1] = '1,"s'
    _, cells, damages = read("\n".join(["id,user_id", *rows]))
    assert damages == {3: "record: not CSV: unexpected end of data"}
    assert list(cells) == [2, *range(4, n_rows + 2)]


def test_a_row_with_other_cells_than_the_header_is_damaged():
    _, cells, damages = read("id,user_id\n1\n1,2,3\n4,5\n")
    assert cells == {4: ["4", "5"]}
    assert damages == {
        2: "record: 1 cells, expected 2 as in the header",
        3: "record: 3 cells, expected 2 as in the header",
    }


def test_a_row_that_is_no_text_is_damaged_alone():
    assert read(b"id,user_id\n1,\xff\n2,s\n")[1:] == ({3: ["2", "s"]}, {2: "record: not UTF-8 at byte 3"})


def test_a_line_too_long_is_damaged_alone():
    _, cells, damages = read(b"id,user_id\n" + b"x" * (LINE_LIMIT + 1) + b"\n2,s\n")
    assert cells == {3: ["2", "s"]}
    assert damages == {2: f"record: a line of {LINE_LIMIT + 1} bytes, expected at most {LINE_LIMIT}"}
