"""Optimisers against their equations in NumPy."""

import jax
import numpy as np
import pytest
from conftest import tiny_config

from jaxgan.training import optimizers

GRADIENTS = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)


def positions(rule, params=None):
    """Where the parameters stand after each gradient."""
    params = np.zeros(3, np.float32) if params is None else params
    state, found = rule.init(params), []
    for gradient in GRADIENTS:
        updates, state = jax.jit(rule.update)(gradient, state, params)
        params = params + np.asarray(updates)
        found.append(params)
    return np.stack(found)


def settings(**values):
    return tiny_config(**{f"generator__{name}": value for name, value in values.items()}).generator


def test_momentum_and_learning_rate_schedules():
    rule = optimizers.optimizer(
        settings(
            optimizer="sgd",
            learning_rate=0.1,
            rate_divisor=2.0,
            lowest_rate=0.02,
            momentum=0.5,
            final_momentum=0.7,
            momentum_steps=4,
        )
    )
    place, velocity, expected = np.zeros(3), np.zeros(3), []
    rates = [0.1, 0.05, 0.025, 0.02, 0.02, 0.02]
    momenta = [0.5, 0.55, 0.6, 0.65, 0.7, 0.7]
    for gradient, rate, momentum in zip(GRADIENTS, rates, momenta, strict=True):
        velocity = momentum * velocity - rate * gradient
        place = place + velocity
        expected.append(place)
    np.testing.assert_allclose(positions(rule), expected, rtol=1e-5, atol=1e-6)


def test_learning_rate_decay_after_100_000_updates():
    rule = optimizers.momentum_descent(0.1, 1.000004, 1e-6, 0.0, 0.0, 0)
    state = rule.init(np.zeros(1, np.float32))._replace(updates=np.int32(100_000))
    moved, _ = rule.update(np.ones(1, np.float32), state)
    assert float(-moved[0]) == pytest.approx(0.1 / 1.000004**100_000, rel=1e-5)


@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_adadelta(clip):
    rule = optimizers.optimizer(
        settings(optimizer="adadelta", learning_rate=1.0, rho=0.92, epsilon=1e-6, clip=clip)
    )
    squares, moves, place, expected = np.zeros(3), np.zeros(3), np.zeros(3), []
    for gradient in GRADIENTS:
        g = np.clip(gradient, -clip, clip) if clip else gradient
        squares = 0.92 * squares + 0.08 * g**2
        move = -np.sqrt(moves + 1e-6) / np.sqrt(squares + 1e-6) * g
        moves = 0.92 * moves + 0.08 * move**2
        place = place + move
        expected.append(place)
    np.testing.assert_allclose(positions(rule), expected, rtol=1e-4, atol=1e-6)
    if clip:
        assert np.abs(GRADIENTS).max() > clip


def test_sgd_keeps_float64(float64):
    rule = optimizers.momentum_descent(0.1, 1.1, 1e-6, 0.5, 0.7, 10)
    state = rule.init(np.zeros(3))
    updates, state = rule.update(np.ones(3), state)
    assert updates.dtype == state.velocity.dtype == np.float64


def test_adam():
    """Kingma and Ba 2015, algorithm 1."""
    rule = optimizers.optimizer(settings(learning_rate=0.1, beta1=0.6, beta2=0.8, epsilon=1e-3))
    place, mean, square, expected = np.zeros(3), np.zeros(3), np.zeros(3), []
    for i, gradient in enumerate(GRADIENTS, 1):
        mean = 0.6 * mean + 0.4 * gradient
        square = 0.8 * square + 0.2 * gradient**2
        place = place - 0.1 * mean / (1 - 0.6**i) / (np.sqrt(square / (1 - 0.8**i)) + 1e-3)
        expected.append(place)
    np.testing.assert_allclose(positions(rule), expected, rtol=1e-5)
