"""Archives of several files: each member is a source, and what is not read is told."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile

import pytest

import telemetry_kit as tk
from telemetry_kit.ingest import compression
from telemetry_kit.ingest.archives import foreign_kind


@pytest.fixture
def lines(make_event):
    def lines(first, n):
        return "".join(json.dumps(make_event(number)) + "\n" for number in range(first, first + n)).encode()

    return lines


def zip_of(path, members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def reasons(log):
    return dict(zip(log.quarantine["source"], log.quarantine["reason"], strict=True))


def test_each_member_of_a_zip_is_a_source_whatever_it_is_packed_with(tmp_path, lines):
    members = {
        "a.json": lines(0, 1), "sub/b.gz": gzip.compress(lines(1, 2)), "c.bz2": bz2.compress(lines(3, 1)),
        "d.xz": lzma.compress(lines(4, 1)), "../../up.json": lines(5, 1), "__MACOSX/._a.json": b"x", "empty": b"",
    }  # fmt: skip
    zip_of(tmp_path / "export.zip", members)
    log = tk.load_events(tmp_path)
    assert dict(zip(log.audit["source"], log.audit["n_tasks"], strict=True)) == {
        "export.zip/a.json": 1, "export.zip/sub/b.gz": 2, "export.zip/c.bz2": 1, "export.zip/d.xz": 1,
        "export.zip/../../up.json": 1, "export.zip/empty": 0,
    }  # fmt: skip
    assert [path.name for path in tmp_path.parent.rglob("up.json")] == []
    passed = log.findings[log.findings["finding"] == "files passed over beside the data"]
    assert passed[["detail", "n"]].to_numpy().tolist() == [["export.zip/__MACOSX/._a.json", 1]]


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress], ids=["bz2", "xz"])
def test_bzip2_and_xz_are_unpacked_and_their_damage_is_told(tmp_path, lines, pack):
    packed = pack(lines(0, 500)) + pack(lines(500, 500))
    (tmp_path / "whole").write_bytes(packed)
    assert len(tk.load_events(tmp_path / "whole").tasks) == 1000
    (tmp_path / "cut").write_bytes(packed[:-200])
    log = tk.load_events(tmp_path / "cut")
    assert 500 <= len(log.tasks) < 1000
    assert "the file is damaged after line" in log.quarantine["reason"].item()


def test_more_than_may_come_out_of_an_archive_is_damage(tmp_path, lines, monkeypatch):
    monkeypatch.setattr(compression, "UNPACKED_LIMIT", 1_000_000)
    bomb = lines(0, 1) + b" " * 10 + b"\n" * 50_000_000
    (tmp_path / "a.gz").write_bytes(gzip.compress(bomb))
    zip_of(tmp_path / "b.zip", {"a": bomb, "b": lines(1, 1)})
    log = tk.load_events(tmp_path)
    assert {name: "more comes out of it" in reason for name, reason in reasons(log).items()} == {
        "a.gz": True, "b.zip/a": True, "b.zip/b": True,
    }  # fmt: skip


def test_an_archive_that_is_not_read_is_one_rejected_record_that_says_what_to_do(tmp_path, lines):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("a.json")
        info.size = len(lines(0, 1))
        archive.addfile(info, io.BytesIO(lines(0, 1)))
    (tmp_path / "b.7z").write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))
    (tmp_path / "c.rar").write_bytes(b"Rar!\x1a\x07\x01" + bytes(100))
    zip_of(tmp_path / "d.xlsx", {"[Content_Types].xml": "", "xl/sheet.xml": ""})
    zip_of(tmp_path / "inner", {"a": lines(0, 1)})
    zip_of(tmp_path / "e.zip", {"inner.zip": (tmp_path / "inner").read_bytes()})
    (tmp_path / "inner").unlink()
    (tmp_path / "f.zip").write_bytes((tmp_path / "e.zip").read_bytes()[:-40])
    log = tk.load_events(tmp_path)
    assert log.audit["n_rejected"].to_list() == [1] * 6
    assert {name: reason.removeprefix("record: ") for name, reason in reasons(log).items()} == {
        "a.tar.gz": "it is a tar archive; unpack it, and give its files",
        "b.7z": "it is a 7z archive; unpack it, and give its files",
        "c.rar": "it is a rar archive; unpack it, and give its files",
        "d.xlsx": "the file cannot be read: it is an Office document; export it as Parquet, CSV or JSON lines",
        "e.zip/inner.zip": "it is a zip archive in another archive; unpack it, and give its files",
        "f.zip": "the file cannot be read: File is not a zip file",
    }


def test_what_may_be_read_is_no_foreign_kind():
    assert foreign_kind(b'{"a": 1}' + bytes(600)) is None
