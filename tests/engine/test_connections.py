"""What a connection, and what is made of its results, take of the machine."""

from contextlib import ExitStack, closing
from functools import partial

import duckdb
import pyarrow as pa
import pytest

import telemetry_kit as tk
from telemetry_kit.analyses.stages import occupancy
from telemetry_kit.engine import connections, ordering
from telemetry_kit.errors import ParameterError, SourceError


@pytest.fixture
def arrows_own():
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.mimalloc_memory_pool() if "mimalloc" in pa.supported_memory_backends() else before)
    yield pa.default_memory_pool().backend_name
    pa.set_memory_pool(before)


def test_the_allocator_of_arrow_is_back_after_the_last_that_changed_it(arrows_own):
    first, second = ExitStack(), ExitStack()
    first.enter_context(connections.arrow_from_system())
    second.enter_context(connections.arrow_from_system())
    first.close()
    assert pa.default_memory_pool().backend_name == "system"
    second.close()
    assert pa.default_memory_pool().backend_name == arrows_own


def test_the_allocator_of_arrow_is_back_after_loading_however_that_ends(arrows_own, tmp_path):
    tk.load_events(tk.samples() / "recorded-autumn")
    assert pa.default_memory_pool().backend_name == arrows_own
    with pytest.raises(SourceError):
        tk.load_events(tmp_path / "nowhere")
    assert pa.default_memory_pool().backend_name == arrows_own


@pytest.mark.parametrize(
    ("analysis", "inside"),
    [
        (tk.stage_dwell, ordering),
        (tk.stage_exits, ordering),
        (tk.time_to_stage, ordering),
        (partial(tk.stage_occupancy, cutoff="2030-01-01"), occupancy),
    ],
)
def test_what_was_interrupted_leaves_its_connection_to_the_next(analysis, inside, monkeypatch):
    log = tk.scan_events(tk.samples() / "recorded-autumn")
    visits = tk.stage_visits(log.incident, cutoff=log.cutoff)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(inside, "number_values", interrupted)
    with pytest.raises(KeyboardInterrupt) as told:
        analysis(visits)
    # A notebook keeps the frames of the last error as well.
    assert told.traceback
    assert tk.n_distinct(log.tasks) == 5811


def test_a_result_that_is_read_in_batches_says_as_well_that_memory_ran_out():
    connection = duckdb.connect(config={"memory_limit": "20MB", "temp_directory": ""})
    numbers = "SELECT uuid() AS id, random() AS x FROM range(2_000_000) ORDER BY x"
    with (
        pytest.raises(ParameterError, match="memory_limit: got '20MB', expected more"),
        connections.within_memory("20MB"),
        closing(connection.sql(numbers).to_arrow_reader(1000)) as reader,
    ):
        reader.read_all()
    with pytest.raises(OSError, match="No space"), connections.within_memory("20MB"):
        raise OSError("No space left on device")
