"""When rows, sheets and checkpoints are due."""

import pytest
from conftest import load_config

from jaxgan.config.presets import update
from jaxgan.training import intervals


@pytest.fixture
def clock(monkeypatch):
    """Seconds, turned by hand."""
    now = [0.0]
    monkeypatch.setattr(intervals.time, "monotonic", lambda: now[0])
    return now


def test_sheets_and_checkpoints_keep_their_distance_in_time(clock):
    values = {"sample_seconds": 2.0, "checkpoint_seconds": 5.0}
    sheets, saves = intervals.spacings(update(load_config("gan"), values))
    found = []
    for clock[0] in range(8):
        found.append((sheets.due(), saves.due()))
    assert [sheet for sheet, _ in found] == [True, False] * 4
    assert [i for i, (_, save) in enumerate(found) if save] == [0, 5]


@pytest.mark.parametrize("values", [{}, {"sample_seconds": 0.0, "checkpoint_seconds": 0.0}])
def test_on_the_cpu_nothing_is_left_out(clock, values):
    both = intervals.spacings(update(load_config("gan"), values))
    assert all(one.due() for one in both for _ in range(3))


def test_on_an_accelerator_ten_seconds_lie_between_them(clock, monkeypatch):
    monkeypatch.setattr(intervals.jax, "default_backend", lambda: "tpu")
    sheets, _ = intervals.spacings(load_config("gan"))
    found = []
    for clock[0] in (0, 9.9, 10, 19, 20):
        found.append(sheets.due())
    assert found == [True, False, True, False, True]


def test_a_run_that_may_roll_back_saves_every_checkpoint(clock):
    values = {"checkpoint_seconds": 5.0, "rollbacks": 1}
    _, saves = intervals.spacings(update(load_config("gan"), values))
    assert saves.due()
    assert saves.due()


def test_call_length_approaches_its_target_and_at_most_doubles():
    assert intervals.next_limit(seconds=0.01, limit=16, most=256) == 20
    assert intervals.next_limit(seconds=0.01, limit=4, most=256) == 8
    assert intervals.next_limit(seconds=0.0001, limit=200, most=256) == 256
    assert intervals.next_limit(seconds=3.0, limit=8, most=256) == 1
