"""A trained run in Python: what it samples depends on its arguments and on nothing else."""

import functools

import jax
import numpy as np
import pytest
from conftest import load_config
from small_networks import small_infogan

from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.inference.trained_run import Run
from jaxgan.models import conditions
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks


def run_of(gan, *names):
    made = networks(jax.jit(functools.partial(initialise, gan))(jax.random.key(0)))
    return Run(gan.config, gan, jax.tree.map(np.asarray, made), names, 7, "last")


@functools.cache
def labelled():
    config = update(load_config("cgan", "mlp"), {"width": 0.02, "latent.noise": 5})
    return run_of(build_gan(config, (8, 8, 1), conditions.Label(3, (0, 1, 2))), *"abc")


@functools.cache
def filling():
    config = update(load_config("cgan", "inpaint"), {"width": 0.05, "latent.noise": 5})
    return run_of(build_gan(config, (16, 16, 1), conditions.MaskedImage(0.5)))


@pytest.mark.parametrize("settings", [jax.enable_x64(True), jax.default_prng_impl("rbg")])
def test_examples_are_the_same_whatever_the_process_has_set(settings):
    run = run_of(small_infogan())
    latent, images = run.latent(9, 1), run.sample(9, seed=1)
    codes = run.read_codes(images)
    assert len(np.unique(latent.codes[0].argmax(-1))) > 1
    assert len(np.unique(images)) > 9
    with settings:
        jax.tree.map(np.testing.assert_array_equal, run.latent(9, 1), latent)
        np.testing.assert_array_equal(run.sample(9, seed=1), images)
        np.testing.assert_array_equal(run.generate(latent.noise, seed=1), images)
        jax.tree.map(np.testing.assert_array_equal, run.read_codes(images), codes)


@pytest.mark.parametrize(
    ("run", "arguments", "said"),
    [
        (labelled, {"n": 2.5}, "n=2.5: not a whole number"),
        (labelled, {"n": "9"}, "n='9': not a whole number"),
        (labelled, {"n": 9, "seed": 1.5}, "seed=1.5: not a whole number"),
        (labelled, {"n": 9, "label": "d"}, "label=d: the run was not trained on such a label"),
        (labelled, {"n": 9, "image": [[0]]}, "image: the run's networks take no such condition"),
        (filling, {"n": 9, "image": [[0]]}, r"image: int64 \(1, 1\), not uint8 \(16, 16, 1\)"),
        (filling, {"n": 9}, "image: the run fills holes and needs an image"),
    ],
)
def test_arguments_that_do_not_fit_are_named(run, arguments, said):
    with pytest.raises(UserError, match=said):
        run().sample(**arguments)


def test_numbers_of_numpy_are_numbers():
    sampled = labelled().sample(np.int64(3), seed=np.int32(1), label=np.array([1, 2]))
    np.testing.assert_array_equal(sampled, labelled().sample(3, seed=1, label=(1, 2)))
