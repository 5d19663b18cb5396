"""A session of Spark on a master that a command was told, and what is said where there is none."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from telemetry_kit.errors import MissingExtraError, ParameterError, ResourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

MASTERS = (
    "a master of Spark: local[2], local-cluster[2,1,1024], spark://host:7077, yarn, k8s://https://host:443, or "
    "sc://host:15002 for Spark Connect"
)
_SETTINGS = {
    "spark.app.name": "telemetry-kit",
    # What fails is told in one line, which the pages of its log would hide.
    "spark.log.level": "FATAL",
    "spark.sql.session.timeZone": "UTC",
    "spark.ui.showConsoleProgress": "false",
}
_OF_PYTHON = re.compile(r"(?!org\.|java\.|scala\.)[A-Za-z_][\w.]*(Error|Exception)(: .*)?$")
_N = r"[1-9]\d*"
_MASTER = re.compile(
    rf"local(\[({_N}|\*)(\s*,\s*{_N})?\])?|local-cluster\[\s*{_N}\s*,\s*{_N}\s*,\s*{_N}\s*\]|yarn|(spark|k8s|sc)://\S+"
)


@contextlib.contextmanager
def session_on(master: str) -> Iterator[SparkSession]:
    """Give a session on a master, and stop it at the end; what goes wrong on the cluster is told in one line.

    Raises
    ------
    ParameterError
        Where it is no master of Spark.
    MissingExtraError
        Where PySpark is not installed, or what its Connect needs.
    ResourceError
        Where Spark does not start, or fails at its work.
    """
    if not _MASTER.fullmatch(master):
        raise ParameterError("--spark", master, MASTERS)
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ModuleNotFoundError as error:
        raise MissingExtraError("--spark", "spark") from error
    is_remote = master.startswith("sc://")
    if not is_remote and not _has_java():
        raise ResourceError(
            "--spark: no Java is on this machine, expected Java 17 or newer on the path or in JAVA_HOME"
        )
    if master.startswith("local"):
        # Workers on this machine have the packages that this Python has.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.remote(master) if is_remote else SparkSession.builder.master(master)
    for name, value in ({} if is_remote else _SETTINGS).items():
        builder = builder.config(name, value)
    with warnings.catch_warnings():
        # Spark warns of every pandas of today.
        warnings.simplefilter("ignore", FutureWarning)
        session: SparkSession | None = None
        try:
            session = builder.getOrCreate()
            yield session
        except ImportError as error:
            raise MissingExtraError("--spark with Spark Connect", "spark") from error
        except (PySparkException, Py4JError, OSError) as error:
            doing = "does not start" if session is None else "failed"
            raise ResourceError(f"--spark: Spark on {master!r} {doing}: {cause_of(error)}") from None
        finally:
            if session is not None:
                session.stop()


def cause_of(error: Exception) -> str:
    """Return the one line of what Spark says that tells the cause; the rest of its pages tells where it was."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    of_python = [line for line in lines if _OF_PYTHON.match(line)]
    of_java = [line.removeprefix("Caused by: ") for line in lines if line.startswith("Caused by: ")]
    # The deepest is the last of both.
    return (of_python[-1:] or of_java[-1:] or lines or [type(error).__name__])[0]


def _has_java() -> bool:
    home = os.environ.get("JAVA_HOME")
    return (Path(home) / "bin" / "java").is_file() if home else shutil.which("java") is not None
