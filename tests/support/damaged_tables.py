"""Parquet, Arrow and DuckDB files with one to four bytes changed, and what loading them must hold.

``python tests/support/damaged_tables.py 1000 1`` tries a thousand files with the seed 1, and tells what went wrong.
"""

import sys
import tempfile
import warnings
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

import telemetry_kit as tk

FORMS = ("parquet", "arrow", "arrow plain", "duckdb")
N_ROWS = 60
AT_A_TIME = 25
"""How many damaged files are loaded together, each before a whole one of another id."""


def flat_events(first, n=N_ROWS):
    """Return events of all types, as a warehouse has them, with numbers from ``first`` on as their ids."""
    numbers = range(first, first + n)
    text = {"messageId": "m{}", "userId": "server{}", "IncidentID": "incident{}", "PlaybookID": "playbook{}"}
    frame = pd.DataFrame({column: [form.format(number) for number in numbers] for column, form in text.items()})
    frame["event"] = np.resize(["incident", "tasks", "playbook"], n)
    frame["timestamp"] = pd.Timestamp("2020-11-02T10:00:00Z") + pd.to_timedelta(np.arange(n), unit="s")
    frame["Action"] = np.resize(["create", "add_task", "create"], n)
    for column in ("TeamID", "CommanderUserID", "UserActualID"):
        frame[column] = "someone"
    frame = frame.assign(PluginVersion="1.1.0", ServerVersion="5.28.0", IsActive=True, Public=True, IsPublic=True)
    for column in ("ActiveStage", "NumChecklists", "TotalChecklistItems", "NumMembers", "NumSlashCommands"):
        frame[column] = np.arange(n) % 3
    return frame.assign(CreateAt=1_604_311_200_000)


def write_table(frame, path, form):
    """Write a frame or an Arrow table as a file of one of ``FORMS``."""
    table = frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)
    if form == "parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=20)
    elif form == "duckdb":
        with duckdb.connect(str(path)) as connection:
            connection.from_arrow(table).create("events")
    else:
        pyarrow.feather.write_feather(table, path, compression="lz4" if form == "arrow" else "uncompressed")


def damaged(data, random):
    """Return bytes of which one to four are others; half of them near an end, where a format tells what it holds."""
    changed = bytearray(data)
    for _ in range(random.integers(1, 5)):
        near = random.integers(min(4096, len(changed)))
        place = random.choice([random.integers(len(changed)), near, len(changed) - 1 - near], p=[0.5, 0.2, 0.3])
        changed[place] ^= random.integers(1, 256)
    return bytes(changed)


def faults_of(folder, numbers, seed):
    """Load damaged files, each beside a whole one, and yield what does not hold: each fault in a line."""
    folder.mkdir(exist_ok=True)
    whole, known = set(), set()
    for number in numbers:
        random = np.random.default_rng([seed, number])
        form = FORMS[number % len(FORMS)]
        frame, beside = flat_events(1000 * number), flat_events(1000 * number + 500, 3)
        write_table(frame, folder / "made", form)
        (folder / f"{number:05}-a").write_bytes(damaged((folder / "made").read_bytes(), random))
        (folder / "made").unlink()
        write_table(beside, folder / f"{number:05}-b", FORMS[number % 3])
        whole |= set(beside["messageId"])
        known |= set(frame["messageId"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            log = tk.load_events(folder)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            yield f"{numbers}: {type(error).__name__}: {error}"
            return
    audit = log.audit.drop(columns=["source", "n_read"]).sum(axis=1)
    if not (audit == log.audit["n_read"]).all() or len(log.quarantine) != log.audit["n_rejected"].sum():
        yield f"{numbers}: the audit does not add up"
    ids = set(pd.concat([log.incident, log.tasks, log.playbook])["event_id"])
    if whole - ids:
        yield f"{numbers}: lost of whole files: {sorted(whole - ids)}"
    for number in numbers:
        mine = log.audit["source"].str.startswith(f"{number:05}-a")
        n_read = log.audit.loc[mine, "n_read"].sum()
        if not n_read or n_read > 100_000:
            yield f"{number}, {FORMS[number % len(FORMS)]}: {n_read} records read"
    told = log.quarantine.loc[log.quarantine["reason"].str.contains("makes the reader stop"), ["source", "reason"]]
    for source, reason in told.itertuples(index=False):
        sys.stderr.write(f"contained: {source}: {reason}\n")
    if str(folder) in log.quarantine.to_csv() + log.audit.to_csv():
        yield f"{numbers}: the folder is named"


def main(n_files, seed):
    """Try so many files; the exit status tells whether anything went wrong."""
    n_faults = 0
    for first in range(0, n_files, AT_A_TIME):
        with tempfile.TemporaryDirectory() as folder:
            for fault in faults_of(Path(folder, "in"), range(first, min(first + AT_A_TIME, n_files)), seed):
                n_faults += 1
                sys.stdout.write(f"{fault}\n")
    sys.stdout.write(f"{n_files} files, {n_faults} faults\n")
    return n_faults > 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
