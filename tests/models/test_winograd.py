"""The values and gradients of all forms are compared with Flax's in test_layers.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import signal

from jaxgan.models import convolutions, winograd


@pytest.mark.parametrize(
    ("m", "r"), [(m, r) for m in (2, 3, 4) for r in (2, 3, 4, 5, 6) if 4 <= m + r - 1 <= 7]
)
def test_matrices_filter(m, r):
    """m outputs of r taps from m + r - 1 products (Lavin and Gray 2016, eq. 6)."""
    random = np.random.default_rng(0)
    inputs, taps = random.normal(size=m + r - 1), random.normal(size=r)
    a, g, b = winograd.matrices(m, r)
    filtered = a.T @ ((g @ taps) * (b @ inputs))
    np.testing.assert_allclose(filtered, signal.correlate(inputs, taps, "valid"), rtol=1e-12)


@pytest.mark.parametrize(
    ("x", "kernel", "stride", "tiling"),
    [
        ((64, 7, 7, 512), (4, 4, 512, 128), 1, (4, 4, 1, (2, 2))),  # infogan:mnist,document
        ((128, 32, 32, 128), (5, 5, 128, 256), 2, (4, 3, 2, (4, 4))),  # dcgan:size=64
        ((64, 14, 14, 64), (4, 4, 64, 128), 2, None),  # Saves too little.
        ((64, 7, 7, 128), (4, 4, 128, 32), 1, None),  # infogan.py: nothing gained.
        ((2, 7, 7, 512), (4, 4, 512, 128), 1, None),
        ((64, 7, 7, 512), (1, 1, 512, 128), 1, None),
        ((64, 7, 7, 512), (9, 9, 512, 128), 1, None),
        ((64, 7, 7, 512), (4, 3, 512, 128), 1, None),
        ((64, 28, 28, 512), (8, 8, 512, 128), 4, None),
        ((64, 28, 28, 512), (31, 31, 512, 128), 2, None),
    ],
)
def test_takes_what_pays_off(x, kernel, stride, tiling):
    strides = (stride, stride)
    padding = jax.lax.padtype_to_pads(x[1:3], kernel[:2], strides, "SAME")
    assert winograd.conv_tiling(x, kernel, strides, padding) == tiling


def test_rounds_little():
    """In float32, with as many channels as InfoGAN has; a GPU's TensorFloat-32 is at 5e-4."""
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 7, 7, 512)).astype(np.float32)
    kernel = random.normal(size=(4, 4, 512, 64)).astype(np.float32)
    y = jax.jit(lambda *given: convolutions.conv(*given, (1, 1), "VALID"))(x, kernel)
    assert winograd.conv_tiling(x.shape, kernel.shape, (1, 1), ((0, 0), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(x, (4, 4), (1, 2)).astype(np.float64)
    exact = np.einsum("bhwcij,ijcf->bhwf", patches, kernel, optimize=True)
    error = np.sqrt(np.mean((y - exact) ** 2)) / exact.std()
    assert 0 < error < 6e-6
    assert y.dtype == jnp.float32


def test_a_split_batch_is_not_gathered(float64):
    """On four devices: the same value and gradients, and nothing is exchanged but sums."""
    random = np.random.default_rng(0)
    x = random.normal(size=(32, 8, 8, 64))
    kernel, weights = random.normal(size=(4, 4, 64, 64)), random.normal(size=(32, 8, 8, 64))
    assert winograd.conv_tiling(x.shape, kernel.shape, (1, 1), ((1, 2), (1, 2)))
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))

    def gradients(x, kernel, weights):
        def loss(x, kernel):
            y = convolutions.conv(x, kernel, (1, 1), "SAME")
            back = convolutions.conv_transpose(y, kernel, (1, 1), "SAME")
            return jnp.vdot(jnp.sin(y), weights) + jnp.sum(jnp.cos(back))

        return jax.value_and_grad(loss, (0, 1))(x, kernel)

    program = jax.jit(gradients)
    alone = program(x, kernel, weights)
    given = jax.device_put(x, split), kernel, jax.device_put(weights, split)
    text = program.lower(*given).compile().as_text()
    assert "all-reduce" in text
    for exchange in ("all-gather", "all-to-all", "collective-permute"):
        assert exchange not in text
    for a, b in zip(*map(jax.tree.leaves, (alone, program(*given))), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_an_output_without_pixels_has_no_tiles():
    assert winograd.conv_tiling((64, 3, 3, 64), (4, 4, 64, 64), (1, 1), ((0, 0), (0, 0))) is None


def test_bfloat16_is_added_directly():
    """Winograd's rounding would be a tenth of the result."""
    x, kernel = jnp.ones((64, 7, 7, 64), jnp.bfloat16), jnp.ones((4, 4, 64, 64), jnp.bfloat16)

    def slopes(x, kernel):
        y = convolutions.conv(x, kernel, (1, 1), "SAME")
        return jnp.sum(convolutions.conv_transpose(y, kernel, (1, 1), "SAME"))

    for dtype, products in ((jnp.bfloat16, False), (jnp.float32, True)):
        given = jax.make_jaxpr(jax.grad(slopes, (0, 1)))(x.astype(dtype), kernel.astype(dtype))
        assert ("dot_general" in str(given)) == products
