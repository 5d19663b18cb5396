"""A field is declared by one line, and everything else follows."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import telemetry_kit as tk

LINE = '    Field("num_alarms", "count", "Number of alarms.", wire="NumAlarms", events=_PLAYBOOK),\n'
SCRIPT = """
import json, sys, warnings
from pathlib import Path

import telemetry_kit as tk

warnings.simplefilter("ignore")
dictionary = tk.schemas.data_dictionary().set_index("column").loc["num_alarms"]
assert (dictionary["event_type"], dictionary["type"], dictionary["values"]) == ("playbook", "Int64", ">= 0")
assert "num_alarms" in tk.schemas.PlaybookEvents.to_schema().columns
assert "num_alarms" in tk.schemas.PlaybookEvents.__doc__
given = json.loads(sys.argv[1])
wrong = json.loads(sys.argv[1]) | {"messageId": "other"}
given["properties"]["NumAlarms"], wrong["properties"]["num_alarms"] = 3, "three"
Path("events.jsonl").write_text(json.dumps(given) + "\\n" + json.dumps(wrong))
log = tk.load_events("events.jsonl")
assert log.playbook["num_alarms"].to_list() == [3], log
assert log.quarantine["reason"].to_list() == ['num_alarms: got "three", expected a whole number >= 0']
print("found")
"""


def test_a_made_up_field_is_read_checked_explained_and_described(make_event, tmp_path):
    package = Path(tk.__file__).parent
    shutil.copytree(package, tmp_path / "telemetry_kit", ignore=shutil.ignore_patterns("__pycache__"))
    fields = tmp_path / "telemetry_kit" / "schemas" / "fields.py"
    declared = fields.read_text()
    end = declared.index(")  # fmt: skip\n", declared.index("FIELDS: tuple[Field"))
    fields.write_text(declared[:end] + LINE + declared[end:])
    event = json.dumps(make_event(0, "playbook"))
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, event], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
    )  # fmt: skip
    assert ran.stdout == "found\n", ran.stderr
