"""Invariant: the layer tables, shapes and parameter counts, of systems A to D3 by their configs."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config

from jaxgan.config.presets import update
from jaxgan.config.validation import validate
from jaxgan.models import dcgan
from jaxgan.models.conditions import Features, Label, MaskedImage
from jaxgan.models.convolutions import conv_transpose
from jaxgan.models.layers import Maxout, max_pool
from jaxgan.models.summary import layers
from jaxgan.training.gan import build_gan, example_inputs

LABEL = Label(10, tuple(range(10)))
# (config, ARG, image, condition) -> (G, moving) and (D, moving), as the sources' libraries count.
COUNTS = {
    ("gan", "", (28, 28, 1), None): ((114_064, 0), (100_609, 0)),
    ("gan", "paper", (28, 28, 1), None): ((2_503_984, 0), (1_231_441, 0)),
    ("dcgan", "mnist", (28, 28, 1), None): ((3_238_145, 17_152), (1_486_337, 1_536)),
    ("dcgan", "cifar10", (32, 32, 3), None): ((3_240_451, 17_152), (1_488_641, 1_536)),
    ("dcgan", "size=64", (64, 64, 3), None): ((18_903_043, 34_560), (17_234_689, 3_584)),
    ("cgan", "mlp", (28, 28, 1), LABEL): ((2_413_984, 0), (1_224_351, 0)),
    ("cgan", "mnist", (28, 28, 1), LABEL): ((1_611_936, 1_344), (42_753, 240)),
    ("tags", "paper", (1, 1, 200), Features(4096)): ((8_744_700, 0), (10_120_901, 0)),
}


KEY = jax.random.key(0)


def inputs_of(gan):
    latent, image = example_inputs(gan)
    return (latent,), (image, latent.condition)


def tables(config, image_shape, condition):
    gan = build_gan(config, image_shape, condition)
    latent, image = example_inputs(gan)
    return layers(gan.generator, latent), layers(gan.discriminator, image, latent.condition)


@pytest.mark.parametrize(("case", "counts"), COUNTS.items())
def test_parameter_counts(case, counts):
    name, arg, image_shape, condition = case
    for table, (parameters, moving) in zip(
        tables(load_config(name, arg), image_shape, condition), counts, strict=True
    ):
        assert sum(layer.parameters for layer in table) == parameters
        assert sum(layer.moving for layer in table) == moving


def shapes(table):
    return [(x.name, x.shape) for x in table if not x.name.endswith(("norm", "dropout"))]


SHAPES = {
    ("gan", "", (28, 28, 1), None): (
        [("dense_1", (128,)), ("image", (784,))],
        [("dense_1", (128,)), ("logit", (1,))],
    ),
    ("gan", "paper", (28, 28, 1), None): (
        [("dense_1", (1200,)), ("dense_2", (1200,)), ("image", (784,))],
        [("maxout_1", (240,)), ("maxout_2", (240,)), ("logit", (1,))],
    ),
    ("dcgan", "mnist", (28, 28, 1), None): (
        [
            ("dense", (8192,)),
            ("conv_1", (7, 7, 256)),
            ("conv_2", (14, 14, 128)),
            ("image", (28, 28, 1)),
        ],
        [
            ("conv_1", (14, 14, 128)),
            ("conv_2", (7, 7, 256)),
            ("conv_3", (4, 4, 512)),
            ("logit", (1,)),
        ],
    ),
    ("dcgan", "cifar10", (32, 32, 3), None): (
        [
            ("dense", (8192,)),
            ("conv_1", (8, 8, 256)),
            ("conv_2", (16, 16, 128)),
            ("image", (32, 32, 3)),
        ],
        [
            ("conv_1", (16, 16, 128)),
            ("conv_2", (8, 8, 256)),
            ("conv_3", (4, 4, 512)),
            ("logit", (1,)),
        ],
    ),
    ("dcgan", "size=64", (64, 64, 3), None): (
        [
            ("dense", (16384,)),
            ("conv_1", (8, 8, 512)),
            ("conv_2", (16, 16, 256)),
            ("conv_3", (32, 32, 128)),
            ("image", (64, 64, 3)),
        ],
        [
            ("conv_1", (32, 32, 128)),
            ("conv_2", (16, 16, 256)),
            ("conv_3", (8, 8, 512)),
            ("conv_4", (4, 4, 1024)),
            ("logit", (1,)),
        ],
    ),
    ("cgan", "mlp", (28, 28, 1), LABEL): (
        [("noise", (200,)), ("condition", (1000,)), ("joint", (1200,)), ("image", (784,))],
        [("image", (240,)), ("condition", (50,)), ("joint", (240,)), ("logit", (1,))],
    ),
    ("cgan", "mnist", (28, 28, 1), LABEL): (
        [
            ("conv_1", (4, 4, 384)),
            ("conv_2", (7, 7, 192)),
            ("conv_3", (14, 14, 96)),
            ("image", (28, 28, 1)),
        ],
        [
            ("conv_1", (26, 26, 24)),
            ("conv_2", (6, 6, 32)),
            ("conv_3", (3, 3, 64)),
            ("logit", (1,)),
        ],
    ),
    ("tags", "paper", (1, 1, 200), Features(4096)): (
        [("noise", (500,)), ("condition", (2000,)), ("word", (200,))],
        [("word", (500,)), ("condition", (1200,)), ("joint", (1000,)), ("logit", (1,))],
    ),
}


@pytest.mark.parametrize(("case", "expected"), SHAPES.items())
def test_shapes(case, expected):
    name, arg, image_shape, condition = case
    for table, layer_shapes in zip(
        tables(load_config(name, arg), image_shape, condition), expected, strict=True
    ):
        here = [(x.name, x.shape) for x in table if not x.name.endswith(("norm", "dropout"))]
        assert here == layer_shapes


def initialised(module, *inputs):
    """In one compilation."""
    return jax.jit(functools.partial(module.init, train=False))(KEY, *inputs)


def test_d2_has_one_bias_and_no_gamma():
    gan = build_gan(load_config("cgan"), (28, 28, 1), LABEL)
    for module, inputs in zip((gan.generator, gan.discriminator), inputs_of(gan), strict=True):
        params = jax.eval_shape(lambda m=module, i=inputs: m.init(KEY, *i, train=False))["params"]
        names = [jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(params)]
        assert not [name for name in names if "scale" in name]
        biases = [name for name in names if "bias" in name and "norm" not in name]
        assert biases == ([] if module is gan.generator else ["['logit']['bias']"])


CONVOLUTIONAL = {
    ("dcgan", ""): None,
    ("dcgan", "paper"): None,
    ("cgan", ""): LABEL,
    ("cgan", "inpaint"): MaskedImage(0.5),
    ("infogan", ""): None,
    ("infogan", "document"): None,
}


@pytest.mark.parametrize("size", [16, 100, 256])
@pytest.mark.parametrize(("name", "arg"), CONVOLUTIONAL)
def test_every_multiple_of_four_is_made_and_judged(name, arg, size):
    config = update(load_config(name, arg), {"width": 0.01, "dataset.size": size})
    validate(config)
    gan = build_gan(config, (size, size, 3), CONVOLUTIONAL[name, arg])
    results = []
    for module, inputs in zip((gan.generator, gan.discriminator), inputs_of(gan), strict=True):
        apply = functools.partial(module.init_with_output, KEY, train=False)
        results.append(jax.eval_shape(apply, *inputs)[0])
    assert results[0].shape == (2, size, size, 3)
    assert results[1][0].shape == (2,)


def test_no_map_is_lost_between_the_layers():
    """A layer that maps to nothing has parameters, but the logit would not depend on the image."""
    _, discriminator = tables(update(load_config("cgan"), {"width": 0.1}), (16, 16, 1), LABEL)
    assert ("conv_3", (1, 1, 6)) in shapes(discriminator)


def test_maps_halve_rounding_up():
    assert dcgan.map_sizes(28) == [28, 14, 7, 4]
    assert dcgan.map_sizes(48) == [48, 24, 12, 6, 3]
    assert dcgan.map_sizes(100) == [100, 50, 25, 13, 7, 4]
    for size in range(16, 257, 4):
        assert dcgan.map_sizes(size)[-1] in (3, 4)


def maps(table):
    return [shape for name, shape in shapes(table) if len(shape) == 3]


def test_dcgan_goes_up_the_maps_that_it_goes_down():
    generator, discriminator = tables(load_config("dcgan", "width=1.0"), (100, 100, 3), None)
    inner = [(50, 50, 128), (25, 25, 256), (13, 13, 512), (7, 7, 1024)]
    assert maps(generator) == [*reversed(inner), (100, 100, 3)]
    assert maps(discriminator) == [*inner, (4, 4, 1024)]


def test_large_images_widen_and_narrow_no_map_without_end():
    """No more than the paper's 1,024 channels; no fewer than the 48 of CGAN's for 64x64."""
    generator, discriminator = tables(load_config("dcgan", "width=1.0"), (256, 256, 3), None)
    assert max(shape[2] for shape in maps(generator) + maps(discriminator)) == 1024
    for arg in ("", "inpaint"):
        condition = CONVOLUTIONAL["cgan", arg]
        config = update(load_config("cgan", arg), {"width": 1.0})
        *inner, _ = maps(tables(config, (256, 256, 3), condition)[0])
        assert {shape[2] for shape in inner} == {48, 96, 192, 384}


@pytest.mark.parametrize("kernel", [3, 4, 5])
def test_an_odd_map_is_the_doubled_one_cropped(kernel):
    x = jax.random.normal(KEY, (2, 4, 4, 3))
    weights = jax.random.normal(KEY, (kernel, kernel, 3, 2))
    doubled = conv_transpose(x, weights, (2, 2), dcgan.doubling(kernel, 8))
    odd = conv_transpose(x, weights, (2, 2), dcgan.doubling(kernel, 7))
    np.testing.assert_allclose(odd, doubled[:, :7, :7], rtol=1e-5, atol=1e-5)


def test_embeds_labels():
    config = update(load_config("cgan"), {"condition.embedding": 5})
    generator, discriminator = tables(config, (28, 28, 1), LABEL)
    assert generator[0][:3] == ("embedding", (5,), 50)
    assert discriminator[0][:3] == ("embedding", (5,), 50)


def test_inpainting_keeps_the_known_part():
    config = update(load_config("cgan", "inpaint"), {"width": 0.1, "condition.hole": 0.25})
    condition = MaskedImage(0.25)
    gan = build_gan(config, (28, 28, 1), condition)
    image = jax.random.uniform(KEY, (3, 28, 28, 1), minval=-1)
    latent = gan.latent.sample(KEY, 3)._replace(condition=condition.of(image, None, jnp.float32))
    filled, _ = jax.jit(functools.partial(gan.generator.init_with_output, train=False))(KEY, latent)
    mask = np.asarray(condition.mask(28, 28))
    assert mask.sum() == 28 * 28 - 7 * 7
    np.testing.assert_array_equal(np.asarray(filled)[:, mask], np.asarray(image)[:, mask])
    assert np.abs(np.asarray(filled - image)[:, ~mask]).max() > 0.1


def test_maxout():
    x = jax.random.normal(KEY, (4, 3))
    y, variables = Maxout(2, 5).init_with_output(KEY, x)
    kernel = np.asarray(variables["params"]["kernel"]).reshape(3, 2, 5)
    np.testing.assert_allclose(y, np.einsum("bi,iup->bup", x, kernel).max(-1), rtol=1e-5)


@pytest.mark.parametrize("shape", [(2, 26, 26, 3), (2, 7, 9, 1)])
def test_max_pool_is_flax_own(shape):
    # Rounded, so that some windows hold their maximum twice.
    x = jnp.round(jax.random.normal(KEY, shape), 1)

    def of(pool):
        return jax.value_and_grad(lambda x: jnp.sum(jnp.sin(pool(x))))(x)

    ours, flaxs = of(lambda x: max_pool(x, 2)), of(lambda x: nn.max_pool(x, (2, 2), (2, 2)))
    for a, b in zip(ours, flaxs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_initial_weights_of_b():
    gan = build_gan(load_config("gan", "paper"), (28, 28, 1))
    for module, inputs, limit in zip(
        (gan.generator, gan.discriminator), inputs_of(gan), (0.05, 0.005), strict=True
    ):
        params = initialised(module, *inputs)["params"]
        for layer in params.values():
            assert limit * 0.97 < float(np.abs(layer["kernel"]).max()) < limit * 1.001


@pytest.mark.parametrize(
    ("name", "arg"), [("gan", ""), ("gan", "paper"), ("dcgan", ""), ("cgan", ""), ("cgan", "mlp")]
)
def test_the_discriminator_looks_at_its_label(name, arg):
    config = update(load_config(name, arg), {"width": 0.1, "condition.kind": "label"})
    gan = build_gan(config, (28, 28, 1), LABEL)
    image = jax.random.uniform(KEY, (4, 28, 28, 1))

    @jax.jit
    def logits(label):
        condition = jax.nn.one_hot(jnp.full(4, label), 10)
        return gan.discriminator.apply(variables, image, condition, train=False)[0]

    latent, shaped = example_inputs(gan)
    variables = initialised(gan.discriminator, shaped, latent.condition)
    assert np.abs(np.asarray(logits(3) - logits(7))).min() > 0


def test_the_gradient_behind_a_pooling_is_finite():
    """Compiled, behind convolution, BatchNorm and ELU: a pooling once divided 0 by 0 there."""
    config = update(load_config("cgan"), {"width": 0.25})
    gan = build_gan(config, (28, 28, 1), LABEL)
    latent, _ = example_inputs(gan)
    image = jax.random.normal(KEY, (64, 28, 28, 1))
    condition = jnp.repeat(latent.condition, 32, axis=0)
    variables = initialised(gan.discriminator, image, condition)

    @jax.jit
    def gradient(params):
        def loss(params):
            tree = variables | {"params": params}
            (logit, _), _ = gan.discriminator.apply(
                tree, image, condition, train=True, mutable=["batch_stats"]
            )
            return jnp.sum(jnp.sin(logit))

        return jax.grad(loss)(params)

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient(variables["params"])))
