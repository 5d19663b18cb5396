"""A report: what it holds, that it is the same again, and that it is there as a whole or not at all."""

import csv
import gzip
import hashlib
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import telemetry_kit as tk
from telemetry_kit.cli import main
from telemetry_kit.errors import IncompleteReportError, MissingExtraError, ReportError, SourceError
from telemetry_kit.eventlog import bundled
from telemetry_kit.ingest.discovery import find_files
from telemetry_kit.reports import execution, write_quarantine, write_report
from telemetry_kit.reports.cover import names_of
from telemetry_kit.reports.exhibits import exhibits_of
from telemetry_kit.reports.reading import table_to_html
from telemetry_kit.reports.tables import table_to_csv
from telemetry_kit.reports.wording import duration

HOSTILE = '<script>alert("x")</script>'


def parameters():
    return tagged('source = "nothing"\ncutoff = None', "parameters")


def tagged(source, *tags):
    return new_code_cell(source, metadata={"tags": list(tags)})


def write_notebook(folder, name, *cells):
    folder.mkdir(exist_ok=True)
    nbformat.write(new_notebook(cells=list(cells)), folder / f"{name}.ipynb")
    return folder


@pytest.fixture(scope="module")
def source(autumn, tmp_path_factory):
    """Two days of the sample, with one line cut short."""
    folder = tmp_path_factory.mktemp("given") / "two-days"
    for path in sorted(autumn.rglob("*.json.gz"))[:2]:
        copy = folder / path.relative_to(autumn)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    with gzip.open(copy) as stream:
        lines = stream.readlines()
    copy.write_bytes(gzip.compress(b"".join([lines[0][:40] + b"\n", *lines[1:]])))
    return folder


@pytest.fixture(scope="module")
def chapters(tmp_path_factory):
    """Two small notebooks that show what notebooks show."""
    folder = tmp_path_factory.mktemp("chapters")
    write_notebook(
        folder,
        "00_counts",
        new_markdown_cell("# What was loaded\n\nOne row per **file**."),
        parameters(),
        new_code_cell("import telemetry_kit as tk\nlog = tk.load_events(source, cutoff=cutoff)"),
        tagged("log.audit", "table:audit"),
        new_code_cell("log"),
    )
    return write_notebook(
        folder,
        "01_picture",
        new_markdown_cell("# A picture\n\nA line goes up."),
        parameters(),
        new_code_cell("import warnings\nimport matplotlib.pyplot as plt\nimport pandas as pd"),
        tagged("plt.plot([1, 2, 3])", "figure:a-line"),
        new_code_cell(f"pd.DataFrame({{'server_id': [{HOSTILE!r}]}})"),
        new_code_cell(f"from IPython.display import Markdown\nMarkdown({HOSTILE!r} + ' and **more**')"),
        new_code_cell("warnings.warn('look here', stacklevel=1)\nprint('seen')"),
    )


@pytest.fixture(scope="module")
def report(source, chapters, tmp_path_factory):
    out = tmp_path_factory.mktemp("made") / "report"
    with pytest.warns(UserWarning, match="01_picture: .*look here"):
        return write_report(source, out, notebooks=chapters)


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_report_has_a_page_per_notebook_and_every_exhibit_as_a_file(report):
    assert sorted(files_of(report)) == [
        "00_counts.html",
        "01_picture.html",
        "figures/a-line.svg",
        "index.html",
        "manifest.json",
        "tables/audit.csv",
    ]


def test_a_page_shows_prose_and_outputs_with_the_code_folded_and_no_warnings(report):
    page = (report / "01_picture.html").read_text()
    assert "A line goes up." in page
    assert "seen" in page
    assert '<title id="figure-a-line-title">A line</title>' in page
    outside_code = re.sub('<details class="code">.*?</details>', "", page, flags=re.DOTALL)
    assert "plt" in page
    for absent in ("plt", "look here", "Line2D", "source ="):
        assert absent not in outside_code
    assert "source =" not in page


def test_every_page_names_the_source_the_cutoff_and_the_counts(report, source):
    log = tk.load_events(source)
    for name in ("index.html", "00_counts.html", "01_picture.html"):
        facts = dict(re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", (report / name).read_text()))
        assert facts["Source"] == "two-days"
        assert facts["Cutoff"] == f"{log.cutoff:%Y-%m-%d %H:%M:%S} UTC"
        assert facts["Incident events"] == f"{len(log.incident):,}"
        assert facts["Rejected"] == "1"


def test_the_first_page_leads_to_every_chapter_and_file(report):
    page = (report / "index.html").read_text()
    assert "What was loaded" in page
    assert "One row per <strong>file</strong>." in page
    links = set(re.findall('href="([^"#]+)"', page))
    assert links == set(files_of(report))


def test_pages_fetch_nothing_and_run_nothing(report):
    for path in report.glob("*.html"):
        page = path.read_text()
        assert "default-src 'none'" in page
        assert "<script" not in page
        assert all(address.startswith("data:") for address in re.findall('src="(.*?)"', page))
        outside_pictures = re.sub('base64,[^"]*', "", page)
        assert "://" not in outside_pictures


def test_text_from_events_cannot_become_markup(report):
    page = (report / "01_picture.html").read_text()
    assert page.count("&lt;script&gt;alert") >= 2
    assert "<script" not in page
    assert "<strong>more</strong>" in page


def test_no_file_of_a_report_names_a_place_on_this_machine(report, source):
    for name, content in files_of(report).items():
        for place in (str(source.parent), str(report.parent), tempfile.gettempdir(), sys.prefix, str(Path.home())):
            assert place.encode() not in content, name


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes_and_replaces_the_report(report, source, chapters):
    before = files_of(report)
    (report / "index.html").write_text("no longer whole")
    with pytest.warns(UserWarning, match="look here"):
        write_report(source, report, notebooks=chapters)
    assert files_of(report) == before


def test_a_report_of_the_same_input_and_code_is_left_as_it_is(report, source, chapters):
    steps = []
    write_report(source, report, notebooks=chapters, on_progress=lambda *step: steps.append(step))
    assert steps == [(1, 1, "unchanged")]


def test_the_manifest_has_the_digest_of_everything_read_and_written(report, source):
    manifest = json.loads((report / "manifest.json").read_text())
    for folder, part in ((source, "inputs"), (report, "outputs")):
        entries = {entry["path"]: entry["sha256"] for entry in manifest[part]}
        files = {name: hashlib.sha256(content).hexdigest() for name, content in files_of(folder).items()}
        files.pop("manifest.json", None)
        assert entries == files
    counts = manifest["counts"]
    assert counts["n_read"] == sum(n for name, n in counts.items() if name != "n_read")
    assert manifest["versions"]["pandas"] == pd.__version__


@pytest.mark.slow
def test_the_quarantine_goes_along_only_where_it_is_asked_for(source, chapters, tmp_path):
    out = tmp_path / "out"
    with pytest.warns(UserWarning, match="look here"):
        write_report(source, out, notebooks=chapters, with_quarantine=True, tables="parquet", single_file=True)
    (rejected,) = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    assert rejected["record"] == 1
    assert rejected["source"].endswith(".json.gz")
    assert rejected["event_type"] is None
    assert len(rejected["raw"].strip()) == 40
    assert pd.read_parquet(out / "tables" / "audit.parquet")["n_rejected"].sum() == 1
    whole = (out / "report.html").read_text()
    assert "A line goes up." in whole
    assert "One row per <strong>file</strong>." in whole
    assert not re.findall('href="(?!#)', whole)


def test_servers_have_short_labels_and_the_key_lies_beside_the_report(report, source):
    key = pd.read_csv(report.parent / "report.servers.csv")
    log = tk.load_events(source)
    assert set(key["server_id"]) == {*log.incident["server_id"], *log.tasks["server_id"], *log.playbook["server_id"]}
    assert list(key["label"][:2]) == ["S01", "S02"]
    for name, content in files_of(report).items():
        assert not any(server.encode() in content for server in key["server_id"]), name


def test_a_table_leaves_the_notebook_in_full(report, source):
    audit = pd.read_csv(report / "tables" / "audit.csv")
    pd.testing.assert_frame_equal(audit, tk.load_events(source).audit, check_dtype=False)


@pytest.mark.slow
def test_a_report_is_made_anew_where_an_earlier_one_that_it_is_held_against_is_another(source, tmp_path):
    folder = write_notebook(tmp_path / "n", "00_one", new_markdown_cell("# One"), parameters())
    earlier, out = tmp_path / "earlier", tmp_path / "parent" / "report"
    earlier.mkdir()
    told = {"since": None, "counts": {}, "outputs": []}
    pages = []
    times = tk.load_events(source).tasks["event_timestamp"].sort_values()
    for cutoff in (times.iloc[len(times) // 3], times.iloc[len(times) * 2 // 3]):
        (earlier / "manifest.json").write_text(json.dumps(told | {"cutoff": cutoff.isoformat()}))
        write_report(source, out, notebooks=folder, against=earlier)
        pages.append((out / "index.html").read_text())
    assert "Before is" in pages[0]
    assert "Before is" in pages[1]
    assert pages[0] != pages[1]
    # A report that took the place of the earlier one stays when it is made once more.
    for _ in range(2):
        write_report(source, out, notebooks=folder, against=out)
        pages.append((out / "index.html").read_text())
    assert pages[2] == pages[3]


@pytest.mark.slow
def test_which_server_is_which_is_not_left_beside_a_report_that_tells_it(source, tmp_path):
    folder = write_notebook(tmp_path / "n", "00_one", new_markdown_cell("# One"), parameters())
    out, labels = tmp_path / "report", tmp_path / "report.servers.csv"
    labels.write_text("of somebody else")
    write_report(source, out, notebooks=folder, with_ids=True)
    assert labels.read_text() == "of somebody else"
    with pytest.raises(ReportError, match=r"report\.servers\.csv: is there, and tells no servers apart"):
        write_report(source, out, notebooks=folder)
    assert labels.read_text() == "of somebody else"
    labels.unlink()
    for _ in range(2):
        # The second time only it is missing.
        write_report(source, out, notebooks=folder)
        assert labels.read_text().startswith('"label","server_id"')
        labels.unlink()
    labels.write_text('"label","server_id"\n')
    write_report(source, out, notebooks=folder, with_ids=True)
    assert not labels.exists()


@pytest.mark.slow
@pytest.mark.parametrize("out", [".", "../here"])
def test_a_report_where_somebody_works_has_its_key_beside_that_directory(source, tmp_path, monkeypatch, out):
    folder = write_notebook(tmp_path / "n", "00_one", new_markdown_cell("# One"), parameters())
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for _ in range(2):
        write_report(source, out, notebooks=folder)
    assert (tmp_path / "here" / "index.html").exists()
    assert (tmp_path / "here.servers.csv").read_text().startswith('"label","server_id"')


@pytest.mark.slow
def test_a_report_of_no_event_is_no_success_the_second_time_either(source, tmp_path):
    folder = write_notebook(tmp_path / "n", "00_none", new_markdown_cell("# None"), parameters())
    log = tk.load_events(source)
    servers = pd.concat([log.incident, log.tasks, log.playbook])["server_id"].unique()
    (tmp_path / "all.txt").write_text("\n".join(servers))
    for more in ({"cutoff": "2019-01-01"}, {"exclude_servers": str(tmp_path / "all.txt")}):
        for _ in range(2):
            with pytest.raises(IncompleteReportError, match="no event is of this period and of these servers"):
                write_report(source, tmp_path / "out", notebooks=folder, **more)


@pytest.mark.slow
def test_a_failing_notebook_gets_an_error_box_and_the_others_are_made(source, tmp_path):
    failing = new_code_cell("x = 1\nraise ValueError('no\\nway')")
    folder = write_notebook(tmp_path / "n", "00_bad", new_markdown_cell("# Bad\n\nSo far."), parameters(), failing)
    write_notebook(folder, "01_good", new_markdown_cell("# Good"), parameters(), new_code_cell("print('fine')"))
    out = tmp_path / "parent" / "report"
    with pytest.raises(IncompleteReportError) as caught:
        write_report(source, out, notebooks=folder)
    assert str(caught.value) == "00_bad: cell 3 (x = 1): ValueError: no"
    page = (out / "00_bad.html").read_text()
    assert "So far." in page
    assert "This part could not be finished" in page
    assert "00_bad: cell 3 (x = 1): ValueError: no" in page
    assert "fine" in (out / "01_good.html").read_text()
    assert "key" not in json.loads((out / "manifest.json").read_text())


@pytest.mark.slow
def test_a_kernel_that_dies_is_told(source, tmp_path):
    folder = write_notebook(tmp_path / "n", "00_bad", parameters(), new_code_cell("import os\nos._exit(1)"))
    with pytest.raises(IncompleteReportError, match="the kernel died"):
        write_report(source, tmp_path / "out", notebooks=folder)


@pytest.mark.slow
def test_what_a_kernel_left_on_the_disk_is_gone_before_the_next_begins(source, tmp_path):
    told = tmp_path / "told"
    leaving = new_code_cell(
        "import pathlib, tempfile\nfrom telemetry_kit.temporary import PREFIX, owned\n"
        f"pathlib.Path({str(told)!r}).write_text(tempfile.mkdtemp(prefix=owned(PREFIX)))"
    )
    looking = new_code_cell(
        f"import pathlib\nassert not pathlib.Path(pathlib.Path({str(told)!r}).read_text()).exists()"
    )
    folder = write_notebook(tmp_path / "n", "00_leaving", parameters(), leaving)
    write_notebook(folder, "01_looking", parameters(), looking)
    write_report(source, tmp_path / "out", notebooks=folder)
    assert told.exists()


@pytest.mark.slow
def test_a_kernel_that_does_not_start_is_told(source, tmp_path, monkeypatch):
    monkeypatch.setattr(execution, "STARTUP_S", 0)
    # A second passes before anything is given up: this kernel takes longer on every machine.
    (tmp_path / "sitecustomize.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    folder = write_notebook(tmp_path / "n", "00_slow", parameters())
    with pytest.raises(IncompleteReportError, match=r"00_slow: the kernel did not start .*0 seconds"):
        write_report(source, tmp_path / "out", notebooks=folder)


@pytest.mark.slow
@pytest.mark.parametrize("since", [None, "2030-01-01"])
def test_a_report_of_no_event_says_so(source, tmp_path, since):
    folder = write_notebook(tmp_path / "n", "00_none", new_markdown_cell("# None"), parameters())
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    given = empty if since is None else source
    with pytest.raises(IncompleteReportError, match=rf"{given.name}.*: no event was read"):
        write_report(given, tmp_path / "out", notebooks=folder, since=since)
    page = (tmp_path / "out" / "index.html").read_text()
    assert "There is nothing to tell" in page
    assert "In numbers" not in page


def test_the_command_at_the_end_names_the_notebooks_that_were_added(source, tmp_path, monkeypatch):
    of_package = write_notebook(tmp_path / "package", "01_first", new_markdown_cell("# First"), parameters())
    own = write_notebook(tmp_path / "nb", "02_more", new_markdown_cell("# More"), parameters())
    monkeypatch.setattr(bundled, "notebooks", lambda: of_package)
    command = f"telemetry-kit report {source.name} --out report"
    assert main(["report", str(source), "--out", str(tmp_path / "with"), "--notebooks", str(own)]) == 0
    assert f"<code>{command} --notebooks nb</code>" in (tmp_path / "with" / "index.html").read_text()
    assert main(["report", str(source), "--out", str(tmp_path / "without")]) == 0
    assert f"<code>{command}</code>" in (tmp_path / "without" / "index.html").read_text()


@pytest.mark.slow
def test_a_later_directory_adds_notebooks_and_replaces_those_of_the_same_name(source, chapters, tmp_path):
    own = write_notebook(tmp_path / "own", "01_picture", new_markdown_cell("# Mine"), parameters())
    write_notebook(own, "02_more", new_markdown_cell("# More"), parameters())
    out = write_report(source, tmp_path / "out", notebooks=[chapters, own])
    page = (out / "index.html").read_text()
    assert re.findall('aria-current="page">Report</a>.*?</nav>', page, re.DOTALL)
    assert [path.name for path in sorted(out.glob("0*.html"))] == ["00_counts.html", "01_picture.html", "02_more.html"]
    assert "Mine" in page
    assert "A line goes up." not in page


@pytest.mark.slow
def test_an_interrupt_ends_the_kernel_and_leaves_nothing(source, tmp_path):
    folder = write_notebook(tmp_path / "n", "00_long", parameters(), new_code_cell("import time\ntime.sleep(600)"))
    out = tmp_path / "report"
    code = f"""
from telemetry_kit.reports import write_report
try:
    show = lambda *step: print(step, flush=True)
    write_report({str(source)!r}, {str(out)!r}, notebooks={str(folder)!r}, on_progress=show)
except KeyboardInterrupt:
    print("interrupted")
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert [process.stdout.readline().strip() for _ in range(3)][-1] == "(2, 3, '00_long')"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "interrupted\n"
    assert not out.exists()


@pytest.mark.slow
def test_a_cutoff_reaches_the_notebooks(source, tmp_path):
    log = tk.load_events(source)
    middle = log.incident["event_timestamp"].iloc[len(log.incident) // 2]
    shown = new_code_cell("import telemetry_kit as tk\nprint(len(tk.load_events(source, cutoff=cutoff).incident))")
    folder = write_notebook(tmp_path / "n", "00_late", parameters(), shown)
    out = write_report(source, tmp_path / "out", cutoff=middle.isoformat(), notebooks=folder)
    n_until = (log.incident["event_timestamp"] <= middle).sum()
    assert f">{n_until}\n</pre>" in (out / "00_late.html").read_text()


@pytest.mark.slow
def test_since_leaves_earlier_events_out_of_the_report_and_its_manifest_says_so(source, tmp_path):
    log = tk.load_events(source)
    middle = log.incident["event_timestamp"].iloc[len(log.incident) // 2]
    shown = new_code_cell("import telemetry_kit as tk\nprint(len(tk.load_events(source, cutoff=cutoff).incident))")
    folder = write_notebook(tmp_path / "n", "00_early", parameters(), shown)
    out = write_report(source, tmp_path / "out", since=middle.isoformat(), notebooks=folder)
    n_from = (log.incident["event_timestamp"] >= middle).sum()
    assert f">{n_from}\n</pre>" in (out / "00_early.html").read_text()
    assert json.loads((out / "manifest.json").read_text())["since"] == middle.isoformat()


@pytest.mark.parametrize("cells", [[], [parameters(), parameters()]])
def test_a_notebook_without_one_parameters_cell_is_refused(source, tmp_path, cells):
    folder = write_notebook(tmp_path / "n", "00_none", *cells)
    with pytest.raises(ReportError, match=r"00_none\.ipynb: has [02] cells tagged 'parameters', expected one"):
        write_report(source, tmp_path / "out", notebooks=folder)


def test_a_directory_without_notebooks_is_refused(source, tmp_path):
    with pytest.raises(ReportError, match="holds no notebook"):
        write_report(source, tmp_path / "out", notebooks=tmp_path)


def test_a_directory_with_anything_else_in_it_is_refused_and_kept(source, chapters, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ReportError, match=r"holds 'thesis\.txt', expected an empty directory or an earlier report"):
        write_report(source, tmp_path, notebooks=chapters)
    assert files_of(tmp_path) == {"thesis.txt": b"years of work"}


def test_a_report_among_the_data_is_not_read_as_data(report, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(report, folder / "below" / "report")
    (folder / "below" / "report.servers.csv").write_text("label,server_id\n")
    (folder / "below" / "report" / "later.jsonl").write_text("")
    (folder / "other").mkdir()
    (folder / "other" / "manifest.json").write_text('{"outputs": [{"path": "events.jsonl"}]}')
    (folder / "other" / "events.jsonl").write_text("")
    beside: list[str] = []
    assert [name for name, _ in find_files(folder, beside)] == [
        "below/report/later.jsonl", "other/events.jsonl", "other/manifest.json",
    ]  # fmt: skip
    assert {"below/report/manifest.json", "below/report/index.html", "below/report.servers.csv"} <= set(beside)


def test_a_file_in_the_place_of_the_report_is_refused(source, chapters, tmp_path):
    (tmp_path / "report").write_text("")
    with pytest.raises(ReportError, match="is a file, expected a directory"):
        write_report(source, tmp_path / "report", notebooks=chapters)


def test_a_missing_source_leaves_no_directory(chapters, tmp_path):
    with pytest.raises(SourceError, match="nowhere"):
        write_report(tmp_path / "nowhere", tmp_path / "out", notebooks=chapters)
    assert not (tmp_path / "out").exists()


def test_a_missing_extra_is_named(source, chapters, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nbformat", None)
    with pytest.raises(MissingExtraError, match=r"pip install '\.\[lab\]'"):
        write_report(source, tmp_path / "out", notebooks=chapters)


@pytest.mark.slow
def test_a_report_of_a_converted_log_says_the_same_of_its_events(report, source, chapters, tmp_path):
    tk.convert_events(source, tmp_path / "log")
    with pytest.warns(UserWarning, match="look here"):
        write_report(tmp_path / "log", tmp_path / "again", notebooks=chapters, memory_limit="500MB")
    for name in ("tables/audit.csv", "figures/a-line.svg"):
        assert (tmp_path / "again" / name).read_bytes() == (report / name).read_bytes()


def test_a_database_is_named_without_the_account_that_opens_it():
    names = names_of(["postgresql://reader:secret@db.example:5432/telemetry?sslmode=require", "dumps"])
    assert names == ["postgresql://db.example/telemetry", "dumps"]


def test_a_cell_that_does_not_show_what_its_tag_says_is_a_fault():
    cell = tagged("1", "table:sizes")
    cell.outputs = [new_output("execute_result", {"text/plain": "1"})]
    with pytest.raises(ReportError, match="03: the cell tagged 'table:sizes' shows 0 tables, expected one"):
        list(exhibits_of(cell, "03"))


def test_a_tag_that_could_leave_the_directory_is_no_name():
    with pytest.raises(ReportError, match=r"'table:\.\./x' is no name"):
        list(exhibits_of(tagged("1", "table:../x"), "03"))


def test_csv_keeps_numbers_plain_nulls_empty_and_times_in_iso_8601():
    frame = pd.DataFrame(
        {
            "n": pd.array([1, None], dtype="Int64"),
            "share": [0.1, None],
            "is_open": pd.array([True, None], dtype="boolean"),
            "at": pd.to_datetime(["2020-10-01T12:00:00.5Z", None]),
            "stage": pd.Categorical(["a", None]),
        }
    )
    assert (
        table_to_csv(frame)
        == '"n","share","is_open","at","stage"\n1,0.1,true,2020-10-01T12:00:00.500000+00:00,"a"\n,,,,\n'
    )


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_csv_text_never_begins_a_formula(text):
    ((shown,),) = list(csv.reader(io.StringIO(table_to_csv(pd.DataFrame({"t": [text]})), newline="")))[1:]
    assert shown == f"'{text}"


def test_csv_text_with_quotes_and_line_ends_stays_one_cell():
    text = 'say "a, b"\r\nand c'
    rows = list(csv.reader(io.StringIO(table_to_csv(pd.DataFrame({"t": [text], "n": [1]})), newline="")))
    assert rows == [["t", "n"], [text, "1"]]


def test_a_named_index_becomes_columns():
    frame = pd.DataFrame({"n": [3]}, index=pd.Index(["x"], name="stage"))
    assert table_to_csv(frame) == '"stage","n"\n"x",3\n'
    assert ">Stage</th>" in table_to_html(frame)


def test_a_long_table_shows_ten_rows_and_folds_the_rest():
    shown = table_to_html(pd.DataFrame({"n": range(1000)}))
    assert shown.partition("<details>")[0].count("<tr>") == 11
    assert shown.count("<tr>") == 202
    assert "<summary>190 more rows</summary>" in shown
    assert "The first 200 of 1,000 rows" in shown


def test_a_wide_table_shows_seven_columns_and_a_number_with_its_interval_in_one():
    columns = [
        "stage",
        "n_eligible",
        "n_reached",
        "n_visited",
        "n_open",
        "n_servers",
        "estimate",
        "df",
        "lower",
        "upper",
    ]
    table = pd.DataFrame([[1, 9, 5, 4, 1, 3, 0.56, 5.0, 0.49, 0.63]], columns=columns)
    shown = table_to_html(table)
    assert shown.count("<th ") <= 7
    assert ">56 % (49–63)</td>" in shown


def test_a_share_that_is_all_by_definition_has_no_interval():
    columns = ["stage", "n_eligible", "n_reached", "estimate", "lower", "upper"]
    assert ">100 %</td>" in table_to_html(pd.DataFrame([[0, 9, 9, 1.0, 0.7, 1.0]], columns=columns))
    assert ">100 % (70–100)</td>" in table_to_html(pd.DataFrame([[1, 9, 9, 1.0, 0.7, 1.0]], columns=columns))


def test_the_limits_of_a_chart_are_no_interval_of_its_estimate():
    table = pd.DataFrame({"period": ["a"], "estimate": [0.5], "center": [0.4], "lower": [0.1], "upper": [0.7]})
    shown = table_to_html(table)
    assert ">50 %</td>" in shown
    assert [f">{share} %</td>" in shown for share in (40, 10, 70)] == [True] * 3


def test_numbers_of_several_units_are_written_by_the_unit_of_their_row():
    table = pd.DataFrame(
        {
            "number": ["a", "b", "c", "d"], "unit": ["share", "difference", "seconds", "tasks"],
            "estimate": [0.5, 0.1, 7200.0, 22.0], "lower": [0.4, -0.1, 3600.0, 16.0], "upper": [0.6, 0.3, None, 27.5],
        }
    )  # fmt: skip
    shown = table_to_html(table)
    for cell in ("50 % (40–60)", "+10 points (−10 to +30)", "2 h (1 h to –)", "22 (16–27.5)"):
        assert f">{cell}</td>" in shown


def test_an_empty_table_says_so():
    shown = table_to_html(pd.DataFrame({"n": pd.Series(dtype="int64")}))
    assert ">Number</th>" in shown
    assert "No rows." in shown


@pytest.mark.parametrize(
    ("column", "value", "cell"),
    [
        ("n", 12345, "12,345"),
        ("estimate", 0.5, "50 %"),
        ("estimate", 1.0, "100 %"),
        ("estimate", 12.5, "12.5"),
        ("mean", 1234.5, "1,234"),
        ("rate", 0.00123, "0.00123"),
        ("rate", float("inf"), "∞"),
        ("difference", -0.1, "−10"),
        ("dwell_s", 60.0, "1 min"),
        ("is_censored", True, "yes"),
        ("entered_at", pd.Timestamp("2020-10-01 08:00", tz="UTC"), "1 Oct 2020, 08:00"),
        ("date", pd.Timestamp("2020-10-02"), "2 Oct 2020"),
        ("period", pd.Timestamp("2020-10-01"), "Oct 2020"),
        ("measure", "num_checklists", "stages"),
        ("reason", "x" * 500, "x" * 400 + "…"),
        ("share", float("nan"), "–"),
    ],
)
def test_cells_are_written_for_readers(column, value, cell):
    assert f">{cell}</td>" in table_to_html(pd.DataFrame({column: [value]}))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (59.99, "60 s"),
        (60, "1 min"),
        (3599.9, "1 h"),
        (86_399, "1 d"),
        (754, "13 min"),
        (90_000, "1 d 1 h"),
        (950_400, "11 d"),
        (-90, "-1 min 30 s"),
    ],
)
def test_a_duration_has_two_units_and_rounds_up_into_the_next(seconds, text):
    assert duration(seconds) == text


def test_rejected_records_are_written_one_a_line_whatever_they_hold():
    stream = io.StringIO()
    raw = 'line\nend " and \u2028'
    write_quarantine(
        pd.DataFrame({"source": ["a"], "record": [7], "event_type": [None], "reason": ["r"], "raw": [raw]}), stream
    )
    assert json.loads(stream.getvalue())["raw"] == raw
    assert stream.getvalue().count("\n") == 1
