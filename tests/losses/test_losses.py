import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from jaxgan.losses import adversarial, information

LOGITS = np.array([-3.0, -0.5, 0.0, 2.0])
TARGETS = np.array([1.0, 0.0, 0.9, 1.0])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def check(function, expected, *arguments):
    arguments = [jnp.asarray(a, jnp.float32) for a in arguments]
    for f in (function, jax.jit(function)):
        np.testing.assert_allclose(f(*arguments), expected, rtol=1e-5, atol=1e-6)


def test_sigmoid_cross_entropy_is_the_binary_cross_entropy():
    p = sigmoid(LOGITS)
    expected = -TARGETS * np.log(p) - (1 - TARGETS) * np.log(1 - p)
    check(adversarial.sigmoid_cross_entropy, expected, LOGITS, TARGETS)


def test_sigmoid_cross_entropy_survives_large_logits():
    check(adversarial.sigmoid_cross_entropy, [200.0, 0.0], [200.0, 200.0], [0.0, 1.0])


def test_minimax_is_log_one_minus_d():
    check(adversarial.minimax, np.log(1 - sigmoid(LOGITS)), LOGITS, np.zeros(4))


def test_least_squares_by_hand():
    check(adversarial.least_squares, [8.0, 0.125, 0.405, 0.5], LOGITS, TARGETS)


def test_hinge_by_hand():
    check(adversarial.hinge, [4.0, 0.5, 1.0, 0.0], LOGITS, [1.0, 0.0, 1.0, 1.0])


def test_wasserstein_by_hand():
    """It is the generator's hinge loss, too."""
    check(adversarial.wasserstein, [3.0, -0.5, 0.0, -2.0], LOGITS, [1.0, 0.0, 1.0, 1.0])
    assert adversarial.ADVERSARIAL["hinge"].generator is adversarial.wasserstein


@pytest.mark.parametrize("name", adversarial.ADVERSARIAL)
def test_gradients_of_each_loss_have_the_right_sign(name):
    """The discriminator wants real logits up and fake ones down, the generator fake ones up."""
    game = adversarial.ADVERSARIAL[name]
    logit = jnp.asarray([0.3])
    one, zero = jnp.ones(1), jnp.zeros(1)
    target = one if game.generator_aims_at_real else zero

    def slope(loss, target):
        return jax.grad(lambda x: loss(x, target)[0])(logit)[0]

    assert slope(game.discriminator, one) < 0 < slope(game.discriminator, zero)
    assert slope(game.generator, target) < 0


def test_categorical_cross_entropy():
    logits = np.random.default_rng(0).normal(size=(5, 3))
    chosen = np.array([0, 2, 1, 1, 0])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    check(
        information.categorical_cross_entropy,
        -np.log(p[np.arange(5), chosen]),
        logits,
        np.eye(3)[chosen],
    )


def test_gaussian_negative_log_likelihood():
    generator = np.random.default_rng(1)
    mean, value = generator.normal(size=(2, 6, 2))
    deviation = generator.uniform(0.3, 2, size=(6, 2))
    expected = -scipy.stats.norm.logpdf(value, mean, deviation).sum(axis=1)
    check(information.gaussian_negative_log_likelihood, expected, mean, np.log(deviation), value)


def test_fixed_deviation_is_half_the_squared_error_and_a_constant():
    mean, value = np.array([[0.5], [1.0]]), np.array([[0.0], [-1.0]])
    constant = math.log(2 * math.pi) / 2
    check(
        information.gaussian_negative_log_likelihood,
        [0.125 + constant, 2.0 + constant],
        mean,
        np.zeros((2, 1)),
        value,
    )
    check(information.squared_error, [0.25, 4.0], mean, value)


@pytest.mark.parametrize(
    "function",
    [
        adversarial.sigmoid_cross_entropy,
        adversarial.minimax,
        adversarial.least_squares,
        adversarial.hinge,
        adversarial.wasserstein,
        information.categorical_cross_entropy,
        information.squared_error,
    ],
)
def test_unequal_shapes_raise(function):
    with pytest.raises(ValueError, match="equal shapes"):
        function(jnp.zeros((4, 1)), jnp.zeros(4))


def test_unequal_shapes_raise_in_the_gaussian():
    with pytest.raises(ValueError, match="equal shapes"):
        information.gaussian_negative_log_likelihood(
            jnp.zeros((4, 1)), jnp.zeros((4, 1)), jnp.zeros(4)
        )
