"""Files and folders, archives and lines: everything is found once, and what is damaged tells its place."""

import gzip
import io
import os
import re
from pathlib import Path

import pyarrow as pa
import pytest

from telemetry_kit.errors import ParameterError, SourceError
from telemetry_kit.ingest.compression import open_plain
from telemetry_kit.ingest.discovery import find_files
from telemetry_kit.ingest.lines import (
    LINE_LIMIT,
    RAW_LIMIT,
    Damage,
    count_lines,
    has_long_line,
    read_lines,
)
from telemetry_kit.ingest.opening import open_regular

TEXT = b"".join(b'{"line": %d, "text": "%s"}\n' % (n, bytes([97 + n % 26]) * (n % 50)) for n in range(20_000))


def zstd(data):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


@pytest.fixture
def read(tmp_path):
    """Write bytes to a file and read it back: its text, and its damages by place."""

    def read(data):
        path = tmp_path / "given"
        path.write_bytes(data)
        with open_plain(path) as stream:
            parts = list(read_lines(stream, source=0))
        return b"".join(p for p in parts if isinstance(p, bytes)), {p.record: p for p in parts if isinstance(p, Damage)}

    return read


# Files ----------------------------------------------------------------------------------------------------------------


def test_files_are_named_relative_to_what_was_given_in_order(tmp_path):
    for name in ("b.json", "a/z.json", "a/b/c.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert [name for name, _ in find_files(tmp_path)] == ["a/b/c.json", "a/z.json", "b.json"]
    assert [name for name, _ in find_files(tmp_path / "b.json")] == ["b.json"]
    assert [name for name, _ in find_files(str(tmp_path / "a" / "*.json"))] == ["z.json"]
    assert [name for name, _ in find_files(str(tmp_path / "**" / "[cz].json"))] == ["a/b/c.json", "a/z.json"]
    assert [name for name, _ in find_files(str(tmp_path / "[a]*"))] == ["a/b/c.json", "a/z.json"]


def test_what_systems_put_beside_the_data_is_passed_over_and_told(tmp_path):
    names = (
        "a.json",
        "_SUCCESS",
        ".hidden",
        "sub/Thumbs.DB",
        "sub/desktop.ini",
        "__MACOSX/._a.json",
        "x/b.db.wal",
        "x/b.db",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    beside = []
    assert [name for name, _ in find_files(tmp_path, beside)] == ["a.json", "x/b.db"]
    assert sorted(beside) == sorted(names[1:6])
    assert [name for name, _ in find_files(tmp_path / "_SUCCESS")] == ["_SUCCESS"]


def test_a_name_with_the_signs_of_a_pattern_is_a_name_where_it_exists(tmp_path):
    (tmp_path / "a[1]*?.json").touch()
    assert [name for name, _ in find_files(tmp_path / "a[1]*?.json")] == ["a[1]*?.json"]


def test_odd_names_are_shown_as_text(tmp_path):
    for name in (b"new\nline", "ünïcödé 日本".encode(), b"not-utf8-\xff", b"quo'te\""):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    assert [name for name, _ in find_files(tmp_path)] == ["new\nline", "not-utf8-\\xff", "quo'te\"", "ünïcödé 日本"]


def test_links_are_followed_once_wherever_they_lead(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (inside / "a").touch()
    (outside / "b").touch()
    (inside / "loop").symlink_to(inside)
    (inside / "other").symlink_to(outside)
    (inside / "other-again").symlink_to(outside)
    assert [name for name, _ in find_files(inside)] == ["a", "other/b"]
    assert [name for name, _ in find_files(str(inside / "**" / "*"))] == ["a", "other/b"]


def test_what_is_no_file_stands_in_the_list_and_cannot_be_read(tmp_path):
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    os.mkfifo(tmp_path / "pipe")
    found = dict(find_files(tmp_path))
    assert list(found) == ["dangling", "pipe", "self"]
    for name, reason in {"dangling": "No such file", "self": "Too many levels", "pipe": "not a regular file"}.items():
        with pytest.raises(OSError, match=reason):
            open_regular(found[name])


def test_a_missing_source_is_one_clear_line(tmp_path):
    for given in (tmp_path / "nothing", tmp_path / "n\0thing", tmp_path / ("n" * 5000)):
        with pytest.raises(SourceError) as caught:
            find_files(given)
        assert "\n" not in str(caught.value)
        assert str(caught.value).startswith("source: ")


@pytest.mark.parametrize(("pattern", "reason"), [("", "no file lies in"), ("*.json", "no file matches")])
def test_a_source_without_files_is_a_mistake(tmp_path, pattern, reason):
    with pytest.raises(SourceError, match=f"source: {reason}"):
        find_files(f"{tmp_path}/{pattern}")


def test_a_pipe_or_a_device_is_no_source(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for given in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(SourceError, match=r"cannot be read: it is a .*, not a regular file"):
            find_files(given)


def test_what_is_no_path_is_a_wrong_parameter():
    with pytest.raises(ParameterError, match="source: got 5, expected a path, a glob"):
        find_files(5)
    with pytest.raises(ParameterError, match="source: got '', expected a path, a glob"):
        find_files("")


# Archives -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "packed",
    [
        TEXT,
        gzip.compress(TEXT),
        gzip.compress(TEXT[:100]) + gzip.compress(b"") + gzip.compress(TEXT[100:]),
        zstd(TEXT),
        zstd(TEXT[:100]) + zstd(TEXT[100:]),
        b"\x50\x2a\x4d\x18\x04\0\0\0skip" + zstd(TEXT),
        gzip.compress(zstd(TEXT)),
        zstd(gzip.compress(TEXT)),
    ],
    # Gzip writes the time into its bytes: what runs tests side by side must find them under one name.
    ids=["plain", "gzip", "three of gzip", "zstd", "two of zstd", "skipped frame", "zstd in gzip", "gzip in zstd"],
)
def test_archives_of_every_kind_are_unpacked_by_their_content(read, packed):
    assert read(packed) == (TEXT, {})


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_a_truncated_archive_gives_what_is_whole_and_one_damage_behind_it(read, pack, share):
    packed = pack(TEXT)
    text, damages = read(packed[: int(len(packed) * share)])
    assert TEXT.startswith(text)
    assert text.endswith(b"\n")
    n_lines = text.count(b"\n")
    # What the archive still holds goes into whole lines; no more than one unpacked block is missing.
    assert len(text) > (share - 0.2) * len(TEXT)
    assert list(damages) == [n_lines + 1]
    assert re.match(
        f"record: the file is damaged after line {n_lines}: (Compressed|Truncated)", damages[n_lines + 1].reason
    )
    assert TEXT[len(text) :].startswith(damages[n_lines + 1].raw)


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_garbage_behind_an_archive_is_one_damage_and_costs_no_line(read, pack):
    text, damages = read(pack(TEXT[:300]) + b"garbage")
    assert text == TEXT[:300].rpartition(b"\n")[0] + b"\n"
    assert len(damages) == 1


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_a_last_line_that_is_whole_without_its_end_survives_garbage_behind_it(read, pack):
    text, damages = read(pack(b'{"a": 1}\n{"b": 2}') + b"garbage")
    assert text == b'{"a": 1}\n{"b": 2}\n'
    assert list(damages) == [3]
    assert damages[3].raw == b""


def test_a_wrong_checksum_is_told_behind_the_last_line(read):
    packed = bytearray(gzip.compress(TEXT))
    packed[-6] ^= 1
    text, damages = read(bytes(packed))
    assert text == TEXT
    assert list(damages) == [20_001]
    assert "CRC check failed" in damages[20_001].reason


def test_an_archive_in_an_archive_without_end_is_no_endless_loop(read):
    packed = b"x\n"
    for _ in range(6):
        packed = gzip.compress(packed)
    text, damages = read(packed)
    assert text.startswith(b"\x1f\x8b")
    assert damages == {}


# Lines ----------------------------------------------------------------------------------------------------------------


def test_the_last_line_is_given_its_end(read):
    assert read(b"one\n\ntwo") == (b"one\n\ntwo\n", {})
    assert read(b"") == (b"", {})


@pytest.mark.parametrize(
    ("data", "n_lines", "n_rows"),
    [
        (b"", 0, 0),
        (b"{}\n{}\n", 2, 2),
        (b"{}\r\n{}\r\n", 2, 2),
        (b"\n{}\n", 2, 1),
        (b"{}\n\n", 2, 1),
        (b"{}\n \t\n{}\n", 3, 2),
        (b"{}\n\r\n", 2, 1),
        (b"  {}\n{}\n", 2, 2),
        (b"{}\n\t{}\n", 2, 2),
    ],
)
def test_lines_are_counted_with_those_that_are_blank(data, n_lines, n_rows):
    assert count_lines(data) == (n_lines, n_rows)


@pytest.mark.parametrize("length", [LINE_LIMIT, LINE_LIMIT + 1, LINE_LIMIT + 5_000_000])
@pytest.mark.parametrize(("before", "after"), [(b"", b""), (b"", b"\nb\n"), (b"a\n\n", b"\nb\nc")])
def test_a_line_that_is_too_long_is_told_with_its_length_and_leaves_a_blank_line(read, length, before, after):
    text, damages = read(before + b"x" * length + after)
    if length <= LINE_LIMIT:
        assert text.rstrip(b"\n") == (before + b"x" * length + after).rstrip(b"\n")
        assert damages == {}
    else:
        assert text == before + (after or b"\n") + (b"\n" if after.endswith(b"c") else b"")
        place = before.count(b"\n") + 1
        assert {n: d.reason for n, d in damages.items()} == {
            place: f"record: a line of {length} bytes, expected at most {LINE_LIMIT}"
        }
        assert damages[place].raw == b"x" * RAW_LIMIT


def test_a_long_line_is_noticed_before_a_file_is_read_in_place():
    assert not has_long_line(io.BufferedReader(io.BytesIO(TEXT)))
    assert has_long_line(io.BufferedReader(io.BytesIO(TEXT + b"x" * (LINE_LIMIT + 1))))
