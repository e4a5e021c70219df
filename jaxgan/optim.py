"""Optimisers from the config, and the moving average of the generator."""

from typing import Any

import jax
import optax
from ml_collections import ConfigDict


def optimizer(settings: ConfigDict) -> optax.GradientTransformation:
    """Adam (Kingma and Ba 2015) with the rates of one player's group of keys."""
    return optax.adam(
        settings.learning_rate, b1=settings.beta1, b2=settings.beta2, eps=settings.epsilon
    )


def moving_average(average: Any, now: Any, decay: float) -> Any:
    """decay * average + (1 - decay) * now, leaf by leaf: parameters and statistics alike."""
    return jax.tree.map(lambda a, b: decay * a + (1 - decay) * b, average, now)
