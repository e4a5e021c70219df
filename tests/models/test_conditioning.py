"""Discriminators that are conditioned by projection, and that classify."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config

from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.config.validation import validate
from jaxgan.models import conditions
from jaxgan.training.gan import build_gan

KEY = jax.random.key(0)
NAMES = tuple("0123456789")
IMAGES = jax.random.uniform(jax.random.key(1), (6, 28, 28, 1))
LABELS = jax.nn.one_hot(jnp.arange(6), 10)


def built(how, arg="digits", **values):
    config = update(load_config("cgan", arg), {"width": 0.1, "condition.how": how, **values})
    validate(config)
    return build_gan(config, (28, 28, 1), conditions.make(config, NAMES, range(10)))


def initial(gan, **settings):
    return gan.discriminator.init(KEY, IMAGES, LABELS, train=False, **settings)


@pytest.mark.parametrize("arg", ["digits", "digits,mlp"])
def test_a_projection_adds_the_product_of_features_and_embedding(arg):
    """Miyato and Koyama 2018, eq. 3, from the parameters by NumPy."""
    gan = built("projection", arg)
    variables = initial(gan)
    logits, features = gan.discriminator.apply(variables, IMAGES, LABELS, train=False)
    alone, same = gan.discriminator.apply(variables, IMAGES, None, train=False)
    np.testing.assert_array_equal(features, same)
    kernel = np.asarray(variables["params"]["embedding"]["kernel"])
    expected = alone + (np.asarray(features) * kernel[:6]).sum(1)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert np.abs(logits - alone).max() > 1e-3


def test_a_classifiers_logit_does_not_depend_on_the_label():
    gan = built("auxiliary")
    variables = initial(gan)
    logits, features = gan.discriminator.apply(variables, IMAGES, LABELS, train=False)
    others, _ = gan.discriminator.apply(variables, IMAGES, LABELS[::-1], train=False)
    np.testing.assert_array_equal(logits, others)
    classes = gan.discriminator.apply(variables, features, method="classify")
    layer = variables["params"]["class_logits"]
    kernel, bias = np.asarray(layer["kernel"]), np.asarray(layer["bias"])
    expected = np.asarray(features) @ kernel + bias
    np.testing.assert_allclose(classes, expected, rtol=1e-4, atol=1e-5)
    assert classes.shape == (6, 10)


@pytest.mark.parametrize(
    ("how", "values", "said"),
    [
        ("projection", {"condition.kind": "known_part"}, "not a vector"),
        ("auxiliary", {"mismatched_factor": 0.5}, "does not depend on the condition"),
    ],
)
def test_what_does_not_fit_is_refused(how, values, said):
    with pytest.raises(UserError, match=said):
        built(how, **values)
