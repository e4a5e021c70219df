"""Which processes count as silent. (`test_distributed` stops real ones.)"""

import threading
import time
import types

import pytest
from conftest import PATIENCE

from jaxgan.training import heartbeat
from jaxgan.training.heartbeat import Heartbeat, Silence


def silent_after(readings):
    """Those that are silent after some readings of the store."""
    silence = Silence(["a", "b"])
    for counts in readings[:-1]:
        assert not silence.read(counts)
    return silence.read(readings[-1])


def test_a_process_that_stops_counting_is_silent_after_30_beats():
    counting = [{"a": str(i), "b": "7"} for i in range(31)]
    assert silent_after(counting) == ["b"]


def test_a_process_that_never_counts_is_silent():
    assert silent_after([{"a": str(i)} for i in range(30)]) == ["b"]


def test_a_slow_process_is_not_silent():
    assert not silent_after([{"a": str(i), "b": str(i // 29)} for i in range(200)])


def test_a_process_that_has_left_is_not_silent():
    assert not silent_after([{"a": str(i), "b": "left"} for i in range(200)])


class Store:
    """JAX's key-value store, in this process."""

    def __init__(self):
        self.counts = {}

    def key_value_set(self, key, value, allow_overwrite):
        assert allow_overwrite
        self.counts[key] = value

    def key_value_dir_get(self, folder):
        return [(key, value) for key, value in self.counts.items() if key.startswith(folder)]


@pytest.mark.parametrize(("failed", "last"), [(False, {"left"}), (True, set("3456789"))])
def test_a_process_counts_until_it_leaves_and_is_silent_after_a_failure(failed, last):
    store = Store()
    process = Heartbeat(store, 1, 2, 60)
    process._period = 0.01
    process.start()
    until = time.monotonic() + PATIENCE
    while store.counts.get("jaxgan/heartbeat/1") != "3" and time.monotonic() < until:
        time.sleep(0.001)
    process.stop(failed=failed)
    assert store.counts["jaxgan/heartbeat/1"] in last


@pytest.mark.parametrize(("seconds", "said"), [(59, []), (61, ["this process stood still for 61"])])
def test_a_process_that_stood_still_for_the_time_out_ends(monkeypatch, seconds, said):
    reports = []
    monkeypatch.setattr(Heartbeat, "_end", lambda self, what: reports.append(what))
    clock = iter([100, 100 + seconds])
    monkeypatch.setattr(heartbeat, "time", types.SimpleNamespace(monotonic=lambda: next(clock)))
    ended = threading.Event()
    ended.set()
    assert not Heartbeat(None, 0, 2, 60)._sleep(ended)
    assert [report.partition(" s,")[0] for report in reports] == said
