"""Dropout equals Flax's, bit for bit, and its masks those of `jax.random.bernoulli`."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxgan.models.dropout import Dropout, keep_mask


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.25, 0.5, 0.75, 1 / 3])
@pytest.mark.parametrize("shape", [(7,), (64, 250), (3, 5, 7, 11), (0,)])
def test_mask_is_that_of_jax_random(rate, shape):
    key = jax.random.key(round(rate * 1000))
    wanted = jax.random.bernoulli(key, 1 - rate, shape)
    np.testing.assert_array_equal(
        jax.jit(keep_mask, static_argnums=(1, 2))(key, rate, shape), wanted
    )


def test_masks_of_several_keys_at_once_are_each_its_own():
    keys = jax.random.split(jax.random.key(1), 3)
    masks = jax.vmap(lambda key: keep_mask(key, 0.4, (50, 20)))(keys)
    for key, mask in zip(keys, masks, strict=True):
        np.testing.assert_array_equal(mask, jax.random.bernoulli(key, 0.6, (50, 20)))


def test_mask_in_64_bit_mode():
    with jax.enable_x64(True):
        key = jax.random.key(2)
        wanted = jax.random.bernoulli(key, 0.7, (40, 5))
        np.testing.assert_array_equal(keep_mask(key, 0.3, (40, 5)), wanted)


@pytest.mark.parametrize("implementation", ["rbg", "philox4x32", "threefry4x32"])
def test_mask_of_another_prng(implementation):
    key = jax.random.key(5, impl=implementation)
    wanted = jax.random.bernoulli(key, 0.7, (40, 5))
    np.testing.assert_array_equal(keep_mask(key, 0.3, (40, 5)), wanted)


def test_mask_of_threefry_that_is_not_partitionable():
    with jax.threefry_partitionable(False):
        key = jax.random.key(6)
        wanted = jax.random.bernoulli(key, 0.7, (40, 5))
        np.testing.assert_array_equal(keep_mask(key, 0.3, (40, 5)), wanted)


def test_mask_on_several_devices_needs_no_communication():
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:4])
    x = jnp.ones((16, 30))
    drop = jax.jit(lambda key, x: jnp.where(keep_mask(key, 0.5, x.shape), x, 0))
    sharded = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    text = drop.lower(jax.random.key(7), sharded).compile().as_text()
    assert "f32[4,30]" in text
    assert "all-gather" not in text
    np.testing.assert_array_equal(drop(jax.random.key(7), sharded), drop(jax.random.key(7), x))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
@pytest.mark.parametrize(
    "options",
    [{"rate": rate} for rate in (0.0, 0.2, 1.0)] + [{"rate": 0.5, "broadcast_dims": (1,)}],
)
@pytest.mark.parametrize("deterministic", [False, True])
def test_layer_and_its_gradient_are_those_of_flax(options, deterministic, dtype):
    x = jax.random.normal(jax.random.key(3), (6, 4, 4, 3), dtype)

    def values(layer):
        module = layer(**options, deterministic=deterministic)
        apply = functools.partial(module.apply, {}, rngs={"dropout": jax.random.key(4)})
        of_a_key = functools.partial(module.apply, {}, rng=jax.random.key(8))
        return apply(x), of_a_key(x), jax.grad(lambda x: jnp.sum(apply(x) ** 3))(x)

    for own, flax in zip(values(Dropout), values(nn.Dropout), strict=True):
        assert own.dtype == flax.dtype
        own, flax = own.astype(jnp.float32), flax.astype(jnp.float32)
        np.testing.assert_array_equal(own == 0, flax == 0)
        np.testing.assert_allclose(own, flax, rtol=1e-2 if dtype == jnp.bfloat16 else 1e-6)
