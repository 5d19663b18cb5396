"""A log of one machine and one of a cluster, side by side; run as a script, on a cluster of separate executors."""

import os
import sys
import warnings

import pandas as pd

import telemetry_kit as tk

SETTINGS = {
    "spark.ui.enabled": "false",
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


if __name__ == "__main__":
    spark = start_session("local-cluster[2,1,1024]")
    for given in sys.argv[1:]:
        log = assert_same_log(given, spark)
        sys.stdout.write(f"the same: {log.audit['n_read'].sum()} records\n")
    spark.stop()
