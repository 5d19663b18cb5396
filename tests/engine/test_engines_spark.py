"""The same question on Spark has the same answer."""

import importlib.util
import os
import sys
import warnings

import pandas as pd
import pyarrow.parquet as pq
import pytest
from questions import FRAME_TO_FRAME, FRAMES, SUMMARIES, as_arrow, as_frames, kind_of, load_two_eras, plain

pytestmark = [pytest.mark.spark, pytest.mark.slow]
IS_INSTALLED = importlib.util.find_spec("pyspark") is not None
needs_spark = pytest.mark.skipif(not IS_INSTALLED, reason="the extra spark is not installed: make spark")


def test_spark_is_there_where_everything_has_to_be_tested():
    assert IS_INSTALLED or not os.environ.get("CI")


@pytest.fixture(scope="module")
def session():
    os.environ["PYSPARK_PYTHON"] = sys.executable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyspark.sql import SparkSession

        settings = {
            "spark.ui.enabled": "false",
            "spark.sql.shuffle.partitions": "1",
            # Whatever the zone of a session is, no result depends on it.
            "spark.sql.session.timeZone": "Asia/Kolkata",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
        }
        builder = SparkSession.builder.master("local[2]")
        for key, value in settings.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        yield session
        session.stop()


@pytest.fixture(scope="module")
def on_pandas(recordings):
    return as_frames(load_two_eras(recordings))


@pytest.fixture(scope="module")
def on_spark(session, tmp_path_factory, on_pandas):
    """The recording as Spark reads it from Parquet."""
    folder = tmp_path_factory.mktemp("spark")
    for name in FRAMES:
        pq.write_table(as_arrow(on_pandas[name]), folder / f"{name}.parquet")
    frames = {name: session.read.parquet(str(folder / f"{name}.parquet")) for name in FRAMES}
    return frames | {"cutoff": on_pandas["cutoff"]}


@needs_spark
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FRAME_TO_FRAME)
def test_a_frame_comes_back_to_spark_with_the_same_rows(name, on_spark, on_pandas):
    given, expected = (FRAME_TO_FRAME[name](log) for log in (on_spark, on_pandas))
    assert kind_of(given) == kind_of(on_spark["incident"])
    pd.testing.assert_frame_equal(plain(given), plain(expected))


@needs_spark
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SUMMARIES)
def test_a_summary_of_spark_frames_is_the_same_table(name, on_spark, on_pandas):
    given, expected = (plain(SUMMARIES[name](log)) for log in (on_spark, on_pandas))
    pd.testing.assert_frame_equal(given, expected, rtol=1e-9)


@pytest.fixture(scope="module")
def without_zones(session, tmp_path_factory, on_spark, on_pandas):
    """The same with incidents and tasks whose times have no zone, which Spark reads as such from Parquet."""
    folder = tmp_path_factory.mktemp("without_zones")
    frames = {}
    for name in ("incident", "tasks"):
        frame = on_pandas[name]
        times = {column: frame[column].dt.tz_localize(None) for column in frame.select_dtypes("datetimetz")}
        pq.write_table(as_arrow(frame.assign(**times)), folder / f"{name}.parquet")
        frames[name] = session.read.parquet(str(folder / f"{name}.parquet"))
    return on_spark | frames


@needs_spark
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name",
    ["stage_visits", "stage_visits observed", "add_period", "completion_times", "stage_arrivals", "stage_occupancy",
     "incident_flow", "task_completion since", "compare_funnel", "server_activity", "attach_license"],
)  # fmt: skip
def test_times_without_a_zone_are_in_utc_whatever_the_zone_of_the_session(name, without_zones, on_pandas):
    given, expected = (plain((FRAME_TO_FRAME | SUMMARIES)[name](log)) for log in (without_zones, on_pandas))
    pd.testing.assert_frame_equal(given, expected, rtol=1e-9)
