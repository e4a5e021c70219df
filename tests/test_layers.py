import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.models.layers import ConvTranspose, Network, conv_transpose

PADDINGS = ["SAME", "VALID", ((1, 1), (2, 0)), ((0, 2), (1, 1)), ((0, 0), (0, 0))]


@pytest.mark.parametrize("kernel", [3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", PADDINGS, ids=str)
def test_equal_to_flax_in_value_and_both_gradients(float64, kernel, stride, padding):
    size, strides = (kernel, kernel), (stride, stride)
    x = jax.random.normal(jax.random.key(0), (2, 6, 5, 3), jnp.float64)
    ours = ConvTranspose(4, size, strides, padding, param_dtype=jnp.float64)
    theirs = nn.ConvTranspose(4, size, strides, padding, param_dtype=jnp.float64)
    variables = ours.init(jax.random.key(1), x)
    shapes = functools.partial(jax.tree.map, jnp.shape)
    assert shapes(variables) == shapes(theirs.init(jax.random.key(1), x))
    expected = theirs.apply(variables, x)
    np.testing.assert_allclose(ours.apply(variables, x), expected, rtol=1e-12, atol=1e-12)

    weights = jax.random.normal(jax.random.key(2), expected.shape, jnp.float64)

    def gradients(module):
        return jax.grad(lambda v, x: jnp.sum(module.apply(v, x) * weights), argnums=(0, 1))(
            variables, x
        )

    for a, b in zip(
        jax.tree.leaves(gradients(ours)), jax.tree.leaves(gradients(theirs)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11)


def test_the_gradient_can_be_differentiated_again(float64):
    x = jax.random.normal(jax.random.key(0), (1, 3, 3, 2), jnp.float64)
    kernel = jax.random.normal(jax.random.key(1), (4, 4, 2, 2), jnp.float64)

    def penalty(convolve, kernel):
        return jnp.sum(jnp.square(jax.grad(lambda x: jnp.sum(convolve(x, kernel) ** 2))(x)))

    ours = jax.grad(functools.partial(penalty, lambda x, k: conv_transpose(x, k, (2, 2), "SAME")))
    theirs = jax.grad(
        functools.partial(penalty, lambda x, k: jax.lax.conv_transpose(x, k, (2, 2), "SAME"))
    )
    np.testing.assert_allclose(ours(kernel), theirs(kernel), rtol=1e-10)


def test_the_same_under_vmap_over_kernels():
    x = jax.random.normal(jax.random.key(0), (3, 2, 4, 4, 2))
    kernels = jax.random.normal(jax.random.key(1), (3, 4, 4, 2, 5))

    def gradient(x, kernel):
        return jax.grad(lambda k: jnp.sum(conv_transpose(x, k, (2, 2), "SAME") ** 2))(kernel)

    together = jax.vmap(gradient)(x, kernels)
    for i in range(3):
        np.testing.assert_allclose(together[i], gradient(x[i], kernels[i]), rtol=2e-4, atol=1e-4)


def test_an_unknown_padding_raises():
    with pytest.raises(ValueError, match="SAME"):
        conv_transpose(jnp.zeros((1, 2, 2, 1)), jnp.zeros((3, 3, 1, 1)), (1, 1), "FULL")


def test_scaled():
    assert [Network(width=w).scaled(64) for w in (1.0, 0.5, 0.001)] == [64, 32, 1]
