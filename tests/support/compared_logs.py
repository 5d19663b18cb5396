"""A log of one machine and one of a cluster, side by side; and a script that compares them on a master.

``compared_logs.py MASTER SOURCE...`` compares each source; ``connect`` as the master starts a server of Spark Connect
and asks it. Where ``spark-submit`` runs the script, ``submitted`` takes the session that it was given.
"""

import os
import sys
import tempfile
import warnings

import pandas as pd

import telemetry_kit as tk

SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.session.timeZone": "UTC",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}


def start_session(master, **settings):
    """Start a session of Spark whose Python is this one."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyspark.sql import SparkSession

        builder = SparkSession.builder.master(master)
        for key, value in (SETTINGS | settings).items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
    return session


def connect_session():
    """Start a server of Spark Connect on this machine, and a session of it: no frame of it is in this process."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.remote("local[2]")
    for key, value in SETTINGS.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def assert_same_log(source, session, **options):
    """See that a cluster loads a source as one machine does: every event in its order, and the whole account."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        here, there = tk.load_events(source, **options), tk.scan_events(source, spark=session, **options)
        assert (there.cutoff, there.others_us) == (here.cutoff, here.others_us)
        pd.testing.assert_frame_equal(there.audit, here.audit)
        pd.testing.assert_frame_equal(there.seen, here.seen, check_dtype=False)
        pd.testing.assert_frame_equal(as_text(there.quarantine.toPandas()), as_text(here.quarantine))
        for kind in tk.schemas.EVENT_TYPES:
            frame = getattr(there, kind).toPandas().sort_values(["event_timestamp", "arrival"])
            pd.testing.assert_frame_equal(cells_of(frame.drop(columns="arrival")), cells_of(getattr(here, kind)))
    return here


def as_text(quarantine):
    """Return a quarantine in one order, as text."""
    return cells_of(quarantine).sort_values(list(quarantine.columns), ignore_index=True)


def cells_of(frame):
    """Return the cells of a frame as text, so that the types of two engines do not matter."""
    times = {
        column for column in frame if isinstance(frame[column].dtype, pd.DatetimeTZDtype) or column.endswith("_at")
    }
    times |= {column for column in frame if column.endswith("_timestamp")}
    told = {c: pd.to_datetime(frame[c], utc=True).dt.as_unit("us") if c in times else frame[c] for c in frame}
    cells = {c: [None if pd.isna(x) else str(x).removesuffix(".0") for x in column] for c, column in told.items()}
    return pd.DataFrame(cells, dtype=object)


def assert_same_answers(here, there, names=()):
    """See that questions have the same answers on a log of a cluster as on one of one machine."""
    from questions import FRAME_TO_FRAME, SUMMARIES, plain

    logs = [{kind: getattr(log, kind) for kind in tk.schemas.EVENT_TYPES} for log in (here, there)]
    for name, question in (SUMMARIES | FRAME_TO_FRAME).items():
        if name not in names:
            continue
        expected, given = (plain(question(log | {"cutoff": here.cutoff})) for log in logs)
        pd.testing.assert_frame_equal(given, expected, rtol=1e-9)


ANSWERED = ("stage_funnel", "stage_dwell", "task_completion", "playbook_sizes", "stage_visits", "completion_times")


def main(master, *sources):
    """Compare each source, ask some questions of the last, and save it."""
    if master == "connect":
        spark = connect_session()
    elif master == "submitted":
        from pyspark.sql import SparkSession

        spark = SparkSession.builder.getOrCreate()
    else:
        spark = start_session(master)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        for source in sources:
            here = assert_same_log(source, spark)
            sys.stdout.write(f"the same: {here.audit['n_read'].sum()} records\n")
        there = tk.scan_events(source, spark=spark)
        assert_same_answers(here, there, ANSWERED)
        there.save(f"{folder}/log")
        assert_same_saved(here, f"{folder}/log", spark)
    sys.stdout.write("saved and asked alike\n")
    spark.stop()


def assert_same_saved(here, folder, session):
    """See that a log which a cluster saved is the one that was loaded here, however it is opened."""
    saved, opened = tk.load_events(folder), tk.scan_events(folder)
    for part in (*tk.schemas.EVENT_TYPES, "quarantine", "audit", "seen", "findings"):
        pd.testing.assert_frame_equal(getattr(saved, part), getattr(here, part))
    assert (saved.cutoff, saved.others_us) == (here.cutoff, here.others_us)
    pd.testing.assert_frame_equal(opened.findings, here.findings)
    assert_same_log(folder, session)


if __name__ == "__main__":
    main(*sys.argv[1:])
