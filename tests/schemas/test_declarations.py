"""A field is declared by one line, and everything else follows."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import telemetry_kit as tk

LINE = 'Field("num_alarms", "count", "Number of alarms.", wire="NumAlarms", events=_PLAYBOOK)'
MANUAL = (Path(__file__).parents[2] / "docs" / "howto" / "new-field.md").read_text("utf-8")
SHOWN = re.findall(
    r"^```python\n# telemetry_kit/schemas/fields.py, in FIELDS\n(.*?)^```$", MANUAL, re.MULTILINE | re.DOTALL
)
SCRIPT = """
import json, sys, warnings
from pathlib import Path

import telemetry_kit as tk

warnings.simplefilter("ignore")
event, column, wire, kind = sys.argv[1:]
dictionary = tk.schemas.data_dictionary().set_index("column").loc[column]
assert (dictionary["event_type"], dictionary["type"], dictionary["values"]) == (kind, "Int64", ">= 0")
model = getattr(tk.schemas, f"{kind.capitalize()}Events")
assert column in model.to_schema().columns
assert column in model.__doc__
given, wrong = json.loads(event), json.loads(event) | {"messageId": "other"}
given["properties"][wire], wrong["properties"][column] = 3, "three"
Path("events.jsonl").write_text(json.dumps(given) + "\\n" + json.dumps(wrong))
log = tk.load_events("events.jsonl")
assert getattr(log, kind)[column].to_list() == [3], log
assert log.quarantine["reason"].to_list() == [column + ': got "three", expected a whole number >= 0']
print("found")
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "names"),
    [(LINE, ("num_alarms", "NumAlarms", "playbook")), (*SHOWN, ("num_followers", "NumFollowers", "incident"))],
    ids=["made up", "as the manual shows it"],
)
def test_a_made_up_field_is_read_checked_explained_and_described(line, names, make_event, tmp_path):
    package = Path(tk.__file__).parent
    shutil.copytree(package, tmp_path / "telemetry_kit", ignore=shutil.ignore_patterns("__pycache__"))
    fields = tmp_path / "telemetry_kit" / "schemas" / "fields.py"
    declared = fields.read_text()
    end = declared.index(")  # fmt: skip\n", declared.index("FIELDS: tuple[Field"))
    fields.write_text(f"{declared[:end]}{line.strip()},\n{declared[end:]}")
    event = json.dumps(make_event(0, names[-1]))
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, event, *names], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PYTHONPATH": str(tmp_path), "PATH": ""},
    )  # fmt: skip
    assert ran.stdout == "found\n", ran.stderr
