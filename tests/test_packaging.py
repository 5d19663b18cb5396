"""What is installed: light to import, whole in a wheel, and locked without a registry's address."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import telemetry_kit as tk

CLONE = Path(__file__).parent.parent
PROJECT = tomllib.loads((CLONE / "pyproject.toml").read_text())["project"]
LOCKS = sorted((CLONE / "requirements").glob("*.lock"))


def pinned(lock):
    """The packages that a lock pins, each with its hashes."""
    logical_lines = lock.read_text().replace("\\\n", " ").splitlines()
    pins = [line for line in logical_lines if line and not line.lstrip().startswith("#")]
    return {re.split("[=<> @;]", pin)[0]: re.findall(r"--hash=sha256:[0-9a-f]{64}", pin) for pin in pins}


def versions_in(lock):
    """The versions of each package that a lock pins; there are several where Python's version decides."""
    versions = {}
    for package, version in re.findall(r"^([\w.-]+)==([^ ]+)", lock.read_text(), re.MULTILINE):
        versions.setdefault(package, set()).add(version)
    return versions


def names_in(requirements):
    return {re.split(r"[\[<>=]", requirement)[0] for requirement in requirements}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The wheel's content, on a path of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=CLONE,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run_elsewhere(code, path, cwd):
    """Run code with ``path`` as the first place to import from, away from the clone."""
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, env={"PYTHONPATH": str(path)}, check=True, capture_output=True, text=True
    )
    return run.stdout.split()


def test_a_wheel_carries_the_notebooks_and_samples_of_the_clone(unpacked):
    for in_wheel, in_clone in (("notebooks", "notebooks"), ("samples", "data/samples")):
        carried = {
            path.relative_to(unpacked / "telemetry_kit" / in_wheel)
            for path in files_below(unpacked / "telemetry_kit" / in_wheel)
        }
        assert carried == {path.relative_to(CLONE / in_clone) for path in files_below(CLONE / in_clone)}
    assert (unpacked / "telemetry_kit" / "py.typed").is_file()


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file() and ".ipynb_checkpoints" not in path.parts]


def test_a_wheel_holds_nothing_else(unpacked):
    assert {path.name for path in unpacked.iterdir()} == {
        "telemetry_kit",
        f"telemetry_kit-{PROJECT['version']}.dist-info",
    }


@pytest.mark.slow
def test_an_installed_wheel_finds_its_samples_and_notebooks(unpacked, tmp_path):
    code = """
import telemetry_kit as tk
print(tk.samples())
print(tk.notebooks())
print(len(tk.load_events(tk.samples() / "recorded-autumn").incident))
"""
    samples, notebooks, n_incident = run_elsewhere(code, unpacked, tmp_path)
    assert Path(samples) == unpacked / "telemetry_kit" / "samples"
    assert Path(notebooks) == unpacked / "telemetry_kit" / "notebooks"
    assert int(n_incident) > 1000


def test_importing_the_package_loads_nothing_that_only_pictures_or_reports_need():
    heavy = ("matplotlib", "seaborn", "nbconvert", "nbclient", "jinja2", "scipy.stats", "polars")
    code = f"import sys, telemetry_kit; print(*(name for name in {heavy!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout.split() == []


def test_importing_the_package_and_loading_events_warn_of_nothing():
    code = "import telemetry_kit as tk; tk.load_events(tk.samples() / 'recorded-autumn')"
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], check=False, capture_output=True)
    assert (run.returncode, run.stderr) == (0, b"")


def test_there_is_a_lock_for_development_for_reports_for_the_peers_of_benchmarks_and_for_spark():
    assert [lock.stem for lock in LOCKS] == ["dev", "lab", "peers", "spark"]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_has_a_hash_for_every_package_and_no_address(lock):
    assert "://" not in lock.read_text()
    assert all(pinned(lock).values())


@pytest.mark.parametrize(
    ("lock", "extra"), [("dev", "lab"), ("dev", "polars"), ("dev", "postgres"), ("lab", "lab"), ("spark", "spark")]
)
def test_a_lock_has_every_package_that_the_project_names(lock, extra):
    wanted = names_in(PROJECT["dependencies"]) | names_in(PROJECT["optional-dependencies"][extra])
    assert wanted <= set(pinned(CLONE / "requirements" / f"{lock}.lock"))


def test_the_locks_agree_so_that_one_environment_holds_them_all():
    of_development = versions_in(CLONE / "requirements" / "dev.lock")
    for lock in LOCKS:
        for package, versions in versions_in(lock).items():
            assert versions <= of_development.get(package, versions), package


def test_the_version_is_the_same_wherever_it_stands():
    assert f"\nversion: {PROJECT['version']}\n" in (CLONE / "CITATION.cff").read_text()
    assert tk.__version__ == PROJECT["version"]


def test_the_newest_release_of_the_changelog_is_the_version_with_its_date():
    headings = re.findall(r"^## \[(.+?)\](?: - (\S+))?$", (CLONE / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = dict(heading for heading in headings if heading[0] != "Unreleased")
    told = re.findall(r"^date-released: (\S+)$", (CLONE / "CITATION.cff").read_text(), re.MULTILINE)
    assert [*released][:1] == ([PROJECT["version"]] if released else [])
    assert told == [*released.values()][:1]


def test_notebooks_are_stored_without_outputs():
    notebooks = sorted((CLONE / "notebooks").glob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        cells = json.loads(path.read_text())["cells"]
        assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells), path.name
