"""Invariant: a penalty equals numbers worked out by hand, and its derivative too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config
from jax.test_util import check_grads

from jaxgan.config.presets import update
from jaxgan.losses import penalties
from jaxgan.models.variables import Variables, apply_network
from jaxgan.training.gan import build_gan, example_inputs

WEIGHTS = np.random.default_rng(0).normal(size=(2, 3, 1))
IMAGES = np.random.default_rng(1).normal(size=(5, 2, 3, 1))


def linear(weights):
    return lambda x: jnp.sum(x * weights[None], axis=(1, 2, 3))


def test_penalties_of_a_linear_critic_by_hand(float64):
    """Its gradient is its weights at every x."""
    norm = np.linalg.norm(WEIGHTS)
    of_each = [np.full(5, (norm - 1) ** 2), np.full(5, norm**2 / 2)]
    found = [f(linear(WEIGHTS), IMAGES) for f in (penalties.one_centred, penalties.zero_centred)]
    np.testing.assert_allclose(found, of_each, rtol=1e-12)


def test_derivatives_of_the_penalties_by_hand(float64):
    """d/dw (|w| - 1)^2 = 2 (|w| - 1) w / |w|, and d/dw |w|^2 / 2 = w."""
    norm = np.linalg.norm(WEIGHTS)
    for of_each, expected in (
        (penalties.one_centred, 2 * (norm - 1) * WEIGHTS / norm),
        (penalties.zero_centred, WEIGHTS),
    ):
        gradient = jax.grad(lambda w, of_each=of_each: jnp.mean(of_each(linear(w), IMAGES)))
        np.testing.assert_allclose(gradient(WEIGHTS), expected, rtol=1e-12)


def test_each_example_has_the_gradient_at_its_own_place(float64):
    """D(x) = |x|^2 / 2 has the gradient x."""
    squared = np.square(IMAGES).sum((1, 2, 3))
    found = penalties.squared_gradient_norms(lambda x: jnp.sum(x**2 / 2, axis=(1, 2, 3)), IMAGES)
    np.testing.assert_allclose(found, squared, rtol=1e-12)


def test_a_critic_without_slope_has_a_finite_derivative():
    gradient = jax.grad(lambda w: jnp.mean(penalties.one_centred(linear(w), jnp.float32(IMAGES))))
    np.testing.assert_array_equal(gradient(jnp.zeros((2, 3, 1))), 0)


def test_points_lie_between_an_example_and_its_partner(float64):
    real, fake = IMAGES, 10 + IMAGES[::-1]
    points = penalties.between(jax.random.key(0), real, fake)
    share = (points - real) / (fake - real)
    np.testing.assert_allclose(share, np.broadcast_to(share[:, :1, :1], share.shape), rtol=1e-9)
    assert share.min() >= 0
    assert share.max() <= 1
    assert len(np.unique(share[:, 0, 0].round(6))) == 5
    with pytest.raises(ValueError, match="equal shapes"):
        penalties.between(jax.random.key(0), real, fake[:4])


@pytest.mark.parametrize(
    ("system", "arg"),
    [("dcgan", "digits,size=16,paper"), ("cgan", "digits"), ("gan", "digits,paper")],
)
def test_derivatives_pass_through_the_layers_own_rules(float64, system, arg):
    """The penalty's derivative with respect to every parameter, against finite differences."""
    small = {"width": 0.01, "dtype": "float64", "penalty.kind": "r1", "condition.kind": "none"}
    small |= {"discriminator.norm": "none", "condition.how": "concatenate"}
    config = update(load_config(system, arg), small)
    gan = build_gan(config, (config.dataset.size, config.dataset.size, 1))
    image = jax.random.uniform(jax.random.key(1), example_inputs(gan)[1].shape, jnp.float64)
    variables = gan.discriminator.init(jax.random.key(0), image, None, train=False)

    @jax.jit
    def penalty(params):
        def critic(x):
            tree = Variables(params, variables.get("batch_stats", {}))
            return apply_network(gan.discriminator, tree, x, None, train=False)[0][0]

        return jnp.mean(penalties.zero_centred(critic, image))

    # Weights large enough that the penalty is more than rounding.
    params = jax.tree.map(lambda x: x + 0.1 * jnp.ones_like(x), variables["params"])
    assert penalty(params) > 1e-4
    check_grads(penalty, (params,), order=1, modes=["rev"], rtol=1e-4, atol=1e-6)
