"""What the sources state about their training and their layers, as the configs set it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from conftest import load_config

from jaxgan.config.presets import base, get, update
from jaxgan.models.conditions import Label, MaskedImage
from jaxgan.training.gan import build_gan

ADAM = {"optimizer": "adam", "beta2": 0.999}
B_SGD = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "rate_divisor": 1.000004,
    "lowest_rate": 1e-6,
    "momentum": 0.5,
    "final_momentum": 0.7,
    # 250 epochs of 50,000 images in batches of 100.
    "momentum_steps": 250 * 500,
    "clip": 0.0,
}
STATED = {
    # A: smoothing by .1 is a factor of .9 on the real and on the generator's cross entropy.
    "gan:mnist": {
        "players": ADAM | {"learning_rate": 1e-3, "beta1": 0.9},
        "latent.noise": 100,
        "latent.noise_prior": "uniform",
        "order": "discriminator_first",
        "fresh_noise": False,
        "batch_size": 64,
        "steps": 300 * 859,
        "real_factor": 0.9,
        "fake_factor": 1.0,
        "generator_factor": 0.9,
        "real_target": 1.0,
    },
    # B: half the sum of the two terms, both players at once on the same samples.
    "gan:mnist,paper": {
        "players": B_SGD,
        "latent.noise_prior": "normal",
        "real_factor": 0.5,
        "fake_factor": 0.5,
        "generator_factor": 1.0,
        "order": "simultaneous",
        "fresh_noise": False,
        "discriminator_steps": 1,
        "batch_size": 100,
        "discriminator.dropout": 0.5,
        "discriminator.input_dropout": 0.2,
        "dataset.validation": 10_000,
    },
    # C1: the real target and the generator's are .9; G then D, the same noise.
    "dcgan:mnist": {
        "players": ADAM | {"learning_rate": 1e-3, "beta1": 0.4, "dropout": 0.2},
        "latent.noise": 100,
        "latent.noise_prior": "uniform",
        "real_target": 0.9,
        "fake_target": 0.0,
        "generator_target": 0.9,
        "order": "generator_first",
        "fresh_noise": False,
        "discriminator_batches": "together",
        "batch_size": 64,
        "steps": 5 * 859,
        "width": 1.0,
        "sample_dropout": False,
    },
    # C2: 5,000 horses.
    "dcgan:cifar10,classes=horse": {
        "dataset.classes": "horse",
        "dataset.size": 32,
        "batch_size": 64,
        "steps": 50 * 77,
    },
    # C3: one epoch of 3,033,042 bedrooms.
    "dcgan:size=64": {
        "players": ADAM | {"learning_rate": 2e-4, "beta1": 0.5, "dropout": 0.0},
        "dataset.size": 64,
        "batch_size": 128,
        "steps": -(-3_033_042 // 128),
        "real_target": 1.0,
        "generator_target": 1.0,
        "width": 1.0,
    },
    # D1
    "cgan:mnist,mlp": {
        "players": B_SGD | {"rate_divisor": 1.00004, "dropout": 0.5},
        "latent.noise": 100,
        "latent.noise_prior": "hypercube",
        "batch_size": 100,
        "best_by": "parzen_log_likelihood",
        "dataset.validation": 10_000,
    },
    # D3: as D1, with Gaussian noise.
    "tags:paper": {
        "players": B_SGD | {"rate_divisor": 1.00004, "dropout": 0.5},
        "discriminator.input_dropout": 0.0,
        "ema_decay": 0.0,
        "latent.noise": 100,
        "latent.noise_prior": "normal",
        "dataset.vector_size": 200,
        "batch_size": 100,
    },
    # D2: D on the fakes, then on real images drawn with replacement; then G on the same fakes.
    "cgan:mnist": {
        "players": {
            "optimizer": "adadelta",
            "learning_rate": 1.0,
            "rho": 0.92,
            "epsilon": 1e-6,
            "clip": 1.0,
        },
        "latent.noise": 96,
        "latent.noise_prior": "normal",
        "condition.prior": "uniform",
        "discriminator_batches": "fake_real",
        "fresh_noise": False,
        "order": "discriminator_first",
        "dataset.replacement": True,
        "batch_size": 64,
        "steps": 2_400,
    },
    # E1: D on 32 real, then on 32 other generated; G and Q on 64.
    "infogan:mnist,document": {
        "players": ADAM | {"learning_rate": 2e-4, "beta1": 0.5, "epsilon": 1e-7},
        "latent.noise": 62,
        "latent.noise_prior": "normal",
        "latent.codes": "categorical:10",
        "information": "document",
        "discriminator_batches": "real_fake",
        "discriminator_batch_size": 32,
        "fresh_noise": True,
        "dataset.replacement": True,
        "batch_size": 64,
        "steps": 93_700,
        "lambda_categorical": 1.0,
    },
    # E2: the paper's code; its weight of the continuous codes is another (see the config).
    "infogan:mnist,paper": {
        "discriminator.learning_rate": 2e-4,
        "generator.learning_rate": 1e-3,
        "discriminator.beta1": 0.5,
        "generator.beta1": 0.5,
        "latent.noise_prior": "uniform",
        "latent.codes": "categorical:10+uniform:2",
        "information": "paper",
        "discriminator_batches": "together",
        "fresh_noise": False,
        "batch_size": 128,
        "steps": 5_000,
        "width": 1.0,
    },
}


@pytest.mark.parametrize("preset", STATED)
def test_training_is_as_stated(preset):
    name, _, arg = preset.partition(":")
    config = load_config(name, arg)
    expected = dict(STATED[preset])
    for key, value in expected.pop("players", {}).items():
        expected[f"discriminator.{key}"] = expected[f"generator.{key}"] = value
    assert {key: get(config, key) for key in expected} == expected


# (momentum, epsilon) of BatchNorm, (low, the slope of D's activation at -1), and the mean square
# of a kernel of 300 x 200 at its first values, as (generator, discriminator).
GLOROT = 2 / 500
LAYERS = {
    "dcgan:mnist": ((0.99, 1e-3), (-1.0, 0.01), (GLOROT, GLOROT)),
    "dcgan:size=64": ((0.9, 1e-5), (-1.0, 0.2), (0.02**2, 0.02**2)),
    "cgan:mnist": ((0.9, 1e-5), (-1.0, None), (3 / 250, 3 / 250)),
    "gan:mnist,paper": (None, (0.0, None), (0.05**2 / 3, 0.005**2 / 3)),
    "gan:mnist": (None, (-1.0, 0.01), (GLOROT, GLOROT)),
    "infogan:mnist,document": ((0.99, 1e-3), (-1.0, 0.1), (0.02**2, 0.02**2)),
    "infogan:mnist,paper": ((0.9, 1e-5), (0.0, 0.1), (0.02**2, 0.02**2)),
}


@pytest.mark.parametrize("preset", LAYERS)
def test_layers_are_as_stated(preset):
    name, _, arg = preset.partition(":")
    config = load_config(name, arg)
    size = config.dataset.size
    label = Label(10, tuple(range(10))) if config.condition.kind == "label" else None
    gan = build_gan(config, (size, size, 1), label)
    norm, (low, slope), spreads = LAYERS[preset]
    assert gan.low == low
    for network, spread in zip((gan.generator, gan.discriminator), spreads, strict=True):
        if norm is not None:
            assert (network.momentum, network.epsilon) == norm
        kernel = network.kernel_init(jax.random.key(0), (300, 200), jnp.float32)
        assert float(jnp.mean(jnp.square(kernel))) == pytest.approx(spread, rel=0.03)
    if slope is not None:
        assert float(gan.discriminator.activation(jnp.asarray(-1.0))) == pytest.approx(-slope)


def test_inpainting_conditions_on_the_known_part():
    config = load_config("cgan", "mnist,inpaint")
    gan = build_gan(config, (28, 28, 1), MaskedImage(config.condition.hole))
    assert isinstance(gan.generator, nn.Module)
    assert (config.condition.kind, config.condition.prior) == ("known_part", "data")
    mask = gan.condition.mask(28, 28)
    assert not mask[7:21, 7:21].any()
    assert mask.sum() == 28 * 28 - 14 * 14


def test_an_update_changes_a_copy():
    config = base()
    changed = update(config, {"generator.learning_rate": 0.5, "steps": 7})
    assert (changed.generator.learning_rate, changed.steps) == (0.5, 7)
    assert config == base()
