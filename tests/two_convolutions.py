"""A GAN whose discriminator has two convolutions: what reads their maps needs no deeper one."""

import flax.linen as nn
import jax
from conftest import load_config

from jaxgan.config.presets import update
from jaxgan.models.mlp import Generator
from jaxgan.models.registry import Modules
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks


class Nets(nn.Module):
    """Two convolutions, the first with a BatchNorm, then what `end` says."""

    end: str = "flat"

    @nn.compact
    def __call__(self, x, condition, train):
        x = nn.Conv(3, (3, 3), 2, name="one")(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, name="norm")(x))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        x = nn.elu(nn.Conv(4, (3, 3), 2, name="two")(x))
        x = x.mean((1, 2)) if self.end == "mean" else x.reshape(len(x), -1)
        return nn.Dense(1)(x)[:, 0], x


def small(end="flat"):
    config = update(load_config("gan"), {"dataset.name": "digits", "latent.codes": ""})
    modules = Modules(Generator(image_shape=(20, 20, 3), layers=(1,)), Nets(end), None, -1.0)
    gan = build_gan(config, (20, 20, 3), modules=modules)
    return gan, networks(jax.jit(lambda: initialise(gan, jax.random.key(0)))())
