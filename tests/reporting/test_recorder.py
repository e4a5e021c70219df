"""What a run leaves behind while it trains; the rest is in test_main.py and test_rollback.py."""

import json

import jax
import numpy as np
import pytest
from conftest import load_config

from jaxgan import data
from jaxgan.config.presets import update
from jaxgan.evaluation.results import MetricResult
from jaxgan.reporting import recorder
from jaxgan.train import train
from jaxgan.training import intervals, program
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise


def small_config():
    small = {"width": 0.1, "batch_size": 16, "tensorboard": False, "progress": False}
    return update(load_config("gan", "ring"), small)


class _Device:
    """Takes a second for a step; steps are queued at once, and run while nobody waits."""

    def __init__(self):
        self.host = self.done = 0.0

    def step(self):
        self.host += 0.001
        self.done = max(self.done, self.host) + 1
        return self.done

    def wait(self, until):
        self.host = max(self.host, until)


def record(folder, monkeypatch, compiling=0.0):
    """A run of 40 steps of `_Device`, a row every five. A sheet waits for the devices, and then
    finds the next rows' steps handed over at once."""
    device = _Device()
    monkeypatch.setattr(recorder.time, "monotonic", lambda: device.host)

    class Metrics:
        """Those of a step, which is done at some time."""

        def __init__(self, done):
            self.done = done

        def by_name(self, steps):
            device.wait(self.done)
            return {"loss/generator": np.ones((1, steps)), "alive": np.ones((1, steps))}

    config = update(small_config(), {"steps": 40})
    dataset = data.load(config)
    gan = build_gan(config, dataset.image_shape)
    state = initialise(gan, jax.random.key(0))
    state = jax.tree.map(lambda leaf: leaf[None], state)
    kept = recorder.RunRecorder(config, str(folder), dataset, gan, (0,), 0, [state])
    device.host = compiling
    for step in range(1, 41):
        kept.add_metrics(step, 1, [Metrics(device.step())])
        if step % 5 == 0:
            kept.log([step])
        if step % 10 == 0:
            device.wait(device.done + 0.5)  # A sheet is drawn.
    kept.flush()
    kept.close()


def test_images_per_second_are_those_of_the_devices(tmp_path, monkeypatch):
    record(tmp_path, monkeypatch)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(5, 41, 5))
    # 16 images in a second, and half a second more in five for the rows with a sheet.
    # But for the first one, which in a run compiles.
    wanted = [16 * 5 / 5.5, 16] * 4
    np.testing.assert_allclose(
        [row["time/images_per_s"] for row in rows[1:]], wanted[1:], rtol=0.01
    )


def test_the_time_left_is_that_of_the_steps(tmp_path, monkeypatch, capsys):
    """A step takes a second. The first call returns when its program is compiled."""
    record(tmp_path, monkeypatch, compiling=60.0)
    first, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("step 5/40  0:35 left")


@pytest.fixture
def counts(monkeypatch):
    """The numbers of steps of the calls, none of which is kept short."""
    found = []
    run = program.Program.run

    def noted(self, state, examples):
        found.append(examples.shape[1])
        return run(self, state, examples)

    monkeypatch.setattr(program.Program, "run", noted)
    monkeypatch.setattr(intervals, "CALL_SECONDS", 100.0)
    return found


def test_a_call_of_many_steps_leaves_all_its_rows(tmp_path, counts):
    """Dense networks run many steps a call, also on the CPU; a row is due at any of them."""
    values = {"log_every": 3, "sample_every": 50, "eval_every": 20, "steps": 65}
    assert train(update(small_config(), values), str(tmp_path / "run")) == 0
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    rows = {row["step"]: row for row in map(json.loads, lines)}
    assert list(rows) == sorted({*range(3, 66, 3), 20, 40, 60, 65})
    assert len({row["loss/generator"] for row in rows.values()}) == len(rows)
    # Twice as many after each row, but never past a sheet or an evaluation.
    assert counts == [1, 1, 1, 2, 2, 4, 8, 1, 20, 10, 10, 5]


def test_calls_grow_where_rows_are_rare(tmp_path, monkeypatch, counts):
    monkeypatch.setattr(intervals, "MOST_WAITING", 4)
    rare = dict.fromkeys(("log_every", "sample_every", "eval_every", "steps"), 60)
    assert train(update(small_config(), rare), str(tmp_path / "run")) == 0
    assert counts == [1] * 4 + [2] * 4 + [4] * 4 + [8] * 4


def test_rows_before_a_failure_are_kept(tmp_path, monkeypatch):
    """However many steps a call has: the last rows before it are those that one looks at."""
    add = recorder.RunRecorder.add_metrics

    def broken(self, step, count, metrics):
        values = np.array(metrics[0].values)
        first = step - count + 1
        values[:, max(58 - first, 0) :, metrics[0].names.index("alive")] = 0
        add(self, step, count, [metrics[0].replace(values=values)])

    monkeypatch.setattr(recorder.RunRecorder, "add_metrics", broken)
    monkeypatch.setattr(intervals, "CALL_SECONDS", 100.0)
    values = {"log_every": 4, "sample_every": 200, "eval_every": 200, "steps": 200}
    what = "an earlier update of the discriminator not finite at step 58"
    with pytest.raises(recorder.NotFinite, match=what):
        train(update(small_config(), values), str(tmp_path / "run"))
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(4, 58, 4))


def test_the_clock_is_read_before_anything_waits_for_the_devices(tmp_path, monkeypatch):
    called = []

    def noted(name):
        original = getattr(recorder.RunRecorder, name)

        def method(self, step, *rest):
            called.append((step[-1] if name == "log" else step, name))
            return original(self, step, *rest)

        return method

    for name in ("log", "sample", "evaluate"):
        monkeypatch.setattr(recorder.RunRecorder, name, noted(name))
    values = {"log_every": 2, "sample_every": 2, "eval_every": 4, "steps": 4}
    assert train(update(small_config(), values), str(tmp_path / "run")) == 0
    assert called == [
        (0, "sample"),
        *((2, name) for name in ("log", "sample")),
        *((4, name) for name in ("log", "sample", "evaluate")),
    ]


def test_only_metrics_of_one_code_of_several_are_named_after_it():
    def row(name, code):
        return MetricResult(name, 1.0, "share", "test", 0, 1, "last", "", code=code)

    single = [row("frechet_distance", None), row("code_information", 0)]
    assert list(recorder.evaluation_row(single)) == [
        "eval/frechet_distance",
        "eval/code_information",
    ]
    several = recorder.evaluation_row([*single, row("code_information", 2)])
    assert list(several) == [
        "eval/frechet_distance",
        "eval/code_information_0",
        "eval/code_information_2",
    ]
