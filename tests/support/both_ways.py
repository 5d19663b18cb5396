"""Lines are read at once or one by one: how to ask for the latter, and how logs of both are held side by side."""

import contextlib

import pandas as pd
import pytest

from telemetry_kit.ingest import fast_path, line_files


@contextlib.contextmanager
def one_by_one():
    """Let every line be looked at by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_files, "may_hold_bodies", lambda _: False)
        patch.setattr(fast_path, "list_keys", lambda *_, **__: fast_path.Keys([], [], are_plain=False))
        yield


def assert_equal_logs(left, right):
    for part in ("incident", "tasks", "playbook", "quarantine", "audit", "findings"):
        pd.testing.assert_frame_equal(getattr(left, part), getattr(right, part))
