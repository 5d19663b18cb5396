"""Lines are read at once or one by one: how to ask for the latter, and how logs of both are held side by side."""

import contextlib
import json
import tempfile
from pathlib import Path

import pandas as pd
import pytest

import telemetry_kit as tk
from telemetry_kit.ingest import fast_path, intake, line_files


def load_lines(lines):
    """Load a file of these lines."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "events.jsonl")
        path.write_bytes(b"\n".join(lines) + b"\n")
        return tk.load_events(path)


def load_carefully(lines):
    """Load a file of these lines, each looked at by itself."""
    with one_by_one():
        return load_lines(lines)


def written(event):
    """Return an event as the client library writes it."""
    return json.dumps(event, separators=(",", ":")).encode()


@contextlib.contextmanager
def watched():
    """Give a list that tells the texts which are looked at one by one."""
    taken = []
    take_texts = intake.Intake.take_texts

    def taking(self, texts):
        texts = list(texts)
        taken.extend(text.raw.strip() for text in texts)
        take_texts(self, texts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake.Intake, "take_texts", taking)
        yield taken


@contextlib.contextmanager
def one_by_one():
    """Let every line be looked at by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_files, "may_hold_bodies", lambda _: False)
        patch.setattr(fast_path, "list_keys", lambda *_, **__: fast_path.Keys([], [], are_plain=False))
        yield


def assert_equal_logs(left, right, *, with_reasons=True):
    for part in ("incident", "tasks", "playbook", "quarantine", "audit", "findings"):
        dropped = [] if with_reasons or part != "quarantine" else ["reason"]
        pd.testing.assert_frame_equal(
            getattr(left, part).drop(columns=dropped), getattr(right, part).drop(columns=dropped)
        )
