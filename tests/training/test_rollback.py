"""Seeds that cease to be finite go back to the last checkpoint with fresh noise, each by itself."""

import json
import signal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import tiny_config

from jaxgan.data.dataset import Dataset, Split
from jaxgan.models.registry import Modules
from jaxgan.reporting.recorder import NotFinite, RunRecorder
from jaxgan.train import train
from jaxgan.training.run_files import read_metrics

LIMIT = 3.2


class Generator(nn.Module):
    """Not finite in a step that happens to draw a number above LIMIT."""

    @nn.compact
    def __call__(self, latent, train):
        x = nn.tanh(nn.Dense(16)(latent.noise)).reshape(-1, 4, 4, 1)
        return jnp.where(train & jnp.any(latent.noise > LIMIT), jnp.nan, x)


class Discriminator(nn.Module):
    @nn.compact
    def __call__(self, images, condition, train):
        features = nn.relu(nn.Dense(8)(images.reshape(len(images), -1)))
        return nn.Dense(1)(features)[:, 0], features


def run(folder, **values):
    images = np.random.default_rng(0).integers(0, 256, (48, 4, 4, 1), dtype=np.uint8)
    parts = [Split(images[i : i + 16], None) for i in (0, 16, 32)]
    config = tiny_config(
        **{
            "system": "gan",
            "latent__codes": "",
            **dict.fromkeys(("q__rotation", "q__shift", "q__scale"), 0.0),
            "lambda_continuous": 1.0,
            "latent__noise_prior": "normal",
            "best_by": "none",
            "steps": 20,
            "seeds": 2,
            "log_every": 5,
            "sample_every": 20,
            "eval_every": 20,
            "checkpoint_every": 10,
            "checkpoints_kept": 1,
            "rollbacks": 9,
            "tensorboard": False,
            **values,
        }
    )
    modules = Modules(Generator(), Discriminator(), q=None, low=-1.0)
    return train(config, str(folder), Dataset("squares", *parts), modules)


def end(folder):
    """Rows but their times, results, and the digests of every leaf."""
    with open(folder / "metrics.jsonl") as file:
        rows = [json.loads(line) for line in file]
    last = max((folder / "checkpoints").iterdir(), key=lambda path: int(path.name))
    return (
        [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows],
        json.loads((folder / "results.json").read_text()),
        json.loads((last / "digests" / "metadata").read_text()),
    )


@pytest.fixture(scope="module")
def rolled_back(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rolled_back") / "run"
    assert run(folder) == 0
    return folder


def test_rolling_back_a_seed_leaves_the_others(rolled_back, tmp_path):
    rows, results, _ = end(rolled_back)
    rollbacks = [row for row in rows if "rolled_back" in row]
    assert results["rollbacks"] == rollbacks
    assert results["ended"] == {}
    assert len(rollbacks) > 1
    assert [row["attempt"] for row in rollbacks] == list(range(1, len(rollbacks) + 1))
    assert all(
        row["step"] == 10 and "not finite at step 1" in row["rolled_back"] for row in rollbacks
    )
    assert {row["seed"] for row in rollbacks} == {0}
    assert run(tmp_path / "run", rollbacks=0) == 0
    without, its_results, _ = end(tmp_path / "run")
    assert set(its_results["ended"]) == {"0"}
    # To the bit: the seed's own program has run the same steps.
    assert [r for r in rows if r["seed"] == 1] == [r for r in without if r["seed"] == 1]


def test_stopped_on_the_way_it_ends_with_the_same_bits(rolled_back, tmp_path, monkeypatch):
    """Also where the stop's own checkpoint lies between the failure and the step to go back to."""
    folder, stops = tmp_path / "run", [13, 17]
    add_metrics = RunRecorder.add_metrics

    def stopping(self, step, *rest):
        add_metrics(self, step, *rest)
        if stops and step >= stops[0]:
            stops.pop(0)
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(RunRecorder, "add_metrics", stopping)
    while stops:
        assert run(folder) == 128 + signal.SIGTERM
    assert run(folder) == 0
    assert end(folder) == end(rolled_back)


def test_stops_after_the_most_rollbacks(tmp_path, monkeypatch):
    monkeypatch.setattr(f"{__name__}.LIMIT", -9.0)
    with pytest.raises(NotFinite, match=r"seed 0.*not finite at step 1"):
        run(tmp_path / "run", rollbacks=2, seeds=1)
    rollbacks = read_metrics(str(tmp_path / "run" / "metrics.jsonl")).rollbacks
    assert [(row["step"], row["attempt"]) for row in rollbacks] == [(0, 1), (0, 2)]
