"""Delimited text: rows with their places, whatever the delimiter, the quotes and the damage."""

import gzip
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telemetry_kit.ingest.formats import csv, csv_blocks
from telemetry_kit.ingest.formats.csv import read_rows
from telemetry_kit.ingest.formats.csv_records import delimiter_of, simply_quoted
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
            rows = zip(*(column.to_pylist() for column in part.cells), strict=True)
            cells |= dict(zip(part.records, map(list, rows), strict=True))
    return header, cells, damages


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "\x01", "^", "~", ":", " "])
def test_the_header_tells_the_delimiter(delimiter):
    text = '"user_id",Action,ID\ns,add_task,1\n'.replace(",", delimiter)
    assert read(text) == (["user_id", "Action", "ID"], {2: ["s", "add_task", "1"]}, {})


@pytest.mark.parametrize("header", ["name,age", "server_id,edition,starts_at", "nothing", "user_id"])
def test_a_header_that_names_fewer_than_two_fields_is_none(header):
    assert delimiter_of(header.encode()) is None


def test_words_of_prose_are_no_header():
    assert delimiter_of(b"The event type is public, and the action is told") is None


def test_upper_case_quotes_and_spaces_name_fields_too():
    assert delimiter_of(b'"USER_ID"; "EVENT TEXT" ;"ID"\r\n') == ";"


@pytest.mark.parametrize("header", ["events.user_id,events.id", "`user_id`,`id`", "[user_id],[id]"])
def test_what_stands_around_the_names_of_columns_is_no_part_of_them(header):
    assert read(f"{header}\ns,1\n") == (["user_id", "id"], {2: ["s", "1"]}, {})


def test_blanks_behind_every_delimiter_are_no_part_of_cells():
    text = 'user_id, id, action\ns, "1, 2", x\n"t", 3, "a ""b"""\nu, "4", "c\nd"\n'
    assert read(text)[1] == {2: ["s", "1, 2", "x"], 3: ["t", "3", 'a "b"'], 4: ["u", "4", "c\nd"]}


@pytest.mark.parametrize("quote", ["", '"'])
def test_names_of_rows_for_which_the_header_has_no_column_are_passed_over(quote):
    text = f"user_id\tid\n{quote}1{quote}\ts\t1\n{quote}2{quote}\tt\t2\n"
    assert read(text) == (["", "user_id", "id"], {2: ["1", "s", "1"], 3: ["2", "t", "2"]}, {})


def test_lines_before_the_header_are_damages():
    header, cells, damages = read('A title\n"2020, November"\n\nuser_id,id,timestamp\ns,1,2\n')
    assert (header, cells, sorted(damages)) == (["user_id", "id", "timestamp"], {5: ["s", "1", "2"]}, [1, 2])


def test_a_backslash_before_a_delimiter_makes_it_a_character():
    assert read("user_id,id\nOps\\, West,1\nt,2\n") == (["user_id", "id"], {2: ["Ops, West", "1"], 3: ["t", "2"]}, {})


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
    assert damages == {3: "record: not CSV: a quote opens a cell and never closes"}
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


def test_a_quote_inside_a_cell_is_a_character():
    assert read('id,user_id\n5" tube,a"b"\n')[1:] == ({2: ['5" tube', 'a"b"']}, {})


@pytest.mark.parametrize("damaged", ['1,"a"b', '1,"open', '1,"', '"1"2,x'])
def test_a_damaged_row_costs_itself_and_the_next_line_begins_anew(damaged):
    _, cells, damages = read(f'id,user_id\n{damaged}\n2,s\n"3","t"\n')
    assert cells == {3: ["2", "s"], 4: ["3", "t"]}
    assert list(damages) == [2]
    assert damages[2].startswith("record: not CSV: ")


def test_a_quote_that_is_never_closed_takes_no_whole_row_with_it():
    rows = 'id,user_id,event,team_id\n1,s,"incident,t\n2,s,incident,t\n3,s,incident,"t"\n4,s,"in\ncident",t\n'
    _, cells, damages = read(rows)
    assert list(cells) == [3, 4, 5]
    assert list(damages) == [2]


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_line_end_ends_a_record_and_counts_as_a_line(line_end):
    text = f'id,user_id\n1,a{line_end}"2",b{line_end}3,"c"{line_end}\n4,d'
    n_blank = 0 if line_end == "\r" else 1
    assert read(text)[1:] == ({2: ["1", "a"], 3: ["2", "b"], 4: ["3", "c"], 5 + n_blank: ["4", "d"]}, {})


def test_a_backslash_before_a_quote_is_the_dialect_of_a_file_that_has_it():
    text = 'id,user_id\n"1","say \\"hi\\", you"\n"2","{\\"a\\": \\"b\\\\n\\"}"\n'
    assert read(text)[1:] == ({2: ["1", 'say "hi", you'], 3: ["2", '{"a": "b\\n"}']}, {})


def test_a_backslash_at_the_end_of_a_cell_is_a_character_elsewhere():
    text = 'id,user_id\n"C:\\dir\\","s"\n"2",\\N\n'
    assert read(text)[1:] == ({2: ["C:\\dir\\", "s"], 3: ["2", "\\N"]}, {})


def test_a_header_that_stands_again_begins_anew_in_its_own_order():
    text = "id,user_id,timestamp\n1,s,t\nid,user_id,timestamp\n2,s,t\n\ufefftimestamp;ID;event\nt;3;tasks\n"
    parts = list(read_rows(io.BufferedReader(io.BytesIO(text.encode())), 0, "a.csv"))
    told = [(part.header, part.records.tolist(), [column.to_pylist() for column in part.cells]) for part in parts]
    assert told == [
        (["id", "user_id", "timestamp"], [2, 4], [["1", "2"], ["s", "s"], ["t", "t"]]),
        (["timestamp", "ID", "event"], [6], [["t"], ["3"], ["tasks"]]),
    ]


def test_the_first_line_of_excel_tells_the_delimiter_and_is_no_record():
    assert read("sep=;\r\nid;user_id\r\n1,5;s\r\n") == (["id", "user_id"], {3: ["1,5", "s"]}, {})


def test_protected_text_of_excel_is_its_text():
    assert read('id,user_id\n="007","=""a""""b"""\n')[1] == {2: ["007", 'a"b']}


def test_a_row_of_an_archive_that_breaks_in_it_is_damaged():
    packed = gzip.compress(b"id,user_id\n" + b"".join(b"%d,%d\n" % (n, n * n) for n in range(30_000)))[:-3000]
    parts = list(read_rows(gzip.GzipFile(fileobj=io.BytesIO(packed)), 0, "a.csv"))
    (damage,) = [part for part in parts if isinstance(part, Damage)]
    assert damage.record == 2 + sum(len(part.records) for part in parts if not isinstance(part, Damage))
    assert damage.reason.startswith(f"record: the file is damaged after line {damage.record - 1}: ")


_CELLS = st.text(st.sampled_from('ab",;\\=\r\n é0'), max_size=6)
_FILES = st.lists(st.lists(_CELLS, min_size=1, max_size=5).map(",".join), max_size=12).map("\n".join)


@settings(max_examples=300)
@given(_FILES)
def test_the_text_of_all_records_is_all_of_the_file_but_its_header(text):
    data = b"id,user_id,event,team_id\n" + text.encode()
    found = {}
    for part in read_rows(io.BufferedReader(io.BytesIO(data)), 0, "a.csv"):
        is_damage = isinstance(part, Damage)
        records = [(part.record, part.raw)] if is_damage else [(n, part.raw[n]) for n in part.records.tolist()]
        for number, raw in records:
            assert number not in found
            found[number] = raw
    pieces = [line for number in sorted(found) for line in found[number].splitlines() if line.strip()]
    assert pieces == [line for line in text.encode().splitlines() if line.strip()]


def told(data, least_block):
    """Read rows, blocks of so many bytes at once; return how each came, with its trimmed cells or what is wrong."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "LEAST_BLOCK", least_block)
        for part in read_rows(io.BufferedReader(io.BytesIO(data)), 0, "a.csv"):
            if isinstance(part, Damage):
                found[part.record] = (part.raw, part.reason)
                continue
            columns = part.cells if part.are_trimmed else map(csv_blocks.trimmed, part.cells)
            rows = zip(*(column.to_pylist() for column in columns), strict=True)
            found |= {n: (part.raw[n], row) for n, row in zip(part.records.tolist(), rows, strict=True)}
    return found


_ODD_CELLS = st.one_of(
    _CELLS,
    st.sampled_from(
        [
            "",
            " ",
            "\t",
            "x",
            " x",
            "x\t",
            "\xa0x",
            "\x1cx",
            "NULL",
            " null ",
            '"NULL"',
            '""',
            '"x"',
            '" "',
            '="x"',
            "\\N",
        ]
    ),
)
_ROWS = st.lists(st.lists(_ODD_CELLS, min_size=1, max_size=4), max_size=12)


@settings(max_examples=500)
@given(_ROWS, st.sampled_from(",\t;|"), st.sampled_from(["\n", "\r\n", "\r"]), st.binary(max_size=2))
def test_lines_that_are_read_together_are_what_each_is_alone(rows, delimiter, end, last):
    lines = [delimiter.join(row) for row in (["id", "user_id", "event"], *rows)]
    data = end.join(lines).encode() + end.encode() + last
    found = told(data, 0)
    assert found == told(data, len(data) + 1)


def test_of_lines_that_are_read_together_one_with_other_cells_is_told_in_its_place():
    lines = [
        b"id,user_id,event",
        *(b"%d,s,t" % n for n in range(10)),
        b"",
        b"1,2",
        b'"11","s",""',
        b"12,s\\,t,",
        b"13,s,t",
    ]
    found = told(b"\n".join(lines), 0)
    assert [n for n, (_, cells) in found.items() if isinstance(cells, str)] == [13]
    assert found[13] == (b"1,2", "record: 2 cells, expected 3 as in the header")
    assert found[14] == (b'"11","s",""', ("11", "s", None))
    assert found[15] == (b"12,s\\,t,", ("12", "s,t", None))
    assert [found[n][1] for n in range(2, 12)] == [(str(n), "s", "t") for n in range(10)]


@pytest.mark.parametrize("place", range(4))
def test_a_line_end_in_any_cell_is_one_of_its_characters(place):
    row = ["1", "2", "3", "4"]
    row[place] = '"see log\nred, then green"'
    _, cells, damages = read("id,user_id,event,team_id\n" + ",".join(row) + "\n5,6,7,8\n")
    row[place] = "see log\nred, then green"
    assert (cells, damages) == ({2: row, 4: ["5", "6", "7", "8"]}, {})


_QUOTED = st.one_of(
    st.sampled_from(["", "0", "é", '""', '"a"', '"é"', '" b "', '"="', "'"]),
    st.sampled_from(['"a,b"', '"a""b"', '"a\nb"', '"a\\"', 'a"b', '"', '="7"', '"a"b', '"stamp"']),
)
_QUOTED_FILES = st.lists(st.lists(_QUOTED, min_size=3, max_size=5).map(",".join), max_size=20).map("\n".join)


@settings(max_examples=200)
@given(_QUOTED_FILES, st.sampled_from([1, 20, 200]), st.sampled_from(["\n", "\r\n", "\r"]))
def test_lines_whose_quotes_are_simple_give_what_each_gives_alone(text, least, line_end):
    text = f"id,user_id,event,team_id\n{text}\n".replace("\n", line_end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv, "LEAST_LOOKED_AT", least)
        together = read(text)
        patch.setattr(csv, "simply_quoted", lambda *_: 0)
        assert together == read(text)


@pytest.mark.parametrize(
    ("lines", "n_simple"),
    [
        (b'a,"",b\n"c","d","e"\r\n', 2),
        (b'a,b\n"a,b",c\n"x"\n', 1),
        (b'"a"\n"b\nc"\n', 1),
        (b'"a"\n"b""c"\n', 1),
        (b'"a"\n"b\\"\n', 1),
        (b'"a"\nb"c"\n', 1),
        (b'"a"\n"b"c\n', 1),
        (b'"a"\n"b\n', 1),
        (b'"\n', 0),
    ],
)
def test_quotes_around_whole_cells_are_simple(lines, n_simple):
    assert simply_quoted(lines, b",") == len(b"".join(lines.splitlines(keepends=True)[:n_simple]))


def test_what_a_query_leaves_around_names_is_no_delimiter():
    header = b'EVENT,USER_ID,TIMESTAMP,PROPERTIES:Action::string,PROPERTIES:"IncidentID"::string,PROPERTIES:TeamID\n'
    assert delimiter_of(header) == ","
    assert delimiter_of(b"event:user_id:timestamp:messageId\n") == ":"
