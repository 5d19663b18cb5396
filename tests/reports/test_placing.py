"""A report takes the place of an earlier one as a whole, or not at all."""

import hashlib
import json

import pytest

from telemetry_kit import output
from telemetry_kit.errors import ReportError
from telemetry_kit.reports.placing import is_whole, read_manifest, taking_place


def write(folder, text, names):
    """Write files and their manifest."""
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    outputs = [{"path": name, "sha256": hashlib.sha256(text.encode()).hexdigest()} for name in names]
    (folder / "manifest.json").write_text(json.dumps({"outputs": outputs}))


def files_of(place):
    return {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}


def test_what_an_earlier_report_had_goes_with_it(tmp_path):
    with taking_place(tmp_path / "report") as folder:
        write(folder, "old", ["index.html", "tables/a.csv", "figures/a.svg"])
    with taking_place(tmp_path / "report") as folder:
        write(folder, "new", ["index.html", "tables/b.csv"])
    assert files_of(tmp_path / "report") == {"index.html", "tables/b.csv", "manifest.json"}
    assert not (tmp_path / "report" / "figures").exists()
    (tmp_path / "report" / "notes.txt").write_text("mine")
    with pytest.raises(ReportError, match=r"holds 'notes.txt'"), taking_place(tmp_path / "report"):
        pass


def test_a_writer_that_ends_between_two_steps_leaves_a_report_that_the_next_look_makes_whole(tmp_path, monkeypatch):
    place, move = tmp_path / "report", output._move
    with taking_place(place) as folder:
        write(folder, "old", ["index.html", "tables/a.csv"])
    moved = []

    def failing(new, target):
        if moved:
            raise OSError(5, "Input/output error")
        moved.append(target)
        move(new, target)

    monkeypatch.setattr(output, "_move", failing)
    with (
        pytest.raises(ReportError, match="report: cannot be written: Input/output error"),
        taking_place(place) as folder,
    ):
        write(folder, "new", ["index.html", "tables/a.csv"])
    monkeypatch.undo()
    assert not (place / "manifest.json").exists()
    assert is_whole(place, read_manifest(place))
    assert (place / "tables" / "a.csv").read_text() == "new"
    assert files_of(place) == {"index.html", "tables/a.csv", "manifest.json"}
