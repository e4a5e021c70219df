"""Invariant: the layer tables of the source documents, shapes and parameter counts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config

from jaxgan.config.presets import update
from jaxgan.models import infogan
from jaxgan.models.latents import Code
from jaxgan.models.summary import layers
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise

COUNTS = {
    "document": ((3_062_849, 50_560), (670_145, 768), (1_607_306, 256)),
    "document,continuous": ((3_113_025, 50_560), (670_145, 768), (1_607_822, 256)),
    "paper": ((6_652_481, 14_720), (6_559_169, 2_304), (133_262, 256)),
}
SHAPES = {
    "document": {
        "generator": [
            ("dense", (25_088,)),
            ("dense_norm", (25_088,)),
            ("conv", (7, 7, 128)),
            ("conv_norm", (7, 7, 128)),
            ("conv_transpose", (14, 14, 64)),
            ("conv_transpose_norm", (14, 14, 64)),
            ("image", (28, 28, 1)),
        ],
        "discriminator": [
            ("conv_1", (14, 14, 64)),
            ("conv_2", (7, 7, 128)),
            ("conv_2_norm", (7, 7, 128)),
            ("conv_3", (7, 7, 256)),
            ("conv_3_norm", (7, 7, 256)),
            ("logit", (1,)),
        ],
        "q": [("dense", (128,)), ("dense_norm", (128,)), ("code_0_logits", (10,))],
    },
    "paper": {
        "generator": [
            ("dense_1", (1024,)),
            ("dense_1_norm", (1024,)),
            ("dense_2", (6272,)),
            ("dense_2_norm", (6272,)),
            ("conv_transpose", (14, 14, 64)),
            ("conv_transpose_norm", (14, 14, 64)),
            ("image", (28, 28, 1)),
        ],
        "discriminator": [
            ("conv_1", (14, 14, 64)),
            ("conv_2", (7, 7, 128)),
            ("conv_2_norm", (7, 7, 128)),
            ("dense", (1024,)),
            ("dense_norm", (1024,)),
            ("logit", (1,)),
        ],
        "q": [
            ("dense", (128,)),
            ("dense_norm", (128,)),
            ("code_0_logits", (10,)),
            ("code_1_mean", (1,)),
            ("code_1_deviation", (1,)),
            ("code_2_mean", (1,)),
            ("code_2_deviation", (1,)),
        ],
    },
}


@functools.cache
def tables(arg, **values):
    config = update(load_config("infogan", arg), values)
    gan = build_gan(config, (28, 28, 1))
    latent = gan.latent.sample(jax.random.key(0), 2)
    image = jnp.zeros((2, 28, 28, 1))
    features = jax.eval_shape(
        lambda: gan.discriminator.init_with_output(jax.random.key(0), image, None, train=False)
    )[0][1]
    return {
        "generator": layers(gan.generator, latent),
        "discriminator": layers(gan.discriminator, image, None),
        "q": layers(gan.q, features),
    }


@pytest.mark.parametrize("arg", COUNTS)
def test_parameter_counts(arg):
    found = tables(arg)
    assert (
        tuple((sum(x.parameters for x in t), sum(x.moving for x in t)) for t in found.values())
        == COUNTS[arg]
    )


@pytest.mark.parametrize("arg", SHAPES)
def test_layer_shapes(arg):
    found = tables(arg)
    for network, expected in SHAPES[arg].items():
        assert [(x.name, x.shape) for x in found[network]] == expected


def test_features_are_the_flattened_trunk():
    for arg, size in (("document", 12_544), ("paper", 1024)):
        found = tables(arg)
        dense = next(x for x in found["q"] if x.name == "dense")
        assert dense.parameters == size * 128 + 128


def test_width_scales_every_inner_layer_and_no_outer_one():
    found = tables("document", width=0.5)
    assert [x.shape for x in found["generator"]] == [
        (12_544,), (12_544,), (7, 7, 64), (7, 7, 64), (14, 14, 32), (14, 14, 32), (28, 28, 1),
    ]  # fmt: skip


def run_q(codes, **settings):
    module = infogan.Q(codes=codes, width=0.1, **settings)
    features = jax.random.normal(jax.random.key(0), (6, 7))
    variables = module.init(jax.random.key(1), features, train=False)
    return module.apply(variables, features, train=False), variables["params"]


def test_q_reads_each_kind_of_code():
    codes = (Code("categorical", 3), Code("uniform"), Code("gaussian"))
    (category, first, second), params = run_q(codes)
    assert category.logits.shape == (6, 3)
    assert first.mean.shape == first.log_deviation.shape == second.mean.shape == (6, 1)
    assert "code_1_deviation" in params


def test_q_deviations():
    codes = (Code("uniform"),)
    (free,), _ = run_q(codes, deviation="exponential")
    (bounded,), _ = run_q(codes, deviation="sigmoid")
    (fixed,), params = run_q(codes, deviation="fixed")
    np.testing.assert_allclose(
        np.exp(bounded.log_deviation), 1 / (1 + np.exp(-free.log_deviation)), rtol=1e-5
    )
    np.testing.assert_array_equal(fixed.log_deviation, 0)
    assert "code_0_deviation" not in params
    (point,), params = run_q(codes, continuous="point")
    assert isinstance(point, infogan.PointParameters)
    assert "code_0_deviation" not in params


@pytest.mark.parametrize(("arg", "low"), [("document", -1.0), ("paper", 0.0)])
def test_images_lie_in_the_networks_range(arg, low):
    config = update(load_config("infogan", arg), {"width": 0.05})
    gan = build_gan(config, (28, 28, 3))
    assert gan.low == low
    latent = gan.latent.sample(jax.random.key(0), 4)
    variables = gan.generator.init(jax.random.key(1), latent, train=False)
    big = jax.tree.map(lambda x: 50 * x, latent)
    images = np.asarray(gan.generator.apply(variables, big, train=False))
    assert images.shape == (4, 28, 28, 3)
    assert low <= images.min() < images.max() <= 1


@pytest.mark.parametrize("arg", ["document", "paper"])
def test_weights_are_normal_but_in_the_documents_heads(arg):
    """The document leaves Keras's Glorot-uniform weights in D's and Q's dense layers."""
    gan = build_gan(update(load_config("infogan", arg), {"width": 0.25}), (28, 28, 1))
    state = jax.jit(functools.partial(initialise, gan))(jax.random.key(0))
    for player in (state.generator, state.discriminator, state.q):
        for path, leaf in jax.tree_util.tree_leaves_with_path(player.params):
            name = jax.tree_util.keystr(path)
            if "kernel" not in name or leaf.size < 1_000:
                continue
            head = arg == "document" and ("logit" in name or player is state.q)
            glorot = np.sqrt(2 / sum(leaf.shape))
            expected = glorot if head else 0.02
            np.testing.assert_allclose(np.std(leaf), expected, rtol=0.1, err_msg=name)


def test_other_numbers_of_codes_change_only_the_ends():
    found = tables("paper", **{"latent.codes": "categorical:5+categorical:7+gaussian:1"})
    assert found["generator"][0].parameters == (62 + 13) * 1024 + 1024
    assert [x.shape for x in found["q"][2:]] == [(5,), (7,), (1,), (1,)]


def test_the_authors_networks_are_the_papers_with_their_codes_settings():
    assert tables("authors") == tables("paper")
    gan = build_gan(load_config("infogan", "authors"), (28, 28, 1))
    assert load_config("infogan", "authors").fresh_noise
    for network in (gan.discriminator, gan.q):
        assert float(network.activation(jnp.float32(-1))) == pytest.approx(-0.01)
    state = jax.jit(lambda: initialise(gan, jax.random.key(0)))()
    for params in (state.generator.params, state.discriminator.params, state.q.params):
        scales = params["dense_norm" if "dense_norm" in params else "dense_1_norm"]["scale"]
        assert float(scales.mean()) == pytest.approx(1, abs=0.01)
        assert float(scales.std()) == pytest.approx(0.02, rel=0.3)
    # Cut off at two deviations, which leaves .88 of the deviation, as in TensorFlow.
    kernel = state.discriminator.params["conv_2"]["kernel"]
    assert float(abs(kernel).max()) <= 0.0401
    assert float(kernel.std()) == pytest.approx(0.88 * 0.02, rel=0.05)
