"""The convolutional networks of the conditional GAN's document (cgan:mnist, 28x28x1), and a
generator that fills a hole in an image, for cgan:mnist,inpaint (the condition is the rest of the
image: Mirza and Osindero 2014, section 3.2, allow "data from other modalities").

Sizes as in `dcgan.py`: any multiple of 4 from 16 to 256. BatchNorm's gamma is fixed at 1.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.models.dcgan import doubling, map_sizes
from jaxgan.models.latents import Latent, joined
from jaxgan.models.layers import Network, concatenate_condition, flat, max_pool

# MXNet's Xavier(rnd_type="gaussian", factor_type="avg", magnitude=3).
XAVIER = nn.initializers.variance_scaling(3.0, "fan_avg", "normal")


class _Convolutional(Network):
    kernel_init: Any = XAVIER
    momentum: float = 0.9
    epsilon: float = 1e-5

    def norm(self, x: jax.Array, name: str, train: bool) -> jax.Array:
        return self.normalize(f"{name}_norm", train, scale=False)(x)


class _Upsampling(_Convolutional):
    image_shape: tuple[int, int, int] = (28, 28, 1)

    def up(self, i: int) -> Any:
        """Transposed convolution `i`, from 2, which doubles the map; for 28x28 images, number 2
        maps 4x4 to 7x7.

        The 384 channels of the smallest map are halved each time, but not below 48, with which the
        document's networks would end for 64x64 images; 256x256 ones would be made of 12.
        """
        size, features = self.image_shape[0], self.scaled(max(384 // 2 ** (i - 1), 48))
        if i == 2 and size == 28:
            # MXNet's kernel 3 and padding 1: Flax pads the dilated input by 3 - 1 - 1 on each side.
            pads = ((1, 1), (1, 1))
            return self.conv_transpose(features, 3, 2, "conv_2", pads, bias=False)
        padding = doubling(4, map_sizes(size)[-i])
        return self.conv_transpose(features, 4, 2, f"conv_{i}", padding, bias=False)


class Generator(_Upsampling):
    """Noise and label as a 1x1 map -> smallest map, 384 channels -> transposed convolutions `up`
    -> tanh: [B, H, W, C] in (-1, 1). BatchNorm and ReLU in between; no biases."""

    @nn.compact
    def __call__(self, latent: Latent, train: bool) -> jax.Array:
        sizes, channels = map_sizes(self.image_shape[0]), self.image_shape[2]
        x = joined(latent._replace(condition=self.embed(latent.condition)))[:, None, None, :]
        x = self.conv_transpose(self.scaled(384), sizes[-1], 1, "conv_1", "VALID", bias=False)(x)
        x = nn.relu(self.norm(x, "conv_1", train))
        for i in range(2, len(sizes)):
            x = nn.relu(self.norm(self.up(i)(x), f"conv_{i}", train))
        x = self.conv_transpose(channels, 4, 2, "image", bias=False)(x)
        return jnp.tanh(x).astype(self.param_dtype)


class Discriminator(_Convolutional):
    """Image, with the condition as further channels -> 24, 32, 64 channels, each with BatchNorm and
    ELU(.25), one max pooling -> logit: (logit [B], features [B, F]). Only the logit has a bias."""

    @nn.compact
    def __call__(self, x: jax.Array, condition: Any, train: bool) -> tuple[jax.Array, jax.Array]:
        def activate(x: jax.Array, name: str) -> jax.Array:
            return nn.elu(self.norm(x, name, train), alpha=0.25)

        embedded = self.embed(condition)
        if embedded is not None and embedded.ndim > 2:  # The condition is an image, not a label.
            x, embedded = concatenate_condition(x, embedded), None
        x = self.conv(self.scaled(24), 3, 1, "conv_1", "VALID", bias=False)(x, embedded)
        x = max_pool(activate(x, "conv_1"), 2)
        x = self.conv(self.scaled(32), 3, 2, "conv_2", "VALID", bias=False)(x)
        x = activate(x, "conv_2")
        # Images of 16x16 arrive here as 3x3.
        x = self.conv(self.scaled(64), min(4, x.shape[1]), 1, "conv_3", "VALID", bias=False)(x)
        features = flat(activate(x, "conv_3"))
        logit = self.dense(1, "logit")(features)[:, 0]
        return logit.astype(self.param_dtype), features


class Inpainter(_Upsampling):
    """Fills the hole in a masked image, [B, H, W, C + 1]: [B, H, W, C] in (-1, 1).

    Strided convolutions lead down to the smallest map, where the noise joins; the layers of
    `Generator` lead up again, each map concatenated with the one of its size from the way down.
    Known pixels are copied to the output.
    """

    @nn.compact
    def __call__(self, latent: Latent, train: bool) -> jax.Array:
        depth, channels = len(map_sizes(self.image_shape[0])) - 1, self.image_shape[2]
        maps: list[jax.Array] = []
        x = latent.condition
        for i in range(1, depth + 1):
            features = self.scaled(min(48 * 2 ** (i - 1), 384))
            x = self.conv(features, 4, 2, f"down_{i}", bias=False)(x)
            x = nn.relu(self.norm(x, f"down_{i}", train))
            maps.append(x)
        x = concatenate_condition(maps.pop(), latent.noise)
        for i in range(2, depth + 1):
            x = nn.relu(self.norm(self.up(i)(x), f"conv_{i}", train))
            x = jnp.concatenate([x, maps.pop()], axis=-1)
        x = jnp.tanh(self.conv_transpose(channels, 4, 2, "image", bias=False)(x))
        known, mask = latent.condition[..., :-1], latent.condition[..., -1:]
        return (known + (1 - mask) * x).astype(self.param_dtype)
