import json

import jax
import numpy as np
from conftest import run_python

from jaxgan.common.rng import stream


def bits(key):
    return np.asarray(jax.random.key_data(key)).tolist()


def test_names_and_numbers_tell_streams_apart():
    key = jax.random.key(0)
    keys = [
        stream(key, "a"),
        stream(key, "b"),
        stream(key, "a", 0),
        stream(key, "a", 1),
        stream(key, "a", 0, 1),
        stream(key, "a", 1, 0),
        stream(jax.random.key(1), "a"),
    ]
    assert len({tuple(bits(k)) for k in keys}) == len(keys)


def test_a_traced_number_gives_the_same_key():
    key = jax.random.key(3)
    traced = jax.jit(lambda step: stream(key, "latent", step))(7)
    assert bits(traced) == bits(stream(key, "latent", 7))


def test_another_process_draws_the_same():
    program = (
        "import jax; from jaxgan.common.rng import stream;"
        "print(jax.random.key_data(stream(jax.random.key(5), 'latent', 2)).tolist())"
    )
    done = run_python("-c", program)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == bits(stream(jax.random.key(5), "latent", 2))
