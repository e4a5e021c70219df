"""Networks of an InfoGAN with one layer of each kind: what is asked of a step or of a program does
not hang on their depth, and they compile in a fraction of the time."""

import flax.linen as nn
from conftest import tiny_config

from jaxgan.models.infogan import Q
from jaxgan.models.latents import joined, parse_codes
from jaxgan.models.layers import Network, leaky_relu
from jaxgan.models.registry import Modules
from jaxgan.training.gan import build_gan


class Generator(Network):
    convolutional: bool = False

    @nn.compact
    def __call__(self, latent, train):
        x = self.dense(4 * 4 * 2, "dense")(joined(latent))
        x = nn.relu(self.batch_norm("norm", train)(x))
        if self.convolutional:
            x = self.conv_transpose(1, 4, 2, "image")(x.reshape(-1, 4, 4, 2))
        else:
            x = self.dense(8 * 8, "image")(x).reshape(-1, 8, 8, 1)
        return nn.sigmoid(x)


class Discriminator(Network):
    convolutional: bool = False

    @nn.compact
    def __call__(self, x, condition, train):
        del condition
        if self.convolutional:
            x = self.conv(2, 4, 2, "conv")(x)
        else:
            x = self.dense(32, "dense")(x.reshape(len(x), -1))
        x = leaky_relu(0.1)(self.batch_norm("norm", train)(x))
        features = x.reshape(len(x), -1)
        return self.dense(1, "logit")(features)[:, 0], features


# Q reads images as they are: to transform them takes a third of the time to compile a step.
UNMOVED = dict.fromkeys(("q__rotation", "q__shift", "q__scale"), 0.0)


def small_infogan(arg="", convolutional=False, **values):
    """A `Gan` for 8x8 images by `tiny_config`, but for the networks and for the transformations of
    what Q reads; batch 16."""
    config = tiny_config(arg, **UNMOVED | values)
    types = {"dtype": config.dtype, "param_dtype": config.dtype, "width": config.width}
    own = {**types, "kernel_init": nn.initializers.glorot_uniform(), "convolutional": convolutional}
    reader = Q(
        codes=parse_codes(config.latent.codes),
        continuous=config.q.continuous,
        deviation=config.q.deviation,
        **types,
    )
    modules = Modules(Generator(**own), Discriminator(**own), reader, 0.0)
    return build_gan(config, (8, 8, 1), modules=modules)
