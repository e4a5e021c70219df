import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.models import convolutions, cpu, layers, winograd
from jaxgan.models.convolutions import conv_transpose
from jaxgan.models.layers import Conv, ConvTranspose, Network, concatenate_condition

# For convolutions that are worth it there are other forms on the CPU than XLA's own.
FORMS = pytest.mark.parametrize("form", ["plain", "other", "winograd"])
PADDINGS = pytest.mark.parametrize("padding", ["SAME", "VALID", ((0, 2), (1, 1))], ids=str)


def use_form(monkeypatch, form):
    """Makes all convolutions, however small, take one form."""
    monkeypatch.setattr(convolutions, "_may_rewrite", lambda kernel: form != "plain")
    monkeypatch.setattr(winograd, "_LEAST_SAVING", 0 if form == "winograd" else np.inf)
    monkeypatch.setattr(winograd, "_FEWEST_CHANNELS", 0)
    monkeypatch.setattr(winograd, "_FEWEST_TILES", 0)


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def assert_equal_to_flax(ours, theirs, x, tolerance=1e-11):
    """Shapes of the parameters; value and all gradients. One compilation for all."""
    shapes = [jax.eval_shape(one.init, jax.random.key(0), x) for one in (ours, theirs)]
    assert jax.tree.map(jnp.shape, shapes[0]) == jax.tree.map(jnp.shape, shapes[1])
    variables = jax.tree.map(lambda leaf: normal(1, *leaf.shape), shapes[0])
    weights = normal(2, *jax.eval_shape(theirs.apply, variables, x).shape)

    def of(module, variables, x):
        def loss(variables, x):
            y = module.apply(variables, x)
            return jnp.sum(y * weights), y

        return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(variables, x)

    both = jax.jit(lambda *given: (of(ours, *given), of(theirs, *given)))(variables, x)
    for a, b in zip(*map(jax.tree.leaves, both), strict=True):
        assert a.dtype == jnp.float64
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    ("form", "size"),
    [("plain", (6, 5)), ("other", (6, 5)), ("other", (3, 3)), ("winograd", (6, 5))],
    ids=str,
)
@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("stride", [1, 2])
@PADDINGS
def test_transposed_equal_to_flax(float64, monkeypatch, size, kernel, stride, padding, form):
    use_form(monkeypatch, form)
    x = normal(0, 2, *size, 3)
    square, strides = (kernel, kernel), (stride, stride)
    ours = ConvTranspose(4, square, strides, padding, param_dtype=jnp.float64)
    theirs = nn.ConvTranspose(4, square, strides, padding, param_dtype=jnp.float64)
    assert_equal_to_flax(ours, theirs, x)


@FORMS
@pytest.mark.parametrize("kernel", [3, 4])
@pytest.mark.parametrize("stride", [1, 2])
@PADDINGS
def test_convolution_equal_to_flax(float64, monkeypatch, kernel, stride, padding, form):
    use_form(monkeypatch, form)
    x = normal(0, 24, 7, 6, 3)
    square, strides = (kernel, kernel), (stride, stride)
    ours = Conv(4, square, strides, padding, param_dtype=jnp.float64)
    theirs = nn.Conv(4, square, strides, padding, param_dtype=jnp.float64)
    assert_equal_to_flax(ours, theirs, x)


@pytest.mark.parametrize(
    ("shape", "channels", "strides", "parts", "products"),
    [
        ((7, 7, 512), 128, 1, 0, 16),  # E1's generator: fewer multiplications.
        ((28, 28, 1), 64, 2, 1, 0),  # E1's discriminator, the first one.
        ((14, 14, 64), 128, 2, 1, 16),
        ((10, 10, 512), 16, 1, 4, 16),  # Rows that meet padding: 1 above; 1 and 2 below.
    ],
)
def test_uses_other_forms_where_they_are_faster(shape, channels, strides, parts, products):
    """Counted in what XLA is given: parts of a convolution; products of a transposed one."""
    x = jnp.zeros((64, *shape))
    kernel = jnp.zeros((4, 4, shape[-1], channels))
    given = jax.make_jaxpr(lambda x, k: convolutions.conv(x, k, (strides, strides), "SAME"))(
        x, kernel
    )
    assert str(given).count("conv_general_dilated[") == parts
    small = jnp.zeros((2, 4, 4, shape[-1]))
    given = jax.make_jaxpr(lambda x, k: conv_transpose(x, k, (1, 1), "VALID"))(small, kernel)
    assert str(given).count("dot_general[") == products


def test_conv_of_a_vector_equals_conv_of_more_channels(float64):
    """The same as on more channels, in value and gradients."""
    x = jax.random.normal(jax.random.key(0), (2, 6, 5, 3), jnp.float64)
    vector = jax.random.normal(jax.random.key(1), (2, 4), jnp.float64)
    ours = Conv(5, (3, 3), padding="VALID", param_dtype=jnp.float64)
    variables = ours.init(jax.random.key(2), x, vector)
    joined = ours.init(jax.random.key(2), concatenate_condition(x, vector))
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, joined)

    def of(function):
        return jax.jit(jax.value_and_grad(lambda v, t: jnp.sum(jnp.sin(function(v, t))), (0, 1)))(
            variables, vector
        )

    ours_of = of(lambda v, vector: ours.apply(v, x, vector))
    theirs_of = of(lambda v, vector: ours.apply(v, concatenate_condition(x, vector)))
    for a, b in zip(jax.tree.leaves(ours_of), jax.tree.leaves(theirs_of), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11)


def test_dense_equal_to_flax(float64):
    x = normal(0, 7, 3)
    assert_equal_to_flax(
        layers.Dense(4, param_dtype=jnp.float64), nn.Dense(4, param_dtype=jnp.float64), x
    )


@pytest.mark.parametrize("axis_name", [None, "data"])
@pytest.mark.parametrize("shape", [(8, 5, 3), (8, 3)], ids=str)
@pytest.mark.parametrize("scale", [True, False])
def test_batch_norm_equal_to_flax(float64, axis_name, shape, scale):
    """In training, statistics and gradients too; over an axis of devices too; and sampling."""
    x, weights = jnp.asarray(3 + 2 * normal(0, 2, *shape)), jnp.asarray(normal(1, 2, *shape))
    settings = {"momentum": 0.9, "epsilon": 1e-3, "use_scale": scale, "axis_name": axis_name}

    def of(kind, train):
        module = kind(use_running_average=not train, param_dtype=jnp.float64, **settings)
        sampling = kind(use_running_average=True, param_dtype=jnp.float64, **settings)
        variables = sampling.init(jax.random.key(2), x[0])

        def loss(params, x, weights):
            tree = variables | {"params": params}
            y, moved = module.apply(tree, x, mutable=["batch_stats"])
            return jnp.sum(jnp.sin(y) * weights), (y, moved)

        gradient = jax.value_and_grad(loss, (0, 1), has_aux=True)
        over_devices = jax.vmap(gradient, (None, 0, 0), axis_name="data")
        return over_devices(variables["params"], x, weights)

    for train in (True, False):
        both = jax.jit(lambda train=train: (of(layers.BatchNorm, train), of(nn.BatchNorm, train)))()
        for a, b in zip(*map(jax.tree.leaves, both), strict=True):
            # Flax keeps its moving statistics in float32.
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@FORMS
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)], ids=str)
@pytest.mark.parametrize("side", [3, 6])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (convolutions.conv, convolutions._lax_conv),
        (conv_transpose, jax.lax.conv_transpose),
    ],
    ids=["conv", "conv_transpose"],
)
def test_gradients_can_be_differentiated_again(
    float64, monkeypatch, form, ours, theirs, strides, side
):
    """A penalty on the gradient by the input, by the input and by the kernel, as by XLA's rules; in
    the other forms, a kernel larger than the map included."""
    use_form(monkeypatch, form)
    x, kernel = jnp.asarray(normal(0, 2, side, side, 2)), jnp.asarray(normal(1, 4, 4, 2, 3))

    def penalty(convolve, x, kernel):
        slope = jax.grad(lambda x: jnp.sum(jnp.sin(convolve(x, kernel, strides, "SAME"))))
        return jnp.sum(jnp.square(slope(x)))

    both = jax.jit(
        lambda *given: [
            jax.grad(functools.partial(penalty, one), (0, 1))(*given) for one in (ours, theirs)
        ]
    )(x, kernel)
    for a, b in zip(*map(jax.tree.leaves, both), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def test_the_same_under_vmap_over_kernels():
    x = jax.random.normal(jax.random.key(0), (3, 2, 4, 4, 2))
    kernels = jax.random.normal(jax.random.key(1), (3, 4, 4, 2, 5))

    @jax.jit
    def gradient(x, kernel):
        return jax.grad(lambda k: jnp.sum(conv_transpose(x, k, (2, 2), "SAME") ** 2))(kernel)

    together = jax.vmap(gradient)(x, kernels)
    for i in range(3):
        np.testing.assert_allclose(together[i], gradient(x[i], kernels[i]), rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("several", [False, True])
def test_materialized_array_is_stored_and_passes_gradients_on(several):
    def function(x):
        y = cpu.materialize(jnp.sin(x))
        return y, y.T

    x = jnp.linspace(-1, 1, 12).reshape(3, 4)
    compiled = jax.jit(jax.vmap(function) if several else function)
    given = jnp.stack([x, x]) if several else x
    if cpu.on_cpu():
        # XLA neither knows the condition nor turns it into a selection.
        assert compiled.lower(given).compile().as_text().count(" conditional(") == 1
    np.testing.assert_allclose(compiled(given)[0], jnp.sin(given), rtol=1e-6)
    gradient = jax.grad(lambda x: jnp.sum(cpu.materialize(jnp.sin(x)) ** 2))
    np.testing.assert_allclose(gradient(x), jnp.sin(2 * x), rtol=1e-5)
    second = jax.grad(lambda x: jnp.sum(gradient(x)))
    np.testing.assert_allclose(second(x), 2 * jnp.cos(2 * x), rtol=1e-5)


def test_materialize_outside_a_jit_compiles_once():
    x = jnp.ones((5, 3))
    cpu.materialize(x)
    before = cpu._stored._cache_size()
    for _ in range(3):
        cpu.materialize(x)
    assert cpu._stored._cache_size() == before


def test_an_unknown_padding_raises():
    with pytest.raises(ValueError, match="SAME"):
        conv_transpose(jnp.zeros((1, 2, 2, 1)), jnp.zeros((3, 3, 1, 1)), (1, 1), "FULL")


def test_width_scales_and_rounds():
    assert [Network(width=w).scaled(64) for w in (1.0, 0.5, 0.001)] == [64, 32, 1]


# --- Normalisation of a discriminator


def spectral(kind, **settings):
    return kind(use_bias=False, spectral=True, param_dtype=jnp.float64, **settings)


@pytest.mark.parametrize(
    ("ours", "theirs", "x"),
    [
        (
            spectral(layers.Dense, features=4),
            nn.Dense(4, use_bias=False, param_dtype=jnp.float64),
            normal(0, 5, 7),
        ),
        (
            spectral(layers.Conv, features=3, kernel_size=(3, 3)),
            nn.Conv(3, (3, 3), use_bias=False, param_dtype=jnp.float64),
            normal(0, 2, 5, 5, 2),
        ),
    ],
    ids=["dense", "conv"],
)
def test_spectral_normalisation_equal_to_flax(float64, ours, theirs, x):
    """From the same vector: outputs, gradients, and the vector after the pass."""
    variables = ours.init(jax.random.key(0), x)
    kernel, vector = variables["params"]["kernel"], variables["batch_stats"]["u"]

    class Reference(nn.Module):
        @nn.compact
        def __call__(self, x):
            wrapped = nn.SpectralNorm(theirs, param_dtype=jnp.float64)
            return wrapped(x, update_stats=True)

    reference = Reference().init(jax.random.key(0), x)
    prefix = "SpectralNorm_0"
    (name,) = (key for key in reference["batch_stats"][prefix] if key.endswith("/u"))
    stats = {**reference["batch_stats"][prefix], name: vector[None]}

    def of_ours(kernel):
        tree = {"params": {"kernel": kernel}, "batch_stats": {"u": vector}}
        y, after = ours.apply(tree, x, mutable=["batch_stats"])
        return jnp.sum(jnp.sin(y)), (y, after["batch_stats"]["u"])

    def of_flax(kernel):
        params = jax.tree.map(lambda _: kernel, reference["params"])
        tree = {"params": params, "batch_stats": {prefix: stats}}
        y, after = Reference().apply(tree, x, mutable=["batch_stats"])
        return jnp.sum(jnp.sin(y)), (y, after["batch_stats"][prefix][name][0])

    found, expected = (jax.value_and_grad(of, has_aux=True)(kernel) for of in (of_ours, of_flax))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_the_largest_singular_value_becomes_one(float64):
    """After some passes, each of which improves the vector."""
    layer, x = spectral(layers.Dense, features=4), normal(0, 5, 7)
    variables = layer.init(jax.random.key(0), x)
    for _ in range(200):
        _, changed = layer.apply(variables, x, mutable=["batch_stats"])
        variables = variables | changed
    found = layer.apply(variables, np.eye(7))
    assert np.linalg.norm(found, 2) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("kind", ["layer", "instance"])
@pytest.mark.parametrize("shape", [(6, 4, 4, 3), (6, 1, 1, 5), (6, 5)], ids=str)
def test_each_example_is_normalised_by_itself(kind, shape):
    """By NumPy; a vector, or a map of one pixel, has no positions for "instance" to normalise
    over."""

    class Normalized(layers.Network):
        @nn.compact
        def __call__(self, x):
            return self.normalize("norm", train=True)(x)

    network, x = Normalized(normalization=kind, epsilon=1e-3), np.float32(3 + normal(0, *shape))
    found, _ = network.init_with_output(jax.random.key(0), x)
    axes = tuple(range(1, x.ndim - (kind == "instance")))
    if kind == "instance" and np.prod(shape[1:-1]) == 1:
        axes = ()
    expected = x
    if axes:
        centred = x - x.mean(axes, keepdims=True)
        expected = centred / np.sqrt(x.var(axes, keepdims=True) + 1e-3)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
